//! Pause, resume, the TTL, the quota, and what a restart leaves.

use std::time::Duration;

use fastvm_local::{Quota, Server};
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

use crate::commands::first_process_beside;
use crate::support::*;

/// A command that counts in a file of the VM, in the background.
const COUNT: &str = "(while :; do echo >> /tmp/count; sleep 0.01; done) > /dev/null 2>&1 &";

impl Api {
    async fn act(&self, vm: &str, action: &str) -> (u16, Value) {
        answer(self.request(reqwest::Method::POST, &format!("{vm}/{action}"))).await
    }

    async fn counted(&self, vm: &str) -> u64 {
        let output = self.sh(vm, "wc -l < /tmp/count").await;
        output["stdout"].as_str().unwrap().trim().parse().unwrap()
    }

    async fn vm_with_ttl(&self, seconds: i64, action: &str) -> String {
        let ttl = json!({"seconds": seconds, "action": action});
        self.launch(json!({"machineType": "c1m2", "ttl": ttl}))
            .await
    }

    async fn used(&self) -> Value {
        self.get("/v1/org/quotas").await.1["usage"]["vcpu"].clone()
    }
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_millis().try_into().unwrap()
}

fn is_about(found: &Value, expected: i64) -> bool {
    found
        .as_i64()
        .is_some_and(|found| (found - expected).abs() < 5_000)
}

#[tokio::test]
async fn a_paused_vm_stands_still_and_goes_on_when_resumed() {
    let api = Api::start().await;
    let vm = api.vm().await;
    api.sh(&vm, COUNT).await;

    let (status, paused) = api.act(&vm, "pause").await;
    assert_eq!((status, &paused["status"]), (200, &json!("paused")));
    assert!(paused["pausedAt"].is_string());
    assert_eq!(api.act(&vm, "pause").await, (200, paused.clone()));
    assert_eq!(api.get(&vm).await, (200, paused));
    let refused = api
        .post(&format!("{vm}/exec"), json!({"command": ["true"]}))
        .await;
    let expected = json!({"error": "the VM is not running: paused"});
    assert_eq!(refused, (409, expected));

    let (status, resumed) = api.act(&vm, "resume").await;
    assert_eq!((status, &resumed["status"]), (200, &json!("running")));
    assert!(resumed.get("pausedAt").is_none());
    assert_eq!(api.act(&vm, "resume").await, (200, resumed));
    let before = api.counted(&vm).await;
    eventually!("it counts on", api.counted(&vm).await > before);
}

#[tokio::test]
async fn nothing_runs_in_a_paused_vm() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let mut events = api
        .stream(
            &vm,
            json!({"command": ["sh", "-c", "while :; do echo x; sleep 0.01; done"]}),
        )
        .await;
    events.next().await.unwrap().unwrap();
    api.act(&vm, "pause").await;
    // What was written before the pause may still be on its way.
    let quiet = async {
        let patience = Duration::from_millis(300);
        while tokio::time::timeout(patience, events.next()).await.is_ok() {}
    };
    let limit = Duration::from_secs(10);
    tokio::time::timeout(limit, quiet).await.unwrap();
    api.act(&vm, "resume").await;
    assert!(events.next().await.unwrap().is_some());
}

#[tokio::test]
async fn only_running_and_paused_vms_are_paused_and_resumed() {
    let api = Api::start().await;
    let boot = json!({"machineType": "c1m2", "metadata": {"fastvm-local/boot": "never"}});
    let booting = api.launch(boot).await;
    for (action, wanted) in [("pause", "running"), ("resume", "paused")] {
        let refused = json!({"error": format!("the VM is not {wanted}: provisioning")});
        assert_eq!(api.act(&booting, action).await, (409, refused));
        assert_eq!(api.act("/v1/vms/none", action).await.0, 404);
    }
}

#[tokio::test]
async fn a_vm_is_paused_resumed_and_deleted_at_once_without_harm() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let rounds = async {
        for _ in 0..5 {
            tokio::join!(api.act(&vm, "pause"), api.act(&vm, "resume"));
        }
    };
    let others = async {
        for _ in 0..5 {
            tokio::join!(api.act(&vm, "resume"), api.act(&vm, "pause"));
        }
    };
    tokio::join!(rounds, others);
    assert_eq!(api.act(&vm, "resume").await.1["status"], "running");
    assert_eq!(api.sh(&vm, "true").await["exitCode"], 0);
    assert_eq!(api.used().await, 1);

    let (pause, resume, delete) = tokio::join!(
        api.act(&vm, "pause"),
        api.act(&vm, "resume"),
        api.delete(&vm)
    );
    assert!(matches!(pause.0, 200 | 404), "{pause:?}");
    assert!(matches!(resume.0, 200 | 404), "{resume:?}");
    assert_eq!(delete.0, 200);
    assert_eq!(api.get(&vm).await.0, 404);
    assert_eq!(api.used().await, 0);
}

#[tokio::test]
async fn the_countdown_stands_still_in_a_paused_vm() {
    let api = Api::start().await;
    let vm = api.vm_with_ttl(1000, "delete").await;
    let (_, paused) = api.act(&vm, "pause").await;
    assert!(paused.get("expiresAtMs").is_none());
    assert!(is_about(&paused["ttlRemainingMs"], 1_000_000), "{paused}");
    let (_, resumed) = api.act(&vm, "resume").await;
    assert!(resumed.get("ttlRemainingMs").is_none());
    assert!(is_about(&resumed["expiresAtMs"], now_ms() + 1_000_000));
}

#[tokio::test]
async fn a_ttl_is_refreshed_set_and_dropped_in_a_running_and_in_a_paused_vm() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let none = json!({"error": "the VM has no TTL"});
    assert_eq!(api.act(&vm, "ttl/refresh").await, (409, none));
    let ttl = |seconds: i64| json!({"ttl": {"seconds": seconds, "action": "pause"}});
    let (_, set) = api.patch(&vm, ttl(100)).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let (status, refreshed) = api.act(&vm, "ttl/refresh").await;
    assert_eq!(status, 200);
    assert!(refreshed["expiresAtMs"].as_i64() > set["expiresAtMs"].as_i64());

    api.act(&vm, "pause").await;
    let (status, refreshed) = api.act(&vm, "ttl/refresh").await;
    assert_eq!(
        (status, &refreshed["ttlRemainingMs"]),
        (200, &json!(100_000))
    );
    let (_, longer) = api.patch(&vm, ttl(300)).await;
    assert_eq!(longer["ttlRemainingMs"], 300_000);
    assert!(longer.get("expiresAtMs").is_none());
    let (_, dropped) = api.patch(&vm, json!({"ttl": null})).await;
    assert!(dropped.get("ttl").is_none() && dropped.get("ttlRemainingMs").is_none());
    let (_, resumed) = api.act(&vm, "resume").await;
    assert!(resumed.get("expiresAtMs").is_none());
}

#[tokio::test]
async fn a_ttl_deletes_a_vm_with_its_processes_and_uploads() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let (upload, download) = api.presign(&vm).await;
    assert_eq!(api.put(&upload, "x").await, 200);
    let seconds = unique_seconds();
    let mut events = api
        .stream(
            &vm,
            json!({"command": ["sh", "-c", format!("echo hi; sleep {seconds}")]}),
        )
        .await;
    events.next().await.unwrap().unwrap();
    let soon = json!({"ttl": {"seconds": 1, "action": "delete"}});
    assert_eq!(api.patch(&vm, soon).await.0, 200);
    eventually!("it is deleted", api.get(&vm).await.0 == 404);
    eventually!("its processes end", !is_running(&seconds));
    assert!(events.next().await.is_err());
    let object = async || api.http.get(&download).send().await.unwrap().status();
    eventually!("its objects go", object().await == 404);
    assert_eq!(api.used().await, 0);
}

#[tokio::test]
async fn a_ttl_pauses_a_vm_again_and_again() {
    let api = Api::start().await;
    let vm = api.vm_with_ttl(1, "pause").await;
    for _ in 0..2 {
        eventually!("it is paused", api.status_of(&vm).await == "paused");
        assert_eq!(api.get(&vm).await.1["ttlRemainingMs"], 1000);
        let (_, resumed) = api.act(&vm, "resume").await;
        assert_eq!(resumed["status"], "running");
        assert!(is_about(&resumed["expiresAtMs"], now_ms() + 1000));
    }
}

#[tokio::test]
async fn a_ttl_that_is_refreshed_paused_or_dropped_does_not_fire() {
    let api = Api::start().await;
    let (refreshed, dropped, paused, control) = tokio::join!(
        api.vm_with_ttl(3, "delete"),
        api.vm_with_ttl(3, "delete"),
        api.vm_with_ttl(3, "delete"),
        api.vm_with_ttl(3, "delete"),
    );
    let forever = json!({"ttl": {"seconds": 1000, "action": "delete"}});
    api.patch(&refreshed, forever).await;
    api.patch(&dropped, json!({"ttl": null})).await;
    api.act(&paused, "pause").await;
    eventually!("the other goes", api.get(&control).await.0 == 404);
    for vm in [&refreshed, &dropped, &paused] {
        assert_eq!(api.get(vm).await.0, 200);
    }
    api.act(&paused, "resume").await;
    eventually!("its time goes on", api.get(&paused).await.0 == 404);
}

async fn with_quota(vcpu: i64) -> Api {
    let mut quota = Quota::default();
    quota.vcpu = vcpu;
    Api::of(Server::builder().quota(quota).start().await.unwrap())
}

#[tokio::test]
async fn vms_count_against_the_quota_until_they_are_paused_fail_or_end() {
    let api = with_quota(2).await;
    let refused = json!({"error": "quota exceeded: vcpu would be 3, the limit is 2"});
    let one = json!({"machineType": "c1m2"});
    let (first, second) = (api.launch(one.clone()).await, api.launch(one.clone()).await);
    assert_eq!(
        api.post("/v1/vms", one.clone()).await,
        (403, refused.clone())
    );
    assert_eq!(api.get("/v1/vms").await.1.as_array().unwrap().len(), 2);

    api.act(&first, "pause").await;
    assert_eq!(api.used().await, 1);
    let third = api.launch(one.clone()).await;
    assert_eq!(api.act(&first, "resume").await, (403, refused));
    assert_eq!(api.status_of(&first).await, "paused");
    api.delete(&third).await;
    assert_eq!(api.act(&first, "resume").await.0, 200);

    api.delete(&second).await;
    let failing = json!({"machineType": "c1m2", "metadata": {"fastvm-local/boot": "error"}});
    api.launch(failing).await;
    eventually!("it gives its share back", api.used().await == 1);
}

#[tokio::test]
async fn a_vm_that_has_ended_by_itself_gives_its_share_back_and_is_not_paused() {
    let api = Api::start().await;
    for is_paused in [false, true] {
        let vm = api.vm_with_ttl(1000, "pause").await;
        let seconds = unique_seconds();
        api.sh(&vm, &format!("sleep {seconds} > /dev/null 2>&1 &"))
            .await;
        eventually!("it runs", is_running(&seconds));
        let first = first_process_beside(&seconds);
        if is_paused {
            assert_eq!(api.act(&vm, "pause").await.0, 200);
        }
        kill(first, Signal::SIGKILL).unwrap();
        eventually!("it is seen", api.status_of(&vm).await == "stopped");
        eventually!("its share is free", api.used().await == 0);
        let (_, stopped) = api.get(&vm).await;
        for field in ["expiresAtMs", "ttlRemainingMs", "pausedAt"] {
            assert!(stopped.get(field).is_none(), "{field}");
        }
        for (action, wanted) in [("pause", "running"), ("resume", "paused")] {
            let refused = json!({"error": format!("the VM is not {wanted}: stopped")});
            assert_eq!(api.act(&vm, action).await, (409, refused));
        }
    }
}

#[tokio::test]
async fn a_command_is_ended_at_its_limit_in_a_paused_vm_too() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let seconds = unique_seconds();
    let command = json!({"command": ["sleep", seconds], "timeoutSec": 1});
    let exec = format!("{vm}/exec");
    let (output, ()) = tokio::join!(api.post(&exec, command), async {
        eventually!("it runs", is_running(&seconds));
        assert_eq!(api.act(&vm, "pause").await.0, 200);
    });
    assert_eq!(output.0, 200);
    assert_eq!(output.1["timedOut"], true);
    assert_eq!(api.status_of(&vm).await, "paused");
    assert!(!is_running(&seconds));
}

#[tokio::test]
async fn vms_come_back_as_stopped_after_a_restart() {
    let state = tempfile::tempdir().unwrap();
    let start = async || {
        let builder = Server::builder().state_dir(state.path());
        Api::of(builder.start().await.unwrap())
    };
    let api = start().await;
    let body = json!({
        "machineType": "c2m4", "name": "old", "metadata": {"k": "v"}, "envVars": {"A": "b"},
        "ttl": {"seconds": 100, "action": "delete"},
    });
    let (vm, paused, deleted) = (api.launch(body).await, api.vm().await, api.vm().await);
    api.act(&paused, "pause").await;
    api.delete(&deleted).await;
    api.patch(&vm, json!({"name": "new"})).await;
    let (_, mut expected) = api.get(&vm).await;
    api.server.stop().await;

    let api = start().await;
    expected["status"] = json!("stopped");
    expected.as_object_mut().unwrap().remove("expiresAtMs");
    assert_eq!(api.get(&vm).await, (200, expected));
    let (_, all) = api.get("/v1/vms").await;
    let names: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|vm| &vm["status"])
        .collect();
    assert_eq!(names, ["stopped", "stopped"]);
    assert!(all[1].get("pausedAt").is_none());
    assert_eq!(api.used().await, 0);
    for action in ["pause", "resume", "ttl/refresh"] {
        assert_eq!(api.act(&vm, action).await.0, 409, "{action}");
    }
    let exec = json!({"command": ["true"]});
    assert_eq!(api.post(&format!("{vm}/exec"), exec).await.0, 409);
    let file = json!({"path": "/x"});
    assert_eq!(api.post(&format!("{vm}/files/presign"), file).await.0, 409);
    let (status, renamed) = api.patch(&vm, json!({"name": "newer"})).await;
    assert_eq!((status, &renamed["name"]), (200, &json!("newer")));
    assert_eq!(api.delete(&paused).await.0, 200);
    api.server.stop().await;

    let api = start().await;
    let (_, all) = api.get("/v1/vms").await;
    assert_eq!(all.as_array().unwrap().len(), 1);
    assert_eq!(all[0]["name"], "newer");
}
