//! Puts our vendor extensions into an upstream document, which has none.
//!
//! They are found again by operation id, by the names of schemas and properties, and by the place and
//! name of parameters, wherever these have moved to.

use anyhow::Result;
use serde_json::{Map, Value};

use crate::schema::{METHODS, each_operation, resolve, strings, text};

const PREFIX: &str = "x-fastvm-";

/// Data, in which a key that looks like an extension is none.
const DATA: &[&str] = &["example", "examples", "default", "enum"];

/// `theirs` with the extensions of `ours` wherever it has none of its own.
pub fn carry(ours: &Value, mut theirs: Value) -> Result<Value> {
    each_operation(&mut theirs, &mut |_, _, operation| {
        if let Some(known) = text(operation, "operationId").and_then(|id| by_id(ours, id)) {
            carry_node(ours, known, operation)?;
        }
        Ok(())
    })?;
    let (known, shared) = (ours.get("components"), theirs.get_mut("components"));
    if let (Some(known), Some(shared)) = (known, shared) {
        carry_node(ours, known, shared)?;
    }
    Ok(theirs)
}

fn by_id<'a>(document: &'a Value, id: &str) -> Option<&'a Value> {
    let items = document.get("paths")?.as_object()?.values();
    let mut operations =
        items.flat_map(|item| METHODS.iter().filter_map(|method| item.get(*method)));
    operations.find(|operation| text(operation, "operationId") == Some(id))
}

fn carry_node(document: &Value, ours: &Value, theirs: &mut Value) -> Result<()> {
    let ours = match theirs.get("$ref") {
        Some(_) => ours,
        // What they have written out may be a part of its own with us.
        None => resolve(document, ours)?,
    };
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, node) in theirs.iter_mut() {
                if let Some(known) = ours.get(key).filter(|_| !DATA.contains(&key.as_str())) {
                    carry_node(document, known, node)?;
                }
            }
            carry_own(ours, theirs);
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            for (index, node) in theirs.iter_mut().enumerate() {
                let same = ours.iter().find(|known| is_same(document, known, node));
                if let Some(known) = same.or_else(|| ours.get(index).filter(|_| !has_name(node))) {
                    carry_node(document, known, node)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn carry_own(ours: &Map<String, Value>, theirs: &mut Map<String, Value>) {
    let values = strings(&Value::Object(theirs.clone()), "enum");
    for (key, value) in ours.iter().filter(|(key, _)| key.starts_with(PREFIX)) {
        let is_told =
            theirs.contains_key(key) || (key == "x-fastvm-known-values" && !values.is_empty());
        if is_told {
            continue;
        }
        let mut value = value.clone();
        // A value that is gone needs no words.
        let is_about_values =
            matches!(key.as_str(), "x-fastvm-value-docs" | "x-fastvm-value-names");
        if let Some(map) = value
            .as_object_mut()
            .filter(|_| is_about_values && !values.is_empty())
        {
            map.retain(|value, _| values.contains(value));
        }
        theirs.insert(key.clone(), value);
    }
}

/// Members of lists that have a name are known by it, not by their place.
fn has_name(node: &Value) -> bool {
    node.get("$ref").is_some() || (node.get("name").is_some() && node.get("in").is_some())
}

fn is_same(document: &Value, ours: &Value, theirs: &Value) -> bool {
    if let Some(reference) = text(theirs, "$ref") {
        return text(ours, "$ref") == Some(reference);
    }
    let Ok(ours) = resolve(document, ours) else {
        return false;
    };
    has_name(theirs) && ours.get("name") == theirs.get("name") && ours.get("in") == theirs.get("in")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::yaml;

    #[test]
    fn extensions_follow_what_they_belong_to() {
        let ours = yaml(
            "
paths:
  /a/{id}:
    get:
      operationId: getA
      x-fastvm-retry: repeat
      parameters:
        - {name: x, in: query, schema: {type: string}}
        - {name: f, in: query, x-fastvm-key-prefix: 'm.', schema: {type: object}}
components:
  schemas:
    A: {properties: {key: {type: string, x-fastvm-secret: true}, mode: {$ref: '#/components/schemas/Mode'}}}
    Mode: {type: string, enum: [a, b], x-fastvm-type: M, x-fastvm-value-docs: {a: First., b: Second.}}
",
        );
        let theirs = yaml(
            "
paths:
  /v2/a/{id}:
    get:
      operationId: getA
      parameters:
        - {name: f, in: query, schema: {type: object}}
    put: {operationId: putA}
components:
  schemas:
    A: {properties: {key: {type: string}, mode: {type: string, enum: [b, c]}, more: {type: string}}}
",
        );
        let carried = carry(&ours, theirs).unwrap();
        let at = |pointer: &str| carried.pointer(pointer).cloned().unwrap_or_default();
        assert_eq!(at("/paths/~1v2~1a~1{id}/get/x-fastvm-retry"), "repeat");
        assert_eq!(
            at("/paths/~1v2~1a~1{id}/get/parameters/0/x-fastvm-key-prefix"),
            "m."
        );
        assert_eq!(at("/paths/~1v2~1a~1{id}/put"), yaml("{operationId: putA}"));
        assert_eq!(
            at("/components/schemas/A/properties/key/x-fastvm-secret"),
            true
        );
        let mode = yaml(
            "{type: string, enum: [b, c], x-fastvm-type: M, x-fastvm-value-docs: {b: Second.}}",
        );
        assert_eq!(at("/components/schemas/A/properties/mode"), mode);
    }

    #[test]
    fn a_document_gets_back_all_that_was_taken_from_it() {
        let ours = crate::load::load(std::path::Path::new("../openapi.yaml")).unwrap();
        let mut theirs = ours.clone();
        strip(&mut theirs);
        assert_ne!(ours, theirs);
        assert_eq!(carry(&ours, theirs).unwrap(), ours);
    }

    fn strip(node: &mut Value) {
        match node {
            Value::Object(map) => {
                map.retain(|key, _| !key.starts_with(PREFIX));
                map.values_mut().for_each(strip);
            }
            Value::Array(list) => list.iter_mut().for_each(strip),
            _ => {}
        }
    }
}
