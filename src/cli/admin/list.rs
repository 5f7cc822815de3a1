//! `admin list`.

use boxoffice_proto::v1::{Consistency, ListEventsRequest};

use crate::cli::client::Session;
use crate::cli::failure::Failure;
use crate::cli::view::{EventView, event_table};

/// Events asked for at a time: each may have a thousand allocations.
const PAGE_SIZE: i32 = 100;

/// Runs it.
pub(super) async fn run(session: &Session) -> Result<(), Failure> {
    let mut client = session.inventory();
    let mut views: Vec<EventView> = Vec::new();
    let mut page_token = String::new();
    loop {
        // Whoever has just created one looks for it.
        let consistency = Consistency::Strong.into();
        let request = ListEventsRequest { page_size: PAGE_SIZE, page_token, consistency };
        let page = client.list_events(request).await?.into_inner();
        views.extend(page.events.into_iter().map(Into::into));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    session.output.show(&views, || {
        if views.is_empty() {
            "There are no events yet: create one with `boxoffice admin create-event`.".to_owned()
        } else {
            event_table(&views)
        }
    })
}
