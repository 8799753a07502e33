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
}
