//! Buyers who all buy at once, through whichever server answers, and keep account of what they were told.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use boxoffice_proto::v1;
use boxoffice_proto::v1::reservation::State;
use tokio::task::JoinHandle;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{Inventory, Server, assert_audit_is_clean, by, confirm, event, get, new_id, reason, until, wants};

/// How long a buyer rests before he asks again. Shorter than servers ask for, to see soon when they serve again.
const REST: Duration = Duration::from_millis(20);

/// Refusals that no server made.
const NOT_CONNECTED: &str = "(not connected)";
const NOT_SENT: &str = "(connection closed before the call was sent)";

/// Longest wait for something that must come, on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where buyers find servers, as a load balancer would tell them.
#[derive(Default)]
pub(crate) struct Front(Mutex<Vec<Inventory>>);

impl Front {
    pub(crate) fn of(servers: &[&Server]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(servers.iter().map(|server| server.inventory()).collect())))
    }

    /// Puts a server in the place of another.
    pub(crate) fn replace(&self, index: usize, server: &Server) {
        self.0.lock().expect("no panic")[index] = server.inventory();
    }

    fn client(&self, turn: usize) -> Inventory {
        let clients = self.0.lock().expect("no panic");
        clients[turn % clients.len()].clone()
    }
}

/// What a buyer was told of one reservation.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) owner: String,
    /// The answer, once there was one.
    pub(crate) reserved: Option<v1::Reservation>,
    /// Whether he asked to buy it, and whether he was told that he has.
    pub(crate) wanted: bool,
    pub(crate) confirmed: bool,
}

/// What all buyers were told.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) told: Vec<Told>,
    /// How often a call was refused, by code and reason.
    pub(crate) refused: BTreeMap<String, usize>,
    /// The longest wait for an answer, granted or refused.
    pub(crate) longest_wait: Duration,
}

/// Buyers at work.
pub(crate) struct Rush {
    stop: Arc<AtomicBool>,
    granted: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    buyers: Vec<JoinHandle<Account>>,
}

enum Call {
    Reserve,
    Confirm,
}

/// A buyer's calls. He repeats each with the same id, through one server after another, until it is answered.
struct Buyer {
    front: Arc<Front>,
    owner: String,
    turn: usize,
    stop: Arc<AtomicBool>,
    granted: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    account: Account,
}

impl Rush {
    /// Lets `buyers` reserve units of `floor`, and buy every other one, until they are told to stop.
    pub(crate) fn begin(front: &Arc<Front>, buyers: usize) -> Self {
        let (stop, granted, refused) = <(Arc<AtomicBool>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let buyer = |number: usize| Buyer {
            front: Arc::clone(front),
            owner: format!("buyer-{number}"),
            turn: number,
            stop: Arc::clone(&stop),
            granted: Arc::clone(&granted),
            refused: Arc::clone(&refused),
            account: Account::default(),
        };
        let buyers = (0..buyers).map(|number| tokio::spawn(buyer(number).buy())).collect();
        Self { stop, granted, refused, buyers }
    }

    /// Returns when `more` calls were granted since now, and how long that took.
    pub(crate) async fn granted(&self, more: usize) -> Duration {
        self.counted(&self.granted, more).await
    }

    /// Returns when `more` calls were answered with an error since now, and how long that took.
    pub(crate) async fn refused(&self, more: usize) -> Duration {
        self.counted(&self.refused, more).await
    }

    async fn counted(&self, counter: &AtomicUsize, more: usize) -> Duration {
        let enough = counter.load(Ordering::SeqCst) + more;
        let begin = Instant::now();
        let what = format!("{more} more calls are answered as expected");
        until(&what, async || counter.load(Ordering::SeqCst) >= enough).await;
        begin.elapsed()
    }

    /// Lets them end what they are at.
    pub(crate) async fn end(self) -> Account {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Account::default();
        for buyer in self.buyers {
            let account = buyer.await.expect("a buyer was told nothing that he must not be told");
            all.told.extend(account.told);
            for (why, count) in account.refused {
                *all.refused.entry(why).or_default() += count;
            }
            all.longest_wait = all.longest_wait.max(account.longest_wait);
        }
        all
    }
}

impl Buyer {
    async fn buy(mut self) -> Account {
        while !self.stop.load(Ordering::SeqCst) {
            let id = new_id();
            let reserved = self.until_answered(&Call::Reserve, &id).await;
            let wanted = reserved.is_some() && self.account.told.len() % 2 == 1;
            let confirmed = wanted && self.until_answered(&Call::Confirm, &id).await.is_some();
            self.account.told.push(Told { id, owner: self.owner.clone(), reserved, wanted, confirmed });
        }
        self.account
    }

    /// Repeats a call until it is granted. `None`: the buyer was stopped before that.
    async fn until_answered(&mut self, call: &Call, id: &str) -> Option<v1::Reservation> {
        loop {
            let begin = Instant::now();
            let mut client = self.front.client(self.turn);
            let answer = match call {
                Call::Reserve => client.create_reservation(by(&self.owner, wants(id, &[("floor", 1)]))).await,
                Call::Confirm => client.confirm_reservation(by(&self.owner, confirm(id, "order"))).await,
            };
            self.account.longest_wait = self.account.longest_wait.max(begin.elapsed());
            match answer {
                Ok(granted) => {
                    self.granted.fetch_add(1, Ordering::SeqCst);
                    return Some(granted.into_inner());
                }
                Err(status) => {
                    self.refused.fetch_add(1, Ordering::SeqCst);
                    *self.account.refused.entry(why(&status)).or_default() += 1;
                }
            }
            if self.stop.load(Ordering::SeqCst) {
                return None;
            }
            self.turn += 1;
            tokio::time::sleep(REST).await;
        }
    }
}

/// What a refusal is counted under. While a server or its database is away, a caller is told that, and when to come again.
fn why(status: &Status) -> String {
    let reason = reason(status);
    if ["STORE_UNAVAILABLE", "OVERLOADED", "SHUTTING_DOWN"].contains(&reason.as_str()) {
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.get_details_retry_info().is_some(), "it says when to try again: {status}");
        return reason;
    }
    // Without a reason it does not come from a server: there was no connection, or it ended before the call was sent, which
    // the client's library calls cancelled, or after that.
    assert_eq!(reason, "", "{status}");
    match status.code() {
        Code::Unavailable => NOT_CONNECTED.to_owned(),
        Code::Cancelled if status.message() == "operation was canceled" => NOT_SENT.to_owned(),
        _ if has_left_in_order(status) => NOT_SENT.to_owned(),
        other => format!("{other:?} {}", status.message()),
    }
}

/// Whether the server said goodbye in an orderly way (GOAWAY with `NO_ERROR`) while the call was on its way to it: calls after the
/// last one that a goodbye names were not begun (RFC 9113, 6.8). `tonic` calls that INTERNAL.
fn has_left_in_order(status: &tonic::Status) -> bool {
    let mut causes = std::iter::successors(status.source(), |error| (*error).source());
    causes.any(|cause| {
        let error = cause.downcast_ref::<h2::Error>();
        error.is_some_and(|error| {
            error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
        })
    })
}

impl Account {
    /// Fails unless everything that was acknowledged is there, and nothing else but what was asked for, and nothing twice.
    /// Returns how many reservations were acknowledged.
    pub(crate) async fn check(&self, server: &Server) -> usize {
        let mut client = server.inventory();
        let (mut held, mut sold) = (0, 0);
        for told in &self.told {
            let found = match client.get_reservation(by(&told.owner, get(&told.id))).await {
                Ok(found) => found.into_inner(),
                Err(status) => {
                    assert_eq!(status.code(), Code::NotFound, "{status}");
                    assert!(told.reserved.is_none(), "{} was acknowledged and is lost", told.id);
                    continue;
                }
            };
            if let Some(reserved) = &told.reserved {
                assert_eq!((&found.lines, &found.create_time), (&reserved.lines, &reserved.create_time));
            }
            let count = if found.state() == State::Confirmed { &mut sold } else { &mut held };
            *count += 1;
            assert!([State::Held, State::Confirmed].contains(&found.state()), "{} is {:?}", told.id, found.state());
            assert!(!told.confirmed || found.state() == State::Confirmed, "{} was acknowledged as sold", told.id);
            assert!(told.wanted || found.state() == State::Held, "nobody asked to buy {}", told.id);
        }
        let floor = &event(server).await.allocations[0];
        assert_eq!((floor.held, floor.sold), (held, sold), "each reservation is of one unit, and there are no others");
        let report = assert_audit_is_clean(server).await;
        assert_eq!(report.reservations, i64::from(held + sold));
        self.told.iter().filter(|told| told.reserved.is_some()).count()
    }

    /// Fails if a caller was told anything but that the server or its database is away for now.
    pub(crate) fn only_unavailable(&self) {
        self.only(&["STORE_UNAVAILABLE", "OVERLOADED", "SHUTTING_DOWN", NOT_CONNECTED, NOT_SENT]);
    }

    /// Fails if a caller was told anything but that the database is away for now, as no server was.
    pub(crate) fn only_store_unavailable(&self) {
        self.only(&["STORE_UNAVAILABLE"]);
    }

    fn only(&self, allowed: &[&str]) {
        let other: Vec<_> = self.refused.keys().filter(|why| !allowed.contains(&why.as_str())).collect();
        assert!(other.is_empty(), "{:?}", self.refused);
    }
}
