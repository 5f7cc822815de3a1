//! Streams that are begun again where their server has gone away.

use std::time::Duration;

use crate::cli::failure::Failure;

/// First and longest wait before it is tried again to reach a server that went away.
const MIN: Duration = Duration::from_millis(250);
const MAX: Duration = Duration::from_secs(10);
/// After so long without news the server is asked, to find out whether it is still there: a connection whose other end has gone
/// without a word stays silent for ever.
pub(super) const QUIET_MAX: Duration = Duration::from_secs(5);

/// How long to wait before the next try: longer and longer, until something has come.
pub(super) struct BackOff(Duration);

impl BackOff {
    /// Nothing has failed yet.
    pub(super) const fn new() -> Self {
        Self(MIN)
    }

    /// Something has come.
    pub(super) const fn reset(&mut self) {
        self.0 = MIN;
    }

    /// Waits before a stream is begun again that has ended so; `note` tells of it.
    ///
    /// # Errors
    /// The stream's own failure, where it will not pass by itself.
    pub(super) async fn wait(
        &mut self,
        ended: Result<(), Failure>,
        note: impl FnOnce(&str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let failure = match ended {
            Ok(()) => Failure::Unreachable { message: "the server ended the stream".to_owned(), hint: None },
            Err(failure) if may_pass(&failure) => failure,
            Err(failure) => return Err(failure),
        };
        note(&format!("trying again in {:?}: {}", self.0, failure.in_short()))?;
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(MAX);
        Ok(())
    }
}

fn may_pass(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable { .. } => true,
        Failure::Refused(refused) => refused.code == "UNAVAILABLE" || refused.code == "DEADLINE_EXCEEDED",
        _ => false,
    }
}

/// Runs what follows a stream until it fails, or until it is told to stop, which is no failure.
pub(super) async fn until_interrupted(following: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::select! {
        result = following => result,
        stopped = tokio::signal::ctrl_c() => {
            stopped.map_err(|error| Failure::Failed(format!("cannot listen to signals: {error}")))
        }
    }
}
