//! Somebody else's edit beside one's own.

use boxoffice_proto::v1;
use prost::Message as _;
use prost_types::Any;
use serde::Serialize;
use serde_json::Value;
use tonic::{Code, Status};

use super::failure::Failure;
use super::output::table;
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
        table(&["field", "yours", "theirs"], &[], rows)
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
        refused.conflict = Some(Conflict { fields, current });
    }
    failure
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
    fn another_refusal_has_no_conflict() {
        let Failure::Refused(refused) = refused_edit(Status::not_found("no such event"), Vec::new()) else { panic!() };
        assert!(refused.conflict.is_none());
    }
}
