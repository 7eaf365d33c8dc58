//! All that was told of one agreement, in a form that does not know in which order.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::notice::{Notice, Told};
use super::standing::SUCCESSOR_WAIT;
use crate::domain::listing::{EndCause, Quotas};
use crate::domain::money::Amount;

/// For when, and for how much, an agreement was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// When it ends by itself; none where it runs until somebody ends it.
    pub ends_at: Option<DateTime<Utc>>,
    /// Whether it is a trial.
    pub trial: bool,
    /// How much of each dimension was bought in advance, by the dimension's key.
    #[serde(default)]
    pub quantities: BTreeMap<String, Amount>,
    /// How much it grants, where that is not what the plan says.
    #[serde(default)]
    pub quotas: Quotas,
}

impl Terms {
    /// Terms of a time alone: nothing is bought in advance, and it grants what the plan says.
    pub fn lasting(starts_at: DateTime<Utc>, ends_at: Option<DateTime<Utc>>) -> Self {
        Self {
            starts_at,
            ends_at,
            trial: false,
            quantities: BTreeMap::new(),
            quotas: Quotas::default(),
        }
    }
}

/// What was said last of something that can be said more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Last<T> {
    at: DateTime<Utc>,
    notice: String,
    said: T,
}

/// All that was told of one agreement. Two that heard the same notices are equal, whatever order and however often they heard them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    terms: Option<Last<Terms>>,
    licensed: Option<Last<bool>>,
    questioned: Option<Last<bool>>,
    /// The first time of each cause.
    ends: BTreeMap<EndCause, DateTime<Utc>>,
    /// The first time that another was said to take its place.
    replaced: Option<DateTime<Utc>>,
    rolled_back: Option<DateTime<Utc>>,
    /// Whatever should have taken its place never came to be, or comes too late.
    forsaken: bool,
}

impl Record {
    /// Takes in a notice. Answers whether it said anything new.
    pub fn hear(&mut self, notice: &Notice) -> bool {
        let at = notice.at;
        match &notice.told {
            Told::Made(terms) => later(&mut self.terms, notice, terms.clone()),
            Told::Licensed => later(&mut self.licensed, notice, true),
            Told::Unlicensed => later(&mut self.licensed, notice, false),
            Told::Questioned => later(&mut self.questioned, notice, true),
            Told::Cleared => later(&mut self.questioned, notice, false),
            Told::Replaced => earlier(&mut self.replaced, at),
            Told::RolledBack => earlier(&mut self.rolled_back, at),
            Told::Ended(cause) => match self.ends.get_mut(cause) {
                Some(known) if *known <= at => false,
                Some(known) => {
                    *known = at;
                    true
                }
                None => self.ends.insert(*cause, at).is_none(),
            },
        }
    }

    /// The terms, as they were told last.
    pub fn terms(&self) -> Option<&Terms> {
        self.terms.as_ref().map(|last| &last.said)
    }

    /// Whether it may be used, as far as was told.
    pub(super) fn licensed(&self) -> Option<bool> {
        self.licensed.as_ref().map(|last| last.said)
    }

    /// From when on it is in force, as far as was told and whatever ends it later; `None` where nothing says that it ever will be, and where it ended before it began.
    pub fn in_force_since(&self, by_licence: bool) -> Option<DateTime<Utc>> {
        let usable = !by_licence || self.licensed() == Some(true);
        let begins = self
            .terms()
            .filter(|_| usable && !self.is_rolled_back())?
            .starts_at;
        self.ends().all(|(_, at)| at > begins).then_some(begins)
    }

    /// When it ends first, by what was told, by itself, or because another takes its place; `None` where nothing says that it does.
    pub fn ends_first(&self) -> Option<DateTime<Utc>> {
        let ends = self.ends().map(|(_, at)| at);
        ends.chain(self.replaced()).min()
    }

    /// When it was said to end for a cause.
    pub fn told_end(&self, cause: EndCause) -> Option<DateTime<Utc>> {
        self.ends.get(&cause).copied()
    }

    /// Whether it was said to end, and does not only end by itself.
    pub fn is_told_to_end(&self) -> bool {
        !self.ends.is_empty()
    }

    /// Takes in that all that should have taken its place were rolled back, or come too late.
    pub fn forsake(&mut self) {
        self.forsaken = true;
    }

    /// Whether another one may take its place yet. Nobody waits for one where it was said to end and what should have come was rolled back.
    pub(super) fn may_be_succeeded(&self) -> bool {
        !(self.forsaken && self.is_told_to_end())
    }

    /// From when on a notice counts as the last word: after all that was said of what can be said more than once.
    pub fn next_word(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let said = [
            self.terms.as_ref().map(|last| last.at),
            self.licensed.as_ref().map(|last| last.at),
            self.questioned.as_ref().map(|last| last.at),
        ];
        let last = said.into_iter().flatten().max();
        last.map_or(now, |last| now.max(last + TimeDelta::microseconds(1)))
    }

    /// Whether somebody has to look at it.
    pub fn is_questioned(&self) -> bool {
        self.questioned.as_ref().is_some_and(|last| last.said)
    }

    /// The first time from which on another was said to take its place, whatever became of that one.
    pub fn replaced(&self) -> Option<DateTime<Utc>> {
        self.replaced
    }

    /// Whether nobody waits any more at a time for what was said to take its place.
    pub fn is_waited_out(&self, at: DateTime<Utc>) -> bool {
        self.replaced
            .is_some_and(|replaced| at >= replaced + SUCCESSOR_WAIT)
    }

    /// Whether it never came to be.
    pub fn is_rolled_back(&self) -> bool {
        self.rolled_back.is_some()
    }

    /// Every end, told or by the terms, with its cause.
    pub(super) fn ends(&self) -> impl Iterator<Item = (EndCause, DateTime<Utc>)> {
        let by_itself = self.terms().and_then(|terms| {
            let cause = if terms.trial {
                EndCause::TrialEnd
            } else {
                EndCause::Expired
            };
            terms.ends_at.map(|at| (cause, at))
        });
        // A licence that was taken back is AWS's word for access that is no longer paid for.
        let unlicensed = self.licensed.as_ref().filter(|last| !last.said);
        let unlicensed = unlicensed.map(|last| (EndCause::Cancelled, last.at));
        let told = self.ends.iter().map(|(cause, at)| (*cause, *at));
        told.chain(by_itself).chain(unlicensed)
    }
}

fn later<T>(known: &mut Option<Last<T>>, notice: &Notice, said: T) -> bool {
    let new = (notice.at, notice.id.as_str());
    if known
        .as_ref()
        .is_some_and(|last| (last.at, last.notice.as_str()) >= new)
    {
        return false;
    }
    *known = Some(Last {
        at: notice.at,
        notice: notice.id.clone(),
        said,
    });
    true
}

fn earlier(known: &mut Option<DateTime<Utc>>, at: DateTime<Utc>) -> bool {
    if known.is_some_and(|known| known <= at) {
        return false;
    }
    *known = Some(at);
    true
}
