//! Downloads: whole or an error, and nothing left behind.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastvm::{Compression, ErrorKind, Vm};
use fastvm_local::Fault;
use fastvm_tests::{Reply, Request, Stub, World, client};

use crate::files::{HARD_NAMES, launch, listing, noise};

const MIB: usize = 1024 * 1024;

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("in vain: {what}");
}

/// A VM with a file of this length at `/root/data`, which is noise.
async fn vm_with_data(world: &World, length: usize) -> Vm {
    let vm = launch(world).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), noise(length)).unwrap();
    vm.upload(file.path(), "/root/data").await.unwrap();
    vm
}

/// How often an operation is asked for from now on.
fn count(world: &World, operation: &str) -> impl Fn() -> u64 {
    let faults = world.server.faults().clone();
    let id = faults
        .add(Fault::delay(Duration::ZERO).on(operation))
        .unwrap();
    move || faults.fired(id)
}

#[tokio::test]
async fn permissions_of_a_single_file_survive() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let folder = tempfile::tempdir().unwrap();
    vm.run("umask 0; echo x > plain; for mode in 755 600 444 640; do echo x > $mode; chmod $mode $mode; done; chmod 4755 755")
        .await
        .unwrap();
    for (name, mode) in [
        ("755", 0o755),
        ("600", 0o600),
        ("444", 0o444),
        ("640", 0o640),
        ("plain", 0o666),
    ] {
        let back = folder.path().join(name);
        vm.download(format!("/root/{name}"), &back).await.unwrap();
        assert_eq!(fs::metadata(&back).unwrap().mode() & 0o7777, mode);
    }
    // Over what is there, even if it is read-only.
    vm.download("/root/755", folder.path().join("444"))
        .await
        .unwrap();
    assert_eq!(
        fs::metadata(folder.path().join("444")).unwrap().mode() & 0o777,
        0o755
    );
}

#[tokio::test]
async fn read_only_folders_and_times_survive() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let folder = tempfile::tempdir().unwrap();
    vm.run("mkdir -p t/shut/empty && echo x > t/shut/file && touch -d @1000000000 t/shut/file t/shut/empty && chmod 555 t/shut t/shut/empty && chmod 500 t")
        .await
        .unwrap()
        .ensure_success()
        .unwrap();
    let back = folder.path().join("back");
    for _ in 0..2 {
        vm.download("/root/t", &back).sync(true).await.unwrap();
        let mode = |path: &str| fs::metadata(back.join(path)).unwrap().mode() & 0o777;
        assert_eq!(
            (mode(""), mode("shut"), mode("shut/empty")),
            (0o500, 0o555, 0o555)
        );
        for path in ["shut/file", "shut/empty"] {
            assert_eq!(
                fs::metadata(back.join(path)).unwrap().mtime(),
                1_000_000_000,
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn whatever_the_compression_a_verified_folder_is_the_same() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("here");
    fs::create_dir_all(here.join("empty")).unwrap();
    fs::write(here.join("data"), noise(2 * MIB)).unwrap();
    for name in HARD_NAMES {
        fs::write(here.join(name), name).unwrap();
    }
    symlink("data", here.join("link")).unwrap();
    vm.upload(&here, "/root/here").await.unwrap();
    for (index, compression) in [Compression::Auto, Compression::None, Compression::Level(1)]
        .into_iter()
        .enumerate()
    {
        let back = folder.path().join(index.to_string());
        let download = vm.download("/root/here", &back);
        download
            .compression(compression)
            .verify(true)
            .sync(true)
            .await
            .unwrap();
        assert!(listing(&back) == listing(&here), "{compression:?}");
    }
    let refused = vm
        .download("/root/here", folder.path().join("x"))
        .compression(Compression::Level(10))
        .await
        .unwrap_err();
    assert!(refused.is_invalid_input());
    assert_eq!(
        vm.run("ls -A /tmp /var/tmp | grep -v :")
            .await
            .unwrap()
            .stdout
            .trim(),
        "",
        "nothing is staged"
    );
}

#[tokio::test]
async fn bytes_and_writers_get_files_of_any_name() {
    let world = World::start().await;
    let vm = launch(&world).await;
    for name in HARD_NAMES {
        let path = format!("/root/{name}");
        vm.run(["sh", "-c", "printf %s \"$1\" > \"$1\"", "sh", &path])
            .await
            .unwrap()
            .ensure_success()
            .unwrap();
        assert_eq!(vm.download_bytes(&path).verify(true).await.unwrap(), path);
        let mut written = Vec::new();
        let length = vm
            .download_to(&path, &mut written)
            .verify(true)
            .await
            .unwrap();
        assert_eq!(
            (written.as_slice(), length),
            (path.as_bytes(), path.len() as u64)
        );
        assert_eq!(
            world.client.download_bytes(&vm.id, &path).await.unwrap(),
            path
        );
    }
    let mut written = Vec::new();
    assert_eq!(
        world
            .client
            .download_to(&vm.id, "/dev/null/x", &mut written)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
    assert!(
        vm.download_bytes("/root")
            .await
            .unwrap_err()
            .is_invalid_input()
    );
    assert!(
        vm.download_to("/root", &mut written)
            .await
            .unwrap_err()
            .is_invalid_input()
    );
    assert!(
        vm.download_bytes("relative")
            .await
            .unwrap_err()
            .is_invalid_input()
    );
}

#[tokio::test]
async fn what_is_too_large_is_not_sent() {
    let world = World::start().await;
    let vm = vm_with_data(&world, 1001).await;
    let folder = tempfile::tempdir().unwrap();
    let puts = count(&world, "storage.put");
    let errors = [
        vm.download_bytes("/root/data")
            .max_size(1000)
            .await
            .unwrap_err(),
        vm.download_to("/root/data", tokio::io::sink())
            .max_size(1000)
            .await
            .unwrap_err(),
        vm.download("/root/data", folder.path().join("x"))
            .max_size(1000)
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(
            (error.kind(), error.path()),
            (ErrorKind::Transfer, Some("/root/data"))
        );
        assert!(
            error.to_string().contains("1001") && error.to_string().contains("max_size"),
            "{error}"
        );
    }
    assert_eq!(puts(), 0);
    assert!(is_empty(folder.path()));
    assert_eq!(
        vm.download_bytes("/root/data")
            .max_size(1001)
            .await
            .unwrap()
            .len(),
        1001
    );
}

/// A file that has grown since the VM looked at it does not fill the memory.
#[tokio::test]
async fn what_has_become_too_large_while_it_was_sent_is_not_taken() {
    let stub = stubbed(told_of_file(11), |_| part(200, "01234567890", &[])).await;
    let client = client(stub.base_url(), "k");
    let download = |most| client.download_bytes("vm-1", "/f").max_size(most);
    let error = download(10).await.unwrap_err();
    assert!(error.to_string().contains("11 bytes"), "{error}");
    assert_eq!(download(11).await.unwrap().len(), 11);
}

#[tokio::test]
async fn a_folder_over_a_limit_is_refused_by_the_entry_that_exceeds_it() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let folder = tempfile::tempdir().unwrap();
    vm.run("mkdir bomb && truncate -s 3M bomb/a && mkdir many && cd many && touch a b c d")
        .await
        .unwrap();
    let target = folder.path().join("target");
    let error = vm
        .download("/root/bomb", &target)
        .max_size(3_000_000)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::Transfer, Some("a")),
        "{error}"
    );
    let error = vm
        .download("/root/many", &target)
        .max_entries(4)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transfer, "{error}");
    assert!(error.to_string().contains("max_entries"), "{error}");
    assert!(is_empty(folder.path()));
    vm.download("/root/many", &target)
        .max_entries(5)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_cut_connection_is_followed_by_one_that_goes_on() {
    let world = World::start().await;
    let vm = vm_with_data(&world, MIB).await;
    let folder = tempfile::tempdir().unwrap();
    let sent = count(&world, "storage.put");
    let cuts = [
        Fault::cut_body_after(300_000),
        Fault::truncate_body(10_000),
        Fault::cut(),
    ];
    for cut in cuts {
        world
            .server
            .faults()
            .add(cut.on("storage.get").times(1))
            .unwrap();
    }
    let mut written = Vec::new();
    vm.download_to("/root/data", &mut written)
        .verify(true)
        .await
        .unwrap();
    assert!(written == noise(MIB), "no byte twice, none left out");
    assert_eq!(sent(), 1, "the VM sends it once");
    for fault in [
        Fault::cut_body_after(200_000),
        Fault::truncate_body(200_000),
    ] {
        world
            .server
            .faults()
            .add(fault.on("storage.get").times(2))
            .unwrap();
        vm.download("/root/data", folder.path().join("data"))
            .await
            .unwrap();
        assert!(fs::read(folder.path().join("data")).unwrap() == noise(MIB));
    }
    vm.run("mkdir tree && cp data tree/").await.unwrap();
    world
        .server
        .faults()
        .add(Fault::cut_body_after(200_000).on("storage.get").times(2))
        .unwrap();
    vm.download("/root/tree", folder.path().join("tree"))
        .await
        .unwrap();
    assert!(fs::read(folder.path().join("tree/data")).unwrap() == noise(MIB));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

/// Storage fails for ever: an error, and the target as it was.
#[tokio::test]
async fn faults_that_do_not_pass_are_errors_and_leave_all_as_it_was() {
    let world = World::start().await;
    let vm = vm_with_data(&world, MIB).await;
    vm.run("mkdir tree && cp data tree/").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (file, tree) = (folder.path().join("data"), folder.path().join("tree"));
    fs::write(&file, "old").unwrap();
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("data"), "old").unwrap();
    let before = listing(folder.path());
    let faults = [
        Fault::cut_body_after(0).on("storage.get"),
        Fault::truncate_body(0).on("storage.get"),
        Fault::cut().on("storage.get"),
        Fault::status(403).on("storage.get"),
        Fault::status(404).on("storage.get"),
        Fault::status(503).on("storage.get"),
        Fault::status(403).on("storage.put"),
        Fault::status(503).on("storage.put"),
        Fault::cut().on("storage.put"),
    ];
    for fault in faults {
        let id = world.server.faults().add(fault.clone()).unwrap();
        for target in [&file, &tree] {
            let remote = format!("/root/{}", target.file_name().unwrap().to_str().unwrap());
            let error = vm
                .download(&remote, target)
                .max_retries(1)
                .await
                .unwrap_err();
            assert_eq!(
                (error.vm_id(), error.path()),
                (Some(vm.id.as_str()), Some(remote.as_str())),
                "{fault:?}"
            );
            assert!(
                matches!(error.kind(), ErrorKind::Status | ErrorKind::Connection),
                "{fault:?}: {error:?}"
            );
            assert!(!format!("{error} {error:?}").contains("sig="), "{error:?}");
            assert_eq!(listing(folder.path()), before, "{fault:?}");
        }
        world.server.faults().remove(id);
    }
    assert_eq!(
        vm.run("ls -A /tmp; ls").await.unwrap().stdout,
        "data\ntree\n"
    );
}

#[tokio::test]
async fn passing_faults_of_storage_and_expired_urls_are_not_seen() {
    let world = World::start().await;
    let vm = vm_with_data(&world, 100_000).await;
    vm.run("mkdir tree && cp data tree/").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (fault, presigns) in [
        (Fault::status(503).on("storage.put").times(2), 3),
        (Fault::cut().on("storage.put").times(1), 2),
        (Fault::status(403).on("storage.put").times(1), 2),
        (Fault::status(503).on("storage.get").times(2), 1),
        (Fault::status(403).on("storage.get").times(1), 2),
    ] {
        for remote in ["/root/data", "/root/tree"] {
            let asked = count(&world, "presignFile");
            world.server.faults().add(fault.clone()).unwrap();
            let target = folder.path().join("target");
            vm.download(remote, &target).await.unwrap();
            assert_eq!(asked(), presigns, "{fault:?}");
            match remote {
                "/root/data" => fs::remove_file(&target).unwrap(),
                _ => fs::remove_dir_all(&target).unwrap(),
            }
            world.server.faults().clear();
        }
    }
    assert!(is_empty(folder.path()));
}

#[tokio::test]
async fn damage_on_the_way_is_found_by_the_checksum() {
    let world = World::start().await;
    let vm = vm_with_data(&world, MIB).await;
    vm.run("mkdir tree && cp data tree/").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target");
    world
        .server
        .faults()
        .add(Fault::corrupt_body().on("storage.get"))
        .unwrap();
    for compression in [Compression::Auto, Compression::None] {
        for remote in ["/root/data", "/root/tree"] {
            let download = vm.download(remote, &target).compression(compression);
            let error = download.verify(true).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.vm_id()),
                (ErrorKind::Transfer, Some(vm.id.as_str())),
                "{error:?}"
            );
            assert!(is_empty(folder.path()));
        }
    }
    assert_eq!(
        vm.download_bytes("/root/data")
            .verify(true)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::Transfer
    );
    // A gzip carries a checksum of its own.
    assert_eq!(
        vm.download("/root/tree", &target).await.unwrap_err().kind(),
        ErrorKind::Transfer
    );
    assert!(is_empty(folder.path()));
}

/// A VM that finds its tools in `/root/bin` alone.
async fn vm_with_tools(world: &World, but: &str) -> Vm {
    let vm = world
        .client
        .vms()
        .launch("c1m2")
        .env_vars("PATH", "/root/bin")
        .await
        .unwrap();
    let tools = "/usr/bin/mkdir bin; for tool in sh curl ls tar gzip tee cat sha256sum mkdir; do \
        [ $tool = \"$1\" ] || /usr/bin/ln -s \"$(PATH=/bin:/usr/bin command -v $tool)\" bin/$tool; done";
    vm.run(["/bin/sh", "-c", tools, "sh", but])
        .await
        .unwrap()
        .ensure_success()
        .unwrap();
    vm
}

#[tokio::test]
async fn a_tool_that_the_vm_lacks_is_named() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    for tool in ["curl", "tar", "gzip", "sha256sum"] {
        let vm = vm_with_tools(&world, tool).await;
        let download = vm.download("/root", folder.path().join("x")).verify(true);
        let error = download.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transfer);
        assert!(
            error.to_string().contains(&format!("lacks `{tool}`")),
            "{error}"
        );
    }
    assert!(is_empty(folder.path()));
}

#[tokio::test]
async fn half_an_archive_is_never_taken_for_the_whole() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let vm = vm_with_tools(&world, "tar").await;
    for (script, says) in [
        (
            "#!/bin/sh\\n/bin/tar \"$@\"; echo ./secret: no permission >&2; exit 2",
            "no permission",
        ),
        ("#!/bin/sh\\nkill -9 $$", "tar: 137"),
    ] {
        vm.run(format!(
            "printf '{script}' > bin/tar && /bin/chmod 755 bin/tar && mkdir -p d && echo x > d/x"
        ))
        .await
        .unwrap()
        .ensure_success()
        .unwrap();
        for verify in [false, true] {
            let target = folder.path().join("x");
            let error = vm
                .download("/root/d", target)
                .verify(verify)
                .await
                .unwrap_err();
            assert_eq!(
                (error.kind(), error.path()),
                (ErrorKind::Transfer, Some("/root/d")),
                "{error}"
            );
            assert!(error.to_string().contains(says), "{error}");
            assert!(is_empty(folder.path()));
        }
    }
}

#[tokio::test]
async fn what_cannot_be_read_in_the_vm_is_named() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let folder = tempfile::tempdir().unwrap();
    // Reading a process's memory from its first page on fails, even for root.
    vm.run("mkdir d && ln -s /proc/self/mem d/link")
        .await
        .unwrap();
    let error = vm
        .download("/root/d/link", folder.path().join("x"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::Transfer, Some("/root/d/link")),
        "{error}"
    );
    assert!(is_empty(folder.path()));
    let error = vm
        .download("/root/nope", folder.path().join("new/x"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::NotFound, Some("/root/nope"))
    );
    assert!(is_empty(folder.path()), "no parents either");
}

#[tokio::test]
async fn progress_is_told_up_to_the_end() {
    let world = World::start().await;
    let vm = vm_with_data(&world, MIB).await;
    vm.run("mkdir tree && cp data tree/ && cp data tree/two")
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (remote, files) in [("/root/data", 1), ("/root/tree", 2)] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        let download = vm.download(remote, folder.path().join(files.to_string()));
        download
            .on_progress(move |progress| log.lock().unwrap().push(progress))
            .await
            .unwrap();
        let seen = seen.lock().unwrap();
        assert!(seen.is_sorted_by_key(|progress| progress.bytes));
        let last = seen.last().unwrap();
        assert_eq!((Some(last.bytes), last.files), (last.total, files));
        assert!(last.bytes as usize >= MIB);
    }
}

/// The size of a stubbed VM's disk.
const STUB_DISK: usize = 3_000_000;

/// A VM that tells `told` of what it sent, and storage that answers as it likes.
async fn stubbed(
    told: String,
    storage: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> Stub {
    Stub::answering(move |request: &Request| {
        let base = format!("http://{}", request.header("host").unwrap());
        match request.line.as_str() {
            line if line.ends_with("/presign") => Reply::json(
                200,
                &format!(r#"{{"uploadUrl":"{base}/put?sig=SECRET","downloadUrl":"{base}/get?sig=SECRET","expiresInSec":60,"maxUploadBytes":{STUB_DISK}}}"#),
            ),
            line if line.starts_with("GET /get") => storage(request),
            _ => Reply::json(
                200,
                &format!(
                    r#"{{"durationMs":1,"exitCode":0,"stderr":"","stderrTruncated":false,"stdout":{},"stdoutTruncated":false,"timedOut":false}}"#,
                    serde_json::Value::from(told.as_str())
                ),
            ),
        }
    })
    .await
}

fn told_of_file(length: usize) -> String {
    format!("mode -rw-r--r-- 1 0 0 4\nis file\nstatus 200\nsent {length}\ncurl 0\n")
}

fn told_of_folder(length: usize) -> String {
    format!(
        "mode drwxr-xr-x 2 0 0 4\nis folder\nstatus 200\npiped {length}\ncurl 0\ntar 0\ngzip 0\ntee 0\n"
    )
}

fn part(status: u16, body: &str, headers: &[(&str, &str)]) -> Reply {
    let reply = Reply::Answer(status, vec![], body.as_bytes().to_vec());
    headers
        .iter()
        .fold(reply, |reply, (name, value)| reply.header(name, value))
}

#[tokio::test]
async fn the_rest_is_asked_for_by_range_and_tag() {
    let stub = stubbed(told_of_file(10), |request| match request.header("range") {
        None => part(200, "0123", &[("etag", "\"a\"")]),
        Some("bytes=4-") => part(
            206,
            "4567",
            &[("etag", "\"a\""), ("content-range", "bytes 4-9/10")],
        ),
        Some(_) => part(
            206,
            "89",
            &[("etag", "\"a\""), ("content-range", "bytes 8-9/10")],
        ),
    })
    .await;
    let bytes = client(stub.base_url(), "k")
        .download_bytes("vm-1", "/x")
        .await
        .unwrap();
    assert_eq!(bytes, "0123456789");
    let gets: Vec<_> = stub
        .requests()
        .into_iter()
        .filter(|request| request.line.starts_with("GET"))
        .collect();
    let asked: Vec<_> = gets
        .iter()
        .map(|get| (get.header("range"), get.header("if-range")))
        .collect();
    let tag = Some("\"a\"");
    assert_eq!(
        asked,
        [
            (None, None),
            (Some("bytes=4-"), tag),
            (Some("bytes=8-"), tag)
        ]
    );
    assert!(gets.iter().all(|get| get.header("x-api-key").is_none()));
}

#[tokio::test]
async fn an_object_that_changes_is_never_mixed() {
    let changed = [
        part(200, "abcdefghij", &[("etag", "\"b\"")]),
        part(
            206,
            "efghij",
            &[("etag", "\"b\""), ("content-range", "bytes 4-9/11")],
        ),
        part(
            206,
            "efghij",
            &[("etag", "\"b\""), ("content-range", "bytes 3-9/10")],
        ),
        part(412, "", &[]),
        part(416, "", &[]),
    ];
    for tag in [Some("\"a\""), Some("W/\"a\""), None] {
        for second in changed.clone() {
            let tag: Vec<_> = tag.iter().map(|tag| ("etag", *tag)).collect();
            let first = part(200, "0123", &tag);
            let gets = Mutex::new(0);
            let stub = stubbed(told_of_file(10), move |request| {
                *gets.lock().unwrap() += 1;
                let count = *gets.lock().unwrap();
                match (count, request.header("range")) {
                    (1, _) => first.clone(),
                    (2, Some(_)) => second.clone(),
                    _ => part(200, "abcdefghij", &[]),
                }
            })
            .await;
            let client = client(stub.base_url(), "k");
            assert_eq!(
                client.download_bytes("vm-1", "/x").await.unwrap(),
                "abcdefghij"
            );
        }
    }
}

#[tokio::test]
async fn a_writer_that_has_something_is_not_started_over() {
    let stub = stubbed(told_of_file(10), |_| part(200, "0123", &[])).await;
    let client = client(stub.base_url(), "k");
    let mut written = Vec::new();
    let error = client
        .download_to("vm-1", "/x", &mut written)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), written.as_slice()),
        (ErrorKind::Connection, &b"0123"[..])
    );
}

#[tokio::test]
async fn more_than_the_vm_sent_is_an_error() {
    let stub = stubbed(told_of_file(3), |_| part(200, "0123", &[])).await;
    let folder = tempfile::tempdir().unwrap();
    let download = client(stub.base_url(), "k").download("vm-1", "/x", folder.path().join("x"));
    let error = download.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(is_empty(folder.path()));
}

#[tokio::test]
async fn dropping_the_future_removes_what_is_temporary() {
    let half = tar(&[Entry::file("a", "data")])[..600].to_vec();
    for told in [told_of_file(1000), told_of_folder(1000)] {
        let half = half.clone();
        let stub = stubbed(told, move |_| Reply::ChunkedStall(vec![half.clone()])).await;
        let folder = tempfile::tempdir().unwrap();
        let download = client(stub.base_url(), "k")
            .download("vm-1", "/x", folder.path().join("new/x"))
            .compression(Compression::None);
        let download = tokio::spawn(download.into_future());
        let temporary =
            || fs::read_dir(folder.path().join("new")).is_ok_and(|mut all| all.next().is_some());
        until("something temporary appears", temporary).await;
        download.abort();
        let _ = download.await;
        until("it goes", || is_empty(folder.path())).await;
    }
}

/// An entry of an archive that no honest tar makes.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    kind: tar::EntryType,
    link: String,
    data: String,
    mode: u32,
}

impl Entry {
    fn new(name: &str, kind: tar::EntryType, link: &str, data: &str) -> Self {
        let mode = if kind.is_dir() { 0o755 } else { 0o644 };
        Self {
            name: name.to_owned(),
            kind,
            link: link.to_owned(),
            data: data.to_owned(),
            mode,
        }
    }

    fn file(name: &str, data: &str) -> Self {
        Self::new(name, tar::EntryType::Regular, "", data)
    }

    fn folder(name: &str) -> Self {
        Self::new(name, tar::EntryType::Directory, "", "")
    }

    fn link(name: &str, to: &str) -> Self {
        Self::new(name, tar::EntryType::Symlink, to, "")
    }

    fn hard(name: &str, to: &str) -> Self {
        Self::new(name, tar::EntryType::Link, to, "")
    }
}

fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_size(entry.data.len() as u64);
        // As bytes: what is hostile would be refused.
        let raw = header.as_old_mut();
        raw.name[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        raw.linkname[..entry.link.len()].copy_from_slice(entry.link.as_bytes());
        header.set_cksum();
        builder.append(&header, entry.data.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Downloads an archive to a target, which is there or not.
async fn unpacked(entries: &[Entry], target: &Path) -> fastvm::Result<()> {
    let archive = tar(entries);
    let stub = stubbed(told_of_folder(archive.len()), move |_| {
        Reply::Answer(200, vec![], archive.clone())
    })
    .await;
    let download = client(stub.base_url(), "k").download("vm-1", "/x", target);
    download.compression(Compression::None).await
}

#[tokio::test]
async fn hostile_archives_are_refused_by_the_entry_and_touch_nothing() {
    use tar::EntryType;
    let long = "x".repeat(90);
    let hostile: Vec<(&str, Vec<Entry>)> = vec![
        ("../out", vec![Entry::file("../out", "evil")]),
        (
            "/tmp/fastvm-evil",
            vec![Entry::file("/tmp/fastvm-evil", "evil")],
        ),
        (
            "a/../../out",
            vec![Entry::folder("a"), Entry::file("a/../../out", "evil")],
        ),
        ("../out", vec![Entry::folder("../out")]),
        ("link", vec![Entry::link("link", "/etc")]),
        ("link", vec![Entry::link("link", "..")]),
        (
            "a/link",
            vec![Entry::folder("a"), Entry::link("a/link", "../..")],
        ),
        (
            "link",
            vec![Entry::folder("a"), Entry::link("link", "a/../../x")],
        ),
        // By way of another link, each of them harmless by itself.
        (
            "x/y/out",
            vec![
                Entry::folder("s"),
                Entry::link("s/up", ".."),
                Entry::folder("x/y"),
                Entry::link("x/y/out", "../../s/up/../out"),
            ],
        ),
        // Up from what is not there, or is written otherwise.
        ("link", vec![Entry::link("link", "NOWHERE/../x")]),
        // Through a link of the archive itself.
        (
            "link",
            vec![
                Entry::link("link", "a"),
                Entry::folder("a"),
                Entry::file("link/file", "evil"),
            ],
        ),
        ("name", vec![Entry::hard("name", "../outside/kept")]),
        ("name", vec![Entry::hard("name", "/etc/passwd")]),
        ("name", vec![Entry::hard("name", "nowhere")]),
        ("null", vec![Entry::new("null", EntryType::Char, "", "")]),
        ("disk", vec![Entry::new("disk", EntryType::Block, "", "")]),
        ("pipe", vec![Entry::new("pipe", EntryType::Fifo, "", "")]),
        (
            "twice",
            vec![Entry::file("twice", "a"), Entry::file("twice", "b")],
        ),
        (
            "twice",
            vec![Entry::file("twice", "a"), Entry::folder("twice")],
        ),
        (
            "twice/file",
            vec![Entry::file("twice", "a"), Entry::file("twice/file", "b")],
        ),
        (
            "twice",
            vec![Entry::folder("twice"), Entry::link("twice", "x")],
        ),
        (
            "twice",
            vec![Entry::link("twice", "a"), Entry::link("twice", "b")],
        ),
        ("a", vec![Entry::folder("a"), Entry::folder("a/")]),
        (
            long.as_str(),
            vec![Entry::new(&long, EntryType::new(b'Z'), "", "")],
        ),
    ];
    for (name, entries) in hostile {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("outside")).unwrap();
        fs::write(root.path().join("outside/kept"), "kept").unwrap();
        for is_there in [false, true] {
            let target = root.path().join("target");
            if is_there {
                fs::create_dir(&target).unwrap();
                fs::write(target.join("kept"), "kept").unwrap();
            }
            let before = listing(root.path());
            let error = unpacked(&entries, &target).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Transfer, "{entries:?}: {error:?}");
            let names = error.path().unwrap();
            assert!(
                names == name || name.contains(names) || error.to_string().contains(name),
                "{name}: {error}"
            );
            assert_eq!(listing(root.path()), before, "{entries:?}");
        }
    }
    assert!(!Path::new("/tmp/fastvm-evil").exists());
}

#[tokio::test]
async fn by_default_a_folder_has_no_more_than_the_disk_of_the_vm() {
    let root = tempfile::tempdir().unwrap();
    let fits = "x".repeat(STUB_DISK);
    let full = [Entry::file("a", &fits)];
    unpacked(&full, &root.path().join("full")).await.unwrap();
    let beyond = [Entry::file("a", &fits), Entry::file("b", "x")];
    let error = unpacked(&beyond, &root.path().join("beyond"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::Transfer, Some("b"))
    );
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn links_within_the_folder_are_kept() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("target");
    let entries = [
        Entry::folder("./"),
        Entry::folder("./a/"),
        Entry::file("./a/file", "data"),
        Entry::link("./up", "a/../a/file"),
        Entry::link("./a/self", "."),
        Entry::link("./a/root", ".."),
        Entry::link("./dangling", "a/nowhere"),
        Entry::link("./loop", "loop"),
        Entry::hard("./hard", "./a/file"),
        Entry::hard("./same", "./dangling"),
    ];
    unpacked(&entries, &target).await.unwrap();
    let read = |name: &str| fs::read_to_string(target.join(name)).unwrap();
    assert_eq!(
        (read("up"), read("hard"), read("a/root/a/self/file")),
        ("data".into(), "data".into(), "data".into())
    );
    for (name, to) in [
        ("dangling", "a/nowhere"),
        ("same", "a/nowhere"),
        ("loop", "loop"),
    ] {
        assert_eq!(fs::read_link(target.join(name)).unwrap().to_str(), Some(to));
    }
}

#[tokio::test]
async fn a_link_in_the_target_is_replaced_and_never_followed() {
    let root = tempfile::tempdir().unwrap();
    let (target, outside) = (root.path().join("target"), root.path().join("outside"));
    fs::create_dir(&target).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "kept").unwrap();
    symlink("../outside", target.join("folder")).unwrap();
    symlink("../outside/file", target.join("file")).unwrap();
    let entries = [
        Entry::folder("folder"),
        Entry::file("folder/file", "new"),
        Entry::file("file", "new"),
    ];
    unpacked(&entries, &target).await.unwrap();
    assert_eq!(fs::read(outside.join("file")).unwrap(), b"kept");
    assert_eq!(fs::read(target.join("folder/file")).unwrap(), b"new");
    assert_eq!(fs::read(target.join("file")).unwrap(), b"new");
    // What the caller names is followed: it is the caller's.
    let named = root.path().join("named");
    symlink("outside", &named).unwrap();
    unpacked(&[Entry::file("file", "new")], &named)
        .await
        .unwrap();
    assert_eq!(fs::read(outside.join("file")).unwrap(), b"new");
    assert!(fs::symlink_metadata(&named).unwrap().is_symlink());
}

#[tokio::test]
async fn what_cannot_be_replaced_is_found_before_anything_is() {
    let root = tempfile::tempdir().unwrap();
    let target = root.path().join("target");
    fs::create_dir_all(target.join("b/z")).unwrap();
    fs::write(target.join("a"), "old").unwrap();
    let before = listing(root.path());
    let entries = [
        Entry::file("a", "new"),
        Entry::folder("b"),
        Entry::file("b/y", "new"),
        Entry::file("b/z", "new"),
        Entry::file("c", "new"),
    ];
    let error = unpacked(&entries, &target).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::Io, target.join("b/z").to_str())
    );
    assert_eq!(listing(root.path()), before);
    let error = unpacked(&entries, &target.join("a")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::Io, target.join("a").to_str())
    );
    assert_eq!(listing(root.path()), before);
}

#[tokio::test]
async fn an_entry_with_an_endless_name_does_not_fill_the_memory() {
    let root = tempfile::tempdir().unwrap();
    let name = "x".repeat(2 * MIB);
    let entries = [
        Entry::new("././@LongLink", tar::EntryType::GNULongName, "", &name),
        Entry::file("x", ""),
    ];
    let error = unpacked(&entries, &root.path().join("x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transfer, "{error:?}");
    assert!(format!("{error:?}").contains("too long"), "{error:?}");
    assert!(is_empty(root.path()));
}

#[tokio::test]
async fn an_archive_that_ends_early_is_an_error() {
    let whole = tar(&[Entry::file("a", &"data".repeat(1000))]);
    for (length, compression) in [
        (700, Compression::None),
        (1024, Compression::None),
        (100, Compression::Auto),
    ] {
        let half = whole[..length].to_vec();
        let stub = stubbed(told_of_folder(length), move |_| {
            Reply::Answer(200, vec![], half.clone())
        })
        .await;
        let root = tempfile::tempdir().unwrap();
        let download = client(stub.base_url(), "k").download("vm-1", "/x", root.path().join("x"));
        let error = download.compression(compression).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transfer, "{error:?}");
        assert!(is_empty(root.path()));
    }
}

#[tokio::test]
async fn a_vm_that_does_not_tell_how_it_ended_is_not_believed() {
    let told = [
        "",
        "is folder\n",
        "is folder\nsent 1024\ncurl 0\n",
        "is folder\nsent 1024\ncurl 0\ntar 0\ntee 0\n",
        "is folder\nsent 1024\ncurl 0\ntar 2\ngzip 0\ntee 0\n",
        "is folder\nsent 1024\ncurl 0\ntar 0\ngzip 1\ntee 0\n",
        "is folder\nsent 1024\ncurl 0\ntar 0\ngzip 0\ntee 1\n",
        "is file\npiped 1024\nsent 1024\ncurl 0\n",
        "is file\nsent 1024\ncurl 26\n",
        "is file\ncurl 0\n",
        "is file\nsent 1024\n",
    ];
    let root = tempfile::tempdir().unwrap();
    for told in told {
        let stub = stubbed(told.to_owned(), |_| {
            Reply::Answer(200, vec![], vec![0; 1024])
        })
        .await;
        let download = client(stub.base_url(), "k").download("vm-1", "/x", root.path().join("x"));
        let error = download.await.unwrap_err();
        assert_eq!(
            (error.kind(), error.path()),
            (ErrorKind::Transfer, Some("/x")),
            "{told:?}"
        );
        assert!(is_empty(root.path()));
    }
    let stub = stubbed("is file\nsent 4\ncurl 0\n".to_owned(), |_| {
        part(200, "data", &[])
    })
    .await;
    let download = client(stub.base_url(), "k").download_bytes("vm-1", "/x");
    let error = download.verify(true).await.unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
    assert!(
        stub.requests()
            .iter()
            .all(|request| !request.line.starts_with("GET"))
    );
}

#[tokio::test]
async fn what_is_excluded_is_neither_sent_nor_kept() {
    let world = World::start().await;
    let vm = launch(&world).await;
    vm.run("mkdir -p t/target/deep t/src/target t/only && cd t && head -c 3000000 /dev/urandom > target/deep/big && touch a.log src/b.log src/main only/here here .env src/target/x")
        .await
        .unwrap()
        .ensure_success()
        .unwrap();
    let names = |patterns: &'static [&'static str]| {
        let (vm, folder) = (vm.clone(), tempfile::tempdir().unwrap());
        async move {
            let target = folder.path().join("t");
            let most = Arc::new(Mutex::new(0));
            let seen = most.clone();
            let download = patterns
                .iter()
                .fold(vm.download("/root/t", &target), |download, pattern| {
                    download.exclude(*pattern)
                });
            download
                .on_progress(move |progress| *seen.lock().unwrap() = progress.bytes)
                .await
                .unwrap();
            let names: Vec<_> = listing(&target)
                .into_iter()
                .map(|(name, ..)| name)
                .collect();
            (names.join(" "), *most.lock().unwrap())
        }
    };
    let (kept, bytes) = names(&["target/", "*.log", ".env", "/only/here"]).await;
    assert_eq!(kept, "here only src src/main");
    assert!(bytes < 10_000, "what is left out was sent: {bytes} bytes");
    let (kept, _) = names(&["*", "!src", "!src/b.log"]).await;
    assert_eq!(kept, "src src/b.log");
    let refused = vm
        .download("/root/t", "x")
        .exclude("a{")
        .exclude("[")
        .await
        .unwrap_err();
    assert!(refused.is_invalid_input(), "{refused}");
}
