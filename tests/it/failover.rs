//! A standby takes the primary's place.

use std::time::Instant;

use boxoffice_proto::v1;
use private_cluster::{Cluster, Options, fresh_database};
use rustix::process::Signal;
use tonic::Code;

use crate::proxy::Proxy;
use crate::rush::{Front, Rush};
use crate::support::{DATABASE_TIMEOUT, Server, assert_audit_is_clean, by, create_event, event, new_id, reason, wants};

/// Far more than any rush sells.
const PLENTY: i32 = 1_000_000;

/// A primary whose commits wait for its standby, and the name of a database in them.
fn primary_and_standby() -> (Cluster, Cluster, String) {
    let primary = Cluster::start(&Options::default()).expect("a PostgreSQL server");
    let url = fresh_database(&primary).expect("a database");
    let standby = primary.standby("second", &Options::default()).expect("a standby");
    primary.set("synchronous_standby_names", "second").expect("set");
    let database = url.rsplit_once('/').expect("a path").1.to_owned();
    (primary, standby, database)
}

fn url_of_both(first: u16, second: u16, database: &str) -> String {
    format!("postgres://postgres:pa55word@127.0.0.1:{first},127.0.0.1:{second}/{database}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_find_the_new_primary_and_nothing_acknowledged_is_lost() {
    let (primary, standby, database) = primary_and_standby();
    let url = url_of_both(primary.port(), standby.port(), &database);
    let servers = [Server::start_on(&url, &[]), Server::start_on(&url, &[])];
    create_event(&servers[0], v1::Event::default(), &[("floor", PLENTY)]).await;
    let rush = Rush::begin(&Front::of(&[&servers[0], &servers[1]]), 16);
    rush.granted(300).await;
    let killed = Instant::now();
    primary.kill().expect("killed");
    rush.refused(16).await;
    standby.promote().expect("promoted");
    let promoted = killed.elapsed();
    let resumed = rush.granted(1).await;
    rush.granted(300).await;
    let account = rush.end().await;
    account.only_store_unavailable();
    let acknowledged = account.check(&servers[1]).await;
    println!(
        "primary killed, standby promoted after {promoted:?}: {acknowledged} acknowledged, none lost; longest wait for an \
         answer {:?}; {:?}; served again {resumed:?} after the promotion",
        account.longest_wait, account.refused
    );
    assert!(account.longest_wait < 4 * DATABASE_TIMEOUT, "{:?}", account.longest_wait);
}

/// Or else what was acknowledged would be gone after a failover.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_is_not_acknowledged_before_the_standby_has_the_first_try() {
    let (primary, standby, database) = primary_and_standby();
    let server = Server::start_on(&primary.url(&database), &[]);
    create_event(&server, v1::Event::default(), &[("floor", PLENTY)]).await;
    let mut client = server.inventory();
    let request = wants(&new_id(), &[("floor", 1)]);
    standby.pause().expect("paused");
    let error = client.create_reservation(by("ann", request.clone())).await.expect_err("the standby hangs");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
    // The transaction that waits for the standby is made to end. It has committed, here, and all can see it.
    primary.terminate_backends(&database).expect("terminated");
    let held = primary.psql(&database, "SELECT held FROM allocations WHERE event_id = 'sale'").expect("a row");
    assert_eq!(held, "1");
    let error = client.create_reservation(by("ann", request.clone())).await.expect_err("the standby still hangs");
    assert_eq!((error.code(), reason(&error).as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));

    standby.resume().expect("resumed");
    client.create_reservation(by("ann", request)).await.expect("granted");
    assert_eq!(event(&server).await.allocations[0].held, 1, "one effect");
    assert_audit_is_clean(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_do_not_come_from_an_old_primary_that_is_a_standby_now() {
    let first = Cluster::start(&Options::default()).expect("a PostgreSQL server");
    let url = fresh_database(&first).expect("a database");
    let database = url.rsplit_once('/').expect("a path").1;
    let second = first.standby("second", &Options::default()).expect("a standby");
    let old_place = Proxy::start(first.port()).await;
    let server = Server::start_on(&url_of_both(old_place.port(), second.port(), database), &[]);
    create_event(&server, v1::Event::default(), &[("floor", PLENTY)]).await;
    assert_eq!(event(&server).await.allocations[0].held, 0);

    // A switch: where the primary was, there is a standby now, and it lags behind. The server, which looks at its database all the
    // time, sees nothing of what is between.
    server.pause();
    first.stop().expect("stopped");
    second.promote().expect("promoted");
    let standby = second.standby("third", &Options::default()).expect("a standby");
    standby.psql("postgres", "SELECT pg_wal_replay_pause()").expect("paused");
    old_place.aim(standby.port());
    server.signal(Signal::CONT);
    let mut client = server.inventory();
    client.create_reservation(by("ann", wants(&new_id(), &[("floor", 1)]))).await.expect("granted");
    assert_eq!(event(&server).await.allocations[0].held, 1, "a strong read sees what was sold before it");
}
