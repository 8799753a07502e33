//! Volumes: their records, their data, their mounts.

use std::time::Duration;

use fastvm_local::{Quota, Server};
use serde_json::{Value, json};

use crate::support::*;

fn new_volume(name: &str, size: i64) -> Value {
    json!({"name": name, "sizeGiB": size, "accessMode": "rw"})
}

/// A volume that is ready; gives its id.
async fn ready(api: &Api, body: Value) -> String {
    let (status, volume) = api.post("/v1/volumes", body).await;
    assert_eq!(status, 200, "{volume}");
    let id = volume["id"].as_str().unwrap().to_owned();
    eventually!(
        "the volume is ready",
        of(api, &id).await["status"] == "ready"
    );
    id
}

async fn of(api: &Api, id: &str) -> Value {
    api.get(&format!("/v1/volumes/{id}")).await.1
}

#[tokio::test]
async fn a_volume_is_creating_then_ready_and_gone_after_its_deletion() {
    let api = Api::start().await;
    let (status, made) = api.post("/v1/volumes", new_volume(" my \t data ", 2)).await;
    assert_eq!(status, 200);
    let id = made["id"].as_str().unwrap();
    assert_eq!(made["status"], "creating");
    assert_eq!(made["name"], "my data");
    assert_eq!((&made["sizeGiB"], &made["usedGiB"]), (&json!(2), &json!(0)));
    eventually!("it is ready", of(&api, id).await["status"] == "ready");
    let (status, all) = api.get("/v1/volumes").await;
    assert_eq!((status, &all[0]["id"]), (200, &made["id"]));
    assert_eq!(all[0]["mountedCount"], 0);
    let path = format!("/v1/volumes/{id}");
    assert_eq!(
        api.get(&format!("{path}/attachments")).await,
        (200, json!([]))
    );

    let deleted = (200, json!({"id": id, "deleted": true}));
    assert_eq!(api.delete(&path).await, deleted);
    eventually!("it is gone", api.get(&path).await.0 == 404);
    let unknown = (404, json!({"error": "no such volume"}));
    assert_eq!(api.delete(&path).await, unknown);
    assert_eq!(api.patch(&path, json!({"name": "x"})).await, unknown);
    assert_eq!(api.get(&format!("{path}/attachments")).await, unknown);
    assert_eq!(api.get("/v1/volumes").await, (200, json!([])));
}

#[tokio::test]
async fn a_volume_that_cannot_be_is_refused_with_the_field() {
    let api = Api::start().await;
    let id = ready(&api, new_volume("data", 1)).await;
    for (field, value) in [
        ("name", json!(" \t ")),
        ("sizeGiB", json!(0)),
        ("sizeGiB", json!("1")),
        ("accessMode", json!("w")),
    ] {
        let mut body = new_volume("data", 1);
        body[field] = value.clone();
        for (status, refusal) in [
            api.post("/v1/volumes", body).await,
            api.patch(&format!("/v1/volumes/{id}"), json!({field: value}))
                .await,
        ] {
            assert_eq!(status, 400, "{field}");
            let text = refusal["error"].as_str().unwrap();
            assert!(text.starts_with(&format!("{field}: ")), "{text}");
        }
    }
}

#[tokio::test]
async fn a_resize_is_pending_before_it_is_done() {
    let api = Api::start().await;
    let id = ready(&api, new_volume("data", 1)).await;
    let path = format!("/v1/volumes/{id}");
    let change = json!({"sizeGiB": 5, "name": "more", "accessMode": "ro"});
    let (status, changed) = api.patch(&path, change).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&changed["name"], &changed["accessMode"]),
        (&json!("more"), &json!("ro"))
    );
    assert_eq!(
        (&changed["sizeGiB"], &changed["pendingSizeGiB"]),
        (&json!(1), &json!(5))
    );
    eventually!("it has grown", of(&api, &id).await["sizeGiB"] == 5);
    assert!(of(&api, &id).await.get("pendingSizeGiB").is_none());
    assert_eq!(api.patch(&path, json!({"sizeGiB": 2})).await.0, 200);
    eventually!("it has shrunk", of(&api, &id).await["sizeGiB"] == 2);
}

#[tokio::test]
async fn volumes_count_towards_the_quota() {
    let mut quota = Quota::default();
    (quota.volume_count, quota.volume_gib) = (2, 10);
    let api = Api::of(Server::builder().quota(quota).start().await.unwrap());
    let id = ready(&api, new_volume("one", 4)).await;
    let (status, refusal) = api.post("/v1/volumes", new_volume("two", 7)).await;
    assert_eq!(
        (status, refusal),
        (
            403,
            json!({"error": "quota exceeded: volumeGiB would be 11, the limit is 10"})
        )
    );
    ready(&api, new_volume("two", 6)).await;
    let path = format!("/v1/volumes/{id}");
    assert_eq!(api.patch(&path, json!({"sizeGiB": 5})).await.0, 403);
    assert_eq!(api.post("/v1/volumes", new_volume("three", 1)).await.0, 403);
    let usage = api.get("/v1/org/quotas").await.1["usage"].clone();
    assert_eq!(
        (&usage["volumeCount"], &usage["volumeGiB"]),
        (&json!(2), &json!(10))
    );
    api.delete(&path).await;
    assert_eq!(api.post("/v1/volumes", new_volume("three", 4)).await.0, 200);
}

#[tokio::test]
async fn volumes_outlive_a_server_with_a_named_folder() {
    let state = tempfile::tempdir().unwrap();
    let slow = Server::builder()
        .state_dir(state.path())
        .boot_delay(Duration::from_secs(60));
    let api = Api::of(slow.start().await.unwrap());
    let (_, made) = api.post("/v1/volumes", new_volume("data", 3)).await;
    let (_, deleted) = api.post("/v1/volumes", new_volume("old", 5)).await;
    let deleted = deleted["id"].as_str().unwrap();
    api.delete(&format!("/v1/volumes/{deleted}")).await;
    assert_eq!(of(&api, deleted).await["status"], "deleting");
    let vm = api.vm().await;
    assert_eq!(attach(&api, &vm, deleted, "/mnt/a").await.0, 409);
    api.server.stop().await;

    let server = Server::builder().state_dir(state.path()).start().await;
    let api = Api::of(server.unwrap());
    let found = of(&api, made["id"].as_str().unwrap()).await;
    assert_eq!(found["status"], "ready", "what was under way is done");
    for field in ["id", "name", "sizeGiB", "accessMode", "createdAt"] {
        assert_eq!(found[field], made[field]);
    }
    let usage = api.get("/v1/org/quotas").await.1["usage"].clone();
    assert_eq!(usage["volumeGiB"], 3);
    let path = format!("/v1/volumes/{deleted}");
    eventually!("the other is gone", api.get(&path).await.0 == 404);
    let folders = std::fs::read_dir(state.path().join("kept/data/volumes")).unwrap();
    assert_eq!(folders.count(), 1);
}

async fn attach(api: &Api, vm: &str, volume: &str, path: &str) -> (u16, Value) {
    let body = json!({"volumeId": volume, "mountPath": path});
    api.post(&format!("{vm}/volumes"), body).await
}

async fn detach(api: &Api, vm: &str, volume: &str) -> (u16, Value) {
    api.delete(&format!("{vm}/volumes/{volume}")).await
}

#[tokio::test]
async fn vms_share_a_volume_and_its_data_outlives_them() {
    let api = Api::start().await;
    let id = ready(&api, new_volume("data", 1)).await;
    let (one, two) = (api.vm().await, api.vm().await);
    let (status, item) = attach(&api, &one, &id, "/mnt/data/").await;
    let expected = json!({
        "volumeId": id, "mountPath": "/mnt/data", "mountStatus": "mounted", "readOnly": false,
    });
    assert_eq!((status, &item), (200, &expected));
    assert_eq!(attach(&api, &two, &id, "/data/deep/er").await.0, 200);
    api.sh(&one, "echo hello > /mnt/data/file").await;
    let output = api.sh(&two, "cat /data/deep/er/file").await;
    assert_eq!(output["stdout"], "hello\n");

    assert_eq!(api.get(&one).await.1["volumes"], json!([item]));
    assert_eq!(of(&api, &id).await["mountedCount"], 2);
    let path = format!("/v1/volumes/{id}");
    let (_, attachments) = api.get(&format!("{path}/attachments")).await;
    assert_eq!(attachments[0]["vmId"], one.rsplit('/').next().unwrap());
    assert_eq!(attachments[1]["mountPath"], "/data/deep/er");
    assert_eq!(api.delete(&path).await.0, 409);

    let detached = (200, json!({"detached": true}));
    assert_eq!(detach(&api, &one, &id).await, detached);
    assert_eq!(detach(&api, &one, &id).await.0, 404);
    assert!(api.get(&one).await.1.get("volumes").is_none());
    assert_eq!(api.sh(&one, "ls -A /mnt/data").await["stdout"], "");
    api.delete(&two).await;
    assert_eq!(of(&api, &id).await["mountedCount"], 0);
    assert_eq!(attach(&api, &one, &id, "/mnt/again").await.0, 200);
    let output = api.sh(&one, "cat /mnt/again/file").await;
    assert_eq!(output["stdout"], "hello\n");
    api.delete(&one).await;
    assert_eq!(api.delete(&path).await.0, 200);
}

#[tokio::test]
async fn a_read_only_attachment_refuses_writes() {
    let api = Api::start().await;
    let id = ready(&api, new_volume("data", 1)).await;
    let vm = api.vm().await;
    let body = json!({"volumeId": id, "mountPath": "/mnt/a", "readOnly": true});
    let (status, item) = api.post(&format!("{vm}/volumes"), body).await;
    assert_eq!((status, &item["readOnly"]), (200, &json!(true)));
    assert_ne!(api.sh(&vm, "touch /mnt/a/x").await["exitCode"], 0);
    detach(&api, &vm, &id).await;

    let path = format!("/v1/volumes/{id}");
    api.patch(&path, json!({"accessMode": "ro"})).await;
    let (_, item) = attach(&api, &vm, &id, "/mnt/a").await;
    assert_eq!(item["readOnly"], true, "as the volume is");
    let output = api.sh(&vm, "touch /mnt/a/x").await;
    assert!(output["stderr"].as_str().unwrap().contains("Read-only"));
}

#[tokio::test]
async fn a_volume_in_use_remains_attached() {
    let api = Api::start().await;
    let id = ready(&api, new_volume("data", 1)).await;
    let vm = api.vm().await;
    attach(&api, &vm, &id, "/mnt/a").await;
    let line = "sleep 1000 > /mnt/a/held 2>/dev/null & echo $!";
    let user = api.sh(&vm, line).await["stdout"].clone();
    let busy = (502, json!({"error": "guest_umount_busy"}));
    assert_eq!(detach(&api, &vm, &id).await, busy);
    assert_eq!(api.get(&vm).await.1["volumes"][0]["mountStatus"], "mounted");
    api.sh(
        &vm,
        &format!("echo still > /mnt/a/there; kill {}", user.as_str().unwrap()),
    )
    .await;
    eventually!("it is detached", detach(&api, &vm, &id).await.0 == 200);
}

#[tokio::test]
async fn an_attachment_that_cannot_be_is_refused_and_leaves_nothing() {
    let slow = Server::builder().boot_delay(Duration::from_millis(500));
    let api = Api::of(slow.start().await.unwrap());
    let vm = api.vm().await;
    let (_, made) = api.post("/v1/volumes", new_volume("data", 1)).await;
    let id = made["id"].as_str().unwrap();
    let not_ready = (409, json!({"error": "VOL_NOT_READY"}));
    eventually!("the VM runs", api.status_of(&vm).await == "running");
    let (_, late) = api.post("/v1/volumes", new_volume("late", 1)).await;
    let late = late["id"].as_str().unwrap();
    assert_eq!(attach(&api, &vm, late, "/mnt/late").await, not_ready);
    eventually!("it is ready", of(&api, late).await["status"] == "ready");

    for path in ["/mnt", "/etc/x", "mnt/x", "/mnt/../x"] {
        let (status, refusal) = attach(&api, &vm, id, path).await;
        assert_eq!(status, 400, "{path}");
        let text = refusal["error"].as_str().unwrap();
        assert!(text.starts_with("mountPath: "), "{text}");
    }
    assert_eq!(attach(&api, &vm, "vol_none", "/mnt/x").await.0, 404);
    assert_eq!(attach(&api, "/v1/vms/none", id, "/mnt/x").await.0, 404);
    api.sh(&vm, "touch /mnt/file").await;
    assert_eq!(attach(&api, &vm, id, "/mnt/file/x").await.0, 409);
    assert!(api.get(&vm).await.1.get("volumes").is_none());

    assert_eq!(attach(&api, &vm, id, "/mnt/x").await.0, 200);
    assert_eq!(attach(&api, &vm, id, "/mnt/y").await.0, 409, "twice");
    for taken in ["/mnt/x", "/mnt/x/below"] {
        assert_eq!(attach(&api, &vm, late, taken).await.0, 409, "{taken}");
    }
    assert_eq!(attach(&api, &vm, late, "/mnt/xy").await.0, 200);
    let provisioning = api.vm().await;
    assert_eq!(attach(&api, &provisioning, id, "/mnt/x").await.0, 409);
}

#[tokio::test]
async fn a_launch_attaches_volumes_and_says_which_it_could_not() {
    let api = Api::start().await;
    let id = ready(&api, new_volume("data", 1)).await;
    let body = json!({"machineType": "c1m2", "volumes": [
        {"volumeId": id, "mountPath": "/data/a"},
        {"volumeId": "vol_none", "mountPath": "/data/b"},
    ]});
    let (status, vm) = api.post("/v1/vms", body.clone()).await;
    assert_eq!(status, 201);
    assert_eq!(vm["volumes"].as_array().unwrap().len(), 1);
    assert_eq!(vm["volumes"][0]["mountStatus"], "mounted");
    let failed = json!({"failedVolumeAttachments": [
        {"volumeId": "vol_none", "mountPath": "/data/b", "statusMessage": "no such volume"},
    ]});
    assert_eq!(vm["attachmentWarnings"], failed);
    let path = format!("/v1/vms/{}", vm["id"].as_str().unwrap());
    assert_eq!(api.sh(&path, "touch /data/a/x").await["exitCode"], 0);
    let mut refused = body;
    for path in ["/data/a", "/etc"] {
        refused["volumes"][1]["mountPath"] = json!(path);
        let (status, refusal) = api.post("/v1/vms", refused.clone()).await;
        let text = refusal["error"].as_str().unwrap();
        assert_eq!(status, 400);
        assert!(text.starts_with("volumes[1].mountPath: "), "{text}");
    }
}

#[tokio::test]
async fn a_restore_attaches_the_captured_volumes_unless_told() {
    let api = Api::start().await;
    let [kept, gone] = [
        ready(&api, new_volume("kept", 1)).await,
        ready(&api, new_volume("gone", 1)).await,
    ];
    let body = json!({"machineType": "c1m2", "volumes": [
        {"volumeId": kept, "mountPath": "/data/kept"},
        {"volumeId": gone, "mountPath": "/data/gone"},
    ]});
    let vm = api.launch(body).await;
    api.sh(&vm, "echo data > /data/kept/file").await;
    let id = vm.strip_prefix("/v1/vms/").unwrap();
    let (_, snapshot) = api.post("/v1/snapshots", json!({"vmId": id})).await;
    assert_eq!(api.delete(&vm).await.0, 200);
    assert_eq!(api.delete(&format!("/v1/volumes/{gone}")).await.0, 200);
    let path = format!("/v1/volumes/{gone}");
    eventually!("the volume is gone", api.get(&path).await.0 == 404);

    let request = json!({"snapshotId": snapshot["id"]});
    let (status, restored) = api.post("/v1/vms", request.clone()).await;
    assert_eq!(status, 201, "{restored}");
    let skipped = json!({"skippedSnapshotVolumes": [
        {"volumeId": gone, "mountPath": "/data/gone", "reason": "deleted"},
    ]});
    assert_eq!(restored["attachmentWarnings"], skipped);
    let restored = format!("/v1/vms/{}", restored["id"].as_str().unwrap());
    assert_eq!(
        api.sh(&restored, "cat /data/kept/file").await["stdout"],
        "data\n"
    );

    let path = format!("/v1/volumes/{kept}");
    api.patch(&path, json!({"accessMode": "ro"})).await;
    let (_, limited) = api.post("/v1/vms", request.clone()).await;
    let skipped = &limited["attachmentWarnings"]["skippedSnapshotVolumes"][0];
    assert_eq!(skipped["reason"], "vol_ro_ceiling_after_patch");

    let mut without = request;
    without["volumes"] = json!([]);
    let (_, bare) = api.post("/v1/vms", without).await;
    assert_eq!(bare["attachmentWarnings"], json!(null));
    let bare = format!("/v1/vms/{}", bare["id"].as_str().unwrap());
    assert_eq!(api.sh(&bare, "ls /data/kept").await["stdout"], "");
}

#[tokio::test]
async fn a_slow_launch_shows_the_volumes_it_could_not_attach() {
    let slow = Server::builder().boot_delay(Duration::from_millis(100));
    let api = Api::of(slow.start().await.unwrap());
    let id = ready(&api, new_volume("data", 1)).await;
    let vm = api
        .launch(json!({"machineType": "c1m2", "volumes": [
            {"volumeId": id, "mountPath": "/data/a"},
            {"volumeId": "vol_none", "mountPath": "/data/b"},
        ]}))
        .await;
    assert_eq!(api.get(&vm).await.1["volumes"][0]["mountStatus"], "pending");
    eventually!("the VM runs", api.status_of(&vm).await == "running");
    let (_, shown) = api.get(&vm).await;
    assert_eq!(shown["volumes"][0]["mountStatus"], "mounted");
    assert_eq!(shown["volumes"][1]["mountStatus"], "failed");
    assert_eq!(shown["volumes"][1]["statusMessage"], "no such volume");
    assert_eq!(detach(&api, &vm, "vol_none").await.0, 200);
}

#[tokio::test]
async fn a_paused_vm_mounts_on_resume() {
    let api = Api::start().await;
    let [one, two] = [
        ready(&api, new_volume("one", 1)).await,
        ready(&api, new_volume("two", 1)).await,
    ];
    let vm = api.vm().await;
    attach(&api, &vm, &one, "/mnt/one").await;
    assert_eq!(api.post(&format!("{vm}/pause"), json!({})).await.0, 200);
    assert_eq!(of(&api, &one).await["mountedCount"], 0);
    let (status, item) = attach(&api, &vm, &two, "/mnt/two").await;
    assert_eq!((status, &item["mountStatus"]), (200, &json!("pending")));
    assert_eq!(detach(&api, &vm, &one).await.0, 200);
    let (status, resumed) = api.post(&format!("{vm}/resume"), json!({})).await;
    assert_eq!(status, 200);
    assert_eq!(resumed["volumes"].as_array().unwrap().len(), 1);
    assert_eq!(resumed["volumes"][0]["mountStatus"], "mounted");
    let output = api.sh(&vm, "grep -o '/mnt/[a-z]*' /proc/self/mounts").await;
    assert_eq!(output["stdout"], "/mnt/two\n");
}

#[tokio::test]
async fn data_outlives_a_server_with_a_named_folder() {
    let state = tempfile::tempdir().unwrap();
    let start = || Server::builder().state_dir(state.path()).start();
    let api = Api::of(start().await.unwrap());
    let id = ready(&api, new_volume("data", 1)).await;
    let vm = api.vm().await;
    attach(&api, &vm, &id, "/mnt/a").await;
    api.sh(&vm, "echo kept > /mnt/a/file").await;
    api.server.stop().await;

    let api = Api::of(start().await.unwrap());
    assert!(api.get(&vm).await.1.get("volumes").is_none());
    let body = json!({"machineType": "c1m2", "volumes": [{"volumeId": id, "mountPath": "/mnt/b"}]});
    let vm = api.launch(body).await;
    assert_eq!(api.sh(&vm, "cat /mnt/b/file").await["stdout"], "kept\n");
}

#[tokio::test]
async fn a_volume_does_not_shrink_below_its_data() {
    let api = Api::start().await;
    let id = ready(&api, new_volume("data", 3)).await;
    let vm = api.vm().await;
    attach(&api, &vm, &id, "/mnt/a").await;
    let allocated = api.sh(&vm, "fallocate -l 1100M /mnt/a/file").await;
    if allocated["exitCode"] != 0 {
        eprintln!("skipped, this file system allocates nothing: {allocated}");
        return;
    }
    assert_eq!(of(&api, &id).await["usedGiB"], 1);
    let path = format!("/v1/volumes/{id}");
    assert_eq!(api.patch(&path, json!({"sizeGiB": 1})).await.0, 409);
    assert_eq!(of(&api, &id).await["sizeGiB"], 3);
    assert_eq!(api.patch(&path, json!({"sizeGiB": 2})).await.0, 200);
}
