//! Rewrites the document into what progenitor turns into good Rust. Each pass mends one thing that
//! it panics on, drops in silence, or makes a poor type of; the reason stands on top of it.
//!
//! First the structure is made plain, then the facts are read (`model`), then what progenitor
//! should not see is taken away.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::model::Model;
use crate::names;
use crate::prose;
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
    let mut model = Model::read(&mut document)?;
    prose::speak_rust(&mut model);
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
        copy["x-fastvm-override"] = operation["x-fastvm-stream-override"].clone();
        copy["x-fastvm-example"] = Value::Null;
        if let Some(summary) = text(operation, "summary") {
            copy["summary"] = json!(format!(
                "{}, and stream the answer",
                summary.trim_end_matches('.')
            ));
        }
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
                parameter["x-wire-name"] = json!(name);
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
        if syn::parse_str::<syn::Ident>(&new).is_err() {
            bail!("schema {name} would become `{new}`, which is no name in Rust: rename it");
        }
        if names::is_taken_type(&new) {
            bail!("schema {name} would become `{new}`, which is another type in Rust: rename it");
        }
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
        let tag = node["discriminator"]["propertyName"].clone();
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
                let object = |schema: &&Value| schema.get("properties").is_some();
                let Some(schema) = all.get(&name).filter(object) else {
                    bail!("the union at {place} names a variant {name} that is no object");
                };
                *variant = schema.clone();
                inlined.push(name);
            }
            // With a tag that may be left out, the union comes out untagged again.
            let mut required = strings(variant, "required");
            if let Some(tag) = tag
                .as_str()
                .filter(|tag| !required.iter().any(|name| name == tag))
            {
                required.push(tag.to_owned());
                variant["required"] = json!(required);
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
/// an `enum` of numbers becomes a newtype; `nullable` and descriptions are put back by `refine`, which knows how.
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
        let is_text = schema.get("type").and_then(Value::as_str) == Some("string");
        schema.retain(|key, value| match key.as_str() {
            "enum" => is_text,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::yaml;

    /// The document after one pass.
    fn after(pass: fn(&mut Value) -> Result<()>, text: &str) -> Value {
        let mut document = yaml(text);
        pass(&mut document).unwrap();
        document
    }

    fn refusal(pass: fn(&mut Value) -> Result<()>, text: &str) -> String {
        let mut document = yaml(text);
        format!("{:#}", pass(&mut document).expect_err("it is refused"))
    }

    /// A document without operations.
    fn schemas(text: &str) -> String {
        format!("{{paths: {{}}, components: {{schemas: {text}}}}}")
    }

    fn all(document: &Value) -> &Value {
        &document["components"]["schemas"]
    }

    #[test]
    fn what_operations_share_is_written_out_where_it_is_used() {
        let document = after(
            inline_shared_parts,
            "
paths:
  /a/{id}:
    parameters: [{$ref: '#/components/parameters/Id'}]
    put:
      operationId: a
      requestBody: {$ref: '#/components/requestBodies/B'}
      responses: {'200': {$ref: '#/components/responses/R'}}
components:
  parameters: {Id: {name: id, in: path}}
  requestBodies: {B: {content: {}}}
  responses: {R: {description: Done.}}
",
        );
        assert_eq!(
            document["paths"]["/a/{id}"]["put"],
            yaml(
                "{operationId: a, parameters: [{name: id, in: path}], requestBody: {content: {}}, responses: {'200': {description: Done.}}}"
            )
        );
    }

    #[test]
    fn a_parameter_of_the_operation_goes_before_that_of_its_path() {
        let document = after(
            inline_shared_parts,
            "
paths:
  /a:
    parameters: [{name: q, in: query, description: path's}, {name: r, in: query}]
    get: {operationId: a, parameters: [{name: q, in: query, description: its own}]}
",
        );
        assert_eq!(
            document["paths"]["/a"]["get"]["parameters"],
            yaml("[{name: q, in: query, description: its own}, {name: r, in: query}]")
        );
    }

    #[test]
    fn the_success_statuses_of_one_body_become_all_of_2xx() {
        let document = after(
            widen_success,
            "
paths:
  /a:
    post:
      operationId: a
      responses:
        '201': {content: {application/json: {schema: {type: string}, example: x}}}
        '202': {content: {application/json: {schema: {type: string}, example: y}}}
        '404': {}
",
        );
        let responses = &document["paths"]["/a"]["post"]["responses"];
        let statuses: Vec<_> = responses.as_object().unwrap().keys().collect();
        assert_eq!(statuses, ["404", "2XX"]);
        assert_eq!(
            responses["2XX"]["content"]["application/json"]["schema"],
            yaml("{type: string}")
        );
    }

    #[test]
    fn different_success_bodies_are_refused_and_so_is_no_success() {
        let error = refusal(
            widen_success,
            "
paths:
  /a:
    post:
      operationId: torn
      responses:
        '200': {content: {application/json: {schema: {type: string}}}}
        '201': {content: {application/json: {schema: {type: integer}}}}
",
        );
        assert!(error.contains("operation torn answers different bodies with 200 and 201"));
        let error = refusal(
            widen_success,
            "paths: {/a: {get: {operationId: bad, responses: {'404': {}}}}}",
        );
        assert!(error.contains("operation bad names no success status"));
        let error = refusal(widen_success, "paths: {/a: {get: {operationId: bare}}}");
        assert!(error.contains("operation bare has no `responses`"));
    }

    const TWO_MEDIA_TYPES: &str = "
paths:
  /a/{id}:
    post:
      operationId: exec
      summary: Run it
      x-fastvm-override: Vms::run
      x-fastvm-stream-override: Vms::stream
      x-fastvm-example: run
      x-fastvm-method: vms.run
      x-fastvm-stream: vms.stream
      parameters: [{name: id, in: path}]
      responses:
        2XX:
          content:
            application/json: {schema: {type: object}}
            application/x-ndjson: {schema: {type: string}}
";

    #[test]
    fn an_operation_of_two_media_types_is_split_in_two() {
        let document = after(split_media_types, TWO_MEDIA_TYPES);
        let json = &document["paths"]["/a/{id}"]["post"];
        assert_eq!(
            json["responses"]["2XX"]["content"],
            yaml("{application/json: {schema: {type: object}}}")
        );
        let stream = &document["paths"]["/a/{idOfStream}"]["post"];
        assert_eq!(stream["operationId"], "execStream");
        assert_eq!(stream["x-wire-id"], "exec");
        assert_eq!(stream["x-wire-path"], "/a/{id}");
        assert_eq!(stream["x-fastvm-method"], "vms.stream");
        assert_eq!(stream["summary"], "Run it, and stream the answer");
        assert_eq!(stream["x-fastvm-override"], "Vms::stream");
        assert_eq!(stream["x-fastvm-example"], Value::Null);
        assert_eq!(stream["parameters"][0]["name"], "idOfStream");
        assert_eq!(stream["parameters"][0]["x-wire-name"], "id");
        assert_eq!(
            stream["responses"]["2XX"]["content"],
            yaml("{application/x-ndjson: {schema: {type: string, format: binary}}}")
        );
    }

    #[test]
    fn media_types_that_cannot_be_told_apart_are_refused() {
        let three = TWO_MEDIA_TYPES.to_owned() + "            text/plain: {}\n";
        assert!(
            refusal(split_media_types, &three)
                .contains("operation exec answers in 2 media types besides JSON")
        );
        let no_parameter = TWO_MEDIA_TYPES.replace("/{id}", "");
        assert!(
            refusal(split_media_types, &no_parameter)
                .contains("operation exec answers two media types on a path without parameters")
        );
    }

    #[test]
    fn schemas_and_references_to_them_get_their_rust_names() {
        let document = after(
            rename_schemas,
            &schemas(
                "{VMList: {type: array, items: {$ref: '#/components/schemas/VM'}}, VM: {type: object}}",
            ),
        );
        assert_eq!(
            *all(&document),
            yaml(
                "{VmList: {type: array, items: {$ref: '#/components/schemas/Vm'}}, Vm: {type: object}}"
            )
        );
    }

    #[test]
    fn two_schemas_of_one_rust_name_are_refused() {
        let error = refusal(rename_schemas, &schemas("{VM: {}, Vm: {}}"));
        assert!(error.contains("schema Vm becomes `Vm` in Rust, as another one does"));
    }

    #[test]
    fn a_schema_that_would_hide_a_type_of_rust_is_refused() {
        let error = refusal(rename_schemas, &schemas("{Option: {}}"));
        assert!(error.contains("schema Option would become `Option`, which is another type"));
    }

    #[test]
    fn a_schema_whose_name_is_none_in_rust_is_refused() {
        let error = refusal(rename_schemas, &schemas("{2FA: {}}"));
        assert!(error.contains("schema 2FA would become `2fa`, which is no name in Rust"));
    }

    #[test]
    fn the_parts_of_an_all_of_become_one_object() {
        let document = after(
            merge_all_of,
            &schemas(
                "
{Vm: {type: object, required: [id], properties: {id: {type: string}}},
 Answer: {allOf: [{$ref: '#/components/schemas/Vm'}, {type: object, required: [n], properties: {n: {type: integer}}}]}}",
            ),
        );
        assert_eq!(
            all(&document)["Answer"],
            yaml(
                "{type: object, required: [id, n], properties: {id: {type: string}, n: {type: integer}}}"
            )
        );
    }

    #[test]
    fn a_reference_in_an_all_of_of_its_own_stays_a_reference() {
        let text = schemas(
            "{A: {type: object, properties: {b: {description: Its own., allOf: [{$ref: '#/components/schemas/B'}]}}}, B: {type: object}}",
        );
        assert_eq!(after(merge_all_of, &text), yaml(&text));
    }

    #[test]
    fn an_all_of_in_a_circle_or_of_no_objects_is_refused() {
        let circle = schemas(
            "{A: {allOf: [{$ref: '#/components/schemas/A'}, {type: object, properties: {}}]}}",
        );
        let error = refusal(merge_all_of, &circle);
        assert!(error.contains("schema A: `allOf` leads in a circle"));
        let text = schemas("{A: {allOf: [{type: string}, {type: object}]}}");
        let error = refusal(merge_all_of, &text);
        assert!(error.contains("schema A: `allOf` can only merge objects"));
    }

    #[test]
    fn an_inline_object_is_named_after_its_place_at_any_depth() {
        let document = after(
            name_inline_objects,
            "
paths:
  /a:
    get:
      operationId: getLogs
      responses:
        2XX: {content: {application/json: {schema: {type: object, properties: {lines: {type: array, items: {type: object, properties: {}}}}}}}}
components: {schemas: {}}
",
        );
        let names: Vec<_> = all(&document).as_object().unwrap().keys().collect();
        assert_eq!(names, ["GetLogsResponse", "GetLogsResponseLinesItem"]);
        assert_eq!(
            document["paths"]["/a"]["get"]["responses"]["2XX"]["content"]["application/json"]["schema"],
            yaml("{$ref: '#/components/schemas/GetLogsResponse'}")
        );
    }

    #[test]
    fn an_inline_object_whose_name_is_taken_is_refused() {
        let error = refusal(
            name_inline_objects,
            &schemas(
                "{A: {type: object, properties: {b: {type: object, properties: {}}}}, AB: {type: object, properties: {}}}",
            ),
        );
        assert!(error.contains("the object at A.b would be named AB, which exists"));
    }

    #[test]
    fn one_set_of_values_is_one_type_closed_or_open() {
        let document = after(
            name_value_sets,
            &schemas(
                "
{Ask: {type: object, properties: {mode: {type: string, enum: [ro, rw], x-fastvm-type: Mode}}},
 Answer: {type: object, properties: {mode: {description: Its own., type: string, x-fastvm-known-values: [ro, rw], x-fastvm-type: Mode}}}}",
            ),
        );
        assert_eq!(all(&document)["Mode"]["enum"], yaml("[ro, rw]"));
        assert_eq!(
            all(&document)["Answer"]["properties"]["mode"],
            yaml("{allOf: [{$ref: '#/components/schemas/Mode'}], description: Its own.}")
        );
    }

    #[test]
    fn a_set_without_a_name_gets_that_of_its_field_and_a_discriminator_none() {
        let document = after(
            name_value_sets,
            &schemas(
                "
{A: {type: object, properties: {state: {type: string, enum: [on, off]}, type: {type: string, enum: [a]}}},
 B: {type: string, x-fastvm-known-values: [x]}}",
            ),
        );
        assert_eq!(all(&document)["AState"]["enum"], yaml("['on', 'off']"));
        assert_eq!(
            all(&document)["A"]["properties"]["type"],
            yaml("{type: string, enum: [a]}")
        );
        assert_eq!(all(&document)["B"]["enum"], yaml("[x]"));
    }

    #[test]
    fn two_sets_of_one_name_are_refused() {
        let error = refusal(
            name_value_sets,
            &schemas(
                "
{A: {type: object, properties: {m: {type: string, enum: [a, b], x-fastvm-type: Mode}}},
 B: {type: object, properties: {m: {type: string, enum: [a, c], x-fastvm-type: Mode}}}}",
            ),
        );
        assert!(error.contains("`Mode` at B.m has other values than elsewhere"));
        let error = refusal(
            name_value_sets,
            &schemas(
                "{Mode: {type: object}, A: {type: object, properties: {m: {type: string, enum: [a, b], x-fastvm-type: Mode}}}}",
            ),
        );
        assert!(error.contains("`Mode` at A.m is also a schema"));
    }

    #[test]
    fn named_strings_maps_and_lists_are_written_out_with_their_secrecy() {
        let document = after(
            inline_plain_components,
            &schemas(
                "
{Env: {type: object, x-fastvm-secret: true, additionalProperties: {$ref: '#/components/schemas/Text'}},
 Text: {type: string},
 Ask: {type: object, properties: {env: {description: Its own., allOf: [{$ref: '#/components/schemas/Env'}]}}}}",
            ),
        );
        assert_eq!(
            *all(&document),
            yaml(
                "
Ask:
  type: object
  properties:
    env: {type: object, x-fastvm-secret: true, additionalProperties: {type: string}, description: Its own.}"
            )
        );
    }

    #[test]
    fn a_plain_component_made_of_itself_is_refused() {
        let error = refusal(
            inline_plain_components,
            &schemas(
                "{Tree: {type: array, items: {$ref: '#/components/schemas/Tree'}}, A: {type: object, properties: {t: {$ref: '#/components/schemas/Tree'}}}}",
            ),
        );
        assert!(error.contains("the schema at A.t[]"), "{error}");
        assert!(error.contains("holds itself without end"), "{error}");
    }

    #[test]
    fn the_variants_of_a_union_are_written_out() {
        let document = after(
            inline_union_variants,
            &schemas(
                "
{Source: {oneOf: [{$ref: '#/components/schemas/Image'}], discriminator: {propertyName: type, mapping: {image: '#/components/schemas/Image'}}},
 Image: {type: object, properties: {type: {type: string, enum: [image]}}}}",
            ),
        );
        assert_eq!(
            *all(&document),
            yaml(
                "{Source: {oneOf: [{type: object, properties: {type: {type: string, enum: [image]}}, required: [type]}], discriminator: {propertyName: type}}}"
            )
        );
    }

    #[test]
    fn a_union_that_cannot_be_told_apart_is_refused() {
        let error = refusal(
            inline_union_variants,
            &schemas("{Source: {oneOf: [{type: string}, {type: integer}]}}"),
        );
        assert!(error.contains("the union at Source has no discriminator"));
        let error = refusal(
            inline_union_variants,
            &schemas(
                "{Source: {oneOf: [{$ref: '#/components/schemas/Gone'}], discriminator: {propertyName: t}}}",
            ),
        );
        assert!(error.contains("the union at Source names a variant Gone"));
        let error = refusal(
            inline_union_variants,
            &schemas(
                "{Source: {oneOf: [{$ref: '#/components/schemas/Source'}], discriminator: {propertyName: t}}}",
            ),
        );
        assert!(error.contains("names a variant Source that is no object"));
    }

    #[test]
    fn only_success_answers_are_left() {
        let document = after(
            drop_error_responses,
            "paths: {/a: {get: {operationId: a, responses: {2XX: {}, '404': {}, default: {}}}}}",
        );
        assert_eq!(
            document["paths"]["/a"]["get"]["responses"],
            yaml("{2XX: {}}")
        );
    }

    #[test]
    fn a_body_is_always_sent() {
        let document = after(
            require_bodies,
            "paths: {/a: {put: {operationId: a, requestBody: {required: false}}, get: {operationId: b}}}",
        );
        assert_eq!(
            document["paths"]["/a"],
            yaml("{put: {operationId: a, requestBody: {required: true}}, get: {operationId: b}}")
        );
    }

    #[test]
    fn a_described_reference_is_a_reference() {
        let document = after(
            unwrap_references,
            &schemas(
                "{A: {type: object, properties: {b: {description: Its own., nullable: true, allOf: [{$ref: '#/components/schemas/B'}]}}}, B: {type: object}}",
            ),
        );
        assert_eq!(
            all(&document)["A"]["properties"]["b"],
            yaml("{$ref: '#/components/schemas/B'}")
        );
    }

    #[test]
    fn what_makes_no_type_is_taken_away_but_properties_of_such_names_stay() {
        let document = after(
            keep_only_structure,
            "
paths: {}
components:
  schemas:
    A:
      type: object
      description: d
      additionalProperties: false
      required: [id]
      properties:
        id: {type: string, format: uuid, pattern: x, minLength: 1, nullable: true}
        default: {type: integer, format: int32, minimum: 1, default: 3}
        at: {type: string, format: date-time}
        level: {type: integer, enum: [1, 2]}
",
        );
        assert_eq!(
            all(&document)["A"],
            yaml(
                "
type: object
required: [id]
properties:
  id: {type: string}
  default: {type: integer, format: int32}
  at: {type: string, format: date-time}
  level: {type: integer}"
            )
        );
    }

    #[test]
    fn of_an_operation_its_call_is_left() {
        let document = after(
            keep_only_calls,
            "paths: {/a: {get: {operationId: a, summary: s, tags: [t], security: [], x-fastvm-retry: once, parameters: [], responses: {}}}}",
        );
        assert_eq!(
            document["paths"]["/a"]["get"],
            yaml("{operationId: a, parameters: [], responses: {}}")
        );
    }
}
