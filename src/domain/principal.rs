//! Allowed principals: what AWS takes, normalised before the call, and refused with the reason where AWS would refuse or do harm.

use privatelink::{AccountId, Region};

use super::block::account_of;
use super::service_plan::EVERYBODY;

/// Why a principal is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrincipal {
    /// AWS takes IAM identities, not sessions.
    #[error("{0:?} is an STS session; give the IAM role's ARN instead")]
    Session(String),
    /// AWS does not support paths in principals.
    #[error("{0:?} has a path, which AWS does not support here; give the ARN without it")]
    Path(String),
    /// Anything else.
    #[error(
        "{0:?} is not an allowed principal: give a 12-digit account id, arn:aws:iam::ACCOUNT:root, \
         arn:aws:iam::ACCOUNT:role/NAME, arn:aws:iam::ACCOUNT:user/NAME, or *"
    )]
    Shape(String),
}

/// Brings a principal to the form AWS stores: an IAM ARN or `*`. A bare account id becomes the account's root.
pub fn normalise(given: &str) -> Result<String, InvalidPrincipal> {
    let shown = || given.chars().take(128).collect::<String>();
    if given == "*" {
        return Ok(given.to_owned());
    }
    if given.parse::<AccountId>().is_ok() {
        return Ok(format!("arn:aws:iam::{given}:root"));
    }
    let parts: Vec<&str> = given.splitn(6, ':').collect();
    let ["arn", partition, service, "", account, resource] = parts.as_slice() else {
        return Err(InvalidPrincipal::Shape(shown()));
    };
    if *service == "sts" {
        return Err(InvalidPrincipal::Session(shown()));
    }
    let well_formed = (*partition == "aws" || partition.starts_with("aws-"))
        && *service == "iam"
        && account.parse::<AccountId>().is_ok();
    if !well_formed {
        return Err(InvalidPrincipal::Shape(shown()));
    }
    if *resource == "root" {
        return Ok(given.to_owned());
    }
    match resource.split('/').collect::<Vec<_>>().as_slice() {
        ["role" | "user", name] if is_iam_name(name) => Ok(given.to_owned()),
        ["role" | "user", _, .., _] => Err(InvalidPrincipal::Path(shown())),
        _ => Err(InvalidPrincipal::Shape(shown())),
    }
}

/// The principal that lets a whole account in, in the partition of the Region that the service lives in: no account reaches across partitions.
pub fn root_of(account: &AccountId, region: &Region) -> String {
    let region = region.as_str();
    let partition = match region.split('-').next().unwrap_or_default() {
        "cn" => "aws-cn",
        "eusc" => "aws-eusc",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ if region.starts_with("us-iso-") => "aws-iso",
        _ if region.starts_with("us-isob-") => "aws-iso-b",
        _ if region.starts_with("eu-isoe-") => "aws-iso-e",
        _ if region.starts_with("us-isof-") => "aws-iso-f",
        _ => "aws",
    };
    format!("arn:{partition}:iam::{account}:root")
}

/// Which of these principals lets an account in, and by which: the whole account before one of its roles or users, and those before everybody.
pub fn admitting<'a>(principals: &'a [String], account: &AccountId) -> Option<&'a str> {
    let rank = |principal: &&str| match account_of(principal) {
        Some(_) if principal.ends_with(":root") => 0,
        Some(_) => 1,
        None => 2,
    };
    principals
        .iter()
        .map(String::as_str)
        .filter(|principal| match account_of(principal) {
            Some(owner) => owner == account.as_str(),
            None => *principal == EVERYBODY,
        })
        .min_by_key(rank)
}

/// A principal as AWS shows it, in the form that [`normalise`] gives: a bare account becomes its root, everything else stays.
pub fn canonical(shown: &str) -> String {
    if shown.parse::<AccountId>().is_ok() {
        return format!("arn:aws:iam::{shown}:root");
    }
    shown.to_owned()
}

fn is_iam_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_id_becomes_its_root() {
        assert_eq!(
            normalise("123456789012").as_deref(),
            Ok("arn:aws:iam::123456789012:root")
        );
    }

    #[test]
    fn a_bare_account_that_aws_shows_is_its_root_and_all_else_stays() {
        assert_eq!(
            Ok(canonical("123456789012")),
            normalise("123456789012"),
            "one principal, however it is written"
        );
        for shown in ["*", "arn:aws:iam::123456789012:role/a/path", "else"] {
            assert_eq!(canonical(shown), shown);
        }
    }

    #[test]
    fn a_root_is_in_the_partition_of_its_region() {
        let account: AccountId = "123456789012".parse().unwrap();
        for (region, partition) in [
            ("eu-west-1", "aws"),
            ("us-east-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
        ] {
            let root = root_of(&account, &region.parse().unwrap());
            assert_eq!(root, format!("arn:{partition}:iam::123456789012:root"));
            assert_eq!(normalise(&root).as_deref(), Ok(root.as_str()));
        }
    }

    #[test]
    fn an_account_comes_in_by_the_principal_that_says_most() {
        let account: AccountId = "123456789012".parse().unwrap();
        let list = |all: &[&str]| all.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        let role = "arn:aws:iam::123456789012:role/edge";
        let root = "arn:aws:iam::123456789012:root";
        let other = "arn:aws:iam::999999999999:root";
        for (principals, by) in [
            (vec!["*", role, root, other], Some(root)),
            (vec!["*", role], Some(role)),
            (vec![other, "*"], Some("*")),
            (vec![other], None),
            (vec![], None),
        ] {
            let principals = list(&principals);
            assert_eq!(admitting(&principals, &account), by, "{principals:?}");
        }
    }

    #[test]
    fn arns_that_aws_takes_stay_as_they_are() {
        for principal in [
            "*",
            "arn:aws:iam::123456789012:root",
            "arn:aws-us-gov:iam::123456789012:role/edge",
            "arn:aws:iam::123456789012:user/ann@example.com",
        ] {
            assert_eq!(normalise(principal).as_deref(), Ok(principal));
        }
    }

    #[test]
    fn sessions_paths_and_junk_are_refused_each_with_its_reason() {
        let session = "arn:aws:sts::123456789012:assumed-role/edge/me";
        assert!(matches!(
            normalise(session),
            Err(InvalidPrincipal::Session(_))
        ));
        let path = "arn:aws:iam::123456789012:role/team/edge";
        assert!(matches!(normalise(path), Err(InvalidPrincipal::Path(_))));
        for junk in [
            "",
            "**",
            "arn:aws:iam::1234:root",
            "arn:aws:s3:::bucket",
            "arn:aws:iam::123456789012:group/x",
        ] {
            assert!(
                matches!(normalise(junk), Err(InvalidPrincipal::Shape(_))),
                "{junk}"
            );
        }
    }
}
