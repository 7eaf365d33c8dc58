//! What settling a drift of an AccountRegion does: an endpoint service that nobody registered is taken over, or left alone.

use super::AppError;
use super::code::Code;
use super::import_services::take_over;
use super::settle_drift::{Remedy, inapplicable};
use crate::domain::drift_inbox::{Drift, DriftVerb, Inapplicable};
use crate::store::{PgConnection, account_regions, inventory};

/// Registers the service as adopted, which closes the drift; or leaves it. There is no reverting: nothing here made it.
pub(super) async fn settle(
    conn: &mut PgConnection,
    remedy: &Remedy<'_>,
    drift: &Drift,
) -> Result<(), AppError> {
    match remedy.verb {
        DriftVerb::Ignore => Ok(()),
        DriftVerb::Revert => {
            let why = "Portcullis deletes no service that it did not create; delete it in AWS, or ignore it";
            Err(inapplicable(&Inapplicable::NotRevertible(why.to_owned())))
        }
        DriftVerb::Adopt => {
            let place = drift.account_region_id;
            let all = inventory::all(conn, place, true).await?;
            let service = all.iter().find(|s| s.id().as_str() == drift.subject);
            let service = service.ok_or_else(|| {
                AppError::internal("a drift names a service that the inventory has not")
            })?;
            if let Some(unfit) = service.unfit() {
                let why = format!("the service is {}", unfit.as_str().replace('_', " "));
                return Err(inapplicable(&Inapplicable::NotAdoptable(why)));
            }
            let reason = Some(remedy.reason);
            let place = account_regions::by_id(conn, place).await?.ok_or_else(|| {
                AppError::internal("a drift of an AccountRegion that is not there")
            })?;
            take_over(conn, remedy.actor, &place, service, reason, remedy.at)
                .await?
                .ok_or_else(|| {
                    AppError::new(Code::ServiceExists, "it was registered a moment ago")
                })?;
            Ok(())
        }
    }
}
