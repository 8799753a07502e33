//! Turns progenitor's types into types that read as if written by hand: docs from the document,
//! open enums, three-state patches, secrets that stay out of `Debug`, constructors and setters.
//! Of the raw client only what the resource tree calls is kept.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, Fields, Ident, ImplItem, Item, ItemEnum, ItemStruct, Type};

use crate::model::{Kind, KnownValue, Model, Property, Schema};
use crate::names::{self, ident};

pub struct Refined {
    pub types: Vec<TokenStream>,
    pub structs: Vec<Struct>,
    pub enums: BTreeSet<String>,
    pub methods: Vec<RawMethod>,
}

/// How progenitor builds the request of an operation.
pub struct RawMethod {
    pub function: syn::ImplItemFn,
    /// What the operation answers.
    pub answer: Type,
}

/// A struct as the tree and the setters need to know it.
pub struct Struct {
    pub name: Ident,
    pub fields: Vec<Field>,
}

pub struct Field {
    pub name: Ident,
    pub wire: String,
    pub docs: String,
    pub required: bool,
    pub secret: bool,
    pub presence: Presence,
    /// The type without what `presence` adds to it.
    pub ty: Type,
}

/// What a field adds around its type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    Always,
    /// `Option<T>`, left out when `None`.
    Optional,
    /// `Option<T>`, always there and perhaps null.
    Nullable,
    /// `Patch<T>`.
    Patch,
    /// A list or map of an answer: empty when left out.
    OrEmpty,
}

impl Refined {
    pub fn get(&self, name: &str) -> Option<&Struct> {
        self.structs.iter().find(|found| found.name == name)
    }
}

pub fn refine(file: syn::File, model: &Model) -> Result<Refined> {
    let mut refined = Refined {
        types: Vec::new(),
        structs: Vec::new(),
        enums: BTreeSet::new(),
        methods: Vec::new(),
    };
    let mut seen = BTreeSet::new();
    for schema in &model.schemas {
        if matches!(schema.kind, Kind::Values(_)) {
            refined.enums.insert(schema.name.clone());
        }
    }
    let (types, rest) = split(file)?;
    for item in types {
        let name = match &item {
            Item::Struct(item) => item.ident.to_string(),
            Item::Enum(item) => item.ident.to_string(),
            // Conversions and impls: ours are written with the types.
            Item::Impl(_) | Item::Mod(_) | Item::Use(_) => continue,
            other => bail!(
                "progenitor wrote an item that `refine` does not know: {}",
                other.to_token_stream()
            ),
        };
        let schema = model.schema(&name).with_context(|| {
            format!("type {name} belongs to no schema of the document: give what it comes from a name in `components`")
        })?;
        let tokens = match item {
            Item::Struct(item) => {
                let refined_struct = read_struct(item, schema)?;
                let tokens = write_struct(&refined_struct, schema, &refined.enums);
                refined.structs.push(refined_struct);
                tokens
            }
            Item::Enum(item) => match &schema.kind {
                Kind::Values(values) => write_values(&schema.name, &schema.docs, values),
                _ => write_union(item, schema),
            },
            _ => continue,
        };
        seen.insert(name);
        refined.types.push(tokens);
    }
    // A fact that found no type was noted under a name that progenitor does not use.
    for schema in &model.schemas {
        if !seen.contains(&schema.name) {
            bail!(
                "schema {} became no type of its name: its docs and secrets would be lost",
                schema.name
            );
        }
    }
    refined.methods = raw_methods(rest)?;
    Ok(refined)
}

fn split(file: syn::File) -> Result<(Vec<Item>, Vec<Item>)> {
    let mut types = None;
    let mut rest = Vec::new();
    for item in file.items {
        match item {
            Item::Mod(module) if module.ident == "types" => {
                types = module.content.map(|(_, items)| items)
            }
            item => rest.push(item),
        }
    }
    Ok((types.context("progenitor wrote no module `types`")?, rest))
}

/// Of the raw client: how it builds requests. Gone are a constructor that panics and sets a total timeout,
/// re-exports, a prelude, and how requests are sent and answers read: see `fastvm-api/src/exchange.rs`.
fn raw_methods(rest: Vec<Item>) -> Result<Vec<RawMethod>> {
    let impls = rest.into_iter().filter_map(|item| match item {
        Item::Impl(item) if item.trait_.is_none() => Some(item),
        _ => None,
    });
    let items = impls.flat_map(|item| item.items);
    items
        .filter_map(|item| match item {
            ImplItem::Fn(method) if method.sig.asyncness.is_some() => Some(raw_method(method)),
            _ => None,
        })
        .collect()
}

fn raw_method(mut method: syn::ImplItemFn) -> Result<RawMethod> {
    ShortenPaths.visit_impl_item_fn_mut(&mut method);
    method.attrs.clear();
    drop_version_header(&mut method);
    UrlOfPath.visit_block_mut(&mut method.block);
    let name = &method.sig.ident;
    let answer = answer_type(&method.sig.output)
        .with_context(|| format!("the raw method {name} has an unknown shape"))?;
    end_with_request(&mut method.block.stmts)
        .with_context(|| format!("the raw method {name} builds no request that is known"))?;
    method.sig.asyncness = None;
    method.sig.output = syn::parse_quote!(-> Result<Request, Error<()>>);
    Ok(RawMethod {
        function: method,
        answer,
    })
}

/// `Result<ResponseValue<T>, Error<()>>` → `T`.
fn answer_type(output: &syn::ReturnType) -> Option<Type> {
    let syn::ReturnType::Type(_, ty) = output else {
        return None;
    };
    let value = generic_argument(ty, "Result")?;
    generic_argument(value, "ResponseValue").cloned()
}

/// `let request = ..; let info = ..; ..` → `Ok(..)`
fn end_with_request(statements: &mut Vec<syn::Stmt>) -> Option<()> {
    let is_info = |statement: &syn::Stmt| matches!(statement, syn::Stmt::Local(local) if pattern_is(&local.pat, "info"));
    let end = statements.iter().position(is_info)?;
    statements.truncate(end);
    match statements.pop()? {
        syn::Stmt::Local(local) if pattern_is(&local.pat, "request") => {
            let request = local.init?.expr;
            statements.push(syn::Stmt::Expr(syn::parse_quote!(Ok(#request)), None));
            Some(())
        }
        _ => None,
    }
}

fn pattern_is(pattern: &syn::Pat, name: &str) -> bool {
    matches!(pattern, syn::Pat::Ident(pattern) if pattern.ident == name)
}

/// The API knows nothing of the `api-version` that progenitor has each request carry.
fn drop_version_header(method: &mut syn::ImplItemFn) {
    let mentions = |statement: &syn::Stmt, what: &str| {
        let text = statement.to_token_stream().to_string();
        text.contains(what)
    };
    let statements = &mut method.block.stmts;
    statements.retain(|statement| !mentions(statement, "\"api-version\""));
    let uses = statements.iter();
    // Where it is made, and where it is sent: no header is left in it.
    if uses.filter(|one| mentions(one, "header_map")).count() == 2 {
        statements.retain(|statement| !mentions(statement, "let mut header_map"));
        DropHeaderMap.visit_block_mut(&mut method.block);
    }
}

/// `format!("{}/a/{}", self.baseurl, b)` → `crate::exchange::below(&self.baseurl, &format!("/a/{}", b))`, which
/// parses no more than the path.
struct UrlOfPath;

impl VisitMut for UrlOfPath {
    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        visit_mut::visit_expr_mut(self, expression);
        let Expr::Macro(call) = expression else {
            return;
        };
        let arguments = call
            .mac
            .parse_body_with(Punctuated::<Expr, syn::Token![,]>::parse_terminated);
        let arguments: Vec<Expr> = arguments.into_iter().flatten().collect();
        let [Expr::Lit(format), base, rest @ ..] = &arguments[..] else {
            return;
        };
        let syn::Lit::Str(format) = &format.lit else {
            return;
        };
        let format = format.value();
        let is_base = base.to_token_stream().to_string() == "self . baseurl";
        let Some(path) = format.strip_prefix("{}").filter(|_| is_base) else {
            return;
        };
        *expression = match rest {
            [] => syn::parse_quote!(crate::exchange::below(&self.baseurl, #path)),
            rest => {
                syn::parse_quote!(crate::exchange::below(
                    &self.baseurl,
                    &format!(#path, #(#rest),*)
                ))
            }
        };
    }
}

/// `request.headers(header_map)` → `request`
struct DropHeaderMap;

impl VisitMut for DropHeaderMap {
    fn visit_expr_mut(&mut self, expression: &mut Expr) {
        visit_mut::visit_expr_mut(self, expression);
        if let Expr::MethodCall(call) = expression
            && call.method == "headers"
            && let [Expr::Path(argument)] = &*call.args.iter().collect::<Vec<_>>()
            && argument.path.is_ident("header_map")
        {
            *expression = (*call.receiver).clone();
        }
    }
}

fn read_struct(item: ItemStruct, schema: &Schema) -> Result<Struct> {
    let Kind::Object(properties) = &schema.kind else {
        bail!("schema {} is no object, but became a struct", schema.name);
    };
    let fields = match item.fields {
        Fields::Named(fields) => fields.named,
        Fields::Unit => Default::default(),
        Fields::Unnamed(_) => bail!(
            "schema {} became a newtype, which answers could fail to fit: see `normalise::inline_plain_components`",
            schema.name
        ),
    };
    let mut read = Vec::new();
    for property in properties {
        let generated = fields
            .iter()
            .find(|field| wire_name(field).as_deref() == Some(&property.wire));
        let generated = generated.with_context(|| {
            format!(
                "{}.{} became no field: its facts would be lost",
                schema.name, property.wire
            )
        })?;
        let field = read_field(generated.ty.clone(), property, schema);
        if let Some(other) = read.iter().find(|other: &&Field| other.name == field.name) {
            bail!(
                "schema {}: the properties `{}` and `{}` would both be `{}`",
                schema.name,
                other.wire,
                field.wire,
                field.name
            );
        }
        read.push(field);
    }
    if fields.len() != properties.len() {
        bail!(
            "schema {} has {} properties, but its type has {} fields",
            schema.name,
            properties.len(),
            fields.len()
        );
    }
    Ok(Struct {
        name: ident(&schema.name),
        fields: read,
    })
}

/// The name of a field on the wire: its serde rename or its own.
fn wire_name(field: &syn::Field) -> Option<String> {
    let mut name = field.ident.as_ref().map(ToString::to_string);
    for attribute in field
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"))
    {
        // Other arguments of the attribute are parsed over.
        let _ = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("rename") {
                name = Some(meta.value()?.parse::<syn::LitStr>()?.value());
            } else if meta.input.peek(syn::Token![=]) {
                meta.value()?.parse::<syn::Expr>()?;
            }
            Ok(())
        });
    }
    name
}

fn read_field(mut ty: Type, property: &Property, schema: &Schema) -> Field {
    ShortenPaths.visit_type_mut(&mut ty);
    let ty = generic_argument(&ty, "Option").cloned().unwrap_or(ty);
    let collection = is_collection(&ty);
    let presence = match (property.required, property.nullable) {
        (true, false) => Presence::Always,
        (true, true) => Presence::Nullable,
        // A request must be able to say "keep", "clear" and "set".
        (false, true) if schema.in_request => Presence::Patch,
        // ... and to tell an empty list from none: `metadata: {}` clears.
        (false, _) if collection && !schema.in_request => Presence::OrEmpty,
        (false, _) => Presence::Optional,
    };
    Field {
        name: ident(&names::field_name(&property.wire)),
        wire: property.wire.clone(),
        docs: property.docs.clone(),
        required: property.required,
        secret: property.secret,
        presence,
        ty,
    }
}

fn write_struct(item: &Struct, schema: &Schema, enums: &BTreeSet<String>) -> TokenStream {
    let name = &item.name;
    let docs = docs(&schema.docs);
    let fields = item.fields.iter().map(write_field);
    let required: Vec<_> = item.fields.iter().filter(|field| field.required).collect();
    let default = required.is_empty().then(|| quote!(Default,));
    let any_secret = schema.secret || item.fields.iter().any(|field| field.secret);
    let derive_debug = (!any_secret).then(|| quote!(Debug,));
    let debug = any_secret.then(|| write_debug(item, schema));
    let arguments = required.iter().map(|field| argument(field, enums));
    let values = item.fields.iter().map(|field| {
        let name = &field.name;
        if !field.required {
            return match field.presence {
                Presence::Optional => quote!(#name: None),
                Presence::Patch => quote!(#name: Patch::Keep),
                _ => quote!(#name: Default::default()),
            };
        }
        let value = argument_value(field, enums);
        if *name == value.to_string() {
            quote!(#name)
        } else {
            quote!(#name: #value)
        }
    });
    let new_docs = match required.len() {
        0 => "An empty one, to be filled by its setters.",
        _ => "One with its required fields; the others are set by the methods of their names.",
    };
    let new_docs = self::docs(new_docs);
    let setters = item
        .fields
        .iter()
        .filter(|field| !field.required)
        .map(|field| setter(field, &field.name, enums));
    quote! {
        #docs
        #[derive(Clone, #derive_debug #default PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
        #[non_exhaustive]
        pub struct #name { #(#fields,)* }

        impl #name {
            #new_docs
            #[allow(clippy::too_many_arguments, clippy::new_without_default)]
            pub fn new(#(#arguments),*) -> Self {
                Self { #(#values,)* }
            }
            #(#setters)*
        }

        #debug
    }
}

fn write_field(field: &Field) -> TokenStream {
    let Field { name, wire, ty, .. } = field;
    let docs = docs(&field.docs);
    let rename = (name != wire).then(|| quote!(rename = #wire,));
    let (rules, ty) = match field.presence {
        Presence::Always => (quote!(), quote!(#ty)),
        Presence::Nullable => (quote!(), quote!(Option<#ty>)),
        Presence::Optional => (
            quote!(default, skip_serializing_if = "Option::is_none"),
            quote!(Option<#ty>),
        ),
        Presence::Patch => (
            quote!(default, skip_serializing_if = "Patch::is_keep"),
            quote!(Patch<#ty>),
        ),
        Presence::OrEmpty => {
            let is_empty = match generic_argument(ty, "Vec") {
                Some(_) => "Vec::is_empty",
                None => "BTreeMap::is_empty",
            };
            (
                quote!(default, skip_serializing_if = #is_empty),
                quote!(#ty),
            )
        }
    };
    let serde = (!rules.is_empty() || rename.is_some()).then(|| quote!(#[serde(#rename #rules)]));
    quote! { #docs #serde pub #name: #ty }
}

/// `Debug` that says that a secret is there, never what it is.
fn write_debug(item: &Struct, schema: &Schema) -> TokenStream {
    let name = &item.name;
    let text = name.to_string();
    let fields = item.fields.iter().map(|field| {
        let (name, label) = (&field.name, field.name.to_string());
        match schema.secret || field.secret {
            false => quote!(.field(#label, &self.#name)),
            true => quote!(.field(#label, &format_args!("[redacted]"))),
        }
    });
    quote! {
        impl std::fmt::Debug for #name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(#text) #(#fields)* .finish()
            }
        }
    }
}

fn write_values(name: &str, text: &str, values: &[KnownValue]) -> TokenStream {
    let name = ident(name);
    let docs = docs(text);
    let variants = values.iter().map(|value| {
        let (variant, wire) = (ident(&value.variant), &value.wire);
        let text = if value.docs.is_empty() {
            format!("`{wire}`")
        } else {
            format!("`{wire}`: {}", value.docs)
        };
        let docs = self::docs(&text);
        quote!(#docs #variant)
    });
    let pairs = values.iter().map(|value| {
        let (variant, wire) = (ident(&value.variant), &value.wire);
        quote!(#variant = #wire)
    });
    quote! {
        #docs
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum #name {
            #(#variants,)*
            /// A value that this version does not know.
            Unknown(String),
        }

        open_enum!(#name { #(#pairs,)* });
    }
}

/// A union keeps the shape that typify gave it, with our derives and docs.
fn write_union(mut item: ItemEnum, schema: &Schema) -> TokenStream {
    ShortenPaths.visit_item_enum_mut(&mut item);
    let keep_serde = |attribute: &syn::Attribute| attribute.path().is_ident("serde");
    let (name, text) = (&item.ident, item.ident.to_string());
    let docs = docs(&schema.docs);
    let serde: Vec<_> = item
        .attrs
        .iter()
        .filter(|attribute| keep_serde(attribute))
        .cloned()
        .collect();
    for variant in &mut item.variants {
        variant.attrs.retain(keep_serde);
        let wire = variant
            .attrs
            .iter()
            .find_map(serde_rename)
            .unwrap_or_else(|| variant.ident.to_string());
        variant.attrs.extend(doc_attributes(&format!("`{wire}`")));
        for field in &mut variant.fields {
            field.attrs.retain(keep_serde);
            if field.ident.is_some() {
                field
                    .attrs
                    .extend(doc_attributes("What this variant holds."));
            }
        }
    }
    let variants = &item.variants;
    let derive_debug = (!schema.secret).then(|| quote!(Debug,));
    let debug = schema.secret.then(|| {
        quote! {
            impl std::fmt::Debug for #name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str(concat!(#text, "([redacted])"))
                }
            }
        }
    });
    quote! {
        #docs
        #[derive(Clone, #derive_debug PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
        #(#serde)*
        #[non_exhaustive]
        pub enum #name { #variants }
        #debug
    }
}

fn serde_rename(attribute: &syn::Attribute) -> Option<String> {
    let mut name = None;
    let _ = attribute.parse_nested_meta(|meta| {
        if meta.path.is_ident("rename") {
            name = Some(meta.value()?.parse::<syn::LitStr>()?.value());
        }
        Ok(())
    });
    name
}

/// How a required field is passed: `name: impl Into<String>`.
pub fn argument(field: &Field, enums: &BTreeSet<String>) -> TokenStream {
    let (name, ty) = (&field.name, &field.ty);
    let into = into_bound(ty, enums);
    let ty = match (field.presence, generic_argument(ty, "Vec")) {
        (Presence::Nullable, _) => quote!(Option<#ty>),
        (_, Some(item)) => {
            let item = into_bound(item, enums).unwrap_or_else(|| quote!(#item));
            quote!(impl IntoIterator<Item = #item>)
        }
        (_, None) => into.unwrap_or_else(|| quote!(#ty)),
    };
    quote!(#name: #ty)
}

/// The value of a field, of an argument passed as `argument` says.
pub fn argument_value(field: &Field, enums: &BTreeSet<String>) -> TokenStream {
    let (name, ty) = (&field.name, &field.ty);
    match (field.presence, generic_argument(ty, "Vec")) {
        (Presence::Nullable, _) => quote!(#name),
        (_, Some(item)) if into_bound(item, enums).is_some() => {
            quote!(#name.into_iter().map(Into::into).collect())
        }
        (_, Some(_)) => quote!(#name.into_iter().collect()),
        (_, None) if into_bound(ty, enums).is_some() => quote!(#name.into()),
        (_, None) => quote!(#name),
    }
}

/// The setters of an optional field: one, or for a list or map one that adds and one that replaces.
pub fn setter(field: &Field, name: &Ident, enums: &BTreeSet<String>) -> TokenStream {
    let docs = docs(&field.docs);
    let target = &field.name;
    setter_signatures(field, name, enums)
        .into_iter()
        .map(
            |SetterSignature {
                 name,
                 arguments,
                 adds,
                 more_docs,
                 ..
             }| {
                let statement = match (adds, field.presence) {
                    (None, Presence::Patch) => quote!(self.#target = #target.into();),
                    (None, Presence::OrEmpty) => quote!(self.#target = #target;),
                    (None, _) => {
                        let value = match into_bound(&field.ty, enums) {
                            Some(_) => quote!(#target.into()),
                            None => quote!(#target),
                        };
                        quote!(self.#target = Some(#value);)
                    }
                    (Some(add), Presence::OrEmpty) => quote!(self.#target.#add;),
                    (Some(add), _) => quote!(self.#target.get_or_insert_default().#add;),
                };
                let more_docs = self::docs(&more_docs);
                quote! {
                    #docs
                    #more_docs
                    pub fn #name(mut self, #arguments) -> Self {
                        #statement
                        self
                    }
                }
            },
        )
        .collect()
}

pub struct SetterSignature {
    pub name: Ident,
    pub arguments: TokenStream,
    /// The names of the arguments, to pass them on.
    pub passed: TokenStream,
    /// The call that adds one item, for setters that add.
    pub adds: Option<TokenStream>,
    pub more_docs: String,
}

pub fn setter_signatures(
    field: &Field,
    name: &Ident,
    enums: &BTreeSet<String>,
) -> Vec<SetterSignature> {
    let (target, ty) = (&field.name, &field.ty);
    let argument = |ty: TokenStream| SetterSignature {
        name: name.clone(),
        arguments: quote!(#target: #ty),
        passed: quote!(#target),
        adds: None,
        more_docs: String::new(),
    };
    if field.presence == Presence::Patch {
        let mut patch = argument(quote!(impl Into<Patch<#ty>>));
        patch.more_docs =
            "\n`Patch::Clear` (or `None`) sends null; without this call it is kept as it is."
                .to_owned();
        return vec![patch];
    }
    let adds = if let Some(item) = generic_argument(ty, "Vec") {
        let bound = into_bound(item, enums);
        let value = bound.as_ref().map(|_| quote!(.into()));
        let bound = bound.unwrap_or_else(|| quote!(#item));
        (
            quote!(item: #bound),
            quote!(item),
            quote!(push(item #value)),
        )
    } else if let Some(value) = map_value(ty) {
        let bound = into_bound(value, enums);
        let into = bound.as_ref().map(|_| quote!(.into()));
        let bound = bound.unwrap_or_else(|| quote!(#value));
        (
            quote!(key: impl Into<String>, value: #bound),
            quote!(key, value),
            quote!(insert(key.into(), value #into)),
        )
    } else {
        let bound = into_bound(ty, enums).unwrap_or_else(|| quote!(#ty));
        return vec![argument(bound)];
    };
    let replace = ident(&format!("set_{}", field.name));
    let mut replaces = argument(quote!(#ty));
    replaces.more_docs = format!("\nReplaces what was added by `{name}` so far.");
    replaces.name = replace.clone();
    let (arguments, passed, add) = adds;
    let adder = SetterSignature {
        name: name.clone(),
        arguments,
        passed,
        adds: Some(add),
        more_docs: format!("\nAdds one; `{replace}` sets them all, and an empty one explicitly."),
    };
    vec![adder, replaces]
}

/// `impl Into<T>` for what is commonly at hand in another form.
pub fn into_bound(ty: &Type, enums: &BTreeSet<String>) -> Option<TokenStream> {
    let name = last_ident(ty)?;
    (name == "String" || enums.contains(&name)).then(|| quote!(impl Into<#ty>))
}

pub fn is_collection(ty: &Type) -> bool {
    generic_argument(ty, "Vec").is_some() || generic_argument(ty, "BTreeMap").is_some()
}

fn last_ident(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .map(|segment| segment.ident.to_string()),
        _ => None,
    }
}

/// The first generic argument of `OUTER<..>`.
pub fn generic_argument<'a>(ty: &'a Type, outer: &str) -> Option<&'a Type> {
    generic_arguments(ty, outer)?.next()
}

/// `BTreeMap<String, T>` → `T`.
fn map_value(ty: &Type) -> Option<&Type> {
    generic_arguments(ty, "BTreeMap")?.nth(1)
}

fn generic_arguments<'a>(ty: &'a Type, outer: &str) -> Option<impl Iterator<Item = &'a Type>> {
    let Type::Path(path) = ty else { return None };
    let segment = path
        .path
        .segments
        .last()
        .filter(|segment| segment.ident == outer)?;
    let syn::PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    Some(arguments.args.iter().filter_map(|argument| match argument {
        syn::GenericArgument::Type(ty) => Some(ty),
        _ => None,
    }))
}

/// `::std::string::String` → `String`: what the prelude and the file's imports name.
pub struct ShortenPaths;

impl VisitMut for ShortenPaths {
    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        let known = ["String", "Option", "Vec", "BTreeMap", "DateTime", "Utc"];
        let is_std = path.segments.first().is_some_and(|first| {
            ["std", "chrono"].contains(&first.ident.to_string().as_str()) && path.segments.len() > 1
        });
        if let Some(last) = path.segments.last()
            && is_std
            && known.contains(&last.ident.to_string().as_str())
        {
            let last = last.clone();
            path.leading_colon = None;
            path.segments = [last].into_iter().collect();
        }
        visit_mut::visit_path_mut(self, path);
    }
}

/// `text` as doc comments, one a line.
pub fn docs(text: &str) -> TokenStream {
    let attributes = doc_attributes(text);
    quote!(#(#attributes)*)
}

fn doc_attributes(text: &str) -> Vec<syn::Attribute> {
    let lines = text.trim_end().lines();
    lines
        .map(|line| {
            let line = if line.is_empty() {
                String::new()
            } else {
                format!(" {line}")
            };
            syn::parse_quote!(#[doc = #line])
        })
        .collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::schema::yaml;
    use crate::{generate, normalise};

    /// From a document's paths and schemas to what `refine` makes of them.
    pub fn refined(paths: &str, schemas: &str) -> Result<(Refined, Model)> {
        let document = yaml(&format!(
            "{{openapi: 3.0.3, info: {{title: t, version: '1'}}, paths: {paths}, components: {{schemas: {schemas}}}}}"
        ));
        let normalised = normalise::normalise(document)?;
        let raw = generate::generate(&normalised.document)?;
        Ok((refine(raw, &normalised.model)?, normalised.model))
    }

    pub fn printed(tokens: TokenStream) -> String {
        prettyplease::unparse(&syn::parse2(tokens).unwrap())
    }

    /// The types made of the schemas, of which `Ask` is the body of a request.
    fn types(schemas: &str) -> String {
        let paths = "{/a: {post: {operationId: a, x-fastvm-method: a.b, requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Ask'}}}}, responses: {'200': {description: d}}}}}";
        let paths = if schemas.contains("Ask:") {
            paths
        } else {
            "{}"
        };
        let types = refined(paths, schemas).unwrap().0.types;
        printed(quote!(#(#types)*))
    }

    fn raw_methods_of(paths: &str) -> String {
        let methods = refined(paths, "{}").unwrap().0.methods;
        let methods = methods.iter().map(|method| &method.function);
        quote!(#(#methods)*).to_string()
    }

    #[track_caller]
    fn assert_has(text: &str, part: &str) {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }

    #[test]
    fn a_request_carries_the_headers_of_the_document_and_no_other() {
        let methods = |parameters: &str| {
            let paths = format!(
                "{{/a: {{get: {{operationId: a, x-fastvm-method: a.b, parameters: [{parameters}], responses: {{'200': {{description: d}}}}}}}}}}"
            );
            raw_methods_of(&paths)
        };
        let without = methods("");
        assert!(!without.contains("header_map"), "{without}");
        let with = methods("{name: X-Tag, in: header, schema: {type: string}}");
        assert_has(&with, "header_map");
        assert_has(&with, "X-Tag");
        assert!(!with.contains("api-version"), "{with}");
    }

    #[test]
    fn a_raw_method_builds_a_request_and_does_no_more() {
        let answer = "{'200': {description: d, content: {application/json: {schema: {type: array, items: {type: string}}}}}}";
        let method = |path: &str, parameters: &str| {
            let operation =
                format!("operationId: a, x-fastvm-method: a.b, {parameters}responses: {answer}");
            raw_methods_of(&format!("{{'{path}': {{get: {{{operation}}}}}}}"))
        };
        let id = "parameters: [{name: id, in: path, required: true, schema: {type: string}}], ";
        let with_id = method("/a/{id}", id);
        assert_has(
            &with_id,
            r#"crate :: exchange :: below (& self . baseurl , & format ! ("/a/{}" ,"#,
        );
        let text = method("/a", "");
        assert!(
            !text.contains("async") && !text.contains("response"),
            "{text}"
        );
        assert_has(
            &text,
            "fn a < 'a > (& 'a self ,) -> Result < Request , Error < () > >",
        );
        assert_has(
            &text,
            r#"let url = crate :: exchange :: below (& self . baseurl , "/a") ; Ok (self . client . get (url)"#,
        );
        assert!(text.ends_with(". build () ?) }"), "{text}");
    }

    #[test]
    fn a_raw_method_of_another_shape_is_refused() {
        let end = |body: syn::Block| end_with_request(&mut body.stmts.clone());
        let known = end(syn::parse_quote!({
            let mut request = a.build()?;
            let info = b;
            c
        }));
        assert!(known.is_some());
        assert!(
            end(syn::parse_quote!({
                let mut request = a.build()?;
                c
            }))
            .is_none()
        );
        assert!(
            end(syn::parse_quote!({
                let request = a;
                change();
                let info = b;
                c
            }))
            .is_none()
        );
    }

    #[test]
    fn a_set_of_values_keeps_those_it_does_not_know() {
        let types = types(
            "{Status: {description: A state., type: string, x-fastvm-known-values: [running, unknown], x-fastvm-value-docs: {running: It runs.}}}",
        );
        assert_has(
            &types,
            "/// A state.\n#[derive(Clone, Debug, PartialEq, Eq, Hash)]\n#[non_exhaustive]\npub enum Status",
        );
        assert_has(&types, "/// `running`: It runs.\n    Running,");
        // A value of that very name does not take the place of the others.
        assert_has(&types, "UnknownValue,");
        assert_has(&types, "Unknown(String),");
        assert_has(&types, "UnknownValue = \"unknown\"");
    }

    #[test]
    fn a_request_can_keep_clear_and_set_at_any_depth() {
        let types = types(
            "
{Ask: {type: object, properties: {inner: {$ref: '#/components/schemas/Inner'}}},
 Inner: {type: object, properties: {ttl: {type: integer, nullable: true}}},
 Answer: {type: object, properties: {age: {type: integer, nullable: true}}}}",
        );
        assert_has(
            &types,
            "#[serde(default, skip_serializing_if = \"Patch::is_keep\")]\n    pub ttl: Patch<i64>,",
        );
        assert_has(&types, "pub fn ttl(mut self, ttl: impl Into<Patch<i64>>)");
        assert_has(&types, "pub age: Option<i64>,");
    }

    #[test]
    fn a_request_tells_an_empty_list_or_map_from_none_and_an_answer_does_not() {
        let types = types(
            "
{Ask: {type: object, properties: {tags: {type: array, items: {type: string}}, env: {type: object, additionalProperties: {type: string}}}},
 Answer: {type: object, properties: {names: {type: array, items: {type: string}}, labels: {type: object, additionalProperties: {type: string}}}}}",
        );
        assert_has(&types, "pub tags: Option<Vec<String>>,");
        assert_has(&types, "pub env: Option<BTreeMap<String, String>>,");
        assert_has(&types, "pub names: Vec<String>,");
        assert_has(&types, "pub labels: BTreeMap<String, String>,");
        assert_has(&types, "pub fn tags(mut self, item: impl Into<String>)");
        assert_has(&types, "pub fn set_tags(mut self, tags: Vec<String>)");
    }

    #[test]
    fn a_map_of_other_than_strings_takes_its_values_as_they_are() {
        let types = types(
            "{Ask: {type: object, properties: {limits: {type: object, additionalProperties: {type: integer}}}}}",
        );
        assert_has(
            &types,
            "pub fn limits(mut self, key: impl Into<String>, value: i64)",
        );
        assert_has(&types, ".insert(key.into(), value);");
    }

    #[test]
    fn debug_says_that_a_secret_is_there_and_not_what_it_is() {
        let types = types(
            "{Login: {type: object, properties: {user: {type: string}, key: {type: string, x-fastvm-secret: true}}}}",
        );
        assert_has(&types, "#[derive(Clone, Default, PartialEq");
        assert_has(&types, ".field(\"user\", &self.user)");
        assert_has(&types, ".field(\"key\", &format_args!(\"[redacted]\"))");
    }

    #[test]
    fn what_is_required_is_an_argument_in_the_order_of_the_list() {
        let types = types(
            "{A: {type: object, required: [size, name, more], properties: {more: {type: integer, nullable: true}, name: {type: string}, note: {type: string}, size: {type: integer}}}}",
        );
        assert_has(
            &types,
            "pub fn new(size: i64, name: impl Into<String>, more: Option<i64>) -> Self",
        );
        assert_has(&types, "pub fn note(mut self, note: impl Into<String>)");
        assert!(!types.contains("pub fn name("), "{types}");
    }

    #[test]
    fn two_properties_of_one_rust_name_are_refused() {
        let error = refined(
            "{}",
            "{A: {type: object, properties: {a-b: {type: string}, a_b: {type: string}}}}",
        );
        let error = format!("{:#}", error.err().unwrap());
        assert!(error.contains("schema A"), "{error}");
    }

    /// What `refine` says to these types, when the document has an object `A` with a property `x`.
    fn refusal(types: TokenStream) -> String {
        let mut document = yaml(
            "{paths: {}, components: {schemas: {A: {type: object, properties: {x: {type: string}}}}}}",
        );
        let model = Model::read(&mut document).unwrap();
        let file = syn::parse2(quote!(pub mod types { #types })).unwrap();
        format!("{:#}", refine(file, &model).err().unwrap())
    }

    #[test]
    fn a_newtype_that_was_left_over_is_refused() {
        let error = refusal(quote!(
            pub struct A(pub String);
        ));
        assert!(error.contains("schema A became a newtype"));
    }

    #[test]
    fn a_fact_that_finds_no_type_or_field_is_refused() {
        assert!(refusal(quote!()).contains("schema A became no type of its name"));
        assert!(
            refusal(quote!(
                pub struct A {}
            ))
            .contains("A.x became no field")
        );
    }

    #[test]
    fn a_type_or_field_without_a_fact_is_refused() {
        let error = refusal(quote!(
            pub struct B {}
        ));
        assert!(error.contains("type B belongs to no schema"));
        let error = refusal(quote!(
            pub struct A {
                pub x: Option<String>,
                pub y: u8,
            }
        ));
        assert!(error.contains("schema A has 1 properties, but its type has 2 fields"));
    }
}
