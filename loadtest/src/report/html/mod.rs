//! The report as a page: one file without scripts, that asks nothing of any network, for any width, in light and dark.

mod audit;
mod axis;
mod baselines;
mod courses;
mod felt;
#[cfg(test)]
mod invented;
mod latencies;
mod measurements;
mod memory;
mod plot;
mod stock;
#[cfg(test)]
mod tests;
mod traffic;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use super::run::Run;
use super::{Report, words};
use crate::cli::Common;
use crate::server::cores;

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(super) fn page(report: &Report, common: &Common, run: &Run) -> String {
    let verdict = if report.passed { "PASS" } else { "FAIL" };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (verdict) ": Boxoffice load test, " (report.scenario) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (top(report, common, run, verdict))
                main {
                    (audit::section(&report.audit))
                    (audit::violations(&report.violations))
                    (baselines::section(&report.baselines))
                    (courses::section(&report.courses))
                    (felt::section(&report.courses))
                    (measurements::section(&report.measurements))
                    (facts(&report.facts))
                    (repeat(run))
                }
            }
        }
    };
    page.into_string()
}

fn top(report: &Report, common: &Common, run: &Run, verdict: &str) -> Markup {
    let servers = match (&common.target, common.servers) {
        (Some(_), _) => "a server that ran already".to_owned(),
        (None, 1) => "1 server".to_owned(),
        (None, more) => format!("{more} servers"),
    };
    html! {
        header {
            p.quiet { "Boxoffice load test" }
            h1 { (report.scenario) " " span.verdict.(if report.passed { "good" } else { "bad" }) { (verdict) } }
            p.summary { (report.summary) }
            ul.run {
                li { (common.store.as_str()) }
                li { (servers) }
                li { "seed " (common.seed) }
                li { (run.date()) }
            }
        }
    }
}

fn facts(facts: &[(&'static str, Value)]) -> Markup {
    if facts.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Further figures" }
            dl.facts { @for (name, value) in facts { div { dt { (words::name(name)) } dd { (plain(name, value)) } } } }
        }
    }
}

fn plain(name: &str, value: &Value) -> String {
    let number = value.as_f64().unwrap_or_default();
    match value {
        Value::Number(_) if name.ends_with("_share") => format!("{:.0} %", number * 100.0),
        Value::Number(_) => words::figure(number),
        Value::String(text) => text.clone(),
        Value::Bool(is) => if *is { "yes" } else { "no" }.to_owned(),
        Value::Null => "–".to_owned(),
        // For programs.
        Value::Array(_) | Value::Object(_) => "in --json".to_owned(),
    }
}

fn repeat(run: &Run) -> Markup {
    html! {
        section {
            h2 { "How to repeat it" }
            pre { (run.command) }
            p.quiet {
                "Version " (env!("CARGO_PKG_VERSION")) ", on a machine with " (words::figure(cores())) " processor cores, which the "
                "generator, the servers and their database shared."
            }
        }
    }
}

/// Colours with what they stand for.
fn legend(entries: &[(&str, &str)]) -> Markup {
    html! {
        ul.legend { @for (class, text) in entries { li { i.swatch.(class) {} (text) } } }
    }
}
