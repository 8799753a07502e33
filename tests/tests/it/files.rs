//! Files and folders up and down.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use fastvm::{ErrorKind, Vm};
use fastvm_tests::{Reply, Stub, World, client};

pub(crate) const HARD_NAMES: &[&str] = &[
    "with space",
    "it's",
    "say \"hi\"",
    "ünï-cödé-日本",
    "[a-z]",
    "{x,y}",
    "*",
    "$HOME",
    "-rf",
    "line\nbreak",
    "a\\b",
    "~",
];

pub(crate) async fn launch(world: &World) -> Vm {
    world.client.vms().launch("c1m2").await.unwrap()
}

/// Every path below a folder with its mode and contents, or where a link leads.
pub(crate) fn listing(folder: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(current) = open.pop() {
        for entry in fs::read_dir(&current).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let name = path
                .strip_prefix(folder)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            let mode = if metadata.is_symlink() {
                0
            } else {
                metadata.permissions().mode() & 0o777
            };
            let contents = if metadata.is_symlink() {
                fs::read_link(&path)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
                    .into_bytes()
            } else if metadata.is_dir() {
                open.push(path);
                Vec::new()
            } else {
                fs::read(&path).unwrap()
            };
            found.push((name, mode, contents));
        }
    }
    found.sort();
    found
}

pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let step = |_| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as u8
    };
    (0..length).map(step).collect()
}

#[tokio::test]
async fn files_of_any_size_come_back_byte_for_byte() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let folder = tempfile::tempdir().unwrap();
    for size in [0, 1, 5 * 1024 * 1024 + 7] {
        let (here, back) = (folder.path().join("here"), folder.path().join("new/back"));
        fs::write(&here, noise(size)).unwrap();
        world
            .client
            .upload(&vm.id, &here, "/root/deep/er/file")
            .await
            .unwrap();
        world
            .client
            .download(&vm.id, "/root/deep/er/file", &back)
            .await
            .unwrap();
        assert!(fs::read(&back).unwrap() == noise(size), "{size} bytes");
    }
}

#[tokio::test]
async fn a_folder_keeps_its_shape_modes_links_and_names() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("here");
    fs::create_dir_all(here.join("a/b/c")).unwrap();
    fs::create_dir(here.join("empty")).unwrap();
    for (name, mode) in [("run.sh", 0o755), ("secret", 0o600), ("plain", 0o644)] {
        fs::write(here.join(name), name).unwrap();
        fs::set_permissions(here.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink("plain", here.join("link")).unwrap();
    symlink("nowhere", here.join("dangling")).unwrap();
    for name in HARD_NAMES {
        fs::write(here.join("a/b").join(name), name).unwrap();
    }
    fs::write(here.join(format!("long-{}", "x".repeat(200))), "long").unwrap();

    vm.upload(&here, "/root/new/place").await.unwrap();
    let seen = vm
        .run("cd new/place && stat -c %a run.sh secret && readlink link && ls a/b | wc -l")
        .await
        .unwrap();
    assert_eq!(
        seen.stdout,
        format!("755\n600\nplain\n{}\n", HARD_NAMES.len() + 2),
        "c, and a name of two lines"
    );
    assert_eq!(
        vm.run("stat -c %u new/place/plain; ls -A /tmp")
            .await
            .unwrap()
            .stdout,
        "0\n"
    );
    let back = folder.path().join("deep/back");
    vm.download("/root/new/place", &back).await.unwrap();
    assert_eq!(listing(&back), listing(&here));
}

#[tokio::test]
async fn what_is_there_stays_and_same_names_are_replaced() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let (here, back) = (folder.path().join("here"), folder.path().join("back"));
    for path in ["here/sub", "back/sub"] {
        fs::create_dir_all(folder.path().join(path)).unwrap();
    }
    fs::write(here.join("sub/same"), "new").unwrap();
    vm.run("mkdir -p t/sub && echo -n old > t/sub/same && echo -n kept > t/sub/kept")
        .await
        .unwrap();
    vm.upload(&here, "/root/t").await.unwrap();
    assert_eq!(
        vm.run("cat t/sub/same t/sub/kept").await.unwrap().stdout,
        "newkept"
    );

    fs::write(back.join("sub/same"), "old").unwrap();
    fs::write(back.join("sub/mine"), "mine").unwrap();
    vm.download("/root/t", &back).await.unwrap();
    let names: Vec<_> = listing(&back)
        .into_iter()
        .map(|(name, _, data)| (name, data))
        .collect();
    let file = |name: &str, data: &str| (name.to_owned(), data.as_bytes().to_vec());
    assert_eq!(
        names,
        [
            file("sub", ""),
            file("sub/kept", "kept"),
            file("sub/mine", "mine"),
            file("sub/same", "new")
        ]
    );
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        2,
        "nothing temporary is left"
    );
}

#[tokio::test]
async fn target_names_can_be_anything_for_files_and_folders() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let folder = tempfile::tempdir().unwrap();
    for name in HARD_NAMES {
        let local = folder.path().join(name);
        fs::write(&local, name).unwrap();
        let (file, tree) = (format!("/root/files/{name}"), format!("/root/{name}"));
        vm.upload(&local, &file).await.unwrap();
        let back = folder.path().join("back").join(name);
        vm.download(&file, &back).await.unwrap();
        assert_eq!(fs::read_to_string(&back).unwrap(), *name);
        fs::remove_file(&local).unwrap();
        fs::create_dir(&local).unwrap();
        fs::write(local.join("inside"), name).unwrap();
        vm.upload(&local, &tree).await.unwrap();
        let back = folder.path().join("trees").join(name);
        vm.download(&tree, &back).await.unwrap();
        assert_eq!(fs::read_to_string(back.join("inside")).unwrap(), *name);
    }
}

#[tokio::test]
async fn a_folder_replaces_a_link_of_its_name_and_never_follows_it() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let (here, back, outside) = (
        folder.path().join("here"),
        folder.path().join("back"),
        folder.path().join("outside"),
    );
    for path in [
        here.join("link"),
        here.join("file"),
        back.clone(),
        outside.clone(),
    ] {
        fs::create_dir_all(path).unwrap();
    }
    fs::write(here.join("link/f"), "new").unwrap();
    fs::write(here.join("file/f"), "new").unwrap();
    vm.run("mkdir /d /out && cd /d && printf kept > /out/f && ln -s ../out link && touch file")
        .await
        .unwrap();
    vm.upload(&here, "/d").await.unwrap();
    let seen = vm
        .run("cat /out/f /d/link/f /d/file/f; readlink /d/link || echo ' no link'")
        .await
        .unwrap();
    assert_eq!(seen.stdout, "keptnewnew no link\n");

    fs::write(outside.join("f"), "kept").unwrap();
    fs::write(back.join("file"), "old").unwrap();
    symlink("../outside", back.join("link")).unwrap();
    vm.download("/d", &back).await.unwrap();
    assert_eq!(fs::read(outside.join("f")).unwrap(), b"kept");
    assert_eq!(listing(&back), listing(&here));
}

#[tokio::test]
async fn a_folder_with_something_in_it_is_not_replaced_by_a_file() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let (here, back) = (folder.path().join("here"), folder.path().join("back"));
    fs::create_dir_all(&here).unwrap();
    fs::create_dir_all(back.join("name")).unwrap();
    fs::write(here.join("name"), "new").unwrap();
    fs::write(back.join("name/kept"), "kept").unwrap();
    vm.run("mkdir -p /d/name && touch /d/name/kept; mkdir /e && touch /e/name")
        .await
        .unwrap();
    assert_eq!(
        vm.upload(&here, "/d").await.unwrap_err().kind(),
        ErrorKind::Transfer
    );
    assert_eq!(vm.run("ls /d/name").await.unwrap().stdout, "kept\n");
    let error = vm.download("/e", &back).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::Io, back.join("name").to_str())
    );
    assert_eq!(fs::read(back.join("name/kept")).unwrap(), b"kept");
}

#[tokio::test]
async fn hard_links_and_files_that_say_they_are_empty_arrive_whole() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let folder = tempfile::tempdir().unwrap();
    vm.run("mkdir /h && printf x > /h/a && ln /h/a /h/b")
        .await
        .unwrap();
    let back = folder.path().join("back");
    vm.download("/h", &back).await.unwrap();
    assert_eq!(
        (
            fs::read(back.join("a")).unwrap(),
            fs::read(back.join("b")).unwrap()
        ),
        (b"x".to_vec(), b"x".to_vec())
    );
    vm.download("/proc/version", folder.path().join("version"))
        .await
        .unwrap();
    assert!(
        fs::read_to_string(folder.path().join("version"))
            .unwrap()
            .starts_with("Linux")
    );
    let strange = "/nl\n/f";
    vm.upload(back.join("a"), strange).await.unwrap();
    vm.download(strange, folder.path().join("strange"))
        .await
        .unwrap();
    assert_eq!(fs::read(folder.path().join("strange")).unwrap(), b"x");
}

#[tokio::test]
async fn thousands_of_small_files_come_back() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let (here, back) = (folder.path().join("here"), folder.path().join("back"));
    for index in 0..2000 {
        let sub = here.join(format!("{}", index % 20));
        fs::create_dir_all(&sub).unwrap();
        fs::write(sub.join(index.to_string()), index.to_string()).unwrap();
    }
    vm.upload(&here, "/root/many").await.unwrap();
    vm.download("/root/many", &back).await.unwrap();
    assert!(listing(&back) == listing(&here));
}

#[tokio::test]
async fn bad_paths_are_refused_before_anything_is_sent() {
    let stub = Stub::start([Reply::json(500, "{}")]).await;
    let client = client(stub.base_url(), "k");
    let file = tempfile::NamedTempFile::new().unwrap();
    for remote in ["", "relative/path", "/nul\0byte"] {
        assert!(
            client
                .upload("vm-1", file.path(), remote)
                .await
                .unwrap_err()
                .is_invalid_input(),
            "{remote:?}"
        );
        assert!(
            client
                .download("vm-1", remote, "x")
                .await
                .unwrap_err()
                .is_invalid_input(),
            "{remote:?}"
        );
    }
    assert!(
        client
            .upload("vm-1", file.path(), "/root/")
            .await
            .unwrap_err()
            .is_invalid_input()
    );
    let missing = client
        .upload("vm-1", "/no/such/file", "/root/x")
        .await
        .unwrap_err();
    assert_eq!(
        (missing.kind(), missing.path()),
        (ErrorKind::NotFound, Some("/no/such/file"))
    );
    assert!(
        client
            .upload("vm-1", "/dev/null", "/root/x")
            .await
            .unwrap_err()
            .is_invalid_input()
    );
    assert!(stub.requests().is_empty());
}

#[tokio::test]
async fn what_is_missing_in_the_vm_is_not_found_and_leaves_nothing_here() {
    let world = World::start().await;
    let vm = launch(&world).await;
    let folder = tempfile::tempdir().unwrap();
    let error = vm
        .download("/root/nope", folder.path().join("x"))
        .await
        .unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(
        (error.vm_id(), error.path()),
        (Some(vm.id.as_str()), Some("/root/nope"))
    );
    let error = vm
        .download("/dev/null", folder.path().join("x"))
        .await
        .unwrap_err();
    assert!(error.is_invalid_input(), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let error = world
        .client
        .download("no-such-vm", "/root", folder.path().join("x"))
        .await
        .unwrap_err();
    assert!(error.is_not_found() && error.status().is_some());
    vm.run("echo hi > file").await.unwrap();
    let error = vm.download("/root/file", folder.path()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.path()),
        (ErrorKind::Io, folder.path().to_str())
    );
}
