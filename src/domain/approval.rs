//! Approvals: what one person's yes is worth where a service asks for two.

use chrono::{DateTime, Utc};

use super::actor::{Actor, ActorKind};
use super::ids::ApprovalId;
use super::text::text_enum;

text_enum!(
    /// How an approval ended.
    ApprovalEnd {
        /// It was one of those that the decision needed.
        Used = "used",
        /// The connection was decided otherwise.
        Overruled = "overruled",
        /// Whoever gave it took it back.
        Withdrawn = "withdrawn",
        /// The endpoint is gone.
        Lapsed = "lapsed",
    }
);

/// One person's yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// Who, as in the token.
    pub approver: String,
    /// Why.
    pub reason: String,
    /// For the consumer.
    pub message: Option<String>,
    /// Where the work on it is kept.
    pub ticket_url: Option<String>,
    /// Until when they would give access.
    pub expires_at: Option<DateTime<Utc>>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What somebody's yes comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Yes {
    /// It is the only one that is needed.
    Decides,
    /// It waits for another person's.
    Waits,
    /// With those that stand it is enough.
    Completes,
}

/// Why a yes does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoYes {
    /// Two approvals are two persons.
    #[error("{0} has approved it already; another person has to")]
    SamePerson(String),
    /// A rule does not stand in for a person.
    #[error("the service asks for the approval of two persons")]
    NotAPerson,
}

/// What the yes of `actor` comes to where `required` persons have to approve and these did.
pub fn yes(required: i16, standing: &[Approval], actor: &Actor) -> Result<Yes, NoYes> {
    if required <= 1 {
        return Ok(Yes::Decides);
    }
    if actor.kind != ActorKind::Person {
        return Err(NoYes::NotAPerson);
    }
    if standing.iter().any(|one| one.approver == actor.name) {
        return Err(NoYes::SamePerson(actor.name.clone()));
    }
    let count = i16::try_from(standing.len()).unwrap_or(i16::MAX);
    if count.saturating_add(1) < required {
        Ok(Yes::Waits)
    } else {
        Ok(Yes::Completes)
    }
}

/// Until when access is given: the earliest time that any of those who approved named.
pub fn earliest(standing: &[Approval], last: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    let named = standing.iter().filter_map(|one| one.expires_at);
    named.chain(last).min()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn approval(approver: &str, expires_at: Option<DateTime<Utc>>) -> Approval {
        Approval {
            id: ApprovalId::new(at(0)),
            approver: approver.to_owned(),
            reason: "fine".to_owned(),
            message: None,
            ticket_url: None,
            expires_at,
            at: at(0),
        }
    }

    fn person(name: &str) -> Actor {
        Actor::person(name, "r")
    }

    /// Every cell: how many are needed, who has approved, who says yes now.
    #[test]
    fn every_yes_is_as_the_table_says() {
        let ada = approval("ada", None);
        let same = Err(NoYes::SamePerson("ada".to_owned()));
        let (none, one) = (&[][..], std::slice::from_ref(&ada));
        let policy = Actor::timer();
        for (required, standing, actor, comes_to) in [
            (1, none, person("ada"), Ok(Yes::Decides)),
            // The service asked for two when ada approved, and no longer does.
            (1, one, person("ada"), Ok(Yes::Decides)),
            (1, one, person("bob"), Ok(Yes::Decides)),
            (1, none, policy.clone(), Ok(Yes::Decides)),
            (2, none, person("ada"), Ok(Yes::Waits)),
            (2, one, person("ada"), same),
            (2, one, person("bob"), Ok(Yes::Completes)),
            (2, none, policy.clone(), Err(NoYes::NotAPerson)),
            (2, one, policy.clone(), Err(NoYes::NotAPerson)),
        ] {
            assert_eq!(
                yes(required, standing, &actor),
                comes_to,
                "{required} {standing:?} {actor:?}"
            );
        }
    }

    #[test]
    fn the_earliest_end_counts() {
        let all = [approval("ada", Some(at(60))), approval("bob", None)];
        assert_eq!(earliest(&all, None), Some(at(60)));
        assert_eq!(earliest(&all, Some(at(30))), Some(at(30)));
        assert_eq!(earliest(&all[1..], None), None);
    }

    proptest! {
        /// However often whoever says yes, a decision takes as many different persons as the service asks for.
        #[test]
        fn a_decision_takes_as_many_persons_as_are_asked_for(said in prop::collection::vec(0_u8..4, 0..12)) {
            let mut standing: Vec<Approval> = Vec::new();
            for name in said {
                let name = format!("person {name}");
                match yes(2, &standing, &person(&name)) {
                    Ok(Yes::Waits) => standing.push(approval(&name, None)),
                    Ok(Yes::Completes) => {
                        prop_assert_eq!(standing.len(), 1);
                        prop_assert_ne!(&standing[0].approver, &name);
                        return Ok(());
                    }
                    Ok(Yes::Decides) => prop_assert!(false, "two are asked for"),
                    Err(_) => prop_assert_eq!(&standing[0].approver, &name),
                }
            }
            prop_assert!(standing.len() <= 1);
        }
    }
}
