//! Walking the schemas of a document. Rewrites go through here so that a *property* that happens
//! to be called `default` or `format` is never taken for the keyword.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

/// The HTTP methods that OpenAPI 3.0 knows.
pub const METHODS: &[&str] = &[
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// Calls `visit` with every schema of the document and the place where it stands, a schema before
/// those inside it, so that what a visit puts in is walked too.
pub fn each_schema(
    document: &mut Value,
    visit: &mut dyn FnMut(&str, &mut Value) -> Result<()>,
) -> Result<()> {
    if let Some(schemas) = components_mut(document) {
        for (name, schema) in schemas {
            walk(name, schema, visit)?;
        }
    }
    each_operation(document, &mut |_, _, operation| {
        let id = operation_id(operation).to_owned();
        if let Some(parameters) = operation
            .get_mut("parameters")
            .and_then(Value::as_array_mut)
        {
            for parameter in parameters {
                let place = format!("{id} parameter {}", text(parameter, "name").unwrap_or("?"));
                if let Some(schema) = parameter.get_mut("schema") {
                    walk(&place, schema, visit)?;
                }
            }
        }
        if let Some(body) = operation.get_mut("requestBody") {
            walk_content(&format!("{id} request"), body, visit)?;
        }
        if let Some(responses) = operation
            .get_mut("responses")
            .and_then(Value::as_object_mut)
        {
            for (status, response) in responses {
                walk_content(&format!("{id} {status}"), response, visit)?;
            }
        }
        Ok(())
    })
}

fn walk_content(
    place: &str,
    body: &mut Value,
    visit: &mut dyn FnMut(&str, &mut Value) -> Result<()>,
) -> Result<()> {
    let Some(content) = body.get_mut("content").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    for media in content.values_mut() {
        if let Some(schema) = media.get_mut("schema") {
            walk(place, schema, visit)?;
        }
    }
    Ok(())
}

/// No document nests so deep; a rewrite that unrolls a schema into itself would never end.
const LONGEST_PLACE: usize = 1000;

/// A schema and all inside it.
pub fn walk(
    place: &str,
    schema: &mut Value,
    visit: &mut dyn FnMut(&str, &mut Value) -> Result<()>,
) -> Result<()> {
    if place.len() > LONGEST_PLACE {
        let start: String = place.chars().take(60).collect();
        bail!("the schema at {start}… holds itself without end: break the circle with an object");
    }
    visit(place, schema)?;
    let Value::Object(node) = schema else {
        return Ok(());
    };
    if let Some(Value::Object(properties)) = node.get_mut("properties") {
        for (name, property) in properties {
            walk(&format!("{place}.{name}"), property, visit)?;
        }
    }
    if let Some(items) = node.get_mut("items") {
        walk(&format!("{place}[]"), items, visit)?;
    }
    if let Some(values @ Value::Object(_)) = node.get_mut("additionalProperties") {
        walk(&format!("{place}{{}}"), values, visit)?;
    }
    for keyword in ["allOf", "oneOf", "anyOf"] {
        if let Some(Value::Array(branches)) = node.get_mut(keyword) {
            for branch in branches {
                walk(place, branch, visit)?;
            }
        }
    }
    Ok(())
}

/// Calls `visit` with the path, the method and the operation, of each.
pub fn each_operation(
    document: &mut Value,
    visit: &mut dyn FnMut(&str, &str, &mut Value) -> Result<()>,
) -> Result<()> {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else {
        bail!("the document has no `paths`");
    };
    for (path, item) in paths {
        let Some(item) = item.as_object_mut() else {
            bail!("path {path} is not an object");
        };
        for method in METHODS {
            if let Some(operation) = item.get_mut(*method) {
                visit(path, method, operation)?;
            }
        }
    }
    Ok(())
}

pub fn components(document: &Value) -> Option<&Map<String, Value>> {
    document.pointer("/components/schemas")?.as_object()
}

pub fn components_mut(document: &mut Value) -> Option<&mut Map<String, Value>> {
    document.pointer_mut("/components/schemas")?.as_object_mut()
}

/// The name in `#/components/schemas/NAME`, if the node is such a reference.
pub fn reference(node: &Value) -> Option<&str> {
    text(node, "$ref")?.strip_prefix("#/components/schemas/")
}

/// The referenced component of a plain `$ref` or of one wrapped in a single-branch `allOf`, which
/// is how OpenAPI 3.0 gives a reference a description of its own.
pub fn wrapped_reference(node: &Value) -> Option<&str> {
    match node
        .get("allOf")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
    {
        Some([only]) if node.get("properties").is_none() => reference(only),
        _ => reference(node),
    }
}

pub fn text<'a>(node: &'a Value, key: &str) -> Option<&'a str> {
    node.get(key)?.as_str()
}

pub fn flag(node: &Value, key: &str) -> bool {
    node.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// A list of strings, empty if absent.
pub fn strings(node: &Value, key: &str) -> Vec<String> {
    let list = node.get(key).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect()
}

/// The id of an operation. `load` has checked that each has one.
pub fn operation_id(operation: &Value) -> &str {
    text(operation, "operationId").unwrap_or("an operation without id")
}

/// Follows a local reference of any kind (`#/components/responses/Error`).
pub fn resolve<'a>(document: &'a Value, node: &'a Value) -> Result<&'a Value> {
    let mut node = node;
    for _ in 0..16 {
        let Some(reference) = text(node, "$ref") else {
            return Ok(node);
        };
        let pointer = reference
            .strip_prefix('#')
            .with_context(|| format!("`$ref: {reference}` leaves the document"))?;
        node = document
            .pointer(pointer)
            .with_context(|| format!("`$ref: {reference}` leads nowhere"))?;
    }
    bail!("a `$ref` leads in a circle")
}

#[cfg(test)]
pub fn yaml(text: &str) -> Value {
    yaml_serde::from_str(text).expect("the test's YAML is well formed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_named_like_a_keyword_is_walked_as_a_property() {
        let mut document = yaml(
            "
paths: {}
components:
  schemas:
    Policy:
      type: object
      properties:
        default: {type: string}
        format: {type: array, items: {type: integer}}
",
        );
        let mut places = Vec::new();
        each_schema(&mut document, &mut |place, _| {
            places.push(place.to_owned());
            Ok(())
        })
        .unwrap();
        assert_eq!(
            places,
            [
                "Policy",
                "Policy.default",
                "Policy.format",
                "Policy.format[]"
            ]
        );
    }
}
