//! What guards the activation of policies.

use std::time::Duration;

use chrono::TimeDelta;
use serde::Deserialize;

use super::review_settings::LONGEST;

/// The settings of policies. Every key has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySettings {
    /// How many hundredths of the live connections a policy may cut off without that the number is confirmed.
    pub max_cut_percent: u8,
    /// How old the dry run of a policy may be when it is put in force.
    #[serde(with = "humantime_serde")]
    pub dry_run_max_age: Duration,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self {
            max_cut_percent: 5,
            dry_run_max_age: Duration::from_hours(24),
        }
    }
}

/// The same for the use cases.
#[derive(Debug, Clone, Copy)]
pub struct ActivationRules {
    /// How many hundredths of the live connections a policy may cut off without that the number is confirmed.
    pub max_cut_percent: u8,
    /// How old the dry run may be.
    pub dry_run_max_age: TimeDelta,
}

impl PolicySettings {
    /// The same for the use cases.
    pub fn rules(&self) -> ActivationRules {
        ActivationRules {
            max_cut_percent: self.max_cut_percent,
            dry_run_max_age: TimeDelta::from_std(self.dry_run_max_age).unwrap_or(TimeDelta::MAX),
        }
    }

    /// What is wrong with the settings, all of it.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.max_cut_percent > 100 {
            problems.push("policies.max_cut_percent must be 0 to 100".to_owned());
        }
        if self.dry_run_max_age.as_secs() < 1 || self.dry_run_max_age > LONGEST {
            problems.push("policies.dry_run_max_age must be 1 s to 3650 days".to_owned());
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_told() {
        assert!(PolicySettings::default().problems().is_empty());
        let bad = PolicySettings {
            max_cut_percent: 101,
            dry_run_max_age: Duration::ZERO,
        };
        assert_eq!(bad.problems().len(), 2);
    }
}
