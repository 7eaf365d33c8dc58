//! The parts of a request's transaction, one after the other.

use portcullis::store::unit_of_work::{Unit, Units, Work};
use portcullis::store::{PgConnection, StoreError};
use sqlx::PgPool;

async fn note(conn: &mut PgConnection, account: &str) -> Result<(), sqlx::Error> {
    let insert = sqlx::query("INSERT INTO aws_accounts (account_id) VALUES ($1)");
    insert.bind(account).execute(conn).await.map(|_| ())
}

async fn noted(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar("SELECT account_id FROM aws_accounts ORDER BY account_id")
        .fetch_all(pool)
        .await
        .unwrap()
}

async fn part(unit: &Unit) -> Result<Work, StoreError> {
    unit.clone().work().await
}

/// Those that stand are neighbours of those that were given up, in every order, and what the unit itself writes stands whatever was given up before.
#[sqlx::test(migrations = "./migrations")]
async fn each_stands_or_is_taken_back_alone(pool: PgPool) {
    let unit = Unit::begin(&pool, &Units::of(&pool)).await.unwrap();
    for (number, stands) in [true, true, false, false, true, false].iter().enumerate() {
        let mut work = part(&unit).await.unwrap();
        note(&mut work, &format!("00000000000{number}"))
            .await
            .unwrap();
        if *stands {
            work.commit().await.unwrap();
        }
    }
    note(&mut unit.own().await.unwrap(), "000000000009")
        .await
        .unwrap();
    assert!(noted(&pool).await.is_empty());
    unit.commit().await.unwrap();
    let stood = [
        "000000000000",
        "000000000001",
        "000000000004",
        "000000000009",
    ];
    assert_eq!(noted(&pool).await, stood);
}

#[sqlx::test(migrations = "./migrations")]
async fn one_that_fails_spoils_none_before_or_after(pool: PgPool) {
    let unit = Unit::begin(&pool, &Units::of(&pool)).await.unwrap();
    let mut work = part(&unit).await.unwrap();
    note(&mut work, "000000000001").await.unwrap();
    work.commit().await.unwrap();
    let mut work = part(&unit).await.unwrap();
    assert!(note(&mut work, "no account").await.is_err());
    drop(work);
    let mut work = part(&unit).await.unwrap();
    note(&mut work, "000000000002").await.unwrap();
    work.commit().await.unwrap();
    unit.commit().await.unwrap();
    assert_eq!(noted(&pool).await, ["000000000001", "000000000002"]);
}

/// A use case that passes over a failed statement has done nothing, and neither has the rest of the request: a commit would not say so.
#[sqlx::test(migrations = "./migrations")]
async fn a_failure_that_was_passed_over_is_no_success(pool: PgPool) {
    let unit = Unit::begin(&pool, &Units::of(&pool)).await.unwrap();
    let mut work = part(&unit).await.unwrap();
    assert!(note(&mut work, "no account").await.is_err());
    work.commit().await.unwrap();
    assert!(part(&unit).await.is_err());
    assert!(
        note(&mut unit.own().await.unwrap(), "000000000001")
            .await
            .is_err()
    );
}
