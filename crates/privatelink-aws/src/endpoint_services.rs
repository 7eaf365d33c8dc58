//! The calls about endpoint services and their permissions.

use aws_sdk_ec2::types::{Filter, PayerResponsibility, ResourceType, Tag, TagSpecification};
use privatelink::{
    AllowedPrincipal, EndpointService, EndpointServiceChange, GatewayError, ItemFailure,
    NewEndpointService, Page, PageToken, ServiceId, ServiceNotification,
};

use crate::client::AwsGateway;
use crate::convert::{self, PAGE_SIZE};
use crate::errors::{bad_response, from_sdk};

/// `CreateVpcEndpointServiceConfiguration`, always with a client token: no SDK fills one in, and the SDK's own second try would
/// make a second service.
pub(crate) async fn create(
    gateway: &AwsGateway,
    new: &NewEndpointService,
) -> Result<EndpointService, GatewayError> {
    let answer = gateway
        .ec2
        .create_vpc_endpoint_service_configuration()
        .client_token(&new.client_token)
        .acceptance_required(new.acceptance_required)
        .set_network_load_balancer_arns(some(&new.network_load_balancer_arns))
        .set_supported_ip_address_types(some(&new.supported_ip_address_types))
        .set_tag_specifications(tag_specification(&new.tags))
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    answer
        .service_configuration()
        .and_then(|row| convert::endpoint_service(row, &gateway.region))
        .ok_or_else(|| bad_response("the created service is not in the answer"))
}

/// `ModifyVpcEndpointServiceConfiguration`. With nothing to change it is sent all the same: AWS then re-reads the zones.
pub(crate) async fn modify(
    gateway: &AwsGateway,
    id: &ServiceId,
    change: &EndpointServiceChange,
) -> Result<(), GatewayError> {
    let answer = gateway
        .ec2
        .modify_vpc_endpoint_service_configuration()
        .service_id(id.as_str())
        .set_acceptance_required(change.acceptance_required)
        .set_add_network_load_balancer_arns(some(&change.add_network_load_balancer_arns))
        .set_remove_network_load_balancer_arns(some(&change.remove_network_load_balancer_arns))
        .set_add_supported_ip_address_types(some(&change.add_supported_ip_address_types))
        .set_remove_supported_ip_address_types(some(&change.remove_supported_ip_address_types))
        .set_add_supported_regions(some(&change.add_supported_regions))
        .set_remove_supported_regions(some(&change.remove_supported_regions))
        .set_private_dns_name(change.private_dns_name.clone())
        .set_remove_private_dns_name(change.remove_private_dns_name.then_some(true))
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    done(answer.r#return())
}

/// `DeleteVpcEndpointServiceConfigurations` of one service. HTTP 200 says nothing; the list of failures does.
pub(crate) async fn delete(
    gateway: &AwsGateway,
    id: &ServiceId,
) -> Result<Option<ItemFailure>, GatewayError> {
    let answer = gateway
        .ec2
        .delete_vpc_endpoint_service_configurations()
        .service_ids(id.as_str())
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    Ok(answer.unsuccessful().first().map(convert::item_failure))
}

/// `DescribeVpcEndpointServiceConfigurations` by id.
pub(crate) async fn read(
    gateway: &AwsGateway,
    id: &ServiceId,
) -> Result<EndpointService, GatewayError> {
    let answer = gateway
        .ec2
        .describe_vpc_endpoint_service_configurations()
        .service_ids(id.as_str())
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    let page = convert::page(answer.service_configurations(), None, |row| {
        convert::endpoint_service(row, &gateway.region)
    });
    let found = page
        .items
        .into_iter()
        .find(|service| service.service_id == *id);
    found.ok_or_else(|| {
        if page.unreadable > 0 {
            // It may be the one that was asked for: it must not look missing.
            return GatewayError::Unknown {
                code: "UnreadableRow".to_owned(),
                message: format!("AWS's description of {id} could not be read"),
            };
        }
        GatewayError::NotFound {
            code: "NotListed".to_owned(),
            message: format!("AWS answered without {id}"),
        }
    })
}

/// `DescribeVpcEndpointServiceConfigurations`, one page.
pub(crate) async fn list(
    gateway: &AwsGateway,
    from: Option<&PageToken>,
) -> Result<Page<EndpointService>, GatewayError> {
    let answer = gateway
        .ec2
        .describe_vpc_endpoint_service_configurations()
        .max_results(PAGE_SIZE)
        .set_next_token(from.map(|token| token.0.clone()))
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    let rows = answer.service_configurations();
    let next = convert::next_page(answer.next_token(), from)?;
    Ok(convert::page(rows, next, |row| {
        convert::endpoint_service(row, &gateway.region)
    }))
}

/// `ModifyVpcEndpointServicePermissions`; without anything to add or remove, no call.
pub(crate) async fn modify_principals(
    gateway: &AwsGateway,
    id: &ServiceId,
    add: &[String],
    remove: &[String],
) -> Result<(), GatewayError> {
    if add.is_empty() && remove.is_empty() {
        return Ok(());
    }
    let answer = gateway
        .ec2
        .modify_vpc_endpoint_service_permissions()
        .service_id(id.as_str())
        .set_add_allowed_principals(some(add))
        .set_remove_allowed_principals(some(remove))
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    done(answer.return_value())
}

/// `DescribeVpcEndpointServicePermissions`, one page.
pub(crate) async fn principals(
    gateway: &AwsGateway,
    id: &ServiceId,
    from: Option<&PageToken>,
) -> Result<Page<AllowedPrincipal>, GatewayError> {
    let answer = gateway
        .ec2
        .describe_vpc_endpoint_service_permissions()
        .service_id(id.as_str())
        .max_results(PAGE_SIZE)
        .set_next_token(from.map(|token| token.0.clone()))
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    let next = convert::next_page(answer.next_token(), from)?;
    Ok(convert::page(
        answer.allowed_principals(),
        next,
        convert::allowed_principal,
    ))
}

/// `CreateTags` on a service. AWS answers with nothing but HTTP 200.
pub(crate) async fn set_tags(
    gateway: &AwsGateway,
    id: &ServiceId,
    tags: &[(String, String)],
) -> Result<(), GatewayError> {
    if tags.is_empty() {
        return Ok(());
    }
    let tags = tags
        .iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build());
    gateway
        .ec2
        .create_tags()
        .resources(id.as_str())
        .set_tags(Some(tags.collect()))
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    Ok(())
}

/// `DeleteTags` on a service, by key. Without keys no call: AWS would remove every tag.
pub(crate) async fn remove_tags(
    gateway: &AwsGateway,
    id: &ServiceId,
    keys: &[String],
) -> Result<(), GatewayError> {
    if keys.is_empty() {
        return Ok(());
    }
    let tags = keys.iter().map(|key| Tag::builder().key(key).build());
    gateway
        .ec2
        .delete_tags()
        .resources(id.as_str())
        .set_tags(Some(tags.collect()))
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    Ok(())
}

/// `StartVpcEndpointServicePrivateDnsVerification`.
pub(crate) async fn start_private_dns_verification(
    gateway: &AwsGateway,
    id: &ServiceId,
) -> Result<(), GatewayError> {
    let answer = gateway
        .ec2
        .start_vpc_endpoint_service_private_dns_verification()
        .service_id(id.as_str())
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    done(answer.return_value())
}

/// `ModifyVpcEndpointServicePayerResponsibility`. AWS takes one value and has no call to take it back.
pub(crate) async fn make_service_owner_pay(
    gateway: &AwsGateway,
    id: &ServiceId,
) -> Result<(), GatewayError> {
    let answer = gateway
        .ec2
        .modify_vpc_endpoint_service_payer_responsibility()
        .service_id(id.as_str())
        .payer_responsibility(PayerResponsibility::ServiceOwner)
        .send()
        .await
        .map_err(|error| from_sdk(&error))?;
    done(answer.return_value())
}

/// A list for a request. AWS knows no empty lists: they are not sent.
fn some<T: AsRef<str>, U: for<'a> From<&'a str>>(list: &[T]) -> Option<Vec<U>> {
    (!list.is_empty()).then(|| list.iter().map(|item| U::from(item.as_ref())).collect())
}

fn tag_specification(tags: &[(String, String)]) -> Option<Vec<TagSpecification>> {
    if tags.is_empty() {
        return None;
    }
    let tags = tags
        .iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build());
    let specification = TagSpecification::builder()
        .resource_type(ResourceType::VpcEndpointService)
        .set_tags(Some(tags.collect()))
        .build();
    Some(vec![specification])
}

/// Modify calls answer `<return>true</return>`. AWS documents no case of `false`, so it proves nothing either way.
fn done(answer: Option<bool>) -> Result<(), GatewayError> {
    if answer == Some(false) {
        return Err(bad_response("AWS answered a change with false"));
    }
    Ok(())
}

/// `DescribeVpcEndpointConnectionNotifications` of one service, all pages.
pub(crate) async fn notifications(
    gateway: &AwsGateway,
    id: &ServiceId,
) -> Result<Vec<ServiceNotification>, GatewayError> {
    let filter = Filter::builder().name("service-id").values(id.as_str());
    let rows = gateway
        .ec2
        .describe_vpc_endpoint_connection_notifications()
        .filters(filter.build())
        .into_paginator()
        .items()
        .send()
        .try_collect()
        .await
        .map_err(|error| from_sdk(&error))?;
    Ok(rows
        .iter()
        .filter_map(convert::service_notification)
        .collect())
}
