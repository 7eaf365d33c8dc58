//! The steps in the life of a listing: who takes each, from where, what has to hold, and where it leads. The only place where that is said.
//!
//! A listing that was never released stands where its open revision stands. Once it was, its state is what consumers meet, and the next revision goes its own
//! way beside the live one. `docs/listing-states.md` is made from [`STEPS`] by a test.

use super::state::{ListingState, RevisionStatus};
use crate::domain::text::text_enum;

text_enum!(
    /// A step in the life of a listing.
    ListingVerb {
        /// Freezes the draft and asks for a review.
        Submit = "submit",
        /// The review passes.
        Approve = "approve",
        /// The review asks for changes.
        Reject = "reject",
        /// Takes a revision back that is in review or approved: a new draft begins as its copy.
        BackToDraft = "back_to_draft",
        /// Makes the approved revision live.
        Release = "release",
        /// Lets everybody buy.
        Publish = "publish",
        /// Lets the allow-list alone buy again.
        Unpublish = "unpublish",
        /// Makes no new agreements; those that exist run on.
        Restrict = "restrict",
        /// Nothing new anywhere, until it is resumed.
        Suspend = "suspend",
        /// Goes on where it was suspended.
        Resume = "resume",
        /// Ends it.
        Retire = "retire",
    }
);

text_enum!(
    /// Who takes a step.
    StepBy {
        /// Whoever writes listings: the permission to manage.
        Author = "author",
        /// Whoever reviews, and wrote no part of what they review: the permission to decide.
        Reviewer = "reviewer",
        /// Whoever keeps the installation running: the permission to decide.
        Operator = "operator",
    }
);

text_enum!(
    /// What has to hold, beside the states, for a step to be taken.
    StepGuard {
        /// Every field that is needed is there, with plans and services whose AWS side is ready for a review.
        Complete = "complete",
        /// What agreements are bound to is as it was in the last live revision.
        Continuous = "continuous",
        /// The reviewer did not write it.
        AnotherPerson = "another_person",
        /// Every item of the review's list is ticked.
        Checklist = "checklist",
        /// At least one machine-readable reason is given.
        Reasons = "reasons",
        /// There is an account on the allow-list to test with.
        TestAccount = "test_account",
        /// The services are in use, AWS shows them as available, and none lets everybody ask.
        Sellable = "sellable",
        /// No other listing sells one of the services.
        ServicesFree = "services_free",
        /// Every readiness check passes.
        Ready = "ready",
        /// Every readiness check passes, where the listing goes back to public.
        ReadyAgain = "ready_again",
        /// A sentence says why.
        Reason = "reason",
        /// No agreement is active or in grace, and no connection to a service is live.
        NothingLive = "nothing_live",
    }
);

/// Where a step leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Into this state.
    To(ListingState),
    /// The state stays; the revision beside the live one moves.
    Same,
    /// Where it was before it was suspended.
    Before,
}

/// A step: from where, by whom, what has to hold, and where it leads.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The verb.
    pub verb: ListingVerb,
    /// Who takes it.
    pub by: StepBy,
    /// The states that it may be taken in.
    pub from: &'static [ListingState],
    /// Where it leads.
    pub to: Target,
    /// Where the open revision has to stand and where it goes; `None` for a step that is not about one.
    pub revision: Option<(RevisionStatus, RevisionStatus)>,
    /// What has to hold.
    pub guards: &'static [StepGuard],
}

/// Where a revision moves beside the live one.
const RELEASED: &[ListingState] = &[
    ListingState::Limited,
    ListingState::Public,
    ListingState::Restricted,
    ListingState::Suspended,
];

const COMPLETE: &[StepGuard] = &[StepGuard::Complete, StepGuard::Continuous];
const REVIEWED: &[StepGuard] = &[StepGuard::AnotherPerson, StepGuard::Checklist];
const REJECTED: &[StepGuard] = &[StepGuard::AnotherPerson, StepGuard::Reasons];

/// Every step there is. Of two with the same verb, no state is in both unless the revision stands differently.
pub const STEPS: &[Step] = {
    use {ListingState as L, ListingVerb as V, RevisionStatus as R, StepBy as By, StepGuard as G};
    &[
        Step {
            verb: V::Submit,
            by: By::Author,
            from: &[L::Draft, L::ChangesRequested],
            to: Target::To(L::InReview),
            revision: Some((R::Draft, R::InReview)),
            guards: COMPLETE,
        },
        Step {
            verb: V::Submit,
            by: By::Author,
            from: RELEASED,
            to: Target::Same,
            revision: Some((R::Draft, R::InReview)),
            guards: COMPLETE,
        },
        Step {
            verb: V::Approve,
            by: By::Reviewer,
            from: &[L::InReview],
            to: Target::To(L::Approved),
            revision: Some((R::InReview, R::Approved)),
            guards: REVIEWED,
        },
        Step {
            verb: V::Approve,
            by: By::Reviewer,
            from: RELEASED,
            to: Target::Same,
            revision: Some((R::InReview, R::Approved)),
            guards: REVIEWED,
        },
        Step {
            verb: V::Reject,
            by: By::Reviewer,
            from: &[L::InReview],
            to: Target::To(L::ChangesRequested),
            revision: Some((R::InReview, R::Rejected)),
            guards: REJECTED,
        },
        Step {
            verb: V::Reject,
            by: By::Reviewer,
            from: RELEASED,
            to: Target::Same,
            revision: Some((R::InReview, R::Rejected)),
            guards: REJECTED,
        },
        Step {
            verb: V::BackToDraft,
            by: By::Author,
            from: &[L::InReview],
            to: Target::To(L::Draft),
            revision: Some((R::InReview, R::Superseded)),
            guards: &[],
        },
        Step {
            verb: V::BackToDraft,
            by: By::Author,
            from: &[L::Approved],
            to: Target::To(L::Draft),
            revision: Some((R::Approved, R::Superseded)),
            guards: &[],
        },
        Step {
            verb: V::BackToDraft,
            by: By::Author,
            from: RELEASED,
            to: Target::Same,
            revision: Some((R::InReview, R::Superseded)),
            guards: &[],
        },
        Step {
            verb: V::BackToDraft,
            by: By::Author,
            from: RELEASED,
            to: Target::Same,
            revision: Some((R::Approved, R::Superseded)),
            guards: &[],
        },
        Step {
            verb: V::Release,
            by: By::Author,
            from: &[L::Approved],
            to: Target::To(L::Limited),
            revision: Some((R::Approved, R::Live)),
            guards: &[G::TestAccount, G::ServicesFree, G::Sellable],
        },
        Step {
            verb: V::Release,
            by: By::Author,
            from: &[L::Limited, L::Restricted, L::Suspended],
            to: Target::Same,
            revision: Some((R::Approved, R::Live)),
            guards: &[G::ServicesFree, G::Sellable],
        },
        Step {
            verb: V::Release,
            by: By::Author,
            from: &[L::Public],
            to: Target::Same,
            revision: Some((R::Approved, R::Live)),
            guards: &[G::ServicesFree, G::Ready],
        },
        Step {
            verb: V::Publish,
            by: By::Author,
            from: &[L::Limited, L::Restricted],
            to: Target::To(L::Public),
            revision: None,
            guards: &[G::Ready],
        },
        Step {
            verb: V::Unpublish,
            by: By::Author,
            from: &[L::Public, L::Restricted],
            to: Target::To(L::Limited),
            revision: None,
            guards: &[],
        },
        Step {
            verb: V::Restrict,
            by: By::Author,
            from: &[L::Limited, L::Public],
            to: Target::To(L::Restricted),
            revision: None,
            guards: &[],
        },
        Step {
            verb: V::Suspend,
            by: By::Operator,
            from: &[L::Limited, L::Public, L::Restricted],
            to: Target::To(L::Suspended),
            revision: None,
            guards: &[G::Reason],
        },
        Step {
            verb: V::Resume,
            by: By::Author,
            from: &[L::Suspended],
            to: Target::Before,
            revision: None,
            guards: &[G::ReadyAgain],
        },
        Step {
            verb: V::Retire,
            by: By::Author,
            from: &[L::Restricted],
            to: Target::To(L::Retired),
            revision: None,
            guards: &[G::NothingLive],
        },
        Step {
            verb: V::Retire,
            by: By::Author,
            from: &[L::Draft, L::ChangesRequested],
            to: Target::To(L::Retired),
            revision: None,
            guards: &[],
        },
    ]
};
