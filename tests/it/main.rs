//! Whole-program tests: everything here speaks gRPC to a running server.

mod bad_input;
mod cli;
mod cli_with_server;
mod front;
mod pages;
mod reads;
mod support;
