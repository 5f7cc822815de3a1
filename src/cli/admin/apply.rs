//! `admin apply` and `admin import`: an event becomes what a file says, wholly or not at all.

use boxoffice_proto::v1::{ApplyEventRequest, ApplyEventResponse, CapacityMode, Event};
use serde::Serialize;

use super::read_event;
use crate::cli::ask;
use crate::cli::client::Session;
use crate::cli::document::{Change, Document, Format, Plan, Source};
use crate::cli::failure::{ETAG_MISMATCH, Failure};
use crate::cli::output::{counted, print_line, program, read_or_not, shell_word};
use crate::cli::values;
use crate::cli::view::EventView;

/// Options of `apply`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) input: Input,
    /// Where more is held or sold than a smaller capacity: go as low as possible now, and on as units come back
    #[arg(long)]
    drain: bool,
    /// Take no notice of the file's etags: overwrite what others have changed since it was written
    #[arg(long)]
    overwrite: bool,
}

/// Options of `import`, and of `apply` as well.
#[derive(clap::Args)]
pub(crate) struct Input {
    /// The file, as `export` writes it; -: standard input
    file: String,
    /// How it is written [default: csv where its name ends so, else toml]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Show the difference, let the server say whether it would do it, and do nothing; exit code 5 if there is a difference
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[arg(skip)]
    read: Option<(Source, Document)>,
}

impl Input {
    /// Reads the file. What is wrong with it is found out without a server.
    pub(super) fn read(&mut self) -> Result<(), Failure> {
        self.read = Some(self.document()?);
        Ok(())
    }

    fn document(&self) -> Result<(Source, Document), Failure> {
        let source = Source::read(&self.file, self.format)?;
        let document = source.document()?;
        Ok((source, document))
    }
}

/// What was done, for programs.
#[derive(Serialize)]
struct Outcome {
    event: String,
    applied: bool,
    changes: Vec<Change>,
    /// As it is now; a dry run has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<EventView>,
}

/// Runs `import`, which leaves an event that exists alone.
pub(super) async fn import(input: Input, session: &Session) -> Result<(), Failure> {
    Apply { input, mode: CapacityMode::Strict, overwrite: true, only_new: true }.run(session).await
}

/// Runs `apply`.
pub(super) async fn apply(args: Args, session: &Session) -> Result<(), Failure> {
    let mode = if args.drain { CapacityMode::Drain } else { CapacityMode::Strict };
    Apply { input: args.input, mode, overwrite: args.overwrite, only_new: false }.run(session).await
}

struct Apply {
    input: Input,
    mode: CapacityMode,
    overwrite: bool,
    only_new: bool,
}

impl Apply {
    async fn run(mut self, session: &Session) -> Result<(), Failure> {
        let (source, document) = match self.input.read.take() {
            Some(read) => read,
            None => self.input.document()?,
        };
        let current = read_event_if_any(session, document.name()).await?;
        let mut plan = Plan::new(&document, current.as_ref(), self.overwrite)?;
        plan.request.capacity_mode = self.mode.into();
        if !plan.conflicts.0.is_empty() {
            return Err(conflict(&source, &document, plan));
        }
        if plan.changes.is_empty() {
            let text = format!("Nothing to do: {} is as the file says.", document.name());
            let outcome = Outcome::of(&document, plan, current, false);
            return session.output.show(&outcome, || text);
        }
        if self.only_new && !plan.is_new {
            let (name, file) = (document.name(), shell_word(&source.file));
            let message = format!("{name} exists already, with other content; `admin apply {file}` would change it");
            return Err(Failure::Failed(message));
        }
        // The rules are the server's: it says whether it would do all of it.
        let validated = ApplyEventRequest { validate_only: true, ..plan.request.clone() };
        send(session, &source, &document, &validated).await?;
        if self.input.dry_run {
            let table = plan.as_table();
            read_or_not(session.output.show(&Outcome::of(&document, plan, None, false), || table))?;
            return Err(Failure::WouldChange);
        }
        self.make_sure(&document, &plan, session)?;
        let answer = send(session, &source, &document, &plan.request).await?;
        let text = format!("Done: {}, as one step.", counted(plan.changes.len(), "change"));
        session.output.show(&Outcome::of(&document, plan, answer.event, true), || text)
    }

    /// Shows what will be done, and asks where somebody can be asked.
    fn make_sure(&self, document: &Document, plan: &Plan, session: &Session) -> Result<(), Failure> {
        if !session.output.json {
            read_or_not(print_line(&plan.as_table()))?;
        }
        if self.input.yes {
            return Ok(());
        }
        if !ask::somebody_is_there() {
            let name = document.name();
            let message = format!("cancelling {name} is final; where nobody can be asked, say --yes");
            return if plan.is_final() { Err(Failure::Usage(message)) } else { Ok(()) };
        }
        let mut question: String = plan.risks().iter().map(|risk| format!("Note: {risk}.\n")).collect();
        question.push_str(&format!("Make {} of {}?", counted(plan.changes.len(), "change"), document.name()));
        ask::or_else(&question, "nothing was changed")
    }
}

impl Outcome {
    fn of(document: &Document, plan: Plan, state: Option<Event>, applied: bool) -> Self {
        Self { event: document.name(), applied, changes: plan.changes, state: state.map(EventView::from) }
    }
}

async fn send(
    session: &Session,
    source: &Source,
    document: &Document,
    request: &ApplyEventRequest,
) -> Result<ApplyEventResponse, Failure> {
    match session.admin().apply_event(request.clone()).await {
        Ok(answer) => Ok(answer.into_inner()),
        Err(status) => Err(refused(session, source, document, request, status.into()).await),
    }
}

async fn read_event_if_any(session: &Session, name: String) -> Result<Option<Event>, Failure> {
    match read_event(session, name).await {
        Ok(event) => Ok(Some(event)),
        Err(Failure::Refused(refused)) if refused.reason == "EVENT_NOT_FOUND" => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Why it was not done. Where somebody else was faster, the state is read again, to be shown beside the file.
async fn refused(
    session: &Session,
    source: &Source,
    document: &Document,
    sent: &ApplyEventRequest,
    failure: Failure,
) -> Failure {
    let mismatch = matches!(&failure, Failure::Refused(refused) if refused.reason == ETAG_MISMATCH);
    if mismatch && let Ok(Some(now)) = read_event_if_any(session, document.name()).await {
        // As if the file had been written when the difference was shown.
        let mut read = document.clone();
        read.event.etag = sent.event.as_ref().map(|event| event.etag.clone());
        for (part, sent) in read.allocations.iter_mut().zip(&sent.allocations) {
            part.etag = Some(sent.etag.clone());
        }
        if let Ok(plan) = Plan::new(&read, Some(&now), false) {
            return conflict(source, document, plan);
        }
    }
    // What was only validated has no effect, answered or not.
    if failure.leaves_effect_unknown() && !sent.validate_only {
        return failure.with_hint(|| "it may have been done, wholly or not at all: repeating it is safe".to_owned());
    }
    failure.with_hint(|| "nothing was changed".to_owned())
}

fn conflict(source: &Source, document: &Document, plan: Plan) -> Failure {
    let (name, program) = (document.name(), program());
    let id = shell_word(values::last_segment(&name));
    let kept = match source.file.as_str() {
        "-" => keep(source, &document.event.id),
        file => Ok(file.to_owned()),
    };
    let (is_kept, again) = match kept {
        Ok(file) => {
            let word = shell_word(&file);
            let again = format!("to overwrite theirs: {program} admin apply {word} --overwrite");
            (format!("nothing was changed, and your input is kept in {file}"), again)
        }
        Err(error) => (format!("nothing was changed; your input could not be kept: {error}"), String::new()),
    };
    let hints = [is_kept, format!("to begin from theirs: {program} admin export {id}"), again];
    Failure::Conflict {
        message: format!("{name} was changed since it was read"),
        conflicts: plan.conflicts,
        hints: hints.into_iter().filter(|hint| !hint.is_empty()).collect(),
    }
}

/// What came from standard input would be lost otherwise.
fn keep(source: &Source, event: &str) -> std::io::Result<String> {
    let ending = match source.format {
        Format::Toml => "toml",
        Format::Csv => "csv",
    };
    let path = std::env::temp_dir().join(format!("boxoffice-{event}-{}.{ending}", std::process::id()));
    // Somebody else's file, or a link that was laid there, is not written to.
    let mut file = std::fs::File::create_new(&path)?;
    std::io::Write::write_all(&mut file, source.text.as_bytes())?;
    Ok(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_overwrites_nothing() {
        let source = Source { file: "-".to_owned(), text: "[event]".to_owned(), format: Format::Toml };
        let kept = keep(&source, "kept-once").unwrap();
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), "[event]");
        let again = keep(&source, "kept-once").unwrap_err();
        std::fs::remove_file(kept).unwrap();
        assert_eq!(again.kind(), std::io::ErrorKind::AlreadyExists);
    }
}
