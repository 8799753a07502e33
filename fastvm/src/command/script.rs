//! What the API has no call for, as `sh` in the VM: environment, working directory, user, pid.

use std::collections::BTreeMap;

use fastvm_api::{Error, ErrorKind, Outcome, Result};

/// Goes on as another user. Its arguments: the tag, the user, and what goes on.
///
/// `setpriv` comes first: it needs no PAM, and does not stay as a parent. That of busybox cannot
/// change the user, so each way is tried out before it is taken.
const SWITCH_USER: &str = r#"tag=$1 user=$2
shift 2
refuse() { printf '%s %s\n' "$tag" "$1" >&2; exit 126; }
uid=$(id -u "$user" 2>/dev/null) || refuse no-user
own=$(id -u)
[ "$uid" != "$own" ] || exec "$@"
[ "$own" = 0 ] || refuse not-root
gid=$(id -g "$user")
eval "HOME=~$user"
USER=$user LOGNAME=$user
export HOME USER LOGNAME
if setpriv --reuid "$uid" --regid "$gid" --init-groups true </dev/null >/dev/null 2>&1; then
  exec setpriv --reuid "$uid" --regid "$gid" --init-groups -- "$@"
elif su -s /bin/sh -c : -- "$user" </dev/null >/dev/null 2>&1; then
  exec su -s /bin/sh -c 'exec "$@"' -- "$user" sh "$@"
fi
refuse no-switch"#;

/// Starts the command. Its arguments: the tag, the working directory or nothing, and those of `env`.
///
/// The pid alone may be another process's by the time a signal is sent, so the time of the start
/// goes with it: field 22 of `stat`, the 20th behind the name, which can hold anything.
const START: &str = r#"tag=$1 dir=$2
shift 2
tell() { printf '%s %s\n' "$tag" "$1" >&2; }
if [ -n "$dir" ]; then
  cd -P -- "$dir" 2>/dev/null || {
    if [ -d "$dir" ]; then tell denied-dir; elif [ -e "$dir" ]; then tell not-a-dir; else tell no-dir; fi
    exit 126
  }
fi
since=
find_since() { [ $# -gt 19 ] && shift 19 && since=$1; }
IFS= read -r stat 2>/dev/null </proc/$$/stat && find_since ${stat##*') '}
tell "$$ $since"
exec env "$@""#;

/// Sends a signal to the command and what it started. Its arguments: the signal, the pid, and when
/// that was started, if that is known.
const SIGNAL: &str = r#"signal=$1 pid=$2 since=$3
if [ -n "$since" ]; then
  stat=$(cat "/proc/$pid/stat" 2>/dev/null) || exit 3
  set -- ${stat##*') '}
  [ "${20}" = "$since" ] || exit 3
else
  kill -s 0 "$pid" 2>/dev/null || exit 3
fi
kill -s "$signal" -- "-$pid" 2>/dev/null || kill -s "$signal" "$pid""#;

/// What [`SIGNAL`] exits with if the command has ended.
pub(super) const HAS_ENDED: i64 = 3;

/// Runs a program whose name `env` would take for a variable.
const RUN: [&str; 4] = ["sh", "-c", "exec \"$@\"", "sh"];

/// What a command is given besides its arguments and its input.
#[derive(Default)]
pub(super) struct Setup {
    pub(super) env: BTreeMap<String, String>,
    pub(super) clears_env: bool,
    pub(super) dir: Option<String>,
    pub(super) user: Option<String>,
}

impl Setup {
    pub(super) fn is_empty(&self) -> bool {
        self.env.is_empty() && !self.clears_env && self.dir.is_none() && self.user.is_none()
    }

    /// Refuses what could not be done, or not as it is said.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |message: &str| Err(Error::new(ErrorKind::InvalidInput, message));
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) {
                return refuse("the name of a variable is empty, or holds `=` or a NUL byte");
            }
            if value.contains('\0') {
                let message = format!("the value of the variable {name:?} holds a NUL byte");
                return refuse(&message);
            }
        }
        match self.dir.as_deref() {
            Some("") => return refuse("the working directory is empty"),
            Some(dir) if dir.contains('\0') => {
                return refuse("the working directory holds a NUL byte");
            }
            _ => {}
        }
        match &self.user {
            Some(user) if !is_user_name(user) => {
                let message = format!("{user:?} is no name of a user: letters, digits, `_.-`");
                refuse(&message)
            }
            _ => Ok(()),
        }
    }

    /// The arguments that run `command` with all this, and report under this tag.
    pub(super) fn wrap(&self, tag: &str, command: &[String]) -> Vec<String> {
        let mut args: Vec<&str> = Vec::new();
        if let Some(user) = &self.user {
            args.extend(["sh", "-c", SWITCH_USER, "sh", tag, user]);
        }
        let dir = self.dir.as_deref().map(unambiguous).unwrap_or_default();
        args.extend(["sh", "-c", START, "sh", tag, &dir]);
        if self.clears_env {
            args.push("-i");
        }
        args.push("--");
        let variables = self
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let mut args: Vec<String> = args
            .into_iter()
            .map(str::to_owned)
            .chain(variables)
            .collect();
        if command.first().is_some_and(|program| program.contains('=')) {
            args.extend(RUN.map(str::to_owned));
        }
        args.extend_from_slice(command);
        args
    }

    /// What a report that is none of a start says.
    pub(super) fn refusal(&self, reason: &str) -> Error {
        let of_dir = |kind, message: &str| {
            let path = self.dir.clone().unwrap_or_default();
            Error::new(kind, message).with_path(path)
        };
        let user = self.user.as_deref().unwrap_or_default();
        let error = match reason {
            "no-dir" => of_dir(ErrorKind::NotFound, "the working directory does not exist"),
            "not-a-dir" => of_dir(ErrorKind::Command, "the working directory is no directory"),
            "denied-dir" => of_dir(
                ErrorKind::Command,
                "the working directory cannot be entered: permission denied",
            ),
            "no-user" => {
                let message = format!("the VM has no user {user:?}");
                Error::new(ErrorKind::NotFound, message)
            }
            "not-root" => {
                let message = format!("only root can run a command as {user:?}");
                Error::new(ErrorKind::Command, message)
            }
            "no-switch" => {
                let message = format!(
                    "the command cannot be run as {user:?}: the VM needs a working `setpriv` of \
                     util-linux, or `su`"
                );
                Error::new(ErrorKind::Command, message)
            }
            _ => Error::new(ErrorKind::Command, "the command could not be started"),
        };
        error.with_outcome(Outcome::Rejected)
    }
}

/// A relative path that `cd` takes neither for `-` nor looks for in `CDPATH`.
fn unambiguous(dir: &str) -> String {
    match dir.starts_with('/') {
        true => dir.to_owned(),
        false => format!("./{dir}"),
    }
}

/// Whether it is a portable name: one that a shell gives no meaning to.
fn is_user_name(user: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    !user.is_empty() && !user.starts_with('-') && user.chars().all(is_plain)
}

/// What the VM said before the command began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Report {
    Started(Process),
    Refused(String),
}

/// A process in the VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// When it was started, as the kernel counts; empty where that cannot be told.
    since: String,
}

impl Report {
    /// A line of a report, without its tag.
    pub(super) fn of(line: &str) -> Self {
        let (pid, since) = line.split_once(' ').unwrap_or((line, ""));
        match pid.parse() {
            Ok(pid) => Self::Started(Process {
                pid,
                since: since.to_owned(),
            }),
            Err(_) => Self::Refused(line.to_owned()),
        }
    }
}

impl Process {
    /// The arguments that send it this signal.
    pub(super) fn signal(&self, name: &str) -> [String; 7] {
        let pid = self.pid.to_string();
        ["sh", "-c", SIGNAL, "sh", name, &pid, &self.since].map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_of_a_start_or_of_a_refusal() {
        let process = |pid, since: &str| {
            Report::Started(Process {
                pid,
                since: since.to_owned(),
            })
        };
        assert_eq!(Report::of("12 345"), process(12, "345"));
        assert_eq!(Report::of("12 "), process(12, ""));
        assert_eq!(Report::of("no-dir"), Report::Refused("no-dir".to_owned()));
    }

    #[test]
    fn what_a_shell_could_take_for_something_else_is_refused() {
        for user in ["", "-x", "a b", "$(id)", "a/b", "a:b", "ü", "a\0"] {
            let user = Some(user.to_owned());
            let setup = Setup {
                user,
                ..Setup::default()
            };
            assert!(setup.check().unwrap_err().is_invalid_input());
        }
        for (name, value) in [("", "x"), ("a=b", "x"), ("a\0", "x"), ("a", "hunter2\0")] {
            let env = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            let setup = Setup {
                env,
                ..Setup::default()
            };
            let error = setup.check().unwrap_err();
            assert!(error.is_invalid_input() && !error.to_string().contains("hunter2"));
        }
        let user = Some("www-data".to_owned());
        assert!(
            Setup {
                user,
                ..Setup::default()
            }
            .check()
            .is_ok()
        );
    }
}
