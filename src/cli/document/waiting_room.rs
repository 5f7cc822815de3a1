//! The waiting room in a file: a table, or the word "none".

use boxoffice::domain::{self, GRACE_DEFAULT, PASS_LIFETIME_DEFAULT};
use boxoffice_proto::v1;
use boxoffice_proto::v1::waiting_room::OnLoss;
use serde::{Deserialize, Serialize};

use super::{NONE, span_text};
use crate::cli::values;
use crate::cli::view::WaitingRoomView;

/// What a file says of it. What a table does not name takes its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum WaitingRoomPart {
    /// "none"
    Word(String),
    /// `[event.waiting_room]`
    Table(Settings),
}

/// See [`v1::WaitingRoom`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    admissions_per_second: i32,
    #[serde(default)]
    inside_max: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_loss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pass_lifetime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace: Option<String>,
}

impl WaitingRoomPart {
    /// As it is.
    pub(super) fn of(room: Option<&WaitingRoomView>) -> Self {
        let Some(room) = room else { return Self::Word(NONE.to_owned()) };
        Self::Table(Settings {
            admissions_per_second: room.admissions_per_second,
            inside_max: room.inside_max,
            on_loss: Some(room.on_loss.clone()),
            pass_lifetime: span_text(room.pass_lifetime_seconds.as_ref()),
            grace: span_text(room.grace_seconds.as_ref()),
        })
    }

    /// As the API has it; an inner `None` turns it off.
    pub(super) fn parsed(&self) -> Result<Option<v1::WaitingRoom>, String> {
        let settings = match self {
            Self::Word(word) if word == NONE => return Ok(None),
            Self::Word(word) => return Err(format!("event: waiting_room must be a table or \"{NONE}\", not {word:?}")),
            Self::Table(settings) => settings,
        };
        let span = |field: &str, text: &Option<String>| {
            let wrong = |error| format!("event: waiting_room.{field}: {error}");
            text.as_deref().map(|text| values::duration(text).map_err(wrong)).transpose()
        };
        let on_loss = match settings.on_loss.as_deref() {
            None => OnLoss::Closed,
            Some(text) => OnLoss::from_str_name(&format!("ON_LOSS_{text}"))
                .filter(|choice| *choice != OnLoss::Unspecified)
                .ok_or_else(|| format!("event: waiting_room.on_loss must be OPEN or CLOSED, not {text:?}"))?,
        };
        // The defaults are filled in here as well, so that the file that says them and the one that does not are alike.
        let or = |span: Option<_>, default: domain::Duration| {
            span.or(Some(prost_types::Duration { seconds: default.as_micros() / 1_000_000, nanos: 0 }))
        };
        Ok(Some(v1::WaitingRoom {
            admissions_per_second: settings.admissions_per_second,
            inside_max: settings.inside_max,
            on_loss: on_loss.into(),
            pass_lifetime: or(span("pass_lifetime", &settings.pass_lifetime)?, PASS_LIFETIME_DEFAULT),
            grace: or(span("grace", &settings.grace)?, GRACE_DEFAULT),
        }))
    }
}
