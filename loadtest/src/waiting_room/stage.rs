//! Servers with an event whose waiting room is shut, and the calls of those who wait.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use boxoffice_proto::v1;
use boxoffice_proto::v1::place::State;
use prost_types::FieldMask;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::time::{Instant, sleep, timeout};

use super::history::{Ask, Estimate, Leave, Setting, Told, Who, name};
use crate::bench::stage::TERMS;
use crate::cli::{Common, WaitingRoomArgs};
use crate::client::{Connections, owned_by, owner_value};
use crate::clock::{Micros, SECOND, now, seconds};
use crate::event::{SaleEvent, fresh_id};
use crate::server::{Options, Servers, StoreChoice};

/// More than anybody buys here.
const CAPACITY: i32 = 1_000_000;
/// Longer than any run, so that nobody loses his place. Passes are good for ten minutes, as they are unless somebody says otherwise.
const GRACE_SECONDS: i64 = 3_600;
/// How long the servers may take to find their Redis and to learn of the room.
const READY_WAIT_MAX: Duration = Duration::from_secs(20);
const READY_POLL: Duration = Duration::from_millis(10);
/// How often and how long somebody asks until he is told where he stands.
const TRIES_MAX: u32 = 100;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// The longest that a call may take.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);

/// What the servers share beside their database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Several of them share a Redis.
    WithRedis,
    /// There is one, which has the room in its memory.
    WithoutRedis,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::WithRedis, Self::WithoutRedis];

    /// The end of the names of its figures.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::WithRedis => "with_redis",
            Self::WithoutRedis => "without_redis",
        }
    }
}

/// See the module.
pub(super) struct Stage {
    pub(super) servers: Servers,
    pub(super) connections: Connections,
    pub(super) event: SaleEvent,
    /// Another one with a room of its own.
    pub(super) elsewhere: SaleEvent,
    pub(super) settings: Vec<Setting>,
}

impl Stage {
    /// Starts it.
    ///
    /// # Errors
    /// Where something does not come up.
    pub(super) async fn start(kind: Kind, args: &WaitingRoomArgs) -> Result<Self> {
        let common = match kind {
            Kind::WithRedis => Common { redis: true, ..args.common.clone() },
            Kind::WithoutRedis => Common { store: StoreChoice::Sqlite, servers: 1, ..args.common.clone() },
        };
        let options = Options { share_passes: kind == Kind::WithRedis, ..Options::default() };
        let servers = Servers::start(&common, options).await?;
        let connections = Connections::new(&servers.urls(), args.connections as usize)?;
        let id = fresh_id("room", &mut SmallRng::seed_from_u64(common.seed));
        let (event, elsewhere) = (SaleEvent::named(&id), SaleEvent::named(&format!("{id}-b")));
        let mut stage = Self { servers, connections, event, elsewhere, settings: Vec::new() };
        match stage.prepare(&id, args.admitted).await {
            Ok(()) => Ok(stage),
            Err(error) => Err(stage.servers.explain(error)),
        }
    }

    async fn prepare(&mut self, id: &str, inside_max: u32) -> Result<()> {
        let mut admin = self.connections.admin(0);
        self.elsewhere = SaleEvent::create(&mut admin, &format!("{id}-b"), CAPACITY, TERMS).await?;
        self.edit(&self.elsewhere, 0, 0).await?;
        self.event = SaleEvent::create(&mut admin, id, CAPACITY, TERMS).await?;
        self.set(0, inside_max).await?;
        let servers = self.servers.urls().len();
        for server in 0..servers {
            self.until_ready(server).await?;
        }
        Ok(())
    }

    /// Waits until a server lines people up.
    async fn until_ready(&self, server: usize) -> Result<()> {
        let begun = Instant::now();
        while !matches!(self.ask(server, Who::MAX).await?.0.told, Told::Waiting { .. }) {
            ensure!(begun.elapsed() < READY_WAIT_MAX, "a server does not say where people stand in its waiting room");
            sleep(READY_POLL).await;
        }
        self.leave(server, Who::MAX).await.map(drop)
    }

    /// Changes the rate and the cap.
    ///
    /// # Errors
    /// Where the server refuses.
    pub(super) async fn set(&mut self, rate: u32, inside_max: u32) -> Result<()> {
        let sent = now();
        self.edit(&self.event, rate, inside_max).await?;
        self.settings.push(Setting { sent, answered: now(), rate, inside_max });
        Ok(())
    }

    async fn edit(&self, event: &SaleEvent, rate: u32, inside_max: u32) -> Result<()> {
        let waiting_room = v1::WaitingRoom {
            admissions_per_second: rate.cast_signed(),
            inside_max: inside_max.cast_signed(),
            grace: Some(seconds(GRACE_SECONDS)),
            ..v1::WaitingRoom::default()
        };
        let changed = v1::Event { name: event.name.clone(), waiting_room: Some(waiting_room), ..v1::Event::default() };
        let update_mask = Some(FieldMask { paths: vec!["waiting_room".to_owned()] });
        let request = v1::UpdateEventRequest { event: Some(changed), update_mask };
        self.connections.admin(0).update_event(request).await.context("the waiting room cannot be changed")?;
        Ok(())
    }

    /// Asks once over the connection of this number. With it comes the place, if there was an answer.
    ///
    /// # Errors
    /// With an answer that no patience mends.
    pub(super) async fn ask(&self, connection: usize, who: Who) -> Result<(Ask, Option<v1::Place>)> {
        let request = v1::JoinWaitingRoomRequest { parent: self.event.name.clone() };
        let mut rooms = self.connections.waiting_rooms(connection);
        let sent = now();
        let answer = timeout(ANSWER_WAIT_MAX, rooms.join_waiting_room(owned_by(owner_value(&name(who)), request)));
        let place = match answer.await {
            Ok(Ok(answer)) => Some(answer.into_inner()),
            Ok(Err(status)) => {
                ensure!(is_passing(&status), "{} cannot join: {status}", name(who));
                None
            }
            Err(_) => None,
        };
        let told = place.as_ref().map_or(Told::Nothing, told);
        Ok((Ask { who, sent, answered: now(), told }, place))
    }

    /// Asks until there is an answer that tells where he stands; all that it took, and the last place.
    ///
    /// # Errors
    /// Where there is none in a while.
    pub(super) async fn ask_until_told(&self, connection: usize, who: Who) -> Result<(Vec<Ask>, v1::Place)> {
        let mut asks = Vec::new();
        for tried in 0..TRIES_MAX {
            let (ask, place) = self.ask(connection + tried as usize, who).await?;
            asks.push(ask);
            match place {
                Some(place) if ask.told != Told::Nothing => return Ok((asks, place)),
                _ => sleep(TRY_AGAIN_AFTER).await,
            }
        }
        anyhow::bail!("{} was not told in {TRIES_MAX} tries where he stands", name(who))
    }

    /// Gives a place up: asks until he is told that he has. (A first try without an answer may have done it.)
    ///
    /// # Errors
    /// Where he is not in a while, and with an answer that no patience mends.
    pub(super) async fn leave(&self, connection: usize, who: Who) -> Result<Leave> {
        let sent = now();
        for tried in 0..TRIES_MAX {
            let request = v1::LeaveWaitingRoomRequest { parent: self.event.name.clone() };
            let mut rooms = self.connections.waiting_rooms(connection + tried as usize);
            match rooms.leave_waiting_room(owned_by(owner_value(&name(who)), request)).await {
                Ok(_) => return Ok(Leave { who, sent, answered: now() }),
                Err(status) => ensure!(is_passing(&status), "{} cannot leave: {status}", name(who)),
            }
            sleep(TRY_AGAIN_AFTER).await;
        }
        anyhow::bail!("{} was not told in {TRIES_MAX} tries that he has left", name(who))
    }
}

/// Whether the same call may be answered later.
pub(super) fn is_passing(status: &tonic::Status) -> bool {
    matches!(status.code(), tonic::Code::Unavailable | tonic::Code::DeadlineExceeded | tonic::Code::Cancelled)
}

/// What a place says.
pub(super) fn told(place: &v1::Place) -> Told {
    match place.state() {
        State::Admitted => Told::Admitted,
        State::NotNeeded => Told::NotNeeded,
        State::Waiting | State::Unspecified => match u32::try_from(place.position) {
            Ok(0) | Err(_) => Told::Nothing,
            Ok(position) => Told::Waiting { position, estimate: estimate(place) },
        },
    }
}

fn estimate(place: &v1::Place) -> Option<Estimate> {
    let micros = |span: &prost_types::Duration| -> Micros { span.seconds * SECOND + Micros::from(span.nanos) / 1_000 };
    let (min, max) = (place.estimated_wait_min.as_ref()?, place.estimated_wait_max.as_ref()?);
    Some(Estimate { min: micros(min), max: micros(max) })
}
