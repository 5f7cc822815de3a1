//! What a server needs of its database, and no more.

use std::net::TcpListener;

use boxoffice_proto::v1;
use private_cluster::{fresh_database, shared};

use crate::cli::{boxoffice, stderr};
use crate::rush::{Front, Rush};
use crate::support::{Server, by, create_event, new_id, reason, wants};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_only_read_and_write_rows_can_serve() {
    let url = fresh_database(shared()).expect("a database");
    let database = url.rsplit_once('/').expect("a path").1;
    assert!(boxoffice(&["migrate", "--database-url", &url]).status.success());
    // Roles belong to the whole cluster.
    let role = format!("seller_of_{database}");
    // As in docs/postgres.md.
    let grants = format!(
        "CREATE ROLE {role} LOGIN;
         GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {role};"
    );
    shared().psql(database, &grants).expect("granted");
    let server = Server::start_on(&url.replace("//postgres:", &format!("//{role}:")), &[]);
    let event = v1::Event { limit_per_owner: 10_000, ..v1::Event::default() };
    create_event(&server, event, &[("floor", 1_000_000)]).await;
    let rush = Rush::begin(&Front::of(&[&server]), 4);
    rush.granted(50).await;
    let account = rush.end().await;
    assert!(account.refused.is_empty(), "{:?}", account.refused);
    account.check(&server).await;

    // Somebody takes a right away, and gives it back.
    shared().psql(database, &format!("REVOKE INSERT ON journal_chunks FROM {role}")).expect("revoked");
    let (mut client, request) = (server.inventory(), wants(&new_id(), &[("floor", 1)]));
    let refused = client.create_reservation(by("ann", request.clone())).await;
    assert_eq!(reason(&refused.expect_err("not written")), "STORE_UNAVAILABLE");
    account.check(&server).await;
    shared().psql(database, &format!("GRANT INSERT ON journal_chunks TO {role}")).expect("granted");
    client.create_reservation(by("ann", request)).await.expect("granted");
}

#[test]
fn a_server_does_not_start_without_its_database() {
    // A port that is taken by somebody who is no database, and one where nobody is.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = listener.local_addr().expect("an address").to_string();
    for address in [taken.as_str(), "127.0.0.1:1"] {
        let url = format!("postgres://ann:pa55word@{address}/sale");
        let ended =
            boxoffice(&["serve", "--dev", "--listen", &taken, "--database-url", &url, "--database-timeout", "500ms"]);
        let lines = stderr(&ended);
        assert_eq!((ended.status.code(), lines.lines().count()), (Some(1), 1), "{lines}");
        assert!(lines.starts_with("error: cannot connect to the database: ") && !lines.contains("pa55word"), "{lines}");
    }
    // PostgreSQL tells with each refusal which line of its own source it comes from; nobody is to look for that in his files.
    let there = private_cluster::fresh_database(shared()).expect("a database");
    let url = format!("{}/nowhere", there.rsplit_once('/').expect("a URL").0);
    let ended = boxoffice(&["serve", "--dev", "--listen", "127.0.0.1:0", "--database-url", &url]);
    let told = "error: cannot connect to the database: database \"nowhere\" does not exist\n";
    assert_eq!((ended.status.code(), stderr(&ended).as_str()), (Some(1), told));
}
