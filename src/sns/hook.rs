//! From a posted message to a stored hint.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::certificates::{Certificates, NoCertificate};
use super::fetch::Fetch;
use super::message::{Headers, Kind, Link, Message, SignatureVersion};
use super::metrics::{HookMetrics, OutcomeLabel};
use super::refusal::Refusal;
use super::settings::SnsSettings;
use super::topic::{OWN_TOPIC, TopicArn};
use super::trust::Roots;
use super::url::AwsUrl;
use crate::app::receive_hint::{self, Received};
use crate::app::record_subscription::{self, Subscription, SubscriptionChange};
use crate::app::{AppContext, AppError};
use crate::domain::actor::Actor;
use crate::domain::hint::Named;
use crate::domain::ids::AccountRegionId;

/// The longest that a message is worked on. SNS gives up after 15 s.
const LONGEST_WORK: Duration = Duration::from_secs(11);

/// The most messages that ask the database at a time: the API needs its connections as well.
const DATABASE_PLACES: usize = 4;

/// The most subscriptions that are confirmed at a time.
const CONFIRMATION_PLACES: usize = 2;

/// What became of a message that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored, and the worker is told.
    Stored,
    /// It came before.
    Repeated,
    /// The subscription it asked about is confirmed.
    Confirmed,
    /// It is noted that the subscription is over.
    Ended,
}

impl Outcome {
    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Repeated => "repeated",
            Self::Confirmed => "confirmed",
            Self::Ended => "ended",
        }
    }
}

/// Judges messages. All of a process share one.
pub struct Hook {
    topics: Vec<String>,
    allow_signature_v1: bool,
    window: TimeDelta,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    fetch: Arc<dyn Fetch>,
    roots: Arc<Roots>,
    certificates: Certificates,
    admitted: Arc<Semaphore>,
    database: Semaphore,
    confirmations: Semaphore,
    metrics: HookMetrics,
}

impl Hook {
    /// Puts it together.
    pub fn new(
        settings: &SnsSettings,
        fetch: Arc<dyn Fetch>,
        roots: Roots,
        metrics: HookMetrics,
    ) -> Self {
        let roots = Arc::new(roots);
        Self {
            topics: settings.topics.clone(),
            allow_signature_v1: settings.allow_signature_v1,
            window: TimeDelta::from_std(settings.replay_window).unwrap_or(TimeDelta::MAX),
            body_timeout: settings.body_timeout,
            certificates: Certificates::new(fetch.clone(), roots.clone(), metrics.clone()),
            fetch,
            roots,
            admitted: Arc::new(Semaphore::new(settings.max_concurrent)),
            database: Semaphore::new(DATABASE_PLACES),
            confirmations: Semaphore::new(CONFIRMATION_PLACES),
            metrics,
        }
    }

    /// A place among the messages that are handled at once, to be asked for before the body is read.
    pub fn admit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.admitted
            .clone()
            .try_acquire_owned()
            .map_err(|_| self.refused(Refusal::Busy))
    }

    /// Judges a message, and does what it asks for if that is proven.
    pub async fn receive(
        &self,
        ctx: &AppContext,
        actor: &Actor,
        headers: Headers<'_>,
        body: &[u8],
    ) -> Result<Outcome, Refusal> {
        let judged =
            tokio::time::timeout(LONGEST_WORK, self.judge(ctx, actor, headers, body)).await;
        match judged.unwrap_or(Err(Refusal::Busy)) {
            Ok(outcome) => {
                self.count(outcome.as_str());
                Ok(outcome)
            }
            Err(refusal) => Err(self.refused(refusal)),
        }
    }

    async fn judge(
        &self,
        ctx: &AppContext,
        actor: &Actor,
        headers: Headers<'_>,
        body: &[u8],
    ) -> Result<Outcome, Refusal> {
        let now = ctx.clock.now();
        let message = Message::read(headers, body)?;
        let checked = self.check(&message, now)?;
        let place = self.place(ctx, &message.topic).await?;
        self.verify(&message, &checked.certificate, now).await?;
        match (message.kind, &checked.confirmation) {
            (Kind::Notification, _) => self.store(ctx, place, &message).await,
            (Kind::SubscriptionConfirmation, Some(url)) => {
                self.confirm(ctx, actor, place, &message, url).await
            }
            (Kind::SubscriptionConfirmation, None) => Err(Refusal::Address("SubscribeURL")),
            (Kind::UnsubscribeConfirmation, _) => {
                tracing::warn!(topic = %message.topic, "a subscription of this endpoint has ended");
                self.record(ctx, actor, place, &message, SubscriptionChange::Ended)
                    .await
            }
        }
    }

    /// All that the message itself can be refused for, without asking anybody.
    fn check(&self, message: &Message, now: DateTime<Utc>) -> Result<Checked, Refusal> {
        let topic = &message.topic;
        if topic.name() != OWN_TOPIC && !self.topics.iter().any(|t| t == topic.as_str()) {
            return Err(Refusal::Topic);
        }
        if message.version == SignatureVersion::One && !self.allow_signature_v1 {
            return Err(Refusal::Version);
        }
        // Before the dearer checks, and none the worse for it: the signature covers the time.
        if (now - message.at).abs() > self.window {
            return Err(Refusal::Time);
        }
        let certificate = AwsUrl::certificate(&message.certificate_url, topic)
            .ok_or(Refusal::Address("SigningCertURL"))?;
        let confirmation = match (message.kind, &message.link) {
            (Kind::SubscriptionConfirmation, Some(Link { url, token })) => Some(
                AwsUrl::confirmation(url, topic, token).ok_or(Refusal::Address("SubscribeURL"))?,
            ),
            _ => None,
        };
        Ok(Checked {
            certificate,
            confirmation,
        })
    }

    /// The AccountRegion of a topic; there must be one, and it must be served.
    async fn place(&self, ctx: &AppContext, topic: &TopicArn) -> Result<AccountRegionId, Refusal> {
        let _place = seat(&self.database).await?;
        receive_hint::enabled_place(ctx, topic.account(), topic.region())
            .await?
            .ok_or(Refusal::Topic)
    }

    async fn verify(
        &self,
        message: &Message,
        url: &AwsUrl,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let names = message.topic.signer_names();
        let chain = self.certificates.chain(url, &names, now).await;
        let chain = chain.map_err(|why| match why {
            NoCertificate::NotFetched(why) => Refusal::NoCertificate(why),
            NoCertificate::Untrusted(why) => Refusal::Certificate(why),
        })?;
        let key = chain
            .verify(&self.roots, now, &names)
            .map_err(Refusal::Certificate)?;
        if key.signed(message.version, &message.signed, &message.signature) {
            Ok(())
        } else {
            Err(Refusal::Signature)
        }
    }

    async fn store(
        &self,
        ctx: &AppContext,
        account_region: AccountRegionId,
        message: &Message,
    ) -> Result<Outcome, Refusal> {
        let _place = seat(&self.database).await?;
        let received = Received {
            account_region,
            message_id: &message.id,
            named: &Named::in_text(&message.text),
        };
        let new = receive_hint::receive_hint(ctx, received).await?;
        Ok(if new {
            Outcome::Stored
        } else {
            Outcome::Repeated
        })
    }

    /// Confirms first and records then: what is recorded has happened. A repeat that was recorded is not confirmed again.
    async fn confirm(
        &self,
        ctx: &AppContext,
        actor: &Actor,
        place: AccountRegionId,
        message: &Message,
        url: &AwsUrl,
    ) -> Result<Outcome, Refusal> {
        let known = {
            let _place = seat(&self.database).await?;
            receive_hint::is_known(ctx, place, &message.id).await?
        };
        if known {
            return Ok(Outcome::Repeated);
        }
        {
            let _place = seat(&self.confirmations).await?;
            self.fetch.get(url).await.map_err(|error| {
                tracing::warn!(topic = %message.topic, %error, "SNS did not confirm a subscription");
                Refusal::NotConfirmed(error.to_string())
            })?;
        }
        tracing::info!(topic = %message.topic, "confirmed the subscription of this endpoint");
        self.record(ctx, actor, place, message, SubscriptionChange::Confirmed)
            .await
    }

    async fn record(
        &self,
        ctx: &AppContext,
        actor: &Actor,
        account_region: AccountRegionId,
        message: &Message,
        change: SubscriptionChange,
    ) -> Result<Outcome, Refusal> {
        let _place = seat(&self.database).await?;
        let subscription = Subscription {
            account_region,
            topic_arn: message.topic.as_str(),
            message_id: &message.id,
            change,
        };
        let new = record_subscription::record_subscription(ctx, actor, subscription).await?;
        Ok(match (new, change) {
            (false, _) => Outcome::Repeated,
            (true, SubscriptionChange::Confirmed) => Outcome::Confirmed,
            (true, SubscriptionChange::Ended) => Outcome::Ended,
        })
    }

    fn refused(&self, refusal: Refusal) -> Refusal {
        self.count(refusal.outcome());
        tracing::debug!(%refusal, "a message posted to the SNS hook was not taken");
        refusal
    }

    fn count(&self, outcome: &'static str) {
        let label = OutcomeLabel { outcome };
        self.metrics.messages.get_or_create(&label).inc();
    }
}

/// What the checks of a message found to be in order.
struct Checked {
    certificate: AwsUrl,
    /// Of a message that asks for one.
    confirmation: Option<AwsUrl>,
}

async fn seat(places: &Semaphore) -> Result<tokio::sync::SemaphorePermit<'_>, AppError> {
    places.acquire().await.map_err(AppError::internal)
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hook").finish_non_exhaustive()
    }
}
