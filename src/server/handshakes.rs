//! TLS handshakes that are under way: bounded in time and in number.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Longest handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Most handshakes at a time. Where there are more, the oldest gives way: honest clients need milliseconds, so it is one of
/// those who only keep a place. They cannot keep others out, since they would have to come faster than honest ones finish.
const HANDSHAKES_MAX: usize = 1_024;

/// A connection that is encrypted, and its place.
type Finished = (TlsStream<TcpStream>, OwnedSemaphorePermit);

/// Handshakes that are under way. All end when this is dropped.
pub(super) struct Handshakes {
    max: usize,
    /// None: it failed, or took too long.
    running: JoinSet<Option<Finished>>,
    /// Those that may still run, oldest first.
    by_age: VecDeque<AbortHandle>,
}

impl Handshakes {
    /// They never take more than half of the places for connections.
    pub(super) fn new(connections_max: usize) -> Self {
        Self { max: (connections_max / 2).clamp(1, HANDSHAKES_MAX), running: JoinSet::new(), by_age: VecDeque::new() }
    }

    /// Begins one.
    pub(super) fn begin(&mut self, acceptor: TlsAcceptor, stream: TcpStream, permit: OwnedSemaphorePermit) {
        while self.by_age.len() >= self.max {
            if let Some(oldest) = self.by_age.pop_front() {
                oldest.abort();
            }
        }
        let handle = self.running.spawn(async move {
            match tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => Some((stream, permit)),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a TLS handshake failed");
                    None
                }
                Err(_) => {
                    tracing::debug!("a TLS handshake took too long");
                    None
                }
            }
        });
        self.by_age.push_back(handle);
    }

    /// The next connection that is encrypted; waits for ever while there is none. Nothing is lost where the waiting is
    /// dropped.
    pub(super) async fn next(&mut self) -> Finished {
        loop {
            match self.running.join_next().await {
                Some(ended) => {
                    self.by_age.retain(|handle| !handle.is_finished());
                    if let Ok(Some(finished)) = ended {
                        return finished;
                    }
                }
                None => std::future::pending().await,
            }
        }
    }
}
