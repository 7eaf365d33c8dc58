//! What removals of access, and their previews, look like.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::arguments::aws_id;
use super::blocks::ExtentView;
use super::consumer_accounts::SaidView;
use crate::app::AppError;
use crate::app::access_plan::{DoorPlan, Kept, KeptBy, Preview};
use crate::app::read_access::RemovalProgress;
use crate::domain::access_removal::{Cause, RemovalState};
use crate::domain::consumer::Said;
use crate::domain::ids::{
    AccessRemovalId, AccessRequestId, AgreementId, ConnectionId, ConsumerId, EndpointServiceId,
};
use crate::store::access_reach::Touched;
use crate::store::access_removals::Concerned;
use crate::store::agreement_grants::Held;

/// What is taken away.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CauseBody {
    /// A principal of a service.
    Principal {
        /// The service.
        service_id: EndpointServiceId,
        /// The principal: a 12-digit account id, an IAM ARN, or `*`.
        #[schema(example = "arn:aws:iam::444455556666:root")]
        principal: String,
    },
    /// An account of a consumer. It leaves the consumer, and loses access everywhere.
    Account {
        /// The consumer.
        consumer_id: ConsumerId,
        /// The account, 12 digits.
        #[schema(pattern = "^[0-9]{12}$", example = "444455556666")]
        account_id: String,
    },
    /// What an access request gave.
    AccessRequest {
        /// The request.
        access_request_id: AccessRequestId,
    },
}

impl TryFrom<CauseBody> for Cause {
    type Error = AppError;

    fn try_from(body: CauseBody) -> Result<Self, AppError> {
        Ok(match body {
            CauseBody::Principal {
                service_id,
                principal,
            } => Self::Principal {
                service: service_id,
                principal,
            },
            CauseBody::Account {
                consumer_id,
                account_id,
            } => Self::Account {
                consumer: consumer_id,
                account: aws_id("cause.account_id", &account_id)?,
            },
            CauseBody::AccessRequest { access_request_id } => {
                Self::AccessRequest(access_request_id)
            }
        })
    }
}

impl From<Cause> for CauseBody {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Principal { service, principal } => Self::Principal {
                service_id: service,
                principal,
            },
            Cause::Account { consumer, account } => Self::Account {
                consumer_id: consumer,
                account_id: account.into(),
            },
            Cause::AccessRequest(id) => Self::AccessRequest {
                access_request_id: id,
            },
        }
    }
}

/// What taking access away would do, if it were done now.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccessRemovalPreview {
    /// Send this back as `confirm`.
    confirm: ExtentView,
    /// The account that loses access; null where the principal is everybody.
    account_id: Option<String>,
    /// The services that are concerned.
    services: Vec<DoorPlanView>,
    /// The first 20 principals that go although an agreement in force stands on them: it is taken away only with `confirm_principals_of_agreements`.
    principals_of_agreements: Vec<HeldView>,
    /// The first 20 connections that lose access.
    connections: Vec<TouchedView>,
    /// The first 20 that keep it, each with what lets it in.
    connections_that_stay: Vec<TouchedView>,
}

/// A service that is concerned.
#[derive(Debug, Serialize, ToSchema)]
pub struct DoorPlanView {
    /// The service.
    service_id: EndpointServiceId,
    /// What people call it.
    service_name: String,
    /// Live connections that lose access.
    connections: i64,
    /// Live connections of those concerned that keep it.
    connections_that_stay: i64,
    /// Principals that go.
    principals: Vec<String>,
    /// Principals that go if the drain of the service is taken back; until then it lets nobody in.
    principals_after_drain: Vec<String>,
    /// Principals that stay, because another access request or an agreement stands on them.
    principals_that_stay: Vec<KeptView>,
    /// Principals that AWS had before anybody asked for them here: they are not taken out of AWS. Adopt or revert their drifts.
    principals_left_in_aws: Vec<String>,
}

/// A principal that stays.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeptView {
    /// The principal.
    principal: String,
    /// The access request that stands on it; null where an agreement does.
    access_request_id: Option<AccessRequestId>,
    /// The agreement that stands on it; null where an access request does.
    agreement_id: Option<AgreementId>,
}

impl From<Kept> for KeptView {
    fn from(kept: Kept) -> Self {
        let (access_request_id, agreement_id) = match kept.by {
            KeptBy::Request(id) => (Some(id), None),
            KeptBy::Agreement(id) => (None, Some(id)),
        };
        Self {
            principal: kept.principal,
            access_request_id,
            agreement_id,
        }
    }
}

/// A principal that goes, and an agreement in force that stands on it.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldView {
    /// The service.
    service_id: EndpointServiceId,
    /// The principal.
    #[schema(example = "arn:aws:iam::444455556666:root")]
    principal: String,
    /// The agreement.
    agreement_id: AgreementId,
}

impl From<Held> for HeldView {
    fn from(held: Held) -> Self {
        Self {
            service_id: held.service,
            principal: held.principal,
            agreement_id: held.agreement,
        }
    }
}

/// A live connection that is concerned.
#[derive(Debug, Serialize, ToSchema)]
pub struct TouchedView {
    /// Its id.
    id: ConnectionId,
    /// Its service.
    service_id: EndpointServiceId,
    /// AWS's id of the endpoint.
    endpoint_id: String,
    /// The account that owns it.
    account_id: String,
    /// AWS's state.
    state: String,
    /// What was decided.
    review: String,
    /// The principal that lets it in all the same; null where it loses access.
    kept_by: Option<String>,
}

impl From<Touched> for TouchedView {
    fn from(row: Touched) -> Self {
        Self {
            id: row.connection,
            service_id: row.service,
            endpoint_id: row.endpoint,
            account_id: row.account,
            state: row.state,
            review: row.review,
            kept_by: row.kept_by,
        }
    }
}

impl From<Preview> for AccessRemovalPreview {
    fn from(preview: Preview) -> Self {
        let confirm = preview.extent().into();
        let counts = preview.counts;
        let door = |plan: DoorPlan| {
            let service = plan.door.service;
            let count = counts.iter().find(|row| row.service == service);
            DoorPlanView {
                service_id: service,
                connections: count.map_or(0, |row| row.losing),
                connections_that_stay: count.map_or(0, |row| row.keeping),
                principals_left_in_aws: plan.left_in_aws(),
                service_name: plan.door.name,
                principals: plan.goes,
                principals_after_drain: plan.later,
                principals_that_stay: plan.kept.into_iter().map(KeptView::from).collect(),
            }
        };
        Self {
            confirm,
            account_id: preview.plan.account.map(Into::into),
            services: preview.plan.doors.into_iter().map(door).collect(),
            principals_of_agreements: preview.held.into_iter().map(Into::into).collect(),
            connections: preview.losing.into_iter().map(Into::into).collect(),
            connections_that_stay: preview.keeping.into_iter().map(Into::into).collect(),
        }
    }
}

/// Access that is, or was, taken away.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccessRemovalView {
    /// Its id.
    id: AccessRemovalId,
    /// What is taken away.
    cause: CauseBody,
    /// The account that loses access; null where the principal was everybody.
    account_id: Option<String>,
    /// `grace` while connections have time; `ending` until nothing of it lives and AWS was seen without the principals; then `done`. `cancelling` and
    /// `cancelled` once it was taken back.
    state: RemovalState,
    /// Who took it away.
    removed: SaidView,
    /// When access ends.
    ends_at: DateTime<Utc>,
    /// What was shown and confirmed before.
    confirmed: ExtentView,
    /// The services that are concerned, with the principals that went.
    services: Vec<ConcernedView>,
    /// What became of connections so far.
    connections: TallyView,
    /// When nothing of it was left.
    done_at: Option<DateTime<Utc>>,
    /// Who took it back; null while nobody has.
    cancelled: Option<SaidView>,
}

/// A service that is concerned.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConcernedView {
    /// The service.
    service_id: EndpointServiceId,
    /// Principals that went, or that go.
    principals: Vec<String>,
    /// The version of the service that does not name them any more; null while the service is being drained and cannot be changed. AWS has taken it when the
    /// service's `applied_version` is as high.
    version: Option<i64>,
}

/// How many connections became what.
#[derive(Debug, Serialize, ToSchema)]
pub struct TallyView {
    /// Rejected at once, because they had no access yet.
    rejected: i64,
    /// Planned to be revoked when the grace is over, or revoked so.
    scheduled: i64,
    /// Revoked at once.
    revoked: i64,
    /// Planned to be revoked, and then not.
    restored: i64,
    /// Those of `scheduled` that live on by a person's word about the one connection.
    kept: i64,
}

impl From<Concerned> for ConcernedView {
    fn from(row: Concerned) -> Self {
        Self {
            service_id: row.service,
            principals: row.principals,
            version: row.version,
        }
    }
}

impl From<RemovalProgress> for AccessRemovalView {
    fn from(progress: RemovalProgress) -> Self {
        let (row, tally) = (progress.removal, progress.tally);
        let said = Said {
            at: row.at,
            by: row.actor.name,
            reason: row.reason,
        };
        Self {
            id: row.id,
            cause: row.cause.into(),
            account_id: row.account.map(Into::into),
            state: row.state,
            removed: said.into(),
            ends_at: row.ends_at,
            confirmed: row.confirmed.into(),
            services: progress.services.into_iter().map(Into::into).collect(),
            connections: TallyView {
                rejected: tally.rejected,
                scheduled: tally.scheduled,
                revoked: tally.revoked,
                restored: tally.restored,
                kept: tally.kept,
            },
            done_at: row.done_at,
            cancelled: row.cancelled.map(Into::into),
        }
    }
}
