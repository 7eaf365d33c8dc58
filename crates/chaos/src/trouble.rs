//! What goes wrong, by seed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Result;
use crate::chance::Chance;
use crate::line::State;
use crate::scene::{LEASE, Ledger, PROVIDER, Scene};

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

/// The longest that a line is silent: longer than a lease, and what is said then arrives that much later.
const LONGEST_SILENCE_MS: u64 = 12_000;

/// How many faults lie in wait at most.
const MOST_FAULTS: usize = 5;

/// How far AWS's clock jumps at most.
const FARTHEST_JUMP: Duration = Duration::from_mins(2);

/// What goes wrong with processes and with what lies between them.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    KillReplica,
    EndReplica,
    StopReplica,
    StopPastLease,
    KillPostgres,
    RestartPostgres,
    FailOver,
    FailOverTwofold,
    DenyWrites,
    EndSessions,
    LockRows,
    CutLease,
    NoDatabase,
    NoAws,
    NoNothing,
    CrowdReplica,
    Jump,
    Throttle,
    FailToProvision,
    LoseMessages,
    EndFaults,
    Nothing,
}

impl Trouble {
    /// One round of all of them; what hurts most comes twice.
    const ALL: &[Self] = &[
        Self::KillReplica,
        Self::KillReplica,
        Self::EndReplica,
        Self::StopReplica,
        Self::StopPastLease,
        Self::KillPostgres,
        Self::KillPostgres,
        Self::RestartPostgres,
        Self::FailOver,
        Self::FailOverTwofold,
        Self::DenyWrites,
        Self::EndSessions,
        Self::LockRows,
        Self::CutLease,
        Self::CutLease,
        Self::NoDatabase,
        Self::NoAws,
        Self::NoNothing,
        Self::CrowdReplica,
        Self::Jump,
        Self::Throttle,
        Self::FailToProvision,
        Self::LoseMessages,
        Self::EndFaults,
        Self::Nothing,
        Self::Nothing,
        Self::Nothing,
    ];

    /// What it is called in the report; nothing where nothing happens.
    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::KillReplica => "kill -9 of a replica",
            Self::EndReplica => "SIGTERM to a replica, and a new start",
            Self::StopReplica => "a replica stopped for a moment",
            Self::StopPastLease => "a replica stopped past its lease, then continued",
            Self::KillPostgres => "kill -9 of PostgreSQL, and a restart",
            Self::RestartPostgres => "PostgreSQL restarted in an orderly way",
            Self::FailOver => "PostgreSQL fails over",
            Self::FailOverTwofold => "PostgreSQL fails over, and a replica finds the old one",
            Self::DenyWrites => "PostgreSQL cannot write its log",
            Self::EndSessions => "PostgreSQL ends all sessions",
            Self::LockRows => "somebody locks tables for a while",
            Self::CutLease => "all leases cut",
            Self::NoDatabase => "a replica cut off from the database",
            Self::NoAws => "a replica cut off from AWS",
            Self::NoNothing => "a replica cut off from both",
            Self::CrowdReplica => "a replica without free file descriptors",
            Self::Jump => "AWS's clock jumps ahead",
            Self::Throttle => "AWS takes a call every three seconds only, for a while",
            Self::FailToProvision => "the next endpoint fails to provision",
            Self::LoseMessages => "the next 20 notifications are lost",
            Self::EndFaults => "all planned faults end",
            Self::Nothing => return None,
        })
    }
}

/// Makes trouble for so long. Each round has every kind once or twice, in an order of its own.
pub(crate) async fn make(scene: &mut Scene, seed: u64, lasts: Duration) -> Result {
    let mut chance = Chance::new(seed, 1);
    let until = Instant::now() + lasts;
    let mut round = Vec::new();
    while Instant::now() < until {
        tokio::time::sleep(chance.between(200, 1_500)).await;
        if round.is_empty() {
            round = Trouble::ALL.to_vec();
            chance.shuffle(&mut round);
        }
        let Some(trouble) = round.pop() else { continue };
        if let Some(name) = trouble.name() {
            scene.tally.add(&format!("trouble: {name}"));
        }
        one(scene, &mut chance, trouble).await?;
        if !scene.all_run() {
            return Err("a replica ended by itself".into());
        }
    }
    Ok(())
}

async fn one(scene: &mut Scene, chance: &mut Chance, trouble: Trouble) -> Result {
    let replica = usize::try_from(chance.below(2)).unwrap_or(0);
    match trouble {
        Trouble::KillReplica => {
            scene.kill_replica(replica).await?;
            tokio::time::sleep(chance.between(0, 2_000)).await;
            scene.start_replica(replica).await
        }
        Trouble::EndReplica => {
            scene.end_replica(replica).await?;
            scene.start_replica(replica).await
        }
        Trouble::StopReplica => stop(scene, replica, chance.between(100, 2_000)).await,
        Trouble::StopPastLease => stop(scene, replica, LEASE + chance.between(500, 3_000)).await,
        Trouble::KillPostgres => {
            scene
                .restart_postgres("KILL", chance.between(0, 2_500))
                .await
        }
        Trouble::RestartPostgres => {
            scene
                .restart_postgres("INT", chance.between(0, 2_500))
                .await
        }
        Trouble::FailOver => scene.fail_over(None).await,
        Trouble::FailOverTwofold => {
            let lasts = chance.between(2_000, LONGEST_SILENCE_MS);
            scene.fail_over(Some((replica, lasts))).await
        }
        Trouble::DenyWrites => scene.deny_writes(chance.between(500, 2_000)).await,
        Trouble::EndSessions => scene.disturb(END_SESSIONS),
        Trouble::LockRows => {
            let table = chance.of(TABLES).copied().unwrap_or("connections");
            let seconds = 1 + chance.below(4);
            scene.disturb(&format!(
                "BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({seconds}); COMMIT"
            ))
        }
        Trouble::CutLease => scene.disturb(CUT_LEASES),
        Trouble::NoDatabase => {
            let state = broken(chance);
            cut_off(scene, chance, replica, (state, State::Whole)).await
        }
        Trouble::NoAws => {
            let state = broken(chance);
            cut_off(scene, chance, replica, (State::Whole, state)).await
        }
        Trouble::NoNothing => {
            let states = (broken(chance), broken(chance));
            cut_off(scene, chance, replica, states).await
        }
        Trouble::CrowdReplica => scene.crowd(replica, chance.between(500, 3_000)).await,
        Trouble::Jump => {
            let most = u64::try_from(FARTHEST_JUMP.as_millis()).unwrap_or(0);
            scene.jump(chance.between(1_000, most)).await
        }
        Trouble::Throttle => {
            let rule =
                json!([{ "action": "*VpcEndpointConnections", "burst": 1, "per_minute": 20 }]);
            let hard = json!({ "throttling": { "custom": rule } });
            scene.sim.behave(hard).await?;
            tokio::time::sleep(chance.between(5_000, 15_000)).await;
            scene.sim.behave(json!({ "throttling": "off" })).await
        }
        Trouble::FailToProvision => {
            let body = json!({ "times": 1, "code": "InternalError", "message": "planned" });
            let path = "/endpoints/failures";
            let made = scene.sim.control(reqwest::Method::POST, path, Some(body));
            made.await.map(drop)
        }
        Trouble::LoseMessages => {
            let lost = json!({ "action": "*", "account": PROVIDER, "times": 20, "effect": "lose_notification" });
            scene.sim.plan(lost).await
        }
        Trouble::EndFaults => scene.sim.clear_faults().await,
        Trouble::Nothing => Ok(()),
    }
}

/// Every session but the one that says so.
const END_SESSIONS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// Nobody holds anything, although two replicas believe to.
const CUT_LEASES: &str =
    "UPDATE account_regions SET lease_holder = NULL, lease_until = NULL, lease_since = NULL";

/// What a migration or a careless hand may lock.
const TABLES: &[&str] = &[
    "connections",
    "account_regions",
    "endpoint_services",
    "decisions",
    "hints",
    "audit_entries",
];

async fn stop(scene: &Scene, replica: usize, lasts: Duration) -> Result {
    scene.signal_replica(replica, "STOP").await?;
    tokio::time::sleep(lasts).await;
    scene.signal_replica(replica, "CONT").await
}

fn broken(chance: &mut Chance) -> State {
    if chance.one_in(2) {
        State::Silent
    } else {
        State::Cut
    }
}

/// A replica whose lines fail, to the database and to AWS, for a moment or past its lease.
async fn cut_off(
    scene: &Scene,
    chance: &mut Chance,
    replica: usize,
    (to_database, to_aws): (State, State),
) -> Result {
    scene.lines(replica, to_database, to_aws);
    tokio::time::sleep(chance.between(500, LONGEST_SILENCE_MS)).await;
    scene.lines(replica, State::Whole, State::Whole);
    Ok(())
}

/// Faults that lie in wait for whatever happens next, whatever else goes wrong meanwhile; until it is told to stop.
pub(crate) struct Weather {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result>,
}

impl Weather {
    /// Lets it begin.
    pub(crate) fn begin(scene: &Scene, seed: u64) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let mut chance = Chance::new(seed, 2);
        let (sim, ledger, tally) = (scene.sim.clone(), scene.ledger.clone(), scene.tally.clone());
        let task = tokio::spawn(async move {
            loop {
                let pause = chance.between(100, 900);
                tokio::select! {
                    _ = stopped.wait_for(|stop| *stop) => return Ok(()),
                    () = tokio::time::sleep(pause) => {}
                }
                // Calls that are slow to come must not find nothing but faults: then nothing would ever be done.
                let waiting = sim.control(reqwest::Method::GET, "/faults", None).await?;
                if waiting.as_array().map_or(0, Vec::len) >= MOST_FAULTS {
                    continue;
                }
                let fault = fault(&ledger, &mut chance);
                let effect = fault["effect"].as_str().unwrap_or_default();
                tally.add(&format!("fault: {effect}"));
                sim.plan(fault).await?;
            }
        });
        Self { stop, task }
    }

    /// Ends it.
    pub(crate) async fn end(self) -> Result {
        // Nobody listens when it has failed already.
        let _ = self.stop.send(true);
        self.task.await?
    }
}

/// A fault with one of all effects that the simulator knows, for a few calls of the provider.
fn fault(ledger: &Ledger, chance: &mut Chance) -> Value {
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
    match chance.below(18) {
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
        12 | 16 | 17 => {
            let endpoints = ledger.note().endpoints.clone();
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
