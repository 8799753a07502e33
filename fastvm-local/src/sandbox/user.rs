//! Whom a command runs as: looked up in the VM's own `/etc/passwd` and `/etc/group`.

use std::path::Path;

use super::{ExecError, kernel, root};

/// A user of a VM.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct User {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    pub(super) name: String,
    pub(super) home: String,
}

impl User {
    fn root() -> Self {
        Self {
            uid: 0,
            gid: 0,
            groups: Vec::new(),
            name: "root".to_owned(),
            home: "/root".to_owned(),
        }
    }

    pub(super) fn ids(&self) -> kernel::User<'_> {
        kernel::User {
            uid: self.uid,
            gid: self.gid,
            groups: &self.groups,
        }
    }
}

/// Finds `name`, `uid`, `name:group` and the like in the VM whose root directory this is.
pub(super) fn find(root: &Path, asked: &str) -> Result<User, ExecError> {
    if asked.is_empty() {
        return Ok(User::root());
    }
    // What cannot be read holds nobody; numbers need nobody.
    let text = |path| root::read(root, path).unwrap_or_default();
    look_up(asked, &text("etc/passwd"), &text("etc/group")).ok_or_else(|| ExecError::NoUser {
        user: asked.to_owned(),
    })
}

/// The user and the group that a file is to belong to.
pub(crate) fn owner_of(root: &Path, asked: &str) -> Result<(u32, u32), ExecError> {
    find(root, asked).map(|user| (user.uid, user.gid))
}

fn look_up(asked: &str, passwd: &str, group: &str) -> Option<User> {
    let (name, group_name) = asked.split_once(':').unwrap_or((asked, ""));
    let mut user = match name {
        "" => User::root(),
        name => user_of(name, passwd)?,
    };
    if group_name.is_empty() {
        user.groups = groups_with(&user.name, group);
    } else {
        user.gid = group_of(group_name, group)?;
    }
    Some(user)
}

/// A name counts before a number, as one can look like the other.
fn user_of(name: &str, passwd: &str) -> Option<User> {
    let lines = || passwd.lines().filter_map(user_in);
    let number = id(name);
    let found = lines().find(|user| user.name == name);
    found
        .or_else(|| lines().find(|user| Some(user.uid) == number))
        .or_else(|| {
            Some(User {
                uid: number?,
                name: name.to_owned(),
                home: "/".to_owned(),
                ..User::root()
            })
        })
}

/// `name:password:uid:gid:comment:home:shell`
fn user_in(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let (uid, gid) = (id(fields.nth(1)?)?, id(fields.next()?)?);
    let home = fields.nth(1).filter(|home| !home.is_empty());
    Some(User {
        uid,
        gid,
        groups: Vec::new(),
        name,
        home: home.unwrap_or("/").to_owned(),
    })
}

fn group_of(name: &str, group: &str) -> Option<u32> {
    let found = group.lines().filter_map(group_in);
    let found = found.into_iter().find(|(found, ..)| *found == name);
    found.map(|(_, gid, _)| gid).or_else(|| id(name))
}

fn groups_with(user: &str, group: &str) -> Vec<u32> {
    let groups = group.lines().filter_map(group_in);
    groups
        .filter(|(_, _, members)| members.split(',').any(|member| member == user))
        .map(|(_, gid, _)| gid)
        .collect()
}

/// `name:password:gid:members`
fn group_in(line: &str) -> Option<(&str, u32, &str)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let gid = id(fields.nth(1)?)?;
    Some((name, gid, fields.next().unwrap_or_default()))
}

/// The greatest number means "no id" to the kernel.
fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# a comment\napp:x:1000:1001:,,,:/home/app:\n\
        1000:x:7:7::/seven:/bin/sh\nhomeless:x:8:8\nbroken:x:nine:9::/:\n";
    const GROUP: &str = "root:x:0:\napp:x:1001:\nstaff:x:50:other,app\naudio:x:29:app\n";

    fn ids(asked: &str) -> Option<(u32, u32, Vec<u32>, String)> {
        look_up(asked, PASSWD, GROUP).map(|user| (user.uid, user.gid, user.groups, user.home))
    }

    fn found(
        uid: u32,
        gid: u32,
        groups: &[u32],
        home: &str,
    ) -> Option<(u32, u32, Vec<u32>, String)> {
        Some((uid, gid, groups.to_vec(), home.to_owned()))
    }

    #[test]
    fn names_have_their_groups_and_their_home() {
        assert_eq!(ids("root"), found(0, 0, &[], "/root"));
        assert_eq!(ids("app"), found(1000, 1001, &[50, 29], "/home/app"));
        assert_eq!(ids("homeless"), found(8, 8, &[], "/"));
    }

    #[test]
    fn a_group_that_is_asked_for_is_the_only_one() {
        assert_eq!(ids("app:staff"), found(1000, 50, &[], "/home/app"));
        assert_eq!(ids("app:77"), found(1000, 77, &[], "/home/app"));
        assert_eq!(ids(":staff"), found(0, 50, &[], "/root"));
        assert_eq!(ids("app:"), ids("app"));
    }

    #[test]
    fn numbers_need_not_be_known() {
        assert_eq!(ids("8:staff"), found(8, 50, &[], "/"));
        assert_eq!(ids("4242"), found(4242, 0, &[], "/"));
        assert_eq!(ids("4242:4243"), found(4242, 4243, &[], "/"));
        assert_eq!(
            ids("1000"),
            found(7, 7, &[], "/seven"),
            "a name before a number"
        );
    }

    #[test]
    fn who_is_not_there_is_not_found() {
        for asked in [
            "nobody",
            "broken",
            "app:none",
            "-1",
            "4294967295",
            "4294967296",
            "a:b:c",
        ] {
            assert_eq!(ids(asked), None, "{asked}");
        }
    }
}
