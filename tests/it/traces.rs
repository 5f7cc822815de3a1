//! Traces, as a collector of OpenTelemetry gets them.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use boxoffice_proto::v1;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::recorded;
use crate::support::{Server, create_event, new_id, wants};
use crate::tokens::{Guarded, bearer, call, token};

/// How long sending may take to be tried: it is done every second.
const TRIED_MAX: Duration = Duration::from_secs(20);

/// A collector: the real protocol, and a memory.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().expect("nobody panics with it").push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Listens for as long as the test's runtime lives.
    async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let collector = Self::default();
        let service = TraceServiceServer::new(collector.clone());
        let serving = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));
        (collector, url)
    }

    fn received(&self) -> Vec<ExportTraceServiceRequest> {
        self.0.lock().expect("nobody panics with it").clone()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.received().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

/// The attributes of a span, as text.
fn attributes(span: &Span) -> HashMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::ArrayValue(array) => format!("{:?}", array.values),
        other => format!("{other:?}"),
    };
    let value = |pair: &opentelemetry_proto::tonic::common::v1::KeyValue| pair.value.as_ref()?.value.as_ref().map(text);
    span.attributes.iter().map(|pair| (pair.key.clone(), value(pair).unwrap_or_default())).collect()
}

/// Which span, in which trace.
fn identity(span: &Span) -> (Vec<u8>, Vec<u8>) {
    (span.trace_id.clone(), span.span_id.clone())
}

fn linked(span: &Span) -> Vec<(Vec<u8>, Vec<u8>)> {
    span.links.iter().map(|link| (link.trace_id.clone(), link.span_id.clone())).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_caller_traces_it_and_its_batch_are_spans_that_link_each_other() {
    let (collector, url) = Collector::start().await;
    let guarded = Guarded::start_with(|command| {
        command.args(["--otlp-endpoint", &url, "--otlp-sampling", "0"]);
    });
    let channel = guarded.server.channel();
    let (admin, buyer) = (token("admin", "root"), token("buyer", "ann-of-the-tests"));
    let event = v1::Event { sales_state: v1::SalesState::OnSale.into(), ..v1::Event::default() };
    let event = v1::CreateEventRequest { event_id: "sale".to_owned(), event: Some(event) };
    call(&channel, "AdminService/CreateEvent", event.encode_to_vec(), &[bearer(&admin)]).await.expect("an event");
    let floor = v1::Allocation { capacity: 10, ..v1::Allocation::default() };
    let floor = v1::CreateAllocationRequest {
        parent: "events/sale".to_owned(),
        allocation_id: "floor".to_owned(),
        allocation: Some(floor),
    };
    call(&channel, "AdminService/CreateAllocation", floor.encode_to_vec(), &[bearer(&admin)]).await.expect("a floor");

    for (flags, quantity) in [("01", 1), ("00", 1), ("01", 100)] {
        let traceparent = ("traceparent", format!("00-{TRACE}-{PARENT}-{flags}"));
        let request = wants(&new_id(), &[("floor", quantity)]).encode_to_vec();
        let answer =
            call(&channel, "InventoryService/CreateReservation", request, &[bearer(&buyer), traceparent]).await;
        assert_eq!(answer.is_ok(), quantity == 1, "{answer:?}");
    }
    // What waits is sent at the end.
    tokio::task::spawn_blocking(|| guarded.stop()).await.expect("it stops");

    let spans = collector.spans();
    let of = |kind: SpanKind| spans.iter().filter(|span| span.kind == kind as i32).collect::<Vec<_>>();
    let (requests, batches) = (of(SpanKind::Server), of(SpanKind::Internal));
    assert_eq!((requests.len(), batches.len(), spans.len()), (2, 2, 4), "{spans:#?}");
    for (code, request) in ["0", "9"].into_iter().zip(&requests) {
        assert_eq!(request.name, "boxoffice.v1.InventoryService/CreateReservation");
        assert_eq!((hex(&request.trace_id), hex(&request.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
        let told = attributes(request);
        assert_eq!((told["boxoffice.event"].as_str(), told["rpc.grpc.status_code"].as_str()), ("sale", code));
        let batch =
            batches.iter().find(|batch| linked(batch) == [identity(request)]).expect("a batch with a link to it");
        assert_eq!(linked(request), [identity(batch)]);
        assert_ne!(batch.trace_id, request.trace_id, "a batch works for many");
        let told = attributes(batch);
        assert_eq!((batch.name.as_str(), told["boxoffice.commands"].as_str()), ("batch", "1"));
        assert!(told["boxoffice.events"].contains("sale") && told["boxoffice.commit_us"].parse::<u64>().is_ok());
        assert!(request.start_time_unix_nano <= batch.start_time_unix_nano);
        assert!(batch.end_time_unix_nano <= request.end_time_unix_nano);
    }
    let all = format!("{:?}", collector.received());
    assert!(all.contains("\"service.name\"") && all.contains("\"boxoffice\""), "{all}");
    recorded::keep("collected", all.as_bytes());
    for secret in buyer.split('.').chain(admin.split('.')).chain(["ann-of-the-tests"]) {
        assert!(!all.contains(secret), "{secret} is in {all}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_disturbs_nobody_and_is_one_line_in_the_log() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = dir.path().join("log");
    let mut command = Server::command();
    command.args(["--dev", "--otlp-endpoint", "http://127.0.0.1:1", "--otlp-sampling", "1", "--data"]);
    command.arg(dir.path().join("data")).stderr(Stdio::from(File::create(&log).expect("a file")));
    let server = Server::spawn(command);
    create_event(&server, v1::Event::default(), &[("floor", 10)]).await;
    let told = |log: &Path| {
        let log = std::fs::read_to_string(log).expect("the log");
        log.matches("traces cannot be sent").count()
    };
    let tried = async {
        while told(&log) == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TRIED_MAX, tried).await.expect("it is told");
    let request = crate::support::by("ann", wants(&new_id(), &[("floor", 1)]));
    server.inventory().create_reservation(request).await.expect("a reservation");
    let begun = Instant::now();
    // What waits is tried once more.
    tokio::task::spawn_blocking(|| server.stop()).await.expect("it stops");
    assert!(begun.elapsed() < TRIED_MAX);
    recorded::keep("serve", &std::fs::read(&log).expect("the log"));
    assert_eq!(told(&log), 1);
}
