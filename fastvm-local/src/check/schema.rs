//! The schemas of the document, and whether a value is as they say.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::OnceLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::{Problem, Step, last_segment};

pub(super) type Schemas = HashMap<String, Schema>;

/// The keywords that the document uses for requests; a test finds those that are missing here.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Schema {
    #[serde(rename = "$ref")]
    pub(super) reference: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<Kind>,
    pub(super) format: Option<String>,
    pub(super) nullable: bool,
    #[serde(rename = "enum")]
    pub(super) allowed: Vec<Value>,
    pub(super) all_of: Vec<Schema>,
    /// Decides between the variants of `oneOf`.
    pub(super) discriminator: Option<Discriminator>,

    pub(super) required: Vec<String>,
    pub(super) properties: BTreeMap<String, Schema>,
    pub(super) additional_properties: Option<Additional>,
    max_properties: Option<usize>,

    pub(super) items: Option<Box<Schema>>,
    min_items: Option<usize>,
    max_items: Option<usize>,

    min_length: Option<usize>,
    max_length: Option<usize>,
    pub(super) pattern: Option<Pattern>,

    pub(super) minimum: Option<Number>,
    maximum: Option<Number>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Additional {
    Any(bool),
    Like(Box<Schema>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Discriminator {
    pub(super) property_name: String,
    pub(super) mapping: BTreeMap<String, String>,
}

impl Schema {
    pub(super) fn check(&self, value: &Value, schemas: &Schemas) -> Result<(), Problem> {
        if value.is_null() && self.nullable {
            return Ok(());
        }
        if let Some(kind) = self.kind {
            kind.check(value)?;
        }
        if let Some(referred) = self.referred(schemas) {
            referred.check(value, schemas)?;
        }
        for part in &self.all_of {
            part.check(value, schemas)?;
        }
        if let Some(discriminator) = &self.discriminator {
            discriminator.check(value, schemas)?;
        }
        if !self.allowed.is_empty() && !self.allowed.contains(value) {
            return Err(not_one_of(self.allowed.iter().filter_map(Value::as_str)));
        }
        match value {
            Value::Object(fields) => self.check_fields(fields, schemas),
            Value::Array(elements) => self.check_elements(elements, schemas),
            Value::String(text) => self.check_text(text),
            Value::Number(number) => self.check_number(number),
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }

    fn referred<'s>(&self, schemas: &'s Schemas) -> Option<&'s Self> {
        schemas.get(last_segment(self.reference.as_deref()?))
    }

    fn check_fields(&self, fields: &Map<String, Value>, schemas: &Schemas) -> Result<(), Problem> {
        if let Some(missing) = self
            .required
            .iter()
            .find(|name| !fields.contains_key(*name))
        {
            return Err(Problem::new("missing").within(Step::Field(missing.clone())));
        }
        if let Some(most) = self.max_properties.filter(|most| fields.len() > *most) {
            return Err(Problem::new(format!("more than {most} keys")));
        }
        for (name, value) in fields {
            let in_field = |problem: Problem| problem.within(Step::Field(name.clone()));
            match (self.entry(name), &self.additional_properties) {
                (Some(schema), _) => schema.check(value, schemas).map_err(in_field)?,
                (None, Some(Additional::Any(false))) => {
                    return Err(in_field(Problem::new("unknown")));
                }
                (None, _) => {}
            }
        }
        Ok(())
    }

    /// The schema of a field of an object.
    pub(super) fn entry(&self, name: &str) -> Option<&Self> {
        match &self.additional_properties {
            Some(Additional::Like(schema)) => Some(self.properties.get(name).unwrap_or(schema)),
            Some(Additional::Any(_)) | None => self.properties.get(name),
        }
    }

    fn check_elements(&self, elements: &[Value], schemas: &Schemas) -> Result<(), Problem> {
        let count = elements.len();
        if let Some(least) = self.min_items.filter(|least| count < *least) {
            return Err(Problem::new(format!("fewer than {least} elements")));
        }
        if let Some(most) = self.max_items.filter(|most| count > *most) {
            return Err(Problem::new(format!("more than {most} elements")));
        }
        let Some(schema) = &self.items else {
            return Ok(());
        };
        for (index, element) in elements.iter().enumerate() {
            schema
                .check(element, schemas)
                .map_err(|problem| problem.within(Step::Element(index)))?;
        }
        Ok(())
    }

    fn check_text(&self, text: &str) -> Result<(), Problem> {
        let shorter_than = |limit: usize| text.chars().nth(limit.saturating_sub(1)).is_none();
        if let Some(least) = self
            .min_length
            .filter(|least| *least > 0 && shorter_than(*least))
        {
            return Err(Problem::new(format!("shorter than {least} characters")));
        }
        if let Some(most) = self.max_length.filter(|most| !shorter_than(most + 1)) {
            return Err(Problem::new(format!("longer than {most} characters")));
        }
        match &self.pattern {
            Some(pattern) if !pattern.matches(text) => {
                Err(Problem::new(format!("not of the form {pattern}")))
            }
            _ => Ok(()),
        }
    }

    fn check_number(&self, number: &Number) -> Result<(), Problem> {
        if self.kind == Some(Kind::Integer) && !self.holds(number) {
            return Err(Problem::new("out of range"));
        }
        let is_below = |a: &Number, b: &Number| a.as_f64() < b.as_f64();
        if let Some(least) = self
            .minimum
            .as_ref()
            .filter(|least| is_below(number, least))
        {
            return Err(Problem::new(format!("less than {least}")));
        }
        if let Some(most) = self.maximum.as_ref().filter(|most| is_below(most, number)) {
            return Err(Problem::new(format!("more than {most}")));
        }
        Ok(())
    }

    /// Whether a whole number fits the type that the format stands for.
    fn holds(&self, number: &Number) -> bool {
        let Some(number) = number.as_i64() else {
            return false;
        };
        self.format.as_deref() != Some("int32") || i32::try_from(number).is_ok()
    }

    /// The value that a text in a query stands for.
    pub(super) fn read(&self, text: Cow<'_, str>, schemas: &Schemas) -> Value {
        let is_text = matches!(self.resolved_kind(schemas), None | Some(Kind::String));
        let plain = (!is_text).then(|| serde_json::from_str(&text).ok());
        plain
            .flatten()
            .unwrap_or_else(|| Value::String(text.into_owned()))
    }

    fn resolved_kind(&self, schemas: &Schemas) -> Option<Kind> {
        let referred = self.referred(schemas);
        self.kind.or_else(|| referred?.resolved_kind(schemas))
    }
}

impl Kind {
    fn check(self, value: &Value) -> Result<(), Problem> {
        let is_kind = match (self, value) {
            (Self::Integer, Value::Number(number)) => is_whole(number),
            (Self::Object, Value::Object(_))
            | (Self::Array, Value::Array(_))
            | (Self::String, Value::String(_))
            | (Self::Number, Value::Number(_))
            | (Self::Boolean, Value::Bool(_)) => true,
            _ => false,
        };
        if is_kind {
            return Ok(());
        }
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        Err(Problem::new(format!("{found}, not {self}")))
    }
}

/// Written without fraction and exponent. Where it is beyond 64 bits, it is out of range instead.
fn is_whole(number: &Number) -> bool {
    const TWO_TO_THE_64: f64 = 18_446_744_073_709_551_616.0;
    let is_float = number.is_f64();
    !is_float
        || number
            .as_f64()
            .is_some_and(|float| float.abs() >= TWO_TO_THE_64 / 2.0)
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Object => "an object",
            Self::Array => "a list",
            Self::String => "a string",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
        })
    }
}

impl Discriminator {
    fn check(&self, value: &Value, schemas: &Schemas) -> Result<(), Problem> {
        Kind::Object.check(value)?;
        let in_tag = |problem: Problem| problem.within(Step::Field(self.property_name.clone()));
        let tag = value
            .get(&self.property_name)
            .ok_or_else(|| in_tag(Problem::new("missing")))?;
        Kind::String.check(tag).map_err(in_tag)?;
        let variant = tag
            .as_str()
            .and_then(|tag| self.mapping.get(tag))
            .ok_or_else(|| in_tag(not_one_of(self.mapping.keys().map(String::as_str))))?;
        match schemas.get(last_segment(variant)) {
            Some(variant) => variant.check(value, schemas),
            None => Ok(()),
        }
    }
}

fn not_one_of<'a>(allowed: impl Iterator<Item = &'a str>) -> Problem {
    let allowed: Vec<_> = allowed.map(|value| format!("{value:?}")).collect();
    Problem::new(match allowed.as_slice() {
        [only] => format!("not {only}"),
        _ => format!("not one of {}", allowed.join(", ")),
    })
}

/// A regular expression, compiled when it is first needed.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(super) struct Pattern {
    text: String,
    regex: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        self.regex().is_none_or(|regex| regex.is_match(text))
    }

    /// `None` if it is not one that can be compiled, which a test rules out.
    pub(super) fn regex(&self) -> Option<&Regex> {
        let compiled = self.regex.get_or_init(|| Regex::new(&self.text).ok());
        compiled.as_ref()
    }
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self {
            text,
            regex: OnceLock::new(),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
