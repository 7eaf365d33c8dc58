//! Records that our endpoint began or ceased to hear a topic.

use serde_json::json;

use super::{AppContext, AppError};
use crate::domain::actor::Actor;
use crate::domain::hint::{HintSource, Named};
use crate::domain::ids::AccountRegionId;
use crate::store::audit::{self, Entry, Subject};
use crate::store::hints::{self, NewHint};

/// What happened to a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionChange {
    /// It was confirmed.
    Confirmed,
    /// Somebody ended it.
    Ended,
}

/// A subscription that changed, by a message whose sender is proven.
#[derive(Debug)]
pub struct Subscription<'a> {
    /// The topic's account and Region.
    pub account_region: AccountRegionId,
    /// The topic.
    pub topic_arn: &'a str,
    /// The message that said so.
    pub message_id: &'a str,
    /// What happened.
    pub change: SubscriptionChange,
}

/// Records it once for each message; answers `false` for a repeat. The message is kept as a hint that names nothing: nobody can say what
/// changed before the subscription began, or around its end.
#[tracing::instrument(skip_all, fields(account_region = %subscription.account_region))]
pub async fn record_subscription(
    ctx: &AppContext,
    actor: &Actor,
    subscription: Subscription<'_>,
) -> Result<bool, AppError> {
    let at = ctx.clock.now();
    let mut tx = ctx.begin().await?;
    let hint = NewHint {
        source: HintSource::Http,
        message_id: subscription.message_id,
        named: &Named::default(),
        at,
    };
    if !hints::insert(&mut tx, subscription.account_region, &hint).await? {
        return Ok(false);
    }
    let entry = Entry {
        at,
        actor,
        action: match subscription.change {
            SubscriptionChange::Confirmed => "sns_subscription.confirm",
            SubscriptionChange::Ended => "sns_subscription.end",
        },
        subject: Subject::AccountRegion(subscription.account_region),
        before: None,
        after: Some(json!({
            "topic_arn": subscription.topic_arn,
            "message_id": subscription.message_id,
        })),
        reason: None,
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    ctx.commit(tx).await?;
    Ok(true)
}
