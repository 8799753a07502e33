//! Whatever a document holds: it is refused with a reason, or normalised, and each time alike.

#[path = "../../tests/src/fuzz.rs"]
mod fuzzer;

use std::path::Path;

use crate::{load, normalise};

const WORDS: [&[u8]; 16] = [
    b"{type: object}",
    b"{type: [string, 'null']}",
    b"{$ref: '#/components/schemas/Thing'}",
    b"$ref: '#/components/schemas/",
    b"allOf: [",
    b"oneOf: [",
    b"enum: []",
    b"nullable: true, ",
    b"required: [",
    b"properties: {",
    b"x-fastvm-type: ",
    b"x-fastvm-method: a.b",
    b"null",
    b"'",
    b"\n  ",
    b"{}",
];

#[test]
fn a_document_is_normalised_alike_each_time_or_refused_with_a_reason() {
    let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpora/document"));
    fuzzer::fuzz(corpus, &WORDS, |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return "no text".to_owned();
        };
        let document = match load::parse(text) {
            Ok(document) => document,
            Err(error) => return reason("load", &error),
        };
        let again = normalise::normalise(document.clone());
        match (normalise::normalise(document), again) {
            (Ok(one), Ok(other)) => {
                assert_eq!(one.document, other.document);
                "normalised".to_owned()
            }
            (Err(one), Err(other)) => {
                let reason = reason("normalise", &one);
                assert_eq!(format!("{one:#}"), format!("{other:#}"));
                reason
            }
            _ => panic!("once it is refused, once it is not"),
        }
    });
}

/// What kind of reason it is: its first words, before it quotes the document.
fn reason(step: &str, error: &anyhow::Error) -> String {
    let text = error.root_cause().to_string();
    assert!(!text.is_empty());
    let is_word = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
    let words: Vec<&str> = text.split(' ').filter(is_word).take(4).collect();
    format!("{step}: {}", words.join(" "))
}
