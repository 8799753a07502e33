//! Volumes: waited for until they are of use, and never waited for in vain.

use std::time::Duration;

use fastvm::types::AccessMode;
use fastvm::{ErrorKind, Outcome};
use fastvm_local::Fault;
use fastvm_tests::{Reply, Stub, World, client};

use crate::calls::VM;

fn volume(status: &str, pending: u32) -> Reply {
    let body = format!(
        r#"{{"id":"vol_1","orgId":"o","name":"n","sizeGiB":1,"pendingSizeGiB":{pending},"accessMode":"rw","status":"{status}","mountedCount":0,"createdAt":"2026-01-01T00:00:00Z"}}"#
    );
    Reply::json(200, &body)
}

fn item(status: &str) -> String {
    let reason = r#""statusMessage":"mount: no such device""#;
    format!(
        r#"{{"volumeId":"vol_1","mountPath":"/mnt/a","mountStatus":"{status}","readOnly":false,{reason}}}"#
    )
}

/// The VM with this mount.
fn vm(status: &str, mount: &str) -> Reply {
    let vm = VM.replace(r#""running""#, &format!("{status:?}"));
    let volumes = format!(r#","volumes":[{}]}}"#, item(mount));
    Reply::json(200, &(vm.trim_end_matches('}').to_owned() + &volumes))
}

#[tokio::test]
async fn a_volume_is_created_resized_and_attached_when_it_is_ready() {
    let world = World::with_boot_delay(Duration::from_millis(200)).await;
    let volumes = world.client.volumes();
    let raw = volumes.create("data", 1, AccessMode::Rw).await.unwrap();
    assert_eq!(raw.status, "creating");
    let waited = volumes.wait_until_ready(&raw.id).await.unwrap();
    assert_eq!(waited.status, "ready");

    let created = volumes.create("more", 1, "rw").wait_until_ready();
    let created = created.send().await.unwrap();
    assert_eq!(created.status(), 200);
    assert_eq!(created.status, "ready");

    let resized = volumes.update(&raw.id).size_gib(3).wait_until_ready();
    let resized = resized.await.unwrap();
    assert_eq!(
        (resized.size_gib, resized.pending_size_gib.unwrap_or(0)),
        (3, 0)
    );

    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let item = vm.attach_volume(&raw.id, "/mnt/data", AccessMode::Rw);
    assert_eq!(item.await.unwrap().mount_status, "mounted");
    vm.run("echo kept > /mnt/data/note")
        .await
        .unwrap()
        .ensure_success()
        .unwrap();
    let other = world.client.vms().launch("c1m2").await.unwrap();
    let item = other
        .attach_volume(&raw.id, "/data/here", AccessMode::Ro)
        .await
        .unwrap();
    assert_eq!(item.read_only, Some(true));
    let out = other
        .run("cat /data/here/note; echo no > /data/here/note")
        .await
        .unwrap();
    assert_eq!(out.stdout, "kept\n");
    assert_ne!(out.exit_code, 0);

    assert_eq!(volumes.list().await.unwrap().len(), 2);
    vm.volumes().detach(&raw.id).await.unwrap();
}

#[tokio::test]
async fn a_paused_vm_gets_its_volume_pending() {
    let world = World::start().await;
    let volumes = world.client.volumes();
    let volume = volumes
        .create("data", 1, "rw")
        .wait_until_ready()
        .await
        .unwrap();
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let vm = vm.pause().await.unwrap();
    let item = vm
        .attach_volume(&volume.id, "/mnt/data", "rw")
        .await
        .unwrap();
    assert_eq!(item.mount_status, "pending");
}

#[tokio::test]
async fn the_likeliest_mistakes_are_told() {
    let world = World::with_boot_delay(Duration::from_secs(60)).await;
    let volumes = world.client.volumes();
    let created = volumes.create("data", 1, "rw").wait_until_ready();
    let error = created
        .wait_timeout(Duration::from_millis(50))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    let id = volumes.list().await.unwrap()[0].id.clone();
    assert!(error.to_string().contains(&id), "{error}");

    let vm = world.client.vms().launch("c1m2").wait(false).await.unwrap();
    let error = vm.attach_volume(&id, "/mnt/data", "rw").await.unwrap_err();
    assert!(error.is_conflict(), "not ready yet: {error}");
    let error = vm
        .attach_volume(&id, "/mnt/data", "write")
        .await
        .unwrap_err();
    assert!(error.is_invalid_input());
    let error = volumes.wait_until_ready("vol_none").await.unwrap_err();
    assert!(error.is_not_found());
    volumes.delete(&id).await.unwrap();
    let error = volumes.wait_until_ready(&id).await.unwrap_err();
    assert!(error.is_gone(), "{error}");
    assert!(error.to_string().contains(&id), "{error}");
}

#[tokio::test]
async fn a_wait_outlasts_faults_unknown_statuses_and_a_size_that_is_late() {
    let stub = Stub::start([
        volume("creating", 0),
        volume("rebalancing", 0),
        Reply::html(400),
        volume("ready", 2),
        volume("ready", 0),
    ])
    .await;
    let volumes = client(stub.base_url(), "key").volumes();
    let created = volumes.create("data", 1, "rw").wait_until_ready();
    created
        .poll_interval(Duration::from_millis(1))
        .await
        .unwrap();
    assert_eq!(stub.requests().len(), 5);
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_is_sent_once_and_says_where_to_look() {
    let world = World::start().await;
    let lost = Fault::cut_after_work().on("createVolume");
    world.server.faults().add(lost).unwrap();
    let volumes = world.client.volumes();
    let created = volumes.create("data", 1, "rw").wait_until_ready();
    let error = created.await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert!(error.to_string().contains("volumes().list()"), "{error}");
    assert_eq!(volumes.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_mount_is_waited_for_and_one_that_fails_is_an_error_with_the_reason() {
    let attach = |last: Reply| async move {
        let pending = Reply::json(200, &item("pending"));
        let replies = [
            vm("running", "pending"),
            pending,
            vm("running", "pending"),
            last,
        ];
        let stub = Stub::start(replies).await;
        let client = client(stub.base_url(), "key");
        let vm = client.vms().retrieve("vm-1").await.unwrap();
        let attached = vm.attach_volume("vol_1", "/mnt/a", "rw");
        let attached = attached.poll_interval(Duration::from_millis(1)).await;
        assert_eq!(stub.requests().len(), 4);
        attached
    };
    let item = attach(vm("running", "mounted")).await.unwrap();
    assert_eq!(item.mount_status, "mounted");
    let item = attach(vm("paused", "pending")).await.unwrap();
    assert_eq!(item.mount_status, "pending");
    let error = attach(vm("running", "failed")).await.unwrap_err();
    assert_eq!(error.vm_id(), Some("vm-1"));
    assert!(error.to_string().contains("no such device"), "{error}");
    let error = attach(Reply::json(200, VM)).await.unwrap_err();
    assert!(
        error.to_string().contains("not attached any more"),
        "{error}"
    );
}
