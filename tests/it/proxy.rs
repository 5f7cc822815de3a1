//! Wires that are cut at the worst moment: between a server and its database, and between a buyer and his server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::Server;

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
pub(crate) enum Cut {
    /// The database never sees the COMMIT.
    CommitLost = 1,
    /// The database has committed and has said so, but its answer gets lost.
    AnswerLost = 2,
    /// The database never sees the COMMIT, and neither side sees the other go: the network is silent.
    Silence = 3,
}

/// Most bytes passed at once.
const BYTES: usize = 64 * 1024;

/// Nothing is to be cut.
const WHOLE: u8 = 0;

#[derive(Default)]
struct State {
    target: AtomicU16,
    next_cut: AtomicU8,
    cuts: AtomicUsize,
    silence: watch::Sender<()>,
}

/// Passes bytes between clients on a port of its own and a server on 127.0.0.1.
pub(crate) struct Proxy {
    state: Arc<State>,
    port: u16,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State { target: target.into(), ..State::default() });
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, Arc::clone(&shared)));
            }
        });
        Self { state, port, accepting }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Connects those who come from now on to another server.
    pub(crate) fn aim(&self, target: u16) {
        self.state.target.store(target, Ordering::SeqCst);
    }

    /// Cuts the connection that commits next. Returns how many have been cut before.
    pub(crate) fn cut_next(&self, cut: Cut) -> usize {
        self.state.next_cut.store(cut as u8, Ordering::SeqCst);
        self.cuts()
    }

    /// Passes nothing any more on the connections that there are, and neither side sees the other go. Those who come from now on
    /// find nothing amiss.
    pub(crate) fn fall_silent(&self) {
        self.state.silence.send_replace(());
    }

    /// How many connections have been cut.
    pub(crate) fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Passes bytes both ways until one side ends, or the connection is cut.
async fn pass(mut client: TcpStream, state: Arc<State>) {
    let mut silence = state.silence.subscribe();
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", state.target.load(Ordering::SeqCst))).await else { return };
    let (mut request, mut answer) = (vec![0; BYTES], vec![0; BYTES]);
    loop {
        let passed = tokio::select! {
            biased;
            Ok(()) = silence.changed() => std::future::pending().await,
            read = client.read(&mut request) => match read {
                Ok(count @ 1..) if holds(&request[..count], b"COMMIT;") => match state.next_cut.swap(WHOLE, Ordering::SeqCst) {
                    WHOLE => server.write_all(&request[..count]).await,
                    cut => {
                        if cut == Cut::AnswerLost as u8 {
                            commit(&mut server, &request[..count]).await;
                        }
                        state.cuts.fetch_add(1, Ordering::SeqCst);
                        if cut == Cut::Silence as u8 {
                            std::future::pending::<()>().await;
                        }
                        return;
                    }
                },
                Ok(count @ 1..) => server.write_all(&request[..count]).await,
                _ => return,
            },
            read = server.read(&mut answer) => match read {
                Ok(count @ 1..) => client.write_all(&answer[..count]).await,
                _ => return,
            },
        };
        if passed.is_err() {
            return;
        }
    }
}

/// Lets the server commit, and keeps its answer.
async fn commit(server: &mut TcpStream, request: &[u8]) {
    server.write_all(request).await.expect("the server listens");
    let mut answer = Vec::new();
    while !holds(&answer, b"COMMIT\0") {
        assert_ne!(server.read_buf(&mut answer).await.expect("the server answers"), 0, "it commits");
    }
}

fn holds(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// Passes bytes on to `server`, but for the first answer that names a reservation: then it cuts the connection.
pub(crate) async fn lose_the_first_answer(server: &Server) -> (String, Arc<AtomicUsize>) {
    let target = server.address().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let lost = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lost);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&target).await.expect("the server listens");
            tokio::spawn(pass_all_but_one(client, server, Arc::clone(&count)));
        }
    });
    (url, lost)
}

async fn pass_all_but_one(mut client: TcpStream, mut server: TcpStream, lost: Arc<AtomicUsize>) {
    let (mut request, mut answer) = (vec![0; BYTES], vec![0; BYTES]);
    loop {
        let passed = tokio::select! {
            read = client.read(&mut request) => match read {
                Ok(count @ 1..) => server.write_all(&request[..count]).await,
                _ => return,
            },
            read = server.read(&mut answer) => match read {
                Ok(count @ 1..) => {
                    let names = holds(&answer[..count], b"/reservations/");
                    if names && lost.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                        return;
                    }
                    client.write_all(&answer[..count]).await
                }
                _ => return,
            },
        };
        if passed.is_err() {
            return;
        }
    }
}
