//! Filters and paging, the same for every EC2 Describe.
//!
//! Values of one filter are OR-ed, filters are AND-ed, values are case-sensitive and may hold `*` and `?`. Page tokens name
//! the last row that was given out, so a page costs what it holds, not what came before it. They say so to nobody else, and are
//! good for the request that they came from only.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::ids;
use crate::AwsError;

/// Tags of a resource.
pub type Tags = BTreeMap<String, String>;

/// EC2 takes at most this many filter values in one request.
pub const MAX_FILTER_VALUES: usize = 200;

/// The largest page that EC2's endpoint-service Describes give.
pub const MAX_PAGE: usize = 1_000;

/// One `Filter.N`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Such as `service-id`, `tag-key` or `tag:Name`.
    pub name: String,
    /// Patterns, any of which may match.
    pub values: Vec<String>,
}

/// All filters of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filters(pub Vec<Filter>);

impl Filters {
    /// One filter with one value, for callers in process.
    pub fn one(name: &str, value: &str) -> Self {
        Self(vec![Filter {
            name: name.to_owned(),
            values: vec![value.to_owned()],
        }])
    }

    /// Refuses names outside `known` (`InvalidFilter`) and too many values (`FilterLimitExceeded`).
    /// `tag:KEY` is known where `tag-key` is.
    pub fn check(&self, known: &[&str]) -> Result<(), AwsError> {
        for filter in &self.0 {
            let tag = filter.name.starts_with("tag:") && known.contains(&"tag-key");
            if !tag && !known.contains(&filter.name.as_str()) {
                return Err(AwsError::new(
                    "InvalidFilter",
                    format!("The filter '{}' is invalid", filter.name),
                ));
            }
        }
        let values: usize = self.0.iter().map(|filter| filter.values.len()).sum();
        if values > MAX_FILTER_VALUES {
            return Err(AwsError::new(
                "FilterLimitExceeded",
                format!("The maximum number of filter values is {MAX_FILTER_VALUES}"),
            ));
        }
        Ok(())
    }

    /// Whether a row passes every filter; `fields` gives the row's values under a filter's name.
    pub fn allow(&self, tags: &Tags, fields: impl Fn(&str) -> Vec<String>) -> bool {
        self.0.iter().all(|filter| {
            let values = match (filter.name.strip_prefix("tag:"), filter.name.as_str()) {
                (Some(key), _) => tags.get(key).cloned().into_iter().collect(),
                (None, "tag-key") => tags.keys().cloned().collect(),
                (None, name) => fields(name),
            };
            filter
                .values
                .iter()
                .any(|pattern| values.iter().any(|value| matches(pattern, value)))
        })
    }

    /// The values of a filter when all of them are literal: the key to a direct look-up instead of a scan.
    pub fn literals(&self, name: &str) -> Option<&[String]> {
        self.0
            .iter()
            .find(|filter| filter.name == name)
            .map(|filter| filter.values.as_slice())
            .filter(|values| !values.iter().any(|value| is_pattern(value)))
    }
}

/// Matches a text against a pattern with `*`, `?` and backslash escapes. A pattern is read only as far as the text asks for
/// it, and only the last `*` is tried again: the square of the text's length at worst, however long the pattern is.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // What follows the last star, and the text from which it was tried.
    let mut star: Option<(&str, &str)> = None;
    loop {
        let mut rest = text.chars();
        match (next_token(pattern), rest.next()) {
            (None, None) => return true,
            (Some((Token::Any, after)), _) => {
                star = Some((after, text));
                pattern = after;
            }
            (Some((Token::One, after)), Some(_)) => (pattern, text) = (after, rest.as_str()),
            (Some((Token::Is(wanted), after)), Some(c)) if wanted == c => {
                (pattern, text) = (after, rest.as_str());
            }
            // The text is over, and more of it would be needed.
            (Some(_), None) => return false,
            (_, Some(_)) => {
                let Some((after, from)) = &mut star else {
                    return false;
                };
                let mut later = from.chars();
                later.next();
                *from = later.as_str();
                (pattern, text) = (*after, *from);
            }
        }
    }
}

/// The same pattern with one star for several in a row, which mean the same and cost more.
pub(crate) fn shortened(pattern: &str) -> String {
    let mut short = String::with_capacity(pattern.len());
    let (mut rest, mut starred) = (pattern, false);
    while let Some((token, after)) = next_token(rest) {
        let star = matches!(token, Token::Any);
        if !(star && starred) {
            short.push_str(&rest[..rest.len() - after.len()]);
        }
        (rest, starred) = (after, star);
    }
    short
}

/// Whether a text means anything else than itself.
fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '\\'])
}

enum Token {
    Any,
    One,
    Is(char),
}

/// The first part of a pattern, and what follows it.
fn next_token(pattern: &str) -> Option<(Token, &str)> {
    let mut chars = pattern.chars();
    let token = match chars.next()? {
        '*' => Token::Any,
        '?' => Token::One,
        '\\' => Token::Is(chars.next().unwrap_or('\\')),
        other => Token::Is(other),
    };
    Some((token, chars.as_str()))
}

/// Which page of a listing is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paging {
    /// `MaxResults`.
    pub max: Option<usize>,
    /// `NextToken`.
    pub token: Option<String>,
    /// A digest of what a token is good for, besides the listing: who asks, where and for what.
    pub scope: u64,
}

impl Paging {
    /// The largest page from this place on.
    pub fn from(token: Option<&str>) -> Self {
        Self {
            token: token.map(str::to_owned),
            ..Self::default()
        }
    }

    /// Refuses ids together with `MaxResults`, unless a switch allows that.
    pub fn check_beside(&self, ids: &[String], allowed: bool) -> Result<(), AwsError> {
        if allowed || ids.is_empty() || self.max.is_none() {
            return Ok(());
        }
        Err(AwsError::new(
            "InvalidParameterCombination",
            "The parameter maxResults cannot be used with ids in the same request",
        ))
    }

    /// The row after which the page starts, read back from a token of the same listing and scope.
    pub fn after(&self, listing: &str) -> Result<Option<String>, AwsError> {
        match self.token.as_deref() {
            None | Some("") => Ok(None),
            Some(token) => read_token(self.scope, listing, token)
                .map(Some)
                .ok_or_else(|| {
                    AwsError::new("InvalidNextToken", "The pagination token is not valid")
                }),
        }
    }

    /// Takes one page of the rows that follow the token's row. Keys must come in rising order and be unique.
    pub fn take<K: Display, T>(
        &self,
        listing: &str,
        limit: Option<usize>,
        rows: impl Iterator<Item = (K, T)>,
    ) -> Listed<T> {
        let size = self
            .max
            .unwrap_or(MAX_PAGE)
            .min(limit.unwrap_or(MAX_PAGE))
            .clamp(1, MAX_PAGE);
        let mut items = Vec::new();
        let mut last: Option<K> = None;
        for (key, row) in rows {
            if items.len() == size {
                let next = last.map(|key| write_token(self.scope, listing, &key.to_string()));
                return Listed { items, next };
            }
            items.push(row);
            last = Some(key);
        }
        Listed { items, next: None }
    }
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The token of the next page.
    pub next: Option<String>,
}

impl<T> Listed<T> {
    /// The same page with other rows.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Listed<U> {
        Listed {
            items: self.items.into_iter().map(change).collect(),
            next: self.next,
        }
    }
}

/// A token is a check sum over its scope, its listing and the key of the last row, and the key behind a mask that the sum
/// makes: nobody reads it by accident, and the same row of another request has nothing in common with it.
fn write_token(scope: u64, listing: &str, key: &str) -> String {
    use std::fmt::Write as _;
    let check = sum(scope, listing, key);
    let mut token = format!("{check:016x}");
    for (byte, mask) in key.bytes().zip(mask(check)) {
        let _ = write!(token, "{:02x}", byte ^ mask);
    }
    token
}

fn read_token(scope: u64, listing: &str, token: &str) -> Option<String> {
    let (check, rest) = token.split_at_checked(16)?;
    let check = u64::from_str_radix(check, 16).ok()?;
    let bytes: Option<Vec<u8>> = (0..rest.len())
        .step_by(2)
        .zip(mask(check))
        .map(|(at, mask)| Some(u8::from_str_radix(rest.get(at..at + 2)?, 16).ok()? ^ mask))
        .collect();
    let key = String::from_utf8(bytes?).ok()?;
    (check == sum(scope, listing, &key)).then_some(key)
}

/// Bytes without an end that look like noise.
fn mask(seed: u64) -> impl Iterator<Item = u8> {
    let words = std::iter::successors(Some(ids::mix(!seed)), |word| Some(ids::mix(*word)));
    words.flat_map(u64::to_le_bytes)
}

fn sum(scope: u64, listing: &str, key: &str) -> u64 {
    ids::mix(scope ^ ids::mix(ids::hash(listing) ^ ids::mix(ids::hash(key))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_in_ec2() {
        for (pattern, text, expected) in [
            ("abc", "abc", true),
            ("abc", "ABC", false),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a?c", "abc", true),
            ("a?c", "abbc", false),
            ("*", "", true),
            ("?", "", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("\\", "\\", true),
            ("a**?", "ab", true),
            ("a**?", "a", false),
            ("*é?", "xéé", true),
            ("", "", true),
            ("", "a", false),
            ("*", "é", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn several_stars_are_one() {
        for (pattern, short) in [
            ("a***b**", "a*b*"),
            ("\\***", "\\**"),
            ("\\\\**", "\\\\*"),
            ("é?", "é?"),
        ] {
            assert_eq!(shortened(pattern), short);
        }
    }

    #[test]
    fn a_long_pattern_costs_no_more_than_a_short_text() {
        let pattern = "*a".repeat(1_000_000);
        for _ in 0..10_000 {
            assert!(!matches(&pattern, "vpce-0aaaaaaaaaaaaaaaa"));
        }
    }

    #[test]
    fn a_long_pattern_of_stars_is_still_quick() {
        let text = "a".repeat(2_000);
        assert!(!matches(&format!("{}b", "*a".repeat(200)), &text));
    }

    #[test]
    fn values_are_joined_by_or_and_filters_by_and() {
        let filters = Filters(vec![
            Filter {
                name: "colour".into(),
                values: vec!["red".into(), "blue".into()],
            },
            Filter {
                name: "tag:team".into(),
                values: vec!["edge*".into()],
            },
        ]);
        let tags = Tags::from([("team".to_owned(), "edge-1".to_owned())]);
        assert!(filters.allow(&tags, |_| vec!["blue".to_owned()]));
        assert!(!filters.allow(&tags, |_| vec!["green".to_owned()]));
        assert!(!filters.allow(&Tags::new(), |_| vec!["blue".to_owned()]));
    }

    #[test]
    fn an_unknown_filter_is_refused_even_without_rows() {
        let error = Filters::one("colour", "red").check(&["service-id"]);
        assert_eq!(error.unwrap_err().code, "InvalidFilter");
        let untagged = Filters::one("tag:x", "y").check(&["service-id"]);
        assert_eq!(untagged.unwrap_err().code, "InvalidFilter");
    }

    #[test]
    fn more_than_two_hundred_values_are_refused() {
        let filters = Filters(vec![Filter {
            name: "service-id".into(),
            values: vec![String::new(); 201],
        }]);
        let error = filters.check(&["service-id"]).unwrap_err();
        assert_eq!(error.code, "FilterLimitExceeded");
    }

    #[test]
    fn pages_join_without_gap_or_overlap() {
        let keys: Vec<String> = (0..23).map(|n| format!("{n:02}")).collect();
        let mut paging = Paging {
            max: Some(5),
            ..Paging::default()
        };
        let mut seen = Vec::new();
        loop {
            let after = paging.after("l").unwrap();
            let rows = keys
                .iter()
                .filter(|key| after.as_ref().is_none_or(|last| *key > last))
                .map(|key| (key.clone(), key.clone()));
            let page = paging.take("l", None, rows);
            seen.extend(page.items);
            match page.next {
                Some(token) => paging.token = Some(token),
                None => break,
            }
        }
        assert_eq!(seen, keys);
    }

    #[test]
    fn a_token_of_another_listing_or_junk_is_refused() {
        let token = write_token(0, "DescribeVpcs", "vpc-1");
        for (listing, token) in [
            ("DescribeSubnets", token.as_str()),
            ("DescribeVpcs", "junk"),
            ("DescribeVpcs", "0123456789abcdef0g"),
            ("DescribeVpcs", "ééééééééé"),
        ] {
            let paging = Paging::from(Some(token));
            let error = paging.after(listing).unwrap_err();
            assert_eq!(error.code, "InvalidNextToken", "{token}");
        }
    }

    #[test]
    fn a_token_shows_no_key_and_is_good_for_its_scope_only() {
        let paging = |scope| Paging {
            max: Some(1),
            token: None,
            scope,
        };
        let rows = || ["vpc-1", "vpc-2"].iter().map(|key| (key, key));
        let token = paging(1).take("l", None, rows()).next.unwrap();
        let shown = "vpc-1".bytes().map(|byte| format!("{byte:02x}"));
        assert!(!token.contains(&shown.collect::<String>()), "{token}");
        let of = |scope| Paging {
            token: Some(token.clone()),
            ..paging(scope)
        };
        assert_eq!(of(1).after("l").unwrap().as_deref(), Some("vpc-1"));
        assert_eq!(of(2).after("l").unwrap_err().code, "InvalidNextToken");
        let other = paging(2).take("l", None, rows()).next.unwrap();
        assert_ne!(token[16..], other[16..]);
    }
}
