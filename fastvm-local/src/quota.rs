//! How much of everything the org may have, and has.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastvm_api::types::OrgQuotaValues;

/// The limits of the org, for [`ServerBuilder::quota`](crate::ServerBuilder::quota).
///
/// A request that would go beyond one is refused with 403. What counts are VMs that are not paused
/// or ended, with the CPU, memory and disk of their machine type; snapshots; and volumes.
///
/// # Examples
///
/// ```
/// use fastvm_local::Quota;
///
/// let mut quota = Quota::default();
/// quota.vcpu = 4;
/// quota.volume_count = 2;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// CPUs of all VMs; 1024 unless told.
    pub vcpu: i64,
    /// Memory of all VMs, in MiB; 4 TiB unless told.
    pub memory_mib: i64,
    /// Disk of all VMs, in GiB; 64 TiB unless told.
    pub disk_gib: i64,
    /// Number of snapshots; 1000 unless told.
    pub snapshot_count: i64,
    /// Number of volumes; 1000 unless told.
    pub volume_count: i64,
    /// Size of all volumes, in GiB; 64 TiB unless told.
    pub volume_gib: i64,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            vcpu: 1024,
            memory_mib: 4 * 1024 * 1024,
            disk_gib: 64 * 1024,
            snapshot_count: 1000,
            volume_count: 1000,
            volume_gib: 64 * 1024,
        }
    }
}

impl Quota {
    const NOTHING: Self = Self {
        vcpu: 0,
        memory_mib: 0,
        disk_gib: 0,
        snapshot_count: 0,
        volume_count: 0,
        volume_gib: 0,
    };

    /// What a VM of this size takes.
    pub(crate) fn of_vm(cpu: i64, memory_mib: i64, disk_gib: i64) -> Self {
        Self {
            vcpu: cpu,
            memory_mib,
            disk_gib,
            ..Self::NOTHING
        }
    }

    /// What a snapshot takes.
    pub(crate) fn of_snapshot() -> Self {
        Self {
            snapshot_count: 1,
            ..Self::NOTHING
        }
    }

    /// What a volume of this size takes.
    pub(crate) fn of_volume(size_gib: i64) -> Self {
        Self {
            volume_count: 1,
            volume_gib: size_gib,
            ..Self::NOTHING
        }
    }

    fn combine(self, other: Self, with: impl Fn(i64, i64) -> i64) -> Self {
        Self {
            vcpu: with(self.vcpu, other.vcpu),
            memory_mib: with(self.memory_mib, other.memory_mib),
            disk_gib: with(self.disk_gib, other.disk_gib),
            snapshot_count: with(self.snapshot_count, other.snapshot_count),
            volume_count: with(self.volume_count, other.volume_count),
            volume_gib: with(self.volume_gib, other.volume_gib),
        }
    }

    /// As the API names them.
    fn named(self) -> [(&'static str, i64); 6] {
        [
            ("vcpu", self.vcpu),
            ("memoryMiB", self.memory_mib),
            ("diskGiB", self.disk_gib),
            ("snapshotCount", self.snapshot_count),
            ("volumeCount", self.volume_count),
            ("volumeGiB", self.volume_gib),
        ]
    }
}

impl From<Quota> for OrgQuotaValues {
    fn from(quota: Quota) -> Self {
        Self::new(
            quota.vcpu,
            quota.memory_mib,
            quota.disk_gib,
            quota.snapshot_count,
            quota.volume_count,
            quota.volume_gib,
        )
    }
}

/// What is used of the quota.
#[derive(Debug)]
pub(crate) struct Ledger {
    limits: Quota,
    used: Mutex<Quota>,
}

impl Ledger {
    pub(crate) fn new(limits: Quota) -> Arc<Self> {
        Arc::new(Self {
            limits,
            used: Mutex::new(Quota::NOTHING),
        })
    }

    pub(crate) fn limits(&self) -> Quota {
        self.limits
    }

    pub(crate) fn used(&self) -> Quota {
        *self.lock()
    }

    /// Takes so much, until the answer is dropped.
    pub(crate) fn take(self: &Arc<Self>, asked: Quota) -> Result<Share, QuotaExceeded> {
        let mut share = self.take_unchecked(Quota::NOTHING);
        share.change(asked)?;
        Ok(share)
    }

    /// The same, limit or not: for what is there already when the server starts.
    pub(crate) fn take_unchecked(self: &Arc<Self>, asked: Quota) -> Share {
        let mut used = self.lock();
        *used = used.combine(asked, |used, asked| used.saturating_add(asked));
        Share {
            ledger: Arc::clone(self),
            taken: asked,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Quota> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of the quota. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    ledger: Arc<Ledger>,
    taken: Quota,
}

impl Share {
    /// Makes it larger or smaller. If it cannot be, it stays as it is.
    pub(crate) fn change(&mut self, asked: Quota) -> Result<(), QuotaExceeded> {
        let mut used = self.ledger.lock();
        let rest = used.combine(self.taken, |used, taken| used - taken);
        let then = rest.combine(asked, |used, asked| used.saturating_add(asked));
        let before = self.taken.named();
        let limits = self.ledger.limits.named();
        for (place, (resource, amount)) in then.named().into_iter().enumerate() {
            let (limit, grows) = (limits[place].1, asked.named()[place].1 > before[place].1);
            if grows && amount > limit {
                return Err(QuotaExceeded {
                    resource,
                    limit,
                    amount,
                });
            }
        }
        *used = then;
        self.taken = asked;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut used = self.ledger.lock();
        *used = used.combine(self.taken, |used, taken| used - taken);
    }
}

/// A request asks for more than the org may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuotaExceeded {
    resource: &'static str,
    limit: i64,
    amount: i64,
}

impl fmt::Display for QuotaExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            resource,
            limit,
            amount,
        } = self;
        write!(
            f,
            "quota exceeded: {resource} would be {amount}, the limit is {limit}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_counts_until_it_is_dropped() {
        let ledger = Ledger::new(Quota {
            vcpu: 3,
            ..Quota::default()
        });
        let first = ledger.take(Quota::of_vm(2, 4096, 10));
        let refused = ledger.take(Quota::of_vm(2, 4096, 10)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "quota exceeded: vcpu would be 4, the limit is 3"
        );
        assert_eq!(ledger.used(), Quota::of_vm(2, 4096, 10));
        drop(first);
        assert_eq!(ledger.used(), Quota::NOTHING);
        assert!(ledger.take(Quota::of_vm(2, 4096, 10)).is_ok());
    }

    #[test]
    fn a_share_beyond_the_limit_can_still_shrink() {
        let ledger = Ledger::new(Quota {
            volume_gib: 5,
            ..Quota::default()
        });
        let mut share = ledger.take_unchecked(Quota::of_volume(10));
        assert!(share.change(Quota::of_volume(11)).is_err());
        assert_eq!(share.change(Quota::of_volume(8)), Ok(()));
        assert_eq!(ledger.used(), Quota::of_volume(8));
    }
}
