//! The FastVM SDK: launch microVMs in a moment, run and stream commands in them, move files in and
//! out.
//!
//! ```
//! use fastvm::{Client, ExecEvent};
//! use futures_util::TryStreamExt;
//!
//! # async fn example() -> fastvm::Result<()> {
//! let client = Client::from_env()?; // FASTVM_API_KEY, FASTVM_BASE_URL
//! let vm = client.vms().launch("c1m2").name("dev").await?; // waits until running
//!
//! vm.upload("./src", "/root/src").await?; // file or folder
//! let out = vm.run(["ls", "-la", "/root/src"]).await?;
//! println!("{} {}", out.exit_code, out.stdout);
//!
//! let mut events = vm.stream("for i in 1 2 3; do echo $i; sleep 1; done").await?; // shell line
//! while let Some(event) = events.try_next().await? {
//!     match event {
//!         ExecEvent::Stdout(bytes) => print!("{}", String::from_utf8_lossy(&bytes)),
//!         ExecEvent::Stderr(bytes) => eprint!("{}", String::from_utf8_lossy(&bytes)),
//!         ExecEvent::Exit(exit) => println!("exit {} in {:?}", exit.code, exit.duration),
//!         _ => {}
//!     }
//! }
//! vm.download("/root/src", "./back").await?;
//! vm.delete().await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Client`] is the way in. It derefs to the generated resource tree of [`fastvm_api`], so every
//! operation of the API is at its published place; `launch`, `restore`, `run`, `stream`, `upload`
//! and `download` are written by hand on top. Each call that works on a VM takes its id
//! (`client.vms().run(&id, ..)`) or goes through a handle (`vm.run(..)`).
//!
//! # What holds everywhere
//!
//! - A builder does nothing until it is awaited; `.send().await` gives status and headers, too.
//! - An operation that is not safe to repeat is sent once, and again only if it provably never left.
//!   [`Error::outcome`] says what is known of a failed call's side effects.
//! - A launch that fails or is dropped leaves no VM behind, and one whose answer was lost is found
//!   again: see [`Vms::launch`]. [`Vm::into_guard`] deletes a VM at the end of a scope, and
//!   [`Vm::lease`] when its client is no more.
//! - A transfer is whole, or an error that names the path; it leaves nothing half-written.
//! - A stream ends with the command's exit or with an error, never in silence.
//! - Keys, signed URLs, credentials and environment values are in no error and no `Debug` output.
//!
//! The [guide] has what those need who come from TypeScript or Python.
//!
//! # Features
//!
//! Only `ring` is on by default.
//!
//! - `ring`: the cryptography of TLS, where the program has not chosen another for its process. The
//!   first connection is made some 25 ms sooner than with the next, and builds are shorter.
//! - `aws-lc-rs`: the same by aws-lc-rs, which has post-quantum key exchange. It is used where `ring` is
//!   off. Without it, a program that uses reqwest itself, but without TLS, has to install a provider
//!   of rustls: reqwest knows TLS then, and panics without one.
//! - `blocking`: `.call()` in place of `.await`, and iterators in place of streams.
//! - `console`: `vm.console()`, a terminal in a VM.
//! - `schemars`: `schemars::JsonSchema` for every request and answer type.
//!
//! To try it without an account, point it at the local server: `cargo run -p fastvm-local`.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "blocking")]
pub mod blocking;
mod cleanup;
mod client;
mod command;
mod connector;
#[cfg(feature = "console")]
mod console;
pub mod credentials;
mod exec;
mod firewall;
mod fs;
mod guard;
pub mod guide;
mod idle;
mod images;
mod launch;
mod lease;
mod network;
mod poll;
mod ports;
mod rescue;
mod retry;
mod scale;
mod secrets;
mod snapshot;
mod ssh_keys;
mod stream;
mod sweep;
mod tls;
#[cfg(feature = "schemars")]
pub mod tools;
mod trace;
mod transfer;
mod vm;
mod vms;
mod volumes;

pub use client::{Client, ClientBuilder};
pub use command::{Child, ChildOutput, Command, ExitStatus, Signal};
#[cfg(feature = "console")]
pub use console::{Console, OpenConsole};
pub use exec::{CommandLine, Output, Run};
pub use fastvm_api::{
    CallInfo, CallOptions, Cleanup, Error, ErrorKind, Operation, Outcome, Patch, ResponseValue,
    Result, Sending, Transport, types,
};
pub use firewall::{Firewall, Ports, Traffic};
pub use fs::{DirEntry, FileType, Fs, Metadata, RemotePath};
pub use guard::VmGuard;
pub use images::{BuildDockerfile, BuildImage, ImageBuild, SnapshotImports};
pub use launch::{LAUNCH_ID_KEY, Launch, WaitForVmReady};
pub use lease::{Lease, LeasedLaunch, TakeLease};
pub use ports::{Expose, WaitForHttp, WaitForPort};
pub use retry::RetryPolicy;
pub use scale::{Fork, ForkAll, LaunchAll, LaunchMany};
pub use snapshot::TakeSnapshot;
pub use ssh_keys::{AddFile, Me, SshKeys};
pub use stream::{
    ExecEvent, ExecStream, Exit, IncompleteOutput, Line, LineSource, Lines, Stream, StreamOutput,
};
pub use sweep::{Sweep, Swept};
pub use transfer::{Compression, Download, DownloadBytes, DownloadTo, Progress, Upload};
pub use vm::{Vm, Warnings};
pub use vms::Vms;
pub use volumes::{AttachVolume, CreateVolume, UpdateVolume, Volumes, WaitForVolume};

/// The program of the README: compiled with the doctests, but not run, since it talks to whatever
/// service the environment names.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
