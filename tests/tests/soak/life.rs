//! The life of a VM: launched, used by all verbs in some order, each result looked at, and deleted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use fastrand::Rng;
use fastvm::types::{AccessMode, VmStatus};
use fastvm::{Cleanup, Client, Error, LineSource, Outcome, Vm};
use futures_util::TryStreamExt;

use crate::tally::Failed;
use crate::{REQUEST_TIMEOUT, World, names};

type Done = Result<(), Failed>;

// The limits of what is done here, from those that the documentation states and this client sets.

/// Three attempts and the pauses between them.
const CALL: Duration = Duration::from_secs(3 * REQUEST_TIMEOUT.as_secs() + 2);
/// A command of a moment: its call is limited, or its connection breaks.
const COMMAND: Duration = Duration::from_secs(10);
/// How long a launch or snapshot is waited for.
const WAIT: Duration = Duration::from_secs(10);
/// A lost answer is looked for, for up to 45 s; then the VM is waited for, and deleted for up to 30 s.
const LAUNCH: Duration = Duration::from_secs(REQUEST_TIMEOUT.as_secs() + 45 + WAIT.as_secs() + 30);
/// Storage that does nothing for so long is given up.
const STALL: Duration = Duration::from_secs(2);
/// How long a step of a transfer may take in the VM.
const STEP: Duration = Duration::from_secs(10);
/// Three attempts of a signed URL and of storage, two steps thrice, the removal of what was staged.
const TRANSFER: Duration = Duration::from_secs(3 * (CALL.as_secs() + 8) + 2 * 3 * 10 + 30);

/// What is known of a command that left its mark in the VM.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ran {
    Once,
    Never,
    Perhaps,
}

struct Life<'a> {
    world: &'a World,
    client: &'a Client,
    rng: &'a mut Rng,
    vm: Vm,
    /// Where this VM's local files are.
    folder: PathBuf,
    marks: BTreeMap<String, Ran>,
    /// A transfer failed: what it staged is removed as well as that can be done.
    has_failed_transfer: bool,
    /// It was paused: a pause that was sent twice may do so again at any moment.
    has_paused: bool,
}

/// From launch to deletion. A thorough life has each verb once.
pub(crate) async fn live(world: &World, client: &Client, rng: &mut Rng, is_thorough: bool) {
    let number = world.next();
    let Some(vm) = launch(world, client, rng, number).await else {
        return;
    };
    let folder = world.folder.path().join(number.to_string());
    std::fs::create_dir(&folder).unwrap();
    let mut life = Life {
        world,
        client,
        rng,
        vm,
        folder,
        marks: BTreeMap::new(),
        has_failed_transfer: false,
        has_paused: false,
    };
    let verbs: Vec<u8> = match is_thorough {
        true => (0..VERBS).collect(),
        false => (0..life.rng.usize(4..12))
            .map(|_| life.rng.u8(..VERBS))
            .collect(),
    };
    for verb in verbs {
        if world.is_over.load(Ordering::Relaxed) {
            break;
        }
        let is_alive = match life.act(verb).await {
            Ok(()) => true,
            Err(failed) => life.goes_on(&failed).await,
        };
        if !is_alive {
            return life.end(false).await;
        }
    }
    life.end(true).await;
}

const VERBS: u8 = 16;

async fn launch(world: &World, client: &Client, rng: &mut Rng, number: usize) -> Option<Vm> {
    let name = format!("life-{number}");
    let launch = client
        .vms()
        .launch("c1m2")
        .name(&name)
        .metadata("life", number.to_string());
    let launch = launch.wait_timeout(WAIT);
    if rng.u8(..12) == 0 {
        // Given up at any moment: what has come about by then goes by itself.
        let moment = Duration::from_millis(rng.u64(..60));
        let launched = tokio::time::timeout(moment, launch).await;
        if let Ok(Ok(vm)) = launched {
            drop(vm.into_guard());
        }
        return None;
    }
    match world.tally.act("launch", LAUNCH, launch).await {
        Ok(vm) => {
            world
                .tally
                .same("the status of a launch", &vm.status, &VmStatus::Running);
            world.tally.same("the name of a launch", &vm.name, &name);
            Some(vm)
        }
        Err(failed) => {
            note_what_is_left(world, &failed, &name);
            None
        }
    }
}

/// A failed launch has deleted its VM, or says that it could not, or could not find out.
fn note_what_is_left(world: &World, failed: &Failed, name: &str) {
    let Failed::With(error) = failed else { return };
    let is_left = match error.cleanup() {
        Some(Cleanup::Failed(_)) => true,
        Some(_) => false,
        None => error.outcome() == Outcome::Unknown && error.vm_id().is_none(),
    };
    if is_left {
        world.tally.told_of(format!("VM {name}"));
    }
}

impl Life<'_> {
    async fn act(&mut self, verb: u8) -> Done {
        match verb {
            0 => self.run().await,
            1 => self.stream().await,
            2 => self.lines().await,
            3 => self.command().await,
            4 => self.child().await,
            5 => self.files().await,
            6 => self.transfer_bytes().await,
            7 => self.transfer_file().await,
            8 => self.transfer_folder().await,
            9 => self.snapshot().await,
            10 => self.fork().await,
            11 => self.pause().await,
            12 => self.service().await,
            13 => self.volume().await,
            14 => self.list().await,
            _ => match self.rng.bool() {
                true => self.sweep().await,
                false => self.lease().await,
            },
        }
    }

    /// A text that nothing else has, which a command is to leave in the VM.
    fn mark(&mut self) -> String {
        let mark = format!("mark-{}", self.world.next());
        self.marks.insert(mark.clone(), Ran::Perhaps);
        mark
    }

    /// What is known now of the command with this mark.
    fn knows<T>(&mut self, mark: &str, result: &Result<T, Failed>) {
        let ran = match result {
            Ok(_) => Ran::Once,
            Err(Failed::With(error)) if error.outcome() != Outcome::Unknown => Ran::Never,
            Err(_) => Ran::Perhaps,
        };
        self.marks.insert(mark.to_owned(), ran);
    }

    async fn run(&mut self) -> Done {
        let (mark, code) = (self.mark(), self.rng.i64(0..4));
        let line = format!("echo {mark} >> /root/marks; echo {mark}; echo err >&2; exit {code}");
        let run = self.vm.run(line).request_timeout(COMMAND);
        let result = self.world.tally.act("run", COMMAND, run).await;
        self.knows(&mark, &result);
        let out = result?;
        let found = (out.stdout.as_str(), out.stderr.as_str(), out.exit_code);
        let expected = (format!("{mark}\n"), "err\n", code);
        let expected = (expected.0.as_str(), expected.1, expected.2);
        self.world.tally.same("a run", &found, &expected);
        Ok(())
    }

    async fn stream(&mut self) -> Done {
        let (mark, code, last) = (self.mark(), self.rng.i32(0..4), self.rng.usize(1..20_000));
        let line = format!("echo {mark} >> /root/marks; seq {last}; echo err >&2; exit {code}");
        let stream = self.vm.stream(line);
        let work = async { stream.await?.output().await.map_err(Error::from) };
        let result = self.world.tally.act("stream", COMMAND, work).await;
        self.knows(&mark, &result);
        let out = result?;
        let expected: String = (1..=last).map(|number| format!("{number}\n")).collect();
        let found = (out.stdout.as_slice(), out.stderr.as_slice(), out.exit.code);
        let expected = (expected.as_bytes(), b"err\n".as_slice(), code);
        self.world.tally.same("a stream", &found, &expected);
        Ok(())
    }

    async fn lines(&mut self) -> Done {
        let last = self.rng.usize(1..2000);
        let given_up = self.rng.bool().then(|| self.rng.usize(..last));
        let stream = self.vm.stream(format!("seq {last}"));
        let work = async {
            let mut lines = stream.await?.lines();
            let mut count = 0;
            while let Some(line) = lines.try_next().await? {
                if given_up == Some(count) {
                    break;
                }
                count += 1;
                let next = count.to_string();
                if line.source == LineSource::Stdout && line.text == next && line.is_terminated {
                    continue;
                }
                // What has come of a line when the stream breaks; why it did comes behind.
                if !line.is_terminated && next.starts_with(&line.text) {
                    lines.try_next().await?;
                }
                return Ok(Err(line));
            }
            Ok::<_, Error>(Ok(count))
        };
        match self.world.tally.act("lines", COMMAND, work).await? {
            Ok(count) => {
                let expected = given_up.unwrap_or(last);
                self.world
                    .tally
                    .same("the number of lines", &count, &expected);
            }
            Err(line) => self
                .world
                .tally
                .wrong(format!("no line of these: {line:?}")),
        }
        Ok(())
    }

    async fn command(&mut self) -> Done {
        let mark = self.mark();
        let texts = [
            "",
            " ",
            "$HOME `id` \"' \\",
            "-n",
            "*",
            "zwölf\n",
            "a=b",
            "%s",
        ];
        let args: Vec<&str> = (0..self.rng.usize(1..6))
            .map(|_| texts[self.rng.usize(..texts.len())])
            .collect();
        let input = noise(self.rng, 5000);
        let script = r#"echo "$MARK" >> /root/marks; cat >&2; printf '%s\0' "$@""#;
        let command = self
            .vm
            .command("sh")
            .args(["-c", script, "sh"])
            .args(args.clone());
        let command = command
            .env("MARK", &mark)
            .current_dir("/")
            .stdin(input.clone());
        let work = async { command.output().await.map_err(Error::from) };
        let result = self.world.tally.act("command", COMMAND, work).await;
        self.knows(&mark, &result);
        let out = result?;
        let expected: String = args.iter().map(|arg| format!("{arg}\0")).collect();
        self.world
            .tally
            .same("arguments", &out.stdout.as_slice(), &expected.as_bytes());
        self.world.tally.same("input", &out.stderr, &input);
        Ok(())
    }

    async fn child(&mut self) -> Done {
        let vm = self.vm.clone();
        let work = async {
            let mut child = vm
                .command("sleep")
                .arg("600")
                .kill_on_drop(true)
                .spawn()
                .await?;
            child.kill().await?;
            child.wait().await
        };
        // A signal is a command of its own, for up to 30 s.
        let limit = COMMAND + Duration::from_secs(30);
        let status = self.world.tally.act("spawn and kill", limit, work).await?;
        self.world
            .tally
            .same("the code of a killed child", &status.code, &137);
        Ok(())
    }

    async fn files(&mut self) -> Done {
        let tally = &self.world.tally;
        let fs = self.vm.fs();
        let name = format!("/root/file {}", self.world.next());
        let moved = format!("{name}*");
        let data = noise(self.rng, 30_000);
        tally
            .act("fs write", COMMAND, fs.write(&name, data.clone()))
            .await?;
        let found = tally.act("fs read", COMMAND, fs.read(&name)).await?;
        tally.same("a file of fs", &found, &data);
        tally
            .act("fs append", COMMAND, fs.append(&name, "more"))
            .await?;
        let metadata = tally
            .act("fs metadata", COMMAND, fs.metadata(&name))
            .await?;
        tally.same("a length", &metadata.len(), &(data.len() as u64 + 4));
        tally
            .act("fs rename", COMMAND, fs.rename(&name, &moved))
            .await?;
        let is_there = tally.act("fs exists", COMMAND, fs.exists(&name)).await?;
        tally.same("a renamed file exists", &is_there, &false);
        let entries = tally
            .act("fs read_dir", COMMAND, fs.read_dir("/root"))
            .await?;
        let is_listed = entries
            .iter()
            .any(|entry| entry.path().as_bytes() == moved.as_bytes());
        tally.same("a file is listed", &is_listed, &true);
        tally
            .act("fs remove_file", COMMAND, fs.remove_file(&moved))
            .await
    }

    async fn transfer_bytes(&mut self) -> Done {
        let remote = format!("/root/bytes-{}", self.world.next());
        let length = self.rng.usize(..600_000);
        let data = noise(self.rng, length);
        let upload = self.vm.upload_bytes(data.clone(), &remote);
        let upload = upload
            .verify(true)
            .stall_timeout(STALL)
            .exec_timeout(STEP)
            .fetch_timeout(STEP);
        let uploaded = self.world.tally.act("upload bytes", TRANSFER, upload).await;
        self.has_failed_transfer |= uploaded.is_err();
        uploaded?;
        let download = self.vm.download_bytes(&remote);
        let download = download
            .verify(true)
            .stall_timeout(STALL)
            .exec_timeout(STEP);
        let downloaded = self
            .world
            .tally
            .act("download bytes", TRANSFER, download)
            .await;
        self.has_failed_transfer |= downloaded.is_err();
        self.world
            .tally
            .same("bytes that came back", &&downloaded?[..], &&data[..]);
        Ok(())
    }

    async fn transfer_file(&mut self) -> Done {
        let name = format!("file-{}", self.world.next());
        let (local, remote) = (self.folder.join(&name), format!("/root/{name}"));
        let length = self.rng.usize(..600_000);
        let data = noise(self.rng, length);
        std::fs::write(&local, &data).unwrap();
        self.up(&local, &remote).await?;
        let target = self.folder.join(format!("{name}-back"));
        std::fs::write(&target, "as it was").unwrap();
        let result = self.down(&remote, &target).await;
        let expected = if result.is_ok() {
            &data[..]
        } else {
            b"as it was"
        };
        let found = std::fs::read(&target).unwrap();
        self.world
            .tally
            .same("a file that came back", &found.as_slice(), &expected);
        result
    }

    async fn transfer_folder(&mut self) -> Done {
        let name = format!("folder-{}", self.world.next());
        let (local, remote) = (self.folder.join(&name), format!("/root/{name}"));
        for part in ["", "empty", "deep/deeper"] {
            std::fs::create_dir_all(local.join(part)).unwrap();
        }
        for file in ["one", "two words", "deep/[three]", "deep/deeper/-four"] {
            let length = self.rng.usize(..60_000);
            std::fs::write(local.join(file), noise(self.rng, length)).unwrap();
        }
        self.up(&local, &remote).await?;
        let target = self.folder.join(format!("{name}-back"));
        let result = self.down(&remote, &target).await;
        match &result {
            Ok(()) => {
                let (found, expected) = (tree(&target), tree(&local));
                self.world
                    .tally
                    .same("a folder that came back", &found, &expected);
            }
            Err(_) => self
                .world
                .tally
                .same("a folder that did not come", &target.exists(), &false),
        }
        result
    }

    async fn up(&mut self, local: &Path, remote: &str) -> Done {
        let upload = self.vm.upload(local, remote).verify(true);
        let upload = upload
            .stall_timeout(STALL)
            .exec_timeout(STEP)
            .fetch_timeout(STEP);
        let verb = if local.is_dir() {
            "upload folder"
        } else {
            "upload file"
        };
        if self.rng.u8(..8) == 0 {
            let moment = Duration::from_millis(self.rng.u64(..60));
            let _ = tokio::time::timeout(moment, upload.into_future()).await;
            self.has_failed_transfer = true;
            let upload = self.vm.upload(local, remote).verify(true);
            let upload = upload
                .stall_timeout(STALL)
                .exec_timeout(STEP)
                .fetch_timeout(STEP);
            return self.world.tally.act("upload again", TRANSFER, upload).await;
        }
        let result = self.world.tally.act(verb, TRANSFER, upload).await;
        self.has_failed_transfer |= result.is_err();
        result
    }

    async fn down(&mut self, remote: &str, target: &Path) -> Done {
        let is_folder = remote.contains("folder");
        let download = self.vm.download(remote, target).verify(true);
        let download = download.stall_timeout(STALL).exec_timeout(STEP);
        let verb = if is_folder {
            "download folder"
        } else {
            "download file"
        };
        let result = self.world.tally.act(verb, TRANSFER, download).await;
        self.has_failed_transfer |= result.is_err();
        result
    }

    /// Writes a text that a copy of this VM has to have.
    async fn prepare(&mut self) -> Result<String, Failed> {
        let text = format!("prepared-{}", self.world.next());
        let write = self.vm.fs().write("/root/prepared", text.clone());
        self.world.tally.act("fs write", COMMAND, write).await?;
        Ok(text)
    }

    /// A copy has what was prepared; then it goes.
    async fn check_copy(&mut self, copy: Vm, text: &str) {
        let read = copy.fs().read_to_string("/root/prepared");
        if let Ok(found) = self
            .world
            .tally
            .act("fs read_to_string", COMMAND, read)
            .await
        {
            self.world
                .tally
                .same("what a copy has", &found.as_str(), &text);
        }
        drop(copy.into_guard());
    }

    async fn snapshot(&mut self) -> Done {
        let text = self.prepare().await?;
        let name = format!("snapshot-{}", self.world.next());
        let taking = self.vm.snapshot(&name).wait_timeout(WAIT);
        let limit = REQUEST_TIMEOUT + WAIT + Duration::from_secs(30);
        let taken = self.world.tally.act("snapshot", limit, taking).await;
        let Ok(snapshot) = taken else {
            // The documentation says that it may be there all the same.
            self.world.tally.told_of(format!("snapshot {name}"));
            return taken.map(drop);
        };
        let copy = format!("restored-{}", self.world.next());
        let metadata = BTreeMap::from([("copy".to_owned(), copy.clone())]);
        let restore = self
            .client
            .vms()
            .restore(&snapshot.id)
            .name(&copy)
            .set_metadata(metadata);
        let restored = self
            .world
            .tally
            .act("restore", LAUNCH, restore.wait_timeout(WAIT))
            .await;
        match restored {
            Ok(restored) => self.check_copy(restored, &text).await,
            Err(failed) => note_what_is_left(self.world, &failed, &copy),
        }
        let deletion = self.client.snapshots().delete(&snapshot.id);
        let deleted = self
            .world
            .tally
            .act("delete snapshot", CALL, deletion)
            .await;
        if deleted.is_err() {
            self.world.tally.told_of(format!("snapshot {name}"));
        }
        deleted.map(drop)
    }

    async fn fork(&mut self) -> Done {
        let text = self.prepare().await?;
        let number = self.world.next();
        let each = move |index: usize, launch: fastvm::Launch| {
            let metadata = BTreeMap::from([("fork".to_owned(), format!("{number}-{index}"))]);
            launch
                .name(format!("fork-{number}-{index}"))
                .set_metadata(metadata)
        };
        let fork = self.vm.fork(2).each(each).wait_timeout(WAIT);
        let copies = self.world.tally.act("fork", LAUNCH * 2, fork).await?;
        for (index, copy) in copies.into_iter().enumerate() {
            let name = format!("fork-{number}-{index}");
            match self
                .world
                .tally
                .act("copy of a fork", CALL, std::future::ready(copy))
                .await
            {
                Ok(copy) => self.check_copy(copy, &text).await,
                Err(failed) => note_what_is_left(self.world, &failed, &name),
            }
        }
        Ok(())
    }

    async fn pause(&mut self) -> Done {
        self.has_paused = true;
        let tally = &self.world.tally;
        let paused = tally.act("pause", CALL, self.vm.pause()).await?;
        tally.same(
            "the status after a pause",
            &paused.status,
            &VmStatus::Paused,
        );
        // Whatever else happens to it, a paused VM runs nothing.
        let run = self.vm.run("true").request_timeout(COMMAND).await;
        tally.same("a command of a paused VM succeeds", &run.is_ok(), &false);
        let resumed = tally.act("resume", CALL, self.vm.resume()).await?;
        tally.same(
            "the status after a resume",
            &resumed.status,
            &VmStatus::Running,
        );
        Ok(())
    }

    async fn service(&mut self) -> Done {
        let tally = &self.world.tally;
        let name = format!("web-{}", self.world.next());
        let url = tally
            .act("expose", CALL, self.vm.expose(&name, 8080))
            .await?;
        tally.same("the URL of a service", &url.contains(&name), &true);
        let services = tally
            .act("list services", CALL, self.vm.services().list())
            .await?;
        let is_listed = services.iter().any(|service| service.name == name);
        tally.same("a service is listed", &is_listed, &true);
        let deletion = self.vm.services().delete(&name);
        tally.act("delete service", CALL, deletion).await.map(drop)
    }

    async fn volume(&mut self) -> Done {
        let tally = &self.world.tally;
        let name = format!("volume-{}", self.world.next());
        let volumes = self.client.volumes();
        let creation = volumes.create(&name, 1, AccessMode::Rw).wait_until_ready();
        let limit = CALL + Duration::from_secs(30);
        let created = tally
            .act("create volume", limit, creation.wait_timeout(WAIT))
            .await;
        // It is this program's to delete, whatever comes.
        tally.told_of(format!("volume {name}"));
        let volume = created?;
        let path = format!("/mnt/{name}");
        let attachment = self
            .vm
            .attach_volume(&volume.id, &path, "rw")
            .wait_timeout(WAIT);
        tally.act("attach volume", limit, attachment).await?;
        let file = format!("{path}/file");
        tally
            .act("fs write", COMMAND, self.vm.fs().write(&file, name.clone()))
            .await?;
        let read = self.vm.fs().read_to_string(&file);
        let found = tally.act("fs read_to_string", COMMAND, read).await?;
        tally.same("a file of a volume", &found, &name);
        let detaching = self.vm.volumes().detach(&volume.id);
        tally.act("detach volume", CALL, detaching).await?;
        tally
            .act("delete volume", CALL, volumes.delete(&volume.id))
            .await
            .map(drop)
    }

    async fn list(&mut self) -> Done {
        let number = self.vm.metadata["life"].clone();
        let list = self.client.vms().list().metadata("life", &number);
        let listed = self.world.tally.act("list", CALL, list).await?;
        let ids: Vec<&str> = listed.iter().map(|vm| vm.id.as_str()).collect();
        self.world
            .tally
            .same("the VMs with a label", &ids, &vec![self.vm.id.as_str()]);
        Ok(())
    }

    async fn sweep(&mut self) -> Done {
        let tally = &self.world.tally;
        let label = self.world.next().to_string();
        let vms = self.client.vms();
        let many = vms.launch_many(3, |index| {
            let launch = vms.launch("c1m2").name(format!("swept-{label}-{index}"));
            launch.metadata("swept", &label).wait_timeout(WAIT)
        });
        let launching = async { Ok::<_, Error>(many.await) };
        let launched = tally.act("launch many", LAUNCH, launching).await?;
        let mut up = Vec::new();
        for (index, vm) in launched.into_iter().enumerate() {
            match tally.act("one of many", CALL, std::future::ready(vm)).await {
                Ok(vm) => up.push(vm.id.clone()),
                Err(failed) => {
                    note_what_is_left(self.world, &failed, &format!("swept-{label}-{index}"));
                }
            }
        }
        loop {
            let sweep = vms.sweep().metadata("swept", &label);
            match tally
                .act("sweep", CALL + Duration::from_secs(60), sweep)
                .await
            {
                Ok(swept) if swept.failed.is_empty() => break,
                Ok(_) | Err(Failed::With(_)) => {}
                Err(hung) => return Err(hung),
            }
        }
        for id in up {
            if let Ok(vm) = vms.retrieve(&id).await {
                tally.wrong(format!("{} outlives its sweep: {}", vm.name, vm.status));
            }
        }
        Ok(())
    }

    async fn lease(&mut self) -> Done {
        let tally = &self.world.tally;
        let name = format!("leased-{}", self.world.next());
        let length = Duration::from_secs(20);
        let launch = self
            .client
            .vms()
            .launch("c1m2")
            .name(&name)
            .wait_timeout(WAIT);
        let lease = match tally.act("lease", LAUNCH, launch.lease(length)).await {
            Ok(lease) => lease,
            Err(failed) => {
                note_what_is_left(self.world, &failed, &name);
                return Ok(());
            }
        };
        let run = lease.run("echo leased").request_timeout(COMMAND);
        if let Ok(out) = tally.act("run", COMMAND, run).await {
            tally.same("a run of a leased VM", &out.stdout.as_str(), &"leased\n");
        }
        if self.rng.bool() {
            let id = lease.id.clone();
            // Deletions are tried for up to 30 s.
            let limit = Duration::from_secs(40);
            tally.act("close lease", limit, lease.close()).await?;
            if let Ok(vm) = self.client.vms().retrieve(&id).await {
                tally.wrong(format!("{} outlives its lease: {}", vm.name, vm.status));
            }
        }
        Ok(())
    }

    /// Whether the VM can be used further after a failure. An error that only a VM that is gone
    /// explains needs one that is.
    async fn goes_on(&mut self, failed: &Failed) -> bool {
        let Failed::With(error) = failed else {
            return false;
        };
        let error = format!("{:?}: {error}", error.status());
        let says_gone =
            error.starts_with("Some(404)") || (error.starts_with("Some(409)") && !self.has_paused);
        for _ in 0..100 {
            match self.client.vms().retrieve(&self.vm.id).await {
                Ok(vm) if vm.status == VmStatus::Running => {
                    if says_gone {
                        self.world.tally.wrong(format!("a VM that runs: {error}"));
                    }
                    return true;
                }
                Ok(vm) if vm.status == VmStatus::Paused => drop(self.vm.resume().await),
                Ok(_) => return false,
                Err(error) if error.is_not_found() => {
                    self.world
                        .tally
                        .wrong(format!("nobody has deleted this VM: {error}"));
                    return false;
                }
                Err(_) => {}
            }
        }
        self.world
            .tally
            .wrong("a VM cannot be asked about".to_owned());
        false
    }

    async fn end(self, is_alive: bool) {
        if is_alive {
            self.check_marks().await;
            self.check_temporary_files().await;
        }
        for name in names(&self.folder) {
            if name.starts_with('.') {
                self.world
                    .tally
                    .wrong(format!("a download has left {name}"));
            }
        }
        std::fs::remove_dir_all(&self.folder).unwrap();
        let deletion = self.vm.clone().into_guard().close();
        let limit = Duration::from_secs(40);
        if self
            .world
            .tally
            .act("delete", limit, deletion)
            .await
            .is_err()
        {
            self.world.tally.told_of(format!("VM {}", self.vm.name));
        }
    }

    /// Commands have run as often as their results say.
    async fn check_marks(&self) {
        let Some(found) = self.insistently("cat /root/marks 2>/dev/null; true").await else {
            return;
        };
        for (mark, ran) in &self.marks {
            let times = found.lines().filter(|line| line == mark).count();
            let is_right = match ran {
                Ran::Once => times == 1,
                Ran::Never => times == 0,
                Ran::Perhaps => times <= 1,
            };
            if !is_right {
                self.world
                    .tally
                    .wrong(format!("{mark} ran {times} times, not {ran:?}"));
            }
        }
    }

    /// What was staged in the VM is gone, be it a little later if a transfer has failed.
    async fn check_temporary_files(&self) {
        let mut left = String::new();
        let tries = if self.has_failed_transfer { 40 } else { 1 };
        for _ in 0..tries {
            let find = "find /tmp /root / -xdev -maxdepth 2 -name '.fastvm-*' 2>/dev/null; true";
            match self.insistently(find).await {
                Some(found) if !found.is_empty() => left = found,
                _ => return,
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        self.world.tally.wrong(format!("left in the VM: {left}"));
    }

    /// What a harmless command puts out, however often it has to be sent. `None` if the VM dies.
    async fn insistently(&self, line: &str) -> Option<String> {
        for _ in 0..100 {
            match self.vm.run(line).request_timeout(COMMAND).await {
                Ok(out) if out.is_success() => return Some(out.stdout.clone()),
                _ => {}
            }
            let asked = self.client.vms().retrieve(&self.vm.id).await;
            if asked.is_ok_and(|vm| vm.status != VmStatus::Running) {
                return None;
            }
        }
        self.world
            .tally
            .wrong("a VM that runs answers nothing".to_owned());
        None
    }
}

fn noise(rng: &mut Rng, length: usize) -> Vec<u8> {
    std::iter::repeat_with(|| rng.u8(..)).take(length).collect()
}

/// All below a folder, with the content of files.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for name in names(folder) {
        let path = folder.join(&name);
        match path.is_dir() {
            true => {
                let below = tree(&path).into_iter();
                found.extend(below.map(|(path, data)| (Path::new(&name).join(path), data)));
                found.insert(name.into(), None);
            }
            false => drop(found.insert(name.into(), Some(std::fs::read(&path).unwrap()))),
        }
    }
    found
}
