//! Changes an AWS account in a Region: what people call it, how to get in, and whether it is served at all.

use serde_json::{Map, Value, json};

use super::code::Code;
use super::preconditions::ExpectedVersion;
use super::register_account_region::check_role;
use super::{AppContext, AppError, text};
use crate::domain::account_region::AccountRegion;
use crate::domain::actor::Actor;
use crate::domain::ids::AccountRegionId;
use crate::store::account_regions;
use crate::store::audit::{self, Entry, Subject};

/// What to change. Absent members stay as they are.
#[derive(Debug, Default)]
pub struct AccountRegionChange {
    /// The version that the caller has read.
    pub version: ExpectedVersion,
    /// Whether the worker serves it.
    pub enabled: Option<bool>,
    /// What people call it.
    pub name: Option<String>,
    /// The role to assume; `Some(None)` goes back to the process's own credentials, and takes the external id away with the role.
    pub role_arn: Option<Option<String>>,
    /// The external id that the role asks for; `Some(None)` takes it away.
    pub external_id: Option<Option<String>>,
    /// Why.
    pub reason: Option<String>,
}

/// Records the change with its audit entry. The replica that serves it sees the change when it next renews its lease, within a second or two:
/// it gives a disabled AccountRegion up, and proves anew whose credentials it has where the way in was changed.
#[tracing::instrument(skip_all, fields(account_region.id = %id))]
pub async fn change_account_region(
    ctx: &AppContext,
    actor: &Actor,
    id: AccountRegionId,
    change: AccountRegionChange,
) -> Result<AccountRegion, AppError> {
    let reason = change
        .reason
        .as_deref()
        .map(|reason| text::checked("reason", reason, super::decide_connection::LONGEST_REASON))
        .transpose()?;
    let missing = || {
        AppError::new(
            Code::AccountRegionNotFound,
            format!("there is no AccountRegion {id}"),
        )
    };
    let mut tx = ctx.begin().await?;
    account_regions::lock(&mut tx, id).await?;
    let before = account_regions::by_id(&mut tx, id)
        .await?
        .ok_or_else(missing)?;
    change
        .version
        .check(before.version, Code::AccountRegionChanged)?;
    let wanted = applied(before.clone(), change)?;
    if !account_regions::record_change(&mut tx, &wanted).await? {
        return Err(AppError::internal(
            "the AccountRegion changed under its own lock",
        ));
    }
    let (old, new) = differences(&before, &wanted);
    let entry = Entry {
        at: ctx.clock.now(),
        actor,
        action: "account_region.change",
        subject: Subject::AccountRegion(id),
        before: Some(old),
        after: Some(new),
        reason: reason.as_deref(),
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    let after = account_regions::by_id(&mut tx, id)
        .await?
        .ok_or_else(missing)?;
    ctx.commit(tx).await?;
    Ok(after)
}

/// The AccountRegion as it shall be, every member checked.
fn applied(mut row: AccountRegion, change: AccountRegionChange) -> Result<AccountRegion, AppError> {
    if let Some(enabled) = change.enabled {
        row.enabled = enabled;
    }
    if let Some(name) = change.name {
        row.name = text::checked_line("name", &name, 128)?;
    }
    if let Some(role) = change.role_arn {
        if role.is_none() {
            row.place.external_id = None;
        }
        row.place.role_arn = role;
    }
    if let Some(external_id) = change.external_id {
        row.place.external_id = external_id;
    }
    check_role(&row.place)?;
    Ok(row)
}

/// The members that differ, as they were and as they are, with the versions. The external id is a secret between two accounts: that it changed is
/// said, and not what it is.
fn differences(before: &AccountRegion, after: &AccountRegion) -> (Value, Value) {
    let members = |row: &AccountRegion| {
        [
            ("enabled", json!(row.enabled)),
            ("name", json!(row.name)),
            ("role_arn", json!(row.place.role_arn)),
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
    if before.place.external_id != after.place.external_id {
        let given = after.place.external_id.is_some();
        new.insert("external_id_changed".to_owned(), json!(true));
        new.insert("external_id_given".to_owned(), json!(given));
    }
    (old.into(), new.into())
}
