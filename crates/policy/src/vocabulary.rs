//! The schema, and the names in it.

use std::str::FromStr;
use std::sync::LazyLock;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, Schema};

/// The schema that policies are checked against, in Cedar's schema language.
pub const SCHEMA: &str = include_str!("schema.cedarschema");

/// The schema and its names, read once.
pub(crate) struct Vocabulary {
    pub(crate) schema: Schema,
    pub(crate) connect: EntityUid,
    account: EntityTypeName,
    consumer: EntityTypeName,
    service: EntityTypeName,
}

static VOCABULARY: LazyLock<Result<Vocabulary, String>> = LazyLock::new(Vocabulary::read);

impl Vocabulary {
    /// The one there is. It fails only when the schema in this crate is broken, which a test keeps from happening.
    pub(crate) fn get() -> Result<&'static Self, String> {
        VOCABULARY.as_ref().map_err(Clone::clone)
    }

    fn read() -> Result<Self, String> {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|e| e.to_string())?;
        let name = |name| EntityTypeName::from_str(name).map_err(|e| e.to_string());
        Ok(Self {
            schema,
            connect: EntityUid::from_type_name_and_id(name("Action")?, EntityId::new("connect")),
            account: name("Account")?,
            consumer: name("Consumer")?,
            service: name("Service")?,
        })
    }

    pub(crate) fn account(&self, id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.account.clone(), EntityId::new(id))
    }

    pub(crate) fn consumer(&self, id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.consumer.clone(), EntityId::new(id))
    }

    pub(crate) fn service(&self, id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.service.clone(), EntityId::new(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_read_without_a_warning() {
        let (_, warnings) = Schema::from_cedarschema_str(SCHEMA).unwrap();
        let warnings: Vec<_> = warnings.map(|w| w.to_string()).collect();
        assert_eq!(warnings, Vec::<String>::new());
        assert!(Vocabulary::get().is_ok());
    }

    /// The reference for those who write policies has each attribute, in the order of the schema.
    #[test]
    fn the_documentation_has_every_attribute() {
        let documented = include_str!("../../../docs/policies.md");
        let attributes = SCHEMA.lines().filter_map(|line| {
            let (name, kind) = line.trim().split_once(':')?;
            let plain = name
                .trim_end_matches('?')
                .chars()
                .all(char::is_alphanumeric);
            // The schema also names the types of principal and resource.
            (plain
                && !kind.contains('{')
                && !kind.contains("Account,")
                && !kind.contains("Service,"))
            .then(|| name.trim_end_matches('?').to_owned())
        });
        for attribute in attributes {
            let documented = documented.contains(&format!(".{attribute}`"));
            assert!(documented, "docs/policies.md does not explain {attribute}");
        }
    }
}
