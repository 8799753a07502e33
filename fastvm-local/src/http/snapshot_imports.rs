//! Import snapshots from images and Dockerfiles: create, list, retrieve, cancel, delete, and the
//! upload of build contexts.

use std::path::{Component, Path as FilePath};
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use fastvm_api::types::{
    ContextPresignResponse, CreateSnapshotImportRequest, DeleteResponse, PresignContextRequest,
    SnapshotImportResponse, SnapshotImportSourceKind, SnapshotImportSourceSpec,
    SnapshotImportSourceView, SnapshotImportStatus,
};
use http::{Method, StatusCode};
use uuid::Uuid;

use super::body::Json;
use super::error::ApiError;
use super::{App, json};
use crate::images::{self, dockerfile::DockerfileSpec};
use crate::imports::{MOST_CONTEXT_BYTES, NoContext, NotDeleted, Source};
use crate::rules;
use crate::vms;

/// What a snapshot is made for if the request does not say.
const MACHINE_TYPE: &str = "c1m2";

const MOST_BUILD_ARGS: usize = 64;
const BUILD_ARG_BYTES: usize = 8 * 1024;

pub(super) fn handler(operation: &str, on_method: MethodFilter) -> Option<MethodRouter<Arc<App>>> {
    Some(match operation {
        "listSnapshotImports" => on(on_method, list),
        "createSnapshotImport" => on(on_method, create),
        "presignSnapshotImportContext" => on(on_method, presign_context),
        "getSnapshotImport" => on(on_method, retrieve),
        "deleteSnapshotImport" => on(on_method, delete),
        "cancelSnapshotImport" => on(on_method, cancel),
        _ => return None,
    })
}

async fn list(State(app): State<Arc<App>>) -> Response {
    json(StatusCode::OK, &app.imports.list())
}

async fn create(
    State(app): State<Arc<App>>,
    Json(request): Json<CreateSnapshotImportRequest>,
) -> Result<Response, ApiError> {
    let machine_type = request.machine_type.as_deref().unwrap_or(MACHINE_TYPE);
    let size = rules::size(machine_type, request.disk_gib).map_err(ApiError::bad_request)?;
    let mut view =
        check(&request.source).map_err(|text| ApiError::bad_request(format!("source.{text}")))?;
    let share = app.imports.take_share()?;
    let source = source(&app, request.source, &mut view)?;

    let id = Uuid::new_v4().to_string();
    let name = request.name.as_deref().and_then(rules::name);
    let mut import =
        SnapshotImportResponse::new(&id, SnapshotImportStatus::Pending, view, vms::now())
            .name(name.unwrap_or_else(|| id.clone()))
            .machine_name(machine_type)
            .cpu(size.cpu)
            .memory_mib(size.memory_mib)
            .disk_gib(size.disk_gib);
    import.updated_at = Some(import.created_at);
    let import = app.imports.create(import, source, share)?;
    Ok(json(StatusCode::ACCEPTED, &import))
}

/// Checks a source and says how it is shown. What is empty counts as left out.
fn check(source: &SnapshotImportSourceSpec) -> Result<SnapshotImportSourceView, String> {
    let is_image = source.type_ == SnapshotImportSourceKind::Image;
    let has_build_args = source
        .build_args
        .as_ref()
        .is_some_and(|args| !args.is_empty());
    // Each with the kind that it belongs to.
    let fields = [
        ("image", true, given(&source.image).is_some()),
        ("platform", true, given(&source.platform).is_some()),
        ("contextRef", false, given(&source.context_ref).is_some()),
        (
            "dockerfilePath",
            false,
            given(&source.dockerfile_path).is_some(),
        ),
        ("target", false, given(&source.target).is_some()),
        ("buildArgs", false, has_build_args),
    ];
    for (field, is_of_image, is_given) in fields {
        if is_given && is_of_image != is_image {
            let kind = &source.type_;
            return Err(format!("{field}: not allowed with a source of kind {kind}"));
        }
    }
    let mut view = if is_image {
        check_image(source)?
    } else {
        check_dockerfile(source)?
    };
    view.registry_username = given(&source.registry_username).map(str::to_owned);
    Ok(view)
}

fn given(field: &Option<String>) -> Option<&str> {
    field.as_deref().filter(|text| !text.is_empty())
}

fn check_image(source: &SnapshotImportSourceSpec) -> Result<SnapshotImportSourceView, String> {
    let image = given(&source.image).ok_or("image: missing")?;
    images::parse(image).map_err(|text| format!("image: {text}"))?;
    let own = images::own_platform();
    let platform = given(&source.platform).unwrap_or(&own);
    let parts = platform.split_once('/');
    if !parts.is_some_and(|(os, arch)| !os.is_empty() && !arch.is_empty()) {
        return Err("platform: not of the form <os>/<arch>".to_owned());
    }
    let view = SnapshotImportSourceView::new(SnapshotImportSourceKind::Image);
    Ok(view.image(image).platform(platform))
}

fn check_dockerfile(source: &SnapshotImportSourceSpec) -> Result<SnapshotImportSourceView, String> {
    given(&source.context_ref).ok_or("contextRef: missing")?;
    let path = given(&source.dockerfile_path).unwrap_or("Dockerfile");
    let is_inner = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !FilePath::new(path).components().all(is_inner) {
        return Err("dockerfilePath: absolute, or leads out of the context".to_owned());
    }
    let build_args = source.build_args.clone().unwrap_or_default();
    let bytes: usize = build_args
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if build_args.len() > MOST_BUILD_ARGS || bytes > BUILD_ARG_BYTES {
        return Err(format!(
            "buildArgs: more than {MOST_BUILD_ARGS}, or than {BUILD_ARG_BYTES} bytes altogether"
        ));
    }
    let login = given(&source.registry_username).or(given(&source.registry_password));
    let host = given(&source.registry_host);
    if login.is_some() && host.is_none() {
        return Err("registryHost: missing, and there is a login".to_owned());
    }
    let view = SnapshotImportSourceView::new(SnapshotImportSourceKind::Dockerfile);
    let mut view = view.dockerfile_path(path).set_build_args(build_args);
    view.registry_host = host.map(str::to_owned);
    view.target = given(&source.target).map(str::to_owned);
    Ok(view)
}

/// What a source that is good leads to. The login is not needed: no registry is asked.
fn source(
    app: &App,
    spec: SnapshotImportSourceSpec,
    view: &mut SnapshotImportSourceView,
) -> Result<Source, ApiError> {
    if let Some(reference) = view.image.clone() {
        let platform = view.platform.clone();
        return Ok(Source::Image {
            reference,
            platform,
        });
    }
    let name = spec.context_ref.unwrap_or_default();
    let (archive, bytes) = app
        .imports
        .take_context(&name, &app.storage)
        .map_err(|refusal| {
            ApiError::bad_request(match refusal {
                NoContext::Unknown => "source.contextRef: unknown, expired or used already",
                NoContext::NotUploaded => "source.contextRef: nothing was uploaded",
            })
        })?;
    view.context_size_bytes = i64::try_from(bytes).ok();
    let spec = DockerfileSpec {
        path: view.dockerfile_path.clone().unwrap_or_default(),
        target: view.target.clone(),
        build_args: view.build_args.clone(),
    };
    Ok(Source::Dockerfile { archive, spec })
}

async fn presign_context(
    State(app): State<Arc<App>>,
    request: Option<Json<PresignContextRequest>>,
) -> Result<Response, ApiError> {
    let announced = request
        .and_then(|Json(request)| request.size_bytes)
        .unwrap_or_default();
    let most = i64::try_from(MOST_CONTEXT_BYTES).unwrap_or(i64::MAX);
    if !(0..=most).contains(&announced) {
        return Err(ApiError::bad_request(format!(
            "sizeBytes: not from 0 to {most}"
        )));
    }
    let storage = &app.storage;
    let (name, object) = app.imports.expect_context(storage);
    let answer = ContextPresignResponse::new(
        storage.sign(&Method::PUT, &object, storage.expiry()),
        name,
        i64::try_from(storage.lifetime().as_secs()).unwrap_or(i64::MAX),
        most,
    );
    Ok(json(StatusCode::OK, &answer))
}

async fn retrieve(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let import = app.imports.get(&id).ok_or_else(no_such_import)?;
    Ok(json(StatusCode::OK, &import))
}

async fn cancel(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let import = app.imports.cancel(&id)?.ok_or_else(no_such_import)?;
    Ok(json(StatusCode::OK, &import))
}

async fn delete(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    app.imports.delete(&id)?;
    Ok(json(StatusCode::OK, &DeleteResponse::new(id, true)))
}

fn no_such_import() -> ApiError {
    ApiError::not_found("snapshot import")
}

impl From<NotDeleted> for ApiError {
    fn from(error: NotDeleted) -> Self {
        match error {
            NotDeleted::Missing => no_such_import(),
            NotDeleted::Running => Self::conflict("import is still running"),
            NotDeleted::Failed(error) => error.into(),
        }
    }
}
