//! A call on its way: which operation, with which options, from the builder to the transport and
//! back.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use progenitor_client::ResponseValue;

use crate::exchange::{BodyApart, Exchange};
use crate::{Client, Error, ErrorKind, Result};

/// The future of an awaited builder.
pub type Pending<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// What is known of an operation before it is called. [`operations`](crate::operations) has them
/// all.
#[derive(Debug)]
#[non_exhaustive]
pub struct Operation {
    /// The operation id in the document, such as `launchVm`.
    pub id: &'static str,
    /// The HTTP method.
    pub method: &'static str,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// The media type of its answer, if that has a body.
    pub accept: Option<&'static str>,
    /// Whether it may be sent again when nobody knows whether it arrived.
    pub is_repeatable: bool,
    /// Whether the client's request timeout bounds it. If not, it lasts as long as the caller asks
    /// the server for.
    pub is_limited: bool,
    /// Whether its answer is read piece by piece, as it comes.
    pub is_streamed: bool,
    /// Whether it needs the API key.
    pub needs_key: bool,
}

impl Operation {
    /// A request that is none of the API's own: a transfer to or from signed storage. It carries no
    /// key, is not repeated, has no time limit, and its answer is streamed.
    pub const fn storage(id: &'static str, method: &'static str) -> Self {
        Self {
            id,
            method,
            path: "",
            accept: None,
            is_repeatable: false,
            is_limited: false,
            is_streamed: true,
            needs_key: false,
        }
    }
}

/// What a [`Transport`](crate::Transport) is told of the call it sends.
#[derive(Clone)]
pub struct CallInfo {
    operation: &'static Operation,
    vm_id: Option<String>,
    request_timeout: Option<Duration>,
    max_retries: Option<u32>,
    body_apart: Option<BodyApart>,
}

impl CallInfo {
    /// A call without options of its own.
    pub fn new(operation: &'static Operation) -> Self {
        Self {
            operation,
            vm_id: None,
            request_timeout: None,
            max_retries: None,
            body_apart: None,
        }
    }

    /// The same call, with these options; headers are for whoever makes the request.
    pub fn with_options(mut self, options: &CallOptions) -> Self {
        self.request_timeout = options.request_timeout;
        self.max_retries = options.max_retries;
        self
    }

    /// The same call, about this VM.
    pub fn with_vm_id(mut self, id: impl Into<String>) -> Self {
        self.vm_id = Some(id.into());
        self
    }

    /// The operation that is called.
    pub fn operation(&self) -> &'static Operation {
        self.operation
    }

    /// The VM that the call is about.
    pub fn vm_id(&self) -> Option<&str> {
        self.vm_id.as_deref()
    }

    /// How long each attempt may take, if the caller said.
    pub fn request_timeout(&self) -> Option<Duration> {
        self.request_timeout
    }

    /// How often the call may be repeated, if the caller said.
    pub fn max_retries(&self) -> Option<u32> {
        self.max_retries
    }

    /// Where the body of the answer may go that was read already.
    #[doc(hidden)]
    pub fn body_apart(&self) -> Option<&BodyApart> {
        self.body_apart.as_ref()
    }
}

impl fmt::Debug for CallInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallInfo")
            .field("operation", &self.operation.id)
            .field("vm_id", &self.vm_id)
            .field("request_timeout", &self.request_timeout)
            .field("max_retries", &self.max_retries)
            .finish()
    }
}

/// The options that every call has: headers, time limit, retries.
///
/// They are most often set on the call itself. This is for one set of them on several calls, with
/// `.call_options(options.clone())`.
///
/// ```
/// # use std::time::Duration;
/// # use fastvm_api::CallOptions;
/// let patient = CallOptions::default()
///     .request_timeout(Duration::from_secs(300))
///     .max_retries(5);
/// # let _ = patient;
/// ```
#[derive(Clone, Default)]
pub struct CallOptions {
    request_timeout: Option<Duration>,
    max_retries: Option<u32>,
    headers: Vec<(String, String)>,
}

impl CallOptions {
    /// Sends this header, too.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How long each attempt may take.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = Some(timeout);
        self
    }

    /// How often it may be repeated.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = Some(retries);
        self
    }

    /// These options in place of its own.
    pub fn call_options(self, options: CallOptions) -> Self {
        options
    }

    /// Whether none is set.
    pub fn is_default(&self) -> bool {
        self.request_timeout.is_none() && self.max_retries.is_none() && self.headers.is_empty()
    }

    /// How often it may be repeated, if that is set.
    pub fn retries(&self) -> Option<u32> {
        self.max_retries
    }

    /// The headers to be added, if there are any.
    fn header_map(&self, operation: &'static Operation) -> Result<Option<Box<HeaderMap>>> {
        if self.headers.is_empty() {
            return Ok(None);
        }
        let mut map = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            let refuse = |what: &str| {
                let message = format!(
                    "the {what} of the header `{}` is not valid",
                    name.escape_debug()
                );
                Error::new(ErrorKind::InvalidInput, message).with_operation(operation)
            };
            let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse("name"))?;
            let mut value = HeaderValue::from_str(value).map_err(|_| refuse("value"))?;
            value.set_sensitive(true);
            map.append(parsed, value);
        }
        Ok(Some(Box::new(map)))
    }
}

impl fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secret: names only.
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("CallOptions")
            .field("request_timeout", &self.request_timeout)
            .field("max_retries", &self.max_retries)
            .field("headers", &headers)
            .finish()
    }
}

/// A client and the options of one call: what every builder starts from.
#[derive(Clone, Debug)]
pub struct Call {
    client: Client,
    options: CallOptions,
}

impl Call {
    /// A call by this client, with its defaults.
    pub fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
            options: CallOptions::default(),
        }
    }

    /// The client that makes the call.
    pub fn client(&self) -> &Client {
        &self.client
    }

    crate::__call_options!(options);

    /// Begins a call of this operation. Bad arguments are refused here, before anything is sent.
    pub(crate) fn begin(
        &self,
        operation: &'static Operation,
        path: &[(&str, &str)],
    ) -> Result<Exchange<'_>> {
        for (name, value) in path {
            check_path_parameter(operation, name, value)?;
        }
        let is_on_vm = operation.path.starts_with("/v1/vms/{");
        let vm_id = path.first().filter(|_| is_on_vm).map(|(_, id)| *id);
        let mut call = CallInfo::new(operation).with_options(&self.options);
        call.vm_id = vm_id.map(str::to_owned);
        call.body_apart = Some(BodyApart::default());
        let raw = self.client.raw().ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "the base URL is not a URL").with_call(&call)
        })?;
        Ok(Exchange {
            client: &self.client,
            raw,
            call,
            headers: self.options.header_map(operation)?,
        })
    }
}

/// A path parameter is one segment. These would address another resource: URL parsing resolves
/// dots and takes a backslash for a slash.
fn check_path_parameter(operation: &'static Operation, name: &str, value: &str) -> Result<()> {
    if !matches!(value, "" | "." | "..") && !value.contains('\\') {
        return Ok(());
    }
    let message = match value {
        "" => format!("`{name}` is empty"),
        _ => format!("`{name}` cannot be {value:?}"),
    };
    Err(Error::new(ErrorKind::InvalidInput, message).with_operation(operation))
}

/// The same answer with another body.
pub(crate) fn map_answer<T, U>(
    answer: ResponseValue<T>,
    map: impl FnOnce(T) -> U,
) -> ResponseValue<U> {
    let (status, headers) = (answer.status(), answer.headers().clone());
    ResponseValue::new(map(answer.into_inner()), status, headers)
}

/// The options that every call has. `$call` is the field that takes them: a `Call`, a builder that
/// an override carries, or `CallOptions` that it hands to each of its calls.
#[doc(hidden)]
#[macro_export]
macro_rules! __call_options {
    ($call:ident) => {
        /// Sends this header with the request, besides those the client sets.
        ///
        /// A name or value that HTTP does not allow is an error of the call, before anything is
        /// sent.
        pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
            self.$call = self.$call.header(name, value);
            self
        }

        /// How long each attempt of this call may take, in place of the client's default.
        pub fn request_timeout(mut self, timeout: std::time::Duration) -> Self {
            self.$call = self.$call.request_timeout(timeout);
            self
        }

        /// How often this call may be repeated after a passing fault, in place of the client's
        /// default. An operation that must not be repeated is not, whatever this says.
        pub fn max_retries(mut self, retries: u32) -> Self {
            self.$call = self.$call.max_retries(retries);
            self
        }

        /// These options in place of all that were set so far.
        pub fn call_options(mut self, options: $crate::CallOptions) -> Self {
            self.$call = self.$call.call_options(options);
            self
        }
    };
}
