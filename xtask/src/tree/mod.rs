//! Writes the resource tree that people call: a struct per resource, a builder per operation, the
//! VM handle, the operation table, and the setter macros that overrides invoke.

mod builders;
mod call;
mod docs;
mod operations;
mod resources;

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use proc_macro2::{Group, TokenStream, TokenTree};
use quote::quote;

use self::builders::write_setter_macro;
use self::call::Call;
use self::operations::write_operations;
use self::resources::{Node, write_modules};
use crate::model::Model;
use crate::refine::{Field, Presence, Refined, Struct};

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
    /// A table of all operations, with links for the crate that overrides them.
    pub table: String,
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
        operations: write_operations(model),
        table: docs::table(model),
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
    fn a_method_tells_its_terms_and_what_is_built_on_it() {
        let paths = PATHS.replace(
            "operationId: launchVm, x-fastvm-method: vms.launch,",
            "operationId: launchVm, x-fastvm-method: vms.launch, summary: Launch a VM, \
             x-fastvm-override: 'Vms::launch', x-fastvm-example: 'client.vms().launch().await?;',",
        );
        let paths = paths.replace(
            "'201': {",
            "'400': {description: 'See `listVms`.'}, '201': {",
        );
        let (refined, model) = refined(&paths, SCHEMAS).unwrap();
        let tree = tree(&refined, &model).unwrap();
        let vms = tree
            .modules
            .into_iter()
            .find(|module| module.path == ["vms"]);
        let vms = printed(vms.unwrap().items);
        for part in [
            "/// Launch a VM.",
            "[`Vms::launch`](https://docs.rs/fastvm/latest/fastvm/struct.Vms.html#method.launch)",
            "methods of the builder: [`machine_type`](Launch::machine_type), [`wait_field`]",
            "/// Sends `POST /v1/vms`, and gives [`LaunchVmResponse`](fastvm_api::types::LaunchVmResponse). It is not safe",
            "/// - `400`: See [`client.vms().list`](fastvm_api::vms::Vms::list).",
            "/// client.vms().launch().await?;",
            "and gives a list of [`Vm`](fastvm_api::types::Vm). It is safe",
        ] {
            assert_has(&vms, part);
        }
        assert_has(
            &tree.table,
            "| Launch a VM | [`client.vms().launch`](fastvm_api::vms::Vms::launch) | [`Vms::launch`](crate::Vms::launch) | `POST /v1/vms` |",
        );
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
