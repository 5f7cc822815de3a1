//! `admin update-event`: any fields of an event, in one edit.

use boxoffice_proto::v1::{Event, UpdateEventRequest};
use prost_types::{Duration, FieldMask};
use serde_json::json;

use crate::cli::client::Session;
use crate::cli::conflict::refused_edit;
use crate::cli::failure::Failure;
use crate::cli::values;
use crate::cli::view::EventView;

/// Options of `update-event`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("edit").required(true).multiple(true))]
pub(crate) struct Args {
    /// The event, like demo
    #[arg(value_parser = values::event)]
    event: String,
    /// Its name, for people
    #[arg(long, group = "edit")]
    name: Option<String>,
    /// Sell nothing before this time; none: no such time
    #[arg(long, value_name = "TIME", group = "edit", value_parser = values::optional_time)]
    on_sale_at: Option<values::OptionalTime>,
    /// Sell nothing from this time on; none: no such time
    #[arg(long, value_name = "TIME", group = "edit", value_parser = values::optional_time)]
    off_sale_at: Option<values::OptionalTime>,
    /// How long a hold lives when its buyer does not say
    #[arg(long, value_name = "DURATION", group = "edit", value_parser = values::duration)]
    hold_ttl: Option<Duration>,
    /// The longest life of a hold, extensions included
    #[arg(long, value_name = "DURATION", group = "edit", value_parser = values::duration)]
    max_hold_ttl: Option<Duration>,
    /// Most units that one owner may hold and buy in the event; 0: no limit
    #[arg(long, value_name = "N", group = "edit", value_parser = clap::value_parser!(i32).range(0..))]
    limit_per_owner: Option<i32>,
    /// The etag that was read: refuse if somebody has changed the event since [default: overwrite]
    #[arg(long, value_parser = values::etag)]
    etag: Option<String>,
}

/// Runs it.
pub(super) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let mut event = Event { name: args.event, etag: args.etag.unwrap_or_default(), ..Default::default() };
    let mut paths = Vec::new();
    if let Some(name) = args.name {
        event.display_name = name;
        paths.push("display_name");
    }
    if let Some(at) = args.on_sale_at {
        event.on_sale_time = at.0;
        paths.push("on_sale_time");
    }
    if let Some(at) = args.off_sale_at {
        event.off_sale_time = at.0;
        paths.push("off_sale_time");
    }
    if args.hold_ttl.is_some() {
        event.default_hold_ttl = args.hold_ttl;
        paths.push("default_hold_ttl");
    }
    if args.max_hold_ttl.is_some() {
        event.max_hold_ttl = args.max_hold_ttl;
        paths.push("max_hold_ttl");
    }
    if let Some(limit) = args.limit_per_owner {
        event.limit_per_owner = limit;
        paths.push("limit_per_owner");
    }
    let view = json!(EventView::from(event.clone()));
    let shown = paths.iter().map(|path| match *path {
        "default_hold_ttl" => "default_hold_ttl_seconds",
        "max_hold_ttl" => "max_hold_ttl_seconds",
        same => same,
    });
    let yours = shown.chain(["etag"]).map(|field| (field, view.get(field).cloned().unwrap_or_default())).collect();
    let update_mask = Some(FieldMask { paths: paths.into_iter().map(str::to_owned).collect() });
    let request = UpdateEventRequest { event: Some(event), update_mask };
    let answer = session.admin().update_event(request).await.map_err(|status| refused_edit(status, yours))?;
    let view = EventView::from(answer.into_inner());
    session.output.show(&view, || view.as_text())
}
