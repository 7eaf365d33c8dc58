//! Whose credentials are these? Asked for each lease before anything else is asked or done, and again when AWS does not take them.
//!
//! Ids are regional and the calls carry no account: with another account's credentials a listing would be empty, and every connection
//! would look deleted. So a replica works in an AccountRegion only after STS has named that very account.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::term::not_made;
use super::{PassError, Place};
use crate::domain::account_region::ListingError;
use crate::domain::backoff;
use crate::store::{StoreError, account_regions, leases};

/// The code that an AccountRegion shows when its credentials are somebody else's.
pub const WRONG_ACCOUNT: &str = "wrong_account";

/// The longest rest before the second try; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// After how many tries the AccountRegion is left to another replica, which may have better credentials.
const MOST_TRIES: u32 = 3;

/// How proving the identity ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The credentials are the right account's.
    Fit,
    /// They are not, or nobody could tell.
    Unfit,
    /// Told to stop, or the lease is lost.
    Stopped,
}

/// Asks a few times whether these are the right account's credentials.
pub(super) async fn verified(place: &Place, stop: &CancellationToken) -> Verdict {
    let mut tries = 0_u32;
    loop {
        let result = tokio::select! {
            () = stop.cancelled() => return Verdict::Stopped,
            result = verify(place) => result,
        };
        match result {
            Ok(true) => return Verdict::Fit,
            Err(error) if error.lease_is_lost() => return Verdict::Stopped,
            Ok(false) | Err(_) => {}
        }
        tries = tries.saturating_add(1);
        if tries >= MOST_TRIES {
            return Verdict::Unfit;
        }
        tokio::select! {
            () = stop.cancelled() => return Verdict::Stopped,
            () = tokio::time::sleep(backoff::delay(FIRST, tries, rand::random())) => {}
        }
    }
}

/// Asks once; anything but the right account is shown on the AccountRegion.
pub async fn verify(place: &Place) -> Result<bool, PassError> {
    let wanted = &place.lease.place.account;
    let (code, message) = match place.gateway.caller_account().await {
        Ok(account) if account == *wanted => {
            let mut tx = place.begin().await?;
            leases::record_entered(&mut tx, place.lease.account_region).await?;
            tx.commit().await.map_err(StoreError::from)?;
            return Ok(true);
        }
        Ok(account) => (
            WRONG_ACCOUNT.to_owned(),
            format!("the credentials belong to account {account}, so nothing is done here"),
        ),
        Err(error) if not_made(&error) => return Err(error.into()),
        Err(error) => (error.code().to_owned(), error.to_string()),
    };
    tracing::error!(account = %wanted, region = %place.lease.place.region, code, "cannot work in an AccountRegion: {message}");
    let noted = ListingError {
        code,
        message,
        at: place.now(),
        next_at: None,
    };
    let mut tx = place.begin().await?;
    account_regions::record_error(&mut tx, place.lease.account_region, &noted).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(false)
}
