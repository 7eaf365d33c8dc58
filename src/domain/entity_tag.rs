//! Entity tags: what a resource's state is named by, so that a write can say which state it was meant for (RFC 9110, sections 8.8.3 and 13.1). Pure.
//!
//! A tag of ours has a version and, where a representation was sent, a digest of that: `"7-8190c3a1f2b45d41.5d41402abc4b2a76"`. The version changes with
//! whatever people, policies and timers do to the resource, and a write is checked against it alone: that AWS shows something new does not make a write
//! stale. The digest changes with every byte of the representation, and a read that has nothing new is checked against the whole tag.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// How many tags one header may list.
const MOST_TAGS: usize = 20;

/// How many entries a version is made of, at most: whatever has happened to a resource, no more are read with it.
pub const ENTRIES: usize = 64;

/// The state of a resource: the newest entries that the audit trail has about it.
///
/// The newest alone would not do: of two that write at once, the one that began earlier may commit later, and its entry then lies behind the other's. Among
/// this many it is found, unless as many others about the same resource began and committed while it was being written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version(Vec<Uuid>);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of the last eight bytes of an id of ours 42 bits are chance, so their sum without carry is as good as a hash of all.
        let chance = self.0.iter().fold(0, |sum, id| sum ^ id.as_u64_pair().1);
        write!(f, "{}-{chance:016x}", self.0.len())
    }
}

impl Version {
    /// The state with these entries, the newest first; what is older than [`ENTRIES`] others has no part in it.
    pub fn of(mut newest: Vec<Uuid>) -> Self {
        newest.truncate(ENTRIES);
        Self(newest)
    }

    /// How many of these entries it does not have.
    pub fn lacks(&self, entries: &[Uuid]) -> usize {
        let new = entries.iter().filter(|entry| !self.0.contains(entry));
        new.count()
    }

    /// The tag of the state alone, as a header has it.
    pub fn tag(&self) -> String {
        format!("\"{self}\"")
    }

    /// The tag of a representation of the state, as a header has it. `digest` is a strong hash of its bytes.
    pub fn tag_of(&self, digest: &[u8]) -> String {
        use fmt::Write as _;
        let mut tag = format!("\"{self}.");
        for byte in digest.iter().take(8) {
            // Writing to a String cannot fail.
            let _ = write!(tag, "{byte:02x}");
        }
        tag.push('"');
        tag
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    weak: bool,
    opaque: String,
}

/// What `If-Match` or `If-None-Match` lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagList(Option<Vec<Listed>>);

impl TagList {
    /// Whether a write that was meant for these states is meant for this one. Weak tags are never meant (RFC 9110, 13.1.1). `*` is any state that there is.
    pub fn allows(&self, now: &Version) -> bool {
        let Some(listed) = &self.0 else {
            return !now.0.is_empty();
        };
        let now = now.to_string();
        listed.iter().any(|tag| {
            let version = tag.opaque.split('.').next();
            !tag.weak && version == Some(now.as_str())
        })
    }

    /// Whether somebody who has these representations has this one, whose tag is given as a header has it (RFC 9110, 13.1.2).
    pub fn knows(&self, tag: &str) -> bool {
        let bare = tag.trim_matches('"');
        self.0
            .as_ref()
            .is_none_or(|listed| listed.iter().any(|tag| tag.opaque == bare))
    }
}

impl FromStr for TagList {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str =
            "it is *, or entity tags in quotation marks with commas between them, at most 20";
        if text.trim() == "*" {
            return Ok(Self(None));
        }
        let mut listed = Vec::new();
        let mut rest = text.trim();
        loop {
            let (weak, tag) = match rest.strip_prefix("W/") {
                Some(tag) => (true, tag),
                None => (false, rest),
            };
            let (opaque, after) = tag
                .strip_prefix('"')
                .and_then(|tag| tag.split_once('"'))
                .ok_or(WRONG)?;
            if !opaque.bytes().all(|byte| byte.is_ascii_graphic()) || listed.len() == MOST_TAGS {
                return Err(WRONG);
            }
            let opaque = opaque.to_owned();
            listed.push(Listed { weak, opaque });
            let after = after.trim_start();
            if after.is_empty() {
                return Ok(Self(Some(listed)));
            }
            rest = after.strip_prefix(',').ok_or(WRONG)?.trim_start();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The state with so many entries.
    fn version(entries: u64) -> Version {
        Version::of(ids(1..=entries))
    }

    /// The newest first.
    fn ids(numbers: std::ops::RangeInclusive<u64>) -> Vec<Uuid> {
        let ids = numbers.rev();
        ids.map(|n| Uuid::from_u64_pair(n, 1 << n)).collect()
    }

    fn list(text: &str) -> TagList {
        text.parse().expect("a list of tags")
    }

    #[test]
    fn a_write_is_checked_against_the_version_alone() {
        let now = version(7);
        let sent = now.tag_of(&[0xab; 32]);
        assert_eq!(sent, "\"7-00000000000000fe.abababababababab\"");
        assert!(list(&sent).allows(&now));
        assert!(list(&now.tag()).allows(&now));
        assert!(list(&format!("\"other\" , {sent}")).allows(&now));
        assert!(!list(&sent).allows(&version(8)));
        assert!(!list(&format!("W/{sent}")).allows(&now));
        assert!(!list("\"7\"").allows(&now));
    }

    #[test]
    fn a_star_is_any_state_that_there_is() {
        assert!(list("*").allows(&version(1)));
        let nothing = version(0);
        assert!(!list("*").allows(&nothing));
        assert!(list(&nothing.tag()).allows(&nothing));
    }

    #[test]
    fn a_late_entry_makes_another_state() {
        let all = ids(1..=3);
        let late: Vec<Uuid> = vec![all[0], all[2]];
        assert_ne!(
            Version::of(late.clone()).to_string(),
            Version::of(all.clone()).to_string()
        );
        assert_eq!(Version::of(late).lacks(&all), 1);
    }

    #[test]
    fn what_is_older_has_no_part_in_it() {
        let newest: Vec<Uuid> = (0..100).map(|n| Uuid::from_u64_pair(0, n)).collect();
        let state = Version::of(newest.clone());
        assert_eq!(state, Version::of(newest[..ENTRIES].to_vec()));
        assert_eq!(state.lacks(&newest), 100 - ENTRIES);
        let mut one_more = newest.clone();
        one_more.insert(0, Uuid::from_u64_pair(0, 1000));
        assert_ne!(Version::of(one_more).to_string(), state.to_string());
    }

    #[test]
    fn a_read_is_checked_against_the_representation() {
        let now = version(7);
        let (old, new) = (now.tag_of(&[1; 32]), now.tag_of(&[2; 32]));
        assert!(list(&old).knows(&old));
        assert!(list(&format!("W/{old}")).knows(&old));
        assert!(!list(&old).knows(&new));
        assert!(!list(&now.tag()).knows(&new));
        assert!(list("*").knows(&new));
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        let many = vec!["\"a\""; 21].join(",");
        for bad in [
            "",
            "7",
            "\"7",
            "\"7\" \"8\"",
            "\"7\",",
            "w/\"7\"",
            "\"a b\"",
            "\"7\", *",
            &many,
        ] {
            assert!(bad.parse::<TagList>().is_err(), "{bad:?}");
        }
        assert!(vec!["\"a\""; 20].join(", ").parse::<TagList>().is_ok());
    }
}
