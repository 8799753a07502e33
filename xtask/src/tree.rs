//! Writes the resource tree that people call: a struct per resource, a builder per operation, the
//! VM handle, the operation table, and the setter macros that overrides invoke.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::{FnArg, Ident, Pat, Type};

use crate::model::{Model, Operation, Parameter};
use crate::names::{self, ident};
use crate::refine::{self, Field, Presence, Refined, Struct, docs, generic_argument, into_bound};

/// The resource whose members are handed out as handles, their type, and what their operations'
/// paths begin with.
const HANDLE: Handle = Handle {
    resource: "vms",
    ty: "Vm",
    path: "/v1/vms/{id}",
};

struct Handle {
    resource: &'static str,
    ty: &'static str,
    path: &'static str,
}

/// A module of the generated tree: its path below `generated`, and its items.
pub struct Module {
    pub path: Vec<String>,
    pub docs: String,
    pub items: TokenStream,
    pub children: Vec<String>,
}

/// A macro by which an override gets a request's setters. In its methods `__request` stands for
/// the macro's argument and `__crate` for `$crate`, so that they can be formatted as Rust.
pub struct SetterMacro {
    pub name: String,
    pub setters: TokenStream,
}

pub struct Tree {
    pub modules: Vec<Module>,
    pub operations: TokenStream,
    pub setters: Vec<SetterMacro>,
    /// Conversions between answers, put beside the types.
    pub conversions: TokenStream,
}

pub fn tree(refined: &Refined, model: &Model) -> Result<Tree> {
    let context = Scene {
        refined,
        types: type_names(refined, model),
    };
    let mut calls = Vec::new();
    for operation in &model.operations {
        let call = Call::read(operation, &context)
            .with_context(|| format!("operation {}", operation.wire_id))?;
        calls.push(call);
    }
    let root = Node::root(&calls);
    let mut modules = Vec::new();
    write_modules(&root, &context, &mut modules);
    Ok(Tree {
        modules,
        operations: write_operations(&model.operations),
        setters: calls
            .iter()
            .filter_map(|call| write_setter_macro(call, &context))
            .collect(),
        conversions: write_conversions(&context),
    })
}

struct Scene<'a> {
    refined: &'a Refined,
    types: BTreeSet<String>,
}

fn type_names(refined: &Refined, model: &Model) -> BTreeSet<String> {
    let mut names: BTreeSet<_> = model
        .schemas
        .iter()
        .map(|schema| schema.name.clone())
        .collect();
    names.extend(refined.enums.iter().cloned());
    // Re-exported beside the types, so that one path names all that a signature holds.
    names.extend(["DateTime".to_owned(), "Utc".to_owned()]);
    names
}

impl Scene<'_> {
    /// Puts a path before every type of the API that `tokens` name.
    fn qualify(
        &self,
        tokens: TokenStream,
        types: &TokenStream,
        krate: &TokenStream,
    ) -> TokenStream {
        // `a::B` is qualified already; the colon of `name: B` is a single one.
        let mut before = [false; 2];
        tokens
            .into_iter()
            .map(|token| {
                let is_colon = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ':');
                let qualified = before == [true; 2];
                before = [before[1], is_colon];
                match token {
                    TokenTree::Ident(name)
                        if !qualified && self.types.contains(&name.to_string()) =>
                    {
                        quote!(#types::#name)
                    }
                    TokenTree::Ident(name) if !qualified && name == "Patch" => {
                        quote!(#krate::Patch)
                    }
                    TokenTree::Ident(name) if !qualified && name == "BTreeMap" => {
                        quote!(std::collections::BTreeMap)
                    }
                    TokenTree::Group(group) => {
                        let inner = self.qualify(group.stream(), types, krate);
                        TokenTree::Group(Group::new(group.delimiter(), inner)).into()
                    }
                    token => token.into(),
                }
            })
            .collect()
    }

    fn in_module(&self, tokens: TokenStream) -> TokenStream {
        self.qualify(tokens, &quote!(types), &quote!(crate))
    }

    fn in_macro(&self, tokens: TokenStream) -> TokenStream {
        self.qualify(tokens, &quote!(__crate::types), &quote!(__crate))
    }
}

/// An operation with what its builder needs: how the raw method takes its arguments.
struct Call<'a> {
    operation: &'a Operation,
    raw: Ident,
    arguments: Vec<Argument<'a>>,
    answer: TokenStream,
    answers_handle: bool,
    body: Option<&'a Struct>,
}

/// An argument of the raw method, and the field of the builder that holds it.
struct Argument<'a> {
    name: Ident,
    /// Its type, owned.
    ty: Type,
    optional: bool,
    /// How `send` passes it on.
    passed: TokenStream,
    /// `None`: it is the body.
    parameter: Option<&'a Parameter>,
}

impl<'a> Call<'a> {
    fn read(operation: &'a Operation, context: &Scene<'a>) -> Result<Self> {
        let raw = ident(&names::function_name(&operation.id));
        let method = context
            .refined
            .methods
            .iter()
            .find(|method| method.sig.ident == raw);
        let method = method.context("progenitor wrote no method for it")?;
        let mut arguments = Vec::new();
        for input in &method.sig.inputs {
            if let FnArg::Typed(input) = input {
                arguments.push(Argument::read(input, operation)?);
            }
        }
        let answer =
            answer_type(&method.sig.output).context("its raw method has an unknown shape")?;
        let answers_vm = answer == HANDLE.ty || answer == format!("types :: {}", HANDLE.ty);
        // Other resources do not know what a VM is handed out as.
        let answers_handle = answers_vm
            && matches!(operation.place.as_slice(), [resource, _] if resource == HANDLE.resource);
        let body = operation
            .body
            .as_deref()
            .and_then(|name| context.refined.get(name));
        let call = Self {
            operation,
            raw,
            arguments,
            answer: answer.parse().map_err(|e| anyhow::anyhow!("{e}"))?,
            answers_handle,
            body,
        };
        let mut fields = call.body.into_iter().flat_map(|body| &body.fields);
        let parameters = || {
            call.arguments
                .iter()
                .filter(|argument| argument.parameter.is_some())
        };
        if let Some(twice) = fields.find(|field| parameters().any(|other| other.name == field.name))
        {
            bail!(
                "`{}` is a parameter and a field of the body: rename one, its method has one place for them",
                twice.name
            );
        }
        Ok(call)
    }

    fn method(&self) -> Ident {
        ident(self.operation.place.last().map_or("call", String::as_str))
    }

    fn builder(&self) -> Ident {
        ident(&names::builder_name(&self.operation.place))
    }

    fn is_under_handle(&self) -> bool {
        let place = self.operation.place.first().map(String::as_str);
        place == Some(HANDLE.resource) && self.operation.path.starts_with(HANDLE.path)
    }

    /// `<V>`, if the builder answers what the caller's tree wraps a VM in.
    fn generic(&self) -> Option<TokenStream> {
        self.answers_handle.then(|| quote!(<V>))
    }

    /// The optional fields of the body that get setters.
    fn body_fields(&self) -> impl Iterator<Item = &'a Field> {
        self.body
            .into_iter()
            .flat_map(|body| &body.fields)
            .filter(|field| !field.required)
    }

    fn optional_parameters(&self) -> impl Iterator<Item = &Argument<'a>> {
        self.arguments
            .iter()
            .filter(|argument| argument.parameter.is_some() && argument.optional)
    }
}

impl<'a> Argument<'a> {
    fn read(input: &syn::PatType, operation: &'a Operation) -> Result<Self> {
        let Pat::Ident(pattern) = &*input.pat else {
            bail!("its raw method has an argument without a name");
        };
        let mut name = pattern.ident.clone();
        let parameter = operation
            .parameters
            .iter()
            .find(|parameter| name == names::field_name(&parameter.name));
        if parameter.is_some() {
            name = ident(&names::builder_field(&name.to_string()));
        } else if name != "body" {
            bail!("its raw method takes `{name}`, which is no parameter of it");
        }
        let (inner, optional) = match generic_argument(&input.ty, "Option") {
            Some(inner) => (inner, true),
            None => (&*input.ty, false),
        };
        let (ty, passed) = match (inner, optional) {
            (Type::Reference(reference), false) => (owned(&reference.elem), quote!(&self.#name)),
            (Type::Reference(reference), true) if is_str(&reference.elem) => {
                (owned(&reference.elem), quote!(self.#name.as_deref()))
            }
            (Type::Reference(reference), true) => {
                (owned(&reference.elem), quote!(self.#name.as_ref()))
            }
            (ty, _) => (ty.clone(), quote!(self.#name)),
        };
        let name = match parameter {
            // The copy of a split operation has its path parameters renamed.
            Some(parameter) => ident(&names::builder_field(
                parameter.name.trim_end_matches("OfStream"),
            )),
            None => name,
        };
        let passed: TokenStream = passed
            .to_string()
            .replace("_of_stream", "")
            .parse()
            .unwrap_or(passed);
        Ok(Self {
            name,
            ty,
            optional,
            passed,
            parameter,
        })
    }

    fn in_path(&self) -> bool {
        self.parameter.is_some_and(|parameter| parameter.in_path)
    }
}

/// `types::X` → `X`: in a macro another path stands before it.
fn unqualified(ty: &Type) -> Type {
    let mut ty = ty.clone();
    if let Type::Path(path) = &mut ty
        && let Some(last) = path.path.segments.last().cloned()
    {
        path.path = last.into();
    }
    ty
}

fn owned(ty: &Type) -> Type {
    if is_str(ty) {
        syn::parse_quote!(String)
    } else {
        ty.clone()
    }
}

fn is_str(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.is_ident("str"))
}

/// `Result<ResponseValue<T>, Error<()>>` → `T`.
fn answer_type(output: &syn::ReturnType) -> Option<String> {
    let syn::ReturnType::Type(_, ty) = output else {
        return None;
    };
    let value = generic_argument(ty, "Result")?;
    let answer = generic_argument(value, "ResponseValue")?;
    Some(answer.to_token_stream().to_string())
}

/// A resource: its operations and the resources below it.
struct Node<'a> {
    path: Vec<String>,
    calls: Vec<&'a Call<'a>>,
    children: Vec<Node<'a>>,
}

impl<'a> Node<'a> {
    fn root(calls: &'a [Call<'a>]) -> Self {
        let mut root = Self {
            path: Vec::new(),
            calls: Vec::new(),
            children: Vec::new(),
        };
        for call in calls {
            root.insert(call, 0);
        }
        root
    }

    fn insert(&mut self, call: &'a Call<'a>, depth: usize) {
        let place = &call.operation.place;
        if depth + 1 == place.len() {
            self.calls.push(call);
            return;
        }
        let path = &place[..=depth];
        let index = self
            .children
            .iter()
            .position(|child| child.path == path)
            .unwrap_or_else(|| {
                self.children.push(Self {
                    path: path.to_vec(),
                    calls: Vec::new(),
                    children: Vec::new(),
                });
                self.children.len() - 1
            });
        self.children[index].insert(call, depth + 1);
    }

    fn is_handle(&self) -> bool {
        self.path == [HANDLE.resource]
    }

    fn name(&self) -> Ident {
        ident(&names::type_name(
            self.path.last().map_or("root", String::as_str),
        ))
    }

    /// The name of the same resource, reached from a handle.
    fn scoped_name(&self) -> Ident {
        format_ident!("{}{}", HANDLE.ty, self.name())
    }

    fn accessor(&self) -> Ident {
        ident(self.path.last().map_or("root", String::as_str))
    }

    /// What a reader calls it: `vms.bucket_mounts` → "bucket mounts".
    fn title(&self) -> String {
        self.path
            .last()
            .map_or_else(String::new, |name| name.replace('_', " "))
    }

    fn has_scoped_calls(&self) -> bool {
        self.calls.iter().any(|call| call.is_under_handle())
            || self.children.iter().any(Node::has_scoped_calls)
    }

    fn module(&self) -> TokenStream {
        let path = self.path.iter().map(|name| ident(name));
        quote!(crate #(:: #path)*)
    }
}

fn write_modules(node: &Node, context: &Scene, modules: &mut Vec<Module>) {
    let children: Vec<_> = node
        .children
        .iter()
        .map(|child| child.accessor().to_string())
        .collect();
    let mut items = TokenStream::new();
    if node.path.is_empty() {
        items.extend(write_root(node, context));
    } else {
        items.extend(write_resource(node, context));
        if node.is_handle() {
            items.extend(write_handle(node, context));
        } else if node.has_scoped_calls() {
            items.extend(write_scoped_resource(node, context));
        }
    }
    items.extend(node.calls.iter().map(|call| write_builder(call, context)));
    let (path, docs) = match node.path.as_slice() {
        [] => (
            vec!["root".to_owned()],
            "The calls that belong to no resource.".to_owned(),
        ),
        path => (path.to_vec(), format!("Calls on {}.", node.title())),
    };
    modules.push(Module {
        path,
        docs,
        items,
        children: if node.path.is_empty() {
            Vec::new()
        } else {
            children
        },
    });
    for child in &node.children {
        write_modules(child, context, modules);
    }
}

fn write_root(node: &Node, context: &Scene) -> TokenStream {
    let accessors = node.children.iter().map(write_accessor);
    let methods = node
        .calls
        .iter()
        .map(|call| write_method(call, Scope::Root, context));
    quote! {
        /// The resources of the API.
        impl Client {
            #(#accessors)*
            #(#methods)*
        }
    }
}

fn write_accessor(child: &Node) -> TokenStream {
    let (accessor, name, module) = (child.accessor(), child.name(), child.module());
    let docs = docs(&format!("The calls on {}.", child.title()));
    let client = if child.path.len() == 1 {
        quote!(self)
    } else {
        quote!(&self.client)
    };
    quote! {
        #docs
        pub fn #accessor(&self) -> #module::#name {
            #module::#name::new(#client)
        }
    }
}

fn write_resource(node: &Node, context: &Scene) -> TokenStream {
    let name = node.name();
    let made_by = node
        .path
        .iter()
        .map(|part| format!(".{part}()"))
        .collect::<String>();
    let docs = docs(&format!(
        "The calls on {}: `client{made_by}`.",
        node.title()
    ));
    let accessors = node.children.iter().map(write_accessor);
    let methods = node
        .calls
        .iter()
        .map(|call| write_method(call, Scope::Resource, context));
    if !node.is_handle() {
        return quote! {
            #docs
            #[derive(Clone, Debug)]
            pub struct #name { client: Client }

            impl #name {
                pub(crate) fn new(client: &Client) -> Self {
                    Self { client: client.clone() }
                }
                #(#accessors)*
                #(#methods)*
            }
        };
    }
    quote! {
        #docs
        ///
        /// `V` is what a VM that an operation answers is handed out as: plain data, or a handle
        /// with verbs of its own.
        #[derive(Clone, Debug)]
        pub struct #name<V = types::Vm> {
            client: Client,
            answer: PhantomData<fn() -> V>,
        }

        impl<V: FromVm> #name<V> {
            /// The calls on VMs, whose VMs are handed out as `V`.
            pub fn new(client: &Client) -> Self {
                Self { client: client.clone(), answer: PhantomData }
            }
            #(#accessors)*
            #(#methods)*
        }
    }
}

fn write_handle(node: &Node, context: &Scene) -> TokenStream {
    let methods = node
        .calls
        .iter()
        .filter(|call| call.is_under_handle())
        .map(|call| write_method(call, Scope::Handle, context));
    let accessors = node
        .children
        .iter()
        .filter(|child| child.has_scoped_calls())
        .map(|child| {
            let (accessor, name, module) = (child.accessor(), child.scoped_name(), child.module());
            let docs = docs(&format!("The calls on this VM's {}.", child.title()));
            quote! {
                #docs
                pub fn #accessor(&self) -> #module::#name {
                    #module::#name::new(&self.client, &self.vm.id)
                }
            }
        });
    quote! {
        /// What a VM that an operation answers can be handed out as.
        pub trait FromVm: Sized + Send + 'static {
            /// Makes one of the client that asked and the VM as answered.
            fn from_vm(client: &Client, vm: types::Vm) -> Self;
        }

        impl FromVm for types::Vm {
            fn from_vm(_client: &Client, vm: types::Vm) -> Self {
                vm
            }
        }

        /// A VM to act on: the client, the VM as it was last answered, which the handle derefs to,
        /// and every operation below `/v1/vms/{id}`.
        #[derive(Clone, Debug)]
        pub struct VmHandle<V = types::Vm> {
            client: Client,
            vm: types::Vm,
            answer: PhantomData<fn() -> V>,
        }

        impl<V> std::ops::Deref for VmHandle<V> {
            type Target = types::Vm;

            fn deref(&self) -> &types::Vm {
                &self.vm
            }
        }

        impl<V: FromVm> VmHandle<V> {
            /// A handle on a VM that is at hand. Sends nothing.
            pub fn new(client: &Client, vm: types::Vm) -> Self {
                Self { client: client.clone(), vm, answer: PhantomData }
            }

            /// The client this VM is reached by.
            pub fn client(&self) -> &Client {
                &self.client
            }

            /// The VM as it was last answered.
            pub fn into_data(self) -> types::Vm {
                self.vm
            }
            #(#accessors)*
            #(#methods)*
        }
    }
}

fn write_scoped_resource(node: &Node, context: &Scene) -> TokenStream {
    let name = node.scoped_name();
    let docs = docs(&format!(
        "The calls on the {} of one VM: `vm.{}()`.",
        node.title(),
        node.accessor()
    ));
    let methods = node
        .calls
        .iter()
        .filter(|call| call.is_under_handle())
        .map(|call| write_method(call, Scope::Scoped, context));
    quote! {
        #docs
        #[derive(Clone, Debug)]
        pub struct #name { client: Client, id: String }

        impl #name {
            pub(crate) fn new(client: &Client, id: &str) -> Self {
                Self { client: client.clone(), id: id.to_owned() }
            }
            #(#methods)*
        }
    }
}

/// Where a method that makes a builder stands: what it knows already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Root,
    Resource,
    Handle,
    Scoped,
}

fn write_method(call: &Call, scope: Scope, context: &Scene) -> TokenStream {
    let (method, builder, generic) = (call.method(), call.builder(), call.generic());
    let docs = docs(&method_docs(call, scope));
    let mut arguments = Vec::new();
    let mut passed = Vec::new();
    for argument in call
        .arguments
        .iter()
        .filter(|argument| argument.parameter.is_some() && !argument.optional)
    {
        let name = &argument.name;
        let is_own_id = arguments.is_empty() && passed.is_empty() && argument.in_path();
        match scope {
            Scope::Handle if is_own_id => passed.push(quote!(&self.vm.id)),
            Scope::Scoped if is_own_id => passed.push(quote!(&self.id)),
            _ => {
                let ty = &argument.ty;
                let bound = into_bound(ty, &context.refined.enums).unwrap_or_else(|| quote!(#ty));
                let bound = context.in_module(bound);
                arguments.push(quote!(#name: #bound));
                passed.push(quote!(#name));
            }
        }
    }
    for field in required_body(call) {
        let name = &field.name;
        arguments.push(context.in_module(refine::argument(field, &context.refined.enums)));
        passed.push(quote!(#name));
    }
    if let Some(whole) = whole_body(call) {
        let ty = &whole.ty;
        arguments.push(quote!(body: #ty));
        passed.push(quote!(body));
    }
    let client = if scope == Scope::Root {
        quote!(self)
    } else {
        quote!(&self.client)
    };
    quote! {
        #docs
        pub fn #method(&self, #(#arguments),*) -> #builder #generic {
            #builder::new(#client, #(#passed),*)
        }
    }
}

/// The required fields of a body that is an object: arguments.
fn required_body<'a>(call: &Call<'a>) -> impl Iterator<Item = &'a Field> {
    call.body
        .into_iter()
        .flat_map(|body| &body.fields)
        .filter(|field| field.required)
}

/// A body that is no object (a list, a string) is an argument as a whole.
fn whole_body<'c, 'a>(call: &'c Call<'a>) -> Option<&'c Argument<'a>> {
    call.arguments
        .iter()
        .find(|argument| argument.parameter.is_none() && call.body.is_none())
}

fn method_docs(call: &Call, scope: Scope) -> String {
    let operation = call.operation;
    let mut text = sentence(&operation.summary, &operation.id);
    if !operation.description.is_empty() {
        text += &format!("\n\n{}", operation.description.trim_end());
    }
    let mut arguments = String::new();
    let path_parameters = call
        .arguments
        .iter()
        .filter(|argument| argument.parameter.is_some() && !argument.optional);
    for (index, argument) in path_parameters.enumerate() {
        let is_own_id =
            index == 0 && argument.in_path() && matches!(scope, Scope::Handle | Scope::Scoped);
        if let Some(parameter) = argument.parameter.filter(|_| !is_own_id) {
            arguments += &list_item(&argument.name.to_string(), &parameter.docs);
        }
    }
    for field in required_body(call) {
        arguments += &list_item(&field.name.to_string(), &field.docs);
    }
    if !arguments.is_empty() {
        text += &format!("\n\n{}", arguments.trim_end());
    }
    text += &format!("\n\nSends `{}`.", operation.wire());
    if !operation.errors.is_empty() {
        text += "\n\n# Errors\n\n";
        for (status, docs) in &operation.errors {
            text += &list_item(status, docs);
        }
    }
    text
}

fn list_item(name: &str, docs: &str) -> String {
    let docs = docs.trim().replace('\n', "\n  ");
    if docs.is_empty() {
        format!("- `{name}`\n")
    } else {
        format!("- `{name}`: {docs}\n")
    }
}

/// A summary as the first line of a doc comment.
fn sentence(summary: &str, fallback: &str) -> String {
    let summary = summary.trim();
    match summary.chars().last() {
        None => format!("`{fallback}`."),
        Some('.' | '!' | '?') => summary.to_owned(),
        Some(_) => format!("{summary}."),
    }
}

fn write_builder(call: &Call, context: &Scene) -> TokenStream {
    let Call {
        operation,
        raw,
        answer,
        ..
    } = call;
    let builder = call.builder();
    let generic = call.generic();
    let (declared, bounded) = match call.answers_handle {
        true => (Some(quote!(<V = types::Vm>)), Some(quote!(<V: FromVm>))),
        false => (None, None),
    };
    let output = if call.answers_handle {
        quote!(V)
    } else {
        context.in_module(answer.clone())
    };
    let place = operation
        .place
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("().");
    let docs = docs(&format!(
        "{}\n\nMade by `client.{place}(..)`; sends `{}` when awaited. `.send()` answers status and headers too.",
        sentence(&operation.summary, &operation.id),
        operation.wire(),
    ));

    let fields = call.arguments.iter().map(|argument| {
        let (name, ty) = (&argument.name, &argument.ty);
        let ty = if argument.optional {
            quote!(Option<#ty>)
        } else {
            quote!(#ty)
        };
        let ty = context.in_module(ty);
        quote!(#name: #ty)
    });
    let phantom_field = call
        .answers_handle
        .then(|| quote!(answer: PhantomData<fn() -> V>,));
    let phantom = call.answers_handle.then(|| quote!(answer: PhantomData,));

    let mut new_arguments = Vec::new();
    let mut new_values = Vec::new();
    for argument in call
        .arguments
        .iter()
        .filter(|argument| argument.parameter.is_some())
    {
        let (name, ty) = (&argument.name, &argument.ty);
        if argument.optional {
            new_values.push(quote!(#name: None));
            continue;
        }
        let bound = into_bound(ty, &context.refined.enums);
        let value = match bound {
            Some(_) => quote!(#name: #name.into()),
            None => quote!(#name),
        };
        let bound = context.in_module(bound.unwrap_or_else(|| quote!(#ty)));
        new_arguments.push(quote!(#name: #bound));
        new_values.push(value);
    }
    if let Some(body) = call.body {
        let (body, names): (_, Vec<_>) = (
            &body.name,
            required_body(call).map(|field| &field.name).collect(),
        );
        new_arguments.extend(
            required_body(call)
                .map(|field| context.in_module(refine::argument(field, &context.refined.enums))),
        );
        new_values.push(quote!(body: types::#body::new(#(#names),*)));
    } else if let Some(whole) = whole_body(call) {
        let ty = &whole.ty;
        new_arguments.push(quote!(body: #ty));
        new_values.push(quote!(body));
    }

    let setters = write_setters(call, context);
    let constant = ident(&names::constant_name(&operation.id));
    let checked = call
        .arguments
        .iter()
        .filter(|argument| argument.in_path())
        .map(|argument| {
            let (name, text) = (&argument.name, argument.name.to_string());
            quote!((#text, self.#name.as_str()))
        });
    let passed = call.arguments.iter().map(|argument| &argument.passed);
    let finish = if call.answers_handle {
        quote! {
            let client = self.call.client().clone();
            let answer = exchange.finish(answer)?;
            Ok(crate::call::map_answer(answer, |vm| V::from_vm(&client, vm)))
        }
    } else {
        quote!(exchange.finish(answer))
    };
    quote! {
        #docs
        #[derive(Clone, Debug)]
        #[must_use = "a request does nothing until it is awaited"]
        pub struct #builder #declared {
            call: Call,
            #(#fields,)*
            #phantom_field
        }

        impl #bounded #builder #generic {
            pub(crate) fn new(client: &Client, #(#new_arguments),*) -> Self {
                Self { call: Call::new(client), #(#new_values,)* #phantom }
            }
            #setters
            crate::__call_options!(call);

            /// Sends the request and answers the body with status and headers.
            pub async fn send(self) -> Result<ResponseValue<#output>> {
                let exchange = self.call.begin(&operations::#constant, &[#(#checked),*])?;
                let answer = exchange.raw.#raw(#(#passed),*).await;
                #finish
            }
        }

        impl #bounded IntoFuture for #builder #generic {
            type Output = Result<#output>;
            type IntoFuture = Pending<#output>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(async move { Ok(self.send().await?.into_inner()) })
            }
        }
    }
}

fn write_setters(call: &Call, context: &Scene) -> TokenStream {
    let mut setters = TokenStream::new();
    for argument in call.optional_parameters() {
        setters.extend(write_query_setter(argument, context));
    }
    for field in call.body_fields() {
        let name = ident(&names::setter_name(&field.name.to_string()));
        // The field stands in the body: `self.body.name`.
        let through_body = refine::setter(field, &name, &context.refined.enums);
        setters.extend(into_body(context.in_module(through_body), &field.name));
    }
    if let Some(body) = call.body {
        let name = &body.name;
        setters.extend(quote! {
            /// Sets the whole body of the request, in place of all fields set so far.
            pub fn body(mut self, body: types::#name) -> Self {
                self.body = body;
                self
            }
        });
    }
    setters
}

/// `self.name = ..` → `self.body.name = ..`
fn into_body(tokens: TokenStream, field: &Ident) -> TokenStream {
    let mut trees: Vec<TokenTree> = Vec::new();
    for token in tokens {
        let token = match token {
            TokenTree::Group(group) => TokenTree::Group(Group::new(
                group.delimiter(),
                into_body(group.stream(), field),
            )),
            token => token,
        };
        let is_target = matches!(&token, TokenTree::Ident(name) if name == field);
        if is_target
            && let [.., TokenTree::Ident(this), TokenTree::Punct(dot)] = trees.as_slice()
            && this == "self"
            && dot.as_char() == '.'
        {
            trees.extend(quote!(body.));
        }
        trees.push(token);
    }
    trees.into_iter().collect()
}

fn write_query_setter(argument: &Argument, context: &Scene) -> TokenStream {
    let (name, ty) = (&argument.name, &argument.ty);
    let setter = ident(&names::setter_name(&name.to_string()));
    let parameter = argument.parameter;
    let docs = docs(parameter.map_or("", |parameter| &parameter.docs));
    if generic_argument(ty, "BTreeMap").is_some() {
        let prefix = parameter
            .and_then(|parameter| parameter.key_prefix.as_deref())
            .unwrap_or_default();
        let key = if prefix.is_empty() {
            quote!(key.into())
        } else {
            quote!(format!(concat!(#prefix, "{}"), key.into()))
        };
        let more = self::docs("\nAdds one pair; call it again for more, all of which must hold.");
        return quote! {
            #docs
            #more
            pub fn #setter(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
                self.#name.get_or_insert_default().insert(#key, value.into());
                self
            }
        };
    }
    let bound = into_bound(ty, &context.refined.enums);
    let value = if bound.is_some() {
        quote!(#name.into())
    } else {
        quote!(#name)
    };
    let bound = context.in_module(bound.unwrap_or_else(|| quote!(#ty)));
    quote! {
        #docs
        pub fn #setter(mut self, #name: #bound) -> Self {
            self.#name = Some(#value);
            self
        }
    }
}

/// The macro by which an override that holds this builder gets its setters: whatever the document
/// adds is there at once.
fn write_setter_macro(call: &Call, context: &Scene) -> Option<SetterMacro> {
    let name = format_ident!("__{}_setters", call.raw);
    let mut setters = Vec::new();
    for argument in call.optional_parameters() {
        let (docs, setter) = (
            docs(argument.parameter.map_or("", |parameter| &parameter.docs)),
            ident(&names::setter_name(&argument.name.to_string())),
        );
        let (name, ty) = (&argument.name, &argument.ty);
        let (arguments, passed) = match generic_argument(ty, "BTreeMap") {
            Some(_) => (
                quote!(key: impl Into<String>, value: impl Into<String>),
                quote!(key, value),
            ),
            None => {
                let ty = unqualified(ty);
                let bound = into_bound(&ty, &context.refined.enums).unwrap_or_else(|| quote!(#ty));
                (quote!(#name: #bound), quote!(#name))
            }
        };
        setters.push((docs, setter, arguments, passed));
    }
    for field in call.body_fields() {
        if names::is_left_to_override(&call.operation.wire_id, &field.wire) {
            continue;
        }
        let setter = ident(&names::setter_name(&field.name.to_string()));
        for signature in refine::setter_signatures(field, &setter, &context.refined.enums) {
            let docs = docs(&format!(
                "{}\n{}",
                field.docs.trim_end(),
                signature.more_docs
            ));
            setters.push((docs, signature.name, signature.arguments, signature.passed));
        }
    }
    // An override invokes it even while there is nothing but what it sets itself.
    if setters.is_empty() && call.body.is_none() {
        return None;
    }
    let setters = setters.into_iter().map(|(docs, name, arguments, passed)| {
        let arguments = context.in_macro(arguments);
        quote! {
            #docs
            pub fn #name(mut self, #arguments) -> Self {
                self.__request = self.__request.#name(#passed);
                self
            }
        }
    });
    Some(SetterMacro {
        name: name.to_string(),
        setters: quote!(#(#setters)*),
    })
}

/// An answer that holds all of a VM's fields is a VM, too.
fn write_conversions(context: &Scene) -> TokenStream {
    let Some(target) = context.refined.get(HANDLE.ty) else {
        return TokenStream::new();
    };
    let holds = |other: &&Struct| {
        other.name != target.name
            && target.fields.iter().all(|field| {
                let same = |other: &Field| {
                    other.wire == field.wire
                        && other.ty == field.ty
                        && other.presence == field.presence
                };
                other.fields.iter().any(same)
            })
    };
    let conversion = |other: &Struct| {
        let (from, to) = (&other.name, &target.name);
        let fields = target.fields.iter().map(|field| &field.name);
        quote! {
            impl From<#from> for #to {
                fn from(answer: #from) -> Self {
                    Self { #(#fields: answer.#fields,)* }
                }
            }
        }
    };
    let fields = |fields: &Struct| {
        fields
            .fields
            .iter()
            .any(|field| field.presence == Presence::Always)
    };
    context
        .refined
        .structs
        .iter()
        .filter(holds)
        .filter(|other| fields(other))
        .map(conversion)
        .collect()
}

fn write_operations(operations: &[Operation]) -> TokenStream {
    let constants = operations.iter().map(|operation| {
        let name = ident(&names::constant_name(&operation.id));
        let docs = docs(&format!("`{}`", operation.wire()));
        let Operation {
            wire_id,
            method,
            path,
            repeatable,
            limited,
            needs_key,
            ..
        } = operation;
        let streamed = operation.is_streamed();
        let accept = match &operation.accept {
            Some(media) => quote!(Some(#media)),
            None => quote!(None),
        };
        quote! {
            #docs
            pub static #name: Operation = Operation {
                id: #wire_id,
                method: #method,
                path: #path,
                accept: #accept,
                is_repeatable: #repeatable,
                is_limited: #limited,
                is_streamed: #streamed,
                needs_key: #needs_key,
            };
        }
    });
    let all = operations
        .iter()
        .map(|operation| ident(&names::constant_name(&operation.id)));
    quote! {
        #(#constants)*

        /// Every operation, in the order of the document. One with two media types is there twice.
        pub static ALL: &[&Operation] = &[#(&#all),*];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refine::tests::{printed, refined};

    const PATHS: &str = "
{
  /healthz: {get: {operationId: getHealth, x-fastvm-method: health, responses: {'200': {description: d}}}},
  /v1/vms: {
    get: {
      operationId: listVms, x-fastvm-method: vms.list,
      parameters: [{name: status, in: query, schema: {type: string}}, {name: send, in: query, schema: {type: string}}],
      responses: {'200': {description: d, content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/VM'}}}}}}},
    post: {
      operationId: launchVm, x-fastvm-method: vms.launch,
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/LaunchVMRequest'}}}},
      responses: {'201': {description: d, content: {application/json: {schema: {$ref: '#/components/schemas/LaunchVMResponse'}}}}}}},
  '/v1/vms/{id}/reboot': {post: {
    operationId: rebootVm, x-fastvm-method: vms.reboot,
    parameters: [{name: id, in: path, required: true, schema: {type: string}}],
    responses: {'200': {description: d, content: {application/json: {schema: {$ref: '#/components/schemas/VM'}}}}}}},
  '/v1/vms/{id}/services/{name}': {delete: {
    operationId: deleteService, x-fastvm-method: vms.services.delete,
    parameters: [{name: name, in: path, required: true, schema: {type: string}}, {name: id, in: path, required: true, schema: {type: string}}],
    responses: {'200': {description: d}}}}
}";

    const SCHEMAS: &str = "
{
  VM: {type: object, required: [id], properties: {id: {type: string}}},
  LaunchVMRequest: {type: object, properties: {machineType: {type: string}, wait: {type: boolean}, name: {type: string}}},
  LaunchVMResponse: {allOf: [{$ref: '#/components/schemas/VM'}, {type: object, properties: {warnings: {type: array, items: {type: string}}}}]}
}";

    fn made() -> Tree {
        let (refined, model) = refined(PATHS, SCHEMAS).unwrap();
        tree(&refined, &model).unwrap()
    }

    fn module(path: &[&str]) -> String {
        let modules = made().modules;
        let found = modules.into_iter().find(|module| module.path == path);
        printed(found.expect("the module is there").items)
    }

    fn setters(name: &str) -> String {
        let macros = made().setters;
        let found = macros.into_iter().find(|setters| setters.name == name);
        let setters = found.expect("the macro is there").setters;
        printed(quote!(impl Setters { #setters }))
    }

    #[track_caller]
    fn assert_has(text: &str, part: &str) {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }

    #[test]
    fn an_operation_sits_at_its_place() {
        let places: Vec<_> = made()
            .modules
            .into_iter()
            .map(|module| module.path)
            .collect();
        assert_eq!(places, [vec!["root"], vec!["vms"], vec!["vms", "services"]]);
        let root = module(&["root"]);
        assert_has(&root, "pub fn vms(&self) -> crate::vms::Vms");
        assert_has(&root, "pub fn health(&self) -> Health");
        assert_has(
            &module(&["vms", "services"]),
            "pub fn delete(&self, id: impl Into<String>, name: impl Into<String>) -> Delete",
        );
    }

    #[test]
    fn a_handle_knows_its_id() {
        let vms = module(&["vms"]);
        let (resource, handle) = vms.split_once("impl<V: FromVm> VmHandle<V>").unwrap();
        assert_has(
            resource,
            "pub fn reboot(&self, id: impl Into<String>) -> Reboot<V>",
        );
        assert_has(handle, "pub fn reboot(&self) -> Reboot<V>");
        assert_has(
            handle,
            "pub fn services(&self) -> crate::vms::services::VmServices",
        );
        assert!(!handle.contains("pub fn list("), "{handle}");
        assert_has(
            module(&["vms", "services"])
                .split_once("impl VmServices")
                .unwrap()
                .1,
            "pub fn delete(&self, name: impl Into<String>) -> Delete",
        );
    }

    #[test]
    fn a_vm_is_answered_as_what_the_caller_wraps_it_in() {
        let vms = module(&["vms"]);
        assert_has(&vms, "pub struct Reboot<V = types::Vm>");
        assert_has(&vms, "impl<V: FromVm> IntoFuture for Reboot<V>");
        assert_has(&vms, "pub struct List {");
    }

    #[test]
    fn another_resource_answers_a_vm_as_data() {
        let paths = PATHS.replace("vms.reboot", "machines.reboot");
        let (refined, model) = refined(&paths, SCHEMAS).unwrap();
        let modules = tree(&refined, &model).unwrap().modules;
        let machines = modules
            .into_iter()
            .find(|module| module.path == ["machines"]);
        let machines = printed(machines.unwrap().items);
        assert_has(&machines, "pub struct Reboot {");
        assert_has(&machines, "Result<ResponseValue<types::Vm>>");
    }

    #[test]
    fn setter_macros_leave_out_what_overrides_own_and_suffix_what_they_need() {
        let launch = setters("__launch_vm_setters");
        assert_has(&launch, "pub fn name(mut self, name: impl Into<String>)");
        assert_has(&launch, "self.__request = self.__request.name(name);");
        assert_has(&launch, "pub fn wait_field(mut self, wait: bool)");
        assert!(!launch.contains("machine_type"), "{launch}");
        let list = setters("__list_vms_setters");
        assert_has(&list, "pub fn status(mut self, status: impl Into<String>)");
        assert_has(
            &list,
            "pub fn send_field(mut self, send: impl Into<String>)",
        );
        // The raw builder has them all.
        assert_has(&module(&["vms"]), "pub fn machine_type(mut self");
    }

    #[test]
    fn an_answer_with_all_fields_of_a_vm_becomes_one() {
        assert_has(
            &printed(made().conversions),
            "impl From<LaunchVmResponse> for Vm",
        );
    }

    #[test]
    fn an_operation_that_is_not_said_to_repeat_does_so_only_as_a_get() {
        let operations = printed(made().operations);
        let repeatable = |name: &str| {
            let (_, rest) = operations.split_once(&format!("static {name}:")).unwrap();
            rest.split_once("is_repeatable: ")
                .unwrap()
                .1
                .starts_with("true")
        };
        assert!(repeatable("LIST_VMS"));
        assert!(!repeatable("REBOOT_VM"));
    }

    #[test]
    fn two_setters_of_one_name_are_refused() {
        let paths = PATHS.replace(
            "post: {\n      operationId: launchVm,",
            "post: {\n      parameters: [{name: name, in: query, schema: {type: string}}], operationId: launchVm,",
        );
        let (refined, model) = refined(&paths, SCHEMAS).unwrap();
        let error = format!("{:#}", tree(&refined, &model).err().unwrap());
        assert!(error.contains("operation launchVm"), "{error}");
        assert!(error.contains("`name`"), "{error}");
    }
}
