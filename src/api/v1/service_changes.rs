//! Changes of registered endpoint services.

use std::collections::BTreeMap;

use actix_web::web::{Data, Json};
use actix_web::{patch, post};
use privatelink::LoadBalancerArn;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::actor;
use super::arguments::aws_id;
use super::services::ServiceView;
use crate::api::auth::{Caller, Manage};
use crate::api::conditions::Meant;
use crate::api::extract::{ApiJson, ApiPath};
use crate::api::problem::Problem;
use crate::api::responses::{
    AuthProblems, BodyProblems, InputProblems, ServiceChangeConflict, ServiceMissing, ServiceUnread,
};
use crate::app::change_service::{self as app, Member, ServiceChange};
use crate::app::{AppContext, AppError, refresh_zones as zones};
use crate::domain::ids::EndpointServiceId;

/// What to change. Members that are absent stay as they are; lists and tags are replaced as a whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each confirms a thing of its own, and is named after it"
)]
pub struct ServiceChangeBody {
    /// The `version` that you have read; may be left out with `If-Match`. Whoever changed the service since makes this a `service_changed`.
    version: Option<i64>,
    /// What people call it. On a service that Portcullis created it is also the tag `Name`.
    #[schema(min_length = 1, max_length = 128)]
    name: Option<String>,
    /// Whether each connection has to be accepted. Connections that wait already go on waiting.
    acceptance_required: Option<bool>,
    /// Principals that shall be able to connect. One that is left out is removed from AWS if Portcullis put it there; one that an agreement in force
    /// stands on is left out only with `confirm_principals_of_agreements`. Connections that exist are not touched: revoke them.
    allowed_principals: Option<Vec<String>>,
    /// `ipv4`, `ipv6` or both.
    supported_ip_address_types: Option<Vec<String>>,
    /// Other Regions that consumers may connect from. The service's own needs no mention.
    supported_regions: Option<Vec<String>>,
    /// Tags. One that is left out is removed from AWS if Portcullis set it.
    tags: Option<BTreeMap<String, String>>,
    /// Yes, it is meant that `*` may connect without acceptance.
    #[serde(default)]
    confirm_open_to_everybody: bool,
    /// Yes, it is meant that principals are left out although agreements in force stand on them. They stay out until somebody names or grants them again.
    #[serde(default)]
    confirm_principals_of_agreements: bool,
    /// Why, for the audit trail.
    #[schema(min_length = 1, max_length = 1000)]
    reason: Option<String>,
    /// Network Load Balancers of the service's account and Region, 1 to 20: all that shall be behind it. New ones are added first; one that is left
    /// out is removed last, and waits while endpoints are attached.
    #[schema(min_items = 1, max_items = 20)]
    load_balancer_arns: Option<Vec<String>>,
    /// Yes, it is meant that the load balancers listen on different ports or protocols.
    #[serde(default)]
    confirm_listeners_differ: bool,
    /// The name that consumers may use in their VPCs, in lower case; `*.` may lead it. Null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 255, example = "api.example.com")]
    private_dns_name: Member,
    /// Yes, it is meant that consumers lose the private DNS name.
    #[serde(default)]
    confirm_remove_private_dns_name: bool,
    /// `ServiceOwner`: the owner pays for the endpoints from now on. AWS has no way back.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "ServiceOwner")]
    payer_responsibility: Member,
    /// Yes, it is known that the owner then pays for ever.
    #[serde(default)]
    confirm_payer_irreversible: bool,
}

/// Tells a member that is null from one that is absent.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Member, D::Error> {
    let value = Option::<String>::deserialize(deserializer)?;
    Ok(value.map_or(Member::Null, Member::Value))
}

fn load_balancers(arns: Option<Vec<String>>) -> Result<Option<Vec<LoadBalancerArn>>, AppError> {
    let parsed = |arns: Vec<String>| {
        let arns = arns.iter().enumerate();
        arns.map(|(index, arn)| aws_id(&format!("load_balancer_arns[{index}]"), arn))
            .collect()
    };
    arns.map(parsed).transpose()
}

/// A service that was changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangedServiceView {
    /// The service.
    #[serde(flatten)]
    service: ServiceView,
    /// How many live connections are of accounts that none of the principals lets in: they keep their access, because AWS asks for a principal only when an endpoint
    /// is made. To take it away too, begin an access removal instead. Null where the change does not name principals.
    connections_without_principal: Option<i64>,
}

/// Changes a service
///
/// Records what is desired; the worker brings AWS in step and reads it back, and then `applied_version` is `version`. With `version` alone,
/// AWS is made to agree again with what is desired, whatever somebody changed there.
#[utoipa::path(
    tag = "services",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    request_body = ServiceChangeBody,
    responses(
        (status = 200, description = "Recorded.", body = ChangedServiceView),
        AuthProblems, BodyProblems, ServiceMissing, ServiceChangeConflict
    )
)]
#[patch("/v1/services/{id}")]
pub(super) async fn change_service(
    caller: Caller<Manage>,
    meant: Meant,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ApiJson(body): ApiJson<ServiceChangeBody>,
    ctx: Data<AppContext>,
) -> Result<Json<ChangedServiceView>, Problem> {
    let change = ServiceChange {
        version: meant.version(body.version)?,
        name: body.name,
        acceptance_required: body.acceptance_required,
        allowed_principals: body.allowed_principals,
        supported_ip_address_types: body.supported_ip_address_types,
        supported_regions: body.supported_regions,
        tags: body.tags,
        confirm_open_to_everybody: body.confirm_open_to_everybody,
        confirm_principals_of_agreements: body.confirm_principals_of_agreements,
        reason: body.reason,
        load_balancer_arns: load_balancers(body.load_balancer_arns)?,
        confirm_listeners_differ: body.confirm_listeners_differ,
        private_dns_name: body.private_dns_name,
        confirm_remove_private_dns_name: body.confirm_remove_private_dns_name,
        payer_responsibility: body.payer_responsibility,
        confirm_payer_irreversible: body.confirm_payer_irreversible,
    };
    let changed = app::change_service(&ctx, &actor(caller.subject), id, change).await?;
    Ok(Json(ChangedServiceView {
        service: changed.service.into(),
        connections_without_principal: changed.without_principal,
    }))
}

/// Has AWS read the load balancers' zones again
///
/// AWS does so only when the service is changed. Ask for it a few minutes after a zone was enabled on a load balancer; the worker sends an empty
/// change and reads the service.
#[utoipa::path(
    tag = "services",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    responses(
        (status = 200, description = "Recorded.", body = ServiceView),
        AuthProblems, InputProblems, ServiceMissing, ServiceUnread
    )
)]
#[post("/v1/services/{id}/refresh-zones")]
pub(super) async fn refresh_service_zones(
    caller: Caller<Manage>,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ctx: Data<AppContext>,
) -> Result<Json<ServiceView>, Problem> {
    let asked = zones::refresh_zones(&ctx, &actor(caller.subject), id).await?;
    Ok(Json(asked.into()))
}
