//! The VM's part of a download: it says what a path is and puts it into storage.

use std::collections::HashMap;

use fastvm_api::types::FilePresignResponse;
use fastvm_api::{Client, Error, ErrorKind, Result};
use http::{HeaderMap, StatusCode};

use super::resume::{Broken, Object};
use super::{Options, exec, step_failed};
use crate::exec::Output;

/// Sends `$1` to `$2`: a file as it is, a folder as a tar. Tells on stdout, a word and its value a
/// line, what it finds and how each of its tools ends: a pipe alone would hide all but the last.
/// Nothing is staged in the VM.
///
/// `curl` gets no configuration of the VM's (`-q`) and takes names as they are (`-g`). It counts the
/// framing of what it sends from a pipe, so that is counted apart. What says it is empty is read all
/// the same, since files like those in `/proc` say so falsely. `ls` separates mode and size from the
/// path by its first slash: paths are absolute. What `tar` leaves out follows the other arguments; a
/// small tar cannot leave out anything, and then the receiver does.
const SEND: &str = r#"
path=$1 url=$2 files_only=$3 most=$4 verify=$5 level=$6
shift 6
exec 3>&1
need() { command -v "$1" > /dev/null || { echo "lacks $1"; exit; }; }
fifth() { echo "$5"; }
pack() {
    cd -- "$path" && if [ $# -gt 0 ] && tar -cf - -X /dev/null /dev/null > /dev/null 2>&1; then
        printf '%s\n' "$@" | tar -cf - -X /proc/self/fd/0 .
    else
        tar -cf - .
    fi
    echo "tar $?" >&3
}
compress() {
    [ -n "$level" ] || exec cat
    gzip -c "-$level"
    echo "gzip $?" >&3
}
count() { bytes=$(wc -c); echo "piped $bytes" >&3; }
digest() { sum=$(sha256sum); echo "sha256 $sum" >&3; }
copy() { tee "$@"; echo "tee $?" >&3; }
send() {
    curl -q -g -f -sS -o /dev/null -H 'Content-Type: application/octet-stream' -T "$1" \
        -w 'status %{http_code}\nsent %{size_upload}\n' "$url" >&3
    echo "curl $?" >&3
}
stream() {
    if [ -z "$verify" ]; then
        { copy /proc/self/fd/4 | send -; } 4>&1 | count
    else
        { { copy /proc/self/fd/4 /proc/self/fd/5 | send -; } 4>&1 | count; } 5>&1 | digest
    fi
}

need curl
[ -z "$verify" ] || need sha256sum
details=$(ls -ldnL -- "$path" 2> /dev/null)
details=${details%%/*}
echo "mode $details"
if [ -d "$path" ]; then
    echo "is folder"
    [ -z "$files_only" ] || exit 0
    need tar
    [ -z "$level" ] || need gzip
    pack "$@" | compress | stream
elif [ -f "$path" ]; then
    echo "is file"
    size=$(set -f; fifth $details)
    [ -z "$most" ] || [ "$size" -le "$most" ] || { echo "large $size"; exit 0; }
    if [ -s "$path" ]; then
        send "$path"
        [ -z "$verify" ] || digest < "$path"
    else
        stream < "$path"
    fi
elif [ -e "$path" ]; then
    echo "is special"
else
    echo "is missing"
fi
"#;

/// How `curl` ends when the network failed it, and another attempt may do better: no host, no
/// connection, HTTP/2 framing, a short body, a timeout, TLS, no answer, a broken send or receive.
const PASSING_CURL_CODES: [&str; 9] = ["6", "7", "16", "18", "28", "35", "52", "55", "56"];

/// What is asked of the VM.
pub(super) struct Order<'a> {
    pub(super) api: &'a Client,
    pub(super) vm_id: &'a str,
    pub(super) path: &'a str,
    pub(super) options: &'a Options,
    /// Whether a folder is refused.
    pub(super) files_only: bool,
    /// What `tar` is told to leave out.
    pub(super) tar_excludes: &'a [String],
    /// The largest file that is sent.
    pub(super) most_bytes: Option<u64>,
}

/// What the VM has put into storage.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) is_folder: bool,
    /// The permissions of the file or folder, if the VM could tell.
    pub(super) mode: Option<u32>,
    /// The length of the object.
    pub(super) bytes: u64,
    /// The checksum of the object, if it was asked for.
    pub(super) sha256: Option<String>,
}

impl Order<'_> {
    /// What was put into storage, to be read.
    pub(super) fn object(&self, urls: &FilePresignResponse, sent: &Sent) -> Object {
        Object::new(
            self.api,
            self.vm_id,
            self.path,
            &urls.download_url,
            self.options,
            sent,
        )
    }

    /// Has the VM put the data into storage.
    pub(super) async fn carry_out(&self, urls: &FilePresignResponse) -> Result<Sent, Broken> {
        let level = self.options.compression.gzip_level()?;
        let text = |number: Option<u64>| number.map_or_else(String::new, |n| n.to_string());
        let flag = |is_on: bool| if is_on { "yes" } else { "" };
        let (most, level) = (text(self.most_bytes), text(level.map(u64::from)));
        let mut command = vec![
            "sh",
            "-c",
            SEND,
            "sh",
            self.path,
            &urls.upload_url,
            flag(self.files_only),
            &most,
            flag(self.options.verify),
            &level,
        ];
        command.extend(self.tar_excludes.iter().map(String::as_str));
        let output = exec(self.api, self.vm_id, self.options, command).await?;
        self.judge(&output, urls)
    }

    fn judge(&self, output: &Output, urls: &FilePresignResponse) -> Result<Sent, Broken> {
        let told = Told::read(&output.stdout);
        let failed = |what: &str| step_failed(self.vm_id, self.path, what, output, urls);
        if !output.is_success() {
            return Err(failed("the VM could not send the data").into());
        }
        if let Some(tool) = told.get("lacks") {
            let message = format!("the VM lacks `{tool}`, which this download needs");
            return Err(self.refused(ErrorKind::Transfer, message).into());
        }
        let is_folder = self.is_folder(&told)?;
        if let Some(size) = told.get("large") {
            return Err(self.too_large(size).into());
        }
        if told.get("curl") != Some("0") {
            let failed = failed("the VM could not send the data");
            return Err(self.not_stored(&told, failed));
        }
        let tools: &[&str] = match is_folder {
            true if self.options.compression.gzip_level()?.is_some() => &["tar", "gzip", "tee"],
            true => &["tar", "tee"],
            // From a pipe, or by itself.
            false if told.get("piped").is_some() => &["tee"],
            false => &[],
        };
        let failures: Vec<_> = tools
            .iter()
            .map(|tool| (tool, told.get(tool).unwrap_or("no exit code")))
            .filter(|(_, code)| *code != "0")
            .map(|(tool, code)| format!("{tool}: {code}"))
            .collect();
        if !failures.is_empty() {
            let failures = failures.join(", ");
            return Err(failed(&format!("the VM could not read all of it ({failures})")).into());
        }
        let bytes = told.get("piped").or_else(|| told.get("sent"));
        let bytes = bytes.and_then(|bytes| bytes.parse().ok());
        let bytes = bytes.ok_or_else(|| failed("the VM does not tell how much it sent"))?;
        // It may have grown since the VM looked, or have said falsely that it is empty.
        if !is_folder && self.most_bytes.is_some_and(|most| bytes > most) {
            return Err(self.too_large(bytes).into());
        }
        Ok(Sent {
            is_folder,
            mode: told.get("mode").and_then(mode),
            bytes,
            sha256: self.checksum(&told)?,
        })
    }

    fn is_folder(&self, told: &Told<'_>) -> Result<bool> {
        let (kind, message) = match told.get("is") {
            Some("folder") if self.files_only => (
                ErrorKind::InvalidInput,
                "it is a folder, which can only be downloaded to a path",
            ),
            Some("folder") => return Ok(true),
            Some("file") => return Ok(false),
            Some("missing") => (
                ErrorKind::NotFound,
                "there is no such file or folder in the VM",
            ),
            Some("special") => (
                ErrorKind::InvalidInput,
                "only files and folders can be downloaded",
            ),
            _ => (
                ErrorKind::Transfer,
                "the VM does not tell what is to be sent",
            ),
        };
        Err(self.refused(kind, message))
    }

    fn too_large(&self, size: impl std::fmt::Display) -> Error {
        let most = self.most_bytes.unwrap_or_default();
        let message =
            format!("it has {size} bytes, more than the {most} that `.max_size(..)` allows");
        self.refused(ErrorKind::Transfer, message)
    }

    /// What storage or the network did to the VM's request is what it would have done to one of
    /// ours, so that the same faults are repeated.
    fn not_stored(&self, told: &Told<'_>, failed: Error) -> Broken {
        let status = told
            .get("status")
            .and_then(|status| status.parse::<StatusCode>().ok());
        let curl = told.get("curl").unwrap_or_default();
        let of_kind = |kind| self.refused(kind, failed.message());
        match status {
            Some(status) if curl == "22" => {
                let error = of_kind(ErrorKind::Status).with_answer(status, HeaderMap::new());
                Broken::Passing(error)
            }
            _ if PASSING_CURL_CODES.contains(&curl) => {
                Broken::Passing(of_kind(ErrorKind::Connection))
            }
            _ => Broken::Final(failed),
        }
    }

    fn checksum(&self, told: &Told<'_>) -> Result<Option<String>> {
        if !self.options.verify {
            return Ok(None);
        }
        let sum = told.get("sha256").and_then(|line| line.split(' ').next());
        match sum.filter(|sum| sum.len() == 64) {
            Some(sum) => Ok(Some(sum.to_owned())),
            None => Err(self.refused(
                ErrorKind::Transfer,
                "the VM could not make the checksum of what it sent",
            )),
        }
    }

    fn refused(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, message)
            .with_vm_id(self.vm_id)
            .with_path(self.path)
    }
}

/// What the script told: a word, and what follows it.
struct Told<'a>(HashMap<&'a str, &'a str>);

impl<'a> Told<'a> {
    fn read(stdout: &'a str) -> Self {
        Self(
            stdout
                .lines()
                .filter_map(|line| line.split_once(' '))
                .map(|(word, value)| (word, value.trim()))
                .collect(),
        )
    }

    fn get(&self, word: &str) -> Option<&'a str> {
        self.0.get(word).copied()
    }
}

/// The permission bits of `-rwxr-x---`, as `ls` prints them. Set-id and sticky bits are left behind.
fn mode(listed: &str) -> Option<u32> {
    let letters = listed.as_bytes().get(1..10)?;
    Some(letters.iter().fold(0, |mode, letter| {
        (mode << 1) | u32::from(!matches!(letter, b'-' | b'S' | b'T'))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_read_as_they_are_listed() {
        assert_eq!(mode("-rw-r--r-- 1 0 0 5 Jan  1 00:00"), Some(0o644));
        assert_eq!(mode("-rwsr-x--T+ 1 0 0"), Some(0o750));
        assert_eq!(mode("drwxrwxrwt 1 0 0"), Some(0o777));
        assert_eq!(mode(""), None);
    }
}
