//! What public DNS shows of a TXT record, and what is wrong with it. The mistakes are those that AWS lists in "Troubleshoot common domain
//! verification issues".

use super::{TxtRecord, domain_of};
use crate::domain::text::text_enum;

/// The most domains, from the name upwards, that are looked at.
const MOST_DOMAINS: usize = 4;

text_enum!(
    /// What public DNS shows of the record.
    RecordFinding {
        /// It is where it shall be.
        Found = "found",
        /// Its value is at the domain itself, which AWS takes too.
        FoundAtApex = "found_at_apex",
        /// It proves a domain above, which covers this one.
        FoundAtParent = "found_at_parent",
        /// Nothing is there.
        Missing = "missing",
        /// Something else is there.
        WrongValue = "wrong_value",
        /// The DNS host changed the case of the value.
        LowerCased = "lower_cased",
        /// The DNS host put the zone behind a name that already ended in it.
        ZoneAppendedTwice = "zone_appended_twice",
        /// No resolver answered.
        Unreachable = "unreachable",
    }
);

impl RecordFinding {
    /// Whether AWS can see it as well, as far as DNS is the same everywhere.
    pub fn is_visible(self) -> bool {
        matches!(self, Self::Found | Self::FoundAtApex | Self::FoundAtParent)
    }

    /// What to do about it.
    pub fn fix(self) -> &'static str {
        match self {
            Self::Found | Self::FoundAtApex | Self::FoundAtParent => "nothing is to be done",
            Self::Missing => {
                "publish the TXT record in the public zone of the domain; a private zone does not count"
            }
            Self::WrongValue => {
                "add the value that is shown here; several values may share the name"
            }
            Self::LowerCased => {
                "put the value in quotation marks, or ask the DNS host to keep its case: AWS compares letter by letter"
            }
            Self::ZoneAppendedTwice => {
                "end the record's name with a dot, or give the DNS host the name without the zone"
            }
            Self::Unreachable => "check that this process can reach its DNS servers",
        }
    }
}

/// What each name answered: its TXT values, none when it has none, or why nobody answered.
pub type Answers = Vec<(String, Result<Vec<String>, String>)>;

/// The domain and those above it, of two parts or more.
fn domains(domain: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(domain), |domain| {
        let (_, parent) = domain.split_once('.')?;
        parent.contains('.').then_some(parent)
    })
    .take(MOST_DOMAINS)
}

/// The names to look at, the record's own first.
pub fn places(name: &str, record: &TxtRecord) -> Vec<String> {
    let domain = domain_of(name);
    let mut places = Vec::new();
    for (index, above) in domains(domain).enumerate() {
        places.push(format!("{}.{above}", record.label));
        places.push(above.to_owned());
        if index == 0 {
            places.extend(domains(domain).map(|zone| format!("{}.{zone}", record.name)));
        }
    }
    places
}

/// What the answers mean, with a sentence of evidence.
pub fn judge(name: &str, record: &TxtRecord, answers: &Answers) -> (RecordFinding, String) {
    let domain = domain_of(name);
    let at = |place: &str| -> &[String] {
        let answer = answers.iter().find(|(name, _)| name == place);
        answer
            .and_then(|(_, values)| values.as_deref().ok())
            .unwrap_or_default()
    };
    let exact = |place: &str| at(place).contains(&record.value);
    let folded = |place: &str| {
        let mut values = at(place).iter();
        values.any(|value| value.eq_ignore_ascii_case(&record.value))
    };
    if exact(&record.name) {
        return (RecordFinding::Found, format!("{} holds it", record.name));
    }
    for above in domains(domain) {
        let below = format!("{}.{above}", record.label);
        if let Some(place) = [below.as_str(), above].into_iter().find(|p| exact(p)) {
            let finding = if above == domain {
                RecordFinding::FoundAtApex
            } else {
                RecordFinding::FoundAtParent
            };
            return (finding, format!("{place} holds it"));
        }
    }
    if let Some(place) = [record.name.as_str(), domain]
        .into_iter()
        .find(|p| folded(p))
    {
        let evidence = format!("{place} holds the value in another case");
        return (RecordFinding::LowerCased, evidence);
    }
    let others = at(&record.name);
    if !others.is_empty() {
        let shown: Vec<String> = others.iter().take(3).map(|v| shortened(v)).collect();
        let evidence = format!("{} holds {} instead", record.name, shown.join(", "));
        return (RecordFinding::WrongValue, evidence);
    }
    let twice = domains(domain).map(|zone| format!("{}.{zone}", record.name));
    for place in twice {
        if folded(&place) {
            let evidence = format!("{place} holds it: the zone is in the name twice");
            return (RecordFinding::ZoneAppendedTwice, evidence);
        }
    }
    let own = answers.iter().find(|(place, _)| *place == record.name);
    match own {
        Some((_, Ok(_))) => (
            RecordFinding::Missing,
            format!("{} has no TXT record", record.name),
        ),
        Some((_, Err(why))) => (
            RecordFinding::Unreachable,
            format!("{} could not be looked up: {why}", record.name),
        ),
        None => (
            RecordFinding::Unreachable,
            format!("{} was not looked up", record.name),
        ),
    }
}

/// A value as evidence shows it: people publish long texts.
fn shortened(value: &str) -> String {
    let shown: String = value.chars().take(64).filter(|c| !c.is_control()).collect();
    format!("\"{shown}\"")
}
