//! What can do away with a reason, and who can do it.

use serde_json::{Map, Value};

use crate::domain::text::text_enum;

text_enum!(
    /// Who can bring a change about.
    RemedyBy {
        /// The provider.
        Provider = "provider",
        /// The consumer.
        Consumer = "consumer",
        /// It comes by itself.
        Time = "time",
    }
);

text_enum!(
    /// What would have to change.
    RemedyKind {
        /// The denial.
        LiftDenial = "lift_denial",
        /// The access is being taken away.
        GiveAccessBack = "give_access_back",
        /// The block of the service.
        LiftBlock = "lift_block",
        /// The drain of the service.
        CancelDrain = "cancel_drain",
        /// The service is not managed any more.
        RegisterService = "register_service",
        /// The service does not come back.
        UseAnotherService = "use_another_service",
        /// The listing is not released.
        ReleaseListing = "release_listing",
        /// The consumer is not on the allow-list.
        AddToAllowList = "add_to_allow_list",
        /// The listing takes nobody new.
        ReopenListing = "reopen_listing",
        /// The listing is suspended.
        ResumeListing = "resume_listing",
        /// The service is not in the endpoint's Region.
        AddRegion = "add_region",
        /// The endpoint is where it may not be.
        MoveEndpoint = "move_endpoint",
        /// The plan is too narrow.
        ExtendPlan = "extend_plan",
        /// There is no agreement, or it is over.
        MakeAgreement = "make_agreement",
        /// The agreement has not begun.
        AwaitAgreement = "await_agreement",
        /// The agreement is being looked at.
        SettleAgreement = "settle_agreement",
        /// Several licences could pay.
        ClaimLicence = "claim_licence",
        /// No licence has room.
        AddLicence = "add_licence",
        /// The limit.
        RaiseLimit = "raise_limit",
        /// What is used of the limit.
        GiveUp = "give_up",
        /// Nobody approved yet.
        Approve = "approve",
        /// The time is not over.
        Wait = "wait",
        /// The request came to its end.
        AskAgain = "ask_again",
        /// Registration is not complete.
        CompleteRegistration = "complete_registration",
        /// A policy forbids it.
        ChangePolicy = "change_policy",
        /// No policy permits it.
        WritePolicy = "write_policy",
        /// A policy fails.
        MendPolicy = "mend_policy",
        /// Nothing: it is a person's to decide.
        Decide = "decide",
    }
);

/// One change that would do away with a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// The code of the reason.
    pub reason: String,
    /// What would have to change.
    pub kind: RemedyKind,
    /// The same in a sentence. For the provider's people: it names what the consumer need not know.
    pub sentence: String,
    /// What it is about, for programs: ids, figures, Regions.
    pub details: Map<String, Value>,
}

impl RemedyKind {
    /// Who can bring it about.
    pub fn by(self) -> RemedyBy {
        match self {
            Self::LiftDenial
            | Self::GiveAccessBack
            | Self::LiftBlock
            | Self::CancelDrain
            | Self::RegisterService
            | Self::ReleaseListing
            | Self::AddToAllowList
            | Self::ReopenListing
            | Self::ResumeListing
            | Self::AddRegion
            | Self::ExtendPlan
            | Self::SettleAgreement
            | Self::RaiseLimit
            | Self::Approve
            | Self::ChangePolicy
            | Self::WritePolicy
            | Self::MendPolicy
            | Self::Decide => RemedyBy::Provider,
            Self::UseAnotherService
            | Self::MoveEndpoint
            | Self::MakeAgreement
            | Self::ClaimLicence
            | Self::AddLicence
            | Self::GiveUp
            | Self::AskAgain
            | Self::CompleteRegistration => RemedyBy::Consumer,
            Self::AwaitAgreement | Self::Wait => RemedyBy::Time,
        }
    }

    /// The sentence, where nothing more precise can be said.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::LiftDenial => "Lift the denial.",
            Self::GiveAccessBack => {
                "Take the removal of access back, or name a principal of the account again."
            }
            Self::LiftBlock => "Lift the block of the service.",
            Self::CancelDrain => "Cancel the drain of the service.",
            Self::RegisterService => "Register the service again.",
            Self::UseAnotherService => "Connect to another service; this one does not come back.",
            Self::ReleaseListing => "Release the listing.",
            Self::AddToAllowList => "Put the consumer on the listing's allow-list.",
            Self::ReopenListing => "Open the listing to new consumers.",
            Self::ResumeListing => "Resume the listing.",
            Self::AddRegion => "Offer the service in the endpoint's Region.",
            Self::MoveEndpoint => "Make the endpoint where the service and the plan allow it.",
            Self::ExtendPlan => "Widen the plan, or give the consumer a wider one.",
            Self::MakeAgreement => "Make an agreement.",
            Self::AwaitAgreement => "The agreement comes into force.",
            Self::SettleAgreement => "Finish looking at the agreement.",
            Self::ClaimLicence => "Say which licence pays.",
            Self::AddLicence => {
                "Take a licence with a free place, and claim it where one is claimed."
            }
            Self::RaiseLimit => "Raise the limit.",
            Self::GiveUp => "Give up some of what is used.",
            Self::Approve => "Accept the request.",
            Self::Wait => "The time goes by.",
            Self::AskAgain => "Delete the endpoint and make another one.",
            Self::CompleteRegistration => "Complete the registration.",
            Self::ChangePolicy => "Change the policy, or what it goes by.",
            Self::WritePolicy => "Have a policy permit it.",
            Self::MendPolicy => "Mend the policy that fails.",
            Self::Decide => "A person decides.",
        }
    }
}
