//! Every check of the contract, through the adapter, over HTTP. Only the adapter's side is on the wire: the consumer, the
//! network engineer, the clock and the faults are turned from behind.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use privatelink::contract::{CHECKS, ContractWorld};
use privatelink::{AccountId, AccountRegionRef, Gateways, PrivateLink};
use privatelink_aws::{AwsGateways, AwsSettings};
use privatelink_sim::contract_world::{Cast, SimContractWorld};
use privatelink_sim::{Effect, Fault, When};

use crate::noise::{Noisy, READS, WRITES};

/// One test for all checks, since they are listed at run time; it names every check that fails.
#[tokio::test]
async fn the_adapter_passes_every_check_of_the_contract() {
    passes_every_check(Vec::new()).await;
}

/// Throttled at first, then let through.
#[tokio::test]
async fn the_adapter_passes_every_check_while_every_other_call_is_throttled() {
    passes_every_check(every_other(&[READS, WRITES], &Effect::Throttle)).await;
}

/// Nothing is done at first, with a 503.
#[tokio::test]
async fn the_adapter_passes_every_check_while_every_other_call_meets_a_server_error() {
    let effect = Effect::ErrorBefore {
        status: 503,
        code: "ServiceUnavailable".to_owned(),
    };
    passes_every_check(every_other(&[READS, WRITES], &effect)).await;
}

/// Nothing is done at first, and the connection is reset.
#[tokio::test]
async fn the_adapter_passes_every_check_while_every_other_connection_is_reset() {
    let effect = Effect::Reset { when: When::Before };
    passes_every_check(every_other(&[READS, WRITES], &effect)).await;
}

/// Reading twice does no harm, whatever became of the first answer. (An accept whose answer is lost is another matter: see the
/// contract's own checks.)
#[tokio::test]
async fn the_adapter_passes_every_check_while_every_other_read_loses_its_answer() {
    passes_every_check(every_other(&[READS], &Effect::DropAnswer)).await;
}

/// Half an answer is no answer.
#[tokio::test]
async fn the_adapter_passes_every_check_while_every_other_read_is_answered_by_half() {
    passes_every_check(every_other(&[READS], &Effect::Truncate)).await;
}

/// Late, but in time.
#[tokio::test]
async fn the_adapter_passes_every_check_while_every_call_is_slow() {
    let effect = Effect::Slow {
        delay_ms: 5,
        when: When::After,
    };
    let noise = [READS, WRITES].concat();
    let always = |action: &&str| Fault::always(action, effect.clone());
    passes_every_check(noise.iter().map(always).collect()).await;
}

/// The same effect on the first of each two calls of an action: the adapter's second try gets through.
fn every_other(actions: &[&[&str]], effect: &Effect) -> Vec<Fault> {
    actions
        .concat()
        .into_iter()
        .map(|action| Fault {
            every: Some(2),
            ..Fault::always(action, effect.clone())
        })
        .collect()
}

async fn passes_every_check(noise: Vec<Fault>) {
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
        // Nobody here has to be spared a crowd.
        retry_pause: Duration::from_millis(1),
        ..AwsSettings::default()
    });
    let provider = gateway(&gateways, &cast, &cast.provider).await;
    let other = gateway(&gateways, &cast, &cast.other_provider).await;
    let messaging = gateways
        .messaging(&place(&cast, &cast.provider))
        .await
        .unwrap();
    let quiet = noise.is_empty();
    let world = Noisy {
        inner: SimContractWorld::with_gateways(&simulator, cast, provider, other)
            .with_messaging(messaging),
        simulator: simulator.clone(),
        noise,
    };

    let mut failures = Vec::new();
    for check in CHECKS {
        world.clear_faults().await.unwrap();
        if let Err(why) = (check.run)(&world).await {
            failures.push(format!("  {}: {why}", check.name));
        }
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
    if !quiet {
        let met = world.met();
        assert!(met > 100, "only {met} calls met the noise");
    }
}

async fn gateway(gateways: &AwsGateways, cast: &Cast, account: &AccountId) -> Arc<dyn PrivateLink> {
    gateways.gateway(&place(cast, account)).await.unwrap()
}

fn place(cast: &Cast, account: &AccountId) -> AccountRegionRef {
    AccountRegionRef {
        account: account.clone(),
        region: cast.region.clone(),
        role_arn: None,
        external_id: None,
    }
}
