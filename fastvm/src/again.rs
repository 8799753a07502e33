//! A request that may have to be sent again.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Version};
use http_body::Body as _;
use reqwest::{Request, Url};

/// What a request is made of. It is kept for as long as an answer is waited for, most often for nothing: it
/// takes less room, and fewer pieces of it, than a [`Request`].
pub(crate) struct Again {
    method: Method,
    url: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    version: Version,
    timeout: Option<Duration>,
    body: Option<Bytes>,
}

impl Again {
    /// `None` if the body is made on the fly: it cannot be sent twice.
    pub(crate) fn of(request: &mut Request) -> Option<Self> {
        let body = match request.body_mut() {
            Some(body) => Some(shared(body)?),
            None => None,
        };
        let headers = request.headers().iter();
        Some(Self {
            method: request.method().clone(),
            url: request.url().clone(),
            headers: headers
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            version: request.version(),
            timeout: request.timeout().copied(),
            body,
        })
    }

    /// The same request once more.
    pub(crate) fn request(&self) -> Request {
        let mut request = Request::new(self.method.clone(), self.url.clone());
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        *request.version_mut() = self.version;
        if self.timeout.is_some() {
            *request.timeout_mut() = self.timeout;
        }
        *request.body_mut() = self.body.clone().map(Into::into);
        request
    }
}

/// The bytes of a body, if they are there.
fn shared(body: &mut reqwest::Body) -> Option<Bytes> {
    body.as_bytes()?;
    let frame = Pin::new(&mut *body).poll_frame(&mut Context::from_waker(Waker::noop()));
    let bytes = match frame {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        // Nothing is in it.
        _ => Bytes::new(),
    };
    *body = bytes.clone().into();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: Option<reqwest::Body>) -> Request {
        let url = "http://a.test/x?y=1".parse().expect("a URL");
        let mut request = Request::new(Method::PUT, url);
        let headers = request.headers_mut();
        headers.append("x-tag", HeaderValue::from_static("1"));
        headers.append("x-tag", HeaderValue::from_static("2"));
        *request.body_mut() = body;
        request
    }

    #[test]
    fn what_is_sent_again_is_the_same_request() {
        for text in [None, Some(""), Some("text")] {
            for timeout in [None, Some(Duration::from_secs(7))] {
                let mut request = request(text.map(Into::into));
                *request.timeout_mut() = timeout;
                let copy = Again::of(&mut request).unwrap().request();
                for request in [&request, &copy] {
                    assert_eq!(request.method(), Method::PUT);
                    assert_eq!(request.url().as_str(), "http://a.test/x?y=1");
                    assert_eq!(request.headers().get_all("x-tag").iter().count(), 2);
                    assert_eq!(request.timeout().copied(), timeout);
                    let body = request.body().map(|body| body.as_bytes().unwrap());
                    assert_eq!(body, text.map(str::as_bytes));
                }
            }
        }
    }

    #[test]
    fn a_body_that_is_made_on_the_fly_is_not_kept_and_stays() {
        let body = reqwest::Body::wrap(reqwest::Body::from("text"));
        let mut request = request(Some(body));
        assert!(Again::of(&mut request).is_none());
        assert!(request.body().is_some());
    }
}
