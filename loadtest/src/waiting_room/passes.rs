//! What passes are good for, and what they are not.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use boxoffice_proto::v1;
use boxoffice_proto::v1::place::State;
use futures::stream::{self, StreamExt as _};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tonic::Status;

use super::history::{Who, name};
use super::stage::{Stage, is_passing};
use crate::audit::findings::{Findings, Key};
use crate::bench::work::reserve_one;
use crate::client::{PASS_KEY, owned_by, owner_value, reason};
use crate::clock::time_ordered_id;
use crate::event::SaleEvent;
use crate::fetch;

/// Those who try what they must not.
const CHEATS: usize = 50;
/// Those who buy at the same time.
const BUYERS: usize = 64;
/// How often a call is repeated that was not answered.
const TRIES_MAX: u32 = 10;

/// Those who were let in, each with his pass.
#[derive(Debug, Default)]
pub(super) struct Passes(BTreeMap<Who, String>);

/// What is asked for, with whose pass.
struct Try<'a> {
    who: Who,
    event: &'a SaleEvent,
    pass: Option<&'a str>,
    /// Why it must be refused; `None`: it must be granted.
    refused: Option<&'static str>,
    what: &'static str,
}

impl Passes {
    /// Keeps the pass of a place, if it has one.
    pub(super) fn note(&mut self, who: Who, place: v1::Place) {
        if place.state() == State::Admitted {
            self.0.insert(who, place.pass);
        }
    }

    /// Whether he was let in.
    pub(super) fn has(&self, who: Who) -> bool {
        self.0.contains_key(&who)
    }

    /// Everybody buys who was let in; some of them, and `waiting`, try what they must not. In the end those have something who
    /// were let in, and nobody else.
    ///
    /// # Errors
    /// Where a call gets no answer.
    pub(super) async fn try_out(&self, stage: &Stage, waiting: &[Who], findings: &mut Findings) -> Result<()> {
        let buys = self.0.iter().map(|(who, pass)| Try {
            who: *who,
            event: &stage.event,
            pass: Some(pass),
            refused: None,
            what: "his own pass",
        });
        let tries: Vec<_> = self.cheats(stage, waiting).into_iter().chain(buys).collect();
        let mut random = SmallRng::seed_from_u64(u64::from(self.0.keys().next().copied().unwrap_or_default()));
        let tries = tries.into_iter().enumerate().map(|(number, one)| (number, time_ordered_id(&mut random), one));
        let mut answers = stream::iter(tries)
            .map(|(number, id, one)| async move { one.find_fault(stage, number, id).await })
            .buffer_unordered(BUYERS);
        while let Some(fault) = answers.next().await {
            if let Some(text) = fault? {
                findings.add(Key::OutOfTurn, 1, text, Vec::new());
            }
        }
        drop(answers);
        self.compare_with_what_is_held(stage, findings).await
    }

    fn cheats<'a>(&'a self, stage: &'a Stage, waiting: &'a [Who]) -> Vec<Try<'a>> {
        let (required, invalid) = (Some("WAITING_ROOM_REQUIRED"), Some("PASS_INVALID"));
        let (here, there) = (&stage.event, &stage.elsewhere);
        let neighbours = self.0.iter().zip(self.0.values().skip(1)).take(CHEATS);
        let mut cheats = Vec::new();
        for ((who, own), other) in neighbours {
            let with = |event, pass, refused, what| Try { who: *who, event, pass, refused, what };
            cheats.push(with(here, None, required, "no pass"));
            cheats.push(with(here, Some(other.as_str()), invalid, "another owner's pass"));
            cheats.push(with(there, Some(own.as_str()), invalid, "a pass of another event"));
            cheats.push(with(here, own.get(1..), invalid, "a broken pass"));
        }
        for (who, pass) in waiting.iter().zip(self.0.values()).take(CHEATS) {
            let with = |pass, refused, what| Try { who: *who, event: here, pass, refused, what };
            cheats.push(with(None, required, "no pass"));
            cheats.push(with(Some(pass.as_str()), invalid, "another owner's pass"));
        }
        cheats
    }

    /// The database must know of the same owners.
    async fn compare_with_what_is_held(&self, stage: &Stage, findings: &mut Findings) -> Result<()> {
        let mut admin = stage.connections.admin(0);
        let held = fetch::reservations(&mut admin, &stage.event).await?;
        self.compare(&held.into_iter().map(|stored| stored.owner).collect(), findings);
        Ok(())
    }

    fn compare(&self, owners: &BTreeSet<String>, findings: &mut Findings) {
        let admitted: BTreeSet<_> = self.0.keys().map(|who| name(*who)).collect();
        for owner in owners.difference(&admitted) {
            findings.add(Key::OutOfTurn, 1, format!("{owner} has tickets, and was never let in"), Vec::new());
        }
        for owner in admitted.difference(owners) {
            findings.add(Key::Lost, 1, format!("{owner} bought with a pass, and has nothing"), Vec::new());
        }
    }
}

impl Try<'_> {
    /// What is wrong with the answer, in words.
    async fn find_fault(self, stage: &Stage, number: usize, id: uuid::Uuid) -> Result<Option<String>> {
        let told = self.send(stage, number, id).await?.err();
        let told = told.map(|status| reason(&status).unwrap_or_else(|| status.message().to_owned()));
        Ok(self.fault(told.as_deref()))
    }

    /// The same, where he was refused for this reason, or granted tickets.
    fn fault(&self, told: Option<&str>) -> Option<String> {
        if told == self.refused {
            return None;
        }
        let told = told.map_or_else(|| "was granted tickets".to_owned(), |reason| format!("was told {reason}"));
        Some(format!("{} {told} with {}", name(self.who), self.what))
    }

    /// Repeats the same request until it is answered.
    async fn send(&self, stage: &Stage, number: usize, id: uuid::Uuid) -> Result<Result<(), Status>> {
        let mut last = None;
        for tried in 0..TRIES_MAX {
            let mut request = owned_by(owner_value(&name(self.who)), reserve_one(self.event, id));
            if let Some(pass) = self.pass {
                request.metadata_mut().insert(PASS_KEY, owner_value(pass));
            }
            let mut inventory = stage.connections.inventory(number + tried as usize);
            match inventory.create_reservation(request).await {
                Ok(_) => return Ok(Ok(())),
                Err(status) if is_passing(&status) => last = Some(status),
                Err(status) => return Ok(Err(status)),
            }
        }
        Err(last.context("it was never sent")?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_gets_in_without_a_pass_of_his_own_is_found_and_whoever_does_not_with_it() {
        let event = SaleEvent::named("gala");
        let with = |refused, what| Try { who: 7, event: &event, pass: None, refused, what };
        let cheat = with(Some("PASS_INVALID"), "another owner's pass");
        assert_eq!(cheat.fault(Some("PASS_INVALID")), None);
        assert_eq!(cheat.fault(None).unwrap(), "owner-7 was granted tickets with another owner's pass");
        assert_eq!(cheat.fault(Some("SOLD_OUT")).unwrap(), "owner-7 was told SOLD_OUT with another owner's pass");
        let buyer = with(None, "his own pass");
        assert_eq!(buyer.fault(None), None);
        assert_eq!(buyer.fault(Some("PASS_EXPIRED")).unwrap(), "owner-7 was told PASS_EXPIRED with his own pass");
    }

    #[test]
    fn whoever_has_tickets_must_have_been_let_in_and_the_other_way_round() {
        let passes = Passes([(1, "one".to_owned()), (2, "two".to_owned())].into());
        let told = |owners: &[&str]| {
            let mut findings = Findings::default();
            passes.compare(&owners.iter().map(|owner| (*owner).to_owned()).collect(), &mut findings);
            findings.violations.into_iter().map(|violation| violation.text).collect::<Vec<_>>()
        };
        assert_eq!(told(&["owner-1", "owner-2"]), Vec::<String>::new());
        let found = ["owner-3 has tickets, and was never let in", "owner-2 bought with a pass, and has nothing"];
        assert_eq!(told(&["owner-1", "owner-3"]), found);
    }
}
