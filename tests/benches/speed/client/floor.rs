//! The floor: the same calls with the least code that works. No retries, no promises.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use base64_simd::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use futures_util::TryStreamExt;
use memchr::memchr;
use reqwest::{Body, Certificate, Client, ClientBuilder, RequestBuilder, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::task::spawn_blocking;
use tokio_util::io::{ReaderStream, StreamReader, SyncIoBridge};

use super::{Caller, Done};
use crate::{CERTIFICATE, KEY, URL};

/// How much of a file is read or packed at a time.
const CHUNK: usize = 256 * 1024;

#[derive(Clone)]
pub(crate) struct Floor {
    /// HTTP/2 where it is offered.
    calls: Client,
    /// HTTP/1.1, which is faster for much data. Made when it is needed: a client costs milliseconds.
    data: Arc<OnceLock<Client>>,
    url: String,
    key: String,
}

#[derive(Deserialize)]
struct Output {
    stdout: String,
}

#[derive(Deserialize)]
struct Event<'a> {
    t: &'a str,
    #[serde(default)]
    d: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Urls {
    upload_url: String,
    download_url: String,
}

#[derive(Deserialize)]
struct Vm {
    id: String,
    status: String,
}

fn builder() -> Done<ClientBuilder> {
    let builder = Client::builder().no_proxy().tcp_nodelay(true);
    Ok(match std::env::var_os(CERTIFICATE) {
        Some(path) => {
            let certificate = Certificate::from_pem(&std::fs::read(path)?)?;
            builder.tls_certs_merge([certificate])
        }
        None => builder,
    })
}

impl Floor {
    fn data(&self) -> &Client {
        self.data.get_or_init(|| {
            let client = builder().and_then(|builder| Ok(builder.http1_only().build()?));
            client.expect("its like was built before")
        })
    }

    fn post(&self, client: &Client, path: &str, body: &Value) -> RequestBuilder {
        let request = client.post(format!("{}/v1/vms{path}", self.url));
        request.header("x-api-key", &self.key).json(body)
    }

    async fn urls(&self, vm: &str, path: &Path) -> Done<Urls> {
        let path = json!({ "path": path });
        let request = self.post(&self.calls, &format!("/{vm}/files/presign"), &path);
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    async fn start(&self, vm: &str) -> Done<Response> {
        let command = json!({ "command": ["sh", "-c", "echo hello"] });
        let request = self.post(self.data(), &format!("/{vm}/exec"), &command);
        let request = request.header("accept", "application/x-ndjson");
        Ok(request.send().await?.error_for_status()?)
    }
}

impl Caller for Floor {
    type Open = Response;
    type Entry = Value;
    type Handle = Value;

    fn new() -> Done<Self> {
        Ok(Self {
            calls: builder()?.build()?,
            data: Arc::default(),
            url: std::env::var(URL)?,
            key: std::env::var(KEY)?,
        })
    }

    async fn run(&self, vm: &str) -> Done<usize> {
        let command = json!({ "command": ["sh", "-c", "echo hello"] });
        let request = self.post(&self.calls, &format!("/{vm}/exec"), &command);
        let answer = request.send().await?.error_for_status()?.bytes().await?;
        let output: Output = serde_json::from_slice(&answer)?;
        Ok(output.stdout.len())
    }

    async fn stream(&self, vm: &str, mut each: impl FnMut(&[u8]) + Send) -> Done<()> {
        let mut answer = self.start(vm).await?;
        let mut begun = Vec::new();
        let mut is_over = false;
        let mut line = |line: &[u8]| -> Done<()> {
            let event: Event<'_> = serde_json::from_slice(line)?;
            match event.t {
                "o" => each(&STANDARD.decode_to_vec(event.d)?),
                _ => is_over = true,
            }
            Ok(())
        };
        while let Some(chunk) = answer.chunk().await? {
            let mut rest = &chunk[..];
            while let Some(end) = memchr(b'\n', rest) {
                if begun.is_empty() {
                    line(&rest[..end])?;
                } else {
                    begun.extend_from_slice(&rest[..end]);
                    line(&begun)?;
                    begun.clear();
                }
                rest = &rest[end + 1..];
            }
            begun.extend_from_slice(rest);
        }
        match is_over {
            true => Ok(()),
            false => Err("the stream was cut".into()),
        }
    }

    async fn open(&self, vm: &str) -> Done<Response> {
        let mut answer = self.start(vm).await?;
        answer.chunk().await?;
        Ok(answer)
    }

    async fn upload(&self, local: &Path) -> Done<()> {
        let urls = self.urls("sink", Path::new("/root/target")).await?;
        let put = self.data().put(&urls.upload_url);
        let put = put.header("content-type", "application/octet-stream");
        let put = if local.is_dir() {
            let (reader, writer) = tokio::io::duplex(CHUNK);
            let (writer, folder) = (SyncIoBridge::new(writer), local.to_owned());
            spawn_blocking(move || {
                let mut tar = tar::Builder::new(GzEncoder::new(writer, Compression::new(6)));
                tar.append_dir_all(".", folder)?;
                tar.into_inner()?.finish()?.shutdown()
            });
            put.body(Body::wrap_stream(ReaderStream::with_capacity(
                reader, CHUNK,
            )))
        } else {
            let file = File::open(local).await?;
            let put = put.header("content-length", file.metadata().await?.len());
            put.body(Body::wrap_stream(ReaderStream::with_capacity(file, CHUNK)))
        };
        put.send().await?.error_for_status()?;
        let fetch = json!({ "url": urls.download_url, "path": "/root/target" });
        let request = self.post(&self.calls, "/sink/files/fetch", &fetch);
        request.send().await?.error_for_status()?;
        self.run("sink").await?;
        Ok(())
    }

    async fn download(&self, remote: &Path, local: &Path) -> Done<()> {
        let urls = self.urls("disk", remote).await?;
        self.run("run").await?;
        let answer = self.data().get(&urls.download_url).send().await?;
        let mut answer = answer.error_for_status()?;
        if !remote.is_dir() {
            let mut file = File::create(local).await?;
            while let Some(chunk) = answer.chunk().await? {
                file.write_all(&chunk).await?;
            }
            return Ok(file.flush().await?);
        }
        let body = answer.bytes_stream().map_err(std::io::Error::other);
        let (reader, local) = (SyncIoBridge::new(StreamReader::new(body)), local.to_owned());
        let unpacking = spawn_blocking(move || {
            std::fs::create_dir(&local)?;
            tar::Archive::new(GzDecoder::new(reader)).unpack(&local)
        });
        Ok(unpacking.await??)
    }

    async fn launch(&self, machine_type: &str) -> Done<()> {
        let machine = json!({ "machineType": machine_type });
        let request = self.post(&self.calls, "", &machine);
        let mut vm: Vm = request.send().await?.error_for_status()?.json().await?;
        let start = Instant::now();
        while vm.status != "running" {
            let pause = start.elapsed().mul_f64(0.1).max(Duration::from_millis(10));
            tokio::time::sleep(pause).await;
            let poll = self.calls.get(format!("{}/v1/vms/{}", self.url, vm.id));
            let poll = poll.header("x-api-key", &self.key).send().await?;
            vm = poll.error_for_status()?.json().await?;
        }
        Ok(())
    }

    async fn list(&self, count: usize) -> Done<Vec<Value>> {
        let list = self
            .calls
            .get(format!("{}/v1/vms?metadata.count={count}", self.url));
        let list = list.header("x-api-key", &self.key).send().await?;
        Ok(list.error_for_status()?.json().await?)
    }

    fn handle(&self, entry: Value) -> Value {
        entry
    }
}
