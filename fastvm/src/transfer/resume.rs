//! Reads an object from storage to its end, over as many connections as it takes.

use bytes::Bytes;
use fastvm_api::{Client, Error, ErrorKind, Result};
use http::header::{CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use http::{HeaderValue, Method, StatusCode};
use reqwest::Response;

use super::attempts::Attempts;
use super::checksum::Checksum;
use super::progress::{Files, Meter};
use super::send::Sent;
use super::{Options, STORAGE_GET, stalled, storage};
use crate::connector::storage_request;

/// An object that is read chunk by chunk. It ends when it is whole, of the length and checksum that
/// the VM says, or with an error.
pub(super) struct Object {
    api: Client,
    vm_id: String,
    path: String,
    url: String,
    length: u64,
    sha256: Option<String>,
    checksum: Checksum,
    meter: Meter,
    options: Options,
    /// Those since the last byte.
    attempts: Attempts,
    /// Names the object's present contents.
    tag: Option<HeaderValue>,
    body: Option<Response>,
}

impl Object {
    pub(super) fn new(
        api: &Client,
        vm_id: &str,
        path: &str,
        url: &str,
        options: &Options,
        sent: &Sent,
    ) -> Self {
        Self {
            api: api.clone(),
            vm_id: vm_id.to_owned(),
            path: path.to_owned(),
            url: url.to_owned(),
            length: sent.bytes,
            sha256: sent.sha256.clone(),
            checksum: Checksum::new(options.verify),
            meter: Meter::new(&options.listener, Some(sent.bytes)),
            options: options.clone(),
            attempts: options.attempts(api),
            tag: None,
            body: None,
        }
    }

    /// Where files are counted for the progress.
    pub(super) fn files(&self) -> Files {
        self.meter.files()
    }

    /// All has been put where it belongs.
    pub(super) fn finish(mut self) {
        self.meter.finish();
    }

    /// The next chunk, or `None` at the end of the whole object.
    ///
    /// A connection that fails is followed by another that goes on where the last byte was. An error
    /// is final for this object; another one may do better.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            match self.read().await {
                Ok(Some(chunk)) => {
                    self.attempts = self.options.attempts(&self.api);
                    self.checksum.update(&chunk);
                    self.meter.add(chunk.len());
                    return Ok(Some(chunk));
                }
                Ok(None) => {
                    self.check().map_err(|error| self.name(error))?;
                    return Ok(None);
                }
                Err(Fault::Changed) => return Err(Broken::Passing(self.name(changed()))),
                // The URL has expired, and a fresh one is that of another object.
                Err(Fault::Cut(error)) if error.status() == Some(StatusCode::FORBIDDEN) => {
                    return Err(Broken::Passing(self.name(error)));
                }
                // The transport has tried again already.
                Err(Fault::Cut(error)) if error.is_connect() => {
                    return Err(self.name(error).into());
                }
                Err(Fault::Cut(error)) => {
                    let again = self.attempts.after(error).await;
                    again.map_err(|error| self.name(error))?;
                }
            }
        }
    }

    async fn read(&mut self) -> Result<Option<Bytes>, Fault> {
        let received = self.meter.bytes();
        let mut body = match self.body.take() {
            Some(body) => body,
            None if received == self.length && received > 0 => return Ok(None),
            None => self.open().await?,
        };
        let chunk = match tokio::time::timeout(self.options.stall, body.chunk()).await {
            Ok(Ok(chunk)) => chunk,
            Ok(Err(error)) => return Err(Fault::Cut(cut().with_source(error.without_url()))),
            Err(_) => return Err(Fault::Cut(stalled(self.options.stall))),
        };
        match chunk {
            Some(chunk) if chunk.len() as u64 > self.length - received => Err(Fault::Changed),
            Some(chunk) => {
                self.body = Some(body);
                Ok(Some(chunk))
            }
            None if received == self.length => Ok(None),
            None => Err(Fault::Cut(cut())),
        }
    }

    /// Asks for what is still to come.
    async fn open(&mut self) -> Result<Response, Fault> {
        let mut request = storage_request(Method::GET, &self.url).map_err(Fault::Cut)?;
        let received = self.meter.bytes();
        if received > 0 {
            // Without a name for what came so far, the rest might be that of something else.
            let tag = self.tag.clone().ok_or_else(|| Fault::Changed)?;
            let range =
                HeaderValue::try_from(format!("bytes={received}-")).map_err(|_| Fault::Changed)?;
            request.headers_mut().insert(RANGE, range);
            request.headers_mut().insert(IF_RANGE, tag);
        }
        let asking = storage(&self.api, &self.vm_id, &STORAGE_GET, request);
        let answer = match tokio::time::timeout(self.options.stall, asking).await {
            Ok(answer) => answer.map_err(Fault::of)?,
            Err(_) => return Err(Fault::Cut(stalled(self.options.stall))),
        };
        if received > 0 && !goes_on(&answer, received, self.length) {
            return Err(Fault::Changed);
        }
        let tag = answer.headers().get(ETAG).cloned();
        self.tag = tag.filter(|tag| !tag.as_bytes().starts_with(b"W/"));
        Ok(answer)
    }

    fn check(&self) -> Result<()> {
        if self.checksum.clone().finish() == self.sha256 {
            return Ok(());
        }
        let message = "what arrived is not what the VM has: the checksums differ";
        Err(Error::new(ErrorKind::Transfer, message))
    }

    fn name(&self, error: Error) -> Error {
        error.with_vm_id(&self.vm_id).with_path(&self.path)
    }
}

/// Why an attempt to download something failed.
pub(super) enum Broken {
    /// If faults of its kind pass, another attempt from the start may do better.
    Passing(Error),
    Final(Error),
}

impl Broken {
    /// Waits until the next attempt is due, or gives the error back.
    pub(super) async fn repeated_by(self, attempts: &mut Attempts) -> Result<()> {
        match self {
            Self::Passing(error) => attempts.after(error).await,
            Self::Final(error) => Err(error),
        }
    }

    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Passing(error) | Self::Final(error) => error,
        }
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// Why there is no next chunk yet.
enum Fault {
    /// Another connection may do better.
    Cut(Error),
    /// What came so far has no rest.
    Changed,
}

impl Fault {
    fn of(error: Error) -> Self {
        match error.status() {
            Some(StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PRECONDITION_FAILED) => {
                Self::Changed
            }
            _ => Self::Cut(error),
        }
    }
}

/// Whether an answer is the rest of an object, from `first` on.
fn goes_on(answer: &Response, first: u64, length: u64) -> bool {
    let range = answer.headers().get(CONTENT_RANGE);
    let expected = format!("bytes {first}-{}/{length}", length.saturating_sub(1));
    answer.status() == StatusCode::PARTIAL_CONTENT
        && range.is_some_and(|range| range.as_bytes() == expected.as_bytes())
}

fn cut() -> Error {
    let message = "the connection broke before the data was whole";
    Error::new(ErrorKind::Connection, message)
}

/// Of the kind that lets the transfer start over.
fn changed() -> Error {
    let message = "what lies in storage is not what the VM has put there";
    Error::new(ErrorKind::Connection, message)
}
