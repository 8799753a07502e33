//! Whether a request was handed over to a connection.
//!
//! What has no time limit must not wait for a connection that never takes it: one that closes just now
//! can lose a request without an error (<https://github.com/hyperium/hyper/issues/4122>), and an HTTP/2
//! server may take fewer at a time than its protocol asks for. The body tells: a request whose body
//! nobody asked for has provably not left as a whole, and no server can act on it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::{Client, Request, Response};
use tokio::time::timeout;

use crate::network::Lane;

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

/// What became of a request.
pub(crate) enum Handover {
    Done(reqwest::Result<Response>),
    /// No connection took it in time, and now none will.
    Withdrawn,
}

/// Sends a request that has to be handed over within `limit`; its answer may take as long as it likes.
/// Then `lane` is opened.
pub(crate) fn send(
    client: &Client,
    mut request: Request,
    limit: Duration,
    lane: Option<Arc<Lane>>,
) -> impl Future<Output = Handover> + Send + use<> {
    let state = Arc::new(AtomicU8::new(WAITING));
    if let Some(body) = request.body_mut().take() {
        let body = Watched {
            body,
            state: state.clone(),
            is_taken: false,
            lane,
        };
        *request.body_mut() = Some(reqwest::Body::wrap(body));
    } else {
        state.store(TAKEN, Ordering::Relaxed);
    }
    let mut sending = client.execute(request);
    async move {
        match timeout(limit, &mut sending).await {
            Ok(answer) => Handover::Done(answer),
            Err(_) if decide(&state, WITHDRAWN) => Handover::Withdrawn,
            Err(_) => Handover::Done(sending.await),
        }
    }
}

/// The first to decide has decided.
fn decide(state: &AtomicU8, as_what: u8) -> bool {
    state
        .compare_exchange(WAITING, as_what, Ordering::AcqRel, Ordering::Acquire)
        .is_ok()
}

/// A body that notes when a connection asks for it.
struct Watched {
    body: reqwest::Body,
    state: Arc<AtomicU8>,
    is_taken: bool,
    lane: Option<Arc<Lane>>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if !self.is_taken {
            if !decide(&self.state, TAKEN) {
                return Poll::Ready(Some(Err("the request was withdrawn".into())));
            }
            self.is_taken = true;
            if let Some(lane) = self.lane.take() {
                lane.open();
            }
        }
        let frame = Pin::new(&mut self.body).poll_frame(context);
        frame.map_err(Into::into)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn watched(state: &Arc<AtomicU8>) -> Watched {
        Watched {
            body: "all of it".into(),
            state: state.clone(),
            is_taken: false,
            lane: None,
        }
    }

    #[tokio::test]
    async fn what_was_taken_cannot_be_withdrawn_and_what_was_withdrawn_is_not_sent() {
        let state = Arc::new(AtomicU8::new(WAITING));
        let mut body = watched(&state);
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let data = frame.unwrap().unwrap().into_data().unwrap();
        assert_eq!(data, "all of it");
        assert!(!decide(&state, WITHDRAWN));

        let state = Arc::new(AtomicU8::new(WAITING));
        let mut body = watched(&state);
        assert!(decide(&state, WITHDRAWN));
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        assert!(frame.unwrap().is_err());
    }

    #[test]
    fn its_length_is_that_of_the_body() {
        let body = watched(&Arc::default());
        assert_eq!(body.size_hint().exact(), Some(9));
        assert!(!body.is_end_stream());
    }
}
