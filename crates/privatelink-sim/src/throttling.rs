//! Token buckets, one per action, account and Region, as EC2 keeps them; ELBv2 has them by kind of action.
//!
//! The sizes of [`Throttling::AwsDefaults`] are the ones AWS's API throttling pages give for new accounts. They are off
//! unless asked for, so that a test is slow only when it wants to be.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use privatelink::{AccountId, Region};
use serde::{Deserialize, Serialize};

use crate::AwsError;
use crate::api::{Api, Call};
use crate::wire;

/// Which calls are throttled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Throttling {
    /// None, unless a fault says so.
    #[default]
    Off,
    /// All of EC2 and ELBv2, with the buckets of a new AWS account.
    AwsDefaults,
    /// EC2 and ELBv2 by these rules; the first that fits counts, and what fits none is not throttled.
    Custom(Vec<Rule>),
}

/// The bucket of some actions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The action, with `*` and `?` as in filters. Each action that fits has a bucket of its own.
    pub action: String,
    /// Tokens in a full bucket; each call takes one.
    pub burst: u32,
    /// Tokens that come back in a minute.
    pub per_minute: u32,
}

/// A token has so many parts: one comes back per microsecond for each token per minute.
const PARTS: u64 = 60_000_000;

/// What is left in the buckets. Not part of a snapshot: a restored world starts with full ones.
#[derive(Debug, Clone, Default)]
pub struct Buckets(BTreeMap<(AccountId, Region, String), Bucket>);

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// In parts of a token, see [`PARTS`].
    level: u64,
    at: DateTime<Utc>,
}

impl Buckets {
    /// Takes a token for a call, or refuses it in the words of its service.
    pub(crate) fn take(
        &mut self,
        throttling: &Throttling,
        call: &Call,
        now: DateTime<Utc>,
    ) -> Result<(), AwsError> {
        // A made-up action is refused anyway, and must not leave a bucket behind.
        if *throttling == Throttling::Off || !wire::knows(call.api, &call.action) {
            return Ok(());
        }
        let Some((name, burst, per_minute)) = throttling.bucket(call) else {
            return Ok(());
        };
        let full = u64::from(burst) * PARTS;
        let key = (call.account.clone(), call.region.clone(), name);
        let bucket = self.0.entry(key).or_insert(Bucket {
            level: full,
            at: now,
        });
        let passed = (now - bucket.at).num_microseconds().unwrap_or(i64::MAX);
        let passed = u64::try_from(passed).unwrap_or(0);
        let refill = passed.saturating_mul(u64::from(per_minute));
        bucket.level = bucket.level.saturating_add(refill).min(full);
        bucket.at = now;
        bucket.level = bucket
            .level
            .checked_sub(PARTS)
            .ok_or_else(|| call.api.throttled())?;
        Ok(())
    }
}

impl Throttling {
    /// Why the rules make no sense.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self::Custom(rules) = self else {
            return Ok(());
        };
        for rule in rules {
            let pattern = &rule.action;
            let throttled = [Api::Ec2, Api::Elb].into_iter().flat_map(wire::actions);
            if !throttled
                .into_iter()
                .any(|name| crate::world::select::matches(pattern, name))
            {
                return Err(format!(
                    "throttling: action {pattern} is none of those of EC2 and ELBv2 that are simulated"
                ));
            }
            if rule.burst == 0 {
                return Err(format!(
                    "throttling: burst 0 lets no call of {pattern} through; plan a fault for that"
                ));
            }
        }
        Ok(())
    }

    /// The bucket of a call: its name, its size and its refill.
    fn bucket(&self, call: &Call) -> Option<(String, u32, u32)> {
        let action = call.action.as_str();
        match (self, call.api) {
            (Self::AwsDefaults, Api::Ec2) => {
                let all = call.unfiltered && action.starts_with("Describe");
                let (burst, per_minute) = if all {
                    UNFILTERED
                } else {
                    ec2(action, call.is_read())
                };
                let kind = if all { "ec2 all" } else { "ec2" };
                Some((format!("{kind} {action}"), burst, per_minute))
            }
            (Self::AwsDefaults, Api::Elb) => {
                let (name, burst, per_minute) = elb(action, call.is_read());
                Some((format!("elb {name}"), burst, per_minute))
            }
            (Self::Custom(rules), Api::Ec2 | Api::Elb) => rules
                .iter()
                .find(|rule| crate::world::select::matches(&rule.action, action))
                .map(|rule| (action.to_owned(), rule.burst, rule.per_minute)),
            // Switched off, or a service whose buckets AWS does not describe.
            _ => None,
        }
    }
}

/// Descriptions of everything at once. AWS says of a subset of them that they have a smaller bucket, not of which.
const UNFILTERED: (u32, u32) = (50, 600);

fn ec2(action: &str, read: bool) -> (u32, u32) {
    match action {
        "AcceptVpcEndpointConnections"
        | "RejectVpcEndpointConnections"
        | "CreateVpcEndpointServiceConfiguration"
        | "ModifyVpcEndpointServiceConfiguration"
        | "DeleteVpcEndpointServiceConfigurations"
        | "CreateVpcEndpointConnectionNotification"
        | "ModifyVpcEndpointConnectionNotification"
        | "DeleteVpcEndpointConnectionNotifications" => (10, 60),
        "CreateVpcEndpoint" | "ModifyVpcEndpoint" | "DeleteVpcEndpoints" => (4, 18),
        _ if read => (100, 1_200),
        _ => (50, 300),
    }
}

fn elb(action: &str, read: bool) -> (&'static str, u32, u32) {
    match action {
        "CreateLoadBalancer" | "SetSubnets" => ("intensive", 10, 12),
        "RegisterTargets" | "DeregisterTargets" => ("targets", 20, 240),
        _ if read => ("read", 40, 600),
        _ => ("change", 20, 180),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::later;

    const START: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn call(api: Api, action: &str, account: &str) -> Call {
        Call {
            api,
            action: action.to_owned(),
            account: account.parse().unwrap(),
            region: "eu-west-1".parse().unwrap(),
            ids: Vec::new(),
            unfiltered: false,
        }
    }

    fn granted(buckets: &mut Buckets, rules: &Throttling, call: &Call, at: DateTime<Utc>) -> usize {
        (0..1_000)
            .take_while(|_| buckets.take(rules, call, at).is_ok())
            .count()
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_refill() {
        let (mut buckets, rules) = (Buckets::default(), Throttling::AwsDefaults);
        let accept = call(Api::Ec2, "AcceptVpcEndpointConnections", "111111111111");
        assert_eq!(granted(&mut buckets, &rules, &accept, START), 10);
        assert_eq!(granted(&mut buckets, &rules, &accept, later(START, 999)), 0);
        assert_eq!(
            granted(&mut buckets, &rules, &accept, later(START, 3_000)),
            3
        );
        let much_later = later(START, 3_600_000);
        assert_eq!(granted(&mut buckets, &rules, &accept, much_later), 10);
        let error = buckets.take(&rules, &accept, much_later).unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.status),
            ("RequestLimitExceeded", 503)
        );
    }

    #[test]
    fn actions_and_accounts_do_not_share_a_bucket() {
        let (mut buckets, rules) = (Buckets::default(), Throttling::AwsDefaults);
        for (action, account, burst) in [
            ("AcceptVpcEndpointConnections", "111111111111", 10),
            ("RejectVpcEndpointConnections", "111111111111", 10),
            ("AcceptVpcEndpointConnections", "222222222222", 10),
            ("CreateVpcEndpoint", "222222222222", 4),
            ("DescribeVpcEndpointConnections", "111111111111", 100),
            ("CreateTags", "111111111111", 50),
        ] {
            let call = call(Api::Ec2, action, account);
            assert_eq!(
                granted(&mut buckets, &rules, &call, START),
                burst,
                "{action}"
            );
        }
    }

    #[test]
    fn a_description_of_everything_has_a_smaller_bucket_of_its_own() {
        let (mut buckets, rules) = (Buckets::default(), Throttling::AwsDefaults);
        let some = call(Api::Ec2, "DescribeVpcEndpointConnections", "111111111111");
        let all = Call {
            unfiltered: true,
            ..some.clone()
        };
        assert_eq!(granted(&mut buckets, &rules, &all, START), 50);
        assert_eq!(granted(&mut buckets, &rules, &all, later(START, 1_000)), 10);
        assert_eq!(granted(&mut buckets, &rules, &some, START), 100);
        let accept = Call {
            action: "AcceptVpcEndpointConnections".to_owned(),
            ..all
        };
        assert_eq!(granted(&mut buckets, &rules, &accept, START), 10);
    }

    #[test]
    fn every_simulated_action_of_ec2_and_elbv2_has_a_bucket() {
        for api in [Api::Ec2, Api::Elb] {
            for action in crate::wire::actions(api) {
                let call = call(api, action, "111111111111");
                let bucket = Throttling::AwsDefaults.bucket(&call);
                let (_, burst, per_minute) = bucket.unwrap();
                assert!((4..=100).contains(&burst), "{action}");
                assert!((12..=1_200).contains(&per_minute), "{action}");
            }
        }
    }

    #[test]
    fn load_balancer_actions_share_buckets_by_kind_and_say_throttling() {
        let (mut buckets, rules) = (Buckets::default(), Throttling::AwsDefaults);
        let first = call(Api::Elb, "DescribeListeners", "111111111111");
        let second = call(Api::Elb, "DescribeTargetHealth", "111111111111");
        assert_eq!(granted(&mut buckets, &rules, &first, START), 40);
        let error = buckets.take(&rules, &second, START).unwrap_err();
        assert_eq!((error.code.as_str(), error.status), ("Throttling", 400));
    }

    #[test]
    fn own_rules_throttle_what_they_name_and_off_throttles_nothing() {
        let rules = Throttling::Custom(vec![Rule {
            action: "Describe*".to_owned(),
            burst: 2,
            per_minute: 60,
        }]);
        let mut buckets = Buckets::default();
        let read = call(Api::Ec2, "DescribeVpcs", "111111111111");
        let write = call(Api::Ec2, "CreateVpc", "111111111111");
        assert_eq!(granted(&mut buckets, &rules, &read, START), 2);
        assert_eq!(granted(&mut buckets, &rules, &write, START), 1_000);
        assert_eq!(granted(&mut buckets, &Throttling::Off, &read, START), 1_000);
    }

    #[test]
    fn the_switch_reads_from_json() {
        let read = |text: &str| serde_json::from_str::<Throttling>(text).unwrap();
        assert_eq!(read("\"aws_defaults\""), Throttling::AwsDefaults);
        let custom = read(r#"{"custom":[{"action":"*","burst":1,"per_minute":30}]}"#);
        assert!(matches!(custom, Throttling::Custom(rules) if rules.len() == 1));
    }
}
