//! The files of a VM, one by one.

use std::io;
use std::time::{Duration, SystemTime};

use fastvm::{Error, ErrorKind, FileType, Fs, Outcome, RemotePath, Result, Vm};
use fastvm_local::Fault;
use fastvm_tests::World;

use crate::files::{HARD_NAMES, launch, noise};

const MIB: usize = 1024 * 1024;

/// What is refused, and the path that it was about.
#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T>, kind: io::ErrorKind, path: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.io_kind(), Some(kind), "{error}");
    assert_eq!(error.path(), Some(path), "{error}");
    assert!(error.vm_id().is_some(), "{error}");
}

async fn sh(vm: &Vm, line: &str) -> String {
    let output = vm.run(line).await.unwrap();
    output.ensure_success().unwrap().stdout.clone()
}

/// How often an operation is asked for from now on.
fn count(world: &World, operation: &str) -> impl Fn() -> u64 {
    let faults = world.server.faults().clone();
    let nothing = Fault::delay(Duration::ZERO).on(operation);
    let id = faults.add(nothing).unwrap();
    move || faults.fired(id)
}

/// Everything in `/root` and what is temporary elsewhere.
async fn names(fs: &Fs) -> Vec<String> {
    let mut names = Vec::new();
    for folder in ["/root", "/tmp"] {
        let entries = fs.read_dir(folder).await.unwrap();
        names.extend(entries.iter().map(|it| it.file_name().to_string()));
    }
    names
}

#[tokio::test]
async fn small_content_goes_and_comes_in_one_round_trip() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let fs = vm.fs();
    let execs = count(&world, "execVm");
    let presigns = count(&world, "presignFile");
    for content in [Vec::new(), b"x".to_vec(), noise(MIB)] {
        let before = execs();
        fs.write("/root/a", content.clone()).await.unwrap();
        assert_eq!(execs() - before, 1);
        assert!(fs.read("/root/a").await.unwrap() == content);
        assert_eq!((execs() - before, presigns()), (2, 0));
    }
    fs.write("/root/text", "zwölf\n").await.unwrap();
    assert_eq!(fs.read_to_string("/root/text").await.unwrap(), "zwölf\n");
    fs.write("/root/bytes", b"\xff").await.unwrap();
    let no_text = fs.read_to_string("/root/bytes").await;
    assert_refused(no_text, io::ErrorKind::InvalidData, "/root/bytes");
    assert_eq!(names(&fs).await, ["a", "bytes", "text"]);
}

#[tokio::test]
async fn large_content_goes_by_way_of_storage() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let fs = vm.fs();
    let presigns = count(&world, "presignFile");
    let content = noise(MIB + 1);
    fs.write("/root/a", content.clone()).await.unwrap();
    assert_eq!(presigns(), 1);
    assert_eq!(fs.metadata("/root/a").await.unwrap().mode(), 0o644);
    assert!(fs.read("/root/a").await.unwrap() == content);
    assert_eq!(presigns(), 2);
    fs.append("/root/a", content.clone()).await.unwrap();
    assert!(fs.read("/root/a").await.unwrap() == [content.clone(), content.clone()].concat());

    // What cannot be is told before anything is sent.
    let before = presigns();
    let refused = fs.write("/root", content.clone()).await;
    assert_refused(refused, io::ErrorKind::IsADirectory, "/root");
    let refused = fs.append("/root/none/x", content).await;
    assert_refused(refused, io::ErrorKind::NotFound, "/root/none/x");
    assert_eq!(presigns(), before);

    // More than is read into memory.
    sh(&vm, "truncate -s 300M huge").await;
    let refused = fs.read("/root/huge").await;
    assert_refused(refused, io::ErrorKind::FileTooLarge, "/root/huge");
    assert_eq!(names(&fs).await, ["a", "huge"]);
}

#[tokio::test]
async fn a_failed_large_write_leaves_what_was_there() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let fs = vm.fs();
    fs.write("/root/a", "old").await.unwrap();
    let fault = Fault::status(403).on("storage.put");
    world.server.faults().add(fault).unwrap();
    let error = fs.write("/root/a", noise(2 * MIB)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::Status, Some("/root/a"))
    );
    assert_eq!(fs.read("/root/a").await.unwrap(), b"old");
    assert_eq!(names(&fs).await, ["a"]);
}

#[tokio::test]
async fn a_cut_read_is_an_error() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let fs = vm.fs();
    fs.write("/root/a", noise(MIB)).await.unwrap();
    for fault in [
        Fault::cut_body_after(300_000),
        Fault::truncate_body(300_000),
        Fault::no_exit_event(),
    ] {
        world
            .server
            .faults()
            .add(fault.clone().on("execVm").times(1))
            .unwrap();
        let error = fs.read("/root/a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Stream, "{fault:?}: {error}");
        assert_eq!(error.path(), Some("/root/a"));
        assert_eq!((error.io_kind(), error.outcome()), (None, Outcome::Unknown));
        world.server.faults().clear();
    }
    assert!(fs.read("/root/a").await.unwrap() == noise(MIB));
}

#[tokio::test]
async fn a_written_file_keeps_mode_and_owner_and_its_link() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let fs = vm.fs();
    sh(&vm, "umask 0; echo old > a; chmod 640 a; mkdir d; ln -s ../a d/link; ln -s a link; ln -s new open; chmod 600 a").await;
    let before = fs.metadata("/root/a").await.unwrap();
    for link in ["/root/link", "/root/d/link", "/root/d/../link"] {
        fs.write(link, link).await.unwrap();
        assert_eq!(fs.read_to_string("/root/a").await.unwrap(), link);
    }
    fs.append("/root/link", "+").await.unwrap();
    assert!(
        fs.symlink_metadata("/root/link")
            .await
            .unwrap()
            .is_symlink()
    );
    let after = fs.metadata("/root/a").await.unwrap();
    assert_eq!((after.mode(), after.uid()), (before.mode(), before.uid()));
    fs.write("/root/open", "through").await.unwrap();
    assert_eq!(fs.read("/root/new").await.unwrap(), b"through");
    fs.write("/dev/null", "gone").await.unwrap();
    assert_eq!(
        fs.metadata("/dev/null").await.unwrap().file_type(),
        FileType::Other
    );
    assert_eq!(fs.read("/dev/null").await.unwrap(), b"");
    assert!(
        fs.read_to_string("/proc/version")
            .await
            .unwrap()
            .contains("Linux")
    );
    assert_eq!(names(&fs).await, ["a", "d", "link", "new", "open"]);
}

#[tokio::test]
async fn appending_makes_the_file_and_adds_to_it() {
    let world = World::start().await;
    let fs = launch(&world).await.fs();
    for (part, whole) in [("", ""), ("a\n", "a\n"), ("b", "a\nb")] {
        fs.append("/root/log", part).await.unwrap();
        assert_eq!(fs.read_to_string("/root/log").await.unwrap(), whole);
    }
}

#[tokio::test]
async fn metadata_tells_type_size_mode_and_time() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let fs = vm.fs();
    sh(&vm, "echo 12345 > f; chmod 4751 f; touch -d @1600000000.25 f; mkdir -m 1777 d; ln -s f link; ln -s none broken; mkfifo pipe").await;
    let file = fs.metadata("/root/f").await.unwrap();
    assert_eq!(
        (file.file_type(), file.len(), file.mode()),
        (FileType::File, 6, 0o4751)
    );
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_600_000_000_250);
    assert_eq!(file.modified(), time);
    assert_eq!(fs.metadata("/root/link").await.unwrap(), file);
    let link = fs.symlink_metadata("/root/link").await.unwrap();
    assert_eq!((link.file_type(), link.len()), (FileType::Symlink, 1));
    let folder = fs.metadata("/root/d").await.unwrap();
    assert_eq!((folder.file_type(), folder.mode()), (FileType::Dir, 0o1777));
    assert_eq!(
        fs.metadata("/root/pipe").await.unwrap().file_type(),
        FileType::Other
    );
    assert!(fs.metadata("/").await.unwrap().is_dir());

    let broken = fs.metadata("/root/broken").await;
    assert_refused(broken, io::ErrorKind::NotFound, "/root/broken");
    assert!(
        fs.symlink_metadata("/root/broken")
            .await
            .unwrap()
            .is_symlink()
    );
    for (path, exists) in [
        ("/root/f", true),
        ("/root/d", true),
        ("/root/link", true),
        ("/root/broken", false),
        ("/root/none", false),
        ("/root/f/below", false),
    ] {
        assert_eq!(fs.exists(path).await.unwrap(), exists, "{path}");
    }
}

#[tokio::test]
async fn every_call_takes_hostile_names() {
    let world = World::start().await;
    let fs = launch(&world).await.fs();
    let text = HARD_NAMES.iter().map(|name| name.as_bytes().to_vec());
    let bytes = [
        &b"\xff\xfe"[..],
        b"\n",
        b"a\n\n",
        b"%s%b\\0101",
        b" ",
        b"--help",
        b"`id`;$(id)",
    ];
    let names: Vec<Vec<u8>> = text.chain(bytes.map(<[u8]>::to_vec)).collect();
    let folder = RemotePath::from("/root/-d \n'\"");
    fs.create_dir(&folder).await.unwrap();
    for name in &names {
        let path = folder.join(name);
        fs.write(&path, name.clone()).await.unwrap();
        fs.append(&path, "+").await.unwrap();
    }
    let entries = fs.read_dir(&folder).await.unwrap();
    let mut sorted = names.clone();
    sorted.sort();
    let listed: Vec<_> = entries.iter().map(|it| it.file_name().as_bytes()).collect();
    assert_eq!(listed, sorted);
    for entry in &entries {
        let name = entry.file_name();
        let content = [name.as_bytes(), b"+"].concat();
        assert_eq!(entry.metadata().len(), content.len() as u64);
        assert_eq!(fs.read(entry.path()).await.unwrap(), content, "{name:?}");
        fs.set_permissions(entry.path(), 0o600).await.unwrap();
        assert_eq!(fs.metadata(entry.path()).await.unwrap().mode(), 0o600);

        let link = RemotePath::from("/root/links").join(name);
        fs.create_dir_all("/root/links").await.unwrap();
        fs.symlink(name, &link).await.unwrap();
        assert_eq!(&fs.read_link(&link).await.unwrap(), name);
        fs.remove_file(&link).await.unwrap();

        let copy = RemotePath::from("/root/links").join(name);
        assert_eq!(
            fs.copy(entry.path(), &copy).await.unwrap(),
            content.len() as u64
        );
        fs.rename(entry.path(), &copy).await.unwrap();
        assert!(!fs.exists(entry.path()).await.unwrap());
        fs.create_dir_all(entry.path().join(name)).await.unwrap();
        fs.remove_dir(entry.path().join(name)).await.unwrap();
    }
    assert_eq!(fs.read_dir("/root/links").await.unwrap().len(), names.len());
    fs.remove_dir_all(&folder).await.unwrap();
    assert!(!fs.exists(&folder).await.unwrap());
}

#[tokio::test]
async fn a_large_file_may_have_a_name_that_is_no_text() {
    let world = World::start().await;
    let fs = launch(&world).await.fs();
    let path = b"/root/\xff";
    let content = noise(6 * MIB);
    fs.write(path, content.clone()).await.unwrap();
    assert!(fs.read(path).await.unwrap() == content);
}

#[tokio::test]
async fn a_folder_lists_all_but_itself() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let fs = vm.fs();
    assert_eq!(fs.read_dir("/root").await.unwrap(), []);
    sh(&vm, "mkdir d d/below; echo 123 > .hidden; ln -s d link; i=0; mkdir many; while [ $i -lt 3000 ]; do : > many/$i; i=$((i+1)); done").await;
    let entries = fs.read_dir("/root/").await.unwrap();
    let listed: Vec<_> = entries
        .iter()
        .map(|it| (it.path().to_str().unwrap(), it.file_type()))
        .collect();
    assert_eq!(
        listed,
        [
            ("/root/.hidden", FileType::File),
            ("/root/d", FileType::Dir),
            ("/root/link", FileType::Symlink),
            ("/root/many", FileType::Dir),
        ]
    );
    assert_eq!(
        entries[0].metadata(),
        &fs.metadata("/root/.hidden").await.unwrap()
    );
    assert_eq!(
        fs.read_dir("/root/link").await.unwrap()[0].path(),
        &"/root/link/below"
    );
    assert_eq!(fs.read_dir("/root/many").await.unwrap().len(), 3000);
}

#[tokio::test]
async fn folders_are_made_and_removed() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let fs = vm.fs();
    fs.create_dir("/root/a").await.unwrap();
    fs.create_dir_all("/root/a/b/c").await.unwrap();
    fs.create_dir_all("/root/a/b/c/").await.unwrap();
    fs.write("/root/a/f", "x").await.unwrap();
    fs.symlink("/root/a", "/root/link").await.unwrap();
    use io::ErrorKind::*;
    assert_refused(fs.create_dir("/root/a").await, AlreadyExists, "/root/a");
    assert_refused(fs.create_dir("/root/x/y").await, NotFound, "/root/x/y");
    assert_refused(
        fs.create_dir("/root/a/f/y").await,
        NotADirectory,
        "/root/a/f/y",
    );
    assert_refused(
        fs.create_dir_all("/root/a/f").await,
        AlreadyExists,
        "/root/a/f",
    );
    assert_refused(
        fs.create_dir_all("/root/a/f/y/z").await,
        NotADirectory,
        "/root/a/f/y/z",
    );
    assert_refused(fs.remove_dir("/root/a").await, DirectoryNotEmpty, "/root/a");
    assert_refused(fs.remove_dir("/root/a/f").await, NotADirectory, "/root/a/f");
    assert_refused(fs.remove_dir("/root/none").await, NotFound, "/root/none");
    assert_refused(
        fs.remove_dir_all("/root/a/f").await,
        NotADirectory,
        "/root/a/f",
    );
    assert_refused(
        fs.remove_dir_all("/root/link").await,
        NotADirectory,
        "/root/link",
    );
    assert_refused(
        fs.remove_dir_all("/root/none").await,
        NotFound,
        "/root/none",
    );
    for root in ["/", "//", "/root/..", "/./root/../."] {
        assert_refused(fs.remove_dir_all(root).await, InvalidInput, root);
    }
    fs.remove_dir("/root/a/b/c").await.unwrap();
    fs.remove_dir_all("/root/a").await.unwrap();
    assert_eq!(names(&fs).await, ["link"]);
}

#[tokio::test]
async fn what_is_not_there_or_of_another_kind_is_refused() {
    let world = World::start().await;
    let fs = launch(&world).await.fs();
    fs.create_dir("/root/d").await.unwrap();
    fs.write("/root/f", "x").await.unwrap();
    use io::ErrorKind::*;
    for (path, kind) in [
        ("/root/none", NotFound),
        ("/root/none/below", NotFound),
        ("/root/f/below", NotADirectory),
        ("/root/f/", NotADirectory),
    ] {
        assert_refused(fs.read(path).await, kind, path);
        assert_refused(fs.metadata(path).await, kind, path);
        assert_refused(fs.symlink_metadata(path).await, kind, path);
        assert_refused(fs.read_dir(path).await, kind, path);
        assert_refused(fs.read_link(path).await, kind, path);
        assert_refused(fs.remove_file(path).await, kind, path);
        assert_refused(fs.set_permissions(path, 0o600).await, kind, path);
        assert_refused(fs.copy(path, "/root/x").await, kind, path);
        assert_refused(fs.rename(path, "/root/x").await, kind, path);
    }
    for (path, kind) in [
        ("/root/none/below", NotFound),
        ("/root/f/below", NotADirectory),
        ("/root/d", IsADirectory),
        ("/root/d/", IsADirectory),
    ] {
        assert_refused(fs.write(path, "x").await, kind, path);
        assert_refused(fs.append(path, "x").await, kind, path);
        assert_refused(fs.copy("/root/f", path).await, kind, path);
    }
    assert_refused(fs.read("/root/d").await, IsADirectory, "/root/d");
    assert_refused(fs.copy("/root/d", "/root/x").await, IsADirectory, "/root/d");
    assert_refused(fs.remove_file("/root/d").await, IsADirectory, "/root/d");
    assert_refused(fs.read_dir("/root/f").await, NotADirectory, "/root/f");
    assert_refused(fs.read_link("/root/f").await, InvalidInput, "/root/f");
    assert_refused(fs.symlink("x", "/root/f").await, AlreadyExists, "/root/f");
    assert_refused(
        fs.symlink("x", "/root/none/x").await,
        NotFound,
        "/root/none/x",
    );
    let long = format!("/root/{}", "n".repeat(300));
    assert_refused(fs.write(&long, "x").await, InvalidFilename, &long);
    assert_eq!(names(&fs).await, ["d", "f"]);
}

#[tokio::test]
async fn what_the_system_forbids_is_told_apart() {
    let world = World::start().await;
    let fs = launch(&world).await.fs();
    use io::ErrorKind::*;
    assert_refused(
        fs.set_permissions("/proc/self/stat", 0o777).await,
        PermissionDenied,
        "/proc/self/stat",
    );
    assert_refused(
        fs.remove_file("/proc/version").await,
        PermissionDenied,
        "/proc/version",
    );
    for path in ["/usr/new", "/usr/bin/env"] {
        assert_refused(fs.write(path, "x").await, ReadOnlyFilesystem, path);
        assert_refused(fs.append(path, "x").await, ReadOnlyFilesystem, path);
    }
    assert_refused(
        fs.create_dir("/usr/new").await,
        ReadOnlyFilesystem,
        "/usr/new",
    );
    assert_refused(
        fs.create_dir_all("/usr/new/er").await,
        ReadOnlyFilesystem,
        "/usr/new/er",
    );
    assert_refused(
        fs.remove_file("/usr/bin/env").await,
        ReadOnlyFilesystem,
        "/usr/bin/env",
    );
    assert_refused(fs.write("/dev/full", "x").await, StorageFull, "/dev/full");
}

#[tokio::test]
async fn a_rename_replaces_what_the_system_call_would() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let fs = vm.fs();
    sh(&vm, "echo a > a; echo b > b; mkdir d1 d2 full; echo x > full/x; ln -s full link; ln -s d2 other").await;
    use io::ErrorKind::*;
    let rename = |from: &str, to: &str| fs.rename(format!("/root/{from}"), format!("/root/{to}"));
    assert_refused(rename("a", "d1").await, IsADirectory, "/root/d1");
    assert_refused(rename("d1", "a").await, NotADirectory, "/root/a");
    assert_refused(rename("d1", "d1/below").await, InvalidInput, "/root/d1");
    assert_refused(rename("a", "none/x").await, NotFound, "/root/none/x");
    assert_refused(rename("a", "b/x").await, NotADirectory, "/root/b/x");
    let error = rename("d1", "full").await.unwrap_err();
    assert_eq!(error.io_kind(), Some(DirectoryNotEmpty), "{error}");

    rename("a", "a").await.unwrap();
    rename("a", "b").await.unwrap();
    assert_eq!(fs.read("/root/b").await.unwrap(), b"a\n");
    rename("d1", "d2").await.unwrap();
    // A link to a folder is replaced, and the folder left alone.
    rename("other", "link").await.unwrap();
    assert_eq!(fs.read_link("/root/link").await.unwrap(), "d2");
    rename("b", "link").await.unwrap();
    assert!(fs.symlink_metadata("/root/link").await.unwrap().is_file());
    assert_eq!(names(&fs).await, ["d2", "full", "link"]);
    assert_eq!(fs.read_dir("/root/full").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_copy_has_content_and_permissions() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let fs = vm.fs();
    fs.write("/root/a", noise(100_000)).await.unwrap();
    fs.set_permissions("/root/a", 0o751).await.unwrap();
    sh(&vm, "echo old > b; ln -s a from; ln -s b to").await;
    assert_eq!(fs.copy("/root/from", "/root/to").await.unwrap(), 100_000);
    assert!(fs.read("/root/b").await.unwrap() == noise(100_000));
    assert_eq!(fs.metadata("/root/b").await.unwrap().mode(), 0o751);
    assert_eq!(fs.read_link("/root/to").await.unwrap(), "b");
    assert_eq!(fs.copy("/root/a", "/root/a").await.unwrap(), 100_000);
    assert_eq!(fs.copy("/root/a", "/dev/null").await.unwrap(), 100_000);
    fs.set_permissions("/root", 0o2755).await.unwrap();
    fs.set_permissions("/root", 0o700).await.unwrap();
    assert_eq!(fs.metadata("/root").await.unwrap().mode(), 0o700);
    assert_eq!(names(&fs).await, ["a", "b", "from", "to"]);
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_is_sent() {
    let world = World::start().await;
    let fs = launch(&world).await.fs();
    let execs = count(&world, "execVm");
    let mut errors: Vec<Error> = Vec::new();
    for path in ["", "relative", "./a", "~/a", "/a\0b"] {
        errors.push(fs.read(path).await.unwrap_err());
        errors.push(fs.write(path, noise(2 * MIB)).await.unwrap_err());
        errors.push(fs.rename("/root", path).await.unwrap_err());
        errors.push(fs.symlink("/root", path).await.unwrap_err());
    }
    errors.push(fs.symlink("", "/root/x").await.unwrap_err());
    errors.push(fs.set_permissions("/root", 0o10000).await.unwrap_err());
    for error in errors {
        assert!(error.is_invalid_input(), "{error}");
        assert!(error.path().is_some(), "{error}");
        assert_eq!(error.outcome(), Outcome::NotSent);
    }
    assert_eq!(execs(), 0);
}

#[tokio::test]
async fn a_call_can_be_sent_to_another_task() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let call = vm.fs().write("/root/a", "x");
    tokio::spawn(call).await.unwrap().unwrap();
    assert_eq!(vm.fs().read("/root/a").await.unwrap(), b"x");
}
