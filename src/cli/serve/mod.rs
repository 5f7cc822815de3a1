//! `serve`: runs a server.

pub(super) mod config;
mod demo;
mod limits;
mod logging;
mod redis;
mod security;
mod signals;
pub(super) mod store;
mod traces;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use boxoffice::causes::in_one_line;
use boxoffice::engine::{Board, Engine, EngineConfig};
use boxoffice::grpc::Authentication;
use boxoffice::redis::{Redis, RedisBoard};
use boxoffice::server::{Server, ServerConfig};
use boxoffice::waiting_room::{PassKeys, RedisRooms, Rooms};

use super::failure::Failure;
use super::values;
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
    security: security::Args,
    #[command(flatten)]
    store: store::Args,
    #[command(flatten)]
    limits: limits::Args,
    #[command(flatten)]
    redis: redis::Args,
    /// Where to listen; port 0: any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051", value_parser = values::address)]
    listen: SocketAddr,
    /// Where to serve /metrics and /healthz over plain HTTP, for monitoring; off unless given
    #[arg(long, value_name = "ADDR", value_parser = values::address)]
    operations_listen: Option<SocketAddr>,
    /// Keys of admission passes, the same for all servers: 1 to 4 secrets of at least 32 bytes in base64, one a line; the first
    /// signs. Read again when it changes [default: a key of this process alone, which no other server and no restart knows]
    #[arg(long, value_name = "FILE")]
    pass_key_file: Option<PathBuf>,
    /// How lines of the log look; RUST_LOG says which there are
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    #[command(flatten)]
    traces: traces::Args,
    /// How often to tidy up holds that have lapsed, and tell watchers; 0s: only when their units are needed
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = values::span)]
    sweep_interval: Duration,
}

/// Runs it until it is told to stop.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    args.check()?;
    to_the_end(logged(args))
}

/// How long threads may take after all has ended that is waited for. One may be in a call that nothing can end, such as a look-up
/// of a name for which no name server answers.
const REST_MAX: Duration = Duration::from_secs(1);

/// Does this work, and leaves behind what still goes on then.
fn to_the_end(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start the runtime: {error}")))?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(REST_MAX);
    result
}

impl Args {
    fn check(&self) -> Result<(), Failure> {
        if !self.dev {
            return self.security.check(self.listen);
        }
        if self.security.is_given() {
            let message =
                "--dev checks no tokens and encrypts nothing: it cannot be used with options of --auth or --tls";
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

    /// Where to listen, and for whom.
    fn server_config(&self, redis: Option<&Arc<Redis>>) -> Result<ServerConfig, Failure> {
        let config = match self.dev {
            true => ServerConfig::new(self.listen, Authentication::Dev),
            false => self.security.server_config(self.listen)?,
        };
        let wrong = |error| Failure::Failed(format!("--pass-key-file: {}", in_one_line(&error)));
        let pass_keys = self.pass_key_file.clone().map(PassKeys::load).transpose().map_err(wrong)?.map(Arc::new);
        let shared_rooms = redis.map(|redis| Arc::new(RedisRooms::new(Arc::clone(redis))) as Arc<dyn Rooms>);
        let (operations_listen, traces) = (self.operations_listen, self.traces.sampling());
        Ok(self.limits.apply(ServerConfig { operations_listen, traces, pass_keys, shared_rooms, ..config }, redis))
    }
}

/// Serves with a log and, where they are asked for, with traces.
async fn logged(args: Args) -> Result<(), Failure> {
    let exporter = args.traces.exporter()?;
    logging::start(args.log_format, exporter.as_ref())?;
    let result = serve(args).await;
    if let Some(exporter) = exporter {
        exporter.end().await;
    }
    result
}

async fn serve(args: Args) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    // Whoever waits for a database may be told to stop. Nobody is served yet, so there is nothing to end first.
    let (config, engine) = tokio::select! {
        begun = begin(&args) => begun?,
        () = signals.heard() => {
            tracing::info!("stopped before it served");
            return Ok(());
        }
    };
    let result = serve_until_told(config, &engine, signals, &args.store).await;
    engine.shutdown().await;
    result
}

/// What a server is made of: how to serve, and an engine that runs.
async fn begin(args: &Args) -> Result<(ServerConfig, Arc<Engine>), Failure> {
    // Before the database is touched: what is wrong with a key shows at once.
    let redis = args.redis.config()?.map(|config| Arc::new(Redis::start(config)));
    let server = args.server_config(redis.as_ref())?;
    let store = args.store.open().await?;
    let board = redis.as_ref().map(|redis| {
        let name = format!("{:032x}", fastrand::u128(..));
        Arc::new(RedisBoard::new(Arc::clone(redis), name)) as Arc<dyn Board>
    });
    let config = EngineConfig { sweep_interval: args.sweep_interval, ..EngineConfig::default() };
    let engine = Engine::start(store, config, board).await.map_err(|error| Failure::Failed(in_one_line(&error)))?;
    if let Some(redis) = &redis {
        engine.metrics().watch_redis(Arc::clone(redis.metrics()));
    }
    Ok((server, engine))
}

async fn serve_until_told(
    config: ServerConfig,
    engine: &Arc<Engine>,
    mut signals: Signals,
    store: &store::Args,
) -> Result<(), Failure> {
    let failed = |error| Failure::Failed(in_one_line(&error));
    let (dev, scheme) = (matches!(config.authentication, Authentication::Dev), scheme(&config));
    let server = Server::bind(config, Arc::clone(engine)).await.map_err(failed)?;
    let address = server.local_addr();
    let found = async {
        // A database may be others', too.
        let has_demo = dev && store.is_own() && demo::make_if_empty(engine).await?;
        let events = engine.store().events(None, 1).await;
        Ok::<_, Failure>((has_demo, events.is_ok_and(|events| events.items.is_empty())))
    };
    let (has_demo, is_empty) = tokio::select! {
        found = found => found?,
        () = signals.heard() => return Ok(()),
    };
    let hint = match dev {
        true if has_demo => demo::lines_to_copy(address),
        true => demo::short_hint(address),
        false => security::hint(scheme, address),
    };
    announce(scheme, address, &hint);
    // Whoever serves the wrong directory or database sees it here, before buyers do.
    let how = if is_empty { ", which has no events yet" } else { "" };
    tracing::info!("the inventory is in {}{how}", store.place());
    if let Some(address) = server.operations_addr() {
        tracing::info!("metrics and health are at http://{address}/metrics and /healthz");
    }
    server.serve(signals.stop()).await.map_err(failed)?;
    tracing::info!("stopped");
    Ok(())
}

const fn scheme(config: &ServerConfig) -> &'static str {
    if config.tls.is_some() { "https" } else { "http" }
}

/// Programs read the first line. Whoever started the server may have stopped reading: that must not stop it.
fn announce(scheme: &str, address: SocketAddr, hint: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "listening on {scheme}://{address}").and_then(|()| stdout.flush());
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

    #[test]
    fn a_thread_that_hangs_does_not_keep_the_program() {
        let (hangs, hung) = std::sync::mpsc::sync_channel::<()>(1);
        let begun = std::time::Instant::now();
        // It would go on for half a minute; at the end of the test it may go.
        let work = async {
            tokio::task::spawn_blocking(move || hung.recv_timeout(Duration::from_secs(30)));
            Ok(())
        };
        assert!(to_the_end(work).is_ok());
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        drop(hangs);
    }

    #[test]
    fn development_and_security_exclude_each_other() {
        let given: [&[&str]; 6] = [
            &["--auth-key", "k"],
            &["--auth-jwks", "k"],
            &["--auth-audience", "a"],
            &["--auth-issuer", "a"],
            &["--tls-cert", "c", "--tls-key", "k"],
            &["--tls-terminated-elsewhere"],
        ];
        for options in given {
            assert!(matches!(check(&[&["--dev"], options].concat()), Err(Failure::Usage(_))), "{options:?}");
        }
    }

    #[test]
    fn other_machines_are_served_encrypted_or_not_at_all() {
        let keyed = ["--auth-key", "k", "--listen", "0.0.0.0:1"];
        assert!(matches!(check(&keyed), Err(Failure::Usage(message)) if message.contains("TLS")));
        assert!(check(&["--auth-key", "k", "--listen", "127.0.0.1:1"]).is_ok());
        assert!(check(&[&keyed[..], &["--tls-terminated-elsewhere"]].concat()).is_ok());
        assert!(check(&[&keyed[..], &["--tls-cert", "c", "--tls-key", "k"]].concat()).is_ok());
        let unkeyed = ["--tls-cert", "c", "--tls-key", "k"];
        assert!(matches!(check(&unkeyed), Err(Failure::Usage(message)) if message.contains("--auth-key")));
    }
}
