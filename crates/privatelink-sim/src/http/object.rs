//! A JSON object and nothing else. Serde also reads a struct from an array, member by member, which nobody means.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// What a JSON object says.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<T> Deref for Object<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }

        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        name: String,
        #[serde(default)]
        times: u32,
    }

    #[test]
    fn an_object_is_read_and_an_array_is_not() {
        let read = |text| serde_json::from_str::<Object<Asked>>(text);
        let Object(asked) = read(r#"{"name":"a"}"#).unwrap();
        assert_eq!((asked.name.as_str(), asked.times), ("a", 0));
        for wrong in [r#"["a",1]"#, "null", "7", r#"{"name":"a","tims":1}"#, "{}"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
