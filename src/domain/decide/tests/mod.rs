//! What each command comes to, told by subject.

mod edit;
mod expiry;
mod limits;
mod replace;
mod reserve;
mod transition;
