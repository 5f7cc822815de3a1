//! What every request passes first: admission, who the caller is, how often he may call, and his deadline.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use boxoffice_proto::v1::inventory_service_server::InventoryServiceServer;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};
use tonic::body::Body;
use tonic::codegen::http::header::AUTHORIZATION;
use tonic::codegen::http::{HeaderValue, Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::service::Routes;
use tonic::{Code, Status};

use super::answer::{self, Unread};
use super::arrival::Arriving;
use crate::grpc::admission::{Admission, Place};
use crate::grpc::caller::Caller;
use crate::grpc::deadline::{self, Deadline};
use crate::grpc::{Authentication, Inventory, errors};
use crate::metrics::{self, Method, Metrics};
use crate::rate::{Cost, Exceeded, RateLimits, Wait};
use crate::request_id::{self, RequestId};
use crate::traces::{self, Sampling};

/// Our own services, which admission counts and which are for known callers alone. Health and reflection answer anybody,
/// even when too much goes on; their streams have bounds of their own.
const OWN: &str = "/boxoffice.v1.";
/// The hot service. It is called directly: the router would cost each of its requests two allocations more.
const HOT: &str = "/boxoffice.v1.InventoryService/";
/// What operators do, which is not limited.
const OPERATORS: &str = "/boxoffice.v1.AdminService/";

/// A single question, which is always answered: whoever holds many streams open must not make the server look ill.
const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";
const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";

/// All services, behind admission and deadlines. Cloned for each request.
#[derive(Clone)]
pub(super) struct Front(Arc<Services>);

struct Services {
    inventory: InventoryServiceServer<Inventory>,
    routes: Routes,
    gates: Gates,
    metrics: Arc<Metrics>,
    traces: Option<Sampling>,
}

/// What a request must pass.
pub(super) struct Gates {
    pub(super) requests: Admission,
    pub(super) reflections: Admission,
    pub(super) health_watches: Admission,
    pub(super) authentication: Authentication,
    pub(super) rates: Arc<RateLimits>,
    /// How long a request may take to arrive.
    pub(super) arrival_max: Duration,
    pub(super) unread: Unread,
    /// Becomes true when the server stops.
    pub(super) stopping: watch::Receiver<bool>,
}

impl Front {
    pub(super) fn new(
        inventory: InventoryServiceServer<Inventory>,
        routes: Routes,
        gates: Gates,
        metrics: Arc<Metrics>,
        traces: Option<Sampling>,
    ) -> Self {
        Self(Arc::new(Services { inventory, routes, gates, metrics, traces }))
    }
}

impl Service<Request<Body>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Answering {
        let method = Method::of_path(request.uri().path());
        let call = Call { services: Arc::clone(&self.0), method, begun: Instant::now(), open: true };
        let sent = request.headers().get(request_id::KEY).cloned();
        let taken = sent.as_ref().and_then(|value| RequestId::sent(value.as_bytes()));
        let sent = sent.filter(|_| taken.is_some());
        let id = taken.unwrap_or_else(RequestId::next);
        let own = || request.uri().path().starts_with(OWN);
        let traced = self.0.traces.filter(|_| own()).and_then(|traces| traces.begin(method, request.headers()));
        let (work, deadline, taken) = match self.0.admit(&mut request) {
            Ok(taken) => {
                let (work, deadline) = Services::begin(&self.0, request);
                (work, deadline, taken)
            }
            // A place is given back at once: a refusal is as good as answered.
            Err(status) => (Work::Refused(Some(status)), None, None),
        };
        Answering { work, deadline, call, id, sent, traced, taken }
    }
}

impl Services {
    /// Takes a place for a call of our own services, and puts into it who makes it. Before the body is read: whoever may not
    /// call costs little, and a call that is added later is not forgotten.
    fn admit(&self, request: &mut Request<Body>) -> Result<Option<Taken>, Status> {
        if !request.uri().path().starts_with(OWN) {
            request.headers_mut().remove(AUTHORIZATION);
            let among = match request.uri().path() {
                HEALTH_CHECK => return Ok(None),
                HEALTH_WATCH => &self.gates.health_watches,
                _ => &self.gates.reflections,
            };
            let place = among.enter().ok_or_else(|| self.overloaded())?;
            return Ok(Some(Taken { place, until_read: true }));
        }
        let place = self.gates.requests.enter().ok_or_else(|| self.overloaded())?;
        let caller = self.gates.authentication.identify(request.headers_mut())?;
        if request.uri().path().starts_with(OPERATORS) {
            caller.admin()?;
        } else {
            for key in caller.limited() {
                self.gates.rates.admit_here(key, Cost::of(1)).map_err(|exceeded| self.rate_limited(&exceeded))?;
            }
        }
        request.extensions_mut().insert(caller);
        Ok(Some(Taken { place, until_read: false }))
    }

    fn overloaded(&self) -> Status {
        self.metrics.refused(metrics::OVERLOADED);
        errors::overloaded()
    }

    fn rate_limited(&self, exceeded: &Exceeded) -> Status {
        self.metrics.refused(metrics::RATE_LIMITED);
        errors::rate_limited(exceeded)
    }

    /// Asks the other servers, whose limits are shared, before a call is begun.
    async fn ask_and_call(self: Arc<Self>, mut request: Request<Arriving>) -> Result<Response<Body>, Infallible> {
        // It was put there on admission.
        let caller = request.extensions().get::<Caller>().cloned();
        let until = self.gates.rates.wait().until();
        for key in caller.iter().flat_map(Caller::limited) {
            if let Err(exceeded) = self.gates.rates.admit_elsewhere(key, Cost::of(1), until).await {
                return Ok(self.rate_limited(&exceeded).into_http());
            }
        }
        request.extensions_mut().insert(Wait::left(until));
        if request.uri().path().starts_with(HOT) {
            self.inventory.clone().call(request).await
        } else {
            self.routes.clone().call(request.map(Body::new)).await
        }
    }

    /// Begins to answer a request that was admitted.
    fn begin(this: &Arc<Self>, mut request: Request<Body>) -> (Work, Option<Pin<Box<Sleep>>>) {
        // A timer costs something, so there is one only where the caller asks for it.
        let deadline = deadline::timeout(request.headers()).and_then(|timeout| Instant::now().checked_add(timeout));
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(Deadline(deadline));
        }
        let request = request.map(|body| Arriving::new(body, this.gates.arrival_max));
        let path = request.uri().path();
        let work = if this.gates.rates.is_shared() && path.starts_with(OWN) && !path.starts_with(OPERATORS) {
            Work::Direct(Box::pin(Arc::clone(this).ask_and_call(request)))
        } else if path.starts_with(HOT) {
            Work::Direct(this.inventory.clone().call(request))
        } else {
            Work::Routed(Box::pin(this.routes.clone().call(request.map(Body::new))))
        };
        (work, deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline))))
    }
}

/// The place that a request has.
struct Taken {
    place: Place,
    /// Whether it is given back only when the answer has been read to its end, or its reader has gone. (Our own streams are
    /// counted by `Watchers`.)
    until_read: bool,
}

/// A request that is being answered.
pub(super) struct Answering {
    work: Work,
    /// tonic answers an expired `grpc-timeout` with CANCELLED. It looks at this future before its own timer, which was set
    /// later than this one: so this answer wins.
    deadline: Option<Pin<Box<Sleep>>>,
    call: Call,
    id: RequestId,
    /// What the caller sent as the request's id; he gets it back.
    sent: Option<HeaderValue>,
    traced: Option<traces::Request>,
    taken: Option<Taken>,
}

enum Work {
    Direct(BoxFuture<Response<Body>, Infallible>),
    Routed(Pin<Box<<Routes as Service<Request<Body>>>::Future>>),
    Refused(Option<Status>),
}

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let poll = || match &mut this.work {
            Work::Direct(work) => work.as_mut().poll(cx),
            Work::Routed(work) => work.as_mut().poll(cx),
            Work::Refused(status) => {
                let status = status.take().unwrap_or_else(errors::internal);
                Poll::Ready(Ok(status.into_http()))
            }
        };
        let mut answer = request_id::scope(this.id, || traces::Request::scope(this.traced.as_ref(), poll));
        if answer.is_pending() && self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready()) {
            self.call.services.metrics.refused(metrics::DEADLINE_EXCEEDED);
            answer = Poll::Ready(Ok(errors::deadline_exceeded().into_http()));
        }
        answer.map_ok(|response| self.finish(response, cx))
    }
}

impl Answering {
    /// Counts the answer, and gives it the request's id. One that we made is worth its bytes only where something went wrong
    /// with us, so that the log may have a line of it: at a sell-out nearly every answer is a refusal, and those are cheap
    /// because their headers are always the same.
    fn finish(&mut self, mut response: Response<Body>, cx: &mut Context<'_>) -> Response<Body> {
        if self.call.method.may_answer_much() && code_of(&response) == Code::Ok {
            let unread = self.call.services.gates.unread.clone();
            response = match answer::bounded(response, self.id, self.call.method.is_stream(), unread, cx) {
                Ok(response) => response,
                Err(status) => {
                    self.call.services.metrics.refused(metrics::OVERLOADED);
                    status.into_http()
                }
            };
        }
        if let Some(status) = unreadable(&response) {
            response = status.into_http();
        }
        if let Some(Taken { place, .. }) = self.taken.take_if(|taken| taken.until_read) {
            response = answer::keeping(response, place, self.call.services.gates.stopping.clone());
        }
        let code = code_of(&response);
        self.call.count(code);
        let ours = matches!(code, Code::Unknown | Code::Internal | Code::Unavailable | Code::DeadlineExceeded);
        if let Some(traced) = self.traced.take() {
            traced.answered(code, ours);
        }
        let made = || HeaderValue::try_from(self.id.to_string()).ok();
        if let Some(mut value) = self.sent.take().or_else(|| ours.then(made).flatten()) {
            // Compression does not remember it: it would push out what comes again and again.
            value.set_sensitive(true);
            response.headers_mut().insert(request_id::KEY, value);
        }
        response
    }
}

/// A call, for the metrics.
struct Call {
    services: Arc<Services>,
    method: Method,
    begun: Instant,
    /// Not counted yet.
    open: bool,
}

impl Call {
    fn count(&mut self, code: Code) {
        if std::mem::take(&mut self.open) {
            self.services.metrics.answered(self.method, code as usize, self.begun.elapsed());
        }
    }
}

impl Drop for Call {
    /// A caller who went away before the answer.
    fn drop(&mut self) {
        self.count(Code::Cancelled);
    }
}

/// What a request is refused with that tonic could not read. It says INTERNAL, which would wake somebody, or, of one that is too large,
/// OUT_OF_RANGE, both without a reason; our own INTERNAL has details.
fn unreadable(response: &Response<Body>) -> Option<Status> {
    let headers = response.headers();
    if !matches!(code_of(response), Code::Internal | Code::OutOfRange)
        || headers.contains_key(Status::GRPC_STATUS_DETAILS)
    {
        return None;
    }
    Status::from_header_map(headers).map(|status| errors::unreadable(status.message()))
}

/// An answer without a message has its status in the header; with one, in what follows the message, and that is an answer
/// that was given. (What a stream ends with later is not counted.)
fn code_of(response: &Response<Body>) -> Code {
    match response.headers().get(Status::GRPC_STATUS) {
        Some(status) => Code::from_bytes(status.as_bytes()),
        None if response.status().is_success() => Code::Ok,
        None => Code::Unknown,
    }
}
