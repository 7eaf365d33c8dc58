//! What was read of AWS about a service's surroundings, bounded in size and kept as JSON: the doctor answers from it.

use chrono::{DateTime, Utc};
use privatelink::{
    AvailabilityZone, AvailabilityZoneId, Listener, ListenerAttributes, LoadBalancer,
    LoadBalancerAttributes, ServiceNotification, TargetGroup, TargetGroupAttributes, TargetHealth,
    TargetState,
};
use serde::{Deserialize, Serialize};

/// How AWS refused to tell something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// The role may not ask.
    Denied,
    /// There is no such thing.
    NotFound,
    /// Anything else that another try would not mend.
    Invalid,
}

/// A question that AWS refused to answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// How.
    pub kind: RefusalKind,
    /// The IAM action that allows the question.
    pub action: String,
    /// AWS's code.
    pub code: String,
}

/// An answer of AWS, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Read<T> {
    /// AWS told.
    Told {
        /// When the question was asked.
        at: DateTime<Utc>,
        /// The answer.
        value: T,
    },
    /// AWS refused.
    Refused(Refusal),
    /// Not asked yet: a service with very many listeners is read in parts.
    NotYet,
}

impl<T> Read<T> {
    /// The answer, if there is one.
    pub fn told(&self) -> Option<&T> {
        match self {
            Self::Told { value, .. } => Some(value),
            Self::Refused(_) | Self::NotYet => None,
        }
    }

    /// Whether it was told at this time or later, so that there is no need to ask again.
    pub fn is_as_new_as(&self, since: DateTime<Utc>) -> bool {
        matches!(self, Self::Told { at, .. } if *at >= since)
    }

    /// Whether AWS knows no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.kind == RefusalKind::NotFound)
    }

    /// A denial, as tests need it.
    #[cfg(test)]
    pub(crate) fn denied(action: &str) -> Self {
        Self::Refused(Refusal {
            kind: RefusalKind::Denied,
            action: action.to_owned(),
            code: "AccessDenied".to_owned(),
        })
    }
}

/// A listener with its attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerFacts {
    /// The listener.
    pub listener: Listener,
    /// Its attributes.
    pub attributes: Read<ListenerAttributes>,
}

impl ListenerFacts {
    /// Protocol and port, as people write them.
    pub fn label(&self) -> String {
        format!("{} {}", self.listener.protocol, self.listener.port)
    }
}

/// How many targets of a group are in one zone, in one state, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TargetCount {
    /// The zone by its name in the provider's account; absent for targets that belong to all of them.
    pub zone: Option<String>,
    /// AWS's word.
    pub state: String,
    /// AWS's reason code.
    pub reason: Option<String>,
    /// How many.
    pub count: u32,
}

impl TargetCount {
    /// Counts targets. There may be thousands of them, and hardly a dozen counts.
    pub fn of(targets: &[TargetHealth]) -> Vec<Self> {
        let mut counts: Vec<Self> = Vec::new();
        for target in targets {
            let zone = target.availability_zone.as_deref().filter(|z| *z != "all");
            let key = (zone, target.state.as_str(), target.reason.as_deref());
            let same =
                |c: &&mut Self| (c.zone.as_deref(), c.state.as_str(), c.reason.as_deref()) == key;
            match counts.iter_mut().find(same) {
                Some(known) => known.count += 1,
                None => counts.push(Self {
                    zone: zone.map(str::to_owned),
                    state: target.state.as_str().to_owned(),
                    reason: target.reason.clone(),
                    count: 1,
                }),
            }
        }
        counts.sort();
        counts
    }
}

/// A target group with its attributes and its targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupFacts {
    /// The target group.
    pub group: TargetGroup,
    /// Its attributes.
    pub attributes: Read<TargetGroupAttributes>,
    /// Its targets.
    pub health: Read<Vec<TargetCount>>,
}

impl GroupFacts {
    /// How many targets are in a state.
    pub fn count(&self, state: &TargetState) -> u32 {
        self.counts(|c| c.state == state.as_str())
    }

    /// How many targets there are in all.
    pub fn total(&self) -> u32 {
        self.counts(|_| true)
    }

    fn counts(&self, which: impl Fn(&TargetCount) -> bool) -> u32 {
        let all = self.health.told().into_iter().flatten();
        all.filter(|c| which(c)).map(|c| c.count).sum()
    }
}

/// What AWS said about one load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalancerFacts {
    /// Which load balancer was asked about.
    pub arn: String,
    /// Its description.
    pub balancer: Read<LoadBalancer>,
    /// Its attributes.
    pub attributes: Read<LoadBalancerAttributes>,
    /// Its listeners.
    pub listeners: Read<Vec<ListenerFacts>>,
    /// The target groups that it forwards to.
    pub groups: Read<Vec<GroupFacts>>,
}

impl BalancerFacts {
    /// The target groups that a listener forwards to; all of them where the listeners were not told.
    pub fn used_groups(&self) -> Vec<&GroupFacts> {
        let listeners = self.listeners.told();
        let used = |arn: &String| {
            listeners.is_none_or(|all| {
                let mut all = all.iter();
                all.any(|l| l.listener.target_group_arns.contains(arn))
            })
        };
        let groups = self.groups.told().into_iter().flatten();
        groups.filter(|facts| used(&facts.group.arn)).collect()
    }
}

/// What AWS said about a service's surroundings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Every load balancer of the service.
    pub balancers: Vec<BalancerFacts>,
    /// The Region's zones, to tell ids.
    pub zones: Read<Vec<AvailabilityZone>>,
    /// Where AWS publishes what happens to connections.
    pub notifications: Read<Vec<ServiceNotification>>,
}

impl Facts {
    /// The id of a zone of the provider's account.
    pub fn zone_id(&self, name: &str) -> Option<&AvailabilityZoneId> {
        let zones = self.zones.told()?;
        zones.iter().find(|z| z.name == name).map(|z| &z.id)
    }

    /// A zone for people: its id, which is the same in every account, or where that is not known its name.
    pub fn zone_label(&self, name: &str) -> String {
        self.zone_id(name)
            .map_or_else(|| name.to_owned(), ToString::to_string)
    }
}
