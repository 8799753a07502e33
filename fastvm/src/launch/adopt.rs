//! From the request to the VM that it made, even where the answer is lost.
//!
//! A launch is sent once. When nobody knows whether it arrived, the VM is looked for by a label
//! that the request carried, and taken as the answer if it is there.

use std::collections::BTreeMap;
use std::time::Duration;

use fastvm_api::types::{self, LaunchVmResponse};
use fastvm_api::{Client, Error, ErrorKind, Outcome, ResponseValue, Result};
use http::{HeaderMap, StatusCode};
use tokio::sync::oneshot;
use tracing::Instrument;
use uuid::Uuid;

use crate::cleanup::{DeleteOnDrop, Leftover, delete};
use crate::rescue::Rescue;
use crate::vm::Warnings;

/// The label of a VM that holds the id of the launch that made it.
///
/// Every launch has another, made by the client: see [`Launch::launch_id`](crate::Launch::launch_id).
pub const LAUNCH_ID_KEY: &str = "fastvm-launch-id";

/// How many labels a VM can have, and how many bytes they can be as JSON.
const MOST_LABELS: usize = 256;
const MOST_LABEL_BYTES: usize = 65_536;

/// The pause before each look for a lost VM, in milliseconds. One may show up late: the request may
/// still be on its way through a proxy that has given it up.
const LOOKS_MS: [u64; 7] = [0, 250, 500, 1000, 2000, 3000, 3000];

/// How long a look may take.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// What a launch made.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) vm: types::Vm,
    pub(super) warnings: Warnings,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Deletes the VM if this value is dropped; none if the caller keeps it in any case.
    pub(super) unless_delivered: Option<DeleteOnDrop>,
}

impl Arrival {
    fn answered(answer: ResponseValue<LaunchVmResponse>) -> Self {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut answer = answer.into_inner();
        let warnings = Warnings {
            attachments: answer.attachment_warnings.take(),
            snapshot_restore: answer.snapshot_restore_warnings.take(),
        };
        Self {
            vm: answer.into(),
            warnings,
            status,
            headers,
            unless_delivered: None,
        }
    }
}

/// The labels of a launch, and the id among them.
#[derive(Debug)]
pub(super) struct Marked {
    metadata: Option<BTreeMap<String, String>>,
    launch_id: Option<String>,
}

/// Adds an id to the labels if it is wanted, harms nothing and fits.
pub(super) fn mark(
    metadata: Option<BTreeMap<String, String>>,
    is_restore: bool,
    is_wanted: bool,
) -> Marked {
    let replaces_captured = is_restore && metadata.is_none();
    let is_taken = metadata
        .as_ref()
        .is_some_and(|labels| labels.contains_key(LAUNCH_ID_KEY));
    if is_wanted && !replaces_captured && !is_taken {
        let id = Uuid::new_v4().to_string();
        let mut marked = metadata.clone().unwrap_or_default();
        marked.insert(LAUNCH_ID_KEY.to_owned(), id.clone());
        if fits(&marked) {
            return Marked {
                metadata: Some(marked),
                launch_id: Some(id),
            };
        }
    }
    Marked {
        metadata,
        launch_id: None,
    }
}

fn fits(labels: &BTreeMap<String, String>) -> bool {
    let bytes = serde_json::to_vec(labels).map_or(usize::MAX, |json| json.len());
    labels.len() <= MOST_LABELS && bytes <= MOST_LABEL_BYTES
}

/// Sends the request in a task of its own, so that its end is seen even if this future is dropped:
/// the VM is deleted then.
pub(super) async fn post(
    api: Client,
    mut request: fastvm_api::vms::Launch,
    marked: Marked,
    keeps: bool,
) -> Result<Arrival> {
    if let Some(metadata) = marked.metadata {
        request = request.set_metadata(metadata);
    }
    let (deliver, delivered) = oneshot::channel();
    let task = async move {
        if deliver.is_closed() {
            return;
        }
        let rescue = marked.launch_id.clone().filter(|_| !keeps).map(|id| {
            // The runtime ends while the request is under way.
            Rescue::new(&api, move |api| async move {
                match find(&api, &id).await? {
                    Some(arrival) => delete(api, Leftover::Vm(arrival.vm.id)).await,
                    None => Ok(()),
                }
            })
        });
        let mut arrival = send(&api, request, marked.launch_id.as_deref()).await;
        if let Ok(arrival) = &mut arrival
            && !keeps
        {
            arrival.unless_delivered = Some(DeleteOnDrop::new(&api, &arrival.vm.id));
        }
        if let Some(rescue) = rescue {
            rescue.disarm();
        }
        // If nobody waits any more, this drops the arrival, and with it goes the VM.
        drop(deliver.send(arrival));
    };
    tokio::spawn(task.in_current_span());
    delivered.await.unwrap_or_else(|_| {
        let message = "the runtime ended before the answer came";
        Err(Error::new(ErrorKind::Connection, message))
    })
}

async fn send(
    api: &Client,
    request: fastvm_api::vms::Launch,
    launch_id: Option<&str>,
) -> Result<Arrival> {
    let error = match request.send().await {
        Ok(answer) => return Ok(Arrival::answered(answer)),
        Err(error) if error.outcome() != Outcome::Unknown => return Err(error),
        Err(error) => error,
    };
    let Some(id) = launch_id else {
        let advice = "a VM may have been made all the same, without a launch id: look through `vms().list()` before launching again";
        return Err(error.with_advice(advice));
    };
    let failed = match find(api, id).await {
        Ok(Some(arrival)) => return Ok(arrival),
        Ok(None) => "was not found".to_owned(),
        Err(failure) => format!("could not be looked for ({failure})"),
    };
    Err(error.with_advice(format!(
        "a VM may have been made all the same, but {failed}: look for one with the metadata {LAUNCH_ID_KEY}={id} before launching again"
    )))
}

/// Looks for the VM of a launch; none if it does not show up in time.
async fn find(api: &Client, launch_id: &str) -> Result<Option<Arrival>> {
    let mut failure = None;
    for pause in LOOKS_MS {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        match look(api, launch_id).await {
            Ok(Some(arrival)) => return Ok(Some(arrival)),
            Ok(None) => failure = None,
            Err(error) if error.outcome() == Outcome::Rejected && !error.is_rate_limited() => {
                return Err(error);
            }
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(None), Err)
}

async fn look(api: &Client, launch_id: &str) -> Result<Option<Arrival>> {
    let list = api.vms().list().metadata(LAUNCH_ID_KEY, launch_id);
    let answer = list.request_timeout(LOOK_LIMIT).max_retries(0).send();
    let answer = answer.await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    // A service that knows no such filter answers all VMs: those of others are left alone.
    let ours = |vm: &types::Vm| {
        vm.metadata
            .get(LAUNCH_ID_KEY)
            .is_some_and(|id| id == launch_id)
    };
    // More than one means that something on the way sent the request again: the first is the VM.
    let found = answer.into_inner().into_iter().filter(ours);
    Ok(found.min_by_key(|vm| vm.created_at).map(|vm| Arrival {
        vm,
        warnings: Warnings::default(),
        status,
        headers,
        unless_delivered: None,
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use fastvm_api::{CallInfo, Sending, Transport};
    use reqwest::Request;
    use tokio::time::Instant;

    use super::*;

    fn labels(count: usize, value: &str) -> Option<BTreeMap<String, String>> {
        Some(
            (0..count)
                .map(|n| (format!("k{n:04}"), value.to_owned()))
                .collect(),
        )
    }

    #[test]
    fn a_cold_launch_carries_an_id_of_its_own_besides_the_labels_of_the_caller() {
        let marked = mark(labels(2, "v"), false, true);
        let sent = marked.metadata.unwrap();
        assert_eq!(sent.len(), 3);
        assert_eq!(sent.get(LAUNCH_ID_KEY), marked.launch_id.as_ref());
        let other = mark(None, false, true);
        assert!(other.launch_id.is_some());
        assert_ne!(other.launch_id, marked.launch_id);
    }

    #[test]
    fn a_restore_carries_an_id_only_if_it_replaces_the_captured_labels_anyway() {
        let bare = mark(None, true, true);
        assert!(bare.metadata.is_none() && bare.launch_id.is_none());
        assert!(mark(labels(0, ""), true, true).launch_id.is_some());
    }

    #[test]
    fn labels_are_sent_as_they_are_where_the_id_is_not_wanted_taken_or_too_much() {
        let mut taken = BTreeMap::new();
        taken.insert(LAUNCH_ID_KEY.to_owned(), "mine".to_owned());
        let big = "v".repeat(4096);
        for (labels, is_wanted) in [
            (labels(1, "v"), false),
            (None, false),
            (Some(taken), true),
            (labels(MOST_LABELS, "v"), true),
            // 65536 bytes of JSON less a few, but for the id.
            (
                labels(15, &big).map(|mut all| {
                    all.insert("rest".to_owned(), "v".repeat(3900));
                    all
                }),
                true,
            ),
        ] {
            let marked = mark(labels.clone(), false, is_wanted);
            assert_eq!(marked.metadata, labels);
            assert_eq!(marked.launch_id, None);
        }
        let room = mark(labels(MOST_LABELS - 1, "v"), false, true);
        assert!(room.launch_id.is_some());
    }

    /// Loses the answer of each launch, and answers each list with these VMs.
    #[derive(Debug)]
    struct Losing {
        lists: Arc<Mutex<Vec<Instant>>>,
        vms: &'static str,
    }

    impl Transport for Losing {
        fn send<'a>(&'a self, _request: Request, call: &'a CallInfo) -> Sending<'a> {
            let answer = if call.operation().id == "launchVm" {
                Err(Error::new(ErrorKind::Connection, "cut"))
            } else {
                self.lists.lock().unwrap().push(Instant::now());
                Ok(http::Response::new(self.vms).into())
            };
            Box::pin(async { answer })
        }
    }

    async fn lost_launch(vms: &'static str) -> (Error, Vec<Duration>) {
        let lists = Arc::default();
        let transport = Losing {
            lists: Arc::clone(&lists),
            vms,
        };
        let client = crate::Client::builder()
            .transport(transport)
            .build()
            .unwrap();
        let start = Instant::now();
        let error = client.vms().launch("c1m2").await.unwrap_err();
        let lists = lists.lock().unwrap();
        (error, lists.iter().map(|look| *look - start).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn a_vm_that_does_not_show_up_is_looked_for_a_bounded_number_of_times() {
        let (error, looks) = lost_launch("[]").await;
        assert_eq!(looks.len(), LOOKS_MS.len());
        assert_eq!(looks[0].as_millis(), 0);
        assert_eq!(looks.last().unwrap().as_millis() / 100, 97);
        assert_eq!(error.outcome(), Outcome::Unknown);
        assert_eq!(error.kind(), ErrorKind::Connection);
        assert!(error.vm_id().is_none());
        let shown = error.to_string();
        assert!(
            shown.contains("was not found: look for one with the metadata"),
            "{shown}"
        );
        assert!(shown.contains(LAUNCH_ID_KEY), "{shown}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_vms_of_others_are_not_adopted_if_the_service_answers_them() {
        let (error, looks) = lost_launch(
            r#"[{"id":"vm-1","name":"n","orgId":"o","cpu":1,"memoryMiB":1,"diskGiB":1,
                "createdAt":"2026-01-01T00:00:00Z","status":"running",
                "metadata":{"fastvm-launch-id":"another"}}]"#,
        )
        .await;
        assert_eq!(looks.len(), LOOKS_MS.len());
        assert!(error.to_string().contains("was not found"), "{error}");
    }
}
