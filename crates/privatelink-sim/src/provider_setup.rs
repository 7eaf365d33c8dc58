//! What a provider's network engineer has built before PrivateLink begins, in one call: for tests and demonstrations.

use privatelink::{AccountId, LoadBalancerArn, Region};

use crate::AwsError;
use crate::simulator::Simulator;
use crate::world::listeners::NewListener;
use crate::world::load_balancer_subnets::SubnetsChange;
use crate::world::load_balancers::NewLoadBalancer;
use crate::world::targets::{Health, NewTargetGroup, TargetRef};
use crate::world::{Caller, World};

/// A provider's account in one Region. These calls meet no faults and are not logged: they are scenery.
#[derive(Debug, Clone)]
pub struct ProviderSetup {
    simulator: Simulator,
    account: AccountId,
    region: Region,
}

impl Simulator {
    /// Scenery for a provider in an account and a Region.
    pub fn provider_setup(&self, account: AccountId, region: Region) -> ProviderSetup {
        ProviderSetup {
            simulator: self.clone(),
            account,
            region,
        }
    }
}

impl ProviderSetup {
    /// An internal Network Load Balancer over every zone of the default VPC, with a TCP listener on 443 that forwards to a
    /// target group with one IP target per zone: active and healthy at once, whatever the switches say of new ones.
    pub fn ready_load_balancer(&self, name: &str) -> Result<LoadBalancerArn, AwsError> {
        self.load_balancer(name, usize::MAX)
    }

    /// As [`ProviderSetup::ready_load_balancer`], over the first `zones` zones by zone id.
    pub fn load_balancer(&self, name: &str, zones: usize) -> Result<LoadBalancerArn, AwsError> {
        let caller = self.simulator.caller(&self.account, &self.region);
        self.change(|world| {
            let provisioning = std::mem::take(&mut world.behavior.load_balancer_provisioning_ms);
            let initial = std::mem::take(&mut world.behavior.target_initial_ms);
            let built = build(world, &caller, name, zones);
            world.behavior.load_balancer_provisioning_ms = provisioning;
            world.behavior.target_initial_ms = initial;
            built
        })
    }

    /// As [`ProviderSetup::ready_load_balancer`], but as AWS makes them: it is being provisioned and its targets are checked for as long
    /// as the switches say.
    pub fn fresh_load_balancer(&self, name: &str) -> Result<LoadBalancerArn, AwsError> {
        let caller = self.simulator.caller(&self.account, &self.region);
        self.change(|world| build(world, &caller, name, usize::MAX))
    }

    /// Sets the health of every target behind a load balancer; `None` gives it back to the targets' own checks.
    pub fn set_health(
        &self,
        load_balancer: &LoadBalancerArn,
        health: Option<&Health>,
    ) -> Result<(), AwsError> {
        let caller = self.simulator.caller(&self.account, &self.region);
        self.change(|world| {
            for (group, _) in
                world.target_groups(&caller, Some(load_balancer.as_str()), &[], &[])?
            {
                for target in group.targets.values() {
                    world.set_target_health(&caller, &group.arn, &target.id, health)?;
                }
            }
            Ok(())
        })
    }

    /// Adds a TCP listener that forwards to the load balancer's first target group.
    pub fn listen(&self, load_balancer: &LoadBalancerArn, port: u16) -> Result<(), AwsError> {
        let caller = self.simulator.caller(&self.account, &self.region);
        self.change(|world| {
            let groups = world.target_groups(&caller, Some(load_balancer.as_str()), &[], &[])?;
            let forward = groups
                .into_iter()
                .take(1)
                .map(|(group, _)| (group.arn, None));
            let new = NewListener {
                load_balancer: load_balancer.to_string(),
                port,
                protocol: "TCP".to_owned(),
                forward: forward.collect(),
                ..NewListener::default()
            };
            world.create_listener(&caller, new).map(|_| ())
        })
    }

    /// Enables every zone of the default VPC on a load balancer. Services over it do not notice by themselves.
    pub fn enable_all_zones(&self, load_balancer: &LoadBalancerArn) -> Result<(), AwsError> {
        let caller = self.simulator.caller(&self.account, &self.region);
        self.change(|world| {
            let place = world.place(&caller);
            let default = place.subnets.values().filter(|subnet| subnet.is_default);
            let change = SubnetsChange {
                subnets: default.map(|subnet| subnet.id.clone()).collect(),
                ..SubnetsChange::default()
            };
            world
                .set_subnets(&caller, load_balancer.as_str(), change)
                .map(|_| ())
        })
    }

    fn change<T>(
        &self,
        act: impl FnOnce(&mut World) -> Result<T, AwsError>,
    ) -> Result<T, AwsError> {
        self.simulator
            .with_world(act)
            .map_err(|error| AwsError::with_status(500, "InternalError", error.to_string()))?
    }
}

/// The load balancer of [`ProviderSetup::load_balancer`] and what is behind it.
pub(crate) fn build(
    world: &mut World,
    caller: &Caller,
    name: &str,
    zones: usize,
) -> Result<LoadBalancerArn, AwsError> {
    let place = world.place(caller);
    let mut subnets: Vec<_> = place
        .subnets
        .values()
        .filter(|subnet| subnet.is_default)
        .map(|subnet| (subnet.zone.clone(), subnet.id.clone(), subnet.cidr.clone()))
        .collect();
    subnets.sort();
    subnets.truncate(zones);
    let vpc_id = place
        .vpcs
        .values()
        .find(|vpc| vpc.is_default)
        .map(|vpc| vpc.id.clone());
    let new = NewLoadBalancer {
        name: name.to_owned(),
        scheme: Some("internal".to_owned()),
        subnets: subnets
            .iter()
            .map(|(_, subnet, _)| subnet.clone())
            .collect(),
        ..NewLoadBalancer::default()
    };
    let arn = world.create_load_balancer(caller, new)?.arn;
    let group = world.create_target_group(
        caller,
        NewTargetGroup {
            name: name.to_owned(),
            protocol: "TCP".to_owned(),
            port: 443,
            vpc_id,
            target_type: Some("ip".to_owned()),
            ..NewTargetGroup::default()
        },
    )?;
    // The tenth address of each subnet. Its zone is found from it.
    let targets: Vec<TargetRef> = subnets
        .iter()
        .filter_map(|(_, _, cidr)| cidr.split_once(".0/"))
        .map(|(network, _)| TargetRef {
            id: format!("{network}.10"),
            port: Some(443),
            ..TargetRef::default()
        })
        .collect();
    world.register_targets(caller, &group.arn, &targets)?;
    world.create_listener(
        caller,
        NewListener {
            load_balancer: arn.to_string(),
            port: 443,
            protocol: "TCP".to_owned(),
            forward: vec![(group.arn, None)],
            ..NewListener::default()
        },
    )?;
    Ok(arn)
}
