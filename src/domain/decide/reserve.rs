use super::*;
use crate::domain::*;
pub(super) fn reserve(_: &mut Working, _: &Command, _: &Reserve) -> Outcome { Err(Refusal::EventNotFound) }
