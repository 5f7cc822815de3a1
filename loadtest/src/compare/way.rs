//! What every way to sell tickets looks like to the comparison.

use std::future::Future;

use anyhow::Result;
use uuid::Uuid;

/// A sale of `capacity` equal tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sale {
    /// Which of a way's sales.
    pub(super) number: i32,
    /// Tickets for sale.
    pub(super) capacity: i32,
}

/// One try of one buyer to buy one ticket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Try {
    /// In which sale.
    pub(super) sale: Sale,
    /// Who tries, and is written down with the purchase. A way without an idempotency key gets another number with each try
    /// of the same buyer, because to it that is another purchase.
    pub(super) number: i64,
    /// The idempotency key, which is the same in all tries of a buyer.
    pub(super) id: Uuid,
}

/// What a buyer is told. That nobody knows is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// One ticket is his.
    Sold,
    /// None is left.
    SoldOut,
}

/// What the store shows when everything is quiet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ledger {
    /// Units that are not for sale any more, by the counter.
    pub(super) taken: i64,
    /// The number of the try that made each purchase that is written down.
    pub(super) purchases: Vec<i64>,
}

/// A way to sell tickets.
pub(super) trait Way: Send + Sync + 'static {
    /// How its buyers reach it.
    type Client: Client;

    /// Whether a buyer who was not answered asks again for the same purchase, rather than for another one.
    const HAS_IDEMPOTENCY_KEY: bool = false;

    /// Puts tickets on sale.
    fn open(&self, sale: Sale) -> impl Future<Output = Result<()>> + Send;

    /// The connection of the `index`th buyer at work.
    fn client(&self, index: usize) -> impl Future<Output = Result<Self::Client>> + Send;

    /// Reads what a sale came to.
    fn ledger(&self, sale: Sale) -> impl Future<Output = Result<Ledger>> + Send;
}

/// One connection. After an error it is replaced.
pub(super) trait Client: Send + 'static {
    /// Tries to buy a ticket. An error means that nobody knows whether it was bought.
    fn buy(&mut self, attempt: Try) -> impl Future<Output = Result<Told>> + Send;
}
