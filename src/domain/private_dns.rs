//! The private DNS name of a service: which names AWS takes, the record that proves one, where the proof stands, and when to look or ask
//! again. Pure: what DNS answers and what AWS shows are passed in.
//!
//! The rules are AWS's ("Manage DNS names for VPC endpoint services"): one lower-case public name, a wildcard allowed; a TXT record below a
//! label that AWS chooses, or at the domain itself where a DNS host takes no underscores; its value compared letter by letter.

mod finding;
mod watch;

use privatelink::PrivateDnsName;
use serde::{Deserialize, Serialize};

use super::text::text_enum;
pub use finding::{Answers, RecordFinding, judge, places};
pub use watch::{Pace, Probe, Refusal, Watch};

text_enum!(
    /// Where the proof of a private DNS name stands.
    DnsState {
        /// The service has no private DNS name.
        None = "none",
        /// AWS waits for its proof, and the TXT record cannot be seen.
        WaitingForRecord = "waiting_for_record",
        /// The TXT record can be seen, and AWS has not said yes yet.
        Verifying = "verifying",
        /// AWS has seen the record: consumers can use the name.
        Verified = "verified",
        /// AWS looked for the record and did not find it.
        Failed = "failed",
        /// It was verified once and is no longer: new requests are refused.
        Regressed = "regressed",
    }
);

/// The TXT record that proves a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxtRecord {
    /// The whole name, without a dot at its end.
    pub name: String,
    /// The label that AWS chose, which `name` begins with.
    pub label: String,
    /// The text, letter by letter.
    pub value: String,
}

/// Where the proof stands: what AWS shows, whether it was verified before, and whether we can see the record.
pub fn state(shown: Option<&PrivateDnsName>, was_verified: bool, visible: bool) -> DnsState {
    let Some(shown) = shown else {
        return DnsState::None;
    };
    match shown.state.as_deref() {
        Some("verified") => DnsState::Verified,
        _ if was_verified => DnsState::Regressed,
        Some("failed") => DnsState::Failed,
        // `pendingVerification`, a word that AWS added since, or hidden right after a change.
        _ if visible => DnsState::Verifying,
        _ => DnsState::WaitingForRecord,
    }
}

/// The domain whose ownership is proven: the name without its wildcard.
pub fn domain_of(name: &str) -> &str {
    name.strip_prefix("*.").unwrap_or(name)
}

/// The record for a name; `None` while AWS does not tell it, as happens right after a change.
pub fn record(shown: &PrivateDnsName) -> Option<TxtRecord> {
    let told = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let (label, value) = (told(&shown.txt_name)?, told(&shown.txt_value)?);
    let domain = domain_of(&shown.name);
    let label = label.trim_end_matches('.');
    let label = label
        .strip_suffix(domain)
        .map_or(label, |relative| relative.trim_end_matches('.'));
    Some(TxtRecord {
        name: format!("{label}.{domain}"),
        label: label.to_owned(),
        value,
    })
}

/// Why a name cannot be a private DNS name.
pub fn refusal(name: &str) -> Option<&'static str> {
    let domain = domain_of(name);
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.len() > 255 {
        Some("a name has at most 255 characters")
    } else if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Some("give it in lower case, as AWS wants it")
    } else if domain.contains('*') {
        Some("a wildcard stands alone and first: *.example.com")
    } else if name.ends_with('.') {
        Some("leave out the dot at its end")
    } else if domain
        .split('.')
        .any(|label| !(1..=63).contains(&label.len()))
    {
        Some("each part between dots has 1 to 63 characters")
    } else if !domain.contains('.') {
        Some("give a public domain of two parts or more, such as api.example.com")
    } else if domain
        .split('.')
        .any(|label| !label.bytes().all(plain) || label.starts_with('-') || label.ends_with('-'))
    {
        Some("use letters, digits and hyphens, which do not begin or end a part")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
