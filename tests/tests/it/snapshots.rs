//! Snapshots that are waited for.

use std::time::Duration;

use fastvm::{Client, ErrorKind, Outcome, Vm};
use fastvm_local::Fault;
use fastvm_tests::{Reply, Stub, World, client};

const SNAPSHOT: &str = r#"{"id":"snp_1","name":"n","orgId":"o","vmId":"vm-1","createdAt":"2026-01-01T00:00:00Z","status":"STATUS"}"#;

pub(crate) fn snapshot(code: u16, status: &str) -> Reply {
    Reply::json(code, &SNAPSHOT.replace("STATUS", status))
}

/// A handle on a VM of a stub.
pub(crate) fn vm(client: &Client) -> Vm {
    let vm = r#"{"id":"vm-1","name":"n","orgId":"o","cpu":1,"memoryMiB":1,"diskGiB":1,"createdAt":"2026-01-01T00:00:00Z","status":"running"}"#;
    let vm: fastvm::types::Vm = serde_json::from_str(vm).unwrap();
    client.vms().handle(vm)
}

#[tokio::test]
async fn a_snapshot_is_ready_when_it_is_answered_and_can_be_restored() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    vm.run("echo kept > /root/state").await.unwrap();
    let snapshot = vm.snapshot("  my   snapshot ").await.unwrap();
    assert_eq!(snapshot.status, "ready");
    assert_eq!(snapshot.name, "my snapshot");
    assert_eq!(snapshot.vm_id, vm.id);
    let restored = world.client.vms().restore(&snapshot.id).await.unwrap();
    let state = restored.run("cat /root/state").await.unwrap();
    assert_eq!(state.stdout, "kept\n");
    // The published call is where it was.
    let plain = world.client.snapshots().create(&vm.id).await.unwrap();
    assert_ne!(plain.id, snapshot.id);
}

#[tokio::test]
async fn a_snapshot_that_takes_its_time_is_waited_for_through_passing_faults() {
    let stub = Stub::start([
        snapshot(201, "creating"),
        snapshot(200, "almost"),
        Reply::json(503, "{}").header("x-should-retry", "false"),
        snapshot(200, "ready"),
    ])
    .await;
    let client = client(stub.base_url(), "k");
    let taken = vm(&client).snapshot("n").await.unwrap();
    assert_eq!(taken.status, "ready");
    let lines: Vec<String> = stub.requests().into_iter().map(|it| it.line).collect();
    assert_eq!(lines[0], "POST /v1/snapshots");
    assert_eq!(lines[1..], ["GET /v1/snapshots/snp_1"; 3]);
}

#[tokio::test]
async fn a_snapshot_that_ends_in_error_is_an_error_of_its_own_and_is_deleted() {
    let stub = Stub::start([
        snapshot(201, "creating"),
        snapshot(200, "error"),
        Reply::json(200, r#"{"id":"snp_1","deleted":true}"#),
    ])
    .await;
    let client = client(stub.base_url(), "k");
    let error = vm(&client).snapshot("n").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Snapshot);
    assert_eq!(error.vm_id(), Some("vm-1"));
    assert!(error.to_string().contains("snp_1"), "{error}");
    assert!(!error.to_string().contains("left"), "{error}");
    let requests = stub.requests();
    assert_eq!(requests.last().unwrap().line, "DELETE /v1/snapshots/snp_1");
}

#[tokio::test]
async fn a_snapshot_that_is_not_ready_in_time_is_named_in_the_error_and_left() {
    let stub = Stub::start([snapshot(201, "creating"), snapshot(200, "creating")]).await;
    let client = client(stub.base_url(), "k");
    let taking = vm(&client).snapshot("n");
    let error = taking
        .wait_timeout(Duration::from_millis(100))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert!(error.to_string().contains("snp_1"), "{error}");
    let is_deletion = |line: &str| line.starts_with("DELETE");
    assert!(!stub.requests().iter().any(|it| is_deletion(&it.line)));
}

#[tokio::test]
async fn a_snapshot_of_a_vm_that_is_gone_or_not_up_is_refused() {
    let world = World::with_boot_delay(Duration::from_secs(60)).await;
    let launch = world.client.vms().launch("c1m2").wait(false);
    let booting = launch.await.unwrap();
    let error = booting.snapshot("n").await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    booting.delete().await.unwrap();
    let error = booting.snapshot("n").await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert_eq!(error.vm_id(), Some(booting.id.as_str()));
}

#[tokio::test]
async fn a_snapshot_whose_answer_is_lost_is_sent_once_and_the_error_says_where_to_look() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let lost = Fault::cut_after_work().on("createSnapshot");
    let lost = world.server.faults().add(lost).unwrap();
    let error = vm.snapshot("n").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert!(error.to_string().contains("snapshots().list()"), "{error}");
    assert_eq!(world.server.faults().fired(lost), 1);
    assert_eq!(world.client.snapshots().list().await.unwrap().len(), 1);
}
