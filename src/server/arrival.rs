//! Requests that arrive too slowly: they end, so that they give back their places.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

use crate::grpc::errors;

/// What a request brings, which must be there in time. A caller who never says his last word would keep a place among the
/// requests in flight for as long as he likes; keep-alive does not end that, since he answers it.
pub(super) struct Arriving {
    body: Body,
    /// How long it may be waited for in all.
    time_max: Duration,
    /// When that is over. Nearly all requests are there at once, and have no timer.
    over: Option<Pin<Box<Sleep>>>,
    refused: bool,
}

impl Arriving {
    /// Its time begins with the first waiting.
    pub(super) const fn new(body: Body, time_max: Duration) -> Self {
        Self { body, time_max, over: None, refused: false }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.refused {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let time_max = self.time_max;
        let over = self.over.get_or_insert_with(|| Box::pin(tokio::time::sleep(time_max)));
        if over.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.refused = true;
        Poll::Ready(Some(Err(errors::unfinished())))
    }

    fn is_end_stream(&self) -> bool {
        self.refused || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
