//! How a service wants its connections reviewed: how many have to approve, how long a request may wait, and what happens when time is over.

use chrono::{DateTime, TimeDelta, Utc};

use super::text::text_enum;

text_enum!(
    /// What happens to a request that nobody decided in time.
    OnOverdue {
        /// It goes on waiting; people are told.
        Keep = "keep",
        /// It is rejected, unless a person holds it.
        Reject = "reject",
    }
);

/// What holds where a service does not say otherwise, and what holds for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReviewDefaults {
    /// How long a claim lasts.
    pub claim_ttl: TimeDelta,
    /// How long a request may wait, from when it was first seen.
    pub sla: TimeDelta,
    /// After how many hundredths of that time people are reminded.
    pub reminder_percent: i32,
    /// What happens when that time is over.
    pub on_overdue: OnOverdue,
    /// How long access goes on after it has expired.
    pub expiry_grace: TimeDelta,
}

/// What a service says about its reviews. `None` takes the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReviewRules {
    /// Counts the changes; 1 while nobody changed anything.
    pub version: i64,
    /// How many persons have to approve: 1 or 2.
    pub approvals_required: i16,
    /// How long a request may wait.
    pub sla: Option<TimeDelta>,
    /// What happens when that time is over.
    pub on_overdue: Option<OnOverdue>,
    /// How long access goes on after it has expired.
    pub expiry_grace: Option<TimeDelta>,
}

impl Default for ReviewRules {
    fn default() -> Self {
        Self {
            version: 1,
            approvals_required: 1,
            sla: None,
            on_overdue: None,
            expiry_grace: None,
        }
    }
}

/// What counts for a service in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effective {
    /// How long a request may wait.
    pub sla: TimeDelta,
    /// After how long people are reminded.
    pub remind_after: TimeDelta,
    /// What happens when the time is over.
    pub on_overdue: OnOverdue,
    /// How long access goes on after it has expired.
    pub expiry_grace: TimeDelta,
}

impl ReviewRules {
    /// The rules with the defaults filled in.
    pub fn effective(&self, defaults: &ReviewDefaults) -> Effective {
        let sla = self.sla.unwrap_or(defaults.sla);
        Effective {
            sla,
            // Divided first: a time of years times a hundred would still fit, but nobody has to think about it.
            remind_after: sla / 100 * defaults.reminder_percent,
            on_overdue: self.on_overdue.unwrap_or(defaults.on_overdue),
            expiry_grace: self.expiry_grace.unwrap_or(defaults.expiry_grace),
        }
    }
}

impl Effective {
    /// Until when a request that was first seen then should be decided.
    pub fn due_at(&self, first_seen_at: DateTime<Utc>) -> DateTime<Utc> {
        first_seen_at + self.sla
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_overrules_the_defaults_one_by_one() {
        let defaults = ReviewDefaults {
            claim_ttl: TimeDelta::hours(4),
            sla: TimeDelta::hours(24),
            reminder_percent: 75,
            on_overdue: OnOverdue::Keep,
            expiry_grace: TimeDelta::days(3),
        };
        let rules = ReviewRules::default().effective(&defaults);
        assert_eq!(rules.sla, TimeDelta::hours(24));
        assert_eq!(rules.remind_after, TimeDelta::hours(18));
        assert_eq!(rules.on_overdue, OnOverdue::Keep);
        let own = ReviewRules {
            sla: Some(TimeDelta::hours(1)),
            on_overdue: Some(OnOverdue::Reject),
            ..ReviewRules::default()
        };
        let rules = own.effective(&defaults);
        assert_eq!(rules.remind_after, TimeDelta::minutes(45));
        assert_eq!(rules.on_overdue, OnOverdue::Reject);
        assert_eq!(rules.expiry_grace, TimeDelta::days(3));
    }
}
