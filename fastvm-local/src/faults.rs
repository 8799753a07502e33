//! Faults on demand: which requests go wrong, how, and how often they have.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fastvm_api::Operation;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::vms::Boot;

/// The names of signed storage, which has no operations in the document.
pub(crate) const STORAGE_PUT: &str = "storage.put";
pub(crate) const STORAGE_GET: &str = "storage.get";

const LAUNCH: &str = "launchVm";
const EXEC: &str = "execVm";

/// Something that goes wrong: what, for which requests, and how often.
///
/// Every request is a match unless [`on`](Self::on) or [`vm`](Self::vm) say less, and every match
/// fires unless [`after`](Self::after), [`times`](Self::times) or [`probability`](Self::probability)
/// do. Faults are gone through in the order they were added: delays add up, and of the others the
/// first that fires decides; those behind it do not see the request. A request without the API key
/// meets no fault.
///
/// # JSON
///
/// `POST /_local/faults` and `fastvm-local --faults FILE` take the same as JSON, with exactly one of
/// the kinds in a fault. Unknown fields are refused.
///
/// | field | what it is |
/// |---|---|
/// | `operation`, `vm`, `after`, `times`, `probability` | which requests, as the methods here |
/// | `status`, with `headers` and `body` | [`status`](Self::status) |
/// | `delayMs` | [`delay`](Self::delay) |
/// | `stall`: true | [`stall`](Self::stall) |
/// | `cut`: true | [`cut`](Self::cut) |
/// | `cutAfterWork`: true | [`cut_after_work`](Self::cut_after_work) |
/// | `cutBodyAfter` | [`cut_body_after`](Self::cut_body_after) |
/// | `truncateBody` | [`truncate_body`](Self::truncate_body) |
/// | `corruptBody`: true | [`corrupt_body`](Self::corrupt_body) |
/// | `noExitEvent`: true | [`no_exit_event`](Self::no_exit_event) |
/// | `vmDiesAfter` | [`vm_dies_after`](Self::vm_dies_after) |
/// | `slowBootMs` | [`slow_boot`](Self::slow_boot) |
/// | `failingBoot`: true | [`failing_boot`](Self::failing_boot) |
///
/// ```
/// let fault: fastvm_local::Fault = serde_json::from_str(
///     r#"{"operation": "execVm", "times": 1, "status": 503, "headers": {"retry-after": "1"}}"#,
/// )?;
/// # let built = fastvm_local::Fault::status(503).header("retry-after", "1").on("execVm").times(1);
/// # assert_eq!(fault, built);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[must_use = "it does nothing until it is added to a server's faults"]
pub struct Fault {
    #[serde(skip_serializing_if = "is_default")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    vm: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    after: u64,
    #[serde(skip_serializing_if = "is_default")]
    times: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    probability: Option<f64>,
    #[serde(skip_serializing_if = "is_default")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "is_default")]
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_default")]
    body: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    stall: bool,
    #[serde(skip_serializing_if = "is_default")]
    cut: bool,
    #[serde(skip_serializing_if = "is_default")]
    cut_after_work: bool,
    #[serde(skip_serializing_if = "is_default")]
    cut_body_after: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    truncate_body: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    corrupt_body: bool,
    #[serde(skip_serializing_if = "is_default")]
    no_exit_event: bool,
    #[serde(skip_serializing_if = "is_default")]
    vm_dies_after: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    slow_boot_ms: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    failing_boot: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What goes wrong.
impl Fault {
    /// An answer with this status in place of the work.
    ///
    /// Its body is `{"error": "<the status's name>"}` unless [`body`](Self::body) says.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::{Duration, Instant};
    ///
    /// use fastvm_local::{Fault, Server};
    ///
    /// let server = Server::start().await?;
    /// let busy = Fault::status(503).header("retry-after", "1").body("busy");
    /// let busy = server.faults().add(busy.on("listVms").times(1))?;
    /// server.faults().add(Fault::delay(Duration::from_millis(50)).on("listVms"))?;
    ///
    /// let client = reqwest::Client::new();
    /// let url = format!("{}/v1/vms", server.base_url());
    /// let list = || client.get(&url).header("X-API-Key", server.api_key());
    ///
    /// let answer = list().send().await?;
    /// assert_eq!(answer.status(), 503);
    /// assert_eq!(answer.headers()["retry-after"], "1");
    /// assert_eq!(answer.text().await?, "busy");
    ///
    /// let begin = Instant::now();
    /// assert_eq!(list().send().await?.status(), 200);
    /// assert!(begin.elapsed() >= Duration::from_millis(50));
    /// assert_eq!(server.faults().fired(busy), 1);
    ///
    /// server.faults().clear();
    /// server.faults().add(Fault::stall())?;
    /// let stalled = list().timeout(Duration::from_millis(50)).send().await;
    /// assert!(stalled.is_err_and(|error| error.is_timeout()));
    /// # server.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn status(status: u16) -> Self {
        Self {
            status: Some(status),
            ..Self::default()
        }
    }

    /// A header of the answer of [`status`](Self::status).
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// The body of the answer of [`status`](Self::status).
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// A pause before the work, in whole milliseconds. Delays add up, and another fault may fire
    /// after them.
    pub fn delay(delay: Duration) -> Self {
        Self {
            delay_ms: Some(milliseconds(delay)),
            ..Self::default()
        }
    }

    /// No work and no answer, until the client goes or the server stops.
    pub fn stall() -> Self {
        Self {
            stall: true,
            ..Self::default()
        }
    }

    /// The connection is closed before the answer, and the work is not done. In HTTP/2 the stream is
    /// reset, for this and the other cuts.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use fastvm_local::{Fault, Server};
    /// use serde_json::{Value, json};
    ///
    /// let server = Server::start().await?;
    /// server.faults().add(Fault::cut().on("launchVm").times(1))?;
    /// server.faults().add(Fault::cut_after_work().on("launchVm").times(1))?;
    ///
    /// let client = reqwest::Client::new();
    /// let url = format!("{}/v1/vms", server.base_url());
    /// let launch = || {
    ///     let request = client.post(&url).header("X-API-Key", server.api_key());
    ///     request.json(&json!({"machineType": "c1m2"}))
    /// };
    /// let list = || client.get(&url).header("X-API-Key", server.api_key());
    ///
    /// assert!(launch().send().await.is_err());
    /// assert_eq!(list().send().await?.json::<Value>().await?, json!([]));
    /// assert!(launch().send().await.is_err());
    /// assert_eq!(list().send().await?.json::<Vec<Value>>().await?.len(), 1);
    ///
    /// server.faults().add(Fault::cut_body_after(10).on("listVms"))?;
    /// let answer = list().send().await?;
    /// assert_eq!(answer.status(), 200);
    /// assert!(answer.bytes().await.is_err());
    /// # server.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cut() -> Self {
        Self {
            cut: true,
            ..Self::default()
        }
    }

    /// The work is done to the end of its answer, then the connection is closed without one.
    pub fn cut_after_work() -> Self {
        Self {
            cut_after_work: true,
            ..Self::default()
        }
    }

    /// The connection is cut after so many bytes of the answer's body. A shorter body arrives whole.
    pub fn cut_body_after(bytes: u64) -> Self {
        Self {
            cut_body_after: Some(bytes),
            ..Self::default()
        }
    }

    /// The answer's body ends cleanly after so many bytes: a stream by its last chunk, another by a
    /// `content-length` that says so.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use fastvm_local::{Fault, Server};
    ///
    /// let server = Server::start().await?;
    /// server.faults().add(Fault::truncate_body(8).on("getHealth").times(1))?;
    /// server.faults().add(Fault::corrupt_body().on("getHealth").times(1))?;
    ///
    /// let url = format!("{}/healthz", server.base_url());
    /// assert_eq!(reqwest::get(&url).await?.text().await?, r#"{"status"#);
    /// assert_eq!(reqwest::get(&url).await?.text().await?, r#"{"statur":"ok"}"#);
    /// assert_eq!(reqwest::get(&url).await?.text().await?, r#"{"status":"ok"}"#);
    /// # server.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn truncate_body(bytes: u64) -> Self {
        Self {
            truncate_body: Some(bytes),
            ..Self::default()
        }
    }

    /// The lowest bit of one byte of the answer's body is flipped: of the byte in the middle, or of
    /// that in the middle of the first chunk if the length is not known at the start. An empty body
    /// stays empty.
    pub fn corrupt_body() -> Self {
        Self {
            corrupt_body: true,
            ..Self::default()
        }
    }

    /// A command's stream ends cleanly, and without its exit event. It meets only `execVm` requests
    /// that ask for a stream.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use fastvm_local::{Fault, Server};
    /// use serde_json::{Value, json};
    ///
    /// let server = Server::start().await?;
    /// let client = reqwest::Client::new();
    /// let vms = format!("{}/v1/vms", server.base_url());
    /// let launch = client.post(&vms).header("X-API-Key", server.api_key());
    /// let vm: Value = launch.json(&json!({"machineType": "c1m2"})).send().await?.json().await?;
    /// let id = vm["id"].as_str().unwrap_or_default();
    ///
    /// server.faults().add(Fault::no_exit_event().vm(id).times(1))?;
    /// server.faults().add(Fault::vm_dies_after(5).vm(id).on("execVm"))?;
    ///
    /// let hello = || {
    ///     let request = client.post(format!("{vms}/{id}/exec")).header("X-API-Key", server.api_key());
    ///     let request = request.header("accept", "application/x-ndjson");
    ///     request.json(&json!({"command": ["echo", "hello"]})).send()
    /// };
    /// assert_eq!(hello().await?.text().await?, "{\"t\":\"o\",\"d\":\"aGVsbG8K\"}\n");
    /// assert!(hello().await?.text().await.is_err());
    /// let get = client.get(format!("{vms}/{id}")).header("X-API-Key", server.api_key());
    /// assert_eq!(get.send().await?.json::<Value>().await?["status"], "stopped");
    /// # server.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn no_exit_event() -> Self {
        Self {
            no_exit_event: true,
            ..Self::default()
        }
    }

    /// The VM is killed after so many bytes of the answer's body, and the connection cut. It meets
    /// only requests with a VM in their path; the VM is `stopped` then. After a shorter body it lives.
    pub fn vm_dies_after(bytes: u64) -> Self {
        Self {
            vm_dies_after: Some(bytes),
            ..Self::default()
        }
    }

    /// A launched VM stays `provisioning` for longer: so long after the server's boot delay, in whole
    /// milliseconds. It meets only `launchVm`, once the request has been found good.
    ///
    /// Faults of boots are apart from the others: of them the first that fires decides.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// use fastvm_local::{Fault, Server};
    /// use serde_json::{Value, json};
    ///
    /// let server = Server::builder()
    ///     .fault(Fault::slow_boot(Duration::from_secs(60)).times(1))
    ///     .fault(Fault::failing_boot())
    ///     .start()
    ///     .await?;
    /// let client = reqwest::Client::new();
    /// let url = format!("{}/v1/vms", server.base_url());
    /// for _ in 0..2 {
    ///     let launch = client.post(&url).header("X-API-Key", server.api_key());
    ///     let answer = launch.json(&json!({"machineType": "c1m2"})).send().await?;
    ///     assert_eq!(answer.status(), 202);
    /// }
    /// let statuses = loop {
    ///     let list = client.get(&url).header("X-API-Key", server.api_key());
    ///     let vms: Vec<Value> = list.send().await?.json().await?;
    ///     if vms[1]["status"] != "provisioning" {
    ///         break [vms[0]["status"].clone(), vms[1]["status"].clone()];
    ///     }
    /// };
    /// assert_eq!(statuses, ["provisioning", "error"]);
    /// # server.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn slow_boot(delay: Duration) -> Self {
        Self {
            slow_boot_ms: Some(milliseconds(delay)),
            ..Self::default()
        }
    }

    /// A launched VM ends in status `error` after the server's boot delay. It meets only `launchVm`,
    /// once the request has been found good.
    pub fn failing_boot() -> Self {
        Self {
            failing_boot: true,
            ..Self::default()
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// For which requests, and how often.
impl Fault {
    /// Only for one operation, by its id in the API's document, such as `execVm`, both forms of it.
    /// `storage.put` and `storage.get` are the requests to signed URLs, good or not. A console's
    /// socket is no operation and meets no fault.
    pub fn on(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Only for requests with this VM's id in their path; signed URLs have it too.
    pub fn vm(mut self, id: impl Into<String>) -> Self {
        self.vm = Some(id.into());
        self
    }

    /// Not for the first `matches` requests that match.
    pub fn after(mut self, matches: u64) -> Self {
        self.after = matches;
        self
    }

    /// At most so often.
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// With this probability, from 0 to 1, for each request that matches. Which they are depends on
    /// the server's [`fault_seed`](crate::ServerBuilder::fault_seed), on the fault's id and on the
    /// number of the match, and on nothing else.
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = Some(probability);
        self
    }
}

/// The one thing that a fault does.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Answer(Answer),
    Delay(Duration),
    Stall,
    Cut,
    CutAfterWork,
    CutBody(u64),
    TruncateBody(u64),
    CorruptBody,
    NoExitEvent,
    VmDies(u64),
    SlowBoot(Duration),
    FailingBoot,
}

/// An answer in place of the work.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Effect {
    fn is_of_boots(&self) -> bool {
        matches!(self, Self::SlowBoot(_) | Self::FailingBoot)
    }

    /// The only operation that it can happen to.
    fn only_on(&self) -> Option<&'static str> {
        match self {
            Self::NoExitEvent => Some(EXEC),
            effect if effect.is_of_boots() => Some(LAUNCH),
            _ => None,
        }
    }
}

/// Why a [`Fault`] is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidFault(String);

impl fmt::Display for InvalidFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for InvalidFault {}

impl Fault {
    fn effect(&self) -> Result<Effect, InvalidFault> {
        let milliseconds = Duration::from_millis;
        let given = [
            self.status.map(|status| self.answer(status)).transpose()?,
            self.delay_ms.map(|ms| Effect::Delay(milliseconds(ms))),
            self.stall.then_some(Effect::Stall),
            self.cut.then_some(Effect::Cut),
            self.cut_after_work.then_some(Effect::CutAfterWork),
            self.cut_body_after.map(Effect::CutBody),
            self.truncate_body.map(Effect::TruncateBody),
            self.corrupt_body.then_some(Effect::CorruptBody),
            self.no_exit_event.then_some(Effect::NoExitEvent),
            self.vm_dies_after.map(Effect::VmDies),
            self.slow_boot_ms
                .map(|ms| Effect::SlowBoot(milliseconds(ms))),
            self.failing_boot.then_some(Effect::FailingBoot),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(effect), None) => Ok(effect),
            _ => Err(InvalidFault(
                "a fault has exactly one of status, delayMs, stall, cut, cutAfterWork, \
                 cutBodyAfter, truncateBody, corruptBody, noExitEvent, vmDiesAfter, slowBootMs and \
                 failingBoot"
                    .to_owned(),
            )),
        }
    }

    fn answer(&self, status: u16) -> Result<Effect, InvalidFault> {
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|_| (200..600).contains(&status))
            .ok_or_else(|| InvalidFault(format!("status: {status} is not from 200 to 599")))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let invalid = |why: &str| InvalidFault(format!("headers.{name}: {why}"));
            let value = value.parse::<HeaderValue>();
            let value = value.map_err(|_| invalid("its value cannot be sent"))?;
            let name: HeaderName = name.parse().map_err(|_| invalid("no name of a header"))?;
            if [CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) {
                return Err(invalid("this goes by the body"));
            }
            headers.insert(name, value);
        }
        let body = self.body.clone().unwrap_or_else(|| {
            let text = status.canonical_reason().unwrap_or("fault");
            serde_json::json!({ "error": text.to_ascii_lowercase() }).to_string()
        });
        headers
            .entry(CONTENT_TYPE)
            .or_insert(HeaderValue::from_static("application/json"));
        Ok(Effect::Answer(Answer {
            status,
            headers,
            body: body.into(),
        }))
    }

    /// What it does, if it can do it.
    fn check(&self) -> Result<Effect, InvalidFault> {
        let effect = self.effect()?;
        let invalid = |text: String| Err(InvalidFault(text));
        if !matches!(effect, Effect::Answer(_)) && (!self.headers.is_empty() || self.body.is_some())
        {
            return invalid("headers and body belong to status".to_owned());
        }
        if let Some(chance) = self.probability
            && !(0.0..=1.0).contains(&chance)
        {
            return invalid(format!("probability: {chance} is not from 0 to 1"));
        }
        let operation = self.operation.as_deref();
        if let Some(operation) = operation
            && !is_operation(operation)
        {
            return invalid(format!(
                "operation: {operation:?} is neither an operation of the API nor {STORAGE_PUT} nor \
                 {STORAGE_GET}"
            ));
        }
        if let (Some(only), Some(operation)) = (effect.only_on(), operation)
            && only != operation
        {
            return invalid(format!("operation: this fault is only for {only}"));
        }
        let operation = operation.or(effect.only_on());
        let needs_vm = self.vm.is_some() || matches!(effect, Effect::VmDies(_));
        if let Some(operation) = operation
            && needs_vm
            && !has_vm(operation)
        {
            return invalid(format!(
                "vm: requests of {operation} have none in their path"
            ));
        }
        Ok(effect)
    }
}

fn document(id: &str) -> Option<&'static Operation> {
    let mut operations = fastvm_api::operations::ALL.iter().copied();
    operations.find(|operation| operation.id == id)
}

fn is_operation(id: &str) -> bool {
    [STORAGE_PUT, STORAGE_GET].contains(&id) || document(id).is_some()
}

fn has_vm(id: &str) -> bool {
    document(id).is_none_or(|operation| operation.path.starts_with("/v1/vms/{"))
}

/// The number of a fault, by which it is found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FaultId(u64);

impl fmt::Display for FaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for FaultId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A fault, and what has come of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FaultReport {
    /// Its number.
    pub id: FaultId,
    /// How many requests it has matched.
    pub matched: u64,
    /// How often it has happened.
    pub fired: u64,
    /// The fault as it was added.
    pub fault: Fault,
}

/// The faults of a [`Server`](crate::Server). Clones are handles of the same faults.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use fastvm_local::Fault;
///
/// let server = fastvm_local::Server::start().await?;
/// let faults = server.faults();
/// let teapot = faults.add(Fault::status(418).on("getHealth").after(1).times(2))?;
/// for expected in [200, 418, 418, 200] {
///     let answer = reqwest::get(format!("{}/healthz", server.base_url())).await?;
///     assert_eq!(answer.status(), expected);
/// }
/// assert_eq!(faults.fired(teapot), 2);
/// assert_eq!(faults.list()[0].matched, 4);
/// faults.clear();
/// # server.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Faults(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    seed: u64,
    /// Whether there is any rule.
    is_active: AtomicBool,
    rules: Mutex<Rules>,
    stopped: CancellationToken,
}

#[derive(Debug, Default)]
struct Rules {
    added: u64,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    report: FaultReport,
    effect: Effect,
}

/// A request as faults see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) operation: &'static str,
    pub(crate) vm: Option<&'a str>,
    /// Whether it asks for a command's events.
    pub(crate) is_stream: bool,
}

/// What happens to a request.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) delay: Duration,
    pub(crate) effect: Option<Effect>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Shared {
            seed,
            is_active: AtomicBool::new(false),
            rules: Mutex::default(),
            stopped: CancellationToken::new(),
        }))
    }

    /// Adds a fault, behind those that are there.
    ///
    /// # Errors
    ///
    /// If it could never happen: for an unknown operation, a status that is none, a probability
    /// outside of 0 to 1.
    pub fn add(&self, fault: Fault) -> Result<FaultId, InvalidFault> {
        let effect = fault.check()?;
        Ok(self.push(fault, effect))
    }

    /// Adds all of them, or none if one of them is invalid; its place is given then.
    pub(crate) fn add_all(
        &self,
        faults: Vec<Fault>,
    ) -> Result<Vec<FaultId>, (usize, InvalidFault)> {
        let checked = faults.into_iter().enumerate().map(|(place, fault)| {
            let effect = fault.check().map_err(|error| (place, error))?;
            Ok((fault, effect))
        });
        let checked: Vec<_> = checked.collect::<Result<_, _>>()?;
        let ids = checked
            .into_iter()
            .map(|(fault, effect)| self.push(fault, effect));
        Ok(ids.collect())
    }

    fn push(&self, fault: Fault, effect: Effect) -> FaultId {
        let mut rules = self.rules();
        rules.added += 1;
        let id = FaultId(rules.added);
        let report = FaultReport {
            id,
            matched: 0,
            fired: 0,
            fault,
        };
        rules.rules.push(Rule { report, effect });
        self.0.is_active.store(true, Ordering::Relaxed);
        id
    }

    /// All faults in their order, also those that will not happen again.
    pub fn list(&self) -> Vec<FaultReport> {
        let rules = self.rules();
        rules.rules.iter().map(|rule| rule.report.clone()).collect()
    }

    /// How often a fault has happened; 0 if it is not there any more.
    pub fn fired(&self, id: FaultId) -> u64 {
        let rules = self.rules();
        let mut reports = rules.rules.iter().map(|rule| &rule.report);
        reports
            .find(|report| report.id == id)
            .map_or(0, |report| report.fired)
    }

    /// Removes a fault. Whether it was there. What it does to requests under way goes on.
    pub fn remove(&self, id: FaultId) -> bool {
        let mut rules = self.rules();
        let before = rules.rules.len();
        rules.rules.retain(|rule| rule.report.id != id);
        let is_active = !rules.rules.is_empty();
        self.0.is_active.store(is_active, Ordering::Relaxed);
        rules.rules.len() < before
    }

    /// Removes all faults. What they do to requests under way goes on.
    pub fn clear(&self) {
        let mut rules = self.rules();
        rules.rules.clear();
        self.0.is_active.store(false, Ordering::Relaxed);
    }

    /// Whether there is any. Every request asks this first, so it takes no lock.
    pub(crate) fn is_active(&self) -> bool {
        self.0.is_active.load(Ordering::Relaxed)
    }

    /// What happens to a request, which is counted.
    pub(crate) fn plan(&self, seen: Seen<'_>) -> Plan {
        let mut plan = Plan::default();
        let mut rules = self.rules();
        let rules = rules
            .rules
            .iter_mut()
            .filter(|rule| !rule.effect.is_of_boots() && rule.matches(seen));
        for rule in rules {
            if !rule.fires(self.0.seed) {
                continue;
            }
            if let Effect::Delay(delay) = rule.effect {
                plan.delay = plan.delay.saturating_add(delay);
                continue;
            }
            plan.effect = Some(rule.effect.clone());
            break;
        }
        plan
    }

    /// How the boot of a VM goes, which is counted.
    pub(crate) fn boot(&self) -> Boot {
        if !self.is_active() {
            return Boot::Normal;
        }
        let mut rules = self.rules();
        let mut boots = rules
            .rules
            .iter_mut()
            .filter(|rule| rule.effect.is_of_boots());
        match boots.find_map(|rule| rule.fires(self.0.seed).then_some(&rule.effect)) {
            Some(Effect::SlowBoot(delay)) => Boot::Slow(*delay),
            Some(_) => Boot::Fails,
            None => Boot::Normal,
        }
    }

    /// Cuts what stalls or waits, now and from now on.
    pub(crate) fn stop(&self) {
        self.0.stopped.cancel();
    }

    /// Waits for [`stop`](Self::stop).
    pub(crate) async fn stopped(&self) {
        self.0.stopped.cancelled().await;
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        // No code panics while it holds the lock; if some did, the rules would still be whole.
        self.0.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rule {
    fn matches(&self, seen: Seen<'_>) -> bool {
        let fault = &self.report.fault;
        let operation = fault.operation.as_deref().or(self.effect.only_on());
        operation.is_none_or(|operation| operation == seen.operation)
            && (fault.vm.is_none() || fault.vm.as_deref() == seen.vm)
            && match self.effect {
                Effect::NoExitEvent => seen.is_stream,
                Effect::VmDies(_) => seen.vm.is_some(),
                _ => true,
            }
    }

    /// Counts a match. Whether the fault happens to it.
    fn fires(&mut self, seed: u64) -> bool {
        let FaultReport {
            id,
            matched,
            fired,
            fault,
        } = &mut self.report;
        *matched += 1;
        let fires = *matched > fault.after
            && fault.times.is_none_or(|times| *fired < times)
            && fault
                .probability
                .is_none_or(|chance| drawn(seed, id.0, *matched) < chance);
        if fires {
            *fired += 1;
            tracing::info!("fault {id} happens: {:?}", self.effect);
        }
        fires
    }
}

/// A number from 0 to below 1 that looks random, the same for the same arguments: the outcome of a
/// fault shall not depend on what other requests come in between.
fn drawn(seed: u64, id: u64, matched: u64) -> f64 {
    let mixed = mix(mix(mix(seed).wrapping_add(id)).wrapping_add(matched));
    // The 53 bits that a float holds exactly.
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// A step of splitmix64.
fn mix(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: Seen<'_> = Seen {
        operation: "listVms",
        vm: None,
        is_stream: false,
    };

    fn outcomes(seed: u64, fault: Fault) -> Vec<bool> {
        let faults = Faults::new(seed);
        faults.add(fault).unwrap();
        let outcome = |_| faults.plan(LIST).effect.is_some();
        (0..200).map(outcome).collect()
    }

    #[test]
    fn a_seed_decides_which_requests_fail() {
        let often = || Fault::cut().probability(0.3);
        assert_eq!(outcomes(7, often()), outcomes(7, often()));
        assert_ne!(outcomes(7, often()), outcomes(8, often()));
        let fired = outcomes(7, often()).into_iter().filter(|fired| *fired);
        assert!((40..80).contains(&fired.count()));
        assert!(
            outcomes(7, Fault::cut().probability(1.0))
                .iter()
                .all(|fired| *fired)
        );
        assert!(!outcomes(7, Fault::cut().probability(0.0)).contains(&true));
    }

    #[test]
    fn delays_add_up_and_the_first_other_fault_decides() {
        let faults = Faults::new(0);
        let second = Duration::from_secs(1);
        faults.add(Fault::delay(second)).unwrap();
        faults.add(Fault::delay(second)).unwrap();
        faults.add(Fault::cut().times(1)).unwrap();
        let behind = faults.add(Fault::stall()).unwrap();
        let plan = faults.plan(LIST);
        assert_eq!(plan.delay, 2 * second);
        assert!(matches!(plan.effect, Some(Effect::Cut)));
        assert_eq!(faults.fired(behind), 0);
        assert!(matches!(faults.plan(LIST).effect, Some(Effect::Stall)));
        assert!(faults.remove(behind));
        assert!(!faults.remove(behind));
        assert!(faults.plan(LIST).effect.is_none());
    }

    #[test]
    fn what_could_never_happen_is_refused() {
        let nothing = Fault::default();
        let two = Fault {
            stall: true,
            ..Fault::cut()
        };
        for (fault, named) in [
            (nothing, "exactly one"),
            (two, "exactly one"),
            (Fault::status(199), "status"),
            (Fault::status(600), "status"),
            (Fault::status(503).header("a b", ""), "headers.a b"),
            (Fault::status(503).header("a", "\n"), "headers.a"),
            (Fault::status(503).header("Content-Length", "1"), "headers"),
            (Fault::cut().body("x"), "body"),
            (Fault::cut().probability(1.5), "probability"),
            (Fault::cut().probability(f64::NAN), "probability"),
            (Fault::cut().on("exec"), "operation"),
            (Fault::slow_boot(Duration::ZERO).on("execVm"), "operation"),
            (Fault::no_exit_event().on("launchVm"), "operation"),
            (Fault::cut().on("listVms").vm("x"), "vm"),
            (Fault::failing_boot().vm("x"), "vm"),
            (Fault::vm_dies_after(1).on("listVms"), "vm"),
        ] {
            let refusal = Faults::new(0).add(fault).unwrap_err().to_string();
            assert!(refusal.contains(named), "{refusal}");
        }
    }

    #[test]
    fn every_fault_is_the_same_after_json() {
        for fault in [
            Fault::status(503).header("a", "b").body("c").on("execVm"),
            Fault::delay(Duration::from_millis(3)).vm("x").after(1),
            Fault::stall().times(2).probability(0.5),
            Fault::cut(),
            Fault::cut_after_work(),
            Fault::cut_body_after(0),
            Fault::truncate_body(0),
            Fault::corrupt_body(),
            Fault::no_exit_event(),
            Fault::vm_dies_after(0),
            Fault::slow_boot(Duration::ZERO),
            Fault::failing_boot(),
        ] {
            let json = serde_json::to_string(&fault).unwrap();
            assert_eq!(serde_json::from_str::<Fault>(&json).unwrap(), fault);
            Faults::new(0).add(fault).unwrap();
        }
        let unknown = serde_json::from_str::<Fault>(r#"{"cutt": true}"#).unwrap_err();
        assert!(unknown.to_string().contains("unknown field `cutt`"));
    }
}
