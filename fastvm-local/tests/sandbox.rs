//! What a VM of the local server lets in, keeps out, and leaves behind.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fastvm_local::sandbox::{
    ExecError, ExecSpec, Host, LaunchError, LaunchSpec, MountError, Process, RootKind, Sandbox,
    Stdin, Terminal, TerminalSize,
};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a command has written, and how it ended.
struct Run {
    out: String,
    err: String,
    code: i32,
}

async fn collect(mut process: Process) -> Result<Run> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
    let (mut stdout, mut stderr) = (stdout.ok_or("no stdout")?, stderr.ok_or("no stderr")?);
    tokio::try_join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut err))?;
    let code = process.wait().await?.code();
    Ok(Run {
        out: String::from_utf8(out)?,
        err: String::from_utf8(err)?,
        code,
    })
}

async fn run(vm: &Sandbox, spec: ExecSpec) -> Result<Run> {
    let collected = tokio::time::timeout(PATIENCE, collect(vm.exec(spec).await?));
    collected.await.map_err(|_| "a command hangs")?
}

fn script(script: &str) -> ExecSpec {
    ExecSpec::new(["sh", "-c", script])
}

async fn sh(vm: &Sandbox, text: &str) -> Result<Run> {
    run(vm, script(text)).await
}

/// Output of a script that must succeed.
async fn ok(vm: &Sandbox, text: &str) -> Result<String> {
    let run = sh(vm, text).await?;
    match run.code {
        0 => Ok(run.out.trim_end().to_owned()),
        code => Err(format!("`{text}` ended with {code}: {}{}", run.out, run.err).into()),
    }
}

async fn host() -> Result<(TempDir, Host)> {
    let state = tempfile::tempdir()?;
    let host = Host::probe(state.path()).await?;
    Ok((state, host))
}

async fn vm() -> Result<(TempDir, Host, Sandbox)> {
    let (state, host) = host().await?;
    let vm = host.launch(LaunchSpec::new("1", "box")).await?;
    Ok((state, host, vm))
}

fn own_root(id: &str) -> LaunchSpec {
    let mut spec = LaunchSpec::new(id, "box");
    spec.root = RootKind::Own;
    spec
}

/// A VM with a root directory of its own, which `fill` fills before the launch.
async fn own_vm(fill: impl FnOnce(&Path) -> Result) -> Result<(TempDir, Host, Sandbox)> {
    let (state, host) = host().await?;
    let root = host.root_of("1");
    fs::create_dir(&root)?;
    fill(&root)?;
    let vm = host.launch(own_root("1")).await?;
    Ok((state, host, vm))
}

/// Copies programs of the host into a root directory, with what they are linked to.
fn install(root: &Path, programs: &[&str]) -> Result {
    fs::create_dir_all(root.join("usr/bin"))?;
    fs::create_dir(root.join("root"))?;
    symlink("usr/bin", root.join("bin"))?;
    for program in programs {
        let found = Command::new("sh")
            .args(["-c", "command -v -- \"$1\"", "sh", program])
            .output()?;
        let path = String::from_utf8(found.stdout)?.trim().to_owned();
        let linked = Command::new("ldd").arg(&path).output()?;
        let linked = String::from_utf8(linked.stdout)?;
        let libraries = linked
            .split_whitespace()
            .filter(|word| word.starts_with('/'));
        for file in libraries.chain([path.as_str()]) {
            let to = root.join(file.trim_start_matches('/'));
            fs::create_dir_all(to.parent().ok_or("no folder")?)?;
            if !to.exists() {
                fs::copy(file, to)?;
            }
        }
    }
    Ok(())
}

/// A VM of each kind, with a name. Both have these programs.
async fn vms(programs: &[&str]) -> Result<(TempDir, Host, [(&'static str, Sandbox); 2])> {
    let (state, host, own) = own_vm(|root| install(root, programs)).await?;
    let shared = host.launch(LaunchSpec::new("2", "box")).await?;
    Ok((
        state,
        host,
        [("own root", own), ("host's programs", shared)],
    ))
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) -> Result {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > deadline {
            return Err(format!("not in time: {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_command_gives_its_output_and_its_exit_code() -> Result {
    let (_state, _host, vm) = vm().await?;
    let run = sh(&vm, "echo out; echo err >&2; exit 7").await?;
    assert_eq!(
        (run.out.as_str(), run.err.as_str(), run.code),
        ("out\n", "err\n", 7)
    );
    Ok(())
}

#[tokio::test]
async fn a_command_reads_what_it_is_given_and_then_the_end() -> Result {
    let (_state, _host, vm) = vm().await?;
    let mut spec = ExecSpec::new(["cat"]);
    spec.stdin = Stdin::Bytes(b"hello".repeat(100_000));
    assert_eq!(run(&vm, spec).await?.out.len(), 500_000);
    assert_eq!(run(&vm, ExecSpec::new(["cat"])).await?.out, "");
    Ok(())
}

#[tokio::test]
async fn a_command_need_not_read_its_input() -> Result {
    let (_state, _host, vm) = vm().await?;
    let mut spec = script("exit 4");
    spec.stdin = Stdin::Bytes(vec![0; 10_000_000]);
    assert_eq!(run(&vm, spec).await?.code, 4);
    Ok(())
}

#[tokio::test]
async fn a_command_can_be_talked_to() -> Result {
    let (_state, _host, vm) = vm().await?;
    let mut spec = ExecSpec::new(["cat"]);
    spec.stdin = Stdin::Piped;
    let mut process = vm.exec(spec).await?;
    let mut stdin = process.stdin.take().ok_or("no stdin")?;
    let stdout = process.stdout.as_mut().ok_or("no stdout")?;
    for word in [b"one", b"two"] {
        stdin.write_all(word).await?;
        let mut echo = [0; 3];
        stdout.read_exact(&mut echo).await?;
        assert_eq!(&echo, word);
    }
    drop(stdin);
    assert_eq!(process.wait().await?.code(), 0);
    Ok(())
}

#[tokio::test]
async fn variables_are_those_of_the_vm_and_the_command_and_none_of_the_server() -> Result {
    let (_state, host) = host().await?;
    let mut spec = LaunchSpec::new("1", "box");
    spec.env.insert("FROM_VM".to_owned(), "vm".to_owned());
    spec.env.insert("BOTH".to_owned(), "vm".to_owned());
    let vm = host.launch(spec).await?;
    let mut spec = ExecSpec::new(["env"]);
    spec.env.insert("BOTH".to_owned(), "command".to_owned());
    let out = run(&vm, spec).await?.out;
    let expected = [
        "BOTH=command",
        "FROM_VM=vm",
        "HOME=/root",
        "LANG=C.UTF-8",
        "LOGNAME=root",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TERM=xterm-256color",
        "USER=root",
    ];
    assert_eq!(
        out.lines().collect::<BTreeSet<_>>(),
        BTreeSet::from(expected)
    );
    Ok(())
}

#[tokio::test]
async fn the_working_directory_is_the_home_of_root_unless_told() -> Result {
    let (_state, _host, vm) = vm().await?;
    assert_eq!(ok(&vm, "pwd").await?, "/root");
    let mut spec = ExecSpec::new(["pwd"]);
    spec.cwd = Some("/var/log".to_owned());
    assert_eq!(run(&vm, spec.clone()).await?.out, "/var/log\n");
    spec.cwd = Some("/nowhere".to_owned());
    let error = vm.exec(spec).await.err().ok_or("it ran")?;
    assert!(
        matches!(&error, ExecError::WorkingDirectory { path, .. } if path == "/nowhere"),
        "{error:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_program_that_is_not_there_is_127_and_one_that_cannot_run_is_126() -> Result {
    let (_state, _host, vm) = vm().await?;
    for program in ["no-such-program", "/root/none", ""] {
        let error = vm
            .exec(ExecSpec::new([program]))
            .await
            .err()
            .ok_or("it ran")?;
        assert_eq!(
            (error.exit_code(), error.to_string()),
            (Some(127), format!("{program}: command not found"))
        );
    }
    ok(&vm, "echo text >/root/data; chmod 644 /root/data").await?;
    for program in ["/root/data", "/root"] {
        let error = vm
            .exec(ExecSpec::new([program]))
            .await
            .err()
            .ok_or("it ran")?;
        assert_eq!(error.exit_code(), Some(126), "{error:?}");
    }
    let error = vm
        .exec(ExecSpec::new(["echo", "a\0b"]))
        .await
        .err()
        .ok_or("it ran")?;
    assert!(matches!(error, ExecError::Invalid { .. }), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_program_is_searched_in_the_path_of_the_vm() -> Result {
    let (_state, _host, vm) = vm().await?;
    ok(
        &vm,
        "mkdir bin; printf '#!/bin/sh\necho mine' >bin/mine; chmod 755 bin/mine",
    )
    .await?;
    let mut spec = ExecSpec::new(["mine"]);
    spec.env
        .insert("PATH".to_owned(), "/nowhere:/root/bin:/usr/bin".to_owned());
    assert_eq!(run(&vm, spec).await?.out, "mine\n");
    Ok(())
}

#[tokio::test]
async fn a_signal_is_128_and_its_number() -> Result {
    let (_state, _host, vm) = vm().await?;
    for signal in [1, 9, 11, 13, 15, 34] {
        let process = vm
            .exec(script(&format!("kill -{signal} $$; sleep 10")))
            .await?;
        let exit = process.wait().await?;
        assert_eq!((exit.code(), exit.signal()), (128 + signal, Some(signal)));
    }
    Ok(())
}

#[tokio::test]
async fn much_output_on_both_streams_arrives_whole() -> Result {
    let (_state, _host, vm) = vm().await?;
    let run = sh(
        &vm,
        "head -c 5000000 /dev/zero | tr '\\0' o & head -c 5000000 /dev/zero | tr '\\0' e >&2; wait",
    );
    let run = run.await?;
    assert_eq!(
        (run.out.len(), run.err.len(), run.code),
        (5_000_000, 5_000_000, 0)
    );
    assert!(run.out.bytes().all(|byte| byte == b'o') && run.err.bytes().all(|byte| byte == b'e'));
    Ok(())
}

#[tokio::test]
async fn the_exit_does_not_wait_for_what_runs_in_the_background() -> Result {
    let (_state, _host, vm) = vm().await?;
    let process = vm.exec(script("sleep 1000 & exit 3")).await?;
    assert_eq!(process.wait().await?.code(), 3);
    process.kill().await?;
    // It is the shell until it has become `sleep`.
    ok(&vm, "until [ $(pgrep -cx sleep) = 1 ]; do :; done").await?;
    Ok(())
}

#[tokio::test]
async fn background_processes_are_there_in_the_next_command() -> Result {
    let (_state, _host, vm) = vm().await?;
    let pid = ok(&vm, "sleep 1000 >/dev/null 2>&1 & echo $!").await?;
    // It is the shell until it has become `sleep`.
    ok(&vm, "until [ $(pgrep -cx sleep) = 1 ]; do :; done").await?;
    ok(
        &vm,
        &format!("kill {pid} && while kill -0 {pid} 2>/dev/null; do sleep 0.01; done"),
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn only_processes_of_the_vm_are_seen() -> Result {
    let (_state, host, vm) = vm().await?;
    if host.shows_host_processes() {
        return Ok(());
    }
    let seen = ok(
        &vm,
        "cd /proc; for p in [0-9]*; do cat $p/comm; done 2>/dev/null",
    )
    .await?;
    // The shell, its `cat`, process 1 before and after it has named itself.
    let allowed = ["sh", "dash", "bash", "cat", "init", "memfd:init"];
    assert!(seen.lines().all(|name| allowed.contains(&name)), "{seen}");
    ok(&vm, "until [ $(cat /proc/1/comm) = init ]; do :; done").await?;
    Ok(())
}

#[tokio::test]
async fn processes_of_the_host_cannot_be_signalled() -> Result {
    let (_state, _host, vm) = vm().await?;
    let mut victim = Command::new("sleep")
        .arg("1000")
        .stdout(Stdio::null())
        .spawn()?;
    let pids = format!("{} {}", victim.id(), std::process::id());
    let run = sh(
        &vm,
        &format!("for p in {pids}; do kill -9 $p && echo killed $p; done; kill -9 -1"),
    )
    .await?;
    let still_runs = victim.try_wait()?.is_none();
    victim.kill()?;
    victim.wait()?;
    assert_eq!(run.out, "");
    assert!(still_runs);
    assert!(vm.is_alive());
    Ok(())
}

#[tokio::test]
async fn orphans_leave_no_zombie() -> Result {
    let (_state, host, vm) = vm().await?;
    if host.shows_host_processes() {
        return Ok(());
    }
    ok(
        &vm,
        "for i in 1 2 3 4 5; do sh -c 'sleep 0.01 & ' & done; wait",
    )
    .await?;
    let zombies = "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l";
    ok(
        &vm,
        &format!("until [ $(pgrep -cx sleep) = 0 ]; do sleep 0.01; done; exit $({zombies})"),
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn killing_a_command_ends_its_children_in_whatever_process_group() -> Result {
    let (_state, _host, vm) = vm().await?;
    let process = vm
        .exec(script(
            "sh -c 'sleep 1001 & sleep 1002' & timeout 1000 sleep 1003",
        ))
        .await?;
    ok(&vm, "until [ $(pgrep -cx sleep) = 3 ]; do sleep 0.01; done").await?;
    process.kill().await?;
    let exit = process.wait().await?;
    assert_eq!((exit.code(), exit.signal()), (137, Some(9)));
    ok(
        &vm,
        "until [ $(pgrep -cx 'sleep|timeout') = 0 ]; do sleep 0.01; done",
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_dropped_command_runs_on_and_leaves_no_zombie() -> Result {
    let (_state, _host, vm) = vm().await?;
    let process = vm.exec(script("sleep 0.1; echo done >/root/done")).await?;
    let pid = process.host_pid();
    drop(process);
    ok(&vm, "until [ -s /root/done ]; do sleep 0.01; done").await?;
    until("the command is reaped", || {
        !Path::new(&format!("/proc/{pid}")).exists()
    })
    .await
}

#[tokio::test]
async fn files_of_the_host_are_not_seen() -> Result {
    let (state, _host, vm) = vm().await?;
    let secret = state.path().join("secret");
    fs::write(&secret, "secret")?;
    let seen = ok(&vm, "ls -A / | tr '\\n' ' '").await?;
    let allowed = [
        "bin", "data", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt",
        "opt", "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var",
    ];
    assert!(
        seen.split(' ').all(|name| allowed.contains(&name)),
        "{seen}"
    );
    assert_eq!(
        ok(
            &vm,
            "ls -A /home /root /tmp /sys /opt /mnt /run | grep -v :$"
        )
        .await
        .unwrap_or_default(),
        ""
    );
    let state = state.path().display();
    let manifest = env!("CARGO_MANIFEST_DIR");
    for path in [
        secret.display().to_string(),
        state.to_string(),
        manifest.to_owned(),
        "/etc/shadow".to_owned(),
    ] {
        let run = sh(&vm, &format!("ls '{path}'")).await?;
        assert_ne!(run.code, 0, "{path} is seen: {}", run.out);
    }
    let through_proc =
        format!("ls -d /proc/[0-9]*/root{state} /proc/[0-9]*/cwd{manifest} 2>/dev/null");
    assert_eq!(sh(&vm, &through_proc).await?.out, "");
    Ok(())
}

#[tokio::test]
async fn another_vm_is_not_seen() -> Result {
    let (_state, host, vm) = vm().await?;
    let other = host.launch(LaunchSpec::new("2", "other")).await?;
    ok(&vm, "echo mine >/tmp/mine").await?;
    assert_ne!(sh(&other, "ls /tmp/mine").await?.code, 0);
    assert_eq!(
        (ok(&vm, "hostname").await?, ok(&other, "hostname").await?),
        ("box".to_owned(), "other".to_owned())
    );
    Ok(())
}

#[tokio::test]
async fn the_server_is_not_seen_through_the_descriptors_of_a_command() -> Result {
    let (state, _host, vm) = vm().await?;
    let _open = fs::File::create(state.path().join("open"))?;
    let targets = ok(&vm, "readlink /proc/self/fd/*; true").await?;
    let kinds: Vec<&str> = targets
        .lines()
        .filter_map(|target| target.split(':').next())
        .collect();
    assert_eq!(kinds, ["/dev/null", "pipe", "pipe"]);
    Ok(())
}

#[tokio::test]
async fn the_usual_places_can_be_written_and_usr_cannot() -> Result {
    let (_state, _host, vm) = vm().await?;
    for folder in [
        "/root", "/tmp", "/var/log", "/var/lib", "/etc", "/opt", "/dev/shm", "/run", "/",
    ] {
        ok(
            &vm,
            &format!("echo text >{folder}/file && cat {folder}/file"),
        )
        .await?;
    }
    assert_eq!(
        ok(
            &vm,
            "stat -c %a /root /tmp /dev/shm /var/tmp | tr '\\n' ' '"
        )
        .await?,
        "700 1777 1777 1777"
    );
    let attempts = [
        "echo text >/usr/file",
        "echo text >/bin/file",
        "rm -f /usr/bin/env",
        "mount -o remount,rw,bind /usr",
        "umount /usr",
        "mount -t tmpfs none /mnt",
        "chmod 600 /dev/null",
        "unshare -Urm sh -c 'mount -o remount,rw,bind /usr && echo text >/usr/file'",
    ];
    for attempt in attempts {
        assert_ne!(sh(&vm, attempt).await?.code, 0, "{attempt}");
    }
    assert_eq!(
        fs::metadata("/dev/null")?.permissions().mode() & 0o777,
        0o666
    );
    Ok(())
}

#[tokio::test]
async fn settings_of_the_kernel_cannot_be_written() -> Result {
    let programs = ["sh", "cat", "umount", "mount", "hostname"];
    let (_state, _host, vms) = vms(&programs).await?;
    for (kind, vm) in vms {
        let attempts = [
            "cat /proc/sys/kernel/panic >/proc/sys/kernel/panic",
            "echo h >/proc/sysrq-trigger",
            "umount /proc/sys",
            "mount -o remount,rw,bind /proc/sys",
            "hostname other",
        ];
        for attempt in attempts {
            assert_ne!(sh(&vm, attempt).await?.code, 0, "{kind}: {attempt}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn process_1_cannot_be_stopped_or_traced_from_inside() -> Result {
    let programs = ["sh", "readlink", "ls", "cat"];
    let (_state, _host, vms) = vms(&programs).await?;
    for (kind, vm) in vms {
        let attempts = [
            "readlink /proc/1/exe",
            "ls -l /proc/1/fd/",
            "cat /proc/1/environ",
            "exec 3>/proc/1/fd/0",
            "cat /proc/1/maps",
            "exec 3</proc/1/mem",
        ];
        for attempt in attempts {
            assert_ne!(sh(&vm, attempt).await?.code, 0, "{kind}: {attempt}");
        }
        sh(&vm, "kill -STOP 1; kill -KILL 1").await?;
        let status = fs::read_to_string(format!("/proc/{}/status", vm.host_pid()))?;
        assert!(status.contains("State:\tS"), "{status}");
    }
    Ok(())
}

#[tokio::test]
async fn devices_work() -> Result {
    let programs = ["sh", "head", "wc", "cat", "script", "tr", "tty"];
    let (_state, _host, vms) = vms(&programs).await?;
    for (_, vm) in vms {
        ok(&vm, "echo gone >/dev/null").await?;
        assert_eq!(
            ok(
                &vm,
                "head -c 3 /dev/zero | wc -c; head -c 8 /dev/urandom | wc -c"
            )
            .await?,
            "3\n8"
        );
        assert_ne!(sh(&vm, "echo x >/dev/full").await?.code, 0);
        assert_eq!(
            ok(&vm, "echo through >/dev/stdout; echo in | cat /dev/fd/0").await?,
            "through\nin"
        );
        assert_eq!(
            ok(&vm, "script -qc 'tty' /dev/null </dev/null | tr -d '\\r'").await?,
            "/dev/pts/0"
        );
    }
    Ok(())
}

#[tokio::test]
async fn tar_as_root_keeps_going_over_foreign_owners() -> Result {
    let (_state, _host, vm) = vm().await?;
    ok(&vm, "mkdir a; echo text >a/file; tar --owner=1234 --group=1234 -czf a.tgz a; rm -r a; tar -xzf a.tgz").await?;
    assert_eq!(
        ok(
            &vm,
            "cat a/file; chown 33:33 a/file && chown -h 0 a && id -u"
        )
        .await?,
        "text\n0"
    );
    Ok(())
}

#[tokio::test]
async fn commands_can_run_64_at_a_time() -> Result {
    let (_state, _host, vm) = vm().await?;
    let vm = std::sync::Arc::new(vm);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..64 {
        let vm = std::sync::Arc::clone(&vm);
        tasks.spawn(async move {
            let run = sh(&vm, &format!("echo {number}; exit {number}"))
                .await
                .map_err(|error| error.to_string())?;
            Ok::<_, String>((number, run.code, run.out))
        });
    }
    for run in tasks.join_all().await {
        let (number, code, out) = run?;
        assert_eq!((code, out), (number, format!("{number}\n")));
    }
    Ok(())
}

#[tokio::test]
async fn a_frozen_vm_stands_still_and_goes_on_when_thawed() -> Result {
    let (_state, _host, vm) = vm().await?;
    let forking = "while :; do (echo x >>/root/log); echo y >>/root/log; done";
    let process = vm.exec(script(forking)).await?;
    ok(&vm, "until [ -s /root/log ]; do sleep 0.01; done").await?;
    let log = vm.root().join("root/log");
    let size = || fs::metadata(&log).map(|log| log.size()).unwrap_or_default();

    vm.freeze().await?;
    let before = size();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(size(), before);
    assert!(vm.is_alive());
    assert!(matches!(
        vm.exec(script("true")).await,
        Err(ExecError::Frozen)
    ));

    vm.thaw().await?;
    until("the log grows", || size() > before).await?;
    process.kill().await?;
    Ok(())
}

#[tokio::test]
async fn a_frozen_vm_can_be_killed() -> Result {
    let (_state, _host, vm) = vm().await?;
    let process = vm.exec(script("sleep 1000")).await?;
    vm.freeze().await?;
    vm.kill().await?;
    assert_eq!(process.wait().await?.code(), 137);
    Ok(())
}

#[tokio::test]
async fn a_killed_vm_has_ended_with_all_its_commands() -> Result {
    let (_state, _host, vm) = vm().await?;
    let process = vm
        .exec(script("trap '' TERM HUP; sleep 1000 & wait"))
        .await?;
    vm.kill().await?;
    assert!(!vm.is_alive());
    assert_eq!(process.wait().await?.code(), 137);
    assert!(!Path::new(&format!("/proc/{}", process.host_pid())).exists());
    assert!(matches!(
        vm.exec(script("true")).await,
        Err(ExecError::Gone)
    ));
    vm.kill().await?;
    Ok(())
}

#[tokio::test]
async fn a_removed_vm_leaves_nothing_on_the_disk() -> Result {
    let (_state, host, vm) = vm().await?;
    ok(&vm, "mkdir -p closed/inner; echo text >closed/inner/file; ln -s / closed/all; chmod 0 closed/inner closed").await?;
    let root = vm.root().to_owned();
    vm.remove().await?;
    assert!(!root.exists());
    let trash = root.ancestors().nth(2).ok_or("no instance")?.join("trash");
    until("the trash is empty", || {
        fs::read_dir(&trash).is_ok_and(|mut trash| trash.next().is_none())
    })
    .await?;
    drop(host);
    until("the directory of the server is gone", || !trash.exists()).await
}

#[tokio::test]
async fn an_empty_root_directory_is_enough_for_a_vm() -> Result {
    let (state, _host, vm) = own_vm(|_| Ok(())).await?;
    let missing = vm.exec(ExecSpec::new(["sh"])).await;
    assert!(
        matches!(missing, Err(ExecError::NotFound { .. })),
        "{missing:?}"
    );
    vm.mount(state.path(), "/mnt/state", true).await?;
    vm.unmount("/mnt/state").await?;
    vm.freeze().await?;
    vm.thaw().await?;
    assert!(vm.is_alive());

    let found = |folder: &str| -> Result<BTreeSet<String>> {
        let entries = fs::read_dir(vm.root().join(folder))?;
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    };
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(found("")?, names(&["dev", "etc", "mnt", "proc", "sys"]));
    assert_eq!(found("etc")?, names(&["hostname", "hosts", "resolv.conf"]));
    let text = |path: &str| fs::read_to_string(vm.root().join(path));
    assert_eq!(text("etc/hostname")?, "box\n");
    assert!(text("etc/hosts")?.contains("127.0.0.1 localhost\n"));
    assert!(text("etc/hosts")?.contains(" box\n"));
    assert_eq!(
        text("etc/resolv.conf")?,
        fs::read_to_string("/etc/resolv.conf").unwrap_or_default()
    );
    let root = vm.root().to_owned();
    vm.remove().await?;
    assert!(!root.exists());
    Ok(())
}

#[tokio::test]
async fn process_1_holds_nothing_of_the_server() -> Result {
    let (_state, _host, vms) = vms(&[]).await?;
    for (kind, vm) in vms {
        let about = |what: &str| fs::read(format!("/proc/{}/{what}", vm.host_pid()));
        let text = |what: &str| Ok::<_, std::io::Error>(String::from_utf8(about(what)?));
        assert_eq!(text("cmdline")??, "init\0", "{kind}");
        assert_eq!(text("environ")??, "", "{kind}");
        // In brackets: its stack, and what the kernel puts into every process.
        let maps = text("maps")??;
        let places = maps.lines().map(|line| line.split_whitespace().nth(5));
        let files: Vec<_> = places
            .filter(|place| !place.is_some_and(|place| place.starts_with('[')))
            .collect();
        assert_eq!(files, [Some("/memfd:init")], "{kind}: {maps}");
        let descriptors = fs::read_dir(format!("/proc/{}/fd", vm.host_pid()))?;
        let targets = descriptors.map(|entry| fs::read_link(entry?.path()));
        let mut targets: Vec<_> = targets.collect::<std::io::Result<_>>()?;
        targets.sort();
        assert_eq!(targets.len(), 3, "{kind}: {targets:?}");
        assert_eq!(targets[..2], ["/dev/null", "/dev/null"].map(Path::new));
        assert!(targets[2].to_string_lossy().starts_with("socket:"));
    }
    Ok(())
}

#[tokio::test]
async fn nothing_of_the_host_is_seen_in_a_root_of_its_own() -> Result {
    let (state, _host, vm) = own_vm(|root| install(root, &["sh", "ls", "cat", "readlink"])).await?;
    let mounts = ok(
        &vm,
        "while read -r _ place kind _; do echo $place $kind; done </proc/self/mounts",
    )
    .await?;
    let is_device = |place: &str| place.starts_with("/dev/");
    for mount in mounts.lines() {
        let (place, kind) = mount.split_once(' ').ok_or("no kind")?;
        let is_expected = place == "/"
            || matches!(kind, "proc" | "tmpfs" | "devpts")
            || place.starts_with("/proc/")
            || is_device(place);
        assert!(is_expected, "{mount}");
    }
    let seen = ok(&vm, "cd /; echo *; echo usr/bin/*; ls -A sys").await?;
    assert_eq!(
        seen.replace("lib64 ", "").replace("lib ", ""),
        "bin dev etc proc root sys usr\nusr/bin/cat usr/bin/ls usr/bin/readlink usr/bin/sh"
    );
    let (state, manifest) = (state.path().display(), env!("CARGO_MANIFEST_DIR"));
    let through_proc =
        format!("ls -d /proc/[0-9]*/root{state} /proc/[0-9]*/cwd{manifest} 2>/dev/null");
    assert_eq!(sh(&vm, &through_proc).await?.out, "");
    let targets = ok(&vm, "readlink /proc/self/fd/*; true").await?;
    let kinds = targets
        .lines()
        .filter_map(|target| target.split(':').next());
    assert_eq!(kinds.collect::<Vec<_>>(), ["/dev/null", "pipe", "pipe"]);
    // Of the server, whose variables this test knows: none in any process.
    let variables = ok(&vm, "cat /proc/[0-9]*/environ 2>/dev/null; true").await?;
    assert!(!variables.contains("CARGO"), "{variables}");
    Ok(())
}

#[tokio::test]
async fn one_static_program_makes_a_vm() -> Result {
    let source = r#"
        #include <stdio.h>
        #include <stdlib.h>
        #include <unistd.h>
        int main(int count, char **arguments) {
            printf("%s %s %d\n", arguments[1], getenv("HOME"), access("/bin/sh", F_OK));
            return 7;
        }"#;
    let folder = tempfile::tempdir()?;
    let (file, program) = (folder.path().join("hello.c"), folder.path().join("hello"));
    fs::write(&file, source)?;
    let compiler = Command::new("gcc")
        .arg("-static")
        .arg("-o")
        .args([&program, &file])
        .output();
    if !compiler.is_ok_and(|output| output.status.success()) {
        eprintln!("left out: gcc, or the libc that it links statically, is not installed");
        return Ok(());
    }
    let (_state, _host, vm) =
        own_vm(|root| Ok(fs::copy(&program, root.join("hello")).map(drop)?)).await?;
    let run = run(&vm, ExecSpec::new(["/hello", "hello"])).await?;
    assert_eq!((run.out.as_str(), run.code), ("hello /root -1\n", 7));
    Ok(())
}

#[tokio::test]
async fn the_name_and_the_network_are_written_into_what_an_image_has() -> Result {
    let (_state, _host, vm) = own_vm(|root| {
        fs::create_dir(root.join("etc"))?;
        fs::write(root.join("etc/hostname"), "builder\n")?;
        fs::write(root.join("etc/hosts"), "10.0.0.1 database\n")?;
        Ok(fs::write(
            root.join("etc/resolv.conf"),
            "nameserver 10.0.0.2\n",
        )?)
    })
    .await?;
    let text = |path: &str| fs::read_to_string(vm.root().join(path));
    assert_eq!(text("etc/hostname")?, "box\n");
    assert_eq!(text("etc/hosts")?, "10.0.0.1 database\n127.0.1.1 box\n");
    if let Ok(of_the_host) = fs::read_to_string("/etc/resolv.conf") {
        assert_eq!(text("etc/resolv.conf")?, of_the_host);
    }
    Ok(())
}

#[tokio::test]
async fn links_of_an_image_lead_nowhere_but_in_its_root() -> Result {
    let outside = tempfile::tempdir()?;
    fs::write(outside.path().join("hosts"), "of the host\n")?;
    // From the root upwards, to where the host's root was until a moment ago.
    let upwards = format!("../../..{}", outside.path().display());
    let (_state, host, vm) = own_vm(|root| {
        fs::create_dir(root.join("etc"))?;
        symlink(format!("{upwards}/hosts"), root.join("etc/hosts"))?;
        symlink(outside.path().join("hostname"), root.join("etc/hostname"))?;
        Ok(symlink(
            "../run/resolve/stub.conf",
            root.join("etc/resolv.conf"),
        )?)
    })
    .await?;
    let names = |folder: &Path| fs::read_dir(folder).map(Iterator::count);
    assert_eq!(names(outside.path())?, 1);
    assert_eq!(
        fs::read_to_string(outside.path().join("hosts"))?,
        "of the host\n"
    );
    for file in ["etc/hosts", "etc/hostname", "etc/resolv.conf"] {
        assert!(vm.root().join(file).symlink_metadata()?.is_file(), "{file}");
    }

    for (number, place) in ["dev", "proc", "sys", "etc"].into_iter().enumerate() {
        let id = format!("with a link {number}");
        fs::create_dir(host.root_of(&id))?;
        symlink(&upwards, host.root_of(&id).join(place))?;
        let refused = host.launch(own_root(&id)).await;
        assert!(
            matches!(refused, Err(LaunchError::Kernel { .. })),
            "{place}: {refused:?}"
        );
        assert!(!host.root_of(&id).exists());
    }
    assert_eq!(names(outside.path())?, 1);
    Ok(())
}

#[tokio::test]
async fn a_command_runs_as_a_user_of_the_image() -> Result {
    let (_state, host, vm) = own_vm(|root| {
        install(root, &["sh", "id"])?;
        fs::create_dir_all(root.join("etc"))?;
        fs::create_dir_all(root.join("home/app"))?;
        fs::create_dir_all(root.join("usr/share"))?;
        fs::write(root.join("etc/group"), "app:x:1001:\nstaff:x:50:app\n")?;
        // A link, as some images have it, and one that means the image's root.
        symlink("/usr/share/passwd", root.join("etc/passwd"))?;
        let passwd = "root:x:0:0::/:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n";
        Ok(fs::write(root.join("usr/share/passwd"), passwd)?)
    })
    .await?;
    let line = "echo $(id -u) $(id -g) $(id -G) $HOME $USER $(pwd) >/dev/stdout";
    let as_user = async |user: &str| {
        let mut spec = script(line);
        spec.user = Some(user.to_owned());
        run(&vm, spec).await.map(|run| run.out)
    };
    // Only root can be somebody else.
    let ids = |ids: &'static str| match geteuid().is_root() {
        true => ids,
        false => "0 0 0",
    };
    assert_eq!(ok(&vm, line).await?, "0 0 0 /root root /root");
    let app = format!("{} /home/app app /home/app\n", ids("1000 1001 1001 50"));
    assert_eq!(as_user("app").await?, app);
    assert_eq!(as_user("1000").await?, app);
    let staff = format!("{} /home/app app /home/app\n", ids("1000 50 50"));
    assert_eq!(as_user("app:staff").await?, staff);
    assert_eq!(as_user("7:8").await?, format!("{} / 7 /\n", ids("7 8 8")));
    let mut nobody = script("true");
    nobody.user = Some("nobody".to_owned());
    let refused = vm.exec(nobody).await.err().ok_or("it ran")?;
    assert!(matches!(&refused, ExecError::NoUser { user } if user == "nobody"));
    assert_eq!(refused.exit_code(), Some(126));
    drop(host);
    Ok(())
}

#[tokio::test]
async fn a_user_has_no_rights_of_root() -> Result {
    if !geteuid().is_root() {
        return Ok(());
    }
    let (_state, _host, vms) = vms(&["sh", "cat", "id", "chmod", "tty"]).await?;
    for (kind, vm) in vms {
        ok(&vm, "echo secret >/root/secret; chmod 600 /root/secret").await?;
        let mut spec = script("cat /root/secret; kill -9 1; : >/etc/file; : </proc/1/environ");
        spec.user = Some("1234".to_owned());
        let refused = run(&vm, spec).await?;
        assert_eq!(
            (refused.out.as_str(), refused.code == 0),
            ("", false),
            "{kind}"
        );
        let mut capabilities = script(
            "while read -r name set; do case $name in Cap[EPA]*) echo $set;; esac; done </proc/self/status",
        );
        capabilities.user = Some("1234:5".to_owned());
        let held = run(&vm, capabilities).await?.out;
        assert_eq!(held, "0000000000000000\n".repeat(3), "{kind}");

        let mut spec = script("tty && : </dev/tty && : <$(tty) && echo mine");
        spec.user = Some("1234".to_owned());
        let terminal = vm.terminal(spec, SIZE).await?;
        assert!(to_end(&terminal).await?.ends_with("mine\r\n"), "{kind}");
    }
    Ok(())
}

#[tokio::test]
async fn a_prepared_root_is_taken_as_it_is_and_its_links_lead_nowhere() -> Result {
    let (state, host, vm) = vm().await?;
    ok(&vm, "echo kept >/root/kept").await?;
    vm.kill().await?;
    let (old, new) = (vm.root().to_owned(), host.root_of("2"));
    let outside = state.path().join("outside");
    fs::create_dir(&outside)?;
    let upwards = Path::new("../..").join(outside.strip_prefix("/")?);
    for link in [&outside, &upwards] {
        let copied = Command::new("cp").arg("-a").args([&old, &new]).status()?;
        assert!(copied.success());
        // Where certificates are mounted: it must not be made, or covered, on the host.
        fs::remove_dir_all(new.join("etc/ssl")).or_else(|_| fs::create_dir_all(new.join("etc")))?;
        symlink(link, new.join("etc/ssl"))?;

        let refused = host.launch(LaunchSpec::new("2", "box")).await;
        assert_eq!(fs::read_dir(&outside)?.count(), 0);
        if Path::new("/etc/ssl/certs").exists() {
            assert!(
                matches!(refused, Err(LaunchError::Kernel { .. })),
                "{refused:?}"
            );
            assert!(!new.exists());
        }
    }

    let copied = Command::new("cp")
        .arg("-a")
        .args([&old, &host.root_of("3")])
        .status()?;
    assert!(copied.success());
    let restored = host.launch(LaunchSpec::new("3", "box")).await?;
    assert_eq!(ok(&restored, "cat /root/kept").await?, "kept");
    Ok(())
}

#[tokio::test]
async fn the_network_of_the_host_is_shared() -> Result {
    let (_state, _host, vm) = vm().await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let fetch = format!(
        "curl -sS http://localhost:{}/",
        listener.local_addr()?.port()
    );
    let answer = async {
        let (mut connection, _) = listener.accept().await?;
        let _ = connection.read(&mut [0; 1000]).await?;
        connection
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            .await?;
        Ok(())
    };
    let (fetched, ()) = tokio::try_join!(ok(&vm, &fetch), answer)?;
    assert_eq!(fetched, "hello");
    Ok(())
}

#[tokio::test]
async fn values_of_variables_are_not_in_debug_output() -> Result {
    let (_state, host) = host().await?;
    let mut spec = LaunchSpec::new("1", "box");
    spec.env.insert("TOKEN".to_owned(), "hidden".to_owned());
    let mut command = ExecSpec::new(["echo", "hidden"]);
    command.env.clone_from(&spec.env);
    let debug = format!(
        "{spec:?} {command:?} {:?}",
        host.launch(spec.clone()).await?
    );
    assert!(
        debug.contains("TOKEN") && !debug.contains("hidden"),
        "{debug}"
    );
    Ok(())
}

#[tokio::test]
async fn specs_that_cannot_be_used_are_refused() -> Result {
    let (_state, host, vm) = vm().await?;
    for (id, hostname) in [
        ("", "box"),
        ("..", "box"),
        ("a/b", "box"),
        ("1", "box"),
        ("2", ""),
        ("2", "a b"),
    ] {
        let refused = host.launch(LaunchSpec::new(id, hostname)).await;
        assert!(
            matches!(refused, Err(LaunchError::Invalid { .. })),
            "{id:?} {hostname:?}: {refused:?}"
        );
    }
    ok(&vm, "true").await?;
    vm.remove().await?;
    host.launch(LaunchSpec::new("1", "box")).await?;
    Ok(())
}

#[tokio::test]
async fn a_state_directory_that_vms_would_see_or_nobody_can_write_is_refused() -> Result {
    let error = Host::probe("/proc/none")
        .await
        .err()
        .ok_or("it was taken")?;
    assert!(
        error.to_string().contains("state directory /proc/none"),
        "{error}"
    );
    assert!(error.hint().is_some());
    Ok(())
}

/// Runs one of the ignored tests below as a process of its own.
fn this_binary(test: &str, state: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("SANDBOX_STATE", state);
    Ok(command)
}

fn given_state() -> Result<std::path::PathBuf> {
    Ok(std::env::var_os("SANDBOX_STATE")
        .ok_or("run by another test, not by hand")?
        .into())
}

fn pid_namespace(pid: &str) -> Option<u64> {
    Some(fs::metadata(format!("/proc/{pid}/ns/pid")).ok()?.ino())
}

/// A process of the host, and when it was started: its number may go to another one.
type Started = (String, String);

/// Host processes that are in one of these process namespaces, which all exist: their numbers may go
/// to others, too.
fn inhabitants(namespaces: &BTreeSet<u64>) -> Vec<Started> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    pids.filter(|pid| pid_namespace(pid).is_some_and(|space| namespaces.contains(&space)))
        .filter_map(|pid| Some((pid.clone(), start_of(&pid)?)))
        .collect()
}

/// When a process was started; `None` if it is gone.
fn start_of(pid: &str) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(19).map(str::to_owned)
}

fn are_gone(processes: &[Started]) -> bool {
    processes
        .iter()
        .all(|(pid, start)| start_of(pid).as_ref() != Some(start))
}

/// Takes the status of a process that has ended, if it is a child of this one.
fn reap(pid: &str) {
    let flags = WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
    if let Ok(pid) = pid.parse() {
        let _ = waitpid(Pid::from_raw(pid), Some(flags));
    }
}

#[test]
fn many_vms_leave_no_process_mount_descriptor_or_file() -> Result {
    let state = tempfile::tempdir()?;
    let output = this_binary("server_that_launches_30_vms", state.path())?.output()?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[tokio::test]
#[ignore = "run by many_vms_leave_no_process_mount_descriptor_or_file"]
async fn server_that_launches_30_vms() -> Result {
    let state = given_state()?;
    let descriptors = || {
        fs::read_dir("/proc/self/fd")
            .map(Iterator::count)
            .unwrap_or_default()
    };
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    // The first launch opens what the runtime keeps.
    let host = Host::probe(&state).await?;
    drop(host.launch(LaunchSpec::new("first", "box")).await?);
    let trash_is_empty = || {
        let servers = fs::read_dir(&state)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        let trash = servers
            .filter_map(|server| fs::read_dir(server.join("trash")).ok())
            .flatten();
        trash.count() == 0
    };
    let vms = host
        .root_of("first")
        .parent()
        .ok_or("no folder")?
        .to_owned();
    let vms_are_gone = || fs::read_dir(&vms).is_ok_and(|mut vms| vms.next().is_none());
    until("the first VM is gone", || {
        vms_are_gone() && trash_is_empty()
    })
    .await?;
    let before = (descriptors(), mounts());

    let launches = (0..30).map(|number: usize| {
        let host = host.clone();
        tokio::spawn(async move {
            let id = number.to_string();
            let mut spec = LaunchSpec::new(&id, "box");
            if number.is_multiple_of(2) {
                spec.root = RootKind::Own;
                install(&host.root_of(&id), &["sh", "sleep", "setsid"])
                    .map_err(|error| error.to_string())?;
            }
            host.launch(spec).await.map_err(|error| error.to_string())
        })
    });
    let mut namespaces = BTreeSet::new();
    let mut all = Vec::new();
    for launch in launches.collect::<Vec<_>>() {
        let vm = launch.await??;
        ok(&vm, "sleep 1000 >/dev/null 2>&1 & setsid sleep 1000 >/dev/null 2>&1 & echo text >/root/file").await?;
        namespaces.insert(pid_namespace(&vm.host_pid().to_string()).ok_or("no namespace")?);
        all.push(vm);
    }
    assert_eq!(namespaces.len(), 30);
    let processes = inhabitants(&namespaces);
    assert!(processes.len() >= 90);
    assert_eq!(mounts(), before.1);
    for vm in all.drain(..15) {
        vm.remove().await?;
    }
    drop(all);

    until("all processes have ended", || are_gone(&processes)).await?;
    until("all roots are deleted", || {
        vms_are_gone() && trash_is_empty()
    })
    .await?;
    until("no descriptor is left", || descriptors() <= before.0).await?;
    assert_eq!(mounts(), before.1);
    let own = std::process::id().to_string();
    let children =
        fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    assert_eq!(children.trim(), "");
    drop(host);
    until("only the lock is left", || {
        fs::read_dir(&state).is_ok_and(|left| left.count() == 1)
    })
    .await
}

#[tokio::test]
async fn a_server_killed_by_force_takes_its_vms_with_it_and_the_next_one_clears_up() -> Result {
    // Orphans of the server become children of this process, which reaps them here.
    nix::sys::prctl::set_child_subreaper(true)?;
    let state = tempfile::tempdir()?;
    let mut server = this_binary("server_that_waits_for_its_end", state.path())?
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = BufReader::new(server.stdout.take().ok_or("no stdout")?);
    let lines: std::result::Result<Vec<_>, _> = stdout
        .lines()
        .take_while(|line| line.as_ref().map_or(true, |line| !line.ends_with("ready")))
        .collect();
    let vms = lines?
        .iter()
        .filter_map(|line| Some(line.split_once("vm ")?.1.to_owned()))
        .collect::<Vec<_>>();
    let namespaces: BTreeSet<u64> = vms.iter().filter_map(|pid| pid_namespace(pid)).collect();
    assert_eq!(namespaces.len(), 3, "{vms:?}");
    let processes = inhabitants(&namespaces);
    assert!(processes.len() >= 9);
    let servers = || {
        fs::read_dir(state.path())
            .into_iter()
            .flatten()
            .flatten()
            .filter(|e| e.path().is_dir())
            .count()
    };
    let other = Host::probe(state.path()).await?;
    assert_eq!(servers(), 2, "a live server's directory was swept");

    server.kill()?;
    server.wait()?;
    until("all processes have ended", || {
        processes.iter().for_each(|(pid, _)| reap(pid));
        are_gone(&processes)
    })
    .await?;

    drop(other);
    let next = Host::probe(state.path()).await?;
    assert_eq!(servers(), 1);
    drop(next);
    Ok(())
}

#[tokio::test]
#[ignore = "run by a_server_killed_by_force_takes_its_vms_with_it_and_the_next_one_clears_up"]
async fn server_that_waits_for_its_end() -> Result {
    let host = Host::probe(given_state()?).await?;
    let mut vms = Vec::new();
    install(&host.root_of("3"), &["sh", "sleep", "setsid"])?;
    let specs = ["1", "2"].map(|id| LaunchSpec::new(id, "box"));
    for spec in specs.into_iter().chain([own_root("3")]) {
        let vm = host.launch(spec).await?;
        ok(&vm, "sleep 1000 >/dev/null 2>&1 & setsid sh -c 'trap \"\" TERM HUP; sleep 1000' >/dev/null 2>&1 &").await?;
        println!("\nvm {}", vm.host_pid());
        vms.push(vm);
    }
    let _running = vms[0].exec(script("sleep 1000")).await?;
    println!("\nready");
    std::future::pending().await
}

#[tokio::test]
async fn a_mounted_folder_is_shared_until_it_is_unmounted() -> Result {
    let (state, host, one) = vm().await?;
    let two = host.launch(LaunchSpec::new("2", "box")).await?;
    let shared = state.path().join("shared");
    fs::create_dir(&shared)?;
    one.mount(&shared, "/mnt/a/deep", false).await?;
    two.mount(&shared, "/data/b", true).await?;
    ok(&one, "echo hello > /mnt/a/deep/file").await?;
    assert_eq!(ok(&two, "cat /data/b/file").await?, "hello");
    assert_eq!(fs::read_to_string(shared.join("file"))?, "hello\n");
    let refused = sh(&two, "echo no > /data/b/file").await?;
    assert!(refused.err.contains("Read-only"), "{}", refused.err);
    let options = ok(&one, "grep ' /mnt/a/deep ' /proc/self/mounts").await?;
    assert!(options.contains("nosuid,nodev"), "{options}");

    one.unmount("/mnt/a/deep").await?;
    assert_eq!(ok(&one, "ls -A /mnt/a/deep").await?, "");
    one.mount(&shared, "/mnt/a/deep", false).await?;
    assert_eq!(ok(&one, "cat /mnt/a/deep/file").await?, "hello");
    one.remove().await?;
    assert_eq!(ok(&two, "cat /data/b/file").await?, "hello");
    Ok(())
}

#[tokio::test]
async fn a_mount_in_use_is_not_unmounted() -> Result {
    let (state, _host, vm) = vm().await?;
    let shared = state.path().join("shared");
    fs::create_dir(&shared)?;
    vm.mount(&shared, "/mnt/a", false).await?;
    let mut spec = ExecSpec::new(["cat"]);
    (spec.cwd, spec.stdin) = (Some("/mnt/a".to_owned()), Stdin::Piped);
    let user = vm.exec(spec).await?;
    assert!(matches!(vm.unmount("/mnt/a").await, Err(MountError::Busy)));
    ok(&vm, "echo still > /mnt/a/there").await?;
    user.kill().await?;
    vm.unmount("/mnt/a").await?;
    assert_eq!(fs::read_to_string(shared.join("there"))?, "still\n");
    Ok(())
}

#[tokio::test]
async fn a_frozen_vm_takes_mounts() -> Result {
    let (state, _host, vm) = vm().await?;
    fs::write(state.path().join("file"), "here")?;
    vm.freeze().await?;
    vm.mount(state.path(), "/mnt/a", true).await?;
    vm.thaw().await?;
    assert_eq!(ok(&vm, "cat /mnt/a/file").await?, "here");
    Ok(())
}

#[tokio::test]
async fn a_mount_that_cannot_be_made_says_why_and_changes_nothing() -> Result {
    let (state, _host, vm) = vm().await?;
    ok(&vm, "touch /mnt/file; ln -s /usr /mnt/link").await?;
    for in_the_way in ["/mnt/file", "/mnt/file/x", "/mnt/link", "/mnt/link/bin"] {
        let refused = vm.mount(state.path(), in_the_way, false).await;
        assert!(
            matches!(refused, Err(MountError::InTheWay { .. })),
            "{in_the_way}"
        );
    }
    for invalid in ["", "mnt", "/", "/mnt/../x", "/mnt//x", "/mnt/x/"] {
        let refused = vm.mount(state.path(), invalid, false).await;
        assert!(
            matches!(refused, Err(MountError::Invalid { .. })),
            "{invalid}"
        );
    }
    let missing = vm
        .mount(state.path().join("missing"), "/mnt/a", false)
        .await;
    assert!(
        matches!(missing, Err(MountError::Kernel { .. })),
        "{missing:?}"
    );
    assert!(vm.unmount("/mnt/a").await.is_err());
    assert_eq!(
        ok(&vm, "grep -c ' /mnt/' /proc/self/mounts || true").await?,
        "0"
    );
    vm.kill().await?;
    let ended = vm.mount(state.path(), "/mnt/a", false).await;
    assert!(matches!(ended, Err(MountError::Gone)));
    Ok(())
}

const SIZE: TerminalSize = TerminalSize { cols: 80, rows: 24 };

/// Reads until the text has come; gives all that came with it.
async fn seen(terminal: &Terminal, text: &str) -> Result<String> {
    let mut seen = Vec::new();
    let reading = async {
        loop {
            let mut buffer = [0; 4096];
            let length = terminal.read(&mut buffer).await?;
            if length == 0 {
                return Err(format!("closed before {text:?}").into());
            }
            seen.extend_from_slice(&buffer[..length]);
            if String::from_utf8_lossy(&seen).contains(text) {
                return Ok(());
            }
        }
    };
    let read = tokio::time::timeout(PATIENCE, reading).await;
    let seen = String::from_utf8_lossy(&seen).into_owned();
    let read: Result = read.unwrap_or_else(|_| Err(format!("{text:?} is not in {seen:?}").into()));
    read.map(|()| seen)
}

async fn to_end(terminal: &Terminal) -> Result<String> {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match tokio::time::timeout(PATIENCE, terminal.read(&mut buffer)).await?? {
            0 => return Ok(String::from_utf8_lossy(&seen).into_owned()),
            length => seen.extend_from_slice(&buffer[..length]),
        }
    }
}

async fn shell(vm: &Sandbox) -> Result<Terminal> {
    let mut spec = ExecSpec::new(["sh", "-i"]);
    spec.env.insert("PS1".to_owned(), "> ".to_owned());
    Ok(vm.terminal(spec, SIZE).await?)
}

#[tokio::test]
async fn a_terminal_is_one_of_the_vm_and_as_large_as_told() -> Result {
    let (_state, _host, vm) = vm().await?;
    let line = "tty; stty size; read line; stty size; ls /dev/pts; exec 3</dev/tty && echo own";
    let terminal = vm.terminal(script(line), SIZE).await?;
    seen(&terminal, "/dev/pts/0\r\n24 80\r\n").await?;
    terminal.resize(TerminalSize {
        cols: 132,
        rows: 43,
    })?;
    terminal.write_all(b"go\r").await?;
    let rest = to_end(&terminal).await?;
    assert!(rest.contains("43 132\r\n"), "{rest}");
    assert!(rest.contains("own"), "{rest}");
    assert_eq!(terminal.process().wait().await?.code(), 0);
    let second = vm.terminal(script("tty"), SIZE).await?;
    assert_eq!(to_end(&second).await?, "/dev/pts/1\r\n");
    Ok(())
}

#[tokio::test]
async fn ctrl_c_interrupts_the_foreground_and_not_the_shell() -> Result {
    let (_state, _host, vm) = vm().await?;
    let terminal = shell(&vm).await?;
    terminal.write_all(b"sleep 1000\r").await?;
    seen(&terminal, "sleep 1000").await?;
    let mut is_running = false;
    while !is_running {
        is_running = sh(&vm, "pgrep -x sleep").await?.code == 0;
    }
    terminal.write_all(b"\x03").await?;
    terminal.write_all(b"echo code $?\r").await?;
    seen(&terminal, "code 130").await?;
    terminal.write_all(b"exit 6\r").await?;
    assert_eq!(terminal.process().wait().await?.code(), 6);
    Ok(())
}

#[tokio::test]
async fn jobs_are_stopped_and_taken_up_again() -> Result {
    let (_state, _host, vm) = vm().await?;
    let terminal = shell(&vm).await?;
    seen(&terminal, "> ").await?;
    terminal.write_all(b"cat\rfirst\r").await?;
    seen(&terminal, "first\r\nfirst\r\n").await?;
    terminal.write_all(b"\x1a").await?;
    seen(&terminal, "Stopped").await?;
    terminal.write_all(b"fg\r").await?;
    seen(&terminal, "cat\r\n").await?;
    terminal.write_all(b"second\r").await?;
    seen(&terminal, "second\r\nsecond\r\n").await?;
    terminal.write_all(b"\x04exit\r").await?;
    to_end(&terminal).await?;
    Ok(())
}

#[tokio::test]
async fn a_terminal_that_cannot_be_opened_says_why() -> Result {
    let (_state, _host, vm) = vm().await?;
    let none = vm.terminal(ExecSpec::new(["no-such-program"]), SIZE).await;
    assert!(matches!(none, Err(ExecError::NotFound { .. })), "{none:?}");
    vm.freeze().await?;
    let frozen = vm.terminal(script("tty"), SIZE).await;
    assert!(matches!(frozen, Err(ExecError::Frozen)), "{frozen:?}");
    vm.kill().await?;
    vm.ended().await;
    let gone = vm.terminal(script("tty"), SIZE).await;
    assert!(gone.is_err());
    Ok(())
}

#[tokio::test]
async fn a_hang_up_ends_what_runs_in_the_terminal() -> Result {
    let (_state, _host, vm) = vm().await?;
    for line in ["sleep 1000", "trap '' HUP; echo deaf; sleep 1000"] {
        let terminal = vm
            .terminal(script(&format!("echo up; {line}")), SIZE)
            .await?;
        seen(&terminal, "up").await?;
        let pid = terminal.process().host_pid();
        assert!(Path::new(&format!("/proc/{pid}")).exists());
        drop(terminal);
        until("the shell ends", || {
            !Path::new(&format!("/proc/{pid}")).exists()
        })
        .await?;
        ok(&vm, "while pgrep -x sleep; do :; done").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_hang_up_waits_for_the_thaw() -> Result {
    let (_state, _host, vm) = vm().await?;
    let line = "trap 'touch /tmp/hung-up; exit' HUP; sleep 1000 & echo up; wait";
    let terminal = vm.terminal(script(line), SIZE).await?;
    seen(&terminal, "up").await?;
    let pid = terminal.process().host_pid();
    vm.freeze().await?;
    drop(terminal);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let state = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    assert!(state.contains(") T "), "{state}");
    assert!(!vm.root().join("tmp/hung-up").exists());
    vm.thaw().await?;
    until("it hears of it", || vm.root().join("tmp/hung-up").exists()).await
}

#[tokio::test]
async fn a_terminal_ends_with_its_vm() -> Result {
    let (_state, _host, vm) = vm().await?;
    let terminal = shell(&vm).await?;
    seen(&terminal, "> ").await?;
    vm.kill().await?;
    to_end(&terminal).await?;
    assert_eq!(terminal.process().wait().await?.signal(), Some(9));
    Ok(())
}
