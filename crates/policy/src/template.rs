//! Ready policies to begin with. Each is a file that compiles as it is; what to change is said in it.

/// A ready policy text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template {
    /// Its word.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// The text.
    pub text: &'static str,
}

/// The templates, in the order of the documentation.
pub const TEMPLATES: &[Template] = &[
    Template {
        name: "known-accounts",
        summary: "Accepts accounts of registered consumers, once it is proven that the account is theirs.",
        text: include_str!("../templates/known-accounts.cedar"),
    },
    Template {
        name: "approved-requests",
        summary: "Accepts accounts whose access request for the service was approved before they made the endpoint.",
        text: include_str!("../templates/approved-requests.cedar"),
    },
    Template {
        name: "active-agreement",
        summary: "Accepts consumers with an active agreement.",
        text: include_str!("../templates/active-agreement.cedar"),
    },
    Template {
        name: "business-hours",
        summary: "Accepts known accounts from Monday to Friday between 8 and 18 o'clock UTC, so that somebody is there to watch.",
        text: include_str!("../templates/business-hours.cedar"),
    },
    Template {
        name: "regions",
        summary: "Accepts known accounts from a list of Regions, and refuses all others.",
        text: include_str!("../templates/regions.cedar"),
    },
    Template {
        name: "quota",
        summary: "Accepts known accounts up to a number of connections that depends on a label; above it, a person decides.",
        text: include_str!("../templates/quota.cedar"),
    },
];
