//! Whoever speaks to the listener and is no client: bytes that are not HTTP/2, frames that should not be, and those who are slow.

mod frames;
mod slow;
mod tokenless;
mod victim;
mod wire;
