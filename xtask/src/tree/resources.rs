//! A struct per resource, whose methods make the builders; the handle; and the resources that are
//! reached from it.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Ident;

use super::builders::write_builder;
use super::call::{Argument, Call};
use super::{HANDLE, Module, Scene};
use crate::names::{self, ident};
use crate::refine::{self, Field, docs, into_bound};

/// A resource: its operations and the resources below it.
pub(super) struct Node<'a> {
    pub(super) path: Vec<String>,
    pub(super) calls: Vec<&'a Call<'a>>,
    pub(super) children: Vec<Node<'a>>,
}

impl<'a> Node<'a> {
    pub(super) fn root(calls: &'a [Call<'a>]) -> Self {
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

    pub(super) fn insert(&mut self, call: &'a Call<'a>, depth: usize) {
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

    pub(super) fn is_handle(&self) -> bool {
        self.path == [HANDLE.resource]
    }

    pub(super) fn name(&self) -> Ident {
        ident(&names::type_name(
            self.path.last().map_or("root", String::as_str),
        ))
    }

    /// The name of the same resource, reached from a handle.
    pub(super) fn scoped_name(&self) -> Ident {
        format_ident!("{}{}", HANDLE.ty, self.name())
    }

    pub(super) fn accessor(&self) -> Ident {
        ident(self.path.last().map_or("root", String::as_str))
    }

    /// What a reader calls it: `vms.bucket_mounts` → "bucket mounts", `vms` → "VMs".
    pub(super) fn title(&self) -> String {
        let name = self.path.last().map_or("", String::as_str);
        let words = name.split('_').map(|word| match word {
            "vms" => "VMs",
            "ssh" => "SSH",
            word => word,
        });
        words.collect::<Vec<_>>().join(" ")
    }

    pub(super) fn has_scoped_calls(&self) -> bool {
        self.calls.iter().any(|call| call.is_under_handle())
            || self.children.iter().any(Node::has_scoped_calls)
    }

    pub(super) fn module(&self) -> TokenStream {
        let path = self.path.iter().map(|name| ident(name));
        quote!(crate #(:: #path)*)
    }
}

pub(super) fn write_modules(node: &Node, context: &Scene, modules: &mut Vec<Module>) {
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
    let docs = docs(&super::docs::of_resource(node));
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
pub(super) enum Scope {
    Root,
    Resource,
    Handle,
    Scoped,
}

impl Scope {
    /// Whether the method does without the first id in the path.
    pub(super) fn has_id(self) -> bool {
        matches!(self, Self::Handle | Self::Scoped)
    }

    /// Examples start at the client.
    pub(super) fn shows_example(self) -> bool {
        !self.has_id()
    }
}

fn write_method(call: &Call, scope: Scope, context: &Scene) -> TokenStream {
    let (method, builder, generic) = (call.method(), call.builder(), call.generic());
    let docs = docs(&super::docs::of_method(call, scope));
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
pub(super) fn required_body<'a>(call: &Call<'a>) -> impl Iterator<Item = &'a Field> {
    call.body
        .into_iter()
        .flat_map(|body| &body.fields)
        .filter(|field| field.required)
}

/// A body that is no object (a list, a string) is an argument as a whole.
pub(super) fn whole_body<'c, 'a>(call: &'c Call<'a>) -> Option<&'c Argument<'a>> {
    call.arguments
        .iter()
        .find(|argument| argument.parameter.is_none() && call.body.is_none())
}
