//! Reads the document and refuses what later steps could only stumble over.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::position;
use crate::schema::{each_operation, resolve, strings, text};

/// Every vendor extension and the values it may have.
const EXTENSIONS: &[(&str, Form)] = &[
    ("x-fastvm-method", Form::Place),
    ("x-fastvm-stream", Form::Place),
    ("x-fastvm-retry", Form::OneOf(&["repeat", "once"])),
    ("x-fastvm-timeout", Form::OneOf(&["server"])),
    ("x-fastvm-override", Form::Method),
    ("x-fastvm-stream-override", Form::Method),
    ("x-fastvm-example", Form::Text),
    ("x-fastvm-type", Form::Text),
    ("x-fastvm-known-values", Form::Texts),
    ("x-fastvm-value-docs", Form::TextMap),
    ("x-fastvm-value-names", Form::TextMap),
    ("x-fastvm-secret", Form::Flag),
    ("x-fastvm-key-prefix", Form::Text),
];

enum Form {
    Place,
    Method,
    Text,
    Texts,
    TextMap,
    Flag,
    OneOf(&'static [&'static str]),
}

pub fn load(path: &Path) -> Result<Value> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).map_err(|error| placed(error, &path.display().to_string(), &text))
}

/// Where in the document a mistake is.
#[derive(Debug)]
struct At(String);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at #{}", self.0)
    }
}

/// A mistake at a place of the document.
pub fn wrong(pointer: impl Into<String>, what: impl fmt::Display) -> anyhow::Error {
    anyhow!("{what}").context(At(pointer.into()))
}

/// The error with the file, and with line and column if it knows its place.
pub fn placed(error: anyhow::Error, file: &str, text: &str) -> anyhow::Error {
    let position = match error.downcast_ref::<At>() {
        Some(At(pointer)) => position::of(text, pointer),
        None => error
            .downcast_ref::<yaml_serde::Error>()
            .and_then(yaml_serde::Error::location)
            .map(|location| (location.line(), location.column())),
    };
    match position {
        Some((line, column)) => error.context(format!("{file}:{line}:{column}")),
        None => error.context(format!("in {file}")),
    }
}

/// Of two equal keys serde_json would keep the latter in silence; the parser's own type does not.
fn read(text: &str) -> Result<Value> {
    yaml_serde::from_str::<yaml_serde::Value>(text)?;
    Ok(yaml_serde::from_str(text)?)
}

/// A document to be compared, as it is: a file, or `git:REV` for `openapi.yaml` at a revision.
pub fn raw(root: &Path, source: &str) -> Result<Value> {
    let text = match source.strip_prefix("git:") {
        Some(revision) => at_revision(root, revision)?,
        None => std::fs::read_to_string(source).with_context(|| format!("cannot read {source}"))?,
    };
    parse_raw(&text, source)
}

/// YAML or JSON, which is YAML, whose references lead somewhere.
pub fn parse_raw(text: &str, source: &str) -> Result<Value> {
    let checked = || {
        let document = read(text)?;
        if document.get("openapi").is_none() {
            bail!("there is no `openapi` at the top: is this an OpenAPI document?");
        }
        check_references(&document)?;
        Ok(document)
    };
    checked().map_err(|error| placed(error, source, text))
}

fn at_revision(root: &Path, revision: &str) -> Result<String> {
    let shown = Command::new("git")
        .args(["show", &format!("{revision}:openapi.yaml")])
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    if !shown.status.success() {
        let reason = String::from_utf8_lossy(&shown.stderr);
        bail!("git has no openapi.yaml at {revision}: {}", reason.trim());
    }
    String::from_utf8(shown.stdout).context("the document is not UTF-8")
}

/// A document of ours, checked.
pub fn parse(text: &str) -> Result<Value> {
    let mut document = read(text)?;
    check_version(&document)?;
    check_keywords(&document, "", false)?;
    check_references(&document)?;
    check_operations(&mut document)?;
    check_extensions(&document)?;
    Ok(document)
}

/// progenitor takes 3.0.x only, and says so in a way that helps nobody.
fn check_version(document: &Value) -> Result<()> {
    match text(document, "openapi") {
        Some(version) if version.starts_with("3.0.") => Ok(()),
        Some(version) => Err(wrong(
            "/openapi",
            format!(
                "the document says `openapi: {version}`; write it as 3.0.3 (`nullable: true` in place of type lists, `enum` in place of `const`)"
            ),
        )),
        None => bail!("there is no `openapi: 3.0.3` at the top: is this an OpenAPI document?"),
    }
}

fn check_references(document: &Value) -> Result<()> {
    each_node(document, "", &mut |_, node| {
        resolve(document, node).map(drop)
    })
}

/// Calls `visit` with every node and its pointer, which errors get, too.
fn each_node(
    node: &Value,
    pointer: &str,
    visit: &mut dyn FnMut(&str, &Value) -> Result<()>,
) -> Result<()> {
    visit(pointer, node).with_context(|| At(pointer.to_owned()))?;
    match node {
        Value::Object(map) => map
            .iter()
            .try_for_each(|(key, node)| each_node(node, &below(pointer, key), visit)),
        Value::Array(list) => list.iter().enumerate().try_for_each(|(index, node)| {
            each_node(node, &below(pointer, &index.to_string()), visit)
        }),
        _ => Ok(()),
    }
}

pub fn below(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Keywords that OpenAPI 3.0 lacks, and what it has in their place. The generator would pass them
/// over, or stumble.
const LATER: &[(&str, &str)] = &[
    ("const", "write an `enum` of one value"),
    ("prefixItems", "describe the list by `items`"),
    (
        "patternProperties",
        "describe the values by `additionalProperties`",
    ),
    ("propertyNames", "say it in the description"),
    ("unevaluatedProperties", "use `additionalProperties`"),
    ("dependentRequired", "say it in the description"),
    ("dependentSchemas", "say it in the description"),
    ("if", "use `oneOf`"),
    ("contentEncoding", "use `format: byte`"),
    ("contentMediaType", "use `format: binary`"),
    ("$defs", "put the schemas into `components`"),
    ("$schema", "leave it out"),
    ("jsonSchemaDialect", "leave it out"),
    ("webhooks", "leave them out"),
    ("pathItems", "write the paths out"),
];

/// Whose keys are names that the document chooses, not keywords.
const MAPS: &[&str] = &[
    "properties",
    "paths",
    "responses",
    "headers",
    "content",
    "variables",
    "mapping",
    "callbacks",
    "links",
    "encoding",
    "scopes",
];

/// Whose values are no part of the document's own language.
const DATA: &[&str] = &["example", "examples", "default", "enum"];

/// Refuses what came with OpenAPI 3.1. `are_names`: whether the node's keys are no keywords.
fn check_keywords(node: &Value, pointer: &str, are_names: bool) -> Result<()> {
    if let Value::Array(list) = node {
        return list.iter().enumerate().try_for_each(|(index, node)| {
            check_keywords(node, &below(pointer, &index.to_string()), false)
        });
    }
    for (key, value) in node.as_object().into_iter().flatten() {
        let here = below(pointer, key);
        if are_names {
            check_keywords(value, &here, false)?;
        } else if !DATA.contains(&key.as_str()) && !key.starts_with("x-") {
            check_keyword(key, value).with_context(|| At(here.clone()))?;
            let is_map =
                value.is_object() && (MAPS.contains(&key.as_str()) || pointer == "/components");
            check_keywords(value, &here, is_map)?;
        }
    }
    Ok(())
}

fn check_keyword(key: &str, value: &Value) -> Result<()> {
    let instead = match (key, value) {
        ("type", Value::Array(_)) => "write one type, and `nullable: true` if it can be null",
        ("type", Value::String(name)) if name == "null" => "write `nullable: true` beside a type",
        ("exclusiveMinimum" | "exclusiveMaximum", Value::Number(_)) => {
            "write it as the bound, with `true` here"
        }
        _ => match LATER.iter().find(|(later, _)| *later == key) {
            Some((_, instead)) => instead,
            None => return Ok(()),
        },
    };
    bail!("`{key}: {value}` is of OpenAPI 3.1 and the document of 3.0: {instead}")
}

/// Ids name everything that is generated, and path parameters become arguments.
fn check_operations(document: &mut Value) -> Result<()> {
    let whole = document.clone();
    let mut seen: HashMap<String, String> = HashMap::new();
    each_operation(document, &mut |path, method, operation| {
        let place = format!("{} {path}", method.to_uppercase());
        let pointer = below(&below("/paths", path), method);
        let Some(id) = text(operation, "operationId") else {
            let text =
                format!("{place} has no `operationId`: give it one, its Rust names come from it");
            return Err(wrong(pointer, text));
        };
        if let Some(other) = seen.insert(id.to_owned(), place.clone()) {
            let text = format!("`operationId: {id}` stands at {other} and at {place}: rename one");
            return Err(wrong(below(&pointer, "operationId"), text));
        }
        check_path_parameters(&whole, path, operation)
            .with_context(|| format!("operation {id}"))
            .context(At(pointer))
    })
}

fn check_path_parameters(document: &Value, path: &str, operation: &Value) -> Result<()> {
    let item = &document["paths"][path];
    let mut declared = Vec::new();
    for list in [item.get("parameters"), operation.get("parameters")] {
        for parameter in list.and_then(Value::as_array).into_iter().flatten() {
            let parameter = resolve(document, parameter)?;
            if text(parameter, "in") == Some("path") {
                declared.push(text(parameter, "name").unwrap_or_default());
            }
        }
    }
    for name in path_parameters(path) {
        if !declared.contains(&name) {
            bail!("the path has `{{{name}}}`, but no parameter of that name with `in: path`");
        }
    }
    match declared
        .iter()
        .find(|name| !path.contains(&format!("{{{name}}}")))
    {
        Some(name) => bail!("the path parameter `{name}` does not occur in {path}"),
        None => Ok(()),
    }
}

/// `/v1/vms/{id}/services/{serviceName}` → `id`, `serviceName`.
pub fn path_parameters(path: &str) -> Vec<&str> {
    path.split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .collect()
}

/// A misspelt extension would be ignored in silence.
fn check_extensions(document: &Value) -> Result<()> {
    each_node(
        document,
        "",
        &mut |pointer, value| match pointer.rsplit('/').next() {
            Some(key) if key.starts_with("x-fastvm-") => check_extension(key, value),
            _ => Ok(()),
        },
    )
}

fn check_extension(key: &str, value: &Value) -> Result<()> {
    let Some((_, form)) = EXTENSIONS.iter().find(|(name, _)| *name == key) else {
        let known: Vec<_> = EXTENSIONS.iter().map(|(name, _)| *name).collect();
        bail!("unknown extension `{key}`; known are {}", known.join(", "));
    };
    let (fits, wanted) = match form {
        Form::Text => (value.is_string(), "a string".to_owned()),
        Form::Place => (
            value.as_str().is_some_and(is_place),
            "a place like `vms.services.list`, without words that Rust reserves".to_owned(),
        ),
        Form::Method => (
            value.as_str().is_some_and(is_method),
            "a method like `Vms::launch`".to_owned(),
        ),
        Form::Flag => (value.is_boolean(), "true or false".to_owned()),
        Form::TextMap => (is_text_map(value), "a map of strings".to_owned()),
        Form::Texts => {
            let all = value.as_array().map(Vec::len);
            let list = serde_json::json!({ key: value });
            (
                all.is_some_and(|n| n > 0 && n == strings(&list, key).len()),
                "a list of strings".to_owned(),
            )
        }
        Form::OneOf(values) => (
            value.as_str().is_some_and(|value| values.contains(&value)),
            format!("one of {}", values.join(", ")),
        ),
    };
    if !fits {
        bail!("`{key}` is {value}, but must be {wanted}");
    }
    Ok(())
}

fn is_text_map(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|map| map.values().all(Value::is_string))
}

fn is_place(place: &str) -> bool {
    place.split('.').all(|part| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && syn::parse_str::<syn::Ident>(part).is_ok()
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    })
}

fn is_method(path: &str) -> bool {
    let parts: Vec<_> = path.split("::").collect();
    parts.len() == 2
        && parts
            .iter()
            .all(|part| syn::parse_str::<syn::Ident>(part).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let error = parse(text).expect_err("the document is wrong");
        format!("{:#}", placed(error, "api.yaml", text))
    }

    #[test]
    fn an_override_that_is_no_method_is_refused() {
        let text =
            "openapi: 3.0.3\npaths: {/a: {get: {operationId: a, x-fastvm-override: launch}}}";
        assert!(refusal(text).contains("a method like `Vms::launch`"));
    }

    #[test]
    fn a_document_of_another_version_is_refused() {
        assert!(refusal("{openapi: 3.1.0, paths: {}}").contains("3.0.3"));
        assert!(refusal("{paths: {}}").contains("is this an OpenAPI document?"));
    }

    #[test]
    fn malformed_yaml_is_refused_with_its_line() {
        assert!(refusal("openapi: 3.0.3\npaths: [").contains("line"));
    }

    #[test]
    fn an_operation_without_id_or_with_anothers_is_refused() {
        assert!(
            refusal("{openapi: 3.0.3, paths: {/a: {get: {}}}}")
                .contains("GET /a has no `operationId`")
        );
        let twice =
            "{openapi: 3.0.3, paths: {/a: {get: {operationId: x}}, /b: {get: {operationId: x}}}}";
        assert!(refusal(twice).contains("GET /a and at GET /b"));
    }

    #[test]
    fn a_dangling_reference_is_refused() {
        let text = "{openapi: 3.0.3, paths: {}, components: {schemas: {A: {$ref: '#/components/schemas/B'}}}}";
        assert!(refusal(text).contains("leads nowhere"));
    }

    #[test]
    fn a_path_parameter_must_be_declared() {
        let text = "{openapi: 3.0.3, paths: {'/a/{id}': {get: {operationId: x}}}}";
        assert!(refusal(text).contains("operation x: the path has `{id}`"));
    }

    #[test]
    fn unknown_extensions_and_values_are_refused_with_their_place() {
        let text = "{openapi: 3.0.3, paths: {/a: {get: {operationId: x, x-fastvm-retry: twice}}}}";
        assert!(refusal(text).contains("at #/paths/~1a/get/x-fastvm-retry"));
        let text = "{openapi: 3.0.3, paths: {/a: {get: {operationId: x, x-fastvm-retries: 2}}}}";
        assert!(refusal(text).contains("unknown extension `x-fastvm-retries`"));
        let text =
            "{openapi: 3.0.3, paths: {/a: {get: {operationId: x, x-fastvm-method: a.move}}}}";
        assert!(refusal(text).contains("must be a place"));
    }

    /// Small and right, a line for each thing that a test spoils.
    const DOCUMENT: &str = "\
openapi: 3.0.3
paths:
  /a/{id}:
    get:
      operationId: getA
      x-fastvm-retry: repeat
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}}
      responses:
        '200':
          $ref: '#/components/responses/A'
  /b:
    get:
      operationId: getB
components:
  responses:
    A: {description: It.}
  schemas:
    B:
      properties:
        const: {type: integer}
        b:
          type: string
          example: {const: 1}
";

    #[test]
    fn every_mistake_is_told_once_with_file_line_and_column() {
        parse(DOCUMENT).unwrap();
        let cases = [
            (
                "/b:\n    get",
                "/b:\n   get: 1\n    get",
                "api.yaml:14:8: mapping values are not allowed",
            ),
            (
                "operationId: getB",
                "operationId: getA",
                "api.yaml:14:7: at #/paths/~1b/get/operationId: `operationId: getA` stands at GET /a/{id} and at GET /b",
            ),
            (
                "operationId: getB",
                "summary: B",
                "api.yaml:13:5: at #/paths/~1b/get: GET /b has no `operationId`",
            ),
            (
                "responses/A'",
                "responses/C'",
                "api.yaml:10:9: at #/paths/~1a~1{id}/get/responses/200: `$ref: #/components/responses/C` leads nowhere",
            ),
            (
                "retry: repeat",
                "retry: twice",
                "api.yaml:6:7: at #/paths/~1a~1{id}/get/x-fastvm-retry: `x-fastvm-retry` is \"twice\", but must be one of repeat, once",
            ),
            (
                "{name: id,",
                "{name: other,",
                "api.yaml:4:5: at #/paths/~1a~1{id}/get: operation getA: the path has `{id}`, but no parameter",
            ),
            (
                "type: string\n",
                "type: [string, 'null']\n",
                "api.yaml:23:11: at #/components/schemas/B/properties/b/type: `type: [\"string\",\"null\"]` is of OpenAPI 3.1",
            ),
            (
                "type: string\n",
                "const: x\n",
                "api.yaml:23:11: at #/components/schemas/B/properties/b/const: `const: \"x\"` is of OpenAPI 3.1",
            ),
            (
                "type: string\n",
                "exclusiveMinimum: 1\n",
                "`exclusiveMinimum: 1` is of OpenAPI 3.1",
            ),
            (
                "components:",
                "webhooks: {}\ncomponents:",
                "api.yaml:15:1: at #/webhooks: ",
            ),
            (
                "openapi: 3.0.3",
                "openapi: 3.1.0",
                "api.yaml:1:1: at #/openapi: the document says `openapi: 3.1.0`",
            ),
            (
                "      operationId: getB",
                "      operationId: getB\n      operationId: getB",
                "duplicate entry with key \"operationId\"",
            ),
            (
                "        b:\n",
                "        const: {type: integer}\n        b:\n",
                "api.yaml:21:9: components.schemas.B.properties: duplicate entry with key \"const\"",
            ),
        ];
        for (from, to, expected) in cases {
            assert_eq!(DOCUMENT.matches(from).count(), 1, "{from:?} is there once");
            let refusal = refusal(&DOCUMENT.replace(from, to));
            assert!(refusal.contains(expected), "{to:?}: {refusal}");
            assert_eq!(refusal.lines().count(), 1, "{refusal}");
        }
    }
}
