<<<<<<< HEAD
//! Whole-program tests: everything here speaks gRPC to a running server.
=======
//! Whole-program tests: real clients over the wire, to the real binary as a child process (`support`) or, where the store
//! must misbehave, to a server in this process (`in_process`).
>>>>>>> grpc

mod bad_input;
mod edits;
mod front;
mod in_process;
mod kills;
mod pages;
mod promises;
mod reads;
mod support;
