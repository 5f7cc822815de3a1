//! The scenarios, run against a fake of the server in memory: honest, and with one bug each that they must catch.
//! The fake proves the load test, and nothing of the real server.

mod fake;
mod scenarios;
