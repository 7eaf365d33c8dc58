//! Changes what is desired of a registered service. The worker brings AWS in step.

mod load_balancers;
mod name_and_payer;

use std::collections::{BTreeMap, HashSet};

use privatelink::{LoadBalancerArn, Region};
use serde_json::{Map, Value, json};

use super::admission::may_change;
use super::code::Code;
use super::preconditions::ExpectedVersion;
use super::principals::{has_everybody, normalised_principals, refuse_everybody};
use super::settle_service_drift::settle_by_change;
use super::{AppContext, AppError, held_principals, sold_services, text};
use crate::domain::actor::Actor;
use crate::domain::endpoint_service::{Origin, RegisteredService, WantedName};
use crate::domain::ids::EndpointServiceId;
use crate::domain::judgement::Wake;
use crate::store::access_reach::{self, Without};
use crate::store::audit::{self, Entry, Subject};
use crate::store::judge_wakes;
use crate::store::{endpoint_services, service_changes};

/// The most tags that may be asked for. AWS keeps 50 on a resource, and two of them may be ours.
const MOST_TAGS: usize = 40;
/// The most principals, before and after together, that an audit entry shows whole.
const MOST_SHOWN: usize = 200;
/// The most Regions that may be named; AWS has fewer.
const MOST_REGIONS: usize = 60;

/// A member that may be left out, given as null, or given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Member {
    /// Left out: it stays as it is.
    #[default]
    Absent,
    /// Null.
    Null,
    /// A value.
    Value(String),
}

/// What to change. Absent members stay as they are.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each confirms a thing of its own, and is named after it"
)]
pub struct ServiceChange {
    /// The version that the caller has read.
    pub version: ExpectedVersion,
    /// What people call it.
    pub name: Option<String>,
    /// Whether each connection has to be accepted.
    pub acceptance_required: Option<bool>,
    /// Principals that may connect, all of them.
    pub allowed_principals: Option<Vec<String>>,
    /// `ipv4`, `ipv6`.
    pub supported_ip_address_types: Option<Vec<String>>,
    /// The other Regions that consumers may connect from, all of them.
    pub supported_regions: Option<Vec<String>>,
    /// Tags, all of them.
    pub tags: Option<BTreeMap<String, String>>,
    /// Whether it is meant that everybody with an AWS account may connect unasked.
    pub confirm_open_to_everybody: bool,
    /// Whether it is meant that accounts lose their principal although an agreement in force stands on it.
    pub confirm_principals_of_agreements: bool,
    /// Why.
    pub reason: Option<String>,
    /// The Network Load Balancers behind it, all of them.
    pub load_balancer_arns: Option<Vec<LoadBalancerArn>>,
    /// Whether it is meant that the load balancers listen differently.
    pub confirm_listeners_differ: bool,
    /// The private DNS name; null takes it away.
    pub private_dns_name: Member,
    /// Whether it is meant that the private DNS name goes.
    pub confirm_remove_private_dns_name: bool,
    /// Who pays for the endpoints: `ServiceOwner`; null asks for the endpoints' owners, which AWS cannot go back to.
    pub payer_responsibility: Member,
    /// Whether it is meant that the owner pays for ever.
    pub confirm_payer_irreversible: bool,
}

/// A service that was changed.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The service.
    pub service: RegisteredService,
    /// Where the change names principals: how many live connections are of accounts that none of them lets in. They keep their access;
    /// [`super::end_access`] takes it away too.
    pub without_principal: Option<i64>,
}

/// Records the change with its audit entry and makes it due. A change that changes nothing makes AWS agree again with what is desired.
#[tracing::instrument(skip_all, fields(service.id = %id))]
pub async fn change_service(
    ctx: &AppContext,
    actor: &Actor,
    id: EndpointServiceId,
    change: ServiceChange,
) -> Result<Changed, AppError> {
    let names_principals = change.allowed_principals.is_some();
    let knows_agreements = change.confirm_principals_of_agreements;
    let reason = change
        .reason
        .as_deref()
        .map(|reason| text::checked("reason", reason, super::decide_connection::LONGEST_REASON))
        .transpose()?;
    let at = ctx.clock.now();
    let missing = || AppError::new(Code::ServiceNotFound, format!("there is no service {id}"));
    let mut tx = ctx.begin().await?;
    service_changes::lock(&mut tx, id).await?;
    let before = endpoint_services::by_id(&mut tx, id)
        .await?
        .ok_or_else(missing)?;
    may_change(&before)?;
    change.version.check(before.version, Code::ServiceChanged)?;
    let desired = applied(before.clone(), change)?;
    load_balancers::refuse_taken(&mut tx, &before, &desired).await?;
    sold_services::refuse_everybody(&mut tx, &before, &desired.allowed_principals)
        .await
        .map_err(|refusal| refusal.field("allowed_principals"))?;
    let left_out = held_principals::left_out(&before, &desired);
    let held = held_principals::confirm(&mut tx, &left_out, knows_agreements).await?;
    if !service_changes::record_desired(&mut tx, &desired, at).await? {
        return Err(AppError::internal("the service changed under its own lock"));
    }
    let why = reason.as_deref().unwrap_or("the service was changed");
    settle_by_change(&mut tx, actor, &desired, why, at).await?;
    let (old, mut new) = differences(&before, &desired);
    if let Some(agreements) = held_principals::on_record(&held) {
        new["principals_of_agreements"] = agreements;
    }
    let entry = Entry {
        at,
        actor,
        action: "endpoint_service.change",
        subject: Subject::EndpointService(id),
        before: Some(old),
        after: Some(new),
        reason: reason.as_deref(),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    judge_wakes::wake(&mut tx, &Wake::Service(id), at).await?;
    let after = endpoint_services::by_id(&mut tx, id)
        .await?
        .ok_or_else(missing)?;
    let without_principal = if names_principals {
        let without = Without {
            services: &[id],
            account: None,
            gone: &[],
        };
        let counts = access_reach::counts(&mut tx, without).await?;
        Some(counts.iter().map(|row| row.losing).sum())
    } else {
        None
    };
    ctx.commit(tx).await?;
    Ok(Changed {
        service: after,
        without_principal,
    })
}

/// The service as it shall be, every member checked.
fn applied(
    mut service: RegisteredService,
    change: ServiceChange,
) -> Result<RegisteredService, AppError> {
    if let Some(name) = change.name {
        service.name = text::checked_line("name", &name, 128)?;
    }
    if let Some(required) = change.acceptance_required {
        if service.origin == Origin::Adopted && service.observed.is_none() {
            let detail = "its own setting is taken over when it is first read from AWS; change it after that";
            return Err(
                AppError::new(Code::ServiceNotObserved, detail).field("acceptance_required")
            );
        }
        service.acceptance_required = required;
    }
    if let Some(principals) = change.allowed_principals {
        service.allowed_principals = normalised_principals(&principals)?;
    }
    let opens = !service.acceptance_required && has_everybody(&service.allowed_principals);
    if opens && !change.confirm_open_to_everybody && !service.open_to_everybody {
        refuse_everybody(&service.allowed_principals)?;
    }
    service.open_to_everybody = opens;
    if let Some(types) = change.supported_ip_address_types {
        service.supported_ip_address_types = Some(checked_types(types)?);
    }
    if let Some(regions) = change.supported_regions {
        service.supported_regions = Some(checked_regions(regions, &service.region)?);
    }
    if let Some(tags) = change.tags {
        check_tags(&tags)?;
        service.tags = tags;
    }
    if let Some(arns) = change.load_balancer_arns {
        service = load_balancers::replaced(service, arns, change.confirm_listeners_differ)?;
    } else if change.confirm_listeners_differ {
        service.listeners_may_differ = true;
    }
    if change.private_dns_name != Member::Absent {
        service.private_dns_name = name_and_payer::wanted_name(
            &service,
            change.private_dns_name,
            change.confirm_remove_private_dns_name,
        )?;
    }
    if change.payer_responsibility != Member::Absent {
        service.service_owner_pays = name_and_payer::owner_pays(
            &service,
            &change.payer_responsibility,
            change.confirm_payer_irreversible,
        )?;
    }
    Ok(service)
}

fn checked_types(mut types: Vec<String>) -> Result<Vec<String>, AppError> {
    let field = "supported_ip_address_types";
    types.sort();
    types.dedup();
    if types.is_empty() || types.iter().any(|kind| kind != "ipv4" && kind != "ipv6") {
        let detail = "give ipv4, ipv6 or both";
        return Err(AppError::new(Code::InvalidRequest, detail).field(field));
    }
    Ok(types)
}

/// The other Regions. The service's own is implied and refused by AWS, so it is left out.
fn checked_regions(mut regions: Vec<String>, home: &Region) -> Result<Vec<String>, AppError> {
    let refuse = |field: String, detail: String| {
        Err(AppError::new(Code::InvalidRequest, detail).field(field))
    };
    if regions.len() > MOST_REGIONS {
        let detail = format!("give at most {MOST_REGIONS} Regions");
        return refuse("supported_regions".to_owned(), detail);
    }
    for (index, region) in regions.iter().enumerate() {
        if let Err(invalid) = region.parse::<Region>() {
            return refuse(format!("supported_regions[{index}]"), invalid.to_string());
        }
    }
    regions.retain(|region| region != home.as_str());
    regions.sort();
    regions.dedup();
    Ok(regions)
}

/// Refuses what AWS would refuse, and the prefix that is ours.
fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), AppError> {
    let refuse = |detail: String| Err(AppError::new(Code::InvalidRequest, detail).field("tags"));
    if tags.len() > MOST_TAGS {
        return refuse(format!("give at most {MOST_TAGS} tags, not {}", tags.len()));
    }
    for (key, value) in tags {
        let shown: String = key.chars().take(128).collect();
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return refuse(format!(
                "{shown:?}: a key has 1 to 128 characters and a value at most 256"
            ));
        }
        if key.starts_with("aws:") || key.starts_with("portcullis:") {
            return refuse(format!(
                "{shown:?}: keys that begin with aws: or portcullis: are reserved"
            ));
        }
        if key.chars().chain(value.chars()).any(char::is_control) {
            return refuse(format!(
                "{shown:?}: control characters are not allowed in tags"
            ));
        }
    }
    Ok(())
}

/// The private DNS name that the service has as far as anybody said: what is left to AWS is what AWS shows.
fn named(service: &RegisteredService) -> Option<&str> {
    match &service.private_dns_name {
        WantedName::AsItIs => {
            let seen = service.observed.as_ref()?;
            seen.service
                .private_dns_name
                .as_ref()
                .map(|dns| dns.name.as_str())
        }
        WantedName::Absent => None,
        WantedName::Name(name) => Some(name),
    }
}

/// The members that differ, as they were and as they are, with the versions.
///
/// Of many principals only those are shown that came and went.
pub(super) fn differences(before: &RegisteredService, after: &RegisteredService) -> (Value, Value) {
    let members = |service: &RegisteredService| {
        [
            ("name", json!(service.name)),
            ("acceptance_required", json!(service.acceptance_required)),
            ("allowed_principals", json!(service.allowed_principals)),
            (
                "supported_ip_address_types",
                json!(service.supported_ip_address_types),
            ),
            ("supported_regions", json!(service.supported_regions)),
            ("tags", json!(service.tags)),
            ("open_to_everybody", json!(service.open_to_everybody)),
            ("load_balancer_arns", json!(service.load_balancer_arns)),
            ("listeners_may_differ", json!(service.listeners_may_differ)),
            ("private_dns_name", json!(named(service))),
            ("service_owner_pays", json!(service.service_owner_pays)),
        ]
    };
    let mut old = Map::from_iter([("version".to_owned(), json!(before.version))]);
    let mut new = Map::from_iter([("version".to_owned(), json!(before.version + 1))]);
    for ((name, was), (_, is)) in members(before).into_iter().zip(members(after)) {
        if was != is {
            old.insert(name.to_owned(), was);
            new.insert(name.to_owned(), is);
        }
    }
    let (was, is) = (&before.allowed_principals, &after.allowed_principals);
    if was != is && was.len() + is.len() > MOST_SHOWN {
        // Lists as long as this would make an entry of megabytes out of one word.
        old.remove("allowed_principals");
        new.remove("allowed_principals");
        let without = |all: &[String], those: &[String]| -> Value {
            let those: HashSet<&String> = those.iter().collect();
            let rest = all.iter().filter(|one| !those.contains(one));
            rest.cloned().collect()
        };
        old.insert("allowed_principals_removed".to_owned(), without(was, is));
        new.insert("allowed_principals_added".to_owned(), without(is, was));
    }
    (old.into(), new.into())
}
