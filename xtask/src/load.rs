//! Reads the document and refuses what later steps could only stumble over.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::schema::{each_operation, resolve, strings, text};

/// Every vendor extension and the values it may have.
const EXTENSIONS: &[(&str, Form)] = &[
    ("x-fastvm-method", Form::Place),
    ("x-fastvm-stream", Form::Place),
    ("x-fastvm-retry", Form::OneOf(&["repeat", "once"])),
    ("x-fastvm-timeout", Form::OneOf(&["server"])),
    ("x-fastvm-type", Form::Text),
    ("x-fastvm-known-values", Form::Texts),
    ("x-fastvm-value-docs", Form::TextMap),
    ("x-fastvm-value-names", Form::TextMap),
    ("x-fastvm-secret", Form::Flag),
    ("x-fastvm-key-prefix", Form::Text),
];

enum Form {
    Place,
    Text,
    Texts,
    TextMap,
    Flag,
    OneOf(&'static [&'static str]),
}

pub fn load(path: &Path) -> Result<Value> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("in {}", path.display()))
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
    let document: Value = yaml_serde::from_str(text).with_context(|| format!("in {source}"))?;
    if document.get("openapi").is_none() {
        bail!("there is no `openapi` at the top of {source}: is this an OpenAPI document?");
    }
    check_references(&document, &document).with_context(|| format!("in {source}"))?;
    Ok(document)
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

fn parse(text: &str) -> Result<Value> {
    let mut document: Value = yaml_serde::from_str(text)?;
    check_version(&document)?;
    check_references(&document, &document)?;
    check_operations(&mut document)?;
    check_extensions(&document, "")?;
    Ok(document)
}

/// progenitor takes 3.0.x only, and says so in a way that helps nobody.
fn check_version(document: &Value) -> Result<()> {
    match text(document, "openapi") {
        Some(version) if version.starts_with("3.0.") => Ok(()),
        Some(version) => bail!(
            "the document says `openapi: {version}`; write it as 3.0.3 (`nullable: true` in place of type lists, `enum` in place of `const`)"
        ),
        None => bail!("there is no `openapi: 3.0.3` at the top: is this an OpenAPI document?"),
    }
}

fn check_references(document: &Value, node: &Value) -> Result<()> {
    resolve(document, node)?;
    match node {
        Value::Object(map) => map
            .values()
            .try_for_each(|node| check_references(document, node)),
        Value::Array(list) => list
            .iter()
            .try_for_each(|node| check_references(document, node)),
        _ => Ok(()),
    }
}

/// Ids name everything that is generated, and path parameters become arguments.
fn check_operations(document: &mut Value) -> Result<()> {
    let whole = document.clone();
    let mut seen: HashMap<String, String> = HashMap::new();
    each_operation(document, &mut |path, method, operation| {
        let place = format!("{} {path}", method.to_uppercase());
        let Some(id) = text(operation, "operationId") else {
            bail!("{place} has no `operationId`: give it one, its Rust names come from it");
        };
        if let Some(other) = seen.insert(id.to_owned(), place.clone()) {
            bail!("`operationId: {id}` stands at {other} and at {place}: rename one");
        }
        check_path_parameters(&whole, path, operation).with_context(|| format!("operation {id}"))
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
fn check_extensions(node: &Value, place: &str) -> Result<()> {
    match node {
        Value::Object(map) => {
            for (key, value) in map {
                let here = format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"));
                if key.starts_with("x-fastvm-") {
                    check_extension(key, value).with_context(|| format!("at #{here}"))?;
                }
                check_extensions(value, &here)?;
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                check_extensions(value, &format!("{place}/{index}"))?;
            }
        }
        _ => {}
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        format!("{:#}", parse(text).expect_err("the document is wrong"))
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
}
