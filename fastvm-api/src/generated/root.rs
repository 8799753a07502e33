// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! The calls that belong to no resource.

use crate::Client;
use crate::{ResponseValue, Result, operations};
use crate::call::{Call, Pending};
use crate::types;

/// The resources of the API.
impl Client {
    /// The calls on VMs.
    pub fn vms(&self) -> crate::vms::Vms {
        crate::vms::Vms::new(self)
    }

    /// The calls on volumes.
    pub fn volumes(&self) -> crate::volumes::Volumes {
        crate::volumes::Volumes::new(self)
    }

    /// The calls on me.
    pub fn me(&self) -> crate::me::Me {
        crate::me::Me::new(self)
    }

    /// The calls on snapshots.
    pub fn snapshots(&self) -> crate::snapshots::Snapshots {
        crate::snapshots::Snapshots::new(self)
    }

    /// The calls on snapshot imports.
    pub fn snapshot_imports(&self) -> crate::snapshot_imports::SnapshotImports {
        crate::snapshot_imports::SnapshotImports::new(self)
    }

    /// The calls on quotas.
    pub fn quotas(&self) -> crate::quotas::Quotas {
        crate::quotas::Quotas::new(self)
    }

    /// The calls on pricing.
    pub fn pricing(&self) -> crate::pricing::Pricing {
        crate::pricing::Pricing::new(self)
    }

    /// Check that the service is up.
    ///
    /// Answers 200 if the service is up. Useful as a cheap first call that opens the HTTP/2
    /// connection before it is needed.
    ///
    /// Sends `GET /healthz`, and gives [`HealthResponse`](fastvm_api::types::HealthResponse). It is safe to send again. Needs no API key.
    ///
    /// # Errors
    ///
    /// What can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: fastvm_api::Client) -> fastvm_api::Result<()> {
    /// let health = client.health().await?;
    /// println!("{health:?}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn health(&self) -> Health {
        Health::new(self)
    }
}

/// Check that the service is up.
///
/// Made by [`client.health`](fastvm_api::Client::health); sends `GET /healthz` when awaited, and gives [`HealthResponse`](fastvm_api::types::HealthResponse). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Health {
    call: Call,
}

impl Health {
    pub(crate) fn new(client: &Client) -> Self {
        Self { call: Call::new(client) }
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::HealthResponse>>> + Send {
        async move {
            let exchange = self.call.begin(&operations::GET_HEALTH, &[])?;
            let request = exchange.raw.get_health();
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Health {
    type Output = Result<types::HealthResponse>;
    type IntoFuture = Pending<types::HealthResponse>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}
