//! Waiting rooms: taking a place, keeping it, and giving it up.

use std::time::Duration;

use boxoffice_proto::v1;
use boxoffice_proto::v1::place::State;
use boxoffice_proto::v1::waiting_room_service_client::WaitingRoomServiceClient;
use tokio::time::sleep;
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

use super::answer::info_of;
use super::{Client, Error};

/// When to ask again where the server does not say.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// The bounds of when the server may want to be asked again: it must neither be run down nor forget who waits.
const ASK_AGAIN_MIN: Duration = Duration::from_millis(50);
const ASK_AGAIN_MAX: Duration = Duration::from_secs(120);
/// The reason of a refusal that only says "later".
const RATE_LIMITED: &str = "RATE_LIMITED";

impl Client {
    /// Takes a place in the waiting room of `event` (`events/{event}`), or tells of the one that the caller has: one call. It says
    /// that he is still there, so it has to be repeated after [`v1::Place::poll_after`]; [`Client::wait_in_room`] does.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn join_waiting_room(&self, event: &str) -> Result<v1::Place, Error> {
        let request = v1::JoinWaitingRoomRequest { parent: event.to_owned() };
        let send = async |to: Channel, request| WaitingRoomServiceClient::new(to).join_waiting_room(request).await;
        self.call(event.to_owned(), request, send).await
    }

    /// Waits in the waiting room of `event` (`events/{event}`).
    ///
    /// ```no_run
    /// # use boxoffice::client::{Client, Error};
    /// # async fn buy(client: Client) -> Result<(), Error> {
    /// let mut waiting = client.wait_in_room("events/gala");
    /// let mut buyer = client.clone();
    /// while let Some(place) = waiting.next().await? {
    ///     if place.pass.is_empty() {
    ///         println!("{} of {}", place.position, place.waiting_count);
    ///     } else {
    ///         buyer = client.with_pass(&place.pass)?;
    ///     }
    /// }
    /// // buyer.create_reservation(…), and then:
    /// client.leave_waiting_room("events/gala").await
    /// # }
    /// ```
    #[must_use]
    pub fn wait_in_room(&self, event: &str) -> Waiting {
        Waiting { client: self.clone(), event: event.to_owned(), told: None }
    }

    /// Gives the place up, in the line or inside: somebody else is let in. Succeeds where there is none.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn leave_waiting_room(&self, event: &str) -> Result<(), Error> {
        let request = v1::LeaveWaitingRoomRequest { parent: event.to_owned() };
        let send = async |to: Channel, request| WaitingRoomServiceClient::new(to).leave_waiting_room(request).await;
        self.call(event.to_owned(), request, send).await.map(drop)
    }
}

/// Somebody in the line. Where this is dropped or [`Waiting::next`] is not called any more, the place is kept for the event's
/// grace time.
#[derive(Debug)]
pub struct Waiting {
    client: Client,
    event: String,
    told: Option<v1::Place>,
}

impl Waiting {
    /// The place: at once at first, then each time that it has changed; `None` after the one that ends the waiting, which is
    /// `STATE_ADMITTED` (with the pass) or `STATE_NOT_NEEDED`. Servers that come and go cost nothing, as long as one answers within
    /// [`Config::deadline`](super::Config::deadline); so do calls that the server takes for too many (`RATE_LIMITED`). After an error it may be called again, and the place is the same within the
    /// grace time.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn next(&mut self) -> Result<Option<v1::Place>, Error> {
        loop {
            if let Some(told) = &self.told {
                if told.state() != State::Waiting {
                    return Ok(None);
                }
                sleep(ask_again_after(told)).await;
            }
            let place = self.ask().await?;
            let is_news = self.told.as_ref() != Some(&place);
            self.told = Some(place.clone());
            if is_news {
                return Ok(Some(place));
            }
        }
    }

    /// Asks for the place, and again after the pause that the server wants where the caller has asked for too much of anything:
    /// the place is kept meanwhile.
    async fn ask(&self) -> Result<v1::Place, Error> {
        loop {
            let status = match self.client.join_waiting_room(&self.event).await {
                Err(Error::Refused(refused)) if is_rate_limited(&refused.status) => refused.status,
                Err(Error::Unanswered { last, .. }) if is_rate_limited(&last) => *last,
                answer => return answer,
            };
            let wanted = status.get_details_retry_info().and_then(|info| info.retry_delay);
            let config = &self.client.shared.config;
            sleep(config.pause(1, wanted.or(Some(ASK_AGAIN)), (config.chance)())).await;
        }
    }
}

fn is_rate_limited(status: &Status) -> bool {
    info_of(status).is_some_and(|info| info.reason == RATE_LIMITED)
}

fn ask_again_after(place: &v1::Place) -> Duration {
    let wanted = place.poll_after.and_then(|after| Duration::try_from(after).ok());
    wanted.unwrap_or(ASK_AGAIN).clamp(ASK_AGAIN_MIN, ASK_AGAIN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_neither_run_down_nor_left_to_forget_who_waits() {
        let after = |seconds, nanos| {
            let poll_after = Some(prost_types::Duration { seconds, nanos });
            ask_again_after(&v1::Place { poll_after, ..v1::Place::default() })
        };
        assert_eq!(after(3, 0), Duration::from_secs(3));
        assert_eq!((after(0, 1), after(3_600, 0)), (ASK_AGAIN_MIN, ASK_AGAIN_MAX));
        assert_eq!((after(-1, 0), ask_again_after(&v1::Place::default())), (ASK_AGAIN, ASK_AGAIN));
    }
}
