//! The comparison, as the program runs it: with stores and a server of its own.

use std::process::{Command, Output};

use serde_json::Value;

use crate::program::{entries, place, processes, recorded, run, stderr};

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn nine_ways_hold_the_same_sale_and_only_the_racy_one_oversells() {
    let place = place();
    let file = place.path().join("compare.json");
    let line = "compare --tickets 150 --buyers 400 --in-flight 24 --kills 1 --json";
    let output = run(place.path(), &format!("{line} {}", file.display()));
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!((&report["scenario"], &report["verdict"]), (&"compare".into(), &"pass".into()));
    assert_eq!((&report["store"], &report["audit"]["sold"]), (&"postgres".into(), &300.into()));

    let rows = report["baselines"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(
        names.join(" "),
        "racy for_update atomic_update serializable version_column skip_locked redis_decr redis_lua boxoffice"
    );
    let printed = stdout(&output);
    for (name, row) in names.into_iter().zip(rows) {
        assert!(printed.contains(&format!("\n│ {name} ")), "{printed}");
        assert!(row["rate_per_s"].as_f64().unwrap() > 0.0 && row["p99_us"].as_u64().unwrap() > 0, "{row}");
        assert_eq!(
            (row["oversold"].as_u64().unwrap() > 0, &row["survives_kill"]),
            (name == "racy", &true.into()),
            "{row}"
        );
    }
    assert_eq!((&rows[8]["oversold"], &rows[8]["stranded"]), (&0.into(), &0.into()), "Boxoffice");
    assert!(printed.contains("oversold by hand: racy by "), "{printed}");
    assert_eq!((entries(place.path()), processes(place.path())), (vec!["compare.json".to_owned()], vec![]));
}

/// Runs `loadtest LINE`, which must not be able to; answers the one line that says why.
fn refusal(line: &str, environment: &[(&str, &str)]) -> String {
    let place = place();
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(line.split(' ')).env("TMPDIR", place.path()).envs(environment.iter().copied());
    let output = recorded(command.output().unwrap());
    assert_eq!(output.status.code(), Some(2), "{}{}", stdout(&output), stderr(&output));
    let complaint = stderr(&output).trim_end().to_owned();
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    complaint
}

#[test]
fn missing_programs_are_told_with_what_to_install() {
    let no_redis = refusal("compare", &[("PATH", "/nowhere")]);
    assert!(no_redis.contains("apt-get install redis-server"), "{no_redis}");
    let no_postgres = refusal("compare", &[("BOXOFFICE_POSTGRES_BIN", "/nowhere")]);
    assert!(no_postgres.contains("BOXOFFICE_POSTGRES_BIN names a directory without initdb"), "{no_postgres}");
    let neither = refusal("compare", &[("BOXOFFICE_POSTGRES_BIN", "/nowhere"), ("BOXOFFICE_REDIS_BIN", "/nowhere")]);
    assert!(neither.contains("without initdb") && neither.contains("without redis-server"), "{neither}");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let target = refusal("compare --target http://127.0.0.1:1", &[]);
    assert!(target.contains("--target has no place in it"), "{target}");
    for store in ["sqlite", "postgres://h/d"] {
        let refused = refusal(&format!("compare --store {store}"), &[]);
        assert!(refused.contains("leave --store out"), "{refused}");
    }
    let only = refusal("compare --only racy,mutex", &[]);
    assert!(only.contains("--only mutex is no way to sell; these are: racy, for_update"), "{only}");
    let buyers = refusal("compare --tickets 10 --buyers 10", &[]);
    assert!(buyers.contains("--buyers 10 must be more than --tickets 10"), "{buyers}");
}
