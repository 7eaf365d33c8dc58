//! What goes wrong, by seed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Result;
use crate::chance::Chance;
use crate::scene::{LEASE, PROVIDER, Scene};

/// Actions that faults befall, and how much more often than others.
const ACTIONS: &[&str] = &[
    "AcceptVpcEndpointConnections",
    "AcceptVpcEndpointConnections",
    "RejectVpcEndpointConnections",
    "RejectVpcEndpointConnections",
    "DescribeVpcEndpointConnections",
    "DescribeVpcEndpointConnections",
    "DescribeVpcEndpointService*",
    "ModifyVpcEndpointService*",
    "CreateTags",
    "DescribeLoadBalancers",
    "GetCallerIdentity",
    "*",
];

/// The longest that a read may lag: within the grace that the worker allows for.
const LONGEST_LAG_MS: u64 = 8_000;

/// How far AWS's clock jumps at most.
const FARTHEST_JUMP: Duration = Duration::from_mins(2);

/// Makes trouble for so long.
pub(crate) async fn make(scene: &mut Scene, seed: u64, lasts: Duration) -> Result {
    let mut chance = Chance::new(seed, 1);
    let until = Instant::now() + lasts;
    while Instant::now() < until {
        tokio::time::sleep(chance.between(200, 1_500)).await;
        // Faults lie in wait for whatever happens next, the troubles that take long included.
        for _ in 0..chance.below(3) {
            let fault = fault(scene, &mut chance);
            let effect = fault["effect"].as_str().unwrap_or_default();
            scene.tally.add(&format!("fault: {effect}"));
            scene.sim.plan(fault).await?;
        }
        one(scene, &mut chance).await?;
        if !scene.all_run() {
            return Err("a replica ended by itself".into());
        }
    }
    Ok(())
}

async fn one(scene: &mut Scene, chance: &mut Chance) -> Result {
    let replica = usize::try_from(chance.below(2)).unwrap_or(0);
    match chance.below(14) {
        0 | 1 => {
            scene.tally.add("trouble: kill -9 of a replica");
            scene.kill_replica(replica).await?;
            tokio::time::sleep(chance.between(0, 2_000)).await;
            scene.start_replica(replica).await
        }
        2 => {
            scene
                .tally
                .add("trouble: a replica stopped past its lease, then continued");
            scene.signal_replica(replica, "STOP").await?;
            tokio::time::sleep(LEASE + chance.between(500, 3_000)).await;
            scene.signal_replica(replica, "CONT").await
        }
        3 => {
            scene.tally.add("trouble: a replica stopped for a moment");
            scene.signal_replica(replica, "STOP").await?;
            tokio::time::sleep(chance.between(100, 2_000)).await;
            scene.signal_replica(replica, "CONT").await
        }
        4 | 5 => {
            scene
                .tally
                .add("trouble: kill -9 of PostgreSQL, and a restart");
            scene.restart_postgres(chance.between(0, 2_500)).await
        }
        6 => {
            scene.tally.add("trouble: AWS's clock jumps ahead");
            let most = u64::try_from(FARTHEST_JUMP.as_millis()).unwrap_or(0);
            scene.jump(chance.between(1_000, most)).await
        }
        7 => {
            scene
                .tally
                .add("trouble: the next endpoint fails to provision");
            let body = json!({ "times": 1, "code": "InternalError", "message": "planned" });
            let made = scene
                .sim
                .control(reqwest::Method::POST, "/endpoints/failures", Some(body));
            made.await.map(drop)
        }
        9 => {
            scene
                .tally
                .add("trouble: SIGTERM to a replica, and a new start");
            scene.end_replica(replica).await?;
            scene.start_replica(replica).await
        }
        8 => {
            scene.tally.add("trouble: all planned faults end");
            scene.sim.clear_faults().await
        }
        // A moment without.
        _ => Ok(()),
    }
}

/// A fault with one of all effects that the simulator knows, for a few calls of the provider.
fn fault(scene: &Scene, chance: &mut Chance) -> Value {
    let action = chance.of(ACTIONS).copied().unwrap_or("*");
    let times = 1 + chance.below(4);
    let base = |action: &str, effect: &str| json!({ "action": action, "account": PROVIDER, "times": times, "effect": effect });
    let with = |mut fault: Value, more: Value| {
        if let (Some(fault), Value::Object(more)) = (fault.as_object_mut(), more) {
            fault.extend(more);
        }
        fault
    };
    let when = if chance.one_in(2) { "before" } else { "after" };
    match chance.below(16) {
        0 | 1 => base(action, "throttle"),
        2 => base(action, "error_before"),
        3 => base(action, "error_after"),
        4 | 5 => base(action, "drop_answer"),
        6 => with(base(action, "reset"), json!({ "when": when })),
        7 => base(action, "truncate"),
        8 => base(action, "garbled"),
        9 => with(
            base(action, "slow"),
            json!({ "when": when, "delay_ms": 200 + chance.below(8_000) }),
        ),
        10 => base(action, "deny_action"),
        11 => base(action, "refuse"),
        12 => {
            let endpoints = scene.ledger.note().endpoints.clone();
            let newest: Vec<_> = endpoints.iter().rev().take(10).collect();
            let action = if chance.one_in(2) {
                "AcceptVpcEndpointConnections"
            } else {
                "RejectVpcEndpointConnections"
            };
            match chance.of(&newest) {
                Some(endpoint) => with(
                    base(action, "partial_unsuccessful"),
                    json!({ "resource_id": endpoint.id, "code": "ConcurrentMutationLimitExceeded", "message": "Later." }),
                ),
                None => base(action, "throttle"),
            }
        }
        13 | 14 => with(
            json!({ "action": "DescribeVpcEndpoint*", "account": PROVIDER, "times": 20, "effect": "stale_reads" }),
            json!({ "lag_ms": 1 + chance.below(LONGEST_LAG_MS) }),
        ),
        _ => {
            // About notifications the action is the event.
            let effects = [
                "lose_notification",
                "duplicate_notification",
                "reorder_notification",
            ];
            let effect = chance.of(&effects).copied().unwrap_or("lose_notification");
            base("*", effect)
        }
    }
}
