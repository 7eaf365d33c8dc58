//! One check and its outcome.

use serde::{Deserialize, Serialize};

use super::catalogue::CheckName;
use super::facts::{Read, Refusal, RefusalKind};
use crate::domain::text::text_enum;

text_enum!(
    /// How a check came out.
    CheckStatus {
        /// As it should be.
        Pass = "pass",
        /// Works, or comes by itself, and may hurt in a known way.
        Warn = "warn",
        /// Consumers cannot connect, or their traffic goes nowhere.
        Fail = "fail",
        /// Could not be read.
        Unknown = "unknown",
    }
);

/// One check and its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Check {
    /// Which check: a stable word. `docs/doctor.md` has them all.
    pub check: String,
    /// How it came out.
    pub status: CheckStatus,
    /// The load balancer it is about; absent for the service or the connection as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer_arn: Option<String>,
    /// Why it did not pass, as a clause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What was seen.
    pub evidence: String,
    /// What to do about it, where something is to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Check {
    /// An outcome, with the cause and the fix of the catalogue unless it passed.
    pub(super) fn new(name: CheckName, status: CheckStatus, evidence: impl Into<String>) -> Self {
        let passed = status == CheckStatus::Pass;
        Self {
            check: name.as_str().to_owned(),
            status,
            load_balancer_arn: None,
            cause: (!passed).then(|| name.cause().to_owned()),
            evidence: evidence.into(),
            fix: (!passed).then(|| name.fix().to_owned()),
        }
    }

    pub(super) fn pass(name: CheckName, evidence: impl Into<String>) -> Self {
        Self::new(name, CheckStatus::Pass, evidence)
    }

    pub(super) fn warn(name: CheckName, evidence: impl Into<String>) -> Self {
        Self::new(name, CheckStatus::Warn, evidence)
    }

    pub(super) fn fail(name: CheckName, evidence: impl Into<String>) -> Self {
        Self::new(name, CheckStatus::Fail, evidence)
    }

    /// Nothing is known, for a reason that is no refusal.
    pub(super) fn unknown(name: CheckName, evidence: impl Into<String>, fix: &str) -> Self {
        Self::new(name, CheckStatus::Unknown, evidence)
            .because("it could not be checked")
            .with_fix(fix)
    }

    /// What was not told: refused, or not asked yet. A value that was told has no place here and counts as not asked.
    pub(super) fn unread<T>(name: CheckName, read: &Read<T>) -> Self {
        match read {
            Read::Refused(refusal) => Self::refused(name, refusal),
            Read::Told { .. } | Read::NotYet => Self::unknown(name, "not read yet", LOOK_AGAIN),
        }
    }

    fn refused(name: CheckName, refusal: &Refusal) -> Self {
        let Refusal { action, code, .. } = refusal;
        let check = Self::new(
            name,
            CheckStatus::Unknown,
            format!("AWS answered {code} to {action}"),
        );
        match refusal.kind {
            RefusalKind::Denied => check
                .because(format!("the role may not call {action}"))
                .with_fix(format!(
                    "allow {action} in the role's policy, then ask for a new look"
                )),
            RefusalKind::NotFound | RefusalKind::Invalid => check
                .because("AWS refused to tell")
                .with_fix("read the code in AWS's documentation, then ask for a new look"),
        }
    }

    pub(super) fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    pub(super) fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    pub(super) fn about(mut self, arn: &str) -> Self {
        self.load_balancer_arn = Some(arn.to_owned());
        self
    }

    /// Which check it is; `None` for a word that this version does not know.
    pub fn name(&self) -> Option<CheckName> {
        CheckName::ALL
            .iter()
            .copied()
            .find(|name| name.as_str() == self.check)
    }
}

/// What to do where the worker has not looked.
pub(super) const LOOK_AGAIN: &str =
    "wait for the worker's next look, or ask for one with POST /v1/services/{id}/check";

/// A list for people, cut after a few.
pub(super) fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    const MOST: usize = 10;
    let all: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    let more = all.len().saturating_sub(MOST);
    let text = all.into_iter().take(MOST).collect::<Vec<_>>().join(", ");
    if more == 0 {
        text
    } else {
        format!("{text} and {more} more")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(listed(1..=3), "1, 2, 3");
        assert_eq!(listed(1..=12), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more");
    }

    #[test]
    fn what_is_denied_is_unknown_and_names_the_code_and_the_action() {
        let action = "elasticloadbalancing:DescribeListeners";
        let check = Check::unread(CheckName::Listeners, &Read::<()>::denied(action));
        assert_eq!(check.status, CheckStatus::Unknown);
        assert_eq!(
            check.evidence,
            format!("AWS answered AccessDenied to {action}")
        );
        assert!(check.cause.unwrap().contains(action));
        assert!(check.fix.unwrap().contains(action));
        let check = Check::unread(CheckName::Listeners, &Read::<()>::NotYet);
        assert_eq!(check.status, CheckStatus::Unknown);
    }
}
