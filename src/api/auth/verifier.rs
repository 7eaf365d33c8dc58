//! Checks a token against those who are trusted.
//!
//! A token chooses nothing but whom to ask: its `iss` says whose rules it is held to, its `kid` which of that issuer's keys it is held to. Keys are in
//! memory, so a check waits for nobody; only a token whose key is not known, or whose issuer's keys are too old, may have them fetched, and that not
//! more often than the issuer's `min_refresh`. The time is given by the caller, so that tests can move it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::issuer_keys::IssuerKeys;
use super::metrics::{AuthMetrics, ReasonLabel};
use super::refusal::{AuthError, Reason};
use super::token::Token;
use super::trust::{Claims, TrustedIssuer};
use crate::domain::clock::Clock;

/// Whether those who are trusted can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::api) enum Trust {
    /// All of them.
    Whole,
    /// Not these, by name; others can.
    Partial(Vec<String>),
    /// None of them.
    None(Vec<String>),
}

/// Accepts the tokens of those who are trusted.
#[derive(Debug, Clone, Default)]
pub struct Verifier {
    trusted: Vec<TrustedIssuer>,
    metrics: AuthMetrics,
}

impl Verifier {
    /// Trusts the given issuers and no others.
    pub fn new(trusted: impl IntoIterator<Item = TrustedIssuer>) -> Self {
        Self::counting(trusted, AuthMetrics::default())
    }

    /// The same, and counts with these metrics.
    pub fn counting(
        trusted: impl IntoIterator<Item = TrustedIssuer>,
        metrics: AuthMetrics,
    ) -> Self {
        Self {
            trusted: trusted.into_iter().collect(),
            metrics,
        }
    }

    /// Checks a token as of `now` and returns what it says.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, AuthError> {
        let (token, issuer) = self.read(token)?;
        issuer.check(&token, now)
    }

    /// The same, and where that may help, with keys that are fetched for it.
    pub async fn verify_or_refresh(
        &self,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Claims, AuthError> {
        let (token, issuer) = self.read(token)?;
        match (issuer.check(&token, now), issuer.fetched()) {
            (Err(AuthError::Refused(Reason::Key) | AuthError::KeysUnavailable), Some(keys)) => {
                keys.refresh(now).await;
                issuer.check(&token, now)
            }
            (checked, _) => checked,
        }
    }

    fn read<'a>(&self, token: &'a str) -> Result<(Token<'a>, &TrustedIssuer), AuthError> {
        let token = Token::read(token)?;
        let named = token.text("iss");
        let issuer = self.trusted.iter().find(|it| Some(it.issuer()) == named);
        Ok((token, issuer.ok_or(AuthError::Refused(Reason::Issuer))?))
    }

    /// Counts a refusal.
    pub(super) fn count(&self, error: AuthError) {
        let label = ReasonLabel {
            reason: error.reason(),
        };
        self.metrics.refused.get_or_create(&label).inc();
    }

    /// What is counted.
    pub(in crate::api) fn metrics(&self) -> &AuthMetrics {
        &self.metrics
    }

    /// Whether those who are trusted can be asked now.
    pub(in crate::api) fn trust(&self, now: DateTime<Utc>) -> Trust {
        let out = self.fetched().filter(|keys| keys.get(now).is_none());
        let out: Vec<String> = out.map(|keys| keys.name().to_owned()).collect();
        match out.len() {
            0 => Trust::Whole,
            some if some == self.trusted.len() => Trust::None(out),
            _ => Trust::Partial(out),
        }
    }

    /// Fetches the keys that are due at this time.
    pub async fn refresh_due(&self, now: DateTime<Utc>) {
        let due = self.fetched().filter(|keys| keys.due_at() <= now);
        join_all(due.map(|keys| keys.refresh(now))).await;
    }

    /// When keys are due next; `None` where none are fetched.
    fn due_at(&self) -> Option<DateTime<Utc>> {
        self.fetched().map(|keys| keys.due_at()).min()
    }

    fn fetched(&self) -> impl Iterator<Item = &Arc<IssuerKeys>> {
        self.trusted.iter().filter_map(TrustedIssuer::fetched)
    }
}

/// Fetches keys before they get old, until it is told to stop.
pub async fn keep_fresh(verifier: Arc<Verifier>, clock: Arc<dyn Clock>, stop: CancellationToken) {
    while let Some(due) = verifier.due_at() {
        let wait = (due - clock.now()).to_std().unwrap_or(Duration::ZERO);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return,
        }
        verifier.refresh_due(clock.now()).await;
    }
}
