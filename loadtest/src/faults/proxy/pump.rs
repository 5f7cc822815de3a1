//! One direction of one connection.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Mode;

/// Bytes that are read at once.
const READ_BYTES_MAX: usize = 16 << 10;
/// Bytes, and pieces of them, that are held at once for one direction (and one read more). Who sends more has to wait.
const HELD_BYTES_MAX: usize = 256 << 10;
const HELD_PIECES_MAX: usize = 1_024;

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Requests,
    Replies,
}

/// How the side that is read from ended.
#[derive(Debug)]
enum End {
    /// It has said all, and may still listen.
    Finished,
    Broken(io::Error),
}

/// Reads from one side, holds what must wait, and writes to the other.
pub(super) struct Pump<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    direction: Direction,
    modes: watch::Receiver<Mode>,
    random: SmallRng,
    held: Held,
    end: Option<End>,
    /// Whether anything that was read was thrown away.
    lost: bool,
}

impl<'a> Pump<'a> {
    pub(super) fn new(
        from: ReadHalf<'a>,
        to: WriteHalf<'a>,
        direction: Direction,
        modes: watch::Receiver<Mode>,
        seed: u64,
    ) -> Self {
        let random = SmallRng::seed_from_u64(seed);
        Self { from, to, direction, modes, random, held: Held::default(), end: None, lost: false }
    }

    /// Passes bytes on until the side that is read from has ended and the other has got all.
    ///
    /// # Errors
    /// Where the connection must be closed in both directions: a side is broken, bytes are lost, or the proxy has gone.
    pub(super) async fn run(mut self) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES_MAX];
        loop {
            let mode = *self.modes.borrow_and_update();
            let drops = mode == Mode::DropReplies && self.direction == Direction::Replies;
            let holds = mode == Mode::Partition || drops;
            if drops {
                self.throw_away();
            } else if self.lost {
                return Err(io::Error::other("bytes of this connection are lost"));
            }
            if !holds && self.held.is_empty() && self.end.is_some() {
                return self.finish().await;
            }
            tokio::select! {
                biased;
                changed = self.modes.changed() => changed.map_err(io::Error::other)?,
                written = self.held.write_first(&mut self.to), if !holds && !self.held.is_empty() => {
                    self.held.remove(written?);
                }
                read = self.from.read(&mut buffer), if self.end.is_none() && self.held.has_room() => match read {
                    Ok(0) => self.end = Some(End::Finished),
                    Ok(length) => {
                        let due = Instant::now() + self.delay(mode);
                        self.held.add(due, buffer.get(..length).unwrap_or_default());
                    }
                    Err(error) => self.end = Some(End::Broken(error)),
                },
            }
        }
    }

    fn throw_away(&mut self) {
        self.lost |= !self.held.is_empty();
        self.held = Held::default();
    }

    fn delay(&mut self, mode: Mode) -> Duration {
        match mode {
            Mode::Delay { least, most } => self.random.random_range(least..=most.max(least)),
            Mode::Pass | Mode::DropReplies | Mode::Partition => Duration::ZERO,
        }
    }

    async fn finish(mut self) -> io::Result<()> {
        match self.end {
            Some(End::Broken(error)) => Err(error),
            Some(End::Finished) | None => self.to.shutdown().await,
        }
    }
}

/// Bytes that wait, in order: no piece overtakes one before it, even if it was due earlier.
#[derive(Debug, Default)]
struct Held {
    pieces: VecDeque<Piece>,
    bytes: usize,
}

#[derive(Debug)]
struct Piece {
    due: Instant,
    bytes: Vec<u8>,
    /// How many of them are written already.
    written: usize,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    fn has_room(&self) -> bool {
        self.bytes < HELD_BYTES_MAX && self.pieces.len() < HELD_PIECES_MAX
    }

    fn add(&mut self, due: Instant, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.pieces.push_back(Piece { due, bytes: bytes.to_vec(), written: 0 });
    }

    /// Writes from the first piece as soon as it is due, and answers how much the other side took. Nothing is written where
    /// this is dropped before it answers.
    async fn write_first(&self, to: &mut WriteHalf<'_>) -> io::Result<usize> {
        let Some(first) = self.pieces.front() else { return Ok(0) };
        if first.due > Instant::now() {
            sleep_until(first.due).await;
        }
        match to.write(first.bytes.get(first.written..).unwrap_or_default()).await? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            written => Ok(written),
        }
    }

    fn remove(&mut self, written: usize) {
        self.bytes -= written;
        if let Some(first) = self.pieces.front_mut() {
            first.written += written;
            if first.written == first.bytes.len() {
                self.pieces.pop_front();
            }
        }
    }
}
