//! The load balancers of a service: given as a whole, added and taken out by the worker.

use privatelink::LoadBalancerArn;

use crate::app::AppError;
use crate::app::code::Code;
use crate::app::register_service::check_load_balancers;
use crate::domain::endpoint_service::{ObservedService, Origin, RegisteredService};
use crate::store::{PgConnection, service_changes};

/// The service with these load balancers and no others. Whatever it is known to have besides is taken out of it.
pub(super) fn replaced(
    mut service: RegisteredService,
    arns: Vec<LoadBalancerArn>,
    may_differ: bool,
) -> Result<RegisteredService, AppError> {
    let field = "load_balancer_arns";
    refuse_gateways(&service, field)?;
    if service.origin == Origin::Adopted && service.observed.is_none() {
        let detail = "its load balancers are taken over when it is first read from AWS; change them after that";
        return Err(AppError::new(Code::ServiceNotObserved, detail).field(field));
    }
    check_load_balancers(&arns, &service.account, &service.region)?;
    let shown = service.observed.iter();
    let shown = shown.flat_map(|seen| &seen.service.network_load_balancer_arns);
    let mut dropped: Vec<LoadBalancerArn> = service
        .dropped_load_balancer_arns
        .iter()
        .chain(&service.load_balancer_arns)
        .chain(shown)
        .filter(|arn| !arns.contains(arn))
        .cloned()
        .collect();
    dropped.sort();
    dropped.dedup();
    service.dropped_load_balancer_arns = dropped;
    service.load_balancer_arns = arns;
    service.listeners_may_differ = may_differ;
    Ok(service)
}

/// Refuses what only services on Network Load Balancers have.
pub(super) fn refuse_gateways(service: &RegisteredService, field: &str) -> Result<(), AppError> {
    let network = |seen: &ObservedService| !seen.service.network_load_balancer_arns.is_empty();
    if service.observed.as_ref().is_none_or(network) {
        return Ok(());
    }
    let detail = "the service stands on Gateway Load Balancers, for which this cannot be set";
    Err(AppError::new(Code::InvalidRequest, detail).field(field))
}

/// Refuses a load balancer that is being added and that AWS shows behind another registered service.
pub(super) async fn refuse_taken(
    tx: &mut PgConnection,
    before: &RegisteredService,
    desired: &RegisteredService,
) -> Result<(), AppError> {
    let added: Vec<LoadBalancerArn> = desired
        .load_balancer_arns
        .iter()
        .filter(|arn| !before.load_balancer_arns.contains(arn))
        .cloned()
        .collect();
    match service_changes::load_balancer_elsewhere(tx, desired, &added).await? {
        None => Ok(()),
        Some((arn, holder)) => {
            let detail = format!(
                "{arn} backs the service {holder}, and a load balancer backs one service only; take it out there first"
            );
            Err(AppError::new(Code::LoadBalancerTaken, detail).field("load_balancer_arns"))
        }
    }
}
