//! The calls about load balancers and what hangs on them, and about the Region's zones.

use privatelink::{
    AvailabilityZone, GatewayError, Listener, LoadBalancer, LoadBalancerArn, TargetGroup,
    TargetHealth,
};

use crate::client::AwsGateway;
use crate::convert;
use crate::errors::from_sdk;

/// The attribute that spreads traffic over zones; off by default on Network Load Balancers.
const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";

/// `DescribeLoadBalancers` by ARN, then `DescribeLoadBalancerAttributes`.
pub(crate) async fn read(
    gateway: &AwsGateway,
    arn: &LoadBalancerArn,
) -> Result<LoadBalancer, GatewayError> {
    let answer = gateway
        .elb
        .describe_load_balancers()
        .load_balancer_arns(arn.as_str())
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    let row = answer
        .load_balancers()
        .iter()
        .find(|row| row.load_balancer_arn() == Some(arn.as_str()))
        .ok_or_else(|| GatewayError::NotFound {
            code: "NotListed".to_owned(),
            message: format!("AWS answered without {arn}"),
        })?;
    let attributes = gateway
        .elb
        .describe_load_balancer_attributes()
        .load_balancer_arn(arn.as_str())
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    let cross_zone = attributes
        .attributes()
        .iter()
        .any(|attribute| attribute.key() == Some(CROSS_ZONE) && attribute.value() == Some("true"));
    Ok(convert::load_balancer(row, arn, cross_zone))
}

/// `DescribeListeners`, all pages.
pub(crate) async fn listeners(
    gateway: &AwsGateway,
    arn: &LoadBalancerArn,
) -> Result<Vec<Listener>, GatewayError> {
    let rows = gateway
        .elb
        .describe_listeners()
        .load_balancer_arn(arn.as_str())
        .into_paginator()
        .items()
        .send()
        .try_collect()
        .await
        .map_err(|error| from_sdk(&error))?;
    Ok(rows.iter().filter_map(convert::listener).collect())
}

/// `DescribeTargetGroups` of the load balancer, all pages.
pub(crate) async fn target_groups(
    gateway: &AwsGateway,
    arn: &LoadBalancerArn,
) -> Result<Vec<TargetGroup>, GatewayError> {
    let rows = gateway
        .elb
        .describe_target_groups()
        .load_balancer_arn(arn.as_str())
        .into_paginator()
        .items()
        .send()
        .try_collect()
        .await
        .map_err(|error| from_sdk(&error))?;
    Ok(rows.iter().filter_map(convert::target_group).collect())
}

/// `DescribeTargetHealth`, which is not paged.
pub(crate) async fn target_health(
    gateway: &AwsGateway,
    target_group_arn: &str,
) -> Result<Vec<TargetHealth>, GatewayError> {
    let answer = gateway
        .elb
        .describe_target_health()
        .target_group_arn(target_group_arn)
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    Ok(answer
        .target_health_descriptions()
        .iter()
        .filter_map(convert::target_health)
        .collect())
}

/// `DescribeAvailabilityZones`, which is not paged: the zones that this account may use.
pub(crate) async fn availability_zones(
    gateway: &AwsGateway,
) -> Result<Vec<AvailabilityZone>, GatewayError> {
    let answer = gateway
        .ec2
        .describe_availability_zones()
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    Ok(answer
        .availability_zones()
        .iter()
        .filter_map(convert::availability_zone)
        .collect())
}
