//! Previews that come with a change: what activates or deactivates a policy, or removes an account, has what is live judged again, and cuts nothing off.

use std::time::Duration;

use portcullis::domain::review_timer::TimerStep;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::drifts::OTHER;
use crate::support::policies::{KNOWN, NOBODY, text_of};
use crate::support::rejudgements::{HOUR, NOTHING};
use crate::support::reviews::ADMIN;
use crate::support::{CONSUMER, TestApp};

/// Lets in whom somebody knows, and nobody else.
const ONLY_KNOWN: &str = r#"
    permit (principal, action, resource) when { principal.known };
    @id("strangers") forbid (principal, action, resource) unless { principal.known };
"#;

impl TestApp {
    /// The preview that an answer names.
    async fn preview_of(&self, answer: &Value) -> Value {
        let id = json!({ "id": answer["rejudgement_id"] });
        self.rejudgement(&id).await
    }

    async fn hold_rejudgements(&self) -> sqlx::Transaction<'static, sqlx::Postgres> {
        let mut tx = self.db().begin().await.unwrap();
        sqlx::query("SELECT FROM rejudgements FOR UPDATE")
            .execute(&mut *tx)
            .await
            .unwrap();
        tx
    }

    /// Waits until so many wait for a row of these, and not for anything else on their way to it.
    async fn waiting_for_rejudgements(&self, waiting: i64) {
        let sql = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%RejudgementId%'";
        for _ in 0..2_000 {
            if self.count(sql).await >= waiting {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("nobody waits");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_policy_brings_a_preview_of_its_scope_and_cuts_nothing_off(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let edge = app.service_for("edge", &[CONSUMER, OTHER]).await;
    let core = app.service_for("core", &[OTHER]).await;
    let live = [app.live(OTHER, &edge).await, app.live(OTHER, &core).await];

    let narrow = app.tested(Some(&edge), NOBODY).await;
    let active = app.try_to_activate(&narrow, Some(1)).await.good();
    let asked = app.preview_of(&active).await;
    assert_eq!(
        (&asked["state"], &asked["service_id"], &asked["asked"]["by"]),
        (&json!("previewing"), &json!(edge.id), &json!(ADMIN))
    );
    let reason = text_of(&asked["asked"], "reason");
    let why = format!("policy {} was activated: to see", text_of(&narrow, "id"));
    assert_eq!(reason, why);
    app.carry_on().await;
    let seen = app.preview_of(&active).await;
    let counts = [&seen["judged"], &seen["losing_access"]];
    assert_eq!(counts, [&json!(1), &json!(1)]);

    // Nothing is done by itself, however long nobody looks.
    let taken = app.pass_time(48 * HOUR).await;
    assert!(!taken.contains(&TimerStep::RevokeScheduled), "{taken:?}");
    app.run_until_rest().await;
    for request in &live {
        assert_eq!(app.plan_of(request).await, NOTHING);
        assert_eq!(app.summary(request).await, "available");
    }

    app.dry_run(&active, 0).await;
    let ended = app.try_to_deactivate(&active, None).await.good();
    app.carry_on().await;
    let seen = app.preview_of(&ended).await;
    let counts = [&seen["judged"], &seen["losing_access"], &seen["held"]];
    assert_eq!(counts, [&json!(1), &json!(0), &json!(1)]);
    assert!(text_of(&seen["asked"], "reason").contains("was deactivated"));

    let wide = app.tested(None, NOBODY).await;
    let active = app.try_to_activate(&wide, Some(2)).await.good();
    app.carry_on().await;
    let seen = app.preview_of(&active).await;
    assert_eq!(
        (&seen["service_id"], &seen["losing_access"]),
        (&NOTHING, &json!(2))
    );
    app.try_to_apply(&seen, HOUR, 2).await.good();
    app.carry_on().await;
    for request in &live {
        assert_ne!(app.plan_of(request).await, NOTHING);
    }
}

/// What nobody applied and was true before the change gives its place up; what somebody applied goes on, and other scopes are nobody's business.
#[sqlx::test(migrations = "./migrations")]
async fn a_newer_preview_takes_the_place_of_those_of_its_scope(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let applied = app.previewed(&json!({})).await;
    app.try_to_apply(&applied, HOUR, 0).await.good();
    app.carry_on().await;
    let seen = app.previewed(&json!({})).await;
    let of_service = app.previewed(&json!({ "service_id": service.id })).await;
    let unseen = app.try_to_rejudge(&json!({})).await.good();

    let policy = app.tested(None, KNOWN).await;
    let active = app.try_to_activate(&policy, None).await.good();
    let new = text_of(&active, "rejudgement_id");
    for old in [&seen, &unseen] {
        let old = app.rejudgement(old).await;
        assert_eq!(old["state"], "cancelled", "{old}");
        assert_eq!(old["cancelled"]["by"], ADMIN);
        let reason = text_of(&old["cancelled"], "reason");
        assert_eq!(reason, format!("{new} was asked for in its place"));
        let late = app.try_to_apply(&old, HOUR, 0).await;
        late.refused("superseded", 409, "rejudgement_not_previewed");
    }
    assert_eq!(app.rejudgement(&applied).await["state"], "applied");
    assert_eq!(app.rejudgement(&of_service).await["state"], "previewed");
    assert_eq!(app.preview_of(&active).await["state"], "previewing");
    let noted: Vec<Value> = sqlx::query_scalar(
        "SELECT after FROM audit_entries WHERE action = 'rejudgement.supersede'",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    let expected = json!({ "state": "cancelled", "superseded_by": new });
    assert_eq!(noted, [expected.clone(), expected]);
    app.carry_on().await;
    assert_eq!(
        app.rejudgement(&unseen).await["judged"],
        0,
        "nobody goes on with it"
    );

    let next = app.tested(None, NOBODY).await;
    app.try_to_activate(&next, None).await.good();
    assert_eq!(app.preview_of(&active).await["state"], "cancelled");
    let open = "SELECT count(*) FROM rejudgements WHERE state IN ('previewing', 'previewed')";
    assert_eq!(app.count(open).await, 2, "one of each scope");
}

/// Applying a preview against the change that supersedes it: whoever has its row first is the one that counts.
#[sqlx::test(migrations = "./migrations")]
async fn a_preview_is_applied_or_superseded_and_never_both(pool: PgPool) {
    let app = TestApp::start(pool);
    for (apply_first, text) in [(true, KNOWN), (false, NOBODY)] {
        let policy = app.tested(None, text).await;
        let seen = app.previewed(&json!({})).await;
        let held = app.hold_rejudgements().await;
        let apply = async {
            if !apply_first {
                app.waiting_for_rejudgements(1).await;
            }
            app.try_to_apply(&seen, HOUR, 0).await
        };
        let activate = async {
            if apply_first {
                app.waiting_for_rejudgements(1).await;
            }
            app.try_to_activate(&policy, None).await
        };
        let let_go = async {
            app.waiting_for_rejudgements(2).await;
            held.rollback().await.unwrap();
        };
        let (applied, activated, ()) = tokio::join!(apply, activate, let_go);
        let active = activated.good();
        let state = app.rejudgement(&seen).await["state"].clone();
        if apply_first {
            applied.good();
            assert_eq!(state, "applying");
        } else {
            applied.refused("superseded", 409, "rejudgement_not_previewed");
            assert_eq!(state, "cancelled");
        }
        assert_eq!(app.preview_of(&active).await["state"], "previewing");
        app.carry_on().await;
        // Or the next one would wait for this one first, and who comes first at the other is anybody's guess.
        let own = json!({ "id": active["rejudgement_id"] });
        app.try_to_give_up(&own).await.good();
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_that_is_removed_brings_a_preview_of_it(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    let edge = app.service_for("edge", &[CONSUMER, OTHER]).await;
    let acme = app.add_consumer_with("Acme", &[CONSUMER, OTHER]).await;
    let leaves = app.live(OTHER, &edge).await;
    app.live(CONSUMER, &edge).await;
    app.in_force(None, ONLY_KNOWN).await;
    let removed = app.try_to_detach(&acme, OTHER).await.good();
    assert_eq!(removed["account_id"], OTHER);
    app.carry_on().await;
    let seen = app.preview_of(&removed).await;
    assert_eq!(seen["account_id"], OTHER);
    let counts = [&seen["judged"], &seen["losing_access"]];
    assert_eq!(counts, [&json!(1), &json!(1)]);
    let why = format!("account {OTHER} was removed from consumer {acme}: sold");
    assert_eq!(text_of(&seen["asked"], "reason"), why);
    app.run_until_rest().await;
    assert_eq!(app.plan_of(&leaves).await, NOTHING);
    assert_eq!(app.summary(&leaves).await, "available");

    app.try_to_attach(&acme, OTHER).await.good();
    let again = app.try_to_detach(&acme, OTHER).await.good();
    assert_eq!(app.preview_of(&removed).await["state"], "cancelled");
    assert_eq!(app.preview_of(&again).await["state"], "previewing");

    // A removal of access says itself what goes, and has its own grace.
    let cause = json!({ "kind": "account", "consumer_id": acme, "account_id": CONSUMER });
    app.end_access(&cause, 3600).await;
    assert_eq!(app.count("SELECT count(*) FROM rejudgements").await, 2);
}
