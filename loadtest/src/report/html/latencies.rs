//! Latencies by RPC and outcome: percentiles as marks on a logarithmic scale, and as figures.

use maud::{Markup, html};

use super::axis::Decades;
use super::plot::percent;
use crate::report::course::{CallLatency, Latencies};
use crate::report::words;

/// Rows that are drawn, at most: those with the most calls. The table has all.
const DRAWN_MAX: usize = 12;

/// The drawing, and the table folded below it.
pub(super) fn figure(latencies: &Latencies) -> Markup {
    let rows = latencies.rows();
    if rows.is_empty() {
        return html! {};
    }
    html! {
        figure {
            figcaption {
                strong { "Latency" }
                ul.legend {
                    li { i.mark.p50 {} "p50" }
                    li { i.mark.p90 {} "p90" }
                    li { i.mark.p99 {} "p99" }
                    li { i.mark.p999 {} "p99.9" }
                    li { i.mark.slowest {} "slowest" }
                }
            }
            (drawn(&rows))
            details {
                summary { "All percentiles as figures" }
                (table(&rows))
            }
        }
    }
}

fn drawn(rows: &[CallLatency]) -> Markup {
    let mut counts: Vec<_> = rows.iter().map(|row| row.count).collect();
    counts.sort_unstable_by(|one, other| other.cmp(one));
    let least = counts.get(DRAWN_MAX - 1).copied().unwrap_or_default();
    let drawn: Vec<_> = rows.iter().filter(|row| row.count >= least).take(DRAWN_MAX).collect();
    let scale = Decades::around(&drawn.iter().flat_map(|row| [number(row.p50), number(row.max)]));
    html! {
        div.strips {
            div.strip.scale {
                span {}
                span.marks {
                    @for (at, power) in scale.powers() { span.x style={ "left:" (percent(at)) } { (of_power(power)) } }
                }
            }
            @for row in &drawn { (strip(row, &scale)) }
        }
        @if drawn.len() < rows.len() { p.quiet { "Drawn: those with the most calls. The table below has all." } }
    }
}

fn strip(row: &CallLatency, scale: &Decades) -> Markup {
    let at = |micros| scale.at(number(micros));
    let marks = [
        ("p50", "p50", row.p50),
        ("p90", "p90", row.p90),
        ("p99", "p99", row.p99),
        ("p999", "p99.9", row.p999),
        ("slowest", "slowest", row.max),
    ];
    html! {
        div.strip {
            span.name { (row.rpc) " " span.outcome { (words::name(&row.outcome.to_lowercase())) } }
            span.marks {
                @for (at, _) in scale.powers() { i.grid style={ "left:" (percent(at)) } {} }
                i.range style={ "left:" (percent(at(row.p50))) ";width:" (percent(at(row.max) - at(row.p50))) } {}
                @for (class, name, micros) in marks {
                    i.mark.(class) style={ "left:" (percent(at(micros))) } title={ (name) " " (words::latency(micros)) } {}
                }
            }
        }
    }
}

fn table(rows: &[CallLatency]) -> Markup {
    html! {
        div.scroll {
            table {
                thead {
                    tr {
                        th { "call" } th { "outcome" }
                        @for head in ["count", "p50", "p90", "p99", "p99.9", "p99.99", "max"] { th.number { (head) } }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            th { (row.rpc) } td { (row.outcome) } td.number { (words::count(row.count)) }
                            @for micros in [row.p50, row.p90, row.p99, row.p999, row.p9999, row.max] {
                                td.number { (words::latency(micros)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn number(micros: u64) -> f64 {
    micros as f64
}

/// A power of ten, from a microsecond on.
fn of_power(micros: f64) -> String {
    let (number, unit) = match micros {
        ..999.0 => (micros, "µs"),
        ..999_999.0 => (micros / 1e3, "ms"),
        _ => (micros / 1e6, "s"),
    };
    format!("{number:.0} {unit}")
}
