//! What would have to change for a decision to come out better: for people who look for a way.
//!
//! It answers for the gate that decided. What is changed may bring up the next gate, so it is a way and not a promise.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::commerce::{Acceptance, Approval, Plan};
use super::facts::{Facts, Quota};
use super::gate::Gate;
use super::reason::ReasonCode;
use super::remedy::{Remedy, RemedyKind};
use super::{Decision, Outcome};
use crate::domain::lifecycle::LifecycleState;
use crate::domain::quota::QuotaFigure;

impl RemedyKind {
    fn plain(self) -> Found {
        self.say(self.sentence().to_owned())
    }

    fn say(self, sentence: String) -> Found {
        Found {
            kind: self,
            sentence,
            details: Map::new(),
        }
    }
}

/// A remedy before its reason is known.
struct Found {
    kind: RemedyKind,
    sentence: String,
    details: Map<String, Value>,
}

impl Found {
    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

/// What would have to change, reason by reason. Nothing, where the decision accepts; nothing either for a code that this version does not know.
pub fn remedies(decision: &Decision, facts: &Facts) -> Vec<Remedy> {
    let mut all: Vec<Remedy> = Vec::new();
    if decision.outcome == Outcome::Accept {
        return all;
    }
    for reason in &decision.reasons {
        // Limits give one reason each with one code; the first of them answers for all.
        if all.iter().any(|remedy| remedy.reason == reason.code) {
            continue;
        }
        let found = meant(decision, &reason.code).map(|code| ways(code, decision, facts));
        all.extend(found.into_iter().flatten().map(|found| Remedy {
            reason: reason.code.clone(),
            kind: found.kind,
            sentence: found.sentence,
            details: found.details,
        }));
    }
    all
}

/// The code as a reason of ours. What a policy gives is its provider's word, even where it is spelt like one of ours.
fn meant(decision: &Decision, code: &str) -> Option<ReasonCode> {
    match (decision.gate, decision.outcome) {
        (Gate::Policy, Outcome::Reject) => Some(ReasonCode::PolicyForbids),
        _ => code.parse().ok(),
    }
}

fn ways(code: ReasonCode, decision: &Decision, facts: &Facts) -> Vec<Found> {
    use RemedyKind as Kind;
    match code {
        ReasonCode::AccountDenied => vec![lift_denials(facts)],
        ReasonCode::AccessEnding => {
            let removal = json!(facts.access_ending);
            vec![on_service(Kind::GiveAccessBack, facts).with("access_removal", removal)]
        }
        ReasonCode::ServiceBlocked => vec![on_service(Kind::LiftBlock, facts)],
        ReasonCode::ServiceDraining => vec![on_service(Kind::CancelDrain, facts)],
        ReasonCode::ServiceClosed if facts.service.lifecycle == LifecycleState::Released => {
            vec![on_service(Kind::RegisterService, facts)]
        }
        ReasonCode::ServiceClosed | ReasonCode::ListingRetired => {
            vec![Kind::UseAnotherService.plain()]
        }
        ReasonCode::ListingNotReleased => vec![on_listing(Kind::ReleaseListing, facts)],
        ReasonCode::NotOnAllowList => vec![on_listing(Kind::AddToAllowList, facts)],
        ReasonCode::ListingRestricted => vec![on_listing(Kind::ReopenListing, facts)],
        ReasonCode::ListingSuspended => vec![on_listing(Kind::ResumeListing, facts)],
        ReasonCode::RegionNotAvailable => region_not_available(facts),
        ReasonCode::RegionNotInPlan => region_not_in_plan(facts),
        ReasonCode::ZoneNotInPlan => zone_not_in_plan(facts),
        ReasonCode::ZoneUnknown => vec![Kind::Decide.plain()],
        ReasonCode::NoAgreement | ReasonCode::AgreementEnded => vec![Kind::MakeAgreement.plain()],
        ReasonCode::AgreementNotStarted | ReasonCode::AgreementSuperseded => {
            vec![Kind::AwaitAgreement.plain()]
        }
        ReasonCode::AgreementInReview => vec![Kind::SettleAgreement.plain()],
        ReasonCode::LicenceAmbiguous => vec![claim_licence(facts)],
        ReasonCode::LicencesFull => vec![Kind::AddLicence.plain()],
        ReasonCode::QuotaExceeded => {
            let exceeded = facts.quotas.iter().filter(|quota| quota.is_exceeded());
            exceeded.flat_map(quota_exceeded).collect()
        }
        ReasonCode::NeedsApproval => needs_approval(facts),
        ReasonCode::ApprovalTimedOut => vec![Kind::AskAgain.plain()],
        ReasonCode::RegistrationIncomplete => vec![Kind::CompleteRegistration.plain()],
        ReasonCode::Entitled | ReasonCode::PolicyPermits => Vec::new(),
        ReasonCode::PolicyForbids => vec![change_policies(decision)],
        ReasonCode::NoPolicyApplies | ReasonCode::NoPolicy => {
            vec![Kind::WritePolicy.plain(), Kind::Decide.plain()]
        }
        ReasonCode::PolicyFailed => vec![Kind::MendPolicy.plain(), Kind::Decide.plain()],
    }
}

fn lift_denials(facts: &Facts) -> Found {
    let denials = &facts.account.denials;
    let named = listed(denials);
    RemedyKind::LiftDenial
        .say(format!("Lift {named}, or the block that it is of."))
        .with("denials", json!(denials))
}

fn on_service(kind: RemedyKind, facts: &Facts) -> Found {
    kind.plain().with("service", json!(facts.service.id))
}

fn on_listing(kind: RemedyKind, facts: &Facts) -> Found {
    let listing = facts.listing.as_ref().map(|listing| listing.id.as_str());
    kind.plain().with("listing", json!(listing))
}

fn region_not_available(facts: &Facts) -> Vec<Found> {
    let (service, region) = (&facts.service, facts.endpoint_region());
    let mut open = service.other_regions.clone();
    open.insert(service.region.clone());
    let add = RemedyKind::AddRegion.say(format!("Offer the service in {region} too."));
    vec![
        add.with("region", json!(region))
            .with("service", json!(service.id)),
        move_endpoint("regions", &open),
    ]
}

fn region_not_in_plan(facts: &Facts) -> Vec<Found> {
    let region = facts.endpoint_region();
    let extend = extend_plan(facts, region.as_str()).with("region", json!(region));
    let service = &facts.service;
    let serves = |region: &&privatelink::Region| {
        **region == service.region || service.other_regions.contains(*region)
    };
    let plan = facts.plan.as_ref();
    let allowed = plan.and_then(|plan| plan.regions.as_ref());
    let open: BTreeSet<_> = allowed.into_iter().flatten().filter(serves).collect();
    let mut all = vec![extend];
    if !open.is_empty() {
        all.push(move_endpoint("regions", &open));
    }
    all
}

fn zone_not_in_plan(facts: &Facts) -> Vec<Found> {
    let plan = facts.plan.as_ref();
    let allowed: BTreeSet<_> = plan
        .and_then(|plan| plan.zones.as_ref())
        .into_iter()
        .flatten()
        .collect();
    let own = facts.connection.zones.iter().flatten();
    let missing: BTreeSet<_> = own.filter(|zone| !allowed.contains(zone)).collect();
    let mut all = vec![extend_plan(facts, &listed(&missing)).with("zones", json!(missing))];
    if !allowed.is_empty() {
        all.push(move_endpoint("zones", &allowed));
    }
    all
}

fn extend_plan(facts: &Facts, by: &str) -> Found {
    let plan = facts.plan.as_ref().map(|plan: &Plan| plan.id.as_str());
    RemedyKind::ExtendPlan
        .say(format!(
            "Widen the plan by {by}, or give the consumer a wider one."
        ))
        .with("plan", json!(plan))
}

fn move_endpoint<T: ToString + serde::Serialize>(what: &str, open: &BTreeSet<T>) -> Found {
    RemedyKind::MoveEndpoint
        .say(format!("Make the endpoint in {}.", one_of(open)))
        .with(what, json!(open))
}

fn claim_licence(facts: &Facts) -> Found {
    let active = facts.licences.iter().flat_map(|all| &all.active);
    let able = active.filter(|licence| licence.free > 0);
    let able: BTreeSet<&str> = able.map(|licence| licence.id.as_str()).collect();
    RemedyKind::ClaimLicence
        .say(format!("Say which licence pays: {}.", one_of(&able)))
        .with("licences", json!(able))
}

fn quota_exceeded(quota: &Quota) -> [Found; 2] {
    let (figure, limit, to) = (quota.figure, quota.limit, quota.would_be);
    let by = to - limit;
    let (of, used) = match figure {
        QuotaFigure::Connections => ("connections", "accepted connections"),
        QuotaFigure::EndpointsPerService => ("endpoints per service", "endpoints on this service"),
        QuotaFigure::Regions => ("Regions", "Regions"),
    };
    let raise = format!("Raise the limit of {of} from {limit} to {to}.");
    let give_up = format!("Give up {by} of the {used}.");
    [
        RemedyKind::RaiseLimit
            .say(raise)
            .with("figure", json!(figure))
            .with("limit", limit)
            .with("to", to)
            .with("by", by),
        RemedyKind::GiveUp
            .say(give_up)
            .with("figure", json!(figure))
            .with("by", by),
    ]
}

fn needs_approval(facts: &Facts) -> Vec<Found> {
    let persons = if facts.service.two_persons { 2 } else { 1 };
    let sentence = if facts.service.two_persons {
        "Two persons accept the request."
    } else {
        "A person accepts the request."
    };
    let mut all = vec![
        RemedyKind::Approve
            .say(sentence.to_owned())
            .with("persons", persons),
    ];
    let acceptance = facts.listing.as_ref().and_then(|it| it.acceptance);
    if acceptance == Some(Acceptance::Manual) {
        return all;
    }
    if let Some(Approval::AutoAfter { seconds }) = facts.plan.as_ref().map(|plan| plan.approval) {
        let left = seconds.saturating_sub(facts.connection.waited_seconds);
        if left > 0 {
            let sentence = format!("Nobody says no for another {left} seconds.");
            all.push(RemedyKind::Wait.say(sentence).with("seconds", left));
        }
    }
    all
}

fn change_policies(decision: &Decision) -> Found {
    let policies = &decision.policies;
    let named = listed(policies);
    RemedyKind::ChangePolicy
        .say(format!("Change {named}, or what it goes by."))
        .with("policies", json!(policies))
}

fn listed<T: ToString>(all: impl IntoIterator<Item = T>) -> String {
    let all: Vec<String> = all.into_iter().map(|one| one.to_string()).collect();
    all.join(", ")
}

fn one_of<T: ToString>(all: &BTreeSet<T>) -> String {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    all.join(" or ")
}
