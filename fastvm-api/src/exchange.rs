//! The one seam: everything that leaves the client goes through here to a [`Transport`].
//!
//! progenitor writes how the request of an operation is built; how it is sent, and its answer read, is the
//! same for all of them, and written here.

use std::any::Any;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::ACCEPT;
use progenitor_client::{ByteStream, ResponseValue};
use reqwest::{Request, Response, StatusCode, Url};
use serde::de::DeserializeOwned;

use crate::generated::raw;
use crate::{CallInfo, Client, Error, ErrorKind, Result};

/// The future of a request that is being sent.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response>> + Send + 'a>>;

/// What sends the requests: the crate `fastvm` brings one that knows keys, retries and timeouts;
/// tests can plug one that answers by itself.
pub trait Transport: Any + Debug + Send + Sync {
    /// Sends a request and answers the response. One whose status is not 2xx becomes an error,
    /// which this may also make itself, with [`Error::from_response`].
    ///
    /// Where the operation [is not streamed](crate::Operation::is_streamed), the response should
    /// hold its whole body, so that a cut while reading is an error of this call.
    fn send<'a>(&'a self, request: Request, call: &'a CallInfo) -> Sending<'a>;
}

/// A request as a raw method builds it.
type Built = std::result::Result<Request, progenitor_client::Error<()>>;

/// One call on its way.
pub(crate) struct Exchange<'a> {
    pub(crate) client: &'a Client,
    pub(crate) raw: &'a raw::Client,
    pub(crate) call: CallInfo,
    /// What the caller adds.
    pub(crate) headers: Option<Box<HeaderMap>>,
}

/// An answer with its whole body.
struct Whole {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Whole {
    fn new(mut response: Response, body: Bytes) -> Self {
        let (status, headers) = head(&mut response);
        Self {
            status,
            headers,
            body,
        }
    }
}

impl Exchange<'_> {
    /// An answer in JSON.
    pub(crate) fn json<T: DeserializeOwned>(
        &self,
        request: Built,
    ) -> impl Future<Output = Result<ResponseValue<T>>> + Send {
        let sending = self.send(request);
        async move {
            let response = match successful(sending?.await?) {
                Ok(response) => response,
                Err(refused) => return Err(self.refused(refused).await),
            };
            let answer = match self.call.body_apart().and_then(BodyApart::take) {
                Some(body) => Whole::new(response, body),
                None => Box::pin(self.read(response)).await?,
            };
            self.decode(answer)
        }
    }

    /// An answer that says nothing but its status.
    pub(crate) fn empty(
        &self,
        request: Built,
    ) -> impl Future<Output = Result<ResponseValue<()>>> + Send {
        self.begun(request, drop)
    }

    /// An answer that is read as it comes.
    pub(crate) fn stream(
        &self,
        request: Built,
    ) -> impl Future<Output = Result<ResponseValue<ByteStream>>> + Send {
        self.begun(request, |response| {
            ResponseValue::stream(response).into_inner()
        })
    }

    /// An answer whose body is not read here.
    fn begun<T>(
        &self,
        request: Built,
        take: fn(Response) -> T,
    ) -> impl Future<Output = Result<ResponseValue<T>>> + Send {
        let sending = self.send(request);
        async move {
            match successful(sending?.await?) {
                Ok(mut response) => {
                    let (status, headers) = head(&mut response);
                    Ok(ResponseValue::new(take(response), status, headers))
                }
                Err(refused) => Err(self.refused(refused).await),
            }
        }
    }

    /// Hands the request to the transport, whose answer may be one without success. Not by
    /// [`Client::send`]: its layer over the transport's would cost each call more than the look at a status.
    fn send(&self, request: Built) -> Result<Sending<'_>> {
        let mut request = request.map_err(|error| self.not_built(error))?;
        let headers = request.headers_mut();
        if let Some(accept) = self.call.operation().accept
            && !headers.contains_key(ACCEPT)
        {
            headers.insert(ACCEPT, http::HeaderValue::from_static(accept));
        }
        if let Some(added) = &self.headers {
            headers.extend(HeaderMap::clone(added));
        }
        Ok(self.client.transport().send(request, &self.call))
    }

    /// The error of an answer without success. In a piece of its own: most calls have none.
    fn refused(&self, response: Response) -> Pin<Box<dyn Future<Output = Error> + Send + '_>> {
        Box::pin(Error::from_response(response, &self.call))
    }

    /// The answer of a transport that has not read its body.
    async fn read(&self, mut response: Response) -> Result<Whole> {
        let body = whole_body(&mut response).await;
        let answer = Whole::new(response, Bytes::new());
        match body {
            Ok(body) => Ok(Whole { body, ..answer }),
            Err(error) => Err(Error::new(ErrorKind::Connection, "the answer was cut off")
                .with_source(error.without_url())
                .with_call(&self.call)
                .with_answer(answer.status, answer.headers)),
        }
    }

    fn decode<T: DeserializeOwned>(&self, answer: Whole) -> Result<ResponseValue<T>> {
        match serde_json::from_slice(&answer.body) {
            Ok(value) => Ok(ResponseValue::new(value, answer.status, answer.headers)),
            Err(error) => Err(self.not_as_documented(answer, &error)),
        }
    }

    fn not_built(&self, error: progenitor_client::Error<()>) -> Error {
        use progenitor_client::Error as Raw;
        let error = match error {
            Raw::InvalidRequest(message) => Error::new(ErrorKind::InvalidInput, message),
            Raw::CommunicationError(source) => {
                Error::new(ErrorKind::InvalidInput, "the request cannot be built")
                    .with_source(source.without_url())
            }
            other => Error::new(ErrorKind::InvalidInput, other.to_string()),
        };
        error.with_call(&self.call)
    }

    fn not_as_documented(&self, answer: Whole, error: &serde_json::Error) -> Error {
        let message = "the answer does not have the documented shape";
        Error::new(ErrorKind::Decode, message)
            .with_body(answer.body)
            .with_source(without_value(&error.to_string()))
            .with_call(&self.call)
            .with_answer(answer.status, answer.headers)
    }
}

/// What an answer begins with, taken off it.
pub(crate) fn head(response: &mut Response) -> (StatusCode, HeaderMap) {
    let headers = std::mem::take(response.headers_mut());
    (response.status(), headers)
}

/// The answer if its status is 2xx, else as an `Err`. Unlike a look at the status it borrows nothing, so
/// that a future does not hold the answer for longer than it needs.
#[doc(hidden)]
#[allow(
    clippy::result_large_err,
    reason = "it is no error, and goes no further"
)]
pub fn successful(response: Response) -> std::result::Result<Response, Response> {
    match response.status().is_success() {
        true => Ok(response),
        false => Err(response),
    }
}

/// The URL of a path below the base URL. Only the path is parsed: the rest was when the client was made.
pub(crate) fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    match base.path() {
        "/" => url.set_path(path),
        prefix => url.set_path(&[prefix, path].concat()),
    }
    url
}

/// What serde says, without the value that it quotes: that can be a secret.
fn without_value(message: &str) -> String {
    for what in ["invalid type", "invalid value", "unknown variant"] {
        let is_this = message.starts_with(what);
        if let Some((_, expected)) = message.rsplit_once(", expected ").filter(|_| is_this) {
            return format!("{what}, expected {expected}");
        }
    }
    message.to_owned()
}

/// How much is made room for at once because an answer says that it will be so long.
const MOST_RESERVED: u64 = 64 * 1024 * 1024;

/// The whole body of an answer. The answer stays where it is, unlike with [`Response::bytes`], whose
/// future would make that of each call large. Most bodies come in one piece, which is taken as it is.
#[doc(hidden)]
pub async fn whole_body(response: &mut Response) -> reqwest::Result<Bytes> {
    let Some(first) = response.chunk().await? else {
        return Ok(Bytes::new());
    };
    let Some(second) = response.chunk().await? else {
        return Ok(first);
    };
    Box::pin(gathered(response, [first, second])).await
}

/// A body that comes in many pieces.
async fn gathered(response: &mut Response, begin: [Bytes; 2]) -> reqwest::Result<Bytes> {
    let rest = response.content_length().unwrap_or_default();
    let rest = usize::try_from(rest.min(MOST_RESERVED)).unwrap_or_default();
    let mut body = BytesMut::with_capacity(begin.iter().map(Bytes::len).sum::<usize>() + rest);
    body.extend(begin);
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Where a transport leaves the body of an answer that it has read already: a response can be given no
/// other body, and a new response costs as much as the decoding.
#[doc(hidden)]
#[derive(Default)]
pub struct BodyApart(Mutex<Option<Bytes>>);

impl BodyApart {
    /// Leaves it for who made the call.
    pub fn put(&self, body: Bytes) {
        *self.lock() = Some(body);
    }

    fn take(&self) -> Option<Bytes> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for BodyApart {
    /// An empty one: another call has another answer.
    fn clone(&self) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn response(pieces: &[&'static str]) -> Response {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok::<_, String>(*piece)).collect();
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        http::Response::new(body).into()
    }

    #[test]
    fn the_url_of_a_path_is_that_of_the_whole_text() {
        for base in [
            "http://127.0.0.1:8",
            "https://api.example",
            "http://[::1]/a/b",
        ] {
            for path in [
                "/v1/vms",
                "/v1/vms/a%2Fb%20%25/exec",
                "/v1/vms/%E2%82%AC;=@:~",
                "/healthz",
            ] {
                let whole = Url::parse(&format!("{base}{path}")).unwrap();
                assert_eq!(below(&Url::parse(base).unwrap(), path), whole);
            }
        }
    }

    #[tokio::test]
    async fn a_body_is_whole_in_however_many_pieces_it_comes() {
        for pieces in [&[][..], &["a"], &["a", "b"], &["a", "", "bc", "d", "e"]] {
            let body = whole_body(&mut response(pieces)).await.unwrap();
            assert_eq!(body, pieces.concat(), "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_an_error_after_any_piece() {
        for whole in 0..4 {
            let pieces = (0..4).map(move |piece| match piece < whole {
                true => Ok("x"),
                false => Err("cut"),
            });
            let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
            let mut response = Response::from(http::Response::new(body));
            assert!(whole_body(&mut response).await.is_err(), "{whole}");
        }
    }

    /// A body that is there, was left apart, or breaks off.
    #[derive(Clone, Copy, Debug)]
    enum Body {
        There(&'static str),
        Apart(&'static str),
        Cut,
    }

    #[derive(Debug)]
    struct Answers(u16, Body);

    impl Transport for Answers {
        fn send<'a>(&'a self, _: Request, call: &'a CallInfo) -> Sending<'a> {
            let body: reqwest::Body = match self.1 {
                Body::There(body) => body.into(),
                Body::Apart(body) => {
                    call.body_apart().unwrap().put(body.into());
                    "".into()
                }
                Body::Cut => {
                    let cut = futures_util::stream::iter([Err::<&str, _>("cut")]);
                    reqwest::Body::wrap_stream(cut)
                }
            };
            let answer = http::Response::builder().status(self.0).body(body).unwrap();
            Box::pin(async { Ok(answer.into()) })
        }
    }

    fn client(status: u16, body: Body) -> Client {
        let transport = Arc::new(Answers(status, body));
        Client::new("http://a.test", reqwest::Client::new(), transport)
    }

    #[tokio::test]
    async fn a_body_is_read_wherever_the_transport_has_left_it() {
        let text = r#"{"status":"ok"}"#;
        for body in [Body::There(text), Body::Apart(text)] {
            let health = client(200, body).health().await.unwrap();
            assert_eq!(health.status.as_deref(), Some("ok"), "{body:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_cannot_be_read_is_an_error_with_its_status() {
        for (status, body, kind) in [
            (200, Body::Cut, ErrorKind::Connection),
            (200, Body::There("{"), ErrorKind::Decode),
            (200, Body::Apart("["), ErrorKind::Decode),
            (404, Body::Cut, ErrorKind::Status),
        ] {
            let error = client(status, body).health().await.unwrap_err();
            assert_eq!(error.kind(), kind, "{body:?}");
            assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
            assert_eq!(
                error.operation().map(|operation| operation.id),
                Some("getHealth")
            );
        }
    }

    #[tokio::test]
    async fn an_answer_without_success_is_an_error_whatever_was_to_be_read() {
        let client = client(409, Body::There(r#"{"code":"vm_paused"}"#));
        let vms = client.vms();
        let errors = [
            vms.retrieve("vm-1").await.unwrap_err(),
            vms.services().delete("vm-1", "web").await.unwrap_err(),
            vms.stream("vm-1", ["true"]).await.err().unwrap(),
        ];
        for (error, id) in errors.iter().zip(["getVm", "deleteService", "execVm"]) {
            let operation = error.operation().map(|operation| operation.id);
            assert_eq!((error.kind(), operation), (ErrorKind::Status, Some(id)));
            assert_eq!(error.code(), Some("vm_paused"));
        }
    }

    #[test]
    fn what_was_left_for_a_call_is_not_there_for_a_copy_of_it() {
        let apart = BodyApart::default();
        apart.put(Bytes::from_static(b"{}"));
        assert_eq!(apart.clone().take(), None);
        assert_eq!(apart.take().as_deref(), Some(&b"{}"[..]));
        assert_eq!(apart.take(), None);
    }
}
