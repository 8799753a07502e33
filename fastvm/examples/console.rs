//! Attaches this terminal to the console of a VM, until its shell ends: of the VM whose id is given,
//! or else of a new one, which is deleted at the end. The terminal is put back in any case: after
//! errors, panics and signals, too.
//!
//! ```sh
//! cargo run -p fastvm --features console --example console [VM id]
//! ```

#[cfg(unix)]
mod common;

#[cfg(unix)]
fn main() -> Result<(), common::Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(unix::run());
    // A read of standard input that waits for a key cannot be cancelled: it is not waited for.
    runtime.shutdown_background();
    outcome
}

#[cfg(not(unix))]
fn main() {
    eprintln!("this example needs a Unix terminal");
}

#[cfg(unix)]
mod unix {
    use std::io;

    use fastvm::{Client, Vm};
    use rustix::stdio::stdin;
    use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::signal::unix::{Signal, SignalKind, signal};

    use crate::common::{Failure, Service};

    pub(crate) async fn run() -> Result<(), Failure> {
        let service = Service::start().await?;
        let outcome = open(&service.client).await;
        service.stop().await;
        outcome
    }

    async fn open(client: &Client) -> Result<(), Failure> {
        if let Some(id) = std::env::args().nth(1) {
            return attach(&client.vms().retrieve(id).await?).await;
        }
        let vm = client.vms().launch("c1m2").await?.into_guard();
        let outcome = attach(&vm).await;
        vm.close().await?;
        outcome
    }

    async fn attach(vm: &Vm) -> Result<(), Failure> {
        let (cols, rows) = size()?;
        let mut console = vm.console().size(cols, rows).await?;
        let mut resized = signal(SignalKind::window_change())?;
        let mut ended = Ended::new()?;
        let _raw = RawMode::enter()?;
        let (mut input, mut output) = (tokio::io::stdin(), tokio::io::stdout());
        let (mut typed, mut shown) = ([0; 4096], [0; 16 * 1024]);
        let mut is_typing = true;
        loop {
            tokio::select! {
                length = console.read(&mut shown) => match length? {
                    0 => return Ok(()),
                    length => {
                        output.write_all(&shown[..length]).await?;
                        output.flush().await?;
                    }
                },
                length = input.read(&mut typed), if is_typing => match length? {
                    0 => is_typing = false,
                    length => console.write_all(&typed[..length]).await?,
                },
                Some(()) = resized.recv() => {
                    let (cols, rows) = size()?;
                    console.resize(cols, rows).await?;
                }
                () = ended.by_signal() => return Err("ended by a signal".into()),
            }
        }
    }

    /// Columns and rows of this terminal.
    fn size() -> io::Result<(u16, u16)> {
        let size = tcgetwinsize(stdin())?;
        // Some terminals do not know theirs.
        Ok(match (size.ws_col, size.ws_row) {
            (0, _) | (_, 0) => (80, 24),
            known => known,
        })
    }

    /// This terminal without a line editor, echo and keys with a meaning, until it is dropped:
    /// after errors and panics, too.
    struct RawMode {
        before: Termios,
    }

    impl RawMode {
        fn enter() -> io::Result<Self> {
            let before = tcgetattr(stdin())?;
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(stdin(), OptionalActions::Now, &raw)?;
            Ok(Self { before })
        }
    }

    impl Drop for RawMode {
        fn drop(&mut self) {
            let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
        }
    }

    /// The signals that end a program: they shall not end it before the terminal is put back.
    struct Ended {
        signals: [Signal; 4],
    }

    impl Ended {
        fn new() -> io::Result<Self> {
            let signals = [
                signal(SignalKind::hangup())?,
                signal(SignalKind::interrupt())?,
                signal(SignalKind::quit())?,
                signal(SignalKind::terminate())?,
            ];
            Ok(Self { signals })
        }

        async fn by_signal(&mut self) {
            let [hangup, interrupt, quit, terminate] = &mut self.signals;
            tokio::select! {
                _ = hangup.recv() => {}
                _ = interrupt.recv() => {}
                _ = quit.recv() => {}
                _ = terminate.recv() => {}
            }
        }
    }
}
