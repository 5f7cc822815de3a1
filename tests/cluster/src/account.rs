//! Who the servers run as.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

/// What root becomes: the first of these that the machine knows.
const STAND_INS: [&str; 2] = ["postgres", "nobody"];

/// How long a client of PostgreSQL waits for a connection.
const CONNECT_SECONDS_MAX: &str = "20";

/// The user that runs the programs of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Account {
    /// Whoever runs this process.
    Ours,
    /// Somebody else, because PostgreSQL refuses to run as root, and no test server has any business to.
    Other { user: u32, group: u32 },
}

impl Account {
    pub(crate) fn find() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Ours);
        }
        let passwd = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        STAND_INS.iter().find_map(|name| look_up(&passwd, name)).with_context(|| {
            format!("a private server does not run as root, and there is no user {}", STAND_INS.join(" or "))
        })
    }

    /// Any program, as this user and without this process's settings for PostgreSQL clients.
    pub(crate) fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").env("PGCONNECT_TIMEOUT", CONNECT_SECONDS_MAX).current_dir("/").stdin(Stdio::null());
        if let Self::Other { user, group } = self {
            // This user's group alone: std drops root's further groups.
            command.uid(user).gid(group);
        }
        command
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
