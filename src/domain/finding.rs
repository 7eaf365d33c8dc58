//! What a light comparison finds between what was bought, who is let in and who is connected, and what mends it. Pure.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::ids::{AgreementId, ConnectionId, EndpointServiceId, FindingId, ListingId};
use super::text::text_enum;

text_enum!(
    /// What was found.
    FindingKind {
        /// An account of an agreement in force is not let in to a service that was bought.
        PaidNotGranted = "paid_not_granted",
        /// A principal is let in to a service that is sold, and nothing stands for it.
        GrantedNotPaid = "granted_not_paid",
        /// A connection to a service that is sold is live, and no agreement pays for it.
        ConnectedNotPaid = "connected_not_paid",
        /// AWS lets a principal in that nobody here asked for.
        PrincipalUnknown = "principal_unknown",
        /// A buyer of what is in force belongs to no consumer: once for each listing.
        NeverRegistered = "never_registered",
    }
);

text_enum!(
    /// Whether it is found still.
    FindingState {
        /// Yes.
        Open = "open",
        /// No: it was mended, or went by itself.
        Resolved = "resolved",
    }
);

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Our id.
    pub id: FindingId,
    /// What was found.
    pub kind: FindingKind,
    /// Of which listing.
    pub listing: Option<ListingId>,
    /// Of which agreement.
    pub agreement: Option<AgreementId>,
    /// About which account.
    pub account: Option<String>,
    /// On which service.
    pub service: Option<EndpointServiceId>,
    /// About which principal.
    pub principal: Option<String>,
    /// About which connection.
    pub connection: Option<ConnectionId>,
    /// When it was found first.
    pub first_seen_at: DateTime<Utc>,
    /// When it was found last.
    pub last_seen_at: DateTime<Utc>,
    /// When it was not found any more.
    pub resolved_at: Option<DateTime<Utc>>,
}

/// A service whose principals a finding is about, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its version.
    pub version: i64,
    /// The principals that are asked for.
    pub principals: Vec<String>,
}

/// A listing that lets nobody in by an agreement: it is limited, and the buyer is not on its allow-list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The listing.
    pub listing: ListingId,
    /// Its version.
    pub version: i64,
    /// Who is on its allow-list.
    pub allow_list: Vec<String>,
    /// Who bought.
    pub buyer: String,
}

/// The operation of this API that mends a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mend {
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: String,
    /// The body.
    pub body: Value,
    /// What it does, and what else could be done.
    pub sentence: String,
}

/// Lists of principals are replaced as a whole, and a body that names one is true of one version.
const FRESH: &str = "The body is of the service as it is now: if that is changed before it is sent (service_changed), read the finding again, or make the body anew from GET /v1/services/{id}.";

impl Finding {
    /// What mends it; `None` once it is resolved, and where the service is not known any more. `closed` is the listing of its agreement, where that lets nobody in by it.
    pub fn mend(&self, service: Option<&Named>, closed: Option<&Closed>) -> Option<Mend> {
        if self.resolved_at.is_some() {
            return None;
        }
        let account = self.account.as_deref().unwrap_or_default();
        match self.kind {
            FindingKind::PaidNotGranted => self.let_in(account, service, closed),
            FindingKind::GrantedNotPaid => {
                let (named, principal) = (service?, self.principal.as_ref()?);
                let left = named.principals.iter().filter(|it| *it != principal);
                Some(Mend {
                    method: "PATCH",
                    path: format!("/v1/services/{}", self.service?),
                    body: json!({
                        "version": named.version,
                        "allowed_principals": left.collect::<Vec<_>>(),
                        "reason": "granted_not_paid",
                    }),
                    sentence: format!(
                        "Takes {principal} off the service; what is connected stays. {FRESH} If it shall be let in, make an agreement or approve an access request."
                    ),
                })
            }
            FindingKind::ConnectedNotPaid => Some(Mend {
                method: "POST",
                path: format!("/v1/connections/{}/revoke", self.connection?),
                body: json!({ "reason": "connected_not_paid" }),
                sentence: format!(
                    "Cuts the connection of {account} off. If it shall stay, make an agreement that pays for it."
                ),
            }),
            FindingKind::PrincipalUnknown => {
                let (named, principal) = (service?, self.principal.as_ref()?);
                let mut all = named.principals.clone();
                all.push(principal.clone());
                Some(Mend {
                    method: "PATCH",
                    path: format!("/v1/services/{}", self.service?),
                    body: json!({
                        "version": named.version,
                        "allowed_principals": all,
                        "reason": "principal_unknown",
                    }),
                    sentence: format!(
                        "Asks for {principal} here. {FRESH} If it shall not be let in, take it out in AWS: what others put there is not removed by itself."
                    ),
                })
            }
            FindingKind::NeverRegistered => Some(Mend {
                method: "POST",
                path: "/v1/consumers/{consumer_id}/accounts".to_owned(),
                body: json!({ "account_id": account, "reason": "never_registered" }),
                sentence: format!(
                    "Says whose {account} is: put the consumer's id into the path, or register the consumer first (POST /v1/consumers)."
                ),
            }),
        }
    }

    /// What lets in an account that has paid: it depends on what keeps it out.
    fn let_in(
        &self,
        account: &str,
        service: Option<&Named>,
        closed: Option<&Closed>,
    ) -> Option<Mend> {
        let root = format!("::{account}:root");
        let asked = |named: &&Named| named.principals.iter().any(|it| it.ends_with(&root));
        if let Some(named) = service.filter(asked) {
            // It is asked for here, so what is missing is missing in AWS: nothing that is given once more would be told to AWS.
            return Some(Mend {
                method: "PATCH",
                path: format!("/v1/services/{}", self.service?),
                body: json!({ "version": named.version, "reason": "paid_not_granted" }),
                sentence: format!(
                    "{account} is asked for here, and AWS does not name it: has AWS follow again, in all that differs on the service. {FRESH} If it shall not be let in, end the agreement or detach the account."
                ),
            });
        }
        if let Some(closed) = closed {
            let mut all = closed.allow_list.clone();
            all.push(closed.buyer.clone());
            return Some(Mend {
                method: "PATCH",
                path: format!("/v1/listings/{}", closed.listing),
                body: json!({ "version": closed.version, "allow_list": all, "reason": "paid_not_granted" }),
                sentence: format!(
                    "The listing is limited, and its buyer {} is not on its allow-list, so nobody is let in by the agreement: puts the buyer back on it. The worker then lets {account} in; if somebody had taken it out by hand, read the finding again. The body is of the listing as it is now: if that is changed before it is sent (listing_changed), read the finding again. If the buyer shall not be a customer any more, POST /v1/agreements/{}/cancel.",
                    closed.buyer, self.agreement?
                ),
            });
        }
        Some(Mend {
            method: "POST",
            path: format!("/v1/agreements/{}/grant", self.agreement?),
            body: json!({ "reason": "paid_not_granted" }),
            sentence: format!(
                "Lets {account} in again. If it shall not be let in, end the agreement or detach the account."
            ),
        })
    }
}
