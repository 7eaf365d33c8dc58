//! The gates and their order.

use super::facts::Facts;
use super::gates;
use super::reason::Reason;
use super::{Outcome, text_enum};

text_enum!(
    /// What is asked before the policies are, in this order. The first that has something to say decides.
    Gate {
        /// Is the account, or its consumer, on the deny list?
        DenyList = "deny_list",
        /// Is the account's access to the service being taken away?
        Access = "access",
        /// Does the service take connections?
        Service = "service",
        /// Does the listing let this consumer in?
        Listing = "listing",
        /// Is the endpoint where the service and the plan allow it?
        Place = "place",
        /// Is there an agreement, and is it in force?
        Agreement = "agreement",
        /// Which licence pays?
        Licence = "licence",
        /// Is there room under every limit?
        Quota = "quota",
        /// Has a person to approve first?
        Approval = "approval",
        /// Is registration complete, where the plan asks for it?
        Registration = "registration",
        /// What do the policies say? This one always answers.
        Policy = "policy",
    }
);

/// What a gate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hit {
    /// Reject or hold; a gate never accepts.
    pub(super) outcome: Outcome,
    /// Why; at least one.
    pub(super) reasons: Vec<Reason>,
}

impl Gate {
    /// What the gate asks, and why it stands where it does.
    pub fn about(self) -> &'static str {
        match self {
            Self::DenyList => {
                "Is the account, or its consumer, on the deny list? First, so that nothing can come before it: what is denied is rejected, whatever else is true."
            }
            Self::Access => {
                "Is the account's access to the service being taken away? What was accepted before has the grace that the removal gave it: of a live connection this gate says nothing."
            }
            Self::Service => "Does the service take connections?",
            Self::Listing => {
                "Does the listing let this consumer in? Without a listing there is nothing to ask."
            }
            Self::Place => {
                "Is the endpoint in a Region and in zones that the service and the plan allow?"
            }
            Self::Agreement => {
                "Is there an agreement in force, where one is needed? It is where the plan says so, or where there is a listing and no plan."
            }
            Self::Licence => "Which licence pays, where there are licences?",
            Self::Quota => "Is there room under every limit, this connection included?",
            Self::Approval => {
                "Has a person to approve first? One who approved this consumer for this service before has done so."
            }
            Self::Registration => "Is registration complete, where the plan asks for it?",
            Self::Policy => {
                "What do the policies say? A `permit` accepts, a `forbid` rejects, neither holds."
            }
        }
    }

    /// What the gate says about these facts; `None` passes them on. The policies are no gate of this kind and always pass.
    pub(super) fn ask(self, facts: &Facts) -> Option<Hit> {
        match self {
            Self::DenyList => gates::deny_list(facts),
            Self::Access => gates::access(facts),
            Self::Service => gates::service(facts),
            Self::Listing => gates::listing(facts),
            Self::Place => gates::place(facts),
            Self::Agreement => gates::agreement(facts),
            Self::Licence => gates::licence(facts),
            Self::Quota => gates::quota(facts),
            Self::Approval => gates::approval(facts),
            Self::Registration => gates::registration(facts),
            Self::Policy => None,
        }
    }
}
