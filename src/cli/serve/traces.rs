//! Where traces go, if anywhere.

use boxoffice::causes::in_one_line;
use boxoffice::traces::{Exporter, Sampling};
use tonic::codegen::http::Uri;

use super::Failure;

/// Options of traces.
#[derive(clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// Send traces to this collector of OpenTelemetry (OTLP over gRPC), like http://127.0.0.1:4317; off unless given
    #[arg(long, value_name = "URL", value_parser = url)]
    otlp_endpoint: Option<String>,
    /// Traces: the part of the requests that is traced, 0 to 1, of those whose caller does not decide it (by traceparent)
    #[arg(long, value_name = "RATIO", default_value_t = 0.01, value_parser = ratio)]
    otlp_sampling: f64,
}

fn url(text: &str) -> Result<String, String> {
    let uri: Uri = text.parse().map_err(|_| "not a URL".to_owned())?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(_)) => Ok(text.to_owned()),
        _ => Err("must be http://HOST:PORT or https://HOST:PORT".to_owned()),
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err("must be 0 to 1".to_owned()),
    }
}

impl Args {
    /// Prepares to send, if anything is to be sent.
    pub(super) fn exporter(&self) -> Result<Option<Exporter>, Failure> {
        let exporter = self.otlp_endpoint.as_deref().map(Exporter::to).transpose();
        exporter.map_err(|error| Failure::Usage(format!("--otlp-endpoint: {}", in_one_line(&error))))
    }

    /// Which requests are traced, if any.
    pub(super) fn sampling(&self) -> Option<Sampling> {
        self.otlp_endpoint.as_ref().map(|_| Sampling::new(self.otlp_sampling))
    }
}
