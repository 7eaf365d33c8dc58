//! Regions and Availability Zones on the wire.

use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::select::Tags;
use crate::world::{Caller, World};

pub(super) fn regions(world: &mut World, _me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (names, filters) = (p.list("RegionName")?, p.filters()?);
    p.flag("AllRegions")?;
    p.finish_ec2()?;
    filters.check(&["endpoint", "opt-in-status", "region-name"])?;
    let known: Vec<String> = world.regions().iter().map(ToString::to_string).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(AwsError::bad_value("RegionName", unknown));
    }
    let rows = known
        .into_iter()
        .filter(|region| names.is_empty() || names.contains(region))
        .filter(|region| {
            filters.allow(&Tags::new(), |name| match name {
                "endpoint" => vec![endpoint(region)],
                "opt-in-status" => vec!["opt-in-not-required".to_owned()],
                _ => vec![region.clone()],
            })
        });
    Ok(Xml::fragment(|xml| {
        xml.items("regionInfo", rows, |xml, region| {
            xml.leaf("regionName", &region);
            xml.leaf("regionEndpoint", endpoint(&region));
            xml.leaf("optInStatus", "opt-in-not-required");
        });
    }))
}

fn endpoint(region: &str) -> String {
    format!("ec2.{region}.amazonaws.com")
}

pub(super) fn availability_zones(
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    let (names, ids, filters) = (p.list("ZoneName")?, p.list("ZoneId")?, p.filters()?);
    p.flag("AllAvailabilityZones")?;
    p.finish_ec2()?;
    filters.check(&[
        "group-name",
        "message",
        "opt-in-status",
        "parent-zone-id",
        "parent-zone-name",
        "region-name",
        "state",
        "zone-id",
        "zone-name",
        "zone-type",
    ])?;
    let zones = world.zones(&me.account, &me.region);
    let unknown = names
        .iter()
        .find(|name| !zones.iter().any(|zone| zone.name == **name))
        .or_else(|| {
            ids.iter()
                .find(|id| !zones.iter().any(|zone| zone.id.as_str() == *id))
        });
    if let Some(unknown) = unknown {
        return Err(AwsError::bad_value("ZoneName", unknown));
    }
    let rows = zones
        .into_iter()
        .filter(|zone| names.is_empty() || names.contains(&zone.name))
        .filter(|zone| ids.is_empty() || ids.iter().any(|id| zone.id.as_str() == id))
        .filter(|zone| {
            filters.allow(&Tags::new(), |name| match name {
                "zone-id" => vec![zone.id.to_string()],
                "zone-name" => vec![zone.name.clone()],
                "region-name" | "group-name" => vec![me.region.to_string()],
                "state" => vec!["available".to_owned()],
                "zone-type" => vec!["availability-zone".to_owned()],
                "message" | "parent-zone-id" | "parent-zone-name" => Vec::new(),
                _ => vec!["opt-in-not-required".to_owned()],
            })
        });
    Ok(Xml::fragment(|xml| {
        xml.items("availabilityZoneInfo", rows, |xml, zone| {
            xml.leaf("optInStatus", "opt-in-not-required");
            xml.node("messageSet", |_| {});
            xml.leaf("regionName", &me.region);
            xml.leaf("zoneName", &zone.name);
            xml.leaf("zoneId", &zone.id);
            xml.leaf("groupName", &me.region);
            xml.leaf("networkBorderGroup", &me.region);
            xml.leaf("zoneType", "availability-zone");
            xml.leaf("zoneState", "available");
        });
    }))
}
