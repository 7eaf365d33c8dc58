//! What a message from the queue says, with SNS's envelope around it or without.

use serde::Deserialize;

/// The longest message id that is kept as it came. SNS and SQS give UUIDs.
const LONGEST_ID: usize = 100;

/// A message as far as it is read: which one it is, and the text in which ids are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// SNS's id where it has one: the same message sent twice has the same id, over SQS and over HTTP.
    pub message_id: String,
    /// What was published.
    pub text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    r#type: String,
    message_id: String,
    message: String,
}

/// Reads a message that SQS calls `queue_id`. Anything may be in it: what is no envelope is taken for the text itself, as with raw
/// delivery, and an id that nobody's SNS gave is not believed.
pub fn heard(queue_id: &str, body: &str) -> Heard {
    let envelope = serde_json::from_str::<Envelope>(body)
        .ok()
        .filter(|envelope| envelope.r#type == "Notification");
    match envelope {
        Some(envelope) if is_plain(&envelope.message_id) => Heard {
            message_id: envelope.message_id,
            text: envelope.message,
        },
        Some(envelope) => Heard {
            message_id: plain(queue_id),
            text: envelope.message,
        },
        None => Heard {
            message_id: plain(queue_id),
            text: body.to_owned(),
        },
    }
}

fn is_plain(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

/// An id of which the database can keep every letter.
fn plain(id: &str) -> String {
    let letters = id.chars().filter(char::is_ascii_graphic);
    let kept: String = letters.take(LONGEST_ID).collect();
    if kept.is_empty() {
        "unnamed".to_owned()
    } else {
        kept
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_envelope_gives_its_message_and_its_own_id() {
        let body = json!({
            "Type": "Notification", "MessageId": "5f7c", "TopicArn": "arn:aws:sns:eu-west-1:111122223333:t",
            "Message": "{\"vpcEndpointId\":\"vpce-0fedcba9876543210\"}", "Timestamp": "2026-11-26T09:00:00.000Z",
        });
        let heard = heard("queue-id", &body.to_string());
        assert_eq!(heard.message_id, "5f7c");
        assert_eq!(heard.text, "{\"vpcEndpointId\":\"vpce-0fedcba9876543210\"}");
    }

    #[test]
    fn a_raw_body_is_the_text_and_has_the_id_of_the_queue() {
        for body in ["Connect of vpce-0fedcba9876543210", "{}", "[1]", ""] {
            let heard = heard("queue-id", body);
            assert_eq!(
                (heard.message_id.as_str(), heard.text.as_str()),
                ("queue-id", body)
            );
        }
    }

    /// A confirmation has a link in it, which nobody here follows.
    #[test]
    fn what_is_no_notification_is_a_text_like_any_other() {
        let body = json!({ "Type": "SubscriptionConfirmation", "MessageId": "1", "Message": "m" });
        assert_eq!(heard("queue-id", &body.to_string()).message_id, "queue-id");
    }

    #[test]
    fn a_forged_id_is_not_kept() {
        for id in [
            "",
            "with a space",
            "nul\u{0}",
            "\u{1F980}",
            &"x".repeat(101),
        ] {
            let body = json!({ "Type": "Notification", "MessageId": id, "Message": "m" });
            assert_eq!(
                heard("queue-id", &body.to_string()).message_id,
                "queue-id",
                "{id:?}"
            );
        }
    }

    proptest! {
        /// PostgreSQL takes any visible letter and no NUL: no message can be one that cannot be stored.
        #[test]
        fn whatever_comes_there_is_an_id_that_can_be_stored(id in ".*", body in ".*", forged in ".*") {
            let envelope = json!({ "Type": "Notification", "MessageId": forged, "Message": body });
            for body in [body, envelope.to_string()] {
                let heard = heard(&id, &body);
                prop_assert!(is_plain(&heard.message_id));
            }
        }
    }
}
