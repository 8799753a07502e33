//! Whether a request is as the OpenAPI document says, found out before a handler sees it.
//!
//! The document's own schemas are applied, in the dialect of OpenAPI 3.0. A validator of JSON Schema
//! would need them rewritten (`nullable`, `discriminator`) and would quote the values it refuses;
//! here a refusal names the field and what is expected, never what was sent, which may be a secret.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

mod schema;

use schema::{Schema, Schemas};

/// A test reads it, so that here the default can stand for what cannot happen.
static DOCUMENT: LazyLock<Document> =
    LazyLock::new(|| serde_json::from_str(fastvm_api::SPEC).unwrap_or_default());

/// What the document says about the requests of one operation.
#[derive(Clone, Copy)]
pub(crate) struct Check<'d> {
    components: &'d Components,
    operation: &'d Operation,
}

impl Check<'static> {
    /// The check of the operation at a path of the document, such as `/v1/vms/{id}`.
    pub(crate) fn of(method: &str, path: &str) -> Option<Self> {
        DOCUMENT.check(method, path)
    }
}

impl Check<'_> {
    /// Whether a body of this content type, parameters aside, is one for this operation.
    pub(crate) fn takes(&self, content_type: &str) -> bool {
        self.content_types()
            .any(|taken| taken.eq_ignore_ascii_case(content_type))
    }

    pub(crate) fn content_types(&self) -> impl Iterator<Item = &str> {
        let body = self.operation.request_body.iter();
        body.flat_map(|body| body.content.keys().map(String::as_str))
    }

    pub(crate) fn needs_body(&self) -> bool {
        let body = self.operation.request_body.as_ref();
        body.is_some_and(|body| body.required)
    }

    /// Checks a body.
    pub(crate) fn body(&self, body: &Value) -> Result<(), Problem> {
        let media = self.operation.request_body.iter();
        media
            .flat_map(|body| body.content.values())
            .try_for_each(|media| media.schema.check(body, &self.components.schemas))
    }

    /// Checks the query of a URL. What the document does not name is ignored.
    pub(crate) fn query(&self, query: &str) -> Result<(), Problem> {
        for parameter in self.query_parameters() {
            let mut is_given = false;
            for (key, text) in form_urlencoded::parse(query.as_bytes()) {
                let Some(schema) = parameter.schema_of(&key) else {
                    continue;
                };
                is_given = true;
                let schemas = &self.components.schemas;
                let value = schema.read(text, schemas);
                schema
                    .check(&value, schemas)
                    .map_err(|problem| problem.within(Step::Field(key.into())))?;
            }
            if parameter.required && !is_given {
                return Err(Problem::new("missing").within(Step::Field(parameter.name.clone())));
            }
        }
        Ok(())
    }

    fn query_parameters(&self) -> impl Iterator<Item = &Parameter> {
        let components = self.components;
        let parameters = self.operation.parameters.iter();
        parameters
            .filter_map(|parameter| match &parameter.reference {
                Some(reference) => components.parameters.get(last_segment(reference)),
                None => Some(parameter),
            })
            .filter(|parameter| parameter.place == "query")
    }
}

/// What is wrong with a request, and where: `ingress.rules[0].ports: missing`.
#[derive(Debug, PartialEq)]
pub(crate) struct Problem {
    /// From the innermost to the outermost.
    steps: Vec<Step>,
    text: Cow<'static, str>,
}

#[derive(Debug, PartialEq)]
enum Step {
    Field(String),
    Element(usize),
}

impl Problem {
    fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            steps: Vec::new(),
            text: text.into(),
        }
    }

    fn within(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            f.write_str("the body")?;
        }
        for (place, step) in self.steps.iter().rev().enumerate() {
            match step {
                Step::Element(index) => write!(f, "[{index}]")?,
                Step::Field(name) => {
                    let dot = if place == 0 { "" } else { "." };
                    write!(f, "{dot}{}", shortened(name))?;
                }
            }
        }
        write!(f, ": {}", self.text)
    }
}

/// Keys of maps are as long as clients like.
fn shortened(name: &str) -> Cow<'_, str> {
    const MOST_CHARS: usize = 256;
    match name.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()).into(),
        None => name.into(),
    }
}

/// The name in a reference such as `#/components/schemas/VM`.
fn last_segment(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

#[derive(Default, Deserialize)]
struct Document {
    paths: HashMap<String, PathItem>,
    components: Components,
}

impl Document {
    fn check(&self, method: &str, path: &str) -> Option<Check<'_>> {
        let item = self.paths.get(path)?;
        let operation = match method {
            "GET" => &item.get,
            "PUT" => &item.put,
            "POST" => &item.post,
            "PATCH" => &item.patch,
            "DELETE" => &item.delete,
            _ => return None,
        };
        Some(Check {
            components: &self.components,
            operation: operation.as_ref()?,
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Components {
    schemas: Schemas,
    parameters: HashMap<String, Parameter>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PathItem {
    get: Option<Operation>,
    put: Option<Operation>,
    post: Option<Operation>,
    patch: Option<Operation>,
    delete: Option<Operation>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Operation {
    parameters: Vec<Parameter>,
    request_body: Option<RequestBody>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameter {
    #[serde(rename = "$ref")]
    reference: Option<String>,
    name: String,
    #[serde(rename = "in")]
    place: String,
    required: bool,
    schema: Schema,
    /// Makes an object of all pairs whose keys begin so.
    #[serde(rename = "x-fastvm-key-prefix")]
    key_prefix: Option<String>,
}

impl Parameter {
    /// The schema for the value of a query pair, if the pair belongs to this parameter.
    fn schema_of(&self, key: &str) -> Option<&Schema> {
        match &self.key_prefix {
            Some(prefix) => self.schema.entry(key.strip_prefix(prefix.as_str())?),
            None => (key == self.name).then_some(&self.schema),
        }
    }
}

#[derive(Deserialize)]
struct RequestBody {
    #[serde(default)]
    required: bool,
    content: HashMap<String, Media>,
}

#[derive(Deserialize)]
struct Media {
    schema: Schema,
}

#[cfg(test)]
mod tests;
