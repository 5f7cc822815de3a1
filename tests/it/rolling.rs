//! The tables change while servers of the version before still serve.

use std::net::TcpListener;

use boxoffice_proto::v1;
use private_cluster::{fresh_database, shared};

use crate::cli::{boxoffice, stderr};
use crate::rush::{Front, Rush};
use crate::support::{Server, create_event};

/// Far more than any rush sells.
const PLENTY: i32 = 1_000_000;

/// What a newer program does that older ones can live with.
const NEWER: &str = "ALTER TABLE reservations ADD COLUMN note text;
    ALTER TABLE events ADD COLUMN note text;
    INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
    VALUES (9999, 'a note', true, '\\x00', 1);";

/// What it does once there are no older ones any more.
const WITHOUT_OLDER: &str = "UPDATE boxoffice_schema SET oldest_migration_required = 9999";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_server_sells_on_until_the_tables_say_that_it_must_not_start() {
    let url = fresh_database(shared()).expect("a database");
    let database = url.rsplit_once('/').expect("a path").1;
    let server = Server::start_on(&url, &[]);
    create_event(&server, v1::Event::default(), &[("floor", PLENTY)]).await;
    let front = Front::of(&[&server]);
    let rush = Rush::begin(&front, 8);
    rush.granted(50).await;
    shared().psql(database, NEWER).expect("migrated");
    rush.granted(50).await;
    let restarted = Server::start_on(&url, &[]);
    tokio::task::spawn_blocking(|| server.stop()).await.expect("it stops");
    front.replace(0, &restarted);
    rush.granted(50).await;
    let account = rush.end().await;
    account.only_unavailable();
    let acknowledged = account.check(&restarted).await;
    println!("tables changed under a server: {acknowledged} acknowledged; {:?}", account.refused);
    let migrated = boxoffice(&["migrate", "--database-url", &url]);
    assert!(migrated.status.success(), "there is nothing to do: {}", stderr(&migrated));

    shared().psql(database, WITHOUT_OLDER).expect("migrated");
    // One that did not refuse would end as well, for want of a place to listen.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = listener.local_addr().expect("an address").to_string();
    for arguments in [&["serve", "--dev", "--listen", &taken][..], &["migrate"]] {
        let refused = boxoffice(&[arguments, &["--database-url", &url]].concat());
        assert_eq!(refused.status.code(), Some(1));
        let lines = stderr(&refused);
        assert_eq!(lines.lines().count(), 1, "{lines}");
        assert!(lines.starts_with("error: the database needs a newer version of Boxoffice"), "{lines}");
    }
}
