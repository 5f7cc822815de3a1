//! What operators' programs read over plain HTTP, on an address of its own: `/metrics` and `/healthz`.
//!
//! Whoever connects here may be slow or many: connections, their time and the size of what they send are bounded, and
//! nothing here shares a bound with callers of the API.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::connection::accept;
use super::health::{Health, State};
use crate::metrics::{self, Metrics};

/// Most connections; further ones wait until one closes.
const CONNECTIONS_MAX: usize = 32;
/// How long a connection may take in all. It serves one request.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(10);
/// How long the head of a request may take.
const HEAD_TIME_MAX: Duration = Duration::from_secs(5);
/// Most header fields, and bytes of a head.
const HEADERS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What the answers are made from.
pub(super) struct Operations {
    pub(super) health: Arc<Health>,
    pub(super) metrics: Arc<Metrics>,
}

impl Operations {
    /// Serves for ever.
    pub(super) async fn serve(self, listener: TcpListener) {
        let this = Arc::new(self);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        // A semaphore that nobody closes.
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let stream = accept(&listener).await;
            let this = Arc::clone(&this);
            tokio::spawn(async move {
                let _place = place;
                if tokio::time::timeout(CONNECTION_TIME_MAX, this.connection(stream)).await.is_err() {
                    tracing::debug!("a connection to the operations' address took too long");
                }
            });
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME_MAX)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .keep_alive(false)
            // Whoever has said all that he will say still gets his answer.
            .half_close(true)
            .serve_connection(TokioIo::new(stream), service_fn(|request| self.answer(request)))
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "a connection to the operations' address failed");
        }
    }

    async fn answer<B>(&self, request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
        let known = matches!(request.uri().path(), "/metrics" | "/healthz");
        if known && request.method() != Method::GET && request.method() != Method::HEAD {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Ok(response);
        }
        Ok(match request.uri().path() {
            "/metrics" => match self.metrics.text() {
                Ok(body) => with_type(StatusCode::OK, body, metrics::CONTENT_TYPE),
                Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            },
            "/healthz" => match self.health.state().await {
                State::Serving => text(StatusCode::OK, "ok"),
                State::Away(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("the store does not answer: {why}")),
                State::Ending => text(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down"),
            },
            _ => text(StatusCode::NOT_FOUND, "there are /metrics and /healthz"),
        })
    }
}

fn text(status: StatusCode, line: impl Into<String>) -> Response<Full<Bytes>> {
    let mut line = line.into();
    line.push('\n');
    with_type(status, line, "text/plain; charset=utf-8")
}

fn with_type(status: StatusCode, body: String, content_type: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
