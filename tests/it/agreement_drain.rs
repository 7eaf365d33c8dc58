//! Many agreements that end in the same minute: nothing is cut before its grace, nothing is left after it, and AWS is called for many at once.
//!
//! `PORTCULLIS_MANY` says how many; the suite has 300, and 10,000 take minutes.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use portcullis::domain::clock::Clock;
use portcullis::worker::agreements as agreements_loop;
use portcullis::worker::judge::{self, carry_out_wakes};
use portcullis::worker::{expire, observe, sync_connections};
use sqlx::PgPool;

use crate::support::{Service, TestApp};

#[expect(
    clippy::disallowed_methods,
    reason = "a knob of the test, not of the product"
)]
fn many() -> u32 {
    let said = std::env::var("PORTCULLIS_MANY").ok();
    said.and_then(|said| said.parse().ok()).unwrap_or(300)
}

fn account(number: u32) -> String {
    format!("3{number:011}")
}

impl TestApp {
    /// So many agreements in force, each of an account of its own, that end in the same minute.
    async fn many_agreements(&self, listing: &serde_json::Value, count: u32, ends: TimeDelta) {
        let now = self.clock.now();
        let content = &listing["live"]["content"];
        let plan: portcullis::domain::ids::PlanId =
            content["plans"][0]["id"].as_str().unwrap().parse().unwrap();
        let listing: portcullis::domain::ids::ListingId =
            listing["id"].as_str().unwrap().parse().unwrap();
        let accounts: Vec<String> = (0..count).map(account).collect();
        let statements = [
            "CREATE TABLE bought AS SELECT gen_random_uuid() AS id, account, n FROM unnest($1::text[]) WITH ORDINALITY AS u (account, n), (SELECT $2::uuid, $3::uuid, $4::timestamptz, $5::timestamptz) AS unused",
            "INSERT INTO agreements (id, source, reference, listing_id, plan_id, revision, buyer_account, state, due_at, made_at, made_by, stood_at)
             SELECT id, 'private', id::text, $2, $3, 1, account, 'pending', $4, $4, 'a test', $4 FROM bought WHERE $1::text[] IS NOT NULL AND $5::timestamptz IS NOT NULL",
            "INSERT INTO agreement_accounts (id, agreement_id, account_id, proof, attached_at, attached_by)
             SELECT gen_random_uuid(), id, account, 'buyer', $4, 'a test' FROM bought WHERE ($1::text[], $2::uuid, $3::uuid, $5::timestamptz) IS NOT NULL",
            "INSERT INTO agreement_notices (source, event_id, reference, at, kind, terms, heard_at, heard_by)
             SELECT 'private', id::text, id::text, $4, 'made',
                    jsonb_build_object('starts_at', $4, 'ends_at', $5 + (n % 60) * interval '1 s', 'trial', false), $4, 'a test'
               FROM bought WHERE ($1::text[], $2::uuid, $3::uuid) IS NOT NULL",
        ];
        for sql in statements {
            sqlx::query(sql)
                .bind(&accounts)
                .bind(listing.uuid())
                .bind(plan.uuid())
                .bind(now)
                .bind(now + ends)
                .execute(self.db())
                .await
                .unwrap();
        }
    }

    /// Carries agreements out until none is due, and says how long that took for how many.
    async fn settled(&self, what: &str) {
        let (began, mut all) = (Instant::now(), 0);
        loop {
            let report = agreements_loop::run_pass(&self.shared).await.unwrap();
            assert_eq!(report.failed, 0);
            all += report.looked_at;
            if report.looked_at == 0 {
                break;
            }
        }
        println!("{what}: {all} agreements in {:?}", began.elapsed());
    }

    async fn everybody_asks(&self, service: &Service, count: u32) {
        for number in 0..count {
            let _ = self.endpoint_of(&account(number), service);
        }
        self.run_worker().await;
        loop {
            carry_out_wakes(&self.shared).await.unwrap();
            let report = judge::run_pass(&self.place().await).await.unwrap();
            assert_eq!(report.failed, []);
            if report.judged.is_empty() {
                break;
            }
        }
        self.run_until_rest().await;
    }

    /// Lets timers and AWS do what is due, time standing still but for the pauses that AWS's buckets ask for.
    pub(crate) async fn timers_run(&self) -> u64 {
        let place = self.place().await;
        let began = Instant::now();
        let mut taken = 0;
        loop {
            let report = expire::run_pass(&place).await.unwrap();
            if report.taken.is_empty() {
                break;
            }
            taken += report.taken.len() as u64;
        }
        println!("{taken} timers in {:?}", began.elapsed());
        taken
    }

    async fn all_up(&self) -> i64 {
        self.count("SELECT count(*) FROM connections WHERE review_state = 'accepted' AND observed_state = 'available'")
            .await
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn many_that_end_in_the_same_minute_go_gently(pool: PgPool) {
    let app = TestApp::start(pool);
    let (service, listing) = app.market(|_| {}).await;
    let count = many();
    app.many_agreements(&listing, count, TimeDelta::days(30))
        .await;
    app.settled("they begin").await;
    app.run_until_rest().await;
    app.everybody_asks(&service, count).await;
    assert_eq!(app.all_up().await, i64::from(count));
    app.settled("everybody is connected").await;
    let bound = "SELECT count(*) FROM agreement_bindings WHERE ended_at IS NULL";
    assert_eq!(app.count(bound).await, i64::from(count));

    // They end: within a minute every principal is gone, and everybody still has what is connected.
    app.advance(Duration::from_hours(24 * 30) + Duration::from_mins(1));
    app.make_partitions().await;
    app.settled("they end").await;
    app.run_until_rest().await;
    assert_eq!(
        app.count("SELECT cardinality(allowed_principals)::bigint FROM endpoint_services")
            .await,
        0
    );
    assert_eq!(app.timers_run().await, 0);
    assert_eq!(
        app.all_up().await,
        i64::from(count),
        "nothing is cut before its grace"
    );
    let planned = "SELECT count(*) FROM planned_revocations WHERE agreement_id IS NOT NULL";
    assert_eq!(app.count(planned).await, i64::from(count));

    // The graces end second by second: at each moment exactly those are cut whose grace is over.
    app.advance(Duration::from_hours(72) - Duration::from_secs(31));
    app.settled("half of the graces end").await;
    let over = app.timers_run().await;
    let half = "SELECT count(*) FROM agreements WHERE state = 'ended'";
    let ended = app.count(half).await;
    assert_eq!(i64::try_from(over).unwrap(), ended);
    assert!((1..i64::from(count)).contains(&ended), "{ended}");
    let early = "SELECT count(*) FROM decisions AS d JOIN agreement_bindings AS b ON b.connection_id = d.connection_id
                   JOIN agreements AS a ON a.id = b.agreement_id
                  WHERE d.verb = 'revoke' AND d.decided_at < a.ends_at + interval '72 hours'";
    assert_eq!(app.count(early).await, 0);
    app.advance(Duration::from_mins(1));
    app.settled("all graces end").await;
    let rest = app.timers_run().await;
    assert_eq!(over + rest, u64::from(count));
    let calls = app.sim().calls().count();
    let began = (Instant::now(), app.clock.now());
    let place = app.place().await;
    loop {
        let report = sync_connections::run_pass(&place).await.unwrap();
        let Some(next) = report.next_due else { break };
        let wait = (next - app.clock.now()).max(TimeDelta::milliseconds(200));
        app.advance(wait.to_std().unwrap());
        observe::run_pass(&place).await.unwrap();
    }
    let made = app.sim().calls().count() - calls;
    println!(
        "AWS is told in {made} calls, {:?} by the clock, {:?} of work",
        app.clock.now() - began.1,
        began.0.elapsed()
    );
    app.run_until_rest().await;
    assert_eq!(app.all_up().await, 0, "nothing is left after it");
    app.settled("everything is gone").await;
    assert_eq!(app.count(bound).await, 0);
    assert_eq!(
        app.count("SELECT count(*) FROM agreements WHERE due_at IS NOT NULL")
            .await,
        0
    );
    let told = app
        .sim()
        .calls()
        .all()
        .iter()
        .filter(|call| format!("{call:?}").contains("RejectVpcEndpointConnections"))
        .count();
    assert!(
        told < 20 + count as usize / 10,
        "{told} calls for {count} connections"
    );
}
