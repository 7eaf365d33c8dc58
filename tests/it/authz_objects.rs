//! Whose objects: every operation that names one, with one's own, another's and nobody's.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;

use crate::authz_matrix::{About, LOWEST, OWN, Operation, operations, with_object, written};
use crate::support::http::send;
use crate::support::members::Organisation;
use crate::support::{Answer, TestApp, Who};

/// An answer without what differs between any two: the request's id, and the object's.
fn plain(answer: &Answer, id: &str) -> (u16, String) {
    let mut body = answer.json();
    if let Some(members) = body.as_object_mut() {
        members.remove("request_id");
    }
    (answer.status, body.to_string().replace(id, "ID"))
}

/// An id of the same kind that nobody has.
fn unknown(like: &str) -> String {
    let (prefix, _) = like.split_once('_').unwrap();
    format!("{prefix}_{}", "0".repeat(32))
}

fn object(about: About, of: &Organisation) -> &str {
    match about {
        About::Nothing => panic!("it has none"),
        About::Connection => &of.connection.id,
        About::Service => &of.service.id,
        About::AccessRequest => &of.asked,
    }
}

/// Consumers reach their own; what is another's answers, word for word, as what is not there.
#[sqlx::test(migrations = "./migrations")]
async fn a_consumer_reaches_its_own_objects_and_no_others(pool: PgPool) {
    let app = TestApp::start(pool);
    let [acme, bolt] = app.two_organisations().await;
    let operations = operations();
    let own: BTreeMap<&str, About> = OWN.iter().copied().collect();
    let mut tried = 0;
    for Operation { name, method, path } in &operations {
        let Some(about) = own.get(name.as_str()).copied() else {
            continue;
        };
        assert_eq!(about == About::Nothing, !path.contains('{'), "{name}");
        if about == About::Nothing {
            continue;
        }
        for (who, other) in [(&acme, &bolt), (&bolt, &acme)] {
            let ask = async |id: &str| {
                let path = with_object(path, id);
                let request = app.as_member(&who.id, method.clone(), &path);
                send(request.json(&json!({ "reason": "no need" }))).await
            };
            let (foreign, nobodys) = (object(about, other), unknown(object(about, other)));
            let [theirs, none] = [ask(foreign).await, ask(&nobodys).await];
            assert_eq!(theirs.status, 404, "{name}: {}", theirs.text);
            assert_eq!(plain(&theirs, foreign), plain(&none, &nobodys), "{name}");
            let ours = ask(object(about, who)).await;
            assert_eq!(ours.status, 200, "{name}: {}", ours.text);
            assert_eq!(ours.json()["id"], object(about, who));
            // Of another kind, whoever's it is.
            ask(&who.id).await.refused(name, 400, "invalid_path");
            tried += 1;
        }
    }
    assert_eq!(tried, 8);
    for (path, about) in [
        ("/v1/me/connections", About::Connection),
        ("/v1/me/services", About::Service),
        ("/v1/me/access-requests", About::AccessRequest),
    ] {
        for who in [&acme, &bolt] {
            let listed = app.member_gets(&who.id, path).await.good();
            let items = listed["items"].as_array().unwrap();
            assert_eq!(items.len(), 1, "{path}: {listed}");
            assert_eq!(items[0]["id"], object(about, who), "{path}");
        }
    }
}

/// The objects of an organisation that stand in a path of the provider's.
fn provider_object<'a>(path: &str, of: &'a Organisation) -> Option<&'a str> {
    let kinds = [
        ("/v1/connections/{id}", of.connection.id.as_str()),
        ("/v1/services/{id}", &of.service.id),
        ("/v1/consumers/{id}", &of.id),
        ("/v1/access-requests/{id}", &of.asked),
    ];
    let of_kind = kinds
        .into_iter()
        .find(|(prefix, _)| path.starts_with(prefix));
    of_kind.map(|(_, id)| id)
}

/// Nothing can be learnt from the provider's operations: a consumer gets the same refusal whatever it names, be it its own.
#[sqlx::test(migrations = "./migrations")]
async fn the_providers_operations_are_closed_to_consumers_whatever_they_name(pool: PgPool) {
    let app = TestApp::start(pool);
    let [acme, bolt] = app.two_organisations().await;
    let before = written(&app).await;
    let public: Vec<&str> = LOWEST
        .iter()
        .filter(|(_, who)| *who == Who::Nobody)
        .map(|(name, _)| *name)
        .collect();
    let mut with_ids = 0;
    for Operation { name, method, path } in operations() {
        if public.contains(&name.as_str()) || OWN.iter().any(|(own, _)| *own == name) {
            continue;
        }
        let mut ids = vec!["nothing".to_owned()];
        if let Some(own) = provider_object(&path, &acme) {
            ids.extend([own.to_owned(), unknown(own)]);
            ids.extend(provider_object(&path, &bolt).map(str::to_owned));
            with_ids += 1;
        }
        let mut first = None;
        for id in &ids {
            let with_id = with_object(&path, id).replace("nothing", acme.account);
            let request = app.as_member(&acme.id, method.clone(), &with_id);
            let body = json!({ "reason": "to see", "version": 1 });
            let answer = send(request.json(&body)).await;
            answer.refused(&format!("{name} of {id}"), 403, "forbidden");
            let answer = plain(&answer, id);
            assert_eq!(
                first.get_or_insert_with(|| answer.clone()),
                &answer,
                "{name}"
            );
        }
    }
    assert!(with_ids > 40, "{with_ids}");
    assert_eq!(written(&app).await, before);
}

/// To the provider's people every organisation's objects are alike, and what is not there is said not to be.
#[sqlx::test(migrations = "./migrations")]
async fn the_provider_reads_the_objects_of_every_organisation(pool: PgPool) {
    let app = TestApp::start(pool);
    let [acme, bolt] = app.two_organisations().await;
    let lowest: BTreeMap<&str, Who> = LOWEST.iter().copied().collect();
    let mut tried = 0;
    for Operation { name, method, path } in operations() {
        let Some(id) = provider_object(&path, &acme).filter(|_| method == Method::GET) else {
            continue;
        };
        assert_eq!(lowest[name.as_str()], Who::Viewer, "{name}");
        let theirs = provider_object(&path, &bolt).unwrap();
        for who in [Who::Viewer, Who::Auditor, Who::Approver, Who::Admin] {
            let read = async |id: &str| app.get(who, &with_object(&path, id)).await;
            let (ours, theirs, none) =
                (read(id).await, read(theirs).await, read(&unknown(id)).await);
            assert_eq!(
                (ours.status, theirs.status),
                (200, 200),
                "{who:?} {name}: {}",
                ours.text
            );
            assert_eq!(none.status, 404, "{who:?} {name}: {}", none.text);
        }
        tried += 1;
    }
    assert!(tried >= 10, "{tried}");
}
