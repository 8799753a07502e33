//! The sandbox of an agent: offers commands and files of a VM as tools with JSON schemas, and answers
//! tool calls, a line of JSON each. No model is called here: connect the one you have.
//!
//! ```sh
//! cargo run -p fastvm --features schemars --example agent_tools -- tools   # what the model is told
//! cargo run -p fastvm --features schemars --example agent_tools -- demo    # a scripted model
//! cargo run -p fastvm --features schemars --example agent_tools            # tool calls from stdin
//! ```
//!
//! A call is `{"id": 1, "name": "exec", "arguments": {"command": "ls"}}`, its answer
//! `{"id": 1, "result": {..}}`, or `{"id": 1, "error": ".."}` if the model can do something about it.
//! What it cannot (the VM is gone, the service is out of reach) ends the program.

mod common;

use std::time::Duration;

use common::{Failure, Service};
use fastvm::tools::{ExecArgs, ListFilesArgs, ReadFileArgs, WriteFileArgs};
use fastvm::{Client, Firewall, Vm};
use schemars::{Schema, schema_for};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};

/// So much of a text goes to the model: the end, where commands tell what went wrong.
const MOST_TEXT: usize = 16 * 1024;

const SCRIPT: &str = r#"
{"id": 1, "name": "write_file", "arguments": {"path": "/root/fib.awk", "content": "BEGIN { for (b = 1; n++ < 10; a = t) { t = b; b += a; print a } }"}}
{"id": 2, "name": "exec", "arguments": {"command": "awk -f fib.awk | tail -n 1", "timeout_seconds": 10}}
{"id": 3, "name": "read_file", "arguments": {"path": "/root/missing"}}
{"id": 4, "name": "exec", "arguments": {"cmd": "ls"}}
{"id": 5, "name": "list_files", "arguments": {"path": "/root"}}
"#;

/// A call of one of the tools; serde reads the arguments, and says what is wrong with them.
#[derive(Debug, Deserialize)]
#[serde(tag = "name", content = "arguments", rename_all = "snake_case")]
enum Tool {
    Exec(ExecArgs),
    ReadFile(ReadFileArgs),
    WriteFile(WriteFileArgs),
    ListFiles(ListFilesArgs),
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mode = std::env::args().nth(1);
    if mode.as_deref() == Some("tools") {
        println!("{:#}", tools());
        return Ok(());
    }
    let service = Service::start().await?;
    let result = match mode.as_deref() {
        Some("demo") => serve(&service.client, SCRIPT.as_bytes()).await,
        _ => serve(&service.client, BufReader::new(tokio::io::stdin())).await,
    };
    service.stop().await;
    result
}

/// The tools as models are told of them.
fn tools() -> Value {
    let tool = |name: &str, schema: Schema| {
        let description = schema.get("description").cloned();
        json!({ "name": name, "description": description, "parameters": schema })
    };
    json!([
        tool("exec", schema_for!(ExecArgs)),
        tool("read_file", schema_for!(ReadFileArgs)),
        tool("write_file", schema_for!(WriteFileArgs)),
        tool("list_files", schema_for!(ListFilesArgs)),
    ])
}

/// Answers calls in a VM of their own, until there are no more.
async fn serve(client: &Client, calls: impl AsyncBufRead + Unpin) -> Result<(), Failure> {
    // What a model writes is run here: nothing comes in, nothing goes out. And should this program be
    // killed, the service deletes the VM by itself.
    let launch = client.vms().launch("c1m2").name("agent");
    let launch = launch.firewall(Firewall::deny_all().build()?);
    let vm = launch.lease(Duration::from_secs(60)).await?;
    let mut calls = calls.lines();
    while let Some(line) = calls.next_line().await? {
        if !line.trim().is_empty() {
            println!("{}", answer(&vm, &line).await?);
        }
    }
    vm.close().await?;
    Ok(())
}

async fn answer(vm: &Vm, line: &str) -> Result<Value, Failure> {
    let call: Value = match serde_json::from_str(line) {
        Ok(call) => call,
        Err(error) => return Ok(json!({ "id": null, "error": format!("no JSON: {error}") })),
    };
    let id = call["id"].clone();
    let tool = match Tool::deserialize(call) {
        Ok(tool) => tool,
        Err(error) => return Ok(json!({ "id": id, "error": error.to_string() })),
    };
    match run(vm, tool).await {
        Ok(result) => Ok(json!({ "id": id, "result": result })),
        // A file that is not there, a path that is none: the model has to know.
        Err(error) if error.io_kind().is_some() || error.is_invalid_input() => {
            Ok(json!({ "id": id, "error": error.to_string() }))
        }
        Err(error) => Err(error.into()),
    }
}

async fn run(vm: &Vm, tool: Tool) -> fastvm::Result<Value> {
    Ok(match tool {
        Tool::Exec(args) => {
            let out = args.run_on(vm).await?;
            json!({
                "exit_code": out.exit_code,
                "stdout": end_of(&out.stdout),
                "stderr": end_of(&out.stderr),
                "timed_out": out.timed_out,
            })
        }
        Tool::ReadFile(args) => json!(end_of(&vm.fs().read_to_string(args.path).await?)),
        Tool::WriteFile(args) => {
            let length = args.content.len();
            vm.fs().write(args.path, args.content).await?;
            json!(format!("{length} bytes written"))
        }
        Tool::ListFiles(args) => {
            let entries = vm.fs().read_dir(args.path).await?;
            let entries = entries.iter().map(|entry| {
                let name = entry.file_name().to_string_lossy();
                json!({ "name": name, "is_dir": entry.metadata().is_dir(), "size": entry.metadata().len() })
            });
            entries.collect()
        }
    })
}

/// The end of a long text, and how much is missing.
fn end_of(text: &str) -> String {
    if text.len() <= MOST_TEXT {
        return text.to_owned();
    }
    let mut start = text.len() - MOST_TEXT;
    while !text.is_char_boundary(start) {
        start += 1;
    }
    format!("[{start} bytes left out]\n{}", &text[start..])
}
