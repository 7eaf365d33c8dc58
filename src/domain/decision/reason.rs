//! Why a decision is as it is: a stable code, and a sentence for the consumer.

use serde::{Deserialize, Serialize};

use crate::domain::text::text_enum;

text_enum!(
    /// The codes of our own. Policies may bring codes of their provider's.
    ReasonCode {
        /// The account or its consumer is on the deny list.
        AccountDenied = "account_denied",
        /// The account's access to the service is being taken away.
        AccessEnding = "access_ending",
        /// The service is blocked.
        ServiceBlocked = "service_blocked",
        /// The service is being emptied.
        ServiceDraining = "service_draining",
        /// The service is gone, going, or no longer managed here.
        ServiceClosed = "service_closed",
        /// The listing is not released yet.
        ListingNotReleased = "listing_not_released",
        /// The listing is released to an allow-list without this consumer.
        NotOnAllowList = "not_on_allow_list",
        /// The listing takes no new consumers.
        ListingRestricted = "listing_restricted",
        /// The listing is suspended.
        ListingSuspended = "listing_suspended",
        /// The listing is over.
        ListingRetired = "listing_retired",
        /// The service is not offered in the endpoint's Region.
        RegionNotAvailable = "region_not_available",
        /// The plan does not have the endpoint's Region.
        RegionNotInPlan = "region_not_in_plan",
        /// The plan does not have one of the endpoint's zones.
        ZoneNotInPlan = "zone_not_in_plan",
        /// The plan has some zones only, and AWS does not tell the endpoint's.
        ZoneUnknown = "zone_unknown",
        /// There is no agreement.
        NoAgreement = "no_agreement",
        /// The agreement has not begun.
        AgreementNotStarted = "agreement_not_started",
        /// Something about the agreement has to be looked at.
        AgreementInReview = "agreement_in_review",
        /// Another agreement took its place.
        AgreementSuperseded = "agreement_superseded",
        /// The agreement is over.
        AgreementEnded = "agreement_ended",
        /// Several licences could pay.
        LicenceAmbiguous = "licence_ambiguous",
        /// No licence has a free place.
        LicencesFull = "licences_full",
        /// A limit would be exceeded.
        QuotaExceeded = "quota_exceeded",
        /// A person has to approve.
        NeedsApproval = "needs_approval",
        /// Nobody approved in time.
        ApprovalTimedOut = "approval_timed_out",
        /// Registration is not complete.
        RegistrationIncomplete = "registration_incomplete",
        /// What was bought, or that it is open to everybody, is a right to connect.
        Entitled = "entitled",
        /// A policy permits it and gives no code of its own.
        PolicyPermits = "policy_permits",
        /// A policy forbids it and gives no code of its own.
        PolicyForbids = "policy_forbids",
        /// No policy speaks of it.
        NoPolicyApplies = "no_policy_applies",
        /// There are no policies.
        NoPolicy = "no_policy",
        /// A policy could not be evaluated.
        PolicyFailed = "policy_failed",
    }
);

/// One reason. The sentence is for the consumer and says nothing that only the provider should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// A [`ReasonCode`]'s word, or a policy's `@reason`.
    pub code: String,
    /// One sentence.
    pub sentence: String,
}

impl ReasonCode {
    /// The sentence for the consumer, where nothing more precise can be said.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::AccountDenied => "Your account may not connect.",
            Self::AccessEnding => "Your access to the service is ending.",
            Self::ServiceBlocked => "The service takes no connections at the moment.",
            Self::ServiceDraining => "The service is being closed and takes no new connections.",
            Self::ServiceClosed => "The service is closed.",
            Self::ListingNotReleased => "The service is not offered yet.",
            Self::NotOnAllowList => "The service is offered to invited accounts only.",
            Self::ListingRestricted => "The service takes no new consumers.",
            Self::ListingSuspended => "The service takes no new connections for the time being.",
            Self::ListingRetired => "The service is no longer offered.",
            Self::RegionNotAvailable => {
                "The service is not offered in the Region of your endpoint."
            }
            Self::RegionNotInPlan => "Your plan does not include the Region of your endpoint.",
            Self::ZoneNotInPlan => {
                "Your plan does not include an Availability Zone of your endpoint."
            }
            Self::ZoneUnknown => "The Availability Zones of your endpoint have to be checked.",
            Self::NoAgreement => "There is no agreement for your account.",
            Self::AgreementNotStarted => "Your agreement has not begun.",
            Self::AgreementInReview => "Your agreement is being looked at.",
            Self::AgreementSuperseded => {
                "Your agreement was replaced, and the new one is not in force yet."
            }
            Self::AgreementEnded => "Your agreement is over.",
            Self::LicenceAmbiguous => {
                "You have several licences; say which one pays for this connection."
            }
            Self::LicencesFull => "Your licences have no room for another endpoint.",
            Self::QuotaExceeded => "You have reached a limit of your plan.",
            Self::ApprovalTimedOut => "Nobody approved your request in time.",
            Self::RegistrationIncomplete => "Your registration is not complete.",
            Self::Entitled => "You have a right to connect.",
            Self::PolicyPermits => "Your request meets the provider's conditions.",
            Self::PolicyForbids => "Your request does not meet the provider's conditions.",
            // What keeps the provider's policies from answering is the provider's business.
            Self::NeedsApproval | Self::NoPolicyApplies | Self::NoPolicy | Self::PolicyFailed => {
                "The provider looks at your request."
            }
        }
    }
}

impl Reason {
    /// A reason of ours with a more precise sentence.
    pub(super) fn with(code: ReasonCode, sentence: String) -> Self {
        Self {
            code: code.as_str().to_owned(),
            sentence,
        }
    }
}

impl From<ReasonCode> for Reason {
    fn from(code: ReasonCode) -> Self {
        Self::with(code, code.sentence().to_owned())
    }
}
