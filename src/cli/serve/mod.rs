//! `serve`: runs a server.

pub(super) mod config;
mod demo;
mod logging;
mod signals;
pub(super) mod store;

use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use boxoffice::engine::{Engine, EngineConfig};
use boxoffice::grpc::Authentication;
use boxoffice::server::{Server, ServerConfig};

use super::failure::Failure;
use logging::LogFormat;
use signals::Signals;

/// Options of `serve`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Read options from a TOML file; the command line and the environment go before it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// For development: no tokens, whoever calls is who he says he is; loopback addresses only
    #[arg(long)]
    dev: bool,
    #[command(flatten)]
    store: store::Args,
    /// Where to listen; port 0: any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    listen: SocketAddr,
    /// Where to serve /metrics and /healthz over plain HTTP, for monitoring; off unless given
    #[arg(long, value_name = "ADDR")]
    operations_listen: Option<SocketAddr>,
    /// How lines of the log look; RUST_LOG says which there are
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// How often to tidy up holds that have lapsed; 0s: only when their units are needed
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = humantime::parse_duration)]
    sweep_interval: Duration,
}

/// Runs it until it is told to stop.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    args.check()?;
    logging::start(args.log_format)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot start the runtime: {error}")))?
        .block_on(serve(args))
}

impl Args {
    fn check(&self) -> Result<(), Failure> {
        if !self.dev {
            let message = "this version cannot check tokens yet: it serves only with --dev, for development";
            return Err(Failure::Usage(message.to_owned()));
        }
        if !self.listen.ip().is_loopback() {
            return Err(Failure::Usage(format!(
                "--listen {}: with --dev anybody who can connect can do anything, so only loopback addresses are served",
                self.listen
            )));
        }
        Ok(())
    }
}

async fn serve(args: Args) -> Result<(), Failure> {
    let signals = Signals::listen()?;
    let store = args.store.open().await?;
    let config = EngineConfig { sweep_interval: args.sweep_interval, ..EngineConfig::default() };
    let engine = Engine::start(store, config).await.map_err(|error| Failure::Failed(in_one_line(&error)))?;
    let result = serve_until_told(&args, &engine, signals).await;
    engine.shutdown().await;
    result
}

async fn serve_until_told(args: &Args, engine: &Arc<Engine>, signals: Signals) -> Result<(), Failure> {
    let failed = |error| Failure::Failed(in_one_line(&error));
    let config = ServerConfig {
        operations_listen: args.operations_listen,
        ..ServerConfig::new(args.listen, Authentication::Dev)
    };
    let server = Server::bind(config, Arc::clone(engine)).await.map_err(failed)?;
    let made_demo = demo::make_if_empty(engine).await?;
    announce(server.local_addr(), made_demo);
    if let Some(address) = server.operations_addr() {
        tracing::info!("metrics and health are at http://{address}/metrics and /healthz");
    }
    server.serve(signals.stop()).await.map_err(failed)?;
    tracing::info!("stopped");
    Ok(())
}

/// An error with its causes. A cause that the line has told already is not repeated.
pub(super) fn in_one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line.push_str(&format!(": {text}"));
        }
        cause = error.source();
    }
    line.replace('\n', " ")
}

/// Programs read the first line. Whoever started the server may have stopped reading: that must not stop it.
fn announce(address: SocketAddr, made_demo: bool) {
    let mut stdout = std::io::stdout().lock();
    let hint = if made_demo { demo::lines_to_copy(address) } else { demo::short_hint(address) };
    let _ = writeln!(stdout, "listening on http://{address}").and_then(|()| stdout.flush());
    let _ = writeln!(stdout, "\n{hint}").and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    fn check(line: &[&str]) -> Result<(), Failure> {
        let line = std::iter::once("serve").chain(line.iter().copied());
        Program::try_parse_from(line).ok().unwrap().args.check()
    }

    #[test]
    fn it_serves_without_tokens_only_in_development_and_on_loopback() {
        assert!(check(&["--dev"]).is_ok());
        assert!(check(&["--dev", "--listen", "[::1]:0"]).is_ok());
        assert!(matches!(check(&[]), Err(Failure::Usage(message)) if message.contains("--dev")));
        for address in ["0.0.0.0:50051", "192.168.0.1:1", "[::]:50051"] {
            assert!(matches!(check(&["--dev", "--listen", address]), Err(Failure::Usage(_))), "{address}");
        }
    }
}
