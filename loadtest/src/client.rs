//! Connections to the servers under test, and the metadata that names the caller.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use boxoffice_proto::v1::admin_service_client::AdminServiceClient;
use boxoffice_proto::v1::inventory_service_client::InventoryServiceClient;
use boxoffice_proto::v1::waiting_room_service_client::WaitingRoomServiceClient;
use tonic::Code;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_client::HealthClient;

/// The client of buyers.
pub type Inventory = InventoryServiceClient<Channel>;
/// The client of operators.
pub type Admin = AdminServiceClient<Channel>;
/// The client of those who wait.
pub type WaitingRooms = WaitingRoomServiceClient<Channel>;
/// The client of the empty call.
pub type Health = HealthClient<Channel>;

/// The metadata key that names the owner to a server in `--dev` mode.
pub const OWNER_KEY: &str = "boxoffice-owner";
/// The metadata key of a pass of a waiting room.
pub const PASS_KEY: &str = "boxoffice-pass";

/// Pages of journal entries and reservations are larger than tonic's default of 4 MiB allows.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Wide enough that the largest answers don't wait for window updates.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// A fixed set of connections, which connect when first used and again after the server was killed.
#[derive(Clone)]
pub struct Connections {
    channels: Vec<Channel>,
}

impl Connections {
    /// Prepares `count` connections, or one to each of `urls` where that is more. Neighbours go to different servers.
    ///
    /// # Errors
    /// Where there is no URL, or one cannot be read.
    pub fn new(urls: &[String], count: usize) -> Result<Self> {
        ensure!(!urls.is_empty(), "there is no server to connect to");
        let endpoints = urls.iter().map(|url| endpoint(url)).collect::<Result<Vec<_>>>()?;
        let count = count.max(urls.len());
        Ok(Self { channels: endpoints.iter().cycle().take(count).map(Endpoint::connect_lazy).collect() })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.channels.len()
    }

    /// The connection of the `index`th task: tasks are spread evenly.
    fn channel(&self, index: usize) -> Channel {
        self.channels[index % self.channels.len()].clone()
    }

    /// The buyers' client of the `index`th task.
    pub fn inventory(&self, index: usize) -> Inventory {
        Inventory::new(self.channel(index)).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The operators' client of the `index`th task.
    pub fn admin(&self, index: usize) -> Admin {
        Admin::new(self.channel(index)).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The client of the `index`th who waits.
    pub fn waiting_rooms(&self, index: usize) -> WaitingRooms {
        WaitingRooms::new(self.channel(index))
    }

    /// The client of the empty call of the `index`th task.
    pub fn health(&self, index: usize) -> Health {
        Health::new(self.channel(index))
    }
}

fn endpoint(url: &str) -> Result<Endpoint> {
    Ok(Endpoint::from_shared(url.to_owned())
        .with_context(|| format!("{url} is not a URL"))?
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES))
}

/// A request on behalf of an owner.
pub fn owned_by<T>(mut owner: MetadataValue<Ascii>, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    // The next request is for somebody else. Compression need not remember this one: it would push out what comes again and again.
    owner.set_sensitive(true);
    request.metadata_mut().insert(OWNER_KEY, owner);
    request
}

/// The metadata value of an owner's name; names here are made of letters, digits and `-`.
pub fn owner_value(name: &str) -> MetadataValue<Ascii> {
    MetadataValue::try_from(name).unwrap_or_else(|_| MetadataValue::from_static("unprintable"))
}

/// The reason of a refusal, as the API's errors carry it.
pub fn reason(status: &tonic::Status) -> Option<String> {
    use tonic_types::StatusExt as _;
    status.get_details_error_info().map(|info| info.reason)
}

/// Whether an error of this code comes from a connection that broke where it has no reason of the API: nobody knows what the server
/// did before. (HTTP/2 has `RESOURCE_EXHAUSTED` for "enhance your calm".) All others somebody has chosen, who owes a reason.
pub(crate) fn is_of_a_connection(code: Code) -> bool {
    match code {
        Code::Unavailable
        | Code::Unknown
        | Code::Internal
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::ResourceExhausted => true,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

/// A call that gets so long for its answer.
pub(crate) async fn within<T>(
    longest: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, tonic::Status> {
    let late = || tonic::Status::deadline_exceeded(format!("no answer in {} s", longest.as_secs()));
    tokio::time::timeout(longest, call).await.unwrap_or_else(|_| Err(late())).map(tonic::Response::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_hangs_is_given_up() {
        let late = within::<()>(Duration::from_millis(1), std::future::pending()).await;
        assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
        let answered = within(Duration::from_secs(600), async { Ok(tonic::Response::new(7)) }).await;
        assert_eq!(answered.unwrap(), 7);
    }
}
