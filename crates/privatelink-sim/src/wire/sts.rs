//! STS on the wire: who am I, and let me be somebody else.

use super::params::Params;
use super::time;
use super::xml::Xml;
use crate::AwsError;
use crate::api::Api;
use crate::world::identity::AssumeRole;
use crate::world::{Caller, World};

pub(super) fn answer(
    action: &str,
    world: &mut World,
    me: &Caller,
    p: &Params<'_>,
) -> Result<String, AwsError> {
    match action {
        "GetCallerIdentity" => {
            p.finish()?;
            Ok(Xml::fragment(|xml| {
                xml.leaf("Arn", &me.identity.arn);
                xml.leaf("UserId", &me.identity.user_id);
                xml.leaf("Account", &me.account);
            }))
        }
        "AssumeRole" => assume_role(world, me, p),
        other => Err(super::unknown_action(Api::Sts, other)),
    }
}

fn assume_role(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    p.not_modelled(&["SerialNumber", "TokenCode", "ProvidedContexts"])?;
    // They narrow what the session may do; the simulator lets every session do everything.
    p.ignore(&[
        "Policy",
        "PolicyArns",
        "Tags",
        "TransitiveTagKeys",
        "SourceIdentity",
    ]);
    let request = AssumeRole {
        role_arn: p.required("RoleArn")?,
        session_name: p.required("RoleSessionName")?,
        external_id: p.text("ExternalId"),
        duration_seconds: p.number("DurationSeconds")?.unwrap_or(3_600),
    };
    p.finish()?;
    let role = world.assume_role(me, &request)?;
    Ok(Xml::fragment(|xml| {
        xml.node("Credentials", |xml| {
            xml.leaf("AccessKeyId", &role.access_key_id);
            xml.leaf("SecretAccessKey", &role.secret_access_key);
            xml.leaf("SessionToken", &role.session_token);
            xml.leaf("Expiration", time(role.expires_at));
        });
        xml.node("AssumedRoleUser", |xml| {
            xml.leaf("AssumedRoleId", &role.identity.user_id);
            xml.leaf("Arn", &role.identity.arn);
        });
    }))
}
