//! Registered endpoint services.

use std::collections::BTreeMap;

use actix_web::http::header;
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::actor;
use super::arguments::{Limit, aws_id};
use super::private_dns_view::PrivateDnsView;
use super::service_end::{DrainView, LifecycleView, with_drain};
use super::views::SyncView;
use crate::api::auth::{Caller, Manage, Read};
use crate::api::extract::{ApiJson, ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{
    AccountRegionMissing, AuthProblems, BodyProblems, InputProblems, ServiceConflict,
    ServiceMissing, ServiceRetryConflict,
};
use crate::app::code::Code;
use crate::app::register_service::{self as app, NewService, Place, Source};
use crate::app::{AppContext, AppError, read, retry_sync};
use crate::domain::doctor::{Check, is_ready};
use crate::domain::endpoint_service::{Origin, RegisteredService, Waiting};
use crate::domain::ids::{AccountRegionId, EndpointServiceId};
use crate::domain::lifecycle::LifecycleState;
use crate::domain::order::Order;
use crate::domain::private_dns::DnsState;
use crate::domain::service_plan::{
    Desired, SERVICE_OWNER, Seen, plan, unknown_load_balancers, unknown_principals,
};
use crate::domain::sync::SyncState;
use crate::store::endpoint_services::Filter;

/// A registered endpoint service.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceView {
    /// Its id here.
    id: EndpointServiceId,
    /// Where it lives.
    account_region_id: AccountRegionId,
    /// The AWS account it lives in.
    account_id: String,
    /// The Region it lives in.
    region: String,
    /// What people call it.
    name: String,
    /// Whether Portcullis created it or adopted it.
    origin: Origin,
    /// Whether each connection has to be accepted.
    acceptance_required: bool,
    /// The Network Load Balancers behind it.
    load_balancer_arns: Vec<String>,
    /// Principals that shall be able to connect. AWS may have more: see `unknown_principals`.
    allowed_principals: Vec<String>,
    /// `ipv4`, `ipv6`; null leaves the choice to AWS.
    supported_ip_address_types: Option<Vec<String>>,
    /// Other Regions that consumers may connect from; null leaves them as AWS has them.
    supported_regions: Option<Vec<String>>,
    /// Tags that Portcullis sets. AWS may have more.
    tags: BTreeMap<String, String>,
    /// Whether somebody confirmed that every AWS account may connect unasked.
    open_to_everybody: bool,
    /// Counts the changes of the above. Send it with a change.
    version: i64,
    /// The last version that AWS was seen to agree with; 0 when none was.
    applied_version: i64,
    /// Where AWS shows something else than is desired. While `applied_version` is behind `version` these are the steps to come; after that
    /// somebody changed AWS directly: that is a drift of the kind `service_reconfigured`, and a `PATCH` settles which of the two holds, too.
    differences: Vec<DifferenceView>,
    /// Principals that AWS allows and that nobody here asked for. Each is a drift, and stays until somebody adopts or reverts that.
    unknown_principals: Vec<String>,
    /// AWS's id (`vpce-svc-…`); null until AWS has created it.
    aws_service_id: Option<String>,
    /// What consumers type (`com.amazonaws.vpce.…`); null until AWS has told.
    service_name: Option<String>,
    /// What AWS last said; null until the first read.
    observed: Option<ObservedServiceView>,
    /// Whether none of `checks` failed; null until they ran.
    ready: Option<bool>,
    /// The checks of what is behind the service; empty until they ran. `GET /v1/services/{id}/doctor` has more.
    checks: Vec<Check>,
    /// When the checks ran.
    checked_at: Option<DateTime<Utc>>,
    /// How far AWS is told.
    sync: SyncView,
    /// When it was registered.
    created_at: DateTime<Utc>,
    /// Who registered it.
    created_by: String,
    /// Load balancers that AWS has behind the service and that nobody here asked for. They are removed only when `load_balancer_arns` is given
    /// without them.
    unknown_load_balancer_arns: Vec<String>,
    /// Whether somebody confirmed that the load balancers may listen differently.
    listeners_may_differ: bool,
    /// Who shall pay for the endpoints: `ServiceOwner`, or null for their owners.
    payer_responsibility: Option<String>,
    /// The private DNS name that is desired; null when none is, or when it is left to AWS.
    private_dns_name: Option<String>,
    /// The private DNS name that AWS has, with its proof; null when it has none.
    private_dns: Option<PrivateDnsView>,
    /// Steps that wait for something outside, such as endpoints that have to go first. Each is tried again by itself, at `sync.due_at`.
    waiting: Vec<Waiting>,
    /// Since when AWS shall read the load balancers' zones again; null when it need not.
    zones_refresh_asked_at: Option<DateTime<Utc>>,
    /// Where it is in its life.
    lifecycle: LifecycleView,
    /// How far the drain is. Null in lists, and where there is none.
    drain: Option<DrainView>,
}

impl ServiceView {
    /// Adds how far the drain is.
    pub(super) fn with_drain(mut self, drain: Option<DrainView>) -> Self {
        self.drain = drain;
        self
    }
}

/// What AWS said about a service.
#[derive(Debug, Serialize, ToSchema)]
pub struct ObservedServiceView {
    /// `Pending`, `Available`, `Deleting`, `Deleted`, `Failed`, or a word that AWS added since.
    state: String,
    /// When the read began.
    at: DateTime<Utc>,
    /// Whether AWS asks for acceptance.
    acceptance_required: bool,
    /// Zones by id, the same in every account.
    availability_zone_ids: Vec<String>,
    /// Base DNS names.
    base_endpoint_dns_names: Vec<String>,
    /// The private DNS name, if one is set.
    private_dns_name: Option<String>,
    /// `ipv4`, `ipv6`.
    supported_ip_address_types: Vec<String>,
    /// Other Regions that are open to consumers.
    supported_regions: Vec<String>,
    /// All principals that may connect; null until they were read.
    allowed_principals: Option<Vec<String>>,
    /// All tags.
    tags: BTreeMap<String, String>,
    /// The Network Load Balancers behind it.
    load_balancer_arns: Vec<String>,
    /// `ServiceOwner`, or null when the endpoints' owners pay.
    payer_responsibility: Option<String>,
    /// Every other Region that AWS lists, with its state. Consumers can connect from those that are `Available`.
    remote_regions: Vec<RemoteRegionView>,
}

/// Another Region of a service.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemoteRegionView {
    /// The Region.
    region: String,
    /// `Pending`, `Available`, `Deleting`, `Deleted`, `Failed`, `Closed`, or a word that AWS added since.
    state: Option<String>,
}

/// One step between what is desired and what AWS shows.
#[derive(Debug, Serialize, ToSchema)]
pub struct DifferenceView {
    /// What it would take: `require_acceptance`, `waive_acceptance`, `add_principals`, `remove_principals`, `add_regions`,
    /// `remove_regions`, `add_ip_address_types`, `remove_ip_address_types`, `set_tags`, `remove_tags`, `add_load_balancers`, `remove_load_balancers`,
    /// `set_private_dns_name`, `remove_private_dns_name` or `make_owner_pay`.
    step: String,
    /// Of which.
    values: Vec<String>,
}

/// What comparing the last read with what is desired shows; nothing before it.
#[derive(Default)]
struct Compared {
    differences: Vec<DifferenceView>,
    unknown_principals: Vec<String>,
    unknown_load_balancers: Vec<String>,
}

fn compared(row: &RegisteredService) -> Compared {
    if row.lifecycle.state.may_change().is_err() {
        // AWS is not made to follow what is desired, so what differs says nothing.
        return Compared::default();
    }
    let Some((seen, principals)) = row
        .observed
        .as_ref()
        .and_then(|seen| Some((&seen.service, seen.principals.as_ref()?)))
    else {
        return Compared::default();
    };
    let (desired, seen) = (Desired::of(row), Seen::of(seen, principals));
    let steps = plan(&desired, &seen).steps.into_iter();
    let differences = steps.map(|step| DifferenceView {
        step: step.word().to_owned(),
        values: step.values(),
    });
    Compared {
        differences: differences.collect(),
        unknown_principals: unknown_principals(&desired, &seen),
        unknown_load_balancers: unknown_load_balancers(&desired, &seen),
    }
}

impl From<RegisteredService> for ServiceView {
    fn from(row: RegisteredService) -> Self {
        let compared = compared(&row);
        let private_dns = PrivateDnsView::of(&row);
        let lifecycle = LifecycleView::from(&row.lifecycle);
        // New endpoints are refused while the proof of the name is lost.
        let name_is_lost = row
            .private_dns
            .as_ref()
            .is_some_and(|watch| watch.state == DnsState::Regressed);
        let checked_at = row.checks.as_ref().map(|c| c.at);
        let checks = row.checks.map(|c| c.all).unwrap_or_default();
        Self {
            id: row.id,
            account_region_id: row.account_region_id,
            account_id: row.account.into(),
            region: row.region.into(),
            name: row.name,
            origin: row.origin,
            acceptance_required: row.acceptance_required,
            load_balancer_arns: row.load_balancer_arns.into_iter().map(Into::into).collect(),
            allowed_principals: row.allowed_principals,
            supported_ip_address_types: row.supported_ip_address_types,
            supported_regions: row.supported_regions,
            tags: row.tags,
            open_to_everybody: row.open_to_everybody,
            version: row.version,
            applied_version: row.applied_version,
            differences: compared.differences,
            unknown_principals: compared.unknown_principals,
            aws_service_id: row.aws_service_id.map(Into::into),
            service_name: row.service_name,
            observed: row.observed.map(|seen| ObservedServiceView {
                state: seen.service.state.into(),
                at: seen.at,
                acceptance_required: seen.service.acceptance_required,
                availability_zone_ids: seen
                    .service
                    .availability_zone_ids
                    .into_iter()
                    .map(Into::into)
                    .collect(),
                base_endpoint_dns_names: seen.service.base_endpoint_dns_names,
                private_dns_name: seen.service.private_dns_name.map(|p| p.name),
                supported_ip_address_types: seen.service.supported_ip_address_types,
                supported_regions: seen.service.supported_regions,
                allowed_principals: seen.principals,
                tags: seen.service.tags.into_iter().collect(),
                load_balancer_arns: seen
                    .service
                    .network_load_balancer_arns
                    .into_iter()
                    .map(Into::into)
                    .collect(),
                payer_responsibility: seen.service.payer_responsibility,
                remote_regions: seen
                    .service
                    .remote_regions
                    .into_iter()
                    .map(|row| RemoteRegionView {
                        region: row.region,
                        state: row.state,
                    })
                    .collect(),
            }),
            ready: checked_at.map(|_| is_ready(&checks) && !name_is_lost),
            checks,
            checked_at,
            sync: SyncView {
                due_at: (row.sync.state != SyncState::Stalled).then_some(row.sync.due_at),
                state: row.sync.state,
                attempts: row.sync.attempts,
                code: row.sync.code,
                message: row.sync.message,
                stalled_at: None,
                owner: None,
                owned_at: None,
                given_up: row.given_up.map(Into::into),
            }
            .with_stall(row.stall),
            created_at: row.created_at,
            created_by: row.created_by,
            unknown_load_balancer_arns: compared.unknown_load_balancers,
            listeners_may_differ: row.listeners_may_differ,
            payer_responsibility: row.service_owner_pays.then(|| SERVICE_OWNER.to_owned()),
            private_dns_name: row.private_dns_name.name().map(str::to_owned),
            private_dns,
            waiting: row.waiting,
            zones_refresh_asked_at: row.refresh_zones_at,
            lifecycle,
            drain: None,
        }
    }
}

/// A page of services.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceList {
    /// The rows.
    items: Vec<ServiceView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<EndpointServiceId>,
}

/// What to register: either `load_balancer_arns`, to create a service in AWS, or `aws_service_id`, to adopt one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewServiceBody {
    /// Where it lives, by id. Give this or `account_id` and `region`.
    account_region_id: Option<AccountRegionId>,
    /// The AWS account it lives in.
    #[schema(pattern = "^[0-9]{12}$", example = "111122223333")]
    account_id: Option<String>,
    /// The Region it lives in.
    #[schema(example = "eu-west-1")]
    region: Option<String>,
    /// What people call it.
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    /// To create: Network Load Balancers of that account and Region, 1 to 20.
    #[schema(min_items = 1, max_items = 20)]
    load_balancer_arns: Option<Vec<String>>,
    /// To create: whether each connection has to be accepted. Yes unless told otherwise.
    acceptance_required: Option<bool>,
    /// To adopt: AWS's id of the service.
    #[schema(
        pattern = "^vpce-svc-[0-9a-f]{8,17}$",
        example = "vpce-svc-0123456789abcdef0"
    )]
    aws_service_id: Option<String>,
    /// Principals that shall be able to connect: 12-digit accounts, IAM ARNs of accounts, roles or users, or `*`.
    #[serde(default)]
    allowed_principals: Vec<String>,
    /// Yes, it is meant that `*` may connect without acceptance.
    #[serde(default)]
    confirm_open_to_everybody: bool,
}

impl NewServiceBody {
    fn into_new(self) -> Result<NewService, AppError> {
        let refuse =
            |field: &str, detail: &str| AppError::new(Code::InvalidRequest, detail).field(field);
        let place = match (self.account_region_id, self.account_id, self.region) {
            (Some(id), None, None) => Place::Id(id),
            (None, Some(account), Some(region)) => {
                Place::Named(aws_id("account_id", &account)?, aws_id("region", &region)?)
            }
            _ => {
                let detail = "give either account_region_id, or account_id and region";
                return Err(refuse("account_region_id", detail));
            }
        };
        let source = match (self.load_balancer_arns, self.aws_service_id) {
            (Some(arns), None) => Source::LoadBalancers {
                arns: arns
                    .iter()
                    .enumerate()
                    .map(|(index, arn)| aws_id(&format!("load_balancer_arns[{index}]"), arn))
                    .collect::<Result<_, _>>()?,
                acceptance_required: self.acceptance_required.unwrap_or(true),
            },
            (None, Some(id)) => {
                if self.acceptance_required.is_some() {
                    let detail = "an adopted service keeps its own acceptance setting";
                    return Err(refuse("acceptance_required", detail));
                }
                Source::Existing(aws_id("aws_service_id", &id)?)
            }
            (Some(_), Some(_)) | (None, None) => {
                let detail = "give either load_balancer_arns, to create a service, or aws_service_id, to adopt one";
                return Err(refuse("load_balancer_arns", detail));
            }
        };
        Ok(NewService {
            place,
            name: self.name,
            source,
            allowed_principals: self.allowed_principals,
            confirm_open_to_everybody: self.confirm_open_to_everybody,
        })
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Only the services of this AccountRegion.
    account_region_id: Option<AccountRegionId>,
    /// Only the service with this AWS id.
    #[param(value_type = Option<String>, pattern = "^vpce-svc-[0-9a-f]{8,17}$")]
    aws_service_id: Option<privatelink::ServiceId>,
    /// Only services whose sync is in this state; a service is never `confirming`.
    sync_state: Option<SyncState>,
    /// Only services that are there in their life.
    lifecycle: Option<LifecycleState>,
    /// The newest first (`desc`) or the oldest first (`asc`). A cursor is good for the order that it was got in.
    #[param(inline)]
    order: Option<Order>,
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<EndpointServiceId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists registered services
///
/// Each with what is desired, what AWS shows, and whether its checks passed.
#[utoipa::path(
    tag = "services",
    params(ListQuery),
    responses((status = 200, description = "A page, in the order that was asked for.", body = ServiceList), AuthProblems, InputProblems)
)]
#[get("/v1/services")]
pub(super) async fn list_services(
    _caller: Caller<Read>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<ServiceList>, Problem> {
    let filter = Filter {
        account_region: query.account_region_id,
        aws_service_id: query.aws_service_id.as_ref(),
        sync_state: query.sync_state,
        lifecycle: query.lifecycle,
    };
    let listed = read::services(
        &ctx,
        &filter,
        query.order.unwrap_or_default(),
        query.cursor,
        query.limit.0,
    )
    .await?;
    Ok(Json(ServiceList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}

/// Registers an endpoint service
///
/// Creates it in AWS from Network Load Balancers, or adopts one that exists. The request is recorded and the worker carries it out; read the
/// service to see `aws_service_id`, the checks, or, should AWS refuse, `sync.state` `stalled` with AWS's code and words.
#[utoipa::path(
    tag = "services",
    request_body = NewServiceBody,
    responses(
        (status = 201, description = "Registered.", body = ServiceView,
         headers(("location" = String, description = "The new service."))),
        AuthProblems, BodyProblems, AccountRegionMissing, ServiceConflict
    )
)]
#[post("/v1/services")]
pub(super) async fn register_service(
    caller: Caller<Manage>,
    ApiJson(body): ApiJson<NewServiceBody>,
    ctx: Data<AppContext>,
) -> Result<HttpResponse, Problem> {
    let made = app::register_service(&ctx, &actor(caller.subject), body.into_new()?).await?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/v1/services/{}", made.id)))
        .json(ServiceView::from(made)))
}

/// Reads a service with its checks
///
/// What is desired, what AWS shows, where the two differ, and how far a drain is.
#[utoipa::path(
    tag = "services",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    responses((status = 200, description = "The service.", body = ServiceView), AuthProblems, InputProblems, ServiceMissing)
)]
#[get("/v1/services/{id}")]
pub(super) async fn read_service(
    _caller: Caller<Read>,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ctx: Data<AppContext>,
) -> Result<Json<ServiceView>, Problem> {
    with_drain(&ctx, read::service(&ctx, id).await?).await
}

/// Retries a stalled service
///
/// The worker takes it up at once. Mend the cause first: what AWS refused, it refuses again.
#[utoipa::path(
    tag = "services",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    responses(
        (status = 200, description = "Due again.", body = ServiceView),
        AuthProblems, InputProblems, ServiceMissing, ServiceRetryConflict
    )
)]
#[post("/v1/services/{id}/retry-sync")]
pub(super) async fn retry_service_sync(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ctx: Data<AppContext>,
) -> Result<Json<ServiceView>, Problem> {
    Ok(Json(
        retry_sync::retry_service(&ctx, &actor(caller.subject), id)
            .await?
            .into(),
    ))
}
