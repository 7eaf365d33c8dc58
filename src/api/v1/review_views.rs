//! What is shown of the work on a review.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::connections::ConnectionView;
use crate::app::desk::UnderReview;
use crate::domain::actor::ActorKind;
use crate::domain::approval::Approval;
use crate::domain::ids::{AccessRemovalId, AgreementId, ApprovalId, RejudgementId};
use crate::domain::review::ReviewState;
use crate::domain::review_desk::{Claim, Hold, Planner, ScheduledRevocation};

/// A connection with the work on its review.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReviewedView {
    /// The connection.
    #[serde(flatten)]
    connection: ConnectionView,
    /// Until when it should be decided; null once it is, or when AWS does not show it as waiting.
    review_due_at: Option<DateTime<Utc>>,
    /// How many persons have to accept it: 1 or 2.
    approvals_required: i16,
    /// Who accepted it so far, while another person has to. Empty once it is decided.
    approvals: Vec<ApprovalView>,
    /// Who works on it; null while nobody does.
    claim: Option<ClaimView>,
    /// Why it is not decided for now; null while nothing holds it.
    hold: Option<HoldView>,
    /// Until when access was given; null where it has no end.
    expiry: Option<ExpiryView>,
    /// When access is going to be taken away; null where that is not planned.
    scheduled_revocation: Option<ScheduledRevocationView>,
}

/// One person's yes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApprovalView {
    /// Its id.
    id: ApprovalId,
    /// Who.
    approver: String,
    /// When.
    at: DateTime<Utc>,
    /// Why.
    reason: String,
    /// What the consumer would be told.
    message: Option<String>,
    /// Where the work on it is kept.
    ticket_url: Option<String>,
    /// Until when they would give access. The earliest of all counts.
    expires_at: Option<DateTime<Utc>>,
}

/// Somebody works on it. That keeps nobody from deciding.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClaimView {
    /// Who.
    by: String,
    /// Since when.
    at: DateTime<Utc>,
    /// When it ends by itself.
    ends_at: DateTime<Utc>,
}

/// Why it is not decided for now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HoldView {
    /// A stable word: `held_by_person`, or a policy's own.
    code: String,
    /// Why, as a sentence.
    reason: String,
    /// When it ends by itself.
    until: Option<DateTime<Utc>>,
    /// A person or a policy.
    by_kind: ActorKind,
    /// Who.
    by: String,
    /// Since when.
    at: DateTime<Utc>,
}

/// Until when access was given.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExpiryView {
    /// Until when.
    expires_at: DateTime<Utc>,
    /// Whether that time is over and the grace runs.
    expiring: bool,
    /// When access is taken away unless it is renewed: the grace after `expires_at`.
    ends_at: DateTime<Utc>,
}

/// When access is going to be taken away: the earliest time that somebody wants.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScheduledRevocationView {
    /// When.
    at: DateTime<Utc>,
    /// Why.
    reason: String,
    /// Who wants it.
    by: String,
    /// The removal of access that it is a part of.
    access_removal_id: Option<AccessRemovalId>,
    /// The re-judgement that it is a part of.
    rejudgement_id: Option<RejudgementId>,
    /// The agreement that ended, or grants less than is connected.
    agreement_id: Option<AgreementId>,
}

impl From<ScheduledRevocation> for ScheduledRevocationView {
    fn from(planned: ScheduledRevocation) -> Self {
        let (access_removal_id, rejudgement_id, agreement_id) = match planned.planner {
            Planner::Person => (None, None, None),
            Planner::AccessRemoval(id) => (Some(id), None, None),
            Planner::Rejudgement(id) => (None, Some(id), None),
            Planner::Agreement(id) => (None, None, Some(id)),
        };
        Self {
            at: planned.at,
            reason: planned.reason,
            by: planned.by,
            access_removal_id,
            rejudgement_id,
            agreement_id,
        }
    }
}

impl From<Approval> for ApprovalView {
    fn from(row: Approval) -> Self {
        Self {
            id: row.id,
            approver: row.approver,
            at: row.at,
            reason: row.reason,
            message: row.message,
            ticket_url: row.ticket_url,
            expires_at: row.expires_at,
        }
    }
}

/// The claim, while it stands.
pub(super) fn claim(claim: Option<Claim>, now: DateTime<Utc>) -> Option<ClaimView> {
    claim
        .filter(|claim| claim.stands(now))
        .map(|claim| ClaimView {
            by: claim.by,
            at: claim.at,
            ends_at: claim.ends_at,
        })
}

/// The hold, while it stands.
pub(super) fn hold(hold: Option<Hold>, now: DateTime<Utc>) -> Option<HoldView> {
    hold.filter(|hold| hold.stands(now)).map(|hold| HoldView {
        code: hold.code,
        reason: hold.reason,
        until: hold.until,
        by_kind: hold.by_kind,
        by: hold.by,
        at: hold.at,
    })
}

impl From<UnderReview> for ReviewedView {
    fn from(row: UnderReview) -> Self {
        let (now, rules, desk) = (row.at, row.rules, row.desk);
        let waits = row.connection.review == ReviewState::Undecided
            && row.connection.observed.state == privatelink::ConnectionState::PendingAcceptance;
        let due_at = rules.due_at(row.connection.first_seen_at);
        Self {
            review_due_at: waits.then_some(due_at),
            approvals_required: desk.rules.approvals_required,
            approvals: desk.approvals.into_iter().map(Into::into).collect(),
            claim: claim(desk.claim, now),
            hold: hold(desk.hold, now),
            expiry: desk.expires_at.map(|expires_at| ExpiryView {
                expires_at,
                expiring: expires_at <= now,
                ends_at: expires_at + rules.expiry_grace,
            }),
            scheduled_revocation: desk.revocation.map(Into::into),
            connection: row.connection.into(),
        }
    }
}
