//! `vm.command(..)`: commands and children in the shape of `tokio::process`.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use fastvm::{ErrorKind, Outcome, Signal, Vm};
use fastvm_local::Fault;
use fastvm_tests::World;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

async fn launch(world: &World) -> Vm {
    world.client.vms().launch("c1m2").await.unwrap()
}

async fn world() -> (World, Vm) {
    let world = World::start().await;
    let vm = launch(&world).await;
    (world, vm)
}

/// Standard output of a command that succeeds, as text.
async fn text(command: fastvm::Command) -> String {
    let output = command.output().await.unwrap().ensure_success().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout).unwrap()
}

/// An argument of characters that shells, terminals and encodings trip over.
fn hostile_text() -> String {
    let pieces = [
        "a",
        "Z",
        "0",
        " ",
        "\n",
        "\t",
        "\r",
        "'",
        "\"",
        "\\",
        "$",
        "`",
        "$(id)",
        "${HOME}",
        "*",
        "?",
        "[",
        "]",
        "{",
        "}",
        "~",
        "!",
        "#",
        "&",
        "|",
        ";",
        "<",
        ">",
        "(",
        ")",
        "=",
        "-",
        "--",
        "%s",
        "%",
        "ü",
        "漢",
        "🦀",
        "\u{301}",
        "\u{feff}",
        "\u{1b}[2J",
        "\u{7f}",
        "\u{1}",
        "\\0",
        "\\n",
    ];
    (0..fastrand::usize(0..12))
        .map(|_| fastrand::choice(pieces).unwrap_or_default())
        .collect()
}

#[tokio::test]
async fn a_thousand_random_vectors_arrive_byte_for_byte() {
    let (_world, vm) = world().await;
    let seed = fastrand::u64(..);
    fastrand::seed(seed);
    // A vector after the other, each behind its length: `sh` passes them on, and prints them.
    let print = "for arg in \"$@\"; do printf '%s\\0' \"$arg\"; done";
    for batch in 0..20 {
        let mut args = Vec::new();
        for _ in 0..50 {
            let vector: Vec<_> = (0..fastrand::usize(0..8)).map(|_| hostile_text()).collect();
            args.push(vector.len().to_string());
            args.extend(vector);
        }
        let command = vm.command("sh").args(["-c", print, "sh"]).args(&args);
        // Half of them are sent as they are, half go through the `sh` and `env` of a command with
        // a variable whose value is as hostile.
        let value = hostile_text();
        let command = match batch % 2 {
            0 => command,
            _ => command.env("VALUE", &value),
        };
        let seen = text(command).await;
        let expected: String = args.iter().map(|arg| format!("{arg}\0")).collect();
        assert!(seen == expected, "seed {seed}, batch {batch}");
        let seen = text(vm.command("printenv").arg("VALUE").env("VALUE", &value)).await;
        assert_eq!(seen, format!("{value}\n"), "seed {seed}, batch {batch}");
    }
}

#[tokio::test]
async fn environment_directory_and_input_are_those_that_were_set() {
    let (world, vm) = world().await;
    let line = "echo \"$A|$B|$HOME|$PWD\"; cat";
    let command = vm
        .command("sh")
        .args(["-c", line])
        .env("A", "one two")
        .envs([("B", "it's $HOME")])
        .current_dir("/tmp")
        .stdin("input\0");
    assert_eq!(
        text(command).await,
        "one two|it's $HOME|/root|/tmp\ninput\0"
    );

    // The id-first form, a relative directory with a name like an option, and an odd variable.
    vm.run("mkdir -- -")
        .await
        .unwrap()
        .ensure_success()
        .unwrap();
    let shell = world.client.vms().shell(&vm.id, "pwd; env | grep odd");
    let command = shell.current_dir("-").env("odd.name-1", "x");
    // The shell of the line itself drops what it has no name for.
    assert_eq!(command.output().await.unwrap().stdout, b"/root/-\n");
    let command = vm
        .command("printenv")
        .arg("odd.name-1")
        .env("odd.name-1", "x");
    assert_eq!(text(command).await, "x\n");
}

#[tokio::test]
async fn a_cleared_environment_holds_what_is_set_after_it_and_nothing_else() {
    let (_world, vm) = world().await;
    let command = vm
        .command("env")
        .env("GONE", "1")
        .env_clear()
        .env("KEPT", "2");
    assert_eq!(text(command).await, "KEPT=2\n");
    let seen = text(vm.command("env").env_clear()).await;
    assert_eq!(seen, "");
    // A program whose name `env` would take for a variable.
    let install = "mkdir a=b && printf '#!/bin/sh\\necho \"$1$V\"' > a=b/p && chmod +x a=b/p";
    vm.run(install).await.unwrap().ensure_success().unwrap();
    let command = vm.command("./a=b/p").arg("x=").env("V", "y");
    assert_eq!(text(command).await, "x=y\n");
}

#[tokio::test]
async fn a_user_has_its_id_groups_and_home_and_the_directory_it_may_enter() {
    let (_world, vm) = world().await;
    let line = "id -un; id -u; id -Gn; echo \"$HOME $USER $LOGNAME $V\"; pwd; cat";
    let command = vm
        .shell(line)
        .user("nobody")
        .current_dir("/tmp")
        .env("V", "v")
        .stdin("in");
    let expected = "nobody\n65534\nnogroup\n/nonexistent nobody nobody v\n/tmp\nin";
    if has_users(&vm).await {
        assert_eq!(text(command).await, expected);
    } else {
        let error = command.output().await.unwrap_err().error;
        assert!(error.to_string().contains("`setpriv`"), "{error}");
    }
    // Root is who it is already.
    assert_eq!(
        text(vm.shell("id -un; pwd").user("root")).await,
        "root\n/root\n"
    );
}

/// Whether there are users but root, which is so where the local server is root's.
async fn has_users(vm: &Vm) -> bool {
    let map = vm.run("cat /proc/self/uid_map").await.unwrap();
    map.stdout.split_whitespace().last() != Some("1")
}

#[tokio::test]
async fn what_cannot_be_begun_says_why_and_has_not_run() {
    let (_world, vm) = world().await;
    vm.run("touch file")
        .await
        .unwrap()
        .ensure_success()
        .unwrap();
    let marks = || vm.command("touch").arg("/root/ran");
    let denied = if has_users(&vm).await {
        "permission denied"
    } else {
        "`setpriv`"
    };
    let cases = [
        (
            marks().current_dir("/no/such"),
            ErrorKind::NotFound,
            "\"/no/such\"",
        ),
        (
            marks().current_dir("file"),
            ErrorKind::Command,
            "no directory",
        ),
        (
            marks().user("no-such-user"),
            ErrorKind::NotFound,
            "no user \"no-such-user\"",
        ),
        (
            marks().user("nobody").current_dir("/root"),
            ErrorKind::Command,
            denied,
        ),
    ];
    for (command, kind, said) in cases {
        let text = format!("{command:?}");
        let error = command.output().await.unwrap_err().error;
        assert_eq!(
            (error.kind(), error.outcome()),
            (kind, Outcome::Rejected),
            "{text}: {error}"
        );
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(error.vm_id(), Some(vm.id.as_str()));
    }
    assert_eq!(
        vm.run(["test", "-e", "/root/ran"]).await.unwrap().exit_code,
        1
    );
    let error = marks().current_dir("/no").spawn().await.unwrap_err();
    assert_eq!((error.is_not_found(), error.path()), (true, Some("/no")));
    assert!(
        marks()
            .user("no-such-user")
            .status()
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test]
async fn a_program_that_is_not_there_has_the_exit_code_of_a_shell() {
    let (_world, vm) = world().await;
    let missing = || vm.command("no-such-program");
    for command in [
        missing(),
        missing().env("A", "1"),
        missing().current_dir("/tmp"),
    ] {
        let status = command.status().await.unwrap();
        assert_eq!(status.code, 127);
        let error = status.ensure_success().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Command);
        assert!(error.to_string().contains("no-such-program"), "{error}");
    }
    let mut child = missing().spawn().await.unwrap();
    assert_eq!(child.wait().await.unwrap().code, 127);
    let folder = vm.command("/tmp").env("A", "1").status().await.unwrap();
    assert_eq!(folder.code, 126);
}

#[tokio::test]
async fn what_no_command_can_be_is_refused_before_anything_is_sent() {
    let (world, vm) = world().await;
    let sent = Fault::delay(Duration::ZERO).on("execVm");
    let sent = world.server.faults().add(sent).unwrap();
    for command in [
        vm.command(""),
        vm.shell("  "),
        vm.command("a").arg("b\0"),
        vm.command("a").env("B=C", "x"),
        vm.command("a").env("", "x"),
        vm.command("a").env("B", "x\0"),
        vm.command("a").current_dir(""),
        vm.command("a").user("$(id)"),
        vm.command("a").timeout(Duration::ZERO),
    ] {
        let text = format!("{command:?}");
        let error = command.output().await.unwrap_err().error;
        assert!(error.is_invalid_input(), "{text}: {error}");
        assert_eq!(error.vm_id(), Some(vm.id.as_str()));
    }
    assert_eq!(world.server.faults().fired(sent), 0);
}

#[tokio::test]
async fn output_has_no_limit_and_a_failure_shows_the_end_of_stderr() {
    let (_world, vm) = world().await;
    let line = "head -c 5000000 /dev/zero; head -c 100000 /dev/zero | tr '\\0' x >&2; \
                printf '\\nthe reason\\n' >&2; exit 3";
    let output = vm.shell(line).output().await.unwrap();
    assert_eq!(
        (output.stdout.len(), output.stderr.len()),
        (5_000_000, 100_012)
    );
    let of_output = output.ensure_success().unwrap_err();
    let of_status = vm
        .shell(line)
        .status()
        .await
        .unwrap()
        .ensure_success()
        .unwrap_err();
    for error in [of_output, of_status] {
        assert_eq!(error.kind(), ErrorKind::Command);
        let line = error.to_string();
        assert!(
            line.contains("code 3: x") && line.ends_with("x the reason"),
            "{line}"
        );
        assert!(line.len() < 1000, "{line}");
    }
    let slow = vm.shell("sleep 60").timeout(Duration::from_secs(1));
    let error = slow.status().await.unwrap().ensure_success().unwrap_err();
    assert!(error.to_string().contains("time was up"), "{error}");
}

#[tokio::test]
async fn the_outputs_of_a_child_are_read_as_they_come() {
    let (_world, vm) = world().await;
    vm.run("mkfifo go").await.unwrap().ensure_success().unwrap();
    let line = "echo one; echo oops >&2; read -r line < go; echo $line; echo done >&2; exit 5";
    let mut child = vm.shell(line).spawn().await.unwrap();
    assert!(child.id().is_some_and(|id| id > 1));
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(stdout.next_line().await.unwrap().unwrap(), "one");
    assert_eq!(stderr.next_line().await.unwrap().unwrap(), "oops");
    // All three wait at once, each in its task, and none of them misses its news.
    let out = tokio::spawn(async move { (stdout.next_line().await, stdout.next_line().await) });
    let err = tokio::spawn(async move { (stderr.next_line().await, stderr.next_line().await) });
    let end = tokio::spawn(async move {
        let status = child.wait().await.unwrap();
        assert_eq!(
            (child.id(), child.wait().await.unwrap()),
            (None, status.clone())
        );
        status
    });
    vm.run("echo two > go")
        .await
        .unwrap()
        .ensure_success()
        .unwrap();
    let (line, rest) = out.await.unwrap();
    assert_eq!(
        (line.unwrap().as_deref(), rest.unwrap()),
        (Some("two"), None)
    );
    let (line, rest) = err.await.unwrap();
    assert_eq!(
        (line.unwrap().as_deref(), rest.unwrap()),
        (Some("done"), None)
    );
    assert_eq!(end.await.unwrap().code, 5);
}

#[tokio::test]
async fn an_output_that_nobody_reads_holds_up_neither_the_other_nor_the_end() {
    let (_world, vm) = world().await;
    let line = "head -c 3000000 /dev/zero >&2; printf out; head -c 3000000 /dev/zero >&2";
    let mut child = vm.shell(line).spawn().await.unwrap();
    let mut seen = String::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_string(&mut seen).await.unwrap();
    assert_eq!(seen, "out");
    assert!(child.wait().await.unwrap().is_success());
    let mut rest = Vec::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_end(&mut rest)
        .await
        .unwrap();
    assert_eq!(rest.len(), 6_000_000);

    let mut child = vm
        .shell("cat; echo no >&2; exit 1")
        .stdin("all")
        .spawn()
        .await
        .unwrap();
    child.stderr = None;
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(
        (&output.stdout[..], &output.stderr[..], output.exit.code),
        (&b"all"[..], &b""[..], 1)
    );
}

#[tokio::test]
async fn a_signal_reaches_the_command_and_a_kill_all_that_it_started() {
    let (_world, vm) = world().await;
    let line = "trap 'echo caught; exit 9' USR1; echo ready; while :; do sleep 0.01; done";
    let mut child = vm.shell(line).spawn().await.unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(stdout.next_line().await.unwrap().unwrap(), "ready");
    child.signal(Signal::Usr1).await.unwrap();
    assert_eq!(stdout.next_line().await.unwrap().unwrap(), "caught");
    assert_eq!(child.wait().await.unwrap().code, 9);
    let error = child.signal(Signal::Term).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Command, Outcome::Rejected)
    );
    child.kill().await.unwrap();

    let mut child = vm.shell("sleep 987 & sleep 987").spawn().await.unwrap();
    child.kill().await.unwrap();
    assert_eq!(child.wait().await.unwrap().code, 128 + 9);
    assert_eq!(sleepers(&vm, "987").await, 0);
}

/// How many processes of the VM sleep for this long.
async fn sleepers(vm: &Vm, seconds: &str) -> usize {
    let line = format!(
        "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -o 'slee[p] {seconds} ' | wc -l"
    );
    text(vm.shell(line).env_clear().env("PATH", "/usr/bin:/bin"))
        .await
        .trim()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_dropped_child_runs_on_unless_it_is_to_be_killed() {
    let (_world, vm) = world().await;
    drop(vm.command("sleep").arg("986").spawn().await.unwrap());
    drop(
        vm.command("sleep")
            .arg("985")
            .kill_on_drop(true)
            .spawn()
            .await
            .unwrap(),
    );
    let output = vm.command("sleep").arg("984").kill_on_drop(true).output();
    assert!(
        tokio::time::timeout(Duration::from_millis(300), output)
            .await
            .is_err()
    );
    let gone = async { while sleepers(&vm, "985").await + sleepers(&vm, "984").await > 0 {} };
    tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .unwrap();
    assert_eq!(sleepers(&vm, "986").await, 1);
}

#[tokio::test]
async fn a_stream_that_is_cut_is_never_a_success() {
    let (world, vm) = world().await;
    let order = |fault: Fault| {
        world.server.faults().clear();
        world.server.faults().add(fault.on("execVm")).unwrap();
    };
    let line = "head -c 100000 /dev/zero; exit 0";
    for fault in [Fault::no_exit_event(), Fault::cut_body_after(200)] {
        order(fault);
        let cut = vm.shell(line).output().await.unwrap_err();
        assert_eq!(cut.error.kind(), ErrorKind::Stream, "{cut:?}");
        let error = vm.shell(line).status().await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Stream, Outcome::Unknown)
        );
    }

    order(Fault::no_exit_event());
    let mut child = vm.shell("echo out").spawn().await.unwrap();
    let (mut stdout, mut came) = (child.stdout.take().unwrap(), Vec::new());
    let error = stdout.read_to_end(&mut came).await.unwrap_err();
    assert_eq!(
        (error.kind(), &came[..]),
        (io::ErrorKind::ConnectionAborted, &b"out\n"[..])
    );
    let inner = error.get_ref().unwrap().downcast_ref::<fastvm::Error>();
    assert_eq!(inner.unwrap().kind(), ErrorKind::Stream);
    for _ in 0..2 {
        assert_eq!(child.wait().await.unwrap_err().kind(), ErrorKind::Stream);
    }

    order(Fault::vm_dies_after(200));
    let cut = vm.shell(line).output().await.unwrap_err();
    assert_eq!(cut.error.kind(), ErrorKind::Gone, "{cut:?}");
}

#[tokio::test]
async fn values_of_variables_are_in_no_debug_output() {
    let (_world, vm) = world().await;
    let command = vm.command("a").env("TOKEN", "hunter2").stdin("hunter2");
    let text = format!("{command:?}");
    assert!(
        text.contains("TOKEN") && !text.contains("hunter2"),
        "{text}"
    );
    let variables = BTreeMap::from([("TOKEN", "hunter2")]);
    let error = vm
        .command("a")
        .envs(variables)
        .current_dir("/no")
        .output()
        .await
        .unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"));
}
