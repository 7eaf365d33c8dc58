//! The life of a policy: what is validated and tested is put in force, one at a time in each scope, and what decided never changes.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::policies::{KNOWN, NOBODY, text_of};
use crate::support::{Service, TestApp, Who};

impl TestApp {
    async fn states(&self, service: Option<&Service>) -> Vec<String> {
        let path = match service {
            Some(service) => format!("/v1/policies?service_id={}", service.id),
            None => "/v1/policies?provider_wide=true".to_owned(),
        };
        let listed = self.get(Who::Viewer, &path).await.good();
        let items = listed["items"].as_array().unwrap().iter();
        let line = |item: &Value| format!("{} {}", item["number"], text_of(item, "state"));
        items.map(line).collect()
    }

    /// Holds whatever is about to be put in force.
    pub(crate) async fn hold_force(&self) -> sqlx::Transaction<'static, sqlx::Postgres> {
        let mut tx = self.db().begin().await.unwrap();
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('policies', 0))")
            .execute(&mut *tx)
            .await
            .unwrap();
        tx
    }

    /// Holds the rows of all policies.
    async fn hold_policies(&self) -> sqlx::Transaction<'static, sqlx::Postgres> {
        let mut tx = self.db().begin().await.unwrap();
        sqlx::query("SELECT FROM policies FOR UPDATE")
            .execute(&mut *tx)
            .await
            .unwrap();
        tx
    }

    async fn active(&self) -> i64 {
        self.count("SELECT count(*) FROM policies WHERE state = 'active'")
            .await
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_policy_goes_from_draft_to_superseded(pool: PgPool) {
    let app = TestApp::start(pool);
    let body = json!({ "template": "known-accounts", "note": "to begin with" });
    let draft = app.post(Who::Admin, "/v1/policies", &body).await.good();
    assert_eq!(
        (&draft["state"], &draft["number"]),
        (&json!("draft"), &json!(1))
    );
    assert_eq!(draft["created"]["by"], "admin@provider.example");
    let early = app.try_to_activate(&draft, None).await;
    early.refused("a draft", 409, "policy_not_tested");

    let said = app.policy_step(&draft, "validate", &json!({})).await.good();
    assert_eq!(said["valid"], true, "{said}");
    assert_eq!(said["policies"], json!(["known-accounts"]));
    assert_eq!(said["policy"]["state"], "validated");
    let again = app.policy_step(&draft, "validate", &json!({})).await.good();
    assert_eq!(again["policy"]["version"], said["policy"]["version"]);

    let cases = json!([
        { "name": "known", "facts": app.facts(&TestApp::some_service(), true), "expect": "accept" },
        { "name": "unknown", "facts": app.facts(&TestApp::some_service(), false), "expect": "hold" },
    ]);
    let body = json!({ "cases": cases });
    let results = app.policy_step(&draft, "test", &body).await.good();
    assert_eq!(results["passed"], true, "{results}");
    assert_eq!(results["results"][0]["policies"], json!(["known-accounts"]));
    assert_eq!(results["policy"]["state"], "validated", "no dry run yet");
    let early = app.try_to_activate(&results["policy"], None).await;
    early.refused("without a dry run", 409, "policy_not_tested");

    app.dry_run(&draft, 100).await;
    let tested = app.policy(&draft).await;
    assert_eq!(tested["state"], "tested");
    assert_eq!(tested["tested"]["by"], "admin@provider.example");
    let active = app.try_to_activate(&tested, None).await.good();
    assert_eq!(active["state"], "active");
    assert_eq!(active["activated"]["reason"], "to see");
    assert_eq!(app.count("SELECT count(*) FROM judge_wakes WHERE num_nonnulls(account_id, endpoint_service_id, consumer_id) = 0").await, 1);

    let next = app.tested(None, NOBODY).await;
    app.try_to_activate(&next, None).await.good();
    let old = app.policy(&draft).await;
    assert_eq!(
        (&old["state"], &old["superseded_by"]),
        (&json!("superseded"), &next["id"])
    );
    assert_eq!(app.states(None).await, ["2 active", "1 superseded"]);
    app.dry_run(&next, 0).await;
    let next = app.policy(&next).await;
    let ended = app.try_to_deactivate(&next, None).await.good();
    assert_eq!(
        (&ended["state"], &ended["superseded_by"]),
        (&json!("superseded"), &json!(null))
    );
    let twice = app.try_to_deactivate(&next, None).await;
    twice.refused("twice", 409, "policy_not_active");
    assert_eq!(
        app.actions_about("policy").await,
        [
            "policy.activate",
            "policy.activate",
            "policy.create",
            "policy.create",
            "policy.deactivate",
            "policy.supersede",
            "policy.test",
            "policy.test",
            "policy.tested",
            "policy.tested",
            "policy.validate",
            "policy.validate",
        ]
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn what_does_not_compile_is_told_with_line_and_column(pool: PgPool) {
    let app = TestApp::start(pool);
    let unparsable = "permit (principal, action, resource)\nwhen { principal.known ";
    let unknown = "permit (principal, action, resource)\nwhen { principal.knwon };";
    for (text, line, column) in [(unparsable, 2, 23), (unknown, 2, 8)] {
        let draft = app.draft(None, text).await;
        let said = app.policy_step(&draft, "validate", &json!({})).await.good();
        assert_eq!(
            (&said["valid"], &said["policy"]["state"]),
            (&json!(false), &json!("draft"))
        );
        let first = &said["diagnostics"][0];
        assert_eq!(
            (&first["line"], &first["column"]),
            (&json!(line), &json!(column)),
            "{said}"
        );
        assert!(first["message"].is_string(), "{said}");

        let case = json!({ "name": "any", "facts": app.facts(&TestApp::some_service(), true), "expect": "hold" });
        for (verb, body) in [
            ("test", json!({ "cases": [case] })),
            ("dry-runs", json!({ "decisions": 10 })),
        ] {
            let refusal = app.policy_step(&draft, verb, &body).await;
            refusal.refused(verb, 422, "policy_invalid");
            let problem = refusal.json();
            assert_eq!(problem["diagnostics"][0], *first, "{problem}");
            assert_eq!(problem["errors"][0]["field"], "text");
        }
        let stored_nowhere = json!({ "text": text });
        let said = app
            .post(Who::Viewer, "/v1/policies/validate", &stored_nowhere)
            .await
            .good();
        assert_eq!(
            (&said["valid"], &said["diagnostics"][0]),
            (&json!(false), first)
        );
        assert!(said.get("policy").is_none());
    }
    assert_eq!(app.count("SELECT count(*) FROM policies").await, 2);
    assert_eq!(app.count("SELECT count(*) FROM policy_dry_runs").await, 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn another_text_begins_anew_and_what_decided_stays(pool: PgPool) {
    let app = TestApp::start(pool);
    let tested = app.tested(None, KNOWN).await;
    let noted = app
        .change_policy(&tested, json!({ "note": "ready" }))
        .await
        .good();
    assert_eq!(noted["state"], "tested", "a note changes nothing else");
    let stale = app.change_policy(&tested, json!({ "text": NOBODY })).await;
    stale.refused("an old version", 409, "policy_changed");
    let draft = app
        .change_policy(&noted, json!({ "text": NOBODY }))
        .await
        .good();
    assert_eq!(draft["state"], "draft");
    for member in ["validated", "passed_at", "tested"] {
        assert_eq!(draft[member], Value::Null, "{member}");
    }
    let early = app.try_to_activate(&draft, None).await;
    early.refused("another text", 409, "policy_not_tested");
    // The case of the old text comes out otherwise by the new one, and the dry run was of the old one.
    let results = app.policy_step(&draft, "test", &json!({})).await.good();
    assert_eq!(results["passed"], false, "{results}");
    assert_eq!(results["results"][0]["outcome"], "reject");
    assert_eq!(results["policy"]["state"], "validated");

    let other = app.tested(None, KNOWN).await;
    let active = app.try_to_activate(&other, None).await.good();
    let late = app.change_policy(&active, json!({ "text": NOBODY })).await;
    late.refused("in force", 409, "policy_settled");
    for sql in [
        "UPDATE policies SET text = 'permit (principal, action, resource);' WHERE state = 'active'",
        "UPDATE policies SET state = 'draft', activated_at = NULL, activated_by = NULL, activated_reason = NULL,
                validated_at = NULL, validated_by = NULL, tested_at = NULL, tested_by = NULL WHERE state = 'active'",
        "UPDATE policies SET number = 7 WHERE state = 'active'",
        "DELETE FROM policies",
    ] {
        let refused = sqlx::query(sql).execute(app.db()).await.unwrap_err();
        let code = refused.into_database_error().unwrap();
        assert_eq!(code.code().unwrap_or_default(), "42501", "{sql}");
    }
    let given_up = app
        .policy_step(&draft, "discard", &json!({ "reason": "a mistake" }))
        .await
        .good();
    assert_eq!(given_up["state"], "discarded");
    for (verb, body) in [
        ("validate", json!({})),
        ("test", json!({})),
        ("dry-runs", json!({ "decisions": 1 })),
        ("discard", json!({ "reason": "again" })),
    ] {
        let late = app.policy_step(&draft, verb, &body).await;
        late.refused(verb, 409, "policy_settled");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn of_two_activations_at_once_one_stands_in_the_end(pool: PgPool) {
    let app = TestApp::start(pool);
    let first = app.tested(None, KNOWN).await;
    let second = app.tested(None, NOBODY).await;
    let held = app.hold_force().await;
    let let_go = async {
        app.queue_of(2).await;
        assert_eq!(app.active().await, 0);
        held.rollback().await.unwrap();
    };
    let (one, two, ()) = tokio::join!(
        app.try_to_activate(&first, None),
        app.try_to_activate(&second, None),
        let_go,
    );
    // Both were tried beside what is in force, which is nothing: the later one takes the place of the earlier.
    assert_eq!((one.status, two.status), (200, 200), "{one:?} {two:?}");
    assert_eq!(app.active().await, 1);
    let (first, second) = (app.policy(&first).await, app.policy(&second).await);
    let (winner, loser) = if first["state"] == "active" {
        (first, second)
    } else {
        (second, first)
    };
    assert_eq!(
        (&loser["state"], &loser["superseded_by"]),
        (&json!("superseded"), &winner["id"])
    );
}

/// A provider's set and a service's decide together, so they are never both put in force without having been tried together.
#[sqlx::test(migrations = "./migrations")]
async fn of_two_scopes_at_once_the_second_has_to_be_tried_again(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let wide = app.tested(None, KNOWN).await;
    let narrow = app.tested(Some(&service), NOBODY).await;
    let held = app.hold_force().await;
    let let_go = async {
        app.queue_of(2).await;
        held.rollback().await.unwrap();
    };
    let (one, two, ()) = tokio::join!(
        app.try_to_activate(&wide, None),
        app.try_to_activate(&narrow, None),
        let_go,
    );
    let (loser, policy) = if one.status == 200 {
        (two, &narrow)
    } else {
        assert_eq!(two.status, 200, "{one:?} {two:?}");
        (one, &wide)
    };
    loser.refused("the second", 409, "dry_run_outdated");
    assert_eq!(app.active().await, 1);
    app.dry_run(policy, 0).await;
    let policy = app.policy(policy).await;
    let again = app.try_to_activate(&policy, None).await;
    // The case of the provider's text comes out otherwise where the service's text forbids; it is about another service.
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(app.active().await, 2);
    let woken = "SELECT count(*) FROM judge_wakes WHERE endpoint_service_id IS NOT NULL";
    assert_eq!(app.count(woken).await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_text_that_is_changed_meanwhile_is_not_put_in_force(pool: PgPool) {
    let app = TestApp::start(pool);
    for change_first in [true, false] {
        let tested = app.tested(None, KNOWN).await;
        let held = app.hold_policies().await;
        let change = async {
            if !change_first {
                app.queue_of(1).await;
            }
            app.change_policy(&tested, json!({ "text": NOBODY })).await
        };
        let activate = async {
            if change_first {
                app.queue_of(1).await;
            }
            app.try_to_activate(&tested, None).await
        };
        let let_go = async {
            app.queue_of(2).await;
            held.rollback().await.unwrap();
        };
        let (changed, activated, ()) = tokio::join!(change, activate, let_go);
        let after = app.policy(&tested).await;
        if change_first {
            assert_eq!(changed.status, 200, "{changed:?}");
            activated.refused("after the change", 409, "policy_changed");
            assert_eq!(
                (&after["state"], &after["text"]),
                (&json!("draft"), &json!(NOBODY))
            );
        } else {
            assert_eq!(activated.status, 200, "{activated:?}");
            changed.refused("after the activation", 409, "policy_settled");
            assert_eq!(
                (&after["state"], &after["text"]),
                (&json!("active"), &json!(KNOWN))
            );
        }
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_policy_of_a_service_is_tried_with_its_own_facts(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let draft = app.draft(Some(&service), KNOWN).await;
    assert_eq!(draft["service_id"], service.id);
    let case = |facts: Value, name: &str| json!({ "cases": [{ "name": name, "facts": facts, "expect": "accept" }] });
    let foreign = case(app.facts(&TestApp::some_service(), true), "foreign");
    for (what, body, field) in [
        ("another service", foreign, "cases[0].facts.service.id"),
        (
            "no facts",
            case(json!({ "version": 1 }), "empty"),
            "cases[0].facts",
        ),
        (
            "another format",
            case(json!({ "version": 2 }), "new"),
            "cases[0].facts",
        ),
        (
            "no name",
            case(app.facts(&service, true), " "),
            "cases[0].name",
        ),
        ("no cases", json!({ "cases": [] }), "cases"),
        ("none at all", json!({}), "cases"),
    ] {
        let refusal = app.policy_step(&draft, "test", &body).await;
        refusal.refused(what, 400, "invalid_request");
        assert_eq!(refusal.json()["errors"][0]["field"], field, "{what}");
    }
    assert_eq!(app.policy(&draft).await["state"], "draft");
    let missing = json!({ "text": KNOWN, "service_id": TestApp::some_service().id });
    let refusal = app.post(Who::Admin, "/v1/policies", &missing).await;
    refusal.refused("no such service", 404, "service_not_found");
    for body in [
        json!({}),
        json!({ "text": KNOWN, "template": "regions" }),
        json!({ "template": "nothing" }),
        json!({ "text": "\0" }),
    ] {
        let refusal = app.post(Who::Admin, "/v1/policies", &body).await;
        refusal.refused("no text", 400, "invalid_request");
    }
    assert_eq!(app.states(Some(&service)).await, ["1 draft"]);
    assert_eq!(app.states(None).await, Vec::<String>::new());
}

#[sqlx::test(migrations = "./migrations")]
async fn templates_and_the_schema_are_shown(pool: PgPool) {
    let app = TestApp::start(pool);
    let listed = app.get(Who::Viewer, "/v1/policy-templates").await.good();
    let items = listed["items"].as_array().unwrap();
    assert!(items.len() >= 5, "{listed}");
    for item in items {
        let body = json!({ "text": item["text"] });
        let said = app
            .post(Who::Viewer, "/v1/policies/validate", &body)
            .await
            .good();
        assert_eq!(said["valid"], true, "{said}");
    }
    let schema = app.get(Who::Viewer, "/v1/policy-schema").await.good();
    assert!(
        text_of(&schema, "schema").contains("crossRegion"),
        "{schema}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_dry_run_is_good_for_a_time_and_beside_the_same_policies(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let narrow = app.tested(Some(&service), KNOWN).await;
    app.advance(Duration::from_hours(24) + Duration::from_secs(1));
    let old = app.try_to_activate(&narrow, None).await;
    old.refused("a day later", 409, "dry_run_outdated");
    app.dry_run(&narrow, 0).await;
    let wide = app.tested(None, NOBODY).await;
    app.try_to_activate(&wide, None).await.good();
    let beside = app.try_to_activate(&narrow, None).await;
    beside.refused("beside another policy", 409, "dry_run_outdated");
    // Tried again, its case does not come out any more: what the provider forbids is forbidden.
    app.dry_run(&narrow, 0).await;
    let failing = app.try_to_activate(&narrow, None).await;
    failing.refused("its case fails", 409, "policy_not_tested");
}
