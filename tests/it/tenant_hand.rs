//! Whose hand a database connection works by while a consumer is served, and after: whatever happens, the next user of it is the provider again.

use std::time::Duration;

use portcullis::domain::clock::{Clock, SystemClock};
use portcullis::domain::ids::ConsumerId;
use portcullis::domain::member::Member;
use portcullis::store::tenant::{TenantTx, consumer};
use portcullis::store::unit_of_work::{Unit, Units, Work};
use portcullis::store::{PgConnection, StoreError};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, PgPool};

use crate::support::TestApp;

const ROLE: &str = "portcullis_consumer";

/// Who a connection is and for whom it speaks.
async fn hand(conn: &mut PgConnection) -> (String, String) {
    sqlx::query_as(
        "SELECT current_user::text, coalesce(current_setting('portcullis.consumer', true), '')",
    )
    .fetch_one(conn)
    .await
    .unwrap()
}

async fn only_connection(pool: &PgPool) -> PgPool {
    let options = PgPoolOptions::new().max_connections(1);
    options
        .connect_with((*pool.connect_options()).clone())
        .await
        .unwrap()
}

/// However a transaction of a consumer ends, the next user of its connection is the provider again.
#[sqlx::test(migrations = "./migrations")]
async fn no_connection_carries_the_role_on(pool: PgPool) {
    let app = TestApp::start(pool.clone());
    let [acme, _] = app.two_organisations().await;
    let one = only_connection(&pool).await;
    let provider = hand(&mut one.acquire().await.unwrap()).await;
    assert_ne!(provider.0, ROLE);
    let begin = async || {
        let work = Work::Own(one.begin().await.unwrap());
        TenantTx::begin(work, &acme.member()).await.unwrap()
    };

    let mut tx = begin().await;
    assert_eq!(consumer::read(&mut tx).await.unwrap().unwrap().name, "Acme");
    assert_eq!(hand(tx.provider().await.unwrap()).await.0, provider.0);
    assert!(
        consumer::has_account(&mut tx, &acme.account.parse().unwrap())
            .await
            .unwrap()
    );
    tx.finish().await.unwrap().commit().await.unwrap();
    assert_eq!(
        hand(&mut one.acquire().await.unwrap()).await,
        provider,
        "committed"
    );

    drop(begin().await);
    assert_eq!(
        hand(&mut one.acquire().await.unwrap()).await,
        provider,
        "dropped"
    );

    let mut tx = begin().await;
    let broken = sqlx::query("SELECT 1 / 0")
        .execute(tx.provider().await.unwrap())
        .await;
    assert!(broken.is_err());
    assert!(
        consumer::read(&mut tx).await.is_err(),
        "nothing works in a broken transaction"
    );
    drop(tx);
    assert_eq!(
        hand(&mut one.acquire().await.unwrap()).await,
        provider,
        "broken"
    );

    // Cut off in the middle of a statement, which waits for a lock.
    let mut lock = app.db().begin().await.unwrap();
    sqlx::query("LOCK TABLE consumers")
        .execute(&mut *lock)
        .await
        .unwrap();
    let mut tx = begin().await;
    let read = tokio::time::timeout(Duration::from_millis(200), consumer::read(&mut tx)).await;
    assert!(read.is_err(), "it waits");
    drop(tx);
    lock.rollback().await.unwrap();
    assert_eq!(
        hand(&mut one.acquire().await.unwrap()).await,
        provider,
        "cut off"
    );

    let (panicking, member) = (one.clone(), acme.member());
    let panicked = tokio::spawn(async move {
        let work = Work::Own(panicking.begin().await.unwrap());
        let _tx = TenantTx::begin(work, &member).await.unwrap();
        panic!("in the middle of a transaction, as this test wants it");
    });
    assert!(panicked.await.unwrap_err().is_panic());
    assert_eq!(
        hand(&mut one.acquire().await.unwrap()).await,
        provider,
        "panicked"
    );
}

/// In a request's unit of work transactions are savepoints of one, and what is set in one outlives its release.
#[sqlx::test(migrations = "./migrations")]
async fn the_rest_of_a_unit_of_work_is_the_providers(pool: PgPool) {
    let app = TestApp::start(pool);
    let [acme, bolt] = app.two_organisations().await;
    let unit = Unit::begin(app.db(), &Units::of(app.db())).await.unwrap();
    let provider = hand(&mut unit.own().await.unwrap()).await;

    let work = unit.clone().work().await.unwrap();
    let mut tx = TenantTx::begin(work, &acme.member()).await.unwrap();
    consumer::read(&mut tx).await.unwrap().unwrap();
    tx.finish().await.unwrap().commit().await.unwrap();
    assert_eq!(
        hand(&mut unit.own().await.unwrap()).await,
        provider,
        "finished"
    );

    let work = unit.clone().work().await.unwrap();
    drop(TenantTx::begin(work, &acme.member()).await.unwrap());
    assert_eq!(
        hand(&mut unit.own().await.unwrap()).await,
        provider,
        "given up"
    );

    let work = unit.clone().work().await.unwrap();
    let mut tx = TenantTx::begin(work, &bolt.member()).await.unwrap();
    assert_eq!(consumer::read(&mut tx).await.unwrap().unwrap().name, "Bolt");
    // One does not begin within another.
    let inner = tx.finish().await.unwrap();
    inner.commit().await.unwrap();
    unit.commit().await.unwrap();

    let mut tx = app.db().begin().await.unwrap();
    sqlx::query("SET LOCAL ROLE portcullis_consumer")
        .execute(&mut *tx)
        .await
        .unwrap();
    let nested = TenantTx::begin(Work::Own(tx), &acme.member()).await;
    assert!(
        matches!(nested, Err(StoreError::Inconsistent { .. })),
        "{nested:?}"
    );
}

/// Whoever may create roles, and is no superuser, can migrate and then become the role; and whoever may not is told.
#[sqlx::test(migrations = false)]
async fn whoever_may_create_roles_can_migrate(pool: PgPool) {
    let name = format!("portcullis_test_{}", uuid::Uuid::new_v4().simple());
    let mut conn = pool.acquire().await.unwrap();
    let run = async |conn: &mut PgConnection, sql: String| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(conn)
            .await
            .unwrap();
    };
    run(
        &mut conn,
        format!("CREATE ROLE {name} CREATEROLE; GRANT ALL ON SCHEMA public TO {name}"),
    )
    .await;
    run(&mut conn, format!("SET SESSION AUTHORIZATION {name}")).await;
    let migrated = sqlx::migrate!("./migrations").run(&mut *conn).await;
    let member = Member::new(ConsumerId::new(SystemClock.now()), "ann");
    let mut seen = Ok(true);
    if migrated.is_ok() {
        let mut tx = conn.begin().await.unwrap();
        seen = async {
            sqlx::query("SELECT set_config('portcullis.consumer', $1, true), set_config('role', 'portcullis_consumer', true)")
                .bind(member.organisation().uuid().to_string())
                .execute(&mut *tx)
                .await?;
            sqlx::query_scalar("SELECT EXISTS (SELECT id FROM consumers)").fetch_one(&mut *tx).await
        }
        .await;
        tx.rollback().await.unwrap();
    }
    // Before anything is asserted, so that the role is not left behind.
    run(&mut conn, "RESET SESSION AUTHORIZATION".to_owned()).await;
    run(
        &mut conn,
        format!("DROP OWNED BY {name} CASCADE; DROP ROLE {name}"),
    )
    .await;
    migrated.unwrap();
    assert!(!seen.unwrap());
}
