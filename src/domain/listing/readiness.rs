//! Whether a revision can be sold: checks over facts, pure. What is not known does not pass.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::content::ListingContent;
use crate::domain::ids::{EndpointServiceId, ListingId};
use crate::domain::lifecycle::LifecycleState;
use crate::domain::private_dns::DnsState;
use crate::domain::service_plan::EVERYBODY;
use crate::domain::text::text_enum;

/// The fewest zones with a healthy target.
pub const FEWEST_ZONES: usize = 2;

text_enum!(
    /// What is asked before a revision is sold.
    ReadinessCheck {
        /// Does AWS show the service as Available, and is it in use here?
        ServiceAvailable = "service_available",
        /// Are the allowed principals accounts, and not everybody?
        NoWildcardPrincipal = "no_wildcard_principal",
        /// Is the private DNS name verified, where there is one?
        PrivateDnsVerified = "private_dns_verified",
        /// Have at least two zones a healthy target?
        ZonesHealthy = "zones_healthy",
        /// Does no other listing sell the service?
        ServiceFree = "service_free",
        /// Has an account of the allow-list been connected?
        TestConnection = "test_connection",
        /// Is it said where to register?
        FulfilmentUrl = "fulfilment_url",
        /// Is it said where to ask for help?
        SupportContact = "support_contact",
    }
);

impl ReadinessCheck {
    /// Whether it has to pass before a revision is submitted, too, and whenever one is released.
    pub fn before_review(self) -> bool {
        matches!(self, Self::ServiceAvailable | Self::NoWildcardPrincipal)
    }
}

text_enum!(
    /// How a readiness check came out.
    ReadinessStatus {
        /// It holds.
        Pass = "pass",
        /// It does not.
        Fail = "fail",
        /// Nobody has looked yet, or AWS did not tell.
        Unknown = "unknown",
        /// It held when somebody looked last, and that is too long ago to sell by.
        Stale = "stale",
    }
);

/// A readiness check, and how it came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    /// What was asked.
    pub check: ReadinessCheck,
    /// How it came out.
    pub status: ReadinessStatus,
    /// The service that it is about; null for the listing as a whole.
    pub service_id: Option<EndpointServiceId>,
    /// What was seen.
    #[schema(example = "AWS shows the service as Available")]
    pub evidence: String,
    /// When that was seen last, or since when it is so for a test connection; null where nobody has looked, and where the check rests on nothing that is looked at.
    #[schema(example = "2026-11-27T09:30:00Z")]
    pub observed_at: Option<DateTime<Utc>>,
}

/// What is known of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceReadiness {
    /// The service.
    pub id: EndpointServiceId,
    /// Where it is in its life here.
    pub lifecycle: LifecycleState,
    /// What AWS says of it; `None` until it was read.
    pub state: Option<String>,
    /// When it was read last, with its principals and its private DNS name.
    pub read_at: Option<DateTime<Utc>>,
    /// The principals that are desired, and those that AWS has.
    pub principals: BTreeSet<String>,
    /// Whether AWS's were read.
    pub principals_read: bool,
    /// Where the proof of its private DNS name stands; `None` where nobody has looked since a name was wanted.
    pub private_dns: Option<DnsState>,
    /// The zones with a healthy target, by id; `None` where that cannot be told.
    pub healthy_zones: Option<BTreeSet<String>>,
    /// When somebody looked behind it last.
    pub looked_at: Option<DateTime<Utc>>,
    /// The other listing that sells it.
    pub sold_by: Option<ListingId>,
}

/// What is known beside the content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadinessFacts {
    /// The services, as many as are registered.
    pub services: Vec<ServiceReadiness>,
    /// Since when an account of the allow-list is connected to one of them, or when it last came to be; `None` where none ever was.
    pub test_connection: Option<DateTime<Utc>>,
}

/// Asks every check, service by service, then the listing's own. What held when it was last seen, before `since`, does not pass.
pub fn readiness(
    content: &ListingContent,
    facts: &ReadinessFacts,
    since: DateTime<Utc>,
) -> Vec<Readiness> {
    let mut all = Vec::new();
    for listed in &content.services {
        let id = listed.service_id;
        match facts.services.iter().find(|service| service.id == id) {
            Some(service) => all.extend(of_service(service, since)),
            None => all.push(Readiness {
                check: ReadinessCheck::ServiceAvailable,
                status: ReadinessStatus::Fail,
                service_id: Some(id),
                evidence: format!("there is no service {id}"),
                observed_at: None,
            }),
        }
    }
    let own = |check, good, evidence: &str| Readiness {
        check,
        status: if good {
            ReadinessStatus::Pass
        } else {
            ReadinessStatus::Fail
        },
        service_id: None,
        evidence: evidence.to_owned(),
        observed_at: None,
    };
    let connected = if facts.test_connection.is_some() {
        "an account of the allow-list has been connected"
    } else {
        "no account of the allow-list has been connected yet"
    };
    // That it once worked stays true: whoever reads it is told when, and may ask for another test.
    all.push(Readiness {
        observed_at: facts.test_connection,
        ..own(
            ReadinessCheck::TestConnection,
            facts.test_connection.is_some(),
            connected,
        )
    });
    let address = content.fulfilment_url.as_deref();
    all.push(own(
        ReadinessCheck::FulfilmentUrl,
        address.is_some(),
        address.unwrap_or("there is no fulfilment_url"),
    ));
    let contact = content
        .support_url
        .as_deref()
        .or(content.support_email.as_deref());
    all.push(own(
        ReadinessCheck::SupportContact,
        contact.is_some(),
        contact.unwrap_or("there is neither support_url nor support_email"),
    ));
    all
}

fn of_service(service: &ServiceReadiness, since: DateTime<Utc>) -> Vec<Readiness> {
    let said = |check, (status, evidence): (ReadinessStatus, String), observed_at| {
        let (status, evidence) = aged(status, evidence, observed_at, since);
        Readiness {
            check,
            status,
            service_id: Some(service.id),
            evidence,
            observed_at,
        }
    };
    let verdict = |good| {
        if good {
            ReadinessStatus::Pass
        } else {
            ReadinessStatus::Fail
        }
    };
    let available = match (&service.lifecycle, service.state.as_deref()) {
        (LifecycleState::Active, Some(state)) => (
            verdict(state == "Available"),
            format!("AWS shows the service as {state}"),
        ),
        (LifecycleState::Active, None) => {
            (ReadinessStatus::Unknown, "AWS was not read yet".to_owned())
        }
        (life, _) => (ReadinessStatus::Fail, format!("the service is {life}")),
    };
    let everybody = service.principals.contains(EVERYBODY);
    let principals = match (everybody, service.principals_read) {
        (true, _) => (
            ReadinessStatus::Fail,
            "* lets everybody with an AWS account ask; name accounts instead".to_owned(),
        ),
        (false, true) => (
            ReadinessStatus::Pass,
            format!("{} principals, none of them *", service.principals.len()),
        ),
        (false, false) => (
            ReadinessStatus::Unknown,
            "the principals were not read from AWS yet".to_owned(),
        ),
    };
    let dns = match service.private_dns {
        None => (
            ReadinessStatus::Unknown,
            "the private DNS name was not looked at yet".to_owned(),
        ),
        Some(DnsState::None) => (
            ReadinessStatus::Pass,
            "there is no private DNS name".to_owned(),
        ),
        Some(state) => (
            verdict(state == DnsState::Verified),
            format!("the private DNS name is {state}"),
        ),
    };
    let zones = match &service.healthy_zones {
        None => (
            ReadinessStatus::Unknown,
            "nobody has looked behind the service yet, or AWS did not tell".to_owned(),
        ),
        Some(zones) => {
            let listed: Vec<&str> = zones.iter().map(String::as_str).collect();
            let where_to = if listed.is_empty() {
                "no zone".to_owned()
            } else {
                listed.join(", ")
            };
            (
                verdict(zones.len() >= FEWEST_ZONES),
                format!("healthy targets in {where_to}"),
            )
        }
    };
    let free = match service.sold_by {
        None => (
            ReadinessStatus::Pass,
            "no other listing sells the service".to_owned(),
        ),
        Some(other) => (
            ReadinessStatus::Fail,
            format!("the listing {other} sells the service"),
        ),
    };
    let (read, looked) = (service.read_at, service.looked_at);
    vec![
        said(ReadinessCheck::ServiceAvailable, available, read),
        said(ReadinessCheck::NoWildcardPrincipal, principals, read),
        said(ReadinessCheck::PrivateDnsVerified, dns, read),
        said(ReadinessCheck::ZonesHealthy, zones, looked),
        said(ReadinessCheck::ServiceFree, free, None),
    ]
}

/// What passes by what was seen before `since` does not pass. What fails goes on failing, however old it is.
fn aged(
    status: ReadinessStatus,
    evidence: String,
    observed_at: Option<DateTime<Utc>>,
    since: DateTime<Utc>,
) -> (ReadinessStatus, String) {
    match observed_at {
        Some(at) if status == ReadinessStatus::Pass && at < since => {
            let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            let evidence =
                format!("{evidence}, when it was last looked at, at {at}: too long ago to sell by");
            (ReadinessStatus::Stale, evidence)
        }
        _ => (status, evidence),
    }
}

/// Those that do not pass.
pub fn failing(all: Vec<Readiness>) -> Vec<Readiness> {
    let failing = all
        .into_iter()
        .filter(|one| one.status != ReadinessStatus::Pass);
    failing.collect()
}
