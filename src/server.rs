//! The gRPC server: listens, admits, serves, drains.

mod answer;
mod arrival;
mod connection;
mod front;
mod handshakes;
mod health;
mod operations;
mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use boxoffice_proto::v1::admin_service_server::AdminServiceServer;
use boxoffice_proto::v1::inventory_service_server::InventoryServiceServer;
use boxoffice_proto::v1::waiting_room_service_server::WaitingRoomServiceServer;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tonic::service::Routes;
use tonic_health::pb::health_server::{Health as HealthService, HealthServer};

use self::answer::Unread;
use self::front::{Front, Gates};
use self::health::Health;
use self::operations::Operations;
pub use self::tls::{Tls, TlsFiles};
use crate::engine::Engine;
use crate::files::{self, FileError, Reload};
use crate::grpc::admission::Admission;
use crate::grpc::{Admin, Api, Authentication, Inventory, WaitingRooms, Watchers};
use crate::rate::RateLimits;
use crate::storage::{BoxError, system_clock};
use crate::traces::Sampling;
use crate::waiting_room::{Door, DoorConfig, PassKeys, Rooms};

/// Most requests in flight over the whole server; more are refused with `OVERLOADED`.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 20_000;
/// Most open streams of `WatchEvent`, `WatchPlace` and `WatchChanges`.
pub const WATCHERS_MAX: usize = 10_000;
/// Most open streams of one owner.
pub const WATCHERS_PER_OWNER_MAX: usize = 32;
/// Most open streams of reflection, which is for everybody. Each may hold an answer of up to 50 KiB, more than all our
/// protos take, that nobody reads.
pub const REFLECTIONS_MAX: usize = 256;
/// Most open streams of `grpc.health.v1.Health/Watch`, which is for everybody. Clients that look after their connections by it
/// have one a connection.
pub const HEALTH_WATCHES_MAX: usize = 2_048;
/// Most connections; further ones wait until one closes.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Most requests in flight on one connection; a client's library holds back more.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 2_048;
/// Most bytes of one request.
pub const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most bytes of one request of health and reflection, which are for everybody. Reflection repeats a request in its answer, twice.
pub const ANYBODYS_REQUEST_BYTES_MAX: usize = 4 * 1024;
/// Most bytes of one request's headers, each counted with 32 bytes more than its name and value.
pub const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// Most bytes of answers that their callers do not read, over the whole server; more answers of that kind are refused with
/// `OVERLOADED`.
pub const UNREAD_BYTES_MAX: usize = 128 * 1024 * 1024;
/// How long requests in flight may take at shutdown.
pub const DRAIN_MAX: Duration = Duration::from_secs(10);

/// How long clients may take. Honest ones need milliseconds; whoever takes longer only keeps a place from others.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the first bytes of HTTP/2 on a new connection. (A TLS handshake before them has its own time.)
    pub greeting: Duration,
    /// For a request to arrive wholly.
    pub request: Duration,
    /// How often a connection is asked whether somebody is still there.
    pub keepalive_interval: Duration,
    /// How long the answer to that may take. It also ends those who stop in the middle of a frame, and those who read no more.
    pub keepalive_timeout: Duration,
}

impl Patience {
    /// What servers have.
    pub const USUAL: Self = Self {
        greeting: Duration::from_secs(10),
        request: Duration::from_secs(20),
        keepalive_interval: Duration::from_secs(30),
        keepalive_timeout: Duration::from_secs(20),
    };
}

/// How to serve.
#[derive(Clone)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where `/metrics` and `/healthz` are served over plain HTTP; `None`: nowhere.
    pub operations_listen: Option<SocketAddr>,
    /// How callers prove who they are.
    pub authentication: Authentication,
    /// How connections are encrypted, if they are.
    pub tls: Option<Arc<Tls>>,
    /// Whether something in front encrypts: then other machines may be served without TLS of our own.
    pub tls_terminated_elsewhere: bool,
    /// Which requests are traced; `None`: none.
    pub traces: Option<Sampling>,
    /// See [`REQUESTS_IN_FLIGHT_MAX`].
    pub requests_in_flight_max: usize,
    /// See [`WATCHERS_MAX`].
    pub watchers_max: usize,
    /// See [`WATCHERS_PER_OWNER_MAX`].
    pub watchers_per_owner_max: usize,
    /// See [`CONNECTIONS_MAX`].
    pub connections_max: usize,
    /// See [`UNREAD_BYTES_MAX`].
    pub unread_bytes_max: usize,
    /// How often owners and gateways may call.
    pub rates: Arc<RateLimits>,
    /// See [`DRAIN_MAX`].
    pub drain_max: Duration,
    /// How long clients may take.
    pub patience: Patience,
    /// What admission passes are signed with; `None`: a key of this process alone.
    pub pass_keys: Option<Arc<PassKeys>>,
    /// The waiting rooms that several servers share; `None`: this process has its own.
    pub shared_rooms: Option<Arc<dyn Rooms>>,
}

impl ServerConfig {
    /// With the usual bounds.
    pub fn new(listen: SocketAddr, authentication: Authentication) -> Self {
        Self {
            listen,
            operations_listen: None,
            authentication,
            tls: None,
            tls_terminated_elsewhere: false,
            traces: None,
            requests_in_flight_max: REQUESTS_IN_FLIGHT_MAX,
            watchers_max: WATCHERS_MAX,
            watchers_per_owner_max: WATCHERS_PER_OWNER_MAX,
            connections_max: CONNECTIONS_MAX,
            unread_bytes_max: UNREAD_BYTES_MAX,
            rates: Arc::default(),
            drain_max: DRAIN_MAX,
            patience: Patience::USUAL,
            pass_keys: None,
            shared_rooms: None,
        }
    }
}

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Everybody is who he says: that is not for the network.
    #[error(
        "{0} can be reached from other machines, but in development mode nobody proves who he is: listen on 127.0.0.1"
    )]
    NotLoopback(SocketAddr),
    /// Tokens would be sent for everybody on the way to read.
    #[error(
        "{0} can be reached from other machines, and without TLS whoever is on the way reads the tokens: name a \
         certificate, or say that something in front of the server encrypts"
    )]
    NotEncrypted(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no key for passes.
    #[error("no admission pass could be signed")]
    Passes(#[source] FileError),
    /// It stopped of itself.
    #[error("the server stopped")]
    Stopped(#[source] BoxError),
}

/// A server that listens, and does not serve yet.
pub struct Server {
    config: ServerConfig,
    engine: Arc<Engine>,
    listener: TcpListener,
    local_addr: SocketAddr,
    operations: Option<TcpListener>,
    pass_keys: Arc<PassKeys>,
}

impl Server {
    /// Listens. Connections wait until [`Self::serve`].
    ///
    /// # Errors
    /// Where the address may not or cannot be listened on.
    pub async fn bind(config: ServerConfig, engine: Arc<Engine>) -> Result<Self, ServeError> {
        let address = config.listen;
        let encrypted = config.tls.is_some() || config.tls_terminated_elsewhere;
        match config.authentication {
            _ if address.ip().is_loopback() => {}
            Authentication::Dev => return Err(ServeError::NotLoopback(address)),
            Authentication::Tokens(_) if !encrypted => return Err(ServeError::NotEncrypted(address)),
            Authentication::Tokens(_) => {}
        }
        let listener = listen(address).await?;
        let local_addr = listener.local_addr().map_err(|source| ServeError::Listen { address, source })?;
        let operations = match config.operations_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let pass_keys = match &config.pass_keys {
            Some(keys) => Arc::clone(keys),
            None => Arc::new(PassKeys::random().map_err(ServeError::Passes)?),
        };
        Ok(Self { config, engine, listener, local_addr, operations, pass_keys })
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where it serves `/metrics` and `/healthz`.
    pub fn operations_addr(&self) -> Option<SocketAddr> {
        self.operations.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `shutdown`, then takes no more connections, ends the streams, and lets requests in flight finish for
    /// at most `drain_max`. The engine still runs when this returns.
    ///
    /// # Errors
    /// Where it stops of itself.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServeError> {
        let (stopping, stopped) = watch::channel(false);
        let metrics = Arc::clone(self.engine.metrics());
        let watchers = Admission::new(self.config.watchers_max, Arc::clone(&metrics.watchers));
        let watchers = Watchers::new(watchers, self.config.watchers_per_owner_max);
        let requests = Admission::new(self.config.requests_in_flight_max, Arc::clone(&metrics.requests_in_flight));
        let (reporter, health_service) = tonic_health::server::health_reporter();
        let health = Arc::new(Health::serving(reporter, Arc::clone(&self.engine)).await);
        // They end with this function.
        let mut background = JoinSet::new();
        background.spawn(Arc::clone(&health).keep_checking());
        if let Some(listener) = self.operations {
            background.spawn(Arc::clone(&health).keep_totals());
            let operations = Operations { health: Arc::clone(&health), metrics: Arc::clone(&metrics) };
            background.spawn(operations.serve(listener));
        }
        for (what, each) in from_files(&self.config, &self.pass_keys) {
            background.spawn(files::follow(what, each));
        }
        let gates = gates(&self.config, requests.clone(), stopped.clone());
        let door = DoorConfig { keys: self.pass_keys, shared: self.config.shared_rooms, clock: system_clock() };
        let door = Arc::new(Door::new(door, Arc::clone(&metrics)));
        let mut shutdown = std::pin::pin!(shutdown);
        // Before the first request, so that nobody slips in. If the database does not answer now, nobody reserves until it does.
        tokio::select! {
            _ = door.look(self.engine.store()) => {}
            () = &mut shutdown => return Ok(()),
        }
        background.spawn(Arc::clone(&door).keep_looking(Arc::clone(&self.engine)));
        let api = Api::new(self.engine, stopped, watchers, Arc::clone(&self.config.rates), door);
        let (inventory, routes) = services(api, health_service)?;
        let patience = self.config.patience;
        let front = Front::new(inventory, routes, gates, metrics, self.config.traces);

        let draining = Notify::new();
        let begin_to_drain = async {
            shutdown.await;
            tracing::info!("shutting down");
            health.end().await;
            stopping.send_replace(true);
            draining.notify_one();
        };
        let serving = tonic::transport::Server::builder()
            .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
            .http2_max_header_list_size(HEADER_BYTES_MAX)
            .http2_keepalive_interval(Some(patience.keepalive_interval))
            .http2_keepalive_timeout(Some(patience.keepalive_timeout))
            .serve_with_incoming_shutdown(
                front,
                connection::incoming(
                    self.listener,
                    self.config.connections_max,
                    self.config.tls.clone(),
                    patience.greeting,
                ),
                begin_to_drain,
            );
        let drained_long_enough = async {
            draining.notified().await;
            tokio::time::sleep(self.config.drain_max).await;
        };
        tokio::select! {
            served = serving => served.map_err(|error| ServeError::Stopped(error.into())),
            () = drained_long_enough => {
                tracing::warn!(requests = requests.running(), "connections are cut that did not end in time");
                Ok(())
            }
        }
    }
}

/// What is read from files, and is kept up to date with them.
fn from_files(
    config: &ServerConfig,
    pass_keys: &Arc<PassKeys>,
) -> impl Iterator<Item = (&'static str, Arc<dyn Reload>)> {
    let keys = match &config.authentication {
        Authentication::Dev => None,
        Authentication::Tokens(verifier) => Some(Arc::clone(verifier) as Arc<dyn Reload>),
    };
    let certificates = config.tls.clone().map(|tls| tls as Arc<dyn Reload>);
    let passes = config.pass_keys.as_ref().map(|_| Arc::clone(pass_keys) as Arc<dyn Reload>);
    let all = [("keys of tokens", keys), ("TLS certificates", certificates), ("keys of passes", passes)];
    all.into_iter().filter_map(|(what, each)| Some((what, each?)))
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

/// What requests must pass.
fn gates(config: &ServerConfig, requests: Admission, stopping: watch::Receiver<bool>) -> Gates {
    Gates {
        requests,
        reflections: Admission::new(REFLECTIONS_MAX, Arc::default()),
        health_watches: Admission::new(HEALTH_WATCHES_MAX, Arc::default()),
        authentication: config.authentication.clone(),
        rates: Arc::clone(&config.rates),
        arrival_max: config.patience.request,
        unread: Unread::new(config.unread_bytes_max),
        stopping,
    }
}

/// Our services: the hot one, and the router of all others.
fn services<H: HealthService>(
    api: Api,
    health: HealthServer<H>,
) -> Result<(InventoryServiceServer<Inventory>, Routes), ServeError> {
    let inventory = InventoryServiceServer::new(Inventory(api.clone())).max_decoding_message_size(REQUEST_BYTES_MAX);
    let admin = AdminServiceServer::new(Admin(api.clone())).max_decoding_message_size(REQUEST_BYTES_MAX);
    let rooms = WaitingRoomServiceServer::new(WaitingRooms(api)).max_decoding_message_size(REQUEST_BYTES_MAX);
    let health = health.max_decoding_message_size(ANYBODYS_REQUEST_BYTES_MAX);
    let routes = Routes::new(health).add_service(admin).add_service(rooms);
    Ok((inventory, with_reflection(routes)?.prepare()))
}

/// Adds reflection, of both versions that clients use.
fn with_reflection(routes: Routes) -> Result<Routes, ServeError> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(boxoffice_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let wrong = |error: tonic_reflection::server::Error| ServeError::Stopped(error.into());
    let v1 = builder().build_v1().map_err(wrong)?.max_decoding_message_size(ANYBODYS_REQUEST_BYTES_MAX);
    let v1alpha = builder().build_v1alpha().map_err(wrong)?.max_decoding_message_size(ANYBODYS_REQUEST_BYTES_MAX);
    Ok(routes.add_service(v1).add_service(v1alpha))
}
