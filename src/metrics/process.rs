//! What the system says of this process.

use std::fs;

/// By the system's own count.
pub(super) struct Process {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) open_fds: u64,
}

impl Process {
    /// Reads it. `None`: this system has no `/proc`, or another one.
    pub(super) fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the program, in parentheses, may hold anything; what follows is numbers, from the third field on.
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let ticks = number(14)? + number(15)?;
        Some(Self {
            cpu_seconds: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
            resident_bytes: number(24)? * rustix::param::page_size() as u64,
            open_fds: fs::read_dir("/proc/self/fd").ok()?.count() as u64,
        })
    }
}
