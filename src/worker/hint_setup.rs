//! Sets up the road that connection notifications take: topic, queue, subscription, and a notification for each registered service.
//!
//! Each step reads AWS first and changes only what is not as it should be, so a crash after any of them is mended by running them again,
//! and so is what somebody changed by hand. What AWS denies is shown on the AccountRegion and tried again; nothing else waits for it.

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::messaging::all_connection_events;
use privatelink::{
    Advice, ConnectionNotification, GatewayError, NewConnectionNotification, PageToken,
    TopicAttribute,
};

use super::settings::delta;
use super::{PassError, Place, pages};
use crate::domain::hint_setup::{
    HintSetup, NAME, SIGNATURE_VERSION, SetupState, policy_with, queue_statement, topic_statement,
};
use crate::domain::notice::{NoticeStep, Remembered, client_token, notice_step};
use crate::domain::silence::silence;
use crate::store::StoreError;
use crate::store::hint_setups::{self, Noticed, Progress};

/// How often all of it is looked at, in case somebody changed it in AWS.
const CHECKED_EVERY: TimeDelta = TimeDelta::minutes(5);
/// How long to leave alone what AWS denied or refused.
const REFUSED_FOR: TimeDelta = TimeDelta::minutes(1);

/// What a pass came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Where the set-up stands.
    pub state: SetupState,
    /// When to look again.
    pub next: DateTime<Utc>,
}

/// Brings the set-up a step further, if it is time, and asks whether messages are missing.
#[tracing::instrument(skip_all, fields(account = %place.lease.place.account, region = %place.lease.place.region))]
pub async fn run_pass(place: &Place) -> Result<Report, PassError> {
    let (account_region, now) = (place.lease.account_region, place.now());
    let known = place
        .read(async |conn| hint_setups::by_id(conn, account_region).await)
        .await?;
    if !place.shared.settings.notifications {
        return off(place, known.as_ref(), now).await;
    }
    let lacking = place
        .read(async |conn| hint_setups::lacks_notification(conn, account_region, now).await)
        .await?;
    // One that was off is taken up again at once.
    let stands = known.as_ref().filter(|k| k.state != SetupState::Off);
    // What AWS denied a moment ago is left alone, whoever waits for it.
    let waits = |known: &&HintSetup| {
        known.check_at > now && (known.state == SetupState::Failed || !lacking)
    };
    if let Some(known) = stands.filter(waits) {
        judge(place, known, now).await?;
        return Ok(Report {
            state: known.state,
            next: known.check_at,
        });
    }
    let mut road = Road {
        topic_arn: stands.and_then(|k| k.topic_arn.clone()),
        queue_url: stands.and_then(|k| k.queue_url.clone()),
    };
    if stands.is_none() {
        road.record(place, SetupState::SettingUp, None, now).await?;
    }
    let refusal = match set_up(place, &mut road).await {
        Ok(refusal) => refusal,
        Err(PassError::Gateway(error)) if error.advice() == Advice::AskAPerson => Some(error),
        Err(PassError::Gateway(error)) => {
            // AWS is busy or out of reach, and is tried again soon. What stood a moment ago is believed to stand.
            if stands.is_none_or(|k| k.state != SetupState::Listening) {
                road.record(place, SetupState::SettingUp, Some(&error), now)
                    .await?;
            }
            return Err(error.into());
        }
        Err(error) => return Err(error),
    };
    let (state, next) = match &refusal {
        None => (SetupState::Listening, now + CHECKED_EVERY),
        Some(_) => (SetupState::Failed, now + REFUSED_FOR),
    };
    if stands.is_none_or(|known| known.state != state) {
        match &refusal {
            None => tracing::info!("AWS tells of connections by itself from now on"),
            Some(error) => tracing::error!(
                aws.code = error.code(),
                "AWS cannot be made to tell of connections; they are found by listing: {error}"
            ),
        }
    }
    road.record(place, state, refusal.as_ref(), next).await?;
    if let Some(known) = stands {
        judge(place, known, now).await?;
    }
    Ok(Report { state, next })
}

/// Notes that nobody wants it. What stands in AWS stays there.
async fn off(
    place: &Place,
    known: Option<&HintSetup>,
    now: DateTime<Utc>,
) -> Result<Report, PassError> {
    let report = Report {
        state: SetupState::Off,
        next: now + CHECKED_EVERY,
    };
    if known.is_some_and(|known| known.state != SetupState::Off) {
        let nothing = Road::default();
        nothing
            .record(place, SetupState::Off, None, report.next)
            .await?;
        let mut tx = place.begin().await?;
        hint_setups::record_silence(&mut tx, place.lease.account_region, None).await?;
        tx.commit().await.map_err(StoreError::from)?;
    }
    Ok(report)
}

/// What stands already.
#[derive(Debug, Default)]
struct Road {
    topic_arn: Option<String>,
    queue_url: Option<String>,
}

impl Road {
    async fn record(
        &self,
        place: &Place,
        state: SetupState,
        error: Option<&GatewayError>,
        check_at: DateTime<Utc>,
    ) -> Result<(), PassError> {
        let message = error.map(ToString::to_string);
        let progress = Progress {
            state,
            topic_arn: self.topic_arn.as_deref(),
            queue_url: self.queue_url.as_deref(),
            failure: error.map(GatewayError::code).zip(message.as_deref()),
            check_at,
        };
        let mut tx = place.begin().await?;
        hint_setups::record(&mut tx, place.lease.account_region, &progress, place.now()).await?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(())
    }
}

/// Takes every step. A service whose notification AWS refuses does not keep the others from theirs; the first refusal is answered.
async fn set_up(place: &Place, road: &mut Road) -> Result<Option<GatewayError>, PassError> {
    let topic_arn = topic(place, road.topic_arn.take()).await?;
    road.topic_arn = Some(topic_arn.clone());
    let (queue_url, queue_arn) = queue(place, road.queue_url.take(), &topic_arn).await?;
    road.queue_url = Some(queue_url);
    subscription(place, &topic_arn, &queue_arn).await?;
    notifications(place, &topic_arn).await
}

/// The topic: PrivateLink may publish to it, and its signatures are the better ones.
async fn topic(place: &Place, known: Option<String>) -> Result<String, PassError> {
    let messaging = &place.messaging;
    let (arn, topic) = match known {
        Some(arn) => match messaging.topic(&arn).await {
            Ok(topic) => (arn, Some(topic)),
            Err(error) if error.is_not_found() => (messaging.create_topic(NAME).await?, None),
            Err(error) => return Err(error.into()),
        },
        None => (messaging.create_topic(NAME).await?, None),
    };
    let topic = match topic {
        Some(topic) => topic,
        None => messaging.topic(&arn).await.map_err(not_yet)?,
    };
    let statement = topic_statement(&arn, &place.lease.place);
    if let Some(policy) = policy_with(topic.policy.as_deref(), &statement) {
        let policy = TopicAttribute::Policy(&policy);
        messaging.set_topic_attribute(&arn, policy).await?;
    }
    if topic.signature_version.as_deref() != Some(SIGNATURE_VERSION) {
        let version = TopicAttribute::SignatureVersion(SIGNATURE_VERSION);
        messaging.set_topic_attribute(&arn, version).await?;
    }
    Ok(arn)
}

/// The queue, by URL and ARN: the topic may send to it.
async fn queue(
    place: &Place,
    known: Option<String>,
    topic_arn: &str,
) -> Result<(String, String), PassError> {
    let messaging = &place.messaging;
    let read = match &known {
        Some(url) => messaging.queue(url).await.map(|queue| (url.clone(), queue)),
        None => match messaging.queue_url(NAME).await {
            Ok(url) => messaging.queue(&url).await.map(|queue| (url, queue)),
            Err(error) => Err(error),
        },
    };
    let (url, queue) = match read {
        Ok(read) => read,
        Err(error) if error.is_not_found() => {
            let url = messaging.create_queue(NAME).await?;
            let queue = messaging.queue(&url).await.map_err(not_yet)?;
            (url, queue)
        }
        Err(error) => return Err(error.into()),
    };
    let statement = queue_statement(&queue.arn, topic_arn);
    if let Some(policy) = policy_with(queue.policy.as_deref(), &statement) {
        messaging.set_queue_policy(&url, &policy).await?;
    }
    Ok((url, queue.arn))
}

/// What was made a moment ago may not be there for everybody yet (SQS asks for a second): no reason to give up for a minute.
fn not_yet(error: GatewayError) -> GatewayError {
    match error {
        GatewayError::NotFound { code, message } => GatewayError::Unknown { code, message },
        other => other,
    }
}

/// The subscription of the one to the other.
async fn subscription(place: &Place, topic_arn: &str, queue_arn: &str) -> Result<(), PassError> {
    let messaging = &place.messaging;
    let mut from: Option<PageToken> = None;
    loop {
        let page = messaging.subscriptions(topic_arn, from.as_ref()).await?;
        let ours = |s: &privatelink::Subscription| {
            s.protocol == "sqs" && s.endpoint == queue_arn && s.arn.is_some()
        };
        if page.items.iter().any(ours) {
            return Ok(());
        }
        match pages::next(&page, from.as_ref())? {
            Some(next) => from = Some(next),
            None => return Ok(messaging.subscribe_queue(topic_arn, queue_arn).await?),
        }
    }
}

/// The notification of each registered service. Answers the first refusal.
async fn notifications(place: &Place, topic_arn: &str) -> Result<Option<GatewayError>, PassError> {
    let account_region = place.lease.account_region;
    let services = place
        .read(async |conn| hint_setups::services(conn, account_region).await)
        .await?;
    if services.is_empty() {
        return Ok(None);
    }
    let listed = all_notifications(place).await?;
    let mut refusal = None;
    let mut news = false;
    for service in services {
        match notification(place, &service, topic_arn, &listed).await {
            Ok(changed) => {
                news |= changed;
                if service.retry_at.is_some() {
                    record_refusal(place, &service, None).await?;
                }
            }
            Err(PassError::Gateway(error)) if error.advice() == Advice::AskAPerson => {
                record_refusal(place, &service, Some(&error)).await?;
                // A service that AWS has no more is the matter of another loop.
                if !error.is_not_found() {
                    refusal.get_or_insert(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    if news {
        // AWS tells of what happens from now on; what happened until now is listed once.
        place.hints.list.wake();
    }
    Ok(refusal)
}

async fn all_notifications(place: &Place) -> Result<Vec<ConnectionNotification>, PassError> {
    let mut all = Vec::new();
    let mut from: Option<PageToken> = None;
    loop {
        let page = place
            .messaging
            .connection_notifications(from.as_ref())
            .await?;
        let next = pages::next(&page, from.as_ref())?;
        all.extend(page.items);
        if next.is_none() {
            return Ok(all);
        }
        from = next;
    }
}

/// Takes the steps that one service's notification needs. Answers whether AWS may have kept something from us until now.
async fn notification(
    place: &Place,
    service: &Noticed,
    topic_arn: &str,
    listed: &[ConnectionNotification],
) -> Result<bool, PassError> {
    let mut adopted = false;
    let mut remembered = service.remembered.clone();
    let grace = delta(place.shared.settings.stale_read_grace);
    // Forget, adopt or create, correct: no service needs more.
    for _ in 0..3 {
        let now = place.now();
        match notice_step(&service.aws_id, topic_arn, &remembered, listed, now, grace) {
            NoticeStep::Keep => return Ok(adopted),
            NoticeStep::Create => {
                let new = NewConnectionNotification {
                    client_token: client_token(service.id, remembered.generation),
                    service_id: service.aws_id.clone(),
                    topic_arn: topic_arn.to_owned(),
                    events: all_connection_events(),
                };
                let made = place.messaging.create_connection_notification(&new).await?;
                remember(place, service, &made.id).await?;
                tracing::info!(service.id = %service.id, notification = made.id, "made a connection notification");
                return Ok(true);
            }
            NoticeStep::Adopt(id) => {
                remember(place, service, &id).await?;
                remembered.made = Some((id, now));
                adopted = true;
            }
            NoticeStep::Correct(id) => {
                let events = all_connection_events();
                place
                    .messaging
                    .modify_connection_notification(&id, topic_arn, &events)
                    .await?;
                tracing::warn!(service.id = %service.id, notification = id, "somebody changed a connection notification; it is put right");
                return Ok(true);
            }
            NoticeStep::Forget => {
                let mut tx = place.begin().await?;
                hint_setups::forget_notification(&mut tx, service.id).await?;
                tx.commit().await.map_err(StoreError::from)?;
                remembered = Remembered {
                    generation: remembered.generation.saturating_add(1),
                    made: None,
                };
            }
        }
    }
    Ok(adopted)
}

async fn remember(place: &Place, service: &Noticed, id: &str) -> Result<(), PassError> {
    let mut tx = place.begin().await?;
    hint_setups::record_notification(&mut tx, service.id, id, place.now()).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}

async fn record_refusal(
    place: &Place,
    service: &Noticed,
    error: Option<&GatewayError>,
) -> Result<(), PassError> {
    let message = error.map(ToString::to_string).unwrap_or_default();
    let refusal = error.map(|error| {
        let retry_at = place.now() + REFUSED_FOR;
        (error.code(), message.as_str(), retry_at)
    });
    let mut tx = place.begin().await?;
    hint_setups::record_refusal(&mut tx, service.id, refusal).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// Asks, now and then, whether messages are missing, and says so when that changes.
async fn judge(place: &Place, known: &HintSetup, now: DateTime<Utc>) -> Result<(), PassError> {
    if !place.hints.judges(now) {
        return Ok(());
    }
    let account_region = place.lease.account_region;
    let missed = place
        .read(async |conn| hint_setups::missed(conn, account_region).await)
        .await?;
    let silent = silence(missed, now);
    if silent != known.silence {
        let mut tx = place.begin().await?;
        hint_setups::record_silence(&mut tx, account_region, silent).await?;
        tx.commit().await.map_err(StoreError::from)?;
    }
    match silent {
        Some(silence) if place.hints.set_silent(true) => tracing::warn!(
            since = %silence.since,
            missed = silence.missed,
            "messages do not come any more: listings find connections that none told of"
        ),
        None if place.hints.set_silent(false) => tracing::info!("messages come again"),
        _ => {}
    }
    Ok(())
}
