//! The report for people.

use std::fmt::Write as _;

use serde_json::Value;
use tabled::builder::Builder;
use tabled::settings::object::{Columns, Object as _, Rows};
use tabled::settings::{Alignment, Style};

use super::baseline::Baseline;
use super::{AuditCounts, Measurement, Report, felt, percentiles, words};

/// The tables, what went wrong, and the verdict.
pub(super) fn text(report: &Report) -> String {
    let mut facts = Builder::default();
    for (name, value) in &report.facts {
        facts.push_record([words::name(name), plain(value)]);
    }
    for (name, value) in audit_rows(&report.audit) {
        facts.push_record([name, value]);
    }
    let mut tables = vec![render(facts, None)];
    let latencies = report.latencies().rows();
    if !latencies.is_empty() {
        tables.push(render(percentiles::rows(&latencies), Some(2)));
    }
    let felt = felt::worst(&report.courses);
    if !felt.is_empty() {
        tables.push(render(felt::table(&felt), Some(1)));
    }
    if !report.measurements.is_empty() {
        tables.push(render(measurements(&report.measurements), Some(1)));
    }
    if !report.baselines.is_empty() {
        tables.push(baselines(&report.baselines));
    }
    let mut text = tables.join("\n");
    for violation in &report.violations {
        let _ = write!(text, "\n\n{}: {}", violation.key.as_str(), violation.text);
        for line in &violation.evidence {
            let _ = write!(text, "\n    {line}");
        }
    }
    let _ = writeln!(text, "\n{}: {}", if report.passed { "PASS" } else { "FAIL" }, report.summary);
    text
}

/// With a header where it is said in which column the figures begin.
fn render(builder: Builder, figures_from: Option<usize>) -> String {
    let mut table = builder.build();
    table.with(Style::sharp().remove_horizontals());
    if let Some(first) = figures_from {
        table.with(Style::sharp()).modify(Columns::new(first..).not(Rows::first()), Alignment::right());
    } else {
        table.modify(Columns::one(1), Alignment::right());
    }
    table.to_string()
}

fn audit_rows(audit: &AuditCounts) -> Vec<(String, String)> {
    let units = [("capacity", audit.capacity.to_string()), ("sold", audit.sold.to_string())];
    let violations = audit.violations().map(|(key, count)| (key.as_str(), count.to_string()));
    let rows = units.into_iter().chain(violations).chain([("unknown", audit.unknown.to_string())]);
    rows.map(|(name, value)| (words::name(name), value)).collect()
}

fn measurements(measurements: &[Measurement]) -> Builder {
    let mut rows = Builder::default();
    rows.push_record([
        "call",
        "in flight",
        "rate/s",
        "of empty",
        "p50 µs",
        "p99 µs",
        "p999 µs",
        "max µs",
        "server CPU s",
        "generator CPU s",
        "generator µs each",
        "it could drive",
        "target",
    ]);
    for measurement in measurements {
        let Measurement { name, in_flight, rate_per_s, ratio_to_empty, latency_us: latency, .. } = measurement;
        let cpu = |seconds: Option<f64>| seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1}"));
        // Where there are no latencies, there is no slowest call.
        let micros = |micros: u64| if latency.max == 0 { "-".to_owned() } else { micros.to_string() };
        let ratio = if *ratio_to_empty == 0.0 { "-".to_owned() } else { format!("{ratio_to_empty:.2}") };
        let targets = measurement
            .targets
            .iter()
            .map(|target| format!("{} {}", target.text, if target.met { "met" } else { "MISSED" }));
        rows.push_record([
            name.clone(),
            in_flight.to_string(),
            format!("{rate_per_s:.0}"),
            ratio,
            micros(latency.p50),
            micros(latency.p99),
            micros(latency.p999),
            micros(latency.max),
            cpu(measurement.server_cpu_s),
            cpu(measurement.generator_cpu_s),
            cpu(measurement.generator_us_each),
            measurement.generator_headroom.map_or_else(|| "-".to_owned(), |times| format!("{times:.1} ×")),
            targets.collect::<Vec<_>>().join("\n"),
        ]);
    }
    rows
}

/// Ways to sell tickets, one below the other; the last column is text.
fn baselines(baselines: &[Baseline]) -> String {
    let mut rows = Builder::default();
    rows.push_record(["way", "sold/s", "p99 µs", "oversold", "stranded", "survives kill -9", "how"]);
    for baseline in baselines {
        let Baseline { name, rate_per_s, p99_us, oversold, stranded, survives_kill, how } = baseline;
        rows.push_record([
            (*name).to_owned(),
            format!("{rate_per_s:.0}"),
            p99_us.to_string(),
            oversold.to_string(),
            stranded.to_string(),
            if *survives_kill { "yes" } else { "NO" }.to_owned(),
            (*how).to_owned(),
        ]);
    }
    let mut table = rows.build();
    table.with(Style::sharp()).modify(Columns::new(1..6).not(Rows::first()), Alignment::right());
    table.to_string()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        // For programs: too wide for a terminal.
        Value::Array(_) | Value::Object(_) => "in --json".to_owned(),
    }
}
