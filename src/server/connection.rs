//! Connections, up to a bound.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tonic::transport::server::Connected;

use super::handshakes::Handshakes;
use super::tls::Tls;

/// How long to wait after a failed accept: the usual cause, too many open files, does not go away at once.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Bytes with which a client of HTTP/2 begins (RFC 9113, section 3.4). From then on it is asked whether it is still there.
const GREETING_BYTES: usize = 24;

/// A piece of fewer bytes waits for what other requests of the connection are about to add.
const WRITE_AT_ONCE_BYTES: usize = 8 * 1024;

/// A connection, which counts until it is dropped.
pub(super) struct Connection {
    stream: Transport,
    /// Whether the bytes that are to be written have waited.
    waited: bool,
    /// Until the client has said its first word: hyper would wait for that for ever.
    greeting: Option<Greeting>,
    _permit: OwnedSemaphorePermit,
}

/// The first word of a client, and until when it must have been said.
struct Greeting {
    missing_bytes: usize,
    over: Pin<Box<Sleep>>,
}

/// Without TLS, or with it.
type Transport = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Where connections come from.
struct Incoming {
    listener: TcpListener,
    places: Arc<Semaphore>,
    tls: Option<(Arc<Tls>, Handshakes)>,
    greeting_max: Duration,
}

/// Connections as they come, at most `max` at a time: more wait in the system's queue. One whose client has not begun to speak
/// within `greeting_max` fails.
pub(super) fn incoming(
    listener: TcpListener,
    max: usize,
    tls: Option<Arc<Tls>>,
    greeting_max: Duration,
) -> impl Stream<Item = io::Result<Connection>> + Send {
    let tls = tls.map(|tls| (tls, Handshakes::new(max)));
    let incoming = Incoming { listener, places: Arc::new(Semaphore::new(max)), tls, greeting_max };
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
            return Some(Connection::new(Either::Left(stream), permit, self.greeting_max));
        };
        // Accepting goes on while hands are shaken: a slow client holds up nobody but himself.
        loop {
            tokio::select! {
                (stream, permit) = handshakes.next() => {
                    return Some(Connection::new(Either::Right(Box::new(stream)), permit, self.greeting_max));
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

impl Connection {
    fn new(stream: Transport, permit: OwnedSemaphorePermit, greeting_max: Duration) -> Self {
        let over = Box::pin(tokio::time::sleep(greeting_max));
        Self {
            stream,
            waited: false,
            greeting: Some(Greeting { missing_bytes: GREETING_BYTES, over }),
            _permit: permit,
        }
    }

    /// Lets everybody who is ready to run go first, once for each write of `bytes`. The connection's task runs as soon as one
    /// request is answered. A batch answers many at once, and the others' answers go along then, in one system call for all.
    fn poll_wait(&mut self, bytes: usize, cx: &mut Context<'_>) -> Poll<()> {
        if self.waited || bytes >= WRITE_AT_ONCE_BYTES {
            return Poll::Ready(());
        }
        self.waited = true;
        // A task that wakes itself comes after all who are ready.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Fails once the time for a greeting is over that is not complete. To be asked after each read.
    fn poll_greeting(&mut self, read_bytes: Option<usize>, cx: &mut Context<'_>) -> Result<(), io::Error> {
        let Some(greeting) = &mut self.greeting else { return Ok(()) };
        greeting.missing_bytes = greeting.missing_bytes.saturating_sub(read_bytes.unwrap_or_default());
        if greeting.missing_bytes == 0 {
            self.greeting = None;
        } else if read_bytes.is_none() && greeting.over.as_mut().poll(cx).is_ready() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the client did not begin to speak HTTP/2 in time"));
        }
        Ok(())
    }
}

impl Connected for Connection {
    /// Nothing needs the addresses, and what stands here is put into every request.
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if self.greeting.is_some() {
            let read_bytes = read.is_ready().then(|| buffer.filled().len() - before);
            self.poll_greeting(read_bytes, cx)?;
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_wait(bytes.len(), cx));
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.waited = written.is_pending();
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_wait(buffers.iter().map(|buffer| buffer.len()).sum(), cx));
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, buffers);
        self.waited = written.is_pending();
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
