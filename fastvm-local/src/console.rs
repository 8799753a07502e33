//! Consoles of VMs: the tokens that open them, and the shells they show.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::select;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::exec::ended_with_vm;
use crate::sandbox::{ExecError, Sandbox, Terminal, TerminalSize};
use crate::vms::Machine;

/// How long a token is good.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_secs(60);

/// The size of a terminal until its client tells its own.
const FIRST_SIZE: TerminalSize = TerminalSize { cols: 80, rows: 24 };

/// The consoles of a server.
#[derive(Debug, Default)]
pub(crate) struct Consoles {
    tokens: Mutex<HashMap<String, Token>>,
    /// The sockets that are open.
    pub(crate) sockets: TaskTracker,
}

#[derive(Debug)]
struct Token {
    vm_id: String,
    expires: Instant,
}

/// The token was never given out for this VM, has been used, or has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denied;

impl Consoles {
    /// A token that opens one console of this VM, once.
    pub(crate) fn issue(&self, vm_id: &str, now: Instant) -> String {
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let known = Token {
            vm_id: vm_id.to_owned(),
            expires: now + TOKEN_LIFETIME,
        };
        let mut tokens = self.tokens();
        tokens.retain(|_, token| now < token.expires);
        tokens.insert(token.clone(), known);
        token
    }

    /// Whether a token opens a console of this VM.
    pub(crate) fn check(&self, token: &str, vm_id: &str, now: Instant) -> Result<(), Denied> {
        let is_good = |known: &Token| known.vm_id == vm_id && now < known.expires;
        self.tokens()
            .get(token)
            .is_some_and(is_good)
            .then_some(())
            .ok_or(Denied)
    }

    /// Uses a token up.
    pub(crate) fn redeem(&self, token: &str, vm_id: &str, now: Instant) -> Result<(), Denied> {
        self.check(token, vm_id, now)?;
        self.tokens().remove(token).map(drop).ok_or(Denied)
    }

    /// Waits until every socket is closed. To be called when no more will be opened.
    pub(crate) async fn closed(&self) {
        self.sockets.close();
        self.sockets.wait().await;
    }

    /// No code panics while it holds the lock.
    fn tokens(&self) -> MutexGuard<'_, HashMap<String, Token>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a terminal with a login shell.
pub(crate) async fn login(machine: &Machine, sandbox: &Sandbox) -> Result<Terminal, ExecError> {
    let shell = |name| machine.origin().command([name, "-l"]);
    match sandbox.terminal(shell("bash"), FIRST_SIZE).await {
        Err(ExecError::NotFound { .. }) => sandbox.terminal(shell("sh"), FIRST_SIZE).await,
        other => other,
    }
}

/// What has ended a console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Shell,
    Vm,
    Client,
}

/// Waits for the end of the shell, or of the VM under it.
pub(crate) async fn ended(terminal: &Terminal, machine: &Machine, sandbox: &Sandbox) -> Ending {
    select! {
        () = sandbox.ended() => Ending::Vm,
        exit = terminal.process().wait() => match exit {
            Ok(exit) if ended_with_vm(&exit, machine, sandbox).await => Ending::Vm,
            _ => Ending::Shell,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_once_for_its_vm_and_a_minute() {
        let (consoles, now) = (Consoles::default(), Instant::now());
        let token = consoles.issue("a", now);
        assert_ne!(token, consoles.issue("a", now));
        assert_eq!(consoles.redeem(&token, "b", now), Err(Denied));
        assert_eq!(consoles.redeem("", "a", now), Err(Denied));
        assert_eq!(
            consoles.check(&token, "a", now + TOKEN_LIFETIME),
            Err(Denied)
        );
        let in_time = now + TOKEN_LIFETIME - Duration::from_millis(1);
        assert_eq!(consoles.check(&token, "a", in_time), Ok(()));
        assert_eq!(consoles.redeem(&token, "a", in_time), Ok(()));
        assert_eq!(consoles.redeem(&token, "a", in_time), Err(Denied));
    }

    #[test]
    fn tokens_that_nobody_uses_are_forgotten() {
        let (consoles, now) = (Consoles::default(), Instant::now());
        for _ in 0..100 {
            consoles.issue("a", now);
        }
        consoles.issue("a", now + TOKEN_LIFETIME);
        assert_eq!(consoles.tokens().len(), 1);
    }
}
