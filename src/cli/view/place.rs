//! Places in a waiting room.

use boxoffice_proto::v1;
use serde::Serialize;
use serde_json::Number;

use super::{enum_name, seconds, span, time, to_the_second};

/// A place.
#[derive(Debug, Serialize)]
pub(crate) struct PlaceView {
    pub(crate) state: String,
    pub(crate) position: i64,
    pub(crate) waiting_count: i64,
    pub(crate) estimated_wait_min_seconds: Option<Number>,
    pub(crate) estimated_wait_max_seconds: Option<Number>,
    pub(crate) pass: String,
    pub(crate) pass_expire_time: Option<String>,
    pub(crate) poll_after_seconds: Option<Number>,
}

impl From<&v1::Place> for PlaceView {
    fn from(place: &v1::Place) -> Self {
        Self {
            state: enum_name(place.state, "STATE_", v1::place::State::as_str_name),
            position: place.position,
            waiting_count: place.waiting_count,
            estimated_wait_min_seconds: seconds(place.estimated_wait_min),
            estimated_wait_max_seconds: seconds(place.estimated_wait_max),
            pass: place.pass.clone(),
            pass_expire_time: time(place.pass_expire_time),
            poll_after_seconds: seconds(place.poll_after),
        }
    }
}

impl PlaceView {
    /// For people.
    pub(crate) fn as_text(&self) -> String {
        match (self.state.as_str(), self.position) {
            ("WAITING", 0) => "waiting; the position is not known now".to_owned(),
            ("WAITING", position) => {
                format!("{position} of {} in the line, {}", self.waiting_count, self.wait())
            }
            ("ADMITTED", _) => {
                let until = self.pass_expire_time.as_deref().map(to_the_second).unwrap_or_default();
                format!("let in, until {until}")
            }
            (other, _) => other.to_owned(),
        }
    }

    fn wait(&self) -> String {
        // To the second: more would be made up.
        let whole = |number: &Option<Number>| {
            let seconds = number.as_ref().and_then(Number::as_f64).map(f64::round);
            seconds.and_then(Number::from_f64).map(|number| span(Some(&number)))
        };
        match (whole(&self.estimated_wait_min_seconds), whole(&self.estimated_wait_max_seconds)) {
            (Some(min), Some(max)) => format!("{min} to {max} to wait"),
            (Some(min), None) => format!("at least {min} to wait"),
            _ => "how long cannot be told".to_owned(),
        }
    }
}
