use super::*;
use crate::domain::*;
type W<'a> = &'a mut Working;
pub(super) fn extend(_: W, _: &Command, _: ReservationId, _: &Duration) -> Outcome { Err(Refusal::EventNotFound) }
pub(super) fn release(_: W, _: &Command, _: ReservationId) -> Outcome { Err(Refusal::EventNotFound) }
pub(super) fn confirm(_: W, _: &Command, _: ReservationId, _: &OrderRef, _: OnExpired) -> Outcome { Err(Refusal::EventNotFound) }
pub(super) fn cancel(_: W, _: &Command, _: ReservationId, _: &[(AllocationId, i64)]) -> Outcome { Err(Refusal::EventNotFound) }
pub(super) fn force_release(_: W, _: &Command, _: ReservationId, _: &str) -> Outcome { Err(Refusal::EventNotFound) }
pub(super) fn reclaim_expired(_: W) -> Answer { Answer::Reclaimed{count:0,more:false} }
