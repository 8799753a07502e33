//! What differs between two documents, as a user of the Rust crate and of the wire sees it.
//!
//! `operations` compares what is called, `schemas` what is sent and answered, `report` writes the
//! result. Every difference ends up as a [`Change`]: what no rule here knows is `unclassified`.

mod operations;
mod report;
mod schemas;

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use crate::schema::resolve;

pub use report::{Format, print};

/// What a change means to those who use the API. The worst comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A program that compiled, or a request or answer that was fine, is no longer.
    Breaking,
    /// No rule says what it means.
    Unclassified,
    /// Programs and requests go on as they are.
    Compatible,
    /// Only words differ.
    Documentation,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    pub class: Class,
    /// Where, as a JSON pointer: in the new document, or in the old one for what is gone.
    pub pointer: String,
    /// What, in one sentence.
    pub sentence: String,
}

/// Every difference between two documents, the worst first.
pub fn diff(old: &Value, new: &Value) -> Result<Vec<Change>> {
    let mut differ = Differ {
        old,
        new,
        changes: Vec::new(),
    };
    differ.document()?;
    let mut changes = differ.changes;
    changes.sort();
    // Shared parts are met wherever they are used.
    changes.dedup();
    Ok(changes)
}

struct Differ<'a> {
    old: &'a Value,
    new: &'a Value,
    changes: Vec<Change>,
}

/// Where the comparison is: as a pointer, and in words that a sentence can begin with.
#[derive(Clone)]
struct Place {
    pointer: String,
    name: String,
}

impl Place {
    fn new(pointer: &str, name: impl Into<String>) -> Self {
        Self {
            pointer: pointer.to_owned(),
            name: name.into(),
        }
    }

    /// Below, without another name.
    fn at(&self, key: &str) -> Self {
        let key = key.replace('~', "~0").replace('/', "~1");
        Self::new(&format!("{}/{key}", self.pointer), &self.name)
    }

    fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

/// Keywords whose text nobody's program depends on.
const WORDS: &[&str] = &[
    "summary",
    "description",
    "title",
    "example",
    "examples",
    "externalDocs",
    "x-fastvm-value-docs",
    "x-fastvm-override",
    "x-fastvm-stream-override",
    "x-fastvm-example",
];

impl<'a> Differ<'a> {
    fn add(&mut self, class: Class, place: &Place, sentence: impl Into<String>) {
        self.changes.push(Change {
            class,
            pointer: place.pointer.clone(),
            sentence: sentence.into(),
        });
    }

    fn document(&mut self) -> Result<()> {
        let root = Place::new("", "the document");
        for (key, old, new) in pairs(Some(self.old), Some(self.new)) {
            let place = root.at(key);
            match key {
                "info" | "tags" | "externalDocs" => self.words(&place, key, old, new),
                "paths" => self.operations()?,
                "components" => self.components(old, new)?,
                "servers" => self.servers(&place, old, new),
                "security" => {
                    let name = "every operation without a rule of its own";
                    self.security(&place.named(name), old, new);
                }
                _ => self.unknown(&place, key, old, new),
            }
        }
        Ok(())
    }

    fn components(&mut self, old: Option<&'a Value>, new: Option<&'a Value>) -> Result<()> {
        let root = Place::new("/components", "the components");
        for (key, old, new) in pairs(old, new) {
            let place = root.at(key);
            match key {
                "schemas" => self.named_schemas(old, new)?,
                // Compared where operations use them.
                "parameters" | "responses" | "requestBodies" | "headers" => {}
                "examples" | "links" => self.words(&place, key, old, new),
                "securitySchemes" => self.security_schemes(&place, old, new),
                _ => self.unknown(&place, key, old, new),
            }
        }
        Ok(())
    }

    fn servers(&mut self, place: &Place, old: Option<&Value>, new: Option<&Value>) {
        let urls = |servers: Option<&Value>| -> Vec<String> {
            let servers = servers.and_then(Value::as_array).into_iter().flatten();
            servers
                .filter_map(|server| Some(server.get("url")?.as_str()?.to_owned()))
                .collect()
        };
        let (before, after) = (urls(old), urls(new));
        for url in before.iter().filter(|url| !after.contains(url)) {
            self.add(
                Class::Breaking,
                place,
                format!("The API is no longer served at `{url}`."),
            );
        }
        for url in after.iter().filter(|url| !before.contains(url)) {
            self.add(
                Class::Compatible,
                place,
                format!("The API is served at `{url}`, too."),
            );
        }
        if before == after {
            self.words(place, "the list of servers", old, new);
        }
    }

    fn security_schemes(&mut self, root: &Place, old: Option<&Value>, new: Option<&Value>) {
        for (name, old, new) in pairs(old, new) {
            let place = root.at(name);
            match (old, new) {
                (Some(_), None) => {
                    self.add(
                        Class::Breaking,
                        &place,
                        format!("The security scheme `{name}` is gone."),
                    );
                }
                (None, _) => {
                    self.add(
                        Class::Compatible,
                        &place,
                        format!("There is a security scheme `{name}`."),
                    );
                }
                (old, new) => {
                    for (key, old, new) in pairs(old, new) {
                        let place = place.at(key);
                        if WORDS.contains(&key) {
                            self.words(&place, key, old, new);
                        } else if old != new {
                            let sentence = format!(
                                "The security scheme `{name}` has {} in place of {} as its `{key}`.",
                                shown(new),
                                shown(old)
                            );
                            self.add(Class::Breaking, &place, sentence);
                        }
                    }
                }
            }
        }
    }

    /// Which schemes a call needs: a list of alternatives.
    fn security(&mut self, place: &Place, old: Option<&Value>, new: Option<&Value>) {
        let alternatives = |node: Option<&Value>| -> Vec<Value> {
            node.and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let (before, after) = (alternatives(old), alternatives(new));
        let is_open = |all: &[Value]| all.is_empty() || all.contains(&serde_json::json!({}));
        if before == after {
            return;
        }
        let still_works =
            is_open(&after) || (!is_open(&before) && before.iter().all(|way| after.contains(way)));
        let (class, what) = match (still_works, is_open(&after)) {
            (true, true) => (Class::Compatible, "needs no credentials any more"),
            (true, false) => (
                Class::Compatible,
                "can be called with other credentials, too",
            ),
            (false, _) => (Class::Breaking, "needs other credentials"),
        };
        let name = &place.name;
        self.add(class, place, sentence(&format!("{name} {what}.")));
    }

    /// A difference of words.
    fn words(&mut self, place: &Place, key: &str, old: Option<&Value>, new: Option<&Value>) {
        if old == new {
            return;
        }
        let what = match (old, new) {
            (None, _) => "is new",
            (_, None) => "is gone",
            _ => "reads differently",
        };
        let name = &place.name;
        self.add(
            Class::Documentation,
            place,
            sentence(&format!("`{key}` of {name} {what}.")),
        );
    }

    /// A difference that nothing here knows.
    fn unknown(&mut self, place: &Place, key: &str, old: Option<&Value>, new: Option<&Value>) {
        if old != new {
            let sentence = format!(
                "`{key}` of {} is {} in place of {}: see for yourself what that means.",
                place.name,
                shown(new),
                shown(old)
            );
            self.add(Class::Unclassified, place, sentence);
        }
    }
}

/// The keys of both, in the order of the new one, with what they have on each side.
fn pairs<'a>(
    old: Option<&'a Value>,
    new: Option<&'a Value>,
) -> Vec<(&'a str, Option<&'a Value>, Option<&'a Value>)> {
    let (old, new) = (object(old), object(new));
    let gone = old.iter().filter(|(key, _)| !new.contains_key(*key));
    let gone = gone.map(|(key, old)| (*key, Some(*old), None));
    new.iter()
        .map(|(key, new)| (*key, old.get(key).copied(), Some(*new)))
        .chain(gone)
        .collect()
}

fn object(node: Option<&Value>) -> BTreeMap<&str, &Value> {
    let entries = node.and_then(Value::as_object).into_iter().flatten();
    entries.map(|(key, value)| (key.as_str(), value)).collect()
}

/// What a reference stands for, and where that is.
fn followed<'a>(document: &'a Value, node: &'a Value, place: &Place) -> Result<(&'a Value, Place)> {
    let found = resolve(document, node)?;
    let place = match node.get("$ref").and_then(Value::as_str) {
        Some(reference) => Place::new(reference.trim_start_matches('#'), &place.name),
        None => place.clone(),
    };
    Ok((found, place))
}

/// A value in a sentence.
fn shown(value: Option<&Value>) -> String {
    const LONGEST: usize = 80;
    let text = match value {
        None => return "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    let short: String = text.chars().take(LONGEST).collect();
    match short == text {
        true => format!("`{text}`"),
        false => format!("`{short}…`"),
    }
}

/// With its first letter in upper case.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
