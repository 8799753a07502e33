//! Descriptions name operations, schemas and fields as they are on the wire, since other languages
//! read them, too. In rustdoc each has the name that Rust has for it, with a link where it has a page.

use std::collections::BTreeMap;

use crate::model::{Kind, Model, Operation};
use crate::names;

/// What a name in backticks is called in Rust: `getVm` → ``[`client.vms().retrieve`](..)``.
#[derive(Debug, Default)]
struct Words(BTreeMap<String, String>);

impl Words {
    fn of(model: &Model) -> Self {
        let mut words = BTreeMap::new();
        // Fields first: what is an operation or a type, too, is that.
        let properties = model
            .schemas
            .iter()
            .filter_map(|schema| match &schema.kind {
                Kind::Object(properties) => Some(properties),
                Kind::Values(_) | Kind::Union => None,
            });
        let fields = properties.flatten().map(|property| &property.wire);
        let parameters = model.operations.iter().flat_map(|it| &it.parameters);
        for wire in fields.chain(parameters.map(|parameter| &parameter.wire_name)) {
            words.insert(wire.clone(), format!("`{}`", names::field_name(wire)));
        }
        for schema in &model.schemas {
            words.insert(schema.name.clone(), type_link(&schema.name));
        }
        for operation in model.operations.iter().rev() {
            words.insert(operation.wire_id.clone(), call_link(operation));
        }
        Self(words)
    }

    fn find(&self, word: &str) -> Option<&str> {
        let is_schema = word.starts_with(|c: char| c.is_ascii_uppercase());
        let word = match is_schema {
            true => names::type_name(word),
            false => word.to_owned(),
        };
        self.0.get(&word).map(String::as_str)
    }

    /// The text with each name that stands in backticks by itself as Rust has it. Blocks of code stay.
    fn translate(&self, text: &str) -> String {
        if text.contains("```") {
            return text.to_owned();
        }
        let mut parts = text.split('`');
        let mut translated = parts.next().unwrap_or_default().to_owned();
        while let (Some(code), rest) = (parts.next(), parts.next()) {
            match self.find(code) {
                Some(word) => translated += word,
                None => translated += &format!("`{code}`"),
            }
            translated += rest.unwrap_or_default();
        }
        translated
    }
}

/// Puts every text of the model into Rust's words.
pub fn speak_rust(model: &mut Model) {
    let words = Words::of(model);
    let translate = |text: &mut String| *text = words.translate(text);
    for schema in &mut model.schemas {
        translate(&mut schema.docs);
        match &mut schema.kind {
            Kind::Object(properties) => {
                properties.iter_mut().for_each(|it| translate(&mut it.docs))
            }
            Kind::Values(values) => values.iter_mut().for_each(|it| translate(&mut it.docs)),
            Kind::Union => {}
        }
    }
    for operation in &mut model.operations {
        translate(&mut operation.description);
        operation
            .parameters
            .iter_mut()
            .for_each(|it| translate(&mut it.docs));
        operation
            .errors
            .iter_mut()
            .for_each(|(_, docs)| translate(docs));
    }
}

/// The type's page. The crate calls itself `fastvm_api`, so that the link also holds where a setter
/// macro puts these docs into another crate.
pub fn type_link(name: &str) -> String {
    format!("[`{name}`](fastvm_api::types::{name})")
}

/// The page of the method that sends it.
pub fn call_link(operation: &Operation) -> String {
    let mut path = "fastvm_api".to_owned();
    match operation.place.as_slice() {
        [] | [_] => path += "::Client",
        [resources @ .., _] => {
            resources
                .iter()
                .for_each(|part| path += &format!("::{part}"));
            let last = resources.last().map_or("", String::as_str);
            path += &format!("::{}", names::type_name(last));
        }
    }
    let method = operation.place.last().map_or("", String::as_str);
    format!(
        "[`client.{}`]({path}::{method})",
        operation.place.join("().")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::yaml;

    #[test]
    fn names_of_the_wire_become_those_of_rust_with_links() {
        let mut model = Model::read(&mut yaml(
            "
paths:
  /a: {get: {operationId: getA, x-fastvm-method: as.retrieve, description: 'Not `listB`, and `GET`.'}}
components:
  schemas:
    Vm: {type: object, description: 'See `getA`, `VM`, `sizeGiB` and `a b`.', properties: {sizeGiB: {}}}
",
        ))
        .unwrap();
        speak_rust(&mut model);
        assert_eq!(
            model.schemas[0].docs,
            "See [`client.as().retrieve`](fastvm_api::as::As::retrieve), \
             [`Vm`](fastvm_api::types::Vm), `size_gib` and `a b`."
        );
        assert_eq!(model.operations[0].description, "Not `listB`, and `GET`.");
    }

    #[test]
    fn blocks_of_code_stay_as_they_are() {
        let words = Words(BTreeMap::from([("a".to_owned(), "`b`".to_owned())]));
        assert_eq!(words.translate("`a`, `c`"), "`b`, `c`");
        assert_eq!(words.translate("```\n`a`\n```"), "```\n`a`\n```");
    }
}
