//! Quotas of consumers and services.

use actix_web::web::{Data, Json};
use actix_web::{get, put};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::actor;
use crate::api::auth::{Caller, Manage, Read};
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BodyProblems, ConsumerMissing, InputProblems, ServiceMissing,
};
use crate::app::{AppContext, read_consumers, set_quota};
use crate::domain::ids::{ConsumerId, EndpointServiceId};
use crate::domain::quota::Limits;
use crate::store::quotas::{Quota, Use};

/// The most that may be used.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct QuotaView {
    /// Connections on all services together; null is no limit.
    connections: Option<i64>,
    /// Endpoints on any one service; null is no limit.
    endpoints_per_service: Option<i64>,
    /// Regions that endpoints are in, over all services; null is no limit.
    regions: Option<i64>,
    /// When it was set; null while nobody has set it.
    set_at: Option<DateTime<Utc>>,
    /// Who set it.
    set_by: Option<String>,
}

impl From<Option<Quota>> for QuotaView {
    fn from(row: Option<Quota>) -> Self {
        let Some(row) = row else {
            return Self::default();
        };
        Self {
            connections: row.limits.connections,
            endpoints_per_service: row.limits.endpoints_per_service,
            regions: row.limits.regions,
            set_at: Some(row.set_at),
            set_by: Some(row.set_by),
        }
    }
}

/// A consumer's quota and what of it is used.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsumerQuotaView {
    /// The consumer's own figures. Where one is null, the service's holds.
    quota: QuotaView,
    /// Connections that are accepted and have not ended, and those that live without a decision.
    connections: i64,
    /// The Regions that endpoints are in.
    regions: Vec<String>,
    /// Endpoints by service.
    services: Vec<ServiceUseView>,
}

/// How much a consumer uses of a service.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceUseView {
    /// The service.
    service_id: EndpointServiceId,
    /// How many endpoints.
    endpoints: i64,
}

impl ConsumerQuotaView {
    fn new(quota: Option<Quota>, used: Vec<Use>) -> Self {
        let mut view = Self {
            quota: quota.into(),
            connections: 0,
            regions: Vec::new(),
            services: Vec::new(),
        };
        for row in used {
            view.connections += row.endpoints;
            match view.services.last_mut() {
                // The rows come by service.
                Some(last) if last.service_id == row.service => last.endpoints += row.endpoints,
                _ => view.services.push(ServiceUseView {
                    service_id: row.service,
                    endpoints: row.endpoints,
                }),
            }
            if !view.regions.contains(&row.region) {
                view.regions.push(row.region);
            }
        }
        view.regions.sort();
        view
    }
}

/// The whole quota. What is null or absent is not limited.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaBody {
    /// Connections on all services together.
    #[schema(minimum = 0, maximum = 1_000_000)]
    connections: Option<i64>,
    /// Endpoints on any one service.
    #[schema(minimum = 0, maximum = 1_000_000)]
    endpoints_per_service: Option<i64>,
    /// Regions that endpoints are in, over all services.
    #[schema(minimum = 0, maximum = 1_000_000)]
    regions: Option<i64>,
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 1000, example = "Plan S")]
    reason: String,
}

impl QuotaBody {
    fn limits(&self) -> Limits {
        Limits {
            connections: self.connections,
            endpoints_per_service: self.endpoints_per_service,
            regions: self.regions,
        }
    }
}

/// Reads a consumer's quota and what of it is used
///
/// Limits that are absent do not limit. What is used is counted now.
#[utoipa::path(
    tag = "consumers",
    params(("id" = ConsumerId, Path, description = "The consumer.")),
    responses((status = 200, description = "Quota and use.", body = ConsumerQuotaView), AuthProblems, InputProblems, ConsumerMissing)
)]
#[get("/v1/consumers/{id}/quota")]
pub(super) async fn read_consumer_quota(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<ConsumerId>,
    ctx: Data<AppContext>,
) -> Result<Json<ConsumerQuotaView>, Problem> {
    let (quota, used) = read_consumers::quota_of_consumer(&ctx, id).await?;
    Ok(Json(ConsumerQuotaView::new(quota, used)))
}

/// Sets a consumer's quota
///
/// The whole of it. What goes beyond it stays; the next accept is refused.
#[utoipa::path(
    tag = "consumers",
    params(("id" = ConsumerId, Path, description = "The consumer.")),
    request_body = QuotaBody,
    responses((status = 200, description = "Set.", body = QuotaView), AuthProblems, BodyProblems, ConsumerMissing)
)]
#[put("/v1/consumers/{id}/quota")]
pub(super) async fn set_consumer_quota(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<ConsumerId>,
    ApiJson(body): ApiJson<QuotaBody>,
    ctx: Data<AppContext>,
) -> Result<Json<QuotaView>, Problem> {
    let actor = actor(caller.subject);
    let set = set_quota::of_consumer(&ctx, &actor, id, body.limits(), &body.reason).await?;
    Ok(Json(Some(set).into()))
}

/// Reads a service's default quota
///
/// What each consumer may use of it that has no figure of its own. Limits that are absent do not limit.
#[utoipa::path(
    tag = "services",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    responses((status = 200, description = "The quota.", body = QuotaView), AuthProblems, InputProblems, ServiceMissing)
)]
#[get("/v1/services/{id}/quota")]
pub(super) async fn read_service_quota(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ctx: Data<AppContext>,
) -> Result<Json<QuotaView>, Problem> {
    let quota = read_consumers::quota_of_service(&ctx, id).await?;
    Ok(Json(quota.into()))
}

/// Sets a service's default quota
///
/// For every consumer, figure by figure, that has none of its own, and for accounts that belong to no consumer.
#[utoipa::path(
    tag = "services",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    request_body = QuotaBody,
    responses((status = 200, description = "Set.", body = QuotaView), AuthProblems, BodyProblems, ServiceMissing)
)]
#[put("/v1/services/{id}/quota")]
pub(super) async fn set_service_quota(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ApiJson(body): ApiJson<QuotaBody>,
    ctx: Data<AppContext>,
) -> Result<Json<QuotaView>, Problem> {
    let actor = actor(caller.subject);
    let set = set_quota::of_service(&ctx, &actor, id, body.limits(), &body.reason).await?;
    Ok(Json(Some(set).into()))
}
