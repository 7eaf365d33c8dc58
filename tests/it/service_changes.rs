//! A service is changed after it was registered: AWS follows what was asked for, and what others did there is left alone and shown.

use std::time::Duration;

use privatelink::EndpointServiceChange;
use privatelink_sim::{Effect, Fault};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::http::send;
use crate::support::{Answer, CONSUMER, HERE, PROVIDER, Service, TestApp, Who};

const OTHER: &str = "777788889999";

pub(crate) fn root(account: &str) -> String {
    format!("arn:aws:iam::{account}:root")
}

impl TestApp {
    /// Sends a change with the present version.
    pub(crate) async fn try_to_change(&self, service: &Service, change: &Value) -> Answer {
        let mut body = change.clone();
        if body.get("version").is_none() {
            body["version"] = self.service(&service.id).await["version"].clone();
        }
        let path = format!("/v1/services/{}", service.id);
        send(self.request(Who::Admin, Method::PATCH, &path).json(&body)).await
    }

    pub(crate) async fn change(&self, service: &Service, change: &Value) -> Value {
        self.try_to_change(service, change).await.good()
    }

    /// The principals that AWS allows, sorted.
    pub(crate) async fn allowed(&self, service: &Service) -> Vec<String> {
        let page = self.console().principals(&service.aws_id, None).await;
        let rows = page.unwrap().items.into_iter();
        let mut all: Vec<String> = rows.map(|row| row.principal).collect();
        all.sort();
        all
    }

    /// What AWS has now, as the console shows it.
    pub(crate) async fn in_aws(&self, service: &Service) -> privatelink::EndpointService {
        let mut seen = self
            .console()
            .endpoint_service(&service.aws_id)
            .await
            .unwrap();
        seen.tags.sort();
        seen.supported_regions.sort();
        seen
    }

    /// The calls that change a service.
    pub(crate) fn changes_made(&self) -> usize {
        CHANGES.iter().map(|c| self.sim().calls().of(c).len()).sum()
    }
}

pub(crate) const MODIFY: &str = "ModifyVpcEndpointServiceConfiguration";
pub(crate) const GRANT: &str = "ModifyVpcEndpointServicePermissions";
pub(crate) const CHANGES: [&str; 4] = [MODIFY, GRANT, "CreateTags", "DeleteTags"];

/// Everything that can be asked for, starting from [`first`].
pub(crate) fn everything() -> Value {
    json!({
        "name": "edge two", "acceptance_required": false, "allowed_principals": [OTHER],
        "supported_regions": [HERE, "us-east-1"], "supported_ip_address_types": ["ipv4"],
        "tags": { "team": "core" }, "reason": "ticket 4711",
    })
}

/// A service with something to take away.
pub(crate) async fn first(app: &TestApp) -> Service {
    let service = app.with_service().await;
    let tags = json!({ "tags": { "team": "edge", "stage": "test" } });
    app.change(&service, &tags).await;
    app.run_until_rest().await;
    service
}

/// How AWS looks when [`everything`] has arrived.
pub(crate) async fn arrived(app: &TestApp, service: &Service, what: &str) {
    let shown = app.service(&service.id).await;
    assert_eq!(shown["sync"]["state"], "idle", "{what}: {shown}");
    assert_eq!(shown["applied_version"], shown["version"], "{what}");
    assert_eq!(shown["differences"], json!([]), "{what}");
    let seen = app.in_aws(service).await;
    assert!(!seen.acceptance_required, "{what}");
    assert_eq!(seen.supported_regions, ["us-east-1"], "{what}");
    assert_eq!(seen.supported_ip_address_types, ["ipv4"], "{what}");
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let tags = [
        pair("Name", "edge two"),
        pair("portcullis:service", &service.id),
        pair("team", "core"),
    ];
    let ours = seen.tags.iter().filter(|(key, _)| key != "theirs");
    assert_eq!(ours.cloned().collect::<Vec<_>>(), tags, "{what}");
    assert_eq!(app.allowed(service).await, [root(OTHER)], "{what}");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_change_arrives_in_aws_and_is_audited_with_before_and_after(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = first(&app).await;
    let changed = app.change(&service, &everything()).await;
    assert_eq!(changed["version"], 3);
    assert_eq!(changed["applied_version"], 2);
    assert_eq!(changed["sync"]["state"], "due");
    let steps: Vec<&str> = changed["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["step"].as_str().unwrap())
        .collect();
    assert_eq!(
        steps,
        [
            "remove_principals",
            "add_regions",
            "set_tags",
            "remove_tags",
            "add_principals",
            "waive_acceptance"
        ]
    );
    app.run_worker().await;
    arrived(&app, &service, "all of it").await;
    let (before, after, reason): (Value, Value, String) = sqlx::query_as(
        "SELECT before, after, reason FROM audit_entries
          WHERE action = 'endpoint_service.change' AND reason IS NOT NULL",
    )
    .fetch_one(app.db())
    .await
    .unwrap();
    assert_eq!(reason, "ticket 4711");
    assert_eq!(before["allowed_principals"], json!([root(CONSUMER)]));
    assert_eq!(after["allowed_principals"], json!([root(OTHER)]));
    assert_eq!(
        (&before["version"], &after["version"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(after["supported_regions"], json!(["us-east-1"]));
    // The next check finds nothing to do.
    let made = app.changes_made();
    app.advance(Duration::from_mins(10));
    app.run_worker().await;
    assert_eq!(app.changes_made(), made);
}

#[sqlx::test(migrations = "./migrations")]
async fn only_what_we_put_into_aws_is_taken_out_again(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    // The consumer was allowed before us, although we were asked to allow it too.
    let aws_id = app.foreign_service("edge", true).await;
    let theirs = [("theirs".to_owned(), "1".to_owned())];
    let console = app.console();
    console.set_service_tags(&aws_id, &theirs).await.unwrap();
    let body = json!({
        "account_id": PROVIDER, "region": HERE, "name": "edge", "aws_service_id": aws_id,
        "allowed_principals": [CONSUMER, OTHER],
    });
    let service = app.registered(&body).await;
    let tagged = json!({ "tags": { "team": "edge" } });
    app.change(&service, &tagged).await;
    app.run_until_rest().await;
    assert_eq!(app.allowed(&service).await, [root(CONSUMER), root(OTHER)]);

    let nothing = json!({ "allowed_principals": [], "tags": {} });
    app.change(&service, &nothing).await;
    app.run_until_rest().await;
    assert_eq!(app.allowed(&service).await, [root(CONSUMER)]);
    assert_eq!(app.in_aws(&service).await.tags, theirs);
    let shown = app.service(&service.id).await;
    assert_eq!(shown["unknown_principals"], json!([root(CONSUMER)]));
    assert_eq!(shown["differences"], json!([]));
}

#[sqlx::test(migrations = "./migrations")]
async fn changes_behind_our_back_are_shown_and_overwritten_only_on_request(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = first(&app).await;
    let console = app.console();
    let change = EndpointServiceChange {
        acceptance_required: Some(false),
        ..EndpointServiceChange::default()
    };
    console
        .modify_endpoint_service(&service.aws_id, &change)
        .await
        .unwrap();
    console
        .modify_principals(&service.aws_id, &[root(OTHER)], &[root(CONSUMER)])
        .await
        .unwrap();
    // Not even a refresh that fails first makes the worker take it for its own.
    app.sim().faults().plan(Fault::once(
        "DescribeVpcEndpointServiceConfigurations",
        Effect::Throttle,
    ));
    app.advance(Duration::from_mins(10));
    app.run_until_rest().await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["sync"]["state"], "idle");
    assert_eq!(shown["unknown_principals"], json!([root(OTHER)]));
    assert_eq!(
        shown["differences"],
        json!([
            { "step": "require_acceptance", "values": [] },
            { "step": "add_principals", "values": [root(CONSUMER)] },
        ])
    );
    assert_eq!(app.allowed(&service).await, [root(OTHER)]);

    app.change(&service, &json!({ "reason": "ours holds" }))
        .await;
    app.run_until_rest().await;
    assert!(app.in_aws(&service).await.acceptance_required);
    assert_eq!(app.allowed(&service).await, [root(CONSUMER), root(OTHER)]);
    let shown = app.service(&service.id).await;
    assert_eq!(shown["differences"], json!([]));
    assert_eq!(shown["unknown_principals"], json!([root(OTHER)]));
}

#[sqlx::test(migrations = "./migrations")]
async fn everybody_without_acceptance_takes_a_confirmation(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let open = json!({ "acceptance_required": false, "allowed_principals": [OTHER, "*"] });
    let refused = app.try_to_change(&service, &open).await;
    refused.refused("unconfirmed", 400, "invalid_request");
    assert_eq!(
        refused.json()["errors"][0]["field"],
        "allowed_principals[1]"
    );
    let mut meant = open.clone();
    meant["confirm_open_to_everybody"] = json!(true);
    let shown = app.change(&service, &meant).await;
    assert_eq!(shown["open_to_everybody"], true);
    app.run_until_rest().await;
    assert!(!app.in_aws(&service).await.acceptance_required);
    assert!(app.allowed(&service).await.contains(&"*".to_owned()));
    // What is open stays so without a word, and closing takes none.
    app.change(&service, &json!({ "name": "open" })).await;
    let shown = app
        .change(&service, &json!({ "acceptance_required": true }))
        .await;
    assert_eq!(shown["open_to_everybody"], false);
    let again = json!({ "acceptance_required": false });
    let refused = app.try_to_change(&service, &again).await;
    refused.refused("opened again", 400, "invalid_request");
}

/// Somebody else let everybody in; to waive acceptance then is to open the service, and the worker sees what the API could not.
#[sqlx::test(migrations = "./migrations")]
async fn acceptance_is_not_waived_where_somebody_else_let_everybody_in(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let everybody = ["*".to_owned()];
    let console = app.console();
    console
        .modify_principals(&service.aws_id, &everybody, &[])
        .await
        .unwrap();
    let waived = json!({ "acceptance_required": false, "name": "waived" });
    app.change(&service, &waived).await;
    app.run_until_rest().await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["sync"]["code"], "open_to_everybody", "{shown}");
    assert_eq!(shown["sync"]["state"], "stalled");
    assert!(app.in_aws(&service).await.acceptance_required);
    app.change(&service, &json!({ "acceptance_required": true }))
        .await;
    app.run_until_rest().await;
    assert_eq!(app.service(&service.id).await["sync"]["state"], "idle");
}

#[sqlx::test(migrations = "./migrations")]
async fn changes_that_cannot_be_meant_are_refused_by_name(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    for (body, field) in [
        (json!({ "name": " " }), "name"),
        (
            json!({ "allowed_principals": ["arn:aws:iam::444455556666:role/team/edge"] }),
            "allowed_principals[0]",
        ),
        (
            json!({ "allowed_principals": ["arn:aws:sts::444455556666:assumed-role/edge/me"] }),
            "allowed_principals[0]",
        ),
        (
            json!({ "supported_ip_address_types": [] }),
            "supported_ip_address_types",
        ),
        (
            json!({ "supported_ip_address_types": ["ipv5"] }),
            "supported_ip_address_types",
        ),
        (
            json!({ "supported_regions": ["us-east-1", "?"] }),
            "supported_regions[1]",
        ),
        (json!({ "tags": { "aws:x": "" } }), "tags"),
        (json!({ "tags": { "portcullis:service": "svc_0" } }), "tags"),
        (json!({ "tags": { "": "x" } }), "tags"),
        (json!({ "tags": { "k": "v".repeat(257) } }), "tags"),
        (json!({ "reason": "" }), "reason"),
    ] {
        let answer = app.try_to_change(&service, &body).await;
        answer.refused(&body.to_string(), 400, "invalid_request");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{body}");
    }
    let late = json!({ "version": 7, "name": "late" });
    let answer = app.try_to_change(&service, &late).await;
    answer.refused("an old version", 409, "service_changed");
    let told = "SELECT count(*) FROM audit_entries WHERE action = 'endpoint_service.change'";
    assert_eq!(app.count(told).await, 0);
}

/// AWS gives IPv6 only to services whose load balancers have it: the service says so, and what it could not have can be taken back.
#[sqlx::test(migrations = "./migrations")]
async fn an_address_type_that_aws_refuses_stalls_with_its_words(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let both = json!({ "supported_ip_address_types": ["ipv6", "ipv4"] });
    app.change(&service, &both).await;
    app.run_until_rest().await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["sync"]["state"], "stalled", "{shown}");
    assert_eq!(shown["sync"]["code"], "InvalidParameter");
    assert_eq!(
        shown["differences"],
        json!([{ "step": "add_ip_address_types", "values": ["ipv6"] }])
    );
    let ipv4 = json!({ "supported_ip_address_types": ["ipv4"] });
    app.change(&service, &ipv4).await;
    app.run_until_rest().await;
    let shown = app.service(&service.id).await;
    assert_eq!(shown["sync"]["state"], "idle", "{shown}");
}

/// Until an adopted service was read nobody knows what a change would change.
#[sqlx::test(migrations = "./migrations")]
async fn the_acceptance_of_an_adopted_service_is_not_changed_before_it_was_read(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let aws_id = app.foreign_service("edge", false).await;
    let body = json!({
        "account_id": PROVIDER, "region": HERE, "name": "edge", "aws_service_id": aws_id,
    });
    let made = app.post(Who::Admin, "/v1/services", &body).await.good();
    let path = format!("/v1/services/{}", made["id"].as_str().unwrap());
    let change = json!({ "version": 1, "acceptance_required": true });
    let patch = || send(app.request(Who::Admin, Method::PATCH, &path).json(&change));
    patch()
        .await
        .refused("not read yet", 409, "service_not_observed");
    app.run_until_rest().await;
    patch().await.good();
    app.run_until_rest().await;
    let seen = app.console().endpoint_service(&aws_id).await.unwrap();
    assert!(seen.acceptance_required);
}

#[sqlx::test(migrations = "./migrations")]
async fn of_two_changes_at_one_version_one_is_refused(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let version = app.service(&service.id).await["version"].clone();
    let one = json!({ "version": version, "name": "one" });
    let two = json!({ "version": version, "name": "two" });
    let (a, b) = tokio::join!(
        app.try_to_change(&service, &one),
        app.try_to_change(&service, &two)
    );
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
}
