//! Waiting rooms: their settings, and the requests of those who wait.

use boxoffice_proto::v1;

use super::{Path, Violations};
use crate::domain::{
    ADMISSIONS_PER_SECOND_MAX, EventId, GRACE_DEFAULT, GRACE_MAX, GRACE_MIN, INSIDE_MAX, PASS_LIFETIME_DEFAULT,
    PASS_LIFETIME_MAX, PASS_LIFETIME_MIN, WaitingRoom,
};
use crate::grpc::convert::event as wire;

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
        let rate_path = path.field("admissions_per_second");
        let rate = self.number(REASON, rate_path, room.admissions_per_second, 0, ADMISSIONS_PER_SECOND_MAX);
        let inside = self.number(REASON, path.field("inside_max"), room.inside_max, 0, INSIDE_MAX);
        let on_loss = self.known(REASON, path.field("on_loss"), wire::parse_on_loss(room.on_loss));
        let pass_path = path.field("pass_lifetime");
        let pass = match &room.pass_lifetime {
            None => Some(PASS_LIFETIME_DEFAULT),
            Some(span) => self.span(REASON, pass_path, span, PASS_LIFETIME_MIN, PASS_LIFETIME_MAX),
        };
        let grace = match &room.grace {
            None => Some(GRACE_DEFAULT),
            Some(span) => self.span(REASON, path.field("grace"), span, GRACE_MIN, GRACE_MAX),
        };
        Some(Some(WaitingRoom {
            admissions_per_second: rate?,
            inside_max: inside.map(|max| (max > 0).then_some(max))?,
            on_loss: on_loss?,
            pass_lifetime: pass?,
            grace: grace?,
        }))
    }
}

/// Of all that can be wrong with the settings; the violation's field says what it is.
const REASON: &str = "INVALID_WAITING_ROOM";
