//! stub
use crate::domain::*;
pub(super) struct Working;
impl Working {
    pub(super) fn new(_: &Snapshot, _: &UsageTable, _: Timestamp) -> Self { Self }
    pub(super) fn take_need(&mut self) -> Option<Need> { None }
    pub(super) fn into_changes(self) -> Changes { Changes::default() }
}
