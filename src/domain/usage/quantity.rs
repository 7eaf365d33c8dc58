//! How much was used, as somebody writes it: an exact decimal, and in a correction one that may be below zero.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use crate::domain::decimal_text::{self, DecimalText};
use crate::domain::money::Amount;

/// Text that is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a quantity: give a decimal string such as \"12.5\", with at most 12 digits before the point and 8 after it, without an exponent or separators"
)]
pub struct InvalidQuantity(String);

/// How much was used, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity {
    negative: bool,
    figure: Amount,
}

impl Quantity {
    /// Whether it takes something back.
    pub fn is_negative(self) -> bool {
        self.negative
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        write!(f, "{sign}{}", self.figure)
    }
}

impl FromStr for Quantity {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let refuse = |_| InvalidQuantity(text.chars().take(64).collect());
        let (minus, digits) = text.strip_prefix('-').map_or((false, text), |d| (true, d));
        let figure: Amount = digits.parse().map_err(refuse)?;
        // There is one nothing.
        let negative = minus && !figure.is_zero();
        Ok(Self { negative, figure })
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        decimal_text::read(from)
    }
}

impl DecimalText for Quantity {
    const CALLED: &'static str = "a quantity";
    const EXAMPLE: &'static str = "12.5";
}

impl utoipa::PartialSchema for Quantity {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "How much, as a decimal string; below zero only in a correction. A JSON number is refused.",
            ))
            .pattern(Some("^-?[0-9]{1,12}(\\.[0-9]{1,8})?$"))
            .examples(["12.5"])
            .into()
    }
}

impl utoipa::ToSchema for Quantity {
    fn name() -> Cow<'static, str> {
        "Quantity".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_exact_and_may_take_back() {
        for (text, shown, negative) in [
            ("0", "0", false),
            ("-0.00", "0.00", false),
            ("0.00000001", "0.00000001", false),
            ("-999999999999.5", "-999999999999.5", true),
        ] {
            let read: Quantity = text.parse().unwrap();
            assert_eq!(
                (read.to_string().as_str(), read.is_negative()),
                (shown, negative)
            );
        }
        for bad in ["", "-", "--1", "+1", "1e3", "NaN", "1.123456789", " 1"] {
            assert!(bad.parse::<Quantity>().is_err(), "{bad:?}");
        }
        for number in ["12.5", "12", "-3"] {
            let refusal = serde_json::from_str::<Quantity>(number).unwrap_err();
            assert!(
                refusal
                    .to_string()
                    .contains("programs read numbers as floats")
            );
        }
    }
}
