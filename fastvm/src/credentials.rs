//! The login to a bucket, read from where the clouds' own tools keep it.
//!
//! Each function gives what `vm.bucket_mounts().attach(..)`, `.rotate(..)` and a launch's
//! `.bucket_mounts(..)` take, checked for form, so that a mistake is told here and not by a mount
//! that fails. Only the one login is sent, never the rest of a file. Nothing of it is in any error
//! or `Debug` output.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # std::fs::create_dir_all(folder.path().join("s3/acme-reports"))?;
//! # let server = fastvm_local::Server::builder().buckets(folder.path()).start().await?;
//! # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
//! # let path = folder.path().join("credentials");
//! # std::fs::write(&path, "[reports]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = s3cr3t\n")?;
//! use fastvm::credentials;
//!
//! let login = credentials::aws_from_file(&path, "reports")?;
//! let vm = client.vms().launch("c1m2").await?;
//! vm.bucket_mounts().attach("s3://acme-reports", "/mnt/reports", login).await?;
//! # Ok(())
//! # }
//! ```

use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};

use fastvm_api::types::{
    AwsCredentialsValue, BucketMountCredentials, GcpKeyType, GcpServiceAccountKey,
};
use fastvm_api::{Error, ErrorKind, Result};

/// No file of credentials is larger than that.
const MOST_BYTES: u64 = 1024 * 1024;

const DEFAULT_PROFILE: &str = "default";

/// The service account key in the file that `GOOGLE_APPLICATION_CREDENTIALS` names.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] if the variable is not set; those of
/// [`gcp_from_file`].
pub fn gcp_from_env() -> Result<BucketMountCredentials> {
    gcp_from(&variable)
}

/// The service account key in this JSON file, as Google Cloud hands it out.
///
/// # Errors
///
/// [`ErrorKind::NotFound`] or [`ErrorKind::Io`] with the path if the file cannot be read;
/// [`ErrorKind::InvalidInput`] with the path if it is no service account key, but for instance the
/// login of a user.
pub fn gcp_from_file(path: impl AsRef<Path>) -> Result<BucketMountCredentials> {
    let path = path.as_ref();
    gcp_key(&read(path)?).map_err(|why| refused(why).with_path(path.to_string_lossy()))
}

/// The AWS access key of the environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, if it is
/// set, `AWS_SESSION_TOKEN`.
///
/// Without the first two, it is the profile `AWS_PROFILE` (or `default`) of the file that
/// `AWS_SHARED_CREDENTIALS_FILE` names (or `~/.aws/credentials`). Empty variables count as absent.
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] if one of the two variables is set without the other; those of
/// [`aws_from_file`].
pub fn aws_from_env() -> Result<BucketMountCredentials> {
    aws_from(&variable)
}

/// The AWS access key of a profile in this shared credentials file. It is sent as the profile
/// `default`, which is the one that is read in the VM.
///
/// # Errors
///
/// [`ErrorKind::NotFound`] or [`ErrorKind::Io`] with the path if the file cannot be read;
/// [`ErrorKind::InvalidInput`] with the path if it has no such profile, or one without a key of its
/// own (a role, single sign-on).
pub fn aws_from_file(path: impl AsRef<Path>, profile: &str) -> Result<BucketMountCredentials> {
    let path = path.as_ref();
    let key = AwsKey::of_profile(&read(path)?, profile).and_then(AwsKey::into_credentials);
    key.map_err(|why| refused(why).with_path(path.to_string_lossy()))
}

fn gcp_from(variable: &dyn Fn(&str) -> Option<String>) -> Result<BucketMountCredentials> {
    match variable("GOOGLE_APPLICATION_CREDENTIALS") {
        Some(path) => gcp_from_file(path),
        None => Err(refused("GOOGLE_APPLICATION_CREDENTIALS is not set")),
    }
}

fn aws_from(variable: &dyn Fn(&str) -> Option<String>) -> Result<BucketMountCredentials> {
    let id = variable("AWS_ACCESS_KEY_ID");
    let secret = variable("AWS_SECRET_ACCESS_KEY");
    match (id, secret) {
        (Some(id), Some(secret)) => {
            let token = variable("AWS_SESSION_TOKEN");
            AwsKey { id, secret, token }
                .into_credentials()
                .map_err(refused)
        }
        (None, None) => {
            let path = variable("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
            let path = path.or_else(usual_file).ok_or_else(|| {
                refused("neither an access key nor a credentials file of AWS is in the environment")
            })?;
            let profile = variable("AWS_PROFILE");
            aws_from_file(path, profile.as_deref().unwrap_or(DEFAULT_PROFILE))
        }
        (Some(_), None) => Err(refused(
            "AWS_ACCESS_KEY_ID is set, but not AWS_SECRET_ACCESS_KEY",
        )),
        (None, Some(_)) => Err(refused(
            "AWS_SECRET_ACCESS_KEY is set, but not AWS_ACCESS_KEY_ID",
        )),
    }
}

fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    value.filter(|value| !value.trim().is_empty())
}

fn usual_file() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".aws").join("credentials"))
}

fn refused(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, why)
}

fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(_) if text.len() as u64 > MOST_BYTES => {
            let message = format!("more than {MOST_BYTES} bytes: this holds no credentials");
            Err(refused(message).with_path(path.to_string_lossy()))
        }
        Ok(_) => Ok(text),
        Err(error) => {
            let kind = match error.kind() {
                std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                _ => ErrorKind::Io,
            };
            let error = Error::new(kind, "the credentials cannot be read").with_source(error);
            Err(error.with_path(path.to_string_lossy()))
        }
    }
}

/// A refusal never quotes the text, nor the parser, which might.
fn gcp_key(text: &str) -> Result<BucketMountCredentials, &'static str> {
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|_| "not the JSON file of a service account key")?;
    let field = |name: &str| json.get(name).and_then(|value| value.as_str());
    match field("type") {
        Some("service_account") => {}
        Some("authorized_user") => {
            return Err("the login of a user: a service account key is needed");
        }
        _ => return Err("`type` is not \"service_account\": a service account key is needed"),
    }
    let email = field("client_email").filter(|email| email.contains('@'));
    let email = email.ok_or("`client_email` is no e-mail address")?;
    let is_pem =
        |key: &&str| key.trim().starts_with("-----BEGIN ") && key.trim().ends_with("-----");
    let key = field("private_key").filter(is_pem);
    let key = key.ok_or("`private_key` is no key in PEM form")?;
    let key = GcpServiceAccountKey::new(GcpKeyType::ServiceAccount, email, key);
    Ok(BucketMountCredentials::GcpServiceAccountJson(key))
}

struct AwsKey {
    id: String,
    secret: String,
    token: Option<String>,
}

impl AwsKey {
    /// The key of a profile in the text of a shared credentials file. A refusal names the profile
    /// that was asked for and nothing else of the file.
    fn of_profile(text: &str, profile: &str) -> Result<Self, String> {
        let mut is_asked_for = false;
        let mut is_there = false;
        let (mut id, mut secret, mut token) = (None, None, None);
        for line in text.lines().map(str::trim) {
            if let Some(section) = line.strip_prefix('[') {
                let name = section.split(']').next().unwrap_or_default();
                is_asked_for = name.trim() == profile;
                is_there |= is_asked_for;
            } else if let Some((name, value)) = line.split_once('=')
                && is_asked_for
            {
                let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
                match name.trim() {
                    "aws_access_key_id" => id = value,
                    "aws_secret_access_key" => secret = value,
                    "aws_session_token" => token = value,
                    _ => {}
                }
            }
        }
        match (id, secret) {
            (Some(id), Some(secret)) => Ok(Self { id, secret, token }),
            _ if !is_there => Err(format!("there is no profile {profile:?}")),
            (None, _) => Err(format!("the profile {profile:?} has no aws_access_key_id")),
            _ => Err(format!(
                "the profile {profile:?} has no aws_secret_access_key"
            )),
        }
    }

    /// The text of a file that holds this key alone, where it is looked for.
    fn into_credentials(self) -> Result<BucketMountCredentials, String> {
        let mut text = format!("[{DEFAULT_PROFILE}]\n");
        for (name, value) in [
            ("aws_access_key_id", Some(&self.id)),
            ("aws_secret_access_key", Some(&self.secret)),
            ("aws_session_token", self.token.as_ref()),
        ] {
            let Some(value) = value else {
                continue;
            };
            // A line break would be another line of the file.
            if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!(
                    "the {name} has a blank or a character that is not ASCII"
                ));
            }
            writeln!(text, "{name} = {value}").map_err(|_| "the key cannot be written")?;
        }
        Ok(BucketMountCredentials::AwsCredentials(
            AwsCredentialsValue::new(text),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(credentials: &BucketMountCredentials) -> &str {
        match credentials {
            BucketMountCredentials::AwsCredentials(value) => &value.data,
            _ => panic!("no AWS credentials"),
        }
    }

    fn from(variables: &[(&str, &str)]) -> Result<BucketMountCredentials> {
        aws_from(&|name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_key_of_the_environment_comes_before_the_file() {
        let (id, secret) = (
            ("AWS_ACCESS_KEY_ID", "AKIA1"),
            ("AWS_SECRET_ACCESS_KEY", "s/+="),
        );
        let file = ("AWS_SHARED_CREDENTIALS_FILE", "/does/not/exist");
        let key = from(&[id, secret, file]).unwrap();
        assert_eq!(
            sent(&key),
            "[default]\naws_access_key_id = AKIA1\naws_secret_access_key = s/+=\n"
        );
        let key = from(&[id, secret, ("AWS_SESSION_TOKEN", "t")]).unwrap();
        assert!(sent(&key).ends_with("aws_session_token = t\n"));
        let error = from(&[file]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.path(), Some("/does/not/exist"));
    }

    #[test]
    fn half_a_key_or_one_of_two_lines_is_refused_and_not_shown() {
        let id = ("AWS_ACCESS_KEY_ID", "AKIA1");
        for variables in [
            &[id][..],
            &[("AWS_SECRET_ACCESS_KEY", "s3cr3t")],
            &[id, ("AWS_SECRET_ACCESS_KEY", "s3cr3t\n[other]")],
            &[id, ("AWS_SECRET_ACCESS_KEY", "s3cr3t ")],
        ] {
            let error = from(variables).unwrap_err();
            assert!(error.is_invalid_input());
            assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn the_file_of_a_service_account_is_found_by_its_variable() {
        let error = gcp_from(&|_| None).unwrap_err();
        assert!(error.to_string().contains("GOOGLE_APPLICATION_CREDENTIALS"));
        let error = gcp_from(&|_| Some("/does/not/exist".to_owned())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
