//! What the worker asks about load balancers before it puts them behind a service, and what it says when AWS refuses them.

use std::collections::BTreeSet;

use privatelink::{GatewayError, LoadBalancerArn, PageToken};

use super::Place;
use super::sync_services::Failure;
use crate::domain::endpoint_service::RegisteredService;
use crate::domain::listeners;

/// The code of a service whose load balancers would listen differently.
const LISTENERS_DIFFER: &str = "listeners_differ";
/// AWS's code for a load balancer that backs another service, among others.
const INVALID_PARAMETER: &str = "InvalidParameter";
/// What AWS says of a load balancer that backs another service.
const TAKEN: &str = "already associated";

/// Stalls a service that would have load balancers with different listeners, those that are attached now included, unless that is meant.
pub(super) async fn refuse_unequal(
    place: &Place,
    service: &RegisteredService,
    attached: &[LoadBalancerArn],
) -> Result<(), Failure> {
    let all: BTreeSet<&LoadBalancerArn> =
        attached.iter().chain(&service.load_balancer_arns).collect();
    if service.listeners_may_differ || all.len() < 2 {
        return Ok(());
    }
    let mut balancers = Vec::with_capacity(all.len());
    for arn in all {
        balancers.push((arn.clone(), place.gateway.listeners(arn).await?));
    }
    match listeners::difference(&balancers) {
        None => Ok(()),
        Some(difference) => {
            let message = format!(
                "{difference}. In each zone AWS gives an endpoint one of the load balancers at random. Nothing was changed: make their \
                 listeners equal and retry, or confirm it with PATCH and confirm_listeners_differ"
            );
            Err(Failure::Stall(LISTENERS_DIFFER, message))
        }
    }
}

/// A refusal with the service that has the load balancer, where that is the reason.
pub(super) async fn explained(place: &Place, error: GatewayError) -> Failure {
    let GatewayError::Invalid { code, message } = &error else {
        return error.into();
    };
    if code != INVALID_PARAMETER || !message.contains(TAKEN) {
        return error.into();
    }
    let holder = match holder(place, message).await {
        Ok(Some((arn, service))) => format!("{arn} backs {service}"),
        // In another account's words, or gone since.
        Ok(None) => "the other service is not among those that AWS lists here".to_owned(),
        Err(error) => return error.into(),
    };
    let message = format!(
        "{error}. A load balancer backs one service only, and {holder}: take it out of that service, or use another load balancer"
    );
    Failure::Stall(INVALID_PARAMETER, message)
}

/// The load balancer that AWS's message names, and the service that it is behind.
async fn holder(place: &Place, message: &str) -> Result<Option<(String, String)>, GatewayError> {
    let mut from: Option<PageToken> = None;
    loop {
        let page = place.gateway.endpoint_services(from.as_ref()).await?;
        for service in &page.items {
            let mut arns = service.network_load_balancer_arns.iter();
            if let Some(arn) = arns.find(|arn| message.contains(arn.as_str()))
                && !service.state.is_gone()
            {
                return Ok(Some((arn.to_string(), service.service_id.to_string())));
            }
        }
        if page.next.is_none() || page.next == from {
            return Ok(None);
        }
        from = page.next;
    }
}
