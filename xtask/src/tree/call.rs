//! An operation with all that its builder and its methods need to know.

use anyhow::{Context, Result, bail};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{FnArg, Ident, Pat, Type};

use super::{HANDLE, Scene};
use crate::model::{Operation, Parameter};
use crate::names::{self, ident};
use crate::refine::{Field, Struct, generic_argument};

/// An operation with what its builder needs: how the raw method takes its arguments.
pub(super) struct Call<'a> {
    pub(super) operation: &'a Operation,
    pub(super) raw: Ident,
    pub(super) arguments: Vec<Argument<'a>>,
    pub(super) answer: &'a Type,
    pub(super) answers_handle: bool,
    pub(super) body: Option<&'a Struct>,
}

/// An argument of the raw method, and the field of the builder that holds it.
pub(super) struct Argument<'a> {
    pub(super) name: Ident,
    /// Its type, owned.
    pub(super) ty: Type,
    pub(super) optional: bool,
    /// How `send` passes it on.
    pub(super) passed: TokenStream,
    /// `None`: it is the body.
    pub(super) parameter: Option<&'a Parameter>,
}

impl<'a> Call<'a> {
    pub(super) fn read(operation: &'a Operation, context: &Scene<'a>) -> Result<Self> {
        let raw = ident(&names::function_name(&operation.id));
        let method = context
            .refined
            .methods
            .iter()
            .find(|method| method.function.sig.ident == raw);
        let method = method.context("progenitor wrote no method for it")?;
        let mut arguments = Vec::new();
        for input in &method.function.sig.inputs {
            if let FnArg::Typed(input) = input {
                arguments.push(Argument::read(input, operation)?);
            }
        }
        let answer = method.answer.to_token_stream().to_string();
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
            answer: &method.answer,
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

    pub(super) fn method(&self) -> Ident {
        ident(self.operation.place.last().map_or("call", String::as_str))
    }

    pub(super) fn builder(&self) -> Ident {
        ident(&names::builder_name(&self.operation.place))
    }

    pub(super) fn is_under_handle(&self) -> bool {
        let place = self.operation.place.first().map(String::as_str);
        place == Some(HANDLE.resource) && self.operation.path.starts_with(HANDLE.path)
    }

    /// What reads its answer.
    pub(super) fn reader(&self) -> Ident {
        ident(match self.answer {
            Type::Tuple(_) => "empty",
            Type::Path(path) if path.path.is_ident("ByteStream") => "stream",
            _ => "json",
        })
    }

    /// `<V>`, if the builder answers what the caller's tree wraps a VM in.
    pub(super) fn generic(&self) -> Option<TokenStream> {
        self.answers_handle.then(|| quote!(<V>))
    }

    /// The optional fields of the body that get setters.
    pub(super) fn body_fields(&self) -> impl Iterator<Item = &'a Field> {
        self.body
            .into_iter()
            .flat_map(|body| &body.fields)
            .filter(|field| !field.required)
    }

    pub(super) fn optional_parameters(&self) -> impl Iterator<Item = &Argument<'a>> {
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
        let raw = &pattern.ident;
        let parameter = operation
            .parameters
            .iter()
            .find(|parameter| *raw == names::field_name(&parameter.name));
        let name = match parameter {
            Some(parameter) => ident(&names::builder_field(&parameter.wire_name)),
            None if raw == "body" => raw.clone(),
            None => bail!("its raw method takes `{raw}`, which is no parameter of it"),
        };
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
        Ok(Self {
            name,
            ty,
            optional,
            passed,
            parameter,
        })
    }

    pub(super) fn in_path(&self) -> bool {
        self.parameter.is_some_and(|parameter| parameter.in_path)
    }
}

/// `types::X` → `X`: in a macro another path stands before it.
pub(super) fn unqualified(ty: &Type) -> Type {
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
