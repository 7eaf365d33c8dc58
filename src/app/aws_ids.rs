//! AWS's ids wherever ours are taken: `vpce-svc-…` for a service, `vpce-…` for a connection.

use std::fmt;
use std::str::FromStr;

use privatelink::{ServiceId, VpcEndpointId};

use super::code::Code;
use super::own::read as own;
use super::{AppContext, AppError};
use crate::domain::aws_ids::{Meaning, meaning};
use crate::domain::ids::{ConnectionId, EndpointServiceId};
use crate::domain::member::Member;
use crate::store::aws_ids as store;

/// An id of AWS's that may stand in the place of one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AwsId {
    /// Of a service.
    Service(ServiceId),
    /// Of a consumer's endpoint, which is what a connection is known by.
    Endpoint(VpcEndpointId),
}

impl FromStr for AwsId {
    type Err = privatelink::InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let service = text.parse().map(Self::Service);
        service.or_else(|_| text.parse().map(Self::Endpoint))
    }
}

impl fmt::Display for AwsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(id) => id.fmt(f),
            Self::Endpoint(id) => id.fmt(f),
        }
    }
}

/// What an AWS id means here is known by this id of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OurId {
    /// A service's.
    Service(EndpointServiceId),
    /// A connection's.
    Connection(ConnectionId),
}

impl fmt::Display for OurId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(id) => id.fmt(f),
            Self::Connection(id) => id.fmt(f),
        }
    }
}

/// Our id of what AWS knows by `id`, among what a consumer can know about if one asks.
pub async fn find(ctx: &AppContext, asks: Option<&Member>, id: &AwsId) -> Result<OurId, AppError> {
    match id {
        AwsId::Service(id) => service(ctx, asks, id).await.map(OurId::Service),
        AwsId::Endpoint(id) => connection(ctx, asks, id).await.map(OurId::Connection),
    }
}

/// As [`find`], of a service.
pub async fn service(
    ctx: &AppContext,
    asks: Option<&Member>,
    id: &ServiceId,
) -> Result<EndpointServiceId, AppError> {
    let mut known = store::services(&mut *ctx.acquire().await?, id).await?;
    if let Some(member) = asks {
        let ids: Vec<_> = known.iter().map(|row| row.id).collect();
        let visible = own::known_services(ctx, member, &ids).await?;
        known.retain(|row| visible.contains(&row.id));
    }
    one(meaning(&known), || {
        AppError::new(Code::ServiceNotFound, format!("there is no service {id}"))
    })
}

async fn connection(
    ctx: &AppContext,
    asks: Option<&Member>,
    id: &VpcEndpointId,
) -> Result<ConnectionId, AppError> {
    let mut known = store::connections(&mut *ctx.acquire().await?, id).await?;
    if let Some(member) = asks {
        let ids: Vec<_> = known.iter().map(|row| row.id).collect();
        let visible = own::known_connections(ctx, member, &ids).await?;
        known.retain(|row| visible.contains(&row.id));
    }
    one(meaning(&known), || {
        let detail = format!("there is no connection of an endpoint {id}");
        AppError::new(Code::ConnectionNotFound, detail)
    })
}

fn one<Id: fmt::Display>(
    meaning: Meaning<Id>,
    missing: impl FnOnce() -> AppError,
) -> Result<Id, AppError> {
    match meaning {
        Meaning::One(id) => Ok(id),
        Meaning::Nothing => Err(missing()),
        Meaning::Several(ids) => {
            let ids: Vec<String> = ids.iter().map(Id::to_string).collect();
            let detail = format!("AWS's id is that of several here: {}.", ids.join(", "));
            Err(AppError::new(Code::InvalidRequest, detail))
        }
    }
}
