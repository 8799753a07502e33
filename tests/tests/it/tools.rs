//! The tools of an agent: what a model sends arrives, and what it gets wrong is told.

use fastvm::ErrorKind;
use fastvm::tools::{ExecArgs, ListFilesArgs, ReadFileArgs, WriteFileArgs};
use fastvm_local::Fault;
use fastvm_tests::World;
use serde_json::{Value, from_value, json};

/// The message that a model gets for arguments that no tool takes.
fn refusal<T: serde::de::DeserializeOwned>(arguments: Value) -> String {
    match from_value::<T>(arguments) {
        Ok(_) => panic!("it was taken"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_model_can_run_commands_and_work_with_files() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let write = json!({"path": "/root/a b.txt", "content": "one\ntwo\n"});
    let write: WriteFileArgs = from_value(write).unwrap();
    vm.fs().write(write.path, write.content).await.unwrap();

    let exec =
        json!({"command": "cat; wc -l < 'a b.txt'", "stdin": "lines: ", "timeout_seconds": 10});
    let exec: ExecArgs = from_value(exec).unwrap();
    let out = exec.run_on(&vm).await.unwrap();
    assert_eq!(
        out.stdout.split_whitespace().collect::<Vec<_>>(),
        ["lines:", "2"]
    );

    let list: ListFilesArgs = from_value(json!({"path": "/root"})).unwrap();
    let entries = vm.fs().read_dir(list.path).await.unwrap();
    assert_eq!(entries[0].file_name().to_str(), Some("a b.txt"));
    let read: ReadFileArgs = from_value(json!({"path": "/root/a b.txt"})).unwrap();
    assert_eq!(vm.fs().read(read.path).await.unwrap(), b"one\ntwo\n");
}

#[tokio::test]
async fn what_a_model_gets_wrong_is_told_so_that_it_can_do_better() {
    assert!(refusal::<ExecArgs>(json!({"cmd": "ls"})).contains("`command`"));
    assert!(refusal::<ExecArgs>(json!({})).contains("command"));
    assert!(refusal::<ReadFileArgs>(json!({"path": ["/a"]})).contains("string"));
    assert!(refusal::<ExecArgs>(json!({"command": "ls", "timeout_seconds": -1})).contains("u32"));

    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let never: ExecArgs = from_value(json!({"command": "ls", "timeout_seconds": 0})).unwrap();
    assert!(never.run_on(&vm).await.unwrap_err().is_invalid_input());
    let long: ExecArgs = from_value(json!({"command": "sleep 60", "timeout_seconds": 1})).unwrap();
    assert!(long.run_on(&vm).await.unwrap().timed_out);
}

#[tokio::test]
async fn a_vm_that_dies_under_a_tool_is_no_answer_for_the_model() {
    let world = World::start().await;
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    let dies = Fault::vm_dies_after(0).on("execVm");
    world.server.faults().add(dies).unwrap();
    let exec: ExecArgs = from_value(json!({"command": "echo fine"})).unwrap();
    let error = exec.run_on(&vm).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Gone | ErrorKind::Connection),
        "{error}"
    );
    assert!(error.io_kind().is_none());
}

/// Every request and answer has a schema under its Rust name, with the names of the wire.
#[test]
fn schemas_are_those_of_the_wire() {
    let schema = schemars::schema_for!(fastvm::types::LaunchVmRequest).to_value();
    assert!(
        schema["properties"]["machineType"].is_object(),
        "{schema:#}"
    );
    let schema = schemars::schema_for!(fastvm::types::Vm).to_value();
    assert!(schema["properties"]["memoryMiB"].is_object(), "{schema:#}");
}
