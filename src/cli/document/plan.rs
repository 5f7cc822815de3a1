//! What it takes to bring an event to what a file says: the difference to show, and the request that makes it so.

use std::collections::BTreeMap;

use boxoffice_proto::v1;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{AllocationPart, Document};
use crate::cli::failure::Failure;
use crate::cli::table::Column::Text;
use crate::cli::table::table;
use crate::cli::values;
use crate::cli::view::{AllocationView, EventView};

/// The etag that says that something does not exist yet.
const ETAG_OF_NOTHING: &str = "\"0\"";

/// The request, and what it changes.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) request: v1::ApplyEventRequest,
    pub(crate) changes: Vec<Change>,
    pub(crate) conflicts: Conflicts,
    pub(crate) is_new: bool,
}

/// One field that differs.
#[derive(Debug, Serialize)]
pub(crate) struct Change {
    /// The resource name of what it is a field of.
    pub(crate) resource: String,
    pub(crate) field: String,
    /// As it is; null where there is nothing yet.
    pub(crate) is: Value,
    /// As it shall be.
    pub(crate) shall_be: Value,
}

/// Fields that would overwrite what somebody else has changed since the file was written.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Conflicts(pub(crate) Vec<Contested>);

/// One of them.
#[derive(Debug, Serialize)]
pub(crate) struct Contested {
    pub(crate) resource: String,
    pub(crate) field: String,
    pub(crate) yours: Value,
    pub(crate) theirs: Value,
}

impl Conflicts {
    /// For people.
    pub(crate) fn as_table(&self) -> String {
        let rows = self.0.iter().map(|one| {
            vec![values::last_segment(&one.resource).to_owned(), one.field.clone(), cell(&one.yours), cell(&one.theirs)]
        });
        table(&["of", "field", "yours", "theirs"].map(Text), rows)
    }
}

/// What stands for all the fields of something that is not there yet.
const NEW: &str = "(new)";

/// What is compared of a resource: names as in the API, values as in the views.
type Fields = Map<String, Value>;

/// The fields of an event that people edit.
const EVENT_FIELDS: [&str; 8] = [
    "display_name",
    "sales_state",
    "on_sale_time",
    "off_sale_time",
    "default_hold_ttl_seconds",
    "max_hold_ttl_seconds",
    "limit_per_owner",
    "waiting_room",
];
/// The fields of an allocation that people edit. (A capacity that is being drained counts as where it goes.)
const ALLOCATION_FIELDS: [&str; 3] = ["display_name", "capacity", "limit_per_owner"];

impl Plan {
    /// From what is there, to what the file says. `overwrite`: whatever others have changed since the file was written.
    pub(crate) fn new(document: &Document, current: Option<&v1::Event>, overwrite: bool) -> Result<Self, Failure> {
        let mut plan = Self {
            request: v1::ApplyEventRequest::default(),
            changes: Vec::new(),
            conflicts: Conflicts::default(),
            is_new: current.is_none(),
        };
        let name = document.name();
        let event = event_target(document, current)?;
        let fields = |event: &v1::Event| event_fields(&EventView::from(event.clone()));
        let read_etag = document.event.etag.as_deref().filter(|_| !overwrite);
        let now = current.map(|event| (fields(event), event.etag.as_str()));
        let etag = plan.compare(&name, now, fields(&event), read_etag)?;
        plan.request.event = Some(v1::Event { etag, ..event });

        let there: BTreeMap<&str, &v1::Allocation> = current
            .iter()
            .flat_map(|event| event.allocations.iter().map(|one| (values::last_segment(&one.name), one)))
            .collect();
        for part in &document.allocations {
            let before = there.get(part.id.as_str()).copied();
            let target = allocation_target(&name, part, before)?;
            let fields = |one: &v1::Allocation| allocation_fields(&AllocationView::from(one.clone()));
            let read_etag = part.etag.as_deref().filter(|_| !overwrite);
            let now = before.map(|one| (fields(one), one.etag.as_str()));
            let etag = plan.compare(&target.name, now, fields(&target), read_etag)?;
            plan.request.allocations.push(v1::Allocation { etag, ..target });
        }
        Ok(plan)
    }

    /// Notes what differs, and where it was changed by somebody else since the file was written. Returns the etag to send: the
    /// one that the difference was told from.
    fn compare(
        &mut self,
        resource: &str,
        now: Option<(Fields, &str)>,
        target: Fields,
        read_etag: Option<&str>,
    ) -> Result<String, Failure> {
        let read_etag = read_etag.map(values::etag).transpose();
        let read_etag = read_etag.map_err(|error| Failure::Usage(format!("{resource}: etag {error}")))?;
        let Some((mut now, etag)) = now else {
            let shall_be = Value::Object(target);
            let (field, is) = (NEW.to_owned(), Value::Null);
            self.changes.push(Change { resource: resource.to_owned(), field, is, shall_be });
            return Ok(ETAG_OF_NOTHING.to_owned());
        };
        let stale = read_etag.is_some_and(|read| read != etag);
        for (field, yours) in target {
            let theirs = now.remove(&field).unwrap_or_default();
            if yours == theirs {
                continue;
            }
            let resource = resource.to_owned();
            if stale {
                let (yours, theirs) = (yours.clone(), theirs.clone());
                let (resource, field) = (resource.clone(), field.clone());
                self.conflicts.0.push(Contested { resource, field, yours, theirs });
            }
            self.changes.push(Change { resource, field, is: theirs, shall_be: yours });
        }
        Ok(etag.to_owned())
    }

    /// What should be asked about before it is done, for people.
    pub(crate) fn risks(&self) -> Vec<String> {
        let risk = |change: &Change| {
            let of = values::last_segment(&change.resource);
            match (change.field.as_str(), change.is.as_i64(), change.shall_be.as_i64(), change.shall_be.as_str()) {
                ("sales_state", _, _, Some("CANCELLED")) => {
                    Some(format!("{of} is cancelled: what is held cannot be bought any more, and there is no way back"))
                }
                ("sales_state", _, _, Some(state @ ("PAUSED" | "CLOSED"))) => {
                    Some(format!("{of} takes no new reservations ({state})"))
                }
                ("capacity", Some(is), Some(shall_be), _) if shall_be < is => {
                    Some(format!("{of} gets smaller by {}", is - shall_be))
                }
                _ => None,
            }
        };
        self.changes.iter().filter_map(risk).collect()
    }

    /// Whether there would be no way back.
    pub(crate) fn is_final(&self) -> bool {
        self.changes.iter().any(|change| change.field == "sales_state" && change.shall_be == "CANCELLED")
    }

    /// The difference, for people.
    pub(crate) fn as_table(&self) -> String {
        table(&["of", "field", "is", "will be"].map(Text), self.changes.iter().flat_map(Change::rows))
    }
}

impl Change {
    /// One for each field. Of something new, those that are not left at their default; of a message in a field, those that
    /// differ.
    fn rows(&self) -> Vec<Vec<String>> {
        let of = values::last_segment(&self.resource);
        let row =
            |field: &str, is: &Value, shall_be: &Value| vec![of.to_owned(), field.to_owned(), cell(is), cell(shall_be)];
        let Value::Object(fields) = &self.shall_be else { return vec![row(&self.field, &self.is, &self.shall_be)] };
        if self.field != NEW {
            let is = |name: &str| self.is.get(name).unwrap_or(&Value::Null);
            let differ = fields.iter().filter(|(name, value)| is(name) != *value);
            return differ.map(|(name, value)| row(&format!("{}.{name}", self.field), is(name), value)).collect();
        }
        let by_default = |name: &str, value: &Value| match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            value => name == "limit_per_owner" && *value == json!(0),
        };
        let set = fields.iter().filter(|(name, value)| !by_default(name, value));
        set.map(|(name, value)| row(name, &Value::Null, value)).collect()
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What the event shall be: what the file says over what is there, or over the defaults.
fn event_target(document: &Document, current: Option<&v1::Event>) -> Result<v1::Event, Failure> {
    let part = &document.event;
    let settings = part.parsed().map_err(Failure::Usage)?;
    let mut event = current.cloned().unwrap_or_default();
    event.allocations.clear();
    event.name = document.name();
    if let Some(name) = &part.display_name {
        event.display_name.clone_from(name);
    }
    // A new event is a draft unless the file says otherwise.
    let state = settings.sales_state.map(i32::from).or(current.map(|event| event.sales_state));
    event.sales_state = state.unwrap_or(v1::SalesState::Draft.into());
    event.on_sale_time = settings.on_sale_time.unwrap_or(event.on_sale_time);
    event.off_sale_time = settings.off_sale_time.unwrap_or(event.off_sale_time);
    event.default_hold_ttl = settings.default_hold_ttl.or(event.default_hold_ttl);
    event.max_hold_ttl = settings.max_hold_ttl.or(event.max_hold_ttl);
    event.limit_per_owner = part.limit_per_owner.unwrap_or(event.limit_per_owner);
    event.waiting_room = settings.waiting_room.unwrap_or(event.waiting_room);
    Ok(event)
}

fn allocation_target(
    event: &str,
    part: &AllocationPart,
    current: Option<&v1::Allocation>,
) -> Result<v1::Allocation, Failure> {
    let name = values::allocation_of(event, &part.id);
    let before = current.cloned().unwrap_or_default();
    let Some(capacity) = part.capacity.or(current.map(|one| one.drain_target.unwrap_or(one.capacity))) else {
        return Err(Failure::Usage(format!("{name} does not exist yet, and the file does not say its capacity")));
    };
    Ok(v1::Allocation {
        name,
        display_name: part.display_name.clone().unwrap_or(before.display_name),
        capacity,
        limit_per_owner: part.limit_per_owner.unwrap_or(before.limit_per_owner),
        ..Default::default()
    })
}

fn event_fields(view: &EventView) -> Fields {
    pick(json!(view), &EVENT_FIELDS)
}

fn allocation_fields(view: &AllocationView) -> Fields {
    let mut fields = pick(json!(view), &ALLOCATION_FIELDS);
    if let Some(target) = view.drain_target {
        fields.insert("capacity".to_owned(), json!(target));
    }
    fields
}

fn pick(resource: Value, names: &[&str]) -> Fields {
    let Value::Object(mut fields) = resource else { return Fields::new() };
    names.iter().map(|name| ((*name).to_owned(), fields.remove(*name).unwrap_or_default())).collect()
}
