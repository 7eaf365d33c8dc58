//! Every check of the contract, through the adapter, over HTTP. Only the adapter's side is on the wire: the consumer, the
//! network engineer, the clock and the faults are turned from behind.

use std::net::TcpListener;
use std::sync::Arc;

use privatelink::contract::{CHECKS, ContractWorld};
use privatelink::{AccountId, AccountRegionRef, Gateways, PrivateLink};
use privatelink_aws::{AwsGateways, AwsSettings};
use privatelink_sim::contract_world::{Cast, SimContractWorld};

/// One test for all checks, since they are listed at run time; it names every check that fails.
#[tokio::test]
async fn the_adapter_passes_every_check_of_the_contract() {
    let simulator = SimContractWorld::simulator().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (server, handle) = simulator.serve(listener).unwrap();
    let serving = tokio::spawn(server);

    let cast = Cast {
        region: "eu-west-1".parse().unwrap(),
        provider: "111111111111".parse().unwrap(),
        other_provider: "222222222222".parse().unwrap(),
        consumer: "333333333333".parse().unwrap(),
    };
    let gateways = AwsGateways::new(AwsSettings {
        endpoint_url: Some(url),
        ..AwsSettings::default()
    });
    let provider = gateway(&gateways, &cast, &cast.provider).await;
    let other = gateway(&gateways, &cast, &cast.other_provider).await;
    let world = SimContractWorld::with_gateways(&simulator, cast, provider, other);

    let mut failures = Vec::new();
    for check in CHECKS {
        if let Err(why) = (check.run)(&world).await {
            failures.push(format!("  {}: {why}", check.name));
        }
        world.clear_faults().await.unwrap();
    }
    handle.stop(false).await;
    serving.await.unwrap().unwrap();
    assert!(
        failures.is_empty(),
        "{} of {} checks failed:\n{}",
        failures.len(),
        CHECKS.len(),
        failures.join("\n")
    );
}

async fn gateway(gateways: &AwsGateways, cast: &Cast, account: &AccountId) -> Arc<dyn PrivateLink> {
    let place = AccountRegionRef {
        account: account.clone(),
        region: cast.region.clone(),
        role_arn: None,
        external_id: None,
    };
    gateways.gateway(&place).await.unwrap()
}
