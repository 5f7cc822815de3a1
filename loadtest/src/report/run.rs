//! Which run it was: what somebody needs to repeat it.

use std::ffi::OsString;
use std::time::{Duration, UNIX_EPOCH};

use crate::clock::{Micros, now};

/// What a page tells of the run beside its outcome.
#[derive(Debug, Clone)]
pub struct Run {
    /// The command line as typed, without passwords.
    pub command: String,
    /// When it began.
    pub begun: Micros,
}

impl Run {
    /// A run that begins now.
    pub fn begin(arguments: &[OsString]) -> Self {
        let words = arguments.iter().skip(1).map(|word| quoted(&without_password(&word.to_string_lossy())));
        let command = std::iter::once("loadtest".to_owned()).chain(words).collect::<Vec<_>>().join(" ");
        Self { command, begun: now() }
    }

    /// When it began, to the second: `2030-01-31 12:00:00 UTC`.
    pub(super) fn date(&self) -> String {
        let since = Duration::from_micros(u64::try_from(self.begun).unwrap_or_default());
        let text = humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string();
        text.replace('T', " ").replace('Z', " UTC")
    }
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=./:,@+%…".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The URL of a database may hold a password: a page is shown around.
fn without_password(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let rest = match rest.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:…@{host}"),
            None => rest.to_owned(),
        },
        None => rest.to_owned(),
    };
    let Some((before, after)) = rest.split_once("password=") else { return format!("{scheme}://{rest}") };
    let others = after.find('&').and_then(|end| after.get(end..)).unwrap_or_default();
    format!("{scheme}://{before}password=…{others}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> String {
        let words: Vec<_> = std::iter::once(&"/tmp/loadtest").chain(words).map(OsString::from).collect();
        Run::begin(&words).command
    }

    #[test]
    fn the_command_line_can_be_typed_again() {
        assert_eq!(command(&["sale", "--html", "my page.html"]), "loadtest sale --html 'my page.html'");
    }

    #[test]
    fn passwords_are_not_shown() {
        let told = command(&["--store", "postgres://me:pass:w@rd@host/db?sslmode=off"]);
        assert_eq!(told, "loadtest --store 'postgres://me:…@host/db?sslmode=off'");
        let told = command(&["--store=postgres://host/db?user=me&password=pass&sslmode=off"]);
        assert_eq!(told, "loadtest '--store=postgres://host/db?user=me&password=…&sslmode=off'");
    }

    #[test]
    fn the_date_is_told_to_the_second() {
        let run = Run { command: String::new(), begun: 1_700_000_000_123_456 };
        assert_eq!(run.date(), "2023-11-14 22:13:20 UTC");
    }
}
