// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! Everything made of the document.

#[macro_use]
mod setters;
pub mod operations;
pub(crate) mod raw;
pub mod types;
pub mod root;
pub mod vms;
pub mod volumes;
pub mod me;
pub mod snapshots;
pub mod snapshot_imports;
pub mod quotas;
pub mod pricing;
