//! `completions`: what a shell needs to complete this program's commands.

use clap_complete::Shell;

use super::failure::Failure;
use super::output::print_line;

/// Options of `completions`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which shell
    shell: Shell,
}

/// Prints the script of the shell, which its user stores where the shell looks for it.
pub(crate) fn run(args: &Args, mut command: clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "boxoffice", &mut script);
    print_line(String::from_utf8_lossy(&script).trim_end())
}
