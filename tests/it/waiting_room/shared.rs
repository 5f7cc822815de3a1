//! What only a room that servers share through Redis can do: the Redis behind TLS, of several nodes, and gone.

use std::collections::BTreeSet;

use boxoffice::client::{Caller, Client, Config, Error, Refusal};
use boxoffice_proto::v1;
use boxoffice_proto::v1::place::State;
use boxoffice_proto::v1::waiting_room::OnLoss;
use private_cluster::{Redis, RedisCluster, RedisOptions};
use tokio::task::spawn_blocking;
use tonic::Code;

use super::{Sale, room, shared, shared_over, start_on, the_order_is_exact_and_ten_tabs_are_one_place, wants_of};
use crate::authority::{Authority, replace};
use crate::support::{assert_audit_of, new_id, reason, until};

#[tokio::test]
async fn shared_through_a_redis_behind_tls_with_no_more_rights_than_documented() {
    let documented = include_str!("../../../docs/redis.md").lines().find_map(|line| line.strip_prefix("    user "));
    let rights = documented.expect("a line for us").replace("PASSWORD", "pa55word");
    let (files, authority) = (tempfile::tempdir().expect("a directory"), Authority::new("redis"));
    let (database, redis) = spawn_blocking({
        let signed = authority.server();
        move || {
            let database = private_cluster::fresh_database(private_cluster::shared()).expect("a database");
            let options = RedisOptions::default().tls(&signed.certificate, &signed.key).setting("user", &rights);
            (database, Redis::start(&options).expect("Redis starts"))
        }
    })
    .await
    .expect("they start");
    let url = format!("rediss://tickets@localhost:{}", redis.tls_port().expect("it has one"));
    let password = replace(files.path(), "password", "pa55word");
    let ca = replace(files.path(), "ca.pem", &authority.certificate);
    let (password, ca) = (password.to_str().expect("UTF-8"), ca.to_str().expect("UTF-8"));
    let options = ["--redis-url", &url, "--redis-password-file", password, "--redis-ca", ca];
    let mut sale = shared_over(&options, database, files).await;
    the_order_is_exact_and_ten_tabs_are_one_place(&sale, "order").await;
    assert_eq!(redis.tell("EXISTS boxoffice:{order}:room").expect("it answers"), "1", "the room is there");
    a_client_waits_though_its_server_dies_and_buys_with_the_pass(&mut sale).await;
}

async fn a_client_waits_though_its_server_dies_and_buys_with_the_pass(sale: &mut Sale) {
    let (id, name) = ("client", "events/client");
    sale.event(id, room(0)).await;
    sale.join(0, id, "first").await;
    let urls: Vec<_> = sale.servers.iter().map(|server| server.url().to_owned()).collect();
    let caller = Caller::owner("ann").expect("a name");
    let client = Client::connect(&urls, caller, Config::default()).expect("URLs");
    let mut waiting = client.wait_in_room(name);
    let place = waiting.next().await.expect("an answer").expect("a place");
    assert_eq!((place.state(), place.position, place.waiting_count), (State::Waiting, 2, 2));
    sale.servers.remove(0).kill();
    sale.leave(0, id, "first").await;
    let place = waiting.next().await.expect("from the other server").expect("a place");
    assert_eq!((place.state(), place.position, place.waiting_count), (State::Waiting, 1, 1));
    sale.change(id, Some(room(100))).await;
    let mut place = waiting.next().await.expect("an answer").expect("a place");
    while place.state() == State::Waiting {
        place = waiting.next().await.expect("an answer").expect("a place");
    }
    assert_eq!(place.state(), State::Admitted);
    assert_eq!(waiting.next().await.expect("the end"), None);
    assert!(client.retries() > 0, "the server's death was noticed");
    let refused = client.create_reservation(wants_of(id, "")).await.expect_err("without the pass");
    assert!(matches!(refused, Error::Refused(refused) if refused.refusal == Refusal::WaitingRoomRequired));
    let buyer = client.with_pass(&place.pass).expect("a pass");
    buyer.create_reservation(wants_of(id, "")).await.expect("with the pass");
    client.leave_waiting_room(name).await.expect("she may leave");
    let nowhere = client.join_waiting_room("events/nowhere").await.expect_err("no such event");
    assert!(matches!(nowhere, Error::Refused(refused) if refused.refusal == Refusal::EventNotFound));
}

#[tokio::test]
async fn shared_through_a_redis_cluster_on_several_of_its_nodes() {
    let (database, cluster) = spawn_blocking(|| {
        let database = private_cluster::fresh_database(private_cluster::shared()).expect("a database");
        (database, RedisCluster::start(3, &RedisOptions::default()).expect("it starts"))
    })
    .await
    .expect("they start");
    let url = format!("redis+cluster://127.0.0.1:{}", cluster.nodes()[0].port());
    let sale = shared_over(&["--redis-url", &url], database, tempfile::tempdir().expect("a directory")).await;
    // Each node has one of them.
    let rooms = ["a", "b", "c"];
    let orders = rooms.map(|id| the_order_is_exact_and_ten_tabs_are_one_place(&sale, id));
    futures::future::join_all(orders).await;
    let nodes: BTreeSet<_> = rooms.map(|id| port_of(&cluster, id)).into_iter().collect();
    assert_eq!(nodes.len(), 3, "{nodes:?}");
}

/// The port of the node that has an event's room.
fn port_of(cluster: &RedisCluster, id: &str) -> u16 {
    let room = format!("boxoffice:{{{id}}}:room");
    let node = cluster.node_of(&room).expect("it is somebody's");
    assert_eq!(node.tell(&format!("EXISTS {room}")).expect("it answers"), "1", "{id}");
    node.port()
}

#[tokio::test]
async fn the_order_outlives_servers_and_redis_and_a_lost_room_is_lined_up_anew() {
    let mut sale = shared().await;
    let id = "restart";
    sale.event(id, room(0)).await;
    sale.event("open", v1::WaitingRoom { on_loss: OnLoss::Open.into(), ..room(0) }).await;
    sale.change("open", Some(v1::WaitingRoom { on_loss: OnLoss::Open.into(), inside_max: 1, ..room(1_000) })).await;
    let pass = sale.admitted(0, "open", "ann").await.pass;
    assert_eq!(sale.join(0, "open", "bob").await.state(), State::Waiting, "ann is inside");
    let people = ["a", "b", "c", "d"];
    for owner in people {
        sale.join(0, id, owner).await;
    }
    let positions = async |sale: &Sale, server| {
        let mut positions = Vec::new();
        for owner in people.iter().rev() {
            positions.push(sale.join(server, id, owner).await.position);
        }
        positions
    };
    // A server ends, and another one takes its place.
    sale.servers.remove(0).kill();
    assert_eq!(positions(&sale, 0).await, [4, 3, 2, 1]);
    let (database, redis) = (sale.database.as_ref().expect("one"), sale.redis.as_ref().expect("one"));
    sale.servers.push(start_on(database, &["--redis-url", &redis.url()], &sale.files));
    sale.until_shared("probe").await;
    assert_eq!(positions(&sale, 1).await, [4, 3, 2, 1]);

    // Redis dies. Nobody new is let in, or by each server alone, as the event wants it; who has a pass buys on.
    let redis = sale.redis.as_ref().expect("one");
    redis.kill().expect("it runs");
    until("the position is not known", async || sale.join(0, id, "a").await.position == 0).await;
    assert_eq!(sale.join(1, id, "new").await.state(), State::Waiting);
    until("bob is let in", async || sale.join(0, "open", "bob").await.state() == State::Admitted).await;
    sale.reserve(0, "open", "ann", &pass, &new_id()).await.expect("ann has a pass");
    // That somebody has left is told only where it is so.
    let unknown = sale.try_leave(0, id, "b").await.expect_err("his place is in Redis");
    assert_eq!((unknown.code(), reason(&unknown).as_str()), (Code::Unavailable, "WAITING_ROOM_UNAVAILABLE"));
    sale.leave(0, "open", "bob").await;
    redis.start_again().expect("it starts");
    sale.until_shared("probe").await;
    assert_eq!(positions(&sale, 1).await, [4, 3, 2, 1], "it had written down the order");

    // All that is in Redis is lost. Whoever asks first is first again.
    redis.tell("FLUSHALL").expect("it answers");
    assert_eq!(sale.join(0, id, "d").await.position, 1);
    assert_eq!(positions(&sale, 0).await, [1, 2, 3, 4]);
    sale.reserve(1, "open", "ann", &pass, &new_id()).await.expect("her pass is as good as before");
    for server in &sale.servers {
        assert_audit_of(server, "events/open").await;
    }
}
