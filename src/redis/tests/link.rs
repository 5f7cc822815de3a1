//! The connections, over a wire that is slow or silent.

use std::ops::Range;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::redis::link::Connector;

/// Passes bytes to a Redis and back.
struct Wire {
    url: String,
    told: Arc<Mutex<Told>>,
}

/// What a test asks of a wire.
#[derive(Clone)]
struct Told {
    /// By how much each answer is late.
    delay: Duration,
    /// The connections, in the order in which they were made, that get answers at all.
    answered: Range<usize>,
}

impl Wire {
    async fn to(private: &PrivateRedis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let told = Arc::new(Mutex::new(Told { delay: Duration::ZERO, answered: 0..usize::MAX }));
        let (shared, port) = (Arc::clone(&told), private.port());
        tokio::spawn(async move {
            for number in 0.. {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                tokio::spawn(pass(number, client, server, Arc::clone(&shared)));
            }
        });
        Self { url, told }
    }

    fn tell(&self, delay: Duration, answered: Range<usize>) {
        *self.told.lock().unwrap() = Told { delay, answered };
    }

    fn connector(&self) -> Connector {
        let address = RedisAddress::parse(&self.url).unwrap();
        Connector::new(address, PATIENCE, 10, Arc::new(|_| {}))
    }
}

async fn pass(number: usize, client: TcpStream, server: TcpStream, told: Arc<Mutex<Told>>) {
    let (mut questions, mut asker) = client.into_split();
    let (mut answers, mut redis) = server.into_split();
    let back = async {
        let mut bytes = [0; 1024];
        while let Ok(length @ 1..) = answers.read(&mut bytes).await {
            let told = told.lock().unwrap().clone();
            sleep(told.delay).await;
            if told.answered.contains(&number) {
                let _ = asker.write_all(&bytes[..length]).await;
            }
        }
    };
    tokio::join!(back, tokio::io::copy(&mut questions, &mut redis)).1.unwrap();
}

#[tokio::test]
async fn both_connections_are_looked_at_within_the_time_of_one() {
    let private = private();
    let wire = Wire::to(&private).await;
    let mut link = wire.connector().connect().await.unwrap();
    let delay = Duration::from_secs(1);
    wire.tell(delay, 0..usize::MAX);
    let begun = Instant::now();
    link.check().await.unwrap();
    assert!((delay..2 * delay).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

/// A first connection that was made before Redis fell silent is not asked how it is for ever.
#[tokio::test]
async fn redis_is_connected_to_again_after_it_fell_silent_between_two_connections() {
    let private = private();
    let wire = Wire::to(&private).await;
    let connector = wire.connector();
    wire.tell(Duration::ZERO, 0..1);
    assert!(timeout(PATIENCE, connector.connect()).await.unwrap().is_err(), "the second is not answered");
    wire.tell(Duration::ZERO, 2..usize::MAX);
    let mut link = timeout(PATIENCE, connector.connect()).await.expect("within a bounded time").unwrap();
    link.check().await.unwrap();
}

#[tokio::test]
async fn whoever_may_not_ask_for_the_role_is_connected_all_the_same() {
    let private = private();
    private.tell("ACL SETUSER shop on >secret ~* &* +@all -role").unwrap();
    let url = format!("redis://shop:secret@127.0.0.1:{}", private.port());
    let redis = connected(&url).await;
    let refused = redis.ask::<()>("{any}", &redis::cmd("ROLE")).await.unwrap_err();
    assert!(matches!(refused, RedisFailure::Failed(_)), "{refused:?}");
}
