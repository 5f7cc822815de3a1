//! The command line. `serve`, `migrate` and `verify` open a database; all others see a server through the generated gRPC
//! clients alone.

mod admin;
mod ask;
mod buy;
mod client;
mod completions;
mod confirm;
mod conflict;
mod credentials;
mod document;
mod extend;
mod failure;
mod join;
mod migrate;
mod output;
mod pages;
mod refund;
mod release;
mod reservations;
mod serve;
mod table;
mod token;
mod values;
mod verify;
mod view;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use failure::Failure;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused by the server, or failed; an audit found differences
  2  wrong usage, or a file that cannot be read
  3  the server cannot be reached, or did not say what became of it: it may have been done
  4  somebody else has changed it since it was read (ETAG_MISMATCH); nothing was done
  5  a dry run found something to do

Times are RFC 3339 (2027-03-01T20:00:00+01:00), durations like 90s, 10m, 1h30m.
With --json, answers go to stdout and errors to stderr, each as one JSON value.";

/// A ticket-inventory service that cannot oversell.
///
/// Start a server with `boxoffice serve --dev`; it prints what to type next.
#[derive(Parser)]
#[command(name = "boxoffice", version, after_help = EXIT_CODES)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a server
    Serve(serve::Args),
    /// Bring the tables of a PostgreSQL database up to date; servers without a pooler do so by themselves when they start
    Migrate(migrate::Args),
    /// Make tokens, which prove to servers who somebody is
    Token(token::Args),
    /// Wait in the waiting room of an event, and print the pass
    Join(client::BuyerOfEventArgs),
    /// Leave the waiting room, in the line or inside: somebody else is let in
    Leave(client::BuyerOfEventArgs),
    /// Take units: hold them for a while, or buy them at once
    Buy(buy::Args),
    /// Hold for longer what is held
    Extend(extend::Args),
    /// Sell what is held
    Confirm(confirm::Args),
    /// Give back what is held
    Release(release::Args),
    /// Take back what was sold, wholly or in part: its units return to sale
    Refund(refund::Args),
    /// List one's own reservations
    Reservations(client::BuyerOfEventArgs),
    /// Run a sale: events, capacity, reservations, the journal
    #[command(after_help = EXIT_CODES)]
    Admin(admin::Args),
    /// Audit a database without a server: replay every event's journal and compare; exit code 1 if anything differs
    #[command(after_help = EXIT_CODES)]
    Verify(verify::Args),
    /// Print what a shell needs to complete these commands
    Completions(completions::Args),
}

impl Cli {
    /// What was typed, with what the environment and a configuration file add to it. Exits where that is wrong usage.
    pub(crate) fn read() -> Self {
        let command = serve::config::with_environment(Self::command());
        let line = serve::config::with_file(&command, std::env::args_os().collect());
        let matches = line.and_then(|line| command.try_get_matches_from(line));
        matches.and_then(|matches| Self::from_arg_matches(&matches)).unwrap_or_else(|error| wrong_usage(&error))
    }

    /// Runs the command, and tells on stderr what went wrong.
    pub(crate) fn run(self) -> ExitCode {
        let (json, result) = match self.command {
            Command::Serve(args) => (false, serve::run(args)),
            Command::Migrate(args) => (false, client_runtime(migrate::run(args))),
            Command::Token(args) => (false, token::run(args)),
            Command::Join(args) => (args.buyer.json, client_runtime(join::join(args))),
            Command::Leave(args) => (args.buyer.json, client_runtime(join::leave(args))),
            Command::Buy(args) => (args.buyer.json, client_runtime(buy::run(args))),
            Command::Extend(args) => (args.buyer.json, client_runtime(extend::run(args))),
            Command::Confirm(args) => (args.buyer.json, client_runtime(confirm::run(args))),
            Command::Release(args) => (args.buyer.json, client_runtime(release::run(args))),
            Command::Refund(args) => (args.buyer.json, client_runtime(refund::run(args))),
            Command::Reservations(args) => (args.buyer.json, client_runtime(reservations::run(args))),
            Command::Admin(args) => (args.json, client_runtime(admin::run(args))),
            Command::Verify(args) => (args.json, client_runtime(verify::run(args))),
            Command::Completions(args) => (false, completions::run(&args, Self::command())),
        };
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                failure.report(json);
                failure.exit_code()
            }
        }
    }
}

/// Tells what is wrong with the command line, to a program as one JSON value, and ends. (So does help that was asked for.)
fn wrong_usage(error: &clap::Error) -> ! {
    let mut options = std::env::args_os().take_while(|word| word != "--");
    if error.use_stderr() && options.any(|word| word == "--json") {
        Failure::Usage(without_hints(&error.render().to_string())).report(true);
        std::process::exit(error.exit_code());
    }
    error.exit()
}

/// What clap says is wrong, in one line without its heading, the usage and the hints.
fn without_hints(told: &str) -> String {
    let told = told.strip_prefix("error: ").unwrap_or(told);
    let what = told.split("\n\n").next().unwrap_or(told);
    what.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A client waits for one answer at a time: one thread is enough.
fn client_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_of_all_commands_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_has_a_line_of_help() {
        fn walk(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "{path}");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{path}: {}", argument.get_id());
            }
            command.get_subcommands().for_each(|sub| walk(sub, &path));
        }
        walk(&Cli::command(), "");
    }
}
