//! The doctor: one thing is broken in AWS at a time, and exactly the checks that are about it change.

use std::collections::BTreeMap;
use std::time::Duration;

use privatelink::{EndpointServiceChange, LoadBalancerArn, ServiceNotification};
use privatelink_sim::world::listeners::NewListener;
use privatelink_sim::world::load_balancer_subnets::SubnetsChange;
use privatelink_sim::world::load_balancers::LoadBalancerState;
use privatelink_sim::world::notifications::NewNotification;
use privatelink_sim::world::services::ServiceChange;
use privatelink_sim::world::targets::{Health, NewTargetGroup};
use privatelink_sim::world::{Caller, World};
use privatelink_sim::{AwsError, Effect, Fault};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{CONSUMER, HERE, PROVIDER, Service, TestApp, Who};

/// The status of every check, by its name and what it is about.
type Checks = BTreeMap<String, String>;

/// A service without any fault, and what it stands on.
struct Stage {
    app: TestApp,
    service: Service,
    balancer: LoadBalancerArn,
    /// One that covers a zone more than the service's.
    wider: LoadBalancerArn,
}

impl Stage {
    async fn sound(pool: PgPool) -> Self {
        // Boxed, or it would be a part of every test's own future.
        Box::pin(Self::built(pool)).await
    }

    async fn built(pool: PgPool) -> Self {
        let app = TestApp::start(pool);
        app.add_account_region().await;
        let setup = app
            .sim()
            .provider_setup(PROVIDER.parse().unwrap(), HERE.parse().unwrap());
        let balancer = setup.load_balancer("edge", 2).unwrap();
        let wider = setup.ready_load_balancer("wide").unwrap();
        let body = json!({
            "account_id": PROVIDER, "region": HERE, "name": "edge",
            "load_balancer_arns": [balancer], "allowed_principals": [CONSUMER],
        });
        let service = app.registered(&body).await;
        let stage = Self {
            app,
            service,
            balancer,
            wider,
        };
        stage.change(|world, me, on| {
            let protect = ("deletion_protection.enabled".to_owned(), "true".to_owned());
            world.modify_load_balancer_attributes(me, &on.balancer, &[protect])?;
            let topic =
                world.create_topic(me, "connections", &BTreeMap::new(), &BTreeMap::new())?;
            let new = NewNotification {
                service_id: Some(on.service.clone()),
                endpoint_id: None,
                topic_arn: topic,
                events: ServiceNotification::EVENTS.map(str::to_owned).to_vec(),
            };
            world.create_notification(me, &new, None).map(drop)
        });
        stage.look().await;
        stage
    }

    /// Changes AWS behind the product's back.
    fn change<T>(&self, act: impl FnOnce(&mut World, &Caller, &On) -> Result<T, AwsError>) -> T {
        let (account, region) = (PROVIDER.parse().unwrap(), HERE.parse().unwrap());
        let me = self.app.sim().caller(&account, &region);
        let on = On {
            balancer: self.balancer.to_string(),
            wider: self.wider.to_string(),
            service: self.service.aws_id.to_string(),
        };
        let done = self.app.sim().with_world(|world| act(world, &me, &on));
        done.unwrap().unwrap()
    }

    /// Asks for a look and lets the worker make it.
    async fn look(&self) {
        self.app.advance(Duration::from_secs(1));
        self.app
            .ask_for_look(Who::Approver, &self.service.id)
            .await
            .good();
        self.app.run_worker().await;
    }

    async fn diagnosis(&self) -> Value {
        self.app.diagnosis_of_service(&self.service.id).await
    }

    async fn checks(&self) -> Checks {
        checks(&self.diagnosis().await)
    }
}

/// What a change in AWS needs to name.
struct On {
    balancer: String,
    wider: String,
    service: String,
}

impl TestApp {
    async fn ask_for_look(&self, who: Who, id: &str) -> crate::support::Answer {
        let path = format!("/v1/services/{id}/check");
        self.post(who, &path, &json!({})).await
    }

    async fn diagnosis_of_service(&self, id: &str) -> Value {
        let path = format!("/v1/services/{id}/doctor");
        self.get(Who::Viewer, &path).await.good()
    }

    async fn diagnosis_of(&self, request: &crate::support::Request) -> Value {
        let path = format!("/v1/connections/{}/doctor", request.id);
        self.get(Who::Viewer, &path).await.good()
    }
}

fn checks(diagnosis: &Value) -> Checks {
    let all = diagnosis["checks"].as_array().unwrap().iter();
    all.map(|check| {
        let name = check["check"].as_str().unwrap();
        let about = check["load_balancer_arn"].as_str().unwrap_or_default();
        // The load balancer's name is enough to tell two apart.
        let about = about.split('/').nth(2).unwrap_or_default();
        let key = format!("{name} {about}").trim().to_owned();
        (key, check["status"].as_str().unwrap().to_owned())
    })
    .collect()
}

/// The one check of a diagnosis by this name.
fn check<'a>(diagnosis: &'a Value, name: &str) -> &'a Value {
    let mut all = diagnosis["checks"].as_array().unwrap().iter();
    let found = all.find(|check| check["check"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {diagnosis}"))
}

/// What is not as it was before: the new status, or `absent`.
fn changed(before: &Checks, after: &Checks) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = names
        .into_iter()
        .filter(|n| before.get(*n) != after.get(*n));
    differing
        .map(|name| {
            let now = after.get(name).map_or("absent", String::as_str);
            let name = name.strip_suffix(" edge").unwrap_or(name);
            format!("{name} {now}")
        })
        .collect()
}

type Change = fn(&mut World, &Caller, &On) -> Result<(), AwsError>;

fn sick() -> Health {
    Health {
        state: "unhealthy".into(),
        reason: Some("Target.FailedHealthChecks".into()),
        description: None,
    }
}

fn group_of(world: &mut World, me: &Caller, on: &On) -> Result<String, AwsError> {
    let groups = world.target_groups(me, Some(&on.balancer), &[], &[])?;
    Ok(groups[0].0.arn.clone())
}

fn listener_of(world: &mut World, me: &Caller, on: &On) -> Result<String, AwsError> {
    Ok(world.listeners(me, Some(&on.balancer), &[])?[0].arn.clone())
}

fn set(key: &str, value: &str) -> [(String, String); 1] {
    [(key.to_owned(), value.to_owned())]
}

fn shown(code: &str) -> LoadBalancerState {
    LoadBalancerState {
        code: code.into(),
        reason: Some("said so".into()),
    }
}

/// What is broken in AWS, and which checks say so.
const BROKEN: &[(&str, Change, &[&str])] = &[
    (
        "the load balancer has failed",
        |world, me, on| world.set_load_balancer_state(me, &on.balancer, Some(shown("failed"))),
        &["load_balancer_is_active fail"],
    ),
    (
        "the load balancer is impaired",
        |world, me, on| {
            world.set_load_balancer_state(me, &on.balancer, Some(shown("active_impaired")))
        },
        &["load_balancer_is_active warn"],
    ),
    (
        "the load balancer is gone",
        |world, me, on| {
            let elsewhere = on.balancer.replace("/net/edge/", "/net/gone/");
            world.load_balancer(me, &on.balancer)?.arn = elsewhere.parse().unwrap();
            Ok(())
        },
        &[
            "address_family absent",
            "availability_zones absent",
            "deletion_protection absent",
            "idle_timeout absent",
            "listener_targets absent",
            "listeners absent",
            "load_balancer_exists fail",
            "load_balancer_is_active absent",
            "load_balancer_is_network absent",
            "load_balancer_scheme absent",
            "proxy_protocol absent",
            "security_groups absent",
            "target_health absent",
            "target_zones absent",
            "targets_unused absent",
            "zones_known absent",
            "zones_served unknown",
        ],
    ),
    (
        "the load balancer faces the internet",
        |world, me, on| {
            world.load_balancer(me, &on.balancer)?.scheme = "internet-facing".into();
            Ok(())
        },
        &["load_balancer_scheme warn"],
    ),
    (
        "the load balancer can be deleted",
        |world, me, on| {
            let off = set("deletion_protection.enabled", "false");
            world
                .modify_load_balancer_attributes(me, &on.balancer, &off)
                .map(drop)
        },
        &["deletion_protection warn"],
    ),
    (
        "security groups are enforced",
        |world, me, on| {
            let balancer = world.load_balancer(me, &on.balancer)?;
            balancer.security_groups = vec!["sg-0123456789abcdef0".into()];
            balancer.enforce_on_private_link = true;
            Ok(())
        },
        &["security_groups warn"],
    ),
    (
        "ipv6 is offered over ipv4",
        |world, me, on| {
            world.load_balancer(me, &on.balancer)?.ip_address_type = "dualstack".into();
            let change = ServiceChange {
                add_ip_address_types: vec!["ipv6".into()],
                ..ServiceChange::default()
            };
            world.modify_service(me, &on.service, &change)?;
            world.load_balancer(me, &on.balancer)?.ip_address_type = "ipv4".into();
            Ok(())
        },
        &["address_family fail"],
    ),
    (
        "nothing listens",
        |world, me, on| {
            let arn = listener_of(world, me, on)?;
            world.delete_listener(me, &arn)
        },
        &["listeners fail", "target_health fail"],
    ),
    (
        "a listener leads to an empty group",
        |world, me, on| {
            let vpc = world.load_balancer(me, &on.balancer)?.vpc_id.clone();
            let group = NewTargetGroup {
                name: "empty".into(),
                protocol: "TCP".into(),
                port: 8443,
                vpc_id: Some(vpc),
                target_type: Some("ip".into()),
                ..NewTargetGroup::default()
            };
            let group = world.create_target_group(me, group)?.arn;
            let listener = NewListener {
                load_balancer: on.balancer.clone(),
                port: 8443,
                protocol: "TCP".into(),
                forward: vec![(group, None)],
                ..NewListener::default()
            };
            world.create_listener(me, listener).map(drop)
        },
        &[
            "listener_targets fail",
            "target_health fail",
            "target_zones warn",
        ],
    ),
    (
        "every target is sick",
        |world, me, on| {
            let group = group_of(world, me, on)?;
            world
                .set_group_health(me, &group, None, Some(&sick()))
                .map(drop)
        },
        &["target_health fail", "target_zones warn"],
    ),
    (
        "one zone is sick",
        |world, me, on| {
            let group = group_of(world, me, on)?;
            let zone = Some("eu-west-1a");
            world
                .set_group_health(me, &group, zone, Some(&sick()))
                .map(drop)
        },
        &["target_health warn", "target_zones warn"],
    ),
    (
        "one zone is sick and traffic crosses zones",
        |world, me, on| {
            let group = group_of(world, me, on)?;
            let zone = Some("eu-west-1a");
            world.set_group_health(me, &group, zone, Some(&sick()))?;
            let on_for_all = set("load_balancing.cross_zone.enabled", "true");
            world
                .modify_load_balancer_attributes(me, &on.balancer, &on_for_all)
                .map(drop)
        },
        &["target_health warn"],
    ),
    (
        "one zone is sick and the group crosses zones",
        |world, me, on| {
            let group = group_of(world, me, on)?;
            let zone = Some("eu-west-1a");
            world.set_group_health(me, &group, zone, Some(&sick()))?;
            let on_for_it = set("load_balancing.cross_zone.enabled", "true");
            world
                .modify_target_group_attributes(me, &group, &on_for_it)
                .map(drop)
        },
        &["target_health warn"],
    ),
    (
        "targets are sent the PROXY protocol",
        |world, me, on| {
            let group = group_of(world, me, on)?;
            let on = set("proxy_protocol_v2.enabled", "true");
            world
                .modify_target_group_attributes(me, &group, &on)
                .map(drop)
        },
        &["proxy_protocol warn"],
    ),
    (
        "the idle time-out is not AWS's",
        |world, me, on| {
            let listener = listener_of(world, me, on)?;
            let longer = set("tcp.idle_timeout.seconds", "600");
            world
                .modify_listener_attributes(me, &listener, &longer)
                .map(drop)
        },
        &["idle_timeout warn"],
    ),
    (
        "the load balancer has a zone more than the service",
        |world, me, on| {
            let wider = world.load_balancer(me, &on.wider)?.subnets.clone();
            let change = SubnetsChange {
                subnets: wider.into_iter().map(|(_, subnet)| subnet).collect(),
                ..SubnetsChange::default()
            };
            world.set_subnets(me, &on.balancer, change).map(drop)
        },
        &["target_zones warn", "zones_known warn"],
    ),
    (
        "the load balancer lost a zone",
        |world, me, on| {
            world.load_balancer(me, &on.balancer)?.subnets.truncate(1);
            Ok(())
        },
        &[
            "availability_zones warn",
            "targets_unused warn",
            "zones_served fail",
        ],
    ),
    (
        "a second load balancer listens elsewhere",
        |world, me, on| {
            let listener = world.listeners(me, Some(&on.wider), &[])?[0].arn.clone();
            let group = world.listeners(me, Some(&on.wider), &[])?[0].target_groups[0].clone();
            world.delete_listener(me, &listener)?;
            let other = NewListener {
                load_balancer: on.wider.clone(),
                port: 8443,
                protocol: "TCP".into(),
                forward: vec![(group, None)],
                ..NewListener::default()
            };
            world.create_listener(me, other)?;
            let protect = set("deletion_protection.enabled", "true");
            world.modify_load_balancer_attributes(me, &on.wider, &protect)?;
            let change = ServiceChange {
                add_load_balancers: vec![on.wider.clone()],
                ..ServiceChange::default()
            };
            world.modify_service(me, &on.service, &change)
        },
        &[
            "address_family wide pass",
            "availability_zones wide pass",
            "deletion_protection wide pass",
            "idle_timeout wide pass",
            "listener_targets wide pass",
            "listeners wide pass",
            "listeners_equal fail",
            "load_balancer_exists wide pass",
            "load_balancer_is_active wide pass",
            "load_balancer_is_network wide pass",
            "load_balancer_scheme wide pass",
            "proxy_protocol wide pass",
            "security_groups wide pass",
            "target_health wide pass",
            "target_zones wide pass",
            "targets_unused wide pass",
            "zones_known wide pass",
        ],
    ),
    (
        "nobody is told",
        |world, me, on| {
            let filters = privatelink_sim::world::select::Filters::one("service-id", &on.service);
            let paging = privatelink_sim::world::select::Paging::default();
            let all = world.notifications(me, None, &filters, &paging)?.items;
            let ids: Vec<String> = all.iter().map(|n| n.id.clone()).collect();
            world.delete_notifications(me, &ids).map(drop)
        },
        &["notifications warn"],
    ),
    (
        "nobody is allowed",
        |world, me, on| {
            let consumer = format!("arn:aws:iam::{CONSUMER}:root");
            world
                .modify_principals(me, &on.service, &[], &[consumer])
                .map(drop)
        },
        &["principals fail", "settings warn"],
    ),
    (
        "everybody is let in unasked",
        |world, me, on| {
            world.modify_principals(me, &on.service, &["*".into()], &[])?;
            let change = ServiceChange {
                acceptance_required: Some(false),
                ..ServiceChange::default()
            };
            world.modify_service(me, &on.service, &change)
        },
        &["acceptance warn", "settings warn"],
    ),
];

#[sqlx::test(migrations = "./migrations")]
async fn what_is_broken_shows_in_its_own_check_and_is_gone_when_mended(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    let before = stage.checks().await;
    let diagnosis = stage.diagnosis().await;
    assert!(
        before.values().all(|status| status == "pass"),
        "{diagnosis:#}"
    );
    assert_eq!(diagnosis["status"], "pass");
    let world = stage.app.sim().snapshot();
    for (what, breaks, want) in BROKEN {
        stage.change(breaks);
        stage.look().await;
        let diagnosis = stage.diagnosis().await;
        assert_eq!(
            &changed(&before, &checks(&diagnosis)),
            want,
            "{what}: {diagnosis:#}"
        );
        for check in diagnosis["checks"].as_array().unwrap() {
            let passed = check["status"] == "pass";
            assert_eq!(check["cause"].is_null(), passed, "{what}: {check}");
            assert_eq!(check["fix"].is_null(), passed, "{what}: {check}");
            assert!(check["evidence"].is_string(), "{what}: {check}");
        }
        stage.app.sim().restore(world.clone()).unwrap();
        stage.look().await;
        assert_eq!(
            changed(&before, &stage.checks().await),
            [""; 0],
            "{what}, mended"
        );
    }
}

/// What becomes unknown when the role may not ask, and the IAM action that is named.
const DENIED: &[(&str, &str, &[&str])] = &[
    (
        "elasticloadbalancing",
        "DescribeLoadBalancerAttributes",
        &["deletion_protection unknown"],
    ),
    (
        "elasticloadbalancing",
        "DescribeListeners",
        &[
            "idle_timeout unknown",
            "listener_targets unknown",
            "listeners unknown",
        ],
    ),
    (
        "elasticloadbalancing",
        "DescribeListenerAttributes",
        &["idle_timeout unknown"],
    ),
    (
        "elasticloadbalancing",
        "DescribeTargetGroups",
        &[
            "listener_targets unknown",
            "proxy_protocol unknown",
            "target_health unknown",
            "target_zones unknown",
            "targets_unused unknown",
        ],
    ),
    (
        "elasticloadbalancing",
        "DescribeTargetGroupAttributes",
        &["proxy_protocol unknown"],
    ),
    (
        "elasticloadbalancing",
        "DescribeTargetHealth",
        &[
            "listener_targets unknown",
            "target_health unknown",
            "target_zones unknown",
            "targets_unused unknown",
        ],
    ),
    (
        "ec2",
        "DescribeAvailabilityZones",
        &["zones_known unknown", "zones_served unknown"],
    ),
    (
        "ec2",
        "DescribeVpcEndpointConnectionNotifications",
        &["notifications unknown"],
    ),
];

#[sqlx::test(migrations = "./migrations")]
async fn what_the_role_may_not_read_is_unknown_and_names_the_permission(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    let before = stage.checks().await;
    for (service, action, want) in DENIED {
        let faults = stage.app.sim().faults();
        faults.plan(Fault::always(action, Effect::DenyAction));
        stage.look().await;
        stage.app.sim().faults().clear();
        let diagnosis = stage.diagnosis().await;
        assert_eq!(
            &changed(&before, &checks(&diagnosis)),
            want,
            "{action}: {diagnosis:#}"
        );
        assert_eq!(diagnosis["status"], "unknown", "{action}");
        for check in diagnosis["checks"].as_array().unwrap() {
            if check["status"] == "unknown" {
                let permission = format!("{service}:{action}");
                for part in ["cause", "evidence", "fix"] {
                    let text = check[part].as_str().unwrap();
                    assert!(text.contains(&permission), "{part}: {text}");
                }
            }
        }
        // A permission that was given back shows at the next look, asked for or not.
        stage.app.advance(Duration::from_mins(6));
        stage.app.run_worker().await;
        assert_eq!(
            changed(&before, &stage.checks().await),
            [""; 0],
            "{action}, allowed"
        );
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_private_dns_name_is_followed_to_its_proof(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    stage.change(|world, me, on| {
        let change = ServiceChange {
            private_dns_name: Some("api.example.com".into()),
            ..ServiceChange::default()
        };
        world.modify_service(me, &on.service, &change)
    });
    // AWS leaves the proof out of the first read after a change.
    stage.look().await;
    let seen = stage.diagnosis().await;
    assert_eq!(check(&seen, "private_dns")["status"], "unknown", "{seen:#}");
    stage.look().await;
    let seen = stage.diagnosis().await;
    let dns = check(&seen, "private_dns");
    assert_eq!(dns["status"], "warn");
    let found = stage
        .app
        .console()
        .endpoint_service(&stage.service.aws_id)
        .await;
    let proof = found.unwrap().private_dns_name.unwrap().txt_value.unwrap();
    assert!(dns["fix"].as_str().unwrap().contains(&proof), "{dns}");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_look_is_made_once_however_often_it_is_asked_for(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    let (app, id) = (&stage.app, &stage.service.id);
    app.advance(Duration::from_secs(5));
    let viewer = app.ask_for_look(Who::Viewer, id).await;
    viewer.refused("a viewer asks", 403, "forbidden");
    let first = app.ask_for_look(Who::Approver, id).await.good();
    app.advance(Duration::from_secs(1));
    let second = app.ask_for_look(Who::Admin, id).await.good();
    let since = &first["check_requested_at"];
    assert_eq!(&second["check_requested_at"], since);
    let seen = stage.diagnosis().await;
    assert_eq!(&seen["check_requested_at"], since);
    assert!(seen["checked_at"].as_str() < since.as_str(), "{seen}");

    let calls = app.sim().calls().count();
    stage.diagnosis().await;
    assert_eq!(app.sim().calls().count(), calls, "the doctor asks nobody");
    app.run_worker().await;
    let seen = stage.diagnosis().await;
    assert_eq!(seen["check_requested_at"], Value::Null);
    assert!(seen["checked_at"].as_str() >= since.as_str(), "{seen}");
    let audited = "SELECT count(*) FROM audit_entries WHERE action = 'endpoint_service.check'";
    // One for this, one for the look that set the stage.
    assert_eq!(app.count(audited).await, 2);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_look_that_fails_keeps_the_last_one_and_is_not_repeated_without_end(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    let before = stage.diagnosis().await;
    let faults = stage.app.sim().faults();
    faults.plan(Fault::always("DescribeTargetHealth", Effect::Throttle));
    stage.look().await;
    let calls = stage.app.sim().calls().of("DescribeTargetHealth").len();
    stage.app.sim().faults().clear();
    let seen = stage.diagnosis().await;
    assert_eq!(seen["checked_at"], before["checked_at"]);
    assert_eq!(check(&seen, "target_health")["status"], "pass");
    assert_eq!(check(&seen, "service_sync")["status"], "warn");
    assert!(calls < 20, "{calls} calls");
    stage.app.run_until_rest().await;
    let seen = stage.diagnosis().await;
    assert!(
        seen["checked_at"].as_str() > before["checked_at"].as_str(),
        "{seen}"
    );
    assert_eq!(seen["status"], "pass", "{seen:#}");
}

/// The service cannot be made; what is behind it can be looked at all the same, and nothing is retried by looking.
#[sqlx::test(migrations = "./migrations")]
async fn a_stalled_service_can_be_examined(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let arn = app.load_balancer("edge");
    app.sim().faults().plan(Fault::always(
        "CreateVpcEndpointServiceConfiguration",
        Effect::DenyAction,
    ));
    let body = json!({
        "account_id": PROVIDER, "region": HERE, "name": "edge",
        "load_balancer_arns": [arn], "allowed_principals": [CONSUMER],
    });
    let made = app.post(Who::Admin, "/v1/services", &body).await.good();
    let id = made["id"].as_str().unwrap();
    app.run_worker().await;
    let seen = app.diagnosis_of_service(id).await;
    assert_eq!(seen["status"], "fail");
    let sentence = seen["most_likely"].as_str().unwrap();
    assert!(sentence.contains("UnauthorizedOperation"), "{sentence}");
    assert_eq!(check(&seen, "last_look")["status"], "unknown");

    let creates = || {
        app.sim()
            .calls()
            .of("CreateVpcEndpointServiceConfiguration")
            .len()
    };
    let before = creates();
    app.ask_for_look(Who::Approver, id).await.good();
    app.run_worker().await;
    app.sim().faults().clear();
    let seen = app.diagnosis_of_service(id).await;
    assert_eq!(check(&seen, "target_health")["status"], "pass", "{seen:#}");
    assert_eq!(seen["check_requested_at"], Value::Null);
    assert_eq!(app.service(id).await["sync"]["state"], "stalled");
    assert_eq!(creates(), before);
}

/// ELBv2 allows ten reads a second for all services together: what hardly ever changes is not read at every look.
#[sqlx::test(migrations = "./migrations")]
async fn a_look_at_a_service_at_rest_makes_four_reads_of_load_balancers(pool: PgPool) {
    const ALWAYS: [&str; 4] = [
        "DescribeLoadBalancers",
        "DescribeListeners",
        "DescribeTargetGroups",
        "DescribeTargetHealth",
    ];
    const RARELY: [&str; 5] = [
        "DescribeLoadBalancerAttributes",
        "DescribeListenerAttributes",
        "DescribeTargetGroupAttributes",
        "DescribeAvailabilityZones",
        "DescribeVpcEndpointConnectionNotifications",
    ];
    let stage = Stage::sound(pool).await;
    let count = |actions: &[&str]| -> Vec<usize> {
        let of = |action: &&str| stage.app.sim().calls().of(action).len();
        actions.iter().map(of).collect()
    };
    let (always, rarely) = (count(&ALWAYS), count(&RARELY));
    for round in 1..=3 {
        stage.app.advance(Duration::from_secs(301));
        stage.app.run_worker().await;
        let want: Vec<usize> = always.iter().map(|n| n + round).collect();
        assert_eq!(count(&ALWAYS), want);
        assert_eq!(count(&RARELY), rarely);
    }
    stage.app.advance(Duration::from_mins(30));
    stage.app.run_worker().await;
    let want: Vec<usize> = rarely.iter().map(|n| n + 1).collect();
    assert_eq!(count(&RARELY), want);
}

/// A load balancer may have 50 listeners: their attributes are read in portions, so that one service does not take all reads.
#[sqlx::test(migrations = "./migrations")]
async fn very_many_listeners_are_read_in_portions(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    stage.change(|world, me, on| {
        let group = group_of(world, me, on)?;
        for port in 1000..1045 {
            let new = NewListener {
                load_balancer: on.balancer.clone(),
                port,
                protocol: "TCP".into(),
                forward: vec![(group.clone(), None)],
                ..NewListener::default()
            };
            world.create_listener(me, new)?;
        }
        Ok(())
    });
    let reads = || {
        stage
            .app
            .sim()
            .calls()
            .of("DescribeListenerAttributes")
            .len()
    };
    let before = reads();
    stage.app.advance(Duration::from_mins(5));
    stage.app.run_worker().await;
    assert_eq!(reads(), before + 30);
    let seen = stage.diagnosis().await;
    assert_eq!(
        check(&seen, "idle_timeout")["status"],
        "unknown",
        "{seen:#}"
    );
    // The rest follows soon.
    stage.app.advance(Duration::from_secs(4));
    stage.app.run_worker().await;
    assert_eq!(reads(), before + 45);
    assert_eq!(stage.diagnosis().await["status"], "pass");
    // Whoever asks waits for all of it.
    stage.look().await;
    assert_eq!(reads(), before + 45 + 46);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_connection_is_explained_from_its_request_to_its_end(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    let app = &stage.app;
    let request = app.requested(&stage.service).await;
    let seen = app.diagnosis_of(&request).await;
    let sentence = seen["most_likely"].as_str().unwrap();
    assert!(
        sentence.contains("nobody has decided about the connection yet"),
        "{sentence}"
    );
    assert_eq!(seen["state"]["state"], "pendingAcceptance");

    app.decide(&request, "accept").await;
    let seen = app.diagnosis_of(&request).await;
    assert_eq!(check(&seen, "connection_sync")["status"], "warn");
    app.run_until_rest().await;
    let seen = app.diagnosis_of(&request).await;
    assert_eq!(seen["status"], "pass", "{seen:#}");
    let zones = check(&seen, "endpoint_zones")["evidence"].as_str().unwrap();
    assert!(zones.starts_with("the endpoint is in 2 zones"), "{zones}");
    assert!(zones.contains("euw1-az"), "zones are told by id: {zones}");

    // Available, and no traffic: the classic.
    stage.change(|world, me, on| {
        let balancer = world.load_balancer(me, &on.balancer)?;
        balancer.security_groups = vec!["sg-0123456789abcdef0".into()];
        balancer.enforce_on_private_link = true;
        Ok(())
    });
    stage.look().await;
    let seen = app.diagnosis_of(&request).await;
    assert_eq!(check(&seen, "security_groups")["status"], "warn");
    assert_eq!(
        seen["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|c| c["status"] != "pass")
            .count(),
        1
    );

    app.decide(&request, "revoke").await;
    app.run_until_rest().await;
    let seen = app.diagnosis_of(&request).await;
    let sentence = seen["most_likely"].as_str().unwrap();
    assert!(
        sentence.contains("the access was revoked here"),
        "{sentence}"
    );
    assert!(sentence.contains("order 4711"), "{sentence}");
    assert_eq!(check(&seen, "connection_state")["status"], "fail");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_connection_that_cannot_be_told_to_aws_says_why(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    let app = &stage.app;
    let request = app.requested(&stage.service).await;
    app.sim().faults().plan(Fault::always(
        "AcceptVpcEndpointConnections",
        Effect::DenyAction,
    ));
    app.decide(&request, "accept").await;
    app.run_until_rest().await;
    app.sim().faults().clear();
    let seen = app.diagnosis_of(&request).await;
    let sync = check(&seen, "connection_sync");
    assert_eq!(sync["status"], "fail");
    assert!(
        sync["evidence"]
            .as_str()
            .unwrap()
            .contains("UnauthorizedOperation"),
        "{sync}"
    );
    let sentence = seen["most_likely"].as_str().unwrap();
    assert!(
        sentence.starts_with("Most likely, the decision has not reached AWS"),
        "{sentence}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn drift_and_a_lost_permission_show_at_the_connection(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    let app = &stage.app;
    let request = app.requested(&stage.service).await;
    let accepted = app
        .console()
        .accept_connections(
            &stage.service.aws_id,
            std::slice::from_ref(&request.endpoint),
        )
        .await;
    assert_eq!(accepted, Ok(Vec::new()));
    app.advance(Duration::from_secs(6));
    app.run_worker().await;
    let seen = app.diagnosis_of(&request).await;
    let drift = check(&seen, "connection_drift");
    assert_eq!(drift["status"], "warn", "{seen:#}");
    assert!(
        drift["evidence"]
            .as_str()
            .unwrap()
            .contains("accepted_outside"),
        "{drift}"
    );

    let consumer = format!("arn:aws:iam::{CONSUMER}:root");
    let removed = app
        .console()
        .modify_principals(&stage.service.aws_id, &[], &[consumer])
        .await;
    assert_eq!(removed, Ok(()));
    stage.look().await;
    let seen = app.diagnosis_of(&request).await;
    assert_eq!(check(&seen, "principal")["status"], "warn");
}

/// The doctor and the list of services agree on what is behind a service.
#[sqlx::test(migrations = "./migrations")]
async fn the_checks_of_the_service_are_among_the_doctors(pool: PgPool) {
    let stage = Stage::sound(pool).await;
    let change = EndpointServiceChange {
        add_network_load_balancer_arns: vec![stage.wider.clone()],
        ..EndpointServiceChange::default()
    };
    let console = stage.app.console();
    let changed = console.modify_endpoint_service(&stage.service.aws_id, &change);
    changed.await.unwrap();
    stage.look().await;
    let service = stage.app.service(&stage.service.id).await;
    let seen = stage.diagnosis().await;
    assert_eq!(service["checked_at"], seen["checked_at"]);
    let all = seen["checks"].as_array().unwrap();
    for check in service["checks"].as_array().unwrap() {
        assert!(all.contains(check), "{check}");
    }
}
