//! What every request passes first: admission, who the caller is, and his deadline.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use boxoffice_proto::v1::inventory_service_server::InventoryServiceServer;
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::header::AUTHORIZATION;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::service::Routes;

use crate::grpc::admission::{Admission, Place};
use crate::grpc::deadline::{self, Deadline};
use crate::grpc::{Authentication, Inventory, errors};

/// Our own services, which admission counts and which are for known callers alone. Health and reflection answer anybody,
/// even when too much goes on.
const OWN: &str = "/boxoffice.v1.";
/// The hot service. It is called directly: the router would cost each of its requests two allocations more.
const HOT: &str = "/boxoffice.v1.InventoryService/";

/// All services, behind admission and deadlines. Cloned for each request.
#[derive(Clone)]
pub(super) struct Front(Arc<Services>);

struct Services {
    inventory: InventoryServiceServer<Inventory>,
    routes: Routes,
    requests: Admission,
    authentication: Authentication,
}

impl Front {
    pub(super) fn new(
        inventory: InventoryServiceServer<Inventory>,
        routes: Routes,
        requests: Admission,
        authentication: Authentication,
    ) -> Self {
        Self(Arc::new(Services { inventory, routes, requests, authentication }))
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
        let path = request.uri().path();
        let (own, hot) = (path.starts_with(OWN), path.starts_with(HOT));
        let place = if own { self.0.requests.enter() } else { None };
        if own && place.is_none() {
            return Answering::refused(errors::overloaded());
        }
        if own {
            // Before the body is read: whoever may not call costs little, and a call that is added later is not forgotten.
            match self.0.authentication.identify(request.headers_mut()) {
                Ok(caller) => drop(request.extensions_mut().insert(caller)),
                Err(status) => return Answering::refused(status),
            }
        } else {
            request.headers_mut().remove(AUTHORIZATION);
        }
        // A timer costs something, so there is one only where the caller asks for it.
        let deadline = deadline::timeout(request.headers()).and_then(|timeout| Instant::now().checked_add(timeout));
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(Deadline(deadline));
        }
        let work = if hot {
            Work::Direct(self.0.inventory.clone().call(request))
        } else {
            Work::Routed(Box::pin(self.0.routes.clone().call(request)))
        };
        let deadline = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
        Answering { work, deadline, _place: place }
    }
}

/// A request that is being answered.
pub(super) struct Answering {
    work: Work,
    /// tonic answers an expired `grpc-timeout` with CANCELLED. It looks at this future before its own timer, which was set
    /// later than this one: so this answer wins.
    deadline: Option<Pin<Box<Sleep>>>,
    _place: Option<Place>,
}

enum Work {
    Direct(BoxFuture<Response<Body>, Infallible>),
    Routed(Pin<Box<<Routes as Service<Request<Body>>>::Future>>),
    Refused(Option<Status>),
}

impl Answering {
    fn refused(status: Status) -> Self {
        Self { work: Work::Refused(Some(status)), deadline: None, _place: None }
    }
}

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match &mut self.work {
            Work::Direct(work) => work.as_mut().poll(cx),
            Work::Routed(work) => work.as_mut().poll(cx),
            Work::Refused(status) => {
                let status = status.take().unwrap_or_else(errors::internal);
                Poll::Ready(Ok(status.into_http()))
            }
        };
        if answer.is_ready() {
            return answer;
        }
        match &mut self.deadline {
            Some(deadline) => deadline.as_mut().poll(cx).map(|()| Ok(errors::deadline_exceeded().into_http())),
            None => Poll::Pending,
        }
    }
}
