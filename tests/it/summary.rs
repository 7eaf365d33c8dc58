//! The one word, twice: the database's generated column and the domain's function say the same over every combination.

use portcullis::domain::review::ReviewState;
use portcullis::domain::summary::summarise;
use portcullis::domain::sync::SyncState;
use privatelink::ConnectionState;
use sqlx::PgPool;

use crate::support::TestApp;

#[sqlx::test(migrations = "./migrations")]
async fn the_database_and_the_domain_summarise_alike(pool: PgPool) {
    let app = TestApp::start(pool);
    let service = app.with_service().await;
    let request = app.requested(&service).await;
    let decision: uuid::Uuid = {
        app.decide(&request, "accept").await;
        let ids = sqlx::query_scalar("SELECT id FROM decisions");
        ids.fetch_one(app.db()).await.unwrap()
    };
    let mut states: Vec<ConnectionState> = ConnectionState::DOCUMENTED.to_vec();
    states.push(ConnectionState::Unknown("quarantined".to_owned()));
    let mut compared = 0;
    for review in ReviewState::ALL {
        for observed in &states {
            for sync in SyncState::ALL {
                let in_database: String = sqlx::query_scalar(
                    "UPDATE connections
                        SET review_state = $1, observed_state = $2, sync_state = $3,
                            decision_id = CASE WHEN $1 <> 'undecided' THEN $4 END,
                            sync_due_at = CASE WHEN $3 IN ('due', 'confirming') THEN now() END
                     RETURNING summary",
                )
                .bind(review.as_str())
                .bind(observed.as_str())
                .bind(sync.as_str())
                .bind(decision)
                .fetch_one(app.db())
                .await
                .unwrap();
                let in_domain = summarise(*review, observed, *sync);
                assert_eq!(
                    in_database,
                    in_domain.as_str(),
                    "{review} x {observed} x {sync}"
                );
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 4 * 10 * 5);
}
