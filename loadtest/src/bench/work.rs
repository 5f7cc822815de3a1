//! The calls that are measured. They do as little on their side as they can.

use anyhow::{Context as _, Result, bail, ensure};
use boxoffice_proto::v1::batch_create_reservations_response::outcome::Outcome;
use boxoffice_proto::v1::reservation::Line;
use boxoffice_proto::v1::{
    BatchCreateReservationsRequest, ConfirmReservationRequest, CreateReservationRequest, Reservation,
};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tonic::Code;
use tonic::metadata::{Ascii, MetadataValue};
use tonic_health::pb::HealthCheckRequest;
use uuid::Uuid;

use super::driver::Work;
use crate::audit::findings::Key;
use crate::client::{Health, Inventory, owned_by, owner_value, reason};
use crate::clock::time_ordered_id;
use crate::event::SaleEvent;
use crate::misdeed::Misdeed;

/// Names of owners that nobody had before: the task's number, unique in a run, and a count.
#[derive(Debug)]
pub struct Names {
    task: u64,
    next: u64,
    random: SmallRng,
}

impl Names {
    /// The names of a task.
    pub fn new(seed: u64, task: u64) -> Self {
        Self { task, next: 0, random: SmallRng::seed_from_u64(seed ^ (task << 20)) }
    }

    fn owner(&mut self) -> String {
        self.next += 1;
        format!("o{:x}-{:x}", self.task, self.next)
    }

    /// The next owner, as metadata.
    pub fn owner_value(&mut self) -> MetadataValue<Ascii> {
        let name = self.owner();
        MetadataValue::try_from(name).unwrap_or_else(|_| owner_value("unprintable"))
    }

    /// A new reservation's id.
    pub fn id(&mut self) -> Uuid {
        time_ordered_id(&mut self.random)
    }
}

/// The empty call: a health check, the cheapest that the server can answer.
pub struct Empty(pub Health);

impl Work for Empty {
    async fn once(&mut self) -> Result<Option<u64>> {
        self.0.check(HealthCheckRequest { service: String::new() }).await.context("the empty call failed")?;
        Ok(Some(1))
    }
}

/// A request for one ticket.
pub fn reserve_one(event: &SaleEvent, id: Uuid) -> CreateReservationRequest {
    let line = Line { allocation: event.allocation(0).to_owned(), quantity: 1, ..Line::default() };
    CreateReservationRequest {
        parent: event.name.clone(),
        reservation_id: id.to_string(),
        reservation: Some(Reservation { lines: vec![line], ..Reservation::default() }),
        ..CreateReservationRequest::default()
    }
}

/// A hold of one ticket for a new owner each time; over several events, in turns.
pub struct Reserve {
    /// The client.
    pub client: Inventory,
    /// At least one.
    pub events: std::sync::Arc<Vec<SaleEvent>>,
    /// Where to begin among them.
    pub next: usize,
    /// New owners and ids.
    pub names: Names,
}

impl Work for Reserve {
    async fn once(&mut self) -> Result<Option<u64>> {
        self.next = (self.next + 1) % self.events.len().max(1);
        let event = self.events.get(self.next).context("there is no event")?;
        let request = owned_by(self.names.owner_value(), reserve_one(event, self.names.id()));
        self.client.create_reservation(request).await.context("a reservation failed")?;
        Ok(Some(1))
    }
}

/// Many holds in one call, each of one ticket for a new owner.
pub struct BatchReserve {
    /// The client.
    pub client: Inventory,
    /// The event.
    pub event: SaleEvent,
    /// Holds in one call.
    pub items: usize,
    /// New owners and ids.
    pub names: Names,
}

impl BatchReserve {
    /// One call; answers what it reserved, and for whom.
    ///
    /// # Errors
    /// Where any of the items fails.
    pub async fn reserve(&mut self) -> Result<Vec<(Uuid, String)>> {
        let made: Vec<_> = (0..self.items).map(|_| (self.names.id(), self.names.owner())).collect();
        let requests = made.iter().map(|(id, _)| reserve_one(&self.event, *id)).collect();
        let owners = made.iter().map(|(_, owner)| owner.clone()).collect();
        let request =
            BatchCreateReservationsRequest { parent: self.event.name.clone(), requests, owners, passes: Vec::new() };
        let request = owned_by(MetadataValue::from_static("gateway"), request);
        let answer = self.client.batch_create_reservations(request).await.context("a batch failed")?.into_inner();
        ensure!(answer.outcomes.len() == self.items, "{} outcomes came for {}", answer.outcomes.len(), self.items);
        for outcome in answer.outcomes {
            match outcome.outcome {
                Some(Outcome::Reservation(_)) => {}
                Some(Outcome::Error(status)) => bail!("an item of a batch failed: {}", status.message),
                None => bail!("an item of a batch has no outcome"),
            }
        }
        Ok(made)
    }
}

impl Work for BatchReserve {
    async fn once(&mut self) -> Result<Option<u64>> {
        Ok(Some(self.reserve().await?.len() as u64))
    }
}

/// A request that must be refused, because nothing is left.
pub struct Refuse {
    /// The client.
    pub client: Inventory,
    /// A sold-out event.
    pub event: SaleEvent,
    /// New owners and ids.
    pub names: Names,
}

impl Work for Refuse {
    async fn once(&mut self) -> Result<Option<u64>> {
        let request = owned_by(self.names.owner_value(), reserve_one(&self.event, self.names.id()));
        match self.client.create_reservation(request).await {
            Ok(_) => bail!(Misdeed::new(Key::Oversold, "a sold-out event sold")),
            Err(status) if status.code() == Code::FailedPrecondition => {
                // Reading the details costs the generator more than the call itself, so a sample has to do.
                let told = if self.names.next % 256 == 1 { reason(&status) } else { None };
                match told.as_deref() {
                    None | Some("SOLD_OUT") => Ok(Some(1)),
                    Some(other) => bail!(Misdeed::new(Key::WrongAnswer, format!("a sold-out event answers {other}"))),
                }
            }
            Err(status) => Err(status).context("a sold-out event did not say so"),
        }
    }
}

/// Sells the holds of a stock.
pub struct Confirm {
    /// The client.
    pub client: Inventory,
    /// The event.
    pub event: SaleEvent,
    /// Holds, and whose they are.
    pub stock: Vec<(Uuid, String)>,
}

impl Work for Confirm {
    async fn once(&mut self) -> Result<Option<u64>> {
        let Some((id, owner)) = self.stock.pop() else { return Ok(None) };
        let name = self.event.reservation(id);
        let request = ConfirmReservationRequest { name, order_ref: "order".to_owned(), on_expired: 0 };
        let request = owned_by(owner_value(&owner), request);
        self.client.confirm_reservation(request).await.context("a confirmation failed")?;
        Ok(Some(1))
    }
}
