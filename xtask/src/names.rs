//! How wire names become Rust names. Every module asks here, so that a fact noted under a name is
//! found under it again.

use heck::{ToSnakeCase, ToUpperCamelCase};
use proc_macro2::Span;
use syn::Ident;

/// Setter names that builders and overrides need for themselves. A field of such a name gets the
/// suffix `_field`.
const RESERVED_SETTERS: &[&str] = &[
    "body",
    "call_options",
    "check",
    "command",
    "exec_timeout",
    "fetch_timeout",
    "header",
    "idle_check",
    "into_future",
    "into_guard",
    "keep_on_failure",
    "launch_id",
    "lease",
    "max_retries",
    "new",
    "poll_interval",
    "request_timeout",
    "send",
    "timeout",
    "wait",
    "wait_timeout",
    "wait_until_ready",
];

/// Body fields that an override sets in a way of its own: `(operation, field)`. The raw builder
/// keeps their setters; the setter macro, which overrides invoke, leaves them out.
const LEFT_TO_OVERRIDES: &[(&str, &str)] = &[
    ("execVm", "command"),
    ("execVm", "stdin"),
    ("execVm", "timeoutSec"),
    ("launchVm", "machineType"),
    ("launchVm", "metadata"),
    ("launchVm", "snapshotId"),
];

/// Types that generated code names without a path. No schema and no resource can have these names.
const TAKEN_TYPES: &[&str] = &[
    "BTreeMap",
    "ByteStream",
    "Call",
    "Client",
    "Clone",
    "DateTime",
    "Debug",
    "Default",
    "Deserialize",
    "From",
    "FromVm",
    "Into",
    "IntoFuture",
    "IntoIterator",
    "Option",
    "Patch",
    "Pending",
    "PhantomData",
    "ResponseValue",
    "Result",
    "Send",
    "Serialize",
    "Sized",
    "String",
    "Utc",
    "Vec",
    "VmHandle",
];

/// Modules of the raw crate that are no resources.
const TAKEN_MODULES: &[&str] = &[
    "call",
    "client",
    "error",
    "exchange",
    "generated",
    "operations",
    "patch",
    "raw",
    "root",
    "setters",
    "types",
    "values",
];

/// Methods that resources and handles have by themselves.
const TAKEN_METHODS: &[&str] = &["client", "into_data", "new"];

/// `LaunchVMRequest` → `LaunchVmRequest`, as typify re-cases it.
pub fn type_name(wire: &str) -> String {
    wire.to_upper_camel_case()
}

/// `diskGiB` → `disk_gib`, `type` → `type_`.
pub fn field_name(wire: &str) -> String {
    // Units are one word; left to the case rules they come out as `gi_b`.
    let words = wire
        .replace("GiB", "Gib")
        .replace("MiB", "Mib")
        .replace("KiB", "Kib");
    escape(words.to_snake_case())
}

/// `launchVm` → `launch_vm`.
pub fn function_name(operation_id: &str) -> String {
    escape(operation_id.to_snake_case())
}

/// `launchVm` → `LAUNCH_VM`.
pub fn constant_name(operation_id: &str) -> String {
    function_name(operation_id).to_uppercase()
}

/// `gcp-service-account-json` → `GcpServiceAccountJson`, `2xl` → `V2xl`. `Unknown` is the variant of
/// the values that are not known.
pub fn variant_name(value: &str) -> String {
    let name = value.to_upper_camel_case();
    match name.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("V{name}"),
        Some(_) if !["Self", "Unknown"].contains(&name.as_str()) => name,
        _ => format!("{name}Value"),
    }
}

/// The name of a field's setter on builders and in setter macros.
pub fn setter_name(field: &str) -> String {
    if RESERVED_SETTERS.contains(&field) {
        format!("{field}_field")
    } else {
        field.to_owned()
    }
}

/// Whether generated code means another type by this name.
pub fn is_taken_type(name: &str) -> bool {
    TAKEN_TYPES.contains(&name)
}

/// The part of a place that generated code needs for itself, if there is one.
pub fn taken_part(place: &[String]) -> Option<&str> {
    let (method, resources) = place.split_last()?;
    let is_taken = |part: &&String| is_taken_type(&type_name(part));
    if TAKEN_METHODS.contains(&method.as_str()) {
        return Some(method);
    }
    let first = resources.first();
    first
        .filter(|first| TAKEN_MODULES.contains(&first.as_str()))
        .or_else(|| resources.iter().find(is_taken))
        .map(String::as_str)
}

/// The builder of a method. `ping.ping` must not be called like its resource.
pub fn builder_name(place: &[String]) -> String {
    let name = place
        .last()
        .map_or_else(|| "Call".to_owned(), |method| type_name(method));
    let is_resource = place
        .iter()
        .rev()
        .nth(1)
        .is_some_and(|resource| type_name(resource) == name);
    if is_resource || is_taken_type(&name) {
        format!("{name}Call")
    } else {
        name
    }
}

/// The field of a builder that holds a parameter: not one that the builder has by itself.
pub fn builder_field(parameter: &str) -> String {
    let name = field_name(parameter);
    if ["answer", "call"].contains(&name.as_str()) {
        format!("{name}_")
    } else {
        name
    }
}

/// Whether the override of this operation sets the field in a way of its own.
pub fn is_left_to_override(operation_id: &str, wire: &str) -> bool {
    LEFT_TO_OVERRIDES.contains(&(operation_id, wire))
}

pub fn ident(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}

/// Makes a Rust identifier of a snake-case word.
fn escape(word: String) -> String {
    let starts_badly = word.chars().next().is_none_or(|c| c.is_ascii_digit());
    if starts_badly {
        format!("_{word}")
    } else if syn::parse_str::<Ident>(&word).is_err() {
        format!("{word}_")
    } else {
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_resource_takes_the_name_of_a_module_of_the_raw_crate() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fastvm-api/src");
        let file = syn::parse_file(&std::fs::read_to_string(folder.join("lib.rs")).unwrap());
        let modules = file
            .unwrap()
            .items
            .into_iter()
            .filter_map(|item| match item {
                syn::Item::Mod(module) if module.content.is_none() => {
                    Some(module.ident.to_string())
                }
                _ => None,
            });
        let missing: Vec<_> = modules
            .filter(|module| !TAKEN_MODULES.contains(&module.as_str()))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn units_stay_one_word() {
        assert_eq!(field_name("diskGiB"), "disk_gib");
        assert_eq!(field_name("memoryMiB"), "memory_mib");
        assert_eq!(field_name("ratePerGiBMonth"), "rate_per_gib_month");
        assert_eq!(field_name("publicIpv6"), "public_ipv6");
    }

    #[test]
    fn keywords_and_digits_become_identifiers() {
        assert_eq!(field_name("type"), "type_");
        assert_eq!(field_name("2fa"), "_2fa");
        assert_eq!(variant_name("2xl"), "V2xl");
        assert_eq!(variant_name("self"), "SelfValue");
        assert_eq!(constant_name("2fa"), "_2FA");
    }

    #[test]
    fn places_and_builders_keep_clear_of_what_generated_code_needs() {
        let place = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(taken_part(&place("types.list")), Some("types"));
        assert_eq!(taken_part(&place("vms.new")), Some("new"));
        assert_eq!(taken_part(&place("vms.result.get")), Some("result"));
        assert_eq!(taken_part(&place("vms.result")), None);
        assert_eq!(builder_name(&place("vms.result")), "ResultCall");
        assert_eq!(builder_name(&place("ping.ping")), "PingCall");
        assert_eq!(builder_name(&place("vms.list")), "List");
        assert_eq!(builder_field("call"), "call_");
    }

    #[test]
    fn acronyms_are_cased_like_words() {
        assert_eq!(type_name("LaunchVMRequest"), "LaunchVmRequest");
        assert_eq!(type_name("DNSPolicy"), "DnsPolicy");
    }

    #[test]
    fn a_field_that_an_override_needs_gets_a_suffix() {
        assert_eq!(setter_name("wait"), "wait_field");
        assert_eq!(setter_name("region"), "region");
    }
}
