//! Consumers: organisations that connect, and the AWS accounts that are known to be theirs. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use privatelink::AccountId;
use serde::{Deserialize, Serialize};

use super::ids::{ConsumerAccountId, ConsumerId};
use super::text::text_enum;

text_enum!(
    /// Whether there is still anything to do with a consumer.
    ConsumerState {
        /// Accounts may be added.
        Active = "active",
        /// Kept for the record. It has no accounts.
        Closed = "closed",
    }
);

text_enum!(
    /// How it became known that an account belongs to a consumer.
    KnownBy {
        /// A person said so.
        Operator = "operator",
        /// The consumer asked for access with it.
        AccessRequest = "access_request",
        /// It bought.
        Agreement = "agreement",
        /// It had made an endpoint before a person said whose it is.
        Observed = "observed",
    }
);

text_enum!(
    /// How an account was proven to belong to its consumer.
    Proof {
        /// Not at all.
        None = "none",
        /// A person vouches for it.
        OperatorVouched = "operator_vouched",
        /// The account itself signed an `sts:GetCallerIdentity` request that was replayed to AWS.
        StsPresigned = "sts_presigned",
    }
);

/// Somebody to talk to at a consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// Their name, 1 to 128 characters.
    #[schema(min_length = 1, max_length = 128, example = "Ann Doe")]
    pub name: String,
    /// Their e-mail address.
    #[schema(max_length = 254, example = "ann@consumer.example")]
    pub email: String,
    /// What they do: `technical`, `billing` or any other word, at most 64 characters.
    #[schema(max_length = 64, example = "technical")]
    pub role: String,
}

/// An organisation that connects.
#[derive(Debug, Clone)]
pub struct Consumer {
    /// Our id.
    pub id: ConsumerId,
    /// What people call it.
    pub name: String,
    /// A short name that is used once.
    pub slug: String,
    /// Anything worth knowing.
    pub notes: String,
    /// Keys and values.
    pub labels: BTreeMap<String, String>,
    /// Whom to talk to.
    pub contacts: Vec<Contact>,
    /// Active or closed.
    pub state: ConsumerState,
    /// Rises with every change.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// Who added it.
    pub created_by: String,
}

/// A consumer in as few words as it takes to show whose something is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ConsumerRef {
    /// Its id.
    pub id: ConsumerId,
    /// What people call it.
    pub name: String,
}

/// That an account belongs, or belonged, to a consumer.
#[derive(Debug, Clone)]
pub struct ConsumerAccount {
    /// Our id of the membership.
    pub id: ConsumerAccountId,
    /// Whose.
    pub consumer: ConsumerId,
    /// The account.
    pub account: AccountId,
    /// How it became known.
    pub known_by: KnownBy,
    /// How it was proven.
    pub proof: Proof,
    /// When it was proven; `None` without a proof.
    pub proven_at: Option<DateTime<Utc>>,
    /// Who added it, when and why.
    pub added: Said,
    /// Who removed it, when and why; `None` while it belongs to the consumer.
    pub removed: Option<Said>,
}

/// Who did something, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// An account that has made endpoints on registered services.
#[derive(Debug, Clone)]
pub struct SeenAccount {
    /// The account.
    pub account: AccountId,
    /// Whose it is, if that is known.
    pub consumer: Option<ConsumerRef>,
    /// All connections that it ever had.
    pub connections: i64,
    /// Those that AWS shows as waiting, connected or on the way there.
    pub live: i64,
    /// When the first was seen.
    pub first_seen_at: DateTime<Utc>,
}

/// The most labels that a consumer may have.
pub const MOST_LABELS: usize = 50;
/// The longest key of a label.
const LONGEST_KEY: usize = 63;
/// The longest value of a label, in characters.
const LONGEST_VALUE: usize = 128;
/// The longest slug.
const LONGEST_SLUG: usize = 63;

/// Whether a text is a slug: lower-case letters and digits, with single hyphens between them, at most 63.
pub fn is_slug(text: &str) -> bool {
    text.len() <= LONGEST_SLUG
        && text.split('-').all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

/// A slug made of a name; `None` where nothing of the name can stand in one.
pub fn slug_of(name: &str) -> Option<String> {
    let mut slug = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(LONGEST_SLUG);
    let slug = slug.trim_end_matches('-');
    (!slug.is_empty()).then(|| slug.to_owned())
}

/// What is wrong with a set of labels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLabels {
    /// Too many.
    #[error("give at most 50 labels, not {0}")]
    TooMany(usize),
    /// A key.
    #[error(
        "{0:?}: a key has 1 to 63 lower-case letters, digits and . _ - /, and begins with a letter or digit"
    )]
    Key(String),
    /// A value.
    #[error("{0:?}: a value has at most 128 characters and no control characters")]
    Value(String),
}

/// Refuses labels that are too many, too long or of another shape.
pub fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), InvalidLabels> {
    if labels.len() > MOST_LABELS {
        return Err(InvalidLabels::TooMany(labels.len()));
    }
    for (key, value) in labels {
        let shown = || key.chars().take(64).collect::<String>();
        let begins = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let shape = key.bytes().next().is_some_and(begins)
            && key
                .bytes()
                .all(|b| begins(b) || matches!(b, b'.' | b'_' | b'-' | b'/'));
        if !shape || key.len() > LONGEST_KEY {
            return Err(InvalidLabels::Key(shown()));
        }
        if value.chars().count() > LONGEST_VALUE || value.chars().any(char::is_control) {
            return Err(InvalidLabels::Value(shown()));
        }
    }
    Ok(())
}

/// Whether a text can be an e-mail address: one @ with something on each side and no blanks. Whether mail arrives only mail can tell.
pub fn is_email(text: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    text.len() <= 254
        && text.chars().all(plain)
        && text.split_once('@').is_some_and(|(who, place)| {
            !who.is_empty() && !place.is_empty() && !place.contains('@')
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slugs_are_made_of_what_a_name_offers() {
        for (name, slug) in [
            ("Acme Ltd.", Some("acme-ltd")),
            ("  ---A&B---  ", Some("a-b")),
            ("Ümlaut AG", Some("mlaut-ag")),
            ("株式会社", None),
            ("", None),
        ] {
            assert_eq!(slug_of(name).as_deref(), slug, "{name:?}");
        }
        for bad in ["", "-a", "a-", "a--b", "A", "a_b", &"a".repeat(64)] {
            assert!(!is_slug(bad), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_made_of_a_name_is_a_slug(name in ".{0,200}") {
            if let Some(slug) = slug_of(&name) {
                prop_assert!(is_slug(&slug), "{slug:?}");
            }
        }
    }

    #[test]
    fn labels_are_bounded() {
        let one = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        for good in ["tier", "a/b.c_d-e", "9"] {
            assert_eq!(check_labels(&one(good, "gold")), Ok(()), "{good}");
        }
        for bad in ["", "Tier", ".a", "a b", "ä", &"k".repeat(64)] {
            let refusal = check_labels(&one(bad, "gold"));
            assert!(matches!(refusal, Err(InvalidLabels::Key(_))), "{bad:?}");
        }
        for bad in ["line\nbreak", &"v".repeat(129)] {
            let refusal = check_labels(&one("tier", bad));
            assert!(matches!(refusal, Err(InvalidLabels::Value(_))), "{bad:?}");
        }
        let many: BTreeMap<_, _> = (0..51).map(|n| (format!("k{n}"), String::new())).collect();
        assert_eq!(check_labels(&many), Err(InvalidLabels::TooMany(51)));
    }

    #[test]
    fn an_address_has_one_at_between_two_sides() {
        assert!(is_email("ann@consumer.example"));
        for bad in ["", "ann", "@x", "ann@", "a@b@c", "a b@c", "a@b\n"] {
            assert!(!is_email(bad), "{bad:?}");
        }
    }
}
