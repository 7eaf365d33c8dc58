//! Every kind of drift with every verb, from the lists: a new kind or verb does not compile until it is said here what it does.

use portcullis::domain::drift::{About, DriftKind};
use portcullis::domain::drift_inbox::{DriftState, DriftVerb};
use serde_json::{Value, json};
use sqlx::PgPool;

use std::time::Duration;

use crate::support::drifts::{OTHER, root};
use crate::support::{CONSUMER, HERE, PROVIDER, Request, Service, TestApp, Who};

/// A drift that is open, and what it is about.
struct Made {
    drift: Value,
    service: Service,
    request: Option<Request>,
}

/// What comes of a verb: the code of the refusal, or nothing.
fn refusal(kind: DriftKind, verb: DriftVerb) -> Option<&'static str> {
    use DriftKind as K;
    match (kind, verb) {
        (_, DriftVerb::Ignore | DriftVerb::Adopt)
        | (
            K::AcceptedOutside
            | K::AutoAccepted
            | K::Preexisting
            | K::ServiceReconfigured
            | K::UnknownPrincipal,
            DriftVerb::Revert,
        ) => None,
        (K::RejectedOutside | K::UnknownService, DriftVerb::Revert) => Some("drift_not_revertible"),
    }
}

async fn make(app: &TestApp, kind: DriftKind, name: &str) -> Made {
    let mut request = None;
    let service = match kind {
        DriftKind::AcceptedOutside | DriftKind::RejectedOutside => {
            let service = app.created_service(name).await;
            let made = app.requested(&service).await;
            if kind == DriftKind::AcceptedOutside {
                app.accept_behind_our_back(&service, &made).await;
            } else {
                app.reject_behind_our_back(&service, &made).await;
            }
            request = Some(made);
            service
        }
        DriftKind::AutoAccepted => {
            let service = adopted(app, name, false).await;
            app.advance(Duration::from_secs(1));
            request = Some(app.requested(&service).await);
            service
        }
        DriftKind::Preexisting => {
            let aws_id = app.foreign_service(name, true).await;
            let service_name = format!("com.amazonaws.vpce.{HERE}.{aws_id}");
            let endpoint = app.consumer().create_endpoint(&service_name).unwrap();
            let ids = [endpoint.clone()];
            let done = app.console().accept_connections(&aws_id, &ids).await;
            assert_eq!(done, Ok(Vec::new()));
            app.advance(Duration::from_secs(1));
            let service = registered(app, name, aws_id.as_str()).await;
            request = Some(app.found(&endpoint).await);
            service
        }
        DriftKind::ServiceReconfigured => {
            let service = app.created_service(name).await;
            app.set_acceptance(&service, false).await;
            service
        }
        DriftKind::UnknownPrincipal => {
            let service = app.created_service(name).await;
            app.grant(&service, &[&root(OTHER)], &[]).await;
            service
        }
        DriftKind::UnknownService => {
            let aws_id = app.foreign_service(name, true).await;
            app.take_fresh_inventory().await;
            Service {
                id: String::new(),
                name: String::new(),
                aws_id,
            }
        }
    };
    app.look_again().await;
    let open = app.inbox(&format!("state=open&kind={kind}")).await;
    let about = |drift: &&Value| match kind.about() {
        About::AccountRegion => drift["subject"] == service.aws_id.as_str(),
        About::Connection | About::Service => drift["service_id"] == service.id.as_str(),
    };
    let drifts: Vec<Value> = open.iter().filter(about).cloned().collect();
    TestApp::only(&drifts);
    let drift = drifts[0].clone();
    let whose = request.as_ref().map(|r| r.id.as_str());
    assert_eq!(drift["connection_id"].as_str(), whose, "{drift}");
    Made {
        drift,
        service,
        request,
    }
}

async fn adopted(app: &TestApp, name: &str, acceptance_required: bool) -> Service {
    let aws_id = app.foreign_service(name, acceptance_required).await;
    registered(app, name, aws_id.as_str()).await
}

async fn registered(app: &TestApp, name: &str, aws_id: &str) -> Service {
    let body = json!({
        "account_id": PROVIDER, "region": HERE, "name": name, "aws_service_id": aws_id,
        "allowed_principals": [CONSUMER],
    });
    app.registered(&body).await
}

/// What adopting leads to: nobody disagrees any more, and nothing was done to AWS.
async fn assert_adopted(app: &TestApp, kind: DriftKind, made: &Made, what: &str) {
    match kind.about() {
        About::Connection => {
            let seen = app.connection(made.request.as_ref().unwrap()).await;
            let review = if kind == DriftKind::RejectedOutside {
                "rejected"
            } else {
                "accepted"
            };
            assert_eq!(seen["review"]["state"], review, "{what}: {seen}");
            assert_eq!(seen["sync"]["state"], "idle", "{what}: {seen}");
        }
        About::Service => {
            let seen = app.service(&made.service.id).await;
            assert_eq!(seen["differences"], json!([]), "{what}");
            assert_eq!(seen["unknown_principals"], json!([]), "{what}");
            assert_eq!(seen["applied_version"], seen["version"], "{what}");
        }
        About::AccountRegion => {
            let path = format!("/v1/services?aws_service_id={}", made.service.aws_id);
            let listed = app.get(Who::Viewer, &path).await.good();
            assert_eq!(listed["items"][0]["origin"], "adopted", "{what}: {listed}");
            assert_eq!(listed["items"][0]["sync"]["state"], "idle", "{what}");
        }
    }
}

/// What reverting leads to: AWS is as it was.
async fn assert_reverted(app: &TestApp, kind: DriftKind, made: &Made, what: &str) {
    if let Some(request) = &made.request {
        let state = app.consumer().endpoint_state(&request.endpoint).unwrap();
        assert_eq!(state.unwrap().as_str(), "rejected", "{what}");
        return;
    }
    assert_eq!(kind.about(), About::Service, "{what}");
    let seen = app.in_aws(&made.service).await;
    assert!(seen.acceptance_required, "{what}");
    assert_eq!(app.allowed(&made.service).await, [root(CONSUMER)], "{what}");
}

#[sqlx::test(migrations = "./migrations")]
async fn every_kind_is_settled_by_every_verb_or_refused_with_the_reason(pool: PgPool) {
    let app = TestApp::start(pool);
    app.add_account_region().await;
    for kind in DriftKind::ALL {
        for verb in DriftVerb::ALL {
            Box::pin(cell(&app, *kind, *verb)).await;
        }
    }
    // What was settled is settled once and in words: one entry for each, by the person who did it.
    let told = app
        .count(
            "SELECT count(*) FROM audit_entries a JOIN drifts d ON a.after ->> 'drift_id' = 'dft_' || replace(d.id::text, '-', '')
              WHERE a.action IN ('drift.adopt', 'drift.revert', 'drift.ignore') AND a.actor = 'admin@provider.example'
                AND a.actor = d.settled_by AND a.reason = d.settled_reason AND a.request_id <> ''",
        )
        .await;
    let cells = DriftKind::ALL
        .iter()
        .flat_map(|kind| DriftVerb::ALL.iter().map(|verb| refusal(*kind, *verb)));
    let good = cells.filter(Option::is_none).count();
    assert_eq!(told, i64::try_from(good).unwrap());
}

async fn cell(app: &TestApp, kind: DriftKind, verb: DriftVerb) {
    let what = format!("{verb} {kind}");
    let name = what.replace([' ', '_'], "-");
    let made = make(app, kind, &name).await;
    let id = made.drift["id"].as_str().unwrap();
    let mutations = app.mutations();
    let answer = app.settle(Who::Admin, id, verb.as_str()).await;
    if let Some(code) = refusal(kind, verb) {
        answer.refused(&what, 409, code);
        assert_eq!(app.drift(id).await, made.drift, "{what}");
        return;
    }
    let settled = answer.good();
    let state = verb.settles_as();
    assert_eq!(settled["state"], state.as_str(), "{what}");
    assert_eq!(settled["settlement"]["by"], "admin@provider.example");
    let stands = settled["resolved_at"].is_null();
    assert_eq!(stands, state == DriftState::Ignored, "{what}");

    // Once more, and the time after that.
    app.look_again().await;
    app.take_fresh_inventory().await;
    app.look_again().await;
    match verb {
        DriftVerb::Adopt => assert_adopted(app, kind, &made, &what).await,
        DriftVerb::Revert => assert_reverted(app, kind, &made, &what).await,
        DriftVerb::Ignore => {}
    }
    let calls = app.mutations() - mutations;
    assert_eq!(calls, usize::from(verb == DriftVerb::Revert), "{what}");
    assert_eq!(app.drift(id).await, settled, "{what}");
    let subject = &made.drift["subject"];
    let mine = |d: &&Value| {
        d["kind"] == kind.as_str()
            && d["subject"] == *subject
            && d["service_id"] == made.drift["service_id"]
    };
    let all = app.inbox("").await;
    assert_eq!(
        all.iter().filter(mine).count(),
        1,
        "{what}: quiet after that"
    );
    for again in DriftVerb::ALL {
        let late = app.settle(Who::Admin, id, again.as_str()).await;
        late.refused(&what, 409, "drift_settled");
        let detail = late.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("admin@provider.example"), "{detail}");
        assert!(detail.contains(&format!("{verb}: ticket 12")), "{detail}");
    }
}

/// Decision 0004: a connection that was rejected here and came back to life is not accepted by agreeing with whoever did it.
#[sqlx::test(migrations = "./migrations")]
async fn there_is_no_accept_after_a_reject_by_way_of_the_inbox(pool: PgPool) {
    use privatelink_sim::{Behavior, Legality};
    let setup = crate::support::Setup {
        behavior: Behavior {
            accept_after_reject: Legality::Allow,
            ..Behavior::instant()
        },
        ..crate::support::Setup::default()
    };
    let app = TestApp::start_with(pool, setup);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.decide(&request, "reject").await;
    app.run_until_rest().await;
    app.advance(Duration::from_hours(1));
    app.accept_behind_our_back(&service, &request).await;
    app.run_until_rest().await;
    let id = TestApp::only(&app.inbox("kind=accepted_outside").await);
    let refused = app.settle(Who::Approver, &id, "adopt").await;
    refused.refused("adopt", 409, "drift_not_adoptable");
    app.settle(Who::Approver, &id, "revert").await.good();
    app.run_until_rest().await;
    assert_eq!(app.summary(&request).await, "rejected");
    assert_eq!(app.rejects(&request), 2);
    assert_eq!(app.kinds("").await, ["accepted_outside reverted"]);
}
