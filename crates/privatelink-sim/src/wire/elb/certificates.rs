//! Certificates of listeners on the wire.

use crate::AwsError;
use crate::wire::params::Params;
use crate::wire::xml::Xml;
use crate::world::{Caller, World};

pub(super) fn add(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (listener, arns) = (p.required("ListenerArn")?, read(p)?);
    p.finish()?;
    world.add_certificates(me, &listener, &arns)?;
    Ok(Xml::fragment(|xml| {
        xml.members("Certificates", &arns, |xml, arn| {
            xml.leaf("CertificateArn", arn);
            xml.leaf("IsDefault", false);
        });
    }))
}

pub(super) fn remove(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let (listener, arns) = (p.required("ListenerArn")?, read(p)?);
    p.finish()?;
    world.remove_certificates(me, &listener, &arns)?;
    Ok(String::new())
}

pub(super) fn describe(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    let listener = p.required("ListenerArn")?;
    let rows = world.certificates(me, &listener)?;
    let limit = world.behavior.page_size_limit;
    let page = super::page(
        p,
        "DescribeListenerCertificates",
        limit,
        rows,
        // The default certificate first.
        |(arn, default)| format!("{} {arn}", u8::from(!default)),
    )?;
    p.finish()?;
    Ok(Xml::fragment(|xml| {
        xml.members("Certificates", &page.items, |xml, (arn, default)| {
            xml.leaf("CertificateArn", arn);
            xml.leaf("IsDefault", default);
        });
        xml.optional("NextMarker", page.next);
    }))
}

fn read(p: &Params<'_>) -> Result<Vec<String>, AwsError> {
    let arns = p.member_structures("Certificates")?.into_iter();
    let arns = arns.map(|certificate| {
        let arn = read_one(&certificate)?;
        certificate.finish()?;
        Ok(arn)
    });
    let arns: Vec<String> = arns.collect::<Result<_, AwsError>>()?;
    if arns.is_empty() {
        return Err(AwsError::missing("Certificates"));
    }
    Ok(arns)
}

/// The ARN of one certificate. Requests do not say which one is the default.
pub(super) fn read_one(certificate: &Params<'_>) -> Result<String, AwsError> {
    if certificate.text("IsDefault").is_some() {
        return Err(AwsError::new(
            "ValidationError",
            "IsDefault cannot be set in a request",
        ));
    }
    certificate.required("CertificateArn")
}
