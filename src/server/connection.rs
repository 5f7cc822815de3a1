//! Connections, up to a bound.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::handshakes::Handshakes;
use super::tls::Tls;

/// How long to wait after a failed accept: the usual cause, too many open files, does not go away at once.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// A connection, which counts until it is dropped.
pub(super) struct Connection {
    stream: Transport,
    _permit: OwnedSemaphorePermit,
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Where connections come from.
struct Incoming {
    listener: TcpListener,
    places: Arc<Semaphore>,
    tls: Option<(Arc<Tls>, Handshakes)>,
}

/// Connections as they come, at most `max` at a time: more wait in the system's queue.
pub(super) fn incoming(
    listener: TcpListener,
    max: usize,
    tls: Option<Arc<Tls>>,
) -> impl Stream<Item = io::Result<Connection>> + Send {
    let tls = tls.map(|tls| (tls, Handshakes::new(max)));
    let incoming = Incoming { listener, places: Arc::new(Semaphore::new(max)), tls };
    futures::stream::unfold(incoming, |mut incoming| async {
        let connection = incoming.next().await?;
        Some((Ok(connection), incoming))
    })
}

impl Incoming {
    /// The next one. None would mean that somebody closed the semaphore, which nobody does.
    async fn next(&mut self) -> Option<Connection> {
        let Some((tls, handshakes)) = &mut self.tls else {
            let (stream, permit) = admit(&self.listener, &self.places).await?;
            return Some(Connection { stream: Transport::Plain(stream), _permit: permit });
        };
        // Accepting goes on while hands are shaken: a slow client holds up nobody but himself.
        loop {
            tokio::select! {
                (stream, permit) = handshakes.next() => {
                    return Some(Connection { stream: Transport::Tls(Box::new(stream)), _permit: permit });
                }
                accepted = admit(&self.listener, &self.places) => {
                    let (stream, permit) = accepted?;
                    handshakes.begin(tls.acceptor(), stream, permit);
                }
            }
        }
    }
}

/// Waits for a place and for somebody to take it. Nothing is lost where the waiting is dropped.
async fn admit(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(places).acquire_owned().await.ok()?;
    Some((accept(listener).await, permit))
}

/// The next connection. Failures are logged, and tried again.
pub(super) async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection keeps its delay");
                }
                return stream;
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

impl Connected for Connection {
    /// Nothing needs the addresses, and what stands here is put into every request.
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, buffers),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
