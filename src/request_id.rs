//! The id of the request that a thread is working on, so that log lines can name it.
//!
//! It costs nothing where nothing is logged: no span is opened, and an id that we make is written out only when it is needed.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The metadata key with which callers send an id, and get it back.
pub const KEY: &str = "x-request-id";
/// Most characters of an id that a caller sends.
const LENGTH_MAX: usize = 64;

/// The id of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestId {
    /// The caller's.
    Sent {
        /// Its characters, padded.
        text: [u8; LENGTH_MAX],
        /// How many.
        length: u8,
    },
    /// Ours: the number of the request in this process.
    Made(u64),
}

impl RequestId {
    /// The id that a caller sent: 1 to 64 letters, digits, `-`, `_`, `.` or `:`. Anything else is not put into logs.
    pub fn sent(value: &[u8]) -> Option<Self> {
        let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
        if value.is_empty() || value.len() > LENGTH_MAX || !value.iter().all(sane) {
            return None;
        }
        let mut text = [0; LENGTH_MAX];
        text.iter_mut().zip(value).for_each(|(to, from)| *to = *from);
        Some(Self::Sent { text, length: u8::try_from(value.len()).ok()? })
    }

    /// One that no other request has.
    pub fn next() -> Self {
        static REQUESTS: AtomicU64 = AtomicU64::new(0);
        Self::Made(REQUESTS.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Tells the requests of one process from those of another.
        static PROCESS: OnceLock<u64> = OnceLock::new();
        match self {
            Self::Sent { text, length } => f.write_str(
                std::str::from_utf8(text.get(..usize::from(*length)).unwrap_or_default()).unwrap_or_default(),
            ),
            Self::Made(number) => {
                let process = PROCESS.get_or_init(|| RandomState::new().build_hasher().finish());
                write!(f, "{process:016x}-{number}")
            }
        }
    }
}

thread_local! {
    static CURRENT: Cell<Option<RequestId>> = const { Cell::new(None) };
}

/// Puts back what was before, also after a panic.
struct Restore(Option<RequestId>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Does a bit of work of one request. It must not wait: to poll a future is such a bit.
pub fn scope<T>(id: RequestId, work: impl FnOnce() -> T) -> T {
    let _restore = Restore(CURRENT.replace(Some(id)));
    work()
}

/// The request that this thread works on now, if any.
pub fn current() -> Option<RequestId> {
    CURRENT.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sane_ids_are_taken() {
        for id in ["a", "0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71", "web.7:3_x", &"x".repeat(64)] {
            assert_eq!(RequestId::sent(id.as_bytes()).unwrap().to_string(), id);
        }
        for id in ["", "a b", "a\"b", "a\nb", "ä", "{}", &"x".repeat(65)] {
            assert_eq!(RequestId::sent(id.as_bytes()), None, "{id:?}");
        }
    }

    #[test]
    fn made_ids_differ() {
        assert_ne!(RequestId::next().to_string(), RequestId::next().to_string());
    }

    #[test]
    fn scopes_nest_and_end() {
        assert_eq!(current(), None);
        let (outer, inner) = (RequestId::Made(1), RequestId::Made(2));
        scope(outer, || {
            scope(inner, || assert_eq!(current(), Some(inner)));
            assert_eq!(current(), Some(outer));
        });
        assert_eq!(current(), None);
    }
}
