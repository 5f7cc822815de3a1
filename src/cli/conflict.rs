//! Somebody else's edit beside one's own.

use boxoffice_proto::v1;
use prost::Message as _;
use prost_types::Any;
use serde::Serialize;
use serde_json::Value;
use tonic::{Code, Status};

use super::failure::Failure;
use super::output::shell_word;
use super::table::Column::Text;
use super::table::table;
use super::view::{AllocationView, EventView};

/// What this caller wanted, and what he would have overwritten.
#[derive(Debug, Serialize)]
pub(crate) struct Conflict {
    /// The fields of the edit, and the etag.
    pub(crate) fields: Vec<Contested>,
    /// The present state, whole.
    pub(crate) current: Value,
}

/// One field.
#[derive(Debug, Serialize)]
pub(crate) struct Contested {
    /// Its name.
    pub(crate) field: &'static str,
    /// As this caller wants it.
    pub(crate) yours: Value,
    /// As it is.
    pub(crate) theirs: Value,
}

impl Conflict {
    /// For people.
    pub(crate) fn as_table(&self) -> String {
        let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let rows = self.fields.iter().map(|row| vec![row.field.to_owned(), cell(&row.yours), cell(&row.theirs)]);
        table(&["field", "yours", "theirs"].map(Text), rows)
    }
}

/// Turns a refused edit into a failure; where its etag was old, `yours` is shown beside the present state.
/// Fields are named as in the views.
pub(crate) fn refused_edit(status: Status, yours: Vec<(&'static str, Value)>) -> Failure {
    let current = (status.code() == Code::Aborted).then(|| current_state(&status)).flatten();
    let mut failure = Failure::from(status);
    if let (Failure::Refused(refused), Some(current)) = (&mut failure, current) {
        let fields = yours
            .into_iter()
            .map(|(field, yours)| Contested { field, yours, theirs: current.get(field).cloned().unwrap_or_default() })
            .collect();
        let etag = current.get("etag").and_then(Value::as_str).unwrap_or_default();
        let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
        refused.hint = Some(format!("to do it all the same: {}", command_with_etag(arguments, etag)));
        refused.conflict = Some(Conflict { fields, current });
    }
    failure
}

/// The command that was typed, so that nothing of it is lost, with the etag of what is there now.
fn command_with_etag(arguments: impl Iterator<Item = String>, etag: &str) -> String {
    let mut words = Vec::new();
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        if argument == "--etag" && arguments.next().is_some() {
            words.push(format!("--etag {}", etag.trim_matches('"')));
        } else if argument.starts_with("--etag=") {
            words.push(format!("--etag={}", etag.trim_matches('"')));
        } else {
            words.push(shell_word(&argument));
        }
    }
    words.join(" ")
}

/// The Event or Allocation that stands in the details of an `ETAG_MISMATCH`.
fn current_state(status: &Status) -> Option<Value> {
    let details = tonic_types::Status::decode(status.details()).ok()?.details;
    details.iter().find_map(|any| {
        let decoded = match any.type_url.rsplit('/').next()? {
            "boxoffice.v1.Event" => serde_json::to_value(EventView::from(decode::<v1::Event>(any)?)),
            "boxoffice.v1.Allocation" => serde_json::to_value(AllocationView::from(decode::<v1::Allocation>(any)?)),
            _ => return None,
        };
        decoded.ok()
    })
}

fn decode<M: prost::Message + Default>(any: &Any) -> Option<M> {
    M::decode(any.value.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mismatch() -> Status {
        let theirs = v1::Allocation { capacity: 150, etag: "v2".to_owned(), ..Default::default() };
        let any =
            Any { type_url: "type.googleapis.com/boxoffice.v1.Allocation".to_owned(), value: theirs.encode_to_vec() };
        let info = tonic_types::pb::ErrorInfo { reason: "ETAG_MISMATCH".to_owned(), ..Default::default() };
        let info = Any { type_url: "type.googleapis.com/google.rpc.ErrorInfo".to_owned(), value: info.encode_to_vec() };
        let rpc = tonic_types::Status { code: 10, message: "it was changed".to_owned(), details: vec![info, any] };
        Status::with_details(Code::Aborted, "it was changed", rpc.encode_to_vec().into())
    }

    #[test]
    fn an_old_etag_shows_their_edit_beside_yours() {
        let failure = refused_edit(mismatch(), vec![("capacity", json!(120)), ("etag", json!("v1"))]);
        let Failure::Refused(refused) = failure else { panic!("{failure:?}") };
        assert_eq!(refused.reason, "ETAG_MISMATCH");
        let conflict = refused.conflict.unwrap();
        assert_eq!(conflict.fields[0].theirs, json!(150));
        assert_eq!(conflict.fields[1].theirs, json!("v2"));
        let table = conflict.as_table();
        assert!(table.lines().any(|line| line.contains("120") && line.contains("150")), "{table}");
    }

    #[test]
    fn what_was_typed_is_told_again_with_the_new_etag() {
        let again = |line: &str| command_with_etag(line.split(' ').map(str::to_owned), "\"2\"");
        assert_eq!(
            again("boxoffice admin set-capacity demo floor 120 --etag 1 --json"),
            "boxoffice admin set-capacity demo floor 120 --etag 2 --json"
        );
        assert_eq!(again("./boxoffice admin close de$mo --etag=\"1\""), "./boxoffice admin close 'de$mo' --etag=2");
        assert_eq!(again("boxoffice admin transfer demo a b 1"), "boxoffice admin transfer demo a b 1");
    }

    #[test]
    fn another_refusal_has_no_conflict() {
        let Failure::Refused(refused) = refused_edit(Status::not_found("no such event"), Vec::new()) else { panic!() };
        assert!(refused.conflict.is_none());
    }
}
