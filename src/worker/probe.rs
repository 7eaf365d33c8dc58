//! Reads what the doctor needs: load balancers, listeners, targets, zones, notifications. A read that is refused becomes part of the facts, so
//! one missing permission hides what needs it and nothing else.
//!
//! ELBv2 lets an account make ten reads a second in a Region, for all its services. So descriptions come twenty at a time, and what hardly
//! ever changes (attributes, zones, notifications) is carried over from the look before until it is old, and read in bounded portions.

use chrono::{DateTime, Utc};
use privatelink::{
    GatewayError, LoadBalancer, LoadBalancerArn, PrivateLink, ServiceId, TargetHealth,
};

use crate::domain::doctor::Facts;
use crate::domain::doctor::facts::{
    BalancerFacts, GroupFacts, ListenerFacts, Read, Refusal, RefusalKind, TargetCount,
};

/// How many listeners and target groups have their attributes read in one look. The rest follows soon.
const MOST_ATTRIBUTES: usize = 30;

/// What is to be looked at.
pub(super) struct Ask<'a> {
    /// The load balancers.
    pub(super) arns: &'a [LoadBalancerArn],
    /// The service, where AWS has it.
    pub(super) service: Option<&'a ServiceId>,
    /// What the last look saw.
    pub(super) before: Option<&'a Facts>,
    /// What hardly ever changes is read again unless it was read at this time or later; `None` for all of it, whatever that takes.
    pub(super) since: Option<DateTime<Utc>>,
    /// The time.
    pub(super) now: DateTime<Utc>,
}

impl Ask<'_> {
    fn keeps<T>(&self, known: &Read<T>) -> bool {
        self.since.is_some_and(|since| known.is_as_new_as(since))
    }
}

/// What was seen.
pub(super) struct Seen {
    pub(super) facts: Facts,
    /// Whether some attributes are left for the next look.
    pub(super) unfinished: bool,
}

/// Reads everything. Only an unknown outcome or throttling ends it early: then nothing should be concluded at all.
pub(super) async fn look(gateway: &dyn PrivateLink, ask: &Ask<'_>) -> Result<Seen, GatewayError> {
    let mut probe = Probe {
        gateway,
        ask,
        left: if ask.since.is_some() {
            MOST_ATTRIBUTES
        } else {
            usize::MAX
        },
        unfinished: false,
    };
    let zones = match ask.before.map(|before| &before.zones) {
        Some(known) if ask.keeps(known) => known.clone(),
        _ => {
            let call = gateway.availability_zones().await;
            probe.told("ec2:DescribeAvailabilityZones", call)?
        }
    };
    let notifications = probe.notifications().await?;
    let mut balancers = Vec::with_capacity(ask.arns.len());
    for (arn, balancer) in probe.descriptions().await? {
        balancers.push(probe.balancer(arn, balancer).await?);
    }
    Ok(Seen {
        facts: Facts {
            balancers,
            zones,
            notifications,
        },
        unfinished: probe.unfinished,
    })
}

/// A look under way.
struct Probe<'a> {
    gateway: &'a dyn PrivateLink,
    ask: &'a Ask<'a>,
    /// Attributes that may still be read in this look.
    left: usize,
    unfinished: bool,
}

impl<'a> Probe<'a> {
    /// Splits what AWS told (a value, or a definite refusal by code) from what it did not.
    fn told<T>(
        &self,
        action: &str,
        result: Result<T, GatewayError>,
    ) -> Result<Read<T>, GatewayError> {
        let error = match result {
            Ok(value) => {
                let at = self.ask.now;
                return Ok(Read::Told { at, value });
            }
            Err(error) => error,
        };
        let kind = match &error {
            GatewayError::NotFound { .. } => RefusalKind::NotFound,
            GatewayError::Denied { .. } => RefusalKind::Denied,
            GatewayError::Invalid { .. } => RefusalKind::Invalid,
            GatewayError::Busy { .. } | GatewayError::Unknown { .. } => return Err(error),
        };
        Ok(Read::Refused(Refusal {
            kind,
            action: action.to_owned(),
            code: error.code().to_owned(),
        }))
    }

    async fn notifications(
        &self,
    ) -> Result<Read<Vec<privatelink::ServiceNotification>>, GatewayError> {
        let Some(service) = self.ask.service else {
            return Ok(Read::NotYet);
        };
        match self.ask.before.map(|before| &before.notifications) {
            Some(known) if self.ask.keeps(known) => Ok(known.clone()),
            _ => {
                let call = self.gateway.service_notifications(service).await;
                self.told("ec2:DescribeVpcEndpointConnectionNotifications", call)
            }
        }
    }

    /// Every load balancer with its description, as few calls as can be.
    async fn descriptions(
        &self,
    ) -> Result<Vec<(&'a LoadBalancerArn, Read<LoadBalancer>)>, GatewayError> {
        let mut all = Vec::with_capacity(self.ask.arns.len());
        for asked in self.ask.arns.chunks(LoadBalancer::MOST_IN_ONE_CALL) {
            let together = self.describe(asked).await?;
            // One that does not exist fails the call for all: then each is asked for alone.
            if together.is_not_found() && asked.len() > 1 {
                for arn in asked {
                    let alone = self.describe(std::slice::from_ref(arn)).await?;
                    all.push((arn, one(alone, arn)));
                }
            } else {
                all.extend(asked.iter().map(|arn| (arn, one(together.clone(), arn))));
            }
        }
        Ok(all)
    }

    async fn describe(
        &self,
        arns: &[LoadBalancerArn],
    ) -> Result<Read<Vec<LoadBalancer>>, GatewayError> {
        let call = self.gateway.load_balancers(arns).await;
        self.told(DESCRIBE, call)
    }

    /// What is behind one load balancer. One that was not described is not asked about any further.
    async fn balancer(
        &mut self,
        arn: &LoadBalancerArn,
        balancer: Read<LoadBalancer>,
    ) -> Result<BalancerFacts, GatewayError> {
        let before = self.ask.before.and_then(|before| {
            let mut all = before.balancers.iter();
            all.find(|known| known.arn == arn.as_str())
        });
        let mut facts = BalancerFacts {
            arn: arn.to_string(),
            balancer,
            attributes: Read::NotYet,
            listeners: Read::NotYet,
            groups: Read::NotYet,
        };
        if facts.balancer.told().is_none() {
            return Ok(facts);
        }
        facts.attributes = match before.map(|known| &known.attributes) {
            Some(known) if self.ask.keeps(known) => known.clone(),
            _ => {
                let call = self.gateway.load_balancer_attributes(arn).await;
                self.told("elasticloadbalancing:DescribeLoadBalancerAttributes", call)?
            }
        };
        facts.listeners = self.listeners(arn, before).await?;
        facts.groups = self.groups(arn, before).await?;
        Ok(facts)
    }

    async fn listeners(
        &mut self,
        arn: &LoadBalancerArn,
        before: Option<&BalancerFacts>,
    ) -> Result<Read<Vec<ListenerFacts>>, GatewayError> {
        let call = self.gateway.listeners(arn).await;
        let (at, listeners) = match self.told("elasticloadbalancing:DescribeListeners", call)? {
            Read::Told { at, value } => (at, value),
            Read::Refused(refusal) => return Ok(Read::Refused(refusal)),
            Read::NotYet => return Ok(Read::NotYet),
        };
        let known = before.and_then(|b| b.listeners.told());
        let mut value = Vec::with_capacity(listeners.len());
        for listener in listeners {
            let mut known = known.into_iter().flatten();
            let known = known.find(|k| k.listener.arn == listener.arn);
            let known = known.map_or(Read::NotYet, |k| k.attributes.clone());
            let attributes = if self.may_keep(&known) {
                known
            } else {
                let call = self.gateway.listener_attributes(&listener.arn).await;
                self.told("elasticloadbalancing:DescribeListenerAttributes", call)?
            };
            value.push(ListenerFacts {
                listener,
                attributes,
            });
        }
        Ok(Read::Told { at, value })
    }

    async fn groups(
        &mut self,
        arn: &LoadBalancerArn,
        before: Option<&BalancerFacts>,
    ) -> Result<Read<Vec<GroupFacts>>, GatewayError> {
        let call = self.gateway.target_groups(arn).await;
        let (at, groups) = match self.told("elasticloadbalancing:DescribeTargetGroups", call)? {
            Read::Told { at, value } => (at, value),
            Read::Refused(refusal) => return Ok(Read::Refused(refusal)),
            Read::NotYet => return Ok(Read::NotYet),
        };
        let known = before.and_then(|b| b.groups.told());
        let mut value = Vec::with_capacity(groups.len());
        for group in groups {
            let mut known = known.into_iter().flatten();
            let known = known.find(|k| k.group.arn == group.arn);
            let known = known.map_or(Read::NotYet, |k| k.attributes.clone());
            let attributes = if self.may_keep(&known) {
                known
            } else {
                let call = self.gateway.target_group_attributes(&group.arn).await;
                self.told("elasticloadbalancing:DescribeTargetGroupAttributes", call)?
            };
            let call = self.gateway.target_health(&group.arn).await;
            let call = call.map(|targets: Vec<TargetHealth>| TargetCount::of(&targets));
            let health = self.told("elasticloadbalancing:DescribeTargetHealth", call)?;
            value.push(GroupFacts {
                group,
                attributes,
                health,
            });
        }
        Ok(Read::Told { at, value })
    }

    /// Whether what is known of some attributes will do for this look: it is new enough, or this look has read as many as it may.
    fn may_keep<T>(&mut self, known: &Read<T>) -> bool {
        if self.ask.keeps(known) {
            return true;
        }
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return false;
        }
        self.unfinished = true;
        true
    }
}

const DESCRIBE: &str = "elasticloadbalancing:DescribeLoadBalancers";

/// One load balancer of an answer about several.
fn one(read: Read<Vec<LoadBalancer>>, arn: &LoadBalancerArn) -> Read<LoadBalancer> {
    match read {
        Read::Told { at, value } => match value.into_iter().find(|found| found.arn == *arn) {
            Some(value) => Read::Told { at, value },
            None => Read::Refused(Refusal {
                kind: RefusalKind::NotFound,
                action: DESCRIBE.to_owned(),
                code: "NotListed".to_owned(),
            }),
        },
        Read::Refused(refusal) => Read::Refused(refusal),
        Read::NotYet => Read::NotYet,
    }
}
