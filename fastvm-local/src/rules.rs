//! What the API allows in a request, beyond the types of its fields. A refusal is a text for a 400.

use std::collections::BTreeMap;
use std::time::Duration;

use fastvm_api::types::{TtlAction, VmTtl};

/// How long a name may be, in Unicode code points.
const NAME_LENGTH: usize = 64;

const METADATA_KEYS: usize = 256;
const METADATA_VALUE_BYTES: usize = 4096;
const KEY_BYTES: usize = 256;
const MAP_JSON_BYTES: usize = 65536;

/// One year.
const TTL_SECONDS: i64 = 31_536_000;

const DEFAULT_DISK_GIB: i64 = 10;
const MOST_DISK_GIB: i64 = 65_536;
const MOST_CPU: i64 = 256;
const MOST_MEMORY_GIB: i64 = 4096;

/// CPU, memory and disk of a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) cpu: i64,
    pub(crate) memory_mib: i64,
    pub(crate) disk_gib: i64,
}

/// The size that a machine type such as `c2m4` stands for: 2 CPUs, 4 GiB of memory.
pub(crate) fn size(machine_type: &str, disk_gib: Option<i64>) -> Result<Size, String> {
    let unknown = || format!("machineType: {machine_type:?} is unknown; sizes are named like c1m2");
    let (cpu, memory_gib) = machine_type
        .strip_prefix('c')
        .and_then(|rest| rest.split_once('m'))
        .ok_or_else(unknown)?;
    let cpu = count(cpu, MOST_CPU).ok_or_else(unknown)?;
    let memory_gib = count(memory_gib, MOST_MEMORY_GIB).ok_or_else(unknown)?;
    let disk_gib = disk_gib.unwrap_or(DEFAULT_DISK_GIB);
    if !(1..=MOST_DISK_GIB).contains(&disk_gib) {
        return Err(format!(
            "diskGiB: {disk_gib} is not from 1 to {MOST_DISK_GIB}"
        ));
    }
    Ok(Size {
        cpu,
        memory_mib: memory_gib * 1024,
        disk_gib,
    })
}

/// A number from 1 on, written in the one usual way.
fn count(digits: &str, most: i64) -> Option<i64> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    let number = digits.parse().ok().filter(|_| is_plain)?;
    (1..=most).contains(&number).then_some(number)
}

/// The name of a VM as it is stored; if nothing is left of it, `vm-` and the start of the id.
pub(crate) fn vm_name(asked: Option<&str>, id: &str) -> String {
    name_or(asked, "vm", id)
}

/// The same of a snapshot: `snapshot-` and the start of the VM's id.
pub(crate) fn snapshot_name(asked: Option<&str>, vm_id: &str) -> String {
    name_or(asked, "snapshot", vm_id)
}

fn name_or(asked: Option<&str>, kind: &str, id: &str) -> String {
    asked
        .and_then(name)
        .unwrap_or_else(|| format!("{kind}-{}", id.chars().take(8).collect::<String>()))
}

/// A name as it is stored: white space trimmed and collapsed, cut to 64 code points; none if nothing
/// is left.
pub(crate) fn name(asked: &str) -> Option<String> {
    let words: Vec<&str> = asked.split_whitespace().collect();
    let name: String = words.join(" ").chars().take(NAME_LENGTH).collect();
    let name = name.trim_end();
    (!name.is_empty()).then(|| name.to_owned())
}

/// The host name inside a VM of this name.
pub(crate) fn host_name(name: &str, id: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(63)
        .collect();
    match plain.trim_matches('-') {
        "" => vm_name(None, id),
        host => host.to_owned(),
    }
}

pub(crate) fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<(), String> {
    if metadata.len() > METADATA_KEYS {
        return Err(format!("metadata: more than {METADATA_KEYS} keys"));
    }
    for (key, value) in metadata {
        if !(1..=KEY_BYTES).contains(&key.len()) {
            return Err(format!("metadata: a key is not 1 to {KEY_BYTES} bytes"));
        }
        if value.len() > METADATA_VALUE_BYTES {
            return Err(format!(
                "metadata.{key}: more than {METADATA_VALUE_BYTES} bytes"
            ));
        }
    }
    check_json_size("metadata", metadata)
}

pub(crate) fn check_env_vars(env: &BTreeMap<String, String>) -> Result<(), String> {
    for (key, value) in env {
        let is_name = key.len() <= KEY_BYTES
            && key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            return Err(format!(
                "envVars: a key is not 1 to {KEY_BYTES} bytes of the form [A-Za-z_][A-Za-z0-9_]*"
            ));
        }
        if value.contains(['\n', '\r', '\0']) {
            return Err(format!(
                "envVars.{key}: a line break or null byte in the value"
            ));
        }
    }
    check_json_size("envVars", env)
}

fn check_json_size(field: &str, map: &BTreeMap<String, String>) -> Result<(), String> {
    let encoded = serde_json::to_vec(map).map_err(|error| format!("{field}: {error}"))?;
    if encoded.len() > MAP_JSON_BYTES {
        return Err(format!("{field}: more than {MAP_JSON_BYTES} bytes as JSON"));
    }
    Ok(())
}

pub(crate) fn check_ttl(ttl: &VmTtl) -> Result<(), String> {
    if !(1..=TTL_SECONDS).contains(&ttl.seconds) {
        let seconds = ttl.seconds;
        return Err(format!(
            "ttl.seconds: {seconds} is not from 1 to {TTL_SECONDS}"
        ));
    }
    match &ttl.action {
        TtlAction::Unknown(action) => Err(format!(
            "ttl.action: {action:?} is neither \"pause\" nor \"delete\""
        )),
        _ => Ok(()),
    }
}

/// The time limit of a command.
pub(crate) fn time_limit(timeout_sec: Option<i64>, default: Duration) -> Result<Duration, String> {
    let Some(seconds) = timeout_sec else {
        return Ok(default);
    };
    u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
        .ok_or_else(|| format!("timeoutSec: {seconds} is not a positive number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_type_names_cpu_and_memory() {
        let size_of = |name, disk| size(name, disk);
        let expected = Size {
            cpu: 2,
            memory_mib: 4096,
            disk_gib: 10,
        };
        assert_eq!(size_of("c2m4", None), Ok(expected));
        assert_eq!(
            size_of("c2m4", Some(50)),
            Ok(Size {
                disk_gib: 50,
                ..expected
            })
        );
        for unknown in [
            "", "c", "c1", "m2", "c1m", "cm2", "c0m2", "c01m2", "c+1m2", "c1m2x", "C1M2", "c999m2",
        ] {
            assert!(size_of(unknown, None).is_err(), "{unknown}");
        }
        assert!(size_of("c1m2", Some(0)).is_err());
    }

    #[test]
    fn names_are_trimmed_collapsed_and_cut() {
        let id = "0123456789";
        assert_eq!(vm_name(Some("  my \t dev\nbox "), id), "my dev box");
        assert_eq!(vm_name(Some(&"ä".repeat(70)), id), "ä".repeat(64));
        assert_eq!(
            vm_name(Some(&format!("{} b", "a".repeat(63))), id),
            "a".repeat(63)
        );
        assert_eq!(vm_name(Some("   "), id), "vm-01234567");
        assert_eq!(vm_name(None, id), "vm-01234567");
        assert_eq!(snapshot_name(Some(" "), id), "snapshot-01234567");
    }

    #[test]
    fn host_names_are_plain() {
        assert_eq!(host_name("My dev box!", "0123456789"), "my-dev-box");
        assert_eq!(host_name("äöü", "0123456789"), "vm-01234567");
    }
}
