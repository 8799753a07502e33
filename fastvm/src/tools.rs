//! The arguments of the tools that an agent needs in a VM, with their JSON schemas.
//!
//! A model is offered a tool by its name and a schema, and calls it with JSON that the schema
//! allows; serde reads that into these types. What a field says in its documentation is what the
//! model is told. A field that a tool does not have is refused, so that the model learns of it.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = fastvm_local::Server::start().await?;
//! # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
//! # let vm = client.vms().launch("c1m2").await?;
//! use fastvm::tools::ExecArgs;
//!
//! let schema = schemars::schema_for!(ExecArgs); // goes to the model, with the tool's name
//! assert_eq!(schema.get("required").unwrap(), &serde_json::json!(["command"]));
//!
//! let call: ExecArgs = serde_json::from_str(r#"{"command": "echo $((6 * 7))"}"#)?;
//! let out = call.run_on(&vm).await?;
//! assert_eq!(out.stdout, "42\n");
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exec::Run;
use crate::vm::Vm;

/// Run a shell command in the sandbox and get its exit code, standard output and standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ExecArgs {
    /// A line for `sh -c`, such as `cd /root/src && cargo test`. It starts in the home folder.
    pub command: String,
    /// What the command reads from standard input. Nothing if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// After how many seconds the command is ended. Without it, the default of the sandbox holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub timeout_seconds: Option<u32>,
}

impl ExecArgs {
    /// The command on this VM, to be awaited: see [`Vm::run`].
    pub fn run_on(&self, vm: &Vm) -> Run {
        let mut run = vm.run(&self.command);
        if let Some(stdin) = &self.stdin {
            run = run.stdin(stdin.as_str());
        }
        if let Some(seconds) = self.timeout_seconds {
            run = run.timeout(Duration::from_secs(seconds.into()));
        }
        run
    }
}

/// Read a text file of the sandbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ReadFileArgs {
    /// Absolute path of the file, such as `/root/src/main.rs`.
    pub path: String,
}

/// Write a text file of the sandbox: make it, or replace all that it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WriteFileArgs {
    /// Absolute path of the file, such as `/root/src/main.rs`.
    pub path: String,
    /// All that the file shall hold.
    pub content: String,
}

/// List the files and folders that are in a folder of the sandbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ListFilesArgs {
    /// Absolute path of the folder, such as `/root/src`.
    pub path: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_describe_every_field_and_allow_no_other() {
        for schema in [
            schemars::schema_for!(ExecArgs).to_value(),
            schemars::schema_for!(ReadFileArgs).to_value(),
            schemars::schema_for!(WriteFileArgs).to_value(),
            schemars::schema_for!(ListFilesArgs).to_value(),
        ] {
            assert!(schema["description"].is_string(), "{schema:#}");
            assert_eq!(schema["additionalProperties"], false, "{schema:#}");
            for (name, field) in schema["properties"].as_object().unwrap() {
                assert!(field["description"].is_string(), "{name} of {schema:#}");
            }
        }
    }

    #[test]
    fn arguments_that_no_tool_has_are_refused() {
        let error = serde_json::from_str::<ReadFileArgs>(r#"{"path": "/a", "lines": 3}"#);
        assert!(error.unwrap_err().to_string().contains("lines"));
        assert!(serde_json::from_str::<WriteFileArgs>(r#"{"path": "/a"}"#).is_err());
    }
}
