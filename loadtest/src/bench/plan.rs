//! What is measured, and in which order.

use anyhow::{Result, bail};

use super::goals::Goal;
use super::stage::{BATCHES_IN_FLIGHT, What};
use crate::cli::BenchArgs;
use crate::server::StoreChoice;

/// What kind of run it is: by that it is planned and judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One server on SQLite.
    Sqlite,
    /// One server on PostgreSQL.
    Postgres,
    /// Several servers on PostgreSQL, against one of them.
    SeveralServers,
    /// One server on a PostgreSQL whose commits wait for a standby.
    CommitDelay,
}

impl Kind {
    /// The kind of a run.
    pub fn of(args: &BenchArgs) -> Self {
        match (&args.common.store, args.common.servers) {
            _ if args.commit_delay.is_some() => Self::CommitDelay,
            (_, 2..) => Self::SeveralServers,
            (StoreChoice::Sqlite, _) => Self::Sqlite,
            (StoreChoice::PrivatePostgres | StoreChoice::Postgres { .. }, _) => Self::Postgres,
        }
    }
}

/// Something to measure at so many in flight.
pub type Point = (What, usize);

/// A point as it is named on the command line.
pub fn name((what, in_flight): Point) -> String {
    format!("{}@{in_flight}", what.as_str())
}

/// Something to measure, compared with the empty call at so many in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// What is measured.
    pub point: Point,
    /// Calls in flight of the empty call.
    pub empty_at: usize,
}

const fn item(what: What, in_flight: usize) -> Item {
    Item { point: (what, in_flight), empty_at: in_flight }
}

/// The order of one turn, if everything is measured. What is compared stands close together.
const ALL: [Item; 15] = [
    item(What::Empty, 64),
    item(What::H2load, 64),
    item(What::Reserve, 64),
    item(What::ReserveOneServer, 64),
    item(What::ByHand, 64),
    item(What::Empty, 256),
    item(What::Reserve, 256),
    item(What::ByHand, 256),
    Item { point: (What::BatchReserve, BATCHES_IN_FLIGHT), empty_at: 64 },
    item(What::Refuse, 64),
    item(What::Refuse, 256),
    item(What::Confirm, 64),
    item(What::Empty, 1),
    item(What::Reserve, 1),
    item(What::ByHand, 1),
];

/// Where commits are slow there is one question: how many reservations share one.
const WHERE_COMMITS_ARE_SLOW: [Point; 7] = [
    (What::Empty, 64),
    (What::Reserve, 64),
    (What::ByHand, 64),
    (What::Empty, 256),
    (What::Reserve, 256),
    (What::ByHand, 256),
    (What::ByHand, 1),
];

/// Which programs of others are installed, that some measurements need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Programs {
    /// PostgreSQL's own.
    pub pgbench: bool,
    /// nghttp2's.
    pub h2load: bool,
}

impl Programs {
    /// All of them.
    pub const ALL: Self = Self { pgbench: true, h2load: true };
}

/// Everything that a run of this kind measures.
pub fn all(kind: Kind, programs: Programs) -> Vec<Item> {
    let belongs = |item: &&Item| match (kind, item.point.0) {
        (_, What::ByHand) if !programs.pgbench => false,
        (_, What::H2load) if !programs.h2load => false,
        (Kind::CommitDelay, _) => WHERE_COMMITS_ARE_SLOW.contains(&item.point),
        (Kind::Postgres, What::ByHand)
        | (Kind::SeveralServers, What::ReserveOneServer)
        | (Kind::Sqlite | Kind::Postgres, What::H2load) => true,
        (_, What::ByHand | What::ReserveOneServer | What::ReserveSpread | What::H2load) => false,
        (_, What::Empty | What::Reserve | What::BatchReserve | What::Refuse | What::Confirm) => true,
    };
    ALL.iter().filter(belongs).copied().collect()
}

/// Of a plan, what was asked for (nothing: all of it), and what that is compared with.
///
/// # Errors
/// Where something is asked for that is not in the plan.
pub fn chosen(all: &[Item], goals: &[Goal], only: &[String]) -> Result<Vec<Item>> {
    for wanted in only {
        if !all.iter().any(|item| name(item.point) == *wanted) {
            let known: Vec<_> = all.iter().map(|item| name(item.point)).collect();
            bail!("--only {wanted} is not measured here; these are: {}", known.join(", "));
        }
    }
    let wanted: Vec<_> = all.iter().filter(|item| only.is_empty() || only.contains(&name(item.point))).collect();
    let compared = |point: Point| {
        let by_goals = goals.iter().filter(|goal| goal.references().contains(&point));
        wanted.iter().any(|wanted| (What::Empty, wanted.empty_at) == point)
            || by_goals.into_iter().any(|goal| wanted.iter().any(|wanted| wanted.point == goal.of))
    };
    Ok(all.iter().filter(|item| wanted.contains(item) || compared(item.point)).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::goals;

    fn points(kind: Kind, only: &str) -> String {
        let only: Vec<_> = only.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let plan = chosen(&all(kind, Programs::ALL), goals::of(kind), &only).unwrap();
        plan.iter().map(|item| name(item.point)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_chosen_brings_along_what_it_is_compared_with() {
        assert_eq!(points(Kind::Sqlite, "batch_reserve@8"), "empty@64 batch_reserve@8");
        assert_eq!(points(Kind::Postgres, "reserve@64"), "empty@64 reserve@64 pgbench_update@64");
        assert_eq!(points(Kind::SeveralServers, "reserve@64"), "empty@64 reserve@64 reserve_one_server@64");
    }

    #[test]
    fn each_kind_of_run_measures_what_it_is_about() {
        assert!(!points(Kind::Sqlite, "").contains("pgbench"));
        assert!(points(Kind::Postgres, "").contains("pgbench_update@256"));
        let slow = "empty@64 reserve@64 pgbench_update@64 empty@256 reserve@256 pgbench_update@256 pgbench_update@1";
        assert_eq!(points(Kind::CommitDelay, ""), slow);
        let without = all(Kind::Postgres, Programs { pgbench: false, h2load: false });
        assert!(without.iter().all(|item| !matches!(item.point.0, What::ByHand | What::H2load)));
    }

    #[test]
    fn what_is_not_measured_cannot_be_chosen() {
        let refusal = chosen(&all(Kind::Sqlite, Programs::ALL), &[], &["reserve@7".to_owned()]).unwrap_err();
        assert!(refusal.to_string().contains("reserve@64"));
    }
}
