//! What the notices of an agreement come to at a time.
#![deny(clippy::wildcard_enum_match_arm)]

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::record::Record;
use crate::domain::decision::AgreementState;
use crate::domain::listing::EndCause;

/// How long the one that takes an agreement's place is waited for before anything is cut.
pub const SUCCESSOR_WAIT: TimeDelta = TimeDelta::hours(24);
/// How long it is waited for before whoever is connected is told: most come within minutes, and a word about an end that is taken back at once helps nobody.
const SUCCESSOR_HUSH: TimeDelta = TimeDelta::hours(1);

/// What an agreement's plan, source and successor have to say about its end.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    /// How long what is connected may stay after an end, by its cause.
    pub grace: &'a dyn Fn(EndCause) -> TimeDelta,
    /// Whether the source licenses agreements by a notice of its own.
    pub by_licence: bool,
    /// Since when the one that takes its place is in force.
    pub successor_since: Option<DateTime<Utc>>,
}

/// How an agreement ends.
#[derive(Debug, Clone, Copy)]
struct End {
    /// When the first of its ends is.
    begin: DateTime<Utc>,
    /// Of all its ends, the one whose grace is over first.
    cause: EndCause,
    /// When that is.
    over: DateTime<Utc>,
    /// Until when the one that takes its place is waited for.
    awaited: Option<DateTime<Utc>>,
}

impl End {
    /// When what is connected is cut, if nothing takes its place.
    fn last(&self) -> DateTime<Utc> {
        self.awaited
            .map_or(self.over, |awaited| awaited.max(self.over))
    }

    /// When whoever is connected is told of that, while the one that takes its place is waited for.
    fn told(&self) -> Option<DateTime<Utc>> {
        self.awaited
            .map(|awaited| awaited - SUCCESSOR_WAIT + SUCCESSOR_HUSH)
    }
}

/// A state, and what is known of an end.
#[derive(Debug, Clone, Copy)]
struct Turn {
    state: AgreementState,
    cause: Option<EndCause>,
    grace_until: Option<DateTime<Utc>>,
}

impl fmt::Debug for Patience<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patience")
            .field("by_licence", &self.by_licence)
            .field("successor_since", &self.successor_since)
            .finish_non_exhaustive()
    }
}

/// Where an agreement stands at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The state.
    pub state: AgreementState,
    /// Why it ended, if it did: the cause whose grace is over first.
    pub cause: Option<EndCause>,
    /// In grace, and once the one that takes its place is waited for for an hour: until when what is connected may stay.
    pub grace_until: Option<DateTime<Utc>>,
    /// Superseded: since when the one that takes its place is in force; `None` while that is waited for.
    pub succeeded_at: Option<DateTime<Utc>>,
    /// When it will stand elsewhere, if nothing further is told.
    pub until: Option<DateTime<Utc>>,
}

impl Record {
    /// Where the agreement stands.
    pub fn standing(&self, patience: Patience<'_>, now: DateTime<Utc>) -> Standing {
        let turns = self.turns(patience);
        let until = turns.into_iter().flatten().filter(|at| *at > now).min();
        let turn = self.turn(patience, now);
        let succeeded_at = patience.successor_since.filter(|since| *since <= now);
        let succeeded_at = succeeded_at.filter(|_| turn.state == AgreementState::Superseded);
        // Once another has its place, its own ends and graces change nothing any more.
        let is_settled = turn.state == AgreementState::Ended || succeeded_at.is_some();
        Standing {
            state: turn.state,
            succeeded_at,
            cause: turn.cause,
            grace_until: turn.grace_until,
            until: until.filter(|_| !is_settled),
        }
    }

    fn turn(&self, patience: Patience<'_>, now: DateTime<Utc>) -> Turn {
        let without_end = |state: AgreementState| Turn {
            state,
            cause: None,
            grace_until: None,
        };
        if self.is_rolled_back() {
            return without_end(AgreementState::Ended);
        }
        if let Some(end) = self.end(patience)
            && end.begin <= now
        {
            // What took its place after all was over, came too late: there is nothing left to go over to it.
            let last = end.last();
            let succeeded = patience
                .successor_since
                .is_some_and(|since| since <= now && since < last);
            let (state, grace_until) = if succeeded {
                (AgreementState::Superseded, None)
            } else if end.awaited.is_some_and(|until| now < until) {
                let told = end.told().is_some_and(|told| told <= now);
                (AgreementState::Superseded, told.then_some(last))
            } else if now < end.over {
                (AgreementState::Grace, Some(end.over))
            } else {
                (AgreementState::Ended, None)
            };
            return Turn {
                state,
                cause: Some(end.cause),
                grace_until,
            };
        }
        let begun = self.terms().is_some_and(|terms| terms.starts_at <= now);
        let usable = !patience.by_licence || self.licensed() == Some(true);
        without_end(match (begun && usable, self.is_questioned()) {
            (false, _) => AgreementState::Pending,
            (true, true) => AgreementState::Review,
            (true, false) => AgreementState::Active,
        })
    }

    fn end(&self, patience: Patience<'_>) -> Option<End> {
        let replaced = self.replaced().map(|at| (EndCause::Expired, at));
        let ends: Vec<(EndCause, DateTime<Utc>)> = self.ends().chain(replaced).collect();
        let begin = ends.iter().map(|(_, at)| *at).min()?;
        let over =
            |(cause, at): &(EndCause, DateTime<Utc>)| (*at + (patience.grace)(*cause), *cause);
        let (over, cause) = ends.iter().map(over).min()?;
        // Nothing is waited for that was told of when all was over.
        let awaited = self.replaced().filter(|at| *at <= over);
        let awaited = awaited.filter(|_| self.may_be_succeeded());
        Some(End {
            begin,
            cause,
            over,
            awaited: awaited.map(|at| at + SUCCESSOR_WAIT),
        })
    }

    /// Every time at which it may come to stand elsewhere.
    fn turns(&self, patience: Patience<'_>) -> [Option<DateTime<Utc>>; 6] {
        let end = self.end(patience);
        [
            self.terms().map(|terms| terms.starts_at),
            end.map(|end| end.begin),
            end.map(|end| end.over),
            end.and_then(|end| end.told()),
            end.and_then(|end| end.awaited),
            patience.successor_since,
        ]
    }
}
