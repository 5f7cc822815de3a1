//! The span of a batch.

use std::time::Duration;

use opentelemetry::trace::Status;
use opentelemetry::{Array, StringValue, Value};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::{Request, TARGET, span_context};
use crate::domain::EventId;

/// Most links of a batch to its requests, so that one message to the collector stays below the 4 MiB that it takes. Each request
/// has a link to its batch in any case.
pub(super) const LINKS_MAX: u32 = 128;

/// Most events that a span names.
const EVENTS_MAX: usize = 16;

/// The span of a batch, if a request in it is traced.
#[derive(Debug, Default)]
pub(crate) struct Batch(Option<Span>);

impl Batch {
    /// Begins it, and links it with the traced requests in it.
    pub(crate) fn begin<'a>(requests: &[Request], events: impl Iterator<Item = &'a EventId>, commands: usize) -> Self {
        if requests.is_empty() {
            return Self(None);
        }
        // A trace of its own: it works for several requests, so none is its parent.
        let span = tracing::info_span!(
            target: TARGET,
            parent: None,
            "batch",
            boxoffice.commands = commands,
            boxoffice.traced_requests = requests.len(),
            boxoffice.load_us = Empty,
            boxoffice.commit_us = Empty,
        );
        let events = events.take(EVENTS_MAX).map(|event| StringValue::from(event.as_str().to_owned())).collect();
        span.set_attribute("boxoffice.events", Value::Array(Array::String(events)));
        for request in requests.iter().take(LINKS_MAX as usize) {
            span.add_link(request.span_context());
        }
        let own = span_context(&span);
        for request in requests {
            request.0.add_link(own.clone());
        }
        Self(Some(span))
    }

    /// Writes down how long the store took to load, and to write and commit.
    pub(crate) fn committed(&self, load: Duration, commit: Duration) {
        if let Some(span) = &self.0 {
            let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
            span.record("boxoffice.load_us", micros(load)).record("boxoffice.commit_us", micros(commit));
        }
    }

    /// Writes down that it was not done as one transaction.
    pub(crate) fn failed(&self) {
        if let Some(span) = &self.0 {
            span.set_status(Status::error("the batch failed"));
        }
    }
}
