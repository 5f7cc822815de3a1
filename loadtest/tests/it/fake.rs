//! A fake of the server, in memory: one lock, no durability, and on request one bug.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use boxoffice_proto::v1::admin_service_server::{AdminService, AdminServiceServer};
use boxoffice_proto::v1::batch_create_reservations_response::{Outcome, outcome};
use boxoffice_proto::v1::change::{Delta, Kind};
use boxoffice_proto::v1::inventory_service_server::{InventoryService, InventoryServiceServer};
use boxoffice_proto::v1::reservation::State;
use boxoffice_proto::v1::*;
use loadtest::clock::{Micros, micros, now};
use prost_types::Timestamp;
use tonic::codegen::BoxStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// What may be wrong with the fake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Looks whether enough is there, lets others in, and then takes it without looking again.
    ChecksBeforeItActs,
    /// Says that it has confirmed, and does nothing; not always.
    ForgetsConfirmations,
    /// Once sold out, says so for a second without looking.
    RemembersSoldOut,
    /// Expired holds keep their units.
    NeverReclaims,
    /// Does not compare owners.
    ShowsEverybody,
    /// Takes each retry for a new request; not always.
    GrantsRetriesAnew,
}

/// How long [`Bug::RemembersSoldOut`] remembers.
const MEMORY: Micros = 1_000_000;

/// Serves until the runtime ends; answers where.
pub(crate) async fn start(bug: Option<Bug>) -> String {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", incoming.local_addr().unwrap());
    let fake = Fake { bug, events: Arc::default() };
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let server = Server::builder()
        .add_service(health_service)
        .add_service(InventoryServiceServer::new(fake.clone()))
        .add_service(AdminServiceServer::new(fake));
    tokio::spawn(server.serve_with_incoming(incoming));
    url
}

#[derive(Clone)]
struct Fake {
    bug: Option<Bug>,
    events: Arc<Mutex<HashMap<String, FakeEvent>>>,
}

#[derive(Default)]
struct FakeEvent {
    event: Event,
    allocation: Allocation,
    journal: Vec<Change>,
    /// With the request that made it.
    reservations: HashMap<String, (Reservation, CreateReservationRequest)>,
    /// When holds may have to be reclaimed, and which.
    expiries: BTreeSet<(Micros, String)>,
    /// What each owner has.
    usage: HashMap<String, i32>,
    sold_out_at: Micros,
    /// Chances for the bugs that don't show always.
    chances: u32,
}

fn refusal(code: Code, reason: &str) -> Status {
    Status::with_error_details(code, reason, ErrorDetails::with_error_info(reason, "boxoffice", HashMap::new()))
}

fn precondition(reason: &str) -> Status {
    refusal(Code::FailedPrecondition, reason)
}

fn not_found() -> Status {
    refusal(Code::NotFound, "RESERVATION_NOT_FOUND")
}

fn timestamp(at: Micros) -> Option<Timestamp> {
    Some(Timestamp { seconds: at / 1_000_000, nanos: i32::try_from(at % 1_000_000).unwrap() * 1_000 })
}

fn owner<T>(request: &Request<T>) -> String {
    request.metadata().get("boxoffice-owner").unwrap().to_str().unwrap().to_owned()
}

fn event_name(name: &str) -> String {
    name.split('/').take(2).collect::<Vec<_>>().join("/")
}

fn expires(reservation: &Reservation) -> Micros {
    micros(reservation.expire_time.as_ref().unwrap())
}

fn units(reservation: &Reservation) -> i32 {
    reservation.lines[0].quantity - reservation.lines[0].cancelled_quantity
}

fn ended(state: State) -> Status {
    precondition(match state {
        State::Confirmed => "ALREADY_CONFIRMED",
        State::Released => "ALREADY_RELEASED",
        State::Cancelled => "ALREADY_CANCELLED",
        State::Held => "NOT_CONFIRMED",
        State::Expired | State::Unspecified => "RESERVATION_EXPIRED",
    })
}

impl FakeEvent {
    fn write(&mut self, kind: Kind, about: Option<&Reservation>, capacity: i32, held: i32, sold: i32) {
        self.allocation.capacity += capacity;
        self.allocation.held += held;
        self.allocation.sold += sold;
        self.event.seq += 1;
        let sells = matches!(kind, Kind::Sold | Kind::Confirmed | Kind::Reacquired);
        let holds = matches!(kind, Kind::Reserved | Kind::Extended);
        if let Some(reservation) = about {
            *self.usage.entry(reservation.owner.clone()).or_default() += held + sold;
            if holds {
                self.expiries.insert((expires(reservation), reservation.name.clone()));
            }
        }
        let delta = Delta { allocation: self.allocation.name.clone(), capacity, held, sold };
        self.journal.push(Change {
            seq: self.event.seq,
            occur_time: timestamp(now()),
            kind: kind.into(),
            reservation: about.map(|r| r.name.clone()).unwrap_or_default(),
            owner: about.map(|r| r.owner.clone()).unwrap_or_default(),
            deltas: if (capacity, held, sold) == (0, 0, 0) { Vec::new() } else { vec![delta] },
            expire_time: about.filter(|_| holds).and_then(|r| r.expire_time),
            order_ref: about.filter(|_| sells).map(|r| r.order_ref.clone()).unwrap_or_default(),
            ..Change::default()
        });
    }

    fn available(&self) -> i32 {
        self.allocation.capacity - self.allocation.held - self.allocation.sold
    }

    /// Ends all holds that have expired.
    fn reclaim(&mut self) {
        let at = now();
        while self.expiries.first().is_some_and(|(expiry, _)| *expiry <= at) {
            let Some((_, name)) = self.expiries.pop_first() else { return };
            let (reservation, _) = &self.reservations[&name];
            if reservation.state() == State::Held && expires(reservation) <= at {
                self.change(&name, Kind::Expired, State::Expired, |r| (-r.lines[0].quantity, 0));
            }
        }
    }

    fn change(
        &mut self,
        name: &str,
        kind: Kind,
        state: State,
        act: impl FnOnce(&mut Reservation) -> (i32, i32),
    ) -> Reservation {
        let (reservation, _) = self.reservations.get_mut(name).unwrap();
        let (held, sold) = act(reservation);
        reservation.state = state.into();
        let reservation = reservation.clone();
        self.write(kind, Some(&reservation), 0, held, sold);
        reservation
    }

    /// How many units to grant.
    fn grant(&self, owner: &str, request: &CreateReservationRequest) -> Result<i32, Status> {
        let wanted = request.reservation.as_ref().unwrap().lines[0].quantity;
        let replaced = self.reservations.get(&request.replaces).map(|(r, _)| r);
        let back = replaced.filter(|r| r.state() == State::Held).map_or(0, units);
        let (least, most) = if request.mode() == ReservationMode::UpTo { (1, wanted) } else { (wanted, wanted) };
        let limit = match self.event.limit_per_owner {
            0 => i32::MAX,
            limit => limit - self.usage.get(owner).copied().unwrap_or_default() + back,
        };
        let available = self.available() + back;
        if limit < least {
            return Err(precondition("OWNER_LIMIT_EXCEEDED"));
        }
        match available.min(limit).min(most) {
            granted if granted >= least => Ok(granted),
            _ if available > 0 => Err(precondition("INSUFFICIENT_AVAILABILITY")),
            _ if self.allocation.held > 0 => Err(precondition("ALL_HELD")),
            _ => Err(precondition("SOLD_OUT")),
        }
    }

    fn create(&mut self, owner: &str, request: CreateReservationRequest, granted: i32) -> Reservation {
        if self.reservations.get(&request.replaces).is_some_and(|(r, _)| r.state() == State::Held) {
            self.change(&request.replaces, Kind::Released, State::Released, |r| (-r.lines[0].quantity, 0));
        }
        let mut reservation = request.reservation.clone().unwrap();
        reservation.lines[0].quantity = granted;
        reservation.name = format!("{}/reservations/{}", self.event.name, request.reservation_id);
        reservation.owner = owner.to_owned();
        reservation.order_ref = request.order_ref.clone();
        reservation.expire_time = timestamp(now() + self.event.default_hold_ttl.unwrap().seconds * 1_000_000);
        let sells = !request.order_ref.is_empty();
        reservation.state = if sells { State::Confirmed } else { State::Held }.into();
        let name = reservation.name.clone();
        self.reservations.insert(name, (reservation.clone(), request));
        if sells {
            self.write(Kind::Sold, Some(&reservation), 0, 0, granted);
        } else {
            self.write(Kind::Reserved, Some(&reservation), 0, granted, 0);
        }
        reservation
    }
}

impl Fake {
    fn on<T>(&self, name: &str, act: impl FnOnce(&mut FakeEvent) -> T) -> T {
        let mut events = self.events.lock().unwrap();
        let event = events.entry(event_name(name)).or_default();
        if self.bug != Some(Bug::NeverReclaims) {
            event.reclaim();
        }
        act(event)
    }

    /// Acts on a reservation of the caller's.
    fn on_own<T>(
        &self,
        name: &str,
        owner: &str,
        act: impl FnOnce(&mut FakeEvent, Reservation) -> Result<T, Status>,
    ) -> Result<Response<T>, Status> {
        let act = |event: &mut FakeEvent| {
            let (reservation, _) = event.reservations.get(name).ok_or_else(not_found)?;
            if reservation.owner != owner && self.bug != Some(Bug::ShowsEverybody) {
                return Err(not_found());
            }
            let reservation = reservation.clone();
            act(event, reservation)
        };
        self.on(name, act).map(Response::new)
    }

    async fn reserve(&self, owner: &str, request: CreateReservationRequest) -> Result<Reservation, Status> {
        let parent = request.parent.clone();
        let name = format!("{parent}/reservations/{}", request.reservation_id);
        let checked = self.on(&parent, |event| {
            event.chances += 1;
            let anew = self.bug == Some(Bug::GrantsRetriesAnew) && event.chances % 2 == 0;
            if let Some((reservation, first)) = event.reservations.get(&name).filter(|_| !anew) {
                let same = reservation.owner == owner && *first == request;
                return Err(if same {
                    Ok(reservation.clone())
                } else {
                    Err(refusal(Code::AlreadyExists, "RESERVATION_ID_REUSED"))
                });
            }
            if self.bug == Some(Bug::RemembersSoldOut) && now() < event.sold_out_at + MEMORY {
                return Err(Err(precondition("SOLD_OUT")));
            }
            match event.grant(owner, &request) {
                Ok(granted) if self.bug == Some(Bug::ChecksBeforeItActs) => Ok(granted),
                Ok(granted) => Err(Ok(event.create(owner, request.clone(), granted))),
                Err(status) => {
                    event.sold_out_at = if event.available() == 0 { now() } else { event.sold_out_at };
                    Err(Err(status))
                }
            }
        });
        let granted = match checked {
            Ok(granted) => granted,
            Err(answer) => return answer,
        };
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        Ok(self.on(&parent, |event| event.create(owner, request, granted)))
    }
}

#[tonic::async_trait]
impl InventoryService for Fake {
    async fn get_event(&self, request: Request<GetEventRequest>) -> Result<Response<Event>, Status> {
        let answer = self.on(&request.get_ref().name, |event| {
            let allocation = Allocation { available: event.available(), ..event.allocation.clone() };
            Event { allocations: vec![allocation], read_time: timestamp(now()), ..event.event.clone() }
        });
        Ok(Response::new(answer))
    }

    async fn create_reservation(
        &self,
        request: Request<CreateReservationRequest>,
    ) -> Result<Response<Reservation>, Status> {
        let owner = owner(&request);
        self.reserve(&owner, request.into_inner()).await.map(Response::new)
    }

    async fn batch_create_reservations(
        &self,
        request: Request<BatchCreateReservationsRequest>,
    ) -> Result<Response<BatchCreateReservationsResponse>, Status> {
        let request = request.into_inner();
        let mut outcomes = Vec::new();
        for (one, owner) in request.requests.into_iter().zip(&request.owners) {
            let reservation = self.reserve(owner, one).await?;
            outcomes.push(Outcome { outcome: Some(outcome::Outcome::Reservation(reservation)) });
        }
        Ok(Response::new(BatchCreateReservationsResponse { outcomes }))
    }

    async fn get_reservation(&self, request: Request<GetReservationRequest>) -> Result<Response<Reservation>, Status> {
        self.on_own(&request.get_ref().name, &owner(&request), |_, reservation| Ok(reservation))
    }

    async fn extend_reservation(
        &self,
        request: Request<ExtendReservationRequest>,
    ) -> Result<Response<Reservation>, Status> {
        let ttl = request.get_ref().ttl.unwrap().seconds * 1_000_000;
        let name = &request.get_ref().name;
        self.on_own(name, &owner(&request), |event, reservation| match reservation.state() {
            State::Held if expires(&reservation) >= now() + ttl => Ok(reservation),
            State::Held => Ok(event.change(name, Kind::Extended, State::Held, |r| {
                r.expire_time = timestamp(now() + ttl);
                (0, 0)
            })),
            _ => Err(ended(reservation.state())),
        })
    }

    async fn release_reservation(
        &self,
        request: Request<ReleaseReservationRequest>,
    ) -> Result<Response<Reservation>, Status> {
        let name = &request.get_ref().name;
        self.on_own(name, &owner(&request), |event, reservation| match reservation.state() {
            State::Held => Ok(event.change(name, Kind::Released, State::Released, |r| (-r.lines[0].quantity, 0))),
            State::Released => Ok(reservation),
            _ => Err(ended(reservation.state())),
        })
    }

    async fn confirm_reservation(
        &self,
        request: Request<ConfirmReservationRequest>,
    ) -> Result<Response<Reservation>, Status> {
        let ConfirmReservationRequest { name, order_ref, .. } = request.get_ref();
        let reacquire = request.get_ref().on_expired() == OnExpired::Reacquire;
        self.on_own(name, &owner(&request), |event, mut reservation| {
            let quantity = reservation.lines[0].quantity;
            event.chances += 1;
            match reservation.state() {
                State::Held if self.bug == Some(Bug::ForgetsConfirmations) && event.chances % 50 == 0 => {
                    reservation.state = State::Confirmed.into();
                    reservation.order_ref.clone_from(order_ref);
                    Ok(reservation)
                }
                State::Held => Ok(event.change(name, Kind::Confirmed, State::Confirmed, |r| {
                    r.order_ref.clone_from(order_ref);
                    (-quantity, quantity)
                })),
                State::Expired if reacquire && event.available() >= quantity => {
                    Ok(event.change(name, Kind::Reacquired, State::Confirmed, |r| {
                        r.order_ref.clone_from(order_ref);
                        (0, quantity)
                    }))
                }
                State::Expired if reacquire && event.available() > 0 => Err(precondition("INSUFFICIENT_AVAILABILITY")),
                State::Expired if reacquire && event.allocation.held > 0 => Err(precondition("ALL_HELD")),
                State::Expired if reacquire => Err(precondition("SOLD_OUT")),
                State::Confirmed if reservation.order_ref == *order_ref => Ok(reservation),
                _ => Err(ended(reservation.state())),
            }
        })
    }

    async fn cancel_reservation(
        &self,
        request: Request<CancelReservationRequest>,
    ) -> Result<Response<Reservation>, Status> {
        let CancelReservationRequest { name, lines } = request.get_ref();
        self.on_own(name, &owner(&request), |event, reservation| {
            let line = &reservation.lines[0];
            let target = lines.first().map_or(line.quantity, |line| line.cancelled_quantity);
            let back = target - line.cancelled_quantity;
            let state = if target == line.quantity { State::Cancelled } else { State::Confirmed };
            match reservation.state() {
                State::Confirmed | State::Cancelled if back <= 0 => Ok(reservation),
                State::Confirmed => Ok(event.change(name, Kind::Cancelled, state, |r| {
                    r.lines[0].cancelled_quantity = target;
                    (0, -back)
                })),
                _ => Err(ended(reservation.state())),
            }
        })
    }

    type WatchEventStream = BoxStream<WatchEventResponse>;
    async fn list_events(&self, _: Request<ListEventsRequest>) -> Result<Response<ListEventsResponse>, Status> {
        Err(Status::unimplemented("not used"))
    }
    async fn watch_event(&self, _: Request<WatchEventRequest>) -> Result<Response<Self::WatchEventStream>, Status> {
        Err(Status::unimplemented("not used"))
    }
    async fn list_reservations(
        &self,
        _: Request<ListReservationsRequest>,
    ) -> Result<Response<ListReservationsResponse>, Status> {
        Err(Status::unimplemented("not used"))
    }
}

#[tonic::async_trait]
impl AdminService for Fake {
    async fn create_event(&self, request: Request<CreateEventRequest>) -> Result<Response<Event>, Status> {
        let request = request.into_inner();
        let name = format!("events/{}", request.event_id);
        let answer = self.on(&name, |event| {
            event.event = Event { name: name.clone(), ..request.event.unwrap() };
            event.write(Kind::EventCreated, None, 0, 0, 0);
            event.event.clone()
        });
        Ok(Response::new(answer))
    }

    async fn create_allocation(
        &self,
        request: Request<CreateAllocationRequest>,
    ) -> Result<Response<Allocation>, Status> {
        let request = request.into_inner();
        let capacity = request.allocation.unwrap().capacity;
        let answer = self.on(&request.parent, |event| {
            event.allocation.name = format!("{}/allocations/{}", request.parent, request.allocation_id);
            event.write(Kind::AllocationCreated, None, capacity, 0, 0);
            event.allocation.clone()
        });
        Ok(Response::new(answer))
    }

    async fn list_reservations(
        &self,
        request: Request<AdminServiceListReservationsRequest>,
    ) -> Result<Response<AdminServiceListReservationsResponse>, Status> {
        let AdminServiceListReservationsRequest { parent, page_token, page_size, .. } = request.into_inner();
        let mut reservations: Vec<_> =
            self.on(&parent, |event| event.reservations.values().map(|(r, _)| r.clone()).collect());
        reservations.sort_by(|a, b| a.name.cmp(&b.name));
        reservations.retain(|r| r.name > page_token);
        reservations.truncate(usize::try_from(page_size).unwrap());
        let next_page_token = reservations.last().map(|r| r.name.clone()).unwrap_or_default();
        Ok(Response::new(AdminServiceListReservationsResponse { reservations, next_page_token }))
    }

    async fn list_changes(
        &self,
        request: Request<ListChangesRequest>,
    ) -> Result<Response<ListChangesResponse>, Status> {
        let ListChangesRequest { parent, from_seq, page_size } = request.into_inner();
        let answer = self.on(&parent, |event| {
            let from = usize::try_from(from_seq.max(1) - 1).unwrap();
            let rest = event.journal.get(from..).unwrap_or_default();
            let changes: Vec<_> = rest.iter().take(usize::try_from(page_size).unwrap()).cloned().collect();
            let more = rest.len() > changes.len();
            let next = changes.last().filter(|_| more).map_or(0, |change| change.seq + 1);
            ListChangesResponse { changes, next_from_seq: next }
        });
        Ok(Response::new(answer))
    }

    async fn audit_event(&self, _: Request<AuditEventRequest>) -> Result<Response<AuditEventResponse>, Status> {
        Ok(Response::new(AuditEventResponse::default()))
    }

    type WatchChangesStream = BoxStream<WatchChangesResponse>;
    async fn update_event(&self, _: Request<UpdateEventRequest>) -> Result<Response<Event>, Status> {
        Err(Status::unimplemented("not used"))
    }
    async fn update_allocation(&self, _: Request<UpdateAllocationRequest>) -> Result<Response<Allocation>, Status> {
        Err(Status::unimplemented("not used"))
    }
    async fn apply_event(&self, _: Request<ApplyEventRequest>) -> Result<Response<ApplyEventResponse>, Status> {
        Err(Status::unimplemented("not used"))
    }
    async fn transfer_capacity(
        &self,
        _: Request<TransferCapacityRequest>,
    ) -> Result<Response<TransferCapacityResponse>, Status> {
        Err(Status::unimplemented("not used"))
    }
    async fn force_release_reservation(
        &self,
        _: Request<ForceReleaseReservationRequest>,
    ) -> Result<Response<Reservation>, Status> {
        Err(Status::unimplemented("not used"))
    }
    async fn watch_changes(
        &self,
        _: Request<WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        Err(Status::unimplemented("not used"))
    }
}
