//! Lets progenitor make types and a raw client of the normalised document.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context, Result, anyhow, bail};
use progenitor_impl::{GenerationSettings, Generator, InterfaceStyle, TagStyle};
use serde_json::{Value, json};

use crate::schema::{components, each_operation, operation_id};

pub fn generate(document: &Value) -> Result<syn::File> {
    attempt(document).map_err(|error| match culprit(document) {
        Some(culprit) => error.context(format!("progenitor cannot handle {culprit}")),
        None => error.context("progenitor cannot handle the document"),
    })
}

fn attempt(document: &Value) -> Result<syn::File> {
    let spec: openapiv3::OpenAPI = serde_json::from_value(document.clone())
        .context("the document does not follow OpenAPI 3.0")?;
    let mut settings = GenerationSettings::new();
    settings
        // The resource tree hides this interface, and a builder's would be three times the code.
        .with_interface(InterfaceStyle::Positional)
        .with_tag(TagStyle::Merged)
        .with_map_type("::std::collections::BTreeMap");
    // progenitor asserts where it could answer an error; a document must not end in a backtrace.
    let quiet = QuietPanics::new();
    let tokens = catch_unwind(AssertUnwindSafe(|| {
        Generator::new(&settings).generate_tokens(&spec)
    }));
    drop(quiet);
    match tokens {
        Ok(Ok(tokens)) => syn::parse2(tokens).context("progenitor's output is not Rust"),
        Ok(Err(error)) => bail!("{error}"),
        Err(panic) => Err(anyhow!("{}", panic_text(&*panic))),
    }
}

/// The first operation or schema that fails on its own.
fn culprit(document: &Value) -> Option<String> {
    let without = |pointer: &str| {
        let mut part = document.clone();
        if let Some(node) = part.pointer_mut(pointer) {
            *node = json!({});
        }
        part
    };
    let bare = without("/paths");
    if attempt(&bare).is_err() {
        let names = components(document)?.keys();
        let alone = |name: &&String| {
            let mut part = bare.clone();
            part["components"]["schemas"]
                .as_object_mut()
                .map(|all| all.remove(*name));
            attempt(&part).is_ok()
        };
        return names
            .into_iter()
            .find(alone)
            .map(|name| format!("schema {name}"));
    }
    let mut operations = Vec::new();
    each_operation(&mut document.clone(), &mut |path, method, operation| {
        let mut part = bare.clone();
        part["paths"][path] = json!({ method: operation });
        operations.push((operation_id(operation).to_owned(), part));
        Ok(())
    })
    .ok()?;
    let failing = operations
        .into_iter()
        .find(|(_, part)| attempt(part).is_err());
    failing.map(|(id, _)| format!("operation {id}"))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned
        .or(panic.downcast_ref::<&str>().copied())
        .unwrap_or("it panicked")
}

type Hook = Box<dyn Fn(&std::panic::PanicHookInfo<'_>) + Sync + Send + 'static>;

/// Keeps a caught panic from printing a backtrace.
struct QuietPanics(Option<Hook>);

impl QuietPanics {
    fn new() -> Self {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        Self(Some(previous))
    }
}

impl Drop for QuietPanics {
    fn drop(&mut self) {
        if let Some(previous) = self.0.take() {
            std::panic::set_hook(previous);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::yaml;

    #[test]
    fn what_progenitor_panics_on_is_an_error_that_names_the_operation() {
        // Two success types: progenitor asserts that there is one.
        let document = yaml(
            "
openapi: 3.0.3
info: {title: t, version: '1'}
paths:
  /fine: {get: {operationId: fine, responses: {'200': {description: d}}}}
  /torn:
    get:
      operationId: torn
      responses:
        '200': {description: d, content: {application/json: {schema: {type: string}}}}
        '201': {description: d, content: {application/json: {schema: {type: integer}}}}
",
        );
        let error = format!("{:#}", generate(&document).unwrap_err());
        assert!(error.contains("operation torn"), "{error}");
    }
}
