//! `DnsOptions` of endpoints: which records their names have, and where private names work.

use serde::{Deserialize, Serialize};

use super::Place;
use super::services::Service;
use crate::AwsError;

/// AWS takes at most this many specified domains.
const MAX_DOMAINS: usize = 10;

/// Preferences that name domains; the others name none.
const WITH_DOMAINS: [&str; 2] = [
    "VERIFIED_DOMAINS_AND_SPECIFIED_DOMAINS",
    "SPECIFIED_DOMAINS_ONLY",
];

/// The DNS options of a request or of an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsOptions {
    /// `ipv4`, `dualstack`, `ipv6` or `service-defined`.
    pub record_ip_type: Option<String>,
    /// Whether private names work only for queries that come through an inbound Resolver endpoint.
    pub only_for_inbound_resolver: Option<bool>,
    /// Which private domains of a resource or service network get a hosted zone.
    pub preference: Option<String>,
    /// The domains that the preference speaks of.
    pub specified_domains: Vec<String>,
}

impl DnsOptions {
    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These options with the given ones of a change.
    #[must_use]
    pub fn changed(&self, change: &Self) -> Self {
        Self {
            record_ip_type: change
                .record_ip_type
                .clone()
                .or(self.record_ip_type.clone()),
            only_for_inbound_resolver: change
                .only_for_inbound_resolver
                .or(self.only_for_inbound_resolver),
            preference: change.preference.clone().or(self.preference.clone()),
            specified_domains: if change.specified_domains.is_empty() {
                self.specified_domains.clone()
            } else {
                change.specified_domains.clone()
            },
        }
    }

    /// The record type in force: the given one, or the one that follows from the endpoint's addresses.
    pub fn record_type<'a>(&'a self, ip_address_type: &'a str) -> &'a str {
        self.record_ip_type.as_deref().unwrap_or(ip_address_type)
    }

    /// Checks that records of this type can be made from the endpoint's addresses.
    pub(super) fn check_records(&self, ip_address_type: &str) -> Result<(), AwsError> {
        let Some(wanted) = self.record_ip_type.as_deref() else {
            return Ok(());
        };
        let good = match wanted {
            "ipv4" => ["ipv4", "dualstack"].contains(&ip_address_type),
            "ipv6" => ["ipv6", "dualstack"].contains(&ip_address_type),
            "dualstack" | "service-defined" => ip_address_type == "dualstack",
            other => return Err(AwsError::bad_value("DnsOptions.DnsRecordIpType", other)),
        };
        if good {
            return Ok(());
        }
        Err(AwsError::new(
            "InvalidParameter",
            format!(
                "The DNS record IP type {wanted} is not supported for endpoints with the IP address type {ip_address_type}"
            ),
        ))
    }

    /// The rules of interface endpoints: no preferences, and a gateway endpoint beside one that serves the Resolver only.
    pub(super) fn check_interface(
        &self,
        place: &Place,
        vpc_id: &str,
        service: &Service,
    ) -> Result<(), AwsError> {
        if self.preference.is_some() || !self.specified_domains.is_empty() {
            return Err(AwsError::new(
                "InvalidParameter",
                "PrivateDnsPreference and PrivateDnsSpecifiedDomains are supported only for endpoints of type Resource and ServiceNetwork",
            ));
        }
        let Some(only) = self.only_for_inbound_resolver else {
            return Ok(());
        };
        let name = service.name();
        let both = super::route_tables::SERVICES
            .iter()
            .any(|known| name == format!("com.amazonaws.{}.{known}", service.region));
        if !both {
            return Err(AwsError::new(
                "InvalidParameter",
                format!(
                    "PrivateDnsOnlyForInboundResolverEndpoint not supported for the service {name}."
                ),
            ));
        }
        let beside = place.gateway_endpoints.values().any(|gateway| {
            gateway.deletion.is_none() && gateway.vpc_id == vpc_id && gateway.service_name == name
        });
        if only && !beside {
            return Err(AwsError::new(
                "InvalidParameter",
                format!(
                    "To set PrivateDnsOnlyForInboundResolverEndpoint to true, the VPC {vpc_id} must have a Gateway endpoint for the service."
                ),
            ));
        }
        Ok(())
    }

    /// The rules of endpoints to resources and service networks, where preferences need private DNS.
    pub(super) fn check_lattice(&self, private_dns: bool) -> Result<(), AwsError> {
        let refuse = |why: &str| Err(AwsError::new("InvalidParameter", why));
        if self.only_for_inbound_resolver.is_some() {
            return refuse(
                "PrivateDnsOnlyForInboundResolverEndpoint is supported only for services with gateway endpoints",
            );
        }
        if self.specified_domains.len() > MAX_DOMAINS {
            return Err(AwsError::bad_value(
                "DnsOptions.PrivateDnsSpecifiedDomain",
                "more than 10",
            ));
        }
        let Some(preference) = self.preference.as_deref() else {
            return if self.specified_domains.is_empty() {
                Ok(())
            } else {
                refuse("PrivateDnsSpecifiedDomains need a PrivateDnsPreference that uses them")
            };
        };
        let named = WITH_DOMAINS.contains(&preference);
        if !named && !["ALL_DOMAINS", "VERIFIED_DOMAINS_ONLY"].contains(&preference) {
            return Err(AwsError::bad_value(
                "DnsOptions.PrivateDnsPreference",
                preference,
            ));
        }
        if !private_dns {
            return refuse("PrivateDnsPreference is supported only when private DNS is enabled");
        }
        if named == self.specified_domains.is_empty() {
            return refuse("PrivateDnsSpecifiedDomains do not fit the PrivateDnsPreference");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(kind: &str) -> DnsOptions {
        DnsOptions {
            record_ip_type: Some(kind.to_owned()),
            ..DnsOptions::default()
        }
    }

    #[test]
    fn records_follow_the_addresses_there_are() {
        for (records_type, addresses, good) in [
            ("ipv4", "ipv4", true),
            ("ipv4", "dualstack", true),
            ("ipv4", "ipv6", false),
            ("ipv6", "dualstack", true),
            ("ipv6", "ipv4", false),
            ("dualstack", "dualstack", true),
            ("dualstack", "ipv4", false),
            ("service-defined", "dualstack", true),
            ("service-defined", "ipv6", false),
        ] {
            let checked = records(records_type).check_records(addresses);
            assert_eq!(checked.is_ok(), good, "{records_type} on {addresses}");
        }
        let error = records("ipv5").check_records("ipv4").unwrap_err();
        assert_eq!(error.code, "InvalidParameterValue");
        assert_eq!(DnsOptions::default().record_type("dualstack"), "dualstack");
    }

    #[test]
    fn preferences_need_private_dns_and_the_right_number_of_domains() {
        let with = |preference: &str, domains: usize| DnsOptions {
            preference: Some(preference.to_owned()),
            specified_domains: (0..domains).map(|n| format!("{n}.example.com")).collect(),
            ..DnsOptions::default()
        };
        for (options, private_dns, good) in [
            (with("ALL_DOMAINS", 0), true, true),
            (with("ALL_DOMAINS", 0), false, false),
            (with("ALL_DOMAINS", 1), true, false),
            (with("SPECIFIED_DOMAINS_ONLY", 0), true, false),
            (with("SPECIFIED_DOMAINS_ONLY", 10), true, true),
            (with("SPECIFIED_DOMAINS_ONLY", 11), true, false),
            (with("NO_DOMAINS", 0), true, false),
        ] {
            assert_eq!(
                options.check_lattice(private_dns).is_ok(),
                good,
                "{options:?}"
            );
        }
    }
}
