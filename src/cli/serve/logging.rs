//! The server's log: to stderr, as `RUST_LOG` says, each line of a request with the request's id.

use std::env::VarError;
use std::fmt;
use std::io::IsTerminal as _;

use boxoffice::request_id;
use boxoffice::traces::{self, Exporter};
use clap::ValueEnum;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter};
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::Failure;

/// How lines of the log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    Text,
    /// For programs: one JSON object a line
    Json,
}

/// What is logged unless `RUST_LOG` says otherwise. Of each handshake that is none, rustls writes a line: with them, whoever can
/// reach the server could fill its log.
const USUAL: &str = "info,rustls=error";

/// Starts it, and what takes the traces, if they go anywhere.
pub(super) fn start(format: LogFormat, traces: Option<&Exporter>) -> Result<(), Failure> {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    let wrong = |error: &dyn fmt::Display| Failure::Usage(format!("RUST_LOG: {error}"));
    let filter = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Err(VarError::NotPresent) => filter.parse(USUAL).map_err(|error| wrong(&error))?,
        Err(error) => return Err(wrong(&error)),
        Ok(directives) => filter.parse(directives).map_err(|error| wrong(&error))?,
    };
    subscriber(filter, format, traces).init();
    Ok(())
}

fn subscriber(filter: EnvFilter, format: LogFormat, traces: Option<&Exporter>) -> Box<dyn Subscriber + Send + Sync> {
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log = match format {
        LogFormat::Text => {
            let ansi = std::io::stderr().is_terminal();
            let inner = Format::default().with_ansi(ansi);
            layer.with_ansi(ansi).event_format(WithRequestId { inner, write: after_text }).boxed()
        }
        LogFormat::Json => {
            let inner = Format::default().json().flatten_event(true);
            layer.json().event_format(WithRequestId { inner, write: into_json }).boxed()
        }
    };
    let log = log.with_filter(filter.and(traces::log_only()));
    // Not an `Option` of a layer: of one that is not there nothing is filtered away, and so every span of every library would be
    // made, for nobody to see. They took a fifth of the server's time.
    match traces {
        Some(traces) => Box::new(tracing_subscriber::registry().with(log).with(traces.layer())),
        None => Box::new(tracing_subscriber::registry().with(log)),
    }
}

/// Adds the id to what another format writes.
struct WithRequestId<F> {
    inner: F,
    write: fn(&str, &str, &mut Writer<'_>) -> fmt::Result,
}

impl<S, N, F> FormatEvent<S, N> for WithRequestId<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(id) = request_id::current() else { return self.inner.format_event(ctx, writer, event) };
        let mut line = String::new();
        self.inner.format_event(ctx, Writer::new(&mut line), event)?;
        (self.write)(&line, &id.to_string(), &mut writer)
    }
}

fn after_text(line: &str, id: &str, writer: &mut Writer<'_>) -> fmt::Result {
    writeln!(writer, "{} request_id={id}", line.trim_end_matches('\n'))
}

/// An id has no characters that JSON would escape.
fn into_json(line: &str, id: &str, writer: &mut Writer<'_>) -> fmt::Result {
    match line.strip_prefix('{') {
        Some(rest) => write!(writer, "{{\"request_id\":\"{id}\",{rest}"),
        None => writer.write_str(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: fn(&str, &str, &mut Writer<'_>) -> fmt::Result, line: &str) -> String {
        let mut out = String::new();
        write(line, "r1", &mut Writer::new(&mut out)).unwrap();
        out
    }

    #[tokio::test]
    async fn spans_that_nobody_takes_are_not_made() {
        let exporter = Exporter::to("http://127.0.0.1:1").unwrap();
        for traces in [None, Some(&exporter)] {
            let subscriber = subscriber(EnvFilter::new(USUAL), LogFormat::Text, traces);
            assert_eq!(subscriber.max_level_hint(), Some(LevelFilter::INFO), "else each span and line is looked up");
            tracing::subscriber::with_default(subscriber, || {
                assert!(tracing::trace_span!(target: "h2", "theirs").is_disabled());
                assert!(tracing::info_span!(target: "rustls", "theirs").is_disabled());
                assert!(!tracing::enabled!(target: "h2", tracing::Level::DEBUG));
                assert!(tracing::enabled!(target: "boxoffice", tracing::Level::INFO));
            });
        }
    }

    #[test]
    fn lines_end_or_begin_with_the_id() {
        assert_eq!(written(after_text, "WARN a read failed\n"), "WARN a read failed request_id=r1\n");
        let json = written(into_json, "{\"level\":\"WARN\"}\n");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value, serde_json::json!({ "request_id": "r1", "level": "WARN" }));
    }
}
