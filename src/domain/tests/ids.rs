//! Which texts are ids, to the last character that one may have.

use crate::domain::{Actor, AllocationId, EventId, InvalidId, OrderRef, OwnerId, ReservationId};

/// Which of these texts are taken. Each must be read back as it was.
fn taken<'a, T: ToString>(texts: &[&'a str], new: fn(&str) -> Result<T, InvalidId>) -> Vec<&'a str> {
    let is_taken = |text: &&str| {
        let id = new(text);
        assert!(id.as_ref().map_or(true, |id| id.to_string() == *text), "{text}");
        id.is_ok()
    };
    texts.iter().copied().filter(is_taken).collect()
}

#[test]
fn segments_are_of_a_few_characters_and_bounded() {
    let (longest, longer) = ("a".repeat(63), "a".repeat(64));
    let right = ["a", "7", "a-b", "7--z", &longest];
    let wrong = ["", "-", "-a", "a-", "A", "a_b", "a/b", "a b", "ä", &longer];
    let all = [&right[..], &wrong].concat();
    assert_eq!(taken(&all, EventId::new), right);
    assert_eq!(taken(&all, AllocationId::new), right);
}

#[test]
fn owners_are_printable_and_bounded() {
    let (longest, longer) = ("a".repeat(128), "a".repeat(129));
    let right = ["a", "!", "~", "Ann:7@example.com", &longest];
    let wrong = ["", " ", "ann b", "ann\n", "\u{7f}", "änn", &longer];
    assert_eq!(taken(&[&right[..], &wrong].concat(), OwnerId::new), right);
}

/// Their bound is of characters, however many bytes these take.
#[test]
fn orders_are_any_characters_but_those_that_control() {
    let (longest, longer) = ("ä".repeat(128), "ä".repeat(129));
    let right = ["a", " ", "order 7", "№ 7", &longest];
    let wrong = ["", "a\nb", "\0", "\u{7f}", "\u{85}", &longer];
    assert_eq!(taken(&[&right[..], &wrong].concat(), OrderRef::new), right);
}

#[test]
fn a_reservation_has_one_name() {
    let right = ["0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71", "00000000-0000-0000-0000-000000000000"];
    let wrong = [
        "",
        "0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e7",
        "0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e7x",
        "0192f0c17d3a7cc18e0f3b5d2a9c4e71",
        "{0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71}",
        "urn:uuid:0192f0c1-7d3a-7cc1-8e0f-3b5d2a9c4e71",
    ];
    assert_eq!(taken(&[&right[..], &wrong].concat(), ReservationId::new), right);
}

#[test]
fn actors_are_read_as_they_are_written() {
    let right = ["system", "admin:root", "owner:ann", "owner:admin:root"];
    let wrong = ["", "System", "ann", "system:", "system:ann", "admin:", "owner:ann b", "gateway:ann"];
    assert_eq!(taken(&[&right[..], &wrong].concat(), Actor::parse), right);
}
