//! The signals that ask the load test to end.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Waits for a signal that ends programs; answers its name.
///
/// # Errors
/// Where signals cannot be waited for.
pub(super) async fn wait() -> io::Result<&'static str> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
        _ = hang_up.recv() => "SIGHUP",
    })
}
