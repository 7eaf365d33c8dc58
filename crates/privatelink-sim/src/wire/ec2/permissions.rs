//! Allowed principals on the wire. Two of the three plural list names in the EC2 endpoint actions are here.

use super::write_tags;
use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::principals::{Grant, PERMISSION_TYPE};
use crate::world::{Caller, World};

pub(super) fn modify(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let id = p.required("ServiceId")?;
    check_type(p)?;
    let (add, remove) = (
        p.list("AddAllowedPrincipals")?,
        p.list("RemoveAllowedPrincipals")?,
    );
    p.finish_ec2()?;
    let added = world.modify_principals(me, &id, &add, &remove)?;
    Ok(Xml::fragment(|xml| {
        xml.items("addedPrincipalSet", &added, |xml, grant| {
            write(xml, grant, &id);
        });
        xml.leaf("return", true);
    }))
}

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let id = p.required("ServiceId")?;
    let (filters, paging) = (p.filters()?, p.paging(5)?);
    p.finish_ec2()?;
    let (_, page) = world.principals(me, &id, &filters, &paging)?;
    Ok(Xml::fragment(|xml| {
        xml.items("allowedPrincipals", &page.items, |xml, grant| {
            write(xml, grant, &id);
            write_tags(xml, &grant.tags);
        });
        xml.optional("nextToken", page.next);
    }))
}

fn write(xml: &mut Xml, grant: &Grant, service: &str) {
    xml.leaf("principalType", &grant.kind);
    xml.leaf("principal", &grant.principal);
    xml.leaf("servicePermissionId", &grant.id);
    xml.leaf("serviceId", service);
    xml.leaf("permissionType", PERMISSION_TYPE);
}

/// Transit gateway attachments are not modelled, so neither are permissions for them.
fn check_type(p: &Params<'_>) -> Result<(), AwsError> {
    match p.text("PermissionType").as_deref() {
        None | Some(PERMISSION_TYPE) => Ok(()),
        Some("transit-gateway-attachment") => Err(AwsError::not_modelled(
            "The PermissionType transit-gateway-attachment",
        )),
        Some(other) => Err(AwsError::bad_value("PermissionType", other)),
    }
}
