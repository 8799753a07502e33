//! Whether a request was handed over to a connection.
//!
//! What has no time limit must not wait for a connection that never takes it: one that closes just now
//! can lose a request without an error (<https://github.com/hyperium/hyper/issues/4122>), and an HTTP/2
//! server may take fewer at a time than its protocol asks for. The body tells: a request whose body
//! nobody asked for has provably not left as a whole, and no server can act on it.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use reqwest::{Client, Request, Response};
use tokio::time::timeout;

use crate::network::Lane;

/// What is decided of a request, once, by whoever is first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Taken,
    Withdrawn,
}

/// What became of a request.
pub(crate) enum Handover {
    Done(reqwest::Result<Response>),
    /// No connection took it in time, and now none will.
    Withdrawn,
}

/// Sends a request that has to be handed over within `limit`, which opens `lane`; its answer may take as
/// long as it likes.
pub(crate) fn send(
    client: &Client,
    mut request: Request,
    limit: Duration,
    lane: Option<Arc<Lane>>,
) -> impl Future<Output = Handover> + Send + use<> {
    let fate = Arc::new(OnceLock::new());
    match request.body_mut().take() {
        Some(body) => {
            let fate = fate.clone();
            let body = Watched { body, fate, lane };
            *request.body_mut() = Some(reqwest::Body::wrap(body));
        }
        // Nothing tells.
        None => _ = fate.set(Fate::Taken),
    }
    let mut sending = client.execute(request);
    async move {
        if let Ok(answer) = timeout(limit, &mut sending).await {
            return Handover::Done(answer);
        }
        match fate.get_or_init(|| Fate::Withdrawn) {
            Fate::Taken => Handover::Done(sending.await),
            Fate::Withdrawn => Handover::Withdrawn,
        }
    }
}

/// A body that notes when a connection asks for it.
struct Watched {
    body: reqwest::Body,
    fate: Arc<OnceLock<Fate>>,
    lane: Option<Arc<Lane>>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if *self.fate.get_or_init(|| Fate::Taken) == Fate::Withdrawn {
            return Poll::Ready(Some(Err("the request was withdrawn".into())));
        }
        if let Some(lane) = self.lane.take() {
            lane.open();
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

    fn watched(fate: &Arc<OnceLock<Fate>>) -> Watched {
        Watched {
            body: "all of it".into(),
            fate: fate.clone(),
            lane: None,
        }
    }

    #[tokio::test]
    async fn what_was_taken_cannot_be_withdrawn_and_what_was_withdrawn_is_not_sent() {
        let fate = Arc::default();
        let mut body = watched(&fate);
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let data = frame.unwrap().unwrap().into_data().unwrap();
        assert_eq!(data, "all of it");
        assert!(fate.set(Fate::Withdrawn).is_err());

        let fate = Arc::default();
        let mut body = watched(&fate);
        assert!(fate.set(Fate::Withdrawn).is_ok());
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
