//! The control API about names and addresses of AWS's: private hosted zones, prefix lists, and the alias that consumers see
//! instead of a service's owner.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use privatelink::Region;
use serde::Deserialize;
use serde_json::json;

use super::control::{Asked, failed, problem, refused};
use crate::Simulator;

type Sim = web::Data<Simulator>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HostedZone {
    vpc_id: String,
    name: String,
}

pub(super) async fn zones(simulator: Sim) -> HttpResponse {
    let world = simulator.world();
    let zones: Vec<_> = world
        .hosted_zones()
        .map(|(vpc, names)| json!({ "vpc_id": vpc, "names": names }))
        .collect();
    HttpResponse::Ok().json(json!({ "hosted_zones": zones }))
}

pub(super) async fn put_zone(simulator: Sim, zone: Asked<HostedZone>) -> HttpResponse {
    match simulator.with_world(|world| world.put_hosted_zone(&zone.vpc_id, &zone.name)) {
        Ok(Ok(_)) => HttpResponse::NoContent().finish(),
        Ok(Err(error)) => refused(&error),
        Err(error) => failed(&error),
    }
}

pub(super) async fn remove_zone(simulator: Sim, zone: Asked<HostedZone>) -> HttpResponse {
    match simulator.with_world(|world| world.remove_hosted_zone(&zone.vpc_id, &zone.name)) {
        Ok(true) => HttpResponse::NoContent().finish(),
        Ok(false) => problem(StatusCode::NOT_FOUND, "NotFound", "there is no such zone"),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnerAlias {
    service_id: String,
    /// Missing or null shows the account again.
    alias: Option<String>,
}

pub(super) async fn set_alias(simulator: Sim, change: Asked<OwnerAlias>) -> HttpResponse {
    let OwnerAlias { service_id, alias } = change.into_inner().0;
    match simulator.with_world(|world| world.set_owner_alias(&service_id, alias)) {
        Ok(Ok(())) => HttpResponse::NoContent().finish(),
        Ok(Err(error)) => refused(&error),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAddresses {
    region: Region,
    /// `s3` or `dynamodb`.
    service: String,
    cidrs: Vec<String>,
}

pub(super) async fn change_prefix_list(simulator: Sim, new: Asked<NewAddresses>) -> HttpResponse {
    let NewAddresses {
        region,
        service,
        cidrs,
    } = new.into_inner().0;
    match simulator.with_world(|world| world.change_prefix_list(&region, &service, &cidrs)) {
        Ok(Ok(list)) => HttpResponse::Ok().json(list),
        Ok(Err(error)) => refused(&error),
        Err(error) => failed(&error),
    }
}
