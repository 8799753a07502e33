//! Uploads: whole, or an error that names the path, and nothing temporary is left in the VM.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use fastvm::{Client, Compression, ErrorKind, Outcome, Progress, RetryPolicy, Vm};
use fastvm_local::{Fault, FaultId, Server};
use fastvm_tests::{Reply, Request, Stub, Trouble, Way, World, client};
use tempfile::TempDir;

async fn start() -> (World, Vm) {
    launched(World::start().await).await
}

/// The world with a client that is quick to repeat, and a VM.
async fn launched(mut world: World) -> (World, Vm) {
    let mut retries = RetryPolicy::default();
    retries.first_backoff = Duration::from_millis(10);
    world.client = Client::builder()
        .api_key(world.server.api_key())
        .base_url(world.server.base_url())
        .retry(retries)
        .build()
        .unwrap();
    let vm = world.client.vms().launch("c1m2").await.unwrap();
    (world, vm)
}

impl Counted<'_> {
    fn count(&self) -> u64 {
        let reports = self.0.server.faults().list();
        reports
            .iter()
            .find(|report| report.id == self.1)
            .map_or(0, |report| report.matched)
    }
}

/// Counts the requests of an operation.
struct Counted<'a>(&'a World, FaultId);

fn counted<'a>(world: &'a World, operation: &str) -> Counted<'a> {
    let id = world
        .server
        .faults()
        .add(Fault::delay(Duration::ZERO).on(operation));
    Counted(world, id.unwrap())
}

async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .expect("it comes about in time");
}

/// What a transfer has left in the VM under a temporary name.
async fn remains(vm: &Vm) -> String {
    let find = "find / -xdev -maxdepth 3 -name '.fastvm-upload*' 2> /dev/null; ls -A /tmp";
    vm.run(find).await.unwrap().stdout.clone()
}

async fn read(vm: &Vm, path: &str) -> String {
    vm.run(["cat", path]).await.unwrap().stdout.clone()
}

/// Bytes that no compression makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let step = |_| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as u8
    };
    (0..length).map(step).collect()
}

/// A folder with a file `f` in it.
fn folder_of(data: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("f"), data).unwrap();
    folder
}

/// A service whose VM does all it is told, and whose storage answers `put`.
async fn stub(put: Reply) -> Stub {
    Stub::answering(move |request: &Request| {
        let base = format!("http://{}", request.header("host").unwrap());
        match request.line.as_str() {
            line if line.ends_with("/presign") => Reply::json(
                200,
                &format!(r#"{{"uploadUrl":"{base}/put?sig=SECRET","downloadUrl":"{base}/get?sig=SECRET","expiresInSec":60,"maxUploadBytes":1000}}"#),
            ),
            line if line.starts_with("PUT ") => put.clone(),
            _ => Reply::json(
                200,
                r#"{"durationMs":1,"exitCode":0,"stderr":"","stderrTruncated":false,"stdout":"","stdoutTruncated":false,"timedOut":false}"#,
            ),
        }
    })
    .await
}

fn lines(stub: &Stub) -> Vec<String> {
    let requests = stub.requests().into_iter();
    requests.map(|request| request.line).collect()
}

#[tokio::test]
async fn a_file_keeps_its_permissions_and_replaces_one_that_runs() {
    let (_world, vm) = start().await;
    let folder = tempfile::tempdir().unwrap();
    let local = folder.path().join("tool");
    for mode in [0o755, 0o600, 0o444, 0o4750] {
        fs::write(&local, format!("{mode:o}")).unwrap();
        fs::set_permissions(&local, fs::Permissions::from_mode(mode)).unwrap();
        vm.upload(&local, "/root/tool").await.unwrap();
        let seen = vm.run("stat -c '%a %u' tool; cat tool").await.unwrap();
        assert_eq!(seen.stdout, format!("{mode:o} 0\n{mode:o}"));
        fs::remove_file(&local).unwrap();
    }
    vm.upload("/bin/sleep", "/root/tool").await.unwrap();
    vm.run("./tool 60 > /dev/null 2>&1 &").await.unwrap();
    vm.upload_bytes("#!/bin/sh\necho new", "/root/tool")
        .mode(0o700)
        .await
        .unwrap();
    assert_eq!(vm.run("./tool").await.unwrap().stdout, "new\n");
    assert_eq!(remains(&vm).await, "");
}

#[tokio::test]
async fn bytes_and_readers_arrive_as_they_are() {
    let (world, vm) = start().await;
    for size in [0, 1, 3_000_001] {
        let data = noise(size);
        vm.upload_bytes(data.clone(), "/root/bytes").await.unwrap();
        let reader = std::io::Cursor::new(data.clone());
        world
            .client
            .upload_reader(&vm.id, reader, "/root/deep/reader")
            .verify(true)
            .await
            .unwrap();
        let seen = "wc -c < bytes; cmp bytes deep/reader && stat -c %a bytes deep/reader";
        let seen = vm.run(seen).await.unwrap().stdout.clone();
        assert_eq!(seen, format!("{size}\n644\n644\n"));
    }
    let back = tempfile::tempdir().unwrap();
    vm.download("/root/deep/reader", back.path().join("back"))
        .await
        .unwrap();
    assert!(fs::read(back.path().join("back")).unwrap() == noise(3_000_001));
}

#[tokio::test]
async fn names_and_links_in_a_folder_arrive_to_the_letter() {
    let (_world, vm) = start().await;
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("-[strange] {folder}\n");
    fs::create_dir(&here).unwrap();
    fs::write(here.join(OsStr::from_bytes(b"\xff\xfe")), "no UTF-8").unwrap();
    symlink(
        OsStr::from_bytes(b"to/\xff"),
        here.join(OsStr::from_bytes(b"link \xfe")),
    )
    .unwrap();
    let long = format!("./{}", "x".repeat(150));
    let links = ["./plain", "a//b", "dir/", "/abs", "../up", &long];
    for (index, target) in links.iter().enumerate() {
        symlink(target, here.join(format!("l{index}"))).unwrap();
    }
    fs::create_dir(here.join("empty")).unwrap();
    fs::set_permissions(here.join("empty"), fs::Permissions::from_mode(0o1710)).unwrap();
    vm.upload(&here, "/root/t").await.unwrap();
    let seen = vm.run("cd t && for l in l*; do readlink \"$l\"; done; stat -c %a empty; ls | head -n 1 | od -An -tx1");
    let seen = seen.await.unwrap().stdout.clone();
    assert!(seen.starts_with(&links.join("\n")), "{seen}");
    let rest = "cd t && cat \"$(printf '\\377\\376')\" && readlink \"$(printf 'link \\376')\" | od -An -tx1 && stat -c %a empty";
    assert_eq!(
        vm.run(rest).await.unwrap().stdout,
        "no UTF-8 74 6f 2f ff 0a\n1710\n"
    );
}

#[tokio::test]
async fn what_the_vm_cannot_write_is_a_transfer_error_without_the_signed_url() {
    let (_world, vm) = start().await;
    let folder = folder_of(b"data");
    for local in [folder.path().to_owned(), folder.path().join("f")] {
        let error = vm.upload(&local, "/usr/read-only").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transfer, "{error:?}");
        assert_eq!(error.path(), Some("/usr/read-only"));
        assert!(!format!("{error} {error:?}").contains("sig="), "{error:?}");
    }
    vm.run("mkdir /root/folder").await.unwrap();
    let error = vm.upload_bytes("x", "/root/folder").await.unwrap_err();
    assert!(error.to_string().contains("it is a folder"), "{error}");
    assert_eq!(error.path(), Some("/root/folder"));
    assert_eq!(vm.run("ls -A folder").await.unwrap().stdout, "");
    assert_eq!(remains(&vm).await, "");
}

#[tokio::test]
async fn a_failed_unpack_says_what_failed() {
    let (_world, vm) = start().await;
    let folder = folder_of(b"new");
    vm.run("mkdir -p t/f && touch t/f/kept").await.unwrap();
    let error = vm.upload(folder.path(), "/root/t").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::Transfer, Some("/root/t"))
    );
    assert!(error.to_string().contains("tar: f: "), "{error}");
    assert_eq!(vm.run("ls t/f").await.unwrap().stdout, "kept\n");
    vm.run("touch file").await.unwrap();
    let error = vm.upload(folder.path(), "/root/file").await.unwrap_err();
    assert_eq!(error.path(), Some("/root/file"));
    assert_eq!(remains(&vm).await, "");
}

#[tokio::test]
async fn a_folder_lands_in_whatever_form_its_path_is_written() {
    let (_world, vm) = start().await;
    let folder = folder_of(b"x");
    for remote in ["/", "/root/a/b/", "/root/c/../d", "/root/.", "/d/e//f"] {
        vm.upload(folder.path(), remote).await.unwrap();
        assert_eq!(read(&vm, &format!("{remote}/f")).await, "x", "{remote}");
    }
    let error = vm.upload(folder.path(), "/root/new/..").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transfer);
    assert_eq!(vm.run("ls -A /root/new").await.unwrap().stdout, "");
    assert_eq!(remains(&vm).await, "");
}

#[tokio::test]
async fn a_new_folder_is_as_private_as_the_one_here() {
    let (_world, vm) = start().await;
    let folder = folder_of(b"key");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    vm.run("mkdir there && chmod 751 there").await.unwrap();
    for (remote, mode) in [("/root/new", "700\n"), ("/root/there", "751\n")] {
        vm.upload(folder.path(), remote).await.unwrap();
        let seen = vm.run(["stat", "-c", "%a", remote]).await.unwrap();
        assert_eq!(seen.stdout, mode, "{remote}");
    }
}

#[tokio::test]
async fn a_vm_that_goes_away_ends_the_upload() {
    let (world, vm) = start().await;
    let fetch = Fault::stall().on("fetchFileToVm");
    let fetch = world.server.faults().add(fetch).unwrap();
    for (round, is_deleted) in [(1, false), (2, true)] {
        let upload = vm.upload_bytes("x", "/root/x");
        let upload = upload.idle_check(Duration::from_millis(50)).into_future();
        let upload = tokio::spawn(upload);
        until(async || world.server.faults().fired(fetch) == round).await;
        if is_deleted {
            vm.delete().await.unwrap();
        } else {
            vm.pause().await.unwrap();
        }
        let error = tokio::time::timeout(Duration::from_secs(10), upload).await;
        let error = error.expect("it ends soon").unwrap().unwrap_err();
        assert_eq!(
            (error.kind(), error.path()),
            (ErrorKind::Gone, Some("/root/x"))
        );
        if !is_deleted {
            vm.resume().await.unwrap();
            let id = vm.id.clone();
            world.client.wait_for_vm_ready(id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let (_world, vm) = start().await;
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    let socket = folder.path().join("sub/socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let error = vm.upload(folder.path(), "/root/x").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::Io, socket.to_str())
    );
    let error = vm.upload("/proc/self/mem", "/root/x").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::Io, Some("/proc/self/mem"))
    );
    // It says that it is empty, which it is not.
    let error = vm.upload("/proc/version", "/root/x").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::Transfer, Some("/proc/version"))
    );
    let reader = Breaking(1000);
    let error = vm.upload_reader(reader, "/root/x").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::Io, Some("/root/x"))
    );
    assert!(
        format!("{error:?}").contains("the tape is torn"),
        "{error:?}"
    );
    assert_eq!(vm.run("ls -A /root").await.unwrap().stdout, "");
    assert_eq!(remains(&vm).await, "");
}

/// Gives so many bytes, and fails.
struct Breaking(usize);

impl tokio::io::AsyncRead for Breaking {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        if self.0 == 0 {
            return std::task::Poll::Ready(Err(std::io::Error::other("the tape is torn")));
        }
        self.0 -= 1;
        buffer.put_slice(b"x");
        std::task::Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_is_an_error() {
    let (world, vm) = start().await;
    let grow = |path: &Path| {
        let mut file = fs::File::options().append(true).open(path).unwrap();
        file.write_all(b"more").unwrap();
    };
    let shrink = |path: &Path| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_len(1).unwrap();
    };
    let touch = |path: &Path| {
        let mut file = fs::File::options().write(true).open(path).unwrap();
        file.write_all(b"other").unwrap();
    };
    let changes: [fn(&Path); 3] = [grow, shrink, touch];
    for change in changes {
        for is_folder in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("f");
            // More than can be under way when the first of it has gone.
            fs::File::create(&path).unwrap().set_len(64 << 20).unwrap();
            let local = if is_folder { folder.path() } else { &path };
            let faults = world.server.faults();
            let uploads = faults.add(Fault::delay(Duration::ZERO).on("storage.put"));
            let (once, changed) = (Once::new(), path.clone());
            let upload = vm
                .upload(local, "/root/x")
                .compression(Compression::None)
                .on_progress(move |progress| {
                    if progress.bytes > 0 {
                        once.call_once(|| change(&changed));
                    }
                });
            let error = upload.await.unwrap_err();
            assert_eq!(
                (error.kind(), error.path()),
                (ErrorKind::Transfer, path.to_str()),
                "{error:?}"
            );
            assert!(error.to_string().contains("changed"), "{error}");
            assert_eq!(faults.fired(uploads.unwrap()), 1, "it is not sent again");
            faults.clear();
        }
    }
    assert_eq!(vm.run("ls -A /root").await.unwrap().stdout, "");
}

#[tokio::test]
async fn more_than_the_vm_takes_is_refused_as_soon_as_it_is_known() {
    let stub = stub(Reply::json(200, "")).await;
    let client = client(stub.base_url(), "k");
    let folder = folder_of(&noise(1001));
    let file = folder.path().join("f");
    let error = client.upload("vm-1", &file, "/root/x").await.unwrap_err();
    assert!(
        error.is_invalid_input() && error.to_string().contains("1000"),
        "{error}"
    );
    assert_eq!(error.path(), file.to_str());
    let error = client
        .upload_bytes("vm-1", noise(1001), "/root/x")
        .await
        .unwrap_err();
    assert!(error.is_invalid_input() && error.path() == Some("/root/x"));
    assert_eq!(lines(&stub).len(), 2, "nothing but the two questions");

    for error in [
        client.upload("vm-1", folder.path(), "/root/x").await,
        client
            .upload_reader("vm-1", std::io::Cursor::new(noise(1001)), "/root/x")
            .await,
    ] {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transfer, "{error:?}");
        assert!(error.to_string().contains("1000"), "{error}");
        assert!(error.path() == folder.path().to_str() || error.path() == Some("/root/x"));
    }
    let asked: Vec<_> = lines(&stub)
        .into_iter()
        .filter(|line| line.contains("/fetch") || line.contains("/exec"))
        .collect();
    assert_eq!(asked, [""; 0], "the VM is not told of it");

    let exact = folder_of(&noise(1000));
    let file = exact.path().join("f");
    client.upload("vm-1", &file, "/root/x").await.unwrap();
}

#[tokio::test]
async fn storage_that_fails_in_passing_is_given_the_whole_again() {
    let (world, vm) = start().await;
    let folder = folder_of(&noise(100_000));
    let file = folder.path().join("f");
    let faults = world.server.faults();
    for fault in [
        Fault::status(503).times(2),
        Fault::status(429).header("retry-after", "0").times(2),
        Fault::cut().times(1),
        Fault::cut_after_work().times(1),
        Fault::status(403).times(1),
    ] {
        let puts = counted(&world, "storage.put");
        let presigns = counted(&world, "presignFile");
        let fault = faults.add(fault.on("storage.put")).unwrap();
        let fired = |round: u64| {
            assert_eq!(presigns.count(), puts.count(), "each with fresh URLs");
            assert_eq!(puts.count(), faults.fired(fault) + round);
        };
        vm.upload(&file, "/root/file").verify(true).await.unwrap();
        assert!(faults.fired(fault) > 0);
        fired(1);
        faults.clear();
    }
    for fault in [Fault::status(503), Fault::cut()] {
        faults.add(fault.on("storage.put").times(1)).unwrap();
        vm.upload(folder.path(), "/root/folder").await.unwrap();
        faults.clear();
    }
    faults
        .add(Fault::status(503).on("storage.put").times(1))
        .unwrap();
    vm.upload_bytes(noise(100_000), "/root/bytes")
        .await
        .unwrap();
    let same = "cmp file bytes && cmp file folder/f && echo same";
    assert_eq!(vm.run(same).await.unwrap().stdout, "same\n");
    assert_eq!(remains(&vm).await, "");
}

#[tokio::test]
async fn storage_that_keeps_failing_is_an_error_with_its_attempts() {
    let ok = b"<Error>no</Error>".to_vec();
    for (status, retries, puts) in [
        (503, None, 3),
        (503, Some(0), 1),
        (503, Some(1), 2),
        (403, None, 2),
        (413, None, 1),
    ] {
        let stub = stub(Reply::Answer(status, vec![], ok.clone())).await;
        let folder = folder_of(b"data");
        let file = folder.path().join("f");
        let client = client(stub.base_url(), "the-key");
        let mut upload = client.upload("vm-1", &file, "/root/x");
        if let Some(retries) = retries {
            upload = upload.max_retries(retries);
        }
        let error = upload.await.unwrap_err();
        assert_eq!(error.status().unwrap().as_u16(), status);
        assert_eq!((error.path(), error.attempts()), (file.to_str(), puts));
        assert!(!format!("{error} {error:?}").contains("SECRET"));
        let requests = stub.requests();
        let keys: Vec<_> = requests
            .iter()
            .map(|request| request.header("x-api-key"))
            .collect();
        let expected = [Some("the-key"), None].repeat(puts as usize);
        assert_eq!(keys, expected, "presign and PUT, and no key for storage");
        for put in requests.iter().skip(1).step_by(2) {
            assert_eq!(put.body, b"data");
            assert_eq!(put.header("content-length"), Some("4"));
            assert_eq!(put.header("content-type"), Some("application/octet-stream"));
        }
    }
}

#[tokio::test]
async fn a_reader_is_not_sent_twice_and_the_error_says_so() {
    let (world, vm) = start().await;
    let puts = counted(&world, "storage.put");
    let faults = world.server.faults();
    faults
        .add(Fault::status(503).on("storage.put").times(1))
        .unwrap();
    let reader = || std::io::Cursor::new(noise(1000));
    let error = vm.upload_reader(reader(), "/root/x").await.unwrap_err();
    assert_eq!(error.status().unwrap().as_u16(), 503);
    assert_eq!(error.path(), Some("/root/x"));
    assert!(error.to_string().contains("reader"), "{error}");
    assert_eq!(puts.count(), 1);
    vm.upload_reader(reader(), "/root/x").await.unwrap();
}

#[tokio::test]
async fn a_fetch_that_fails_in_passing_is_repeated_without_sending_again() {
    let (world, vm) = start().await;
    let faults = world.server.faults();
    let puts = counted(&world, "storage.put");
    let folder = folder_of(&noise(300_000));
    for fault in [
        Fault::status(503).times(2),
        Fault::cut_body_after(1000).times(1),
    ] {
        let fault = faults.add(fault.on("storage.get")).unwrap();
        vm.upload(folder.path(), "/root/t").await.unwrap();
        assert!(faults.fired(fault) > 0);
        faults.remove(fault);
    }
    assert_eq!(puts.count(), 2);
    assert_eq!(vm.run("wc -c < t/f").await.unwrap().stdout, "300000\n");
    assert_eq!(remains(&vm).await, "");
}

#[tokio::test]
async fn a_failed_fetch_leaves_what_was_there_and_nothing_else() {
    let (world, vm) = start().await;
    let faults = world.server.faults();
    let folder = folder_of(&noise(300_000));
    let file = folder.path().join("f");
    vm.run("echo -n old > file && mkdir t && echo -n old > t/f")
        .await
        .unwrap();
    for (fault, is_verified) in [
        (Fault::status(500), false),
        (Fault::status(404), false),
        (Fault::cut(), false),
        (Fault::cut_body_after(1000), false),
        // These, curl cannot notice.
        (Fault::truncate_body(1000), false),
        (Fault::truncate_body(0), false),
        (Fault::corrupt_body(), true),
    ] {
        faults.add(fault.clone().on("storage.get")).unwrap();
        for (local, remote) in [
            (file.as_path(), "/root/file"),
            (file.as_path(), "/root/new-file"),
            (folder.path(), "/root/t"),
            (folder.path(), "/root/new-folder"),
        ] {
            let upload = vm.upload(local, remote).verify(is_verified);
            let error = upload.await.unwrap_err();
            assert_eq!(
                (error.kind(), error.path()),
                (ErrorKind::Transfer, Some(remote)),
                "{fault:?}: {error:?}"
            );
            assert!(!format!("{error:?}").contains("sig="), "{error:?}");
            assert!(
                !is_verified || error.to_string().contains("checksum"),
                "{error}"
            );
        }
        faults.clear();
        let seen = vm
            .run("cat file t/f; ls -A . t")
            .await
            .unwrap()
            .stdout
            .clone();
        assert_eq!(seen, "oldold.:\nfile\nt\n\nt:\nf\n", "{fault:?}");
        assert_eq!(remains(&vm).await, "", "{fault:?}");
    }
}

#[tokio::test]
async fn what_is_staged_is_removed_when_a_step_fails() {
    let (world, vm) = start().await;
    let faults = world.server.faults();
    let folder = folder_of(b"data");
    let file = folder.path().join("f");
    for (operation, fault) in [
        ("fetchFileToVm", Fault::status(500).times(1)),
        ("fetchFileToVm", Fault::cut_after_work().times(1)),
        // What puts it in place, then a try to remove it, or more of them than a call has.
        ("execVm", Fault::status(503).times(2)),
        ("execVm", Fault::cut().times(4)),
    ] {
        for local in [folder.path(), &file] {
            let fetches = counted(&world, "fetchFileToVm");
            faults.add(fault.clone().on(operation)).unwrap();
            let error = vm.upload(local, "/root/x").await.unwrap_err();
            assert_eq!(error.path(), Some("/root/x"), "{error:?}");
            assert_eq!(fetches.count(), 1, "no step is repeated blindly");
            faults.clear();
            assert_eq!(vm.run("ls -A /root").await.unwrap().stdout, "");
            assert_eq!(remains(&vm).await, "", "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_dropped_upload_is_cleaned_up() {
    let (world, vm) = start().await;
    let faults = world.server.faults();
    let folder = folder_of(&noise(100_000));
    let file = folder.path().join("f");
    let pause = Duration::from_millis(200);
    for (operation, fault) in [
        ("presignFile", Fault::stall()),
        ("storage.put", Fault::stall()),
        ("storage.get", Fault::delay(pause)),
        ("fetchFileToVm", Fault::delay(pause)),
        ("execVm", Fault::stall()),
    ] {
        for local in [folder.path(), &file] {
            if local.is_dir() && operation == "execVm" {
                continue; // It takes a while, and the file shows it.
            }
            let fault = faults.add(fault.clone().on(operation).times(1)).unwrap();
            let fetches = counted(&world, "fetchFileToVm");
            let execs = counted(&world, "execVm");
            let upload = vm.upload(local, "/root/x").into_future();
            tokio::select! {
                result = upload => panic!("{operation}: it is under way, but ended: {result:?}"),
                () = until(async || faults.fired(fault) == 1) => {}
            }
            if fetches.count() > 0 {
                // The removal: a stalled request is not counted.
                until(async || execs.count() > 0).await;
                until(async || remains(&vm).await.is_empty()).await;
            }
            faults.clear();
            assert_eq!(vm.run("ls -A /root").await.unwrap().stdout, "");
        }
    }
}

#[tokio::test]
async fn checksums_are_compared_for_files_and_folders() {
    let (_world, vm) = start().await;
    let folder = folder_of(&noise(500_000));
    for compression in [
        Compression::Auto,
        Compression::None,
        Compression::Level(1),
        Compression::Level(9),
    ] {
        vm.upload(folder.path(), "/root/t")
            .verify(true)
            .compression(compression)
            .await
            .unwrap();
        assert_eq!(vm.run("rm t/f && rmdir t").await.unwrap().exit_code, 0);
    }
    vm.upload(folder.path().join("f"), "/root/f")
        .verify(true)
        .await
        .unwrap();
    assert_eq!(vm.run("wc -c < f").await.unwrap().stdout, "500000\n");
}

#[tokio::test]
async fn compression_is_as_asked_for() {
    let (_world, vm) = start().await;
    let folder = folder_of("the same again and again\n".repeat(20_000).as_bytes());
    let mut sizes = Vec::new();
    for compression in [
        Compression::None,
        Compression::Level(1),
        Compression::Level(9),
    ] {
        let (listener, seen) = recorder();
        vm.upload(folder.path(), "/root/t")
            .compression(compression)
            .on_progress(listener)
            .await
            .unwrap();
        sizes.push(seen.lock().unwrap().last().unwrap().bytes);
    }
    assert!(sizes[0] > 500_000, "{sizes:?}");
    assert!(sizes[1] < 100_000 && sizes[2] < sizes[1], "{sizes:?}");

    let stub = stub(Reply::json(200, "")).await;
    let client = client(stub.base_url(), "k");
    for level in [0, 10] {
        let error = client
            .upload("vm-1", folder.path(), "/root/x")
            .compression(Compression::Level(level))
            .await
            .unwrap_err();
        assert!(error.is_invalid_input());
    }
    assert!(stub.requests().is_empty());
}

/// What is compressed in parallel is one gzip, which the VM's own `tar` unpacks to the letter.
#[tokio::test]
async fn a_folder_that_takes_many_threads_arrives_byte_for_byte() {
    let (_world, vm) = start().await;
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..150_000).map(|line| format!("line {line}\n")).collect();
    let noise = noise(1_500_000);
    let files: [(&str, &[u8]); 5] = [
        ("text", text.as_bytes()),
        ("noise", &noise),
        ("small", &noise[..1000]),
        ("zeros", &[0; 1_000_000]),
        ("more", &text.as_bytes()[..700_001]),
    ];
    for (name, data) in files {
        fs::write(folder.path().join(name), data).unwrap();
    }
    let (listener, seen) = recorder();
    vm.upload(folder.path(), "/root/t")
        .on_progress(listener)
        .await
        .unwrap();
    for (name, data) in files {
        let path = format!("/root/t/{name}");
        assert!(vm.download_bytes(path).await.unwrap() == data, "{name}");
    }
    // What cannot be made smaller is stored, and the rest is small.
    let sent = seen.lock().unwrap().last().unwrap().bytes;
    let most = noise.len() as u64 * 101 / 100 + text.len() as u64 * 2 / 3;
    assert!(sent < most, "{sent} of {most}");
}

/// The noise is told from the text by a look: at the highest level it is not tried at all.
#[tokio::test]
async fn what_is_compressed_already_is_stored_at_any_level() {
    let (_world, vm) = start().await;
    let folder = folder_of(&noise(1_000_000));
    for level in [1, 9] {
        let (listener, seen) = recorder();
        vm.upload(folder.path(), "/root/t")
            .compression(Compression::Level(level))
            .verify(true)
            .on_progress(listener)
            .await
            .unwrap();
        let sent = seen.lock().unwrap().last().unwrap().bytes;
        assert!((1_000_000..1_005_000).contains(&sent), "{sent}");
    }
}

type Seen = Arc<Mutex<Vec<Progress>>>;

fn recorder() -> (impl Fn(Progress) + Send + Sync + 'static, Seen) {
    let seen = Seen::default();
    let log = seen.clone();
    (move |now| log.lock().unwrap().push(now), seen)
}

#[tokio::test]
async fn progress_is_told_up_to_the_end() {
    let (world, vm) = start().await;
    let data = vec![0; 20 << 20];
    let folder = folder_of(&data);
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/g"), "g").unwrap();
    // So that there is something to tell in between.
    let slow = Fault::delay(Duration::from_millis(300)).on("storage.put");
    world.server.faults().add(slow).unwrap();
    let total = Some(data.len() as u64);

    let (listener, seen) = recorder();
    vm.upload(folder.path().join("f"), "/root/f")
        .on_progress(listener)
        .await
        .unwrap();
    let told = std::mem::take(&mut *seen.lock().unwrap());
    assert!(told.len() >= 2, "{told:?}");
    assert!(told.is_sorted_by_key(|now| now.bytes));
    assert!(told.iter().all(|now| now.total == total));
    let last = told.last().unwrap();
    assert_eq!((Some(last.bytes), last.files), (total, 1));

    let (listener, seen) = recorder();
    vm.upload(folder.path(), "/root/t")
        .compression(Compression::None)
        .on_progress(listener)
        .await
        .unwrap();
    let told = std::mem::take(&mut *seen.lock().unwrap());
    assert!(told.is_sorted_by_key(|now| (now.bytes, now.files)));
    let last = told.last().unwrap();
    assert_eq!((last.files, last.total), (2, None));
    assert!(last.bytes > data.len() as u64);

    let (listener, seen) = recorder();
    vm.upload_reader(std::io::Cursor::new(b"abc"), "/root/r")
        .on_progress(listener)
        .await
        .unwrap();
    let last = *seen.lock().unwrap().last().unwrap();
    assert_eq!((last.bytes, last.files, last.total), (3, 1, None));
}

#[tokio::test]
async fn what_is_excluded_stays_here() {
    let (_world, vm) = start().await;
    let folder = tempfile::tempdir().unwrap();
    for path in [
        "target/debug/x",
        "sub/target/y",
        "a.log",
        "keep.log",
        "sub/b.log",
        "sub/c.rs",
        "only/here",
        "sub/only/here",
        "with [brackets]",
        ".git/HEAD",
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    // What is excluded need not be readable.
    let _listener =
        std::os::unix::net::UnixListener::bind(folder.path().join("target/socket")).unwrap();
    vm.upload(folder.path(), "/root/t")
        .exclude("target/")
        .exclude("*.log")
        .exclude("!keep.log")
        .exclude("/only/here")
        .exclude(".git")
        .await
        .unwrap();
    let seen = vm
        .run("cd t && find . | LC_ALL=C sort")
        .await
        .unwrap()
        .stdout
        .clone();
    let kept = [
        ".",
        "./keep.log",
        "./only",
        "./sub",
        "./sub/c.rs",
        "./sub/only",
        "./sub/only/here",
        "./with [brackets]",
    ];
    assert_eq!(seen.lines().collect::<Vec<_>>(), kept);

    let stub = stub(Reply::json(200, "")).await;
    let refused = client(stub.base_url(), "k")
        .upload("vm-1", folder.path(), "/root/x")
        .exclude("{unclosed")
        .await;
    assert!(refused.unwrap_err().is_invalid_input());
    assert!(stub.requests().is_empty());
}

#[tokio::test]
async fn modes_that_make_no_sense_are_refused_before_anything_is_sent() {
    let stub = stub(Reply::json(200, "")).await;
    let client = client(stub.base_url(), "k");
    let folder = folder_of(b"");
    for upload in [
        client.upload("vm-1", folder.path(), "/root/x").mode(0o755),
        client.upload_bytes("vm-1", "x", "/root/x").mode(0o100644),
        client.upload_bytes("vm-1", "x", "/root/x/"),
        client
            .upload_bytes("vm-1", "x", "/root/x")
            .fetch_timeout(Duration::ZERO),
    ] {
        assert!(upload.await.unwrap_err().is_invalid_input());
    }
    assert!(stub.requests().is_empty());
}

#[tokio::test]
async fn a_connection_that_breaks_while_data_is_sent_costs_a_repeat_only() {
    let (world, proxy) = World::behind_proxy().await;
    let (world, vm) = launched(world).await;
    let folder = folder_of(&noise(1_000_000));
    for trouble in [
        Trouble::Reset.of(Way::ToServer).after(300_000),
        Trouble::Close.of(Way::ToServer).after(300_000),
        Trouble::Reset.of(Way::ToClient),
        Trouble::Close.of(Way::ToClient).after(10),
    ] {
        for local in [folder.path().to_owned(), folder.path().join("f")] {
            let puts = counted(&world, "storage.put");
            proxy.add(trouble.clone().when("PUT /_storage").once());
            let remote = if local.is_dir() { "/root/t" } else { "/root/f" };
            vm.upload(&local, remote)
                .compression(Compression::None)
                .await
                .unwrap();
            assert_eq!(puts.count(), 2, "{trouble:?}");
            proxy.heal();
        }
        let same = vm.run("cmp f t/f && rm -r f t").await.unwrap();
        assert!(same.is_success(), "{trouble:?}");
    }
    assert_eq!(remains(&vm).await, "");
}

#[tokio::test]
async fn data_that_is_damaged_on_its_way_is_noticed_when_verified() {
    let (world, proxy) = World::behind_proxy().await;
    let (_world, vm) = launched(world).await;
    let damage = Trouble::Corrupt(1).of(Way::ToServer).after(1_000_000);
    proxy.add(damage.when("PUT /_storage").once());
    let upload = vm.upload_bytes(noise(3_000_000), "/root/x").verify(true);
    let error = upload.await.unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::Transfer, Some("/root/x"))
    );
    assert!(error.to_string().contains("checksum"), "{error}");
    assert_eq!(vm.run("ls -A").await.unwrap().stdout, "");
    assert_eq!(remains(&vm).await, "");
}

#[tokio::test]
async fn a_fetch_whose_answer_is_lost_leaves_nothing_in_the_end() {
    let (world, proxy) = World::behind_proxy().await;
    let (world, vm) = launched(world).await;
    let fetches = counted(&world, "fetchFileToVm");
    // The VM begins when the connection is lost and the removal done already.
    let late = Fault::delay(Duration::from_millis(500)).on("storage.get");
    let late = world.server.faults().add(late).unwrap();
    let upload = vm.upload_bytes("data", "/root/x").into_future();
    let upload = tokio::spawn(upload);
    until(async || world.server.faults().fired(late) == 1).await;
    proxy.reset_all();
    let error = upload.await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::Connection, Some("/root/x"))
    );
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(fetches.count(), 1);
    let staged = async || vm.run("ls -A").await.unwrap().stdout.clone();
    until(async || !staged().await.is_empty()).await;
    until(async || staged().await.is_empty()).await;
}

#[tokio::test]
async fn a_signed_url_that_has_expired_is_replaced() {
    let lifetime = Duration::from_millis(700);
    let server = Server::builder().url_lifetime(lifetime).start().await;
    let server = server.unwrap();
    let client = client(server.base_url(), server.api_key());
    let (world, vm) = launched(World { server, client }).await;
    let presigns = counted(&world, "presignFile");
    let late = Fault::delay(lifetime).on("storage.put").times(1);
    let late = world.server.faults().add(late).unwrap();
    let folder = folder_of(b"data");
    vm.upload(folder.path(), "/root/t").await.unwrap();
    assert_eq!(
        (world.server.faults().fired(late), presigns.count()),
        (1, 2)
    );
    assert_eq!(read(&vm, "/root/t/f").await, "data");
}

#[tokio::test]
async fn a_header_goes_to_the_api_and_not_to_storage() {
    let stub = stub(Reply::json(200, "")).await;
    let client = client(stub.base_url(), "k");
    let upload = client.upload_bytes("vm-1", "x", "/root/x");
    upload.header("x-tenant", "blue").await.unwrap();
    let seen: Vec<_> = stub
        .requests()
        .iter()
        .map(|request| request.header("x-tenant").map(str::to_owned))
        .collect();
    let blue = Some("blue".to_owned());
    assert_eq!(seen, [blue.clone(), None, blue.clone(), blue]);
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_data_is_taken_at_once() {
    let storage = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", storage.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut socket, _) = storage.accept().await.unwrap();
            let answer = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
            tokio::io::AsyncReadExt::read_u8(&mut socket).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut socket, answer)
                .await
                .unwrap();
            // It reads no further, and does not close.
            open.push(socket);
        }
    });
    let stub = Stub::answering(move |_| {
        let urls = format!(
            r#"{{"uploadUrl":"{address}/p","downloadUrl":"{address}/g","expiresInSec":60,"maxUploadBytes":1000000000}}"#
        );
        Reply::json(200, &urls)
    });
    let stub = stub.await;
    let folder = folder_of(&vec![0; 64 << 20]);
    for local in [folder.path().to_owned(), folder.path().join("f")] {
        let upload = client(stub.base_url(), "k")
            .upload("vm-1", &local, "/root/x")
            .compression(Compression::None)
            .max_retries(1)
            .into_future();
        let error = tokio::time::timeout(Duration::from_secs(10), upload).await;
        let error = error.expect("it ends soon").unwrap_err();
        assert_eq!(error.status().unwrap().as_u16(), 503, "{error:?}");
        assert_eq!(error.attempts(), 2);
    }
    served.abort();
}
