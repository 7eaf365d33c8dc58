//! Portcullis' REST API, as somebody with a token who does not care which replica answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::Value;

use crate::Result;
use crate::chance::Chance;

/// The API behind all replicas that run. Clones share what they know of them.
#[derive(Debug, Clone)]
pub(crate) struct Rest {
    client: Client,
    token: String,
    replicas: Arc<Mutex<Vec<String>>>,
}

/// An answer: the status and the body. No answer at all is an error.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Rest {
    pub(crate) fn new(token: String) -> Result<Self> {
        // A stopped replica takes the connection and never answers.
        let client = Client::builder().timeout(Duration::from_secs(3)).build()?;
        Ok(Self {
            client,
            token,
            replicas: Arc::default(),
        })
    }

    /// The replicas that can be asked now.
    pub(crate) fn use_replicas(&self, urls: Vec<String>) {
        *self.replicas.lock().unwrap_or_else(PoisonError::into_inner) = urls;
    }

    /// Asks any replica, once.
    pub(crate) async fn ask(
        &self,
        chance: &mut Chance,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        let replicas = self
            .replicas
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let base = chance.of(&replicas).ok_or("no replica runs")?;
        let mut request = self
            .client
            .request(method, format!("{base}{path}"))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, body })
    }

    /// Reads something that should be there.
    pub(crate) async fn get(&self, chance: &mut Chance, path: &str) -> Result<Value> {
        let answer = self.ask(chance, Method::GET, path, None).await?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        Err(format!("GET {path}: {} {}", answer.status, answer.body).into())
    }

    /// Makes something that has to be made.
    pub(crate) async fn make(
        &self,
        chance: &mut Chance,
        path: &str,
        body: &Value,
    ) -> Result<Value> {
        let answer = self.ask(chance, Method::POST, path, Some(body)).await?;
        if matches!(answer.status, 200 | 201) {
            return Ok(answer.body);
        }
        Err(format!("POST {path}: {} {}", answer.status, answer.body).into())
    }
}
