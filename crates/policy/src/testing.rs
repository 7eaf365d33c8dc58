//! Facts for tests: a proven account of a registered consumer asks for a service in `eu-central-1`, on a Friday at 12:30 UTC.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::{
    Account, Agreement, Consumer, Counts, Diagnostic, Endpoint, Facts, Listing, PolicySet, Service,
};

/// 2027-01-15 12:30:00 UTC, a Friday.
pub(crate) const FRIDAY_NOON: i64 = 1_800_016_200;

static LABELS: LazyLock<BTreeMap<String, String>> =
    LazyLock::new(|| BTreeMap::from([("tier".to_owned(), "gold".to_owned())]));
static TAGS: LazyLock<BTreeMap<String, String>> =
    LazyLock::new(|| BTreeMap::from([("stage".to_owned(), "live".to_owned())]));
static REGIONS: LazyLock<Vec<String>> = LazyLock::new(|| vec!["eu-west-1".to_owned()]);
static ZONES: LazyLock<Vec<String>> =
    LazyLock::new(|| vec!["euc1-az1".to_owned(), "euc1-az2".to_owned()]);

pub(crate) fn facts() -> Facts<'static> {
    Facts {
        account: Account {
            id: "444455556666",
            proven: true,
            consumer: Some(Consumer {
                id: "cns_1",
                name: "Example",
                labels: &LABELS,
            }),
        },
        service: Service {
            id: "svc_1",
            name: "ledger",
            account: "111122223333",
            region: "eu-central-1",
            other_regions: &REGIONS,
            tags: &TAGS,
        },
        endpoint: Endpoint {
            id: "vpce-0123456789abcdef0",
            region: "eu-central-1",
            zones: Some(&ZONES),
            ip_address_type: Some("ipv4"),
        },
        live: false,
        approved: false,
        waited_seconds: 60,
        counts: Counts {
            connections: 3,
            on_service: 1,
            regions: 1,
        },
        unix_seconds: FRIDAY_NOON,
        listing: Some(Listing {
            id: "lst_1",
            state: "public",
            plan: Some("basic"),
        }),
        agreement: Some(Agreement {
            id: "agr_1",
            state: "active",
            source: "aws",
        }),
    }
}

/// The least there can be: an account that nobody knows, and nothing sold.
pub(crate) fn bare() -> Facts<'static> {
    let mut facts = facts();
    facts.account.consumer = None;
    facts.account.proven = false;
    facts.endpoint.zones = None;
    facts.endpoint.ip_address_type = None;
    facts.listing = None;
    facts.agreement = None;
    facts
}

pub(crate) fn compiled(text: &str) -> PolicySet {
    PolicySet::compile(text).unwrap_or_else(|wrong| panic!("{text}\n{wrong:#?}"))
}

pub(crate) fn wrong(text: &str) -> Vec<Diagnostic> {
    PolicySet::compile(text).expect_err("it compiled")
}
