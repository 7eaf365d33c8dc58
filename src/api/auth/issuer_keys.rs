//! The keys of one issuer, in memory: fetched before they get old, at once when a token names one that is not known, and never too often.

use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};

use super::jwks::KeySet;
use super::key_fetch::KeyClient;
use super::metrics::{AuthMetrics, FetchLabel, IssuerLabel};
use crate::app::auth_settings::IssuerSettings;

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct IssuerKeys {
    settings: IssuerSettings,
    client: KeyClient,
    metrics: AuthMetrics,
    state: RwLock<State>,
    /// Held while they are fetched, so that whoever comes meanwhile waits for that instead of fetching too.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Default)]
struct State {
    keys: Arc<KeySet>,
    fetched_at: Option<DateTime<Utc>>,
    tried_at: Option<DateTime<Utc>>,
}

impl IssuerKeys {
    /// No keys yet; nobody is asked before [`IssuerKeys::refresh`].
    pub(super) fn new(settings: IssuerSettings, client: KeyClient, metrics: AuthMetrics) -> Self {
        Self {
            settings,
            client,
            metrics,
            state: RwLock::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// What the configuration calls the issuer.
    pub(super) fn name(&self) -> &str {
        &self.settings.name
    }

    /// The keys, if they are not too old to be believed.
    pub(super) fn get(&self, now: DateTime<Utc>) -> Option<Arc<KeySet>> {
        let state = self.state();
        let fetched = state.fetched_at?;
        (now - fetched <= whole(self.settings.max_staleness)).then_some(state.keys)
    }

    /// When they are to be fetched next by themselves.
    pub(super) fn due_at(&self) -> DateTime<Utc> {
        let state = self.state();
        let after = |at: Option<DateTime<Utc>>, long| match at {
            Some(at) => at + whole(long),
            None => DateTime::<Utc>::MIN_UTC,
        };
        after(state.fetched_at, self.settings.refresh_interval)
            .max(after(state.tried_at, self.settings.min_refresh))
    }

    /// Fetches them, unless somebody did within `min_refresh`; waits for a fetch that is under way.
    ///
    /// The fetch goes on by itself: a caller who hangs up does not end it.
    pub(super) async fn refresh(self: &Arc<Self>, now: DateTime<Utc>) {
        let this = Arc::clone(self);
        let fetched = tokio::spawn(async move {
            let _one_at_a_time = this.fetching.lock().await;
            if this.may_fetch(now) {
                this.fetch(now).await;
            }
        });
        if let Err(error) = fetched.await {
            tracing::error!(%error, issuer = self.name(), "a fetch of keys was cut off");
        }
    }

    fn may_fetch(&self, now: DateTime<Utc>) -> bool {
        let since = |tried: DateTime<Utc>| (now - tried).abs();
        let state = self.state();
        state
            .tried_at
            .is_none_or(|tried| since(tried) >= whole(self.settings.min_refresh))
    }

    async fn fetch(&self, now: DateTime<Utc>) {
        self.change(|state| state.tried_at = Some(now));
        let fetched = self.client.keys(&self.settings).await;
        let issuer = self.name().to_owned();
        let outcome = match fetched {
            Ok(keys) => {
                let label = IssuerLabel {
                    issuer: issuer.clone(),
                };
                let count = i64::try_from(keys.len()).unwrap_or(i64::MAX);
                self.metrics.keys.get_or_create(&label).set(count);
                let gauge = self.metrics.fetched.get_or_create(&label);
                gauge.set(now.timestamp());
                if count == 0 {
                    tracing::warn!(issuer, "an issuer has no key that can be used");
                }
                self.change(|state| {
                    state.keys = Arc::new(keys);
                    state.fetched_at = Some(now);
                });
                "ok"
            }
            Err(error) => {
                tracing::warn!(%error, issuer, "the keys of an issuer cannot be fetched");
                error.outcome()
            }
        };
        let label = FetchLabel { issuer, outcome };
        self.metrics.fetches.get_or_create(&label).inc();
    }

    fn state(&self) -> State {
        self.state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }
}

fn whole(long: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(long).unwrap_or(TimeDelta::MAX)
}
