//! What rustdoc says of a resource, of a method and of the builder that it makes.

use syn::{GenericArgument, PathArguments, Type};

use super::call::Call;
use super::resources::{Node, Scope, required_body};
use crate::model::{Model, Operation};
use crate::names;
use crate::prose;

/// The pages of `fastvm`. That crate stands on this one, which cannot link to it by a Rust path.
const OVERRIDES: &str = "https://docs.rs/fastvm/latest/fastvm";

pub(super) fn of_resource(node: &Node) -> String {
    let made_by: String = node.path.iter().map(|part| format!(".{part}()")).collect();
    let docs = format!("The calls on {}: `client{made_by}`.", node.title());
    let about = node
        .calls
        .first()
        .and_then(|call| call.operation.about.as_ref());
    match about {
        Some(about) => format!("{docs}\n\n{}", about.trim_end()),
        None => docs,
    }
}

pub(super) fn of_method(call: &Call, scope: Scope) -> String {
    let operation = call.operation;
    let mut paragraphs = vec![sentence(&operation.summary, &operation.id)];
    if !operation.description.is_empty() {
        paragraphs.push(operation.description.trim_end().to_owned());
    }
    paragraphs.extend(overridden(operation));
    paragraphs.extend(some(arguments(call, scope)));
    paragraphs.extend(setters(call));
    paragraphs.push(format!(
        "Sends `{}`{}. {}",
        operation.wire(),
        answer(call),
        terms(operation)
    ));
    paragraphs.push(format!("# Errors\n\n{}", errors(operation)));
    let example = operation.example.as_ref().filter(|_| scope.shows_example());
    paragraphs.extend(example.map(|example| format!("# Examples\n\n{}", doctest(example))));
    paragraphs.join("\n\n")
}

pub(super) fn of_builder(call: &Call) -> String {
    let operation = call.operation;
    format!(
        "{}\n\nMade by {}; sends `{}` when awaited{}. `.send()` gives status and headers, too.",
        sentence(&operation.summary, &operation.id),
        prose::call_link(operation),
        operation.wire(),
        answer(call),
    )
}

/// A summary as the first line of a doc comment.
pub(super) fn sentence(summary: &str, fallback: &str) -> String {
    let summary = summary.trim();
    match summary.chars().last() {
        None => format!("`{fallback}`."),
        Some('.' | '!' | '?') => summary.to_owned(),
        Some(_) => format!("{summary}."),
    }
}

/// All operations by resource, as the crate that overrides them shows them.
pub(super) fn table(model: &Model) -> String {
    let mut table = String::new();
    let mut resource = None;
    for operation in &model.operations {
        let place = operation.place.split_last().map(|(_, resources)| resources);
        if resource != place {
            resource = place;
            table += &format!("\n# {}\n\n", heading(place.unwrap_or_default()));
            table += "| what for | call | in this crate | sends |\n|---|---|---|---|\n";
        }
        table += &row(operation);
    }
    table
}

fn heading(resources: &[String]) -> String {
    let path: String = resources.iter().map(|part| format!(".{part}()")).collect();
    format!("`client{path}`")
}

fn row(operation: &Operation) -> String {
    let page = |path: &String| format!("[`{path}`](crate::{path})");
    format!(
        "| {} | {} | {} | `{}` |\n",
        operation.summary,
        prose::call_link(operation),
        operation
            .overridden_by
            .as_ref()
            .map_or("–".to_owned(), page),
        operation.wire()
    )
}

fn overridden(operation: &Operation) -> Option<String> {
    let path = operation.overridden_by.as_ref()?;
    let (ty, method) = path.split_once("::")?;
    Some(format!(
        "See also [`{path}`]({OVERRIDES}/struct.{ty}.html#method.{method}) in the crate `fastvm`, which does more."
    ))
}

fn arguments(call: &Call, scope: Scope) -> String {
    let mut list = String::new();
    let required = call
        .arguments
        .iter()
        .filter(|argument| argument.parameter.is_some() && !argument.optional);
    for (index, argument) in required.enumerate() {
        let is_own_id = index == 0 && argument.in_path() && scope.has_id();
        if let Some(parameter) = argument.parameter.filter(|_| !is_own_id) {
            list += &list_item(&argument.name.to_string(), &parameter.docs);
        }
    }
    for field in required_body(call) {
        list += &list_item(&field.name.to_string(), &field.docs);
    }
    list.trim_end().to_owned()
}

/// The setters by name: their docs are on the builder's page.
fn setters(call: &Call) -> Option<String> {
    let parameters = call
        .optional_parameters()
        .map(|argument| argument.name.to_string());
    let fields = call.body_fields().map(|field| field.name.to_string());
    let links: Vec<_> = parameters
        .chain(fields)
        .map(|name| names::setter_name(&name))
        .map(|name| format!("[`{name}`]({}::{name})", call.builder()))
        .collect();
    (!links.is_empty())
        .then(|| format!("Optional, as methods of the builder: {}.", links.join(", ")))
}

/// `, and gives a list of [`Vm`](..)`
fn answer(call: &Call) -> String {
    what(call.answer).map_or_else(String::new, |what| format!(", and gives {what}"))
}

fn what(ty: &Type) -> Option<String> {
    let Type::Path(path) = ty else {
        return None;
    };
    let last = path.path.segments.last()?;
    let inner = match &last.arguments {
        PathArguments::AngleBracketed(inner) => inner.args.first(),
        _ => None,
    };
    match (last.ident.to_string().as_str(), inner) {
        ("ByteStream", _) => Some("the bytes of the answer as they come".to_owned()),
        ("Vec", Some(GenericArgument::Type(item))) => Some(format!("a list of {}", what(item)?)),
        (_, Some(_)) => None,
        (name, None) => Some(prose::type_link(name)),
    }
}

/// What the one who calls has to know of repeats, time and the key.
fn terms(operation: &Operation) -> String {
    let mut terms = match operation.repeatable {
        true => "It is safe to send again.".to_owned(),
        false => "It is not safe to send twice: it is sent again only if it provably never left."
            .to_owned(),
    };
    if !operation.limited {
        terms += " The client's request timeout does not apply.";
    }
    if !operation.needs_key {
        terms += " Needs no API key.";
    }
    terms
}

fn errors(operation: &Operation) -> String {
    let mut text = String::new();
    for (status, docs) in &operation.errors {
        text += &list_item(status, docs);
    }
    let what = match text.is_empty() {
        true => "What",
        false => "\nWhat else",
    };
    text + what + " can go wrong, and what is known then: see [`Error`](fastvm_api::Error)."
}

fn doctest(code: &str) -> String {
    let mut lines = vec![
        "```",
        "# async fn example(client: fastvm_api::Client) -> fastvm_api::Result<()> {",
    ];
    lines.extend(code.trim_end().lines());
    lines.extend(["# Ok(())", "# }", "```"]);
    lines.join("\n")
}

fn list_item(name: &str, docs: &str) -> String {
    let docs = docs.trim().replace('\n', "\n  ");
    if docs.is_empty() {
        format!("- `{name}`\n")
    } else {
        format!("- `{name}`: {docs}\n")
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
