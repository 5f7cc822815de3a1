//! Puts events on sale.

use std::time::Duration;

use anyhow::{Context as _, Result};
use boxoffice_proto::v1::{
    Allocation, Consistency, CreateAllocationRequest, CreateEventRequest, Event, GetEventRequest, SalesState,
};
use rand::Rng;
use uuid::Uuid;

use crate::client::{Admin, Inventory, within};
use crate::clock::{now, seconds};

/// An event under test, with the names that its calls need.
#[derive(Debug, Clone)]
pub struct SaleEvent {
    /// `events/{event}`
    pub name: String,
    /// `events/{event}/allocations/{allocation}`; an allocation's number is its place in here.
    pub allocations: Vec<String>,
}

/// How an event sells.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Most units that an owner may have; 0: no limit.
    pub limit_per_owner: i32,
    /// Most units that an owner may have of each allocation; 0: no limit.
    pub limit_per_allocation: i32,
    /// How long a hold lives.
    pub hold_seconds: i64,
    /// How long it can live, extended.
    pub hold_seconds_max: i64,
}

/// How long a look at an event may take.
const READ_WAIT_MAX: Duration = Duration::from_secs(20);

/// The id of the first allocation; the others are `hot-1`, `hot-2`, …
const HOT: &str = "hot";

/// An event id that no earlier run on the same server has used.
pub fn fresh_id(prefix: &str, random: &mut impl Rng) -> String {
    format!("{prefix}-{:x}-{:x}", now(), random.random::<u16>())
}

impl SaleEvent {
    /// The names of an event with one allocation, which need not exist yet.
    pub fn named(id: &str) -> Self {
        Self { name: format!("events/{id}"), allocations: vec![format!("events/{id}/allocations/{HOT}")] }
    }

    /// Creates an event on sale with one allocation.
    ///
    /// # Errors
    /// Where the server refuses.
    pub async fn create(admin: &mut Admin, id: &str, capacity: i32, terms: Terms) -> Result<Self> {
        Self::create_with(admin, id, &[capacity], terms).await
    }

    /// Creates an event on sale with an allocation of each of these capacities.
    ///
    /// # Errors
    /// Where the server refuses.
    pub async fn create_with(admin: &mut Admin, id: &str, capacities: &[i32], terms: Terms) -> Result<Self> {
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
        let mut sale = Self { name: format!("events/{id}"), allocations: Vec::new() };
        for (number, capacity) in capacities.iter().enumerate() {
            let id = if number == 0 { HOT.to_owned() } else { format!("{HOT}-{number}") };
            let allocation = Allocation {
                capacity: *capacity,
                display_name: id.clone(),
                limit_per_owner: terms.limit_per_allocation,
                ..Allocation::default()
            };
            let parent = sale.name.clone();
            let request = CreateAllocationRequest { parent, allocation_id: id, allocation: Some(allocation) };
            let created = admin.create_allocation(request).await.context("an allocation cannot be created")?;
            sale.allocations.push(created.into_inner().name);
        }
        Ok(sale)
    }

    /// The name of the allocation of this number; empty where there is none.
    pub fn allocation(&self, number: usize) -> &str {
        self.allocations.get(number).map_or("", String::as_str)
    }

    /// The number of the allocation of this name.
    pub fn number(&self, allocation: &str) -> Option<usize> {
        self.allocations.iter().position(|name| name == allocation)
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
        within(READ_WAIT_MAX, inventory.get_event(request)).await.context("the event cannot be read")
    }
}
