//! A line for each request. Queries are left out: those of signed URLs are secrets.

use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{Method, StatusCode};

use super::faults::NoAnswer;

/// The VM an answer is about, where the path does not say it.
#[derive(Clone, Debug)]
pub(super) struct AboutVm(pub(super) String);

/// Logs a request when its answer begins, or when its client has gone without one.
pub(super) async fn log(request: Request, next: Next) -> Response {
    let mut line = Line::of(&request);
    let mut response = next.run(request).await;
    line.is_cut = response.extensions().get::<NoAnswer>().is_some();
    line.status = Some(response.status()).filter(|_| !line.is_cut);
    if let Some(AboutVm(id)) = response.extensions_mut().remove() {
        line.vm = id;
    }
    response
}

/// It is written when it is dropped.
pub(super) struct Line {
    method: Method,
    path: String,
    begin: Instant,
    pub(super) status: Option<StatusCode>,
    is_cut: bool,
    pub(super) vm: String,
}

impl Line {
    pub(super) fn of<B>(request: &http::Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            begin: Instant::now(),
            status: None,
            is_cut: false,
            vm: String::new(),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let Self {
            method, path, vm, ..
        } = self;
        let ms = self.begin.elapsed().as_secs_f64() * 1000.0;
        let separator = if vm.is_empty() { "" } else { " vm " };
        let text = match self.status {
            Some(status) => {
                let status = status.as_u16();
                format!("{method} {path} {status} {ms:.1} ms{separator}{vm}")
            }
            None if self.is_cut => format!("{method} {path} cut by a fault after {ms:.1} ms"),
            None => format!("{method} {path} client gone after {ms:.1} ms"),
        };
        // The fields say the same once more, for programs that read the log.
        tracing::info!(
            http.method = method.as_str(),
            http.path = path,
            http.status = self.status.map(|status| status.as_u16()),
            http.ms = (ms * 10.0).round() / 10.0,
            http.vm = Some(vm.as_str()).filter(|vm| !vm.is_empty()),
            "{text}"
        );
    }
}
