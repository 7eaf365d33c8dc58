//! Who may discover an endpoint service and create endpoints to it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use privatelink::{Region, ServiceId};
use serde::{Deserialize, Serialize};

use super::identity::Identity;
use super::select::{Filters, Listed, Paging, Tags};
use super::{Caller, World, later, regions};
use crate::AwsError;

/// What every grant is for; AWS's other type is for transit gateway attachments.
pub(crate) const PERMISSION_TYPE: &str = "vpc-endpoint";

/// One grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// `vpce-svc-perm-…`: the handle that takes tags.
    pub id: String,
    /// The ARN, `*`, or an AWS service's name.
    pub principal: String,
    /// `All`, `Service`, `Account`, `User` or `Role`.
    pub kind: String,
    /// The provider's tags on the grant.
    pub tags: Tags,
    /// From when it lets anybody in; at once when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_force_at: Option<DateTime<Utc>>,
}

impl Grant {
    fn is_in_force(&self, at: DateTime<Utc>) -> bool {
        self.in_force_at.is_none_or(|from| at >= from)
    }
}

/// All grants of a service, by principal.
pub type Grants = BTreeMap<String, Grant>;

/// Whether any grant lets this identity in.
pub fn permits(grants: &Grants, caller: &Caller) -> bool {
    let everybody = grants
        .get("*")
        .is_some_and(|grant| grant.is_in_force(caller.now));
    everybody || permits_any(grants, &names_of(caller), caller.now)
}

/// Whether any of these principals is granted at a moment. `*` does not count: a service granted to everybody is not listed unless asked
/// for by name.
pub fn permits_any(grants: &Grants, names: &[String], at: DateTime<Utc>) -> bool {
    names
        .iter()
        .filter_map(|name| grants.get(name))
        .any(|grant| grant.is_in_force(at))
}

/// The principals that a caller is: its account, itself, and its role.
pub fn names_of(caller: &Caller) -> Vec<String> {
    let role = caller.identity.role_arn.as_ref();
    [
        Identity::root(&caller.account, &caller.region).arn,
        caller.identity.arn.clone(),
    ]
    .into_iter()
    .chain(role.map(|arn| without_path(arn)))
    .collect()
}

/// Grants name a role without its path, so the caller's ARN loses its path before they are compared.
fn without_path(arn: &str) -> String {
    match (arn.split_once(":role/"), arn.rsplit('/').next()) {
        (Some((head, _)), Some(name)) => format!("{head}:role/{name}"),
        _ => arn.to_owned(),
    }
}

/// The kind of a principal, or why it is none. ARNs with a path and STS ARNs are refused, as by AWS.
pub fn kind_of(principal: &str, region: &Region) -> Result<&'static str, AwsError> {
    let invalid = |why: &str| {
        let shown: String = principal.chars().take(256).collect();
        AwsError::new(
            "InvalidPrincipal",
            format!("Invalid principal '{shown}': {why}"),
        )
    };
    if principal == "*" {
        return Ok("All");
    }
    if principal
        .strip_suffix(".amazonaws.com")
        .is_some_and(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
        })
    {
        return Ok("Service");
    }
    let parts: Vec<&str> = principal.splitn(6, ':').collect();
    let ["arn", partition, service, "", account, resource] = parts.as_slice() else {
        return Err(invalid("it is not an IAM ARN"));
    };
    if *partition != regions::partition(region) {
        return Err(invalid("it is of another partition"));
    }
    if *service != "iam" {
        return Err(invalid("only IAM principals are supported"));
    }
    if account.parse::<privatelink::AccountId>().is_err() {
        return Err(invalid("the account id has 12 digits"));
    }
    match resource.split('/').collect::<Vec<_>>().as_slice() {
        ["root"] => Ok("Account"),
        ["user", name] if !name.is_empty() => Ok("User"),
        ["role", name] if !name.is_empty() => Ok("Role"),
        ["user" | "role", ..] => Err(invalid("ARNs with a path are not supported")),
        _ => Err(AwsError::new(
            "UnknownPrincipalType.Unsupported",
            format!("The principal type of '{principal}' is not supported"),
        )),
    }
}

impl World {
    /// Adds and removes principals; answers with the grants that are new. Adding what is there and removing what is not
    /// there are successes. Connections that exist are not touched.
    pub fn modify_principals(
        &mut self,
        caller: &Caller,
        service: &str,
        add: &[String],
        remove: &[String],
    ) -> Result<Vec<Grant>, AwsError> {
        let id = self.own_service(caller, service)?.id.clone();
        let delay = self.behavior.permission_propagation_ms;
        let in_force_at = (delay > 0).then(|| later(caller.now, delay));
        let mut added = Vec::new();
        for principal in add {
            let kind = kind_of(principal, &caller.region)?;
            added.push(Grant {
                id: self.ids.ec2("vpce-svc-perm-"),
                principal: principal.clone(),
                kind: kind.to_owned(),
                tags: Tags::new(),
                in_force_at,
            });
        }
        let service = self.own_service_mut(caller, id.as_str())?;
        let removed: Vec<Grant> = remove
            .iter()
            .filter_map(|principal| service.grants.remove(principal))
            .collect();
        added.retain(|grant| !service.grants.contains_key(&grant.principal));
        for grant in &added {
            service
                .grants
                .insert(grant.principal.clone(), grant.clone());
        }
        let index = self.index();
        for grant in &removed {
            index.remove_grant(&grant.id);
        }
        for grant in &added {
            index.add_grant(&id, &grant.id);
        }
        Ok(added)
    }

    /// Lists the principals of a service.
    pub fn principals(
        &mut self,
        caller: &Caller,
        service: &str,
        filters: &Filters,
        paging: &Paging,
    ) -> Result<(ServiceId, Listed<Grant>), AwsError> {
        filters.check(&["permission-type", "principal", "principal-type"])?;
        let limit = self.behavior.page_size_limit;
        let service = self.own_service(caller, service)?;
        let listing = format!("permissions {}", service.id);
        let after = paging.after(&listing)?;
        let rows = service.grants.iter().filter(|(principal, grant)| {
            after.as_ref().is_none_or(|last| *principal > last)
                && filters.allow(&grant.tags, |name| match name {
                    "permission-type" => vec![PERMISSION_TYPE.to_owned()],
                    "principal" => vec![grant.principal.clone()],
                    "principal-type" => vec![grant.kind.clone()],
                    _ => Vec::new(),
                })
        });
        let page = paging.take(&listing, limit, rows).map(Clone::clone);
        Ok((service.id.clone(), page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testing::{
        CONSUMER, PROVIDER, after, caller, load_balancer, new_endpoint, service, world,
    };

    #[test]
    fn principals_are_sorted_into_kinds() {
        let region: Region = "eu-west-1".parse().unwrap();
        for (principal, kind) in [
            ("*", "All"),
            ("arn:aws:iam::111111111111:root", "Account"),
            ("arn:aws:iam::111111111111:role/app", "Role"),
            ("arn:aws:iam::111111111111:user/eve", "User"),
            ("vpc-lattice.amazonaws.com", "Service"),
        ] {
            assert_eq!(kind_of(principal, &region).unwrap(), kind);
        }
        for (principal, code) in [
            ("", "InvalidPrincipal"),
            ("111111111111", "InvalidPrincipal"),
            (
                "arn:aws:iam::111111111111:role/team/app",
                "InvalidPrincipal",
            ),
            (
                "arn:aws:sts::111111111111:assumed-role/app/me",
                "InvalidPrincipal",
            ),
            ("arn:aws-cn:iam::111111111111:root", "InvalidPrincipal"),
            ("arn:aws:iam::1111:root", "InvalidPrincipal"),
            (
                "arn:aws:iam::111111111111:group/x",
                "UnknownPrincipalType.Unsupported",
            ),
        ] {
            assert_eq!(
                kind_of(principal, &region).unwrap_err().code,
                code,
                "{principal}"
            );
        }
    }

    #[test]
    fn adding_twice_and_removing_the_absent_are_successes() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let lb = load_balancer(&mut world, &me, "edge");
        let id = service(&mut world, &me, &lb, true);
        let root = format!("arn:aws:iam::{CONSUMER}:root");
        let mut modify = |add: &[String], remove: &[String]| {
            world
                .modify_principals(&me, id.as_str(), add, remove)
                .unwrap()
                .len()
        };
        assert_eq!(modify(std::slice::from_ref(&root), &[]), 1);
        assert_eq!(modify(std::slice::from_ref(&root), &[]), 0);
        modify(&[], std::slice::from_ref(&root));
        modify(&[], &[root]);
        let (_, page) = world
            .principals(&me, id.as_str(), &Filters::default(), &Paging::default())
            .unwrap();
        assert!(page.items.is_empty());
    }

    #[test]
    fn a_grant_takes_its_time_to_let_its_principal_in() {
        let (mut world, me, consumer) = (world(), caller(PROVIDER), caller(CONSUMER));
        world.behavior.permission_propagation_ms = 1_000;
        let lb = load_balancer(&mut world, &me, "edge");
        let id = service(&mut world, &me, &lb, true);
        for principal in ["*".to_owned(), format!("arn:aws:iam::{CONSUMER}:root")] {
            let one = std::slice::from_ref(&principal);
            world.modify_principals(&me, id.as_str(), one, &[]).unwrap();
            let new = new_endpoint(&mut world, &consumer, &id);
            let error = world.create_endpoint(&consumer, &new, None).unwrap_err();
            assert_eq!(error.code, "InvalidServiceName", "{principal}");
            let (_, page) = world
                .principals(&me, id.as_str(), &Filters::default(), &Paging::default())
                .unwrap();
            assert_eq!(page.items.len(), 1, "its owner sees it at once");
            let then = after(&consumer, 1_000);
            world.create_endpoint(&then, &new, None).unwrap();
            world.modify_principals(&me, id.as_str(), &[], one).unwrap();
            assert!(world.create_endpoint(&then, &new, None).is_err());
        }
    }

    #[test]
    fn one_bad_principal_changes_nothing() {
        let (mut world, me) = (world(), caller(PROVIDER));
        let lb = load_balancer(&mut world, &me, "edge");
        let id = service(&mut world, &me, &lb, true);
        let add = ["*".to_owned(), "nonsense".to_owned()];
        let error = world
            .modify_principals(&me, id.as_str(), &add, &[])
            .unwrap_err();
        assert_eq!(error.code, "InvalidPrincipal");
        assert!(
            world
                .own_service(&me, id.as_str())
                .unwrap()
                .grants
                .is_empty()
        );
    }

    #[test]
    fn a_role_grant_lets_in_the_role_and_not_its_account() {
        let role = "arn:aws:iam::222222222222:role/app".to_owned();
        let grant = Grant {
            id: "g".into(),
            principal: role.clone(),
            kind: "Role".into(),
            tags: Tags::new(),
            in_force_at: None,
        };
        let grants = Grants::from([(role, grant)]);
        let mut me = caller(CONSUMER);
        assert!(!permits(&grants, &me));
        me.identity.role_arn = Some("arn:aws:iam::222222222222:role/team/app".into());
        assert!(permits(&grants, &me));
    }
}
