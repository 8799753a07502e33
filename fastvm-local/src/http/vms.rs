//! Launch, list, retrieve, update, delete; pause, resume and the TTL.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use fastvm_api::Patch;
use fastvm_api::types::{
    AttachmentWarnings, DeleteResponse, LaunchVmRequest, SnapshotRestoreWarnings, SnapshotService,
    UpdateVmRequest, Vm, VmStatus,
};
use http::StatusCode;
use serde::Serialize;
use uuid::Uuid;

use super::body::{Json, Target};
use super::error::ApiError;
use super::log::AboutVm;
use super::query::Filters;
use super::{App, ORG_ID, json, snapshots};
use crate::bucket_mounts;
use crate::firewall;
use crate::images::Origin;
use crate::rules;
use crate::sandbox::LaunchSpec;
use crate::services::NotRegistered;
use crate::snapshots::register_services;
use crate::vms::{self, Boot, to_its_end};
use crate::volumes;

/// The metadata key by which a launch asks for a boot that goes wrong.
const BOOT_KEY: &str = "fastvm-local/boot";

pub(super) fn handler(operation: &str, on_method: MethodFilter) -> Option<MethodRouter<Arc<App>>> {
    Some(match operation {
        "listVms" => on(on_method, list),
        "launchVm" => on(on_method, launch),
        "getVm" => on(on_method, retrieve),
        "updateVm" => on(on_method, update),
        "deleteVm" => on(on_method, delete),
        "pauseVm" => on(on_method, pause),
        "resumeVm" => on(on_method, resume),
        "refreshVmTtl" => on(on_method, refresh_ttl),
        _ => return None,
    })
}

async fn launch(
    State(app): State<Arc<App>>,
    Json(mut request): Json<LaunchVmRequest>,
) -> Result<Response, ApiError> {
    let source = snapshots::restore(&app, &mut request)?;
    let keeps_buckets = request.bucket_mounts.is_none();
    let mut vm = new_vm(request)?;
    let boot = match boot(&vm.metadata)? {
        Boot::Normal => app.faults.boot(),
        asked => asked,
    };
    let mut spec = LaunchSpec::new(&vm.id, rules::host_name(&vm.name, &vm.id));
    spec.env = vm.env_vars.clone();
    let (mut services, mut warnings) = (Vec::new(), AttachmentWarnings::new());
    let mut origin = Origin::default();
    if let Some((source, skipped)) = source {
        warnings.skipped_snapshot_volumes = skipped;
        if keeps_buckets {
            (vm.bucket_mounts, warnings.skipped_snapshot_bucket_mounts) =
                app.buckets.recreate(&source.snapshot.bucket_mounts, &vm.id);
        }
        vm.source_name = Some(source.snapshot.name);
        services = source.snapshot.services;
        origin = source.origin;
        spec.root = origin.root();
        // What the image sets, unless the VM sets it, too.
        let mut env = origin.config.env.clone();
        env.extend(spec.env);
        spec.env = env;
        spec.source = Some(source.tree);
    }
    let mut vm = app.vms.launch(vm, spec, origin, boot).await?;
    let mut restore_warnings = None;
    if let Some(machine) = app.vms.get(&vm.id) {
        let registered = register_services(&machine, &services);
        restore_warnings = registered
            .err()
            .map(|error| not_registered(&error, services));
        if vm.status == VmStatus::Running {
            // One that boots still will show what it goes without.
            warnings.failed_volume_attachments = volumes::take_failed(&machine)?;
            warnings.failed_bucket_mount_attachments = bucket_mounts::take_failed(&machine)?;
        }
        vm = machine.view();
    }
    let status = match vm.status {
        VmStatus::Running => StatusCode::CREATED,
        _ => StatusCode::ACCEPTED,
    };
    let launched = Launched {
        vm,
        warnings: Some(warnings).filter(|warnings| *warnings != AttachmentWarnings::new()),
        restore_warnings,
    };
    let mut response = json(status, &launched);
    response.extensions_mut().insert(AboutVm(launched.vm.id));
    Ok(response)
}

/// The answer to a launch.
#[derive(Serialize)]
struct Launched {
    #[serde(flatten)]
    vm: Vm,
    #[serde(rename = "attachmentWarnings", skip_serializing_if = "Option::is_none")]
    warnings: Option<AttachmentWarnings>,
    #[serde(
        rename = "snapshotRestoreWarnings",
        skip_serializing_if = "Option::is_none"
    )]
    restore_warnings: Option<SnapshotRestoreWarnings>,
}

fn not_registered(
    error: &NotRegistered,
    captured: Vec<SnapshotService>,
) -> SnapshotRestoreWarnings {
    SnapshotRestoreWarnings::new(true)
        .reason(error.to_string())
        .set_unregistered_services(captured)
}

/// The VM that a launch asks for. What it does not ask for is left out, as in every answer.
fn new_vm(request: LaunchVmRequest) -> Result<Vm, ApiError> {
    let machine_type = request
        .machine_type
        .ok_or_else(|| ApiError::bad_request("machineType: missing, and there is no snapshotId"))?;
    let size = rules::size(&machine_type, request.disk_gib).map_err(ApiError::bad_request)?;
    let metadata = request.metadata.unwrap_or_default();
    rules::check_metadata(&metadata).map_err(ApiError::bad_request)?;
    let env_vars = request.env_vars.unwrap_or_default();
    rules::check_env_vars(&env_vars).map_err(ApiError::bad_request)?;
    if let Some(ttl) = &request.ttl {
        rules::check_ttl(ttl).map_err(ApiError::bad_request)?;
    }
    if let Some(policy) = &request.firewall {
        let in_launch = |text| ApiError::bad_request(format!("firewall.{text}"));
        firewall::check(policy).map_err(in_launch)?;
    }

    let id = Uuid::new_v4().to_string();
    let name = rules::vm_name(request.name.as_deref(), &id);
    let (cpu, memory_mib, disk_gib) = (size.cpu, size.memory_mib, size.disk_gib);
    let status = VmStatus::Provisioning;
    let mut vm = Vm::new(
        id,
        name,
        ORG_ID,
        cpu,
        memory_mib,
        disk_gib,
        status,
        vms::now(),
    )
    .machine_name(machine_type)
    .source_name("")
    .set_metadata(metadata)
    .set_env_vars(env_vars);
    vm.firewall = request.firewall;
    vm.ttl = request.ttl;
    let volumes = request.volumes.unwrap_or_default();
    volumes::asked_at_launch(volumes, &mut vm).map_err(ApiError::bad_request)?;
    let buckets = request.bucket_mounts.unwrap_or_default();
    bucket_mounts::asked_at_launch(buckets, &mut vm).map_err(ApiError::bad_request)?;
    Ok(vm)
}

fn boot(metadata: &BTreeMap<String, String>) -> Result<Boot, ApiError> {
    match metadata.get(BOOT_KEY).map(String::as_str) {
        None => Ok(Boot::Normal),
        Some("error") => Ok(Boot::Fails),
        Some("never") => Ok(Boot::Hangs),
        Some(other) => Err(ApiError::bad_request(format!(
            "metadata.{BOOT_KEY}: {other:?} is neither \"error\" nor \"never\""
        ))),
    }
}

async fn list(State(app): State<Arc<App>>, filters: Filters) -> Response {
    let mut vms = app.vms.list();
    vms.retain(|vm| {
        filters.match_metadata(&vm.metadata)
            && filters.values("status").all(|status| vm.status == *status)
    });
    json(StatusCode::OK, &vms)
}

async fn retrieve(Target(machine): Target) -> Response {
    json(StatusCode::OK, &machine.view())
}

async fn update(
    Target(machine): Target,
    Json(request): Json<UpdateVmRequest>,
) -> Result<Response, ApiError> {
    if let Some(metadata) = &request.metadata {
        rules::check_metadata(metadata).map_err(ApiError::bad_request)?;
    }
    if let Patch::Set(ttl) = &request.ttl {
        rules::check_ttl(ttl).map_err(ApiError::bad_request)?;
    }
    let _turn = machine.turn().await;
    let vm = machine.change(|vm| {
        if let Some(name) = &request.name {
            vm.name = rules::vm_name(Some(name), &vm.id);
        }
        if let Some(metadata) = request.metadata {
            vm.metadata = metadata;
        }
        match request.ttl {
            Patch::Keep => return,
            Patch::Clear => vm.ttl = None,
            Patch::Set(ttl) => vm.ttl = Some(ttl),
        }
        vms::start_cycle(vm);
    })?;
    Ok(json(StatusCode::OK, &vm))
}

async fn pause(Target(machine): Target) -> Result<Response, ApiError> {
    Ok(json(StatusCode::OK, &machine.pause().await?))
}

async fn resume(
    State(app): State<Arc<App>>,
    Target(machine): Target,
) -> Result<Response, ApiError> {
    let vm = to_its_end(async move {
        machine.resume().await?;
        app.vms.mount_pending(&machine).await;
        Ok::<_, ApiError>(machine.view())
    })
    .await?;
    Ok(json(StatusCode::OK, &vm))
}

async fn refresh_ttl(Target(machine): Target) -> Result<Response, ApiError> {
    Ok(json(StatusCode::OK, &machine.refresh_ttl().await?))
}

async fn delete(
    State(app): State<Arc<App>>,
    Target(machine): Target,
) -> Result<Response, ApiError> {
    let id = machine.id.clone();
    // A client that goes away shall not leave half of it.
    if !to_its_end(async move { Ok::<_, ApiError>(app.delete_vm(&id).await) }).await? {
        return Err(ApiError::no_such_vm());
    }
    Ok(json(
        StatusCode::OK,
        &DeleteResponse::new(&machine.id, true),
    ))
}

impl App {
    /// Deletes a VM and all that is there only for it, be it asked for or because of its TTL.
    /// Whether it was there.
    pub(crate) async fn delete_vm(&self, id: &str) -> bool {
        let was_there = self.vms.delete(id).await;
        if was_there {
            self.storage.remove_all(id);
        }
        was_there
    }
}
