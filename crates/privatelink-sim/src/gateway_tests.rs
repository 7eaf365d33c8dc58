//! The port in process: faults as the port reports them, the state file.

use privatelink::ConnectionState;

use super::*;
use crate::{Effect, Fault, SimClock, SimConfig};

const PROVIDER: &str = "111111111111";
const CONSUMER: &str = "222222222222";

fn simulator() -> Simulator {
    let clock = SimClock::running();
    clock.stop();
    Simulator::new(SimConfig {
        clock,
        ..SimConfig::default()
    })
    .unwrap()
}

fn gateway(simulator: &Simulator) -> SimGateway {
    simulator.gateway(PROVIDER.parse().unwrap(), "eu-west-1".parse().unwrap())
}

async fn service(simulator: &Simulator) -> EndpointService {
    let setup = simulator.provider_setup(PROVIDER.parse().unwrap(), "eu-west-1".parse().unwrap());
    let new = NewEndpointService {
        client_token: "t".into(),
        acceptance_required: true,
        network_load_balancer_arns: vec![setup.ready_load_balancer("edge").unwrap()],
        supported_ip_address_types: vec![],
        tags: vec![],
    };
    gateway(simulator)
        .create_endpoint_service(&new)
        .await
        .unwrap()
}

async fn endpoint(simulator: &Simulator, service: &EndpointService) -> VpcEndpointId {
    let root = AllowedPrincipal::account_root(&CONSUMER.parse().unwrap());
    gateway(simulator)
        .modify_principals(&service.service_id, &[root], &[])
        .await
        .unwrap();
    simulator
        .consumer(CONSUMER.parse().unwrap(), "eu-west-1".parse().unwrap())
        .create_endpoint(&service.service_name)
        .unwrap()
}

async fn state(simulator: &Simulator) -> ConnectionState {
    let page = gateway(simulator)
        .connections(&ConnectionFilter::All, None)
        .await
        .unwrap();
    page.items[0].state.clone()
}

#[tokio::test]
async fn a_dropped_answer_is_unknown_although_the_work_is_done() {
    let simulator = simulator();
    let service = service(&simulator).await;
    let ids = [endpoint(&simulator, &service).await];
    simulator.faults().plan(Fault::once(
        "AcceptVpcEndpointConnections",
        Effect::DropAnswer,
    ));
    let error = gateway(&simulator)
        .accept_connections(&service.service_id, &ids)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), "unknown");
    assert_eq!(state(&simulator).await, ConnectionState::Pending);
    let event = simulator
        .calls()
        .of("AcceptVpcEndpointConnections")
        .pop()
        .unwrap();
    assert_eq!((event.outcome.as_str(), event.done), ("dropped", true));
}

#[tokio::test]
async fn a_planned_item_failure_comes_inside_a_success() {
    let simulator = simulator();
    let service = service(&simulator).await;
    let ids = [endpoint(&simulator, &service).await];
    let effect = Effect::PartialUnsuccessful {
        resource_id: ids[0].to_string(),
        code: "OperationNotPermitted".into(),
        message: "planned".into(),
    };
    simulator
        .faults()
        .plan(Fault::once("AcceptVpcEndpointConnections", effect));
    let gateway = gateway(&simulator);
    let failed = gateway
        .accept_connections(&service.service_id, &ids)
        .await
        .unwrap();
    assert_eq!(failed[0].code, "OperationNotPermitted");
    assert_eq!(state(&simulator).await, ConnectionState::PendingAcceptance);
    assert!(
        gateway
            .accept_connections(&service.service_id, &ids)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn stale_reads_show_the_state_before_the_accept() {
    let simulator = simulator();
    let service = service(&simulator).await;
    let ids = [endpoint(&simulator, &service).await];
    simulator
        .clock()
        .advance(std::time::Duration::from_secs(10));
    gateway(&simulator)
        .accept_connections(&service.service_id, &ids)
        .await
        .unwrap();
    let lag = Effect::StaleReads { lag_ms: 5_000 };
    simulator
        .faults()
        .plan(Fault::once("DescribeVpcEndpointConnections", lag));
    assert_eq!(state(&simulator).await, ConnectionState::PendingAcceptance);
    assert_eq!(state(&simulator).await, ConnectionState::Pending);
}

#[tokio::test]
async fn a_wrong_external_id_gets_no_gateway() {
    let simulator = simulator();
    let role = "arn:aws:iam::111111111111:role/portcullis";
    simulator
        .with_world(|w| w.register_role(role, Some("right".into())))
        .unwrap()
        .unwrap();
    let place = |external_id: &str| AccountRegionRef {
        account: PROVIDER.parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        role_arn: Some(role.into()),
        external_id: Some(external_id.into()),
    };
    let denied = Gateways::gateway(&simulator, &place("wrong"))
        .await
        .err()
        .unwrap();
    assert_eq!(denied.kind(), "denied");
    assert!(Gateways::gateway(&simulator, &place("right")).await.is_ok());
}

#[tokio::test]
async fn the_state_file_has_everything_that_was_answered() {
    let directory = tempfile::tempdir().unwrap();
    let config = || SimConfig {
        state_file: Some(directory.path().join("world.json")),
        ..SimConfig::default()
    };
    let simulator = Simulator::new(config()).unwrap();
    let service = service(&simulator).await;
    let ids = [endpoint(&simulator, &service).await];
    gateway(&simulator)
        .accept_connections(&service.service_id, &ids)
        .await
        .unwrap();
    drop(simulator);
    let again = Simulator::new(config()).unwrap();
    let page = gateway(&again)
        .connections(&ConnectionFilter::All, None)
        .await
        .unwrap();
    assert_eq!(page.items[0].endpoint_id, ids[0]);
    assert!(matches!(
        page.items[0].state,
        ConnectionState::Pending | ConnectionState::Available
    ));
}

#[tokio::test]
async fn the_port_sees_the_state_the_enforcement_and_the_health_that_were_set() {
    let simulator = simulator();
    let (account, region) = (PROVIDER.parse().unwrap(), "eu-west-1".parse().unwrap());
    let setup = simulator.provider_setup(account, region);
    let arn = setup.ready_load_balancer("edge").unwrap();
    let caller = simulator.caller(&PROVIDER.parse().unwrap(), &"eu-west-1".parse().unwrap());
    let guarded = simulator.with_world(|world| {
        let state = crate::world::load_balancers::LoadBalancerState {
            code: "active_impaired".into(),
            reason: Some("a zone is lost".into()),
        };
        world.set_load_balancer_state(&caller, arn.as_str(), Some(state))?;
        let sick = crate::world::targets::Health {
            state: "unhealthy".into(),
            reason: Some("Target.Timeout".into()),
            description: None,
        };
        assert_eq!(
            world.set_zone_health(&caller, "eu-west-1b", Some(&sick))?,
            1
        );
        let place = world.place(&caller);
        let new = crate::world::load_balancers::NewLoadBalancer {
            name: "guarded".into(),
            subnets: place.subnets.keys().cloned().collect(),
            security_groups: place.security_groups.keys().cloned().collect(),
            ..Default::default()
        };
        let made = world.create_load_balancer(&caller, new)?;
        let groups = made.security_groups;
        world.set_security_groups(&caller, made.arn.as_str(), groups, Some("off"))
    });
    let guarded = guarded.unwrap().unwrap().arn;
    let gateway = gateway(&simulator);
    let seen = gateway
        .load_balancers(std::slice::from_ref(&arn))
        .await
        .unwrap()
        .remove(0);
    assert_eq!(seen.state, "active_impaired");
    assert_eq!(seen.state_reason.as_deref(), Some("a zone is lost"));
    assert_eq!(seen.enforce_security_groups_on_private_link, None);
    let seen = gateway.load_balancers(&[guarded]).await.unwrap().remove(0);
    assert_eq!(seen.enforce_security_groups_on_private_link, Some(false));
    let group = gateway.target_groups(&arn).await.unwrap().remove(0);
    let health = gateway.target_health(&group.arn).await.unwrap();
    let sick = health.iter().filter(|t| t.state == TargetState::Unhealthy);
    let zones: Vec<_> = sick.map(|t| t.availability_zone.as_deref()).collect();
    assert_eq!(zones, [Some("eu-west-1b")]);
}
