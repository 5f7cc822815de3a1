//! What the proxy does to real connections.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use super::{Mode, Proxy};

/// How long anything may take that must come about.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// How long to watch that something does not come about.
const SILENCE: Duration = Duration::from_millis(100);

/// A proxy, and one connection through it with both its ends.
struct Wire {
    proxy: Proxy,
    listener: TcpListener,
    client: TcpStream,
    server: TcpStream,
}

impl Wire {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap(), 7).await.unwrap();
        let client = connect(&proxy).await;
        let (server, _) = soon(listener.accept()).await.unwrap();
        Self { proxy, listener, client, server }
    }

    /// Asks and answers once: whatever was switched has reached the connection.
    async fn works(&mut self) {
        pass(&mut self.client, &mut self.server, b"ask").await;
        pass(&mut self.server, &mut self.client, b"answer").await;
    }
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.url().trim_start_matches("http://")).await.unwrap()
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(WAIT_MAX, what).await.expect("it comes about")
}

async fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) {
    from.write_all(bytes).await.unwrap();
    arrives(to, bytes).await;
}

async fn arrives(to: &mut TcpStream, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    soon(to.read_exact(&mut got)).await.unwrap();
    assert!(got == bytes, "they are changed");
}

async fn stays_silent(to: &mut TcpStream) {
    let heard = timeout(SILENCE, to.read(&mut [0; 64])).await;
    assert!(heard.is_err(), "{heard:?}");
}

/// The connection ends, orderly or not, and nothing comes before that.
async fn is_closed(to: &mut TcpStream) {
    let end = soon(to.read(&mut [0; 64])).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}

/// More than fits into any buffer on the way, and nowhere the same.
fn many_bytes() -> Vec<u8> {
    (0..1_u32 << 20).flat_map(u32::to_le_bytes).collect()
}

/// Sends both ways at the same time; all must arrive, in order.
async fn both_ways(wire: Wire, bytes: &[u8]) -> Proxy {
    let (mut from_client, mut to_server) = wire.client.into_split();
    let (mut from_server, mut to_client) = wire.server.into_split();
    let mut got = (Vec::new(), Vec::new());
    soon(async {
        let sent = async {
            to_server.write_all(bytes).await?;
            to_server.shutdown().await
        };
        let answered = async {
            to_client.write_all(bytes).await?;
            to_client.shutdown().await
        };
        tokio::try_join!(sent, answered, from_server.read_to_end(&mut got.0), from_client.read_to_end(&mut got.1))
    })
    .await
    .unwrap();
    assert!(got.0 == bytes && got.1 == bytes, "{} and {} of {} bytes", got.0.len(), got.1.len(), bytes.len());
    wire.proxy
}

#[tokio::test]
async fn bytes_pass_both_ways_unchanged_and_so_does_the_end() {
    both_ways(Wire::start().await, &many_bytes()).await;
}

#[tokio::test]
async fn one_side_may_finish_while_the_other_goes_on() {
    let mut wire = Wire::start().await;
    wire.client.shutdown().await.unwrap();
    is_closed(&mut wire.server).await;
    pass(&mut wire.server, &mut wire.client, b"still here").await;
}

#[tokio::test]
async fn a_delay_holds_both_directions_and_keeps_the_order() {
    let mut wire = Wire::start().await;
    let least = Duration::from_millis(30);
    wire.proxy.set(Mode::Delay { least, most: 2 * least });
    for _ in 0..3 {
        let asked = Instant::now();
        pass(&mut wire.client, &mut wire.server, b"ask").await;
        assert!(asked.elapsed() >= least, "the request took {:?}", asked.elapsed());
        let answered = Instant::now();
        pass(&mut wire.server, &mut wire.client, b"answer").await;
        assert!(answered.elapsed() >= least, "the answer took {:?}", answered.elapsed());
    }
    // The pieces' delays differ, and some end while the delay does.
    let bytes = many_bytes();
    let bytes = &bytes[..1 << 20];
    let proxy = both_ways(wire, bytes).await;
    assert_eq!(proxy.mode(), Mode::Delay { least, most: 2 * least });
}

#[tokio::test]
async fn what_is_delayed_is_not_overtaken_when_the_delay_ends() {
    let mut wire = Wire::start().await;
    let delay = Duration::from_millis(80);
    wire.proxy.set(Mode::Delay { least: delay, most: delay });
    wire.client.write_all(b"first ").await.unwrap();
    stays_silent_for(&mut wire.server, delay / 4).await;
    wire.proxy.set(Mode::Pass);
    wire.client.write_all(b"second").await.unwrap();
    arrives(&mut wire.server, b"first second").await;
}

async fn stays_silent_for(to: &mut TcpStream, time: Duration) {
    assert!(timeout(time, to.read(&mut [0; 64])).await.is_err(), "it came too early");
}

#[tokio::test]
async fn dropped_replies_are_lost_while_requests_arrive() {
    let mut wire = Wire::start().await;
    wire.works().await;
    wire.proxy.set(Mode::DropReplies);
    for _ in 0..2 {
        pass(&mut wire.client, &mut wire.server, b"ask").await;
        wire.server.write_all(b"answer").await.unwrap();
    }
    stays_silent(&mut wire.client).await;
    pass(&mut wire.client, &mut wire.server, b"ask again").await;
    wire.proxy.set(Mode::Pass);
    is_closed(&mut wire.client).await;
    is_closed(&mut wire.server).await;
}

#[tokio::test]
async fn new_connections_lose_their_replies_too() {
    let wire = Wire::start().await;
    wire.proxy.set(Mode::DropReplies);
    let mut client = connect(&wire.proxy).await;
    let (mut server, _) = soon(wire.listener.accept()).await.unwrap();
    pass(&mut client, &mut server, b"ask").await;
    server.write_all(b"answer").await.unwrap();
    stays_silent(&mut client).await;
    wire.proxy.set(Mode::Pass);
    is_closed(&mut client).await;
}

#[tokio::test]
async fn a_connection_that_lost_nothing_goes_on() {
    let mut wire = Wire::start().await;
    wire.proxy.set(Mode::DropReplies);
    pass(&mut wire.client, &mut wire.server, b"ask").await;
    wire.proxy.set(Mode::Pass);
    wire.works().await;
}

#[tokio::test]
async fn a_server_that_goes_while_replies_are_lost_is_seen_to_go_afterwards() {
    let mut wire = Wire::start().await;
    wire.proxy.set(Mode::DropReplies);
    pass(&mut wire.client, &mut wire.server, b"ask").await;
    drop(wire.server);
    stays_silent(&mut wire.client).await;
    wire.proxy.set(Mode::Pass);
    is_closed(&mut wire.client).await;
}

#[tokio::test]
async fn a_partition_holds_everything_back_and_delivers_it_afterwards() {
    let mut wire = Wire::start().await;
    wire.works().await;
    wire.proxy.set(Mode::Partition);
    wire.client.write_all(b"ask").await.unwrap();
    wire.server.write_all(b"answer").await.unwrap();
    tokio::join!(stays_silent(&mut wire.client), stays_silent(&mut wire.server));
    wire.proxy.set(Mode::Pass);
    arrives(&mut wire.server, b"ask").await;
    arrives(&mut wire.client, b"answer").await;
    wire.works().await;
}

#[tokio::test]
async fn a_partition_hides_that_a_side_has_gone() {
    let mut wire = Wire::start().await;
    wire.proxy.set(Mode::Partition);
    drop(wire.client);
    stays_silent(&mut wire.server).await;
    wire.proxy.set(Mode::Pass);
    is_closed(&mut wire.server).await;
}

#[tokio::test]
async fn new_connections_hang_in_a_partition() {
    let wire = Wire::start().await;
    wire.proxy.set(Mode::Partition);
    let mut client = connect(&wire.proxy).await;
    client.write_all(b"ask").await.unwrap();
    assert!(timeout(SILENCE, wire.listener.accept()).await.is_err(), "it got through");
    wire.proxy.set(Mode::Pass);
    let (mut server, _) = soon(wire.listener.accept()).await.unwrap();
    arrives(&mut server, b"ask").await;
}

/// Writes these bytes again and again until nothing more is taken for a while; answers how much was.
async fn fill(from: &mut TcpStream, bytes: &[u8], most: usize) -> usize {
    let mut taken = 0;
    while taken < most {
        match timeout(4 * SILENCE, from.write(&bytes[taken % bytes.len()..])).await {
            Ok(written) => taken += written.unwrap(),
            Err(_) => break,
        }
    }
    taken
}

#[tokio::test]
async fn a_slow_reader_makes_the_sender_wait() {
    // What the kernel buffers on the way is a few MiB for each socket.
    let most = 128 << 20;
    let mut wire = Wire::start().await;
    let bytes = many_bytes();
    let taken = fill(&mut wire.client, &bytes, most).await;
    assert!(taken < most / 2, "{taken} bytes are in the proxy and the kernel");
    let sent: Vec<u8> = bytes.iter().copied().cycle().take(taken).collect();
    arrives(&mut wire.server, &sent).await;
    wire.proxy.set(Mode::Partition);
    let taken = fill(&mut wire.server, &bytes, most).await;
    assert!(taken < most / 2, "{taken} bytes are in the proxy and the kernel");
    // A reader that stopped does not keep the proxy from losing its replies.
    wire.proxy.set(Mode::DropReplies);
    let taken = fill(&mut wire.server, &bytes, most).await;
    assert!(taken >= most, "only {taken} bytes were lost");
}

#[tokio::test]
async fn an_unreachable_target_closes_the_connection() {
    let wire = Wire::start().await;
    drop(wire.listener);
    let mut client = connect(&wire.proxy).await;
    is_closed(&mut client).await;
}

#[tokio::test]
async fn a_broken_side_breaks_the_other() {
    let mut wire = Wire::start().await;
    wire.works().await;
    wire.server.set_zero_linger().unwrap();
    drop(wire.server);
    is_closed(&mut wire.client).await;
    // Both directions are closed: writing fails as soon as the kernel knows.
    soon(async {
        while wire.client.write_all(b"ask").await.is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn dropping_the_proxy_closes_everything() {
    let mut wire = Wire::start().await;
    wire.proxy.set(Mode::Partition);
    let address = wire.proxy.url();
    drop(wire.proxy);
    is_closed(&mut wire.client).await;
    is_closed(&mut wire.server).await;
    let refused = TcpStream::connect(address.trim_start_matches("http://")).await;
    assert!(refused.is_err(), "it still listens");
}
