//! A service in a body, by our id or by AWS's.

use privatelink::ServiceId;
use serde::Deserialize;
use serde::de::Error as _;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use crate::api::openapi::either::SERVICE;
use crate::app::ask_access::check_count;
use crate::app::code::Code;
use crate::app::{AppContext, AppError, aws_ids};
use crate::domain::ids::EndpointServiceId;

/// The service that a body names.
#[derive(Debug, Clone)]
pub(in crate::api::v1) enum ServiceRef {
    /// By our id.
    Ours(EndpointServiceId),
    /// By AWS's.
    Aws(ServiceId),
}

impl ServiceRef {
    /// Our id of it.
    pub(in crate::api::v1) async fn resolve(
        self,
        ctx: &AppContext,
    ) -> Result<EndpointServiceId, AppError> {
        match self {
            Self::Ours(id) => Ok(id),
            Self::Aws(id) => {
                let found = aws_ids::service(ctx, None, &id).await;
                found.map_err(|error| error.field("service_id"))
            }
        }
    }
}

/// As [`ServiceRef::resolve`], of a body that may name none.
pub(in crate::api::v1) async fn resolve_given(
    service: Option<ServiceRef>,
    ctx: &AppContext,
) -> Result<Option<EndpointServiceId>, AppError> {
    match service {
        Some(service) => service.resolve(ctx).await.map(Some),
        None => Ok(None),
    }
}

/// As [`resolve_all`], for a consumer: what AWS's id of a service means here is not its to know, so one that means nothing, or several, becomes an id of ours
/// that nothing has, to be refused wherever services are that cannot be asked for.
pub(in crate::api::v1) async fn resolve_for_a_consumer(
    services: Vec<ServiceRef>,
    ctx: &AppContext,
) -> Result<Vec<EndpointServiceId>, AppError> {
    let nothing = |error: AppError| match error.code() {
        Code::ServiceNotFound | Code::InvalidRequest => Ok(EndpointServiceId::from(Uuid::nil())),
        _ => Err(error),
    };
    resolve_each(services, ctx, nothing).await
}

/// As [`ServiceRef::resolve`], of those that an access request names; what asks for too many looks nothing up.
pub(in crate::api::v1) async fn resolve_all(
    services: Vec<ServiceRef>,
    ctx: &AppContext,
) -> Result<Vec<EndpointServiceId>, AppError> {
    let blamed = |error: AppError| Err(error.field("service_ids"));
    resolve_each(services, ctx, blamed).await
}

/// Each of them, or what is said of one that is not found.
async fn resolve_each(
    services: Vec<ServiceRef>,
    ctx: &AppContext,
    otherwise: impl Fn(AppError) -> Result<EndpointServiceId, AppError>,
) -> Result<Vec<EndpointServiceId>, AppError> {
    check_count(services.len())?;
    let mut ids = Vec::with_capacity(services.len());
    for service in services {
        ids.push(service.resolve(ctx).await.or_else(&otherwise)?);
    }
    Ok(ids)
}

impl<'de> Deserialize<'de> for ServiceRef {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if text.starts_with("vpce-") {
            return text.parse().map(Self::Aws).map_err(D::Error::custom);
        }
        text.parse().map(Self::Ours).map_err(D::Error::custom)
    }
}

impl PartialSchema for ServiceRef {
    fn schema() -> RefOr<Schema> {
        RefOr::T(Schema::Object(SERVICE.schema()))
    }
}

impl ToSchema for ServiceRef {
    fn name() -> std::borrow::Cow<'static, str> {
        "ServiceRef".into()
    }
}
