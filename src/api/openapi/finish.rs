//! What is done to the collected document as a whole: examples by name, descriptions in the place where readers look, shapes that generators of clients
//! understand, and the headers that answers have everywhere.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{
    AdditionalProperties, AllOf, KnownFormat, Object, OneOf, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{ObjectBuilder, OpenApi, Ref, RefOr};

use super::either::widen;
use super::vocabulary;

/// Finishes the document.
pub(super) fn finish(mut document: OpenApi) -> OpenApi {
    let schemas = document.components.as_mut().map(|parts| &mut parts.schemas);
    if let Some(schemas) = schemas {
        let known = schemas.clone();
        for (name, schema) in schemas.iter_mut() {
            if let RefOr::T(schema) = schema {
                spread(schema, |at| match known.get(at.rsplit('/').next()?) {
                    Some(RefOr::T(Schema::OneOf(choice))) => Some(choice.clone()),
                    _ => None,
                });
                let asked = name.ends_with("Body");
                visit(schema, &mut |member, schema| {
                    illustrate(member, schema, asked);
                });
            }
        }
    }
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            for parameter in operation.parameters.iter_mut().flatten() {
                if let RefOr::T(parameter) = parameter {
                    widen(path, parameter);
                    illustrate_parameter(parameter);
                }
            }
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response {
                    add_headers(status, response);
                }
            }
        }
    }
    document
}

/// The operations of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.patch,
        &mut item.delete,
    ]
    .into_iter()
    .filter_map(Option::as_mut)
}

/// Calls `on` for each schema within, with the name of the member that it is, or whose items it is.
fn visit(schema: &mut Schema, on: &mut impl FnMut(&str, &mut Schema)) {
    fn each(name: &str, schema: &mut RefOr<Schema>, on: &mut impl FnMut(&str, &mut Schema)) {
        if let RefOr::T(schema) = schema {
            walk(name, schema, on);
        }
    }
    fn walk(name: &str, schema: &mut Schema, on: &mut impl FnMut(&str, &mut Schema)) {
        on(name, schema);
        match schema {
            Schema::Object(object) => {
                for (member, schema) in &mut object.properties {
                    each(member, schema, on);
                }
            }
            Schema::OneOf(OneOf { items, .. }) | Schema::AllOf(AllOf { items, .. }) => {
                for item in items {
                    each(name, item, on);
                }
            }
            Schema::Array(array) => {
                if let utoipa::openapi::schema::ArrayItems::RefOrSchema(items) = &mut array.items {
                    each(name, items, on);
                }
            }
            _ => {}
        }
    }
    walk("", schema, on);
}

/// Gives a schema its example and its description.
fn illustrate(name: &str, schema: &mut Schema, asked: bool) {
    match schema {
        Schema::Object(object) => {
            // No body takes members that it does not know; of a choice, the derive does not say so.
            if asked && !object.properties.is_empty() && object.additional_properties.is_none() {
                object.additional_properties =
                    Some(Box::new(AdditionalProperties::FreeForm(false)));
            }
            if object.example.is_none() && object.examples.is_empty() {
                object.example = example(name, object);
            }
            if asked && object.pattern.is_none() && is(&object.schema_type, &Type::String) {
                object.pattern = vocabulary::pattern(name).map(str::to_owned);
            }
        }
        // The description of what may be null stands at the one of the two choices that is not null, where few look.
        Schema::OneOf(choice) if choice.description.is_none() => {
            let said = choice.items.iter().find_map(|item| match item {
                RefOr::Ref(Ref { description, .. }) if !description.is_empty() => Some(description),
                _ => None,
            });
            choice.description = said.cloned();
        }
        _ => {}
    }
}

fn example(name: &str, object: &Object) -> Option<serde_json::Value> {
    if object.enum_values.is_some() || name.is_empty() {
        return None;
    }
    if is(&object.schema_type, &Type::Integer) {
        return Some(vocabulary::number(name));
    }
    if !is(&object.schema_type, &Type::String) {
        return None;
    }
    if matches!(
        object.format,
        Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))
    ) {
        return Some(vocabulary::time(name));
    }
    vocabulary::text(name)
}

/// Whether a schema is of this type, or null.
fn is(of: &SchemaType, kind: &Type) -> bool {
    match of {
        SchemaType::Type(one) => one == kind,
        SchemaType::Array(several) => {
            several.contains(kind) && several.iter().all(|one| one == kind || *one == Type::Null)
        }
        SchemaType::AnyValue => false,
    }
}

fn illustrate_parameter(parameter: &mut Parameter) {
    if let Some(RefOr::T(schema)) = &mut parameter.schema {
        illustrate(&parameter.name, schema, false);
    }
}

/// All of a choice and of some members is a choice of which each has these members. It says the same, and generators of clients understand it.
fn spread(schema: &mut Schema, choice_at: impl Fn(&str) -> Option<OneOf>) {
    let Schema::AllOf(whole) = schema else { return };
    let [RefOr::Ref(one), RefOr::T(Schema::Object(members))] = whole.items.as_slice() else {
        return;
    };
    let Some(mut choice) = choice_at(&one.ref_location) else {
        return;
    };
    for item in &mut choice.items {
        if let RefOr::T(Schema::Object(object)) = item {
            object.required.extend(members.required.iter().cloned());
            object.properties.extend(members.properties.clone());
        }
    }
    choice.description.clone_from(&whole.description);
    *schema = Schema::OneOf(choice);
}

/// Headers that every answer of a kind has.
fn add_headers(status: &str, response: &mut Response) {
    let (name, description) = match status {
        "201" | "202" => ("Location", "Where what was made can be read."),
        "401" => (
            "WWW-Authenticate",
            "What is wrong with the token, as RFC 6750 says it.",
        ),
        _ => return,
    };
    let known = response
        .headers
        .keys()
        .any(|known| known.eq_ignore_ascii_case(name));
    if !known {
        let header = HeaderBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .description(Some(description));
        response
            .headers
            .insert(name.to_owned(), header.build().into());
    }
}
