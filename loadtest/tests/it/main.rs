//! The scenarios, run against a fake of the server in memory: honest, and with one bug each that they must catch.
//! The fake proves the load test, and nothing of the real server. Then the program as a whole, with real servers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::result_large_err, reason = "the fake should be short")]

mod compare;
mod fake;
mod program;
mod scenarios;
mod storm;
