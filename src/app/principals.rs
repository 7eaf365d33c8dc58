//! Lists of allowed principals, as callers give them.

use super::AppError;
use super::code::Code;
use crate::domain::principal;
use crate::domain::service_plan::EVERYBODY;

/// The most principals that one service may name.
const MOST_PRINCIPALS: usize = 500;

/// Brings each to the form that AWS stores and drops repeats.
pub(super) fn normalised_principals(given: &[String]) -> Result<Vec<String>, AppError> {
    if given.len() > MOST_PRINCIPALS {
        let detail = format!(
            "give at most {MOST_PRINCIPALS} principals, not {}",
            given.len()
        );
        return Err(AppError::new(Code::InvalidRequest, detail).field("allowed_principals"));
    }
    let mut all = Vec::with_capacity(given.len());
    for (index, principal) in given.iter().enumerate() {
        let principal =
            principal::normalise(principal).map_err(|refusal| blame(index, refusal.to_string()))?;
        if !all.contains(&principal) {
            all.push(principal);
        }
    }
    Ok(all)
}

/// Brings one to that form; `field` is where the caller gave it.
pub(super) fn normalised(field: &str, given: &str) -> Result<String, AppError> {
    principal::normalise(given)
        .map_err(|refusal| AppError::new(Code::InvalidRequest, refusal.to_string()).field(field))
}

/// Whether everybody with an AWS account is among them.
pub(super) fn has_everybody(principals: &[String]) -> bool {
    principals.iter().any(|principal| principal == EVERYBODY)
}

/// Refuses `*`, for a service that accepts by itself and where nobody confirmed that this is meant.
pub(super) fn refuse_everybody(principals: &[String]) -> Result<(), AppError> {
    match principals.iter().position(|p| p == EVERYBODY) {
        None => Ok(()),
        Some(index) => Err(blame(
            index,
            "* without acceptance would open the load balancer to everybody with an AWS account; \
             confirm it with confirm_open_to_everybody"
                .to_owned(),
        )),
    }
}

fn blame(index: usize, detail: String) -> AppError {
    AppError::new(Code::InvalidRequest, detail).field(format!("allowed_principals[{index}]"))
}
