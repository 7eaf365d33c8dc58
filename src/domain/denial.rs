//! The deny list: who may not be accepted, where, and until when. Pure.

use chrono::{DateTime, Utc};
use privatelink::AccountId;

use super::consumer::Said;
use super::ids::{ConsumerId, DenialId, EndpointServiceId};
use super::text::text_enum;

text_enum!(
    /// What kind of subject a denial has.
    DenialKind {
        /// One account.
        Account = "account",
        /// A consumer, with every account that it has when somebody wants to accept.
        Consumer = "consumer",
        /// Everybody, on one service.
        Everybody = "everybody",
    }
);

text_enum!(
    /// Where a denial stands.
    DenialState {
        /// It denies.
        Standing = "standing",
        /// Its time is over.
        Expired = "expired",
        /// Somebody took it back.
        Lifted = "lifted",
    }
);

/// Whom a denial is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// One account.
    Account(AccountId),
    /// A consumer, with every account that it has when somebody wants to accept.
    Consumer(ConsumerId),
    /// Everybody, on one service.
    Everybody,
}

impl Denied {
    /// The kind alone.
    pub fn kind(&self) -> DenialKind {
        match self {
            Self::Account(_) => DenialKind::Account,
            Self::Consumer(_) => DenialKind::Consumer,
            Self::Everybody => DenialKind::Everybody,
        }
    }
}

/// That somebody may not be accepted.
#[derive(Debug, Clone)]
pub struct Denial {
    /// Our id.
    pub id: DenialId,
    /// Whom it is about.
    pub subject: Denied,
    /// On which service; `None` is everywhere.
    pub service: Option<EndpointServiceId>,
    /// Who denied, when and why.
    pub said: Said,
    /// From when on it denies nothing any more; `None` is never.
    pub expires_at: Option<DateTime<Utc>>,
    /// Who took it back, when and why.
    pub lifted: Option<Said>,
}

impl Denial {
    /// Where it stands at a time.
    pub fn state(&self, now: DateTime<Utc>) -> DenialState {
        match (&self.lifted, self.expires_at) {
            (Some(_), _) => DenialState::Lifted,
            (None, Some(end)) if end <= now => DenialState::Expired,
            (None, _) => DenialState::Standing,
        }
    }

    /// Whether it keeps an account, with the consumer that it belongs to, from being accepted on a service.
    pub fn denies(
        &self,
        account: &AccountId,
        consumer: Option<ConsumerId>,
        service: EndpointServiceId,
        now: DateTime<Utc>,
    ) -> bool {
        let about = match &self.subject {
            Denied::Account(denied) => denied == account,
            Denied::Consumer(denied) => consumer == Some(*denied),
            // Nobody denies everything to everybody by a slip.
            Denied::Everybody => self.service.is_some(),
        };
        about
            && self.service.is_none_or(|denied| denied == service)
            && self.state(now) == DenialState::Standing
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn said() -> Said {
        Said {
            at: now(),
            by: "ann".to_owned(),
            reason: "fraud".to_owned(),
        }
    }

    fn denial(subject: Denied, service: Option<EndpointServiceId>) -> Denial {
        Denial {
            id: DenialId::new(now()),
            subject,
            service,
            said: said(),
            expires_at: None,
            lifted: None,
        }
    }

    #[test]
    fn a_denial_covers_its_subject_and_place_and_nothing_else() {
        let accounts: [AccountId; 2] = ["111122223333", "444455556666"].map(|a| a.parse().unwrap());
        let consumers = [ConsumerId::new(now()), ConsumerId::new(now())];
        let services = [EndpointServiceId::new(now()), EndpointServiceId::new(now())];
        let subjects = [
            Denied::Account(accounts[0].clone()),
            Denied::Consumer(consumers[0]),
            Denied::Everybody,
        ];
        for subject in subjects {
            for place in [None, Some(services[0])] {
                for account in &accounts {
                    for consumer in [None, Some(consumers[0]), Some(consumers[1])] {
                        for service in services {
                            let about = match subject {
                                Denied::Account(_) => *account == accounts[0],
                                Denied::Consumer(_) => consumer == Some(consumers[0]),
                                Denied::Everybody => place.is_some(),
                            };
                            let here = place.is_none() || service == services[0];
                            let denial = denial(subject.clone(), place);
                            let denies = denial.denies(account, consumer, service, now());
                            assert_eq!(denies, about && here, "{denial:?} {account} {service}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_lifted_or_over_denies_nothing() {
        let account: AccountId = "111122223333".parse().unwrap();
        let service = EndpointServiceId::new(now());
        let mut denial = denial(Denied::Account(account.clone()), None);
        let mut ask = |expires, lifted| {
            denial.expires_at = expires;
            denial.lifted = lifted;
            let denies = denial.denies(&account, None, service, now());
            (denial.state(now()), denies)
        };
        let second = TimeDelta::seconds(1);
        assert_eq!(ask(None, None), (DenialState::Standing, true));
        let later = Some(now() + second);
        assert_eq!(ask(later, None), (DenialState::Standing, true));
        assert_eq!(ask(Some(now()), None), (DenialState::Expired, false));
        assert_eq!(ask(later, Some(said())), (DenialState::Lifted, false));
    }
}
