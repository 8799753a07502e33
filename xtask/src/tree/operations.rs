//! The operation table.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{Kind, Model, Operation};
use crate::names::{self, ident};
use crate::refine::docs;

pub(super) fn write_operations(model: &Model) -> TokenStream {
    let operations = &model.operations;
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
    let secrets = secret_fields(model);
    quote! {
        #(#constants)*

        /// Every operation, in the order of the document. One with two media types is there twice.
        pub static ALL: &[&Operation] = &[#(&#all),*];

        /// The names of the fields of requests that hold secrets, with all that lies below them.
        pub static SECRET_FIELDS: &[&str] = &[#(#secrets),*];
    }
}

fn secret_fields(model: &Model) -> BTreeSet<&str> {
    let in_requests = model.schemas.iter().filter(|schema| schema.in_request);
    in_requests
        .filter_map(|schema| match &schema.kind {
            Kind::Object(properties) => Some(properties),
            Kind::Values(_) | Kind::Union => None,
        })
        .flatten()
        .filter(|property| property.secret)
        .map(|property| property.wire.as_str())
        .collect()
}
