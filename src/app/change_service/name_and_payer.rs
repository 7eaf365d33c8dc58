//! The two members that cannot be taken back easily, or at all: the private DNS name and who pays.

use super::Member;
use super::load_balancers::refuse_gateways;
use crate::app::AppError;
use crate::app::code::Code;
use crate::domain::endpoint_service::{RegisteredService, WantedName};
use crate::domain::private_dns;
use crate::domain::service_plan::SERVICE_OWNER;

/// The private DNS name that is wanted from now on.
pub(super) fn wanted_name(
    service: &RegisteredService,
    name: Member,
    confirmed: bool,
) -> Result<WantedName, AppError> {
    let field = "private_dns_name";
    let name = match name {
        Member::Absent => return Ok(service.private_dns_name.clone()),
        Member::Null => {
            refuse_unconfirmed_removal(service, confirmed)?;
            return Ok(WantedName::Absent);
        }
        Member::Value(name) => name,
    };
    refuse_gateways(service, field)?;
    match private_dns::refusal(&name) {
        Some(why) => Err(AppError::new(Code::InvalidRequest, why).field(field)),
        None => Ok(WantedName::Name(name)),
    }
}

/// Consumers may use the name: to take it away takes a confirmation.
fn refuse_unconfirmed_removal(
    service: &RegisteredService,
    confirmed: bool,
) -> Result<(), AppError> {
    let shown = service.observed.as_ref();
    let shown = shown.and_then(|seen| seen.service.private_dns_name.as_ref());
    let has_one = service.private_dns_name.name().is_some() || shown.is_some();
    if has_one && !confirmed {
        let detail =
            "consumers who use the name lose it; confirm it with confirm_remove_private_dns_name";
        return Err(AppError::new(Code::ConfirmationRequired, detail).field("private_dns_name"));
    }
    Ok(())
}

/// Whether the owner pays from now on. There is no way back in AWS, and none here.
pub(super) fn owner_pays(
    service: &RegisteredService,
    payer: &Member,
    confirmed: bool,
) -> Result<bool, AppError> {
    let field = "payer_responsibility";
    let shown = service.observed.as_ref();
    let paid = shown.and_then(|seen| seen.service.payer_responsibility.as_deref());
    let pays = service.service_owner_pays || paid == Some(SERVICE_OWNER);
    match payer {
        Member::Absent => Ok(service.service_owner_pays),
        Member::Null if pays => {
            let detail = "AWS has no way back from ServiceOwner";
            Err(AppError::new(Code::PayerIrreversible, detail).field(field))
        }
        Member::Null => Ok(false),
        Member::Value(payer) if payer == SERVICE_OWNER && (pays || confirmed) => Ok(true),
        Member::Value(payer) if payer == SERVICE_OWNER => {
            let detail = "the owner then pays for every endpoint, for ever; confirm it with confirm_payer_irreversible";
            Err(AppError::new(Code::ConfirmationRequired, detail).field(field))
        }
        Member::Value(_) => {
            let detail = "ServiceOwner is the only payer that can be chosen";
            Err(AppError::new(Code::InvalidRequest, detail).field(field))
        }
    }
}
