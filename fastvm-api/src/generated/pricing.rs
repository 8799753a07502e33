// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! Calls on pricing.

use crate::Client;
use crate::{ResponseValue, Result, operations};
use crate::call::{Call, Pending};
use crate::types;

/// The calls on pricing: `client.pricing()`.
///
/// Public list prices.
#[derive(Clone, Debug)]
pub struct Pricing {
    client: Client,
}

impl Pricing {
    pub(crate) fn new(client: &Client) -> Self {
        Self { client: client.clone() }
    }

    /// Retrieve the list prices.
    ///
    /// Returns the public list prices of compute and of volume storage. Needs no API key.
    ///
    /// Sends `GET /v1/pricing`, and gives [`PricingResponse`](fastvm_api::types::PricingResponse). It is safe to send again. Needs no API key.
    ///
    /// # Errors
    ///
    /// What can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: fastvm_api::Client) -> fastvm_api::Result<()> {
    /// for tier in client.pricing().retrieve().await?.compute.tiers {
    ///     println!("from {} vCPU-hours on: {} USD each", tier.from_vcpu_hours, tier.rate_per_vcpu_hour);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn retrieve(&self) -> Retrieve {
        Retrieve::new(&self.client)
    }
}

/// Retrieve the list prices.
///
/// Made by [`client.pricing().retrieve`](fastvm_api::pricing::Pricing::retrieve); sends `GET /v1/pricing` when awaited, and gives [`PricingResponse`](fastvm_api::types::PricingResponse). `.send()` gives status and headers, too.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is awaited"]
pub struct Retrieve {
    call: Call,
}

impl Retrieve {
    pub(crate) fn new(client: &Client) -> Self {
        Self { call: Call::new(client) }
    }

    crate::__call_options!(call);
    /// Sends the request and answers the body with status and headers.
    #[allow(clippy::manual_async_fn, reason = "the future would hold `self` twice")]
    pub fn send(
        self,
    ) -> impl Future<Output = Result<ResponseValue<types::PricingResponse>>> + Send {
        async move {
            let exchange = self.call.begin(&operations::GET_PRICING, &[])?;
            let request = exchange.raw.get_pricing();
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Retrieve {
    type Output = Result<types::PricingResponse>;
    type IntoFuture = Pending<types::PricingResponse>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}
