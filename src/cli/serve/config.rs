//! Where the options of `serve` come from: flags, else the environment, else a TOML file, else their defaults.
//!
//! Nothing here knows any option: all of them come from clap's definitions, so an option that is added has its variable and
//! its key in the file by itself.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use boxoffice::files;
use clap::builder::BoolishValueParser;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// The subcommand.
const SERVE: &str = "serve";
/// The option that names the file. It cannot stand in the file.
const CONFIG: &str = "config";
/// What the environment's variables begin with.
const PREFIX: &str = "BOXOFFICE_";

/// Gives each option of `serve` its variable of the environment.
pub(crate) fn with_environment(command: Command) -> Command {
    command.mut_subcommand(SERVE, |serve| {
        serve.mut_args(|arg| match variable(&arg) {
            Some(name) => {
                let arg = if arg.get_env().is_none() { arg.env(name) } else { arg };
                if is_switch(&arg) { arg.value_parser(BoolishValueParser::new()) } else { arg }
            }
            None => arg,
        })
    })
}

/// The variable of an option: `BOXOFFICE_DATABASE_URL` of `--database-url`.
fn variable(arg: &Arg) -> Option<String> {
    let long = arg.get_long().filter(|_| arg.get_action().takes_values() || is_switch(arg))?;
    Some(format!("{PREFIX}{}", long.to_uppercase().replace('-', "_")))
}

fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

/// The command line, with what the file says put before it, where neither the command line nor the environment says it
/// already.
pub(crate) fn with_file(command: &Command, line: Vec<OsString>) -> Result<Vec<OsString>, clap::Error> {
    let Some(at) = line.iter().position(|word| word == SERVE) else { return Ok(line) };
    let Some(serve) = command.find_subcommand(SERVE) else { return Ok(line) };
    // What is wrong with it is told when the whole is read.
    let Ok(known) = command.clone().ignore_errors(true).try_get_matches_from(&line) else { return Ok(line) };
    let Some((SERVE, known)) = known.subcommand() else { return Ok(line) };
    let Some(path) = known.try_get_one::<PathBuf>(CONFIG).ok().flatten() else { return Ok(line) };
    let wrong = |what: String| {
        clap::Error::raw(ErrorKind::InvalidValue, format!("the configuration file {}: {what}\n", path.display()))
    };
    let more = read(path).and_then(|table| words(serve, known, &table)).map_err(wrong)?;
    let mut whole = line;
    whole.splice(at + 1..=at, more.into_iter().map(OsString::from));
    Ok(whole)
}

fn read(path: &Path) -> Result<toml::Table, String> {
    let content = files::read(path).map_err(|error| error.source.to_string())?;
    let text = String::from_utf8(content).map_err(|_| "it is not text".to_owned())?;
    // The whole of the message would quote the line, which may hold the password of the database.
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("line {}: {}", before.matches('\n').count() + 1, error.message())
    })
}

/// The table as words of a command line.
fn words(serve: &Command, known: &ArgMatches, table: &toml::Table) -> Result<Vec<String>, String> {
    let arg_of = |key: &str| {
        let mut args = serve.get_arguments().filter(|arg| variable(arg).is_some());
        args.find(|arg| arg.get_long() == Some(key) && key != CONFIG)
    };
    let unknown: Vec<_> = table.keys().filter(|key| arg_of(key).is_none()).map(|key| format!("`{key}`")).collect();
    if !unknown.is_empty() {
        return Err(format!("unknown keys: {}", unknown.join(", ")));
    }
    let mut words = Vec::new();
    for (key, value) in table {
        let Some(arg) = arg_of(key) else { continue };
        if is_given(serve, known, arg) {
            continue;
        }
        let values = match value {
            toml::Value::Array(values) => values.iter().collect(),
            one => vec![one],
        };
        for value in values {
            match (value, is_switch(arg)) {
                (toml::Value::Boolean(true), true) => words.push(format!("--{key}")),
                (toml::Value::Boolean(false), true) => {}
                (_, true) => return Err(format!("`{key}` must be true or false")),
                (toml::Value::String(text), false) => words.push(format!("--{key}={text}")),
                (toml::Value::Integer(number), false) => words.push(format!("--{key}={number}")),
                (toml::Value::Float(number), false) => words.push(format!("--{key}={number}")),
                (toml::Value::Boolean(value), false) => words.push(format!("--{key}={value}")),
                (_, false) => return Err(format!("`{key}` must be a text, a number, or a list of them")),
            }
        }
    }
    Ok(words)
}

/// Whether the command line or the environment gives an option, or one that cannot stand beside it.
fn is_given(serve: &Command, known: &ArgMatches, arg: &Arg) -> bool {
    let explicit = |arg: &Arg| {
        let source =
            known.try_contains_id(arg.get_id().as_str()).ok().and_then(|_| known.value_source(arg.get_id().as_str()));
        matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
    };
    let excludes =
        |one: &Arg, other: &Arg| serve.get_arg_conflicts_with(one).iter().any(|each| each.get_id() == other.get_id());
    explicit(arg)
        || serve.get_arguments().any(|other| explicit(other) && (excludes(arg, other) || excludes(other, arg)))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
