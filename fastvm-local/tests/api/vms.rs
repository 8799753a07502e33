//! Launch, list, retrieve, update, delete.

use std::time::Duration;

use fastvm_local::Server;
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_launch_without_delay_answers_201_with_a_running_vm() {
    let api = Api::start().await;
    let body = json!({
        "machineType": "c2m4", "name": "  my\t dev ", "metadata": {"env": "prod"}, "envVars": {"GREETING": "hi"},
        "ttl": {"seconds": 60, "action": "delete"},
    });
    let (status, vm) = api.post("/v1/vms", body).await;
    assert_eq!(status, 201);
    assert_eq!(vm["status"], "running");
    assert_eq!(vm["name"], "my dev");
    assert_eq!(
        (&vm["cpu"], &vm["memoryMiB"], &vm["diskGiB"]),
        (&json!(2), &json!(4096), &json!(10))
    );
    assert_eq!(vm["metadata"], json!({"env": "prod"}));
    assert_eq!(vm["ttl"], json!({"seconds": 60, "action": "delete"}));
    assert!(vm["expiresAtMs"].is_i64());
    assert!(vm["createdAt"].as_str().unwrap().ends_with('Z'));
    assert!(vm.get("pausedAt").is_none());

    let path = format!("/v1/vms/{}", vm["id"].as_str().unwrap());
    assert_eq!(api.get(&path).await, (200, vm));
    let output = api.sh(&path, "echo $GREETING from $(hostname)").await;
    assert_eq!(output["stdout"], "hi from my-dev\n");
}

#[tokio::test]
async fn a_vm_without_a_name_is_called_after_its_id() {
    let api = Api::start().await;
    let (_, vm) = api
        .post(
            "/v1/vms",
            json!({"machineType": "c1m2", "name": "  ", "diskGiB": 3}),
        )
        .await;
    assert_eq!(
        vm["name"],
        format!("vm-{}", &vm["id"].as_str().unwrap()[..8])
    );
    assert_eq!(vm["diskGiB"], 3);
}

#[tokio::test]
async fn a_boot_delay_makes_clients_poll() {
    let api = Api::of(
        Server::builder()
            .boot_delay(Duration::from_millis(100))
            .start()
            .await
            .unwrap(),
    );
    let (status, vm) = api.post("/v1/vms", json!({"machineType": "c1m2"})).await;
    assert_eq!((status, &vm["status"]), (202, &json!("provisioning")));
    let path = format!("/v1/vms/{}", vm["id"].as_str().unwrap());
    let (status, refusal) = api
        .post(&format!("{path}/exec"), json!({"command": ["true"]}))
        .await;
    assert_eq!(
        (status, refusal),
        (409, json!({"error": "the VM is not running: provisioning"}))
    );
    eventually!("the VM runs", api.status_of(&path).await == "running");
    assert_eq!(api.sh(&path, "true").await["exitCode"], 0);
}

#[tokio::test]
async fn a_boot_can_be_made_to_fail_or_to_hang() {
    let api = Api::start().await;
    let with_boot =
        |boot: &str| json!({"machineType": "c1m2", "metadata": {"fastvm-local/boot": boot}});
    let failing = api.launch(with_boot("error")).await;
    let hanging = api.launch(with_boot("never")).await;
    eventually!("the boot fails", api.status_of(&failing).await == "error");
    assert_eq!(api.status_of(&hanging).await, "provisioning");
    assert_eq!(api.delete(&hanging).await.0, 200);
    assert_eq!(api.post("/v1/vms", with_boot("maybe")).await.0, 400);
}

#[tokio::test]
async fn a_launch_that_asks_for_too_much_is_refused() {
    let api = Api::start().await;
    let many: serde_json::Map<_, _> = (0..257).map(|n| (n.to_string(), json!(""))).collect();
    let large: serde_json::Map<_, _> = (0..17)
        .map(|n| (n.to_string(), json!("x".repeat(4096))))
        .collect();
    for (body, named) in [
        (json!({}), "machineType"),
        (json!({"machineType": "huge"}), "machineType"),
        (json!({"machineType": 4}), "machineType"),
        (json!({"machineType": "c1m2", "diskGiB": 0}), "diskGiB"),
        (json!({"machineType": "c1m2", "diskGiB": "ten"}), "diskGiB"),
        (json!({"machineType": "c1m2", "metadata": many}), "metadata"),
        (
            json!({"machineType": "c1m2", "metadata": large}),
            "metadata",
        ),
        (
            json!({"machineType": "c1m2", "metadata": {"": "x"}}),
            "metadata",
        ),
        (
            json!({"machineType": "c1m2", "metadata": {"k": "x".repeat(4097)}}),
            "metadata.k",
        ),
        (
            json!({"machineType": "c1m2", "metadata": {"k": 1}}),
            "metadata.k",
        ),
        (
            json!({"machineType": "c1m2", "envVars": {"1A": "x"}}),
            "envVars",
        ),
        (
            json!({"machineType": "c1m2", "envVars": {"A": "x\ny"}}),
            "envVars.A",
        ),
        (
            json!({"machineType": "c1m2", "ttl": {"seconds": 31_536_001, "action": "pause"}}),
            "ttl.seconds",
        ),
        (
            json!({"machineType": "c1m2", "ttl": {"seconds": 60, "action": "explode"}}),
            "ttl.action",
        ),
        (
            json!({"machineType": "c1m2", "ttl": {"action": "pause"}}),
            "seconds",
        ),
    ] {
        let (status, refusal) = api.post("/v1/vms", body).await;
        assert_eq!(status, 400, "{refusal}");
        assert!(
            refusal["error"].as_str().unwrap().contains(named),
            "{refusal} does not name {named}"
        );
    }
    assert_eq!(api.get("/v1/vms").await, (200, json!([])));
}

#[tokio::test]
async fn lists_are_filtered_by_status_and_metadata() {
    let api = Api::start().await;
    let label = |env: &str, boot: &str| json!({"machineType": "c1m2", "name": format!("{env}{boot}"), "metadata": {"env": env, "a b": "1&2", "fastvm-local/boot": boot}});
    let mut plain = label("dev", "");
    plain["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("fastvm-local/boot");
    api.launch(plain).await;
    api.launch(label("dev", "never")).await;
    api.launch(label("prod", "never")).await;
    let names = async |query: &str| {
        let (status, vms) = api.get(&format!("/v1/vms{query}")).await;
        assert_eq!(status, 200);
        let names = vms
            .as_array()
            .unwrap()
            .iter()
            .map(|vm| vm["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["dev", "devnever", "prodnever"]);
    assert_eq!(names("?status=running").await, ["dev"]);
    assert_eq!(names("?status=dreaming").await, Vec::<String>::new());
    assert_eq!(names("?metadata.env=dev").await, ["dev", "devnever"]);
    assert_eq!(
        names("?metadata.env=dev&metadata.a%20b=1%262&status=provisioning").await,
        ["devnever"]
    );
    assert_eq!(
        names("?metadata.env=dev&metadata.env=prod").await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn filters_take_any_encoding_and_all_of_them_count() {
    let api = Api::start().await;
    let labels = json!({"env": "dev", "a.b=c&d+e ä": "1+1 = 2", "empty": ""});
    api.launch(json!({"machineType": "c1m2", "metadata": labels}))
        .await;
    for (query, is_found) in [
        ("metadata.a.b%3Dc%26d%2Be%20%C3%A4=1%2B1%20%3D%202", true),
        ("metadata.a.b%3Dc%26d%2Be+%C3%A4=1%2B1+=+2", true),
        ("metadata%2Eenv=%64ev", true),
        ("%6Detadata.env=dev", true),
        ("metadata.env=dev&metadata.env=dev", true),
        ("metadata.env=dev&metadata.env=prod", false),
        ("metadata.env=prod&metadata.env=dev", false),
        ("metadata.env=DEV", false),
        ("metadata.ENV=dev", false),
        ("metadata.env=", false),
        ("metadata.empty=", true),
        ("metadata.empty", true),
        ("metadata.missing=", false),
        ("metadata.=", false),
        ("metadata.env=%FF", false),
        ("status=running", true),
        ("status=%72unning", true),
        ("status=running&status=running", true),
        ("status=running&status=paused", false),
        ("status=paused&status=running", false),
        ("status=Running", false),
        ("status=", false),
        ("status=dreaming&metadata.env=dev", false),
        ("status=running&&metadata.env=dev&", true),
        ("unknown=x&env=prod", true),
    ] {
        let (status, vms) = api.get(&format!("/v1/vms?{query}")).await;
        assert_eq!(status, 200, "{query}: {vms}");
        let found = vms.as_array().unwrap().len();
        assert_eq!(found, usize::from(is_found), "{query}");
    }
}

#[tokio::test]
async fn an_update_keeps_clears_and_sets() {
    let api = Api::start().await;
    let vm = api
        .launch(json!({"machineType": "c1m2", "name": "a", "metadata": {"k": "v"}}))
        .await;
    let (status, named) = api
        .patch(
            &vm,
            json!({"name": " b  c ", "ttl": {"seconds": 60, "action": "pause"}}),
        )
        .await;
    assert_eq!(
        (status, &named["name"], &named["metadata"]),
        (200, &json!("b c"), &json!({"k": "v"}))
    );
    assert!(named["expiresAtMs"].is_i64());
    let (_, kept) = api.patch(&vm, json!({})).await;
    assert_eq!(kept, named);
    let (_, cleared) = api.patch(&vm, json!({"ttl": null, "metadata": {}})).await;
    assert!(
        cleared.get("ttl").is_none()
            && cleared.get("expiresAtMs").is_none()
            && cleared.get("metadata").is_none()
    );
    assert_eq!(
        api.patch(&vm, json!({"ttl": {"seconds": 0, "action": "pause"}}))
            .await
            .0,
        400
    );
    assert_eq!(api.patch("/v1/vms/none", json!({})).await.0, 404);
}

#[tokio::test]
async fn a_deleted_vm_is_gone_with_its_processes() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let seconds = unique_seconds();
    api.sh(&vm, &format!("sleep {seconds} > /dev/null 2>&1 &"))
        .await;
    assert!(is_running(&seconds));
    let (status, answer) = api.delete(&vm).await;
    assert_eq!(
        (status, answer),
        (
            200,
            json!({"id": vm.rsplit('/').next().unwrap(), "deleted": true})
        )
    );
    assert!(!is_running(&seconds));
    let gone = json!({"error": "no such VM"});
    assert_eq!(api.get(&vm).await, (404, gone.clone()));
    assert_eq!(api.delete(&vm).await, (404, gone.clone()));
    assert_eq!(
        api.post(&format!("{vm}/exec"), json!({"command": ["true"]}))
            .await,
        (404, gone)
    );
    assert_eq!(api.get("/v1/vms").await, (200, json!([])));
}
