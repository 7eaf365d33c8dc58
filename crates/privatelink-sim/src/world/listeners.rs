//! Listeners of Network Load Balancers. What they encrypt with is in [`super::certificates`].

use std::collections::BTreeMap;

use privatelink::LoadBalancerArn;
use serde::{Deserialize, Serialize};

use super::certificates::Tls;
use super::load_balancer_subnets::carries_udp;
use super::load_balancers::{
    LoadBalancer, check_arn, invalid, no_load_balancer, parse, validation,
};
use super::select::Tags;
use super::{Caller, Place, World};
use crate::AwsError;

/// Each protocol of a Network Load Balancer, and the protocols of the target groups it can forward to.
const PROTOCOLS: [(&str, &[&str]); 6] = [
    ("TCP", &["TCP", "TCP_UDP"]),
    ("TLS", &["TCP", "TLS"]),
    ("UDP", &["UDP", "TCP_UDP"]),
    ("TCP_UDP", &["TCP_UDP"]),
    ("QUIC", &["QUIC", "TCP_QUIC"]),
    ("TCP_QUIC", &["TCP_QUIC"]),
];

/// AWS's quota of listeners on a Network Load Balancer.
const MAX_LISTENERS: usize = 50;

/// The largest weight of a target group.
const MAX_WEIGHT: u16 = 999;

/// A listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// `arn:…:listener/net/NAME/…`.
    pub arn: String,
    /// The load balancer.
    pub load_balancer: LoadBalancerArn,
    /// 1 to 65535.
    pub port: u16,
    /// One of the protocols of a Network Load Balancer.
    pub protocol: String,
    /// Where it forwards to by default.
    pub target_groups: Vec<String>,
    /// The weights of target groups that were given one, 0 to 999.
    #[serde(default)]
    pub weights: BTreeMap<String, u16>,
    /// Whether clients stay with a target group, when that was said.
    #[serde(default)]
    pub stickiness: Option<bool>,
    /// What a TLS listener encrypts with.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Attributes that were set.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// The owner's tags.
    pub tags: Tags,
}

/// What `CreateListener` is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewListener {
    /// The load balancer, by ARN.
    pub load_balancer: String,
    /// 1 to 65535.
    pub port: u16,
    /// The protocol.
    pub protocol: String,
    /// Where to forward to, with weights.
    pub forward: Vec<(String, Option<u16>)>,
    /// Whether clients stay with a target group.
    pub stickiness: Option<bool>,
    /// The default certificate of a TLS listener, by ARN.
    pub certificate: Option<String>,
    /// The security policy of a TLS listener.
    pub ssl_policy: Option<String>,
    /// The ALPN policy of a TLS listener.
    pub alpn_policy: Option<String>,
    /// Tags.
    pub tags: Tags,
}

/// What `ModifyListener` is asked for. What is missing stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenerChange {
    /// The port.
    pub port: Option<u16>,
    /// The protocol.
    pub protocol: Option<String>,
    /// Where to forward to; empty for no change.
    pub forward: Vec<(String, Option<u16>)>,
    /// Whether clients stay with a target group; read with `forward` only.
    pub stickiness: Option<bool>,
    /// The default certificate.
    pub certificate: Option<String>,
    /// The security policy.
    pub ssl_policy: Option<String>,
    /// The ALPN policy.
    pub alpn_policy: Option<String>,
}

impl World {
    /// Makes a listener that forwards to target groups. The same listener again answers with the one there is, as documented.
    pub fn create_listener(
        &mut self,
        caller: &Caller,
        new: NewListener,
    ) -> Result<Listener, AwsError> {
        let balancer = self.network_load_balancer(caller, &new.load_balancer)?;
        let balancer = balancer.clone();
        let id = self.ids.next_hex16();
        let place = self.place(caller);
        let arn = balancer.arn.as_str();
        let arn = format!("{}/{id}", arn.replacen(":loadbalancer/", ":listener/", 1));
        let tls = Tls::chosen(
            caller,
            &new.protocol,
            None,
            new.certificate,
            new.ssl_policy,
            new.alpn_policy,
        )?;
        let listener = Listener {
            arn,
            load_balancer: balancer.arn.clone(),
            port: new.port,
            protocol: new.protocol,
            target_groups: targets_of(&new.forward),
            weights: weights_of(&new.forward),
            stickiness: new.stickiness,
            tls,
            attributes: BTreeMap::new(),
            tags: new.tags,
        };
        let others = || {
            place
                .listeners
                .values()
                .filter(|l| l.load_balancer == balancer.arn)
        };
        if let Some(same) = others().find(|l| l.is_like(&listener)) {
            return Ok(same.clone());
        }
        place.check_listener(&balancer, &listener)?;
        if others().count() >= MAX_LISTENERS {
            return Err(AwsError::new(
                "TooManyListeners",
                format!("A load balancer has at most {MAX_LISTENERS} listeners"),
            ));
        }
        place
            .listeners
            .insert(listener.arn.clone(), listener.clone());
        Ok(listener)
    }

    /// Changes a listener. A listener that becomes a TLS listener needs a certificate; one that stops being one loses its own.
    pub fn modify_listener(
        &mut self,
        caller: &Caller,
        arn: &str,
        change: ListenerChange,
    ) -> Result<Listener, AwsError> {
        let mut listener = self.listener(caller, arn)?.clone();
        if let Some(port) = change.port {
            listener.port = port;
        }
        if let Some(protocol) = change.protocol {
            listener.protocol = protocol;
        }
        if !change.forward.is_empty() {
            listener.target_groups = targets_of(&change.forward);
            listener.weights = weights_of(&change.forward);
            listener.stickiness = change.stickiness;
        }
        listener.tls = Tls::chosen(
            caller,
            &listener.protocol,
            listener.tls.take(),
            change.certificate,
            change.ssl_policy,
            change.alpn_policy,
        )?;
        let balancer = self.network_load_balancer(caller, listener.load_balancer.as_str())?;
        let balancer = balancer.clone();
        self.place(caller).check_listener(&balancer, &listener)?;
        *self.listener(caller, arn)? = listener.clone();
        Ok(listener)
    }

    /// Lists the listeners of a load balancer, or the listeners named.
    pub fn listeners(
        &mut self,
        caller: &Caller,
        load_balancer: Option<&str>,
        arns: &[String],
    ) -> Result<Vec<Listener>, AwsError> {
        let balancer = load_balancer.map(|arn| parse(caller, arn)).transpose()?;
        for arn in arns {
            check_listener_arn(caller, arn)?;
        }
        let place = self.place(caller);
        if let Some(arn) = &balancer
            && !place.load_balancers.contains_key(arn)
        {
            return Err(no_load_balancer());
        }
        if arns.iter().any(|arn| !place.listeners.contains_key(arn)) {
            return Err(no_listener());
        }
        Ok(place
            .listeners
            .values()
            .filter(|l| balancer.as_ref().is_none_or(|arn| l.load_balancer == *arn))
            .filter(|l| arns.is_empty() || arns.contains(&l.arn))
            .cloned()
            .collect())
    }

    /// One listener of the caller's.
    pub(crate) fn listener(
        &mut self,
        caller: &Caller,
        arn: &str,
    ) -> Result<&mut Listener, AwsError> {
        check_listener_arn(caller, arn)?;
        self.place(caller)
            .listeners
            .get_mut(arn)
            .ok_or_else(no_listener)
    }

    /// Deletes a listener.
    pub fn delete_listener(&mut self, caller: &Caller, arn: &str) -> Result<(), AwsError> {
        check_listener_arn(caller, arn)?;
        self.place(caller)
            .listeners
            .remove(arn)
            .map(|_| ())
            .ok_or_else(no_listener)
    }
}

impl Place {
    /// The rules that a listener keeps when it is made and when it is changed.
    fn check_listener(&self, balancer: &LoadBalancer, new: &Listener) -> Result<(), AwsError> {
        let fits = PROTOCOLS.iter().find(|(name, _)| *name == new.protocol);
        let Some((_, fits)) = fits else {
            return Err(AwsError::new(
                "UnsupportedProtocol",
                format!(
                    "Listener protocol '{}' is not supported with a load balancer of type 'network'",
                    new.protocol
                ),
            ));
        };
        if new.port == 0 {
            return Err(validation("A port is 1 to 65535"));
        }
        // TCP and UDP on one port are one TCP_UDP listener.
        let taken = |l: &&Listener| l.load_balancer == balancer.arn && l.port == new.port;
        if self
            .listeners
            .values()
            .any(|l| taken(&l) && l.arn != new.arn)
        {
            return Err(AwsError::new(
                "DuplicateListener",
                "A listener already exists on this port for this load balancer",
            ));
        }
        let needs_prefix = balancer.ip_address_type == "dualstack" && !balancer.source_nat_prefix;
        if needs_prefix && carries_udp(&new.protocol) {
            return Err(invalid(
                "A dualstack load balancer takes UDP listeners only with an IPv6 prefix for source NAT",
            ));
        }
        if new.target_groups.is_empty() {
            return Err(validation("At least one default action must be specified"));
        }
        if new.weights.values().any(|weight| *weight > MAX_WEIGHT) {
            return Err(validation("The weight of a target group is 0 to 999"));
        }
        for arn in &new.target_groups {
            let group = self
                .target_groups
                .get(arn)
                .ok_or_else(|| super::targets::no_target_group(arn))?;
            if !fits.contains(&group.protocol.as_str()) {
                return Err(AwsError::new(
                    "IncompatibleProtocols",
                    format!(
                        "A {} listener cannot forward to a target group with protocol {}",
                        new.protocol, group.protocol
                    ),
                ));
            }
            if group
                .vpc_id
                .as_ref()
                .is_some_and(|vpc| *vpc != balancer.vpc_id)
            {
                return Err(invalid(&format!(
                    "The target group '{arn}' is not in the VPC of the load balancer"
                )));
            }
            if group.ip_address_type == "ipv6" && balancer.ip_address_type != "dualstack" {
                return Err(invalid(&format!(
                    "The target group '{arn}' has IPv6 targets, the load balancer is not dualstack"
                )));
            }
            let elsewhere =
                |l: &Listener| l.load_balancer != balancer.arn && l.target_groups.contains(arn);
            if self.listeners.values().any(elsewhere) {
                return Err(AwsError::new(
                    "TargetGroupAssociationLimit",
                    format!(
                        "The following target groups cannot be associated with more than one load balancer: {arn}"
                    ),
                ));
            }
        }
        Ok(())
    }
}

impl Listener {
    fn is_like(&self, other: &Self) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && self.target_groups == other.target_groups
            && self.weights == other.weights
            && self.stickiness == other.stickiness
            && self.tls == other.tls
    }
}

fn targets_of(forward: &[(String, Option<u16>)]) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for (arn, _) in forward {
        if !groups.contains(arn) {
            groups.push(arn.clone());
        }
    }
    groups
}

fn weights_of(forward: &[(String, Option<u16>)]) -> BTreeMap<String, u16> {
    forward
        .iter()
        .filter_map(|(arn, weight)| Some((arn.clone(), (*weight)?)))
        .collect()
}

pub(super) fn check_listener_arn(caller: &Caller, arn: &str) -> Result<(), AwsError> {
    check_arn(caller, arn, "listener/", "listener")
}

pub(super) fn no_listener() -> AwsError {
    AwsError::new("ListenerNotFound", "One or more listeners not found")
}

#[cfg(test)]
#[path = "listeners_tests.rs"]
mod tests;
