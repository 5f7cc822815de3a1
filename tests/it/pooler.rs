//! A pooler in transaction mode stands between the servers and their database.

use std::net::TcpListener;

use boxoffice_proto::v1;
use private_cluster::{fresh_database, shared};

use crate::cli::{boxoffice, stderr};
use crate::rush::{Front, Rush};
use crate::support::{Server, by, create_event, event, new_id, wants};

/// Far more than any rush sells.
const PLENTY: i32 = 1_000_000;

/// Fewer connections than the servers have lanes and readers, so that they share them.
const CONNECTIONS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_sell_through_a_pooler_once_the_tables_are_there() {
    let url = fresh_database(shared()).expect("a database");
    let database = url.rsplit_once('/').expect("a path").1;
    let pooler = shared().pooler(CONNECTIONS).expect("a pooler");
    let pooled = pooler.url(database);

    // One that did not refuse would end as well, for want of a place to listen.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = listener.local_addr().expect("an address").to_string();
    let early = boxoffice(&["serve", "--dev", "--listen", &taken, "--database-url", &pooled, "--database-pooler"]);
    assert_eq!(early.status.code(), Some(1));
    assert!(stderr(&early).contains("run `boxoffice migrate`"), "{}", stderr(&early));
    let migrated = boxoffice(&["migrate", "--database-url", &url]);
    assert!(migrated.status.success(), "{}", stderr(&migrated));

    let servers = [(); 2].map(|()| Server::start_on(&pooled, &["--database-pooler"]));
    let limited = v1::Event { limit_per_owner: 10_000, ..v1::Event::default() };
    create_event(&servers[0], limited, &[("floor", PLENTY)]).await;
    let rush = Rush::begin(&Front::of(&[&servers[0], &servers[1]]), 16);
    rush.granted(200).await;
    let sessions =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let sessions: usize = shared().psql(database, sessions).expect("a row").parse().expect("a number");
    assert!((1..=CONNECTIONS).contains(&sessions), "{sessions} sessions for 10 connections");
    // Whoever updates looks for servers by this name.
    let named =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'boxoffice'";
    let named: usize = shared().psql(database, named).expect("a row").parse().expect("a number");
    assert!((1..=CONNECTIONS).contains(&named), "{named} of {sessions} sessions carry the servers' name");
    // The pooler opens other connections, which know nothing of those before.
    assert!(shared().terminate_backends(database).expect("terminated") > 0);
    rush.granted(200).await;
    let account = rush.end().await;
    account.only_store_unavailable();
    let acknowledged = account.check(&servers[1]).await;
    println!("through a pooler: {acknowledged} acknowledged; {sessions} sessions; {:?}", account.refused);

    let mut client = servers[0].inventory();
    let owner = &account.told[0].owner;
    let request =
        v1::ListReservationsRequest { parent: "events/sale".to_owned(), page_size: 1_000, ..Default::default() };
    let listed = client.list_reservations(by(owner, request)).await.expect("a list").into_inner().reservations;
    let own = account.told.iter().filter(|told| told.owner == *owner && told.reserved.is_some());
    assert!(listed.len() >= own.count(), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lapsed_holds_are_sold_again_through_a_pooler() {
    let url = fresh_database(shared()).expect("a database");
    let database = url.rsplit_once('/').expect("a path").1;
    assert!(boxoffice(&["migrate", "--database-url", &url]).status.success());
    let pooler = shared().pooler(1).expect("a pooler");
    let server = Server::start_on(&pooler.url(database), &["--database-pooler"]);
    create_event(&server, v1::Event::default(), &[("floor", 3)]).await;
    let mut client = server.inventory();
    for owner in ["ann", "bob", "cid"] {
        client.create_reservation(by(owner, wants(&new_id(), &[("floor", 1)]))).await.expect("granted");
    }
    let lapse = "UPDATE reservations SET expires_at = boxoffice_now() - 1 WHERE event_id = 'sale'";
    shared().psql(database, lapse).expect("lapsed");
    client.create_reservation(by("dan", wants(&new_id(), &[("floor", 3)]))).await.expect("granted");
    assert_eq!(event(&server).await.allocations[0].held, 3);
}
