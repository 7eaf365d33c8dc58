//! Message attributes: what a sender says about a message besides its text. SNS and SQS share their form.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Attributes by name.
pub type MessageAttributes = BTreeMap<String, MessageAttribute>;

/// One attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageAttribute {
    /// `String`, `Number`, `Binary` or `String.Array`; SQS lets a sender add a label after a dot.
    pub data_type: String,
    /// What it says.
    pub value: AttributeValue,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeValue {
    /// A text; numbers are texts as well.
    Text(String),
    /// Bytes, in base64.
    Binary(String),
}

impl MessageAttribute {
    /// A text of the type `String`.
    pub fn text(value: &str) -> Self {
        Self {
            data_type: "String".to_owned(),
            value: AttributeValue::Text(value.to_owned()),
        }
    }

    /// The value as it is written in JSON: the text, or the bytes in base64.
    pub fn written(&self) -> &str {
        match &self.value {
            AttributeValue::Text(text) | AttributeValue::Binary(text) => text,
        }
    }

    /// The type in front of the label.
    fn kind(&self) -> &str {
        self.data_type.split('.').next().unwrap_or_default()
    }

    fn bytes(&self) -> Vec<u8> {
        match &self.value {
            AttributeValue::Text(text) => text.clone().into_bytes(),
            AttributeValue::Binary(text) => STANDARD.decode(text).unwrap_or_default(),
        }
    }
}

/// Refuses attributes that neither SNS nor SQS would take; answers with the reason.
pub(crate) fn check(attributes: &MessageAttributes) -> Result<(), String> {
    for (name, attribute) in attributes {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let lower = name.to_ascii_lowercase();
        let reserved = ["aws.", "amazon."].iter().any(|p| lower.starts_with(p));
        let dots = name.starts_with('.') || name.ends_with('.') || name.contains("..");
        if name.is_empty() || name.len() > 256 || !name.chars().all(allowed) || reserved || dots {
            return Err(format!(
                "The message attribute name '{name}' is invalid. Attribute name can contain A-Z, a-z, 0-9, underscore \
                 (_), hyphen (-), and period (.) characters, and not begin with AWS. or Amazon."
            ));
        }
        let binary = matches!(attribute.value, AttributeValue::Binary(_));
        if binary != (attribute.kind() == "Binary")
            || !matches!(attribute.kind(), "String" | "Number" | "Binary")
            || attribute.data_type.len() > 256
        {
            return Err(format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of supported type \
                 prefixes is Binary, Number, and String."
            ));
        }
        if attribute.bytes().is_empty() {
            return Err(format!(
                "The message attribute '{name}' must contain non-empty message attribute value for message attribute \
                 type '{}'.",
                attribute.data_type
            ));
        }
        let number = attribute.written().parse::<f64>();
        if attribute.kind() == "Number" && !number.is_ok_and(f64::is_finite) {
            return Err(format!(
                "Could not cast message attribute '{name}' value to number."
            ));
        }
    }
    Ok(())
}

/// How many bytes of a message the attributes take: names, types and values.
pub(crate) fn size(attributes: &MessageAttributes) -> usize {
    attributes
        .iter()
        .map(|(name, attribute)| name.len() + attribute.data_type.len() + attribute.bytes().len())
        .sum()
}

/// The attributes in an SNS envelope.
pub(crate) fn in_envelope(attributes: &MessageAttributes) -> Map<String, Value> {
    attributes
        .iter()
        .map(|(name, attribute)| {
            let shown = json!({"Type": attribute.data_type, "Value": attribute.written()});
            (name.clone(), shown)
        })
        .collect()
}

/// SQS's MD5 over attributes: each name, type and value with its length before it, by name. SDKs compare it with their own.
pub(crate) fn md5(attributes: &MessageAttributes) -> String {
    use std::fmt::Write as _;
    let mut text = Vec::new();
    let mut add = |bytes: &[u8], marker: Option<u8>| {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        text.extend(length.to_be_bytes());
        text.extend(bytes);
        text.extend(marker);
    };
    for (name, attribute) in attributes {
        let marker = match attribute.value {
            AttributeValue::Text(_) => 1,
            AttributeValue::Binary(_) => 2,
        };
        add(name.as_bytes(), None);
        add(attribute.data_type.as_bytes(), Some(marker));
        // The marker stands between the type and the length of the value.
        add(&attribute.bytes(), None);
    }
    let mut digits = String::with_capacity(32);
    for byte in Md5::digest(&text) {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}
