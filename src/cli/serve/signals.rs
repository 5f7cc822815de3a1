//! Being told to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Failure;

/// What a shell reports for a program that SIGINT ended.
const EXIT_INTERRUPTED: i32 = 130;

/// SIGINT and SIGTERM, heard from the moment of [`Signals::listen`] on.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to listen.
    pub(super) fn listen() -> Result<Self, Failure> {
        let open = |kind| signal(kind).map_err(|error| Failure::Failed(format!("cannot listen to signals: {error}")));
        Ok(Self { interrupt: open(SignalKind::interrupt())?, terminate: open(SignalKind::terminate())? })
    }

    /// Waits for one of them.
    pub(super) async fn heard(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Waits for one of them. After that, whoever presses Ctrl-C again does not want to wait: the program exits at once.
    /// Nothing acknowledged is lost: it is in the database.
    pub(super) async fn stop(mut self) {
        self.heard().await;
        tokio::spawn(async move {
            self.interrupt.recv().await;
            std::process::exit(EXIT_INTERRUPTED);
        });
    }
}
