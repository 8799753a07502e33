"""The published Python SDK, as it is, does its job against the local server.

Usage: published_sdk.py PROGRAM, where PROGRAM is the fastvm-local binary. Needs what requirements.txt
names. Ends with a line that counts what passed.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

from fastvm import FastvmClient, NotFoundError

KEY = "python-key"


def main(program):
    log = tempfile.TemporaryFile(mode="w+")
    server = subprocess.Popen(
        [program, "--listen", "127.0.0.1:0", "--api-key", KEY, "--boot-delay", "200ms"],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    try:
        # The first line is `export FASTVM_BASE_URL=http://127.0.0.1:<port>`.
        base_url = server.stdout.readline().strip().partition("=")[2]
        with FastvmClient(base_url=base_url, api_key=KEY) as client:
            checks = [launch, run, stream, files, snapshots, quotas]
            for check in checks:
                check(client)
                print(f"ok {check.__name__}")
            print(f"{len(checks)} passed, 0 failed")
    except BaseException:
        log.seek(0)
        sys.stderr.write(log.read())
        raise
    finally:
        server.terminate()
        server.wait(timeout=20)


def launch(client):
    queued = client.vms.launch(machine_type="c1m2", name="queued", wait=False)
    assert queued.status == "provisioning", queued
    ready = client.wait_for_vm_ready(queued.id, poll_interval=0.1)
    assert ready.status == "running", ready
    assert client.vms.delete(queued.id).deleted

    vm = new_vm(client, metadata={"suite": "python"})
    assert vm.status == "running", vm
    assert vm.id in [found.id for found in client.vms.list()]
    client.vms.delete(vm.id)
    try:
        client.vms.retrieve(vm.id)
    except NotFoundError:
        return
    raise AssertionError("a deleted VM is still there")


def run(client):
    vm = new_vm(client)
    result = client.vms.run(vm.id, command="echo out; echo err >&2; exit 3")
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 3), result
    client.vms.delete(vm.id)


def stream(client):
    vm = new_vm(client)
    events = list(client.vms.stream(vm.id, command="seq 100000; echo err >&2; exit 4"))
    stdout = b"".join(event.data for event in events if event.type == "o")
    stderr = b"".join(event.data for event in events if event.type == "e")
    assert stdout == b"".join(b"%d\n" % number for number in range(1, 100001))
    assert stderr == b"err\n", stderr
    assert (events[-1].type, events[-1].exit_code) == ("x", 4), events[-1]
    client.vms.delete(vm.id)


def files(client):
    vm = new_vm(client)
    with tempfile.TemporaryDirectory() as place:
        here = pathlib.Path(place)
        (here / "file").write_bytes(os.urandom(3_000_000))
        client.upload(vm.id, str(here / "file"), "/root/a/file")
        client.download(vm.id, "/root/a/file", str(here / "back"))
        assert (here / "back").read_bytes() == (here / "file").read_bytes()

        folder = here / "folder"
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "text").write_text("deep")
        (folder / "program").write_text("#!/bin/sh\necho ran\n")
        (folder / "program").chmod(0o755)
        client.upload(vm.id, str(folder), "/root/folder")
        assert client.vms.run(vm.id, command="/root/folder/program").stdout == "ran\n"
        client.download(vm.id, "/root/folder", str(here / "folder-back"))
        assert (here / "folder-back" / "deep" / "text").read_text() == "deep"
    client.vms.delete(vm.id)


def snapshots(client):
    vm = new_vm(client)
    client.vms.run(vm.id, command="echo kept > /root/note")
    snapshot = client.snapshots.create(vm_id=vm.id, name="noted")
    assert snapshot.status == "ready", snapshot
    client.vms.delete(vm.id)
    restored = new_vm(client, machine_type=None, snapshot_id=snapshot.id)
    assert client.vms.run(restored.id, command="cat /root/note").stdout == "kept\n"
    client.vms.delete(restored.id)
    client.snapshots.delete(snapshot.id)


def quotas(client):
    before = client.quotas.retrieve()
    vm = new_vm(client)
    used = client.quotas.retrieve().usage
    assert used.vcpu == before.usage.vcpu + 1, used
    assert before.limits.vcpu > 0
    client.vms.delete(vm.id)


def new_vm(client, machine_type="c1m2", **asked):
    if machine_type:
        asked["machine_type"] = machine_type
    return client.vms.launch(poll_interval=0.1, **asked)


if __name__ == "__main__":
    main(sys.argv[1])
