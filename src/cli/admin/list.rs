//! `admin list`.

use boxoffice_proto::v1::{Consistency, ListEventsRequest};

use crate::cli::client::Session;
use crate::cli::failure::Failure;
use crate::cli::pages;
use crate::cli::view::{EventView, event_table};

/// Events asked for at a time: each may have a thousand allocations.
const PAGE_SIZE: usize = 100;

/// Runs it.
pub(super) async fn run(session: &Session) -> Result<(), Failure> {
    let mut client = session.inventory();
    // Whoever has just created one looks for it.
    let consistency = Consistency::Strong.into();
    let (found, _) = pages::collect(usize::MAX, PAGE_SIZE, async |page_size, page_token| {
        let page = client.list_events(ListEventsRequest { page_size, page_token, consistency }).await?.into_inner();
        Ok((page.events, page.next_page_token))
    })
    .await?;
    let views: Vec<EventView> = found.into_iter().map(Into::into).collect();
    session.output.show(&views, || {
        if views.is_empty() {
            "There are no events yet: create one with `boxoffice admin create-event`.".to_owned()
        } else {
            event_table(&views)
        }
    })
}
