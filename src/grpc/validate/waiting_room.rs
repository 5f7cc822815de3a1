//! Waiting rooms: their settings, and the requests of those who wait.

use boxoffice_proto::v1;

use super::{Path, Violations};
use crate::domain::{
    ADMISSIONS_PER_SECOND_MAX, Duration, EventId, GRACE_DEFAULT, GRACE_MAX, GRACE_MIN, INSIDE_MAX,
    PASS_LIFETIME_DEFAULT, PASS_LIFETIME_MAX, PASS_LIFETIME_MIN, WaitingRoom,
};
use crate::grpc::convert::{event as wire, time};

/// The event that a request of [`v1::waiting_room_service_server::WaitingRoomService`] names.
pub(in crate::grpc) fn waiting_room_of(parent: &str) -> Result<EventId, Violations> {
    let mut violations = Violations::default();
    let event = violations.event_name("INVALID_PARENT", Path::Request.field("parent"), parent);
    violations.check(event)
}

impl Violations {
    /// Settings that may be left out: then there is none.
    pub(super) fn waiting_room(
        &mut self,
        path: Path<'_>,
        room: Option<&v1::WaitingRoom>,
    ) -> Option<Option<WaitingRoom>> {
        let Some(room) = room else { return Some(None) };
        let rate =
            self.at_most(path.field("admissions_per_second"), room.admissions_per_second, ADMISSIONS_PER_SECOND_MAX);
        let inside = self.at_most(path.field("inside_max"), room.inside_max, INSIDE_MAX);
        let on_loss = self.known(REASON, path.field("on_loss"), wire::parse_on_loss(room.on_loss));
        let (least, most) = (PASS_LIFETIME_MIN, PASS_LIFETIME_MAX);
        let pass = self.span(path.field("pass_lifetime"), room.pass_lifetime.as_ref(), least, most);
        let grace = self.span(path.field("grace"), room.grace.as_ref(), GRACE_MIN, GRACE_MAX);
        Some(Some(WaitingRoom {
            admissions_per_second: rate?,
            inside_max: inside.map(|max| (max > 0).then_some(max))?,
            on_loss: on_loss?,
            pass_lifetime: pass?.unwrap_or(PASS_LIFETIME_DEFAULT),
            grace: grace?.unwrap_or(GRACE_DEFAULT),
        }))
    }

    fn at_most(&mut self, path: Path<'_>, value: i32, max: i64) -> Option<i64> {
        let value = i64::from(value);
        if (0..=max).contains(&value) {
            return Some(value);
        }
        self.add(REASON, path, format!("must be 0 to {max}"));
        None
    }

    /// A span that may be left out.
    fn span(
        &mut self,
        path: Path<'_>,
        span: Option<&prost_types::Duration>,
        least: Duration,
        most: Duration,
    ) -> Option<Option<Duration>> {
        let Some(span) = span else { return Some(None) };
        let parsed = time::parse_duration(span).filter(|span| (least..=most).contains(span));
        if parsed.is_none() {
            self.add(REASON, path, format!("must be {least} to {most}"));
        }
        parsed.map(Some)
    }
}

/// Of all that can be wrong with the settings; the violation's field says what it is.
const REASON: &str = "INVALID_WAITING_ROOM";
