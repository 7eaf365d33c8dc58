//! Forces the order in which requests meet a row: it is held, they queue up one after the other, and then it is let go.

use std::time::Duration;

use sqlx::{Postgres, Transaction};

use super::{Service, TestApp};

impl TestApp {
    /// Holds an account against everybody who decides about it.
    pub(crate) async fn hold_account(&self, account: &str) -> Transaction<'static, Postgres> {
        let mut tx = self.db().begin().await.unwrap();
        sqlx::query("INSERT INTO aws_accounts (account_id) VALUES ($1) ON CONFLICT DO NOTHING")
            .bind(account)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let mut tx = self.db().begin().await.unwrap();
        sqlx::query("SELECT FROM aws_accounts WHERE account_id = $1 FOR UPDATE")
            .bind(account)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx
    }

    /// Holds a consumer against everybody who decides about it.
    pub(crate) async fn hold_consumer(&self, id: &str) -> Transaction<'static, Postgres> {
        let id: portcullis::domain::ids::ConsumerId = id.parse().unwrap();
        let mut tx = self.db().begin().await.unwrap();
        sqlx::query("SELECT FROM consumers WHERE id = $1 FOR UPDATE")
            .bind(id.uuid())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx
    }

    /// Holds a service against everybody who changes it or decides about its connections.
    pub(crate) async fn hold_service(&self, service: &Service) -> Transaction<'static, Postgres> {
        let id: portcullis::domain::ids::EndpointServiceId = service.id.parse().unwrap();
        let mut tx = self.db().begin().await.unwrap();
        sqlx::query("SELECT FROM endpoint_services WHERE id = $1 FOR UPDATE")
            .bind(id.uuid())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx
    }

    /// Waits until so many requests wait for a row.
    pub(crate) async fn queue_of(&self, waiting: i64) {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        for _ in 0..2_000 {
            if self.count(sql).await >= waiting {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("nobody waits");
    }
}
