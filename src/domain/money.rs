//! Money: decimal amounts and ISO 4217 currencies. No float is read, kept or written, because most prices are none: 0.1 has no exact one.
//!
//! An amount travels as a string (`"1200.00"`) and keeps the decimals that it was written with. A JSON number is refused, whatever it says.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, schema};

use super::decimal_text::{self, DecimalText};

/// The most digits before the point.
const MOST_WHOLE: usize = 12;
/// The most digits after the point: what a price for a single request or byte may need.
const MOST_FRACTION: usize = 8;

/// Text that is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an amount: give a decimal string such as \"1200.00\", with at most {MOST_WHOLE} digits before the point and {MOST_FRACTION} after it, \
     without a sign, an exponent or separators"
)]
pub struct InvalidAmount(String);

/// An amount of money that is not negative, without its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Decimal);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// The exact number.
    pub fn decimal(self) -> Decimal {
        self.0
    }

    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// How many decimals it really has: 2 for `1.50`, where 1 would do, it is 1.
    pub fn decimals(self) -> u32 {
        self.0.normalize().scale()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Amount {
    type Err = InvalidAmount;

    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        let refuse = || InvalidAmount(text.chars().take(64).collect());
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        // Stricter than the parser, which takes a sign and separators.
        let digits = |part: &str, most: usize| {
            (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
        };
        let good = digits(whole, MOST_WHOLE)
            && fraction.is_none_or(|fraction| digits(fraction, MOST_FRACTION));
        let read = good.then(|| Decimal::from_str_exact(text).ok()).flatten();
        read.map(Self).ok_or_else(refuse)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        decimal_text::read(from)
    }
}

impl DecimalText for Amount {
    const CALLED: &'static str = "an amount";
    const EXAMPLE: &'static str = "1200.00";
}

impl utoipa::PartialSchema for Amount {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "An amount, of money or of what is bought, as a decimal string. A JSON number is refused.",
            ))
            .pattern(Some(format!(
                "^[0-9]{{1,{MOST_WHOLE}}}(\\.[0-9]{{1,{MOST_FRACTION}}})?$"
            )))
            .examples(["1200.00"])
            .into()
    }
}

impl utoipa::ToSchema for Amount {
    fn name() -> Cow<'static, str> {
        "Amount".into()
    }
}

/// Text that is not a currency that can be paid in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a currency: give the ISO 4217 code of one that can be paid in, in capitals, such as EUR"
)]
pub struct InvalidCurrency(String);

/// A currency that can be paid in, by its ISO 4217 code. Metals, funds, test codes and currencies that were replaced are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The code.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals its smallest coin has: 2 for EUR, 0 for JPY.
    pub fn decimals(self) -> u32 {
        self.0.exponent().unwrap_or_default().into()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Currency {
    type Err = InvalidCurrency;

    fn from_str(code: &str) -> Result<Self, InvalidCurrency> {
        let payable = |currency: &iso_currency::Currency| {
            currency.exponent().is_some() && currency.flags().is_empty()
        };
        iso_currency::Currency::from_code(code)
            .filter(payable)
            .map(Self)
            .ok_or_else(|| InvalidCurrency(code.chars().take(64).collect()))
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let code = Cow::<'_, str>::deserialize(from)?;
        code.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for Currency {
    fn schema() -> RefOr<schema::Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "A currency that can be paid in, by its ISO 4217 code.",
            ))
            .pattern(Some("^[A-Z]{3}$"))
            .examples(["EUR"])
            .into()
    }
}

impl utoipa::ToSchema for Currency {
    fn name() -> Cow<'static, str> {
        "Currency".into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_amount_keeps_the_decimals_that_it_was_written_with() {
        for text in [
            "0",
            "0.00",
            "1200.00",
            "0.00000001",
            "999999999999.99999999",
        ] {
            assert_eq!(text.parse::<Amount>().unwrap().to_string(), text);
        }
        let amount: Amount = "1.500".parse().unwrap();
        assert_eq!((amount.decimals(), amount), (1, "1.5".parse().unwrap()));
        assert!("0.000".parse::<Amount>().unwrap().is_zero());
    }

    #[test]
    fn what_is_not_an_exact_amount_is_refused() {
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1_000",
            "1,5",
            " 1",
            "1 ",
            "NaN",
            "0x1",
            "١",
            "1000000000000",
            "0.000000001",
            "1.2.3",
        ] {
            assert!(bad.parse::<Amount>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_json_number_is_refused_with_the_string_that_was_meant() {
        for number in ["12.5", "12", "-3"] {
            let refusal = serde_json::from_str::<Amount>(number).unwrap_err();
            let said = format!("such as \"{number}\", not the JSON number {number}");
            assert!(refusal.to_string().contains(&said), "{refusal}");
        }
        for other in ["null", "true", "[]", "{}"] {
            assert!(serde_json::from_str::<Amount>(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_currency_is_one_that_can_be_paid_in() {
        for (code, decimals) in [("EUR", 2), ("USD", 2), ("JPY", 0), ("BHD", 3)] {
            assert_eq!(
                code.parse::<Currency>().map(Currency::decimals),
                Ok(decimals)
            );
        }
        // Nothing, not in capitals, gold, a test code, a fund, and what was replaced.
        for bad in ["", "eur", "EURO", "ABC", "XAU", "XTS", "BOV", "VES"] {
            assert!(bad.parse::<Currency>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn reading_what_was_written_changes_nothing(text in "(0|[1-9][0-9]{0,11})(\\.[0-9]{1,8})?") {
            let amount: Amount = text.parse().unwrap();
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(&json, &format!("{text:?}"));
            prop_assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), amount);
        }
    }
}
