//! The connection notification that a registered service should have, and the step towards it. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use privatelink::messaging::all_connection_events;
use privatelink::{ConnectionNotification, ServiceId};

use super::ids::EndpointServiceId;

/// What is remembered of a service's notification. AWS's own row is the truth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    /// How many notifications of it are gone.
    pub generation: i32,
    /// The one there is, and since when.
    pub made: Option<(String, DateTime<Utc>)>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeStep {
    /// It is as it should be, or nothing can be said yet.
    Keep,
    /// Make one.
    Create,
    /// There is one already: remember it.
    Adopt(String),
    /// Somebody changed it: set topic and events anew.
    Correct(String),
    /// It is gone: forget it, and go on from there.
    Forget,
}

/// Finds the next step. `listed` are all notifications of the account in the Region; one that was made within `grace` may not be among
/// them yet.
pub fn notice_step(
    service: &ServiceId,
    topic: &str,
    remembered: &Remembered,
    listed: &[ConnectionNotification],
    now: DateTime<Utc>,
    grace: TimeDelta,
) -> NoticeStep {
    if let Some((id, made_at)) = &remembered.made {
        return match listed.iter().find(|row| row.id == *id) {
            Some(row) if is_right(row, topic) => NoticeStep::Keep,
            Some(row) => NoticeStep::Correct(row.id.clone()),
            None if now < *made_at + grace => NoticeStep::Keep,
            None => NoticeStep::Forget,
        };
    }
    listed
        .iter()
        .find(|row| row.service_id.as_ref() == Some(service) && row.topic_arn == topic)
        .map_or(NoticeStep::Create, |row| NoticeStep::Adopt(row.id.clone()))
}

fn is_right(row: &ConnectionNotification, topic: &str) -> bool {
    row.topic_arn == topic && row.events == all_connection_events() && row.enabled
}

/// What makes the repeat of a create harmless: at most 64 ASCII characters.
pub fn client_token(service: EndpointServiceId, generation: i32) -> String {
    format!("{service}-n{generation}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:111122223333:portcullis-connections";

    fn service() -> ServiceId {
        "vpce-svc-0123456789abcdef0".parse().unwrap()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_764_000_000 + seconds, 0).unwrap()
    }

    fn row(id: &str) -> ConnectionNotification {
        ConnectionNotification {
            id: id.to_owned(),
            service_id: Some(service()),
            endpoint_id: None,
            topic_arn: TOPIC.to_owned(),
            events: all_connection_events(),
            enabled: true,
        }
    }

    fn remembered(id: &str) -> Remembered {
        Remembered {
            generation: 0,
            made: Some((id.to_owned(), at(0))),
        }
    }

    fn step(remembered: &Remembered, listed: &[ConnectionNotification]) -> NoticeStep {
        let grace = TimeDelta::seconds(10);
        notice_step(&service(), TOPIC, remembered, listed, at(60), grace)
    }

    #[test]
    fn one_is_made_only_where_there_is_none() {
        let nothing = Remembered::default();
        assert_eq!(step(&nothing, &[]), NoticeStep::Create);
        let mut others = [row("a"), row("b")];
        others[0].topic_arn = format!("{TOPIC}-theirs");
        others[1].service_id = Some("vpce-svc-11111111111111111".parse().unwrap());
        assert_eq!(step(&nothing, &others), NoticeStep::Create);
        assert_eq!(
            step(&nothing, &[row("mine")]),
            NoticeStep::Adopt("mine".to_owned())
        );
    }

    #[test]
    fn what_somebody_changed_is_put_right() {
        assert_eq!(step(&remembered("a"), &[row("a")]), NoticeStep::Keep);
        let changes: [fn(&mut ConnectionNotification); 3] = [
            |row| row.topic_arn.push_str("-theirs"),
            |row| drop(row.events.pop_first()),
            |row| row.enabled = false,
        ];
        for change in changes {
            let mut theirs = row("a");
            change(&mut theirs);
            let wanted = NoticeStep::Correct("a".to_owned());
            assert_eq!(step(&remembered("a"), &[theirs]), wanted);
        }
    }

    #[test]
    fn one_that_is_gone_is_forgotten_but_not_while_a_read_may_lag() {
        assert_eq!(step(&remembered("a"), &[]), NoticeStep::Forget);
        let (grace, early) = (TimeDelta::seconds(10), at(9));
        let kept = notice_step(&service(), TOPIC, &remembered("a"), &[], early, grace);
        assert_eq!(kept, NoticeStep::Keep);
    }

    #[test]
    fn the_client_token_fits_and_changes_with_the_generation() {
        let id = EndpointServiceId::new(at(0));
        let (one, two) = (client_token(id, 0), client_token(id, i32::MAX));
        assert_ne!(one, two);
        assert!(two.len() <= 64 && two.is_ascii(), "{two}");
    }
}
