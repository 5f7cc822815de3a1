//! A sale: so many buyers at work at the same time, each of whom tries until he is told something, and then makes room for
//! the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use hdrhistogram::Histogram;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::way::{Client, Ledger, Sale, Told, Try, Way};
use crate::back_off::BackOff;
use crate::clock::time_ordered_id;
use crate::report::{latency_histogram, record};

/// How long a try, or a connection, may take before its outcome is called unknown.
const TRY_WAIT_MAX: Duration = Duration::from_secs(20);
/// How long a buyer tries without any answer before the run is given up: far longer than a store needs to recover.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two tries of a buyer who got no answer.
const RETRY: BackOff = BackOff { first: Duration::from_millis(5), longest: Duration::from_millis(200) };
/// Tries of one buyer have numbers of their own, up to this many.
const TRIES_MAX: u32 = 1 << 16;

/// What buyers and whoever kills stores share.
#[derive(Debug)]
pub(super) struct Progress {
    next_buyer: AtomicU32,
    sold: AtomicU32,
    over: AtomicBool,
    /// When so many tickets are sold, the next buyers wait at the door.
    door: watch::Sender<u32>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            next_buyer: AtomicU32::new(0),
            sold: AtomicU32::new(0),
            over: AtomicBool::new(false),
            door: watch::Sender::new(u32::MAX),
        }
    }
}

impl Progress {
    /// Buyers who were told that they have a ticket.
    pub(super) fn sold(&self) -> u32 {
        self.sold.load(Ordering::Relaxed)
    }

    /// Whether all buyers have gone.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Lets no more buyers begin when so many tickets are sold, until this is called again. So a sale, however fast, is not
    /// over before its store is killed; and when it is, buyers press in.
    pub(super) fn close_door_at(&self, sold: u32) {
        self.door.send_replace(sold);
    }

    /// The next buyer's number, when the door is open for him.
    async fn next_buyer(&self) -> u32 {
        // An error means that nobody could open the door any more; but this very value holds the other end.
        let _ = self.door.subscribe().wait_for(|door| self.sold() < *door).await;
        self.next_buyer.fetch_add(1, Ordering::Relaxed)
    }
}

/// What the buyers of a sale saw.
pub(super) struct Outcome {
    /// The number of each try that was told that it bought a ticket.
    pub(super) sold: Vec<i64>,
    /// How long each of these took, in microseconds.
    pub(super) latency: Histogram<u64>,
    /// From the first try to the last ticket sold.
    pub(super) seconds: f64,
    /// Tries whose outcome nobody knows.
    pub(super) unknown: u64,
}

/// Opens the connections of all buyers at work.
pub(super) async fn connect<W: Way>(way: &Arc<W>, in_flight: u32) -> Result<Vec<W::Client>> {
    let mut clients = Vec::new();
    for index in 0..in_flight as usize {
        clients.push(way.client(index).await?);
    }
    Ok(clients)
}

/// Lets `buyers` buyers buy, over the connections of `clients`, which are given back.
pub(super) async fn hold<W: Way>(
    way: &Arc<W>,
    sale: Sale,
    buyers: u32,
    clients: Vec<W::Client>,
    progress: &Arc<Progress>,
) -> Result<(Outcome, Vec<W::Client>)> {
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for (index, client) in clients.into_iter().enumerate() {
        let desk = Desk { way: Arc::clone(way), index, sale, buyers, progress: Arc::clone(progress) };
        tasks.spawn(desk.serve(client));
    }
    let mut outcome = Outcome { sold: Vec::new(), latency: latency_histogram(), seconds: 0.0, unknown: 0 };
    let (mut clients, mut last_sold) = (Vec::new(), begun);
    while let Some(served) = tasks.join_next().await {
        let (share, client) = served??;
        outcome.sold.extend(share.sold);
        outcome.latency.add(&share.latency)?;
        outcome.unknown += share.unknown;
        last_sold = last_sold.max(share.last_sold.unwrap_or(begun));
        clients.push(client);
    }
    progress.over.store(true, Ordering::Relaxed);
    outcome.seconds = (last_sold - begun).as_secs_f64();
    Ok((outcome, clients))
}

/// Reads what a sale came to: with the patience of a buyer, for a kill leaves dead connections, which are found out one by one.
///
/// # Errors
/// Where it cannot be read for long.
pub(super) async fn ledger<W: Way>(way: &W, sale: Sale) -> Result<Ledger> {
    let (begun, mut random) = (Instant::now(), SmallRng::seed_from_u64(0));
    let mut tried = 0;
    loop {
        let read = timeout(TRY_WAIT_MAX, way.ledger(sale)).await.context("no answer in time").flatten();
        if read.is_ok() || begun.elapsed() > PATIENCE {
            return read.context("what was sold cannot be read");
        }
        sleep(RETRY.pause(tried, &mut random)).await;
        tried += 1;
    }
}

/// Where one buyer after the other is served.
struct Desk<W> {
    way: Arc<W>,
    index: usize,
    sale: Sale,
    buyers: u32,
    progress: Arc<Progress>,
}

/// What one desk saw.
struct Share {
    sold: Vec<i64>,
    latency: Histogram<u64>,
    last_sold: Option<Instant>,
    unknown: u64,
}

impl<W: Way> Desk<W> {
    async fn serve(self, mut client: W::Client) -> Result<(Share, W::Client)> {
        let mut share = Share { sold: Vec::new(), latency: latency_histogram(), last_sold: None, unknown: 0 };
        let seed = u64::from(self.sale.number.unsigned_abs()) << 32 | self.index as u64;
        let mut random = SmallRng::seed_from_u64(seed);
        loop {
            let buyer = self.progress.next_buyer().await;
            if buyer >= self.buyers {
                return Ok((share, client));
            }
            client = self.visit(buyer, client, &mut share, &mut random).await?;
        }
    }

    /// One buyer, from his first try to an answer.
    async fn visit(
        &self,
        buyer: u32,
        client: W::Client,
        share: &mut Share,
        random: &mut SmallRng,
    ) -> Result<W::Client> {
        let (id, begun) = (time_ordered_id(random), Instant::now());
        let mut client = Some(client);
        for tried in 0..TRIES_MAX {
            let again = if W::HAS_IDEMPOTENCY_KEY { 0 } else { tried };
            let number = i64::from(buyer) * i64::from(TRIES_MAX) + i64::from(again);
            let answer = self.ask(&mut client, Try { sale: self.sale, number, id }, share).await;
            match (answer, client.take()) {
                (Ok(told), Some(open)) => {
                    self.note(told, number, begun, share);
                    return Ok(open);
                }
                (Err(error), _) if begun.elapsed() > PATIENCE => {
                    return Err(error).with_context(|| format!("a buyer got no answer within {PATIENCE:?}"));
                }
                (Err(_) | Ok(_), _) => sleep(RETRY.pause(tried, random)).await,
            }
        }
        bail!("a buyer got no answer in {TRIES_MAX} tries")
    }

    /// One try, over the connection that is there, or over a new one. After an error the connection is gone.
    async fn ask(&self, client: &mut Option<W::Client>, attempt: Try, share: &mut Share) -> Result<Told> {
        let mut open = match client.take() {
            Some(open) => open,
            None => timeout(TRY_WAIT_MAX, self.way.client(self.index)).await.context("connecting takes too long")??,
        };
        let answer = timeout(TRY_WAIT_MAX, open.buy(attempt)).await.context("no answer in time");
        match answer.flatten() {
            Ok(told) => {
                *client = Some(open);
                Ok(told)
            }
            Err(error) => {
                share.unknown += 1;
                Err(error)
            }
        }
    }

    fn note(&self, told: Told, number: i64, begun: Instant, share: &mut Share) {
        if told == Told::Sold {
            let now = Instant::now();
            share.sold.push(number);
            record(&mut share.latency, now - begun);
            share.last_sold = Some(now);
            self.progress.sold.fetch_add(1, Ordering::Relaxed);
        }
    }
}
