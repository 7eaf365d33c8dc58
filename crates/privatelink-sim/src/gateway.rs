//! The simulator in process as an implementation of the port: no HTTP, the same world, the same faults.

mod messaging;
mod port_types;

use std::sync::Arc;

use async_trait::async_trait;
use port_types::{
    attribute, connection, endpoint_service, is_true, items, load_balancer, page, paging, strings,
};
use privatelink::{
    AccountId, AccountRegionRef, AllowedPrincipal, AvailabilityZone, Connection, ConnectionFilter,
    EndpointService, EndpointServiceChange, GatewayError, Gateways, ItemFailure, Listener,
    ListenerAttributes, LoadBalancer, LoadBalancerArn, LoadBalancerAttributes, Messaging,
    NewEndpointService, Page, PageToken, PrivateLink, Region, ServiceId, ServiceNotification,
    TargetGroup, TargetGroupAttributes, TargetHealth, TargetState, VpcEndpointId,
};

use crate::AwsError;
use crate::api::Api;
use crate::simulator::{Failure, Simulator};
use crate::world::regions::Zone;
use crate::world::select::{Filter, Filters, Paging};
use crate::world::services::{NewService, ServiceChange};
use crate::world::{Caller, World};

/// One account in one Region of a simulator, as the port sees it.
#[derive(Debug, Clone)]
pub struct SimGateway {
    simulator: Simulator,
    account: AccountId,
    region: Region,
}

impl Simulator {
    /// The port to one account in one Region, by the account's root identity.
    pub fn gateway(&self, account: AccountId, region: Region) -> SimGateway {
        SimGateway {
            simulator: self.clone(),
            account,
            region,
        }
    }
}

#[async_trait]
impl Gateways for Simulator {
    /// A role's external id is checked as `AssumeRole` would check it.
    async fn gateway(
        &self,
        place: &AccountRegionRef,
    ) -> Result<Arc<dyn PrivateLink>, GatewayError> {
        if let Some(role) = &place.role_arn {
            self.world()
                .check_external_id(role, place.external_id.as_deref())
                .map_err(|error| sort(Failure::Refused(error)))?;
        }
        Ok(Arc::new(Simulator::gateway(
            self,
            place.account.clone(),
            place.region.clone(),
        )))
    }

    async fn messaging(
        &self,
        place: &AccountRegionRef,
    ) -> Result<Arc<dyn Messaging>, GatewayError> {
        if let Some(role) = &place.role_arn {
            self.world()
                .check_external_id(role, place.external_id.as_deref())
                .map_err(|error| sort(Failure::Refused(error)))?;
        }
        let (account, region) = (place.account.clone(), place.region.clone());
        Ok(Arc::new(Simulator::gateway(self, account, region)))
    }
}

impl SimGateway {
    async fn call<T>(
        &self,
        api: Api,
        action: &str,
        ids: Vec<String>,
        work: impl FnOnce(&mut World, &Caller) -> Result<T, AwsError>,
    ) -> Result<T, GatewayError> {
        self.simulator
            .call_as((&self.account, &self.region), api, action, ids, work)
            .await
            .map_err(sort)
    }
}

/// Sorts a failure into the port's closed list.
fn sort(failure: Failure) -> GatewayError {
    let error = match failure {
        Failure::Refused(error) => error,
        Failure::Broken(how) => {
            return GatewayError::Unknown {
                code: how.code().to_owned(),
                message: how.message().to_owned(),
            };
        }
    };
    let AwsError {
        code,
        message,
        status,
    } = error;
    match code.as_str() {
        "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "RequestThrottled"
        | "OverLimit"
        | "QueueDeletedRecently"
        | "ConcurrentMutationLimitExceeded" => GatewayError::Busy {
            code,
            retry_after: None,
        },
        _ if status >= 500 => GatewayError::Unknown { code, message },
        "UnauthorizedOperation"
        | "AccessDenied"
        | "AuthorizationError"
        | "AuthFailure"
        | "ExpiredToken"
        | "MissingAuthenticationToken" => GatewayError::Denied { code, message },
        "InvalidServiceName"
        | "InvalidConnectionNotification"
        | "NotFound"
        | "QueueDoesNotExist"
        | "LoadBalancerNotFound"
        | "TargetGroupNotFound"
        | "ListenerNotFound" => GatewayError::NotFound { code, message },
        _ if code.ends_with(".NotFound") => GatewayError::NotFound { code, message },
        _ => GatewayError::Invalid { code, message },
    }
}

#[async_trait]
impl PrivateLink for SimGateway {
    async fn create_endpoint_service(
        &self,
        new: &NewEndpointService,
    ) -> Result<EndpointService, GatewayError> {
        let request = NewService {
            acceptance_required: new.acceptance_required,
            load_balancers: strings(&new.network_load_balancer_arns),
            ip_address_types: new.supported_ip_address_types.clone(),
            tags: new.tags.iter().cloned().collect(),
            ..NewService::default()
        };
        let token = new.client_token.clone();
        self.call(
            Api::Ec2,
            "CreateVpcEndpointServiceConfiguration",
            Vec::new(),
            |world, me| {
                let service = world.create_service(me, &request, Some(&token))?;
                Ok(endpoint_service(world, me, &service))
            },
        )
        .await
    }

    async fn modify_endpoint_service(
        &self,
        id: &ServiceId,
        change: &EndpointServiceChange,
    ) -> Result<(), GatewayError> {
        let change = ServiceChange {
            acceptance_required: change.acceptance_required,
            add_load_balancers: strings(&change.add_network_load_balancer_arns),
            remove_load_balancers: strings(&change.remove_network_load_balancer_arns),
            add_ip_address_types: change.add_supported_ip_address_types.clone(),
            remove_ip_address_types: change.remove_supported_ip_address_types.clone(),
            add_regions: change.add_supported_regions.clone(),
            remove_regions: change.remove_supported_regions.clone(),
            private_dns_name: change.private_dns_name.clone(),
            remove_private_dns_name: change.remove_private_dns_name,
            ..ServiceChange::default()
        };
        let action = "ModifyVpcEndpointServiceConfiguration";
        self.call(Api::Ec2, action, vec![id.to_string()], |world, me| {
            world.modify_service(me, id.as_str(), &change)
        })
        .await
    }

    async fn delete_endpoint_service(
        &self,
        id: &ServiceId,
    ) -> Result<Option<ItemFailure>, GatewayError> {
        let ids = vec![id.to_string()];
        let action = "DeleteVpcEndpointServiceConfigurations";
        let refused = self
            .call(Api::Ec2, action, ids.clone(), |world, me| {
                world.delete_services(me, &ids)
            })
            .await?;
        Ok(items(refused).into_iter().next())
    }

    async fn endpoint_service(&self, id: &ServiceId) -> Result<EndpointService, GatewayError> {
        let ids = vec![id.to_string()];
        let action = "DescribeVpcEndpointServiceConfigurations";
        self.call(Api::Ec2, action, ids.clone(), |world, me| {
            let found =
                world.describe_services(me, &ids, &Filters::default(), &Paging::default())?;
            let service = found.items.first().ok_or_else(|| {
                AwsError::new(
                    "InvalidVpcEndpointServiceId.NotFound",
                    format!("The VpcEndpointService Id '{id}' does not exist"),
                )
            })?;
            Ok(endpoint_service(world, me, service))
        })
        .await
    }

    async fn endpoint_services(
        &self,
        from: Option<&PageToken>,
    ) -> Result<Page<EndpointService>, GatewayError> {
        let action = "DescribeVpcEndpointServiceConfigurations";
        self.call(Api::Ec2, action, Vec::new(), |world, me| {
            let found =
                world.describe_services(me, &[], &Filters::default(), &paging(from, me, &[]))?;
            Ok(page(
                found.map(|service| endpoint_service(world, me, &service)),
            ))
        })
        .await
    }

    async fn modify_principals(
        &self,
        id: &ServiceId,
        add: &[String],
        remove: &[String],
    ) -> Result<(), GatewayError> {
        let action = "ModifyVpcEndpointServicePermissions";
        self.call(Api::Ec2, action, vec![id.to_string()], |world, me| {
            world
                .modify_principals(me, id.as_str(), add, remove)
                .map(|_| ())
        })
        .await
    }

    async fn principals(
        &self,
        id: &ServiceId,
        from: Option<&PageToken>,
    ) -> Result<Page<AllowedPrincipal>, GatewayError> {
        let action = "DescribeVpcEndpointServicePermissions";
        self.call(Api::Ec2, action, vec![id.to_string()], |world, me| {
            let (_, found) =
                world.principals(me, id.as_str(), &Filters::default(), &paging(from, me, &[]))?;
            Ok(page(found.map(|grant| AllowedPrincipal {
                principal: grant.principal,
                principal_type: Some(grant.kind),
                service_permission_id: Some(grant.id),
            })))
        })
        .await
    }

    async fn set_service_tags(
        &self,
        id: &ServiceId,
        tags: &[(String, String)],
    ) -> Result<(), GatewayError> {
        if tags.is_empty() {
            return Ok(());
        }
        let ids = vec![id.to_string()];
        let tags = tags.iter().cloned().collect();
        self.call(Api::Ec2, "CreateTags", ids.clone(), |world, me| {
            world.create_tags(me, &ids, &tags)
        })
        .await
    }

    async fn remove_service_tags(
        &self,
        id: &ServiceId,
        keys: &[String],
    ) -> Result<(), GatewayError> {
        if keys.is_empty() {
            return Ok(());
        }
        let ids = vec![id.to_string()];
        let tags: Vec<_> = keys.iter().map(|key| (key.clone(), None)).collect();
        self.call(Api::Ec2, "DeleteTags", ids.clone(), |world, me| {
            world.delete_tags(me, &ids, &tags)
        })
        .await
    }

    async fn connections(
        &self,
        filter: &ConnectionFilter,
        from: Option<&PageToken>,
    ) -> Result<Page<Connection>, GatewayError> {
        let (filters, ids) = match filter {
            ConnectionFilter::All => (Filters::default(), Vec::new()),
            ConnectionFilter::Service(id) => (
                Filters::one("service-id", id.as_str()),
                vec![id.to_string()],
            ),
            // An empty list of ids would be no filter at all on the wire, which means everything.
            ConnectionFilter::Endpoints(_, endpoints) if endpoints.is_empty() => {
                return Ok(Page {
                    items: Vec::new(),
                    unreadable: 0,
                    next: None,
                });
            }
            ConnectionFilter::Endpoints(id, endpoints) => {
                let mut filters = Filters::one("service-id", id.as_str());
                filters.0.push(Filter {
                    name: "vpc-endpoint-id".to_owned(),
                    values: strings(endpoints),
                });
                let mut ids = strings(endpoints);
                ids.push(id.to_string());
                (filters, ids)
            }
        };
        self.call(
            Api::Ec2,
            "DescribeVpcEndpointConnections",
            ids,
            |world, me| {
                let found = world.connections(me, &filters, &paging(from, me, &filters.0))?;
                Ok(page(found.map(connection)))
            },
        )
        .await
    }

    async fn accept_connections(
        &self,
        id: &ServiceId,
        endpoints: &[VpcEndpointId],
    ) -> Result<Vec<ItemFailure>, GatewayError> {
        let action = "AcceptVpcEndpointConnections";
        let ids = strings(endpoints);
        self.call(Api::Ec2, action, ids.clone(), |world, me| {
            world.accept_connections(me, id.as_str(), &ids).map(items)
        })
        .await
    }

    async fn reject_connections(
        &self,
        id: &ServiceId,
        endpoints: &[VpcEndpointId],
    ) -> Result<Vec<ItemFailure>, GatewayError> {
        let action = "RejectVpcEndpointConnections";
        let ids = strings(endpoints);
        self.call(Api::Ec2, action, ids.clone(), |world, me| {
            world.reject_connections(me, id.as_str(), &ids).map(items)
        })
        .await
    }

    async fn load_balancers(
        &self,
        arns: &[LoadBalancerArn],
    ) -> Result<Vec<LoadBalancer>, GatewayError> {
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let arns = strings(arns);
        self.call(
            Api::Elb,
            "DescribeLoadBalancers",
            Vec::new(),
            |world, me| {
                let zones = world.zones(&me.account, &me.region);
                let found = world.load_balancers(me, &arns, &[])?;
                let row = |found| load_balancer(found, &zones, me);
                Ok(found.iter().map(row).collect())
            },
        )
        .await
    }

    async fn listeners(&self, arn: &LoadBalancerArn) -> Result<Vec<Listener>, GatewayError> {
        self.call(Api::Elb, "DescribeListeners", Vec::new(), |world, me| {
            let found = world.listeners(me, Some(arn.as_str()), &[])?;
            Ok(found
                .into_iter()
                .map(|listener| Listener {
                    arn: listener.arn,
                    port: listener.port,
                    protocol: listener.protocol,
                    target_group_arns: listener.target_groups,
                })
                .collect())
        })
        .await
    }

    async fn target_groups(&self, arn: &LoadBalancerArn) -> Result<Vec<TargetGroup>, GatewayError> {
        self.call(Api::Elb, "DescribeTargetGroups", Vec::new(), |world, me| {
            let found = world.target_groups(me, Some(arn.as_str()), &[], &[])?;
            Ok(found
                .into_iter()
                .map(|(group, _)| TargetGroup {
                    arn: group.arn,
                    name: group.name,
                    target_type: group.target_type,
                })
                .collect())
        })
        .await
    }

    async fn target_health(
        &self,
        target_group_arn: &str,
    ) -> Result<Vec<TargetHealth>, GatewayError> {
        self.call(Api::Elb, "DescribeTargetHealth", Vec::new(), |world, me| {
            let found = world.target_health(me, target_group_arn, &[])?;
            Ok(found
                .into_iter()
                .map(|(target, health)| TargetHealth {
                    target_id: target.id,
                    port: Some(target.port),
                    availability_zone: target.availability_zone,
                    state: TargetState::parse(&health.state),
                    reason: health.reason,
                })
                .collect())
        })
        .await
    }

    async fn availability_zones(&self) -> Result<Vec<AvailabilityZone>, GatewayError> {
        self.call(
            Api::Ec2,
            "DescribeAvailabilityZones",
            Vec::new(),
            |world, me| {
                let zones = world.zones(&me.account, &me.region).into_iter();
                Ok(zones
                    .map(|Zone { name, id }| AvailabilityZone { name, id })
                    .collect())
            },
        )
        .await
    }

    async fn caller_account(&self) -> Result<AccountId, GatewayError> {
        self.call(Api::Sts, "GetCallerIdentity", Vec::new(), |_, me| {
            Ok(me.account.clone())
        })
        .await
    }

    // What only the doctor asks: attributes and notifications.

    async fn load_balancer_attributes(
        &self,
        arn: &LoadBalancerArn,
    ) -> Result<LoadBalancerAttributes, GatewayError> {
        let action = "DescribeLoadBalancerAttributes";
        self.call(Api::Elb, action, Vec::new(), |world, me| {
            let found = world.load_balancer_attributes(me, arn.as_str())?;
            Ok(LoadBalancerAttributes {
                cross_zone: is_true(&found, CROSS_ZONE),
                deletion_protection: is_true(&found, "deletion_protection.enabled"),
            })
        })
        .await
    }

    async fn listener_attributes(
        &self,
        listener_arn: &str,
    ) -> Result<ListenerAttributes, GatewayError> {
        let action = "DescribeListenerAttributes";
        self.call(Api::Elb, action, Vec::new(), |world, me| {
            let found = world.listener_attributes(me, listener_arn)?;
            let seconds = attribute(&found, "tcp.idle_timeout.seconds");
            Ok(ListenerAttributes {
                tcp_idle_timeout_seconds: seconds.and_then(|value| value.parse().ok()),
            })
        })
        .await
    }

    async fn target_group_attributes(
        &self,
        target_group_arn: &str,
    ) -> Result<TargetGroupAttributes, GatewayError> {
        let action = "DescribeTargetGroupAttributes";
        self.call(Api::Elb, action, Vec::new(), |world, me| {
            let found = world.target_group_attributes(me, target_group_arn)?;
            Ok(TargetGroupAttributes {
                // `use_load_balancer_configuration` is neither.
                cross_zone: attribute(&found, CROSS_ZONE).and_then(|value| value.parse().ok()),
                proxy_protocol_v2: is_true(&found, "proxy_protocol_v2.enabled"),
            })
        })
        .await
    }

    async fn service_notifications(
        &self,
        id: &ServiceId,
    ) -> Result<Vec<ServiceNotification>, GatewayError> {
        let action = "DescribeVpcEndpointConnectionNotifications";
        let mut all = Vec::new();
        let mut from: Option<PageToken> = None;
        loop {
            let ids = vec![id.to_string()];
            let found = self.call(Api::Ec2, action, ids, |world, me| {
                let filters = Filters::one("service-id", id.as_str());
                let paging = paging(from.as_ref(), me, &filters.0);
                Ok(page(world.notifications(me, None, &filters, &paging)?))
            });
            let found = found.await?;
            all.extend(found.items.into_iter().map(|row| ServiceNotification {
                topic_arn: row.topic_arn,
                events: row.events,
                // No simulated notification is ever given up.
                enabled: true,
            }));
            if found.next.is_none() || found.next == from {
                return Ok(all);
            }
            from = found.next;
        }
    }

    // The rest of what can be changed about a service.

    async fn start_private_dns_verification(&self, id: &ServiceId) -> Result<(), GatewayError> {
        let action = "StartVpcEndpointServicePrivateDnsVerification";
        self.call(Api::Ec2, action, vec![id.to_string()], |world, me| {
            world.start_private_dns_verification(me, id.as_str())
        })
        .await
    }

    async fn make_service_owner_pay(&self, id: &ServiceId) -> Result<(), GatewayError> {
        let action = "ModifyVpcEndpointServicePayerResponsibility";
        self.call(Api::Ec2, action, vec![id.to_string()], |world, me| {
            world.modify_service_payer(me, id.as_str(), "ServiceOwner")
        })
        .await
    }
}

/// Spreads traffic over zones, on load balancers and on target groups.
const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";

#[cfg(test)]
#[path = "gateway_tests.rs"]
mod tests;
