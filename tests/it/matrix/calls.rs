//! The calls of the two ports, read from their source: each has a story, or a reason why it has none.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::PgPool;
use syn::visit::Visit;

use super::cell::undisturbed;
use super::stories::Story;
use crate::support::TestApp;

/// The traits, where they are, and the worker's wrapper of each.
const PORTS: [(&str, &str, &str); 2] = [
    ("PrivateLink", "gateway.rs", "metered.rs"),
    ("Messaging", "messaging.rs", "metered_messaging.rs"),
];

/// Methods of the ports that the worker does not call, and why. One that is called after all must go from here.
const NOT_CALLED: &[(&str, &str)] = &[];

/// A method of a port.
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
    assert!(
        methods.len() >= 39,
        "the ports were not read: {} {methods:?}",
        methods.len()
    );
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
        assert!(methods.contains_key(*name), "no port has {name} ({why})");
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
    PORTS.iter().flat_map(methods_of).collect()
}

fn methods_of(&(name, file, wrapper): &(&str, &str, &str)) -> BTreeMap<String, Method> {
    let actions = actions(wrapper);
    let port = parsed(&format!("crates/privatelink/src/{file}"));
    let mut methods = BTreeMap::new();
    for item in port.items {
        let syn::Item::Trait(item) = item else {
            continue;
        };
        if item.ident != name {
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
            let action = action.unwrap_or_else(|| panic!("src/worker/{wrapper} has no {name}"));
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
fn actions(wrapper: &str) -> BTreeMap<String, String> {
    let wrapper = parsed(&format!("src/worker/{wrapper}"));
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

/// The worker's files that call a method of a port, but for the wrappers that pass everything on.
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
        let passes_on = PORTS.iter().any(|(_, _, wrapper)| path.ends_with(wrapper));
        if !passes_on && source.contains(&format!(".{method}(")) {
            found.push(path.display().to_string());
        }
    }
    found
}
