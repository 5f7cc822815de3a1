//! What the programs print that the tests start. Where `BOXOFFICE_TEST_LOGS` names a directory, as `scripts/test` does, all of
//! it is kept there, and `scripts/no-secrets` looks for secrets in it afterwards.

use std::fs::File;
use std::io::{Read, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The program under test.
pub(crate) const BOXOFFICE: &str = env!("CARGO_BIN_EXE_boxoffice");

/// Where secrets are listed, a line each, that no program may print.
const SECRETS: &str = "secrets";

/// Lines of keys that are shorter may turn up by chance.
const SECRET_LENGTH_MIN: usize = 16;

/// The program, to be given arguments. What it writes must be kept by one of the functions below.
pub(crate) fn boxoffice() -> Command {
    Command::new(BOXOFFICE)
}

fn directory() -> Option<PathBuf> {
    std::env::var_os("BOXOFFICE_TEST_LOGS").map(PathBuf::from)
}

/// A file of its own for what a program writes. `None`: nothing is kept.
fn file(kind: &str) -> Option<File> {
    static FILES: AtomicU32 = AtomicU32::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let path = directory()?.join(format!("{}-{number}-{kind}.log", std::process::id()));
    Some(File::options().append(true).create_new(true).open(path).expect("a file for what a program writes"))
}

/// Where a stream goes that the test does not read.
pub(crate) fn unread() -> Stdio {
    file("unread").map_or_else(Stdio::inherit, Stdio::from)
}

/// A stream that the test reads.
pub(crate) struct Kept<R> {
    inner: R,
    copy: Option<File>,
}

/// Keeps what is read from a stream.
pub(crate) fn read<R: Read>(stream: R) -> Kept<R> {
    Kept { inner: stream, copy: file("read") }
}

impl<R: Read> Read for Kept<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if let Some(copy) = &mut self.copy {
            copy.write_all(&buffer[..count])?;
        }
        Ok(count)
    }
}

/// Runs a program to its end.
pub(crate) fn output(command: &mut Command) -> Output {
    let output = command.output().expect("the program starts");
    let words: Vec<_> = command.get_args().take(2).map(|word| word.to_string_lossy().into_owned()).collect();
    // A token that was asked for is no secret to whoever asked.
    let kind = if words == ["token", "mint"] { "minted" } else { "output" };
    keep(kind, &output.stdout);
    keep("output", &output.stderr);
    output
}

/// Keeps what was read some other way.
pub(crate) fn keep(kind: &str, bytes: &[u8]) {
    if let Some(mut file) = file(kind) {
        file.write_all(bytes).expect("a file for what a program writes");
    }
}

/// Tells of a secret, a key for instance, each line of which must never be printed. (Passwords need not be told of: those of
/// tests have `pa55word` in them.)
pub(crate) fn secret(text: &str) {
    let Some(directory) = directory() else { return };
    // One write for all, since tests run beside each other.
    let lines = text.lines().filter(|line| line.len() >= SECRET_LENGTH_MIN && !line.starts_with("-----"));
    let lines: String = lines.map(|line| format!("{line}\n")).collect();
    let file = File::options().append(true).create(true).open(directory.join(SECRETS));
    file.and_then(|mut file| file.write_all(lines.as_bytes())).expect("the list of secrets");
}

/// Tells of a token. Its header is the same in many of them, and no secret.
pub(crate) fn token(token: &str) {
    token.split('.').skip(1).for_each(secret);
}
