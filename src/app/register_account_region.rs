//! Adds an AWS account in a Region to those that Portcullis works in.

use privatelink::AccountRegionRef;
use serde_json::json;

use super::code::Code;
use super::{AppContext, AppError, text};
use crate::domain::account_region::AccountRegion;
use crate::domain::actor::Actor;
use crate::domain::ids::AccountRegionId;
use crate::store::audit::{self, Entry, Subject};
use crate::store::{StoreError, account_regions};

/// What an AccountRegion is registered with.
#[derive(Debug)]
pub struct NewAccountRegion {
    /// The account, the Region and how to get in.
    pub place: AccountRegionRef,
    /// What people call it; absent, it is called after the account and the Region.
    pub name: Option<String>,
}

/// Registers it. The worker takes it up within a second; no call to AWS is made here.
#[tracing::instrument(skip_all, fields(account = %new.place.account, region = %new.place.region))]
pub async fn register_account_region(
    ctx: &AppContext,
    actor: &Actor,
    new: NewAccountRegion,
) -> Result<AccountRegion, AppError> {
    check_role(&new.place)?;
    let name = match &new.name {
        Some(name) => text::checked_line("name", name, 128)?,
        None => format!("{} {}", new.place.account, new.place.region),
    };
    let at = ctx.clock.now();
    let id = AccountRegionId::new(at);
    let mut tx = ctx.begin().await?;
    let row = account_regions::New {
        id,
        place: &new.place,
        name: &name,
        at,
        by: &actor.name,
    };
    account_regions::insert(&mut tx, row)
        .await
        .map_err(|error| match error {
            StoreError::Duplicate { .. } => AppError::new(
                Code::AccountRegionExists,
                format!(
                    "account {} in {} is registered already",
                    new.place.account, new.place.region
                ),
            ),
            other => other.into(),
        })?;
    let entry = Entry {
        at,
        actor,
        action: "account_region.register",
        subject: Subject::AccountRegion(id),
        before: None,
        after: Some(json!({
            "account_id": new.place.account,
            "region": new.place.region,
            "name": name,
            "role_arn": new.place.role_arn,
        })),
        reason: None,
        decision: None,
    };
    audit::record(&mut tx, entry).await?;
    let row = account_regions::by_id(&mut tx, id).await?;
    ctx.commit(tx).await?;
    row.ok_or_else(|| AppError::internal("the AccountRegion vanished in its own transaction"))
}

/// A role must be an IAM role of that account; an external id goes with a role only.
pub(super) fn check_role(place: &AccountRegionRef) -> Result<(), AppError> {
    let refuse =
        |field: &str, detail: String| Err(AppError::new(Code::InvalidRequest, detail).field(field));
    if let Some(role) = &place.role_arn {
        let parts: Vec<&str> = role.splitn(6, ':').collect();
        let fits = matches!(parts.as_slice(), ["arn", partition, "iam", "", account, resource]
            if partition.starts_with("aws")
                && *account == place.account.as_str()
                && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty())
                && role.len() <= 2048
                && role.chars().all(|c| c.is_ascii_graphic()));
        if !fits {
            let detail = format!(
                "{:?} is not a role of account {}: expected arn:aws:iam::{}:role/NAME",
                role.chars().take(128).collect::<String>(),
                place.account,
                place.account
            );
            return refuse("role_arn", detail);
        }
    }
    if let Some(external_id) = &place.external_id {
        if place.role_arn.is_none() {
            return refuse(
                "external_id",
                "an external id goes with a role_arn only".to_owned(),
            );
        }
        // https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
        let fits = (2..=1224).contains(&external_id.len())
            && external_id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b));
        if !fits {
            let detail = "an external id has 2 to 1224 letters, digits and _+=,.@:/-".to_owned();
            return refuse("external_id", detail);
        }
    }
    Ok(())
}
