//! What the document says beyond what progenitor can carry: docs, secrets, where a method sits,
//! what may be repeated. Read once from the document; `refine` and `tree` look facts up here and
//! fail when one finds no place.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::load::path_parameters;
use crate::names;
use crate::schema::{
    components, each_operation, flag, operation_id, reference, strings, text, wrapped_reference,
};

#[derive(Debug, Default)]
pub struct Model {
    pub operations: Vec<Operation>,
    pub schemas: Vec<Schema>,
    /// What the one who regenerates should know: operations without extensions.
    pub notices: Vec<String>,
}

#[derive(Debug)]
pub struct Operation {
    /// The id the raw method is named after; unique.
    pub id: String,
    /// The id in the document. Two methods share it where the operation has two media types.
    pub wire_id: String,
    pub method: String,
    pub path: String,
    pub summary: String,
    pub description: String,
    /// Where its method sits: `["vms", "services", "register"]`.
    pub place: Vec<String>,
    pub repeatable: bool,
    /// Whether the client's request timeout bounds it.
    pub limited: bool,
    pub needs_key: bool,
    /// The media type of the answer, if it has a body.
    pub accept: Option<String>,
    pub parameters: Vec<Parameter>,
    /// The Rust name of the body's type.
    pub body: Option<String>,
    pub errors: Vec<(String, String)>,
    /// The method of `fastvm` that does more: `Vms::launch`.
    pub overridden_by: Option<String>,
    /// Rust that calls it, where `client` is at hand.
    pub example: Option<String>,
    /// What the document says of the resource.
    pub about: Option<String>,
}

#[derive(Debug)]
pub struct Parameter {
    pub name: String,
    /// Its name in the document. That of a split operation's copy has another `name`.
    pub wire_name: String,
    pub in_path: bool,
    pub docs: String,
    /// Put before each key of a map that is sent as one pair per entry.
    pub key_prefix: Option<String>,
}

#[derive(Debug)]
pub struct Schema {
    /// The Rust name.
    pub name: String,
    pub docs: String,
    pub secret: bool,
    /// Whether a request body can hold it.
    pub in_request: bool,
    pub kind: Kind,
}

#[derive(Debug)]
pub enum Kind {
    Object(Vec<Property>),
    Values(Vec<KnownValue>),
    Union,
}

#[derive(Debug)]
pub struct Property {
    pub wire: String,
    pub docs: String,
    pub required: bool,
    pub nullable: bool,
    pub secret: bool,
}

#[derive(Debug)]
pub struct KnownValue {
    pub wire: String,
    pub variant: String,
    pub docs: String,
}

impl Operation {
    pub fn is_streamed(&self) -> bool {
        self.accept
            .as_deref()
            .is_some_and(|media| media != "application/json")
    }

    /// `POST /v1/vms/{id}/exec`
    pub fn wire(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl Model {
    /// Reads a document whose structure has been normalised.
    pub fn read(document: &mut Value) -> Result<Self> {
        let mut model = Self::default();
        let in_request = names_in_requests(document)?;
        let global_security = document.get("security").cloned();
        for (name, schema) in components(document).into_iter().flatten() {
            let schema = read_schema(name, schema, in_request.contains(name))
                .with_context(|| format!("schema {name}"))?;
            model.schemas.push(schema);
        }
        let tags = document.get("tags").cloned();
        each_operation(document, &mut |path, method, node| {
            let id = operation_id(node).to_owned();
            let (mut operation, notice) =
                read_operation(path, method, node, global_security.as_ref())
                    .with_context(|| format!("operation {id}"))?;
            operation.about = about(tags.as_ref(), node);
            model.notices.extend(notice);
            model.operations.push(operation);
            Ok(())
        })?;
        // A second media type is a method beside that of the first, not at the end.
        let order: Vec<_> = model
            .operations
            .iter()
            .map(|it| it.wire_id.clone())
            .collect();
        let first = |it: &Operation| order.iter().position(|id| *id == it.wire_id);
        model.operations.sort_by_key(first);
        check_places(&model.operations)?;
        Ok(model)
    }

    pub fn schema(&self, name: &str) -> Option<&Schema> {
        self.schemas.iter().find(|schema| schema.name == name)
    }
}

/// What the document says of the operation's first tag.
fn about(tags: Option<&Value>, operation: &Value) -> Option<String> {
    let name = strings(operation, "tags").into_iter().next()?;
    let mut tags = tags?.as_array()?.iter();
    let tag = tags.find(|tag| text(tag, "name") == Some(&name))?;
    text(tag, "description").map(str::to_owned)
}

fn read_schema(name: &str, node: &Value, in_request: bool) -> Result<Schema> {
    let kind = if node.get("enum").is_some() {
        Kind::Values(read_values(node)?)
    } else if node.get("oneOf").is_some() {
        Kind::Union
    } else {
        Kind::Object(read_properties(node))
    };
    Ok(Schema {
        name: name.to_owned(),
        docs: docs(node, &format!("The type `{name}`")),
        secret: flag(node, "x-fastvm-secret"),
        in_request,
        kind,
    })
}

fn read_properties(node: &Value) -> Vec<Property> {
    let required = strings(node, "required");
    let properties = node.get("properties").and_then(Value::as_object);
    let read = |(wire, property): (&String, &Value)| Property {
        wire: wire.clone(),
        docs: docs(property, &format!("The field `{wire}`")),
        required: required.contains(wire),
        nullable: flag(property, "nullable"),
        secret: flag(property, "x-fastvm-secret"),
    };
    let mut read: Vec<_> = properties.into_iter().flatten().map(read).collect();
    // Required ones become arguments, in the order of the `required` list.
    read.sort_by_key(|property| {
        required
            .iter()
            .position(|name| *name == property.wire)
            .unwrap_or(usize::MAX)
    });
    read
}

fn read_values(node: &Value) -> Result<Vec<KnownValue>> {
    let value_docs = node.get("x-fastvm-value-docs");
    let given = node.get("x-fastvm-value-names");
    let values = strings(node, "enum");
    for map in [value_docs, given].into_iter().flatten() {
        let keys = map.as_object().into_iter().flatten().map(|(key, _)| key);
        if let Some(stray) = keys.into_iter().find(|key| !values.contains(key)) {
            bail!(
                "`{stray}` is described, but is none of its values: {}",
                values.join(", ")
            );
        }
    }
    let mut known: Vec<KnownValue> = Vec::new();
    for wire in values {
        let name = given.and_then(|names| text(names, &wire)).unwrap_or(&wire);
        let variant = names::variant_name(name);
        if let Some(other) = known.iter().find(|known| known.variant == variant) {
            bail!(
                "the values `{}` and `{wire}` would both be `{variant}`: tell them apart with `x-fastvm-value-names`",
                other.wire
            );
        }
        let docs = value_docs
            .and_then(|docs| text(docs, &wire))
            .unwrap_or_default()
            .to_owned();
        known.push(KnownValue {
            wire,
            variant,
            docs,
        });
    }
    Ok(known)
}

fn read_operation(
    path: &str,
    method: &str,
    node: &Value,
    global_security: Option<&Value>,
) -> Result<(Operation, Option<String>)> {
    let id = operation_id(node).to_owned();
    let wire_id = text(node, "x-wire-id").unwrap_or(&id).to_owned();
    let (place, notice) = match text(node, "x-fastvm-method") {
        Some(place) => (place.split('.').map(str::to_owned).collect(), None),
        None => {
            let place = default_place(path, &id);
            let notice = format!(
                "{wire_id} has no `x-fastvm-method`: it is called as `{}`{}",
                place.join("."),
                if text(node, "x-fastvm-retry").is_none() {
                    ", and repeated only if a GET or HEAD"
                } else {
                    ""
                }
            );
            (place, Some(notice))
        }
    };
    let repeatable = match text(node, "x-fastvm-retry") {
        Some(retry) => retry == "repeat",
        None => matches!(method, "get" | "head"),
    };
    let security = node.get("security").or(global_security);
    let mut operation = Operation {
        method: method.to_uppercase(),
        path: text(node, "x-wire-path").unwrap_or(path).to_owned(),
        summary: text(node, "summary").unwrap_or_default().to_owned(),
        description: text(node, "description").unwrap_or_default().to_owned(),
        place,
        repeatable,
        limited: text(node, "x-fastvm-timeout").is_none(),
        needs_key: security
            .and_then(Value::as_array)
            .is_some_and(|list| !list.is_empty()),
        accept: None,
        parameters: read_parameters(node),
        body: None,
        errors: Vec::new(),
        overridden_by: text(node, "x-fastvm-override").map(str::to_owned),
        example: text(node, "x-fastvm-example").map(str::to_owned),
        about: None,
        id,
        wire_id,
    };
    // In the order of the path, since that is the order of the arguments.
    let order = path_parameters(path);
    operation.parameters.sort_by_key(|parameter| {
        order
            .iter()
            .position(|name| parameter.in_path && *name == parameter.name)
            .unwrap_or(usize::MAX)
    });
    if let Some(schema) = node.pointer("/requestBody/content/application~1json/schema") {
        operation.body = reference(schema).map(str::to_owned);
    } else if node.get("requestBody").is_some() {
        bail!("the request body is not `application/json`: no other is supported yet");
    }
    for (status, response) in node
        .get("responses")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if status.starts_with('2') {
            let content = response.get("content").and_then(Value::as_object);
            operation.accept = content.and_then(|content| content.keys().next().cloned());
        } else if status != "default" {
            let docs = text(response, "description").unwrap_or_default();
            operation.errors.push((status.clone(), docs.to_owned()));
        }
    }
    operation.errors.sort();
    if operation.place.is_empty() {
        bail!("its place in the resource tree is empty");
    }
    Ok((operation, notice))
}

fn read_parameters(node: &Value) -> Vec<Parameter> {
    let list = node.get("parameters").and_then(Value::as_array);
    let read = |parameter: &Value| {
        let name = text(parameter, "name").unwrap_or_default().to_owned();
        Parameter {
            in_path: text(parameter, "in") == Some("path"),
            docs: docs(parameter, &format!("The parameter `{name}`")),
            key_prefix: text(parameter, "x-fastvm-key-prefix").map(str::to_owned),
            wire_name: text(parameter, "x-wire-name").unwrap_or(&name).to_owned(),
            name,
        }
    };
    list.into_iter().flatten().map(read).collect()
}

/// The description, or one that says that there is none: what is generated is public, and public
/// items without docs are warned about.
fn docs(node: &Value, what: &str) -> String {
    match text(node, "description") {
        Some(docs) if !docs.is_empty() => docs.to_owned(),
        _ => format!("{what}, which the document does not describe."),
    }
}

/// Where an operation goes that does not say: the fixed parts of its path, then its id.
/// `GET /v1/vms/{id}/logs`, `getVmLogs` → `vms.get_vm_logs`, so that it is on `client.vms()` and,
/// below `/v1/vms/{id}`, on the handle.
fn default_place(path: &str, id: &str) -> Vec<String> {
    let resource = path
        .split('/')
        .find(|part| !part.is_empty() && !is_version(part) && !part.starts_with('{'));
    let resource = resource.map(names::field_name);
    resource
        .into_iter()
        .chain([names::function_name(id)])
        .collect()
}

fn is_version(part: &str) -> bool {
    part.strip_prefix('v')
        .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()))
}

fn check_places(operations: &[Operation]) -> Result<()> {
    for (index, operation) in operations.iter().enumerate() {
        let place = operation.place.join(".");
        if let Some(part) = names::taken_part(&operation.place) {
            bail!(
                "operation {} would sit at `{place}`, where `{part}` has a meaning of its own: change its `x-fastvm-method`",
                operation.wire_id
            );
        }
        for other in &operations[..index] {
            if other.place == operation.place {
                bail!(
                    "{} and {} both sit at `{place}`: change one's `x-fastvm-method`",
                    other.wire_id,
                    operation.wire_id
                );
            }
            if other.place.starts_with(&operation.place)
                || operation.place.starts_with(&other.place)
            {
                bail!(
                    "`{place}` of {} is a method and a resource at once, by {}: change one's `x-fastvm-method`",
                    operation.wire_id,
                    other.wire_id
                );
            }
        }
    }
    Ok(())
}

/// The components that a request body can hold, at any depth.
fn names_in_requests(document: &mut Value) -> Result<BTreeSet<String>> {
    let mut open = Vec::new();
    each_operation(document, &mut |_, _, operation| {
        if let Some(body) = operation.get("requestBody") {
            collect_references(body, &mut open);
        }
        Ok(())
    })?;
    let mut found = BTreeSet::new();
    while let Some(name) = open.pop() {
        if let Some(schema) = components(document).and_then(|all| all.get(&name))
            && found.insert(name)
        {
            collect_references(schema, &mut open);
        }
    }
    Ok(found)
}

fn collect_references(node: &Value, into: &mut Vec<String>) {
    into.extend(wrapped_reference(node).map(str::to_owned));
    match node {
        Value::Object(map) => map.values().for_each(|node| collect_references(node, into)),
        Value::Array(list) => list.iter().for_each(|node| collect_references(node, into)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::yaml;

    fn read(text: &str) -> Result<Model> {
        Model::read(&mut yaml(text))
    }

    #[test]
    fn an_operation_without_extensions_gets_a_place_and_a_notice() {
        let model = read("paths: {'/v1/vms/{id}/logs': {post: {operationId: getVmLogs}}}").unwrap();
        assert_eq!(model.operations[0].place, ["vms", "get_vm_logs"]);
        assert!(!model.operations[0].repeatable);
        assert!(model.notices[0].contains("getVmLogs"));
    }

    #[test]
    fn what_the_document_does_not_describe_has_docs_that_say_so() {
        let model = read(
            "
paths: {/a: {get: {operationId: a, parameters: [{name: q, in: query}]}}}
components: {schemas: {A: {type: object, properties: {x: {}, y: {description: Known.}}}}}
",
        )
        .unwrap();
        let parameter = &model.operations[0].parameters[0];
        assert!(parameter.docs.starts_with("The parameter `q`, which"));
        assert!(model.schemas[0].docs.starts_with("The type `A`, which"));
        let Kind::Object(properties) = &model.schemas[0].kind else {
            panic!("an object")
        };
        assert!(properties[0].docs.starts_with("The field `x`, which"));
        assert_eq!(properties[1].docs, "Known.");
    }

    #[test]
    fn what_a_request_body_holds_is_known_at_any_depth() {
        let model = read(
            "
paths:
  /a: {put: {operationId: a, requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Outer'}}}}}}
components:
  schemas:
    Outer: {type: object, properties: {inner: {allOf: [{$ref: '#/components/schemas/Inner'}]}}}
    Inner: {type: object, properties: {x: {type: string}}}
    Answer: {type: object, properties: {x: {type: string}}}
",
        )
        .unwrap();
        assert!(model.schema("Outer").unwrap().in_request);
        assert!(model.schema("Inner").unwrap().in_request);
        assert!(!model.schema("Answer").unwrap().in_request);
    }

    #[test]
    fn required_properties_come_first_in_the_order_of_the_list() {
        let model = read(
            "
paths: {}
components:
  schemas:
    A: {type: object, required: [c, a], properties: {a: {}, b: {}, c: {}}}
",
        )
        .unwrap();
        let Kind::Object(properties) = &model.schemas[0].kind else {
            panic!("an object")
        };
        let order: Vec<_> = properties
            .iter()
            .map(|property| property.wire.as_str())
            .collect();
        assert_eq!(order, ["c", "a", "b"]);
    }

    #[test]
    fn two_values_of_one_name_are_refused() {
        let error =
            read("{paths: {}, components: {schemas: {A: {type: string, enum: [a-b, a_b]}}}}");
        assert!(
            format!("{:#}", error.unwrap_err()).contains("schema A: the values `a-b` and `a_b`")
        );
    }

    #[test]
    fn an_operation_at_a_place_that_is_taken_is_refused() {
        let error = read("paths: {/v1/types: {get: {operationId: x}}}").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("operation x would sit at `types.x`")
        );
    }

    #[test]
    fn two_operations_at_one_place_are_refused() {
        let error = read(
            "paths: {/a: {get: {operationId: x, x-fastvm-method: a.list}, put: {operationId: y, x-fastvm-method: a.list}}}",
        );
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("x and y both sit at `a.list`")
        );
    }
}
