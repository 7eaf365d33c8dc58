//! Hints: messages that say something may have changed in AWS. Never evidence, so nothing of them is believed but where to look.
//!
//! AWS does not document the body of a connection notification. Whatever it is, JSON or a sentence, the ids in it are found by their
//! shape; a message without any means "something here".

use std::collections::BTreeSet;

use privatelink::{ServiceId, VpcEndpointId};

use super::text::text_enum;

text_enum!(
    /// How a hint reached us.
    HintSource {
        /// Through the queue that the worker reads.
        Sqs = "sqs",
        /// SNS posted it to `/hooks/sns`.
        Http = "http",
    }
);

/// The most ids of a kind that one message is heard on; a message that names more is read as "something here".
pub const MOST_IDS: usize = 50;

/// What a message names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// Endpoint services.
    pub services: BTreeSet<ServiceId>,
    /// Endpoints.
    pub endpoints: BTreeSet<VpcEndpointId>,
}

impl Named {
    /// Finds the ids in a text of any shape. Work and result are bounded by the text's length and by [`MOST_IDS`].
    pub fn in_text(text: &str) -> Self {
        let mut named = Self::default();
        // Every id is one run of letters, digits and hyphens that begins with `vpce-`.
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        for word in words.filter(|word| word.starts_with("vpce-")) {
            if let Ok(service) = word.parse::<ServiceId>() {
                named.services.insert(service);
            } else if let Ok(endpoint) = word.parse::<VpcEndpointId>() {
                named.endpoints.insert(endpoint);
            }
            if named.services.len() > MOST_IDS || named.endpoints.len() > MOST_IDS {
                return Self::default();
            }
        }
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "vpce-svc-0123456789abcdef0";
    const ENDPOINT: &str = "vpce-0fedcba9876543210";

    fn one_of_each() -> Named {
        Named {
            services: BTreeSet::from([SERVICE.parse().unwrap()]),
            endpoints: BTreeSet::from([ENDPOINT.parse().unwrap()]),
        }
    }

    #[test]
    fn ids_are_found_whatever_the_shape() {
        for text in [
            format!(r#"{{"service":"{SERVICE}","endpoint":"{ENDPOINT}"}}"#),
            format!("Endpoint {ENDPOINT} was connected to {SERVICE}."),
            format!("arn:aws:ec2:eu-west-1:123456789012:vpc-endpoint-service/{SERVICE},{ENDPOINT}"),
            format!(r#"{{\"a\":\"{SERVICE}\",\"b\":[\"{ENDPOINT}\"]}}"#),
            format!("com.amazonaws.vpce.eu-west-1.{SERVICE} {ENDPOINT} {ENDPOINT}"),
        ] {
            assert_eq!(Named::in_text(&text), one_of_each(), "{text}");
        }
    }

    #[test]
    fn what_is_no_id_is_passed_over() {
        for text in [
            "",
            "{}",
            "vpce-",
            "vpce-svc-",
            "vpce-xyz",
            "VPCE-0FEDCBA9876543210",
            "vpce-0fedcba9876543210123456789",
            "\u{1F980} vpce-\u{1F980}",
        ] {
            assert_eq!(Named::in_text(text), Named::default(), "{text}");
        }
    }

    #[test]
    fn a_message_that_names_too_much_names_nothing() {
        let ids: Vec<String> = (0..=MOST_IDS).map(|n| format!("vpce-{n:017x}")).collect();
        assert_eq!(
            Named::in_text(&ids[1..].join(" ")).endpoints.len(),
            MOST_IDS
        );
        assert_eq!(Named::in_text(&ids.join(" ")), Named::default());
    }
}
