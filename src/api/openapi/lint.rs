//! What the document owes its readers, checked over all of it: a rule that is broken names the place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value};

/// What is found wrong: the place and the rule.
type Found = Vec<String>;

/// Names of texts that mean something else in each place: what they look like is said beside them, or follows from it.
const WITHOUT_EXAMPLE: &[&str] = &[
    "consumer",
    "cursor",
    "from",
    "next_cursor",
    "observed",
    "review",
    "state",
    "step",
    "to",
    "type",
    "value",
    "values",
    "version",
];

/// Lists of which there are always few: they have no pages.
const WITHOUT_PAGES: &[&str] = &["list_policy_templates", "list_replicas"];

fn document() -> Value {
    serde_json::to_value(super::document()).expect("JSON")
}

fn operations(document: &Value) -> Vec<(String, &Map<String, Value>)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path") {
            if let Some(operation) = operation.as_object().filter(|_| method != "parameters") {
                all.push((format!("{method} {path}"), operation));
            }
        }
    }
    all
}

/// What a reference leads to; the value itself where it is none.
fn at<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(place) => document
            .pointer(place.trim_start_matches('#'))
            .expect("a schema"),
        None => value,
    }
}

fn said(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.trim().is_empty())
}

fn has_example(value: &Value) -> bool {
    value.get("example").is_some()
        || value["examples"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
}

fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether a reader sees what a value looks like: by an example, by the words it may be, or by its parts.
fn is_shown(document: &Value, name: &str, schema: &Value) -> bool {
    let schema = at(document, schema);
    if has_example(schema) || schema.get("enum").is_some() || WITHOUT_EXAMPLE.contains(&name) {
        return true;
    }
    for parts in ["oneOf", "allOf", "anyOf"] {
        if let Some(parts) = schema[parts].as_array() {
            let shown = |part: &Value| types(part) == ["null"] || is_shown(document, name, part);
            return parts.iter().all(shown);
        }
    }
    let types = types(schema);
    if types.contains(&"array") {
        return is_shown(document, name, &schema["items"]);
    }
    // The members are looked at for themselves; what may be anything shows nothing, and a truth is one of two.
    !(types.contains(&"string") || types.contains(&"integer") || types.contains(&"number"))
}

fn check(rule: impl Fn(&Value, &mut Found)) {
    let mut found = Found::new();
    rule(&document(), &mut found);
    assert!(
        found.is_empty(),
        "{} found:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn every_operation_has_an_id_of_its_own_a_summary_and_a_description() {
    check(|document, found| {
        let mut ids = BTreeSet::new();
        let tags = document["tags"].as_array().expect("tags");
        for (place, operation) in operations(document) {
            let id = operation["operationId"].as_str().unwrap_or_default();
            if id.is_empty() || !ids.insert(id) {
                found.push(format!("{place}: the id {id:?} is missing or not its own"));
            }
            for member in ["summary", "description"] {
                if !operation.get(member).is_some_and(said) {
                    found.push(format!("{place}: no {member}"));
                }
            }
            let own = operation["tags"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            if own.len() != 1
                || !tags
                    .iter()
                    .any(|tag| tag["name"] == own[0] && said(&tag["description"]))
            {
                found.push(format!("{place}: it has not one tag that is described"));
            }
        }
    });
}

#[test]
fn every_parameter_has_a_description_and_an_example() {
    check(|document, found| {
        for (place, operation) in operations(document) {
            let parameters = operation.get("parameters").and_then(Value::as_array);
            for parameter in parameters.into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap_or_default();
                if !said(&parameter["description"]) {
                    found.push(format!("{place}: {name} has no description"));
                }
                if !has_example(parameter) && !is_shown(document, name, &parameter["schema"]) {
                    found.push(format!("{place}: {name} has no example"));
                }
            }
            for variable in place
                .split('{')
                .skip(1)
                .filter_map(|rest| rest.split('}').next())
            {
                let declared = operation
                    .get("parameters")
                    .and_then(Value::as_array)
                    .is_some_and(|all| {
                        all.iter()
                            .any(|one| one["in"] == "path" && one["name"] == variable)
                    });
                if !declared {
                    found.push(format!("{place}: {variable} is not declared"));
                }
            }
        }
    });
}

#[test]
fn every_schema_and_member_has_a_description_and_members_show_what_they_look_like() {
    fn members(document: &Value, place: &str, schema: &Value, found: &mut Found) {
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            let place = format!("{place}.{name}");
            // The tag of a choice says which of them it is: that is its one word.
            let tag = member["enum"]
                .as_array()
                .is_some_and(|words| words.len() == 1);
            if !tag && !said(&member["description"]) && !said(&at(document, member)["description"])
            {
                found.push(format!("{place} has no description"));
            }
            if !is_shown(document, name, member) {
                found.push(format!("{place} has no example"));
            }
            members(document, &place, member, found);
        }
        for parts in ["oneOf", "allOf", "anyOf"] {
            for (index, part) in schema[parts].as_array().into_iter().flatten().enumerate() {
                members(document, &format!("{place}/{index}"), part, found);
            }
        }
    }
    check(|document, found| {
        for (name, schema) in document["components"]["schemas"]
            .as_object()
            .expect("schemas")
        {
            if !said(&schema["description"]) {
                found.push(format!("{name} has no description"));
            }
            members(document, name, schema, found);
        }
    });
}

#[test]
fn every_body_that_is_sent_is_described_and_refuses_what_it_does_not_know() {
    check(|document, found| {
        for (place, operation) in operations(document) {
            let Some(body) = operation.get("requestBody") else {
                continue;
            };
            let Some(schema) = body["content"]
                .get("application/json")
                .map(|json| at(document, &json["schema"]))
            else {
                continue;
            };
            if schema.get("properties").is_some() && schema["additionalProperties"] != false {
                found.push(format!(
                    "{place}: members that are not known are not refused"
                ));
            }
            let needed = schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            for name in needed {
                if !is_shown(document, name, &schema["properties"][name]) {
                    found.push(format!("{place}: {name}, which is needed, has no example"));
                }
            }
        }
    });
}

#[test]
fn every_refusal_is_a_problem_with_its_codes() {
    check(|document, found| {
        for (place, operation) in operations(document) {
            let responses = operation["responses"].as_object().expect("responses");
            for (status, response) in responses
                .iter()
                .filter(|(status, _)| status.as_str() >= "400")
            {
                let response = at(document, response);
                let problem = &response["content"]["application/problem+json"]["schema"]["$ref"];
                if problem != "#/components/schemas/Problem" {
                    found.push(format!("{place}: {status} is no problem"));
                }
                if !response["description"]
                    .as_str()
                    .is_some_and(|text| text.starts_with('`'))
                {
                    found.push(format!("{place}: {status} names no code"));
                }
            }
            let public = operation
                .get("security")
                .is_some_and(|security| security[0] == Value::Object(Map::new()));
            let needed: &[&str] = if public {
                &[]
            } else {
                &["401", "403", "500", "503"]
            };
            for status in needed {
                if !responses.contains_key(*status) {
                    found.push(format!("{place}: {status} is missing"));
                }
            }
            if let Some(refusal) = responses.get("401")
                && refusal["headers"].get("WWW-Authenticate").is_none()
            {
                found.push(format!("{place}: 401 has no WWW-Authenticate"));
            }
            if !responses.keys().any(|status| status.starts_with('2')) {
                found.push(format!("{place}: no success"));
            }
        }
    });
}

#[test]
fn what_is_made_says_where_it_is() {
    check(|document, found| {
        for (place, operation) in operations(document) {
            for status in ["201", "202"] {
                let Some(response) = operation["responses"].get(status) else {
                    continue;
                };
                let headers = response["headers"].as_object();
                let named = headers.is_some_and(|all| {
                    all.keys().any(|name| name.eq_ignore_ascii_case("location"))
                });
                if !named {
                    found.push(format!("{place}: {status} has no Location"));
                }
            }
        }
    });
}

#[test]
fn every_list_has_pages() {
    check(|document, found| {
        for (place, operation) in operations(document) {
            let id = operation["operationId"].as_str().unwrap_or_default();
            let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"];
            let Some(members) = at(document, answer)["properties"].as_object() else {
                continue;
            };
            let is_list = members.contains_key("items") || id.starts_with("list_");
            if !is_list || WITHOUT_PAGES.contains(&id) {
                continue;
            }
            for member in ["items", "next_cursor"] {
                if !members.contains_key(member) {
                    found.push(format!("{place}: no {member}"));
                }
            }
            let empty = Vec::new();
            let parameters = operation
                .get("parameters")
                .and_then(Value::as_array)
                .unwrap_or(&empty);
            for name in ["limit", "cursor"] {
                let given = parameters
                    .iter()
                    .any(|one| one["in"] == "query" && one["name"] == name);
                if !given {
                    found.push(format!("{place}: no parameter {name}"));
                }
            }
        }
    });
}

/// The document has one schema for a name, whichever came last: two types of one name would be told as one.
#[test]
fn every_schema_has_a_name_of_its_own() {
    let mut places = BTreeMap::<String, Vec<String>>::new();
    let mut directories = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let source = fs::read_to_string(&path).expect("a source");
                for name in schemas_in(&source) {
                    places
                        .entry(name)
                        .or_default()
                        .push(path.display().to_string());
                }
            }
        }
    }
    assert!(places.len() > 100, "{}", places.len());
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "{places:#?}");
}

/// Macros that make a type with a schema: its name comes first, or after attributes.
const MAKE_SCHEMAS: [&str; 2] = ["text_enum", "id"];

/// The names of the schemas that a source derives, or has a macro make.
fn schemas_in(source: &str) -> Vec<String> {
    schemas_of(&syn::parse_file(source).expect("Rust").items)
}

fn schemas_of(items: &[syn::Item]) -> Vec<String> {
    let named = |item: &syn::Item| match item {
        syn::Item::Struct(one) => Vec::from_iter(derived(&one.attrs, &one.ident)),
        syn::Item::Enum(one) => Vec::from_iter(derived(&one.attrs, &one.ident)),
        syn::Item::Macro(one) => Vec::from_iter(made(&one.mac)),
        syn::Item::Mod(one) => one
            .content
            .as_ref()
            .map_or_else(Vec::new, |(_, items)| schemas_of(items)),
        _ => Vec::new(),
    };
    items.iter().flat_map(named).collect()
}

/// What the type's schema is called, if it derives one.
fn derived(attributes: &[syn::Attribute], ident: &syn::Ident) -> Option<String> {
    let said = |name: &str| {
        let lists = attributes
            .iter()
            .filter_map(|one| one.meta.require_list().ok());
        let lists = lists.filter(|list| list.path.is_ident(name));
        lists
            .map(|list| list.tokens.to_string())
            .collect::<Vec<_>>()
            .join(" , ")
    };
    if !said("derive").contains("ToSchema") {
        return None;
    }
    let renamed = said("schema")
        .split(',')
        .find_map(|part| Some(part.trim().strip_prefix("as = ")?.trim().to_owned()));
    Some(renamed.unwrap_or_else(|| ident.to_string()))
}

/// What the schema is called that a macro makes: an attribute is a `#` and a group, so the first word of its own is the name.
fn made(called: &syn::Macro) -> Option<String> {
    let makes = called.path.segments.last()?.ident.to_string();
    if !MAKE_SCHEMAS.contains(&makes.as_str()) {
        return None;
    }
    let mut words = called.tokens.clone().into_iter();
    words.find_map(|word| match word {
        proc_macro2::TokenTree::Ident(name) => Some(name.to_string()),
        _ => None,
    })
}

#[test]
fn a_place_that_is_wrong_is_found() {
    let twice = "#[derive(Debug, ToSchema)] struct A; #[derive(ToSchema)] #[schema(as = A)] enum B {} #[derive(Debug)] struct A2;";
    assert_eq!(schemas_in(twice), ["A", "A"]);
    let made = "text_enum!( #[doc = \"One.\"] B { C = \"c\", } ); mod inner { id!(D, \"d_\", \"a D\"); } other!(E);";
    assert_eq!(schemas_in(made), ["B", "D"]);
    let document = serde_json::json!({
        "paths": { "/a": { "get": { "operationId": "x", "responses": {} } } },
        "components": { "schemas": { "A": { "properties": { "name": { "type": "string" } } } } }
    });
    assert_eq!(operations(&document).len(), 1);
    let member = &document["components"]["schemas"]["A"]["properties"]["name"];
    assert!(!is_shown(&document, "name", member));
    assert!(is_shown(&document, "cursor", member));
}
