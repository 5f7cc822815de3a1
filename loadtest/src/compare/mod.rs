//! The scenario `compare`: the same sale in the ways that people write by hand, and with Boxoffice, on the same PostgreSQL and
//! Redis.
//!
//! Each way holds two sales with more buyers than tickets: one that nobody disturbs, which is measured, and one in which its
//! store is killed in mid-sale. A by-hand way whose answer is lost is asked again as a new purchase, because it has no
//! idempotency key. When everything is quiet, what buyers were told is held against what the store shows.

mod contest;
mod judge;
mod sale;
mod stores;
mod way;
mod ways;

use anyhow::{Context as _, Result, ensure};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

use crate::bar;
use crate::cli::{Common, CompareArgs};
use crate::event::fresh_id;
use crate::report::baseline::Baseline;
use crate::report::{AuditCounts, Report};
use crate::server::{self, Options, Servers, StoreChoice};
use contest::{CALM, Contest, ROUGH, Size};
use stores::{Stores, Victim};
use ways::Name;
use ways::boxoffice::Boxoffice;
use ways::{postgres, redis};

/// What Boxoffice came to, beyond its row.
struct OwnRow {
    audit: AuditCounts,
    /// Why it is not clean; empty if it is.
    faults: Vec<String>,
    kills: u32,
}

/// Holds all sales.
///
/// # Errors
/// Where a store or the server is missing or does not come up, or where the options make no sense here.
pub async fn run(args: &CompareArgs) -> Result<Report> {
    check(&args.common)?;
    let names = ways::chosen(&args.only)?;
    let size = size(args)?;
    let stores = Stores::start(names.iter().any(|name| name.is_redis())).await?;
    let mut common = args.common.clone();
    if names.contains(&Name::Boxoffice) {
        // Its absence is told now, and not after minutes.
        common.server_binary = Some(server::find_binary(&common)?);
    }
    postgres::prepare(&stores.database).await?;

    let bar = bar::new(names.len() as u64);
    let (mut baselines, mut own) = (Vec::new(), None);
    for name in names {
        bar.set_message(name.as_str());
        let contest = hold(name, &stores, size, &common, &mut own).await;
        let contest = contest.with_context(|| format!("{} cannot hold its sales", name.as_str()))?;
        baselines.push(baseline(name, &contest));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(report(baselines, own, facts(&stores, size)))
}

fn size(args: &CompareArgs) -> Result<Size> {
    let tickets = args.tickets.unsigned_abs();
    let buyers = args.buyers.unwrap_or(tickets + tickets / 2 + 1);
    ensure!(buyers > tickets, "--buyers {buyers} must be more than --tickets {tickets}: only then do they compete");
    let connections = args.connections.unwrap_or(args.in_flight);
    Ok(Size { tickets, buyers, in_flight: args.in_flight, connections, kills: args.kills })
}

/// Refuses options that mean nothing here.
fn check(common: &Common) -> Result<()> {
    ensure!(common.target.is_none(), "compare starts and kills servers of its own; --target has no place in it");
    ensure!(
        common.store == StoreChoice::PrivatePostgres,
        "compare kills its stores, and all ways have the same ones: a PostgreSQL and a Redis of its own; leave --store out"
    );
    Ok(())
}

async fn hold(name: Name, stores: &Stores, size: Size, common: &Common, own: &mut Option<OwnRow>) -> Result<Contest> {
    use postgres::{AtomicUpdate, ForUpdate, Racy, Serializable, SkipLocked, VersionColumn};
    match name {
        Name::Racy => on_postgres::<Racy>(stores, size).await,
        Name::ForUpdate => on_postgres::<ForUpdate>(stores, size).await,
        Name::AtomicUpdate => on_postgres::<AtomicUpdate>(stores, size).await,
        Name::Serializable => on_postgres::<Serializable>(stores, size).await,
        Name::VersionColumn => on_postgres::<VersionColumn>(stores, size).await,
        Name::SkipLocked => on_postgres::<SkipLocked>(stores, size).await,
        Name::RedisDecr => on_redis::<redis::Decr>(stores, size).await,
        Name::RedisLua => on_redis::<redis::Lua>(stores, size).await,
        Name::Boxoffice => {
            let (contest, row) = hold_own(stores, size, common).await?;
            *own = Some(row);
            Ok(contest)
        }
    }
}

async fn on_postgres<R: postgres::Recipe>(stores: &Stores, size: Size) -> Result<Contest> {
    let way = postgres::ByHand::<R>::new(&stores.database, size.connections).await?;
    contest::run(way, size, &mut Victim::Postgres(&stores.database)).await
}

async fn on_redis<R: redis::Recipe>(stores: &Stores, size: Size) -> Result<Contest> {
    let redis = stores.redis.as_ref().context("there is no Redis")?;
    let way = redis::ByHand::<R>::new(redis).await?;
    contest::run(way, size, &mut Victim::Redis(redis)).await
}

/// Boxoffice, with servers of its own on the same PostgreSQL.
async fn hold_own(stores: &Stores, size: Size, common: &Common) -> Result<(Contest, OwnRow)> {
    let store = StoreChoice::Postgres { url: stores.database.url() };
    let mut servers = Servers::start(&Common { store, ..common.clone() }, Options::default()).await?;
    let urls = servers.urls();
    let prefix = fresh_id("compare", &mut SmallRng::seed_from_u64(common.seed));
    let boxoffice = Boxoffice::new(&urls, prefix.clone())?;
    let contest = contest::run(boxoffice, size, &mut Victim::Servers(&mut servers, &stores.database)).await;
    let contest = contest.map_err(|error| servers.explain(error))?;
    let row =
        judge_own(&Boxoffice::new(&urls, prefix)?, &contest, size).await.map_err(|error| servers.explain(error))?;
    Ok((contest, row))
}

/// Boxoffice alone must be clean.
async fn judge_own(boxoffice: &Boxoffice, contest: &Contest, size: Size) -> Result<OwnRow> {
    let mut audit = AuditCounts::default();
    let mut faults = Vec::new();
    for (number, name, held) in
        [(CALM, "the undisturbed sale", &contest.calm), (ROUGH, "the other sale", &contest.rough)]
    {
        let sold = held.outcome.sold.len() as u64;
        let differences = boxoffice.differences(size.sale(number)).await?;
        audit.capacity += i64::from(size.tickets);
        audit.sold += sold.cast_signed();
        audit.oversold += held.faults.oversold;
        audit.stranded += held.faults.stranded;
        audit.lost += held.faults.lost;
        audit.unknown += held.outcome.unknown;
        audit.mismatched += differences.len() as u64;
        // More buyers than tickets came, and nobody left without an answer.
        let unsold = u64::from(size.tickets).saturating_sub(sold + held.faults.stranded);
        let counts = [
            ("oversold", held.faults.oversold),
            ("stranded", held.faults.stranded),
            ("lost", held.faults.lost),
            ("unsold", unsold),
        ];
        let wrong = counts.into_iter().filter(|(_, count)| *count > 0);
        faults.extend(wrong.map(|(what, count)| format!("Boxoffice: {count} {what} in {name}")));
        faults.extend(differences.into_iter().map(|difference| format!("Boxoffice, in {name}: {difference}")));
    }
    Ok(OwnRow { audit, faults, kills: contest.kills })
}

fn baseline(name: Name, contest: &Contest) -> Baseline {
    let Contest { calm, rough, .. } = contest;
    let sold = calm.outcome.sold.len() as f64;
    Baseline {
        name: name.as_str(),
        rate_per_s: if sold > 0.0 { sold / calm.outcome.seconds } else { 0.0 },
        p99_us: calm.outcome.latency.value_at_quantile(0.99),
        oversold: calm.faults.oversold.max(rough.faults.oversold),
        stranded: calm.faults.stranded.max(rough.faults.stranded),
        survives_kill: rough.faults.lost == 0,
        how: name.how(),
    }
}

fn facts(stores: &Stores, size: Size) -> Vec<(&'static str, Value)> {
    vec![
        ("tickets", json!(size.tickets)),
        ("buyers", json!(size.buyers)),
        ("in_flight", json!(size.in_flight)),
        ("connections_by_hand", json!(size.connections)),
        ("kills", json!(size.kills)),
        ("postgres_version", json!(stores.database.version())),
    ]
}

/// Boxoffice must be clean; what the other ways do are facts.
fn report(baselines: Vec<Baseline>, own: Option<OwnRow>, facts: Vec<(&'static str, Value)>) -> Report {
    let (audit, faults, own_summary) = match own {
        None => (AuditCounts::default(), Vec::new(), "Boxoffice was not among them".to_owned()),
        Some(OwnRow { audit, faults, kills }) => {
            let clean = format!("Boxoffice oversold, stranded and lost nothing; kills: {kills}");
            (audit, faults, clean)
        }
    };
    let passed = faults.is_empty();
    let by_hand = baselines.iter().filter(|baseline| baseline.name != Name::Boxoffice.as_str());
    let oversold = by_hand.filter(|baseline| baseline.oversold > 0);
    let oversold: Vec<_> = oversold.map(|baseline| format!("{} by {}", baseline.name, baseline.oversold)).collect();
    let by_hand_summary =
        if oversold.is_empty() { String::new() } else { format!("; oversold by hand: {}", oversold.join(", ")) };
    Report {
        scenario: "compare",
        passed,
        audit,
        measurements: Vec::new(),
        baselines,
        courses: Vec::new(),
        violations: Vec::new(),
        facts,
        summary: if passed { own_summary + &by_hand_summary } else { faults.join("; ") },
    }
}
