//! The raw FastVM client: every operation of the REST API as a method, made from its OpenAPI
//! document by `cargo xtask regen`.
//!
//! Most programs want the crate `fastvm`, which stands on this one and adds waiting, streams, file
//! transfer, retries and configuration. Use this crate to plug a [`Transport`] of your own, or to
//! share [`types`] with a server.
//!
//! ```
//! # use std::sync::Arc;
//! use fastvm_api::{CallInfo, Client, Sending, Transport};
//!
//! /// Answers every call without a network.
//! #[derive(Debug)]
//! struct Fake;
//!
//! impl Transport for Fake {
//!     fn send<'a>(&'a self, request: reqwest::Request, call: &'a CallInfo) -> Sending<'a> {
//!         assert_eq!(call.operation().id, "getHealth");
//!         assert_eq!(request.url().path(), "/healthz");
//!         Box::pin(async { Ok(http::Response::new(r#"{"status":"ok"}"#).into()) })
//!     }
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let client = Client::new("http://localhost", reqwest::Client::new(), Arc::new(Fake));
//! let health = client.health().await?;
//! assert_eq!(health.status.as_deref(), Some("ok"));
//! # Ok::<(), fastvm_api::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Everything begins at [`Client`]: [`vms`](Client::vms) with services, files, volumes and bucket mounts,
//! [`snapshots`](Client::snapshots), [`snapshot_imports`](Client::snapshot_imports),
//! [`volumes`](Client::volumes), [`me`](Client::me), [`quotas`](Client::quotas),
//! [`pricing`](Client::pricing), [`health`](Client::health). The page of each resource lists its calls;
//! that of a call has its limits, its errors, whether it is safe to send again, and where the crate
//! `fastvm` has more to offer. [`Error`] is what all of them fail with, [`operations`] a table of them.
//!
//! # The shape of the tree
//!
//! A call sits at its published place: `client.vms().services().register(id, "web", 8080)`.
//! What a call requires are arguments; what is optional are setters of the builder. `.await` gives
//! the answer's body, `.send().await` also its status and headers. Each call can be tuned where it
//! is made, with `.request_timeout(..)`, `.max_retries(..)` and `.header(..)`.
//!
//! [`Vms`](vms::Vms) and its builders are generic in what a VM is handed out as; here it is plain
//! data, `fastvm` makes it a handle with verbs.
//!
//! # Features
//!
//! - `schemars`: `JsonSchema` for every type of [`types`].
//! - `spec`: the document itself, as `fastvm_api::SPEC`.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

// Generated docs link by this name, also where a setter macro puts them into another crate.
extern crate self as fastvm_api;

mod call;
mod client;
mod error;
mod exchange;
#[rustfmt::skip]
#[allow(clippy::all, rustdoc::redundant_explicit_links, unreachable_pub)]
mod generated;
mod patch;
mod values;

pub use call::{Call, CallInfo, CallOptions, Operation, Pending};
pub use client::Client;
pub use error::{Cleanup, Error, ErrorKind, Outcome, Result};
#[doc(hidden)]
pub use exchange::{BodyApart, successful, whole_body};
pub use exchange::{Sending, Transport};
pub use generated::*;
pub use patch::Patch;
pub use progenitor_client::{ByteStream, ResponseValue};

/// The OpenAPI document this crate was made from, as JSON.
#[cfg(feature = "spec")]
pub const SPEC: &str = include_str!("generated/openapi.json");

#[cfg(all(test, feature = "schemars", feature = "spec"))]
mod tests {
    use serde_json::Value;

    use crate::types::{BucketMountCredentials, LaunchVmRequest, UpdateVmRequest, VmStatus};

    #[test]
    fn schemas_have_wire_names_open_sets_and_nullable_patches() {
        let launch = schemars::schema_for!(LaunchVmRequest).to_value();
        assert!(
            launch["properties"]["machineType"].is_object(),
            "{launch:#}"
        );
        assert!(launch["required"].is_null(), "{launch:#}");
        let status = schemars::schema_for!(VmStatus).to_value();
        assert_eq!(status["type"], "string");
        assert!(
            status["enum"].is_null(),
            "a closed set would refuse what a server adds"
        );
        let update = schemars::schema_for!(UpdateVmRequest).to_value();
        assert!(
            update["properties"]["ttl"]["anyOf"].is_array(),
            "{update:#}"
        );
        let login = schemars::schema_for!(BucketMountCredentials).to_value();
        assert_eq!(
            login["oneOf"].as_array().map(Vec::len),
            Some(2),
            "{login:#}"
        );
    }

    #[test]
    fn the_document_is_the_one_the_operations_are_of() {
        let document: Value = serde_json::from_str(crate::SPEC).unwrap();
        for operation in crate::operations::ALL {
            let method = operation.method.to_lowercase();
            let id = &document["paths"][operation.path][method]["operationId"];
            assert_eq!(id, operation.id);
        }
    }
}
