//! The certificates that SNS signs with, each fetched once.
//!
//! SNS names its certificates after their content, so one that was fetched stays good until its dates end, and those are checked for each
//! message. What failed is remembered for a short while, one address is asked by one caller at a time, and only so many addresses in a
//! minute: whoever floods us with invented names costs AWS and us next to nothing, and a certificate that is known needs none of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex as AsyncMutex;

use super::fetch::Fetch;
use super::metrics::{HookMetrics, OutcomeLabel};
use super::trust::{Chain, Roots, Untrusted};
use super::url::AwsUrl;

/// The most addresses that are remembered. A Region has one or two good ones at a time.
const MOST_REMEMBERED: usize = 512;

/// How long a failed fetch is remembered. SNS comes again after 20 s.
const FAILED_FOR: TimeDelta = TimeDelta::seconds(15);

/// How long it is remembered that what was fetched is not SNS's.
const UNTRUSTED_FOR: TimeDelta = TimeDelta::minutes(10);

/// The most addresses that are asked for in a minute.
const FETCHES_PER_MINUTE: u32 = 30;

/// Why there is no certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCertificate {
    /// It could not be fetched; it may be later.
    NotFetched(String),
    /// It is not SNS's.
    Untrusted(Untrusted),
}

/// What is known of an address.
#[derive(Debug, Clone)]
enum Known {
    Chain(Arc<Chain>),
    Failed(NoCertificate, DateTime<Utc>),
}

type Slot = Arc<AsyncMutex<Option<Known>>>;

/// The certificates. See the module.
pub struct Certificates {
    fetch: Arc<dyn Fetch>,
    roots: Arc<Roots>,
    slots: Mutex<HashMap<AwsUrl, Slot>>,
    /// The minute that is counted, and how many addresses were asked for in it.
    budget: Mutex<(i64, u32)>,
    metrics: HookMetrics,
}

impl Certificates {
    /// Knows none yet.
    pub fn new(fetch: Arc<dyn Fetch>, roots: Arc<Roots>, metrics: HookMetrics) -> Self {
        Self {
            fetch,
            roots,
            slots: Mutex::default(),
            budget: Mutex::default(),
            metrics,
        }
    }

    /// The chain at an address, which was good at `now` or at some time before: the caller verifies it again.
    pub async fn chain(
        &self,
        url: &AwsUrl,
        names: &[String],
        now: DateTime<Utc>,
    ) -> Result<Arc<Chain>, NoCertificate> {
        let slot = self.slot(url);
        // Whoever comes second waits here for the first one's answer.
        let mut known = slot.lock().await;
        match &*known {
            Some(Known::Chain(chain)) => return Ok(chain.clone()),
            Some(Known::Failed(why, until)) if now < *until => return Err(why.clone()),
            _ => {}
        }
        if !self.may_fetch(now) {
            self.count("over_budget");
            let why = "too many certificates were asked for in this minute";
            return Err(NoCertificate::NotFetched(why.to_owned()));
        }
        let fetched = self.fetched(url, names, now).await;
        match &fetched {
            Ok(chain) => {
                self.count("ok");
                *known = Some(Known::Chain(chain.clone()));
            }
            Err(why) => {
                let (outcome, span) = match why {
                    NoCertificate::NotFetched(_) => ("not_fetched", FAILED_FOR),
                    NoCertificate::Untrusted(_) => ("untrusted", UNTRUSTED_FOR),
                };
                self.count(outcome);
                tracing::warn!(url = url.as_str(), ?why, "no signing certificate of SNS");
                *known = Some(Known::Failed(why.clone(), now + span));
            }
        }
        fetched
    }

    async fn fetched(
        &self,
        url: &AwsUrl,
        names: &[String],
        now: DateTime<Utc>,
    ) -> Result<Arc<Chain>, NoCertificate> {
        let untrusted = NoCertificate::Untrusted;
        let mut chain = Chain::read(&self.get(url).await?).map_err(untrusted)?;
        loop {
            let missing = match chain.verify(&self.roots, now, names) {
                Ok(_) => return Ok(Arc::new(chain)),
                Err(Untrusted::UnknownIssuer) => chain
                    .missing()
                    .ok_or(NoCertificate::Untrusted(Untrusted::UnknownIssuer))?,
                Err(why) => return Err(NoCertificate::Untrusted(why)),
            };
            let issuer = self.get(&missing).await?;
            chain.complete(&issuer).map_err(untrusted)?;
        }
    }

    async fn get(&self, url: &AwsUrl) -> Result<Vec<u8>, NoCertificate> {
        self.fetch
            .get(url)
            .await
            .map_err(|error| NoCertificate::NotFetched(error.to_string()))
    }

    fn slot(&self, url: &AwsUrl) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(url) {
            return slot.clone();
        }
        if slots.len() >= MOST_REMEMBERED {
            // What failed goes first; good ones are few, and stay.
            slots.retain(|_, slot| {
                slot.try_lock()
                    .map_or(true, |known| matches!(&*known, Some(Known::Chain(_))))
            });
        }
        if slots.len() >= MOST_REMEMBERED {
            slots.clear();
        }
        slots.entry(url.clone()).or_default().clone()
    }

    fn may_fetch(&self, now: DateTime<Utc>) -> bool {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.timestamp().div_euclid(60);
        if budget.0 != minute {
            *budget = (minute, 0);
        }
        budget.1 += 1;
        budget.1 <= FETCHES_PER_MINUTE
    }

    fn count(&self, outcome: &'static str) {
        let label = OutcomeLabel { outcome };
        self.metrics.certificates.get_or_create(&label).inc();
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
