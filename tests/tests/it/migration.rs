//! The table of published calls and their Rust forms.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use fastvm::types::{self, AccessMode, AwsCredentialsValue, BucketMountCredentials};
use fastvm::{CallInfo, Client, Error, Sending, Transport};
use fastvm_api::operations;

const CHAPTER: &str = include_str!("../../../fastvm/src/guide/migration.md");

/// Not an operation, but several.
const HELPER: &str = "–";

struct Row {
    operation: String,
    /// The calls as they stand in the columns, without dashes.
    published: Vec<String>,
    rust: Vec<String>,
}

fn table() -> Vec<Row> {
    let rows = CHAPTER.lines().filter_map(|line| line.strip_prefix("| "));
    let rows = rows.filter(|line| !line.starts_with("Operation"));
    rows.map(|line| {
        let cells: Vec<_> = line
            .trim_end_matches('|')
            .split(" | ")
            .map(str::trim)
            .collect();
        assert_eq!(cells.len(), 5, "{line}");
        let calls = |cells: &[&str]| {
            let calls = cells.iter().filter(|cell| **cell != "–");
            calls
                .map(|cell| cell.trim_matches('`').to_owned())
                .collect()
        };
        Row {
            operation: cells[0].to_owned(),
            published: calls(&cells[1..3]),
            rust: calls(&cells[3..]),
        }
    })
    .collect()
}

/// Says what each call asks for first, and refuses it.
#[derive(Clone, Debug, Default)]
struct Recorder(Arc<Mutex<Vec<&'static str>>>);

impl Transport for Recorder {
    fn send<'a>(&'a self, _: reqwest::Request, call: &'a CallInfo) -> Sending<'a> {
        self.0.lock().unwrap().push(call.operation().id);
        let answer = http::Response::builder().status(400).body("{}").unwrap();
        Box::pin(async { Ok(answer.into()) })
    }
}

type Failing = Pin<Box<dyn Future<Output = Option<Error>>>>;

/// A form as it is written and as it is compiled.
struct Form {
    text: &'static str,
    operation: &'static str,
    call: Failing,
}

fn failing<T, F>(call: F) -> Failing
where
    F: IntoFuture<Output = fastvm::Result<T>>,
    F::IntoFuture: 'static,
{
    let future = call.into_future();
    Box::pin(async { future.await.err() })
}

/// What several forms use up, once more.
macro_rules! again {
    ([$($used:ident),*]) => { $(#[allow(unused)] let $used = $used.clone();)* };
}

macro_rules! forms {
    ($used:tt $($call:expr => $operation:literal,)*) => {
        vec![$({
            again!($used);
            Form { text: stringify!($call), operation: $operation, call: failing($call) }
        },)*]
    };
}

fn forms(client: &Client) -> Vec<Form> {
    let id = "v".to_owned();
    let [snapshot_id, volume_id, mount_id, import_id] = ["s", "w", "m", "i"].map(str::to_owned);
    let (url, public_key, fingerprint) = ("https://x", "ssh-ed25519 A", "SHA256:x");
    let (policy, patch) = (
        types::FirewallPolicy::new(),
        types::PatchFirewallRequest::new(),
    );
    let login = BucketMountCredentials::AwsCredentials(AwsCredentialsValue::new("x"));
    let source = types::SnapshotImportSourceSpec::new("image").image("alpine:3");
    let vm = client.vms().handle(vm_data());
    forms! {
        [policy, patch, login, source]
        client.vms().list() => "listVms",
        client.vms().launch("c1m2") => "launchVm",
        client.vms().restore(&snapshot_id) => "launchVm",
        client.vms().retrieve(&id) => "getVm",
        vm.retrieve() => "getVm",
        client.vms().update(&id).name("dev") => "updateVm",
        vm.update().name("dev") => "updateVm",
        client.vms().delete(&id) => "deleteVm",
        vm.delete() => "deleteVm",
        client.vms().pause(&id) => "pauseVm",
        vm.pause() => "pauseVm",
        client.vms().resume(&id) => "resumeVm",
        vm.resume() => "resumeVm",
        client.vms().refresh_ttl(&id) => "refreshVmTtl",
        vm.refresh_ttl() => "refreshVmTtl",
        client.vms().set_firewall(&id).body(policy) => "setVmFirewall",
        vm.set_firewall().body(policy) => "setVmFirewall",
        client.vms().patch_firewall(&id).body(patch) => "patchVmFirewall",
        vm.patch_firewall().body(patch) => "patchVmFirewall",
        client.vms().console_token(&id) => "createConsoleToken",
        vm.console_token() => "createConsoleToken",
        client.vms().run(&id, "make test") => "execVm",
        vm.run("make test") => "execVm",
        client.vms().stream(&id, "make test") => "execVm",
        vm.stream("make test") => "execVm",
        client.vms().services().list(&id) => "listServices",
        vm.services().list() => "listServices",
        client.vms().services().register(&id, "web", 8080) => "registerService",
        vm.services().register("web", 8080) => "registerService",
        client.vms().services().update(&id, "web", 8081) => "updateService",
        vm.services().update("web", 8081) => "updateService",
        client.vms().services().delete(&id, "web") => "deleteService",
        vm.services().delete("web") => "deleteService",
        client.vms().files().presign(&id, "/root/file") => "presignFile",
        vm.files().presign("/root/file") => "presignFile",
        client.vms().files().fetch(&id, url, "/root/file") => "fetchFileToVm",
        vm.files().fetch(url, "/root/file") => "fetchFileToVm",
        client.vms().volumes().attach(&id, &volume_id, "/data") => "attachVolume",
        vm.volumes().attach(&volume_id, "/data") => "attachVolume",
        client.vms().volumes().detach(&id, &volume_id) => "detachVolume",
        vm.volumes().detach(&volume_id) => "detachVolume",
        client.vms().bucket_mounts().list(&id) => "listBucketMounts",
        vm.bucket_mounts().list() => "listBucketMounts",
        client.vms().bucket_mounts().attach(&id, "s3://bucket", "/data", login) => "attachBucketMount",
        vm.bucket_mounts().attach("s3://bucket", "/data", login) => "attachBucketMount",
        client.vms().bucket_mounts().retrieve(&id, &mount_id) => "getBucketMount",
        vm.bucket_mounts().retrieve(&mount_id) => "getBucketMount",
        client.vms().bucket_mounts().rotate(&id, &mount_id, login) => "rotateBucketMount",
        vm.bucket_mounts().rotate(&mount_id, login) => "rotateBucketMount",
        client.vms().bucket_mounts().delete(&id, &mount_id) => "deleteBucketMount",
        vm.bucket_mounts().delete(&mount_id) => "deleteBucketMount",
        client.me().ssh_keys().list() => "listSshKeys",
        client.me().ssh_keys().add(public_key) => "addSshKey",
        client.me().ssh_keys().delete(fingerprint) => "deleteSshKey",
        client.snapshots().list() => "listSnapshots",
        client.snapshots().create(&id) => "createSnapshot",
        client.snapshots().retrieve(&snapshot_id) => "getSnapshot",
        client.snapshots().update(&snapshot_id).name("base") => "updateSnapshot",
        client.snapshots().delete(&snapshot_id) => "deleteSnapshot",
        client.snapshot_imports().list() => "listSnapshotImports",
        client.snapshot_imports().create(source) => "createSnapshotImport",
        client.snapshot_imports().presign_context() => "presignSnapshotImportContext",
        client.snapshot_imports().retrieve(&import_id) => "getSnapshotImport",
        client.snapshot_imports().delete(&import_id) => "deleteSnapshotImport",
        client.snapshot_imports().cancel(&import_id) => "cancelSnapshotImport",
        client.quotas().retrieve() => "getOrgQuotas",
        client.volumes().list() => "listVolumes",
        client.volumes().create("data", 10, AccessMode::Rw) => "createVolume",
        client.volumes().retrieve(&volume_id) => "getVolume",
        client.volumes().update(&volume_id).size_gib(20) => "updateVolume",
        client.volumes().delete(&volume_id) => "deleteVolume",
        client.volumes().list_attachments(&volume_id) => "listVolumeAttachments",
        client.pricing().retrieve() => "getPricing",
        client.health() => "getHealth",
        client.wait_for_vm_ready(&id) => "–",
        client.upload(&id, "./src", "/root/src") => "–",
        vm.upload("./src", "/root/src") => "–",
        client.download(&id, "/root/src", "./back") => "–",
        vm.download("/root/src", "./back") => "–",
    }
}

fn vm_data() -> types::Vm {
    let vm = serde_json::json!({
        "id": "v", "name": "dev", "orgId": "o", "cpu": 1, "memoryMiB": 2048, "diskGiB": 10,
        "status": "running", "createdAt": "2026-01-01T00:00:00Z",
    });
    serde_json::from_value(vm).unwrap()
}

fn without_spaces(text: &str) -> String {
    text.split_whitespace().collect()
}

#[tokio::test]
async fn every_rust_form_of_the_table_compiles_and_asks_for_its_operation() {
    let recorder = Recorder::default();
    let client = Client::builder()
        .transport(recorder.clone())
        .build()
        .unwrap();
    let mut compiled = BTreeSet::new();
    for form in forms(&client) {
        compiled.insert((form.operation.to_owned(), without_spaces(form.text)));
        if form.operation == HELPER {
            continue;
        }
        recorder.0.lock().unwrap().clear();
        assert!(form.call.await.is_some(), "{}", form.text);
        let asked = recorder.0.lock().unwrap().clone();
        assert_eq!(asked, [form.operation], "{}", form.text);
    }
    let mut written = BTreeSet::new();
    for row in table() {
        for form in &row.rust {
            written.insert((row.operation.clone(), without_spaces(form)));
        }
    }
    assert_eq!(written, compiled);
}

#[test]
fn no_published_call_is_missing_in_the_table() {
    let rows = table();
    let listed: BTreeSet<&str> = rows.iter().map(|row| row.operation.as_str()).collect();
    let known: BTreeSet<&str> = operations::ALL.iter().map(|it| it.id).collect();
    for operation in listed.iter().filter(|id| **id != HELPER) {
        assert!(known.contains(operation), "{operation} is gone");
    }
    // What a later document adds breaks nothing here.
    for operation in known.difference(&listed) {
        println!("notice: {operation} is not in the table of published calls");
    }
    // 48 published operations, and the helpers.
    assert_eq!(listed.len(), 49);
    for row in &rows {
        assert!(
            !row.published.is_empty() && !row.rust.is_empty(),
            "{}",
            row.operation
        );
    }
    for helper in PUBLISHED_HELPERS {
        let mut rows = rows.iter().flat_map(|row| &row.published);
        assert!(rows.any(|call| call == helper), "{helper}");
    }
}

/// What the published SDKs add to the operations, in TypeScript's spelling and in Python's.
const PUBLISHED_HELPERS: [&str; 6] = [
    "vms.launch",
    "vms.stream",
    "waitForVmReady",
    "wait_for_vm_ready",
    "upload",
    "download",
];
