//! Writes a document of OpenAPI 3.1 as one of 3.0.3, where nothing is lost by it. What 3.0 cannot
//! say is an error that names the place.

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};

use crate::load::{below, wrong};

/// Keywords of schemas that 3.0 has nothing for.
const UNSAYABLE: &[&str] = &[
    "$anchor",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "contains",
    "contentSchema",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "maxContains",
    "minContains",
    "patternProperties",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Keywords that say nothing of the data.
const IDLE: &[&str] = &["$comment", "$schema"];

/// The document as one of 3.0.3. One of 3.0 stays as it is.
pub fn lower(mut document: Value) -> Result<Value> {
    let version = document.get("openapi").and_then(Value::as_str);
    match version {
        Some(version) if version.starts_with("3.0.") => return Ok(document),
        Some(version) if version.starts_with("3.1.") => {}
        Some(version) => bail!("the document says `openapi: {version}`; 3.0 and 3.1 can be read"),
        None => bail!("there is no `openapi` at the top: is this an OpenAPI document?"),
    }
    let Some(top) = document.as_object_mut() else {
        bail!("the document is no map");
    };
    top.insert("openapi".to_owned(), json!("3.0.3"));
    top.remove("jsonSchemaDialect");
    if let Some(webhooks) = top.remove("webhooks")
        && webhooks
            .as_object()
            .is_none_or(|webhooks| !webhooks.is_empty())
    {
        return Err(wrong("/webhooks", "3.0 has no webhooks"));
    }
    if let Some(Value::Object(info)) = top.get_mut("info") {
        info.remove("summary");
        if let Some(Value::Object(license)) = info.get_mut("license") {
            license.remove("identifier");
        }
    }
    if top
        .get("components")
        .is_some_and(|parts| parts.get("pathItems").is_some())
    {
        return Err(wrong(
            "/components/pathItems",
            "3.0 has no shared path items",
        ));
    }
    top.entry("paths").or_insert_with(|| json!({}));
    walk(&mut document, "", false)?;
    Ok(document)
}

/// Every schema of the document is below one of these keys, or a component.
fn walk(node: &mut Value, place: &str, is_map_of_schemas: bool) -> Result<()> {
    match node {
        Value::Object(map) => {
            for (key, node) in map.iter_mut() {
                let here = below(place, key);
                let is_schema =
                    is_map_of_schemas || (key == "schema" && !place.ends_with("/properties"));
                if is_schema {
                    schema(node, &here)?;
                } else if !is_data(key) {
                    walk(node, &here, here == "/components/schemas")?;
                }
            }
            Ok(())
        }
        Value::Array(list) => {
            for (index, node) in list.iter_mut().enumerate() {
                walk(node, &format!("{place}/{index}"), false)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn is_data(key: &str) -> bool {
    matches!(key, "example" | "examples" | "default" | "enum") || key.starts_with("x-")
}

fn schema(node: &mut Value, place: &str) -> Result<()> {
    if let Value::Bool(allows) = node {
        *node = if *allows {
            json!({})
        } else {
            json!({ "not": {} })
        };
    }
    let Value::Object(map) = node else {
        return Err(wrong(place, "a schema is a map"));
    };
    if let Some(keyword) = UNSAYABLE.iter().find(|keyword| map.contains_key(**keyword)) {
        return Err(wrong(
            format!("{place}/{keyword}"),
            format!("3.0 has no `{keyword}`"),
        ));
    }
    map.retain(|key, _| !IDLE.contains(&key.as_str()));
    types(map, place)?;
    null_variant(map, place)?;
    values(map, place)?;
    bounds(map, place)?;
    content(map, place)?;
    reference(map);
    for (key, node) in map.iter_mut() {
        let here = below(place, key);
        match (key.as_str(), node) {
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties {
                    schema(property, &below(&here, name))?;
                }
            }
            ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => {
                for (index, part) in parts.iter_mut().enumerate() {
                    schema(part, &format!("{here}/{index}"))?;
                }
            }
            ("items" | "not", node) => schema(node, &here)?,
            ("additionalProperties", node @ Value::Object(_)) => schema(node, &here)?,
            _ => {}
        }
    }
    Ok(())
}

/// `type: [string, "null"]` is `nullable`.
fn types(map: &mut Map<String, Value>, place: &str) -> Result<()> {
    let types = match map.get("type") {
        Some(Value::Array(types)) => types.clone(),
        Some(Value::String(only)) if only == "null" => vec![json!("null")],
        _ => return Ok(()),
    };
    let real: Vec<_> = types.iter().filter(|name| **name != "null").collect();
    let [only] = real[..] else {
        let text = format!("3.0 has one type for a schema, not {}", json!(types));
        return Err(wrong(format!("{place}/type"), text));
    };
    if real.len() < types.len() {
        map.insert("nullable".to_owned(), json!(true));
        // `null` among the values is said by `nullable`, too.
        if let Some(Value::Array(values)) = map.get_mut("enum") {
            values.retain(|value| !value.is_null());
        }
    }
    map.insert("type".to_owned(), only.clone());
    Ok(())
}

/// `anyOf: [X, {type: "null"}]` is a nullable X.
fn null_variant(map: &mut Map<String, Value>, place: &str) -> Result<()> {
    for key in ["anyOf", "oneOf"] {
        let Some(Value::Array(variants)) = map.get_mut(key) else {
            continue;
        };
        let count = variants.len();
        variants.retain(|variant| variant.get("type") != Some(&json!("null")));
        if variants.len() == count {
            continue;
        }
        match variants.len() {
            0 => {
                return Err(wrong(
                    format!("{place}/{key}"),
                    "3.0 has no type that is only null",
                ));
            }
            1 => {
                let only = map.remove(key);
                map.insert("allOf".to_owned(), only.unwrap_or_default());
            }
            _ => {}
        }
        map.insert("nullable".to_owned(), json!(true));
    }
    Ok(())
}

/// `const` is an `enum` of one, and the first of several examples the one that 3.0 has.
fn values(map: &mut Map<String, Value>, place: &str) -> Result<()> {
    if let Some(value) = map.remove("const") {
        if map.contains_key("enum") {
            return Err(wrong(
                format!("{place}/const"),
                "stands beside `enum`; keep one of them",
            ));
        }
        if !map.contains_key("type")
            && let Some(name) = type_of(&value)
        {
            map.insert("type".to_owned(), json!(name));
        }
        map.insert("enum".to_owned(), json!([value]));
    }
    if let Some(Value::Array(examples)) = map.remove("examples")
        && let Some(first) = examples.into_iter().next()
    {
        map.entry("example").or_insert(first);
    }
    Ok(())
}

fn type_of(value: &Value) -> Option<&'static str> {
    Some(match value {
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        _ => return None,
    })
}

/// `exclusiveMinimum: 0` is `minimum: 0` with a flag.
fn bounds(map: &mut Map<String, Value>, place: &str) -> Result<()> {
    for (bound, exclusive) in [
        ("minimum", "exclusiveMinimum"),
        ("maximum", "exclusiveMaximum"),
    ] {
        let Some(Value::Number(limit)) = map.get(exclusive).cloned() else {
            continue;
        };
        if map.contains_key(bound) {
            return Err(wrong(
                format!("{place}/{exclusive}"),
                format!("stands beside `{bound}`; keep the one that counts"),
            ));
        }
        map.insert(bound.to_owned(), Value::Number(limit));
        map.insert(exclusive.to_owned(), json!(true));
    }
    Ok(())
}

fn content(map: &mut Map<String, Value>, place: &str) -> Result<()> {
    let format = match map.remove("contentEncoding") {
        Some(encoding) if encoding == "base64" => Some("byte"),
        Some(encoding) => {
            return Err(wrong(
                format!("{place}/contentEncoding"),
                format!("3.0 has no word for {encoding}"),
            ));
        }
        None => None,
    };
    let is_binary = map
        .remove("contentMediaType")
        .is_some_and(|media| media == "application/octet-stream");
    if let Some(format) = format.or(is_binary.then_some("binary")) {
        map.insert("format".to_owned(), json!(format));
    }
    Ok(())
}

/// In 3.0 what stands beside `$ref` does not count; in an `allOf` it does.
fn reference(map: &mut Map<String, Value>) {
    if map.len() > 1
        && let Some(target) = map.remove("$ref")
    {
        let parts = map.entry("allOf").or_insert_with(|| json!([]));
        if let Value::Array(parts) = parts {
            parts.insert(0, json!({ "$ref": target }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::yaml;

    fn lowered(schema: &str) -> Result<Value> {
        let text = format!("{{openapi: 3.1.0, components: {{schemas: {{A: {schema}}}}}}}");
        Ok(lower(yaml(&text))?["components"]["schemas"]["A"].clone())
    }

    #[test]
    fn what_both_can_say_is_said_in_the_words_of_the_older() {
        for (new, old) in [
            ("{type: [string, 'null']}", "{type: string, nullable: true}"),
            ("{type: [integer]}", "{type: integer}"),
            (
                "{type: [string, 'null'], enum: [a, null]}",
                "{type: string, nullable: true, enum: [a]}",
            ),
            (
                "{anyOf: [{$ref: '#/components/schemas/B'}, {type: 'null'}]}",
                "{allOf: [{$ref: '#/components/schemas/B'}], nullable: true}",
            ),
            ("{const: x}", "{type: string, enum: [x]}"),
            (
                "{type: string, examples: [a, b]}",
                "{type: string, example: a}",
            ),
            (
                "{type: integer, exclusiveMinimum: 0}",
                "{type: integer, minimum: 0, exclusiveMinimum: true}",
            ),
            (
                "{$ref: '#/components/schemas/B', description: Mine.}",
                "{description: Mine., allOf: [{$ref: '#/components/schemas/B'}]}",
            ),
            (
                "{$ref: '#/components/schemas/B'}",
                "{$ref: '#/components/schemas/B'}",
            ),
            (
                "{type: string, contentEncoding: base64}",
                "{type: string, format: byte}",
            ),
            (
                "{type: object, properties: {schema: {type: [string, 'null']}, examples: {const: 1}}, $comment: x}",
                "{type: object, properties: {schema: {type: string, nullable: true}, examples: {type: integer, enum: [1]}}}",
            ),
            ("{type: array, items: true}", "{type: array, items: {}}"),
        ] {
            assert_eq!(lowered(new).unwrap(), yaml(old), "{new}");
        }
    }

    #[test]
    fn what_the_older_cannot_say_is_refused_with_its_place() {
        for (schema, place) in [
            ("{type: [string, integer]}", "#/components/schemas/A/type"),
            ("{type: 'null'}", "#/components/schemas/A/type"),
            (
                "{properties: {x: {if: {}}}}",
                "#/components/schemas/A/properties/x/if",
            ),
            (
                "{items: {prefixItems: []}}",
                "#/components/schemas/A/items/prefixItems",
            ),
            (
                "{patternProperties: {a: {}}}",
                "#/components/schemas/A/patternProperties",
            ),
            (
                "{contentEncoding: base32}",
                "#/components/schemas/A/contentEncoding",
            ),
            (
                "{minimum: 1, exclusiveMinimum: 0}",
                "#/components/schemas/A/exclusiveMinimum",
            ),
        ] {
            let error = lowered(schema).unwrap_err().to_string();
            assert_eq!(error, format!("at {place}"), "{schema}");
        }
        let webhooks = yaml("{openapi: 3.1.0, webhooks: {a: {}}}");
        assert!(
            lower(webhooks)
                .unwrap_err()
                .to_string()
                .contains("#/webhooks")
        );
        assert!(lower(yaml("{openapi: 2.0.0}")).is_err());
    }

    #[test]
    fn schemas_of_operations_are_lowered_and_data_is_left_alone() {
        let document = lower(yaml(
            "
openapi: 3.1.0
paths:
  /a:
    get:
      parameters: [{name: x, in: query, schema: {type: [string, 'null']}}]
      responses:
        '200':
          content:
            application/json:
              schema: {type: [object, 'null']}
              examples: {one: {value: {schema: {type: [string, 'null']}}}}
",
        ))
        .unwrap();
        assert_eq!(document["openapi"], "3.0.3");
        let get = &document["paths"]["/a"]["get"];
        assert_eq!(get["parameters"][0]["schema"]["nullable"], true);
        let media = &get["responses"]["200"]["content"]["application/json"];
        assert_eq!(media["schema"]["nullable"], true);
        assert!(media["examples"]["one"]["value"]["schema"]["type"].is_array());
    }
}
