//! What can go wrong, how it is told, and with which exit code.

use std::io::Write as _;
use std::process::ExitCode;

use boxoffice::causes::in_one_line;
use boxoffice::client::Error;
use boxoffice::storage::postgres::OpenError;
use serde::Serialize;
use serde_json::json;
use tonic::{Code, Status};
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
            let message = if status.code() == Code::Cancelled {
                format!("the server did not answer within {} s", super::client::ANSWER_TIMEOUT.as_secs())
            } else {
                format!("the connection to the server broke: {}", innermost(&status))
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
            Self::Refused(refused) => {
                refused.code == code_name(Code::DeadlineExceeded) || refused.reason == "STORE_UNAVAILABLE"
            }
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

/// The message of the first cause: what the operating system said, rather than "transport error".
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
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
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_refusal_is_one_line_with_its_reason_and_the_fields_below() {
        let mut details = ErrorDetails::with_error_info("INVALID_LINES", "boxoffice", HashMap::new());
        details.add_bad_request_violation("reservation.lines[0].quantity", "must be 1 to 1,000,000");
        let status = Status::with_error_details(Code::InvalidArgument, "the request is not valid", details);
        let failure = Failure::from(status);
        assert_eq!(
            failure.as_text(),
            "error: INVALID_LINES: the request is not valid\n  reservation.lines[0].quantity: must be 1 to 1,000,000"
        );
        assert_eq!(failure.exit_code(), ExitCode::from(1));
        assert!(!failure.leaves_effect_unknown());
    }

    #[test]
    fn json_errors_tell_code_reason_and_metadata() {
        let metadata = HashMap::from([("next_expire_time".to_owned(), "2027-01-01T00:00:00Z".to_owned())]);
        let details = ErrorDetails::with_error_info("ALL_HELD", "boxoffice", metadata);
        let status = Status::with_error_details(Code::FailedPrecondition, "nothing is free now", details);
        let value: serde_json::Value = serde_json::from_str(&Failure::from(status).as_json()).unwrap();
        assert_eq!(value["error"]["code"], "FAILED_PRECONDITION");
        assert_eq!(value["error"]["reason"], "ALL_HELD");
        assert_eq!(value["error"]["metadata"]["next_expire_time"], "2027-01-01T00:00:00Z");
    }

    #[test]
    fn somebody_elses_edit_and_a_dry_run_have_exit_codes_of_their_own() {
        let details = ErrorDetails::with_error_info("ETAG_MISMATCH", "boxoffice", HashMap::new());
        let stale = Status::with_error_details(Code::Aborted, "it was changed", details);
        assert_eq!(Failure::from(stale).exit_code(), ExitCode::from(4));
        let conflict =
            Failure::Conflict { message: "changed".to_owned(), conflicts: Conflicts::default(), hints: Vec::new() };
        assert_eq!(conflict.exit_code(), ExitCode::from(4));
        assert_eq!(Failure::WouldChange.exit_code(), ExitCode::from(5));
        assert_eq!((Failure::WouldChange.as_text(), Failure::WouldChange.as_json()), (String::new(), String::new()));
    }

    #[test]
    fn an_overloaded_server_was_reached_and_a_missing_one_was_not() {
        let details = ErrorDetails::with_error_info("OVERLOADED", "boxoffice", HashMap::new());
        let overloaded = Status::with_error_details(Code::Unavailable, "too much waits", details);
        let overloaded = Failure::from(overloaded);
        assert_eq!((overloaded.exit_code(), overloaded.leaves_effect_unknown()), (ExitCode::from(1), false));
        let gone = Failure::from(Status::unavailable("connection refused"));
        assert_eq!(gone.exit_code(), ExitCode::from(3));
        assert!(gone.leaves_effect_unknown());
    }
    #[test]
    fn where_a_request_may_have_been_carried_out_that_is_known() {
        for (code, reason) in [(Code::DeadlineExceeded, "DEADLINE_EXCEEDED"), (Code::Unavailable, "STORE_UNAVAILABLE")]
        {
            let details = ErrorDetails::with_error_info(reason, "boxoffice", HashMap::new());
            let told = Failure::from(Status::with_error_details(code, "no answer", details));
            assert_eq!((told.exit_code(), told.leaves_effect_unknown()), (ExitCode::from(1), true), "{reason}");
            assert!(told.with_hint_if_unknown(|| "repeat it".to_owned()).as_text().ends_with("\n  repeat it"));
        }
    }

    #[test]
    fn what_this_side_made_up_is_no_answer_of_the_server() {
        let broken = || Box::new(std::io::Error::other("reset by peer"));
        let caused = |mut status: Status| {
            status.set_source(std::sync::Arc::new(std::io::Error::other("reset by peer")));
            status
        };
        let cases = [
            (Failure::from(Status::from_error(broken())), "the connection to the server broke: reset by peer"),
            (Failure::from(caused(Status::cancelled("time"))), "the server did not answer within 30 s"),
            (
                Failure::from(Error::Unanswered {
                    name: "events/demo".to_owned(),
                    attempts: 2,
                    last: Box::new(Status::deadline_exceeded("no answer in time")),
                }),
                "no answer in time",
            ),
        ];
        for (failure, told) in cases {
            assert_eq!((failure.exit_code(), failure.in_short()), (ExitCode::from(3), told));
        }
    }

    #[test]
    fn when_to_come_again_is_told() {
        let metadata = HashMap::from([("next_expire_time".to_owned(), "2027-01-01T00:00:00Z".to_owned())]);
        let mut details = ErrorDetails::with_error_info("ALL_HELD", "boxoffice", metadata);
        details.set_retry_info(Some(std::time::Duration::from_millis(1_500)));
        let failure =
            Failure::from(Status::with_error_details(Code::FailedPrecondition, "nothing is free now", details));
        assert_eq!(
            failure.as_text(),
            "error: ALL_HELD: nothing is free now\n  the next hold lapses at 2027-01-01T00:00:00Z\n  try again in 1.5 s"
        );
    }
}
