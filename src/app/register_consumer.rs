//! Adds a consumer: an organisation, without accounts yet.

use std::collections::BTreeMap;

use serde_json::json;

use super::code::Code;
use super::{AppContext, AppError, consumer_details as check, text};
use crate::domain::actor::Actor;
use crate::domain::consumer::{Consumer, ConsumerState, Contact, slug_of};
use crate::domain::ids::ConsumerId;
use crate::store::audit::{self, Entry, Subject};
use crate::store::{StoreError, consumers};

/// What a consumer is added with.
#[derive(Debug, Default)]
pub struct NewConsumer {
    /// What people call it.
    pub name: String,
    /// A short name that is used once; made of the name when absent.
    pub slug: Option<String>,
    /// Anything worth knowing.
    pub notes: String,
    /// Keys and values.
    pub labels: BTreeMap<String, String>,
    /// Whom to talk to.
    pub contacts: Vec<Contact>,
    /// Why.
    pub reason: Option<String>,
}

/// Adds it with its audit entry.
#[tracing::instrument(skip_all)]
pub async fn register_consumer(
    ctx: &AppContext,
    actor: &Actor,
    new: NewConsumer,
) -> Result<Consumer, AppError> {
    let reason = text::optional_reason(new.reason.as_deref())?;
    let name = check::name(&new.name)?;
    let slug = match &new.slug {
        Some(slug) => check::slug(slug)?,
        None => slug_of(&name).ok_or_else(|| {
            let detail = "no slug can be made of the name; give one";
            AppError::new(Code::InvalidRequest, detail).field("slug")
        })?,
    };
    let at = ctx.clock.now();
    let consumer = Consumer {
        id: ConsumerId::new(at),
        name,
        slug,
        notes: check::notes(&new.notes)?,
        labels: check::labels(new.labels)?,
        contacts: check::contacts(new.contacts)?,
        state: ConsumerState::Active,
        version: 1,
        created_at: at,
        created_by: actor.name.clone(),
    };
    let mut tx = ctx.begin().await?;
    consumers::insert(&mut tx, &consumer)
        .await
        .map_err(|error| slug_taken(error, &consumer.slug))?;
    let entry = Entry {
        at,
        actor,
        action: "consumer.register",
        subject: Subject::Consumer(consumer.id),
        before: None,
        after: Some(json!({
            "name": consumer.name,
            "slug": consumer.slug,
            "notes": consumer.notes,
            "labels": consumer.labels,
            "contacts": consumer.contacts,
        })),
        reason: reason.as_deref(),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    ctx.commit(tx).await?;
    Ok(consumer)
}

/// A collision of slugs in the caller's words.
pub(super) fn slug_taken(error: StoreError, slug: &str) -> AppError {
    match error {
        StoreError::Duplicate { .. } => {
            let detail = format!("another consumer has the slug {slug}");
            AppError::new(Code::ConsumerExists, detail).field("slug")
        }
        other => other.into(),
    }
}
