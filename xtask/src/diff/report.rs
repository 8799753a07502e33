//! The differences as text, JSON or Markdown.

use std::fmt::Write;

use clap::ValueEnum;
use serde_json::json;

use super::{Change, Class};

/// How differences are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    /// For a terminal: a line for each.
    Text,
    /// A list of objects with `class`, `pointer` and `sentence`.
    Json,
    /// For a changelog or an issue.
    Markdown,
}

const CLASSES: [Class; 4] = [
    Class::Breaking,
    Class::Unclassified,
    Class::Compatible,
    Class::Documentation,
];

impl Class {
    fn name(self) -> &'static str {
        match self {
            Self::Breaking => "breaking",
            Self::Unclassified => "unclassified",
            Self::Compatible => "compatible",
            Self::Documentation => "documentation",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Breaking => "Breaking",
            Self::Unclassified => "Not classified: look at these",
            Self::Compatible => "Compatible",
            Self::Documentation => "Documentation",
        }
    }
}

/// All differences, in this form.
pub fn print(changes: &[Change], format: Format) -> String {
    match format {
        Format::Text => as_text(changes),
        Format::Json => as_json(changes),
        Format::Markdown => as_markdown(changes),
    }
}

fn as_text(changes: &[Change]) -> String {
    let mut text = String::new();
    for change in changes {
        let Change {
            class,
            pointer,
            sentence,
        } = change;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:13} {sentence}\n{:13} #{pointer}", class.name(), "");
    }
    let counts = CLASSES.map(|class| {
        let count = changes
            .iter()
            .filter(|change| change.class == class)
            .count();
        format!("{count} {}", class.name())
    });
    let _ = writeln!(text, "{}", counts.join(", "));
    text
}

fn as_json(changes: &[Change]) -> String {
    let changes = changes.iter().map(|change| {
        json!({
            "class": change.class.name(),
            "pointer": change.pointer,
            "sentence": change.sentence,
        })
    });
    let list: Vec<_> = changes.collect();
    format!("{:#}\n", json!(list))
}

fn as_markdown(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "The documents do not differ.\n".to_owned();
    }
    let mut text = String::new();
    for class in CLASSES {
        let of_class: Vec<_> = changes
            .iter()
            .filter(|change| change.class == class)
            .collect();
        if of_class.is_empty() {
            continue;
        }
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}### {}\n", class.title());
        for change in of_class {
            let _ = writeln!(text, "- {} (`#{}`)", change.sentence, change.pointer);
        }
    }
    text
}
