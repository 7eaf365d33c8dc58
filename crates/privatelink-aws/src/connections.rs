//! The calls about connections: list, accept, reject.
//!
//! `DescribeVpcEndpointConnections` takes no service id, only filters. Without any it lists every connection of every service
//! in the Region, so a filter that is empty by accident would show one customer's connections as another's. Filters here are
//! only made from parsed ids, and an empty list of endpoints makes no call.
//!
//! The filter by endpoint id is documented, but there is a public report of AWS refusing it. Then the listing is filtered by
//! service and the endpoints are picked out here; the gateway remembers, so that only the first call is wasted.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use aws_sdk_ec2::types::Filter;
use privatelink::{
    Connection, ConnectionFilter, GatewayError, ItemFailure, Page, PageToken, ServiceId,
    VpcEndpointId,
};

use crate::client::AwsGateway;
use crate::convert::{self, PAGE_SIZE};
use crate::errors::from_sdk;

/// One page of connections.
pub(crate) async fn list(
    gateway: &AwsGateway,
    filter: &ConnectionFilter,
    from: Option<&PageToken>,
) -> Result<Page<Connection>, GatewayError> {
    match filter {
        ConnectionFilter::All => describe(gateway, None, from).await,
        ConnectionFilter::Service(service) => {
            describe(gateway, Some(vec![by_service(service)]), from).await
        }
        ConnectionFilter::Endpoints(_, endpoints) if endpoints.is_empty() => Ok(Page {
            items: Vec::new(),
            unreadable: 0,
            next: None,
        }),
        ConnectionFilter::Endpoints(_, endpoints)
            if endpoints.len() > ConnectionFilter::MAX_ENDPOINTS =>
        {
            Err(GatewayError::Invalid {
                code: "FilterLimitExceeded".to_owned(),
                message: format!(
                    "{} endpoints in one filter; at most {} fit",
                    endpoints.len(),
                    ConnectionFilter::MAX_ENDPOINTS
                ),
            })
        }
        ConnectionFilter::Endpoints(service, endpoints) => {
            list_endpoints(gateway, service, endpoints, from).await
        }
    }
}

async fn list_endpoints(
    gateway: &AwsGateway,
    service: &ServiceId,
    endpoints: &[VpcEndpointId],
    from: Option<&PageToken>,
) -> Result<Page<Connection>, GatewayError> {
    if !gateway.endpoint_filter_refused.load(Ordering::Relaxed) {
        let filters = vec![by_service(service), by_endpoints(endpoints)];
        match describe(gateway, Some(filters), from).await {
            Err(GatewayError::Invalid { code, message }) if code == "InvalidFilter" => {
                tracing::warn!(
                    region = %gateway.region,
                    message,
                    "AWS refuses the vpc-endpoint-id filter; filtering by service from now on"
                );
                gateway
                    .endpoint_filter_refused
                    .store(true, Ordering::Relaxed);
            }
            outcome => return outcome,
        }
    }
    let mut page = describe(gateway, Some(vec![by_service(service)]), from).await?;
    let wanted: HashSet<&VpcEndpointId> = endpoints.iter().collect();
    page.items.retain(|row| wanted.contains(&row.endpoint_id));
    Ok(page)
}

/// `DescribeVpcEndpointConnections`, one page.
async fn describe(
    gateway: &AwsGateway,
    filters: Option<Vec<Filter>>,
    from: Option<&PageToken>,
) -> Result<Page<Connection>, GatewayError> {
    let answer = gateway
        .ec2
        .describe_vpc_endpoint_connections()
        .set_filters(filters)
        .max_results(PAGE_SIZE)
        .set_next_token(from.map(|token| token.0.clone()))
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    let rows = answer.vpc_endpoint_connections();
    let next = convert::next_page(answer.next_token(), from)?;
    Ok(convert::page(rows, next, |row| {
        convert::connection(row, &gateway.region)
    }))
}

/// `AcceptVpcEndpointConnections`; for no endpoints, no call.
pub(crate) async fn accept(
    gateway: &AwsGateway,
    service: &ServiceId,
    endpoints: &[VpcEndpointId],
) -> Result<Vec<ItemFailure>, GatewayError> {
    if endpoints.is_empty() {
        return Ok(Vec::new());
    }
    let answer = gateway
        .ec2
        .accept_vpc_endpoint_connections()
        .service_id(service.as_str())
        .set_vpc_endpoint_ids(Some(strings(endpoints)))
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    Ok(answer
        .unsuccessful()
        .iter()
        .map(convert::item_failure)
        .collect())
}

/// `RejectVpcEndpointConnections`; for no endpoints, no call.
pub(crate) async fn reject(
    gateway: &AwsGateway,
    service: &ServiceId,
    endpoints: &[VpcEndpointId],
) -> Result<Vec<ItemFailure>, GatewayError> {
    if endpoints.is_empty() {
        return Ok(Vec::new());
    }
    let answer = gateway
        .ec2
        .reject_vpc_endpoint_connections()
        .service_id(service.as_str())
        .set_vpc_endpoint_ids(Some(strings(endpoints)))
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    Ok(answer
        .unsuccessful()
        .iter()
        .map(convert::item_failure)
        .collect())
}

fn by_service(service: &ServiceId) -> Filter {
    Filter::builder()
        .name("service-id")
        .values(service.as_str())
        .build()
}

fn by_endpoints(endpoints: &[VpcEndpointId]) -> Filter {
    Filter::builder()
        .name("vpc-endpoint-id")
        .set_values(Some(strings(endpoints)))
        .build()
}

fn strings(endpoints: &[VpcEndpointId]) -> Vec<String> {
    endpoints.iter().map(ToString::to_string).collect()
}
