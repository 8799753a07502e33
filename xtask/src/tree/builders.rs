//! A builder per operation, and the macro that gives an override its setters.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{format_ident, quote};
use syn::Ident;

use super::call::{Argument, Call, unqualified};
use super::resources::{required_body, whole_body};
use super::{Scene, SetterMacro};
use crate::names::{self, ident};
use crate::refine::{self, docs, generic_argument, into_bound};

pub(super) fn write_builder(call: &Call, context: &Scene) -> TokenStream {
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
        context.in_module(quote!(#answer))
    };
    let docs = docs(&super::docs::of_builder(call));

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
    let reader = call.reader();
    // Its text is in the request now, and is not kept for as long as the answer takes.
    let has_body = call
        .arguments
        .iter()
        .any(|argument| argument.parameter.is_none());
    let release = has_body.then(|| quote!(drop(self.body);));
    let finish = if call.answers_handle {
        quote! {
            let answer = exchange.#reader(request).await?;
            Ok(crate::call::map_answer(answer, |vm| V::from_vm(exchange.client, vm)))
        }
    } else {
        quote!(exchange.#reader(request).await)
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
            #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
            pub fn send(self) -> impl Future<Output = Result<ResponseValue<#output>>> + Send {
                async move {
                    let exchange = self.call.begin(&operations::#constant, &[#(#checked),*])?;
                    let request = exchange.raw.#raw(#(#passed),*);
                    #release
                    #finish
                }
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
pub(super) fn write_setter_macro(call: &Call, context: &Scene) -> Option<SetterMacro> {
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
