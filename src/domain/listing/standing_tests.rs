//! Where steps lead: every standing, and what no sequence of steps brings about.

use proptest::prelude::*;

use super::steps::{STEPS, Target};
use super::*;

/// A listing that steps are taken on, without any guard: what the table alone allows.
#[derive(Debug, Clone, Copy)]
struct Walker {
    standing: Standing,
    /// Whether the open revision was approved, and the live one.
    approved: (bool, bool),
}

impl Walker {
    fn new() -> Self {
        Self {
            standing: Standing {
                state: ListingState::Draft,
                suspended_from: None,
                open: Some(RevisionStatus::Draft),
            },
            approved: (false, false),
        }
    }

    fn take(&mut self, verb: ListingVerb) -> bool {
        let Ok(taken) = self.standing.take(verb) else {
            return false;
        };
        if let Some((_, to)) = taken.step.revision {
            self.standing.open = to.is_open().then_some(to);
            match to {
                RevisionStatus::Approved => self.approved.0 = true,
                RevisionStatus::Live => self.approved.1 = std::mem::take(&mut self.approved.0),
                RevisionStatus::Draft
                | RevisionStatus::InReview
                | RevisionStatus::Rejected
                | RevisionStatus::Superseded => {
                    self.approved.0 = false;
                }
            }
            if verb == ListingVerb::BackToDraft {
                self.standing.open = Some(RevisionStatus::Draft);
            }
        }
        self.standing.state = taken.state;
        self.standing.suspended_from = taken.suspended_from;
        true
    }

    /// Somebody writes the next draft.
    fn write(&mut self) {
        let state = self.standing.state;
        if self.standing.open.is_none() && state != ListingState::Retired {
            self.standing.open = Some(RevisionStatus::Draft);
        }
    }
}

fn verbs() -> impl Strategy<Value = Vec<Option<ListingVerb>>> {
    let one = prop::option::weighted(0.9, prop::sample::select(ListingVerb::ALL));
    prop::collection::vec(one, 0..60)
}

proptest! {
    #[test]
    fn nobody_meets_what_was_not_reviewed(verbs in verbs()) {
        let mut walker = Walker::new();
        for verb in verbs {
            match verb {
                Some(verb) => { walker.take(verb); }
                None => walker.write(),
            }
            let state = walker.standing.state;
            prop_assert_eq!(walker.approved.1, state.is_released() || (state == ListingState::Retired && walker.approved.1), "{:?}", walker);
            prop_assert_eq!(state == ListingState::Suspended, walker.standing.suspended_from.is_some(), "{:?}", walker);
        }
    }

    #[test]
    fn whatever_was_done_while_it_was_suspended_it_goes_on_where_it_was(
        was in prop::sample::select(vec![ListingState::Limited, ListingState::Public, ListingState::Restricted]),
        during in verbs(),
    ) {
        let mut walker = Walker::new();
        walker.standing = Standing { state: was, suspended_from: None, open: None };
        prop_assert!(walker.take(ListingVerb::Suspend));
        for verb in during.into_iter().filter(|verb| *verb != Some(ListingVerb::Resume)) {
            match verb {
                Some(verb) => { walker.take(verb); }
                None => walker.write(),
            }
            prop_assert_eq!(walker.standing.state, ListingState::Suspended);
        }
        prop_assert!(walker.take(ListingVerb::Resume));
        prop_assert_eq!((walker.standing.state, walker.standing.suspended_from), (was, None));
    }

    #[test]
    fn from_retired_is_no_way_back(verbs in verbs()) {
        let mut walker = Walker::new();
        walker.standing.state = ListingState::Retired;
        for verb in verbs {
            match verb {
                Some(verb) => prop_assert!(!walker.take(verb)),
                None => walker.write(),
            }
        }
    }
}

#[test]
fn no_standing_has_two_steps_of_one_verb() {
    for state in ListingState::ALL {
        for verb in ListingVerb::ALL {
            let here = STEPS
                .iter()
                .filter(|step| step.verb == *verb && step.from.contains(state));
            let needs: Vec<_> = here
                .map(|step| step.revision.map(|(from, _)| from))
                .collect();
            let mut once = needs.clone();
            once.dedup();
            assert_eq!(needs, once, "{state} {verb}");
            assert!(
                needs.len() < 2 || needs.iter().all(Option::is_some),
                "{state} {verb}"
            );
        }
    }
    let whole = |target| matches!(target, Target::To(ListingState::Suspended));
    assert!(
        STEPS
            .iter()
            .all(|step| !whole(step.to) || step.verb == ListingVerb::Suspend)
    );
}

#[test]
fn a_refusal_names_both_ends() {
    let draft = Walker::new().standing;
    let refusal = draft.take(ListingVerb::Publish).unwrap_err().to_string();
    assert_eq!(
        refusal,
        "a listing that is draft has no publish; it can be taken where the listing is limited, restricted"
    );
    let live = Standing {
        state: ListingState::Public,
        suspended_from: None,
        open: None,
    };
    let refusal = live.take(ListingVerb::Submit).unwrap_err().to_string();
    assert_eq!(
        refusal,
        "submit needs a revision that is draft, and none is open"
    );
}
