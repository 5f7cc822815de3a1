//! An event with its allocations as a file: what `admin export` writes, and `admin import` and `admin apply` read.
//!
//! A file tells of one event. What it does not name is left as it is, or takes its default where the event is new.

mod csv;
#[cfg(test)]
mod hostile;
mod plan;
mod toml;
mod waiting_room;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use boxoffice_proto::v1;
use prost_types::{Duration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Number;

pub(crate) use plan::{Change, Conflicts, Plan};
pub(crate) use waiting_room::WaitingRoomPart;

use super::failure::Failure;
use super::values;
use super::view::{AllocationView, EventView, span};

/// The largest file that is read. An event of 1,000 allocations with long names has half a megabyte.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Says that a time shall not be set.
const NONE: &str = "none";

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// The event and its allocations
    Toml,
    /// The allocations alone, one a row
    Csv,
}

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    pub(crate) event: EventPart,
    #[serde(default, rename = "allocation", skip_serializing_if = "Vec::is_empty")]
    pub(crate) allocations: Vec<AllocationPart>,
}

/// What it says of the event.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventPart {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sales_state: Option<String>,
    #[serde(default, deserialize_with = "toml::time_text", skip_serializing_if = "Option::is_none")]
    pub(crate) on_sale_time: Option<String>,
    #[serde(default, deserialize_with = "toml::time_text", skip_serializing_if = "Option::is_none")]
    pub(crate) off_sale_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_hold_ttl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_hold_ttl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit_per_owner: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    /// Last, since TOML writes tables after values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waiting_room: Option<WaitingRoomPart>,
}

/// What it says of one allocation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllocationPart {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) capacity: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit_per_owner: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
}

impl Document {
    /// The event as it is. Without etags the file can be applied whatever others change meanwhile.
    pub(crate) fn of(event: &EventView, etags: bool) -> Self {
        let time = |time: &Option<String>| Some(time.clone().unwrap_or_else(|| NONE.to_owned()));
        let etag = |etag: &str| etags.then(|| etag.trim_matches('"').to_owned());
        let allocation = |one: &AllocationView| AllocationPart {
            id: one.id.clone(),
            display_name: Some(one.display_name.clone()),
            capacity: Some(one.drain_target.unwrap_or(one.capacity)),
            limit_per_owner: Some(one.limit_per_owner),
            etag: etag(&one.etag),
        };
        Self {
            event: EventPart {
                id: event.id.clone(),
                display_name: Some(event.display_name.clone()),
                sales_state: Some(event.sales_state.clone()),
                on_sale_time: time(&event.on_sale_time),
                off_sale_time: time(&event.off_sale_time),
                default_hold_ttl: span_text(event.default_hold_ttl_seconds.as_ref()),
                max_hold_ttl: span_text(event.max_hold_ttl_seconds.as_ref()),
                limit_per_owner: Some(event.limit_per_owner),
                etag: etag(&event.etag),
                waiting_room: Some(WaitingRoomPart::of(event.waiting_room.as_ref())),
            },
            allocations: event.allocations.iter().map(allocation).collect(),
        }
    }

    /// As a file. CSV has the allocations alone.
    pub(crate) fn write(&self, format: Format) -> Result<String, Failure> {
        match format {
            Format::Toml => toml::write(self),
            Format::Csv => csv::write(self),
        }
    }

    /// Reads what a file says.
    pub(crate) fn parse(text: &str, format: Format) -> Result<Self, String> {
        let document = match format {
            Format::Toml => toml::read(text)?,
            Format::Csv => csv::read(text)?,
        };
        document.check()?;
        Ok(document)
    }

    /// The event's resource name.
    pub(crate) fn name(&self) -> String {
        format!("events/{}", self.event.id)
    }

    /// What can be known to be wrong without a server.
    fn check(&self) -> Result<(), String> {
        values::event(&self.event.id).map_err(|_| format!("event: id {:?} is none", self.event.id))?;
        self.event.parsed()?;
        let mut ids = BTreeSet::new();
        for one in &self.allocations {
            if one.id.is_empty() || one.id.contains('/') {
                return Err(format!("allocation: id {:?} is none", one.id));
            }
            if !ids.insert(&one.id) {
                return Err(format!("allocation {} is there twice", one.id));
            }
            for (field, value) in [("capacity", one.capacity), ("limit_per_owner", one.limit_per_owner)] {
                if value.is_some_and(|value| value < 0) {
                    return Err(format!("allocation {}: {field} must not be negative", one.id));
                }
            }
        }
        Ok(())
    }
}

/// The settings of an event as the API has them; `None` is left as it is, an inner `None` clears.
#[derive(Debug, Default)]
struct Settings {
    sales_state: Option<v1::SalesState>,
    on_sale_time: Option<Option<Timestamp>>,
    off_sale_time: Option<Option<Timestamp>>,
    default_hold_ttl: Option<Duration>,
    max_hold_ttl: Option<Duration>,
    waiting_room: Option<Option<v1::WaitingRoom>>,
}

impl EventPart {
    fn parsed(&self) -> Result<Settings, String> {
        let time = |field: &str, text: &Option<String>| match text.as_deref() {
            None => Ok(None),
            Some(NONE) => Ok(Some(None)),
            Some(text) => {
                let wrong = |error| format!("event: {field} {error}, or \"{NONE}\", but it is {text:?}");
                values::time(text).map(Some).map(Some).map_err(wrong)
            }
        };
        let ttl = |field: &str, text: &Option<String>| {
            let wrong = |error| format!("event: {field}: {error}");
            text.as_deref().map(|text| values::duration(text).map_err(wrong)).transpose()
        };
        if self.limit_per_owner.is_some_and(|limit| limit < 0) {
            return Err("event: limit_per_owner must not be negative".to_owned());
        }
        let state = |text: &String| {
            let known = v1::SalesState::from_str_name(&format!("SALES_STATE_{text}"));
            known.filter(|state| *state != v1::SalesState::Unspecified).ok_or_else(|| {
                format!("event: sales_state must be DRAFT, ON_SALE, PAUSED, CLOSED or CANCELLED, not {text:?}")
            })
        };
        Ok(Settings {
            sales_state: self.sales_state.as_ref().map(state).transpose()?,
            on_sale_time: time("on_sale_time", &self.on_sale_time)?,
            off_sale_time: time("off_sale_time", &self.off_sale_time)?,
            default_hold_ttl: ttl("default_hold_ttl", &self.default_hold_ttl)?,
            max_hold_ttl: ttl("max_hold_ttl", &self.max_hold_ttl)?,
            waiting_room: self.waiting_room.as_ref().map(WaitingRoomPart::parsed).transpose()?,
        })
    }
}

/// A span as [`values::duration`] reads it.
fn span_text(seconds: Option<&Number>) -> Option<String> {
    seconds.map(|seconds| span(Some(seconds)).replace(' ', ""))
}

/// Where a file's text comes from.
#[derive(Debug)]
pub(crate) struct Source {
    /// As it was named; `-`: standard input.
    pub(crate) file: String,
    /// What it says, byte for byte.
    pub(crate) text: String,
    /// How it is written.
    pub(crate) format: Format,
}

impl Source {
    /// Reads a file, or standard input where it is called `-`. A file that ends in .csv is taken for CSV.
    pub(crate) fn read(file: &str, format: Option<Format>) -> Result<Self, Failure> {
        let is_csv = Path::new(file).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let format = format.unwrap_or(if is_csv { Format::Csv } else { Format::Toml });
        let mut text = String::new();
        let read = match file {
            "-" => std::io::stdin().take(FILE_BYTES_MAX + 1).read_to_string(&mut text),
            file => std::fs::File::open(file).and_then(|open| open.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)),
        };
        read.map_err(|error| Failure::Usage(format!("cannot read {file}: {error}")))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(Failure::Usage(format!("{file} is larger than {FILE_BYTES_MAX} bytes")));
        }
        Ok(Self { file: file.to_owned(), text, format })
    }

    /// What it says.
    pub(crate) fn document(&self) -> Result<Document, Failure> {
        let wrong = |error: String| Failure::Usage(format!("{}: {}", self.file, error.trim_end()));
        Document::parse(&self.text, self.format).map_err(wrong)
    }
}
