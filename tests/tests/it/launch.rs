//! Launching and waiting.

use std::time::{Duration, Instant};

use fastvm::ErrorKind;
use fastvm::types::VmStatus;
use fastvm_tests::{Reply, Stub, World, client};

const VM: &str = r#"{"id":"vm-1","name":"n","orgId":"o","cpu":1,"memoryMiB":1,"diskGiB":1,"createdAt":"2026-01-01T00:00:00Z","status":"STATUS"}"#;

fn vm(code: u16, status: &str) -> Reply {
    Reply::json(code, &VM.replace("STATUS", status))
}

#[tokio::test]
async fn launch_waits_until_the_vm_runs_and_is_not_late() {
    let boot = Duration::from_millis(300);
    let world = World::with_boot_delay(boot).await;
    let start = Instant::now();
    let vm = world
        .client
        .vms()
        .launch("c1m2")
        .name("  my   vm ")
        .metadata("env", "prod")
        .await
        .unwrap();
    let took = start.elapsed();
    assert_eq!(vm.status, VmStatus::Running);
    assert_eq!(vm.name, "my vm");
    assert!(vm.warnings().is_empty());
    assert!(took >= boot, "{took:?}");
    assert!(took < boot + Duration::from_millis(700), "late: {took:?}");
}

#[tokio::test]
async fn launch_without_waiting_gives_the_vm_as_it_is_and_it_can_be_waited_for() {
    let world = World::with_boot_delay(Duration::from_millis(200)).await;
    let answer = world
        .client
        .vms()
        .launch("c1m2")
        .wait(false)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.status, VmStatus::Provisioning);
    let id = answer.id.clone();
    let vm = world
        .client
        .wait_for_vm_ready(&id)
        .poll_interval(Duration::from_millis(40))
        .await
        .unwrap();
    assert_eq!(vm.status, "running");
    let listed = world
        .client
        .vms()
        .list()
        .status("running")
        .metadata("env", "prod")
        .await
        .unwrap();
    assert!(listed.is_empty());
    let listed = world.client.vms().list().status("running").await.unwrap();
    let handle = world.client.vms().handle(listed[0].clone());
    assert_eq!(handle.id, id);
}

#[tokio::test]
async fn a_vm_that_ends_in_error_is_a_launch_error_with_its_id_and_status() {
    let world = World::with_boot_delay(Duration::from_millis(50)).await;
    let launch = world
        .client
        .vms()
        .launch("c1m2")
        .metadata("fastvm-local/boot", "error");
    let error = launch.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Launch);
    assert_eq!(error.vm_status(), Some(&VmStatus::Error));
    let left = world
        .client
        .vms()
        .retrieve(error.vm_id().unwrap())
        .await
        .unwrap();
    assert_eq!(left.status, VmStatus::Error);
}

#[tokio::test]
async fn a_vm_that_never_gets_ready_is_a_not_ready_error_at_the_deadline() {
    let world = World::with_boot_delay(Duration::from_millis(10)).await;
    let start = Instant::now();
    let launch = world
        .client
        .vms()
        .launch("c1m2")
        .metadata("fastvm-local/boot", "never");
    let error = launch
        .wait_timeout(Duration::from_millis(300))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert!(error.is_timeout());
    assert!(error.vm_id().is_some());
    assert_eq!(error.vm_status(), Some(&VmStatus::Provisioning));
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn every_failure_state_ends_the_wait_and_an_unknown_one_does_not() {
    for status in ["error", "stopped", "deleting"] {
        let stub = Stub::start([vm(202, "provisioning"), vm(200, status)]).await;
        let error = client(stub.base_url(), "k")
            .vms()
            .launch("c1m2")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Launch, "{status}");
        assert_eq!(error.vm_status().map(VmStatus::as_str), Some(status));
    }
    let stub = Stub::start([vm(202, "warming"), vm(200, "almost"), vm(200, "running")]).await;
    let running = client(stub.base_url(), "k")
        .vms()
        .restore("snp_1")
        .await
        .unwrap();
    assert_eq!(running.status, "running");
    let launch = &stub.requests()[0];
    assert_eq!(launch.line, "POST /v1/vms");
    assert_eq!(
        String::from_utf8_lossy(&launch.body),
        r#"{"snapshotId":"snp_1"}"#
    );
}

#[tokio::test]
async fn the_deadline_bounds_a_poll_that_hangs() {
    let stub = Stub::start([vm(202, "provisioning"), Reply::Stall]).await;
    let start = Instant::now();
    let launch = client(stub.base_url(), "k").vms().launch("c1m2");
    let error = launch
        .wait_timeout(Duration::from_millis(400))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_poll_that_fails_does_not_end_the_wait_but_a_final_answer_does() {
    let failing = Reply::json(500, "{}").header("x-should-retry", "false");
    let stub = Stub::start([
        vm(202, "provisioning"),
        failing,
        Reply::json(200, "{}"),
        vm(200, "running"),
    ])
    .await;
    let vm_1 = client(stub.base_url(), "k")
        .vms()
        .launch("c1m2")
        .await
        .unwrap();
    assert_eq!(vm_1.id, "vm-1");
    for status in [401, 403, 404] {
        let stub = Stub::start([vm(202, "provisioning"), Reply::json(status, "{}")]).await;
        let error = client(stub.base_url(), "k")
            .vms()
            .launch("c1m2")
            .await
            .unwrap_err();
        assert_eq!(error.status().unwrap().as_u16(), status);
        assert_eq!(error.vm_id(), Some("vm-1"));
        assert_eq!(error.vm_status(), Some(&VmStatus::Provisioning));
    }
}

#[tokio::test]
async fn verbs_that_answer_a_vm_give_a_new_handle() {
    let stub = Stub::start([vm(200, "paused"), vm(200, "running"), vm(200, "running")]).await;
    let client = client(stub.base_url(), "k");
    let vm: fastvm::Vm = client.vms().retrieve("vm-1").await.unwrap();
    let running: fastvm::Vm = vm.resume().await.unwrap();
    let updated: fastvm::Vm = running
        .update()
        .name("new")
        .set_metadata(Default::default())
        .await
        .unwrap();
    assert_eq!(
        (vm.status.as_str(), updated.status.as_str()),
        ("paused", "running")
    );
    let plain: fastvm::types::Vm = client.raw().vms().retrieve("vm-1").await.unwrap();
    assert_eq!(plain.id, vm.id);
    let lines: Vec<_> = stub
        .requests()
        .into_iter()
        .map(|request| request.line)
        .collect();
    assert_eq!(
        lines,
        [
            "GET /v1/vms/vm-1",
            "POST /v1/vms/vm-1/resume",
            "PATCH /v1/vms/vm-1",
            "GET /v1/vms/vm-1"
        ]
    );
    assert_eq!(stub.requests()[2].body, br#"{"name":"new","metadata":{}}"#);
}

#[tokio::test]
async fn an_id_that_cannot_be_is_not_waited_for() {
    let stub = Stub::start([vm(200, "running")]).await;
    let client = client(stub.base_url(), "k");
    for id in ["", ".."] {
        assert!(
            client
                .wait_for_vm_ready(id)
                .await
                .unwrap_err()
                .is_invalid_input(),
            "{id:?}"
        );
    }
    assert!(stub.requests().is_empty());
}
