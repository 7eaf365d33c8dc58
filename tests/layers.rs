//! The import rule, checked by reading the sources: which layer may name which.
//!
//! A rule that is broken is reported with the file, the line and the rule. The last tests break rules on purpose, to see them caught.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources has failed"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// Layers of the root package and what each may name of the others. A layer that is not listed here is an error.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("store", &["domain"]),
    ("app", &["domain", "store"]),
    ("worker", &["domain", "store", "app"]),
    ("sns", &["domain", "app"]),
    ("api", &["domain", "store", "app", "sns"]),
    ("telemetry", &[]),
    (
        "config",
        &["api", "app", "sns", "store", "telemetry", "worker"],
    ),
    (
        "startup",
        &["api", "app", "config", "domain", "sns", "store", "worker"],
    ),
    ("demo", &["api", "config", "domain", "startup", "store"]),
    (
        "cli",
        &[
            "api",
            "app",
            "config",
            "demo",
            "domain",
            "startup",
            "store",
            "telemetry",
        ],
    ),
];

/// Outside crates that only some files may name: the crate, the path prefixes that may, and why.
const CRATES: &[(&str, &[&str], &str)] = &[
    (
        "sqlx",
        &[
            "src/store/",
            "src/app/context.rs",
            "src/domain/ids.rs",
            "src/startup.rs",
            // A transaction that has proven its lease.
            "src/worker/place.rs",
        ],
        "SQL lives in the store",
    ),
    (
        "actix_web",
        &["src/api/", "src/startup.rs"],
        "HTTP lives in the API",
    ),
    (
        "privatelink_aws",
        &["src/startup.rs"],
        "the SDK is chosen in one place",
    ),
    (
        "privatelink_sim",
        &["src/startup.rs", "src/demo/", "src/cli.rs"],
        "the product does not know the simulator",
    ),
    (
        "private_postgres",
        &["src/demo/"],
        "the product takes any PostgreSQL",
    ),
    (
        "policy",
        &["src/app/policies.rs"],
        "the decision does not know the policy engine",
    ),
    (
        "reqwest",
        &[
            "src/demo/",
            // What an SNS message makes us ask AWS for, behind the trait `sns::fetch::Fetch`.
            "src/sns/http.rs",
            // The keys of issuers.
            "src/api/auth/key_fetch.rs",
        ],
        "only the tour, the one way out of the hooks and that to the issuers are HTTP clients",
    ),
    (
        "webpki",
        &["src/sns/trust.rs"],
        "certificates are judged in one place",
    ),
    (
        "rustls",
        &["src/api/tls.rs"],
        "encryption is set up in one place",
    ),
    (
        "hickory_resolver",
        &["src/worker/public_dns.rs"],
        "DNS is asked in one place",
    ),
    (
        "tokio",
        &[
            "src/app/context.rs",
            // The request's transaction travels with its task.
            "src/store/unit_of_work.rs",
            // Waits for another request.
            "src/app/idempotency.rs",
            "src/api/",
            "src/sns/",
            "src/worker/",
            "src/startup.rs",
            "src/demo/",
            "src/cli.rs",
            "src/main.rs",
        ],
        "domain and store are not tied to a runtime",
    ),
];

/// Workspace crates and the outside crates (by prefix) that they must not depend on.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "privatelink",
        &[
            "aws-sdk-",
            "aws-config",
            "actix-web",
            "sqlx",
            "tokio",
            "reqwest",
        ],
    ),
    (
        "privatelink-sim",
        &["aws-sdk-", "aws-config", "sqlx", "portcullis"],
    ),
    ("privatelink-aws", &["sqlx", "portcullis"]),
    (
        "private-postgres",
        &["aws-sdk-", "aws-config", "sqlx", "tokio", "portcullis"],
    ),
    (
        // A client of the API, and nothing but that.
        "ctl",
        &[
            "aws-sdk-",
            "aws-config",
            "actix-web",
            "sqlx",
            "privatelink",
            "policy",
            "portcullis",
        ],
    ),
    (
        "policy",
        &[
            "aws-sdk-",
            "privatelink",
            "portcullis",
            "sqlx",
            "tokio",
            "reqwest",
        ],
    ),
    // It writes the rules down a second time, and does no I/O.
    (
        "history-checker",
        &[
            "aws-sdk-",
            "privatelink",
            "portcullis",
            "sqlx",
            "tokio",
            "reqwest",
        ],
    ),
];

#[derive(Debug, PartialEq, Eq)]
struct Breach {
    file: String,
    line: usize,
    rule: String,
}

/// Collects the first two segments of every path that a file names, with the line.
#[derive(Default)]
struct Names {
    names: Vec<(String, Option<String>, usize)>,
    /// How many modules the file is below the root of the crate.
    depth: usize,
}

impl Names {
    /// Notes a path by its first two segments. One that climbs with `super` out of the layer is noted as if it began with `crate`.
    fn note(&mut self, segments: &[String], line: usize) {
        let climbs = segments.iter().take_while(|s| *s == "super").count();
        let (first, second) = if climbs > 0 && climbs >= self.depth {
            (Some("crate".to_owned()), segments.get(climbs).cloned())
        } else {
            (segments.first().cloned(), segments.get(1).cloned())
        };
        if let Some(first) = first {
            self.names.push((first, second, line));
        }
    }

    fn tree(&mut self, before: &[String], tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                let mut all = before.to_vec();
                all.push(path.ident.to_string());
                self.tree(&all, &path.tree);
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.tree(before, item));
            }
            syn::UseTree::Name(name) => self.leaf(before, &name.ident),
            syn::UseTree::Rename(rename) => self.leaf(before, &rename.ident),
            syn::UseTree::Glob(glob) => self.note(before, glob.star_token.spans[0].start().line),
        }
    }

    fn leaf(&mut self, before: &[String], ident: &syn::Ident) {
        let mut all = before.to_vec();
        all.push(ident.to_string());
        self.note(&all, ident.span().start().line);
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if segments.len() > 1 {
            let line = path.segments[0].ident.span().start().line;
            self.note(&segments, line);
        }
        syn::visit::visit_path(self, path);
    }

    // What a macro is given cannot be parsed in general; its words are looked through instead.
    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let text = mac.tokens.to_string();
        let words: Vec<&str> = text.split_whitespace().collect();
        let line = mac.path.segments[0].ident.span().start().line;
        for window in words.windows(3) {
            if window[1] == "::" {
                self.note(&[window[0].to_owned(), window[2].to_owned()], line);
            }
        }
        self.visit_path(&mac.path);
    }

    // Tests may name whatever they test with.
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let test = item.attrs.iter().any(|a| {
            a.path().is_ident("cfg") && a.parse_args::<syn::Ident>().is_ok_and(|i| i == "test")
        });
        if !test {
            syn::visit::visit_item_mod(self, item);
        }
    }
}

/// The layer of a file: the first component under `src`.
fn layer(file: &str) -> Option<&str> {
    let rest = file.strip_prefix("src/")?;
    Some(
        rest.split('/')
            .next()
            .unwrap_or(rest)
            .trim_end_matches(".rs"),
    )
}

/// How many modules a file is below the root: `src/store/mod.rs` and `src/cli.rs` are 1, `src/store/audit.rs` is 2.
fn depth(file: &str) -> usize {
    let parts = file.trim_start_matches("src/").split('/').count();
    if file.ends_with("/mod.rs") {
        parts - 1
    } else {
        parts
    }
}

/// Everything that is wrong in one file.
fn breaches(file: &str, source: &str) -> Vec<Breach> {
    let parsed = syn::parse_file(source).unwrap_or_else(|e| panic!("{file} does not parse: {e}"));
    let mut names = Names {
        depth: depth(file),
        ..Names::default()
    };
    names.visit_file(&parsed);
    let own = layer(file).unwrap_or_else(|| panic!("{file} is not under src"));
    if matches!(own, "lib" | "main") {
        return Vec::new();
    }
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == own) else {
        let rule = format!("{own} is no layer: add it to LAYERS with what it may import");
        return vec![Breach {
            file: file.to_owned(),
            line: 1,
            rule,
        }];
    };
    let mut found = Vec::new();
    let mut breach = |line: usize, rule: String| {
        found.push(Breach {
            file: file.to_owned(),
            line,
            rule,
        });
    };
    for (first, second, line) in names.names {
        if first == "crate" {
            let other = second.as_deref().unwrap_or("*");
            if other != own && !allowed.contains(&other) {
                breach(line, format!("{own} may not import {other}"));
            }
        }
        if first.starts_with("aws_sdk_") || matches!(first.as_str(), "aws_config" | "aws_types") {
            breach(
                line,
                format!("{first} may not be named here: the SDK lives in privatelink-aws"),
            );
        }
        if let Some((name, places, why)) = CRATES.iter().find(|(name, _, _)| *name == first)
            && !places.iter().any(|place| file.starts_with(place))
        {
            breach(line, format!("{name} may not be named here: {why}"));
        }
    }
    found
}

fn sources(under: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// Whether a file is a test module of its own (`tests.rs`, `tests/…`, `test_….rs`).
fn is_test(file: &str) -> bool {
    file.contains("/tests/")
        || file
            .rsplit('/')
            .next()
            .is_some_and(|name| name == "tests.rs" || name.starts_with("test_"))
}

#[test]
fn every_file_keeps_the_import_rule() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    assert!(
        files.len() > 50,
        "only {} files found: is the path right?",
        files.len()
    );
    let mut all = Vec::new();
    for path in files {
        let file = path
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        if !is_test(&file) {
            all.extend(breaches(&file, &std::fs::read_to_string(&path).unwrap()));
        }
    }
    let lines: Vec<String> = all
        .iter()
        .map(|b| format!("{}:{}: {}", b.file, b.line, b.rule))
        .collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

#[test]
fn crates_depend_on_nothing_forbidden() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for (name, forbidden) in FORBIDDEN {
        let manifest =
            std::fs::read_to_string(root.join("crates").join(name).join("Cargo.toml")).unwrap();
        let normal = manifest.split("[dev-dependencies]").next().unwrap();
        let dependencies = normal.split("[dependencies]").nth(1).unwrap_or_default();
        for line in dependencies.lines() {
            if let Some(bad) = forbidden.iter().find(|bad| line.starts_with(**bad)) {
                wrong.push(format!(
                    "crates/{name} depends on {line:?}, and {bad} is forbidden there"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The packages of the workspace, the root included, with a dependency that begins with one of these.
fn depending_on(prefixes: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut naming = BTreeMap::new();
    let count = |manifest: PathBuf| {
        let manifest = std::fs::read_to_string(manifest).unwrap();
        // The workspace's table of versions names everything.
        let own = manifest.rsplit("\n[package]").next().unwrap();
        own.lines()
            .filter(|line| prefixes.iter().any(|prefix| line.starts_with(prefix)))
            .count()
    };
    for entry in std::fs::read_dir(root.join("crates")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        naming.insert(name, count(path.join("Cargo.toml")));
    }
    naming.insert("portcullis".to_owned(), count(root.join("Cargo.toml")));
    naming.retain(|_, count| *count > 0);
    naming.into_keys().collect()
}

#[test]
fn only_the_adapter_depends_on_the_aws_sdk() {
    assert_eq!(
        depending_on(&["aws-sdk-", "aws-config"]),
        ["privatelink-aws"]
    );
}

#[test]
fn only_one_crate_knows_the_policy_language() {
    assert_eq!(depending_on(&["cedar-policy"]), ["policy"]);
}

#[test]
fn a_layer_that_imports_upwards_is_caught_with_its_line() {
    let source = "use std::fmt;\nuse crate::{domain::ids, app::AppContext};\n";
    let found = breaches("src/store/x.rs", source);
    let rule = "store may not import app".to_owned();
    assert_eq!(
        found,
        [Breach {
            file: "src/store/x.rs".to_owned(),
            line: 2,
            rule
        }]
    );
}

#[test]
fn a_path_in_the_middle_of_code_is_caught_too() {
    let found = breaches(
        "src/domain/x.rs",
        "fn f() {\n    crate::store::ping();\n}\n",
    );
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].line, found[0].rule.as_str()),
        (2, "domain may not import store")
    );
    let found = breaches(
        "src/app/x.rs",
        "fn f() { println!(\"{}\", crate::api::x()); }",
    );
    assert_eq!(found[0].rule, "app may not import api");
}

#[test]
fn climbing_out_of_the_layer_is_caught() {
    let found = breaches("src/store/x.rs", "use super::super::app::AppContext;");
    assert_eq!(found[0].rule, "store may not import app");
    assert_eq!(breaches("src/store/x.rs", "use super::PgConnection;"), []);
    let found = breaches(
        "src/api/v1/x.rs",
        "fn f() { super::super::super::worker::run(); }",
    );
    assert_eq!(found[0].rule, "api may not import worker");
}

#[test]
fn the_sdk_in_the_root_package_is_caught() {
    let found = breaches("src/startup.rs", "use aws_sdk_ec2::Client;");
    assert_eq!(
        found[0].rule,
        "aws_sdk_ec2 may not be named here: the SDK lives in privatelink-aws"
    );
}

#[test]
fn sql_outside_the_store_is_caught() {
    let found = breaches("src/api/x.rs", "fn f() { sqlx::query(\"\"); }");
    assert_eq!(
        found[0].rule,
        "sqlx may not be named here: SQL lives in the store"
    );
}

#[test]
fn a_layer_nobody_declared_is_caught() {
    let found = breaches("src/helpers.rs", "");
    assert_eq!(
        found[0].rule,
        "helpers is no layer: add it to LAYERS with what it may import"
    );
}
