//! Lua scripts, which Redis runs as one step.

use redis::Cmd;

/// A script. It must touch only keys that it is given, and these must share a hash tag.
#[derive(Debug)]
pub struct Script {
    code: &'static str,
    /// By which Redis knows it once it has seen it.
    hash: String,
}

impl Script {
    /// From its source.
    pub fn new(code: &'static str) -> Self {
        Self { code, hash: redis::Script::new(code).get_hash().to_owned() }
    }

    /// By its hash: a few bytes, of a script that Redis has seen before.
    pub(super) fn by_hash<A: redis::ToRedisArgs>(&self, keys: &[&str], args: &A) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.hash).arg(keys.len()).arg(keys).arg(args);
        command
    }

    /// By its source, which Redis then remembers until it is started again.
    pub(super) fn by_source<A: redis::ToRedisArgs>(&self, keys: &[&str], args: &A) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(self.code).arg(keys.len()).arg(keys).arg(args);
        command
    }
}
