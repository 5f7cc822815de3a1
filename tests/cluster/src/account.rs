//! Who the servers run as.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

/// What root becomes: the first of these that the machine knows.
const STAND_INS: [&str; 2] = ["postgres", "nobody"];

/// The user that runs the programs of a cluster.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Account {
    /// Whoever runs this process.
    Ours,
    /// Somebody else, because PostgreSQL refuses to run as root.
    Other { user: u32, group: u32 },
}

impl Account {
    pub(crate) fn find() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Ours);
        }
        let passwd = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        STAND_INS.iter().find_map(|name| look_up(&passwd, name)).with_context(|| {
            format!("PostgreSQL refuses to run as root, and there is no user {}", STAND_INS.join(" or "))
        })
    }

    /// Lets a command run as this user, with this user's group alone (std drops root's further groups).
    pub(crate) fn apply(self, command: &mut Command) {
        if let Self::Other { user, group } = self {
            command.uid(user).gid(group);
        }
    }
}

fn look_up(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let mut ids = fields.skip(1).map(str::parse);
        match (ids.next()?, ids.next()?) {
            (Ok(user), Ok(group)) => Some(Account::Other { user, group }),
            _ => None,
        }
    })
}
