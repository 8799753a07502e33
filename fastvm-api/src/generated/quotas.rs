// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! Calls on quotas.

use crate::Client;
use crate::{ResponseValue, Result, operations};
use crate::call::{Call, Pending};
use crate::types;

/// The calls on quotas: `client.quotas()`.
///
/// What the org may use and what it uses now.
#[derive(Clone, Debug)]
pub struct Quotas {
    client: Client,
}

impl Quotas {
    pub(crate) fn new(client: &Client) -> Self {
        Self { client: client.clone() }
    }

    /// Retrieve the quotas of the org.
    ///
    /// Returns the limits of the caller's org and what it uses of them now, in two objects of
    /// the same shape.
    ///
    /// Sends `GET /v1/org/quotas`, and gives [`OrgQuotaUsage`](fastvm_api::types::OrgQuotaUsage). It is safe to send again.
    ///
    /// # Errors
    ///
    /// What can go wrong, and what is known then: see [`Error`](fastvm_api::Error).
    ///
    /// # Examples
    ///
    /// ```
    /// # async fn example(client: fastvm_api::Client) -> fastvm_api::Result<()> {
    /// let quotas = client.quotas().retrieve().await?;
    /// println!("{} of {} vCPUs are in use", quotas.usage.vcpu, quotas.limits.vcpu);
    /// # Ok(())
    /// # }
    /// ```
    pub fn retrieve(&self) -> Retrieve {
        Retrieve::new(&self.client)
    }
}

/// Retrieve the quotas of the org.
///
/// Made by [`client.quotas().retrieve`](fastvm_api::quotas::Quotas::retrieve); sends `GET /v1/org/quotas` when awaited, and gives [`OrgQuotaUsage`](fastvm_api::types::OrgQuotaUsage). `.send()` gives status and headers, too.
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
    ) -> impl Future<Output = Result<ResponseValue<types::OrgQuotaUsage>>> + Send {
        async move {
            let exchange = self.call.begin(&operations::GET_ORG_QUOTAS, &[])?;
            let request = exchange.raw.get_org_quotas();
            exchange.json(request).await
        }
    }
}

impl IntoFuture for Retrieve {
    type Output = Result<types::OrgQuotaUsage>;
    type IntoFuture = Pending<types::OrgQuotaUsage>;
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.send().await?.into_inner()) })
    }
}
