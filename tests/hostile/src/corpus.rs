//! Inputs that are kept: one file a target, one input a line in hexadecimal digits. What stands after `#` is for people.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Most inputs that are kept for a target of themselves.
const KEPT_MAX: usize = 16;

/// The file of a target's inputs.
fn file(target: &str) -> PathBuf {
    let name = format!("{}.hex", target.replace('/', "."));
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name)
}

/// The inputs that are kept for a target: none where it has no file.
///
/// # Panics
/// Where a line is no input.
pub(crate) fn of(target: &str) -> Vec<Vec<u8>> {
    let path = file(target);
    let Ok(text) = std::fs::read_to_string(&path) else { return Vec::new() };
    let inputs = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    inputs.filter(|line| !line.is_empty()).map(|line| decode(line).unwrap_or_else(|| wrong(&path, line))).collect()
}

/// Writes the shortest of `inputs` to the file of a target that has none.
pub(crate) fn keep(target: &str, inputs: &[Vec<u8>]) {
    let path = file(target);
    if path.exists() {
        return;
    }
    let mut inputs: Vec<_> = inputs.iter().filter(|input| !input.is_empty()).collect();
    inputs.sort_by_key(|input| input.len());
    inputs.truncate(KEPT_MAX);
    let lines: String = inputs.into_iter().map(|input| encode(input) + "\n").collect();
    if let Err(error) = std::fs::write(&path, lines) {
        eprintln!("hostile: {}: {error}", path.display());
    }
}

#[expect(clippy::panic, reason = "a corpus that cannot be read is no test")]
fn wrong(path: &Path, line: &str) -> Vec<u8> {
    panic!("{}: not hexadecimal: {line}", path.display())
}

/// An input as a line.
pub(crate) fn encode(input: &[u8]) -> String {
    input.iter().fold(String::with_capacity(input.len() * 2), |mut line, byte| {
        // Writing to a text does not fail.
        let _ = write!(line, "{byte:02x}");
        line
    })
}

fn decode(line: &str) -> Option<Vec<u8>> {
    let digits = line.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if digits.len().is_multiple_of(2) { digits.chunks(2).map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), Some(all));
        assert_eq!(decode("0"), None);
        assert_eq!(decode("zz"), None);
        assert_eq!(of("no such target"), Vec::<Vec<u8>>::new());
        assert_ne!(file("Service/One"), file("Service/Two"));
    }
}
