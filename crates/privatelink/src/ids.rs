//! AWS identifiers as types, each checked by shape when it is made.
//!
//! The check is a safety rule, not tidiness: `DescribeVpcEndpointConnections` has no `ServiceId` parameter, only filters, and a
//! filter that is empty by accident means "every connection of every service in the Region". An id that parsed cannot be empty.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A string that is not the AWS identifier it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {expected}")]
pub struct InvalidId {
    /// What was given, cut to 128 characters.
    pub value: String,
    /// What the shape should have been, as a noun phrase.
    pub expected: &'static str,
}

macro_rules! aws_id {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// What the shape of this identifier is, as a noun phrase for messages.
            pub const EXPECTED: &'static str = $expected;

            /// The identifier as AWS writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(value: &str) -> Result<Self, InvalidId> {
                let check: fn(&str) -> bool = $check;
                if check(value) {
                    Ok(Self(value.to_owned()))
                } else {
                    Err(InvalidId { value: value.chars().take(128).collect(), expected: $expected })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(value: String) -> Result<Self, InvalidId> {
                value.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

aws_id!(
    /// An AWS account, 12 digits.
    AccountId,
    "a 12-digit AWS account id",
    |v| v.len() == 12 && v.bytes().all(|b| b.is_ascii_digit())
);

aws_id!(
    /// An AWS Region such as `eu-west-1` or `us-gov-west-1`.
    Region,
    "an AWS Region such as eu-west-1",
    is_region
);

aws_id!(
    /// A VPC endpoint service: `vpce-svc-` and 8 to 17 hexadecimal digits.
    ServiceId,
    "a VPC endpoint service id (vpce-svc- and 8 to 17 hexadecimal digits)",
    |v| v.strip_prefix("vpce-svc-").is_some_and(is_hex_tail)
);

aws_id!(
    /// A VPC endpoint, which is also how AWS names the connection it makes: `vpce-` and 8 to 17 hexadecimal digits.
    VpcEndpointId,
    "a VPC endpoint id (vpce- and 8 to 17 hexadecimal digits)",
    |v| v.strip_prefix("vpce-").is_some_and(is_hex_tail)
);

aws_id!(
    /// A load balancer of any type, by ARN. [`LoadBalancerArn::is_network`] tells the types apart.
    LoadBalancerArn,
    "a load balancer ARN (arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/net/NAME/ID)",
    is_load_balancer_arn
);

aws_id!(
    /// An Availability Zone id such as `use1-az1`: the same zone in every account, unlike the shuffled zone names.
    AvailabilityZoneId,
    "an Availability Zone id such as use1-az1",
    |v| v.split_once("-az").is_some_and(|(head, tail)| {
        !head.is_empty()
            && head.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !tail.is_empty()
            && tail.bytes().all(|b| b.is_ascii_digit())
    })
);

impl LoadBalancerArn {
    /// The Region in the ARN.
    pub fn region(&self) -> &str {
        self.0.split(':').nth(3).unwrap_or_default()
    }

    /// The account in the ARN.
    pub fn account(&self) -> &str {
        self.0.split(':').nth(4).unwrap_or_default()
    }

    /// Whether the ARN is a Network Load Balancer's (`loadbalancer/net/…`).
    pub fn is_network(&self) -> bool {
        self.0
            .split(':')
            .nth(5)
            .is_some_and(|r| r.starts_with("loadbalancer/net/"))
    }
}

fn is_hex_tail(tail: &str) -> bool {
    (8..=17).contains(&tail.len())
        && tail
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_region(value: &str) -> bool {
    let mut parts = value.split('-').collect::<Vec<_>>();
    let Some(number) = parts.pop() else {
        return false;
    };
    value.len() <= 32
        && (2..=4).contains(&parts.len())
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
        && parts
            .iter()
            .all(|p| p.len() >= 2 && p.bytes().all(|b| b.is_ascii_lowercase()))
}

fn is_load_balancer_arn(value: &str) -> bool {
    let parts: Vec<&str> = value.split(':').collect();
    let [arn, partition, service, region, account, resource] = parts.as_slice() else {
        return false;
    };
    let resource: Vec<&str> = resource.split('/').collect();
    let [kind, family, name, id] = resource.as_slice() else {
        return false;
    };
    *arn == "arn"
        && (*partition == "aws" || partition.starts_with("aws-"))
        && *service == "elasticloadbalancing"
        && is_region(region)
        && account.parse::<AccountId>().is_ok()
        && *kind == "loadbalancer"
        && matches!(*family, "net" | "app" | "gwy")
        && (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && id.len() == 16
        && id.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_the_documented_shapes_are_taken() {
        assert!("123456789012".parse::<AccountId>().is_ok());
        for region in [
            "eu-west-1",
            "us-gov-west-1",
            "ap-southeast-2",
            "me-central-1",
        ] {
            assert!(region.parse::<Region>().is_ok(), "{region}");
        }
        assert!("vpce-svc-0123456789abcdef0".parse::<ServiceId>().is_ok());
        assert!("vpce-0123abcd".parse::<VpcEndpointId>().is_ok());
        assert!("use1-az12".parse::<AvailabilityZoneId>().is_ok());
        assert!("usw2-lax1-az1".parse::<AvailabilityZoneId>().is_ok());
    }

    #[test]
    fn what_would_widen_a_filter_is_refused() {
        for bad in [
            "",
            "*",
            "vpce-svc-",
            "vpce-svc-*",
            "vpce-svc-0123456?",
            "vpce-svc-0123456789ABCDEF0",
        ] {
            assert!(bad.parse::<ServiceId>().is_err(), "{bad:?}");
        }
        for bad in [
            "",
            "vpce-",
            "vpce-svc-0123456789abcdef0",
            "vpce-0123456789abcdef01",
        ] {
            assert!(bad.parse::<VpcEndpointId>().is_err(), "{bad:?}");
        }
        for bad in ["", "eu", "eu-west", "EU-west-1", "eu-west-1 ", "eu--1"] {
            assert!(bad.parse::<Region>().is_err(), "{bad:?}");
        }
        assert!(
            "١٢٣٤٥٦٧٨٩٠١٢".parse::<AccountId>().is_err(),
            "digits of other scripts"
        );
    }

    #[test]
    fn a_load_balancer_arn_tells_its_type_region_and_account() {
        let arn: LoadBalancerArn =
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/edge/0123456789abcdef"
                .parse()
                .unwrap();
        assert_eq!(
            (arn.region(), arn.account(), arn.is_network()),
            ("eu-west-1", "123456789012", true)
        );
        let alb: LoadBalancerArn =
            "arn:aws-cn:elasticloadbalancing:cn-north-1:123456789012:loadbalancer/app/edge/0123456789abcdef"
                .parse()
                .unwrap();
        assert!(!alb.is_network());
        for bad in [
            "",
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/edge/0123456789abcdef",
            "arn:aws:elasticloadbalancing::123456789012:loadbalancer/net/edge/0123456789abcdef",
            "arn:aws:elasticloadbalancing:eu-west-1:1234:loadbalancer/net/edge/0123456789abcdef",
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/edge",
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/a:b/0123456789abcdef",
        ] {
            assert!(bad.parse::<LoadBalancerArn>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_was_expected() {
        let refusal = "12345".parse::<AccountId>().unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "\"12345\" is not a 12-digit AWS account id"
        );
    }
}
