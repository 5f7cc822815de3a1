//! The connection to a server.

use std::time::Duration;

use boxoffice::client::{Caller, Client, Config};
use boxoffice_proto::v1::admin_service_client::AdminServiceClient;
use boxoffice_proto::v1::inventory_service_client::InventoryServiceClient;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::credentials::Credentials;
use super::failure::{Failure, first_cause};
use super::output::Output;
use super::values;

/// Where the server is if nobody says.
pub(crate) const SERVER_DEFAULT: &str = "http://127.0.0.1:50051";
/// The operator of a server that asks for no token, if nobody says.
const ACTOR_DEFAULT: &str = "operator";
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What rustls says begins so where it was the server's certificate that was not good enough.
const UNTRUSTED: &str = "invalid peer certificate";
/// Longest wait for an answer; the server is told, and drops work whose caller has given up.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer: a page of events may have a thousand allocations each.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What all clients have in common.
#[derive(clap::Args)]
pub(crate) struct ServerArgs {
    /// The server's URL
    #[arg(long, global = true, value_name = "URL", env = "BOXOFFICE_SERVER", hide_env_values = true, default_value = SERVER_DEFAULT)]
    pub(crate) server: String,
    #[command(flatten)]
    pub(crate) credentials: Credentials,
}

/// What all commands of a buyer have in common.
#[derive(clap::Args)]
pub(crate) struct BuyerArgs {
    /// Who buys; may be left out where the token is the buyer's own
    #[arg(long, value_name = "NAME", env = "BOXOFFICE_OWNER", hide_env_values = true)]
    pub(crate) owner: Option<String>,
    /// Answer for programs
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// Options of the commands that a buyer gives about an event and nothing else.
#[derive(clap::Args)]
pub(crate) struct BuyerOfEventArgs {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    pub(crate) event: String,
    #[command(flatten)]
    pub(crate) buyer: BuyerArgs,
}

impl BuyerArgs {
    /// Connects.
    pub(crate) async fn open(&self) -> Result<Session, Failure> {
        let owner = self.owner.as_deref().map(|owner| ("--owner", owner));
        Session::open_as(&self.server, owner, self.json).await
    }

    /// The options that a printed command needs to reach the same server as the same buyer.
    pub(crate) fn to_options(&self) -> String {
        let owner = self.owner.as_deref().map(|owner| format!("--owner {}", super::output::shell_word(owner)));
        let server = (self.server.server != SERVER_DEFAULT)
            .then(|| format!("--server {}", super::output::shell_word(&self.server.server)));
        owner.into_iter().chain(server).chain(self.server.credentials.to_options()).collect::<Vec<_>>().join(" ")
    }
}

/// A connected caller, and how to answer him.
pub(crate) struct Session {
    channel: Channel,
    stamp: Stamp,
    /// Where answers go.
    pub(crate) output: Output,
}

/// A channel that says who calls.
pub(crate) type Stamped = InterceptedService<Channel, Stamp>;

/// Puts the caller and the time limit, if there is one, on each call.
#[derive(Clone)]
pub(crate) struct Stamp {
    caller: Caller,
    timeout: Option<Duration>,
}

impl Interceptor for Stamp {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        self.caller.stamp(request.metadata_mut());
        if let Some(timeout) = self.timeout {
            request.set_timeout(timeout);
        }
        Ok(request)
    }
}

impl Session {
    /// Connects to `server` as an operator. Whoever is named is sent: beside a token, too, so that a name that is not the token's is
    /// refused and not left out of the journal without a word.
    pub(crate) async fn open(server: &ServerArgs, actor: Option<&str>, json: bool) -> Result<Self, Failure> {
        let unnamed = (!server.credentials.has_token()).then_some(ACTOR_DEFAULT);
        let caller = actor.or(unnamed).map(|actor| ("--actor", actor));
        Self::open_as(server, caller, json).await
    }

    /// Connects to `server`. `caller` is the option that named the caller, and the name.
    async fn open_as(server: &ServerArgs, caller: Option<(&str, &str)>, json: bool) -> Result<Self, Failure> {
        let bearer = server.credentials.bearer()?;
        if caller.is_none() && bearer.is_none() {
            return Err(Failure::Usage("who buys? Give --owner NAME, or a token".to_owned()));
        }
        let bearer = bearer.unwrap_or_default();
        let caller = match caller {
            None => bearer,
            Some((option, name)) => bearer
                .on_behalf_of(name)
                .map_err(|_| Failure::Usage(format!("{option} must be printable ASCII characters without spaces")))?,
        };
        let url = server.server.as_str();
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Failure::Usage(format!("--server must begin with http:// or https://, but it is {url:?}")));
        }
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|_| Failure::Usage(format!("--server is not a URL: {url:?}")))?;
        // Streams and audits have no time limit: where the other side falls silent, only this ends them.
        let mut endpoint = Config::default().prepare(endpoint).connect_timeout(CONNECT_TIMEOUT);
        if url.starts_with("https://") {
            let tls = server.credentials.tls()?;
            endpoint = endpoint
                .tls_config(tls)
                .map_err(|error| Failure::Usage(format!("the certificates cannot be used: {}", first_cause(&error))))?;
        }
        let channel = endpoint.connect().await.map_err(|error| {
            let why = first_cause(&error).to_string();
            let hint = match why.starts_with(UNTRUSTED) {
                true => "--ca names the authority that signed it; of one that signed itself, it is the certificate",
                false => "is it running? Start one with `boxoffice serve --dev`, or name one with --server",
            };
            let message = format!("cannot reach the server at {url}: {why}");
            Failure::Unreachable { message, hint: Some(hint.to_owned()) }
        })?;
        Ok(Self { channel, stamp: Stamp { caller, timeout: None }, output: Output { json } })
    }

    fn stamped(&self, timeout: Option<Duration>) -> Stamped {
        InterceptedService::new(self.channel.clone(), Stamp { timeout, ..self.stamp.clone() })
    }

    /// A buyer who asks again, with the same ids, where he gets no answer.
    pub(crate) fn buyer(&self) -> Result<Client, Failure> {
        let config = Config { deadline: ANSWER_TIMEOUT, ..Config::default() };
        Ok(Client::over(vec![self.channel.clone()], self.stamp.caller.clone(), config)?)
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
