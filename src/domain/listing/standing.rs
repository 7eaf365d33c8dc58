//! Where a listing stands together with its open revision, and where a step leads from there. Pure and total.

use super::state::{ListingState, RevisionStatus};
use super::steps::{ListingVerb, STEPS, Step, Target};

/// Where a listing and its open revision stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The listing.
    pub state: ListingState,
    /// Where it was when it was suspended; only while it is.
    pub suspended_from: Option<ListingState>,
    /// The revision that is a draft, in review or approved; none after a rejection, and none while nothing is written beside the live one.
    pub open: Option<RevisionStatus>,
}

/// Where a step leads from a standing.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// The step.
    pub step: &'static Step,
    /// The state of the listing after it.
    pub state: ListingState,
    /// Where it would go back to; only while it is suspended.
    pub suspended_from: Option<ListingState>,
}

/// Why a step cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepRefusal {
    /// Not in that state.
    #[error("a listing that is {state} has no {verb}; it can be taken where the listing is {}", listed(.from))]
    State {
        /// The verb.
        verb: ListingVerb,
        /// Where the listing stands.
        state: ListingState,
        /// Where it could be taken.
        from: Vec<ListingState>,
    },
    /// Not with that revision.
    #[error("{verb} needs a revision that is {}, and {}", words(.needed), has(*.open))]
    Revision {
        /// The verb.
        verb: ListingVerb,
        /// Where the open revision stands.
        open: Option<RevisionStatus>,
        /// Where it would have to.
        needed: Vec<RevisionStatus>,
    },
}

fn listed(states: &[ListingState]) -> String {
    let words: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
    words.join(", ")
}

fn words(statuses: &[RevisionStatus]) -> String {
    let words: Vec<&str> = statuses.iter().map(|status| status.as_str()).collect();
    words.join(" or ")
}

fn has(open: Option<RevisionStatus>) -> String {
    match open {
        Some(status) => format!("the open one is {status}"),
        None => "none is open".to_owned(),
    }
}

impl Standing {
    /// Where a step leads, or why it cannot be taken. Its guards are not asked here.
    pub fn take(self, verb: ListingVerb) -> Result<Taken, StepRefusal> {
        let of_verb = || STEPS.iter().filter(move |step| step.verb == verb);
        let here: Vec<&'static Step> = of_verb().filter(|s| s.from.contains(&self.state)).collect();
        if here.is_empty() {
            return Err(StepRefusal::State {
                verb,
                state: self.state,
                from: of_verb().flat_map(|step| step.from).copied().collect(),
            });
        }
        let fits = |step: &&&'static Step| match step.revision {
            None => true,
            Some((needed, _)) => self.open == Some(needed),
        };
        let Some(step) = here.iter().find(fits) else {
            return Err(StepRefusal::Revision {
                verb,
                open: self.open,
                needed: here
                    .iter()
                    .filter_map(|step| Some(step.revision?.0))
                    .collect(),
            });
        };
        let state = match step.to {
            Target::To(state) => state,
            Target::Same => self.state,
            // A row that is suspended says from where; limited is the narrowest.
            Target::Before => self.suspended_from.unwrap_or(ListingState::Limited),
        };
        let suspended_from = match (step.verb, state) {
            (ListingVerb::Suspend, _) => Some(self.state),
            (_, ListingState::Suspended) => self.suspended_from,
            _ => None,
        };
        Ok(Taken {
            step,
            state,
            suspended_from,
        })
    }
}
