//! The tour's own use of the public REST API: what a script of a provider would do.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Failure;

/// A caller of the REST API.
pub(super) struct Rest {
    client: reqwest::Client,
    api: String,
    token: String,
}

impl Rest {
    pub(super) fn new(api: &str, token: &str) -> Self {
        Self {
            client: reqwest::Client::new(),
            api: api.to_owned(),
            token: token.to_owned(),
        }
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let request = self
            .client
            .get(format!("{}{path}", self.api))
            .bearer_auth(&self.token);
        let response = request.send().await?;
        let status = response.status();
        let body: Value = response.json().await?;
        if status.is_success() {
            Ok(body)
        } else {
            Err(format!("GET {path}: {}", said(&body)).into())
        }
    }

    /// Reads a list to its end, newest first. `path` has a query already.
    pub(super) async fn all(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let mut rows = Vec::new();
        let mut next = path.to_owned();
        loop {
            let mut page = self.get(&next).await?;
            if let Some(items) = page["items"].as_array_mut() {
                rows.append(items);
            }
            match page["next_cursor"].as_str() {
                Some(cursor) => next = format!("{path}&cursor={cursor}"),
                None => return Ok(rows),
            }
        }
    }

    /// Posts; a 409 is answered as `None`, since the tour may find its work already done.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Option<Value>, Failure> {
        let request = self
            .client
            .post(format!("{}{path}", self.api))
            .bearer_auth(&self.token)
            .json(body);
        let response = request.send().await?;
        let status = response.status();
        let body: Value = response.json().await?;
        match status {
            StatusCode::CONFLICT => Ok(None),
            status if status.is_success() => Ok(Some(body)),
            _ => Err(format!("POST {path}: {}", said(&body)).into()),
        }
    }

    /// Changes; a 409 is no error, since somebody may have been faster.
    pub(super) async fn patch(&self, path: &str, body: &Value) -> Result<(), Failure> {
        let request = self
            .client
            .patch(format!("{}{path}", self.api))
            .bearer_auth(&self.token)
            .json(body);
        let response = request.send().await?;
        let status = response.status();
        if status.is_success() || status == StatusCode::CONFLICT {
            return Ok(());
        }
        let body: Value = response.json().await?;
        Err(format!("PATCH {path}: {}", said(&body)).into())
    }

    /// Publishes a TXT record in the simulator's public DNS.
    pub(super) async fn publish(&self, sim: &str, record: &Value) -> Result<(), Failure> {
        let request = self.client.put(format!("{sim}/_sim/dns")).json(record);
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// Decides about a connection.
    pub(super) async fn decide(&self, id: &str, verb: &str, reason: &str) -> Result<(), Failure> {
        self.post(
            &format!("/v1/connections/{id}/{verb}"),
            &json!({ "reason": reason }),
        )
        .await?;
        Ok(())
    }

    /// Reads until `good` finds what it wants in the answer, for at most 30 s.
    pub(super) async fn wait_for<T>(
        &self,
        path: &str,
        what: &str,
        good: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let body = self.get(path).await?;
            if let Some(found) = good(&body) {
                return Ok(found);
            }
            if Instant::now() > deadline {
                return Err(
                    format!("{what} did not happen in 30 s; GET {path} says {body}").into(),
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until a connection stands at `summary`.
    pub(super) async fn wait_summary(&self, id: &str, summary: &str) -> Result<(), Failure> {
        let path = format!("/v1/connections/{id}");
        let good = |body: &Value| (body["summary"] == summary).then_some(());
        self.wait_for(&path, &format!("connection {id} becoming {summary}"), good)
            .await
    }
}

fn said(problem: &Value) -> String {
    format!(
        "{} ({})",
        problem["detail"].as_str().unwrap_or("?"),
        problem["code"].as_str().unwrap_or("?")
    )
}
