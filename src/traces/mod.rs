//! Traces for OpenTelemetry: a span for each request that is traced, one for each batch with such a request in it, and a link
//! from each of the two to the other.
//!
//! Where nothing is traced, as it is unless asked for, no span is made. Spans name methods, events, counts and codes; they hold
//! neither owners nor anything of tokens.

mod batch;
mod export;

use std::cell::RefCell;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{SpanContext, Status, TraceContextExt as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::Code;
use tonic::codegen::http::HeaderMap;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

pub(crate) use self::batch::Batch;
pub use self::export::{ExportError, Exporter, log_only};
use crate::domain::EventId;
use crate::metrics::Method;

/// The target of all spans here: what goes to the collector has it, and what goes to the log has another.
const TARGET: &str = "boxoffice::traces";

/// Which requests are traced.
#[derive(Debug, Clone, Copy)]
pub struct Sampling {
    ratio: f64,
}

impl Sampling {
    /// Those whose caller says so by his `traceparent`, and this part (0 to 1) of those whose caller sends none. What is decided
    /// before the span costs nothing where the answer is no.
    pub const fn new(ratio: f64) -> Self {
        Self { ratio }
    }

    /// Begins the span of a request, if it is traced.
    pub(crate) fn begin(self, method: Method, headers: &HeaderMap) -> Option<Request> {
        let caller = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
        let said = caller.span().span_context().clone();
        let traced = if said.is_valid() { said.is_sampled() } else { fastrand::f64() < self.ratio };
        traced.then(|| Request::begin(method, caller))
    }
}

/// Where a `traceparent` is read from.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|key| key.as_str()).collect()
    }
}

/// The span of a request. It ends when the request is answered and no batch has it any more.
#[derive(Debug, Clone)]
pub(crate) struct Request(Span);

impl Request {
    fn begin(method: Method, caller: Context) -> Self {
        let (service, name) = method.names();
        let span = tracing::info_span!(
            target: TARGET,
            parent: None,
            "request",
            otel.name = format!("{service}/{name}"),
            otel.kind = "server",
            rpc.system = "grpc",
            rpc.service = service,
            rpc.method = name,
            rpc.grpc.status_code = Empty,
            boxoffice.event = Empty,
        );
        // It fails only where nothing is exported.
        let _ = span.set_parent(caller);
        Self(span)
    }

    /// Writes down the answer. It is an error of the span where something went wrong with us.
    pub(crate) fn answered(&self, code: Code, wrong: bool) {
        self.0.record("rpc.grpc.status_code", code as i64);
        if wrong {
            self.0.set_status(Status::error(code.description()));
        }
    }

    /// Does a bit of its work. It must not wait: to poll a future is such a bit.
    pub(crate) fn scope<T>(request: Option<&Self>, work: impl FnOnce() -> T) -> T {
        let Some(request) = request else { return work() };
        let _restore = Restore(CURRENT.replace(Some(request.clone())));
        work()
    }

    /// The traced request that this thread works on now, if any. It is about `event`.
    pub(crate) fn current(event: &EventId) -> Option<Self> {
        let request = CURRENT.with_borrow(Clone::clone)?;
        request.0.record("boxoffice.event", event.as_str());
        Some(request)
    }

    fn span_context(&self) -> SpanContext {
        span_context(&self.0)
    }
}

fn span_context(span: &Span) -> SpanContext {
    span.context().span().span_context().clone()
}

thread_local! {
    static CURRENT: RefCell<Option<Request>> = const { RefCell::new(None) };
}

/// Puts back what was before, also after a panic.
struct Restore(Option<Request>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_decides_by_his_traceparent_and_else_the_ratio() {
        let traced = |ratio: f64, traceparent: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(text) = traceparent {
                headers.insert("traceparent", text.parse().unwrap());
            }
            Sampling::new(ratio).begin(Method::of_path("/"), &headers).is_some()
        };
        for (ratio, traceparent, expected) in [
            (0.0, None, false),
            (1.0, None, true),
            (0.0, Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), true),
            (1.0, Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"), false),
            // What cannot be read says nothing.
            (0.0, Some("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), false),
            (1.0, Some("what is this?"), true),
        ] {
            assert_eq!(traced(ratio, traceparent), expected, "{ratio} {traceparent:?}");
        }
    }
}
