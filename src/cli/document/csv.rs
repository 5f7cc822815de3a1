//! The allocations as CSV: one a row, with the event's id in each. An empty cell, or a column that is not there, is left as
//! it is.

use serde::{Deserialize, Serialize};

use super::{AllocationPart, Document};
use crate::cli::failure::Failure;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    event: String,
    allocation: String,
    display_name: Option<String>,
    capacity: Option<i32>,
    limit_per_owner: Option<i32>,
    etag: Option<String>,
}

pub(super) fn read(text: &str) -> Result<Document, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut document = Document::default();
    for row in reader.deserialize() {
        let row: Row = row.map_err(|error| error.to_string())?;
        if document.event.id.is_empty() {
            document.event.id = row.event;
        } else if document.event.id != row.event {
            let (first, other) = (document.event.id, row.event);
            return Err(format!(
                "it names the events {first} and {other}, but a file is about one, which is applied wholly"
            ));
        }
        document.allocations.push(AllocationPart {
            id: row.allocation,
            display_name: row.display_name,
            capacity: row.capacity,
            limit_per_owner: row.limit_per_owner,
            etag: row.etag,
        });
    }
    if document.event.id.is_empty() {
        return Err("it has no rows".to_owned());
    }
    Ok(document)
}

pub(super) fn write(document: &Document) -> Result<String, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(format!("cannot write it as CSV: {error}"));
    for one in &document.allocations {
        let row = Row {
            event: document.event.id.clone(),
            allocation: one.id.clone(),
            display_name: one.display_name.clone(),
            capacity: one.capacity,
            limit_per_owner: one.limit_per_owner,
            etag: one.etag.clone(),
        };
        writer.serialize(row).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}
