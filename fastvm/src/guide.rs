//! Chapters to read, besides the documentation of each call.
//!
//! | chapter | for |
//! |---|---|
//! | [getting started](getting_started) | from nothing to a command that ran in a VM |
//! | [commands] | run, stream, feed, limit and kill what runs in a VM |
//! | [files] | single files, folders, large data, volumes and buckets |
//! | [network] | ports and URLs, firewalls, consoles |
//! | [lifecycle and cost](lifecycle) | what a VM costs when, and how none is left behind |
//! | [errors and retries](errors) | what an error says, and what the client has done about it |
//! | [scale] | many VMs, forks, snapshots, images |
//! | [testing] | the local server, with faults on demand, from any language |
//! | [coming from TypeScript or Python](migration) | each published call and its form in Rust |
//! | [operations] | every operation of the API, and what this crate adds to it |
//!
//! Each snippet is run against the local server by `cargo test --doc`. What a snippet needs besides
//! what it shows is a `client`, and often a `vm` that `client.vms().launch("c1m2").await?` gave.

#[doc = include_str!("guide/getting_started.md")]
pub mod getting_started {}

#[doc = include_str!("guide/commands.md")]
pub mod commands {}

#[doc = include_str!("guide/files.md")]
pub mod files {}

#[doc = include_str!("guide/network.md")]
pub mod network {}

#[doc = include_str!("guide/lifecycle.md")]
pub mod lifecycle {}

#[doc = include_str!("guide/errors.md")]
pub mod errors {}

#[doc = include_str!("guide/scale.md")]
pub mod scale {}

#[doc = include_str!("guide/testing.md")]
pub mod testing {}

#[doc = include_str!("guide/migration.md")]
pub mod migration {}

/// Every operation of the API
///
/// Each is called at its published place. Where this crate has more to offer, the third column names
/// it: waiting, streams, checks, cleaning up. The page of a call tells its arguments, limits and errors.
#[doc = fastvm_api::__operations_table!()]
pub mod operations {}
