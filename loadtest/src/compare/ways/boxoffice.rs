//! Boxoffice itself: one call sells one ticket at once, as at the door, and a retry carries the same reservation id.

use anyhow::{Context as _, Result, bail};
use boxoffice_proto::v1::reservation::{Line, State};
use boxoffice_proto::v1::{CreateReservationRequest, Reservation};
use tonic::Code;

use crate::client::{Connections, Inventory, owned_by, owner_value, reason};
use crate::compare::way::{Client, Ledger, Sale, Told, Try, Way};
use crate::event::{SaleEvent, Terms};
use crate::fetch;

/// Connections that all buyers share.
const CONNECTIONS: usize = 8;
/// Nothing is held here, but an event has terms.
const TERMS: Terms = Terms { limit_per_owner: 0, limit_per_allocation: 0, hold_seconds: 60, hold_seconds_max: 60 };
const ORDER_REF: &str = "door";
const OWNER_PREFIX: &str = "b";

/// Boxoffice.
pub(in crate::compare) struct Boxoffice {
    connections: Connections,
    /// What the ids of this run's events begin with.
    prefix: String,
}

impl Boxoffice {
    /// Over the servers at these places.
    pub(in crate::compare) fn new(urls: &[String], prefix: String) -> Result<Self> {
        Ok(Self { connections: Connections::new(urls, CONNECTIONS)?, prefix })
    }

    fn event(&self, sale: Sale) -> SaleEvent {
        SaleEvent::named(&event_id(&self.prefix, sale))
    }

    /// What the server's own audit says against a sale.
    pub(in crate::compare) async fn differences(&self, sale: Sale) -> Result<Vec<String>> {
        let audit = fetch::server_audit(&mut self.connections.admin(0), &self.event(sale)).await?;
        Ok(fetch::differences(&audit))
    }
}

impl Way for Boxoffice {
    type Client = Buyer;

    const HAS_IDEMPOTENCY_KEY: bool = true;

    async fn open(&self, sale: Sale) -> Result<()> {
        let (mut admin, id) = (self.connections.admin(0), event_id(&self.prefix, sale));
        SaleEvent::create(&mut admin, &id, sale.capacity, TERMS).await.map(drop)
    }

    async fn client(&self, index: usize) -> Result<Buyer> {
        Ok(Buyer { inventory: self.connections.inventory(index), prefix: self.prefix.clone() })
    }

    async fn ledger(&self, sale: Sale) -> Result<Ledger> {
        let event = self.event(sale);
        let counters = fetch::counters(&mut self.connections.inventory(0), &event).await?;
        let taken = counters.allocations.iter().map(|counter| i64::from(counter.held) + i64::from(counter.sold)).sum();
        let mut purchases = Vec::new();
        for stored in fetch::reservations(&mut self.connections.admin(0), &event).await? {
            if stored.view.state == State::Confirmed {
                let number = stored.owner.strip_prefix(OWNER_PREFIX).and_then(|number| number.parse().ok());
                purchases.push(number.with_context(|| format!("nobody was called {}", stored.owner))?);
            }
        }
        Ok(Ledger { taken, purchases })
    }
}

/// A buyer's connection.
pub(in crate::compare) struct Buyer {
    inventory: Inventory,
    prefix: String,
}

impl Client for Buyer {
    async fn buy(&mut self, attempt: Try) -> Result<Told> {
        let event = SaleEvent::named(&event_id(&self.prefix, attempt.sale));
        let line = Line { allocation: event.allocation(0).to_owned(), quantity: 1, ..Line::default() };
        let request = CreateReservationRequest {
            parent: event.name,
            reservation_id: attempt.id.to_string(),
            reservation: Some(Reservation { lines: vec![line], ..Reservation::default() }),
            order_ref: ORDER_REF.to_owned(),
            ..CreateReservationRequest::default()
        };
        let owner = owner_value(&format!("{OWNER_PREFIX}{}", attempt.number));
        match self.inventory.create_reservation(owned_by(owner, request)).await {
            Ok(_) => Ok(Told::Sold),
            Err(status) if status.code() == Code::FailedPrecondition => match reason(&status).as_deref() {
                Some("SOLD_OUT") => Ok(Told::SoldOut),
                other => bail!("a purchase was refused: {other:?}"),
            },
            Err(status) => Err(status).context("a purchase failed"),
        }
    }
}

fn event_id(prefix: &str, sale: Sale) -> String {
    format!("{prefix}-{}", sale.number)
}
