//! The sources of options, and their documentation.

use clap::{CommandFactory as _, FromArgMatches as _};

use super::*;
use crate::cli::Cli;

fn command() -> Command {
    with_environment(Cli::command())
}

/// What `serve` is given by a file and a command line.
fn matches(file: &str, line: &[&str]) -> Result<ArgMatches, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("boxoffice.toml");
    std::fs::write(&path, file).unwrap();
    let line = ["boxoffice", "serve", "--config", path.to_str().unwrap()]
        .into_iter()
        .chain(line.iter().copied())
        .map(OsString::from);
    let whole = with_file(&command(), line.collect()).map_err(|error| error.to_string())?;
    let matches = command().try_get_matches_from(whole).map_err(|error| error.to_string())?;
    Cli::from_arg_matches(&matches).map_err(|error| error.to_string())?;
    Ok(matches.subcommand().unwrap().1.clone())
}

fn text(matches: &ArgMatches, id: &str) -> String {
    matches.get_raw(id).unwrap().map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_file_gives_options_and_the_command_line_goes_before_it() {
    let file = "dev = true\nlisten = \"127.0.0.1:1\"\nwatchers-max = 7\nsweep-interval = \"3s\"\n";
    let given = matches(file, &["--listen", "127.0.0.1:2"]).unwrap();
    assert!(given.get_flag("dev"));
    assert_eq!(text(&given, "listen"), "127.0.0.1:2");
    assert_eq!(text(&given, "watchers_max"), "7");
    assert_eq!(text(&given, "sweep_interval"), "3s");
    assert!(!matches("dev = false", &[]).unwrap().get_flag("dev"));
}

#[test]
fn a_flag_goes_before_what_the_file_says_of_another_that_excludes_it() {
    let given = matches("database-url = \"postgres://x\"\n", &["--data", "here"]).unwrap();
    assert_eq!(given.value_source("database_url"), None);
    let given = matches("data = \"here\"\n", &["--database-url", "postgres://x"]).unwrap();
    assert_eq!(text(&given, "data"), "./data");
}

#[test]
fn what_is_said_of_a_database_wants_its_url() {
    for key in ["database-lanes = 7", "database-readers = 7", "database-timeout = \"2s\"", "database-pooler = true"] {
        let refused = matches(key, &[]).unwrap_err();
        assert!(refused.contains("--database-url <URL>"), "{key}: {refused}");
        matches(&format!("database-url = \"postgres://x\"\n{key}"), &[]).unwrap();
        let of_a_file = matches(&format!("database-url = \"postgres://x\"\n{key}"), &["--data", "here"]).unwrap();
        assert_eq!(
            (text(&of_a_file, "data").as_str(), of_a_file.value_source("database_url")),
            ("here", None),
            "{key}"
        );
    }
    assert!(matches("database-one-event-a-batch = true", &[]).is_err());
    assert!(matches("", &["--data", "here", "--database-lanes", "7"]).is_err());
    matches("database-pooler = false", &[]).unwrap();
}

/// A variable goes before the file, also before what the file says of an option that the variable's excludes.
#[test]
fn what_we_ship_leaves_to_the_file_where_the_inventory_is() {
    for shipped in [include_str!("../../../Dockerfile"), include_str!("../../../docs/boxoffice.service")] {
        for variable in ["BOXOFFICE_DATA=", "BOXOFFICE_DATABASE_URL="] {
            assert!(!shipped.contains(variable), "{variable} in\n{shipped}");
        }
    }
}

#[test]
fn what_is_wrong_in_a_file_is_named() {
    let wrong = |file: &str| matches(file, &[]).unwrap_err();
    let unknown = wrong("listne = \"x\"\nconfig = \"y\"\n");
    assert!(unknown.contains("unknown keys: `config`, `listne`") && unknown.contains("boxoffice.toml"), "{unknown}");
    assert!(wrong("dev = \"yes\"").contains("`dev` must be true or false"));
    assert!(wrong("listen = { a = 1 }").contains("`listen` must be a text"));
    assert!(wrong("listen = \"nowhere\"").contains("--listen"));
    for url in
        ["\"postgres://boxoffice:pa55word@db/x", "postgres://boxoffice:pa55word@db/x", "pa55word", "\"\\pa55word\""]
    {
        let cut = wrong(&format!("dev = true\ndatabase-url = {url}\nlisten = \"127.0.0.1:1\"\n"));
        assert!(cut.contains("boxoffice.toml: line 2: ") && !cut.contains("pa55word"), "{cut}");
    }
    let line = ["boxoffice", "serve", "--config", "/nowhere/at/all"].map(OsString::from).to_vec();
    assert!(with_file(&command(), line).unwrap_err().to_string().contains("/nowhere/at/all"));
}

#[test]
fn other_command_lines_stay_as_they_are() {
    for line in [vec!["boxoffice"], vec!["boxoffice", "admin", "list"], vec!["boxoffice", "serve", "--help"]] {
        let line: Vec<_> = line.into_iter().map(OsString::from).collect();
        assert_eq!(with_file(&command(), line.clone()).unwrap(), line);
    }
}

/// The table in the documentation, made from the definitions.
fn table() -> String {
    let command = command();
    let mut rows = "| flag, and key of the file | environment | default | what |\n|---|---|---|---|\n".to_owned();
    for arg in command.find_subcommand(SERVE).unwrap().get_arguments() {
        let (Some(long), Some(variable)) = (arg.get_long(), arg.get_env()) else { continue };
        let values = arg.get_value_names().filter(|_| !is_switch(arg)).unwrap_or_default();
        let values: String = values.iter().map(|name| format!(" {name}")).collect();
        let default = arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy()));
        let default = if is_switch(arg) { "off".to_owned() } else { default.collect::<Vec<_>>().join(" ") };
        let what = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
        let variable = variable.to_string_lossy();
        rows.push_str(&format!("| `--{long}{values}` | `{variable}` | {default} | {what} |\n"));
    }
    rows
}

#[test]
fn the_documentation_has_every_option() {
    let page = include_str!("../../../docs/configuration.md");
    let table = table();
    assert!(page.contains(&table), "docs/configuration.md must have this table:\n\n{table}");
}

#[test]
fn hostile_files_are_options_or_refused() {
    let lines =
        ["dev = true", "listen = \"127.0.0.1:1\"", "database-lanes = 7", "auth-key = [\"a\", \"b\"]", "config = \"x\""];
    hostile_bytes::Attack::on("config.toml").at_most(100).run(
        |rng| {
            let count = rng.below(5);
            let line = |rng: &mut hostile_bytes::Rng| format!("{}\n", rng.text(&lines));
            (0..count).map(|_| line(rng)).collect::<String>().into_bytes()
        },
        |bytes| match matches(&String::from_utf8_lossy(bytes), &[]) {
            Ok(_) => "options".to_owned(),
            Err(error) => error.lines().next().unwrap_or_default().chars().rev().take(40).collect(),
        },
    );
}
