//! Answers to callers who read slowly, or not at all.
//!
//! HTTP/2 takes a piece of an answer once the caller has room for a single byte, and then keeps the whole piece. So large answers
//! are handed on in small pieces; the rest waits here, where it is counted against a bound for the whole server.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Response};

use crate::grpc::admission::Place;
use crate::grpc::errors;
use crate::request_id::{self, RequestId};

/// Most bytes of one answer that are handed to the connection at once, and that it may keep.
const PIECE_BYTES: usize = 16 * 1024;

/// Counts bytes that wait to be read, up to a bound.
#[derive(Debug, Clone)]
pub(super) struct Unread {
    bytes: Arc<AtomicUsize>,
    max: usize,
}

/// So many bytes, until it is dropped.
struct Held {
    bytes: usize,
    of: Unread,
}

impl Unread {
    pub(super) fn new(max: usize) -> Self {
        Self { bytes: Arc::default(), max }
    }

    fn hold(&self, bytes: usize) -> Option<Held> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // Where there is no room, dropping it takes the count back.
        let held = Held { bytes, of: self.clone() };
        (before.saturating_add(bytes) <= self.max).then_some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// An answer that may be large. What it holds is counted from now on.
///
/// # Errors
/// `OVERLOADED`: too much waits to be read already.
pub(super) fn bounded(
    response: Response<Body>,
    id: RequestId,
    is_stream: bool,
    unread: Unread,
    cx: &mut Context<'_>,
) -> Result<Response<Body>, Status> {
    let (head, body) = response.into_parts();
    let mut paced = Paced { id, body, unread, rest: None };
    // The answer to a simple call is there already, and is made ready now, so that it is counted although nobody reads it. A
    // stream makes its next message when the caller has room for it.
    if !is_stream && let Poll::Ready(Some(frame)) = request_id::scope(id, || Pin::new(&mut paced.body).poll_frame(cx)) {
        let message = frame?.into_data().map_err(|_| errors::internal())?;
        if message.len() <= PIECE_BYTES {
            // Small after all.
            let rest = Rest { bytes: message, _held: None };
            paced.rest = Some(rest);
        } else {
            paced.keep(message)?;
        }
    }
    Ok(Response::from_parts(head, Body::new(paced)))
}

/// The messages of an answer in small pieces, each made in the name of its request.
struct Paced {
    id: RequestId,
    body: Body,
    unread: Unread,
    /// What is left of the present message.
    rest: Option<Rest>,
}

struct Rest {
    bytes: Bytes,
    _held: Option<Held>,
}

impl Paced {
    fn keep(&mut self, bytes: Bytes) -> Result<(), Status> {
        let held = self.unread.hold(bytes.len()).ok_or_else(errors::overloaded)?;
        self.rest = Some(Rest { bytes, _held: Some(held) });
        Ok(())
    }

    /// The next piece of the present message.
    fn piece(&mut self) -> Option<Frame<Bytes>> {
        let rest = self.rest.as_mut()?;
        let piece = rest.bytes.split_to(rest.bytes.len().min(PIECE_BYTES));
        if rest.bytes.is_empty() {
            self.rest = None;
        }
        Some(Frame::data(piece))
    }

    /// Ends a stream whose reader keeps too much waiting.
    fn cut(&mut self, status: &Status) -> Option<Frame<Bytes>> {
        self.body = Body::empty();
        ended_with(status)
    }
}

/// The end of a stream.
fn ended_with(status: &Status) -> Option<Frame<Bytes>> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).ok()?;
    Some(Frame::trailers(trailers))
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(piece) = self.piece() {
            return Poll::Ready(Some(Ok(piece)));
        }
        let id = self.id;
        let frame = match request_id::scope(id, || Pin::new(&mut self.body).poll_frame(cx)) {
            Poll::Ready(Some(Ok(frame))) => frame,
            other => return other,
        };
        match frame.into_data() {
            Ok(message) if message.len() > PIECE_BYTES => match self.keep(message) {
                Ok(()) => Poll::Ready(self.piece().map(Ok)),
                Err(status) => Poll::Ready(self.cut(&status).map(Ok)),
            },
            Ok(message) => Poll::Ready(Some(Ok(Frame::data(message)))),
            Err(trailers) => Poll::Ready(Some(Ok(trailers))),
        }
    }
}

/// An answer that keeps a place until it has been read to its end, or its reader has gone. When the server stops (`stopping`
/// becomes true), it ends as soon as it has nothing more to say: a stream of health would never end by itself, and the server would
/// wait for it.
pub(super) fn keeping(response: Response<Body>, place: Place, mut stopping: watch::Receiver<bool>) -> Response<Body> {
    let stopped = Box::pin(async move {
        // Where the server is gone, it has stopped as well.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    });
    response.map(|body| Body::new(Keeping { body, stopped: Some(stopped), _place: place }))
}

struct Keeping {
    body: Body,
    /// `None`: the stream was ended.
    stopped: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    _place: Place,
}

impl HttpBody for Keeping {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() || self.stopped.as_mut().is_none_or(|stopped| stopped.as_mut().poll(cx).is_pending()) {
            return frame;
        }
        self.stopped = None;
        self.body = Body::empty();
        Poll::Ready(ended_with(&errors::shutting_down()).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full, StreamBody};

    use super::*;

    fn answer(bytes: usize, unread: &Unread) -> Result<Response<Body>, Status> {
        let body = Body::new(Full::new(Bytes::from(vec![7; bytes])));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        bounded(Response::new(body), RequestId::next(), false, unread.clone(), &mut cx)
    }

    #[tokio::test]
    async fn a_large_answer_counts_until_it_is_read_and_comes_in_pieces() {
        let unread = Unread::new(100_000);
        let mut first = answer(60_000, &unread).unwrap().into_body();
        assert_eq!(answer(60_000, &unread).err().unwrap().code(), tonic::Code::Unavailable);
        assert!(answer(PIECE_BYTES, &unread).is_ok(), "small answers pass");
        let mut read = 0;
        while let Some(frame) = first.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            assert!(piece.len() <= PIECE_BYTES);
            read += piece.len();
        }
        assert_eq!((read, unread.bytes.load(Ordering::Relaxed)), (60_000, 0));
        drop(answer(60_000, &unread).unwrap());
        assert_eq!(unread.bytes.load(Ordering::Relaxed), 0, "whoever goes away holds nothing");
        assert!(answer(100_000, &unread).is_ok(), "all that there is");
    }

    /// What is left unread of a stream's messages counts with all else; where that is too much, the stream ends.
    #[tokio::test]
    async fn a_large_message_of_a_stream_counts_until_it_is_read_or_ends_the_stream() {
        let unread = Unread::new(100_000);
        let message = || Ok::<_, Status>(Frame::data(Bytes::from(vec![7; 60_000])));
        let stream = || {
            let body = Body::new(StreamBody::new(futures::stream::iter([message(), message()])));
            let mut cx = Context::from_waker(std::task::Waker::noop());
            let answer = bounded(Response::new(body), RequestId::next(), true, unread.clone(), &mut cx);
            answer.unwrap().into_body()
        };
        let (mut first, mut second) = (stream(), stream());
        assert_eq!(unread.bytes.load(Ordering::Relaxed), 0, "a stream makes its messages for those who read");
        let piece = first.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((piece.len(), unread.bytes.load(Ordering::Relaxed)), (PIECE_BYTES, 60_000));
        let end = second.frame().await.unwrap().unwrap().into_trailers().unwrap();
        let status = Status::from_header_map(&end).unwrap();
        assert_eq!(status.code(), tonic::Code::Unavailable);
        assert!(second.frame().await.is_none(), "nothing comes after the end");
        let mut read = piece.len();
        while let Some(frame) = first.frame().await {
            read += frame.unwrap().into_data().unwrap().len();
        }
        assert_eq!((read, unread.bytes.load(Ordering::Relaxed)), (120_000, 0));
    }
}
