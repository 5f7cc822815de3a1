//! Page tokens: the key after which the next page begins, as opaque text.
//!
//! A checksum in it binds it to its list: the token of another list, or one that was altered, is refused. It is no signature,
//! since who makes a token up gains nothing: he could have listed the same from the beginning.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::domain::{EventId, ReservationId, Seq};

/// Longest token: the longest key, which is an event's id of 63 bytes, and the checksum, in base64.
const TOKEN_CHARS_MAX: usize = 95;

/// Most bytes of one page, so that it fits the 4 MiB that clients take by default: a page ends early once it has this many.
pub(super) const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A list, by all of its request that must stay the same from page to page (AIP-158). The size of a page may change, and so may how
/// fresh it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listing(u64);

impl Listing {
    /// Of all events.
    pub(super) fn events() -> Self {
        Self::of(["events"])
    }

    /// Of a buyer's own reservations.
    pub(super) fn own(parent: &str, owner: &str) -> Self {
        Self::of(["own", parent, owner])
    }

    /// Of anybody's reservations, as operators ask for them: of one owner, or with an empty name of everybody.
    pub(super) fn anybodys(parent: &str, owner: &str) -> Self {
        Self::of(["anybody's", parent, owner])
    }

    fn of<const N: usize>(parts: [&str; N]) -> Self {
        let mut hasher = Xxh3::new();
        for part in parts {
            hasher.update(part.as_bytes());
            // Stands in no name.
            hasher.update(&[0]);
        }
        Self(hasher.digest())
    }

    /// The token of the page that begins after `key`.
    pub(super) fn token<K: Key>(self, key: &K) -> String {
        let mut bytes = key.to_bytes();
        bytes.extend(self.checksum(&bytes));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads [`Self::token`]: only one of this list.
    pub(super) fn key<K: Key>(self, token: &str) -> Option<K> {
        if token.len() > TOKEN_CHARS_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (key, checksum) = bytes.split_last_chunk()?;
        if *checksum == self.checksum(key) { K::from_bytes(key) } else { None }
    }

    fn checksum(self, key: &[u8]) -> [u8; 8] {
        xxh3_64_with_seed(key, self.0).to_be_bytes()
    }
}

/// What a list is ordered by. All keys of a list are of one kind.
pub(super) trait Key: Sized {
    /// Within a token.
    fn to_bytes(&self) -> Vec<u8>;
    /// Reads [`Self::to_bytes`].
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl Key for EventId {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_str().into()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::new(std::str::from_utf8(bytes).ok()?).ok()
    }
}

impl Key for ReservationId {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_uuid().as_bytes().into()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        uuid::Uuid::from_slice(bytes).ok().map(Self::from)
    }
}

impl Key for Seq {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().into()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let seq = Self::from_be_bytes(bytes.try_into().ok()?);
        if seq < 0 { None } else { Some(seq) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_back_and_only_by_their_own_list() {
        let event = EventId::new(&"e".repeat(63)).unwrap();
        let reservation = ReservationId::new("0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71").unwrap();
        let all = Listing::anybodys("events/gala", "");
        assert_eq!(Listing::events().key(&Listing::events().token(&event)), Some(event));
        assert_eq!(all.key(&all.token(&reservation)), Some(reservation));
        let lists = [
            Listing::events(),
            all,
            Listing::anybodys("events/gala", "ann"),
            Listing::anybodys("events/gal", "aann"),
            Listing::anybodys("events/other", "ann"),
            Listing::own("events/gala", "ann"),
            Listing::own("events/gala", "bob"),
        ];
        for of in lists {
            let token = of.token::<Seq>(&77);
            for list in lists {
                assert_eq!(list.key::<Seq>(&token), (list == of).then_some(77), "{of:?} {list:?}");
                assert_eq!(list.key::<ReservationId>(&token), None, "another kind of key");
            }
        }
    }

    #[test]
    fn made_up_and_altered_tokens_are_refused() {
        let list = Listing::own("events/gala", "ann");
        let token = list.token::<Seq>(&77);
        let altered = (0..token.len()).map(|at| {
            let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
            [&token[..at], other, &token[at + 1..]].concat()
        });
        let made_up =
            ["x", "!!", "ZQ", "AAAA", "AAAAAAAAAAA", "cwAAAAAAAABN", &"A".repeat(1_000), &list.token::<Seq>(&-1)];
        let more =
            [format!("{token}="), format!("{token}A"), token[1..].to_owned(), token[..token.len() - 1].to_owned()];
        for wrong in altered.chain(made_up.map(str::to_owned)).chain(more) {
            assert_eq!(list.key::<Seq>(&wrong), None, "{wrong}");
            assert_eq!(list.key::<EventId>(&wrong), None, "{wrong}");
            assert_eq!(list.key::<ReservationId>(&wrong), None, "{wrong}");
        }
    }
}
