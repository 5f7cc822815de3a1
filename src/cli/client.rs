//! The connection to a server.

use std::time::Duration;

use boxoffice_proto::v1::admin_service_client::AdminServiceClient;
use boxoffice_proto::v1::inventory_service_client::InventoryServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::failure::{Failure, innermost};
use super::output::Output;

/// Where the server is if nobody says.
pub(crate) const SERVER_DEFAULT: &str = "http://127.0.0.1:50051";
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for an answer; the server is told, and drops work whose caller has given up.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer: a page of events may have a thousand allocations each.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Says on whose behalf a call is made.
const CALLER_KEY: &str = "boxoffice-owner";

/// What all clients have in common.
#[derive(clap::Args)]
pub(crate) struct ServerArgs {
    /// The server's URL
    #[arg(long, global = true, value_name = "URL", env = "BOXOFFICE_SERVER", hide_env_values = true, default_value = SERVER_DEFAULT)]
    pub(crate) server: String,
}

/// What all commands of a buyer have in common.
#[derive(clap::Args)]
pub(crate) struct BuyerArgs {
    /// Who buys
    #[arg(long, value_name = "NAME", env = "BOXOFFICE_OWNER", hide_env_values = true)]
    pub(crate) owner: String,
    /// Answer for programs
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

impl BuyerArgs {
    /// Connects.
    pub(crate) async fn open(&self) -> Result<Session, Failure> {
        Session::open(&self.server.server, ("--owner", &self.owner), self.json).await
    }

    /// The options that a printed command needs to reach the same server as the same buyer.
    pub(crate) fn to_options(&self) -> String {
        let mut options = format!("--owner {}", super::output::shell_word(&self.owner));
        if self.server.server != SERVER_DEFAULT {
            options.push_str(&format!(" --server {}", super::output::shell_word(&self.server.server)));
        }
        options
    }
}

/// A connected caller, and how to answer him.
pub(crate) struct Session {
    channel: Channel,
    caller: MetadataValue<Ascii>,
    /// Where answers go.
    pub(crate) output: Output,
}

/// A channel that says who calls.
pub(crate) type Stamped = InterceptedService<Channel, Stamp>;

/// Puts the caller's name, and the time limit if there is one, on each call.
#[derive(Clone)]
pub(crate) struct Stamp {
    caller: MetadataValue<Ascii>,
    timeout: Option<Duration>,
}

impl Interceptor for Stamp {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(CALLER_KEY, self.caller.clone());
        if let Some(timeout) = self.timeout {
            request.set_timeout(timeout);
        }
        Ok(request)
    }
}

impl Session {
    /// Connects to `server`. `caller` is the option that named the caller, and the name.
    pub(crate) async fn open(server: &str, caller: (&str, &str), json: bool) -> Result<Self, Failure> {
        let (option, name) = caller;
        // An empty header would be taken for none.
        let caller = Some(name)
            .filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()))
            .and_then(|name| MetadataValue::try_from(name).ok())
            .ok_or_else(|| Failure::Usage(format!("{option} must be printable ASCII characters without spaces")))?;
        if !server.starts_with("http://") {
            return Err(Failure::Usage(format!("--server must begin with http://, but it is {server:?}")));
        }
        let endpoint = Endpoint::from_shared(server.to_owned())
            .map_err(|_| Failure::Usage(format!("--server is not a URL: {server:?}")))?
            .connect_timeout(CONNECT_TIMEOUT);
        let channel = endpoint.connect().await.map_err(|error| Failure::Unreachable {
            message: format!("cannot reach the server at {server}: {}", innermost(&error)),
            hint: Some("is it running? Start one with `boxoffice serve --dev`, or name one with --server".to_owned()),
        })?;
        Ok(Self { channel, caller, output: Output { json } })
    }

    fn stamped(&self, timeout: Option<Duration>) -> Stamped {
        InterceptedService::new(self.channel.clone(), Stamp { caller: self.caller.clone(), timeout })
    }

    /// The buyers' service.
    pub(crate) fn inventory(&self) -> InventoryServiceClient<Stamped> {
        InventoryServiceClient::new(self.stamped(Some(ANSWER_TIMEOUT))).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The buyers' service without a time limit, for streams.
    pub(crate) fn patient_inventory(&self) -> InventoryServiceClient<Stamped> {
        InventoryServiceClient::new(self.stamped(None)).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The operators' service.
    pub(crate) fn admin(&self) -> AdminServiceClient<Stamped> {
        AdminServiceClient::new(self.stamped(Some(ANSWER_TIMEOUT))).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The operators' service without a time limit, for streams and for audits of large events.
    pub(crate) fn patient_admin(&self) -> AdminServiceClient<Stamped> {
        AdminServiceClient::new(self.stamped(None)).max_decoding_message_size(ANSWER_BYTES_MAX)
    }
}
