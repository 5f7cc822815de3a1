//! Sends spans to a collector, and never disturbs what they tell of: the queue is bounded and drops what is too much, one thread
//! of its own sends, and a collector that is away is one line in the log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter as Exports,
};
use tonic::transport::ClientTlsConfig;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::Filter;
use tracing_subscriber::registry::LookupSpan;

use super::TARGET;
use super::batch::LINKS_MAX;

/// Most spans that wait to be sent; further ones are dropped.
const QUEUE_SPANS_MAX: usize = 8_192;
/// Most spans in one message.
const MESSAGE_SPANS_MAX: usize = 512;
/// How long spans wait for others to go with them.
const SEND_INTERVAL: Duration = Duration::from_secs(1);
/// How long the collector may take for a message.
const SEND_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the last spans may take at the end.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// The endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot send traces there")]
pub struct ExportError(#[from] ExporterBuildError);

/// Sends what is traced.
pub struct Exporter {
    provider: SdkTracerProvider,
}

impl Exporter {
    /// Prepares to send to a collector that speaks OTLP over gRPC. It need not be there yet. Must be called in the runtime, whose
    /// connection it is.
    ///
    /// # Errors
    /// Where `endpoint` cannot be a collector's.
    pub fn to(endpoint: &str) -> Result<Self, ExportError> {
        let mut builder = SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(SEND_TIMEOUT);
        if endpoint.starts_with("https:") {
            builder = builder.with_tls_config(ClientTlsConfig::new().with_enabled_roots());
        }
        let exporter = Quiet { inner: builder.build()?, failing: AtomicBool::new(false) };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_SPANS_MAX)
            .with_max_export_batch_size(MESSAGE_SPANS_MAX)
            .with_scheduled_delay(SEND_INTERVAL)
            .build();
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(env!("CARGO_PKG_NAME"));
        }
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            // Whether a request is traced was decided before its span was made.
            .with_sampler(Sampler::AlwaysOn)
            .with_max_links_per_span(LINKS_MAX)
            .with_resource(resource.build())
            .build();
        Ok(Self { provider })
    }

    /// What takes the spans of requests and batches from `tracing`, and nothing else.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(env!("CARGO_PKG_NAME")))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|metadata| metadata.target() == TARGET).with_max_level_hint(LevelFilter::INFO))
    }

    /// Sends what is left, for a bounded time.
    pub async fn end(self) {
        // It waits for its thread, and so must not keep the runtime from sending.
        let ended = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(FLUSH_MAX)).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("the last traces were not sent");
        }
    }
}

/// What keeps spans of requests and batches out of the log. (A filter without a hint stands for every level, whatever another
/// one that it is joined with says; and then each span and each line of a library is looked up before it is not written.)
pub fn log_only<S>() -> impl Filter<S> {
    filter_fn(|metadata| metadata.target() != TARGET).with_max_level_hint(LevelFilter::TRACE)
}

/// Says once that sending fails, and once that it does no more.
#[derive(Debug)]
struct Quiet {
    inner: SpanExporter,
    failing: AtomicBool,
}

impl Exports for Quiet {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.inner.export(batch).await;
        match (&result, self.failing.swap(result.is_err(), Ordering::Relaxed)) {
            (Err(error), false) => {
                tracing::warn!(%error, "traces cannot be sent; requests are not affected, and this is not said again");
            }
            (Ok(()), true) => tracing::info!("traces are sent again"),
            (Err(_), true) | (Ok(()), false) => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
