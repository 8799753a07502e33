//! Console tokens, and the WebSocket they open.
//!
//! What the client sends, in text or binary frames, is typed as it is, but for a text frame such as
//! `{"type":"resize","cols":80,"rows":24}`. What the terminal shows comes in binary frames.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use bytes::Bytes;
use fastvm_api::types::ConsoleTokenResponse;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use serde_json::Value;
use tokio::select;
use tokio::time::{Instant, interval_at, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::body::Target;
use super::error::ApiError;
use super::{App, json};
use crate::console::{self, Denied, Ending, TOKEN_LIFETIME};
use crate::sandbox::{Sandbox, Terminal, TerminalSize};
use crate::vms::Machine;

/// Where sockets are opened.
pub(super) const PATH: &str = "/v1/vms/{id}/console";

/// The most that a frame from the client may have.
const MOST_TYPED_BYTES: usize = 1024 * 1024;

/// The most that a frame to the client has.
const MOST_SHOWN_BYTES: usize = 64 * 1024;

/// How often a client is pinged: writing to one that is gone fails, and it may be that nothing is
/// shown, and nothing more can be typed.
const PING_PERIOD: Duration = Duration::from_secs(20);

/// How long a terminal must be quiet after its shell has ended, if something in the background
/// still has it open; and how much, and how long, is shown until then.
const LINGER: Duration = Duration::from_millis(250);
const MOST_BYTES_AFTER_END: usize = 1024 * 1024;
const LONGEST_AFTER_END: Duration = Duration::from_secs(10);

/// How long the client may take to answer that the socket is closed.
const PARTING_LIMIT: Duration = Duration::from_secs(1);

pub(super) fn handler(operation: &str, on_method: MethodFilter) -> Option<MethodRouter<Arc<App>>> {
    Some(match operation {
        "createConsoleToken" => on(on_method, create_token),
        _ => return None,
    })
}

async fn create_token(
    State(app): State<Arc<App>>,
    Target(machine): Target,
) -> Result<Response, ApiError> {
    running(&machine)?;
    let token = app.consoles.issue(&machine.id, Instant::now());
    let seconds = i64::try_from(TOKEN_LIFETIME.as_secs()).unwrap_or(i64::MAX);
    let path = PATH.replace("{id}", &machine.id);
    Ok(json(
        StatusCode::OK,
        &ConsoleTokenResponse::new(token, seconds, path),
    ))
}

fn running(machine: &Machine) -> Result<Arc<Sandbox>, ApiError> {
    machine
        .running()
        .map_err(|status| ApiError::conflict(format!("the VM is not running: {status}")))
}

impl From<Denied> for ApiError {
    fn from(_: Denied) -> Self {
        let text = "session: not a token of this VM's console, or it is used or expired";
        Self::new(StatusCode::FORBIDDEN, text)
    }
}

/// Opens a console. Refusals come before the upgrade; only one for want of a good token, or of
/// WebSocket headers, leaves the token unused.
pub(super) async fn open(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let Path(id) = id.map_err(|_| Denied)?;
    let token = session(query.as_deref().unwrap_or_default()).ok_or(Denied)?;
    app.consoles.check(&token, &id, Instant::now())?;
    let upgrade = upgrade
        .map_err(|rejection| ApiError::new(rejection.status(), rejection.body_text()))?
        .max_message_size(MOST_TYPED_BYTES)
        .max_frame_size(MOST_TYPED_BYTES);
    app.consoles.redeem(&token, &id, Instant::now())?;
    let machine = app.vms.get(&id).ok_or_else(ApiError::no_such_vm)?;
    let sandbox = running(&machine)?;
    let terminal = console::login(&machine, &sandbox).await?;
    let sockets = app.consoles.sockets.clone();
    let console = Console {
        terminal,
        machine,
        sandbox,
    };
    Ok(upgrade.on_upgrade(move |socket| sockets.track_future(console.serve(socket))))
}

fn session(query: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == "session")
        .map(|(_, token)| token.into_owned())
}

type Outgoing = SplitSink<WebSocket, Message>;
type Incoming = SplitStream<WebSocket>;

/// A terminal that is to be shown over a socket.
struct Console {
    terminal: Terminal,
    machine: Arc<Machine>,
    sandbox: Arc<Sandbox>,
}

impl Console {
    async fn serve(self, socket: WebSocket) {
        let (mut outgoing, mut incoming) = socket.split();
        let ending = self.talk(&mut outgoing, &mut incoming).await;
        // Hangs up, and holds up nobody who waits for the VM to be gone.
        drop(self);
        part(ending, &mut outgoing, &mut incoming).await;
    }

    /// Shows and types until one of the three has ended.
    async fn talk(&self, outgoing: &mut Outgoing, incoming: &mut Incoming) -> Ending {
        let shell_ended = CancellationToken::new();
        let mut shown = pin!(show(&self.terminal, outgoing, &shell_ended));
        let mut typed = pin!(type_in(&self.terminal, incoming));
        let mut ended = pin!(console::ended(&self.terminal, &self.machine, &self.sandbox));
        select! {
            ending = &mut ended => {
                if ending == Ending::Shell {
                    shell_ended.cancel();
                    select! {
                        _ = timeout(LONGEST_AFTER_END, shown) => {}
                        () = typed => {}
                    }
                }
                ending
            }
            shown = &mut shown => match shown {
                // Nothing has the terminal open, and the end of whatever had is about to be seen.
                Ok(()) => timeout(LINGER, ended).await.unwrap_or(Ending::Shell),
                Err(_) => Ending::Client,
            },
            () = &mut typed => Ending::Client,
        }
    }
}

/// Sends what the terminal shows, as fast as the client reads. Fails if the client is gone.
async fn show(
    terminal: &Terminal,
    outgoing: &mut Outgoing,
    shell_ended: &CancellationToken,
) -> Result<(), axum::Error> {
    let mut buffer = vec![0; MOST_SHOWN_BYTES];
    let mut pings = interval_at(Instant::now() + PING_PERIOD, PING_PERIOD);
    let mut left = MOST_BYTES_AFTER_END;
    while left > 0 {
        let quiet = async {
            shell_ended.cancelled().await;
            sleep(LINGER).await;
        };
        let message = select! {
            biased;
            read = terminal.read(&mut buffer) => {
                let shown = read.ok().and_then(|length| buffer.get(..length)).unwrap_or_default();
                if shown.is_empty() {
                    return Ok(());
                }
                if shell_ended.is_cancelled() {
                    left = left.saturating_sub(shown.len());
                }
                Message::Binary(Bytes::copy_from_slice(shown))
            }
            () = quiet => return Ok(()),
            _ = pings.tick() => Message::Ping(Bytes::new()),
        };
        outgoing.send(message).await?;
    }
    Ok(())
}

/// Types what the client sends, until it sends no more.
async fn type_in(terminal: &Terminal, incoming: &mut Incoming) {
    while let Some(Ok(message)) = incoming.next().await {
        // A terminal that nothing has open takes no input; its end is seen elsewhere.
        let _ = match message {
            Message::Binary(keys) => terminal.write_all(&keys).await,
            Message::Text(text) => match Input::parse(&text) {
                Input::Keys(keys) => terminal.write_all(keys.as_bytes()).await,
                Input::Resize(Some(size)) => terminal.resize(size),
                Input::Resize(None) => Ok(()),
            },
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => return,
        };
    }
}

/// What a text frame means.
#[derive(Debug, PartialEq, Eq)]
enum Input<'a> {
    Keys(&'a str),
    /// `None` if the size makes no sense; it is not typed all the same.
    Resize(Option<TerminalSize>),
}

impl<'a> Input<'a> {
    fn parse(text: &'a str) -> Self {
        if !text.starts_with('{') {
            return Self::Keys(text);
        }
        match serde_json::from_str::<Value>(text) {
            Ok(control) if control.get("type").is_some_and(|kind| kind == "resize") => {
                Self::Resize(size(&control))
            }
            _ => Self::Keys(text),
        }
    }
}

fn size(control: &Value) -> Option<TerminalSize> {
    let number = |key| {
        let number = u16::try_from(control.get(key)?.as_u64()?).ok()?;
        (number > 0).then_some(number)
    };
    Some(TerminalSize {
        cols: number("cols")?,
        rows: number("rows")?,
    })
}

/// Closes the socket, and gives the client time to see why.
async fn part(ending: Ending, outgoing: &mut Outgoing, incoming: &mut Incoming) {
    let (code, reason) = match ending {
        Ending::Shell | Ending::Client => (close_code::NORMAL, ""),
        Ending::Vm => (close_code::AWAY, "the VM has ended"),
    };
    let close = CloseFrame {
        code,
        reason: reason.into(),
    };
    let parting = async {
        // Fails if the client has closed it already; then its answer is sent.
        let _ = outgoing.send(Message::Close(Some(close))).await;
        while let Some(Ok(_)) = incoming.next().await {}
    };
    let _ = timeout(PARTING_LIMIT, parting).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_resize_is_not_typed() {
        let size = TerminalSize {
            cols: 132,
            rows: 43,
        };
        assert_eq!(
            Input::parse(r#"{"type":"resize","cols":132,"rows":43}"#),
            Input::Resize(Some(size))
        );
        for senseless in [
            r#"{"type":"resize"}"#,
            r#"{"type":"resize","cols":0,"rows":43}"#,
            r#"{"type":"resize","cols":70000,"rows":43}"#,
            r#"{"type":"resize","cols":"80","rows":43}"#,
        ] {
            assert_eq!(Input::parse(senseless), Input::Resize(None), "{senseless}");
        }
        for keys in ["", "ls\r", "{", "{ echo; }", r#"{"type":"other"}"#, "[]"] {
            assert_eq!(Input::parse(keys), Input::Keys(keys));
        }
    }
}
