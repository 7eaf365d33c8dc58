//! Private DNS names of endpoint services: the record that proves a domain, the checks, and what consumers may do with the name.
//!
//! The public DNS is a list of TXT records that the control API keeps. A check looks at it when the check is due.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use privatelink::{ServiceId, VpcEndpointId};
use serde::{Deserialize, Serialize};

use super::endpoints::NewEndpoint;
use super::services::Service;
use super::{Caller, Place, World, later};
use crate::AwsError;

/// Where the proof of a domain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DnsState {
    /// Not proven yet, or no longer.
    PendingVerification,
    /// Proven.
    Verified,
    /// A check did not find the record.
    Failed,
}

impl DnsState {
    /// The word on the wire, which is camel case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PendingVerification => "pendingVerification",
            Self::Verified => "verified",
            Self::Failed => "failed",
        }
    }
}

/// The private DNS name of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateDns {
    /// The name, possibly with `*.` in front.
    pub name: String,
    /// The label of the TXT record, relative to the domain.
    pub record_name: String,
    /// The text that the record must hold, letter by letter.
    pub record_value: String,
    /// Where the proof is.
    pub state: DnsState,
    /// Whether it was proven once: when the proof is lost, new endpoints are refused.
    pub was_verified: bool,
    /// Whether the next description comes without the record, as happens on AWS right after a change.
    pub hidden: bool,
}

impl Service {
    /// The names that work in a VPC whose endpoint has private DNS.
    pub fn private_names(&self) -> Vec<String> {
        match &self.aws {
            Some(aws) => aws.private_names.clone(),
            None => self
                .private_dns
                .iter()
                .map(|dns| dns.name.clone())
                .collect(),
        }
    }
}

impl World {
    /// A fresh record for a name; each change of the name asks for another one.
    pub(super) fn new_private_dns(&mut self, name: &str) -> Result<PrivateDns, AwsError> {
        check_name(name)?;
        let record_name = self.ids.key("_", 20).to_ascii_lowercase();
        // Mixed case on purpose: a DNS host that lower-cases values must be found out.
        let record_value = self
            .ids
            .key("", 20)
            .chars()
            .enumerate()
            .map(|(at, c)| {
                if at % 2 == 0 {
                    c
                } else {
                    c.to_ascii_lowercase()
                }
            })
            .collect::<String>();
        Ok(PrivateDns {
            name: name.to_owned(),
            record_name,
            record_value: format!("vpce:{record_value}"),
            state: DnsState::PendingVerification,
            was_verified: false,
            hidden: self.behavior.private_dns_hidden_first_read,
        })
    }

    /// Asks for a check. Its result is seen later.
    pub fn start_private_dns_verification(
        &mut self,
        caller: &Caller,
        service: &str,
    ) -> Result<(), AwsError> {
        self.sweep(caller.now);
        let due = later(caller.now, self.behavior.private_dns_verification_ms);
        let service = self.own_service_mut(caller, service)?;
        let Some(dns) = &mut service.private_dns else {
            return Err(AwsError::new(
                "InvalidParameter",
                format!("The service {} has no private DNS name", service.id),
            ));
        };
        if dns.state == DnsState::Failed {
            dns.state = DnsState::PendingVerification;
        }
        let id = service.id.clone();
        self.dns_checks.entry(due).or_default().push(id);
        Ok(())
    }

    /// Publishes a TXT record; several values may share a name.
    pub fn put_txt(&mut self, name: &str, value: &str, now: DateTime<Utc>) {
        self.settle_private_dns(now);
        let values = self.txt_records.entry(absolute(name)).or_default();
        values.insert(value.to_owned());
        if self.behavior.private_dns_polls {
            let due = later(now, self.behavior.private_dns_verification_ms);
            self.check_all(due, |state, proven| state != DnsState::Verified && proven);
        }
    }

    /// Takes a TXT record away: one value, or all of the name. Answers whether there was one.
    pub fn remove_txt(&mut self, name: &str, value: Option<&str>, now: DateTime<Utc>) -> bool {
        self.settle_private_dns(now);
        let name = absolute(name);
        let removed = match (self.txt_records.get_mut(&name), value) {
            (None, _) => false,
            (Some(values), Some(value)) => values.remove(value),
            (Some(values), None) => !std::mem::take(values).is_empty(),
        };
        self.txt_records.retain(|_, values| !values.is_empty());
        let due = later(now, self.behavior.private_dns_recheck_ms);
        self.check_all(due, |state, proven| state == DnsState::Verified && !proven);
        removed
    }

    /// The TXT records there are.
    pub fn txt_records(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.txt_records
            .iter()
            .map(|(name, values)| (name.as_str(), values))
    }

    /// Plans a check of the services whose state and proof ask for one.
    fn check_all(&mut self, due: DateTime<Utc>, wanted: impl Fn(DnsState, bool) -> bool) {
        let services: Vec<ServiceId> = self
            .places()
            .flat_map(|(_, _, place)| place.services.values())
            .filter(|service| {
                let dns = service.private_dns.as_ref();
                dns.is_some_and(|dns| wanted(dns.state, self.is_proven(dns)))
            })
            .map(|service| service.id.clone())
            .collect();
        if !services.is_empty() {
            self.dns_checks.entry(due).or_default().extend(services);
        }
    }

    /// Does the checks that are due.
    pub(super) fn settle_private_dns(&mut self, now: DateTime<Utc>) {
        while let Some(entry) = self.dns_checks.first_entry() {
            if *entry.key() > now {
                break;
            }
            for id in entry.remove() {
                self.check(&id);
            }
        }
    }

    fn check(&mut self, id: &ServiceId) {
        let Some(dns) = self.service(id).and_then(|s| s.private_dns.as_ref()) else {
            return;
        };
        let proven = self.is_proven(dns);
        let regressed = self.behavior.private_dns_regresses_to;
        if let Some(dns) = self.service_mut(id).and_then(|s| s.private_dns.as_mut()) {
            dns.state = match (proven, dns.state) {
                (true, _) => DnsState::Verified,
                (false, DnsState::Verified) => regressed,
                (false, _) if dns.was_verified => regressed,
                (false, _) => DnsState::Failed,
            };
            dns.was_verified |= proven;
        }
    }

    /// Whether the record stands at the domain or at a parent of it, below its own label or at the apex.
    fn is_proven(&self, dns: &PrivateDns) -> bool {
        let mut domain = dns.name.strip_prefix("*.").unwrap_or(&dns.name);
        loop {
            let below = format!("{}.{domain}", dns.record_name);
            let holds = |name: &str| {
                let values = self.txt_records.get(name);
                values.is_some_and(|values| values.contains(&dns.record_value))
            };
            if holds(&below) || holds(domain) {
                return true;
            }
            match domain.split_once('.') {
                Some((_, parent)) if parent.contains('.') => domain = parent,
                _ => return false,
            }
        }
    }

    /// Refuses a new endpoint that wants a private name it cannot have, or any while a proof is lost.
    pub(super) fn check_new_endpoint_dns(
        &self,
        caller: &Caller,
        service: &Service,
        new: &NewEndpoint,
    ) -> Result<(), AwsError> {
        let lost = |dns: &PrivateDns| dns.was_verified && dns.state != DnsState::Verified;
        if service.private_dns.as_ref().is_some_and(lost)
            && self.behavior.lost_private_dns_refuses_endpoints
        {
            return Err(AwsError::new(
                "InvalidParameter",
                format!(
                    "The private DNS name of {} is no longer verified",
                    service.name()
                ),
            ));
        }
        match self.existing_place(&caller.account, &caller.region) {
            Some(place) if new.private_dns => {
                let accepted = !service.acceptance_required;
                self.check_private_dns_use(place, &new.vpc_id, service, accepted, None)
            }
            _ => Ok(()),
        }
    }

    /// Whether an endpoint may use the service's private name in its VPC.
    pub(super) fn check_private_dns_use(
        &self,
        place: &Place,
        vpc_id: &str,
        service: &Service,
        accepted: bool,
        endpoint: Option<&VpcEndpointId>,
    ) -> Result<(), AwsError> {
        let refuse = |why: String| Err(AwsError::new("InvalidParameter", why));
        let name = service.name();
        let names = service.private_names();
        if names.is_empty() {
            return refuse(format!(
                "Private DNS can't be enabled because the service {name} does not provide a private DNS name."
            ));
        }
        let unproven = |dns: &PrivateDns| dns.state != DnsState::Verified;
        if service.private_dns.as_ref().is_some_and(unproven) {
            return refuse(format!(
                "Private DNS can't be enabled because the service {name} has not verified the private DNS name."
            ));
        }
        if !accepted {
            return refuse(format!(
                "Private DNS can only be enabled after the endpoint connection is accepted by the owner of {name}."
            ));
        }
        let attributes = place.vpcs.get(vpc_id).map(|vpc| vpc.dns);
        if !attributes.is_some_and(|dns| dns.hostnames && dns.support) {
            return refuse(format!(
                "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for {vpc_id}"
            ));
        }
        match self.clashing_zone(place, vpc_id, &names, endpoint) {
            Some(zone) => refuse(format!(
                "private-dns-enabled cannot be set because there is already a conflicting DNS domain for {zone} in the VPC {vpc_id}"
            )),
            None => Ok(()),
        }
    }
}

/// A name as it is compared: lower case, without the dot at its end.
fn absolute(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn check_name(name: &str) -> Result<(), AwsError> {
    let labels: Vec<&str> = name.strip_prefix("*.").unwrap_or(name).split('.').collect();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let good = name.len() <= 255
        && labels.len() >= 2
        && labels.iter().all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(plain)
                && !label.starts_with('-')
                && !label.ends_with('-')
        });
    if good {
        Ok(())
    } else {
        Err(AwsError::bad_value("PrivateDnsName", name))
    }
}

#[cfg(test)]
#[path = "private_dns_tests.rs"]
mod tests;
