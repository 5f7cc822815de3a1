//! `serve`.
use super::failure::Failure;
/// Options of `serve`.
#[derive(clap::Args)]
pub(crate) struct Args {}
/// Runs it.
pub(crate) fn run(_args: Args) -> Result<(), Failure> {
    Ok(())
}
