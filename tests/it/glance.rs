//! A page is compared with what is stored by digests: nothing that differs may pass for equal, and what is equal should.

use chrono::TimeDelta;
use portcullis::domain::clock::Clock;
use portcullis::store::glance::{self, Glance};
use portcullis::store::observed::{self, Recorded, Waits};
use portcullis::worker::{Place, observe};
use privatelink::{Connection, ConnectionFilter, ConnectionState, DnsEntry};
use sqlx::types::Json;
use sqlx::{PgPool, Row};

use crate::support::TestApp;

const SEED: i64 = 4711;
const NONE: [usize; 0] = [];

/// Whatever has to be written for a word to be one that the digest could mistake.
const AWKWARD: &str = "a\\b\"c'd/e\u{1}\u{7f}\n\té\u{2028}\u{1f680}-1:x";

/// One connection as AWS shows it, and the store that is asked about it.
struct Subject {
    app: TestApp,
    place: Place,
    seen: Connection,
}

impl Subject {
    async fn start(pool: PgPool) -> Self {
        let app = TestApp::start(pool);
        let service = app.with_service().await;
        app.requested(&service).await;
        let seen = shown(&app).await.remove(0);
        let place = app.place().await;
        Self { app, place, seen }
    }

    async fn glance(&self, page: &[Connection]) -> Glance {
        let mut conn = self.app.db().acquire().await.unwrap();
        glance::at(&mut conn, &self.place.lease, page, SEED)
            .await
            .unwrap()
    }

    /// What a glance at the connection as it is seen shows to be different.
    async fn differing(&self) -> Vec<usize> {
        let page = std::slice::from_ref(&self.seen);
        self.glance(page).await.differing
    }

    async fn live(&self) -> i64 {
        let mut conn = self.app.db().acquire().await.unwrap();
        glance::live(&mut conn, self.place.lease.account_region, SEED)
            .await
            .unwrap()
    }

    async fn record(&self) -> Recorded {
        let waits = Waits {
            patience: TimeDelta::minutes(1),
            stale_read_grace: TimeDelta::seconds(10),
        };
        let mut tx = self.place.begin().await.unwrap();
        let at = self.app.clock.now();
        let recorded = observed::record(&mut tx, &self.place.lease, &[&self.seen], at, waits).await;
        tx.commit().await.unwrap();
        recorded.unwrap()
    }

    /// What is stored of the connection, as far as AWS says it.
    async fn stored(&self) -> Connection {
        let sql = "SELECT observed_state, aws_connection_id, endpoint_region, ip_address_type, dns_entries FROM connections";
        let row = sqlx::query(sql).fetch_one(self.app.db()).await.unwrap();
        let word = |column| row.get::<Option<String>, _>(column);
        Connection {
            state: ConnectionState::parse(&word("observed_state").unwrap()),
            connection_id: word("aws_connection_id"),
            endpoint_region: word("endpoint_region").map(|region| region.parse().unwrap()),
            ip_address_type: word("ip_address_type"),
            dns_entries: row.get::<Json<Vec<DnsEntry>>, _>("dns_entries").0,
            ..self.seen.clone()
        }
    }
}

/// All that AWS shows.
async fn shown(app: &TestApp) -> Vec<Connection> {
    let page = app
        .console()
        .connections(&ConnectionFilter::All, None)
        .await;
    page.unwrap().items
}

/// A change, and what it is called.
type Named = (&'static str, fn(&mut Connection));

/// Each a change to what the ones before it came to.
const CHANGES: [Named; 18] = [
    ("state", |c| c.state = ConnectionState::Available),
    ("an unknown state", |c| {
        c.state = ConnectionState::Unknown(AWKWARD.to_owned());
    }),
    ("id gone", |c| c.connection_id = None),
    ("id that looks like none", |c| {
        c.connection_id = Some("-".to_owned());
    }),
    ("id", |c| {
        c.connection_id = Some(AWKWARD.to_owned());
    }),
    ("empty id", |c| {
        c.connection_id = Some(String::new());
    }),
    ("region", |c| {
        c.endpoint_region = Some("us-east-1".parse().unwrap());
    }),
    ("region gone", |c| c.endpoint_region = None),
    ("address type", |c| {
        c.ip_address_type = Some("dualstack".to_owned());
    }),
    ("address type gone", |c| c.ip_address_type = None),
    ("address type that looks like none", |c| {
        c.ip_address_type = Some("-".to_owned());
    }),
    ("name", |c| {
        AWKWARD.clone_into(&mut c.dns_entries[0].dns_name);
    }),
    ("zone", |c| {
        c.dns_entries[0].hosted_zone_id = Some(AWKWARD.to_owned());
    }),
    ("zone gone", |c| c.dns_entries[0].hosted_zone_id = None),
    ("zone of that name", |c| {
        c.dns_entries[0].hosted_zone_id = Some("null".to_owned());
    }),
    ("order of names", |c| c.dns_entries.rotate_left(1)),
    ("a name less", |c| {
        c.dns_entries.pop();
    }),
    ("no names", |c| c.dns_entries.clear()),
];

/// Every kind of change is seen; and once it is stored, the digests agree again, whatever the words.
#[sqlx::test(migrations = "./migrations")]
async fn a_change_of_every_kind_is_seen_and_stored(pool: PgPool) {
    let mut subject = Subject::start(pool).await;
    assert_eq!(subject.differing().await, NONE, "at rest");
    for (what, change) in CHANGES {
        let before = subject.seen.clone();
        change(&mut subject.seen);
        assert_ne!(subject.seen, before, "{what} changes nothing");
        assert_eq!(subject.differing().await, [0], "{what} is not seen");
        assert_eq!(subject.record().await.changed, 1, "{what}");
        assert_eq!(subject.stored().await, subject.seen, "{what}");
        assert_eq!(
            subject.differing().await,
            NONE,
            "{what} is spelt differently"
        );
        assert_eq!(subject.record().await, Recorded::default(), "{what}");
    }
}

/// The digest is the table's own: whoever writes a row, a glance sees it.
#[sqlx::test(migrations = "./migrations")]
async fn what_somebody_else_writes_into_a_row_is_seen(pool: PgPool) {
    let subject = Subject::start(pool).await;
    for sql in [
        "UPDATE connections SET observed_state = 'deleted'",
        "UPDATE connections SET aws_connection_id = NULL",
        "UPDATE connections SET endpoint_region = 'us-east-1'",
        "UPDATE connections SET ip_address_type = 'ipv6'",
        "UPDATE connections SET dns_entries = '[]'",
        "UPDATE connections SET dns_entries = dns_entries || '[{\"dns_name\": \"a.example\"}]'",
    ] {
        sqlx::query(sql).execute(subject.app.db()).await.unwrap();
        assert_eq!(subject.differing().await, [0], "{sql}");
        assert_eq!(subject.record().await.changed, 1, "{sql}");
        assert_eq!(subject.differing().await, NONE, "{sql}");
    }
    let forged = "UPDATE connections SET observed_digest = sha256('')";
    assert!(sqlx::query(forged).execute(subject.app.db()).await.is_err());
}

/// What AWS says of the connections that are nobody's counts for nothing, and what is not stored yet is seen.
#[sqlx::test(migrations = "./migrations")]
async fn newcomers_are_seen_and_strangers_are_not(pool: PgPool) {
    let subject = Subject::start(pool).await;
    let foreign = subject.app.foreign_service("foreign", true).await;
    let mut stranger = subject.seen.clone();
    stranger.service_id = foreign;
    let mut newcomer = subject.seen.clone();
    newcomer.endpoint_id = "vpce-0123456789abcdef0".parse().unwrap();
    let page = [stranger, subject.seen.clone(), newcomer];
    let glance = subject.glance(&page).await;
    assert_eq!((glance.known, glance.differing), (2, vec![2]));
}

/// Nothing but the same set of live connections has the same hash; else what is gone would not be looked for.
#[sqlx::test(migrations = "./migrations")]
async fn only_the_same_connections_have_the_same_hash(pool: PgPool) {
    let subject = Subject::start(pool).await;
    let other = subject.app.created_service("other").await;
    for _ in 0..2 {
        subject.app.consumer().create_endpoint(&other.name).unwrap();
    }
    observe::run_pass(&subject.place).await.unwrap();
    let all = shown(&subject.app).await;
    assert_eq!(all.len(), 3);
    let live = subject.live().await;
    assert_ne!(live, 0);

    let (first, rest) = all.split_at(1);
    let in_two_pages = subject.glance(rest).await.live ^ subject.glance(first).await.live;
    assert_eq!(in_two_pages, live);
    let mut deleted = all.clone();
    deleted[0].state = ConnectionState::Deleted;
    let mut elsewhere = all.clone();
    elsewhere[0].service_id = elsewhere[2].service_id.clone();
    elsewhere[2].service_id = all[0].service_id.clone();
    let mut twice = all.clone();
    twice[0] = twice[1].clone();
    let mut three_times = all.clone();
    three_times.extend([all[0].clone(), all[0].clone()]);
    three_times.remove(1);
    for (what, page) in [
        ("one missing", all[1..].to_vec()),
        ("one shown as deleted", deleted),
        ("of other services", elsewhere),
        ("one twice, one missing", twice),
        ("one three times, one missing", three_times),
    ] {
        assert_ne!(subject.glance(&page).await.live, live, "{what}");
    }
}
