//! What each command comes to, told by subject.

mod apply;
mod edit;
mod expiry;
mod limits;
mod property;
mod reference;
mod replace;
mod reserve;
mod transition;
