//! Rewrites the document into what progenitor turns into good Rust. Each pass mends one thing that
//! it panics on, drops in silence, or makes a poor type of; the reason stands on top of it.
//!
//! First the structure is made plain, then the facts are read (`model`), then what progenitor
//! should not see is taken away.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::model::Model;
use crate::names;
use crate::schema::{
    components, components_mut, each_operation, each_schema, operation_id, reference, resolve,
    strings, text, wrapped_reference,
};

pub struct Normalised {
    pub document: Value,
    pub model: Model,
}

pub fn normalise(mut document: Value) -> Result<Normalised> {
    for make_plain in [
        inline_shared_parts,
        widen_success,
        split_media_types,
        rename_schemas,
        merge_all_of,
        name_inline_objects,
        name_value_sets,
        inline_plain_components,
        inline_union_variants,
    ] {
        make_plain(&mut document)?;
    }
    let model = Model::read(&mut document)?;
    for take_away in [
        drop_error_responses,
        require_bodies,
        unwrap_references,
        keep_only_structure,
        keep_only_calls,
    ] {
        take_away(&mut document)?;
    }
    Ok(Normalised { document, model })
}

/// Parameters, bodies and responses that operations share by `$ref`, or take from their path, are
/// written out where they are used: later passes then see every operation whole.
fn inline_shared_parts(document: &mut Value) -> Result<()> {
    let whole = document.clone();
    let inline = |node: &mut Value| -> Result<()> {
        *node = resolve(&whole, node)?.clone();
        Ok(())
    };
    each_operation(document, &mut |path, _, operation| {
        let shared = whole["paths"][path]
            .get("parameters")
            .and_then(Value::as_array);
        let mut parameters: Vec<Value> = Vec::new();
        let own = operation
            .get("parameters")
            .and_then(Value::as_array)
            .cloned();
        for mut parameter in own
            .into_iter()
            .flatten()
            .chain(shared.cloned().into_iter().flatten())
        {
            inline(&mut parameter)?;
            let same = |other: &Value| {
                other["name"] == parameter["name"] && other["in"] == parameter["in"]
            };
            if !parameters.iter().any(same) {
                parameters.push(parameter);
            }
        }
        operation["parameters"] = Value::Array(parameters);
        if let Some(body) = operation.get_mut("requestBody") {
            inline(body)?;
        }
        let responses = operation
            .get_mut("responses")
            .and_then(Value::as_object_mut);
        for (_, response) in responses.into_iter().flatten() {
            inline(response)?;
        }
        Ok(())
    })
}

/// An answer of another success status than the listed ones is still a success; progenitor takes
/// it for an error, and panics on two success statuses of different types.
fn widen_success(document: &mut Value) -> Result<()> {
    each_operation(document, &mut |_, _, operation| {
        let id = operation_id(operation).to_owned();
        let Some(responses) = operation
            .get_mut("responses")
            .and_then(Value::as_object_mut)
        else {
            bail!("operation {id} has no `responses`");
        };
        let successes: Vec<_> = responses
            .keys()
            .filter(|status| status.starts_with('2'))
            .cloned()
            .collect();
        let mut widened: Option<Value> = None;
        for status in &successes {
            let response = responses.remove(status).unwrap_or_default();
            if let Some(first) = &widened
                && first.get("content").map(without_examples)
                    != response.get("content").map(without_examples)
            {
                bail!(
                    "operation {id} answers different bodies with {}: give them one schema",
                    successes.join(" and ")
                );
            }
            widened.get_or_insert(response);
        }
        let Some(widened) = widened else {
            bail!("operation {id} names no success status");
        };
        responses.insert("2XX".to_owned(), widened);
        Ok(())
    })
}

fn without_examples(content: &Value) -> Value {
    let mut content = content.clone();
    for media in content
        .as_object_mut()
        .into_iter()
        .flatten()
        .map(|(_, media)| media)
    {
        if let Some(media) = media.as_object_mut() {
            media.retain(|key, _| key == "schema");
        }
    }
    content
}

/// Of two response media types progenitor takes JSON and drops the other in silence. The operation
/// is split: itself with JSON, and a copy that answers bytes. The copy's path parameters get other
/// names, so that the document still has one entry per path.
fn split_media_types(document: &mut Value) -> Result<()> {
    let mut copies = Vec::new();
    each_operation(document, &mut |path, method, operation| {
        let id = operation_id(operation).to_owned();
        let Some(content) = operation
            .pointer_mut("/responses/2XX/content")
            .and_then(Value::as_object_mut)
        else {
            return Ok(());
        };
        if content.len() < 2 {
            return Ok(());
        }
        let others: Vec<String> = content
            .keys()
            .filter(|media| *media != "application/json")
            .cloned()
            .collect();
        let [other] = others.as_slice() else {
            bail!(
                "operation {id} answers in {} media types besides JSON: one at most can be told apart",
                others.len()
            );
        };
        content.remove(other);
        let mut copy = operation.clone();
        copy["operationId"] = json!(format!("{id}Stream"));
        copy["x-wire-id"] = json!(id);
        copy["x-wire-path"] = json!(path);
        copy["responses"]["2XX"]["content"] =
            json!({ other: { "schema": { "type": "string", "format": "binary" } } });
        match text(operation, "x-fastvm-stream") {
            Some(place) => copy["x-fastvm-method"] = json!(place),
            None => bail!(
                "operation {id} also answers `{other}`: name that method with `x-fastvm-stream`"
            ),
        }
        let mut copy_path = path.to_owned();
        for parameter in copy["parameters"].as_array_mut().into_iter().flatten() {
            if text(parameter, "in") == Some("path") {
                let name = text(parameter, "name").unwrap_or_default().to_owned();
                copy_path =
                    copy_path.replace(&format!("{{{name}}}"), &format!("{{{name}OfStream}}"));
                parameter["name"] = json!(format!("{name}OfStream"));
            }
        }
        if copy_path == path {
            bail!(
                "operation {id} answers two media types on a path without parameters, which cannot be split: give the stream a path of its own"
            );
        }
        copies.push((copy_path, method.to_owned(), copy));
        Ok(())
    })?;
    for (path, method, copy) in copies {
        document["paths"][path] = json!({ method: copy });
    }
    Ok(())
}

/// typify re-cases type names (`UpdateVMRequest` → `UpdateVmRequest`), and a fact noted under the
/// old name would miss in silence. The document gets the final names first.
fn rename_schemas(document: &mut Value) -> Result<()> {
    let Some(schemas) = components_mut(document) else {
        return Ok(());
    };
    let mut renamed = Map::new();
    for (name, schema) in std::mem::take(schemas) {
        let new = names::type_name(&name);
        if renamed.insert(new.clone(), schema).is_some() {
            bail!("schema {name} becomes `{new}` in Rust, as another one does: rename it");
        }
    }
    *schemas = renamed;
    rename_references(document);
    Ok(())
}

fn rename_references(node: &mut Value) {
    let renamed = reference(node).map(names::type_name);
    if let Some(name) = renamed {
        node["$ref"] = json!(format!("#/components/schemas/{name}"));
    }
    match node {
        Value::Object(map) => map.values_mut().for_each(rename_references),
        Value::Array(list) => list.iter_mut().for_each(rename_references),
        _ => {}
    }
}

/// "All fields of VM, and these": typify flattens some and nests others. The parts are merged into
/// one object. A single reference in an `allOf` is only a reference with a description: left alone.
fn merge_all_of(document: &mut Value) -> Result<()> {
    let all = components(document).cloned().unwrap_or_default();
    each_schema(document, &mut |place, node| {
        if node.get("allOf").is_none() || wrapped_reference(node).is_some() {
            return Ok(());
        }
        *node = merged(node, &all, 0).with_context(|| format!("schema {place}"))?;
        Ok(())
    })
}

fn merged(node: &Value, all: &Map<String, Value>, depth: usize) -> Result<Value> {
    if depth > 16 {
        bail!("`allOf` leads in a circle");
    }
    let node = match reference(node) {
        Some(name) => all
            .get(name)
            .with_context(|| format!("there is no schema {name}"))?,
        None => node,
    };
    let mut whole = json!({ "type": "object", "properties": {}, "required": [] });
    for part in node
        .get("allOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        absorb(&mut whole, &merged(part, all, depth + 1)?)?;
    }
    absorb(&mut whole, node)?;
    Ok(whole)
}

fn absorb(whole: &mut Value, part: &Value) -> Result<()> {
    for (key, value) in part.as_object().into_iter().flatten() {
        match key.as_str() {
            "allOf" => {}
            "type" if value != "object" => {
                bail!("`allOf` can only merge objects, not `type: {value}`")
            }
            "properties" => {
                for (name, property) in value.as_object().into_iter().flatten() {
                    whole["properties"][name] = property.clone();
                }
            }
            "required" => {
                let mut required = strings(whole, "required");
                required.extend(strings(part, "required"));
                whole["required"] = json!(required);
            }
            _ => whole[key] = value.clone(),
        }
    }
    Ok(())
}

/// An object without a name of its own gets one made of where it stands, so that its facts have a
/// key and its type a name that lasts.
fn name_inline_objects(document: &mut Value) -> Result<()> {
    // What is named may hold further ones: until nothing is left.
    loop {
        let mut found: Vec<(String, Value)> = Vec::new();
        let taken = components(document).cloned().unwrap_or_default();
        each_schema(document, &mut |place, node| {
            if node.get("properties").is_none()
                || taken.contains_key(place)
                || place_is_variant(place, &taken)
            {
                return Ok(());
            }
            let name = names::type_name(
                &place
                    .replace("2XX", "response")
                    .replace("[]", "-item")
                    .replace("{}", "-value"),
            );
            if taken.contains_key(&name) {
                bail!(
                    "the object at {place} would be named {name}, which exists: give it a name in `components`"
                );
            }
            found.push((
                name.clone(),
                std::mem::replace(
                    node,
                    json!({ "$ref": format!("#/components/schemas/{name}") }),
                ),
            ));
            Ok(())
        })?;
        if found.is_empty() {
            return Ok(());
        }
        for (name, node) in found {
            document["components"]["schemas"][name] = node;
        }
    }
}

/// The branches of a component's `oneOf` stand at the component's own place.
fn place_is_variant(place: &str, components: &Map<String, Value>) -> bool {
    components
        .get(place)
        .is_some_and(|schema| schema.get("oneOf").is_some())
}

/// A set of string values without a name would become a type per field, and one that is only known
/// in part (`x-fastvm-known-values`) a plain string. Each gets one named type, shared by all places
/// that name it with `x-fastvm-type`, whether a request closes it or an answer leaves it open.
fn name_value_sets(document: &mut Value) -> Result<()> {
    let mut sets: Vec<(String, Value)> = Vec::new();
    let names_of_components: Vec<String> = components(document)
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect();
    each_schema(document, &mut |place, node| {
        let values = match strings(node, "enum") {
            closed if closed.is_empty() => strings(node, "x-fastvm-known-values"),
            closed => closed,
        };
        if values.is_empty() || text(node, "type") != Some("string") {
            return Ok(());
        }
        // A single value that tells a union's variants apart stays where it is.
        let discriminates = values.len() == 1 && text(node, "x-fastvm-type").is_none();
        let is_component = names_of_components.iter().any(|name| name == place);
        if discriminates && !is_component {
            return Ok(());
        }
        let mut set = node.clone();
        set["enum"] = json!(values);
        if is_component {
            *node = set;
            return Ok(());
        }
        let name = match text(node, "x-fastvm-type") {
            Some(name) => name.to_owned(),
            None => names::type_name(place),
        };
        if let Some((_, first)) = sets.iter().find(|(other, _)| *other == name) {
            if strings(first, "enum") != values {
                bail!(
                    "`{name}` at {place} has other values than elsewhere: the same set everywhere, or another `x-fastvm-type`"
                );
            }
        } else if names_of_components.contains(&name) {
            bail!(
                "`{name}` at {place} is also a schema: refer to it with `$ref`, or choose another `x-fastvm-type`"
            );
        } else {
            // What the field says of itself stays with the field.
            let set = set.as_object_mut().map(std::mem::take).unwrap_or_default();
            let keep = [
                "type",
                "enum",
                "x-fastvm-value-docs",
                "x-fastvm-value-names",
            ];
            let mut set: Map<_, _> = set
                .into_iter()
                .filter(|(key, _)| keep.contains(&key.as_str()))
                .collect();
            set.insert(
                "description".to_owned(),
                json!(text(node, "description").unwrap_or_default()),
            );
            sets.push((name.clone(), Value::Object(set)));
        }
        let mut field = json!({ "allOf": [{ "$ref": format!("#/components/schemas/{name}") }] });
        for key in ["description", "nullable", "x-fastvm-secret"] {
            if let Some(value) = node.get(key) {
                field[key] = value.clone();
            }
        }
        *node = field;
        Ok(())
    })?;
    for (name, set) in sets {
        document["components"]["schemas"][name] = set;
    }
    Ok(())
}

/// Named strings, maps and lists become newtypes that stand in everybody's way. They are written
/// out where they are used, with their docs and their secrecy.
fn inline_plain_components(document: &mut Value) -> Result<()> {
    let Some(all) = components_mut(document) else {
        return Ok(());
    };
    let (plain, types): (Map<_, _>, Map<_, _>) = std::mem::take(all)
        .into_iter()
        .partition(|(_, schema)| is_plain(schema));
    *all = types;
    each_schema(document, &mut |_, node| {
        // A plain component may be made of others.
        while let Some(target) = wrapped_reference(node).and_then(|name| plain.get(name)) {
            let mut inlined = target.clone();
            for (key, value) in node.as_object().into_iter().flatten() {
                if key != "$ref" && key != "allOf" {
                    inlined[key] = value.clone();
                }
            }
            *node = inlined;
        }
        Ok(())
    })
}

fn is_plain(schema: &Value) -> bool {
    let is_type = ["enum", "oneOf", "allOf", "$ref"]
        .iter()
        .any(|key| schema.get(key).is_some());
    let is_map = schema
        .get("additionalProperties")
        .is_some_and(Value::is_object);
    !is_type
        && (text(schema, "type") != Some("object") || is_map)
        && schema.get("properties").is_none()
}

/// A `oneOf` of references comes out untagged, although a discriminator tells the variants apart.
/// With the variants written out it comes out tagged.
fn inline_union_variants(document: &mut Value) -> Result<()> {
    let all = components(document).cloned().unwrap_or_default();
    let mut inlined = Vec::new();
    each_schema(document, &mut |place, node| {
        if node.get("discriminator").is_none() {
            return match node.get("oneOf").or(node.get("anyOf")) {
                Some(_) => bail!(
                    "the union at {place} has no discriminator: name the property that tells its variants apart"
                ),
                None => Ok(()),
            };
        }
        // The variants' own values tell them apart; a mapping would still name the components.
        node.get_mut("discriminator")
            .and_then(Value::as_object_mut)
            .map(|map| map.remove("mapping"));
        for variant in node
            .get_mut("oneOf")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if let Some(name) = reference(variant).map(str::to_owned) {
                let Some(schema) = all.get(&name) else {
                    bail!("the union at {place} names a variant {name} that is no object");
                };
                *variant = schema.clone();
                inlined.push(name);
            }
        }
        Ok(())
    })?;
    // A variant that nothing else uses would be left over as a type without a use.
    for name in inlined {
        if !serde_json::to_string(document)?.contains(&format!("\"#/components/schemas/{name}\"")) {
            components_mut(document).map(|all| all.remove(&name));
        }
    }
    Ok(())
}

/// Error answers are read by the seam, which keeps status, headers and any body. progenitor panics
/// on `default`, and loses the status of a body that is not the documented JSON.
fn drop_error_responses(document: &mut Value) -> Result<()> {
    each_operation(document, &mut |_, _, operation| {
        let responses = operation
            .get_mut("responses")
            .and_then(Value::as_object_mut);
        if let Some(responses) = responses {
            responses.retain(|status, _| status.starts_with('2'));
        }
        Ok(())
    })
}

/// A body that may be left out is sent as `{}`, which says the same and keeps one shape of method.
fn require_bodies(document: &mut Value) -> Result<()> {
    each_operation(document, &mut |_, _, operation| {
        if let Some(body) = operation.get_mut("requestBody") {
            body["required"] = json!(true);
        }
        Ok(())
    })
}

/// A reference with a description of its own is a reference.
fn unwrap_references(document: &mut Value) -> Result<()> {
    each_schema(document, &mut |_, node| {
        if let Some(name) = wrapped_reference(node) {
            *node = json!({ "$ref": format!("#/components/schemas/{name}") });
        }
        Ok(())
    })
}

/// Only what makes a type is left in a schema. A `default` would always be sent; `minimum`,
/// `maxLength` and `pattern` become newtypes that refuse a server's answers;
/// `additionalProperties: false` becomes `deny_unknown_fields`; `format: uuid` refuses opaque ids;
/// `nullable` and descriptions are put back by `refine`, which knows how.
fn keep_only_structure(document: &mut Value) -> Result<()> {
    const KEPT: &[&str] = &[
        "$ref",
        "type",
        "format",
        "enum",
        "items",
        "properties",
        "required",
        "additionalProperties",
        "oneOf",
        "discriminator",
    ];
    const KEPT_FORMATS: &[&str] = &["int32", "int64", "float", "double", "date-time", "binary"];
    each_schema(document, &mut |_, node| {
        let Some(schema) = node.as_object_mut() else {
            return Ok(());
        };
        schema.retain(|key, value| match key.as_str() {
            "format" => value
                .as_str()
                .is_some_and(|format| KEPT_FORMATS.contains(&format)),
            "additionalProperties" => value.is_object(),
            key => KEPT.contains(&key),
        });
        Ok(())
    })
}

/// What is left of an operation is what makes its method.
fn keep_only_calls(document: &mut Value) -> Result<()> {
    each_operation(document, &mut |_, _, operation| {
        if let Some(operation) = operation.as_object_mut() {
            operation.retain(|key, _| {
                ["operationId", "parameters", "requestBody", "responses"].contains(&key.as_str())
            });
        }
        Ok(())
    })
}
