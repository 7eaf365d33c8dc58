//! Services that a consumer can know about.

use actix_web::get;
use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::auth::{Caller, Own};
use crate::api::extract::{ApiPath, ApiQuery};
use crate::api::problem::Problem;
use crate::api::responses::{AuthProblems, InputProblems, ServiceMissing};
use crate::api::v1::arguments::Limit;
use crate::app::AppContext;
use crate::app::own::read;
use crate::domain::ids::EndpointServiceId;
use crate::domain::own::KnownService;

/// A service that the organisation has a connection to, or was given access to: what one has to know to make an endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub struct KnownServiceView {
    /// Its id here.
    id: EndpointServiceId,
    /// The Region it lives in.
    region: String,
    /// The name that one types to make an endpoint (`com.amazonaws.vpce…`); null until AWS has told it.
    service_name: Option<String>,
    /// Its Availability Zones, by the ids that mean the same zone in every account. An endpoint needs a subnet in one of them.
    availability_zone_ids: Vec<String>,
    /// Its private DNS name, once AWS has verified it.
    private_dns_name: Option<String>,
}

impl From<KnownService> for KnownServiceView {
    fn from(row: KnownService) -> Self {
        Self {
            id: row.id,
            region: row.region,
            service_name: row.service_name,
            availability_zone_ids: row.availability_zone_ids,
            private_dns_name: row.private_dns_name,
        }
    }
}

/// A page of services, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct KnownServiceList {
    /// The rows.
    items: Vec<KnownServiceView>,
    /// Pass it as `cursor` to read on; null on the last page.
    next_cursor: Option<EndpointServiceId>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// Where to read on: the `next_cursor` of the page before.
    cursor: Option<EndpointServiceId>,
    /// How many rows, 1 to 200.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    #[serde(default)]
    limit: Limit,
}

/// Lists the services that the organisation has a connection to or was given access to
///
/// With what a consumer needs to make an endpoint: name, Region, zones and private DNS name.
#[utoipa::path(
    tag = "me",
    params(ListQuery),
    responses((status = 200, description = "A page, newest first.", body = KnownServiceList), AuthProblems, InputProblems)
)]
#[get("/v1/me/services")]
pub(in crate::api::v1) async fn list_known_services(
    caller: Caller<Own>,
    ApiQuery(query): ApiQuery<ListQuery>,
    ctx: Data<AppContext>,
) -> Result<Json<KnownServiceList>, Problem> {
    let member = caller.member()?;
    let listed = read::services(&ctx, &member, query.cursor, query.limit.0).await?;
    Ok(Json(KnownServiceList {
        items: listed.items.into_iter().map(Into::into).collect(),
        next_cursor: listed.next,
    }))
}

/// Reads a service that the organisation has a connection to or was given access to
///
/// Any other is answered as one that does not exist.
#[utoipa::path(
    tag = "me",
    params(("id" = EndpointServiceId, Path, description = "The service.")),
    responses((status = 200, description = "The service.", body = KnownServiceView), AuthProblems, InputProblems, ServiceMissing)
)]
#[get("/v1/me/services/{id}")]
pub(in crate::api::v1) async fn read_known_service(
    caller: Caller<Own>,
    ApiPath(id): ApiPath<EndpointServiceId>,
    ctx: Data<AppContext>,
) -> Result<Json<KnownServiceView>, Problem> {
    let member = caller.member()?;
    Ok(Json(read::service(&ctx, &member, id).await?.into()))
}
