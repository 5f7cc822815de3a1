//! Programs on a terminal: a pseudo-terminal with a person's fingers on it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers as well")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::cli_with_server::{PATIENCE, Running};
use crate::recorded;

/// A program on a terminal of its own.
pub(crate) struct Terminal {
    program: Running,
    fingers: File,
    seen: Arc<Mutex<String>>,
}

impl Terminal {
    /// Starts the program on a terminal of this size.
    pub(crate) fn start(arguments: &[&str], columns: u16, rows: u16, environment: &[(&str, &str)]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        tcsetwinsize(&master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let slave: OwnedFd = File::options().read(true).write(true).open(name).unwrap().into();
        let mut command = recorded::boxoffice();
        command.args(arguments).env("TERM", "xterm").env_remove("NO_COLOR").env_remove("CLICOLOR");
        command.envs(environment.iter().copied());
        command.stdin(Stdio::from(slave.try_clone().unwrap())).stdout(Stdio::from(slave.try_clone().unwrap()));
        let program = Running(command.stderr(Stdio::from(slave)).spawn().unwrap());
        drop(command);
        let fingers = File::from(master);
        let seen = Arc::new(Mutex::new(String::new()));
        let (mut eyes, memory) = (recorded::read(fingers.try_clone().unwrap()), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It ends with the program, whose end of the terminal is closed then.
            while let Ok(count @ 1..) = eyes.read(&mut bytes) {
                memory.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { program, fingers, seen }
    }

    pub(crate) fn type_in(&mut self, text: &str) {
        self.fingers.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn interrupt(&self) {
        self.program.signal("-INT");
    }

    /// Everything that was written so far.
    pub(crate) fn seen(&self) -> String {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until something is to be seen.
    pub(crate) fn wait_for(&self, what: &str) -> String {
        let begun = Instant::now();
        loop {
            let seen = self.seen();
            if seen.contains(what) {
                return seen;
            }
            assert!(begun.elapsed() < PATIENCE, "{what:?} does not come:\n{seen}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the program's end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.program.0.try_wait().unwrap() {
                return status;
            }
            if begun.elapsed() > PATIENCE {
                panic!("it does not end:\n{}", self.seen());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
