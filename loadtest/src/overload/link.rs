//! A slow link to a database: what makes it so slow that ten times what it can do is little for the machine.
//!
//! Each piece arrives later by the same time, in both directions; and towards the database only so many bytes pass in a second.
//! To the server that is a database which takes longer for each round trip and for each row by about the same factor.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Bytes that are read at once, and pieces that are under way in one direction of a connection.
const PIECE_BYTES: usize = 16 << 10;
const PIECES_MAX: usize = 256;

/// How slow it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slow {
    /// How much later each piece arrives.
    pub(super) delay: Duration,
    /// Bytes a second towards the database, of each connection.
    pub(super) bytes_per_second: f64,
}

/// A link that is there until it is dropped.
pub(super) struct Link {
    address: SocketAddr,
    listening: JoinHandle<()>,
}

impl Link {
    /// Listens on a free port for connections to `target`.
    pub(super) async fn start(target: SocketAddr, slow: Slow) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("a link cannot listen")?;
        let address = listener.local_addr()?;
        let listening = tokio::spawn(async move {
            let mut links = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                links.spawn(pass(client, target, slow));
                while links.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, listening })
    }

    /// The URL of a database behind it.
    pub(super) fn url(&self, database: &str, direct: &str) -> Result<String> {
        let (before, _) = direct.split_once('@').context("a URL without a user")?;
        Ok(format!("{before}@{}/{database}", self.address))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn pass(client: TcpStream, target: SocketAddr, slow: Slow) -> io::Result<()> {
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let answers = Slow { bytes_per_second: f64::INFINITY, ..slow };
    tokio::try_join!(carry(from_client, to_server, slow), carry(from_server, to_client, answers)).map(drop)
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, slow: Slow) -> io::Result<()> {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_MAX);
    let read = async move {
        let mut free_at = Instant::now();
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let length = from.read(&mut buffer).await?;
            let Some(piece) = buffer.get(..length).filter(|piece| !piece.is_empty()) else { return Ok(()) };
            let takes = Duration::from_secs_f64(length as f64 / slow.bytes_per_second);
            free_at = free_at.max(Instant::now()) + takes;
            if sender.send((free_at + slow.delay, piece.to_vec())).await.is_err() {
                return Ok(());
            }
        }
    };
    let write = async {
        while let Some((at, piece)) = pieces.recv().await {
            sleep_until(at).await;
            to.write_all(&piece).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(read, write).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_arrive_whole_in_order_and_late() {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let slow = Slow { delay: Duration::from_millis(20), bytes_per_second: 1_000_000.0 };
        let link = Link::start(target.local_addr().unwrap(), slow).await.unwrap();
        let mut client = TcpStream::connect(link.address).await.unwrap();
        let (mut server, _) = target.accept().await.unwrap();
        let begun = Instant::now();
        let sent: Vec<u8> = (0..50_000_u32).map(|index| index.to_le_bytes()[0]).collect();
        client.write_all(&sent).await.unwrap();
        let mut got = vec![0; sent.len()];
        server.read_exact(&mut got).await.unwrap();
        assert!(got == sent && begun.elapsed() >= Duration::from_millis(70), "{:?}", begun.elapsed());
        let url = link.url("boxoffice", "postgres://u@127.0.0.1:5/boxoffice").unwrap();
        assert_eq!(url, format!("postgres://u@{}/boxoffice", link.address));
    }
}
