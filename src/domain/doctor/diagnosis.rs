//! All checks of one thing, and the sentence on top: the most likely reason.

use super::catalogue::CheckName;
use super::check::{Check, CheckStatus};

/// What is examined, as the sentence calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patient {
    /// A registered service.
    Service,
    /// A connection.
    Connection,
}

impl Patient {
    fn word(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Connection => "connection",
        }
    }
}

/// All checks of one thing, those that explain most first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The worst outcome that matters: `fail`, else `unknown`, else `warn`, else `pass`.
    pub status: CheckStatus,
    /// The most likely reason, as a sentence.
    pub most_likely: String,
    /// Every check.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// Sorts the checks and finds the most likely reason.
    pub fn of(patient: Patient, mut checks: Vec<Check>) -> Self {
        let rank = |check: &Check| {
            let place = |name| CheckName::ALL.iter().position(|n| *n == name);
            check.name().and_then(place).unwrap_or(usize::MAX)
        };
        checks.sort_by_key(rank);
        let status = [CheckStatus::Fail, CheckStatus::Unknown, CheckStatus::Warn]
            .into_iter()
            .find(|status| checks.iter().any(|c| c.status == *status))
            .unwrap_or(CheckStatus::Pass);
        Self {
            status,
            most_likely: sentence(patient, status, &checks),
            checks,
        }
    }
}

fn sentence(patient: Patient, status: CheckStatus, checks: &[Check]) -> String {
    let mut same = checks.iter().filter(|c| c.status == status);
    let first = same.next();
    let more = same.count();
    let what = patient.word();
    let Some(first) = first.filter(|_| status != CheckStatus::Pass) else {
        return format!("Nothing is wrong with the {what}, as far as AWS shows.");
    };
    let cause = first.cause.as_deref().unwrap_or(&first.check);
    let reason = format!("{cause} ({})", first.evidence);
    let others = |one: &str, several: &str| match more {
        0 => String::new(),
        1 => format!(" One more check {one}."),
        n => format!(" {n} more checks {several}."),
    };
    match status {
        CheckStatus::Fail => format!("Most likely, {reason}.{}", others("fails", "fail")),
        CheckStatus::Unknown => format!(
            "Nothing is known to be wrong with the {what}, but not everything could be checked: {reason}.{}",
            others("could not be made", "could not be made")
        ),
        CheckStatus::Warn | CheckStatus::Pass => format!(
            "Nothing has failed; worth a look: {reason}.{}",
            others("warns", "warn")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_that_explains_most_is_named_and_the_others_are_counted() {
        let checks = vec![
            Check::warn(CheckName::Notifications, "there is none"),
            Check::fail(CheckName::TargetHealth, "0 of 2 healthy"),
            Check::fail(CheckName::LoadBalancerIsActive, "state is failed"),
            Check::pass(CheckName::Listeners, "TCP 443"),
        ];
        let diagnosis = Diagnosis::of(Patient::Service, checks);
        assert_eq!(diagnosis.status, CheckStatus::Fail);
        assert_eq!(
            diagnosis.most_likely,
            "Most likely, the load balancer does not take traffic, or not everywhere (state is failed). One more check fails."
        );
        let order: Vec<_> = diagnosis.checks.iter().map(|c| c.check.as_str()).collect();
        let want = [
            "load_balancer_is_active",
            "listeners",
            "target_health",
            "notifications",
        ];
        assert_eq!(order, want);
    }

    #[test]
    fn what_could_not_be_checked_is_never_a_pass() {
        let checks = vec![
            Check::warn(CheckName::Notifications, "there is none"),
            Check::unknown(CheckName::TargetHealth, "not read yet", "wait"),
        ];
        let diagnosis = Diagnosis::of(Patient::Service, checks);
        assert_eq!(diagnosis.status, CheckStatus::Unknown);
        assert!(
            diagnosis
                .most_likely
                .contains("not everything could be checked")
        );
    }

    #[test]
    fn warnings_are_worth_a_look_and_nothing_is_nothing() {
        let warned = vec![Check::warn(CheckName::ConnectionState, "AWS shows pending")];
        let diagnosis = Diagnosis::of(Patient::Connection, warned);
        assert!(diagnosis.most_likely.starts_with("Nothing has failed"));
        let passed = vec![Check::pass(
            CheckName::ConnectionState,
            "AWS shows available",
        )];
        let diagnosis = Diagnosis::of(Patient::Connection, passed);
        let want = "Nothing is wrong with the connection, as far as AWS shows.";
        assert_eq!(
            (diagnosis.status, diagnosis.most_likely.as_str()),
            (CheckStatus::Pass, want)
        );
    }
}
