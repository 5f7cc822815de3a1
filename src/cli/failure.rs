//! What can go wrong, how it is told, and with which exit code.

use std::io::Write as _;
use std::process::ExitCode;

use boxoffice::causes::in_one_line;
use boxoffice::client::Error;
use boxoffice::storage::postgres::OpenError;
use serde::Serialize;
use serde_json::json;
use tonic::{Code, Status, TimeoutExpired};
use tonic_types::StatusExt as _;

use super::conflict::Conflict;
use super::document::Conflicts;

/// The reason of the API that says that somebody else was faster.
pub(crate) const ETAG_MISMATCH: &str = "ETAG_MISMATCH";

/// Why a command was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was typed cannot be meant.
    Usage(String),
    /// The server refused, or failed.
    Refused(Box<Refused>),
    /// The server cannot be reached, or the connection broke before its answer came.
    Unreachable {
        /// What happened.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A file would overwrite what somebody else has changed since it was written.
    Conflict {
        /// What happened.
        message: String,
        /// Field by field.
        conflicts: Conflicts,
        /// What to do about it.
        hints: Vec<String>,
    },
    /// A dry run found something to do, and has told what.
    WouldChange,
    /// Something else failed.
    Failed(String),
    /// Nobody reads our output any more: not a failure of ours, but there is no point in going on.
    OutputClosed,
}

/// A gRPC status, taken apart.
#[derive(Debug, Serialize)]
pub(crate) struct Refused {
    /// The name of the gRPC code.
    pub(crate) code: &'static str,
    /// The reason of `google.rpc.ErrorInfo`; empty where the answer is not one of Boxoffice.
    pub(crate) reason: String,
    /// For people.
    pub(crate) message: String,
    /// What is wrong with which field.
    pub(crate) fields: Vec<Field>,
    /// Details of the reason, as the API documents them.
    pub(crate) metadata: std::collections::BTreeMap<String, String>,
    /// When to try again.
    pub(crate) retry_after_seconds: Option<f64>,
    /// Somebody else's edit, beside ours.
    pub(crate) conflict: Option<Conflict>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// Whether the request may have been carried out all the same; the exit code tells programs.
    #[serde(skip)]
    pub(crate) effect_unknown: bool,
}

/// A field violation.
#[derive(Debug, Serialize)]
pub(crate) struct Field {
    /// Its path in the request.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) description: String,
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        // A status that the server never sent: this side made it up when the connection broke or the time was over.
        if info.is_none() && (status.code() == Code::Unavailable || std::error::Error::source(&status).is_some()) {
            let first = first_cause(&status);
            let message = if first.is::<TimeoutExpired>() {
                format!("the server did not answer within {} s", super::client::ANSWER_TIMEOUT.as_secs())
            } else {
                format!("the connection to the server broke: {first}")
            };
            return Self::Unreachable { message, hint: None };
        }
        let fields = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        Self::Refused(Box::new(Refused {
            code: code_name(status.code()),
            reason: info.map(|info| info.reason.clone()).unwrap_or_default(),
            message: status.message().to_owned(),
            fields: fields
                .iter()
                .map(|bad| Field { field: bad.field.clone(), description: bad.description.clone() })
                .collect(),
            metadata: info.map(|info| info.metadata.clone().into_iter().collect()).unwrap_or_default(),
            retry_after_seconds: details.retry_info().and_then(|retry| retry.retry_delay).map(|d| d.as_secs_f64()),
            conflict: None,
            hint: None,
            effect_unknown: leaves_effect_unknown(status.code()),
        }))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refused) => Self::from(refused.status),
            Error::Unanswered { last, .. } => match Self::from(*last) {
                // Of several attempts, the last may have ended on this side without a word of the server's.
                Self::Refused(refused) if refused.reason.is_empty() => {
                    Self::Unreachable { message: refused.message, hint: None }
                }
                // What the last was told says nothing of those before it.
                Self::Refused(refused) => Self::Refused(Box::new(Refused { effect_unknown: true, ..*refused })),
                failure => failure,
            },
            Error::Unusable(what) => Self::Usage(what),
        }
    }
}

impl Failure {
    /// A PostgreSQL database that cannot be opened.
    pub(crate) fn of_database(error: &OpenError) -> Self {
        match error {
            OpenError::Url(wrong) => Self::Usage(format!("--database-url: {wrong}")),
            error => Self::Failed(in_one_line(error)),
        }
    }

    /// The same with advice.
    pub(crate) fn with_hint(mut self, text: impl FnOnce() -> String) -> Self {
        match &mut self {
            Self::Refused(refused) => refused.hint = Some(text()),
            Self::Unreachable { hint, .. } => *hint = Some(text()),
            Self::Usage(_) | Self::Failed(_) | Self::Conflict { .. } | Self::WouldChange | Self::OutputClosed => {}
        }
        self
    }

    /// The same with advice for whoever cannot know whether it was done, if that is so.
    pub(crate) fn with_hint_if_unknown(self, text: impl FnOnce() -> String) -> Self {
        if self.leaves_effect_unknown() { self.with_hint(text) } else { self }
    }

    /// What happened, in one line without advice.
    pub(crate) fn in_short(&self) -> &str {
        match self {
            Self::Usage(message) | Self::Failed(message) => message,
            Self::Unreachable { message, .. } | Self::Conflict { message, .. } => message,
            Self::Refused(refused) => &refused.message,
            Self::WouldChange | Self::OutputClosed => "",
        }
    }

    /// Whether a request that ended so may have been carried out all the same.
    pub(crate) fn leaves_effect_unknown(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused(refused) => refused.effect_unknown,
            Self::Usage(_) | Self::Failed(_) | Self::Conflict { .. } | Self::WouldChange | Self::OutputClosed => false,
        }
    }

    /// See the help text, which promises these numbers to scripts.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::OutputClosed => ExitCode::SUCCESS,
            Self::Refused(refused) if refused.reason == ETAG_MISMATCH => ExitCode::from(4),
            Self::Conflict { .. } => ExitCode::from(4),
            Self::WouldChange => ExitCode::from(5),
            Self::Refused(refused) if refused.effect_unknown => ExitCode::from(3),
            Self::Refused(_) | Self::Failed(_) => ExitCode::from(1),
            Self::Usage(_) => ExitCode::from(2),
            Self::Unreachable { .. } => ExitCode::from(3),
        }
    }

    /// Tells it on stderr. If that is closed, nobody wants to know.
    pub(crate) fn report(&self, json: bool) {
        let text = if json { self.as_json() } else { self.as_text() };
        if !text.is_empty() {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    fn as_json(&self) -> String {
        let error = match self {
            Self::OutputClosed | Self::WouldChange => return String::new(),
            Self::Conflict { message, conflicts, hints } => json!({
                "code": code_name(Code::Aborted),
                "reason": ETAG_MISMATCH,
                "message": message,
                "conflict": { "fields": conflicts },
                "hint": hints.join("; "),
            }),
            Self::Refused(refused) => json!(refused),
            Self::Usage(message) => json!({ "code": "USAGE", "message": message }),
            Self::Failed(message) => json!({ "code": "FAILED", "message": message }),
            Self::Unreachable { message, hint } => json!({ "code": "UNREACHABLE", "message": message, "hint": hint }),
        };
        json!({ "error": error }).to_string()
    }

    fn as_text(&self) -> String {
        match self {
            Self::OutputClosed | Self::WouldChange => String::new(),
            Self::Conflict { message, conflicts, hints } => {
                let table = conflicts.as_table();
                let lines = table.lines().map(str::to_owned).chain(hints.iter().cloned());
                with_lines(format!("error: {ETAG_MISMATCH}: {message}"), lines)
            }
            Self::Usage(message) | Self::Failed(message) => format!("error: {message}"),
            Self::Unreachable { message, hint } => with_lines(format!("error: {message}"), hint.iter().cloned()),
            Self::Refused(refused) => refused.as_text(),
        }
    }
}

impl Refused {
    fn as_text(&self) -> String {
        let name = if self.reason.is_empty() { self.code } else { &self.reason };
        // A message that is about one field says all there is to say.
        let told = |bad: &Field| self.fields.len() == 1 && self.message == format!("{} {}", bad.field, bad.description);
        let fields = self.fields.iter().filter(|bad| !told(bad));
        let fields = fields.map(|bad| format!("{}: {}", bad.field, bad.description));
        let next = self.metadata.get("next_expire_time").map(|time| format!("the next hold lapses at {time}"));
        let retry = self.retry_after_seconds.map(|seconds| format!("try again in {seconds} s"));
        let conflict = self.conflict.iter().flat_map(|c| c.as_table().lines().map(str::to_owned).collect::<Vec<_>>());
        let lines = fields.chain(next).chain(retry).chain(conflict).chain(self.hint.clone());
        with_lines(format!("error: {name}: {}", self.message), lines)
    }
}

fn with_lines(first: String, below: impl Iterator<Item = String>) -> String {
    below.fold(first, |text, line| format!("{text}\n  {line}"))
}

/// The first cause: what the operating system said, rather than "transport error".
pub(crate) fn first_cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}

/// Whether a request that was answered so may have been carried out. (UNAVAILABLE also says that it was not begun, as of an
/// overloaded server; but so does one that cannot hand on what it has done. Either way it is to be repeated.)
const fn leaves_effect_unknown(code: Code) -> bool {
    match code {
        Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => false,
    }
}

const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests;
