//! What a request leaves in the log, and how a server is configured without flags.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};

use boxoffice_proto::v1;
use boxoffice_proto::v1::inventory_service_client::InventoryServiceClient;
use private_cluster::{Cluster, Options};
use serde_json::Value;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::recorded;
use crate::tokens::test_key;

const KEY: &str = "x-request-id";

/// A server that is configured by a file and the environment alone, and whose log is read.
struct Logged {
    child: Child,
    url: String,
}

impl Logged {
    /// With what `file` adds to the settings of each of these servers.
    fn start(file: &str, database_url: &str) -> Self {
        let file = format!("listen = \"127.0.0.1:0\"\nlog-format = \"json\"\nsweep-interval = \"0s\"\n{file}");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("boxoffice.toml");
        std::fs::write(&path, file).expect("the file is written");
        let mut child = recorded::boxoffice()
            .arg("serve")
            .env("BOXOFFICE_CONFIG", &path)
            .env("BOXOFFICE_DATABASE_URL", database_url)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(recorded::read(child.stdout.take().expect("stdout is piped"))).lines();
        let first = lines.next().expect("it says where it listens").expect("text");
        std::thread::spawn(move || lines.for_each(drop));
        let url = first.strip_prefix("listening on ").expect("it says where it listens").to_owned();
        Self { child, url }
    }

    fn client(&self) -> InventoryServiceClient<Channel> {
        let endpoint = Endpoint::from_shared(self.url.clone()).expect("a valid url");
        InventoryServiceClient::new(endpoint.connect_lazy())
    }

    /// Ends it, and returns what it logged.
    fn log(mut self) -> Vec<Value> {
        self.child.kill().expect("it runs");
        let mut text = String::new();
        recorded::read(self.child.stderr.take().expect("stderr is piped")).read_to_string(&mut text).expect("text");
        self.child.wait().expect("it can be waited for");
        text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }
}

/// Asks for an event that there is not, with a request id.
async fn ask(client: &mut InventoryServiceClient<Channel>, id: Option<&'static str>) -> Status {
    let mut request = Request::new(v1::GetEventRequest {
        name: "events/sale".to_owned(),
        consistency: v1::Consistency::Strong.into(),
    });
    if let Some(id) = id {
        request.metadata_mut().insert(KEY, AsciiMetadataValue::from_static(id));
    }
    client.get_event(request).await.expect_err("there is no event")
}

fn returned(status: &Status) -> Option<String> {
    status.metadata().get(KEY).map(|id| id.to_str().expect("ASCII").to_owned())
}

#[tokio::test]
async fn a_request_is_named_in_the_log_and_its_caller_told_the_name() {
    let cluster = Cluster::start(&Options::default()).expect("a database server");
    let database = private_cluster::fresh_database(&cluster).expect("a database");
    let server = Logged::start("dev = true\ndatabase-timeout = \"1s\"\n", &database);
    let mut client = server.client();

    let refused = ask(&mut client, Some("web-7")).await;
    assert_eq!((refused.code(), returned(&refused)), (tonic::Code::NotFound, Some("web-7".to_owned())));
    assert_eq!(returned(&ask(&mut client, None).await), None, "a refusal is not in the log");

    cluster.kill().expect("it runs");
    let sent = ask(&mut client, Some("web-8")).await;
    assert_eq!((sent.code(), returned(&sent)), (tonic::Code::Unavailable, Some("web-8".to_owned())));
    let made = returned(&ask(&mut client, None).await).expect("the server names it");
    let replaced = returned(&ask(&mut client, Some("what is \"this\"?")).await).expect("the server names it");
    assert!(made != replaced && !replaced.contains(' '), "{made} {replaced}");

    let log = server.log();
    assert!(
        log.iter().any(|line| line["message"] == "the inventory is in PostgreSQL, which has no events yet"),
        "{log:#?}"
    );
    for id in ["web-8", &made, &replaced] {
        let lines: Vec<_> = log.iter().filter(|line| line["request_id"] == id).collect();
        assert!(lines.iter().any(|line| line["message"] == "a read failed"), "{id}: {log:#?}");
    }
    assert!(log.iter().all(|line| line["request_id"] != "web-7"));
}

#[tokio::test]
async fn a_server_that_has_nothing_to_sell_says_so() {
    let database = private_cluster::fresh_database(private_cluster::shared()).expect("a database");
    let keys = format!("auth-key = [{:?}]\n", test_key("ed25519.public.pem"));
    let server = Logged::start(&keys, &database);
    assert_eq!(ask(&mut server.client(), None).await.code(), tonic::Code::Unauthenticated, "it serves");
    let log = server.log();
    let message = "the inventory is in PostgreSQL, which has no events yet";
    assert!(log.iter().any(|line| line["message"] == message), "{log:#?}");
}
