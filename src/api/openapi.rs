//! The OpenAPI document: what no handler can say about itself, and the text that is served.
//!
//! The operations come from the handlers, collected while they are registered. Each operation's id
//! is the name of its handler.

pub(crate) mod either;
mod finish;
#[cfg(test)]
mod lint;
mod vocabulary;

use std::collections::BTreeSet;

use actix_web::http::Method;
use actix_web::web::Bytes;
use actix_web::{App, web};
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi, RefOr};
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

use super::conditions;
use super::limits::is_probe;
use super::problem::{DiagnosticView, FieldProblem, ProblemDocument};
use super::responses;
use crate::domain::listing::readiness::Readiness;

/// The name of the security scheme that operations refer to.
pub const BEARER: &str = "bearer";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Portcullis",
        description = "The provider's side of AWS PrivateLink: register endpoint services, decide \
                       about connections, and have AWS told. Refusals are RFC 9457 problems whose \
                       `code` is stable. What a caller may still ask is told in the headers \
                       `RateLimit` and `RateLimit-Policy` of each answer.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact(),
    ),
    tags(
        (name = "account-regions", description = "AWS accounts in Regions that this installation works in."),
        (name = "services", description = "Endpoint services and their checks."),
        (name = "connections", description = "Connections, the decisions about them and their history."),
        (name = "consumers", description = "Who connects: organisations and their AWS accounts."),
        (name = "denials", description = "The deny list: who is not accepted, whoever decides."),
        (name = "blocks", description = "The kill switch: everything of an account, a consumer or a service cut off."),
        (name = "access", description = "Access that is asked for before there is an endpoint, and access that is taken away."),
        (name = "rejudgements", description = "What is live, judged again by the policies in force: preview, grace and apply."),
        (name = "reviews", description = "What waits for somebody to decide: who works on it, what holds it, and how a service wants it done."),
        (name = "policies", description = "What is asked about a connection that no gate stops: texts, their life, and what they would change."),
        (name = "listings", description = "What is sold: listings with their revisions and reviews, plans, and offers."),
        (name = "agreements", description = "What was bought: agreements, what was told of them, their accounts, and who pays for a connection."),
        (name = "usage", description = "What agreements used, hour by hour: counted here or reported by the provider, sealed, and exported."),
        (name = "findings", description = "Where what was bought, who is let in and who is connected do not fit together, and what mends it."),
        (name = "catalog", description = "What is sold, for those who buy: public, and for consumers what is sold to them."),
        (name = "events", description = "What happened, in one order without gaps."),
        (name = "service-tokens", description = "Tokens of programs: what they may do, for how long, and their end."),
        (name = "me", description = "What a consumer sees and does by itself: with a token of the role consumer, and for its own organisation alone."),
        (name = "audit", description = "Who did what, when and why."),
        (name = "hooks", description = "What others post; each proves itself by a signature of its own."),
        (name = "stalls", description = "What the worker gave up on, and who takes care."),
        (name = "drifts", description = "Where AWS shows what no decision here explains, and how that is settled."),
        (name = "operations", description = "Work that goes on for longer than a request, and how far it is."),
        (name = "health", description = "Health, metrics and this document; public."),
    ),
    security(("bearer" = [])),
    components(schemas(ProblemDocument, FieldProblem, DiagnosticView, Readiness)),
)]
struct Base;

/// The document of the product's API, as `portcullis openapi` prints it.
pub fn document() -> OpenApi {
    collect(super::product)
}

/// The document of the given routes together with the operational ones.
pub(super) fn collect(routes: impl Fn(&mut ServiceConfig)) -> OpenApi {
    let (_, document) = App::new()
        .into_utoipa_app()
        .openapi(base())
        .configure(|cfg| super::documented(cfg, routes))
        .split_for_parts();
    finish::finish(with_limits(with_conditions(with_idempotency(document))))
}

/// Every operation has limits; the gate sees to them, and no handler has to say so.
fn with_limits(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ];
        for operation in operations.into_iter().flatten() {
            responses::add_limits(&mut operation.responses.responses, is_probe(path));
        }
    }
    let components = document.components.get_or_insert_with(Components::new);
    responses::add_shared(components);
    document
}

/// Every POST of the API takes an `Idempotency-Key`; the middleware sees to it, and no handler has to say so.
fn with_idempotency(mut document: OpenApi) -> OpenApi {
    let posts = document.paths.paths.iter_mut();
    let posts = posts
        .filter(|(path, _)| path.starts_with("/v1/"))
        .filter_map(|(_, item)| item.post.as_mut());
    for post in posts {
        let parameter = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .description(Some(
                "Names the request, so that it is done once however often it is sent: 1 to 255 visible ASCII characters, new for each request. \
                 Within a day the same request gets the same answer, with `Idempotency-Replayed: true`.",
            ))
            .schema(Some(
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .min_length(Some(1))
                    .max_length(Some(257))
                    // The characters that are visible and neither a quotation mark nor a backslash; around all of them two quotation marks may stand.
                    .pattern(Some(
                        r#"^([!#-\[\]-~]{1,255}|"[!#-\[\]-~]{1,255}")$"#,
                    )),
            ))
            .example(Some("8e03978e-40d5-43dd-bc93-6894a57f9324".into()));
        post.parameters
            .get_or_insert_with(Vec::new)
            .push(parameter.build().into());
        responses::add_idempotency(&mut post.responses.responses);
    }
    document
}

/// What the middleware for preconditions does to the operations on resources that have states.
fn with_conditions(mut document: OpenApi) -> OpenApi {
    let versioned: BTreeSet<String> = bodies_with_a_version(&document);
    for (path, item) in &mut document.paths.paths {
        if let Some(get) = item
            .get
            .as_mut()
            .filter(|_| conditions::reads_a_state(path))
        {
            header(
                get,
                "If-None-Match",
                "Tags that the caller has: where the answer would have one of them, it is 304.",
            );
            responses::add_unchanged(&mut get.responses.responses);
        }
        let writes = [&mut item.post, &mut item.put, &mut item.patch];
        for write in writes
            .into_iter()
            .flatten()
            .filter(|_| conditions::writes_a_state(path))
        {
            header(
                write,
                "If-Match",
                "The `ETag` of the state that the write is meant for; in any other state it is refused with 412.",
            );
            let needed = operation_body(write).is_some_and(|body| versioned.contains(body));
            responses::add_preconditions(&mut write.responses.responses, needed);
        }
    }
    document
}

/// `*`, or entity tags with commas between them.
const TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"( ?, ?(W/)?"[!#-~]*"){0,19})$"#;

fn header(operation: &mut Operation, name: &str, description: &str) {
    let parameter = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .description(Some(description))
        .schema(Some(
            ObjectBuilder::new()
                .schema_type(Type::String)
                .pattern(Some(TAGS)),
        ))
        .example(Some("\"7-0190c3a1f2b4\"".into()));
    let parameters = operation.parameters.get_or_insert_with(Vec::new);
    parameters.push(parameter.build().into());
}

/// The name of the schema of an operation's body.
fn operation_body(operation: &Operation) -> Option<&str> {
    let RefOr::T(body) = operation.request_body.as_ref()? else {
        return None;
    };
    let RefOr::T(content) = body.content.get("application/json")? else {
        return None;
    };
    match content.schema.as_ref()? {
        RefOr::Ref(reference) => reference.ref_location.rsplit('/').next(),
        RefOr::T(_) => None,
    }
}

/// The bodies that may name a state by its `version`.
fn bodies_with_a_version(document: &OpenApi) -> BTreeSet<String> {
    let schemas = document.components.iter().flat_map(|all| &all.schemas);
    let has_version = |schema: &RefOr<Schema>| match schema {
        RefOr::T(Schema::Object(object)) => object.properties.contains_key("version"),
        _ => false,
    };
    schemas
        .filter(|(_, schema)| has_version(schema))
        .map(|(name, _)| name.clone())
        .collect()
}

fn base() -> OpenApi {
    let mut document = Base::openapi();
    // An empty contact helps nobody, and without an attribute one is made from the manifest.
    document.info.contact = None;
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A token of an identity provider that this installation trusts, or a service token; `portcullis token` issues one for development.",
        ))
        .build();
    document
        .components
        .get_or_insert_with(Components::new)
        .add_security_scheme(BEARER, SecurityScheme::Http(scheme));
    document
}

/// The document in the forms that requests need: its text, and its routes to say 405 by.
#[derive(Debug)]
pub(super) struct Document {
    text: Bytes,
    routes: Vec<(Vec<String>, Vec<Method>)>,
}

impl Document {
    /// Writes the text and notes the routes.
    pub(super) fn new(document: &OpenApi) -> Self {
        let text = document
            .to_pretty_json()
            .map(Bytes::from)
            .unwrap_or_default();
        let routes = document
            .paths
            .paths
            .iter()
            .map(|(path, item)| (path.split('/').map(str::to_owned).collect(), methods(item)))
            .collect();
        Self { text, routes }
    }

    /// The document as JSON.
    pub(super) fn text(&self) -> Bytes {
        self.text.clone()
    }

    /// Whether the document has a path by the word, with nothing left open in it.
    pub(super) fn has_word(&self, path: &str) -> bool {
        self.routes
            .iter()
            .any(|(pattern, _)| path.split('/').eq(pattern.iter().map(String::as_str)))
    }

    /// The methods that the document has for a path; none if it does not know the path. A path that is there by the word is no other's, whatever ids others
    /// have in that place.
    pub(super) fn methods_at(&self, path: &str) -> Vec<Method> {
        let variables = |pattern: &[String]| {
            let mut segments = path.split('/');
            let mut variables = 0;
            for part in pattern {
                let segment = segments.next()?;
                if part != segment {
                    if !part.starts_with('{') || segment.is_empty() {
                        return None;
                    }
                    variables += 1;
                }
            }
            segments.next().is_none().then_some(variables)
        };
        let matching: Vec<_> = self
            .routes
            .iter()
            .filter_map(|(pattern, methods)| Some((variables(pattern)?, methods)))
            .collect();
        let fewest = matching.iter().map(|(variables, _)| *variables).min();
        let mut methods: Vec<_> = matching
            .into_iter()
            .filter(|(variables, _)| Some(*variables) == fewest)
            .flat_map(|(_, methods)| methods.iter().cloned())
            .collect();
        methods.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        methods.dedup();
        methods
    }
}

fn methods(item: &PathItem) -> Vec<Method> {
    // One operation in the document, and answered for both.
    let tags = item.get.as_ref().and_then(|get| get.tags.as_ref());
    let has_head = tags.is_some_and(|tags| tags.iter().any(|tag| tag == "catalog"));
    let documented = [
        (&item.get, Method::GET),
        (&item.put, Method::PUT),
        (&item.post, Method::POST),
        (&item.delete, Method::DELETE),
        (&item.patch, Method::PATCH),
        (&item.head, Method::HEAD),
        (&item.options, Method::OPTIONS),
    ]
    .into_iter()
    .filter_map(|(operation, method)| operation.is_some().then_some(method));
    documented.chain(has_head.then_some(Method::HEAD)).collect()
}

/// Keeps the type of application data in one place for those who ask for it.
pub(super) type DocumentData = web::Data<Document>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::listing::{ContractTerm, DimensionUnit};

    fn operational() -> serde_json::Value {
        serde_json::to_value(collect(|_| ())).expect("JSON")
    }

    #[test]
    fn the_document_says_what_it_is() {
        let document = operational();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["title"], "Portcullis");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(document["info"]["license"]["identifier"], "Apache-2.0");
        assert_eq!(
            document["components"]["securitySchemes"]["bearer"]["scheme"],
            "bearer"
        );
        assert_eq!(document["security"][0]["bearer"], serde_json::json!([]));
    }

    #[test]
    fn a_problem_lists_every_code() {
        let document = operational();
        let listed = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
            .as_array()
            .expect("an enum")
            .len();
        assert_eq!(listed, crate::app::code::Code::ALL.len());
    }

    #[test]
    fn operational_routes_are_public_and_named_after_their_handlers() {
        let document = operational();
        for path in ["healthz", "readyz", "metrics"] {
            let operation = &document["paths"][format!("/{path}")]["get"];
            assert_eq!(operation["operationId"], path);
            assert_eq!(operation["security"], serde_json::json!([{}]));
        }
    }

    #[test]
    fn a_path_matches_segment_by_segment() {
        let document = Document::new(&collect(|_| ()));
        assert_eq!(document.methods_at("/healthz"), [Method::GET]);
        for unknown in ["/healthz/", "/healthz/x", "/", "", "/nothing"] {
            assert!(document.methods_at(unknown).is_empty(), "{unknown:?}");
        }
    }

    #[test]
    fn a_path_by_the_word_is_no_id() {
        let document = Document::new(&document());
        assert_eq!(document.methods_at("/v1/policies/validate"), [Method::POST]);
        assert_eq!(
            document.methods_at("/v1/policies/pol_1"),
            [Method::GET, Method::PATCH]
        );
    }

    fn words<'a>(of: &'a serde_json::Value, all: &mut Vec<&'a str>) {
        match of {
            serde_json::Value::Object(members) => {
                let own = members.get("enum").and_then(serde_json::Value::as_array);
                all.extend(own.into_iter().flatten().filter_map(|word| word.as_str()));
                members.values().for_each(|member| words(member, all));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| words(item, all)),
            _ => {}
        }
    }

    /// The document says the words that are on the wire, and not the names that the code has for them.
    #[test]
    fn no_word_is_a_name_of_the_code() {
        let document = serde_json::to_value(document()).expect("JSON");
        let mut all = Vec::new();
        words(&document, &mut all);
        assert!(all.contains(&"deny_list"), "{all:?}");
        // AWS Marketplace's units and the durations of ISO 8601 are written so on the wire.
        let units = DimensionUnit::ALL.iter().map(|unit| unit.as_str());
        let terms = ContractTerm::ALL.iter().map(|term| term.as_str());
        let theirs: Vec<&str> = units.chain(terms).collect();
        let mut names = all
            .iter()
            .filter(|word| word.starts_with(char::is_uppercase) && !theirs.contains(word));
        assert_eq!(names.next(), None);
    }
}
