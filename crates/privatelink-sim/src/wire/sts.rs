//! STS on the wire: who am I, and let me be somebody else.

use super::params::Params;
use super::time;
use super::xml::Xml;
use crate::AwsError;
use crate::api::Api;
use crate::world::identity::AssumeRole;
use crate::world::{Caller, World};

type Action = fn(&mut World, &Caller, &Params<'_>) -> Result<String, AwsError>;

/// Every action that is simulated.
const ACTIONS: &[(&str, Action)] = &[
    ("AssumeRole", assume_role),
    ("GetCallerIdentity", caller_identity),
];

/// The names of all of them.
pub(super) fn actions() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|(name, _)| *name)
}

pub(super) fn answer(
    action: &str,
    world: &mut World,
    me: &Caller,
    params: &Params<'_>,
) -> Result<String, AwsError> {
    match ACTIONS.iter().find(|(name, _)| *name == action) {
        Some((_, act)) => act(world, me, params),
        None => Err(super::unknown_action(Api::Sts, action)),
    }
}

fn caller_identity(_: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    p.finish()?;
    Ok(Xml::fragment(|xml| {
        xml.leaf("Arn", &me.identity.arn);
        xml.leaf("UserId", &me.identity.user_id);
        xml.leaf("Account", &me.account);
    }))
}

/// What narrows or marks a session; the simulator enforces none of it.
const SESSION: [&str; 4] = ["Policy", "PolicyArns", "Tags", "TransitiveTagKeys"];

fn assume_role(world: &mut World, me: &Caller, p: &Params<'_>) -> Result<String, AwsError> {
    p.not_modelled(&[
        "SerialNumber",
        "TokenCode",
        "ProvidedContexts",
        "MinimumSessionTokenSize",
    ])?;
    if world.behavior.accept_session_policies {
        p.ignore(&SESSION);
    } else {
        p.not_modelled(&SESSION)?;
    }
    let request = AssumeRole {
        role_arn: p.required("RoleArn")?,
        session_name: p.required("RoleSessionName")?,
        external_id: p.text("ExternalId"),
        duration_seconds: p.number("DurationSeconds")?.unwrap_or(3_600),
        source_identity: p.text("SourceIdentity"),
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
        xml.optional("SourceIdentity", role.identity.source_identity);
    }))
}
