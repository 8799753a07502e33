//! A client whose requests are answered by a function, without sockets.

use std::fmt;

use fastvm::{CallInfo, Client, Sending, Transport};
use reqwest::{Body, Request};

struct Fake<F>(F);

impl<F> fmt::Debug for Fake<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}

impl<F: Fn(&Request) -> Body + Send + Sync + 'static> Transport for Fake<F> {
    fn send<'a>(&'a self, request: Request, _: &'a CallInfo) -> Sending<'a> {
        let response = http::Response::new((self.0)(&request));
        Box::pin(async { Ok(response.into()) })
    }
}

/// A client all of whose calls are answered with this body.
pub(crate) fn answering(answer: impl Fn(&Request) -> Body + Send + Sync + 'static) -> Client {
    let builder = Client::builder()
        .base_url("http://api.test")
        .idle_check(None);
    builder
        .max_retries(0)
        .transport(Fake(answer))
        .build()
        .unwrap()
}

/// These bytes in pieces that depend on them.
pub(crate) fn in_pieces(bytes: &[u8]) -> Body {
    let mut rng = fastrand::Rng::with_seed(bytes.iter().map(|byte| u64::from(*byte)).sum());
    let most = [1, 7, 100, 10_000][rng.usize(..4)];
    let mut rest = bytes.to_vec();
    let pieces = std::iter::from_fn(move || {
        let length = rng.usize(1..=most).min(rest.len());
        (length > 0).then(|| Ok::<_, std::io::Error>(rest.drain(..length).collect::<Vec<u8>>()))
    });
    Body::wrap_stream(futures_util::stream::iter(pieces))
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}
