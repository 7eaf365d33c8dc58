//! Ids that may be ours or AWS's, as the document says them.

use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{Object, ObjectBuilder, OneOf, Type};
use utoipa::openapi::{RefOr, Schema};

/// One kind of such ids.
#[derive(Debug)]
pub(crate) struct Either {
    /// The schema of our id.
    ours: &'static str,
    /// Where they stand in paths.
    collection: &'static str,
    description: &'static str,
    pattern: &'static str,
    example: &'static str,
}

/// Ids of services.
pub(crate) const SERVICE: Either = Either {
    ours: "EndpointServiceId",
    collection: "services",
    description: "a service id (svc_ and 32 hexadecimal digits), or AWS's (vpce-svc- and 8 to 17) of a service that is registered here",
    pattern: "^(svc_[0-9a-f]{32}|vpce-svc-[0-9a-f]{8,17})$",
    example: "svc_018f3a5c9d2e7b41a6c08e5d7f1b2a34",
};

/// Ids of connections.
pub(crate) const CONNECTION: Either = Either {
    ours: "ConnectionId",
    collection: "connections",
    description: "a connection id (con_ and 32 hexadecimal digits), or AWS's of the endpoint (vpce- and 8 to 17) that it is of",
    pattern: "^(con_[0-9a-f]{32}|vpce-[0-9a-f]{8,17})$",
    example: "con_018f3a5c9d2e7b41a6c08e5d7f1b2a34",
};

impl Either {
    /// The schema.
    pub(crate) fn schema(&self) -> Object {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(self.description))
            .pattern(Some(self.pattern))
            .examples([self.example])
            .build()
    }
}

/// Has a parameter of the path say that it takes both, where it does.
pub(super) fn widen(path: &str, parameter: &mut Parameter) {
    for kind in [&SERVICE, &CONNECTION] {
        let takes_both = match parameter.parameter_in {
            ParameterIn::Path => {
                let mut segments = path
                    .trim_start_matches("/v1/me/")
                    .trim_start_matches("/v1/")
                    .split('/');
                segments.next() == Some(kind.collection) && segments.next() == Some("{id}")
            }
            ParameterIn::Query => parameter.name != "cursor",
            _ => false,
        };
        if takes_both && let Some(schema) = &mut parameter.schema {
            widen_schema(kind, schema);
        }
    }
}

fn widen_schema(kind: &Either, schema: &mut RefOr<Schema>) {
    let is_ours = |schema: &RefOr<Schema>| matches!(schema, RefOr::Ref(at) if at.ref_location.rsplit('/').next() == Some(kind.ours));
    if is_ours(schema) {
        *schema = RefOr::T(Schema::Object(kind.schema()));
    } else if let RefOr::T(Schema::OneOf(OneOf { items, .. })) = schema {
        for item in items.iter_mut().filter(|item| is_ours(item)) {
            *item = RefOr::T(Schema::Object(kind.schema()));
        }
    }
}
