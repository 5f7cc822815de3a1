//! What those who wait were told, and what was done to their room.

use crate::clock::Micros;

/// An owner's number. The crowd has the first ones; whoever joins when the door is open already comes after them.
pub(super) type Who = u32;

/// The name that owners have in calls and in the journal.
pub(super) fn name(who: Who) -> String {
    format!("owner-{who}")
}

/// One call of somebody who waits, or one message of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    /// Who asked.
    pub(super) who: Who,
    /// When; of a message of a stream: when the one before it came.
    pub(super) sent: Micros,
    /// When the answer came, or when it was given up.
    pub(super) answered: Micros,
    /// What the answer was.
    pub(super) told: Told,
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// There was none, or not where he stands. It may have had its effect.
    Nothing,
    /// He waits.
    Waiting {
        /// 1: next.
        position: u32,
        /// How long it will take, where that is told.
        estimate: Option<Estimate>,
    },
    /// He is let in.
    Admitted,
    /// There is no waiting room.
    NotNeeded,
}

/// How long it will take, from when it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Estimate {
    /// At least.
    pub(super) min: Micros,
    /// At most.
    pub(super) max: Micros,
}

/// Settings of the room, which hold at some moment between these two, or up to [`SEEN_WITHIN`] later, until the next ones do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Setting {
    /// When they were sent.
    pub(super) sent: Micros,
    /// When they were acknowledged.
    pub(super) answered: Micros,
    /// People who are let in a second, at most.
    pub(super) rate: u32,
    /// People inside, at most.
    pub(super) inside_max: u32,
}

/// Within how long after an edit all servers go by it: the API's promise.
pub(super) const SEEN_WITHIN: Micros = 250_000;

/// Somebody gave his place up, in the line or inside. He does not ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leave {
    /// Who.
    pub(super) who: Who,
    /// When he sent it.
    pub(super) sent: Micros,
    /// When it was acknowledged.
    pub(super) answered: Micros,
}

/// All of a room. The grace time was longer than this took, so that nobody loses a place but by leaving.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// How many are in the crowd: all of them were lined up before the door was opened.
    pub(super) crowd: u32,
    /// In any order.
    pub(super) asks: Vec<Ask>,
    /// In the order of time; the first let nobody in.
    pub(super) settings: Vec<Setting>,
    /// In any order.
    pub(super) leaves: Vec<Leave>,
    /// From when on nobody was let in any more, so that positions stood still.
    pub(super) settled: Micros,
}

impl History {
    /// When the door was opened: asks that were answered before show the places of the crowd.
    pub(super) fn opened(&self) -> Micros {
        self.settings.iter().find(|setting| setting.rate > 0).map_or(Micros::MAX, |setting| setting.sent)
    }

    /// When each was told first that he is let in.
    pub(super) fn admitted(&self) -> impl Iterator<Item = (Who, Micros)> {
        let mut admitted = std::collections::BTreeMap::new();
        for ask in self.asks.iter().filter(|ask| ask.told == Told::Admitted) {
            let at = admitted.entry(ask.who).or_insert(ask.answered);
            *at = ask.answered.min(*at);
        }
        admitted.into_iter()
    }
}
