//! Operations: their ids, places, parameters, bodies and answers.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

use super::schemas::Way;
use super::{Class, Differ, Place, WORDS, followed, pairs, sentence, shown};
use crate::load::path_parameters;
use crate::schema::{METHODS, text};

/// An operation and where it stands.
struct Operation<'a> {
    path: &'a str,
    method: &'static str,
    item: &'a Value,
    node: &'a Value,
}

impl Operation<'_> {
    fn place(&self) -> Place {
        Place::new("", "").at("paths").at(self.path).at(self.method)
    }

    fn line(&self) -> String {
        format!("{} {}", self.method.to_uppercase(), self.path)
    }

    /// Paths are the same whatever their parameters are called.
    fn route(&self) -> String {
        let parts = self.path.split('/');
        let parts = parts.map(|part| if part.starts_with('{') { "{}" } else { part });
        format!("{} {}", self.method, parts.collect::<Vec<_>>().join("/"))
    }
}

/// What has a schema, or holds what has one.
#[derive(Clone, Copy)]
enum Part {
    Parameter,
    Body,
    Answer,
    Header,
    Media(Way),
}

impl Part {
    fn way(self) -> Way {
        match self {
            Self::Parameter | Self::Body => Way::Request,
            Self::Answer | Self::Header => Way::Response,
            Self::Media(way) => way,
        }
    }
}

fn operations(document: &Value) -> BTreeMap<&str, Operation<'_>> {
    let mut found = BTreeMap::new();
    let paths = document.get("paths").and_then(Value::as_object);
    for (path, item) in paths.into_iter().flatten() {
        for method in METHODS {
            if let Some(node) = item.get(*method)
                && let Some(id) = text(node, "operationId")
            {
                let operation = Operation {
                    path,
                    method,
                    item,
                    node,
                };
                found.insert(id, operation);
            }
        }
    }
    found
}

impl<'a> Differ<'a> {
    pub(super) fn operations(&mut self) -> Result<()> {
        let (old, new) = (operations(self.old), operations(self.new));
        let added = |id: &&&str| !old.contains_key(**id);
        for (id, before) in &old {
            let place = before.place();
            if let Some(after) = new.get(id) {
                self.operation(id, before, after)?;
                continue;
            }
            let renamed = new.keys().filter(added);
            let renamed = renamed.map(|id| (id, &new[id]));
            let sentence = match renamed
                .into_iter()
                .find(|(_, after)| after.route() == before.route())
            {
                Some((name, _)) => format!("The operation `{id}` is called `{name}` now."),
                None => format!("The operation `{id}` ({}) is gone.", before.line()),
            };
            self.add(Class::Breaking, &place, sentence);
        }
        for id in new.keys().filter(added) {
            let after = &new[id];
            let is_renamed = old
                .iter()
                .any(|(name, before)| !new.contains_key(name) && before.route() == after.route());
            if !is_renamed {
                let sentence = format!("There is an operation `{id}` ({}).", after.line());
                self.add(Class::Compatible, &after.place(), sentence);
            }
        }
        Ok(())
    }

    fn operation(&mut self, id: &str, old: &Operation<'a>, new: &Operation<'a>) -> Result<()> {
        let place = new.place().named(format!("`{id}`"));
        if old.route() != new.route() {
            let sentence = format!("`{id}` is {} in place of {}.", new.line(), old.line());
            self.add(Class::Breaking, &place, sentence);
        }
        if path_parameters(old.path) != path_parameters(new.path) {
            let sentence = format!(
                "The path parameters of `{id}` are {} in place of {}.",
                path_parameters(new.path).join(", "),
                path_parameters(old.path).join(", ")
            );
            self.add(Class::Breaking, &place, sentence);
        }
        self.parameters(&place, old, new)?;
        for (key, old, new) in pairs(Some(old.node), Some(new.node)) {
            let here = place.at(key);
            match key {
                "operationId" | "parameters" => {}
                "requestBody" => self.request_body(&here, old, new)?,
                "responses" => self.responses(&here, old, new)?,
                "security" => {
                    let old = old.or(self.old.get("security"));
                    let new = new.or(self.new.get("security"));
                    self.security(&here, old, new);
                }
                "deprecated" => self.deprecated(&here, old, new),
                "tags" => self.words(&here, key, old, new),
                key if WORDS.contains(&key) => self.words(&here, key, old, new),
                key if old != new => self.operation_extension(&here, key, old, new),
                _ => {}
            }
        }
        Ok(())
    }

    fn operation_extension(
        &mut self,
        place: &Place,
        key: &str,
        old: Option<&Value>,
        new: Option<&Value>,
    ) {
        let id = &place.name;
        let is = |side: Option<&Value>, value: &str| side.and_then(Value::as_str) == Some(value);
        let (class, what) = match key {
            "x-fastvm-method" | "x-fastvm-stream" if old.is_none() => (
                Class::Compatible,
                format!("{id} gets the method {}.", shown(new)),
            ),
            "x-fastvm-method" | "x-fastvm-stream" => (
                Class::Breaking,
                format!("The method {} of {id} is {} now.", shown(old), shown(new)),
            ),
            "x-fastvm-retry" if is(new, "repeat") => (
                Class::Breaking,
                format!("{id} may be sent again when nobody knows whether it arrived."),
            ),
            "x-fastvm-retry" => (
                Class::Compatible,
                format!("{id} is sent once, also where it was repeated before."),
            ),
            "x-fastvm-timeout" if new.is_some() => (
                Class::Compatible,
                format!("The client's request timeout does not bound {id} any more."),
            ),
            "x-fastvm-timeout" => (
                Class::Breaking,
                format!("The client's request timeout bounds {id} now."),
            ),
            _ => return self.unknown(place, key, old, new),
        };
        self.add(class, place, sentence(&what));
    }

    pub(super) fn deprecated(&mut self, place: &Place, old: Option<&Value>, new: Option<&Value>) {
        let is = |side: Option<&Value>| side.and_then(Value::as_bool).unwrap_or(false);
        let name = &place.name;
        match (is(old), is(new)) {
            (false, true) => {
                self.add(
                    Class::Compatible,
                    place,
                    sentence(&format!("{name} is deprecated.")),
                );
            }
            (true, false) => {
                let text = format!("{name} is not deprecated any more.");
                self.add(Class::Compatible, place, sentence(&text));
            }
            _ => {}
        }
    }

    fn parameters(
        &mut self,
        place: &Place,
        old: &Operation<'a>,
        new: &Operation<'a>,
    ) -> Result<()> {
        let before = self::parameters(self.old, old)?;
        let after = self::parameters(self.new, new)?;
        let id = &place.name;
        for ((within, name), (_, gone)) in
            before.iter().filter(|(key, _)| !after.contains_key(*key))
        {
            if *within != "path" {
                let text = format!("The {within} parameter `{name}` of {id} is gone.");
                self.add(Class::Breaking, gone, text);
            }
        }
        for ((within, name), (parameter, here)) in &after {
            let here = here
                .clone()
                .named(format!("the {within} parameter `{name}` of {id}"));
            match before.get(&(*within, *name)) {
                Some((old, _)) => self.part(Part::Parameter, &here, old, parameter)?,
                // The path's own comparison has told.
                None if *within == "path" => {}
                None if is_required(parameter) => {
                    let text = format!("{id} needs the {within} parameter `{name}`.");
                    self.add(Class::Breaking, &here, sentence(&text));
                }
                None => {
                    let text = format!("{id} takes the {within} parameter `{name}`.");
                    self.add(Class::Compatible, &here, sentence(&text));
                }
            }
        }
        Ok(())
    }

    /// A parameter, a body, an answer, a header or a media type: key by key.
    fn part(&mut self, part: Part, place: &Place, old: &'a Value, new: &'a Value) -> Result<()> {
        for (key, before, after) in pairs(Some(old), Some(new)) {
            let here = place.at(key);
            match key {
                "name" | "in" => {}
                "required" => self.required(part, &here, is_required(old), is_required(new)),
                "schema" => self.schema(&here, before, after, part.way())?,
                "content" => self.content(&here, before, after, part.way())?,
                "headers" => self.headers(&here, before, after)?,
                "deprecated" => self.deprecated(&here, before, after),
                "x-fastvm-key-prefix" | "style" | "explode" | "allowReserved"
                    if before != after =>
                {
                    let text = format!(
                        "{} is sent in another way: `{key}` is {} in place of {}.",
                        place.name,
                        shown(after),
                        shown(before)
                    );
                    self.add(Class::Breaking, &here, sentence(&text));
                }
                "links" => self.words(&here, key, before, after),
                key if WORDS.contains(&key) => self.words(&here, key, before, after),
                key => self.unknown(&here, key, before, after),
            }
        }
        Ok(())
    }

    fn required(&mut self, part: Part, place: &Place, was: bool, is: bool) {
        let (class, what) = match (part, is) {
            _ if was == is => return,
            // It is read where it comes.
            (Part::Header, _) => return,
            (_, true) => (Class::Breaking, "is required now"),
            (Part::Body, false) => (Class::Compatible, "may be left out now"),
            // An argument that becomes a setter breaks programs, not requests.
            (_, false) => (
                Class::Breaking,
                "is optional now: an argument of the method becomes a setter",
            ),
        };
        self.add(class, place, sentence(&format!("{} {what}.", place.name)));
    }

    fn request_body(
        &mut self,
        place: &Place,
        old: Option<&'a Value>,
        new: Option<&'a Value>,
    ) -> Result<()> {
        let id = place.name.clone();
        let (Some(old), Some(new)) = (old, new) else {
            let (class, what) = match new {
                None => (Class::Breaking, "takes no body any more"),
                Some(body) if is_required(body) => (Class::Breaking, "needs a body"),
                Some(_) => (Class::Compatible, "takes a body"),
            };
            self.add(class, place, sentence(&format!("{id} {what}.")));
            return Ok(());
        };
        let (old, _) = followed(self.old, old, place)?;
        let (new, place) = followed(self.new, new, place)?;
        let place = place.named(format!("the body of {id}"));
        self.part(Part::Body, &place, old, new)
    }

    fn responses(
        &mut self,
        place: &Place,
        old: Option<&'a Value>,
        new: Option<&'a Value>,
    ) -> Result<()> {
        let id = place.name.clone();
        let successes = |responses: Option<&'a Value>| {
            let all = pairs(None, responses).into_iter();
            all.filter(|(status, ..)| is_success(status)).count()
        };
        let is_the_last = successes(new) == 0;
        for (status, before, after) in pairs(old, new) {
            let here = place.at(status);
            match (before, after) {
                (Some(before), Some(after)) => {
                    let (before, _) = followed(self.old, before, &here)?;
                    let (after, here) = followed(self.new, after, &here)?;
                    let here = here.named(format!("the {status} answer of {id}"));
                    self.part(Part::Answer, &here, before, after)?;
                }
                (Some(_), None) if is_success(status) && is_the_last => {
                    let text = format!("{id} has no successful answer any more.");
                    self.add(Class::Breaking, &here, sentence(&text));
                }
                (Some(_), None) => {
                    let text = format!("{id} does not name the status {status} any more.");
                    self.add(Class::Compatible, &here, sentence(&text));
                }
                (None, Some(after)) => self.new_response(&here, status, after, old)?,
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// A further success is fine as long as it answers what the others do.
    fn new_response(
        &mut self,
        place: &Place,
        status: &str,
        added: &'a Value,
        old: Option<&'a Value>,
    ) -> Result<()> {
        let (added, _) = followed(self.new, added, place)?;
        let mut fits = true;
        if is_success(status) {
            for (status, _, before) in pairs(None, old) {
                if let Some(before) = before.filter(|_| is_success(status)) {
                    let (before, _) = followed(self.old, before, place)?;
                    fits &= body_types(before) == body_types(added);
                }
            }
        }
        let id = &place.name;
        let (class, text) = match fits {
            true => (Class::Compatible, format!("{id} can answer {status}.")),
            false => (
                Class::Breaking,
                format!("{id} can answer {status} with another body than its other successes."),
            ),
        };
        self.add(class, place, sentence(&text));
        Ok(())
    }

    fn headers(
        &mut self,
        place: &Place,
        old: Option<&'a Value>,
        new: Option<&'a Value>,
    ) -> Result<()> {
        let name = place.name.clone();
        for (header, before, after) in pairs(old, new) {
            let here = place.at(header);
            match (before, after) {
                (Some(_), None) => {
                    let text = format!("{name} has no header `{header}` any more.");
                    self.add(Class::Breaking, &here, sentence(&text));
                }
                (None, _) => {
                    let text = format!("{name} has a header `{header}`.");
                    self.add(Class::Compatible, &here, sentence(&text));
                }
                (Some(before), Some(after)) => {
                    let (before, _) = followed(self.old, before, &here)?;
                    let (after, here) = followed(self.new, after, &here)?;
                    let here = here.named(format!("the header `{header}` of {name}"));
                    self.part(Part::Header, &here, before, after)?;
                }
            }
        }
        Ok(())
    }

    /// Media types, and what they hold.
    fn content(
        &mut self,
        place: &Place,
        old: Option<&'a Value>,
        new: Option<&'a Value>,
        way: Way,
    ) -> Result<()> {
        let name = place.name.clone();
        for (media, before, after) in pairs(old, new) {
            let here = place.at(media);
            match (before, after) {
                (Some(_), None) => {
                    let text = format!("{name} cannot be `{media}` any more.");
                    self.add(Class::Breaking, &here, sentence(&text));
                }
                (None, Some(_)) => {
                    // A further answer is another method, and a first one another result.
                    let class = match old.is_some() || way == Way::Request {
                        true => Class::Compatible,
                        false => Class::Breaking,
                    };
                    self.add(class, &here, sentence(&format!("{name} can be `{media}`.")));
                }
                (Some(before), Some(after)) => self.part(Part::Media(way), &here, before, after)?,
                (None, None) => {}
            }
        }
        Ok(())
    }
}

type Parameters<'a> = BTreeMap<(&'a str, &'a str), (&'a Value, Place)>;

/// All parameters of an operation, its own before those of its path.
fn parameters<'a>(document: &'a Value, operation: &Operation<'a>) -> Result<Parameters<'a>> {
    let item = Place::new("", "").at("paths").at(operation.path);
    let mut found = Parameters::new();
    for (node, place) in [(operation.item, item), (operation.node, operation.place())] {
        let listed = node.get("parameters").and_then(Value::as_array);
        for (index, parameter) in listed.into_iter().flatten().enumerate() {
            let place = place.at("parameters").at(&index.to_string());
            let (parameter, place) = followed(document, parameter, &place)?;
            if let (Some(within), Some(name)) = (text(parameter, "in"), text(parameter, "name")) {
                found.insert((within, name), (parameter, place));
            }
        }
    }
    Ok(found)
}

fn is_required(node: &Value) -> bool {
    node.get("required").and_then(Value::as_bool) == Some(true)
}

fn is_success(status: &str) -> bool {
    status.starts_with('2')
}

/// Media types and their schemas, without words.
fn body_types(response: &Value) -> Vec<(&str, Option<&Value>)> {
    let content = pairs(None, response.get("content")).into_iter();
    content
        .map(|(media, _, node)| (media, node.and_then(|node| node.get("schema"))))
        .collect()
}
