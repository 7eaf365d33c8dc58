//! The second wall between consumers, asked as the database role itself: whatever a statement forgets, nothing of anybody else is seen or written.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::domain::ids::ConsumerId;
use portcullis::store::PgConnection;
use sqlx::{Connection as _, PgPool};

use crate::support::TestApp;
use crate::support::members::Organisation;

const REFUSED: &str = "42501";

/// A command, and the columns that it may name.
type Grant = (&'static str, &'static [&'static str]);

/// Tables that consumers' requests may look at, with what of each: the role's grants, by command and column. Each has row-level security and a policy for each
/// command. A table that is here is part of what a consumer can see: think of every column.
const WALLED: &[(&str, &[Grant])] = &[
    (
        "consumers",
        &[(
            "SELECT",
            &["id", "name", "slug", "contacts", "state", "created_at"],
        )],
    ),
    (
        "consumer_accounts",
        &[(
            "SELECT",
            &[
                "id",
                "consumer_id",
                "account_id",
                "proof",
                "proven_at",
                "added_at",
                "removed_at",
            ],
        )],
    ),
    (
        "consumer_quotas",
        &[(
            "SELECT",
            &[
                "consumer_id",
                "most_connections",
                "most_endpoints_per_service",
                "most_regions",
            ],
        )],
    ),
    (
        "connections",
        &[(
            "SELECT",
            &[
                "id",
                "endpoint_service_id",
                "endpoint_id",
                "owner_account",
                "observed_state",
                "observed_at",
                "aws_created_at",
                "aws_connection_id",
                "endpoint_region",
                "ip_address_type",
                "dns_entries",
                "first_seen_at",
                "review_state",
                "decision_id",
            ],
        )],
    ),
    (
        "decisions",
        &[(
            "SELECT",
            &["id", "connection_id", "verb", "decided_at", "message"],
        )],
    ),
    ("reviews", &[("SELECT", &["connection_id", "expires_at"])]),
    (
        "access_requests",
        &[
            (
                "SELECT",
                &[
                    "id",
                    "account_id",
                    "consumer_id",
                    "contact",
                    "message",
                    "expires_at",
                    "state",
                    "made_at",
                    "made_by",
                    "decided_at",
                    "decided_message",
                    "ended_at",
                ],
            ),
            (
                "INSERT",
                &[
                    "id",
                    "account_id",
                    "consumer_id",
                    "contact",
                    "message",
                    "expires_at",
                    "state",
                    "made_at",
                    "made_by",
                ],
            ),
            (
                "UPDATE",
                &["state", "decided_at", "decided_by", "decided_reason"],
            ),
        ],
    ),
    (
        "access_request_services",
        &[
            (
                "SELECT",
                &[
                    "access_request_id",
                    "endpoint_service_id",
                    "account_id",
                    "state",
                ],
            ),
            (
                "INSERT",
                &[
                    "access_request_id",
                    "endpoint_service_id",
                    "account_id",
                    "state",
                    "added",
                ],
            ),
            ("UPDATE", &["state"]),
        ],
    ),
];

/// Tables and views that are the provider's alone: the role has no grant on them of any kind.
const OUT_OF_REACH: &[&str] = &[
    "_sqlx_migrations",
    "access_removal_connections",
    "access_removal_requests",
    "access_removal_services",
    "access_removals",
    "access_request_approvals",
    "access_request_notices",
    "account_regions",
    "agreement_accounts",
    "agreement_bindings",
    "agreement_claims",
    "agreement_grants",
    "agreement_notices",
    "agreement_wakes",
    "agreement_wakes_id_seq",
    "agreements",
    "approvals",
    "audit_entries",
    "audit_retirements",
    "audit_seals",
    "audit_unsealed",
    "aws_accounts",
    "block_principals",
    "blocks",
    "connection_comments",
    "connection_notices",
    "denials",
    "drifts",
    "endpoint_services",
    "event_feed",
    "events",
    "events_waiting",
    "finding_runs",
    "findings",
    "findings_now",
    "hint_setups",
    "hints",
    "idempotent_requests",
    "inventories",
    "inventory_services",
    "judge_wakes",
    "judgements",
    "listing_plans",
    "listing_revisions",
    "listing_services",
    "listings",
    "observations",
    "offers",
    "operations",
    "planned_revocations",
    "policies",
    "policy_dry_runs",
    "rejudgement_connections",
    "rejudgements",
    "replicas",
    "review_rules",
    "service_notifications",
    "service_quotas",
    "service_tokens",
    "standing_revocations",
    "sync_attempts",
    "usage_hours",
    "usage_kept",
    "usage_marks",
    "usage_reports",
];

#[sqlx::test(migrations = "./migrations")]
async fn every_table_is_walled_or_out_of_reach(pool: PgPool) {
    let tables: Vec<(String, bool, bool)> = sqlx::query_as(
        "SELECT c.relname::text, c.relispartition, c.relrowsecurity
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let mut known: BTreeSet<&str> = OUT_OF_REACH.iter().copied().collect();
    known.extend(WALLED.iter().map(|(name, _)| *name));
    assert_eq!(
        known.len(),
        OUT_OF_REACH.len() + WALLED.len(),
        "a table is in both"
    );
    let found: BTreeSet<&str> = tables
        .iter()
        .filter(|(_, partition, _)| !partition)
        .map(|(name, ..)| name.as_str())
        .collect();
    assert_eq!(
        found, known,
        "say of a new table what consumers may see of it"
    );
    for (name, _, secured) in &tables {
        let granted = grants(&pool, name).await;
        let Some((_, wanted)) = WALLED.iter().find(|(walled, _)| walled == name) else {
            assert_eq!(granted, BTreeMap::new(), "{name} is the provider's");
            continue;
        };
        assert!(secured, "{name} has no row-level security");
        let wanted: BTreeMap<String, BTreeSet<String>> = wanted
            .iter()
            .map(|(command, columns)| {
                let columns = columns.iter().map(|column| (*column).to_owned());
                ((*command).to_owned(), columns.collect())
            })
            .collect();
        assert_eq!(granted, wanted, "{name}");
        let policies: Vec<(String, bool, bool)> = sqlx::query_as(
            "SELECT cmd, roles = '{portcullis_consumer}' AND permissive = 'PERMISSIVE',
                    (cmd = 'INSERT' OR qual IS NOT NULL) AND (cmd = 'SELECT' OR with_check IS NOT NULL)
               FROM pg_policies WHERE tablename = $1",
        )
        .bind(name)
        .fetch_all(&pool)
        .await
        .unwrap();
        assert!(
            policies.iter().all(|(_, role, whole)| *role && *whole),
            "{name}"
        );
        let commands: BTreeSet<String> = policies.into_iter().map(|(cmd, ..)| cmd).collect();
        assert_eq!(commands, wanted.into_keys().collect(), "{name}");
    }
    // Nothing runs in somebody else's name, and the role can become nobody.
    for none in [
        "SELECT count(*) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public' AND p.prosecdef",
        "SELECT count(*) FROM pg_auth_members WHERE member = 'portcullis_consumer'::regrole",
        "SELECT count(*) FROM pg_roles WHERE rolname = 'portcullis_consumer'
            AND (rolsuper OR rolbypassrls OR rolcanlogin OR rolcreaterole OR rolcreatedb OR rolreplication)",
        "SELECT count(*) FROM pg_class WHERE relowner = 'portcullis_consumer'::regrole",
    ] {
        let count: i64 = sqlx::query_scalar(none).fetch_one(&pool).await.unwrap();
        assert_eq!(count, 0, "{none}");
    }
}

/// Role and organisation are named in one file, so there is one way to become the one in the name of the other.
#[test]
fn one_file_speaks_as_the_role() {
    let mut naming = Vec::new();
    let mut left = vec![std::path::PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src"
    ))];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let named = ["portcullis_consumer", "portcullis.consumer"];
            if code
                .into_iter()
                .any(|line| named.iter().any(|name| line.contains(name)))
            {
                naming.push(path);
            }
        }
    }
    let [only] = naming.as_slice() else {
        panic!("{naming:?}");
    };
    assert!(only.ends_with("src/store/tenant.rs"), "{only:?}");
}

/// What the role may do with a table, by command and column; a grant on the whole table names every column.
async fn grants(pool: &PgPool, table: &str) -> BTreeMap<String, BTreeSet<String>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT p.command, a.attname::text
           FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS p (command), pg_attribute a
          WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
            AND has_column_privilege('portcullis_consumer', a.attrelid, a.attnum, p.command)
         UNION ALL
         SELECT p.command, '*' FROM unnest(ARRAY['DELETE', 'TRUNCATE', 'TRIGGER']) AS p (command)
          WHERE has_table_privilege('portcullis_consumer', $1::regclass, p.command)",
    )
    .bind(table)
    .fetch_all(pool)
    .await
    .unwrap();
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (command, column) in rows {
        all.entry(command).or_default().insert(column);
    }
    all
}

/// A transaction as the role itself, speaking for an organisation or for none.
async fn become_role<'c>(
    conn: &'c mut PgConnection,
    organisation: Option<&Organisation>,
) -> sqlx::Transaction<'c, sqlx::Postgres> {
    let mut tx = conn.begin().await.unwrap();
    if let Some(organisation) = organisation {
        let id: ConsumerId = organisation.id.parse().unwrap();
        sqlx::query("SELECT set_config('portcullis.consumer', $1, true)")
            .bind(id.uuid().to_string())
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    sqlx::query("SET LOCAL ROLE portcullis_consumer")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx
}

async fn rows(conn: &mut PgConnection, table: &str) -> i64 {
    let (_, commands) = WALLED.iter().find(|(name, _)| *name == table).unwrap();
    let (_, columns) = commands.iter().find(|(c, _)| *c == "SELECT").unwrap();
    let sql = format!(
        "SELECT count(*) FROM (SELECT {} FROM {table}) AS seen",
        columns.join(", ")
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .fetch_one(conn)
        .await
        .unwrap()
}

#[sqlx::test(migrations = "./migrations")]
async fn the_role_sees_nothing_for_nobody_and_its_own_for_somebody(pool: PgPool) {
    let app = TestApp::start(pool);
    let both = app.two_organisations().await;
    let mut conn = app.db().acquire().await.unwrap();
    for (table, _) in WALLED {
        let all = rows(&mut conn, table).await;
        assert_eq!(all, 2, "{table}: one of each organisation");
        let mut nobody = become_role(&mut conn, None).await;
        assert_eq!(rows(&mut nobody, table).await, 0, "{table}");
        nobody.rollback().await.unwrap();
        for who in &both {
            let mut tx = become_role(&mut conn, Some(who)).await;
            assert_eq!(rows(&mut tx, table).await, 1, "{table} of {}", who.id);
            tx.rollback().await.unwrap();
        }
    }
    // And that one is its own.
    for (sql, of) in [
        (
            "SELECT replace('cns_' || id, '-', '') FROM consumers",
            |who: &Organisation| who.id.clone(),
        ),
        ("SELECT account_id FROM consumer_accounts", |who| {
            who.account.to_owned()
        }),
        (
            "SELECT replace('cns_' || consumer_id, '-', '') FROM consumer_quotas",
            |who| who.id.clone(),
        ),
        (
            "SELECT replace('con_' || id, '-', '') FROM connections",
            |who| who.connection.id.clone(),
        ),
        (
            "SELECT replace('con_' || connection_id, '-', '') FROM decisions",
            |who| who.connection.id.clone(),
        ),
        (
            "SELECT replace('con_' || connection_id, '-', '') FROM reviews",
            |who| who.connection.id.clone(),
        ),
        (
            "SELECT replace('acq_' || id, '-', '') FROM access_requests",
            |who| who.asked.clone(),
        ),
        (
            "SELECT replace('svc_' || endpoint_service_id, '-', '') FROM access_request_services",
            |who| who.service.id.clone(),
        ),
    ] as [(&str, fn(&Organisation) -> String); 8]
    {
        for who in &both {
            let mut tx = become_role(&mut conn, Some(who)).await;
            let seen: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *tx).await.unwrap();
            assert_eq!(seen, [of(who)], "{sql}");
            tx.rollback().await.unwrap();
        }
    }
}

async fn code_of(conn: &mut PgConnection, sql: &str) -> String {
    match sqlx::query(sqlx::AssertSqlSafe(sql)).execute(conn).await {
        Ok(done) => format!("{} rows", done.rows_affected()),
        Err(error) => {
            let error = error.into_database_error().expect("the database's refusal");
            error.code().unwrap_or_default().into_owned()
        }
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn the_role_reads_no_other_column_and_writes_nothing_but_its_own(pool: PgPool) {
    let app = TestApp::start(pool);
    let [acme, bolt] = app.two_organisations().await;
    let more = app.service_for("more", &[]).await;
    let uuid = |id: &str| id.split_once('_').unwrap().1.to_owned();
    let (a, b) = (uuid(&acme.id), uuid(&bolt.id));
    let (a_asked, b_asked) = (uuid(&acme.asked), uuid(&bolt.asked));
    let more = uuid(&more.id);
    let request = |consumer: &str, account: &str, state: &str| {
        format!(
            "INSERT INTO access_requests (id, account_id, consumer_id, contact, state, made_at, made_by)
             VALUES (gen_random_uuid(), '{account}', {consumer}, '{{}}', '{state}', now(), 'x')"
        )
    };
    let service = |request: &str, account: &str, state: &str, added: bool| {
        format!(
            "INSERT INTO access_request_services (access_request_id, endpoint_service_id, account_id, state, added)
             VALUES ('{request}', '{more}', '{account}', '{state}', {added})"
        )
    };
    let withdraw = "UPDATE access_requests SET state = 'withdrawn', decided_at = now(), decided_by = 'x', decided_reason = 'x'";
    let mine = (acme.account, bolt.account);
    let cases = [
        // Columns, tables and views that are the provider's.
        ("SELECT notes FROM consumers".to_owned(), REFUSED),
        ("SELECT * FROM connections".to_owned(), REFUSED),
        ("SELECT reason FROM decisions".to_owned(), REFUSED),
        ("SELECT id FROM endpoint_services".to_owned(), REFUSED),
        ("SELECT * FROM standing_revocations".to_owned(), REFUSED),
        ("SELECT id FROM audit_entries".to_owned(), REFUSED),
        ("SELECT 1 FROM connection_comments".to_owned(), REFUSED),
        ("COPY connections TO STDOUT".to_owned(), REFUSED),
        ("COPY (SELECT reason FROM decisions) TO STDOUT".to_owned(), REFUSED),
        ("SELECT ensure_month_partitions('audit_entries', now() + interval '9 years')".to_owned(), REFUSED),
        // Commands that are not granted.
        ("DELETE FROM access_requests".to_owned(), REFUSED),
        ("TRUNCATE access_requests CASCADE".to_owned(), REFUSED),
        ("UPDATE consumers SET name = 'x'".to_owned(), REFUSED),
        ("UPDATE access_requests SET consumer_id = NULL".to_owned(), REFUSED),
        ("SELECT FROM consumers FOR UPDATE".to_owned(), REFUSED),
        // Rows that would be somebody else's, or more than asked for.
        (request(&format!("'{b}'"), mine.0, "pending"), REFUSED),
        (request(&format!("'{a}'"), mine.1, "pending"), REFUSED),
        (request("NULL", mine.0, "pending"), REFUSED),
        (request(&format!("'{a}'"), mine.0, "approved"), REFUSED),
        (request(&format!("'{a}'"), mine.0, "pending"), "1 rows"),
        (service(&b_asked, mine.1, "waiting", false), REFUSED),
        (service(&b_asked, mine.0, "waiting", false), REFUSED),
        (service(&a_asked, mine.1, "waiting", false), REFUSED),
        (service(&a_asked, mine.0, "over", false), REFUSED),
        (service(&a_asked, mine.0, "waiting", true), REFUSED),
        (service(&a_asked, mine.0, "waiting", false), "1 rows"),
        ("UPDATE access_requests SET state = 'approved', decided_at = now(), decided_by = 'x', decided_reason = 'x'".to_owned(), REFUSED),
        // One without a condition is everybody's: it meets its own.
        (withdraw.to_owned(), "1 rows"),
        (format!("{withdraw} WHERE id = '{b_asked}'"), "0 rows"),
        (format!("{withdraw} WHERE id = '{a_asked}'"), "1 rows"),
        ("UPDATE access_request_services SET state = 'standing'".to_owned(), REFUSED),
        ("UPDATE access_request_services SET state = 'over'".to_owned(), "1 rows"),
    ];
    let mut conn = app.db().acquire().await.unwrap();
    for (sql, expected) in &cases {
        let mut tx = become_role(&mut conn, Some(&acme)).await;
        assert_eq!(code_of(&mut tx, sql).await, *expected, "{sql}");
        tx.rollback().await.unwrap();
        // Who speaks for nobody writes nothing at all.
        let mut tx = become_role(&mut conn, None).await;
        let code = code_of(&mut tx, sql).await;
        assert!(
            [REFUSED, "0 rows"].contains(&code.as_str()),
            "{sql}: {code}"
        );
        tx.rollback().await.unwrap();
    }
    // A setting that names nobody in particular is an error, not everybody.
    let mut tx = conn.begin().await.unwrap();
    let set = "SELECT set_config('portcullis.consumer', '%', true), set_config('role', 'portcullis_consumer', true)";
    sqlx::query(set).execute(&mut *tx).await.unwrap();
    assert_eq!(code_of(&mut tx, "SELECT id FROM consumers").await, "22P02");
}
