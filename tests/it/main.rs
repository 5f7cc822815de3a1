//! Whole-program tests: real clients over the wire, to the real binary as a child process (`support`) or, where the store
//! must misbehave, to a server in this process (`in_process`).

mod bad_input;
mod cli;
mod cli_with_server;
mod database_faults;
mod database_roles;
mod database_tls;
mod disk_full;
mod edits;
mod failover;
mod front;
mod in_process;
mod kills;
mod logs;
mod operations;
mod pages;
mod pooler;
mod promises;
mod proxy;
mod reads;
mod rolling;
mod rush;
mod scale_out;
mod servers;
mod support;
