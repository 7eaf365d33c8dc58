//! The calls of the port, read from its source: each has a story, or a reason why it has none.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::PgPool;
use syn::visit::Visit;

use super::cell::undisturbed;
use super::stories::Story;
use crate::support::TestApp;

/// Methods of the port that the worker does not call, and why. One that is called after all must go from here.
const NOT_CALLED: &[(&str, &str)] = &[];

/// A method of the port.
#[derive(Debug)]
struct Method {
    /// The action that it makes, by the worker's own wrapper.
    action: String,
    /// Whether it names a service, so that the call log shows an id.
    names_a_service: bool,
}

#[sqlx::test(migrations = "./migrations")]
async fn every_call_of_the_port_has_a_story(pool: PgPool) {
    let mut app = TestApp::start(pool);
    let mut made = Vec::new();
    for story in Story::ALL {
        made.extend(Box::pin(undisturbed(&mut app, story)).await.calls);
    }
    let methods = methods();
    assert!(methods.len() >= 18, "the port was not read: {methods:?}");
    for (name, method) in &methods {
        let twins = methods
            .values()
            .filter(|m| m.action == method.action)
            .count();
        let told = made.iter().any(|call| {
            call.action == method.action
                && (twins == 1 || call.ids.is_empty() != method.names_a_service)
        });
        let excused = NOT_CALLED.iter().any(|(not, _)| not == name);
        assert!(
            told || excused,
            "no story of the failure matrix leads to {name} ({}): add one in tests/it/matrix/stories.rs",
            method.action
        );
        assert!(
            !(told && excused),
            "{name} is called: take it out of NOT_CALLED"
        );
    }
    for (name, why) in NOT_CALLED {
        assert!(
            methods.contains_key(*name),
            "the port has no {name} ({why})"
        );
        let callers = callers(name);
        assert!(
            callers.is_empty(),
            "{name} is called in {callers:?} and no story leads there"
        );
    }
}

fn parsed(path: &str) -> syn::File {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let source = std::fs::read_to_string(&path).unwrap();
    syn::parse_file(&source).unwrap()
}

fn methods() -> BTreeMap<String, Method> {
    let actions = actions();
    let port = parsed("crates/privatelink/src/gateway.rs");
    let mut methods = BTreeMap::new();
    for item in port.items {
        let syn::Item::Trait(item) = item else {
            continue;
        };
        if item.ident != "PrivateLink" {
            continue;
        }
        for method in item.items {
            let syn::TraitItem::Fn(method) = method else {
                continue;
            };
            let name = method.sig.ident.to_string();
            let mut types = Types::default();
            types.visit_signature(&method.sig);
            let action = actions.get(&name);
            let action = action.unwrap_or_else(|| panic!("src/worker/metered.rs has no {name}"));
            methods.insert(
                name,
                Method {
                    action: action.clone(),
                    names_a_service: types.0.iter().any(|t| t == "ServiceId"),
                },
            );
        }
    }
    methods
}

/// The names of types.
#[derive(Default)]
struct Types(Vec<String>);

impl<'ast> Visit<'ast> for Types {
    fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
        self.0.push(segment.ident.to_string());
        syn::visit::visit_path_segment(self, segment);
    }
}

/// The action of each method: the one text in it that reads like one.
fn actions() -> BTreeMap<String, String> {
    let wrapper = parsed("src/worker/metered.rs");
    let mut actions = BTreeMap::new();
    for item in wrapper.items {
        let syn::Item::Impl(item) = item else {
            continue;
        };
        if item.trait_.is_none() {
            continue;
        }
        for method in item.items {
            let syn::ImplItem::Fn(method) = method else {
                continue;
            };
            let mut texts = Texts::default();
            texts.visit_block(&method.block);
            let action = texts
                .0
                .into_iter()
                .find(|t| t.starts_with(char::is_uppercase));
            actions.extend(action.map(|action| (method.sig.ident.to_string(), action)));
        }
    }
    actions
}

/// The texts in some code.
#[derive(Default)]
struct Texts(Vec<String>);

impl<'ast> Visit<'ast> for Texts {
    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.0.push(text.value());
    }
}

/// The worker's files that call a method of the port, but for the wrapper that passes everything on.
fn callers(method: &str) -> Vec<String> {
    let worker = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/worker");
    let mut found = Vec::new();
    let mut left = vec![worker];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        if !path.ends_with("metered.rs") && source.contains(&format!(".{method}(")) {
            found.push(path.display().to_string());
        }
    }
    found
}
