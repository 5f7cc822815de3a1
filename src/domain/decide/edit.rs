use super::*;
use crate::domain::*;
type W<'a> = &'a mut Working;
pub(super) fn create_event(_: W, _: &Command, _: &EventConfig) -> Outcome { Err(Refusal::EventNotFound) }
pub(super) fn update_event(_: W, _: &Command, _: Option<Version>, _: &EventPatch) -> Outcome { Err(Refusal::EventNotFound) }
pub(super) fn create_allocation(_: W, _: &Command, _: &AllocationId, _: &str, _: i64, _: Option<i64>) -> Outcome { Err(Refusal::EventNotFound) }
pub(super) fn update_allocation(_: W, _: &Command, _: &AllocationId, _: Option<Version>, _: &AllocationPatch, _: CapacityMode) -> Outcome { Err(Refusal::EventNotFound) }
pub(super) fn transfer_capacity(_: W, _: &Command, _: &TransferCapacity) -> Outcome { Err(Refusal::EventNotFound) }
