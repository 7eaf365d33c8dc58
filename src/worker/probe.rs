//! Reads what the readiness checks need: load balancers, listeners, targets, zones. A read that fails becomes part of the facts, so one
//! missing permission hides one check and not all of them.

use privatelink::{GatewayError, LoadBalancerArn, PrivateLink, TargetGroup, TargetHealth};

use crate::domain::readiness::{BalancerFacts, Facts};

/// Reads everything. Only an unknown outcome or throttling ends it early: then nothing should be concluded at all.
pub(super) async fn facts(
    gateway: &dyn PrivateLink,
    arns: &[LoadBalancerArn],
    service_zones: &[String],
) -> Result<Facts, GatewayError> {
    let zones = told(gateway.availability_zones().await)?.unwrap_or_default();
    let mut balancers = Vec::with_capacity(arns.len());
    for arn in arns {
        balancers.push(BalancerFacts {
            arn: arn.to_string(),
            balancer: told(gateway.load_balancer(arn).await)?,
            listeners: told(gateway.listeners(arn).await)?,
            targets: targets(gateway, arn).await?,
        });
    }
    Ok(Facts {
        balancers,
        zones,
        service_zones: service_zones.to_vec(),
    })
}

type Targets = Vec<(TargetGroup, Vec<TargetHealth>)>;

async fn targets(
    gateway: &dyn PrivateLink,
    arn: &LoadBalancerArn,
) -> Result<Result<Targets, String>, GatewayError> {
    let groups = match told(gateway.target_groups(arn).await)? {
        Ok(groups) => groups,
        Err(code) => return Ok(Err(code)),
    };
    let mut all = Vec::with_capacity(groups.len());
    for group in groups {
        match told(gateway.target_health(&group.arn).await)? {
            Ok(health) => all.push((group, health)),
            Err(code) => return Ok(Err(code)),
        }
    }
    Ok(Ok(all))
}

/// Splits what AWS told (a value, or a definite refusal by code) from what it did not.
fn told<T>(result: Result<T, GatewayError>) -> Result<Result<T, String>, GatewayError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(
            error @ (GatewayError::NotFound { .. }
            | GatewayError::Denied { .. }
            | GatewayError::Invalid { .. }),
        ) => Ok(Err(error.code().to_owned())),
        Err(error @ (GatewayError::Busy { .. } | GatewayError::Unknown { .. })) => Err(error),
    }
}
