//! Buckets mounted in VMs: folders of a directory that the user names.

use std::path::Path;

use fastvm_local::Server;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::*;

const CANARY: &str = "canary-of-a-login";

/// A server with a bucket `gs://data`, which holds a file, and one `s3://logs`.
async fn with_buckets() -> (Api, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for bucket in ["gs/data", "s3/logs"] {
        std::fs::create_dir_all(folder.path().join(bucket)).unwrap();
    }
    std::fs::write(folder.path().join("gs/data/hello"), "from the bucket").unwrap();
    let server = Server::builder().buckets(folder.path()).start().await;
    (Api::of(server.unwrap()), folder)
}

fn gcp() -> Value {
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n");
    json!({"type": "gcp-service-account-json", "value": {
        "type": "service_account", "client_email": "me@example.test", "private_key": pem}})
}

fn aws() -> Value {
    let file = format!("[default]\naws_access_key_id = AKIA\naws_secret_access_key = {CANARY}\n");
    json!({"type": "aws-credentials", "value": {"data": file}})
}

fn mount(uri: &str, path: &str) -> Value {
    let credentials = if uri.starts_with("gs") { gcp() } else { aws() };
    json!({"bucketUri": uri, "mountPath": path, "credentials": credentials})
}

async fn attach(api: &Api, vm: &str, body: Value) -> String {
    let (status, mounted) = api.post(&format!("{vm}/bucket-mounts"), body).await;
    assert_eq!(status, 200, "{mounted}");
    assert_eq!(mounted["mountStatus"], "mounted");
    assert!(!mounted.to_string().contains(CANARY));
    let id = mounted["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("bm_") && id.len() == 25, "{id}");
    id
}

async fn delete(api: &Api, path: &str) -> u16 {
    let answer = api.request(Method::DELETE, path).send().await.unwrap();
    answer.status().as_u16()
}

fn read(folder: &TempDir, path: &str) -> String {
    std::fs::read_to_string(folder.path().join(path)).unwrap()
}

#[tokio::test]
async fn a_bucket_is_read_and_written_where_it_is_mounted() {
    let (api, folder) = with_buckets().await;
    let vm = api.vm().await;
    let id = attach(&api, &vm, mount("gs://data", "/buckets/data")).await;
    let out = api
        .sh(
            &vm,
            "cat /buckets/data/hello; echo back > /buckets/data/out",
        )
        .await;
    assert_eq!(out["stdout"], "from the bucket");
    assert_eq!(read(&folder, "gs/data/out"), "back\n");

    let path = format!("{vm}/bucket-mounts/{id}");
    let (status, one) = api.get(&path).await;
    assert_eq!((status, &one["bucketUri"]), (200, &json!("gs://data")));
    assert_eq!(
        api.get(&format!("{vm}/bucket-mounts")).await.1,
        json!([one])
    );
    assert_eq!(api.get(&vm).await.1["bucketMounts"], json!([one]));

    assert_eq!(delete(&api, &path).await, 204);
    assert_eq!(api.sh(&vm, "ls -A /buckets/data").await["stdout"], "");
    let unknown = (404, json!({"error": "no such bucket mount"}));
    assert_eq!(api.get(&path).await, unknown);
    assert_eq!(delete(&api, &path).await, 404);
    assert_eq!(read(&folder, "gs/data/out"), "back\n");
}

#[tokio::test]
async fn a_prefix_is_made_and_a_read_only_mount_is_not_written() {
    let (api, folder) = with_buckets().await;
    let vm = api.vm().await;
    attach(&api, &vm, mount("s3://logs/run/42", "/mnt/logs")).await;
    let mut read_only = mount("gs://data", "/mnt/data");
    read_only["readOnly"] = json!(true);
    attach(&api, &vm, read_only).await;
    api.sh(&vm, "echo one > /mnt/logs/log; echo no > /mnt/data/hello")
        .await;
    assert_eq!(read(&folder, "s3/logs/run/42/log"), "one\n");
    assert_eq!(read(&folder, "gs/data/hello"), "from the bucket");
}

#[tokio::test]
async fn a_link_in_a_bucket_leads_no_mount_out_of_it() {
    let (api, folder) = with_buckets().await;
    let vm = api.vm().await;
    attach(&api, &vm, mount("gs://data", "/mnt/data")).await;
    api.sh(&vm, "ln -s / /mnt/data/root; ln -s .. /mnt/data/up")
        .await;
    for prefix in ["root", "up", "root/etc", "root/made"] {
        let body = mount(&format!("gs://data/{prefix}"), "/mnt/more");
        let (status, refusal) = api.post(&format!("{vm}/bucket-mounts"), body).await;
        assert_eq!(status, 400, "{prefix}: {refusal}");
    }
    assert!(!Path::new("/made").exists());
    let _ = folder;
}

#[tokio::test]
async fn what_cannot_be_mounted_is_refused_with_the_field_and_without_the_login() {
    let (api, _folder) = with_buckets().await;
    let vm = api.vm().await;
    let good = || mount("gs://data", "/mnt/data");
    let with = |pointer: &str, value: Value| {
        let mut body = good();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    for (field, body) in [
        ("bucketUri: ", with("/bucketUri", json!("az://data"))),
        (
            "bucketUri: there is no bucket",
            with("/bucketUri", json!("gs://none")),
        ),
        ("mountPath: ", with("/mountPath", json!("mnt"))),
        ("mountPath: ", with("/mountPath", json!("/proc/1"))),
        ("credentials.type: ", with("/credentials", aws())),
        (
            "credentials.value.client_email: ",
            with("/credentials/value/client_email", json!(CANARY)),
        ),
        (
            "credentials.value.private_key: ",
            with("/credentials/value/private_key", json!(CANARY)),
        ),
        ("credentials.value.data: ", {
            let mut body = mount("s3://logs", "/mnt/logs");
            body["credentials"]["value"]["data"] = json!(format!("[other]\nkey={CANARY}"));
            body
        }),
        ("credentials", with("/credentials/type", json!(CANARY))),
    ] {
        let (status, refusal) = api.post(&format!("{vm}/bucket-mounts"), body.clone()).await;
        let text = refusal["error"].as_str().unwrap();
        assert_eq!(status, 400, "{text}");
        assert!(text.starts_with(field), "{field}: {text}");
        assert!(!text.contains(CANARY), "{text}");
    }
    attach(&api, &vm, good()).await;
    for path in ["/mnt/data", "/mnt/data/below", "/mnt"] {
        let body = mount("s3://logs", path);
        let (status, refusal) = api.post(&format!("{vm}/bucket-mounts"), body).await;
        let in_use = json!({"error": "mountPath: /mnt/data is in use"});
        assert_eq!((status, refusal), (409, in_use));
    }
}

#[tokio::test]
async fn without_a_directory_there_are_no_buckets() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let body = mount("gs://data", "/mnt/data");
    let (status, refusal) = api.post(&format!("{vm}/bucket-mounts"), body).await;
    let text = refusal["error"].as_str().unwrap();
    assert_eq!(status, 400);
    assert!(text.contains("--buckets"), "{text}");
}

#[tokio::test]
async fn a_mount_in_use_stays() {
    let (api, _folder) = with_buckets().await;
    let vm = api.vm().await;
    let id = attach(&api, &vm, mount("gs://data", "/mnt/data")).await;
    let path = format!("{vm}/bucket-mounts/{id}");
    api.sh(&vm, "sleep 1000 3< /mnt/data/hello > /dev/null 2>&1 &")
        .await;
    let busy = (502, json!({"error": "guest_umount_busy"}));
    assert_eq!(api.delete(&path).await, busy);
    assert_eq!(api.get(&path).await.1["mountStatus"], "mounted");
    api.sh(&vm, "kill %1 2>/dev/null || pkill sleep || kill -9 -1")
        .await;
    eventually!("it can be unmounted", delete(&api, &path).await == 204);
}

#[tokio::test]
async fn a_launch_mounts_what_it_can_and_warns_of_the_rest() {
    let (api, _folder) = with_buckets().await;
    let mounts = json!([
        mount("gs://data", "/mnt/data"),
        mount("s3://none", "/mnt/none")
    ]);
    let body = json!({"machineType": "c1m2", "bucketMounts": mounts});
    let (status, vm) = api.post("/v1/vms", body).await;
    assert_eq!(status, 201, "{vm}");
    assert_eq!(vm["bucketMounts"][0]["mountStatus"], "mounted");
    assert_eq!(vm["bucketMounts"].as_array().unwrap().len(), 1);
    let failed = &vm["attachmentWarnings"]["failedBucketMountAttachments"][0];
    assert_eq!(failed["bucketUri"], "s3://none");
    assert!(
        failed["statusMessage"]
            .as_str()
            .unwrap()
            .contains("there is no bucket")
    );
    assert!(!vm.to_string().contains(CANARY));
}

#[tokio::test]
async fn a_paused_vm_gets_its_mount_when_it_is_resumed() {
    let (api, _folder) = with_buckets().await;
    let vm = api.vm().await;
    api.post(&format!("{vm}/pause"), json!({})).await;
    let (status, pending) = api
        .post(
            &format!("{vm}/bucket-mounts"),
            mount("gs://data", "/mnt/data"),
        )
        .await;
    assert_eq!((status, &pending["mountStatus"]), (200, &json!("pending")));
    let (_, resumed) = api.post(&format!("{vm}/resume"), json!({})).await;
    assert_eq!(resumed["bucketMounts"][0]["mountStatus"], "mounted");
    assert_eq!(
        api.sh(&vm, "cat /mnt/data/hello").await["stdout"],
        "from the bucket"
    );
}

#[tokio::test]
async fn credentials_are_rotated_if_they_are_of_the_same_cloud() {
    let (api, _folder) = with_buckets().await;
    let vm = api.vm().await;
    let id = attach(&api, &vm, mount("gs://data", "/mnt/data")).await;
    let path = format!("{vm}/bucket-mounts/{id}");
    let (status, rotated) = api.patch(&path, json!({"credentials": gcp()})).await;
    assert_eq!((status, &rotated["mountStatus"]), (200, &json!("mounted")));
    assert!(!rotated.to_string().contains(CANARY));
    assert_eq!(api.patch(&path, json!({"credentials": aws()})).await.0, 400);
    let unknown = format!("{vm}/bucket-mounts/bm_x");
    assert_eq!(
        api.patch(&unknown, json!({"credentials": gcp()})).await.0,
        404
    );
}

#[tokio::test]
async fn a_restore_mounts_what_was_captured_and_tells_what_is_gone() {
    let (api, folder) = with_buckets().await;
    let vm = api.vm().await;
    attach(&api, &vm, mount("gs://data", "/mnt/data")).await;
    attach(&api, &vm, mount("s3://logs", "/mnt/logs")).await;
    let id = vm.rsplit('/').next().unwrap();
    let (_, snapshot) = api.post("/v1/snapshots", json!({"vmId": id})).await;
    assert!(!snapshot.to_string().contains(CANARY));
    std::fs::remove_dir(folder.path().join("s3/logs")).unwrap();

    let restore = |body: Value| {
        let mut body = body;
        body["snapshotId"] = snapshot["id"].clone();
        api.post("/v1/vms", body)
    };
    let (status, restored) = restore(json!({})).await;
    assert_eq!(status, 201, "{restored}");
    assert_eq!(restored["bucketMounts"][0]["bucketUri"], "gs://data");
    assert_eq!(restored["bucketMounts"][0]["mountStatus"], "mounted");
    let skipped = &restored["attachmentWarnings"]["skippedSnapshotBucketMounts"][0];
    assert_eq!(skipped["bucketUri"], "s3://logs");
    assert_eq!(skipped["reason"], "bucket_unreachable");
    let (_, none) = restore(json!({"bucketMounts": []})).await;
    assert_eq!(none.get("attachmentWarnings"), None);
    assert_eq!(none["bucketMounts"].as_array().map_or(0, Vec::len), 0);
}
