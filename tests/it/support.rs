//! Starts the real server and speaks to it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use boxoffice_proto::v1;
use boxoffice_proto::v1::admin_service_client::AdminServiceClient;
use boxoffice_proto::v1::inventory_service_client::InventoryServiceClient;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tempfile::TempDir;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

use crate::recorded;
use crate::rush::PATIENCE;

/// A client of the buyers' service.
pub(crate) type Inventory = InventoryServiceClient<Channel>;

/// A client of the operators' service.
pub(crate) type Admin = AdminServiceClient<Channel>;

/// How long servers wait for a PostgreSQL database: short, so that tests of a database that is away are.
pub(crate) const DATABASE_TIMEOUT: Duration = Duration::from_secs(1);

/// A server process. Killed with SIGKILL when dropped.
pub(crate) struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Starts the binary and waits until it says that it listens.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    pub(crate) fn start_with(data: &Path, more: &[&str]) -> Self {
        let data = data.to_str().expect("a path in UTF-8");
        Self::launch(&[&["--data", data], more].concat())
    }

    /// Starts a server on a PostgreSQL database, which waits for it at most [`DATABASE_TIMEOUT`] at a time.
    pub(crate) fn start_on(url: &str, more: &[&str]) -> Self {
        Self::start_on_waiting(url, DATABASE_TIMEOUT, more)
    }

    /// Starts a server on a PostgreSQL database, which waits for it at most so long at a time.
    pub(crate) fn start_on_waiting(url: &str, database_timeout: Duration, more: &[&str]) -> Self {
        let timeout = format!("{}ms", database_timeout.as_millis());
        let store = ["--database-url", url, "--database-timeout", &timeout];
        let small = ["--database-lanes", "2", "--database-readers", "3", "--sweep-interval", "0s"];
        Self::launch(&[&store[..], &small, more].concat())
    }

    /// Starts it where another server listened before.
    pub(crate) fn start_at(address: &str, data: &Path) -> Self {
        Self::launch_at(address, &["--data", data.to_str().expect("a path in UTF-8")])
    }

    /// Starts it with these options.
    pub(crate) fn launch(arguments: &[&str]) -> Self {
        Self::launch_at("127.0.0.1:0", arguments)
    }

    fn launch_at(address: &str, arguments: &[&str]) -> Self {
        let mut command = Self::command_at(address);
        command.arg("--dev").args(arguments);
        Self::spawn(command)
    }

    /// The command line of a server on a free port, to be completed and spawned.
    pub(crate) fn command() -> Command {
        Self::command_at("127.0.0.1:0")
    }

    fn command_at(address: &str) -> Command {
        let mut command = recorded::boxoffice();
        command.args(["serve", "--listen", address]).stdin(Stdio::null()).stderr(recorded::unread());
        command
    }

    /// Starts it, and waits until it says that it listens.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
        let mut lines = BufReader::new(recorded::read(child.stdout.take().expect("stdout is piped"))).lines();
        let url = loop {
            let line = lines.next().expect("the server says where it listens before it ends").expect("stdout is text");
            if let Some(url) = line.strip_prefix("listening on ") {
                break url.to_owned();
            }
        };
        // What it prints later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url }
    }

    /// Ends it without warning, as a power cut would end the process.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it can be waited for");
    }

    /// Tells it to stop (SIGTERM), and waits until it has.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        let ended = self.child.wait().expect("it can be waited for");
        assert!(ended.success(), "a graceful end: {ended}");
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// See [`pause`].
    pub(crate) fn pause(&self) {
        pause(&self.child);
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub(crate) fn channel(&self) -> Channel {
        Endpoint::from_shared(self.url.clone()).expect("a valid url").connect_lazy()
    }

    pub(crate) fn inventory(&self) -> Inventory {
        InventoryServiceClient::new(self.channel())
    }

    pub(crate) fn admin(&self) -> Admin {
        AdminServiceClient::new(self.channel())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Stops a program where it is (SIGSTOP). Its threads stop one after another, and work until then: returns when the last has.
pub(crate) fn pause(child: &Child) {
    let pid = Pid::from_child(child);
    kill_process(pid, Signal::STOP).expect("it runs");
    let stopped = waitpid(Some(pid), WaitOptions::UNTRACED).expect("it can be waited for");
    assert!(stopped.is_some_and(|(_, status)| status.stopped()), "it ended");
}

/// A fresh server with one event on sale.
pub(crate) async fn server_with_event(event: v1::Event, allocations: &[(&str, i32)]) -> (TempDir, Server) {
    let data = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(data.path());
    create_event(&server, event, allocations).await;
    (data, server)
}

/// Creates the event `sale` with allocations.
pub(crate) async fn create_event(server: &Server, event: v1::Event, allocations: &[(&str, i32)]) {
    let mut admin = server.admin();
    let event = v1::Event { sales_state: v1::SalesState::OnSale.into(), ..event };
    let request = v1::CreateEventRequest { event_id: "sale".to_owned(), event: Some(event) };
    admin.create_event(request).await.expect("the event is created");
    for (id, capacity) in allocations {
        let allocation = v1::Allocation { capacity: *capacity, ..v1::Allocation::default() };
        let request = v1::CreateAllocationRequest {
            parent: "events/sale".to_owned(),
            allocation_id: (*id).to_owned(),
            allocation: Some(allocation),
        };
        admin.create_allocation(request).await.expect("the allocation is created");
    }
}

/// A request in the name of `owner`.
pub(crate) fn by<T>(owner: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let owner = AsciiMetadataValue::try_from(owner).expect("an owner is ASCII");
    request.metadata_mut().insert("boxoffice-owner", owner);
    request
}

/// A request for units of allocations of `events/sale`.
pub(crate) fn wants(id: &str, lines: &[(&str, i32)]) -> v1::CreateReservationRequest {
    let lines = lines.iter().map(|(allocation, quantity)| v1::reservation::Line {
        allocation: format!("events/sale/allocations/{allocation}"),
        quantity: *quantity,
        ..v1::reservation::Line::default()
    });
    v1::CreateReservationRequest {
        parent: "events/sale".to_owned(),
        reservation_id: id.to_owned(),
        reservation: Some(v1::Reservation { lines: lines.collect(), ..v1::Reservation::default() }),
        ..v1::CreateReservationRequest::default()
    }
}

/// The name of a reservation of `events/sale`.
pub(crate) fn name(id: &str) -> String {
    format!("events/sale/reservations/{id}")
}

pub(crate) fn get(id: &str) -> v1::GetReservationRequest {
    v1::GetReservationRequest { name: name(id) }
}

pub(crate) fn confirm(id: &str, order_ref: &str) -> v1::ConfirmReservationRequest {
    v1::ConfirmReservationRequest { name: name(id), order_ref: order_ref.to_owned(), ..Default::default() }
}

/// A new version-7 id.
#[expect(clippy::disallowed_methods, reason = "tests are clients, and clients choose ids")]
pub(crate) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// A URL where nobody listens.
pub(crate) fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

/// Returns once something is so, and fails where that takes too long.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The reason in an error.
pub(crate) fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// The event `sale`, read from the database.
pub(crate) async fn event(server: &Server) -> v1::Event {
    let request = v1::GetEventRequest { name: "events/sale".to_owned(), consistency: v1::Consistency::Strong.into() };
    server.inventory().get_event(request).await.expect("the event is there").into_inner()
}

/// Fails unless the server's own audit finds that journal, counts and reservations agree.
pub(crate) async fn assert_audit_is_clean(server: &Server) -> v1::AuditEventResponse {
    assert_audit_of(server, "events/sale").await
}

/// The same of any event.
pub(crate) async fn assert_audit_of(server: &Server, event: &str) -> v1::AuditEventResponse {
    let request = v1::AuditEventRequest { name: event.to_owned() };
    let report = server.admin().audit_event(request).await.expect("the audit runs").into_inner();
    assert_eq!(report.differences, [], "journal and tables must agree");
    report
}
