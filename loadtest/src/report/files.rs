//! The files that a report is written to.

use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::cli::Common;

/// Sees to it that the files can be written, before a run of many minutes that would be lost to a typing error. What is in
/// them stays until there is something to put in its place.
///
/// # Errors
/// Where one cannot.
pub fn check(common: &Common) -> Result<()> {
    for path in [&common.json, &common.html].into_iter().flatten() {
        let is_new = !path.exists();
        let opened = File::options().create(true).append(true).open(path);
        opened.with_context(|| cannot_write(path))?;
        if is_new {
            std::fs::remove_file(path).with_context(|| cannot_write(path))?;
        }
    }
    Ok(())
}

/// Writes a file of the report.
///
/// # Errors
/// Where it cannot be written.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| cannot_write(path))
}

fn cannot_write(path: &Path) -> String {
    format!("{} cannot be written", path.display())
}

/// JSON for programs that people can read too: an object or a list of figures stands on one line. So thousands of points are
/// as many lines, and half as many bytes.
pub(super) fn json_lines(value: &Value) -> String {
    let mut text = String::new();
    put(value, 0, &mut text);
    text.push('\n');
    text
}

fn put(value: &Value, depth: usize, text: &mut String) {
    let is_flat = |value: &Value| !value.is_array() && !value.is_object();
    let (open, close, items): (_, _, Vec<_>) = match value {
        Value::Object(object) if !object.values().all(is_flat) => {
            ('{', '}', object.iter().map(|(name, value)| (Some(name), value)).collect())
        }
        Value::Array(array) if !array.iter().all(Value::is_number) => {
            ('[', ']', array.iter().map(|value| (None, value)).collect())
        }
        _ => return text.push_str(&value.to_string()),
    };
    text.push(open);
    for (index, (name, value)) in items.into_iter().enumerate() {
        text.push_str(if index == 0 { "\n" } else { ",\n" });
        text.push_str(&"  ".repeat(depth + 1));
        if let Some(name) = name {
            text.push_str(&Value::from(name.as_str()).to_string());
            text.push_str(": ");
        }
        put(value, depth + 1, text);
    }
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
    text.push(close);
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;
    use crate::cli::Cli;

    fn common(json: &Path) -> Common {
        let line = ["loadtest", "sale", "--json", json.to_str().unwrap()];
        Cli::parse_from(line).scenario.common().clone()
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_before_the_run() {
        let place = tempfile::tempdir().unwrap();
        let told = format!("{:#}", check(&common(&place.path().join("none/run.json"))).unwrap_err());
        assert!(told.contains("none/run.json cannot be written"), "{told}");
    }

    #[test]
    fn the_check_leaves_everything_as_it_was() {
        let place = tempfile::tempdir().unwrap();
        let (old, new) = (place.path().join("old.json"), place.path().join("new.json"));
        std::fs::write(&old, "kept").unwrap();
        check(&common(&old)).unwrap();
        check(&common(&new)).unwrap();
        assert_eq!((std::fs::read_to_string(&old).unwrap(), new.exists()), ("kept".to_owned(), false));
    }

    #[test]
    fn lines_of_json_say_the_same_as_one() {
        let value =
            json!({"a\"": [{"at": 1, "b": null}, {"at": 2}], "c": {"d": [1, 2], "e": ["x", "y"]}, "f": [], "g": {}});
        let text = json_lines(&value);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        assert!(text.contains("\n    {\"at\":1,\"b\":null},\n") && text.contains("\"d\": [1,2],"), "{text}");
    }
}
