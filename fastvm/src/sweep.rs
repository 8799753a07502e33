//! Deleting the VMs that nobody needs any more.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use fastvm_api::types::VmStatus;
use fastvm_api::{Client, Error, ErrorKind, Pending, Result};
use http::{HeaderMap, header};

use crate::cleanup::{Leftover, delete};
use crate::scale::{CONCURRENCY, in_order};
use crate::vm::Vm;
use crate::vms::Vms;

impl Vms {
    /// Deletes the VMs that match: by label, status or the beginning of their name, and by age.
    ///
    /// All that is set must hold. A sweep without a label, status or name would be of all VMs of the
    /// org, and is refused; an age alone is not enough. [`.dry_run(true)`](Sweep::dry_run) only says
    /// what it would delete. Sends `GET /v1/vms`, then `DELETE /v1/vms/{id}` for each, 16 at a time;
    /// passing faults are tried again for up to 30 s. Dropping the future stops it where it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] without a filter, before anything is sent, and those of the list.
    /// A VM that could not be deleted is no error of the sweep: it is in [`Swept::failed`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # let server = fastvm_local::Server::start().await?;
    /// # let client = fastvm::Client::builder().api_key(server.api_key()).base_url(server.base_url()).build()?;
    /// client.vms().launch("c1m2").metadata("job", "nightly").await?;
    /// let sweep = client.vms().sweep().metadata("job", "nightly");
    /// let old = sweep.clone().older_than(Duration::from_secs(3600)).await?;
    /// assert!(old.deleted.is_empty());
    /// assert_eq!(sweep.await?.deleted.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sweep(&self) -> Sweep {
        Sweep {
            vms: self.clone(),
            metadata: BTreeMap::new(),
            status: None,
            name_prefix: None,
            older_than: Duration::ZERO,
            is_dry_run: false,
            concurrency: CONCURRENCY,
        }
    }
}

/// A sweep: [`Vms::sweep`].
#[derive(Clone, Debug)]
#[must_use = "nothing is swept until this is awaited"]
pub struct Sweep {
    vms: Vms,
    metadata: BTreeMap<String, String>,
    status: Option<VmStatus>,
    name_prefix: Option<String>,
    older_than: Duration,
    is_dry_run: bool,
    concurrency: usize,
}

/// What a sweep has done.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Swept {
    /// The VMs that are deleted, those that were gone in the meantime included; of a dry run, those
    /// that would be.
    pub deleted: Vec<Vm>,
    /// The VMs that may be left, and why.
    pub failed: Vec<(Vm, Error)>,
}

impl Sweep {
    /// Only VMs with this label. With several, all of them must match.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Only VMs in this status.
    pub fn status(mut self, status: impl Into<VmStatus>) -> Self {
        self.status = Some(status.into());
        self
    }

    /// Only VMs whose name begins so. An empty beginning is no filter.
    pub fn name_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.name_prefix = Some(prefix.into());
        self
    }

    /// Only VMs that were made at least so long ago, by the clock of the service if it tells it, else
    /// by that of this machine.
    pub fn older_than(mut self, age: Duration) -> Self {
        self.older_than = age;
        self
    }

    /// Whether nothing is deleted, and the answer says what would be.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.is_dry_run = dry_run;
        self
    }

    /// How many deletions are under way at a time; 16 by default, and at least 1.
    pub fn concurrency(mut self, most: usize) -> Self {
        self.concurrency = most;
        self
    }

    async fn run(self) -> Result<Swept> {
        if !self.has_filter() {
            let message = "a sweep without a filter would delete every VM: set `.metadata(..)`, `.status(..)` or `.name_prefix(..)`";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let vms = self.matching().await?;
        let mut swept = Swept::default();
        if self.is_dry_run {
            swept.deleted = vms;
            return Ok(swept);
        }
        let deletions = vms.into_iter().map(delete_one);
        for (vm, deleted) in in_order(deletions, self.concurrency).await {
            match deleted {
                Ok(()) => swept.deleted.push(vm),
                Err(error) => swept.failed.push((vm, error)),
            }
        }
        Ok(swept)
    }

    fn has_filter(&self) -> bool {
        let has_prefix = self.name_prefix.as_ref().is_some_and(|it| !it.is_empty());
        has_prefix || self.status.is_some() || !self.metadata.is_empty()
    }

    async fn matching(&self) -> Result<Vec<Vm>> {
        let mut list = self.vms.list();
        for (key, value) in &self.metadata {
            list = list.metadata(key, value);
        }
        if let Some(status) = &self.status {
            list = list.status(status.clone());
        }
        let answer = list.send().await?;
        let now = time_of(answer.headers());
        let listed = answer.into_inner().into_iter();
        let listed = listed.map(|vm| self.vms.handle(vm));
        Ok(listed.filter(|vm| self.matches(vm, now)).collect())
    }

    /// The filters once more: a service that does not know one answers all VMs.
    fn matches(&self, vm: &Vm, now: SystemTime) -> bool {
        let has_label = |(key, value)| vm.metadata.get(key) == Some(value);
        let age = now.duration_since(vm.created_at.into());
        self.metadata.iter().all(has_label)
            && self
                .status
                .as_ref()
                .is_none_or(|status| vm.status == *status)
            && self
                .name_prefix
                .as_ref()
                .is_none_or(|prefix| vm.name.starts_with(prefix))
            && age.unwrap_or_default() >= self.older_than
    }
}

impl IntoFuture for Sweep {
    type Output = Result<Swept>;
    type IntoFuture = Pending<Swept>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

async fn delete_one(vm: Vm) -> (Vm, Result<()>) {
    let api: Client = vm.client().clone();
    let deleted = delete(api, Leftover::Vm(vm.id.clone())).await;
    (vm, deleted)
}

/// When an answer was given, by the clock of the service that made it.
fn time_of(headers: &HeaderMap) -> SystemTime {
    let date = headers
        .get(header::DATE)
        .and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
    date.unwrap_or_else(SystemTime::now)
}
