//! A second server that follows the first.

use anyhow::{Result, bail};

use crate::cluster::{Cluster, Options, SUPERUSER};
use crate::home::Home;

impl Cluster {
    /// Copies this cluster and starts a hot standby that follows it (streaming replication, through a replication slot: what
    /// it has not got yet is kept for it). `name` becomes its `application_name`, as in `synchronous_standby_names`, and the
    /// slot's name: lower-case letters, digits and `_`. It takes this cluster's settings, and those of `options` over them;
    /// whether it is durable, `options` alone say.
    ///
    /// # Errors
    /// If there is a standby of that name already, or it does not come up.
    pub fn standby(&self, name: &str, options: &Options) -> Result<Self> {
        let home = Home::make(options.base_directory(), self.programs.account(), self.programs.directory())?;
        let source = format!("host=127.0.0.1 port={} user={SUPERUSER} application_name={name}", self.port());
        let slot = format!("--slot={name}");
        let arguments = [
            "--pgdata=data",
            "--dbname",
            &source,
            "--create-slot",
            &slot,
            "--write-recovery-conf",
            "--wal-method=stream",
            "--checkpoint=fast",
            "--no-sync",
        ];
        self.programs.run(home.path(), "pg_basebackup", &arguments, "")?;
        Self::start_in(self.programs.clone(), home, options)
    }

    /// Makes a standby a primary, and waits until it is one.
    ///
    /// # Errors
    /// If it is no standby, or does not become a primary within a minute.
    pub fn promote(&self) -> Result<()> {
        if self.psql("postgres", "SELECT pg_promote(true, 60)")? != "t" {
            bail!("the standby does not become a primary; its log:\n{}", self.log());
        }
        Ok(())
    }
}
