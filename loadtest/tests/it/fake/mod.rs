//! A fake of the server, in memory: one lock, no durability, and on request one bug.

mod admin;
mod event;
mod inventory;
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use boxoffice_proto::v1::admin_service_server::AdminServiceServer;
use boxoffice_proto::v1::inventory_service_server::InventoryServiceServer;
use boxoffice_proto::v1::{CreateReservationRequest, Reservation};
use loadtest::clock::{Micros, now};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Response, Status};

use event::{FakeEvent, event_name, not_found, not_yours, precondition, refusal};

/// What may be wrong with the fake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Sells one unit more where nothing is left, to everybody.
    SellsWhatIsSold,
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
    /// Lists all reservations as everybody's own.
    ListsEverybodys,
    /// Has other words for a reservation of somebody else than for none.
    HintsAtOthers,
    /// Tells who asks for a reservation of somebody else that he may not, and gives no reason.
    DeniesOthers,
    /// Answers the items of a batch in another order.
    MixesUpAnswers,
    /// Grants only the first of the lines that name the same allocation.
    TakesTheFirstLine,
    /// Takes another request with the same id for a retry.
    TakesOthersForRetries,
    /// Gives units back of what has lapsed, and so has come back.
    ReleasesTheLapsed,
    /// Takes each retry for a new request; not always.
    GrantsRetriesAnew,
    /// One unit of each event is neither taken nor for sale.
    HidesUnits,
    /// Says of an event that is not the hot one that it has reserved, and does nothing; not always.
    ForgetsElsewhere,
    /// Sells on although an operator has paused the event.
    SellsInPauses,
    /// Once paused, does not sell for a second after it was opened again.
    RemembersPauses,
    /// Never finds its journal again.
    LosesItsJournal,
    /// Its journal tells of an allocation that is not there.
    InventsAllocations,
    /// No bug: its clock is ten milliseconds ahead of everybody else's.
    IsAhead,
    /// No bug: its journal cannot be read at once.
    FindsItsJournalLate,
    /// No bug of the server's: the network loses some requests, and delivers them when the rush is long over.
    DeliversLate,
}

/// How long [`Bug::RemembersSoldOut`] and [`Bug::RemembersPauses`] remember.
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

/// All lines are of the one allocation.
fn add_up(request: &mut CreateReservationRequest, only_the_first: bool) {
    let Some(reservation) = &mut request.reservation else { return };
    let units = reservation.lines.iter().map(|line| line.quantity).sum();
    reservation.lines.truncate(1);
    if !only_the_first {
        reservation.lines.iter_mut().for_each(|line| line.quantity = units);
    }
}

#[derive(Clone)]
struct Fake {
    bug: Option<Bug>,
    events: Arc<Mutex<HashMap<String, FakeEvent>>>,
}

impl Fake {
    fn on<T>(&self, name: &str, act: impl FnOnce(&mut FakeEvent) -> T) -> T {
        let mut events = self.events.lock().unwrap();
        let event = events.entry(event_name(name)).or_default();
        event.at = now() + if self.bug == Some(Bug::IsAhead) { 10_000 } else { 0 };
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
                return Err(match self.bug {
                    Some(Bug::HintsAtOthers) => not_yours(),
                    Some(Bug::DeniesOthers) => Status::permission_denied("not yours"),
                    _ => not_found(),
                });
            }
            let reservation = reservation.clone();
            act(event, reservation)
        };
        self.on(name, act).map(Response::new)
    }

    async fn reserve(&self, owner: &str, mut request: CreateReservationRequest) -> Result<Reservation, Status> {
        add_up(&mut request, self.bug == Some(Bug::TakesTheFirstLine));
        let parent = request.parent.clone();
        let name = format!("{parent}/reservations/{}", request.reservation_id);
        let checked = self.on(&parent, |event| {
            if self.bug == Some(Bug::DeliversLate) {
                if request.order_ref.starts_with("late-") {
                    event.find_lost();
                } else if event.loses(owner, &request) {
                    return Err(Err(Status::unavailable("the connection was lost")));
                }
            }
            event.chances += 1;
            let anew = self.bug == Some(Bug::GrantsRetriesAnew) && event.chances % 2 == 0;
            if let Some((reservation, first)) = event.reservations.get(&name).filter(|_| !anew) {
                let same =
                    reservation.owner == owner && (*first == request || self.bug == Some(Bug::TakesOthersForRetries));
                return Err(if same {
                    Ok(reservation.clone())
                } else {
                    Err(refusal(Code::AlreadyExists, "RESERVATION_ID_REUSED"))
                });
            }
            if self.bug == Some(Bug::RemembersSoldOut) && event.at < event.sold_out_at + MEMORY {
                return Err(Err(precondition("SOLD_OUT")));
            }
            match event.grant(owner, &request) {
                Ok(granted) if self.bug == Some(Bug::ChecksBeforeItActs) => Ok(granted),
                Ok(_)
                    if self.bug == Some(Bug::ForgetsElsewhere)
                        && !parent.contains("/hot-")
                        && event.chances % 5 == 0 =>
                {
                    Err(Ok(Reservation::default()))
                }
                Ok(granted) => Err(Ok(event.create(owner, request.clone(), granted))),
                Err(_) if self.bug == Some(Bug::SellsWhatIsSold) && event.available() <= 0 => {
                    Err(Ok(event.create(owner, request.clone(), 1)))
                }
                Err(status) => {
                    event.sold_out_at = if event.available() == 0 { event.at } else { event.sold_out_at };
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
