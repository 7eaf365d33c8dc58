//! Every check there is, with what it asks, what its failure most likely means, and what to do. `docs/doctor.md` shows the same table; a test
//! compares them.

/// Declares [`CheckName`] from lines of `Variant = "word", "asks", "cause", "fix";`.
macro_rules! checks {
    ($($variant:ident = $word:literal, $asks:literal, $cause:literal, $fix:literal;)+) => {
        /// A check, in the order of how much a failure explains: the first that fails is the most likely reason.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CheckName {
            $(#[doc = $asks] $variant,)+
        }

        impl CheckName {
            /// Every check, in that order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word that is shown.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What the check asks.
            pub fn asks(self) -> &'static str {
                match self { $(Self::$variant => $asks,)+ }
            }

            /// What it usually means when it does not pass.
            pub fn cause(self) -> &'static str {
                match self { $(Self::$variant => $cause,)+ }
            }

            /// What usually mends it.
            pub fn fix(self) -> &'static str {
                match self { $(Self::$variant => $fix,)+ }
            }
        }
    };
}

checks! {
    AccountRegion = "account_region",
        "Can the worker reach AWS for this account and Region?",
        "AWS cannot be reached for this account and Region, so nothing here is up to date",
        "read `error` of the AccountRegion: mend the role or the credentials, or enable it";
    ServiceLifecycle = "service_lifecycle",
        "Is the service in use?",
        "the service is on its way out, so nobody is let in and whoever is connected has to go",
        "nothing, where that is meant; otherwise POST /v1/services/{id}/cancel-drain before it is deleted";
    ConnectionDrift = "connection_drift",
        "Does a decision made here explain what AWS shows?",
        "somebody changed the connection in AWS directly",
        "accept or revoke it here to agree with AWS, or retry the sync to overrule what was done there";
    Decision = "decision",
        "Was the connection decided, and how?",
        "nobody has decided about the connection yet",
        "accept or reject it";
    ConnectionSync = "connection_sync",
        "Has AWS been told of the decision?",
        "the decision has not reached AWS",
        "mend what `code` and `message` say, then POST /v1/connections/{id}/retry-sync";
    ConnectionState = "connection_state",
        "What does AWS say of the endpoint?",
        "the endpoint is not available",
        "see `state`: it says what would have to change";
    ServiceSync = "service_sync",
        "Has AWS been told what is desired of the service?",
        "what is desired of the service has not reached AWS",
        "mend what `code` and `message` say, then POST /v1/services/{id}/retry-sync";
    ServiceState = "service_state",
        "Does AWS show the service as Available?",
        "the endpoint service is not available in AWS",
        "look the service up in AWS; one that failed or was deleted has to be made anew";
    LoadBalancerExists = "load_balancer_exists",
        "Does the load balancer exist?",
        "the load balancer does not exist in this account and Region",
        "check the ARN; put the load balancer back or replace it";
    LoadBalancerIsNetwork = "load_balancer_is_network",
        "Is it a Network Load Balancer?",
        "an endpoint service needs a Network Load Balancer",
        "put a Network Load Balancer in front of it";
    LoadBalancerIsActive = "load_balancer_is_active",
        "Is the load balancer active?",
        "the load balancer does not take traffic, or not everywhere",
        "wait for provisioning to end, or read the reason in the load balancer's description";
    Listeners = "listeners",
        "Is there a listener that PrivateLink can carry?",
        "nothing listens on the load balancer, so every connection is refused",
        "add a TCP, TLS or UDP listener";
    ListenerTargets = "listener_targets",
        "Does each listener forward to a target group with targets?",
        "a listener leads nowhere",
        "have the listener forward to a target group, and register targets in it";
    TargetHealth = "target_health",
        "Are the targets behind the listeners healthy?",
        "targets fail their health checks",
        "mend the targets or their health check: port, path, and the security groups between load balancer and targets";
    TargetZones = "target_zones",
        "Does each zone of the load balancer reach a healthy target?",
        "without cross-zone balancing, traffic in a zone without a healthy target goes nowhere",
        "register healthy targets in those zones, or switch cross-zone balancing on";
    ZonesServed = "zones_served",
        "Has each zone that the service offers a load balancer?",
        "endpoints in a zone that no load balancer serves any more lead nowhere",
        "enable the zone on a load balancer of the service again";
    SecurityGroups = "security_groups",
        "Do security groups leave PrivateLink traffic alone?",
        "inbound rules are judged on the consumer's private address, which cannot be known: a wrong rule lets connections become available and drops their traffic",
        "switch off the enforcement for PrivateLink traffic, or allow the listeners' ports from 0.0.0.0/0";
    AvailabilityZones = "availability_zones",
        "Is the load balancer in two zones or more?",
        "consumers can connect in the load balancer's zones only",
        "enable more zones on the load balancer";
    ZonesKnown = "zones_known",
        "Does the service know all zones of the load balancer?",
        "AWS reads a load balancer's zones only when the service is modified, so consumers in new zones cannot connect",
        "POST /v1/services/{id}/refresh-zones, a few minutes after the zone was enabled";
    ListenersEqual = "listeners_equal",
        "Do all load balancers of the service listen alike?",
        "AWS gives each zone of an endpoint one of the load balancers at random, so some consumers miss a port",
        "make the listeners of all load balancers equal";
    ProxyProtocol = "proxy_protocol",
        "Is PROXY protocol v2 off?",
        "targets must expect the PROXY protocol's header, which carries the id of the consumer's endpoint; those that do not break every connection",
        "nothing where the targets read the header; otherwise switch proxy_protocol_v2.enabled off";
    AddressFamily = "address_family",
        "Can the load balancer carry the IP address types that the service offers?",
        "a service with IPv6 needs every load balancer to be dualstack",
        "make the load balancer dualstack, or take ipv6 from the service";
    CrossRegionZones = "cross_region_zones",
        "Can the service's zones serve consumers in other Regions?",
        "access from other Regions needs two zones or more, and none that AWS cannot use for it",
        "take the zones that cannot be used from the load balancer, or close the other Regions";
    IdleTimeout = "idle_timeout",
        "Is the TCP idle time-out AWS's 350 seconds?",
        "a TCP idle time-out of one's own excludes consumers in other Regions",
        "set tcp.idle_timeout.seconds back to 350, or keep the service to its own Region";
    Principal = "principal",
        "May the consumer's account use the service?",
        "the consumer's account is not among the allowed principals: the endpoint goes on, but the account can make no new one",
        "allow the account; or revoke the connection too, if its access was to end";
    CrossRegion = "cross_region",
        "Is the consumer's Region open?",
        "the service is not open to the consumer's Region",
        "add the Region to `supported_regions`";
    AddressType = "address_type",
        "Does the service offer the endpoint's IP address type?",
        "the service no longer offers the endpoint's IP address type",
        "add the type to `supported_ip_address_types`, or have the consumer change the endpoint";
    EndpointZones = "endpoint_zones",
        "Does each zone of the endpoint reach a healthy target?",
        "the endpoint may have a zone whose traffic goes nowhere",
        "ask the consumer for the zone ids of the endpoint's subnets, and give those zones healthy targets";
    Principals = "principals",
        "May anybody use the service?",
        "no principal is allowed, so nobody can make an endpoint",
        "add the consumers' accounts to `allowed_principals`";
    Acceptance = "acceptance",
        "Is the service closed to strangers?",
        "every AWS account may connect and nobody is asked: the load balancer is as good as public",
        "require acceptance, or allow single accounts in place of *";
    PrivateDns = "private_dns",
        "Is the private DNS name verified?",
        "consumers cannot use the private DNS name until AWS has verified it",
        "publish the TXT record, then have AWS verify the name";
    Settings = "settings",
        "Does AWS show what is desired of the service?",
        "somebody changed the service in AWS directly",
        "send a PATCH with the `version` alone to overrule it, or with AWS's values to agree with it";
    LastLook = "last_look",
        "Has the worker looked lately?",
        "the worker has not looked, so the checks may be out of date",
        "see that a worker runs and holds the lease of the AccountRegion; ask for a look with POST /v1/services/{id}/check";
    TargetsUnused = "targets_unused",
        "Are all targets in use?",
        "targets take no traffic: their zone is off, no listener uses their group, or they are stopped",
        "enable their zone on the load balancer, use their group in a listener, or deregister them";
    LoadBalancerScheme = "load_balancer_scheme",
        "Is the load balancer internal?",
        "the load balancer can be reached from the internet, beside PrivateLink",
        "use an internal load balancer, unless it serves others too";
    DeletionProtection = "deletion_protection",
        "Is the load balancer protected from deletion?",
        "nothing keeps a person or a tool from deleting the load balancer once it is taken from the service",
        "switch deletion_protection.enabled on";
    Notifications = "notifications",
        "Does AWS publish all four events of connections?",
        "without notifications, changes are seen only by listing",
        "make a connection notification for Connect, Accept, Reject and Delete";
}

impl CheckName {
    /// Whether a failure of the service's check can be why a connection does not work.
    pub fn concerns_connections(self) -> bool {
        matches!(
            self,
            Self::AccountRegion
                | Self::ServiceLifecycle
                | Self::ServiceState
                | Self::LoadBalancerExists
                | Self::LoadBalancerIsNetwork
                | Self::LoadBalancerIsActive
                | Self::Listeners
                | Self::ListenerTargets
                | Self::TargetHealth
                | Self::TargetZones
                | Self::ZonesServed
                | Self::SecurityGroups
                | Self::ListenersEqual
                | Self::ProxyProtocol
                | Self::AddressFamily
                | Self::CrossRegionZones
                | Self::IdleTimeout
                | Self::PrivateDns
                | Self::LastLook
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn words_are_unique_and_texts_are_clauses() {
        let mut seen = HashSet::new();
        for name in CheckName::ALL {
            assert!(seen.insert(name.as_str()), "{name:?} appears twice");
            assert!(name.asks().ends_with('?'), "{name:?}");
            for clause in [name.cause(), name.fix()] {
                assert!(
                    !clause.is_empty() && !clause.ends_with('.'),
                    "{name:?}: {clause}"
                );
            }
        }
    }

    #[test]
    fn the_documentation_has_every_check_with_its_cause_and_its_fix() {
        let documented = include_str!("../../../docs/doctor.md");
        let (_, section) = documented.split_once("## All checks").unwrap();
        let mut rows = section.lines().filter(|line| line.starts_with("| `"));
        for name in CheckName::ALL {
            let (word, asks) = (name.as_str(), name.asks());
            let row = format!("| `{word}` | {asks} | {} | {} |", name.cause(), name.fix());
            assert_eq!(
                rows.next(),
                Some(row.as_str()),
                "the rows have the order of the table"
            );
        }
        assert_eq!(rows.next(), None, "this is no check");
    }
}
