//! Changes what is known about a consumer, or closes it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::code::Code;
use super::preconditions::ExpectedVersion;
use super::register_consumer::slug_taken;
use super::{AppContext, AppError, consumer_details as check, text};
use crate::domain::actor::Actor;
use crate::domain::consumer::{Consumer, ConsumerState, Contact};
use crate::domain::ids::ConsumerId;
use crate::domain::judgement::Wake;
use crate::store::audit::{self, Entry, Subject};
use crate::store::judge_wakes;
use crate::store::{consumer_accounts, consumers};

/// What to change. Absent members stay as they are.
#[derive(Debug, Default)]
pub struct ConsumerChange {
    /// The version that the caller has read.
    pub version: ExpectedVersion,
    /// What people call it.
    pub name: Option<String>,
    /// A short name that is used once.
    pub slug: Option<String>,
    /// Anything worth knowing.
    pub notes: Option<String>,
    /// Keys and values, all of them.
    pub labels: Option<BTreeMap<String, String>>,
    /// Whom to talk to, all of them.
    pub contacts: Option<Vec<Contact>>,
    /// Active or closed.
    pub state: Option<ConsumerState>,
    /// Why.
    pub reason: Option<String>,
}

/// Records the change with its audit entry. A consumer that still has accounts is not closed.
#[tracing::instrument(skip_all, fields(consumer.id = %id))]
pub async fn change_consumer(
    ctx: &AppContext,
    actor: &Actor,
    id: ConsumerId,
    change: ConsumerChange,
) -> Result<Consumer, AppError> {
    let reason = text::optional_reason(change.reason.as_deref())?;
    let mut tx = ctx.begin().await?;
    consumers::lock(&mut tx, id).await?;
    let before = consumers::by_id(&mut tx, id)
        .await?
        .ok_or_else(|| missing(id))?;
    change
        .version
        .check(before.version, Code::ConsumerChanged)?;
    let wanted = applied(before.clone(), change)?;
    let closes = wanted.state == ConsumerState::Closed && before.state != ConsumerState::Closed;
    if closes && consumer_accounts::any(&mut tx, id).await? {
        let detail = "it still has accounts; remove them first";
        return Err(AppError::new(Code::ConsumerHasAccounts, detail).field("state"));
    }
    let recorded = consumers::record_change(&mut tx, &wanted)
        .await
        .map_err(|error| slug_taken(error, &wanted.slug))?;
    if !recorded {
        return Err(AppError::internal(
            "the consumer changed under its own lock",
        ));
    }
    let (old, new) = differences(&before, &wanted);
    let at = ctx.clock.now();
    let entry = Entry {
        at,
        actor,
        action: "consumer.change",
        subject: Subject::Consumer(id),
        before: Some(old),
        after: Some(new),
        reason: reason.as_deref(),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    judge_wakes::wake(&mut tx, &Wake::Consumer(id), at).await?;
    let after = consumers::by_id(&mut tx, id)
        .await?
        .ok_or_else(|| missing(id))?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// The consumer as it shall be, every member checked.
fn applied(mut row: Consumer, change: ConsumerChange) -> Result<Consumer, AppError> {
    if let Some(name) = change.name {
        row.name = check::name(&name)?;
    }
    if let Some(slug) = change.slug {
        row.slug = check::slug(&slug)?;
    }
    if let Some(notes) = change.notes {
        row.notes = check::notes(&notes)?;
    }
    if let Some(labels) = change.labels {
        row.labels = check::labels(labels)?;
    }
    if let Some(contacts) = change.contacts {
        row.contacts = check::contacts(contacts)?;
    }
    if let Some(state) = change.state {
        row.state = state;
    }
    Ok(row)
}

/// The members that differ, as they were and as they are, with the versions.
fn differences(before: &Consumer, after: &Consumer) -> (Value, Value) {
    let members = |row: &Consumer| {
        [
            ("name", json!(row.name)),
            ("slug", json!(row.slug)),
            ("notes", json!(row.notes)),
            ("labels", json!(row.labels)),
            ("contacts", json!(row.contacts)),
            ("state", json!(row.state)),
        ]
    };
    let mut old = Map::from_iter([("version".to_owned(), json!(before.version))]);
    let mut new = Map::from_iter([("version".to_owned(), json!(before.version + 1))]);
    for ((name, was), (_, is)) in members(before).into_iter().zip(members(after)) {
        if was != is {
            old.insert(name.to_owned(), was);
            new.insert(name.to_owned(), is);
        }
    }
    (old.into(), new.into())
}

pub(super) fn missing(id: ConsumerId) -> AppError {
    AppError::new(Code::ConsumerNotFound, format!("there is no consumer {id}"))
}
