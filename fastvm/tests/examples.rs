//! Runs the examples as a reader would, on their own local servers. They are built by `cargo test`, but
//! not by `cargo test --test examples`: that runs those of the last build.

#![cfg(target_os = "linux")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
#[cfg(feature = "console")]
use std::time::Duration;

use tempfile::TempDir;

/// An example in a folder of its own, whatever account the caller has.
struct Example {
    name: &'static str,
    folder: TempDir,
}

impl Example {
    fn new(name: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { name, folder }
    }

    fn program(&self) -> PathBuf {
        // target/debug/deps/examples-…, beside which examples are.
        let tests = std::env::current_exe().unwrap();
        let profile = tests.parent().and_then(Path::parent).unwrap();
        let program = profile.join("examples").join(self.name);
        assert!(program.exists(), "{} is not built", program.display());
        program
    }

    fn run(&self, args: &[&str], input: &str) -> Output {
        let mut child = Command::new(self.program())
            .args(args)
            .current_dir(&self.folder)
            .env_remove("FASTVM_API_KEY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that reads no input may be over already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// What it prints; it must succeed.
    fn prints(&self, args: &[&str], input: &str) -> String {
        let output = self.run(args, input);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(
            output.status.success(),
            "{}\n{stdout}\n{stderr}",
            output.status
        );
        stdout
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn assert_has(text: &str, part: &str) {
    assert!(text.contains(part), "no `{part}` in\n{text}");
}

#[test]
fn quickstart_does_the_whole_job() {
    let printed = Example::new("quickstart").prints(&[], "");
    assert_has(&printed, "lines there and here");
    assert_has(&printed, "deleted");
}

#[test]
fn fan_out_adds_up_what_each_vm_found() {
    let printed = Example::new("fan_out").prints(&["3"], "");
    assert_has(&printed, "VM 2: 127 primes");
    assert_has(&printed, "430 primes below 3000");
}

#[test]
fn live_log_shows_both_outputs_and_fails_as_the_program_does() {
    let example = Example::new("live_log");
    let printed = example.prints(&[], "");
    let lines = || printed.lines().filter_map(|line| line.split_once("s "));
    let of = |mark| lines().filter_map(move |(_, line)| line.strip_prefix(mark));
    let served: Vec<_> = of("  request ").collect();
    assert_eq!(
        served,
        ["1 served", "2 served", "3 served", "4 served", "5 served"]
    );
    assert!(of("! ").eq(["request 3 was slow"]), "{printed}");

    let failed = example.run(&["echo last words; exit 7"], "");
    assert_eq!(failed.status.code(), Some(1));
    assert_has(&text(&failed.stdout), "last words");
    assert_has(&text(&failed.stderr), "the program exited with 7");
}

#[test]
fn build_dockerfile_shows_the_build_and_what_came_of_it() {
    let printed = Example::new("build_dockerfile").prints(&[], "");
    assert_has(&printed, "greetings from the build");
    assert_has(&printed, "is ready");
    assert_has(&printed, "apple\npear\n");
}

#[test]
fn build_dockerfile_tells_which_line_failed() {
    let example = Example::new("build_dockerfile");
    std::fs::write(
        example.folder.path().join("Dockerfile"),
        "FROM local/base\nRUN exit 9\n",
    )
    .unwrap();
    let failed = example.run(&["."], "");
    assert_eq!(failed.status.code(), Some(1));
    assert_has(&text(&failed.stderr), "Dockerfile line 2");
}

#[test]
fn test_shards_exits_as_the_worst_shard_and_brings_all_reports() {
    let example = Example::new("test_shards");
    let output = example.run(&[], "");
    let stdout = text(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{stdout}\n{}",
        text(&output.stderr)
    );
    assert_has(&stdout, "[0] four is wrong");
    let reports = example.folder.path().join("reports");
    let results: Vec<_> = (0..3)
        .map(|shard| {
            std::fs::read_to_string(reports.join(format!("shard-{shard}/results"))).unwrap()
        })
        .collect();
    assert_eq!(results[0], "tests/1.sh ok\ntests/4.sh FAILED\n");
    assert_eq!(results[2], "tests/3.sh ok\ntests/6.sh ok\n");

    std::fs::create_dir(example.folder.path().join("suite")).unwrap();
    let line = "exit $((SHARD * 10))";
    let output = example.run(&["suite", "2", line], "");
    assert_eq!(output.status.code(), Some(10));
}

#[cfg(feature = "blocking")]
#[test]
fn blocking_needs_no_runtime() {
    let printed = Example::new("blocking").prints(&[], "");
    assert_has(&printed, "sums: [499500, 999000, 1498500]");
    assert_has(&printed, "log: step 3");
    assert_has(&printed, "VMs left: 0");
}

#[cfg(feature = "schemars")]
#[test]
fn agent_tools_answers_what_a_model_asks() {
    use serde_json::{Value, json};

    let example = Example::new("agent_tools");
    let tools: Value = serde_json::from_str(&example.prints(&["tools"], "")).unwrap();
    let names: Vec<_> = tools
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| &tool["name"])
        .collect();
    assert_eq!(names, ["exec", "read_file", "write_file", "list_files"]);
    assert!(
        tools[0]["description"]
            .as_str()
            .unwrap()
            .contains("exit code")
    );
    assert_eq!(tools[0]["parameters"]["required"], json!(["command"]));

    let answers = |printed: String| -> Vec<Value> {
        printed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let demo = answers(example.prints(&["demo"], ""));
    assert_eq!(demo[1]["result"]["stdout"], "34\n");
    assert_has(demo[2]["error"].as_str().unwrap(), "/root/missing");
    assert_has(demo[3]["error"].as_str().unwrap(), "cmd");
    assert_eq!(demo[4]["result"][0]["name"], "fib.awk");

    let calls = r#"
{"id": "a", "name": "exec", "arguments": {"command": "exit 3"}}
{"id": "b", "name": "fly", "arguments": {}}
not JSON
{"id": "c", "name": "exec", "arguments": {"command": "seq 10000"}}
"#;
    let answered = answers(example.prints(&[], calls));
    assert_eq!(
        answered[0],
        json!({"id": "a", "result": {"exit_code": 3, "stdout": "", "stderr": "", "timed_out": false}})
    );
    assert_has(answered[1]["error"].as_str().unwrap(), "`exec`");
    assert_eq!(answered[2]["id"], Value::Null);
    let long = answered[3]["result"]["stdout"].as_str().unwrap();
    assert!(
        long.len() < 17 * 1024
            && long.ends_with("9999\n10000\n")
            && long.contains("bytes left out")
    );
}

/// `script` gives it a terminal. `stty` says how that is before and after, whether the shell in the VM
/// ends or the example is told to.
#[cfg(feature = "console")]
#[test]
fn console_puts_the_terminal_back() {
    for (ending, typed, code) in [
        ("", "echo $((6 * 7)); exit\n", "0"),
        ("kill -TERM $console;", "", "1"),
    ] {
        let example = Example::new("console");
        let file = |name: &str| std::fs::read_to_string(example.folder.path().join(name));
        let line = format!(
            "stty -a > before; '{}' < /dev/tty & console=$!
             until stty -a < /dev/tty | grep -q -e -icanon; do sleep 0.05; done
             echo > attached; {ending} wait $console; echo $? > code; stty -a > after",
            example.program().display()
        );
        let mut script = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .current_dir(&example.folder)
            .env_remove("FASTVM_API_KEY")
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut keys = script.stdin.take().unwrap(); // its end would be typed, too
        while file("attached").is_err() {
            assert_eq!(script.try_wait().unwrap(), None);
            std::thread::sleep(Duration::from_millis(20));
        }
        keys.write_all(typed.as_bytes()).unwrap();
        let shown = text(&script.wait_with_output().unwrap().stdout);
        assert_eq!(file("code").unwrap().trim(), code, "{shown}");
        assert_has(&file("before").unwrap(), " icanon");
        assert_eq!(file("before").unwrap(), file("after").unwrap(), "{shown}");
    }
}
