//! Who root inside a VM is outside.

use std::fs;
use std::io;

use nix::unistd::{getegid, geteuid};

/// Id maps of the VMs of this process.
#[derive(Debug)]
pub(super) struct Identity {
    uid_map: String,
    gid_map: String,
    deny_setgroups: bool,
    /// Supplementary groups can be given up.
    pub(super) clear_groups: bool,
    /// Only one id exists inside, so no file can be given to another.
    pub(super) single_id: bool,
}

impl Identity {
    /// Root gets every id it has itself, anyone else is root inside, with no other id.
    pub(super) fn of_this_process() -> io::Result<Self> {
        let (uid, gid) = (geteuid(), getegid());
        if !uid.is_root() {
            return Ok(Self {
                uid_map: format!("0 {uid} 1\n"),
                gid_map: format!("0 {gid} 1\n"),
                deny_setgroups: true,
                clear_groups: false,
                single_id: true,
            });
        }
        let (uid_map, uids) = identity_map(&fs::read_to_string("/proc/self/uid_map")?);
        let (gid_map, gids) = identity_map(&fs::read_to_string("/proc/self/gid_map")?);
        let setgroups = fs::read_to_string("/proc/self/setgroups")?;
        Ok(Self {
            uid_map,
            gid_map,
            deny_setgroups: false,
            clear_groups: setgroups.trim() == "allow",
            single_id: uids.min(gids) < 65_536,
        })
    }

    /// Writes the maps of a process that waits for them in a new user namespace.
    pub(super) fn give_to(&self, pid: i32) -> io::Result<()> {
        if self.deny_setgroups {
            fs::write(format!("/proc/{pid}/setgroups"), "deny")?;
        }
        fs::write(format!("/proc/{pid}/uid_map"), &self.uid_map)?;
        fs::write(format!("/proc/{pid}/gid_map"), &self.gid_map)
    }
}

/// Each range onto itself, and how many ids that are.
fn identity_map(own: &str) -> (String, u64) {
    let ranges = own.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (inside, _outside, count) = (fields.next()?, fields.next()?, fields.next()?);
        Some((inside, count.parse::<u64>().ok()?))
    });
    ranges.fold((String::new(), 0), |(map, sum), (inside, count)| {
        (format!("{map}{inside} {inside} {count}\n"), sum + count)
    })
}

#[cfg(test)]
mod tests {
    use super::identity_map;

    #[test]
    fn root_of_the_machine_keeps_every_id() {
        let all = ("0 0 4294967295\n".to_owned(), 4_294_967_295);
        assert_eq!(identity_map("         0          0 4294967295\n"), all);
    }

    #[test]
    fn root_of_a_user_namespace_keeps_the_ids_it_has() {
        let some = ("0 0 1\n1 1 65536\n".to_owned(), 65_537);
        assert_eq!(identity_map("0 1000 1\n1 100000 65536\n"), some);
    }
}
