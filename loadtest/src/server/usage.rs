//! What a process has used, as Linux tells it in `/proc`. Elsewhere there is nothing to tell.

/// Linux counts times in `/proc` by this many ticks a second, on all of its platforms.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used since it was started.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Of all its threads, in user and kernel mode.
    pub cpu_seconds: f64,
    /// What it has resident now.
    pub memory_bytes: u64,
    /// The most memory that it ever had resident.
    pub memory_peak_bytes: u64,
}

/// What a process has used; `None` where that cannot be seen.
pub(super) fn of(process: u32) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let bytes = |name| bytes_of(&status, name);
    Some(Usage {
        cpu_seconds: cpu_seconds(&stat)?,
        memory_bytes: bytes("VmRSS:")?,
        memory_peak_bytes: bytes("VmHWM:")?,
    })
}

/// What the load test itself has used.
pub fn generator_cpu_seconds() -> Option<f64> {
    of(std::process::id()).map(|usage| usage.cpu_seconds)
}

/// What those child processes of the load test have used that have ended.
pub fn children_cpu_seconds() -> Option<f64> {
    times(&std::fs::read_to_string("/proc/self/stat").ok()?, FIRST_OF_CHILDREN)
}

/// Where the times of a process and those of its children stand, counted from after the name.
const FIRST_OF_ITSELF: usize = 11;
const FIRST_OF_CHILDREN: usize = 13;

fn cpu_seconds(stat: &str) -> Option<f64> {
    times(stat, FIRST_OF_ITSELF)
}

/// The 14th and 15th field, or the two after them; the second is the name in parentheses, which may itself hold spaces and parentheses.
fn times(stat: &str, first: usize) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(first);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn bytes_of(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_after_a_name_with_parentheses() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 4 0 100 0 0";
        assert_eq!(cpu_seconds(stat), Some(2.0));
    }

    #[test]
    fn memory_is_told_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t1 kB\n";
        assert_eq!(
            ["VmHWM:", "VmRSS:", "VmSwap:"].map(|name| bytes_of(status, name)),
            [Some(2 << 20), Some(1024), None]
        );
    }
}
