//! Page tokens: the key after which the next page begins, as opaque text. The first byte says what kind of key it is, so
//! that a token of one list is refused by another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::{EventId, ReservationId, Seq};

/// Longest token: 64 bytes in base64.
const TOKEN_CHARS_MAX: usize = 86;

/// Most bytes of one page, so that it fits the 4 MiB that clients take by default: a page ends early once it has this many.
pub(super) const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A key of a page.
pub(super) trait Token: Sized {
    /// As text.
    fn token(&self) -> String;
    /// Reads [`Self::token`].
    fn parse(token: &str) -> Option<Self>;
}

impl Token for EventId {
    fn token(&self) -> String {
        encode(b'e', self.as_str().as_bytes())
    }

    fn parse(token: &str) -> Option<Self> {
        Self::new(std::str::from_utf8(&decode(b'e', token)?).ok()?).ok()
    }
}

impl Token for ReservationId {
    fn token(&self) -> String {
        encode(b'r', self.as_uuid().as_bytes())
    }

    fn parse(token: &str) -> Option<Self> {
        uuid::Uuid::from_slice(&decode(b'r', token)?).ok().map(Self::from)
    }
}

impl Token for Seq {
    fn token(&self) -> String {
        encode(b's', &self.to_be_bytes())
    }

    fn parse(token: &str) -> Option<Self> {
        let seq = Self::from_be_bytes(decode(b's', token)?.try_into().ok()?);
        if seq < 0 { None } else { Some(seq) }
    }
}

fn encode(kind: u8, key: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(1 + key.len());
    bytes.push(kind);
    bytes.extend(key);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(kind: u8, token: &str) -> Option<Vec<u8>> {
    if token.len() > TOKEN_CHARS_MAX {
        return None;
    }
    let mut bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    if bytes.first() != Some(&kind) {
        return None;
    }
    bytes.remove(0);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_back_and_only_by_their_own_list() {
        let event = EventId::new(&"e".repeat(63)).unwrap();
        let reservation = ReservationId::new("0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71").unwrap();
        assert_eq!(EventId::parse(&event.token()), Some(event.clone()));
        assert_eq!(ReservationId::parse(&reservation.token()), Some(reservation));
        assert_eq!(Seq::parse(&Token::token(&77_i64)), Some(77));
        assert_eq!(Seq::parse(&event.token()), None);
        assert_eq!(EventId::parse(&Token::token(&77_i64)), None);
        assert_eq!(ReservationId::parse(&Token::token(&77_i64)), None);
    }

    #[test]
    fn made_up_tokens_are_refused() {
        let negative = encode(b's', &(-1_i64).to_be_bytes());
        for token in ["x", "!!", "ZQ", "ZUE", "AAAA", &"A".repeat(1_000), &negative, "c3Nzc3Nzc3Nzcw=="] {
            assert_eq!(EventId::parse(token), None, "{token}");
            assert_eq!(ReservationId::parse(token), None, "{token}");
            assert_eq!(Seq::parse(token), None, "{token}");
        }
    }
}
