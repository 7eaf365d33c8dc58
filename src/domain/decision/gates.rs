//! Each gate's rule. A gate rejects, holds, or has nothing to say; it never accepts.

use super::Outcome;
use super::commerce::{Acceptance, AgreementState, Approval, Binding, ListingState, Plan};
use super::facts::Facts;
use super::gate::Hit;
use super::reason::{Reason, ReasonCode};
use crate::domain::lifecycle::LifecycleState;
use crate::domain::quota::QuotaFigure;

fn reject(reason: impl Into<Reason>) -> Hit {
    Hit {
        outcome: Outcome::Reject,
        reasons: vec![reason.into()],
    }
}

fn hold(reason: impl Into<Reason>) -> Hit {
    Hit {
        outcome: Outcome::Hold,
        reasons: vec![reason.into()],
    }
}

/// Refuses a request; leaves a live connection to a person, because what changed since it was accepted was not the consumer's doing.
fn refuse(facts: &Facts, reason: impl Into<Reason>) -> Hit {
    if facts.is_live() {
        hold(reason)
    } else {
        reject(reason)
    }
}

pub(super) fn deny_list(facts: &Facts) -> Option<Hit> {
    if facts.account.denials.is_empty() {
        return None;
    }
    Some(reject(ReasonCode::AccountDenied))
}

/// When access ends that was given, the removal says. To reject it here would be sooner than that, and to hold it would keep what a later gate cuts off.
pub(super) fn access(facts: &Facts) -> Option<Hit> {
    if facts.is_live() {
        return None;
    }
    facts
        .access_ending
        .map(|_| reject(ReasonCode::AccessEnding))
}

pub(super) fn service(facts: &Facts) -> Option<Hit> {
    if facts.service.blocked {
        return Some(reject(ReasonCode::ServiceBlocked));
    }
    match facts.service.lifecycle {
        LifecycleState::Active => None,
        // What is live gets its notice first; draining rejects it when that is over.
        LifecycleState::Draining => Some(refuse(facts, ReasonCode::ServiceDraining)),
        LifecycleState::Deleting | LifecycleState::Deleted => {
            Some(reject(ReasonCode::ServiceClosed))
        }
        // AWS keeps it, and we no longer speak for it.
        LifecycleState::Released => Some(hold(ReasonCode::ServiceClosed)),
    }
}

pub(super) fn listing(facts: &Facts) -> Option<Hit> {
    let listing = facts.listing.as_ref()?;
    match listing.state {
        ListingState::Draft
        | ListingState::InReview
        | ListingState::ChangesRequested
        | ListingState::Approved => Some(refuse(facts, ReasonCode::ListingNotReleased)),
        ListingState::Retired => Some(reject(ReasonCode::ListingRetired)),
        // The other states keep what is connected.
        ListingState::Limited | ListingState::Restricted | ListingState::Suspended
            if facts.is_live() =>
        {
            None
        }
        ListingState::Limited if listing.allow_listed => None,
        ListingState::Limited => Some(reject(ReasonCode::NotOnAllowList)),
        ListingState::Restricted if has_agreement(facts) => None,
        ListingState::Restricted => Some(reject(ReasonCode::ListingRestricted)),
        ListingState::Suspended => Some(hold(ReasonCode::ListingSuspended)),
        ListingState::Public => None,
    }
}

/// Whether a restricted listing may pass a request on: to an agreement in force, or to the gate that looks at the agreement closely.
fn has_agreement(facts: &Facts) -> bool {
    facts.agreement.as_ref().is_some_and(|agreement| {
        agreement.state == AgreementState::Active || agreement_required(facts)
    })
}

pub(super) fn place(facts: &Facts) -> Option<Hit> {
    let region = facts.endpoint_region();
    let service = &facts.service;
    if *region != service.region && !service.other_regions.contains(region) {
        return Some(refuse(facts, ReasonCode::RegionNotAvailable));
    }
    let plan = facts.plan.as_ref()?;
    if plan
        .regions
        .as_ref()
        .is_some_and(|regions| !regions.contains(region))
    {
        return Some(refuse(facts, ReasonCode::RegionNotInPlan));
    }
    let allowed = plan.zones.as_ref()?;
    match &facts.connection.zones {
        None => Some(hold(ReasonCode::ZoneUnknown)),
        Some(zones) if zones.is_subset(allowed) => None,
        Some(_) => Some(refuse(facts, ReasonCode::ZoneNotInPlan)),
    }
}

/// The plan says; without one, whatever is sold or was agreed takes an agreement.
fn agreement_required(facts: &Facts) -> bool {
    facts.plan.as_ref().map_or_else(
        || facts.listing.is_some() || facts.agreement.is_some(),
        |plan| plan.agreement_required,
    )
}

pub(super) fn agreement(facts: &Facts) -> Option<Hit> {
    if !agreement_required(facts) {
        return None;
    }
    let Some(agreement) = &facts.agreement else {
        let wait = facts
            .plan
            .as_ref()
            .map_or(0, |plan| plan.orphan_wait_seconds);
        let waits = facts.connection.waited_seconds < wait;
        // A live connection without any agreement is a finding for a person, not for a timer.
        return if waits || facts.is_live() {
            Some(hold(ReasonCode::NoAgreement))
        } else {
            Some(reject(ReasonCode::NoAgreement))
        };
    };
    match agreement.state {
        AgreementState::Active => None,
        AgreementState::Pending => Some(hold(ReasonCode::AgreementNotStarted)),
        AgreementState::Review if facts.is_live() => None,
        AgreementState::Review => Some(hold(ReasonCode::AgreementInReview)),
        AgreementState::Superseded => Some(hold(ReasonCode::AgreementSuperseded)),
        AgreementState::Grace if facts.is_live() => match agreement.grace_until {
            Some(until) if facts.at < until => None,
            Some(_) => Some(reject(ReasonCode::AgreementEnded)),
            // How long it may stay is not known, so nothing is cut by a timer.
            None => Some(hold(ReasonCode::AgreementEnded)),
        },
        AgreementState::Grace | AgreementState::Ended => Some(reject(ReasonCode::AgreementEnded)),
    }
}

pub(super) fn licence(facts: &Facts) -> Option<Hit> {
    match facts.licences.as_ref()?.bind(facts.is_live()) {
        Binding::To(_) => None,
        Binding::Ambiguous => Some(hold(ReasonCode::LicenceAmbiguous)),
        Binding::Full => Some(hold(ReasonCode::LicencesFull)),
    }
}

/// A limit that was lowered cuts nothing that is live: only what is new has to fit.
pub(super) fn quota(facts: &Facts) -> Option<Hit> {
    if facts.is_live() {
        return None;
    }
    let exceeded = facts.quotas.iter().filter(|quota| quota.is_exceeded());
    let reasons: Vec<Reason> = exceeded
        .map(|quota| {
            let what = match quota.figure {
                QuotaFigure::Connections => "connections",
                QuotaFigure::EndpointsPerService => "endpoints on this service",
                QuotaFigure::Regions => "Regions",
            };
            let (would_be, limit) = (quota.would_be, quota.limit);
            let sentence = format!("This would be {would_be} {what}, and your limit is {limit}.");
            Reason::with(ReasonCode::QuotaExceeded, sentence)
        })
        .collect();
    (!reasons.is_empty()).then_some(Hit {
        outcome: Outcome::Hold,
        reasons,
    })
}

pub(super) fn approval(facts: &Facts) -> Option<Hit> {
    if facts.is_live() || facts.approved {
        return None;
    }
    let acceptance = facts
        .listing
        .as_ref()
        .and_then(|listing| listing.acceptance);
    if acceptance == Some(Acceptance::Manual) {
        return Some(hold(ReasonCode::NeedsApproval));
    }
    let waited = facts.connection.waited_seconds;
    match facts.plan.as_ref().map(|plan: &Plan| plan.approval)? {
        Approval::Auto {} => None,
        Approval::AutoAfter { seconds } if waited >= seconds => None,
        Approval::RejectAfter { seconds } if waited >= seconds => {
            Some(reject(ReasonCode::ApprovalTimedOut))
        }
        Approval::Manual {} | Approval::AutoAfter { .. } | Approval::RejectAfter { .. } => {
            Some(hold(ReasonCode::NeedsApproval))
        }
    }
}

pub(super) fn registration(facts: &Facts) -> Option<Hit> {
    let required = facts.plan.as_ref()?.registration_required;
    if !required || facts.is_live() || facts.account.registered {
        return None;
    }
    Some(hold(ReasonCode::RegistrationIncomplete))
}
