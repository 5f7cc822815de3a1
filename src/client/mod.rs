//! A client for buyers' programs that does the retries right: the same ids at each attempt, back-off with jitter, a deadline
//! that the server is told, and no second try for what was refused.
//!
//! ```no_run
//! use boxoffice::client::{Caller, Client, Config, Error, Refusal};
//! use boxoffice_proto::v1::{ConfirmReservationRequest, CreateReservationRequest, Reservation, reservation::Line};
//!
//! # async fn buy() -> Result<(), Error> {
//! let client = Client::connect(&["http://127.0.0.1:50051"], Caller::owner("ann")?, Config::default())?;
//! let line = Line { allocation: "events/demo/allocations/floor".into(), quantity: 2, ..Line::default() };
//! let hold = client
//!     .create_reservation(CreateReservationRequest {
//!         parent: "events/demo".into(),
//!         reservation: Some(Reservation { lines: vec![line], ..Reservation::default() }),
//!         ..CreateReservationRequest::default() // no reservation_id: the client chooses one
//!     })
//!     .await;
//! match hold {
//!     Ok(hold) => {
//!         let order_ref = "order-1".into();
//!         let request = ConfirmReservationRequest { name: hold.name, order_ref, ..Default::default() };
//!         client.confirm_reservation(request).await?;
//!     }
//!     Err(Error::Refused(refused)) if refused.refusal == Refusal::SoldOut => println!("sold out"),
//!     Err(error) => return Err(error),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Every call that changes something can be repeated as it is, because its ids make it happen once. So after
//! [`Error::Unanswered`] the same request may be sent again at any later time, and is answered with the truth.
//! (`docs/clients.md` says the same for other languages.)

mod answer;
mod caller;
mod config;
mod refusal;
#[cfg(test)]
mod tests;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use boxoffice_proto::v1;
use boxoffice_proto::v1::inventory_service_client::InventoryServiceClient;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use self::answer::{Failed, Verdict, judge};
pub use self::caller::Caller;
pub use self::config::Config;
pub use self::refusal::{Refusal, Refused};
pub use self::waiting::Waiting;

/// Largest answer: an event may have a thousand allocations.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Why there is no answer that could be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server said no. No attempt of this call had an effect, and asking again is answered the same until something else
    /// changes. (Of an earlier call with the same id that was [`Error::Unanswered`], `UNAUTHENTICATED`, `PERMISSION_DENIED` and
    /// `RATE_LIMITED` tell nothing.)
    #[error(transparent)]
    Refused(Box<Refused>),
    /// No attempt was answered in time, or the server failed at it (INTERNAL), or one had no answer and the next was turned away
    /// without a look at what became of it (`UNAUTHENTICATED`, `PERMISSION_DENIED`, `RATE_LIMITED`). Whether the call had an effect
    /// is unknown: send the same request again later.
    #[error("what became of {name} is not known after {attempts} attempts")]
    Unanswered {
        /// What the call was about: the reservation's name, its id included where this client chose it, or the event's.
        name: String,
        /// How often it was sent.
        attempts: u32,
        /// What became of the last attempt.
        #[source]
        last: Box<Status>,
    },
    /// A server's URL, an owner's name or a token that cannot be one.
    #[error("{0}")]
    Unusable(String),
}

/// A buyer's (or a gateway's) connections. Clones share them.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
    caller: Caller,
}

#[derive(Debug)]
struct Shared {
    /// Never empty.
    servers: Vec<Channel>,
    config: Config,
    /// Whose turn it is, modulo their number. It moves on when an attempt fails.
    turn: AtomicUsize,
    retries: AtomicU64,
}

impl Client {
    /// Prepares connections to `servers` (URLs, all of the same service), which connect when they are first used. The first is
    /// asked until an attempt fails; then the next has its turn.
    ///
    /// # Errors
    /// [`Error::Unusable`]: there is no URL, or one cannot be read.
    pub fn connect(servers: &[impl AsRef<str>], caller: Caller, config: Config) -> Result<Self, Error> {
        let channel = |url: &str| {
            let endpoint = Endpoint::from_shared(url.to_owned())
                .map_err(|_| Error::Unusable(format!("not a server's URL: {url:?}")))?;
            Ok(config.prepare(endpoint).connect_lazy())
        };
        let channels = servers.iter().map(|url| channel(url.as_ref())).collect::<Result<Vec<_>, _>>()?;
        Self::over(channels, caller, config)
    }

    /// The same over channels of your own making, such as ones with TLS ([`Config::prepare`]).
    ///
    /// # Errors
    /// [`Error::Unusable`]: there is no channel.
    pub fn over(channels: Vec<Channel>, caller: Caller, config: Config) -> Result<Self, Error> {
        if channels.is_empty() {
            return Err(Error::Unusable("no server is named".to_owned()));
        }
        let (turn, retries) = Default::default();
        Ok(Self { shared: Arc::new(Shared { servers: channels, config, turn, retries }), caller })
    }

    /// The same over the same connections, with a pass of the event's waiting room ([`Client::wait_in_room`]).
    ///
    /// # Errors
    /// [`Error::Unusable`]: not 1 or more printable ASCII characters without spaces.
    pub fn with_pass(&self, pass: &str) -> Result<Self, Error> {
        Ok(Self { shared: Arc::clone(&self.shared), caller: self.caller.clone().with_pass(pass)? })
    }

    /// How many attempts were repetitions, over all calls: worth watching.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.shared.retries.load(Ordering::Relaxed)
    }

    /// One event with its allocations and counts.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get_event(&self, request: v1::GetEventRequest) -> Result<v1::Event, Error> {
        let name = request.name.clone();
        self.call(name, request, async |to: Channel, request| inventory(to).get_event(request).await).await
    }

    /// Takes units. Without a `reservation_id`, the client chooses one (of version 7, which is stored fastest). A program that
    /// wants to know after a crash what became of it chooses the id itself, and writes it down first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn create_reservation(
        &self,
        mut request: v1::CreateReservationRequest,
    ) -> Result<v1::Reservation, Error> {
        if request.reservation_id.is_empty() {
            request.reservation_id = (self.shared.config.new_id)().to_string();
        }
        let name = format!("{}/reservations/{}", request.parent, request.reservation_id);
        self.call(name, request, async |to: Channel, request| inventory(to).create_reservation(request).await).await
    }

    /// One of the caller's reservations.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn get_reservation(&self, name: &str) -> Result<v1::Reservation, Error> {
        let request = v1::GetReservationRequest { name: name.to_owned() };
        self.call(name.to_owned(), request, async |to: Channel, request| inventory(to).get_reservation(request).await)
            .await
    }

    /// Makes a live hold last longer.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn extend_reservation(&self, request: v1::ExtendReservationRequest) -> Result<v1::Reservation, Error> {
        let name = request.name.clone();
        self.call(name, request, async |to: Channel, request| inventory(to).extend_reservation(request).await).await
    }

    /// Sells a hold for `order_ref`, which the caller chooses once for each order.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn confirm_reservation(&self, request: v1::ConfirmReservationRequest) -> Result<v1::Reservation, Error> {
        let name = request.name.clone();
        self.call(name, request, async |to: Channel, request| inventory(to).confirm_reservation(request).await).await
    }

    /// Gives a hold back.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn release_reservation(&self, name: &str) -> Result<v1::Reservation, Error> {
        let request = v1::ReleaseReservationRequest { name: name.to_owned() };
        let send = async |to: Channel, request| inventory(to).release_reservation(request).await;
        self.call(name.to_owned(), request, send).await
    }

    /// Refunds, up to the quantities that are named.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn cancel_reservation(&self, request: v1::CancelReservationRequest) -> Result<v1::Reservation, Error> {
        let name = request.name.clone();
        self.call(name, request, async |to: Channel, request| inventory(to).cancel_reservation(request).await).await
    }

    /// Sends the very same message until it is answered, as often and as long as the configuration allows.
    async fn call<Q: Clone, A>(
        &self,
        name: String,
        message: Q,
        send: impl AsyncFn(Channel, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, Error> {
        let config = &self.shared.config;
        let begun = Instant::now();
        let left = || config.deadline.saturating_sub(begun.elapsed());
        let mut attempts = 0;
        // Whether an attempt may have had its effect.
        let mut in_doubt = false;
        loop {
            let limit = config.attempt_timeout.min(left());
            let (turn, server) = self.shared.next_server();
            // The server is told the limit, and drops what it has not begun by then.
            let mut request = Request::new(message.clone());
            request.set_timeout(limit);
            self.caller.stamp(request.metadata_mut());
            attempts += 1;
            let failed = match timeout(limit, send(server, request)).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) => match judge(status, in_doubt) {
                    Verdict::Again(failed) => failed,
                    Verdict::Unknown(status) => {
                        return Err(Error::Unanswered { name, attempts, last: Box::new(status) });
                    }
                    Verdict::Refused(refused) => return Err(Error::Refused(refused)),
                },
                Err(_) => Failed::in_time(),
            };
            in_doubt |= failed.in_doubt;
            self.shared.move_on_from(turn);
            let pause = config.pause(attempts, failed.asked_for, (config.chance)());
            if attempts >= config.attempts_max || pause >= left() {
                return Err(Error::Unanswered { name, attempts, last: Box::new(failed.status) });
            }
            sleep(pause).await;
            self.shared.retries.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn inventory(channel: Channel) -> InventoryServiceClient<Channel> {
    InventoryServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)
}

impl Shared {
    /// The server whose turn it is, and the turn's number.
    fn next_server(&self) -> (usize, Channel) {
        let turn = self.turn.load(Ordering::Relaxed);
        (turn, self.servers[turn % self.servers.len()].clone())
    }

    /// Lets the next server have its turn. Of many calls that failed together, only the first moves it.
    fn move_on_from(&self, turn: usize) {
        let _ = self.turn.compare_exchange(turn, turn.wrapping_add(1), Ordering::Relaxed, Ordering::Relaxed);
    }
}
