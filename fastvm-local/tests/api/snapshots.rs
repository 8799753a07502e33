//! Snapshots and the VMs that start from them.

use std::path::Path;
use std::time::Duration;

use fastvm_local::{Quota, Server};
use serde_json::{Value, json};

use crate::support::*;

const SNAPSHOTS: &str = "/v1/snapshots";

fn id_of(vm: &str) -> &str {
    vm.rsplit('/').next().unwrap()
}

async fn take(api: &Api, vm: &str, name: &str) -> Value {
    let body = json!({"vmId": id_of(vm), "name": name});
    let (status, snapshot) = api.post(SNAPSHOTS, body).await;
    assert_eq!(status, 201, "{snapshot}");
    assert_eq!(snapshot["status"], "ready");
    snapshot
}

async fn restore(api: &Api, snapshot: &Value) -> String {
    api.launch(json!({"snapshotId": snapshot["id"]})).await
}

async fn server_in(state: &Path) -> Api {
    let server = Server::builder().state_dir(state);
    Api::of(server.start().await.unwrap())
}

/// What is in the folder of the files of all snapshots.
fn kept(state: &Path) -> usize {
    let folder = state.join("kept/data/snapshots");
    std::fs::read_dir(folder).unwrap().count()
}

const WRITE: &str = "
    mkdir -p /data/closed/inner /opt/late
    echo kept > /data/closed/inner/file
    echo hidden > /root/secret
    cp /bin/true /data/setuid && chmod 4755 /data/setuid
    ln -s /data/closed/inner/file /root/link
    ln -s /nowhere /root/dangling
    mkfifo /root/pipe
    touch -d @1000000 /data/setuid /opt/late
    chmod 0 /data/closed /root/secret
";

const LOOK: &str = "
    cat /root/link /root/secret
    stat -c '%a %F' /data/closed /root/secret
    stat -c '%a %Y %n' /data/setuid /opt/late
    readlink /root/link /root/dangling
    ls /root
";

#[tokio::test]
async fn a_restored_vm_has_the_files_and_settings_of_the_captured_one() {
    let api = Api::start().await;
    let vm = api
        .launch(json!({
            "machineType": "c2m4", "diskGiB": 7, "name": "first", "metadata": {"env": "dev"},
            "envVars": {"GREETING": "hi"}, "firewall": {"dns": {"mode": "deny", "domains": []}},
        }))
        .await;
    let service = json!({"name": "web", "port": 8080, "h2c": true});
    let services = format!("{vm}/services");
    assert_eq!(api.post(&services, service.clone()).await.0, 201);
    api.sh(&vm, WRITE).await;
    let before = api.sh(&vm, LOOK).await["stdout"].clone();

    let snapshot = take(&api, &vm, " my\t base ").await;
    assert!(snapshot["id"].as_str().unwrap().starts_with("snp_"));
    assert_eq!(snapshot["name"], "my base");
    assert_eq!(snapshot["vmId"], id_of(&vm));
    assert_eq!(snapshot["machineName"], "c2m4");
    assert_eq!(snapshot["metadata"], json!({"env": "dev"}));
    assert_eq!(snapshot["envVars"], json!({"GREETING": "hi"}));
    assert_eq!(snapshot["firewall"]["dns"]["mode"], "deny");

    let body = json!({"snapshotId": snapshot["id"], "name": "second"});
    let (status, restored) = api.post("/v1/vms", body).await;
    assert_eq!((status, &restored["status"]), (201, &json!("running")));
    assert_eq!(restored["sourceName"], "my base");
    assert_eq!(snapshot["services"], json!([service]));
    let path = format!("/v1/vms/{}/services", restored["id"].as_str().unwrap());
    assert_eq!(api.get(&path).await, (200, json!([service])));
    assert!(
        restored["effectiveFirewall"]
            .to_string()
            .contains("proxy service web")
    );
    for same in ["machineName", "metadata", "envVars", "firewall"] {
        assert_eq!(restored[same], snapshot[same]);
    }
    assert_eq!(
        (
            &restored["cpu"],
            &restored["memoryMiB"],
            &restored["diskGiB"]
        ),
        (&json!(2), &json!(4096), &json!(7))
    );
    let restored = format!("/v1/vms/{}", restored["id"].as_str().unwrap());
    let expected = before.as_str().unwrap().replace("pipe\n", "");
    assert!(expected.contains("kept\nhidden\n") && expected.contains("4755 1000000"));
    assert_eq!(api.sh(&restored, LOOK).await["stdout"], expected);
    let output = api
        .sh(
            &restored,
            "echo $GREETING; hostname; cat /etc/hostname; grep ^127 /etc/hosts",
        )
        .await;
    assert_eq!(
        output["stdout"],
        "hi\nsecond\nsecond\n127.0.0.1 localhost\n127.0.1.1 second\n"
    );
    assert_eq!(api.sh(&vm, LOOK).await["stdout"], before);
}

#[tokio::test]
async fn what_a_restore_says_itself_replaces_what_was_captured() {
    let api = Api::start().await;
    let body = json!({"machineType": "c2m4", "metadata": {"a": "1"}, "envVars": {"A": "1"}});
    let vm = api.launch(body).await;
    let snapshot = take(&api, &vm, "").await;
    let own_name = format!("snapshot-{}", &id_of(&vm)[..8]);
    assert_eq!(snapshot["name"], own_name);
    let body = json!({
        "snapshotId": snapshot["id"], "machineType": "c1m2", "diskGiB": 20, "metadata": {},
        "envVars": {"B": "2"}, "ttl": {"seconds": 60, "action": "delete"},
    });
    let (status, restored) = api.post("/v1/vms", body).await;
    assert_eq!(status, 201);
    assert_eq!(restored["machineName"], "c1m2");
    assert_eq!(restored["diskGiB"], 20);
    assert_eq!(restored.get("metadata"), None);
    assert_eq!(restored["envVars"], json!({"B": "2"}));
    assert!(restored["expiresAtMs"].is_i64());
    let bad = json!({"snapshotId": snapshot["id"], "machineType": "huge"});
    assert_eq!(api.post("/v1/vms", bad).await.0, 400);
}

#[tokio::test]
async fn a_vm_and_those_restored_from_it_do_not_see_each_other() {
    let api = Api::start().await;
    let vm = api.vm().await;
    api.sh(&vm, "echo base > /data/file").await;
    let snapshot = take(&api, &vm, "base").await;
    api.sh(&vm, "echo first >> /data/file").await;
    let (second, third) = (
        restore(&api, &snapshot).await,
        restore(&api, &snapshot).await,
    );
    api.sh(&second, "echo second >> /data/file").await;
    for (vm, expected) in [
        (&vm, "base\nfirst\n"),
        (&second, "base\nsecond\n"),
        (&third, "base\n"),
        (&restore(&api, &snapshot).await, "base\n"),
    ] {
        assert_eq!(api.sh(vm, "cat /data/file").await["stdout"], expected);
    }
}

#[tokio::test]
async fn processes_go_on_after_a_snapshot_and_commands_wait_for_it() {
    let api = Api::start().await;
    let vm = api.vm().await;
    api.sh(
        &vm,
        "(while :; do echo >> /tmp/ticks; sleep 0.01; done) > /dev/null 2>&1 &
        i=0; while [ $i -lt 300 ]; do mkdir /data/$i; echo $i > /data/$i/file; i=$((i+1)); done",
    )
    .await;
    let ticks = async || {
        let output = api.sh(&vm, "wc -l < /tmp/ticks").await;
        output["stdout"]
            .as_str()
            .unwrap()
            .trim()
            .parse::<u64>()
            .unwrap()
    };
    let commands = async {
        for _ in 0..20 {
            assert_eq!(api.sh(&vm, "true").await["exitCode"], 0);
        }
    };
    let (snapshot, ()) = tokio::join!(take(&api, &vm, "busy"), commands);
    let then = ticks().await;
    eventually!("the process goes on", ticks().await > then);
    let restored = restore(&api, &snapshot).await;
    assert_eq!(
        api.sh(&restored, "ls /data | wc -l").await["stdout"],
        "300\n"
    );
    // What ran is not captured.
    assert_eq!(
        api.sh(
            &restored,
            "a=$(wc -l < /tmp/ticks); sleep 0.1; [ $a = $(wc -l < /tmp/ticks) ]"
        )
        .await["exitCode"],
        0
    );
}

#[tokio::test]
async fn a_snapshot_is_taken_even_if_the_client_goes_away() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let body = json!({"vmId": id_of(&vm), "name": "orphan"});
    let request = api.request(reqwest::Method::POST, SNAPSHOTS).json(&body);
    let gone = tokio::time::timeout(Duration::from_millis(2), request.send());
    let _ = gone.await;
    let is_whole = async || {
        let (_, all) = api.get(SNAPSHOTS).await;
        let mut all = all.as_array().unwrap().clone();
        all.retain(|snapshot| snapshot["status"] != "ready");
        all.is_empty()
    };
    eventually!("nothing is half done", is_whole().await);
    assert_eq!(api.sh(&vm, "true").await["exitCode"], 0);
}

#[tokio::test]
async fn snapshots_are_listed_renamed_and_deleted() {
    let api = Api::start().await;
    let labelled = |env: &str| json!({"machineType": "c1m2", "metadata": {"env": env}});
    let (dev, prod) = (
        api.launch(labelled("dev")).await,
        api.launch(labelled("prod")).await,
    );
    let (first, second) = (take(&api, &dev, "a").await, take(&api, &prod, "b").await);
    assert_eq!(api.get(SNAPSHOTS).await, (200, json!([first, second])));
    let filtered = format!("{SNAPSHOTS}?metadata.env=prod");
    assert_eq!(api.get(&filtered).await, (200, json!([second])));

    let path = format!("{SNAPSHOTS}/{}", first["id"].as_str().unwrap());
    assert_eq!(api.get(&path).await, (200, first.clone()));
    let (status, renamed) = api.patch(&path, json!({"name": " c  d "})).await;
    let mut expected = first.clone();
    expected["name"] = json!("c d");
    assert_eq!((status, &renamed), (200, &expected));
    assert_eq!(api.patch(&path, json!({})).await, (200, expected));
    let (_, unnamed) = api.patch(&path, json!({"name": ""})).await;
    assert_eq!(unnamed["name"], format!("snapshot-{}", &id_of(&dev)[..8]));

    let deleted = json!({"id": first["id"], "deleted": true});
    assert_eq!(api.delete(&path).await, (200, deleted));
    let unknown = (404, json!({"error": "no such snapshot"}));
    assert_eq!(api.delete(&path).await, unknown);
    assert_eq!(api.get(&path).await, unknown);
    assert_eq!(api.patch(&path, json!({})).await, unknown);
    let body = json!({"snapshotId": first["id"]});
    assert_eq!(api.post("/v1/vms", body).await, unknown);
    assert_eq!(api.get(SNAPSHOTS).await, (200, json!([second])));
}

#[tokio::test]
async fn vms_live_on_when_their_snapshot_is_deleted_even_before_they_boot() {
    let state = tempfile::tempdir().unwrap();
    let server = Server::builder().state_dir(state.path());
    let server = server.boot_delay(Duration::from_millis(200));
    let api = Api::of(server.start().await.unwrap());
    let vm = api.vm().await;
    eventually!("the VM runs", api.status_of(&vm).await == "running");
    api.sh(&vm, "echo kept > /data/file").await;
    let snapshot = take(&api, &vm, "short").await;
    let restored = restore(&api, &snapshot).await;
    assert_eq!(api.status_of(&restored).await, "provisioning");
    let path = format!("{SNAPSHOTS}/{}", snapshot["id"].as_str().unwrap());
    assert_eq!(api.delete(&path).await.0, 200);
    assert_eq!(api.delete(&vm).await.0, 200);
    eventually!("the VM runs", api.status_of(&restored).await == "running");
    let output = api.sh(&restored, "cat /data/file").await;
    assert_eq!(output["stdout"], "kept\n");
    eventually!("the files go", kept(state.path()) == 0);
}

#[tokio::test]
async fn only_a_vm_that_runs_or_is_paused_can_be_captured() {
    let api = Api::start().await;
    let body = json!({"machineType": "c1m2", "metadata": {"fastvm-local/boot": "never"}});
    let vm = api.launch(body).await;
    let (status, refusal) = api.post(SNAPSHOTS, json!({"vmId": id_of(&vm)})).await;
    let expected = json!({"error": "the VM is neither running nor paused: provisioning"});
    assert_eq!((status, refusal), (409, expected));
    assert_eq!(api.post(SNAPSHOTS, json!({"vmId": "none"})).await.0, 404);
    assert_eq!(api.post(SNAPSHOTS, json!({})).await.0, 400);
    assert_eq!(api.get(SNAPSHOTS).await, (200, json!([])));
}

#[tokio::test]
async fn snapshots_count_against_the_quota_until_they_are_deleted() {
    let mut quota = Quota::default();
    quota.snapshot_count = 1;
    let api = Api::of(Server::builder().quota(quota).start().await.unwrap());
    let vm = api.vm().await;
    let first = take(&api, &vm, "").await;
    let (status, refusal) = api.post(SNAPSHOTS, json!({"vmId": id_of(&vm)})).await;
    let text = refusal["error"].as_str().unwrap();
    assert!(status == 403 && text.contains("snapshotCount"), "{refusal}");
    let path = format!("{SNAPSHOTS}/{}", first["id"].as_str().unwrap());
    api.delete(&path).await;
    take(&api, &vm, "").await;
}

#[tokio::test]
async fn snapshots_outlive_a_server_with_a_named_directory() {
    let state = tempfile::tempdir().unwrap();
    let api = server_in(state.path()).await;
    let vm = api.vm().await;
    api.sh(&vm, WRITE).await;
    let whole = take(&api, &vm, "whole").await;
    let cut = take(&api, &vm, "cut").await;
    api.server.stop().await;

    let record = format!(
        "kept/records/snapshots/{}.json",
        cut["id"].as_str().unwrap()
    );
    let record = state.path().join(record);
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replace("\"ready\"", "\"creating\"")).unwrap();
    let left_over = state.path().join("kept/data/snapshots/snp_0.new");
    std::fs::create_dir(&left_over).unwrap();

    let api = server_in(state.path()).await;
    assert!(!left_over.exists());
    let mut failed = cut.clone();
    failed["status"] = json!("error");
    assert_eq!(api.get(SNAPSHOTS).await, (200, json!([whole, failed])));
    let (_, quotas) = api.get("/v1/org/quotas").await;
    assert_eq!(quotas["usage"]["snapshotCount"], 2);
    let restored = restore(&api, &whole).await;
    let output = api.sh(&restored, "cat /root/link /root/secret").await;
    assert_eq!(output["stdout"], "kept\nhidden\n");
    let (status, refusal) = api.post("/v1/vms", json!({"snapshotId": cut["id"]})).await;
    assert_eq!(status, 409, "{refusal}");
}

#[tokio::test]
async fn services_that_cannot_be_registered_again_are_all_listed() {
    let state = tempfile::tempdir().unwrap();
    let api = server_in(state.path()).await;
    let vm = api.vm().await;
    for (name, port) in [("web", 8080), ("api", 8081)] {
        let service = json!({"name": name, "port": port});
        api.post(&format!("{vm}/services"), service).await;
    }
    let snapshot = take(&api, &vm, "").await;
    api.server.stop().await;
    // As if an earlier version had allowed more.
    let id = snapshot["id"].as_str().unwrap();
    let record = state
        .path()
        .join(format!("kept/records/snapshots/{id}.json"));
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replace("8081", "80")).unwrap();

    let api = server_in(state.path()).await;
    let (status, restored) = api.post("/v1/vms", json!({"snapshotId": id})).await;
    assert_eq!((status, &restored["status"]), (201, &json!("running")));
    let warnings = &restored["snapshotRestoreWarnings"];
    assert_eq!(warnings["servicesRegistrationFailed"], true);
    assert!(warnings["reason"].as_str().unwrap().contains("port: 80"));
    let names = |services: &Value| {
        let services = services.as_array().unwrap().iter();
        services
            .map(|service| service["name"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&warnings["unregisteredServices"]), ["api", "web"]);
    let path = format!("/v1/vms/{}/services", restored["id"].as_str().unwrap());
    assert_eq!(api.get(&path).await, (200, json!([])));
}

#[tokio::test]
async fn in_one_pause_a_vm_has_one_snapshot_and_stays_paused() {
    let api = Api::start().await;
    let vm = api.vm().await;
    api.sh(&vm, "echo kept > /data/file").await;
    let state = async |change: &str| {
        let (status, vm) = api.post(&format!("{vm}/{change}"), json!({})).await;
        assert_eq!(status, 200, "{vm}");
    };
    state("pause").await;
    let (first, again) = tokio::join!(take(&api, &vm, "first"), take(&api, &vm, "first"));
    assert_eq!(first, again);
    assert_eq!(take(&api, &vm, "other").await, first);
    assert_eq!(api.status_of(&vm).await, "paused");
    let restored = restore(&api, &first).await;
    let output = api.sh(&restored, "cat /data/file").await;
    assert_eq!(output["stdout"], "kept\n");

    state("resume").await;
    state("pause").await;
    let next = take(&api, &vm, "next").await;
    assert_ne!(next["id"], first["id"]);
    state("resume").await;
    let (one, two) = (take(&api, &vm, "").await, take(&api, &vm, "").await);
    assert_ne!(one["id"], two["id"]);
    assert_eq!(api.sh(&vm, "true").await["exitCode"], 0);
}
