//! VMs that end with a scope.

use fastvm::{Client, Result, VmGuard};
use fastvm_local::Fault;
use fastvm_tests::World;

use crate::launch::{count, vms, vms_are};

async fn guarded(client: &Client) -> VmGuard {
    client.vms().launch("c1m2").await.unwrap().into_guard()
}

#[tokio::test]
async fn closing_a_guard_deletes_the_vm_before_it_answers() {
    let world = World::start().await;
    let vm = guarded(&world.client).await;
    assert_eq!(vm.run("echo in").await.unwrap().stdout, "in\n");
    vm.close().await.unwrap();
    assert_eq!(vms(&world).await, 0);
}

#[tokio::test]
async fn closing_the_guard_of_a_vm_that_is_gone_succeeds() {
    let world = World::start().await;
    let vm = guarded(&world.client).await;
    vm.delete().await.unwrap();
    vm.close().await.unwrap();
}

#[tokio::test]
async fn closing_a_guard_says_when_the_vm_could_not_be_deleted() {
    let world = World::start().await;
    let vm = guarded(&world.client).await;
    let refused = Fault::status(403).on("deleteVm").times(1);
    world.server.faults().add(refused).unwrap();
    let id = vm.id.clone();
    let error = vm.close().await.unwrap_err();
    assert!(error.is_forbidden());
    assert_eq!(error.vm_id(), Some(id.as_str()));
    assert_eq!(vms(&world).await, 1);
}

#[tokio::test]
async fn closing_a_guard_outlasts_passing_faults() {
    let world = World::start().await;
    let vm = guarded(&world.client).await;
    let faults = world.server.faults();
    for fault in [Fault::status(503), Fault::cut(), Fault::status(409)] {
        faults.add(fault.on("deleteVm").times(1)).unwrap();
    }
    vm.close().await.unwrap();
    assert_eq!(vms(&world).await, 0);
}

#[tokio::test]
async fn a_close_that_is_dropped_goes_on() {
    let world = World::start().await;
    let vm = guarded(&world.client).await;
    let deletions = count(&world, "deleteVm");
    let fault = Fault::status(503).on("deleteVm").times(2);
    world.server.faults().add(fault).unwrap();
    let close = tokio::spawn(vm.close());
    crate::launch::fired(&world, deletions).await;
    close.abort();
    vms_are(&world, 0).await;
}

#[tokio::test]
async fn an_error_or_panic_in_the_scope_of_a_guard_deletes_the_vm() {
    async fn fails(client: Client) -> Result<()> {
        let vm = guarded(&client).await;
        vm.run("exit 1").await?.ensure_success()?;
        vm.close().await
    }
    async fn panics(client: Client) {
        let _vm = guarded(&client).await;
        panic!("on purpose");
    }
    let world = World::start().await;
    fails(world.client.clone()).await.unwrap_err();
    vms_are(&world, 0).await;
    let panicked = tokio::spawn(panics(world.client.clone())).await;
    assert!(panicked.unwrap_err().is_panic());
    vms_are(&world, 0).await;
}

#[tokio::test]
async fn a_guard_that_is_dropped_on_a_thread_without_a_runtime_deletes_the_vm() {
    let world = World::start().await;
    let vm = guarded(&world.client).await;
    std::thread::spawn(move || drop(vm)).join().unwrap();
    vms_are(&world, 0).await;
}

#[tokio::test]
async fn a_guard_that_is_given_up_keeps_the_vm() {
    let world = World::start().await;
    let deletions = count(&world, "deleteVm");
    let vm = guarded(&world.client).await.keep();
    assert_eq!(vm.run("echo on").await.unwrap().stdout, "on\n");
    drop(vm);
    assert_eq!(vms(&world).await, 1);
    assert_eq!(world.server.faults().fired(deletions), 0);
}
