//! Schemas: what is sent and what is answered.
//!
//! A named schema is compared once, as itself; where it is used, its name is enough. Direction
//! matters: a wider set of values is fine in a request and may not be in an answer.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::Value;

use super::{Class, Differ, Place, WORDS, object, pairs, sentence, shown};
use crate::schema::{METHODS, text};

/// Who writes what a schema describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Request,
    Response,
    Both,
}

impl Way {
    fn is_sent(self) -> bool {
        self != Self::Response
    }

    fn is_answered(self) -> bool {
        self != Self::Request
    }
}

const SCHEMAS: &str = "#/components/schemas/";

/// Bounds of which a smaller number leaves less.
const UPPER: &[&str] = &["maximum", "maxLength", "maxItems", "maxProperties"];

/// Bounds of which a larger number leaves less.
const LOWER: &[&str] = &["minimum", "minLength", "minItems", "minProperties"];

/// Formats that change no Rust type and no wire form.
const MERE_FORMATS: &[&str] = &["uuid", "uri", "email", "password", "hostname", "cidr"];

impl<'a> Differ<'a> {
    pub(super) fn named_schemas(
        &mut self,
        old: Option<&'a Value>,
        new: Option<&'a Value>,
    ) -> Result<()> {
        let mut ways = directions(self.old);
        for (name, way) in directions(self.new) {
            merge(&mut ways, name, way);
        }
        let (before, after) = (object(old), object(new));
        let root = Place::new("/components/schemas", "");
        for (name, old, new) in pairs(old, new) {
            let place = root.at(name).named(format!("`{name}`"));
            let way = ways.get(name).copied().unwrap_or(Way::Both);
            match (old, new) {
                (Some(_), Some(_)) => self.schema(&place, old, new, way)?,
                (Some(schema), None) => {
                    let mut others = after.iter().filter(|(name, _)| !before.contains_key(*name));
                    let text = match others.find(|(_, other)| **other == schema) {
                        Some((other, _)) => format!("The type `{name}` is called `{other}` now."),
                        None => format!("The type `{name}` is gone."),
                    };
                    self.add(Class::Breaking, &place, text);
                }
                (None, Some(schema)) => {
                    let mut others = before.iter().filter(|(name, _)| !after.contains_key(*name));
                    if !others.any(|(_, other)| *other == schema) {
                        let text = format!("There is a type `{name}`.");
                        self.add(Class::Compatible, &place, text);
                    }
                }
                (None, None) => {}
            }
        }
        Ok(())
    }

    pub(super) fn schema(
        &mut self,
        place: &Place,
        old: Option<&'a Value>,
        new: Option<&'a Value>,
        way: Way,
    ) -> Result<()> {
        if old == new {
            return Ok(());
        }
        let (Some(old), Some(new)) = (old, new) else {
            self.unknown(place, "schema", old, new);
            return Ok(());
        };
        let (before, after) = (Schema::of(old), Schema::of(new));
        let name = place.name.clone();
        if before.names != after.names {
            let text = match (&before.names[..], &after.names[..]) {
                ([], _) => format!("{name} is {} now.", after.title()),
                (_, []) => format!("{name} is not {} any more.", before.title()),
                _ => format!(
                    "{name} is {} in place of {}.",
                    after.title(),
                    before.title()
                ),
            };
            self.add(Class::Breaking, place, sentence(&text));
            return Ok(());
        }
        self.properties(place, &before, &after, way)?;
        let keys: BTreeSet<_> = before
            .keywords
            .keys()
            .chain(after.keywords.keys())
            .collect();
        for key in keys {
            let sides = [&before, &after].map(|side| side.keywords.get(key).copied());
            // The names are told with the values that have them.
            if sides[0] != sides[1] && *key != "x-fastvm-value-names" {
                self.keyword(&place.at(key), key, sides[0], sides[1], way)?;
            }
        }
        self.values(place, &before, &after, way);
        Ok(())
    }

    fn properties(
        &mut self,
        place: &Place,
        old: &Schema<'a>,
        new: &Schema<'a>,
        way: Way,
    ) -> Result<()> {
        let names: BTreeSet<_> = old.properties.keys().chain(new.properties.keys()).collect();
        for name in names {
            let here = place.at("properties").at(name).named(inside(
                &place.name,
                &format!(".{name}"),
                &format!("`{name}` of"),
            ));
            let field = &here.name;
            match (old.properties.get(name), new.properties.get(name)) {
                (Some(_), None) => {
                    self.add(
                        Class::Breaking,
                        &here,
                        format!("The field {field} is gone."),
                    );
                }
                (None, Some(_)) if new.required.contains(name) => {
                    let text = format!("There is a field {field}, and it is required.");
                    self.add(Class::Breaking, &here, text);
                }
                (None, Some(_)) => {
                    self.add(
                        Class::Compatible,
                        &here,
                        format!("There is a field {field}."),
                    );
                }
                (Some(before), Some(after)) => {
                    let was = old.required.contains(name);
                    let is = new.required.contains(name);
                    let text = match (was, is) {
                        (true, false) => Some("is optional now"),
                        (false, true) => Some("is required now"),
                        _ => None,
                    };
                    if let Some(text) = text {
                        self.add(Class::Breaking, &here, format!("The field {field} {text}."));
                    }
                    self.schema(&here, Some(before), Some(after), way)?;
                }
                (None, None) => {}
            }
        }
        let common = |these: &[&str], others: &[&str]| -> Vec<String> {
            let common = these.iter().filter(|name| others.contains(name));
            common.map(|name| (*name).to_owned()).collect()
        };
        let was = common(&old.required, &new.required);
        let is = common(&new.required, &old.required);
        if was != is {
            let text = format!(
                "The required fields of {} have another order: {} in place of {}. They are arguments in it.",
                place.name,
                is.join(", "),
                was.join(", ")
            );
            self.add(Class::Breaking, &place.at("required"), text);
        }
        Ok(())
    }

    fn keyword(
        &mut self,
        place: &Place,
        key: &str,
        old: Option<&'a Value>,
        new: Option<&'a Value>,
        way: Way,
    ) -> Result<()> {
        let name = &place.name;
        let (class, what) = match key {
            "items" | "additionalProperties" if is_schema(old) && is_schema(new) => {
                let name = match key {
                    "items" => inside(name, "[]", "the items of"),
                    _ => inside(name, "{}", "the values of"),
                };
                let place = place.clone().named(name);
                return self.schema(&place, old, new, way);
            }
            "oneOf" | "anyOf" => return self.variants(place, key, old, new, way),
            "deprecated" => {
                self.deprecated(place, old, new);
                return Ok(());
            }
            key if WORDS.contains(&key) => {
                self.words(place, key, old, new);
                return Ok(());
            }
            "type" => (
                Class::Breaking,
                format!("is {} in place of {}", shown(new), shown(old)),
            ),
            "format" => (
                format_class(old, new),
                format!("has the format {} in place of {}", shown(new), shown(old)),
            ),
            "nullable" if is_true(new) => (Class::Breaking, "can be null now".to_owned()),
            "nullable" => (Class::Breaking, "cannot be null any more".to_owned()),
            "default" => {
                let class = match old.is_some() && new.is_some() && way.is_sent() {
                    true => Class::Breaking,
                    // The server had a default before, or has one still.
                    false => Class::Documentation,
                };
                (
                    class,
                    format!("has the default {} in place of {}", shown(new), shown(old)),
                )
            }
            key if UPPER.contains(&key) || LOWER.contains(&key) => {
                let class = match is_tighter(key, old, new) && way.is_sent() {
                    true => Class::Breaking,
                    false => Class::Compatible,
                };
                (
                    class,
                    format!("has the {key} {} in place of {}", shown(new), shown(old)),
                )
            }
            "pattern" | "uniqueItems" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
                let class = match way.is_sent() && new.is_some() {
                    true => Class::Breaking,
                    false => Class::Compatible,
                };
                (
                    class,
                    format!("has the {key} {} in place of {}", shown(new), shown(old)),
                )
            }
            "additionalProperties" if new == Some(&Value::Bool(false)) && way.is_sent() => {
                (Class::Breaking, "takes no other fields any more".to_owned())
            }
            "additionalProperties" if !is_schema(old) && !is_schema(new) => (
                Class::Compatible,
                format!(
                    "says {} in place of {} of other fields",
                    shown(new),
                    shown(old)
                ),
            ),
            "readOnly" | "writeOnly" => {
                let class = match is_true(new) && (key == "readOnly") == way.is_sent() {
                    true => Class::Breaking,
                    false => Class::Documentation,
                };
                (
                    class,
                    format!("has {key} {} in place of {}", shown(new), shown(old)),
                )
            }
            "discriminator" => (
                Class::Breaking,
                format!("is told apart by {} in place of {}", shown(new), shown(old)),
            ),
            "x-fastvm-type" => (
                Class::Breaking,
                format!(
                    "has the Rust type {} in place of {}",
                    shown(new),
                    shown(old)
                ),
            ),
            "x-fastvm-secret" if is_true(new) => (
                Class::Compatible,
                "is not shown in debug output any more".to_owned(),
            ),
            "x-fastvm-secret" => (Class::Breaking, "is shown in debug output now".to_owned()),
            _ => {
                self.unknown(place, key, old, new);
                return Ok(());
            }
        };
        let text = sentence(&format!("{name} {what}."));
        self.add(class, place, text);
        Ok(())
    }

    /// Sets of values, closed or with known members. In Rust both have the same, open type.
    fn values(&mut self, place: &Place, old: &Schema<'a>, new: &Schema<'a>, way: Way) {
        let name = place.name.clone();
        let place = place.at(match new.is_closed {
            true => "enum",
            false => "x-fastvm-known-values",
        });
        let (before, after) = (&old.values, &new.values);
        if before.is_empty() != after.is_empty() {
            let what = match after.is_empty() {
                true => "is any text now, without a set of values",
                false => "has a set of values now",
            };
            self.add(
                Class::Breaking,
                &place,
                sentence(&format!("{name} {what}.")),
            );
            return;
        }
        for value in before.iter().filter(|value| !after.contains(value)) {
            let text = format!("{name} has no value {} any more.", shown(Some(value)));
            self.add(Class::Breaking, &place, sentence(&text));
        }
        for value in before.iter().filter(|value| after.contains(value)) {
            let (was, is) = (old.value_name(value), new.value_name(value));
            if was != is {
                let text = format!(
                    "The value {} of {name} has the name {} in place of {}.",
                    shown(Some(value)),
                    shown(is),
                    shown(was)
                );
                self.add(Class::Breaking, &place, text);
            }
        }
        for value in after.iter().filter(|value| !before.contains(value)) {
            let text = format!("{name} has a value {}.", shown(Some(value)));
            self.add(Class::Compatible, &place, sentence(&text));
        }
        match (old.is_closed, new.is_closed) {
            (false, true) => {
                let class = if way.is_sent() {
                    Class::Breaking
                } else {
                    Class::Compatible
                };
                self.add(
                    class,
                    &place,
                    sentence(&format!("{name} takes no other values any more.")),
                );
            }
            (true, false) => {
                let text = format!("{name} can have other values, too.");
                self.add(Class::Compatible, &place, sentence(&text));
            }
            _ => {}
        }
    }

    fn variants(
        &mut self,
        place: &Place,
        key: &str,
        old: Option<&'a Value>,
        new: Option<&'a Value>,
        way: Way,
    ) -> Result<()> {
        let named = |side: Option<&'a Value>| -> Option<BTreeMap<&'a str, &'a Value>> {
            let list = side?.as_array()?;
            list.iter()
                .map(|one| Some((text(one, "$ref")?, one)))
                .collect()
        };
        let (Some(before), Some(after)) = (named(old), named(new)) else {
            self.unknown(place, key, old, new);
            return Ok(());
        };
        let name = place.name.clone();
        for variant in before
            .keys()
            .filter(|variant| !after.contains_key(*variant))
        {
            let text = format!("{name} cannot be {} any more.", type_name(variant));
            self.add(Class::Breaking, place, sentence(&text));
        }
        for variant in after
            .keys()
            .filter(|variant| !before.contains_key(*variant))
        {
            // An answer of a kind that a program does not know cannot be read by it.
            let class = match way.is_answered() {
                true => Class::Breaking,
                false => Class::Compatible,
            };
            let text = format!("{name} can be {}, too.", type_name(variant));
            self.add(class, place, sentence(&text));
        }
        Ok(())
    }
}

/// A schema with what its `allOf` adds.
#[derive(Default)]
struct Schema<'a> {
    /// The named schemas it is, or extends.
    names: Vec<&'a str>,
    properties: BTreeMap<&'a str, &'a Value>,
    required: Vec<&'a str>,
    /// The members of its set, if it has one, and whether there are no others.
    values: Vec<&'a Value>,
    is_closed: bool,
    /// All else.
    keywords: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Schema<'a> {
    fn of(node: &'a Value) -> Self {
        let mut schema = Self::default();
        schema.take(node);
        schema
    }

    fn take(&mut self, node: &'a Value) {
        for (key, value) in object(Some(node)) {
            let members = value.as_array().into_iter().flatten();
            match key {
                "$ref" => self.names.extend(value.as_str()),
                "allOf" => members.for_each(|part| self.take(part)),
                "properties" => self.properties.extend(object(Some(value))),
                "required" => self.required.extend(members.filter_map(Value::as_str)),
                "x-fastvm-known-values" => self.values.extend(members),
                "enum" => {
                    self.values.extend(members);
                    self.is_closed = true;
                }
                _ => {
                    self.keywords.insert(key, value);
                }
            }
        }
    }

    /// What a value is called in Rust, if it is told.
    fn value_name(&self, value: &Value) -> Option<&'a Value> {
        self.keywords
            .get("x-fastvm-value-names")?
            .get(value.as_str()?)
    }

    fn title(&self) -> String {
        let names: Vec<_> = self.names.iter().map(|name| type_name(name)).collect();
        match names.is_empty() {
            true => "a type of its own".to_owned(),
            false => names.join(" and "),
        }
    }
}

/// The name of what is inside: behind a name in code, before one in words.
fn inside(name: &str, behind: &str, before: &str) -> String {
    let code = name
        .strip_prefix('`')
        .and_then(|name| name.strip_suffix('`'));
    match code.filter(|code| !code.contains('`')) {
        Some(code) => format!("`{code}{behind}`"),
        None => format!("{before} {name}"),
    }
}

fn type_name(reference: &str) -> String {
    format!("`{}`", reference.trim_start_matches(SCHEMAS))
}

fn is_schema(node: Option<&Value>) -> bool {
    node.is_some_and(Value::is_object)
}

fn is_true(node: Option<&Value>) -> bool {
    node.and_then(Value::as_bool) == Some(true)
}

fn format_class(old: Option<&Value>, new: Option<&Value>) -> Class {
    let is_mere = |format: Option<&Value>| {
        let name = format.and_then(Value::as_str);
        format.is_none() || name.is_some_and(|name| MERE_FORMATS.contains(&name))
    };
    match is_mere(old) && is_mere(new) {
        true => Class::Documentation,
        false => Class::Breaking,
    }
}

/// Whether a bound leaves less than before.
fn is_tighter(key: &str, old: Option<&Value>, new: Option<&Value>) -> bool {
    let number = |bound: Option<&Value>| bound.and_then(Value::as_f64);
    match (number(old), number(new)) {
        (Some(old), Some(new)) if UPPER.contains(&key) => new < old,
        (Some(old), Some(new)) => new > old,
        (_, new) => new.is_some(),
    }
}

/// Which way each named schema goes, from the operations that use it.
fn directions(document: &Value) -> BTreeMap<&str, Way> {
    let mut ways = BTreeMap::new();
    let paths = document.get("paths").and_then(Value::as_object);
    for (_, item) in paths.into_iter().flatten() {
        go(document, item.get("parameters"), Way::Request, &mut ways);
        for operation in METHODS.iter().filter_map(|method| item.get(*method)) {
            go(
                document,
                operation.get("parameters"),
                Way::Request,
                &mut ways,
            );
            go(
                document,
                operation.get("requestBody"),
                Way::Request,
                &mut ways,
            );
            go(
                document,
                operation.get("responses"),
                Way::Response,
                &mut ways,
            );
        }
    }
    ways
}

/// Follows every reference below a node.
fn go<'a>(
    document: &'a Value,
    node: Option<&'a Value>,
    way: Way,
    ways: &mut BTreeMap<&'a str, Way>,
) {
    match node {
        Some(Value::Object(map)) => {
            if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                let name = reference.strip_prefix(SCHEMAS);
                if name.is_none_or(|name| merge(ways, name, way)) {
                    let target = document.pointer(reference.trim_start_matches('#'));
                    go(document, target, way, ways);
                }
            }
            // Examples are no schemas, and a field may be called `$ref`.
            let inner = map.iter().filter(|(key, _)| !WORDS.contains(&key.as_str()));
            inner.for_each(|(_, node)| go(document, Some(node), way, ways));
        }
        Some(Value::Array(list)) => list
            .iter()
            .for_each(|node| go(document, Some(node), way, ways)),
        _ => {}
    }
}

/// Adds a way to a schema's. Whether that is new.
fn merge<'a>(ways: &mut BTreeMap<&'a str, Way>, name: &'a str, way: Way) -> bool {
    let known = ways.get(name).copied();
    let both = match known {
        Some(known) if known != way => Way::Both,
        _ => way,
    };
    ways.insert(name, both);
    known != Some(both)
}
