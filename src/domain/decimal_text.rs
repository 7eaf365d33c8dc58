//! A decimal in JSON is a string: programs read numbers as floats, which change them.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};

/// A kind of decimal, and what refusals call it.
pub(super) trait DecimalText: FromStr<Err: fmt::Display> {
    /// With its article, as in `an amount`.
    const CALLED: &'static str;
    /// One as it is written.
    const EXAMPLE: &'static str;
}

/// Reads one from a string. A JSON number is refused with the string that it should have been.
pub(super) fn read<'de, T: DecimalText, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    from.deserialize_any(TextVisitor(PhantomData))
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: DecimalText> TextVisitor<T> {
    fn number<E: de::Error>(number: impl fmt::Display) -> E {
        let called = T::CALLED;
        E::custom(format!(
            "{called} is a decimal string such as \"{number}\", not the JSON number {number}: programs read numbers as floats, which change them"
        ))
    }
}

impl<T: DecimalText> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} as a decimal string such as \"{}\"",
            T::CALLED,
            T::EXAMPLE
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        Err(Self::number(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        Err(Self::number(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        Err(Self::number(number))
    }
}
