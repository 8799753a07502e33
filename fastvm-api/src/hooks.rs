//! The one seam: everything that leaves the client goes through here to a [`Transport`].
//!
//! progenitor's `exec` hook can only fail with a `reqwest::Error`, which nobody but reqwest can
//! make. So the real error waits in the call's [`Runtime`] while `exec` answers a placeholder,
//! `post` stops the raw method before it looks at it, and the resource tree picks the error up.

use std::any::Any;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::ACCEPT;
use progenitor_client::{ClientHooks, OperationInfo, ResponseValue};
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

/// The inner value of the raw client, made anew for each call.
pub(crate) struct Runtime {
    client: Client,
    call: CallInfo,
    headers: Option<Box<HeaderMap>>,
    seen: Mutex<Seen>,
}

/// What the hooks have to hand back besides progenitor's result.
#[derive(Default)]
struct Seen {
    error: Option<Error>,
    answer: Option<(StatusCode, HeaderMap)>,
}

impl Seen {
    fn of(seen: Mutex<Self>) -> Self {
        seen.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runtime {
    pub(crate) fn new(client: Client, call: CallInfo, headers: Option<Box<HeaderMap>>) -> Self {
        Self {
            client,
            call,
            headers,
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The headers of the answer.
    pub(crate) fn into_headers(self) -> HeaderMap {
        let answer = Seen::of(self.seen).answer;
        answer.map(|(_, headers)| headers).unwrap_or_default()
    }

    /// What really happened when a raw method failed with `error`.
    pub(crate) fn into_error(self, error: progenitor_client::Error<()>) -> Error {
        use progenitor_client::Error as Raw;
        let seen = Seen::of(self.seen);
        if let Some(error) = seen.error {
            return error;
        }
        let error = match error {
            Raw::InvalidRequest(message) => Error::new(ErrorKind::InvalidInput, message),
            // Nothing was sent: the hook reports what happens on the wire itself.
            Raw::CommunicationError(source) => {
                Error::new(ErrorKind::InvalidInput, "the request cannot be built")
                    .with_source(source.without_url())
            }
            Raw::InvalidResponsePayload(body, source) => Error::new(
                ErrorKind::Decode,
                "the answer does not have the documented shape",
            )
            .with_body(body)
            .with_source(without_value(&source.to_string())),
            Raw::ResponseBodyError(source) => {
                Error::new(ErrorKind::Connection, "the answer was cut off")
                    .with_source(source.without_url())
            }
            other => Error::new(ErrorKind::Decode, other.to_string()),
        };
        let error = error.with_call(&self.call);
        match seen.answer {
            Some((status, headers)) => error.with_answer(status, headers),
            None => error,
        }
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

/// The body of an answer that a transport has read already. It is among the answer's extensions, since
/// a response can be given no other body, and a new response costs as much as the decoding.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct BodyApart(pub Bytes);

/// The answer, read as progenitor's `from_response` does.
pub(crate) fn read<T: DeserializeOwned>(
    mut response: Response,
) -> impl Future<Output = std::result::Result<ResponseValue<T>, progenitor_client::Error<()>>> + Send
{
    use progenitor_client::Error as Raw;
    let status = response.status();
    // An `async fn` would hold the response twice.
    async move {
        let body = match response.extensions_mut().remove() {
            Some(BodyApart(body)) => body,
            None => whole_body(&mut response)
                .await
                .map_err(Raw::ResponseBodyError)?,
        };
        match serde_json::from_slice(&body) {
            // `exec` has taken the headers.
            Ok(value) => Ok(ResponseValue::new(value, status, HeaderMap::new())),
            Err(source) => Err(Raw::InvalidResponsePayload(body, source)),
        }
    }
}

impl ClientHooks<Runtime> for raw::Client {
    // Not `async`: the future would hold the request, too.
    fn exec(
        &self,
        mut request: Request,
        _info: &OperationInfo,
    ) -> impl Future<Output = reqwest::Result<Response>> {
        let runtime = &self.inner;
        let headers = request.headers_mut();
        if let Some(accept) = runtime.call.operation().accept
            && !headers.contains_key(ACCEPT)
        {
            headers.insert(ACCEPT, http::HeaderValue::from_static(accept));
        }
        if let Some(added) = &runtime.headers {
            headers.extend(HeaderMap::clone(added));
        }
        let sending = runtime.client.send(request, &runtime.call);
        async move {
            Ok(match sending.await {
                Ok(mut response) => {
                    // Kept for the answer or its error: progenitor would make a copy.
                    let headers = std::mem::take(response.headers_mut());
                    runtime.seen().answer = Some((response.status(), headers));
                    response
                }
                Err(error) => {
                    runtime.seen().error = Some(error);
                    http::Response::new("").into()
                }
            })
        }
    }

    async fn post<E>(
        &self,
        _result: &reqwest::Result<Response>,
        _info: &OperationInfo,
    ) -> std::result::Result<(), progenitor_client::Error<E>> {
        match self.inner.seen().error {
            Some(_) => Err(progenitor_client::Error::Custom(String::new())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
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

    #[tokio::test]
    async fn a_body_that_was_read_already_is_found() {
        let mut response = response(&[]);
        let body = BodyApart(Bytes::from_static(b"[1,2]"));
        response.extensions_mut().insert(body);
        let answer = read::<Vec<u8>>(response).await.unwrap();
        assert_eq!(*answer, [1, 2]);
    }
}
