//! From the SDK's rows to the port's.
//!
//! In the SDK every member is optional. A row without what names it is skipped and logged: one odd row must not hide the
//! thousand others of its page. A missing detail takes the value that is safe to believe, said where it is chosen.

mod elb;

use std::fmt::Display;
use std::str::FromStr;

use aws_sdk_ec2::primitives::DateTime as AwsTime;
use aws_sdk_ec2::types as ec2;
use chrono::{DateTime, Utc};
use privatelink::{
    AllowedPrincipal, AvailabilityZone, Connection, ConnectionState, DnsEntry, EndpointService,
    GatewayError, ItemFailure, Page, PageToken, PrivateDnsName, Region, RemoteRegion,
    ServiceNotification, ServiceState,
};

use crate::errors::{bad_response, scrub};

pub(crate) use elb::{
    listener, listener_attributes, load_balancer, load_balancer_attributes, target_group,
    target_group_attributes, target_health,
};

/// What AWS gives at most per page of an EC2 listing; asking for more is clipped to it.
pub(crate) const PAGE_SIZE: i32 = 1000;

/// Region entries that are on their way out or never came: consumers cannot use them.
const NOT_SERVING: [&str; 4] = ["Closed", "Deleting", "Deleted", "Failed"];

/// One service; `None` (and a log line) when AWS did not name it properly.
pub(crate) fn endpoint_service(
    row: &ec2::ServiceConfiguration,
    home: &Region,
) -> Option<EndpointService> {
    Some(EndpointService {
        service_id: parsed("service id", row.service_id())?,
        service_name: named("service name", row.service_name())?,
        state: ServiceState::parse(row.service_state().map_or("", ec2::ServiceState::as_str)),
        // AWS's default; and to believe that a person decides lets nobody in.
        acceptance_required: row.acceptance_required().unwrap_or(true),
        network_load_balancer_arns: all_parsed(
            "load balancer ARN",
            row.network_load_balancer_arns(),
        ),
        availability_zones: row.availability_zones().to_vec(),
        availability_zone_ids: all_parsed("zone id", row.availability_zone_ids()),
        supported_ip_address_types: row
            .supported_ip_address_types()
            .iter()
            .map(|kind| kind.as_str().to_owned())
            .collect(),
        supported_regions: row
            .supported_regions()
            .iter()
            .filter(|entry| {
                entry
                    .service_state()
                    .is_none_or(|state| !NOT_SERVING.contains(&state))
            })
            .filter_map(ec2::SupportedRegionDetail::region)
            .filter(|region| *region != home.as_str())
            .map(str::to_owned)
            .collect(),
        remote_regions: row
            .supported_regions()
            .iter()
            .filter_map(|entry| {
                let region = entry.region().filter(|region| *region != home.as_str())?;
                Some(RemoteRegion {
                    region: region.to_owned(),
                    state: entry.service_state().map(str::to_owned),
                })
            })
            .collect(),
        base_endpoint_dns_names: row.base_endpoint_dns_names().to_vec(),
        private_dns_name: private_dns_name(row),
        tags: row
            .tags()
            .iter()
            .filter_map(|tag| {
                let value = tag.value().unwrap_or_default();
                tag.key().map(|key| (key.to_owned(), value.to_owned()))
            })
            .collect(),
        payer_responsibility: row
            .payer_responsibility()
            .map(|payer| payer.as_str().to_owned()),
    })
}

/// The configuration may be missing or empty right after a change, while the name is already there.
fn private_dns_name(row: &ec2::ServiceConfiguration) -> Option<PrivateDnsName> {
    let name = row.private_dns_name().filter(|name| !name.is_empty())?;
    let proof = row.private_dns_name_configuration();
    Some(PrivateDnsName {
        name: name.to_owned(),
        state: proof
            .and_then(|proof| proof.state())
            .map(|state| state.as_str().to_owned()),
        txt_name: proof.and_then(|proof| proof.name()).map(str::to_owned),
        txt_value: proof.and_then(|proof| proof.value()).map(str::to_owned),
    })
}

/// One permission; `None` when AWS left out whose.
pub(crate) fn allowed_principal(row: &ec2::AllowedPrincipal) -> Option<AllowedPrincipal> {
    Some(AllowedPrincipal {
        principal: named("principal", row.principal())?,
        principal_type: row.principal_type().map(|kind| kind.as_str().to_owned()),
        service_permission_id: row.service_permission_id().map(str::to_owned),
    })
}

/// One notification of a service; `None` when AWS left out its topic.
pub(crate) fn service_notification(
    row: &ec2::ConnectionNotification,
) -> Option<ServiceNotification> {
    Some(ServiceNotification {
        topic_arn: named("topic ARN", row.connection_notification_arn())?,
        events: row.connection_events().to_vec(),
        enabled: row
            .connection_notification_state()
            .is_none_or(|state| *state == ec2::ConnectionNotificationState::Enabled),
    })
}

/// One connection; `None` (and a log line) when AWS did not say properly whose it is or to what.
///
/// The state is read from the wire word. The SDK's enum is Pascal case, the wire is camel case: its variants never match.
pub(crate) fn connection(row: &ec2::VpcEndpointConnection, home: &Region) -> Option<Connection> {
    Some(Connection {
        service_id: parsed("service id", row.service_id())?,
        endpoint_id: parsed("endpoint id", row.vpc_endpoint_id())?,
        owner: parsed("endpoint owner", row.vpc_endpoint_owner())?,
        state: ConnectionState::parse(row.vpc_endpoint_state().map_or("", ec2::State::as_str)),
        created_at: row.creation_timestamp().and_then(time),
        connection_id: row.vpc_endpoint_connection_id().map(str::to_owned),
        endpoint_region: row
            .vpc_endpoint_region()
            .filter(|region| *region != home.as_str())
            .and_then(|region| parsed("endpoint Region", Some(region))),
        ip_address_type: row.ip_address_type().map(|kind| kind.as_str().to_owned()),
        dns_entries: row
            .dns_entries()
            .iter()
            .filter_map(|entry| {
                Some(DnsEntry {
                    dns_name: entry.dns_name()?.to_owned(),
                    hosted_zone_id: entry.hosted_zone_id().map(str::to_owned),
                })
            })
            .collect(),
    })
}

/// One entry of an `Unsuccessful` list. Any part may be missing, and the failure counts all the same.
pub(crate) fn item_failure(row: &ec2::UnsuccessfulItem) -> ItemFailure {
    let error = row.error();
    let code = error.and_then(|error| error.code());
    let message = error.and_then(|error| error.message());
    ItemFailure {
        resource_id: row.resource_id().map(str::to_owned),
        code: code.unwrap_or("Missing").to_owned(),
        message: scrub(message.unwrap_or_default()),
    }
}

/// One zone; `None` when AWS left out its name or id.
pub(crate) fn availability_zone(row: &ec2::AvailabilityZone) -> Option<AvailabilityZone> {
    Some(AvailabilityZone {
        name: named("zone name", row.zone_name())?,
        id: parsed("zone id", row.zone_id())?,
    })
}

/// A page of rows, with how many could not be read: those exist, so what such a page does not show proves nothing.
pub(crate) fn page<R, T>(
    rows: &[R],
    next: Option<PageToken>,
    convert: impl Fn(&R) -> Option<T>,
) -> Page<T> {
    let items: Vec<T> = rows.iter().filter_map(convert).collect();
    Page {
        unreadable: rows.len() - items.len(),
        items,
        next,
    }
}

/// Where the next page starts. Some listings end with an empty token instead of none. A token that repeats the one sent is an
/// error and no end: a listing that stops short and passes for complete would make connections look deleted.
pub(crate) fn next_page(
    token: Option<&str>,
    from: Option<&PageToken>,
) -> Result<Option<PageToken>, GatewayError> {
    match token {
        None | Some("") => Ok(None),
        Some(token) if from.is_some_and(|from| from.0 == token) => {
            Err(bad_response("AWS repeats the page token that it was sent"))
        }
        Some(token) => Ok(Some(PageToken(token.to_owned()))),
    }
}

fn time(at: &AwsTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.secs(), at.subsec_nanos())
}

/// A value that must be there and of the right shape.
fn parsed<T>(what: &str, raw: Option<&str>) -> Option<T>
where
    T: FromStr,
    T::Err: Display,
{
    match named(what, raw)?.parse() {
        Ok(value) => Some(value),
        Err(why) => {
            tracing::warn!(what, %why, "skipped what AWS sent in an unknown shape");
            None
        }
    }
}

/// A value that must be there.
fn named(what: &str, raw: Option<&str>) -> Option<String> {
    let value = raw.filter(|value| !value.is_empty());
    if value.is_none() {
        tracing::warn!(what, "skipped what AWS sent without a name");
    }
    value.map(str::to_owned)
}

fn all_parsed<T>(what: &str, raw: &[String]) -> Vec<T>
where
    T: FromStr,
    T::Err: Display,
{
    raw.iter()
        .filter_map(|value| parsed(what, Some(value)))
        .collect()
}

#[cfg(test)]
mod tests;
