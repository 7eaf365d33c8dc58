//! One cell: a story, a fault, a kill, and what it came to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use history_checker::{Aws, Circumstances, Database, History, check, database};
use portcullis::domain::clock::Clock;
use portcullis::worker::{Place, Worker, identity};
use privatelink::VpcEndpointId;
use privatelink_sim::Event;
use privatelink_sim::api::Api;
use reqwest::Method;
use serde_json::{Value, json};

use super::faults::Trouble;
use super::hints;
use super::kill::{Kill, Lived, work};
use super::stories::{Scene, Story};
use crate::support::http::send;
use crate::support::{PROVIDER, TestApp, Who};

/// A fault that befalls one call of a story.
#[derive(Debug, Clone)]
pub(super) struct Struck {
    pub(super) trouble: Trouble,
    pub(super) action: String,
    /// How many calls of this action come before it.
    skip: u32,
    /// Which of the scene's endpoints the call names first.
    item: Option<usize>,
}

/// One cell.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    story: Story,
    pub(super) struck: Option<Struck>,
    pub(super) kill: Kill,
    /// The worker makes each of its passes twice in a row, and changes AWS no more often than this: by action, as in peace.
    twice: Option<Changes>,
    seed: u64,
}

/// How often AWS was changed, by action.
type Changes = BTreeMap<String, usize>;

fn changes(calls: &[Event]) -> Changes {
    let reads = ["Describe", "Get", "List", "Receive"];
    let mut changes = Changes::new();
    for call in calls {
        if !reads.iter().any(|word| call.action.starts_with(word)) {
            *changes.entry(call.action.clone()).or_default() += 1;
        }
    }
    changes
}

/// What a cell came to.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// The worker was killed.
    pub(super) killed: bool,
    /// Codes that somebody had to look after.
    pub(super) stalled: BTreeSet<String>,
    /// What was not as it should be.
    pub(super) wrong: Vec<String>,
}

/// How many moments of waiting a story's worker is killed at in the suite.
const WAITS: u32 = 12;

/// Every cell of a story.
pub(super) async fn of(app: &mut TestApp, story: Story) -> Vec<Cell> {
    let long = variable("PORTCULLIS_MATRIX").as_deref() == Some("long");
    let seed: u64 = variable("PORTCULLIS_MATRIX_SEED").map_or(1, |s| s.parse().expect("a seed"));
    let plain = Box::pin(undisturbed(app, story)).await;
    let mut cells = Vec::new();
    let mut add = |struck: Option<&Struck>, kill| {
        cells.push(Cell {
            story,
            struck: struck.cloned(),
            kill,
            twice: None,
            seed: 1_000 + cells.len() as u64,
        });
    };
    let made = u32::try_from(plain.calls.len()).unwrap();
    let waits = |every: u32| {
        (1..=plain.waits).filter(move |n| (u64::from(*n) + seed).is_multiple_of(u64::from(every)))
    };
    let few = (plain.waits / WAITS).max(1);
    for n in 0..made {
        add(None, Kill::Before(n));
        add(None, Kill::After(n));
    }
    waits(if long { 1 } else { few }).for_each(|n| add(None, Kill::Waiting(n)));
    for target in plain.targets(story) {
        if !long && !target.matters {
            continue;
        }
        let at = target.at;
        for trouble in Trouble::ALL {
            let struck = Struck {
                trouble,
                action: target.action.clone(),
                skip: target.skip,
                item: target.item,
            };
            let in_vain = trouble == Trouble::StaleReads && !target.lags;
            if in_vain || struck.fault(&plain.scene).is_none() {
                continue;
            }
            let struck = Some(&struck);
            add(struck, Kill::Never);
            if long {
                (0..made + 2).for_each(|n| add(struck, Kill::Before(n)));
                (0..made + 2).for_each(|n| add(struck, Kill::After(n)));
                waits(few).for_each(|n| add(struck, Kill::Waiting(n)));
            } else {
                // With the fault's answer on its way, or before whatever comes next.
                let even = (u64::from(at) + seed + trouble as u64).is_multiple_of(2);
                add(
                    struck,
                    if even {
                        Kill::After(at)
                    } else {
                        Kill::Before(at + 1)
                    },
                );
            }
        }
    }
    cells.push(Cell {
        story,
        struck: None,
        kill: Kill::Never,
        twice: Some(changes(&plain.calls)),
        seed: 1_000 + cells.len() as u64,
    });
    cells
}

#[expect(
    clippy::disallowed_methods,
    reason = "a knob of the test, not of the product"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A story in which nothing goes wrong.
pub(super) struct Undisturbed {
    scene: Scene,
    /// The calls that the worker makes.
    pub(super) calls: Vec<Event>,
    /// How often it waits.
    waits: u32,
}

pub(super) async fn undisturbed(app: &mut TestApp, story: Story) -> Undisturbed {
    app.begin_anew(999, story.behavior()).await;
    let mut scene = Box::pin(story.set_up(app)).await;
    story.act(app, &mut scene).await;
    let before = app.sim().calls().count();
    let life = Box::pin(lived(app, &app.worker, story));
    let lived = work(app.sim(), Kill::Never, life).await;
    Undisturbed {
        scene,
        calls: calls_since(app, before),
        waits: lived.waits,
    }
}

/// The provider's calls after so many of all.
fn calls_since(app: &TestApp, before: u64) -> Vec<Event> {
    let calls = app.sim().calls().since(before, usize::MAX).into_iter();
    calls.filter(|c| c.account.as_str() == PROVIDER).collect()
}

/// What faults can befall: a kind of call, or the messages of an event.
struct Target {
    /// The action, or the event.
    action: String,
    /// The call's place among all calls.
    at: u32,
    /// How many calls of this action come before it.
    skip: u32,
    /// Which of the scene's endpoints it names first.
    item: Option<usize>,
    /// Whether it is planned on reads that can lag, or proven by them. SNS and SQS have none.
    lags: bool,
    /// Whether the story is about it.
    matters: bool,
}

impl Undisturbed {
    fn targets(&self, story: Story) -> Vec<Target> {
        let endpoints = &self.scene.endpoints;
        let calls = self.distinct().into_iter().map(|(position, call)| Target {
            action: call.action.clone(),
            at: u32::try_from(position).unwrap(),
            skip: self.before(position),
            item: endpoints
                .iter()
                .position(|e| call.ids.iter().any(|id| id == e.as_str())),
            lags: !matches!(call.service, Api::Sns | Api::Sqs),
            matters: story.is_about(call),
        });
        let events = story.events().iter().map(|event| Target {
            action: (*event).to_owned(),
            // The first call that brings messages.
            at: 1,
            skip: 0,
            item: None,
            lags: false,
            matters: true,
        });
        calls.chain(events).collect()
    }

    /// The first of each kind of call. A listing and a read by id are two kinds of one action.
    fn distinct(&self) -> Vec<(usize, &Event)> {
        let mut known = BTreeSet::new();
        let calls = self.calls.iter().enumerate();
        calls
            .filter(|(_, call)| known.insert((&call.action, call.ids.is_empty())))
            .collect()
    }

    fn before(&self, position: usize) -> u32 {
        let action = &self.calls[position].action;
        let before = self.calls[..position].iter();
        u32::try_from(before.filter(|c| c.action == *action).count()).unwrap()
    }
}

impl Struck {
    fn fault(&self, scene: &Scene) -> Option<privatelink_sim::Fault> {
        let item = self.item.and_then(|at| scene.endpoints.get(at));
        // A message in a batch has no id but its place.
        let item = match self.action.as_str() {
            "DeleteMessageBatch" => Some("0"),
            _ => item.map(VpcEndpointId::as_str),
        };
        self.trouble.on(&self.action, self.skip, item)
    }
}

impl Cell {
    /// Runs it, up to the point at which everything has converged.
    pub(super) async fn run(&self, app: &mut TestApp) -> Ended {
        app.begin_anew(self.seed, self.story.behavior()).await;
        let mut scene = Box::pin(self.story.set_up(app)).await;
        let is = |of: fn(Trouble) -> bool| self.struck.as_ref().is_some_and(|s| of(s.trouble));
        let early = is(Trouble::is_of_messages);
        if !early {
            self.story.act(app, &mut scene).await;
        }
        let faults = app.sim().faults();
        let fault = self.struck.as_ref().and_then(|s| s.fault(&scene));
        let times = fault.as_ref().and_then(|f| f.times);
        let fault = fault.map(|f| faults.plan(f));
        if early {
            self.story.act(app, &mut scene).await;
        }

        let (worker, pool) = app.worker_of_its_own();
        app.worker = worker;
        app.expire_leases().await;
        let before = app.sim().calls().count();
        app.times = if self.twice.is_some() { 2 } else { 1 };
        let life = Box::pin(lived(app, &app.worker, self.story));
        let lived = work(app.sim(), self.kill, life).await;
        let mut ended = Ended {
            killed: lived.killed,
            ..Ended::default()
        };
        ended.note(self.changed_more(app, before));
        app.times = 1;
        let mut losses = Vec::new();
        if lived.killed {
            losses.push(app.clock.now());
            pool.close().await;
            app.forgotten_by_the_database().await;
            app.expire_leases().await;
            app.advance(Duration::from_secs(12));
            app.worker = app.another_worker();
            Box::pin(self::lived(app, &app.worker, self.story)).await;
        }
        ended.note(self.never_happened(app, lived, fault, times));
        app.sim().faults().clear();
        if self.story.is_of_hints() {
            if !is(Trouble::silences) {
                ended.wrong.extend(hints::untold(app, &scene).await);
            }
            Box::pin(worked(app, &app.worker)).await;
        }
        let lagged = is(|trouble| trouble == Trouble::StaleReads);
        if lagged {
            // What lagging reads did not show, the next listing does.
            app.advance(Duration::from_secs(6));
            Box::pin(worked(app, &app.worker)).await;
        }
        let mut circumstances = Circumstances {
            acknowledged: scene.acknowledged.clone(),
            losses,
            stale_reads: lagged,
            ..Circumstances::default()
        };
        ended.wrong.extend(checked(app, &circumstances).await);

        // A person looks after what is stalled, and the next listing and the next check find nothing in their way.
        ended.stalled = retry_all(app).await;
        let expected = self
            .struck
            .as_ref()
            .map_or(&[][..], |s| s.trouble.may_stall_as());
        let others = ended
            .stalled
            .iter()
            .filter(|code| !expected.contains(&code.as_str()));
        let others: Vec<String> = others.map(|code| format!("stalled as {code}")).collect();
        ended.wrong.extend(others);
        app.advance(Duration::from_mins(10));
        if self.story.is_of_hints() {
            Box::pin(hints::heard(app, &app.worker)).await;
        }
        Box::pin(worked(app, &app.worker)).await;
        let still = retry_all(app).await;
        if !still.is_empty() {
            ended.note(Some(format!("still stalled after a retry: {still:?}")));
        }
        circumstances.retries = 1;
        ended.wrong.extend(checked(app, &circumstances).await);
        if self.story.is_of_hints() {
            let wrong = Box::pin(hints::wrong_with_road(app, &scene)).await;
            ended.wrong.extend(wrong);
        }
        ended
    }

    /// Whether passes that were made twice changed AWS more often than passes that were made once.
    fn changed_more(&self, app: &TestApp, before: u64) -> Option<String> {
        let once = self.twice.as_ref()?;
        let twice = changes(&calls_since(app, before));
        (twice != *once).then(|| format!("passes made twice make {twice:?}, not {once:?}"))
    }

    /// A cell whose fault or kill did not happen has shown nothing.
    fn never_happened(
        &self,
        app: &TestApp,
        lived: Lived,
        fault: Option<u64>,
        times: Option<u32>,
    ) -> Option<String> {
        // A fault can change how many calls there are, and how often there is something to wait for.
        let certain =
            matches!(self.kill, Kill::Before(_) | Kill::After(_)) && self.struck.is_none();
        if certain && !lived.killed {
            return Some("was never killed".to_owned());
        }
        let left = app
            .sim()
            .faults()
            .list()
            .into_iter()
            .find(|f| Some(f.id) == fault);
        let unspent = left.is_some_and(|f| times.is_some() && f.times == times);
        unspent.then(|| "the fault never happened".to_owned())
    }
}

impl Ended {
    fn note(&mut self, wrong: Option<String>) {
        self.wrong.extend(wrong);
    }
}

/// A worker's life in a story: all of its loops, or those around hints.
async fn lived(app: &TestApp, worker: &Worker, story: Story) {
    if story.is_of_hints() {
        hints::heard(app, worker).await;
    } else {
        worked(app, worker).await;
    }
}

/// Begins a worker's life as the supervisor does: whose credentials are these?
pub(super) async fn entered(app: &TestApp, worker: &Worker) -> Place {
    for _ in 0..3 {
        let mut places = worker.lease_once().await.expect("leases");
        let place = places.pop().expect("an AccountRegion");
        if identity::verify(&place).await.expect("a database") {
            return place;
        }
        app.advance(Duration::from_secs(2));
    }
    panic!("nobody could tell whose credentials these are");
}

/// And then the loops until nothing is owed.
async fn worked(app: &TestApp, worker: &Worker) {
    entered(app, worker).await;
    app.run_until_rest_of(worker).await;
    // A listing that failed is repeated in its own time, whether or not anything is owed.
    for _ in 0..5 {
        if listed(app).await {
            return;
        }
        app.advance(Duration::from_secs(5));
        app.run_until_rest_of(worker).await;
    }
}

/// Whether the newest listing is a complete one.
async fn listed(app: &TestApp) -> bool {
    let sql = "SELECT error_code IS NULL FROM account_regions WHERE state = 'enabled'";
    sqlx::query_scalar(sql).fetch_one(app.db()).await.unwrap()
}

/// What the history checker says.
async fn checked(app: &TestApp, circumstances: &Circumstances) -> Vec<String> {
    let place: uuid::Uuid =
        sqlx::query_scalar("SELECT id FROM account_regions WHERE state = 'enabled'")
            .fetch_one(app.db())
            .await
            .unwrap();
    let rows: String = sqlx::query_scalar(database::SQL)
        .bind(place)
        .fetch_one(app.db())
        .await
        .unwrap();
    let sim = app.sim();
    let aws = Aws::read(
        json(&sim.calls().all()),
        json(&sim.connections()),
        &json(&sim.summary()),
    );
    let history = History {
        aws: aws.unwrap(),
        database: Database::read(&rows).unwrap(),
        circumstances: Circumstances {
            ended_at: app.clock.now(),
            ..circumstances.clone()
        },
    };
    let report = check(&history);
    report.violations.iter().map(ToString::to_string).collect()
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("JSON")
}

/// Retries everything that is stalled; answers the codes. The set-up of hints is tried again by itself.
async fn retry_all(app: &TestApp) -> BTreeSet<String> {
    let stalled: Vec<(String, uuid::Uuid, Option<String>)> = sqlx::query_as(
        "SELECT 'services', s.id, s.sync_code FROM endpoint_services s JOIN account_regions a ON a.id = s.account_region_id
          WHERE s.sync_state = 'stalled' AND a.state = 'enabled'
         UNION ALL
         SELECT 'connections', c.id, c.sync_code FROM connections c JOIN account_regions a ON a.id = c.account_region_id
          WHERE c.sync_state = 'stalled' AND a.state = 'enabled'",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    let mut codes = hints::shown(app).await;
    for (noun, id, code) in stalled {
        let prefix = if noun == "services" { "svc" } else { "con" };
        let path = format!("/v1/{noun}/{prefix}_{}/retry-sync", id.simple());
        let answer = send(
            app.request(Who::Admin, Method::POST, &path)
                .json(&json!({})),
        )
        .await;
        let _: Value = answer.good();
        codes.insert(code.unwrap_or_default());
    }
    codes
}
