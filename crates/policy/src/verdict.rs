//! What a policy set says about a request.

/// What the policies that apply amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// A `permit` applies, no `forbid` does, and no policy failed.
    Permit,
    /// A `forbid` applies.
    Forbid,
    /// Nothing applies, or what would permit cannot be trusted because a policy failed.
    Neither,
}

/// A set's answer about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What follows.
    pub effect: Effect,
    /// The policies that made it so, in the order of their ids. With a failure they are the ones that would have.
    pub determining: Vec<Matched>,
    /// Policies that could not be evaluated, in the order of their ids. While there is one, nothing is permitted.
    pub failures: Vec<Failure>,
}

/// A policy that applies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Matched {
    /// Its `@id`, or the one it was given.
    pub id: String,
    /// Its `@reason`: a stable code.
    pub reason: Option<String>,
    /// Its `@message`: a sentence for the consumer.
    pub message: Option<String>,
}

/// A policy that could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    /// Its id; empty when it was not one policy that failed.
    pub policy: String,
    /// What went wrong.
    pub message: String,
}

impl Verdict {
    /// What two sets say together, for example a provider's and a service's: a `forbid` of either wins, and a failure of either keeps both from permitting.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let mut failures = [self.failures, other.failures].concat();
        failures.sort();
        let effect = match (self.effect, other.effect) {
            (Effect::Forbid, _) | (_, Effect::Forbid) => Effect::Forbid,
            (Effect::Permit, _) | (_, Effect::Permit) if failures.is_empty() => Effect::Permit,
            _ => Effect::Neither,
        };
        // What permits determines nothing where something forbids.
        let mut determining: Vec<Matched> = [
            (self.effect, self.determining),
            (other.effect, other.determining),
        ]
        .into_iter()
        .filter(|(own, _)| effect != Effect::Forbid || *own == Effect::Forbid)
        .flat_map(|(_, matched)| matched)
        .collect();
        determining.sort();
        Self {
            effect,
            determining,
            failures,
        }
    }

    /// The answer where the request could not even be put to the set.
    pub(crate) fn failed(message: String) -> Self {
        Self {
            effect: Effect::Neither,
            determining: Vec::new(),
            failures: vec![Failure {
                policy: String::new(),
                message,
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(effect: Effect, id: &str, fails: bool) -> Verdict {
        let matched = Matched {
            id: id.to_owned(),
            reason: None,
            message: None,
        };
        let failure = Failure {
            policy: "broken".to_owned(),
            message: "no".to_owned(),
        };
        Verdict {
            effect,
            determining: if effect == Effect::Neither {
                vec![]
            } else {
                vec![matched]
            },
            failures: if fails { vec![failure] } else { vec![] },
        }
    }

    #[test]
    fn together_a_forbid_wins_and_a_failure_permits_nothing() {
        use Effect::{Forbid, Neither, Permit};
        for (one, other, together) in [
            (Permit, Permit, Permit),
            (Permit, Neither, Permit),
            (Permit, Forbid, Forbid),
            (Neither, Neither, Neither),
            (Neither, Forbid, Forbid),
            (Forbid, Forbid, Forbid),
        ] {
            let a = verdict(one, "a", false).and(verdict(other, "b", false));
            let b = verdict(other, "b", false).and(verdict(one, "a", false));
            assert_eq!((a.effect, &a), (together, &b), "{one:?} {other:?}");
            let broken = verdict(one, "a", false).and(verdict(other, "b", true));
            let expected = if together == Forbid { Forbid } else { Neither };
            assert_eq!(broken.effect, expected, "{one:?} {other:?}, one failed");
        }
    }

    #[test]
    fn what_permits_is_not_named_where_something_forbids() {
        let both = verdict(Effect::Permit, "yes", false).and(verdict(Effect::Forbid, "no", false));
        let ids: Vec<_> = both.determining.iter().map(|m| m.id.as_str()).collect();
        assert_eq!(ids, ["no"]);
    }
}
