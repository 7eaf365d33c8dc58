//! What is remembered about a private DNS name between two looks, and when the next is due.

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::PrivateDnsName;
use serde::{Deserialize, Serialize};

use super::{DnsState, RecordFinding, TxtRecord, record, state};

/// What public DNS showed, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What was found.
    pub finding: RecordFinding,
    /// The same as a sentence.
    pub evidence: String,
    /// When it was looked for.
    pub at: DateTime<Utc>,
}

/// Why AWS would not look for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// AWS's code.
    pub code: String,
    /// AWS's words.
    pub message: String,
}

/// What is remembered about a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The name.
    pub name: String,
    /// The record that proves it; `None` while AWS does not tell it.
    pub record: Option<TxtRecord>,
    /// Since when the service has this name with this record, as far as was seen.
    pub named_at: DateTime<Utc>,
    /// Where the proof stands.
    pub state: DnsState,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Whether it was verified at any time.
    pub was_verified: bool,
    /// The last look at public DNS.
    pub probe: Option<Probe>,
    /// Since when the record can be seen without a break.
    pub visible_since: Option<DateTime<Utc>>,
    /// When AWS was last asked to check.
    pub started_at: Option<DateTime<Utc>>,
    /// What AWS answered if it would not check.
    pub refusal: Option<Refusal>,
}

/// How often to look and to ask.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How soon a record that AWS hides is read again.
    pub hidden: TimeDelta,
    /// How often the record is looked for while it is awaited, at first.
    pub poll: TimeDelta,
    /// How long the record must be visible before AWS is asked to check.
    pub settle: TimeDelta,
    /// How often AWS is asked again.
    pub retry: TimeDelta,
    /// How often a record that proves a verified name is looked for.
    pub recheck: TimeDelta,
}

impl Watch {
    /// The watch of what AWS shows now: the one before goes on while name and record are the same.
    pub fn of(before: Option<&Self>, shown: &PrivateDnsName, now: DateTime<Utc>) -> Self {
        let told = record(shown);
        let same = |before: &&Self| {
            let renewed = before.record.is_some() && told.is_some() && before.record != told;
            before.name == shown.name && !renewed
        };
        let mut watch = before.filter(same).cloned().unwrap_or_else(|| Self {
            name: shown.name.clone(),
            record: None,
            named_at: now,
            state: DnsState::WaitingForRecord,
            since: now,
            was_verified: false,
            probe: None,
            visible_since: None,
            started_at: None,
            refusal: None,
        });
        watch.record = told.or(watch.record);
        watch
    }

    /// Whether a look is due.
    pub fn probe_is_due(&self, pace: &Pace, now: DateTime<Utc>) -> bool {
        self.probe_at(pace).is_some_and(|at| at <= now)
    }

    /// When to look for the record; never while it is not known.
    fn probe_at(&self, pace: &Pace) -> Option<DateTime<Utc>> {
        self.record.as_ref()?;
        let Some(probe) = &self.probe else {
            return Some(self.named_at);
        };
        let wait = match (self.state, probe.finding.is_visible()) {
            (DnsState::Verified, true) => pace.recheck,
            (DnsState::Verified, false) => pace.retry,
            // The longer it has been missing, the less likely it comes in the next minute.
            _ => ((probe.at - self.since) / 20).clamp(pace.poll, pace.retry.max(pace.poll)),
        };
        Some(probe.at + wait)
    }

    /// Notes what public DNS showed.
    pub fn probed(&mut self, (finding, evidence): (RecordFinding, String), at: DateTime<Utc>) {
        // A resolver that does not answer says nothing about the record.
        if finding != RecordFinding::Unreachable {
            self.visible_since = finding
                .is_visible()
                .then(|| self.visible_since.unwrap_or(at));
        }
        self.probe = Some(Probe {
            finding,
            evidence,
            at,
        });
    }

    /// Moves to where the proof stands now.
    pub fn settle(&mut self, shown: &PrivateDnsName, now: DateTime<Utc>) {
        let after = state(Some(shown), self.was_verified, self.visible_since.is_some());
        self.was_verified |= after == DnsState::Verified;
        if after == DnsState::Verified {
            self.refusal = None;
        }
        if after != self.state {
            self.since = now;
            self.state = after;
        }
    }

    /// Whether AWS is to be asked to check now.
    pub fn start_is_due(&self, pace: &Pace, now: DateTime<Utc>) -> bool {
        self.start_at(pace).is_some_and(|at| at <= now)
    }

    /// When to ask AWS: once the record has been visible for a while, and again on a slow schedule, whether or not it can be seen from here.
    fn start_at(&self, pace: &Pace) -> Option<DateTime<Utc>> {
        if self.state == DnsState::Verified {
            return None;
        }
        self.record.as_ref()?;
        let again = self.started_at.map(|at| at + pace.retry);
        Some(match (self.visible_since, self.started_at) {
            (Some(visible), Some(started)) if started >= visible => started + pace.retry,
            (Some(visible), _) => visible + pace.settle,
            (None, _) => again.unwrap_or(self.named_at + pace.retry),
        })
    }

    /// Notes that AWS was asked, and what it said if it would not.
    pub fn started(&mut self, refusal: Option<Refusal>, at: DateTime<Utc>) {
        self.started_at = Some(at);
        self.refusal = refusal;
    }

    /// When to look at the service next for the sake of its name.
    pub fn next_look(&self, pace: &Pace, now: DateTime<Utc>) -> DateTime<Utc> {
        if self.record.is_none() {
            return now + pace.hidden;
        }
        // AWS checks within moments of being asked; what it found is soon worth a read.
        let fresh = self.state != DnsState::Verified
            && self.started_at.is_some_and(|at| now < at + pace.poll * 2);
        let soon = fresh.then(|| now + pace.poll / 4);
        let due = [self.probe_at(pace), self.start_at(pace), soon];
        let next = due.into_iter().flatten().min();
        next.unwrap_or(now + pace.recheck).max(now)
    }
}
