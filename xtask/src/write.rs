//! Prints the generated files, writes them, and tells whether the committed ones are current.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use serde_json::Value;

use crate::names::ident;
use crate::refine::Refined;
use crate::tree::{Module, SetterMacro, Tree};

/// Contents by path below the folder of generated files.
pub type Files = BTreeMap<PathBuf, String>;

const HEADER: &str = "// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.\n\n";

pub fn render(document: &Value, refined: Refined, tree: Tree) -> Result<Files> {
    let mut files = Files::new();
    let mut add = |path: &str, docs: &str, items: TokenStream| -> Result<()> {
        let docs = crate::refine::docs(docs);
        // Inner docs: `//!`.
        let docs: TokenStream = docs
            .to_string()
            .replace("# [doc", "# ! [doc")
            .parse()
            .map_err(|e| anyhow::anyhow!("{e}"))?;
        let file: syn::File = syn::parse2(quote!(#docs #items))
            .with_context(|| format!("{path} would not be Rust"))?;
        files.insert(path.into(), format!("{HEADER}{}", readable(&file)));
        Ok(())
    };
    let Refined { types, methods, .. } = refined;
    let methods: Vec<_> = methods.iter().map(|method| &method.function).collect();
    let maps = quote!(#(#methods)*)
        .to_string()
        .contains("BTreeMap")
        .then(|| {
            quote!(
                use std::collections::BTreeMap;
            )
        });
    let times = quote!(#(#methods)*)
        .to_string()
        .contains("DateTime")
        .then(|| {
            quote!(
                use chrono::{DateTime, Utc};
            )
        });
    let conversions = tree.conversions;
    add(
        "types.rs",
        "What requests and answers are made of.\n\nStructs have their required fields as arguments of `new` and a setter for each other field; sets of values keep those this version does not know.",
        quote! {
            use std::collections::BTreeMap;

            pub use chrono::{DateTime, Utc};
            use serde::{Deserialize, Serialize};

            use crate::patch::Patch;
            use crate::values::open_enum;

            #(#types)*
            #conversions
        },
    )?;
    add(
        "raw.rs",
        "The requests as progenitor builds them; the resource tree sends them.",
        quote! {
            #maps
            #times
            use progenitor_client::{Error, encode_path};
            use reqwest::Request;

            use crate::types;

            pub(crate) struct Client {
                pub(crate) baseurl: reqwest::Url,
                pub(crate) client: reqwest::Client,
            }
            impl Client { #(#methods)* }
        },
    )?;
    let operations = tree.operations;
    add(
        "operations.rs",
        "What the client knows of each operation before it is called.",
        quote!(use crate::call::Operation; #operations),
    )?;
    for module in &tree.modules {
        add(&module_path(module), &module.docs, with_imports(module))?;
    }
    let tops = tree
        .modules
        .iter()
        .filter(|module| module.path.len() == 1)
        .map(|module| ident(&module.path[0]));
    add(
        "mod.rs",
        "Everything made of the document.",
        quote! {
            #[macro_use]
            mod setters;
            pub mod operations;
            pub(crate) mod raw;
            pub mod types;
            #(pub mod #tops;)*
        },
    )?;
    let setters = render_setters(&tree.setters)? + &render_table(&tree.table);
    files.insert("setters.rs".into(), setters);
    files.insert(
        "openapi.json".into(),
        serde_json::to_string_pretty(document)? + "\n",
    );
    Ok(files)
}

/// prettyplease packs everything; blank lines between items and methods make it readable.
fn readable(file: &syn::File) -> String {
    let text = prettyplease::unparse(file);
    let mut lines = text.lines().peekable();
    let mut spaced = String::with_capacity(text.len() + text.len() / 16);
    while let Some(line) = lines.next() {
        spaced += line;
        spaced.push('\n');
        let Some(next) = lines.peek() else { break };
        let closes = matches!(line, "}" | "    }" | "});")
            || (line.starts_with("open_enum!") && line.ends_with(';'));
        let goes_on =
            next.trim_start().starts_with(['}', ')', '.']) || next.trim_start().starts_with("else");
        let imports_end =
            line.starts_with("use ") && !next.starts_with("use ") && !next.starts_with("    ");
        let docs_end = line.starts_with("//!") && !next.starts_with("//!");
        if (closes && !goes_on) || imports_end || docs_end {
            spaced.push('\n');
        }
    }
    spaced
}

/// Macro bodies are not formatted: the methods are printed as an `impl`, whose lines are put into
/// the macro.
fn render_setters(setters: &[SetterMacro]) -> Result<String> {
    let mut text =
        format!("{HEADER}//! The setters of each request, for overrides that carry it.\n");
    for SetterMacro { name, setters } in setters {
        let file: syn::File = syn::parse2(quote!(impl Setters { #setters }))?;
        let printed = readable(&file)
            .replace("__request", "$request")
            .replace("__crate", "$crate");
        let body = printed
            .trim_end()
            .strip_prefix("impl Setters {")
            .and_then(|body| body.strip_suffix('}'))
            .map(|body| body.trim_matches('\n'));
        let body = body.context("the setters were not printed as an impl")?;
        text += &format!(
            "\n#[doc(hidden)]\n#[macro_export]\nmacro_rules! {name} {{\n    ($request:ident) => {{\n"
        );
        for line in body.lines() {
            text += &if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("    {line}\n")
            };
        }
        text += "    };\n}\n";
    }
    Ok(text)
}

/// The table of all operations, for a chapter of `fastvm`, which its links are for.
fn render_table(table: &str) -> String {
    format!(
        "\n#[doc(hidden)]\n#[macro_export]\nmacro_rules! __operations_table {{\n    () => {{\n        r#\"{table}\"#\n    }};\n}}\n"
    )
}

fn module_path(module: &Module) -> String {
    let path = module.path.join("/");
    if module.children.is_empty() {
        format!("{path}.rs")
    } else {
        format!("{path}/mod.rs")
    }
}

fn with_imports(module: &Module) -> TokenStream {
    let items = &module.items;
    let children = module.children.iter().map(|child| ident(child));
    let names = |name: &str| names_ident(items.clone(), name);
    let phantom = names("PhantomData").then(|| {
        quote!(
            use std::marker::PhantomData;
        )
    });
    let byte_stream = names("ByteStream").then(|| {
        quote!(
            use crate::ByteStream;
        )
    });
    let builders = names("Pending").then(|| {
        quote! {
            use crate::{ResponseValue, Result, operations};
            use crate::call::{Call, Pending};
        }
    });
    let types = names("types").then(|| {
        quote!(
            use crate::types;
        )
    });
    quote! {
        #(pub mod #children;)*

        #phantom

        use crate::Client;
        #byte_stream
        #builders
        #types
        #items
    }
}

/// Whether code names this; what docs say does not count.
fn names_ident(tokens: TokenStream, name: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Group(group) => names_ident(group.stream(), name),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Writes what differs and removes what is no longer made. Answers how many files changed.
pub fn write(folder: &Path, files: &Files) -> Result<usize> {
    let mut changed = 0;
    for (path, text) in files {
        let path = folder.join(path);
        if fs::read_to_string(&path).is_ok_and(|old| old == *text) {
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make {}", parent.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        changed += 1;
    }
    for stray in strays(folder, files)? {
        fs::remove_file(&stray).with_context(|| format!("cannot remove {}", stray.display()))?;
        changed += 1;
    }
    Ok(changed)
}

/// Describes the first lines in which the committed files differ from `files`.
pub fn first_difference(folder: &Path, files: &Files) -> Result<Option<String>> {
    for (path, new) in files {
        let Ok(old) = fs::read_to_string(folder.join(path)) else {
            return Ok(Some(format!("{} is missing", folder.join(path).display())));
        };
        if let Some(difference) = differing_lines(&old, new) {
            return Ok(Some(format!(
                "{}:{difference}",
                folder.join(path).display()
            )));
        }
    }
    let stray = strays(folder, files)?.into_iter().next();
    Ok(stray.map(|path| format!("{} is no longer generated", path.display())))
}

fn differing_lines(old: &str, new: &str) -> Option<String> {
    if old == new {
        return None;
    }
    let (mut old, mut new, mut number) = (old.split('\n'), new.split('\n'), 1);
    loop {
        match (old.next(), new.next()) {
            (Some(old), Some(new)) if old == new => number += 1,
            (old, new) => {
                let line = |line: Option<&str>| line.unwrap_or("(end of file)").to_owned();
                return Some(format!("{number}\n- {}\n+ {}", line(old), line(new)));
            }
        }
    }
}

/// Files in the folder that this document does not make.
fn strays(folder: &Path, files: &Files) -> Result<Vec<PathBuf>> {
    let mut strays = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(current) = open.pop() {
        let Ok(entries) = fs::read_dir(&current) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if !path
                .strip_prefix(folder)
                .is_ok_and(|path| files.contains_key(path))
            {
                strays.push(path);
            }
        }
    }
    strays.sort();
    Ok(strays)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_differing_lines_are_shown_with_their_number() {
        let difference = differing_lines("a\nb\nc\n", "a\nB\nc\n").unwrap();
        assert_eq!(difference, "2\n- b\n+ B");
        assert_eq!(differing_lines("a\n", "a\nb\n").unwrap(), "2\n- \n+ b");
        assert_eq!(differing_lines("a\n", "a\n"), None);
    }

    /// Whatever a hash map's order, which differs from one to the next.
    #[test]
    fn regenerating_gives_the_same_bytes_each_time() {
        let document = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi.yaml"));
        let (first, _) = crate::regen(document).unwrap();
        let (second, _) = crate::regen(document).unwrap();
        assert!(!first.is_empty());
        assert!(first == second, "the files differ");
    }
}
