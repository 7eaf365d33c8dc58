//! The message that SNS posts: its shape, and the text that its signature is over.
//!
//! The members and the signed text are as in the Amazon SNS developer guide, "Verifying the signatures of Amazon SNS messages". The content type
//! is `text/plain` and the body JSON; members that this version does not know are left alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::refusal::Refusal;
use super::topic::TopicArn;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something was published.
    Notification,
    /// Somebody subscribed this endpoint and SNS asks whether it wants that.
    SubscriptionConfirmation,
    /// The subscription was ended, and a link undoes that.
    UnsubscribeConfirmation,
}

impl Kind {
    /// As SNS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notification => "Notification",
            Self::SubscriptionConfirmation => "SubscriptionConfirmation",
            Self::UnsubscribeConfirmation => "UnsubscribeConfirmation",
        }
    }

    fn of(text: &str) -> Option<Self> {
        [
            Self::Notification,
            Self::SubscriptionConfirmation,
            Self::UnsubscribeConfirmation,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == text)
    }
}

/// How a message is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureVersion {
    /// SHA-1 with RSA.
    One,
    /// SHA-256 with RSA.
    Two,
}

/// What the headers say of the message. They are not signed, so they only ever lead to a refusal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Headers<'a> {
    /// `x-amz-sns-message-type`.
    pub message_type: Option<&'a str>,
    /// `x-amz-sns-message-id`.
    pub message_id: Option<&'a str>,
    /// `x-amz-sns-topic-arn`.
    pub topic_arn: Option<&'a str>,
    /// `x-amz-sns-rawdelivery`: the body is the bare message, which nothing signs.
    pub raw_delivery: Option<&'a str>,
}

/// A message whose shape is right. Nothing in it is proven.
#[derive(Debug)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// SNS's own id of it; a repeat has the same one.
    pub id: String,
    /// The topic.
    pub topic: TopicArn,
    /// What was published.
    pub text: String,
    /// When SNS signed it.
    pub at: DateTime<Utc>,
    /// How it is signed.
    pub version: SignatureVersion,
    /// The signature.
    pub signature: Vec<u8>,
    /// Where the certificate is said to be.
    pub certificate_url: String,
    /// For the confirmations: the link and its token.
    pub link: Option<Link>,
    /// The text that the signature is over.
    pub signed: String,
}

/// The link that confirms a subscription.
#[derive(Debug)]
pub struct Link {
    /// The address.
    pub url: String,
    /// The token in it.
    pub token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    r#type: String,
    message_id: String,
    topic_arn: String,
    subject: Option<String>,
    message: String,
    timestamp: String,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: String,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
    token: Option<String>,
}

impl Message {
    /// Reads a message. The work is bounded by the length of the body.
    pub fn read(headers: Headers<'_>, body: &[u8]) -> Result<Self, Refusal> {
        let malformed = |why: &str| Refusal::Malformed(why.to_owned());
        let Some(declared) = headers.message_type else {
            return Err(malformed("the header x-amz-sns-message-type is missing"));
        };
        let kind = Kind::of(declared)
            .ok_or_else(|| malformed("the header x-amz-sns-message-type has an unknown value"))?;
        if headers
            .raw_delivery
            .is_some_and(|raw| !raw.eq_ignore_ascii_case("false"))
        {
            return Err(malformed(
                "raw message delivery carries no signature: switch it off for this subscription",
            ));
        }
        // A struct can be read from an array, by position; SNS sends none.
        if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(malformed("the body is not a JSON object"));
        }
        let envelope: Envelope = serde_json::from_slice(body)
            .map_err(|error| Refusal::Malformed(format!("the body cannot be read: {error}")))?;
        if Kind::of(&envelope.r#type) != Some(kind) {
            return Err(malformed("header and body disagree about the type"));
        }
        let differs = |header: Option<&str>, member: &str| header.is_some_and(|h| h != member);
        if differs(headers.message_id, &envelope.message_id)
            || differs(headers.topic_arn, &envelope.topic_arn)
        {
            return Err(malformed("header and body disagree about the message"));
        }
        envelope.message(kind)
    }
}

impl Envelope {
    fn message(self, kind: Kind) -> Result<Message, Refusal> {
        let malformed = |why: &str| Refusal::Malformed(why.to_owned());
        let fits = (1..=100).contains(&self.message_id.len())
            && self
                .message_id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !fits {
            return Err(malformed("MessageId has another form than SNS's ids"));
        }
        let topic: TopicArn = self
            .topic_arn
            .parse()
            .map_err(|_| malformed("TopicArn is not the ARN of an SNS topic"))?;
        let at = DateTime::parse_from_rfc3339(&self.timestamp)
            .map_err(|_| malformed("Timestamp is not a time"))?
            .with_timezone(&Utc);
        let version = match self.signature_version.as_str() {
            "1" => SignatureVersion::One,
            "2" => SignatureVersion::Two,
            _ => return Err(malformed("SignatureVersion is neither 1 nor 2")),
        };
        // The longest RSA key that is verified has 8192 bits.
        if self.signature.len() > 1_368 {
            return Err(malformed("Signature is too long"));
        }
        let signature = STANDARD
            .decode(&self.signature)
            .map_err(|_| malformed("Signature is not in base 64"))?;
        let signed = self.signed(kind);
        let link = match (kind, self.subscribe_url, self.token) {
            (Kind::Notification, _, _) => None,
            (_, Some(url), Some(token)) => Some(Link { url, token }),
            _ => return Err(malformed("SubscribeURL or Token is missing")),
        };
        Ok(Message {
            kind,
            id: self.message_id,
            topic,
            text: self.message,
            at,
            version,
            signature,
            certificate_url: self.signing_cert_url,
            link,
            signed,
        })
    }

    /// Each signed name and its value on lines of their own, in the order of the names; the last line is ended too. A subject is part of it only
    /// when there is one.
    fn signed(&self, kind: Kind) -> String {
        let notification = kind == Kind::Notification;
        let link = |value: &Option<String>| (!notification).then(|| value.clone()).flatten();
        let subject = self.subject.clone().filter(|_| notification);
        let lines = [
            ("Message", Some(self.message.clone())),
            ("MessageId", Some(self.message_id.clone())),
            ("Subject", subject),
            ("SubscribeURL", link(&self.subscribe_url)),
            ("Timestamp", Some(self.timestamp.clone())),
            ("Token", link(&self.token)),
            ("TopicArn", Some(self.topic_arn.clone())),
            ("Type", Some(self.r#type.clone())),
        ];
        let mut text = String::with_capacity(self.message.len() + 512);
        for (name, value) in lines {
            if let Some(value) = value {
                text.extend([name, "\n", &value, "\n"]);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn notification() -> Value {
        json!({
            "Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": "arn:aws:sns:us-west-2:123456789012:t", "Message": "a \"quoted\"\nline",
            "Timestamp": "2026-11-26T08:00:00.000Z", "SignatureVersion": "2", "Signature": "AAAA",
            "SigningCertURL": "https://sns.us-west-2.amazonaws.com/x.pem",
        })
    }

    fn read(kind: &str, body: &[u8]) -> Result<Message, Refusal> {
        let headers = Headers {
            message_type: Some(kind),
            ..Headers::default()
        };
        Message::read(headers, body)
    }

    fn with(name: &str, value: Value) -> Result<Message, Refusal> {
        let mut body = notification();
        body[name] = value;
        read("Notification", body.to_string().as_bytes())
    }

    #[track_caller]
    fn refused(result: &Result<Message, Refusal>) {
        assert!(matches!(result, Err(Refusal::Malformed(_))), "{result:?}");
    }

    #[test]
    fn the_signed_text_has_the_documented_lines() {
        let plain = with("Unknown", json!({"MessageAttributes": {}})).unwrap();
        assert_eq!(
            plain.signed,
            "Message\na \"quoted\"\nline\nMessageId\n22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\n\
             Timestamp\n2026-11-26T08:00:00.000Z\nTopicArn\narn:aws:sns:us-west-2:123456789012:t\n\
             Type\nNotification\n"
        );
        let subject = with("Subject", json!("hello")).unwrap().signed;
        assert!(subject.contains("bdfb0c7bf324\nSubject\nhello\nTimestamp\n"));
        // A notification that names a link signs it not.
        assert_eq!(with("Token", json!("t")).unwrap().signed, plain.signed);
        let mut body = notification();
        body["Type"] = json!("SubscriptionConfirmation");
        body["SubscribeURL"] = json!("u");
        body["Token"] = json!("k");
        let asked = read("SubscriptionConfirmation", body.to_string().as_bytes()).unwrap();
        assert!(asked.signed.contains(
            "\nSubscribeURL\nu\nTimestamp\n2026-11-26T08:00:00.000Z\nToken\nk\nTopicArn\n"
        ));
    }

    #[test]
    fn escapes_are_read_before_the_text_is_made() {
        let written = notification().to_string().replace("quoted", "q\\u0075oted");
        let message = read("Notification", written.as_bytes()).unwrap();
        assert_eq!(message.text, "a \"quoted\"\nline");
        assert!(message.signed.starts_with("Message\na \"quoted\"\nline\n"));
    }

    #[test]
    fn what_is_missing_twice_there_or_of_another_type_is_refused() {
        for (name, value) in notification().as_object().unwrap() {
            let mut body = notification();
            body.as_object_mut().unwrap().remove(name);
            refused(&read("Notification", body.to_string().as_bytes()));
            refused(&with(name, json!(7)));
            let twice = format!("{{\"{name}\":{value},{}", &notification().to_string()[1..]);
            refused(&read("Notification", twice.as_bytes()));
        }
    }

    #[test]
    fn values_that_sns_never_sends_are_refused() {
        for (name, value) in [
            ("Type", "Something"),
            ("MessageId", ""),
            ("MessageId", "a'; DROP TABLE hints"),
            ("TopicArn", "arn:aws:sns:us-west-2:1:t"),
            ("Timestamp", "yesterday"),
            ("SignatureVersion", "3"),
            ("SignatureVersion", ""),
            ("Signature", "not base 64!"),
        ] {
            refused(&with(name, json!(value)));
        }
        refused(&with("Signature", json!("A".repeat(2_000))));
        refused(&with("MessageId", json!("a".repeat(101))));
    }

    #[test]
    fn bodies_that_are_no_json_object_are_refused() {
        let deep = format!("{{\"Message\":{}", "[".repeat(100_000));
        let array = "[\"Notification\"]".to_owned();
        let trailing = format!("{}{{}}", notification());
        let surrogate = notification().to_string().replace("quoted", "\\ud800");
        for body in ["", "{", "null", &deep, &array, &trailing, &surrogate] {
            refused(&read("Notification", body.as_bytes()));
        }
        let mut broken = notification().to_string().into_bytes();
        let at = broken.windows(6).position(|w| w == b"quoted").unwrap();
        broken[at] = 0xff;
        refused(&read("Notification", &broken));
    }

    /// What nobody reads can be as deep as the body is long.
    #[test]
    fn depth_in_an_unknown_member_costs_no_stack() {
        let deep = format!(
            "{{\"Deep\":{}{},{}",
            "[".repeat(100_000),
            "]".repeat(100_000),
            &notification().to_string()[1..]
        );
        // Taken or refused, but answered.
        let _ = read("Notification", deep.as_bytes());
    }

    #[test]
    fn headers_must_agree_with_the_body_and_raw_delivery_is_refused() {
        let body = notification().to_string();
        let read = |headers: Headers<'_>| Message::read(headers, body.as_bytes());
        let good = Headers {
            message_type: Some("Notification"),
            message_id: Some("22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"),
            topic_arn: Some("arn:aws:sns:us-west-2:123456789012:t"),
            raw_delivery: None,
        };
        assert!(read(good).is_ok());
        for bad in [
            Headers {
                message_type: None,
                ..good
            },
            Headers {
                message_type: Some("SubscriptionConfirmation"),
                ..good
            },
            Headers {
                message_type: Some("notification"),
                ..good
            },
            Headers {
                message_id: Some("another"),
                ..good
            },
            Headers {
                topic_arn: Some("another"),
                ..good
            },
            Headers {
                raw_delivery: Some("true"),
                ..good
            },
        ] {
            refused(&read(bad));
        }
    }
}
