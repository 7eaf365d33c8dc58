//! Grace: how long what is connected may stay after an agreement has ended, by why it ended.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::plan::{Plan, PricingModel};
use crate::domain::text::text_enum;

/// The longest grace, in seconds: 90 days.
pub const LONGEST_GRACE: u64 = 90 * 86_400;

text_enum!(
    /// Why an agreement ended.
    EndCause {
        /// Its time was over.
        Expired = "expired",
        /// The consumer cancelled it.
        Cancelled = "cancelled",
        /// The provider, or AWS, terminated it.
        Terminated = "terminated",
        /// It was not paid for.
        Payment = "payment",
        /// The trial was over.
        TrialEnd = "trial_end",
    }
);

/// How long what is connected may stay after an end, in seconds, by why it ended. What is absent has a default, which depends on the pricing model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Grace {
    /// After its time was over: three days, or 45 minutes where usage is paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 7_776_000, example = 259_200)]
    pub expired: Option<u64>,
    /// After the consumer cancelled: a day, or 45 minutes where usage is paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 7_776_000, example = 86_400)]
    pub cancelled: Option<u64>,
    /// After it was terminated: an hour, or 45 minutes where usage is paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 7_776_000, example = 3600)]
    pub terminated: Option<u64>,
    /// After it was not paid for: a day, or 45 minutes where usage is paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 7_776_000, example = 86_400)]
    pub payment: Option<u64>,
    /// After the trial was over: a day, or 45 minutes where usage is paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 7_776_000, example = 86_400)]
    pub trial_end: Option<u64>,
}

impl Grace {
    /// What a plan says itself about a cause.
    pub fn said(&self, cause: EndCause) -> Option<u64> {
        match cause {
            EndCause::Expired => self.expired,
            EndCause::Cancelled => self.cancelled,
            EndCause::Terminated => self.terminated,
            EndCause::Payment => self.payment,
            EndCause::TrialEnd => self.trial_end,
        }
    }
}

/// The grace of a plan that says nothing itself, in seconds. Usage after the last metering hour can be billed to nobody through AWS, so where usage is paid for it
/// is cut before that hour ends.
pub fn default_grace(model: PricingModel, cause: EndCause) -> u64 {
    if model.has_usage() {
        return 45 * 60;
    }
    match cause {
        EndCause::Expired => 72 * 3600,
        EndCause::Cancelled | EndCause::Payment | EndCause::TrialEnd => 24 * 3600,
        EndCause::Terminated => 3600,
    }
}

impl Plan {
    /// How long what is connected may stay after an end for this cause, in seconds.
    pub fn grace_seconds(&self, cause: EndCause) -> u64 {
        let said = self.grace.said(cause);
        said.unwrap_or_else(|| default_grace(self.pricing_model, cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_cut_before_it_can_be_billed_to_nobody() {
        for cause in EndCause::ALL {
            for model in [PricingModel::Usage, PricingModel::ContractWithUsage] {
                assert_eq!(default_grace(model, *cause), 2700, "{model} {cause}");
            }
        }
        let contract = |cause| default_grace(PricingModel::Contract, cause) / 3600;
        let hours: Vec<u64> = EndCause::ALL.iter().map(|cause| contract(*cause)).collect();
        assert_eq!(hours, [72, 24, 1, 24, 24]);
    }
}
