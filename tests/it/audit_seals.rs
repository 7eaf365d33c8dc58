//! The audit trail cannot be changed quietly: whatever is done to its rows behind everybody's back is found, and the first row is named.

use std::sync::Arc;
use std::time::Duration;

use audit_chain::{Checked, Fault, Head, PublicKey, SealingKey, verify_export};
use portcullis::api::auth::open_key_file;
use portcullis::app::retain::{Retention, retain};
use portcullis::app::verify_audit::{self, Verified};
use portcullis::worker::{number_events, seal_audit};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{TestApp, Who};

/// What the append-only triggers refuse to everybody who is not the database's owner.
async fn behind_everybodys_back(app: &TestApp, sql: &str) -> u64 {
    let mut conn = app.db().acquire().await.unwrap();
    let sql = format!("SET session_replication_role = replica; {sql}");
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&mut *conn)
        .await
        .unwrap();
    sqlx::raw_sql("SET session_replication_role = origin")
        .execute(&mut *conn)
        .await
        .unwrap();
    done.rows_affected()
}

async fn verified(app: &TestApp, keys: &[PublicKey], heads: &[Head]) -> Result<Verified, Fault> {
    verify_audit::verify(app.db(), keys.to_vec(), heads.to_vec())
        .await
        .unwrap()
}

fn with_key(app: &mut TestApp) -> PublicKey {
    let keys = tempfile::tempdir().unwrap();
    let file = open_key_file(&keys.path().join("seals.pem")).unwrap();
    let key = SealingKey::from_pkcs8(&file.pkcs8).unwrap();
    let public = key.public();
    app.shared.sealing_key = Some(Arc::new(key));
    public
}

async fn seal_all(app: &TestApp) {
    while seal_audit::run_pass(&app.shared).await.unwrap() > 0 {}
}

/// Two seals of a few entries each.
async fn story(app: &TestApp) {
    for name in ["one", "two", "three"] {
        app.add_consumer_with(name, &[]).await;
    }
    seal_all(app).await;
    for name in ["four", "five"] {
        app.add_consumer_with(name, &[]).await;
    }
    seal_all(app).await;
}

async fn ids(app: &TestApp) -> Vec<Uuid> {
    sqlx::query_scalar("SELECT id FROM audit_entries ORDER BY id")
        .fetch_all(app.db())
        .await
        .unwrap()
}

#[sqlx::test(migrations = "./migrations")]
async fn every_entry_is_sealed_once_and_found_as_it_was(pool: PgPool) {
    let mut app = TestApp::start(pool);
    let key = with_key(&mut app);
    assert_eq!(verify_audit::head(app.db()).await.unwrap(), None);
    app.add_consumer_with("first", &[]).await;
    let fresh = verified(&app, std::slice::from_ref(&key), &[])
        .await
        .unwrap();
    assert_eq!((fresh.checked, fresh.waiting), (Checked::default(), 1));
    story(&app).await;
    app.add_consumer_with("late", &[]).await;
    let whole = verified(&app, &[key], &[]).await.unwrap();
    let entries = u64::try_from(ids(&app).await.len()).unwrap();
    assert_eq!(whole.waiting, 1);
    assert_eq!(
        (
            whole.checked.entries,
            whole.checked.seals,
            whole.checked.signatures
        ),
        (entries - 1, 2, 2)
    );
    assert_eq!(
        whole.checked.head,
        verify_audit::head(app.db()).await.unwrap()
    );
    for sql in [
        "UPDATE audit_seals SET number = 7",
        "DELETE FROM audit_seals",
        "TRUNCATE audit_seals",
    ] {
        assert!(sqlx::query(sql).execute(app.db()).await.is_err(), "{sql}");
    }
}

/// Altered, deleted, reordered, put in, cut off; entries and seals.
#[sqlx::test(migrations = "./migrations")]
async fn what_is_done_behind_everybodys_back_is_found_and_named(pool: PgPool) {
    let mut app = TestApp::start(pool);
    let key = [with_key(&mut app)];
    story(&app).await;
    let head = [verify_audit::head(app.db()).await.unwrap().unwrap()];
    let ids = ids(&app).await;
    let [first, second, third, .., last] = ids[..] else {
        panic!("five");
    };
    let changed = |entry, number| Fault::EntryChanged { entry, number };
    let cases = [
        (format!("UPDATE audit_entries SET actor = 'nobody' WHERE id = '{second}'"), changed(second, 1)),
        (format!("UPDATE audit_entries SET after = after || '{{\"a\": 1}}' WHERE id = '{last}'"), changed(last, 2)),
        (format!("UPDATE audit_entries SET reason = 'x' WHERE id IN ('{third}', '{last}')"), changed(third, 1)),
        (
            format!("UPDATE audit_entries AS a SET actor = b.actor, after = b.after FROM audit_entries b
                      WHERE a.id IN ('{first}', '{third}') AND b.id IN ('{first}', '{third}') AND a.id <> b.id"),
            changed(first, 1),
        ),
        (
            format!("UPDATE audit_entries SET at = at + interval '1 microsecond' WHERE id = '{first}'"),
            Fault::EntryMissing { entry: first, number: 1 },
        ),
        (
            format!("DELETE FROM audit_entries WHERE id = '{last}'"),
            Fault::EntryMissing { entry: last, number: 2 },
        ),
        (
            "DELETE FROM audit_entries".to_owned(),
            Fault::EntryMissing { entry: first, number: 1 },
        ),
        ("DELETE FROM audit_seals WHERE number = 1".to_owned(), Fault::SealMissing(1)),
        (
            "DELETE FROM audit_seals WHERE number = 2".to_owned(),
            Fault::CutOff { ends_with: 1, number: 2 },
        ),
        ("UPDATE audit_seals SET at = at + interval '1 second' WHERE number = 2".to_owned(), Fault::SealChanged(2)),
        ("UPDATE audit_seals SET key_id = NULL, signature = NULL WHERE number = 1".to_owned(), Fault::Unsigned(1)),
        (
            "UPDATE audit_seals SET leaves = substring(leaves FROM 57) WHERE number = 1".to_owned(),
            Fault::SealChanged(1),
        ),
    ];
    for (sql, fault) in cases {
        let saved = "CREATE TABLE kept_entries AS SELECT * FROM audit_entries; CREATE TABLE kept_seals AS SELECT * FROM audit_seals";
        sqlx::raw_sql(saved).execute(app.db()).await.unwrap();
        assert!(behind_everybodys_back(&app, &sql).await > 0, "{sql}");
        assert_eq!(verified(&app, &key, &head).await, Err(fault), "{sql}");
        let back = "DELETE FROM audit_entries; INSERT INTO audit_entries SELECT * FROM kept_entries; DROP TABLE kept_entries;
                    DELETE FROM audit_seals; INSERT INTO audit_seals SELECT * FROM kept_seals; DROP TABLE kept_seals";
        behind_everybodys_back(&app, back).await;
        assert!(verified(&app, &key, &head).await.is_ok(), "after {sql}");
    }

    // One that nobody wrote, and one that goes before it is sealed.
    let foreign = "INSERT INTO audit_entries (id, at, actor_kind, actor, action, subject_kind, subject_id)
                   SELECT '00000000-0000-7000-8000-000000000001', at, 'person', 'x', 'consumer.add', 'consumer', subject_id
                     FROM audit_entries LIMIT 1";
    behind_everybodys_back(&app, foreign).await;
    let id = Uuid::from_u128(0x7000_8000_0000_0000_0001);
    assert_eq!(
        verified(&app, &key, &head).await,
        Err(Fault::EntryForeign(id))
    );
    behind_everybodys_back(
        &app,
        &format!("DELETE FROM audit_entries WHERE id = '{id}'"),
    )
    .await;
    app.add_consumer_with("late", &[]).await;
    let late = *self::ids(&app).await.last().unwrap();
    behind_everybodys_back(
        &app,
        &format!("DELETE FROM audit_entries WHERE id = '{late}'"),
    )
    .await;
    assert_eq!(
        verified(&app, &key, &head).await,
        Err(Fault::WaitingMissing(late))
    );
    seal_all(&app).await;
    assert_eq!(
        verified(&app, &key, &head).await,
        Err(Fault::WaitingMissing(late)),
        "sealing does not hide it"
    );
}

/// Auditors find what was done to what, by whom and by which request, and read on where a page ends.
#[sqlx::test(migrations = "./migrations")]
async fn an_auditor_reads_who_did_what(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    app.decide(&request, "accept").await;
    story(&app).await;
    let all = async |query: &str| {
        let path = format!("/v1/audit-entries?{query}");
        let listed = app.get(Who::Auditor, &path).await.good();
        listed["items"].as_array().unwrap().clone()
    };
    let about = all(&format!("subject_id={}", request.id)).await;
    let accept = &about[0];
    assert_eq!(accept["action"], "connection.accept");
    assert_eq!(accept["subject_kind"], "connection");
    assert_eq!(accept["subject_id"], request.id);
    assert!(accept["decision_id"].as_str().unwrap().starts_with("dec_"));
    let who = accept["actor"].as_str().unwrap();
    let by = all(&format!("actor={who}&action=connection.accept")).await;
    assert_eq!(by, std::slice::from_ref(accept));
    let did = all(&format!(
        "request_id={}",
        accept["request_id"].as_str().unwrap()
    ))
    .await;
    assert!(did.contains(accept));
    assert_eq!(
        all("action=nothing.happened").await,
        [] as [serde_json::Value; 0]
    );
    let until = accept["at"].as_str().unwrap();
    let before = all(&format!("until={until}&action=connection.accept")).await;
    assert!(before.is_empty(), "until is not included");

    let whole = all("limit=200").await;
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/audit-entries?limit=3{cursor}");
        let page = app.get(Who::Auditor, &path).await.good();
        paged.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, whole);
    for bad in [
        "subject_id=dec_1",
        "subject_id=x",
        "since=yesterday",
        "limit=0",
        "colour=red",
    ] {
        let answer = app
            .get(Who::Auditor, &format!("/v1/audit-entries?{bad}"))
            .await;
        answer.refused(bad, 400, "invalid_query");
    }
}

/// An export is verified without a database, and says the same.
#[sqlx::test(migrations = "./migrations")]
async fn what_is_read_out_is_verified_without_a_database(pool: PgPool) {
    let mut app = TestApp::start(pool);
    let key = with_key(&mut app);
    story(&app).await;
    let head = verify_audit::head(app.db()).await.unwrap().unwrap();
    let read_out = async || {
        let mut lines = String::new();
        let write = |line: &str| {
            lines.push_str(line);
            lines.push('\n');
            Ok(())
        };
        verify_audit::export(app.db(), write).await.unwrap();
        lines
    };
    let lines = read_out().await;
    let keys = vec![key];
    let found = verify_export(lines.as_bytes(), keys.clone(), vec![head]).unwrap();
    assert_eq!(found.unwrap().entries, 5);
    let first = lines.lines().nth(1).unwrap();
    let first: serde_json::Value = serde_json::from_str(first).unwrap();
    assert_eq!(first["action"], "consumer.register");
    let second = ids(&app).await[1];
    let sql = format!("DELETE FROM audit_entries WHERE id = '{second}'");
    behind_everybodys_back(&app, &sql).await;
    let found = verify_export(read_out().await.as_bytes(), keys, Vec::new()).unwrap();
    let named = matches!(found, Err(Fault::EntryChanged { entry, number: 1 }) if entry == second);
    assert!(named, "{found:?}");
}

/// Entries are written while others are sealed, by several replicas at once: each is sealed once, and the chain is one.
#[sqlx::test(migrations = "./migrations")]
async fn several_replicas_make_one_chain(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let path = format!("/v1/connections/{}/comments", request.id);
    let body = json!({ "body": "hello" });
    let writers = async {
        for _ in 0..40 {
            app.post(Who::Approver, &path, &body).await.good();
        }
    };
    let sealer = || async {
        for _ in 0..60 {
            seal_audit::run_pass(&app.shared).await.unwrap();
        }
    };
    tokio::join!(writers, sealer(), sealer(), sealer());
    seal_all(&app).await;
    let whole = verified(&app, &[], &[]).await.unwrap();
    let entries = u64::try_from(ids(&app).await.len()).unwrap();
    assert_eq!((whole.checked.entries, whole.waiting), (entries, 0));
    assert!(whole.checked.seals > 1);
}

/// The text that is hashed does not depend on how a session is set.
#[sqlx::test(migrations = "./migrations")]
async fn the_text_of_an_entry_is_the_same_in_every_session(pool: PgPool) {
    let app = TestApp::start(pool);
    story(&app).await;
    let mut conn = app.db().acquire().await.unwrap();
    let texts = "SELECT audit_text(e) FROM audit_entries e ORDER BY id";
    let before: Vec<String> = sqlx::query_scalar(texts)
        .fetch_all(&mut *conn)
        .await
        .unwrap();
    sqlx::raw_sql("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = -10; SET bytea_output = 'escape'")
        .execute(&mut *conn)
        .await
        .unwrap();
    let after: Vec<String> = sqlx::query_scalar(texts)
        .fetch_all(&mut *conn)
        .await
        .unwrap();
    assert_eq!(before, after);
    sqlx::raw_sql("RESET ALL")
        .execute(&mut *conn)
        .await
        .unwrap();
}

/// Months that are old enough go, by a signed word; nothing else may be missing for it.
#[sqlx::test(migrations = "./migrations")]
async fn old_months_are_let_go_by_a_signed_word(pool: PgPool) {
    let mut app = TestApp::start(pool);
    let key = [with_key(&mut app)];
    story(&app).await;
    let sealed = ids(&app).await.len();
    number_events::run_pass(&app.shared).await.unwrap();
    let head = [verify_audit::head(app.db()).await.unwrap().unwrap()];
    app.advance(Duration::from_hours(24 * 75));
    app.make_partitions().await;
    app.add_consumer_with("later", &[]).await;
    let retention = Retention {
        audit_months: 1,
        events_months: 1,
        ..Retention::default()
    };
    let ctx = app.application();
    let retain = async || {
        let key = app.shared.sealing_key.as_deref();
        retain(&ctx, key, &retention).await.unwrap();
    };
    // Twice: what is gone is not let go again.
    retain().await;
    retain().await;
    let words = "SELECT count(*) FROM audit_retirements";
    assert_eq!(app.count(words).await, 1);
    assert_eq!(ids(&app).await.len(), 1, "this month's is kept");
    let whole = verified(&app, &key, &head).await.unwrap();
    let retired = u64::try_from(sealed).unwrap();
    assert_eq!((whole.checked.retired, whole.checked.entries), (retired, 0));
    let mut lines = Vec::new();
    let line = |line: &str| {
        lines.extend_from_slice(line.as_bytes());
        lines.push(b'\n');
        Ok(())
    };
    verify_audit::export(app.db(), line).await.unwrap();
    let offline = verify_export(&lines[..], key.to_vec(), head.to_vec()).unwrap();
    assert_eq!(offline, Ok(whole.checked));
    // The feed begins later.
    let events = app.get(Who::Viewer, "/v1/events?cursor=0").await;
    events.refused("gone", 410, "events_gone");

    // What was sealed since may not be missing.
    seal_all(&app).await;
    let later = ids(&app).await[0];
    behind_everybodys_back(&app, "DELETE FROM audit_entries").await;
    let missing = Fault::EntryMissing {
        entry: later,
        number: 3,
    };
    assert_eq!(verified(&app, &key, &head).await, Err(missing));
    // Nor does a word count that somebody else wrote, or nobody signed.
    let other = "UPDATE audit_retirements SET before = before + interval '1 year'";
    behind_everybodys_back(&app, other).await;
    let changed = Fault::RetirementChanged(2);
    assert_eq!(verified(&app, &key, &head).await, Err(changed));
    let unsigned = "UPDATE audit_retirements SET before = before - interval '1 year', key_id = NULL, signature = NULL";
    behind_everybodys_back(&app, unsigned).await;
    let unsigned = Fault::RetirementUnsigned(2);
    assert_eq!(verified(&app, &key, &head).await, Err(unsigned));
}
