//! The console of a VM: a terminal over a WebSocket.
//!
//! The socket is opened by the client's own HTTP connections, so that proxies, certificates and
//! whatever else was set up for those holds for it, too.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::str;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use fastvm_api::types::ConsoleTokenResponse;
use fastvm_api::vms::ConsoleToken;
use fastvm_api::{CallInfo, CallOptions, Client, Error, ErrorKind, Operation, Pending, Result};
use futures_core::Stream;
use futures_sink::Sink;
use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderValue, Method};
use reqwest::{Request, Response, Upgraded, Url};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::connector::Connector;
use crate::vm::Vm;

/// The most that one frame has of what is typed.
const LONGEST_FRAME: usize = 32 * 1024;

/// The socket is no operation of the API: it carries no key, but the token.
static OPEN: Operation = Operation::storage("open the console", "GET");

impl Vm {
    /// Opens a terminal in this VM, as a login at its console.
    ///
    /// It has 80 columns and 24 rows unless [`.size(..)`](OpenConsole::size) says otherwise. Needs
    /// the feature `console`. Sends `POST /v1/vms/{id}/console-token`, and opens a WebSocket with the
    /// token, which works once. Proxies, certificates and the connect timeout are those of the
    /// client; [`.request_timeout(..)`](OpenConsole::request_timeout) bounds each of the two.
    ///
    /// # Errors
    ///
    /// A 409 if the VM does not run; [`ErrorKind::Connect`], [`ErrorKind::Timeout`] or
    /// [`ErrorKind::Status`] if the socket is not opened; [`ErrorKind::InvalidInput`] for a size
    /// without columns or rows. The token is in none of them.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// let vm = client.vms().launch("c1m2").await?;
    /// let mut console = vm.console().size(132, 43).await?;
    /// console.write_all(b"stty size; exit\r").await?;
    /// let mut shown = String::new();
    /// console.read_to_string(&mut shown).await?; // until the shell ends
    /// assert!(shown.contains("43 132"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn console(&self) -> OpenConsole {
        OpenConsole {
            api: self.client().clone(),
            vm_id: self.id.clone(),
            cols: 80,
            rows: 24,
            options: CallOptions::default(),
        }
    }
}

/// A console to open: `vm.console()`. See [`Vm::console`].
#[derive(Clone, Debug)]
#[must_use = "a console is not opened until it is awaited"]
pub struct OpenConsole {
    api: Client,
    vm_id: String,
    cols: u16,
    rows: u16,
    options: CallOptions,
}

impl OpenConsole {
    /// How large the terminal is, in characters.
    pub fn size(mut self, cols: u16, rows: u16) -> Self {
        self.cols = cols;
        self.rows = rows;
        self
    }

    fastvm_api::__call_options!(options);

    async fn open(self) -> Result<Console> {
        check_size(self.cols, self.rows).map_err(|error| error.with_vm_id(&self.vm_id))?;
        let token: ConsoleToken = self.api.vms().console_token(&self.vm_id);
        let token = token.call_options(self.options.clone()).await?;
        let call = CallInfo::new(&OPEN)
            .with_options(&self.options)
            .with_vm_id(&self.vm_id);
        let socket = connect(&self.api, &token, &call).await;
        let socket = socket.map_err(|error| {
            let secrets = [token.token.as_str(), token.websocket_path.as_str()];
            error.with_call(&call).without_secrets(&secrets)
        })?;
        let mut console = Console::new(socket, self.vm_id).await;
        console.resize(self.cols, self.rows).await?;
        Ok(console)
    }
}

impl IntoFuture for OpenConsole {
    type Output = Result<Console>;
    type IntoFuture = Pending<Console>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}

/// A terminal in a VM: made by [`Vm::console`].
///
/// What is written is typed, what is read is what the terminal shows. Reading ends when the other
/// side ends, be it that the shell exits; a connection that breaks off, and a VM that is deleted, is
/// an error, whose inner error is an [`Error`]. What is written leaves at once as far as the
/// connection takes it, and the rest when the console is flushed or read. Reading can be cancelled
/// without loss. Shutting it down, and dropping it, hangs up.
///
/// Keys are sent as text; bytes that are no UTF-8 go in binary frames.
pub struct Console {
    socket: WebSocketStream<Upgraded>,
    vm_id: String,
    keys: Keys,
    /// What was shown and not yet read.
    unread: Bytes,
    has_unsent: bool,
    has_ended: bool,
}

impl Console {
    async fn new(socket: Upgraded, vm_id: String) -> Self {
        Self {
            socket: WebSocketStream::from_raw_socket(socket, Role::Client, None).await,
            vm_id,
            keys: Keys::default(),
            unread: Bytes::new(),
            has_unsent: false,
            has_ended: false,
        }
    }

    /// Tells the VM that the terminal has another size now, in characters.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a size without columns or rows; [`ErrorKind::Connection`] if
    /// the console has ended.
    pub async fn resize(&mut self, cols: u16, rows: u16) -> Result<()> {
        check_size(cols, rows).map_err(|error| error.with_vm_id(&self.vm_id))?;
        let control = serde_json::json!({ "type": "resize", "cols": cols, "rows": rows });
        let mut frame = Some(Message::text(control.to_string()));
        let sent = poll_fn(|context| {
            let mut socket = Pin::new(&mut self.socket);
            if frame.is_some() {
                ready!(socket.as_mut().poll_ready(context))?;
            }
            if let Some(frame) = frame.take() {
                socket.as_mut().start_send(frame)?;
            }
            socket.poll_flush(context)
        });
        sent.await.map_err(|error| broken(error, &self.vm_id))
    }

    /// Sends what waits; an error of that is one of the next write or flush.
    fn send_on(&mut self, context: &mut Context<'_>) {
        if self.has_unsent {
            self.has_unsent = Pin::new(&mut self.socket).poll_flush(context).is_pending();
        }
    }

    /// Takes a frame that ends the console, and sends the answer to it.
    fn end(&mut self, frame: Option<CloseFrame>, context: &mut Context<'_>) -> io::Result<()> {
        self.has_ended = true;
        let _ = Pin::new(&mut self.socket).poll_next(context);
        match frame {
            Some(frame) if frame.code != CloseCode::Normal => {
                let message = format!("the console was closed: {} {}", frame.code, frame.reason);
                let error = Error::new(ErrorKind::Connection, message)
                    .with_vm_id(&self.vm_id)
                    .with_advice("is the VM still there?");
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, error))
            }
            _ => Ok(()),
        }
    }
}

impl AsyncRead for Console {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.send_on(context);
        loop {
            if !this.unread.is_empty() {
                let length = this.unread.len().min(buffer.remaining());
                buffer.put_slice(&this.unread[..length]); // at most as long as it is
                this.unread.advance(length);
                return Poll::Ready(Ok(()));
            }
            if this.has_ended {
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut this.socket).poll_next(context)) {
                Some(Ok(Message::Binary(shown))) => this.unread = shown,
                Some(Ok(Message::Text(shown))) => this.unread = shown.into(),
                Some(Ok(Message::Close(frame))) => this.end(frame, context)?,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io_error(error, &this.vm_id))),
                None => this.has_ended = true,
            }
        }
    }
}

impl AsyncWrite for Console {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        keys: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let to_io = |error| io_error(error, &this.vm_id);
        ready!(Pin::new(&mut this.socket).poll_ready(context)).map_err(to_io)?;
        let (frame, taken) = this.keys.take(keys);
        if let Some(frame) = frame {
            let mut socket = Pin::new(&mut this.socket);
            socket.as_mut().start_send(frame).map_err(to_io)?;
            this.has_unsent = true;
            this.send_on(context);
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let flushed = ready!(Pin::new(&mut this.socket).poll_flush(context));
        this.has_unsent = false;
        Poll::Ready(flushed.map_err(|error| io_error(error, &this.vm_id)))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let closed = ready!(Pin::new(&mut this.socket).poll_close(context));
        Poll::Ready(closed.map_err(|error| io_error(error, &this.vm_id)))
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("vm_id", &self.vm_id)
            .finish_non_exhaustive()
    }
}

/// Bytes on their way into frames.
#[derive(Default)]
struct Keys {
    /// The beginning of a character whose rest has not been written yet.
    partial: Vec<u8>,
}

impl Keys {
    /// The next frame, if there is enough for one, and how many of the bytes were taken.
    fn take(&mut self, keys: &[u8]) -> (Option<Message>, usize) {
        if self.partial.is_empty() {
            let (frame, taken) = frame_of(&keys[..part_for_a_frame(keys)]);
            if frame.is_none() {
                self.partial.extend_from_slice(&keys[..taken]);
            }
            return (frame, taken);
        }
        let taken = keys.len().min(1);
        self.partial.extend_from_slice(&keys[..taken]);
        let frame = match str::from_utf8(&self.partial) {
            Ok(text) => Message::text(text),
            Err(error) if error.error_len().is_none() => return (None, taken),
            Err(_) => Message::binary(self.partial.clone()),
        };
        self.partial.clear();
        (Some(frame), taken)
    }
}

/// How many of the bytes one frame takes. It ends with the first brace that opens: so nothing that
/// is typed can be taken for a control, such as the one for another size.
fn part_for_a_frame(keys: &[u8]) -> usize {
    let keys = &keys[..keys.len().min(LONGEST_FRAME)];
    let brace = keys.iter().position(|byte| *byte == b'{');
    brace.map_or(keys.len(), |place| place + 1)
}

/// The text at the beginning of the bytes, or else what is none; no frame, but all bytes taken, if
/// they are the beginning of a character.
fn frame_of(keys: &[u8]) -> (Option<Message>, usize) {
    let error = match str::from_utf8(keys) {
        Ok("") => return (None, 0),
        Ok(text) => return (Some(Message::text(text)), keys.len()),
        Err(error) => error,
    };
    match (error.valid_up_to(), error.error_len()) {
        (0, None) => (None, keys.len()),
        (0, Some(length)) => (Some(Message::binary(keys[..length].to_vec())), length),
        (length, _) => {
            // Up to there it is valid.
            let text = String::from_utf8_lossy(&keys[..length]).into_owned();
            (Some(Message::text(text)), length)
        }
    }
}

/// Has a connection become the WebSocket.
async fn connect(api: &Client, token: &ConsoleTokenResponse, call: &CallInfo) -> Result<Upgraded> {
    let connector = Connector::of(api)
        .ok_or_else(|| Error::new(ErrorKind::Config, "the client has no connections"))?;
    let key = generate_key();
    let request = upgrade_request(socket_url(api.base_url(), token)?, &key)?;
    let response = connector.upgrade(request, call).await?;
    check_accepted(&response, &key)?;
    response.upgrade().await.map_err(|error| {
        let message = "the connection did not become a WebSocket";
        Error::new(ErrorKind::Connection, message).with_source(error.without_url())
    })
}

/// Where the socket is. The HTTP client takes `http` for `ws`.
fn socket_url(base_url: &str, token: &ConsoleTokenResponse) -> Result<Url> {
    let refuse = || Error::new(ErrorKind::Decode, "the address of the console is none");
    let path = token.websocket_path.as_str();
    let text = match path.strip_prefix("ws") {
        Some(rest) if rest.starts_with("://") || rest.starts_with("s://") => format!("http{rest}"),
        _ if path.starts_with('/') => format!("{base_url}{path}"),
        _ => return Err(refuse()),
    };
    let mut url = Url::parse(&text).map_err(|_| refuse())?;
    if !url.query_pairs().any(|(name, _)| name == "session") {
        url.query_pairs_mut().append_pair("session", &token.token);
    }
    Ok(url)
}

fn upgrade_request(url: Url, key: &str) -> Result<Request> {
    let mut request = Request::new(Method::GET, url);
    let key = HeaderValue::try_from(key);
    let key = key.map_err(|_| Error::new(ErrorKind::Decode, "the key of the socket is none"))?;
    let fixed = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let headers = [
        fixed(CONNECTION, "Upgrade"),
        fixed(UPGRADE, "websocket"),
        fixed(SEC_WEBSOCKET_VERSION, "13"),
        (SEC_WEBSOCKET_KEY, key),
    ];
    request.headers_mut().extend(headers);
    Ok(request)
}

/// Whether it is a WebSocket server that answered, and this request.
fn check_accepted(response: &Response, key: &str) -> Result<()> {
    let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT);
    match accepted.is_some_and(|it| it.as_bytes() == derive_accept_key(key.as_bytes()).as_bytes()) {
        true => Ok(()),
        false => {
            let message = "what answered does not speak WebSocket";
            Err(Error::new(ErrorKind::Decode, message))
        }
    }
}

fn check_size(cols: u16, rows: u16) -> Result<()> {
    match cols > 0 && rows > 0 {
        true => Ok(()),
        false => {
            let message = format!("a terminal of {cols} columns and {rows} rows cannot be");
            Err(Error::new(ErrorKind::InvalidInput, message))
        }
    }
}

fn broken(error: tungstenite::Error, vm_id: &str) -> Error {
    Error::new(ErrorKind::Connection, "the console broke off")
        .with_vm_id(vm_id)
        .with_advice("open another with `vm.console()`")
        .with_source(error)
}

fn io_error(error: tungstenite::Error, vm_id: &str) -> io::Error {
    use tungstenite::Error as Cause;
    let kind = match &error {
        Cause::Io(error) => error.kind(),
        Cause::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            io::ErrorKind::ConnectionReset
        }
        Cause::ConnectionClosed
        | Cause::AlreadyClosed
        | Cause::Protocol(ProtocolError::SendAfterClosing) => io::ErrorKind::BrokenPipe,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, broken(error, vm_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frames that bytes become when they are written in pieces of these.
    fn frames(pieces: &[&[u8]]) -> Vec<Message> {
        let mut keys = Keys::default();
        let mut frames = Vec::new();
        for mut piece in pieces.iter().copied() {
            while !piece.is_empty() {
                let (frame, taken) = keys.take(piece);
                assert!(taken > 0);
                frames.extend(frame);
                piece = &piece[taken..];
            }
        }
        frames
    }

    #[test]
    fn keys_are_text_and_what_is_no_text_is_binary() {
        assert_eq!(frames(&["lä\r".as_bytes()]), [Message::text("lä\r")]);
        assert_eq!(
            frames(&[b"a\xff\xfeb"]),
            [
                Message::text("a"),
                Message::binary(vec![0xff]),
                Message::binary(vec![0xfe]),
                Message::text("b")
            ]
        );
    }

    #[test]
    fn a_character_that_is_written_in_pieces_arrives_whole() {
        assert_eq!(
            frames(&[b"a\xe2", b"\x82", b"\xacb"]),
            [Message::text("a"), Message::text("€"), Message::text("b")]
        );
        assert_eq!(
            frames(&[b"\xe2", b"xy"]),
            [Message::binary(b"\xe2x".to_vec()), Message::text("y")]
        );
    }

    #[test]
    fn nothing_typed_is_a_control() {
        let typed = br#" {"type":"resize","cols":1,"rows":1}"#;
        assert_eq!(
            frames(&[typed]),
            [
                Message::text(" {"),
                Message::text(r#""type":"resize","cols":1,"rows":1}"#)
            ]
        );
    }

    #[test]
    fn the_socket_is_at_the_api_or_where_the_service_says() {
        let url = |path: &str| {
            let token = ConsoleTokenResponse::new("a b", 60, path);
            socket_url("https://api.fastvm.org", &token).map(String::from)
        };
        for (path, expected) in [
            ("/c", "https://api.fastvm.org/c?session=a+b"),
            ("/c?x=1", "https://api.fastvm.org/c?x=1&session=a+b"),
            ("wss://host.test/c", "https://host.test/c?session=a+b"),
            ("ws://host.test/c?session=t", "http://host.test/c?session=t"),
        ] {
            assert_eq!(url(path).unwrap(), expected);
        }
        for path in ["", "c", "@host.test/", "http://host.test/", "wss:host.test"] {
            assert_eq!(url(path).unwrap_err().kind(), ErrorKind::Decode, "{path}");
        }
    }
}
