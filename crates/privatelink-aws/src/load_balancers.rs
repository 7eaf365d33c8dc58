//! The calls about load balancers and what hangs on them, and about the Region's zones.

use privatelink::{
    AvailabilityZone, GatewayError, Listener, ListenerAttributes, LoadBalancer, LoadBalancerArn,
    LoadBalancerAttributes, TargetGroup, TargetGroupAttributes, TargetHealth,
};

use crate::client::AwsGateway;
use crate::convert;
use crate::errors::from_sdk;

/// `DescribeLoadBalancers` by ARN. Without any it would list every load balancer, so then it is not called.
pub(crate) async fn read(
    gateway: &AwsGateway,
    arns: &[LoadBalancerArn],
) -> Result<Vec<LoadBalancer>, GatewayError> {
    if arns.is_empty() {
        return Ok(Vec::new());
    }
    let asked = arns.iter().map(ToString::to_string).collect();
    let answer = gateway
        .elb
        .describe_load_balancers()
        .set_load_balancer_arns(Some(asked))
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    Ok(answer
        .load_balancers()
        .iter()
        .filter_map(convert::load_balancer)
        .collect())
}

/// `DescribeLoadBalancerAttributes`.
pub(crate) async fn attributes(
    gateway: &AwsGateway,
    arn: &LoadBalancerArn,
) -> Result<LoadBalancerAttributes, GatewayError> {
    let answer = gateway
        .elb
        .describe_load_balancer_attributes()
        .load_balancer_arn(arn.as_str())
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    Ok(convert::load_balancer_attributes(answer.attributes()))
}

/// `DescribeListenerAttributes`.
pub(crate) async fn listener_attributes(
    gateway: &AwsGateway,
    arn: &str,
) -> Result<ListenerAttributes, GatewayError> {
    let answer = gateway
        .elb
        .describe_listener_attributes()
        .listener_arn(arn)
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    Ok(convert::listener_attributes(answer.attributes()))
}

/// `DescribeTargetGroupAttributes`.
pub(crate) async fn target_group_attributes(
    gateway: &AwsGateway,
    arn: &str,
) -> Result<TargetGroupAttributes, GatewayError> {
    let answer = gateway
        .elb
        .describe_target_group_attributes()
        .target_group_arn(arn)
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    Ok(convert::target_group_attributes(answer.attributes()))
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
