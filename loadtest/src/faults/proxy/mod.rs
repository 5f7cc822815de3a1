//! A TCP proxy in this process, whose network can be made bad while connections are open.
//!
//! It passes bytes and knows nothing of what they mean, so HTTP/2 goes through unchanged. The crates for this need another
//! process (`toxiproxy_rust`) or a simulated network (`turmoil`); none can lose the replies alone on live connections.

mod pump;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use pump::{Direction, Pump};

/// Connections at the same time; more wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 2_048;
/// How long the target may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait after a connection could not be accepted, such as for want of file descriptors.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(10);

/// What the network does, to open and to new connections alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It works.
    Pass,
    /// Requests arrive and take effect; what the server says is lost. When this mode ends, each connection that lost bytes is
    /// closed, because HTTP/2 cannot go on without them.
    DropReplies,
    /// Bytes arrive later, in both directions and in order: each piece by a random time between these.
    Delay {
        /// The shortest.
        least: Duration,
        /// The longest.
        most: Duration,
    },
    /// Nothing arrives in either direction, not even that a side has gone; new connections hang. When this mode ends, what was
    /// held back arrives, as TCP sends it again after a short partition.
    Partition,
}

/// A proxy before one server. Dropping it closes all its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    modes: watch::Sender<Mode>,
    listening: JoinHandle<Infallible>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1, and passes all on to `target`. The same `seed` gives the same delays.
    ///
    /// # Errors
    /// Where it cannot listen.
    pub async fn start(target: SocketAddr, seed: u64) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("a proxy cannot listen")?;
        let address = listener.local_addr()?;
        let (modes, watched) = watch::channel(Mode::Pass);
        let listening = tokio::spawn(listen(listener, target, watched, seed));
        Ok(Self { address, modes, listening })
    }

    /// Where it listens, for clients of HTTP/2 without TLS.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes the network so from now on.
    pub fn set(&self, mode: Mode) {
        self.modes.send_replace(mode);
    }

    /// How the network is.
    pub fn mode(&self) -> Mode {
        *self.modes.borrow()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // With the task go its links, and their sockets.
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, target: SocketAddr, modes: watch::Receiver<Mode>, seed: u64) -> Infallible {
    let mut links = JoinSet::new();
    let mut seeds = SmallRng::seed_from_u64(seed);
    loop {
        tokio::select! {
            connection = listener.accept(), if links.len() < CONNECTIONS_MAX => match connection {
                Ok((client, _)) => {
                    // Each direction has a seed of its own, so that its delays do not depend on what the others pass.
                    links.spawn(link(client, target, modes.clone(), seeds.random()));
                }
                Err(_) => sleep(ACCEPT_BACK_OFF).await,
            },
            // How a connection ended is for its two sides to know: they see it closed.
            Some(_) = links.join_next() => {}
        }
    }
}

/// Passes bytes both ways until both sides have said all, or the connection breaks.
async fn link(
    mut client: TcpStream,
    target: SocketAddr,
    mut modes: watch::Receiver<Mode>,
    [seed, other_seed]: [u64; 2],
) -> io::Result<()> {
    // Only the proxy's end ends the waiting with an error.
    modes.wait_for(|mode| *mode != Mode::Partition).await.map_err(io::Error::other)?;
    let mut server = timeout(CONNECT_TIMEOUT, TcpStream::connect(target)).await??;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let requests = Pump::new(from_client, to_server, Direction::Requests, modes.clone(), seed);
    let replies = Pump::new(from_server, to_client, Direction::Replies, modes, other_seed);
    tokio::try_join!(requests.run(), replies.run()).map(drop)
}
