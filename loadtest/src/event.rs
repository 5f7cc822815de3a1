//! Puts events on sale.

use anyhow::{Context as _, Result};
use boxoffice_proto::v1::{
    Allocation, Consistency, CreateAllocationRequest, CreateEventRequest, Event, GetEventRequest, SalesState,
};
use rand::Rng;
use uuid::Uuid;

use crate::client::{Admin, Inventory};
use crate::clock::{now, seconds};

/// An event under test, with the names that its calls need.
#[derive(Debug, Clone)]
pub struct SaleEvent {
    /// `events/{event}`
    pub name: String,
    /// The one hot allocation, `events/{event}/allocations/hot`.
    pub allocation: String,
}

/// How an event sells.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Most units that an owner may have; 0: no limit.
    pub limit_per_owner: i32,
    /// How long a hold lives.
    pub hold_seconds: i64,
    /// How long it can live, extended.
    pub hold_seconds_max: i64,
}

/// The id of the allocation of [`SaleEvent`].
const HOT: &str = "hot";

/// An event id that no earlier run on the same server has used.
pub fn fresh_id(prefix: &str, random: &mut impl Rng) -> String {
    format!("{prefix}-{:x}-{:x}", now(), random.random::<u16>())
}

impl SaleEvent {
    /// The names of an event with one allocation, which need not exist yet.
    pub fn named(id: &str) -> Self {
        Self { name: format!("events/{id}"), allocation: format!("events/{id}/allocations/{HOT}") }
    }

    /// Creates an event on sale with one allocation.
    ///
    /// # Errors
    /// Where the server refuses.
    pub async fn create(admin: &mut Admin, id: &str, capacity: i32, terms: Terms) -> Result<Self> {
        let event = Event {
            display_name: format!("Load test {id}"),
            sales_state: SalesState::OnSale.into(),
            default_hold_ttl: Some(seconds(terms.hold_seconds)),
            max_hold_ttl: Some(seconds(terms.hold_seconds_max)),
            limit_per_owner: terms.limit_per_owner,
            ..Event::default()
        };
        let request = CreateEventRequest { event_id: id.to_owned(), event: Some(event) };
        admin.create_event(request).await.with_context(|| format!("event {id} cannot be created"))?;
        let sale = Self::named(id);
        sale.add_allocation(admin, HOT, capacity).await?;
        Ok(sale)
    }

    /// Adds an allocation; answers its name.
    ///
    /// # Errors
    /// Where the server refuses.
    pub async fn add_allocation(&self, admin: &mut Admin, id: &str, capacity: i32) -> Result<String> {
        let allocation = Allocation { capacity, display_name: id.to_owned(), ..Allocation::default() };
        let request = CreateAllocationRequest {
            parent: self.name.clone(),
            allocation_id: id.to_owned(),
            allocation: Some(allocation),
        };
        let created = admin.create_allocation(request).await.context("an allocation cannot be created")?;
        Ok(created.into_inner().name)
    }

    /// The name of a reservation.
    pub fn reservation(&self, id: Uuid) -> String {
        format!("{}/reservations/{id}", self.name)
    }

    /// The event as it is in the database.
    ///
    /// # Errors
    /// Where the server does not answer.
    pub async fn read(&self, inventory: &mut Inventory) -> Result<Event> {
        let request = GetEventRequest { name: self.name.clone(), consistency: Consistency::Strong.into() };
        Ok(inventory.get_event(request).await.context("the event cannot be read")?.into_inner())
    }
}
