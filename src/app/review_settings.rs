//! How long reviews may take, and what happens when time is over, unless a service says otherwise.

use std::time::Duration;

use chrono::TimeDelta;
use serde::Deserialize;

use crate::domain::review_rules::{OnOverdue, ReviewDefaults};

/// The longest time that can be set: long enough for anything, and short enough to be added to any date.
pub const LONGEST: Duration = Duration::from_hours(24 * 3650);

/// The settings of reviews. Every key has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReviewSettings {
    /// How long a claim lasts.
    #[serde(with = "humantime_serde")]
    pub claim_ttl: Duration,
    /// How long a request may wait for a decision.
    #[serde(with = "humantime_serde")]
    pub sla: Duration,
    /// After how many hundredths of that people are reminded.
    pub reminder_percent: i32,
    /// What happens to a request that nobody decided in that time.
    pub on_overdue: OnOverdue,
    /// How long access goes on after it has expired.
    #[serde(with = "humantime_serde")]
    pub expiry_grace: Duration,
}

impl Default for ReviewSettings {
    fn default() -> Self {
        Self {
            claim_ttl: Duration::from_hours(4),
            sla: Duration::from_hours(24),
            reminder_percent: 75,
            on_overdue: OnOverdue::Keep,
            expiry_grace: Duration::from_hours(72),
        }
    }
}

impl ReviewSettings {
    /// The same for the rules of `domain`.
    pub fn defaults(&self) -> ReviewDefaults {
        let delta = |duration| TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX);
        ReviewDefaults {
            claim_ttl: delta(self.claim_ttl),
            sla: delta(self.sla),
            reminder_percent: self.reminder_percent,
            on_overdue: self.on_overdue,
            expiry_grace: delta(self.expiry_grace),
        }
    }

    /// What is wrong with the settings, all of it.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, value, least) in [
            ("claim_ttl", self.claim_ttl, 1),
            ("sla", self.sla, 1),
            ("expiry_grace", self.expiry_grace, 0),
        ] {
            if value.as_secs() < least || value > LONGEST {
                problems.push(format!("reviews.{name} must be {least} s to 3650 days"));
            }
        }
        if !(1..100).contains(&self.reminder_percent) {
            problems.push("reviews.reminder_percent must be 1 to 99".to_owned());
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_told() {
        assert!(ReviewSettings::default().problems().is_empty());
        let bad = ReviewSettings {
            claim_ttl: Duration::ZERO,
            sla: Duration::ZERO,
            reminder_percent: 100,
            expiry_grace: Duration::MAX,
            ..ReviewSettings::default()
        };
        assert_eq!(bad.problems().len(), 4);
    }
}
