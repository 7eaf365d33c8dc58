//! The control API over a real socket.

use serde_json::{Value, json};

use super::wire_tests::{Served, serve};
use crate::Behavior;

impl Served {
    pub(super) async fn control(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let method = method.parse().unwrap();
        let mut request = self
            .client
            .request(method, format!("http://{}/_sim{path}", self.address));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}

#[tokio::test]
async fn the_clock_stops_and_jumps() {
    let served = serve();
    let (_, before) = served.control("GET", "/clock", None).await;
    assert_eq!(before["running"], false);
    let (status, after) = served
        .control("POST", "/clock", Some(json!({"advance_ms": 60_000})))
        .await;
    assert_eq!(status, 200);
    let time = |v: &Value| {
        v["now"]
            .as_str()
            .unwrap()
            .parse::<chrono::DateTime<chrono::Utc>>()
            .unwrap()
    };
    assert_eq!((time(&after) - time(&before)).num_seconds(), 60);
    let (_, running) = served
        .control("POST", "/clock", Some(json!({"run": true})))
        .await;
    assert_eq!(running["running"], true);
    for (wrong, why) in [
        (json!({"stop": true, "run": true}), "either"),
        (json!({}), "advance_ms"),
        (json!({"advance": 1}), "`advance`"),
        (json!({"set": "1999-01-01T00:00:00Z"}), "backwards"),
        (
            json!({"set": "2999-01-01T00:00:00Z", "advance_ms": 1}),
            "either",
        ),
        (json!({"advance_ms": u64::MAX}), "calendar"),
        (json!({"set": "9999-12-31T00:00:00Z"}), "8999"),
        (json!({"advance_ms": 300_000_000_000_000_u64}), "8999"),
        (json!({"speed": 0}), "speed 0"),
    ] {
        let (status, answer) = served.control("POST", "/clock", Some(wrong)).await;
        assert_eq!(status, 400);
        assert!(answer["detail"].as_str().unwrap().contains(why), "{answer}");
    }
    let set = json!({"stop": true, "set": "2999-01-01T00:00:00Z", "speed": 60});
    let (_, set) = served.control("POST", "/clock", Some(set)).await;
    let all = json!({"now": "2999-01-01T00:00:00Z", "running": false, "speed": 60.0});
    assert_eq!(set, all);
}

#[tokio::test]
async fn faults_are_planned_listed_and_removed() {
    let served = serve();
    let fault = json!({"action": "CreateVpc", "times": 1, "effect": "throttle"});
    let (status, planned) = served.control("POST", "/faults", Some(fault)).await;
    assert_eq!(status, 201);
    let (_, listed) = served.control("GET", "/faults", None).await;
    assert_eq!(listed[0]["effect"], "throttle");
    let path = format!("/faults/{}", planned["id"]);
    assert_eq!(served.control("DELETE", &path, None).await.0, 204);
    assert_eq!(served.control("DELETE", &path, None).await.0, 404);
    assert_eq!(served.control("DELETE", "/faults", None).await.0, 204);
    let (status, problem) = served
        .control("POST", "/faults", Some(json!({"effect": "none"})))
        .await;
    assert_eq!((status, &problem["code"]), (400, &json!("InvalidJson")));
}

#[tokio::test]
async fn a_snapshot_taken_is_a_snapshot_restored() {
    let served = serve();
    let account = "111111111111".parse().unwrap();
    let region = "eu-west-1".parse().unwrap();
    served
        .simulator
        .provider_setup(account, region)
        .ready_load_balancer("edge")
        .unwrap();
    let (_, snapshot) = served.control("GET", "/snapshot", None).await;
    let other = serve();
    assert_eq!(
        other
            .control("PUT", "/snapshot", Some(snapshot.clone()))
            .await
            .0,
        204
    );
    let (_, copy) = other.control("GET", "/snapshot", None).await;
    assert_eq!(copy, snapshot);
    let mut late = snapshot.clone();
    late["clock"]["stopped_at"] = json!("9999-12-31T00:00:00Z");
    let (status, problem) = other.control("PUT", "/snapshot", Some(late)).await;
    assert_eq!((status, &problem["code"]), (400, &json!("InvalidClock")));
    let (_, copy) = other.control("GET", "/snapshot", None).await;
    assert_eq!(copy, snapshot, "refused, and nothing changed");
    let (_, state) = other.control("GET", "/state", None).await;
    assert_eq!(state["places"][0]["load_balancers"], 1);
}

#[tokio::test]
async fn a_reset_world_is_empty_and_gives_the_same_ids_again() {
    let served = serve();
    let make = "Action=CreateVpc&CidrBlock=10.0.0.0/16";
    let (_, first) = served.ec2("111111111111", make).await;
    let fault = json!({"effect": "throttle", "skip": 1000});
    served.control("POST", "/faults", Some(fault.clone())).await;
    served.simulator.set_behavior(Behavior::instant()).unwrap();
    assert_eq!(served.control("POST", "/reset", None).await.0, 204);
    let (_, state) = served.control("GET", "/state", None).await;
    assert_eq!(
        (&state["places"], &state["faults"]),
        (&json!([]), &json!(0))
    );
    assert_eq!(served.simulator.behavior(), Behavior::instant());
    assert_eq!(served.ec2("111111111111", make).await.1, first);
    let (_, planned) = served.control("POST", "/faults", Some(fault)).await;
    assert_eq!(planned["id"], 1);
    let seed = json!({"seed": 7});
    assert_eq!(served.control("POST", "/reset", Some(seed)).await.0, 204);
    assert_eq!(served.simulator.seed(), 7);
    assert_ne!(served.ec2("111111111111", make).await.1, first);
    let wrong = json!({"sead": 7});
    assert_eq!(served.control("POST", "/reset", Some(wrong)).await.0, 400);
}

#[tokio::test]
async fn a_targets_health_is_set() {
    let served = serve();
    let account: privatelink::AccountId = "111111111111".parse().unwrap();
    let region: privatelink::Region = "eu-west-1".parse().unwrap();
    served
        .simulator
        .provider_setup(account.clone(), region.clone())
        .ready_load_balancer("edge")
        .unwrap();
    let caller = served.simulator.caller(&account, &region);
    let groups = served
        .simulator
        .with_world(|w| w.target_groups(&caller, None, &[], &[]))
        .unwrap()
        .unwrap();
    let arn = groups[0].0.arn.clone();
    let mut change = json!({
        "account": account, "region": region, "target_group_arn": arn, "target_id": "172.31.0.10",
        "health": {"state": "unhealthy", "reason": "Target.Timeout"},
    });
    let (status, answer) = served
        .control("POST", "/targets/health", Some(change.clone()))
        .await;
    assert_eq!((status, &answer["targets"]), (200, &json!(1)));
    let health = served
        .simulator
        .with_world(|w| w.target_health(&caller, &arn, &[]))
        .unwrap()
        .unwrap();
    assert_eq!(
        health
            .iter()
            .filter(|(_, h)| h.state == "unhealthy")
            .count(),
        1
    );
    change["target_id"] = json!("192.0.2.1");
    assert_eq!(
        served
            .control("POST", "/targets/health", Some(change))
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn switches_are_read_and_set_and_misspelled_ones_refused() {
    let served = serve();
    let (_, mut behavior) = served.control("GET", "/behavior", None).await;
    behavior["accept_delay_ms"] = json!(0);
    assert_eq!(
        served.control("PUT", "/behavior", Some(behavior)).await.0,
        204
    );
    assert_eq!(served.simulator.behavior().accept_delay_ms, 0);
    let (status, _) = served
        .control("PUT", "/behavior", Some(json!({"accept_delay": 0})))
        .await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_service_fails_and_an_endpoint_is_partial_when_asked() {
    let served = serve();
    let (service, name) = served.service().await;
    let endpoint = served.endpoint(&name).await;
    let fail = |failed| Some(json!({"service_id": service, "failed": failed}));
    let path = "/services/failed";
    assert_eq!(served.control("POST", path, fail(true)).await.0, 204);
    let form = "Action=DescribeVpcEndpointServiceConfigurations";
    let (_, text) = served.ec2("111111111111", form).await;
    assert!(text.contains("<serviceState>Failed</serviceState>"));
    assert_eq!(served.control("POST", path, fail(false)).await.0, 204);
    let (_, text) = served.ec2("111111111111", form).await;
    assert!(text.contains("<serviceState>Available</serviceState>"));
    let closed = json!({"service_id": service, "region": "us-west-2", "failed": true});
    assert_eq!(served.control("POST", path, Some(closed)).await.0, 400);
    let path = "/endpoints/partial";
    let partial = json!({"endpoint_id": endpoint, "for_ms": 60_000});
    assert_eq!(served.control("POST", path, Some(partial)).await.0, 204);
    let form = format!(
        "Action=AcceptVpcEndpointConnections&ServiceId={service}&VpcEndpointId.1={endpoint}"
    );
    served.ec2("111111111111", &form).await;
    served
        .control("POST", "/clock", Some(json!({"advance_ms": 1_000})))
        .await;
    let form = "Action=DescribeVpcEndpointConnections";
    let (_, text) = served.ec2("111111111111", form).await;
    assert!(
        text.contains("<vpcEndpointState>partial</vpcEndpointState>"),
        "{text}"
    );
    let unknown = json!({"endpoint_id": "vpce-0", "for_ms": 1});
    assert_eq!(served.control("POST", path, Some(unknown)).await.0, 400);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table, a row for each refusal")]
async fn what_can_have_no_effect_is_refused_with_its_reason() {
    let served = serve();
    let before = served.simulator.behavior();
    let rule =
        |action, burst| json!({"custom": [{"action": action, "burst": burst, "per_minute": 1}]});
    let forced = json!({"action": "DescribeVpcs", "effect": "partial_unsuccessful", "resource_id": "vpce-1", "code": "No"});
    for (method, path, wrong, why) in [
        (
            "PUT",
            "/behavior",
            json!({"throttling": rule("Nope", 1)}),
            "action Nope",
        ),
        (
            "PUT",
            "/behavior",
            json!({"throttling": rule("Describe*", 0)}),
            "burst 0",
        ),
        (
            "PUT",
            "/behavior",
            json!({"page_size_limit": 0}),
            "page_size_limit",
        ),
        (
            "PUT",
            "/behavior",
            json!({"max_ids_per_decision": 0}),
            "max_ids",
        ),
        (
            "PUT",
            "/behavior",
            json!({"in_flight_limit": 0}),
            "in_flight",
        ),
        (
            "PUT",
            "/behavior",
            json!({"sns_reply_limit_ms": 0}),
            "sns_reply",
        ),
        (
            "PUT",
            "/behavior",
            json!({"wrong_state_code": ""}),
            "wrong_state",
        ),
        (
            "PUT",
            "/behavior",
            json!({"unknown_endpoint_code": "a b"}),
            "unknown_endpoint",
        ),
        (
            "PUT",
            "/behavior",
            json!({"reject_again": "allow"}),
            "reject_again",
        ),
        (
            "PUT",
            "/behavior",
            json!({"private_dns_regresses_to": "verified"}),
            "regresses",
        ),
        (
            "PUT",
            "/hosted-zones",
            json!({"vpc_id": "vpc-1", "name": "a.example"}),
            "vpc-1",
        ),
        ("POST", "/faults", forced, "DescribeVpcs"),
        (
            "POST",
            "/faults",
            json!({"action": "CreateVpc", "effect": "stale_reads", "lag_ms": 1}),
            "CreateVpc",
        ),
        (
            "POST",
            "/faults",
            json!({"about": "me", "effect": "throttle"}),
            "about me",
        ),
        (
            "POST",
            "/endpoints/failures",
            json!({"code": "", "message": "m"}),
            "code",
        ),
        (
            "POST",
            "/endpoints/failures",
            json!({"times": 0, "code": "C", "message": "m"}),
            "times",
        ),
    ] {
        let (status, problem) = served.control(method, path, Some(wrong.clone())).await;
        assert_eq!(status, 400, "{wrong}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(why), "{wrong}: {detail}");
    }
    assert_eq!(served.simulator.behavior(), before);
    assert!(served.simulator.faults().list().is_empty());
}

#[tokio::test]
async fn roles_are_registered_and_unknown_paths_are_json_too() {
    let served = serve();
    let role = json!({"role_arn": "arn:aws:iam::111111111111:role/x", "external_id": "e"});
    assert_eq!(served.control("POST", "/roles", Some(role)).await.0, 204);
    let (status, problem) = served
        .control("POST", "/roles", Some(json!({"role_arn": "x"})))
        .await;
    assert_eq!((status, &problem["code"]), (400, &json!("ValidationError")));
    let (status, problem) = served.control("GET", "/nothing", None).await;
    assert_eq!((status, &problem["code"]), (404, &json!("NotFound")));
}

#[tokio::test]
async fn the_call_log_goes_on_from_a_number() {
    let served = serve();
    let consumer = served.simulator.consumer(
        "222222222222".parse().unwrap(),
        "eu-west-1".parse().unwrap(),
    );
    for _ in 0..3 {
        assert!(consumer.create_endpoint("com.example.none").is_err());
    }
    let (_, events) = served.control("GET", "/events?after=1", None).await;
    assert_eq!(events.as_array().unwrap().len(), 2);
    assert_eq!(events[0]["seq"], 2);
    assert_eq!(events[0]["outcome"], "InvalidServiceName");
    assert_eq!(served.control("GET", "/events?limit=x", None).await.0, 400);
}

#[tokio::test]
async fn the_index_lists_every_call_and_each_of_them_is_there() {
    let served = serve();
    let (status, index) = served.control("GET", "", None).await;
    assert_eq!(status, 200);
    assert_eq!(index["version"], env!("CARGO_PKG_VERSION"));
    for call in index["calls"].as_array().unwrap() {
        let path = call["path"].as_str().unwrap().replace("{id}", "1");
        let path = path.strip_prefix("/_sim").unwrap();
        let method = call["method"].as_str().unwrap();
        let (status, answer) = served.control(method, path, None).await;
        assert_ne!(status, 405, "{method} {path}");
        assert_eq!(
            answer["calls"].is_array(),
            path.is_empty(),
            "{method} {path}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_wrong_path_or_method_is_told_what_there_is() {
    let served = serve();
    for (method, path, expected, code) in [
        ("GET", "/nothing", 404, "NotFound"),
        ("GET", "/", 404, "NotFound"),
        ("GET", "/state/more", 404, "NotFound"),
        ("POST", "/state", 405, "MethodNotAllowed"),
        ("PATCH", "", 405, "MethodNotAllowed"),
        ("GET", "/faults/1", 405, "MethodNotAllowed"),
    ] {
        let (status, answer) = served.control(method, path, None).await;
        assert_eq!(
            (status, answer["code"].as_str()),
            (expected, Some(code)),
            "{method} {path}"
        );
        assert!(answer["calls"].as_array().unwrap().len() > 10);
    }
}

#[tokio::test]
async fn every_listed_action_is_known_and_no_other() {
    let served = serve();
    let (_, actions) = served.control("GET", "/actions", None).await;
    let actions = actions.as_object().unwrap();
    assert_eq!(actions.len(), crate::api::Api::ALL.len());
    for (service, names) in actions {
        let names = names.as_array().unwrap();
        assert!(
            names.is_sorted_by(|a, b| a.as_str() < b.as_str()),
            "{service}"
        );
        if service == "sqs" {
            assert!(names.contains(&json!("ReceiveMessage")));
            continue;
        }
        for name in names {
            let body = format!("Action={}", name.as_str().unwrap());
            let (_, text) = served.raw("111111111111", service, body.into()).await;
            assert!(
                !text.contains("<Code>InvalidAction</Code>"),
                "{name}: {text}"
            );
        }
        for unknown in ["DescribeInstances", "FlyToTheMoon"] {
            let body = format!("Action={unknown}");
            let (status, text) = served.raw("111111111111", service, body.into()).await;
            assert_eq!(status, 400);
            assert!(
                text.contains(&format!("The action {unknown} of ")),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn a_large_world_is_made_in_one_call() {
    let served = serve();
    let wanted = json!({"account": "111111111111", "region": "eu-west-1", "services": 2, "consumers": 3,
        "grants": "everybody", "states": {"pendingAcceptance": 3, "available": 5}});
    let (status, made) = served.control("POST", "/populate", Some(wanted)).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["services"].as_array().unwrap().len(), 2);
    assert_eq!(
        made["connections"],
        json!({"available": 5, "pendingAcceptance": 3})
    );
    let (_, answer) = served
        .ec2("111111111111", "Action=DescribeVpcEndpointConnections")
        .await;
    assert_eq!(answer.matches("<vpcEndpointId>").count(), 8);
    let (_, state) = served.control("GET", "/state", None).await;
    let services = state["places"][0]["services"].as_array().unwrap();
    assert!(services.iter().all(|s| s["principals"] == json!(["*"])));
    for (wrong, code) in [
        (
            json!({"account": "111111111111", "region": "eu-west-1", "endpoints": 1}),
            "InvalidJson",
        ),
        (
            json!({"account": "111111111111", "region": "eu-west-1", "services": 0}),
            "InvalidPopulation",
        ),
    ] {
        let (status, problem) = served.control("POST", "/populate", Some(wrong)).await;
        assert_eq!((status, &problem["code"]), (400, &json!(code)));
    }
}
