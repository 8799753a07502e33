//! The root of the resource tree. Its resources are generated, in `generated/root.rs`.

use std::fmt;
use std::sync::Arc;

use reqwest::{Request, Response, Url};

use crate::exchange::successful;
use crate::generated::raw;
use crate::{CallInfo, Error, Result, Transport};

/// The root of the resource tree: `client.vms().launch()`, `client.health()`.
///
/// Cheap to clone; clones share one transport.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    base_url: String,
    /// What builds the requests; `None` if the base URL is no URL.
    raw: Option<raw::Client>,
    transport: Arc<dyn Transport>,
}

impl Client {
    /// A client that hands every request to `transport`.
    ///
    /// `base_url` is where the API lives, such as `https://api.fastvm.org`; paths are appended to
    /// it. `http` only builds requests: what sends them is the transport.
    pub fn new(base_url: &str, http: reqwest::Client, transport: Arc<dyn Transport>) -> Self {
        let base_url = base_url.trim_end_matches('/').to_owned();
        let shared = Arc::new(Shared {
            raw: Url::parse(&base_url).ok().map(|baseurl| raw::Client {
                baseurl,
                client: http,
            }),
            base_url,
            transport,
        });
        Self { shared }
    }

    /// Where the API lives, without a trailing slash.
    pub fn base_url(&self) -> &str {
        &self.shared.base_url
    }

    pub(crate) fn raw(&self) -> Option<&raw::Client> {
        self.shared.raw.as_ref()
    }

    /// What this client sends its requests with.
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.shared.transport
    }

    /// Sends a request of one's own making, and answers a response of status 2xx.
    ///
    /// # Errors
    ///
    /// What the transport fails with; [`ErrorKind::Status`](crate::ErrorKind::Status) for any other
    /// status.
    pub fn send<'a>(
        &'a self,
        request: Request,
        call: &'a CallInfo,
    ) -> impl Future<Output = Result<Response>> + Send + 'a {
        // Handed over here: a future that held the request, or the answer, would be large.
        let sending = self.shared.transport.send(request, call);
        async move {
            let refused = match successful(sending.await?) {
                Ok(response) => return Ok(response),
                Err(response) => response,
            };
            Err(Box::pin(Error::from_response(refused, call)).await)
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.shared.base_url)
            .finish_non_exhaustive()
    }
}
