//! Who may call the API: identity providers whose tokens are accepted, and tokens of our own for services.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use serde::Deserialize;
use url::{Host, Url};

use super::review_settings::LONGEST;
use crate::domain::actor::{SEPARATOR, SERVICE_TOKEN};
use crate::domain::role::Role;

/// The longest name of an issuer, in characters.
const LONGEST_NAME: usize = 32;
/// The longest text that is compared with a claim, in bytes.
const LONGEST_TEXT: usize = 512;
/// The most that is ever read of what an issuer publishes, in bytes.
const LARGEST_DOCUMENT: usize = 4 * 1024 * 1024;

/// Who may call the API.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthSettings {
    /// Whether tokens of the development issuer (`portcullis token`) are accepted. Never on the internet.
    pub development_issuer: bool,
    /// Where the development issuer's key is; made if missing.
    pub development_key_file: Option<PathBuf>,
    /// Certificates in PEM that are trusted besides the public authorities when issuers are asked for their keys.
    pub extra_root_file: Option<PathBuf>,
    /// Identity providers whose tokens are accepted.
    pub issuers: Vec<IssuerSettings>,
    /// Tokens of our own for services.
    pub service_tokens: ServiceTokenSettings,
}

/// What a token may be signed with. Nothing symmetric, and nothing that two kinds of keys share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum SigningAlgorithm {
    /// RSA with PKCS#1 v1.5 padding and SHA-256.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

/// An identity provider whose tokens are accepted.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// What its people are told apart by: the audit trail has `name|subject`. Never give one issuer's name to another.
    pub name: String,
    /// The `iss` of its tokens, to the letter.
    pub issuer: String,
    /// The `aud` that its tokens must have, alone or among others.
    pub audience: String,
    /// Where its keys are; where not set, `<issuer>/.well-known/openid-configuration` says so.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// What its tokens may be signed with.
    #[serde(default = "all_algorithms")]
    pub algorithms: Vec<SigningAlgorithm>,
    /// Which `typ` its tokens may have.
    #[serde(default = "access_token_type")]
    pub token_types: Vec<String>,
    /// Which claim has the roles.
    #[serde(default)]
    pub roles_claim: ClaimPath,
    /// Which of its roles or groups are which of ours. Where none is given, names that are ours are taken as they are.
    #[serde(default)]
    pub role_map: Vec<RoleMapping>,
    /// How long a token may be good for, from when it was issued.
    #[serde(default = "a_day", with = "humantime_serde")]
    pub max_token_life: Duration,
    /// The least time between two fetches of its keys, whatever causes them.
    #[serde(default = "a_minute", with = "humantime_serde")]
    pub min_refresh: Duration,
    /// How often its keys are fetched.
    #[serde(default = "a_quarter", with = "humantime_serde")]
    pub refresh_interval: Duration,
    /// How old its keys may be. After that its tokens are refused until they can be fetched again.
    #[serde(default = "six_hours", with = "humantime_serde")]
    pub max_staleness: Duration,
    /// How long each of the documents may take to arrive.
    #[serde(default = "five_seconds", with = "humantime_serde")]
    pub fetch_timeout: Duration,
    /// How large each of the documents may be, in bytes.
    #[serde(default = "large_enough")]
    pub max_document_bytes: usize,
}

fn all_algorithms() -> Vec<SigningAlgorithm> {
    use SigningAlgorithm as A;
    vec![A::RS256, A::ES256, A::EdDSA]
}

fn access_token_type() -> Vec<String> {
    vec!["at+jwt".to_owned()]
}

fn a_day() -> Duration {
    Duration::from_hours(24)
}

fn a_minute() -> Duration {
    Duration::from_mins(1)
}

fn a_quarter() -> Duration {
    Duration::from_mins(15)
}

fn six_hours() -> Duration {
    Duration::from_hours(6)
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn large_enough() -> usize {
    256 * 1024
}

/// One of an issuer's roles or groups, and the role that it is here.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleMapping {
    /// What the issuer calls it.
    pub from: String,
    /// What it is here.
    pub to: Role,
}

/// Where in a token a claim is: the names from the outermost object inwards.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "WrittenPath")]
pub struct ClaimPath(Vec<String>);

/// A path as it is written: names with dots between them, or a list of names that may have dots themselves.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum WrittenPath {
    Dotted(String),
    Names(Vec<String>),
}

impl From<WrittenPath> for ClaimPath {
    fn from(written: WrittenPath) -> Self {
        Self(match written {
            WrittenPath::Dotted(path) => path.split('.').map(str::to_owned).collect(),
            WrittenPath::Names(names) => names,
        })
    }
}

impl Default for ClaimPath {
    fn default() -> Self {
        Self(vec!["roles".to_owned()])
    }
}

impl ClaimPath {
    /// The names, from the outermost object inwards.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

/// Tokens of our own for services.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceTokenSettings {
    /// The longest that a service token may be good for.
    #[serde(with = "humantime_serde")]
    pub max_life: Duration,
    /// The longest that the secret before a rotation may go on.
    #[serde(with = "humantime_serde")]
    pub max_rotation_grace: Duration,
}

impl Default for ServiceTokenSettings {
    fn default() -> Self {
        Self {
            max_life: Duration::from_hours(365 * 24),
            max_rotation_grace: Duration::from_hours(7 * 24),
        }
    }
}

/// The same for the use cases.
#[derive(Debug, Clone, Copy)]
pub struct ServiceTokenRules {
    /// The longest that a service token may be good for.
    pub max_life: TimeDelta,
    /// The longest that the secret before a rotation may go on.
    pub max_rotation_grace: TimeDelta,
}

impl ServiceTokenSettings {
    /// The same for the use cases.
    pub fn rules(&self) -> ServiceTokenRules {
        let whole = |long| TimeDelta::from_std(long).unwrap_or(TimeDelta::MAX);
        ServiceTokenRules {
            max_life: whole(self.max_life),
            max_rotation_grace: whole(self.max_rotation_grace),
        }
    }
}

impl AuthSettings {
    /// What is wrong with the settings, all of it.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.development_issuer && self.development_key_file.is_none() {
            problems.push("auth.development_issuer needs auth.development_key_file".to_owned());
        }
        let (mut names, mut issuers) = (HashSet::new(), HashSet::new());
        for (index, issuer) in self.issuers.iter().enumerate() {
            let key = format!("auth.issuers[{index}]");
            problems.extend(issuer.problems(&key));
            if !names.insert(&issuer.name) {
                problems.push(format!("{key}.name is the name of another issuer too"));
            }
            if !issuers.insert(&issuer.issuer) {
                problems.push(format!("{key}.issuer is configured twice"));
            }
        }
        let tokens = &self.service_tokens;
        if tokens.max_life.as_secs() < 60 || tokens.max_life > LONGEST {
            problems.push("auth.service_tokens.max_life must be 1 m to 3650 days".to_owned());
        }
        if tokens.max_rotation_grace > LONGEST {
            problems.push(
                "auth.service_tokens.max_rotation_grace must be at most 3650 days".to_owned(),
            );
        }
        problems
    }
}

impl IssuerSettings {
    fn problems(&self, key: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let mut wrong = |what: &str, why: &str| problems.push(format!("{key}.{what} {why}"));
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.name.is_empty() || self.name.len() > LONGEST_NAME || !self.name.bytes().all(plain) {
            wrong(
                "name",
                "must be 1 to 32 lower-case letters, digits and hyphens",
            );
        }
        debug_assert!(!plain(SEPARATOR as u8), "a name ends at the separator");
        if self.name == SERVICE_TOKEN {
            wrong("name", "is what service tokens are called");
        }
        if let Some(why) = url_problem(&self.issuer) {
            wrong("issuer", why);
        }
        if let Some(url) = &self.jwks_url
            && let Some(why) = url_problem(url)
        {
            wrong("jwks_url", why);
        }
        for (what, text) in [("issuer", &self.issuer), ("audience", &self.audience)] {
            if text.is_empty() || text.len() > LONGEST_TEXT {
                wrong(what, "must have 1 to 512 bytes");
            }
        }
        if self.algorithms.is_empty() {
            wrong("algorithms", "must name RS256, ES256 or EdDSA");
        }
        if self.token_types.is_empty() || self.token_types.iter().any(String::is_empty) {
            wrong("token_types", "must name at least one type");
        }
        let path = self.roles_claim.names();
        if path.is_empty() || path.len() > 8 || path.iter().any(String::is_empty) {
            wrong("roles_claim", "must name a claim");
        }
        let mut mapped = HashSet::new();
        if !self.role_map.iter().all(|one| mapped.insert(&one.from)) {
            wrong("role_map", "has one name twice");
        }
        if self.max_token_life.as_secs() < 1 || self.max_token_life > LONGEST {
            wrong("max_token_life", "must be 1 s to 3650 days");
        }
        if self.min_refresh < Duration::from_secs(1) {
            wrong("min_refresh", "must be at least 1s");
        }
        if self.refresh_interval < self.min_refresh {
            wrong("refresh_interval", "must be at least min_refresh");
        }
        if self.max_staleness <= self.refresh_interval || self.max_staleness > LONGEST {
            wrong("max_staleness", "must be more than refresh_interval");
        }
        if self.fetch_timeout < Duration::from_millis(10)
            || self.fetch_timeout > Duration::from_secs(30)
        {
            wrong("fetch_timeout", "must be 10 ms to 30 s");
        }
        if !(1024..=LARGEST_DOCUMENT).contains(&self.max_document_bytes) {
            wrong("max_document_bytes", "must be 1024 to 4194304");
        }
        problems
    }
}

/// Why keys are not fetched from an address; `None` for one that is good. It is HTTPS, or HTTP on this machine, where nobody is in between.
pub fn url_problem(text: &str) -> Option<&'static str> {
    let Ok(url) = Url::parse(text) else {
        return Some("must be a URL");
    };
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => return Some("must name a host"),
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        _ => return Some("must be an https:// URL"),
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Some("must have no credentials and no fragment");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(rest: &str) -> IssuerSettings {
        let text = format!(
            "name = \"corp\"\nissuer = \"https://id.example/realms/x\"\naudience = \"portcullis\"\n{rest}"
        );
        let built = config::Config::builder()
            .add_source(config::File::from_str(&text, config::FileFormat::Toml))
            .build()
            .unwrap();
        built.try_deserialize().unwrap()
    }

    #[test]
    fn an_issuer_needs_three_values() {
        let least = issuer("");
        assert_eq!(least.problems("x"), Vec::<String>::new());
        assert_eq!(least.token_types, ["at+jwt"]);
        assert_eq!(least.roles_claim.names(), ["roles"]);
    }

    #[test]
    fn a_claim_is_a_path_or_a_list_of_names() {
        let dotted = issuer("roles_claim = \"realm_access.roles\"");
        assert_eq!(dotted.roles_claim.names(), ["realm_access", "roles"]);
        let listed = issuer("roles_claim = [\"https://portcullis.example/roles\"]");
        assert_eq!(
            listed.roles_claim.names(),
            ["https://portcullis.example/roles"]
        );
    }

    #[test]
    fn names_of_groups_keep_their_case() {
        let mapped = issuer("role_map = [{ from = \"Platform Admins\", to = \"admin\" }]");
        assert_eq!(mapped.role_map[0].from, "Platform Admins");
        assert_eq!(mapped.role_map[0].to, Role::Admin);
    }

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        for good in [
            "https://id.example",
            "https://id.example:8443/realms/x?a=b",
            "http://127.0.0.1:9",
            "http://localhost:9/x",
            "http://[::1]:9/x",
        ] {
            assert_eq!(url_problem(good), None, "{good}");
        }
        for bad in [
            "",
            "id.example",
            "http://id.example",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://169.254.169.254",
            "file:///etc/passwd",
            "https://user@id.example",
            "https://id.example/#x",
        ] {
            assert!(url_problem(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn every_problem_is_told() {
        type Change = fn(&mut IssuerSettings);
        let fault = |change: Change| {
            let mut one = issuer("");
            change(&mut one);
            one.problems("auth.issuers[0]")
        };
        let faults: [(&str, Change); 12] = [
            ("name", |i| i.name = "Corp|x".to_owned()),
            ("name", |i| i.name = SERVICE_TOKEN.to_owned()),
            ("issuer", |i| i.issuer = "http://id.example".to_owned()),
            ("jwks_url", |i| i.jwks_url = Some("nowhere".to_owned())),
            ("audience", |i| i.audience = String::new()),
            ("algorithms", |i| i.algorithms.clear()),
            ("token_types", |i| i.token_types.clear()),
            ("min_refresh", |i| i.min_refresh = Duration::ZERO),
            ("refresh_interval", |i| {
                i.refresh_interval = Duration::from_secs(2);
            }),
            ("max_staleness", |i| i.max_staleness = i.refresh_interval),
            ("fetch_timeout", |i| i.fetch_timeout = Duration::ZERO),
            ("max_document_bytes", |i| i.max_document_bytes = 1),
        ];
        for (what, change) in faults {
            let told = fault(change);
            assert_eq!(told.len(), 1, "{what}: {told:?}");
            assert!(
                told[0].starts_with(&format!("auth.issuers[0].{what} ")),
                "{told:?}"
            );
        }
    }

    #[test]
    fn two_issuers_are_told_apart() {
        let settings = AuthSettings {
            issuers: vec![issuer(""), issuer("")],
            ..AuthSettings::default()
        };
        assert_eq!(settings.problems().len(), 2);
    }
}
