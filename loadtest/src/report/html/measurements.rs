//! Rates and latencies, each beside the empty call.

use maud::{Markup, html};

use super::axis::Axis;
use super::plot::percent;
use crate::report::{Measurement, words};

/// Bars against the empty call, and all figures as a table.
pub(super) fn section(measurements: &[Measurement]) -> Markup {
    if measurements.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Rates" }
            @if measurements.len() > 1 { (bars(measurements)) }
            (table(measurements))
            (targets(measurements))
        }
    }
}

/// What was to be reached. Long lines, for which a table has no room.
fn targets(measurements: &[Measurement]) -> Markup {
    let all: Vec<_> = measurements.iter().flat_map(|m| m.targets.iter().map(move |target| (m, target))).collect();
    html! {
        @if !all.is_empty() {
            h3 { "Targets" }
            ul.targets {
                @for (measurement, target) in all {
                    li {
                        span.badge.(if target.met { "good" } else { "bad" }) { @if target.met { "✓ met" } @else { "✗ missed" } }
                        span { strong { (measurement.name) "@" (measurement.in_flight) } ": " (target.text) }
                    }
                }
            }
        }
    }
}

fn bars(measurements: &[Measurement]) -> Markup {
    let rates = measurements.iter().flat_map(|m| [Some(m.rate_per_s), empty_rate(m)]).flatten();
    let scale = Axis::of_numbers(rates.fold(0.0, f64::max));
    html! {
        figure {
            figcaption {
                strong { "Calls a second" }
                ul.legend {
                    li { i.swatch.granted {} "median of the turns" }
                    li { i.swatch.reference {} "the empty call that it is compared with" }
                }
            }
            div.bars { @for measurement in measurements { (bar(measurement, &scale)) } }
        }
    }
}

fn bar(measurement: &Measurement, scale: &Axis) -> Markup {
    html! {
        div.row {
            span.name { (measurement.name) " " span.outcome { (measurement.in_flight) " in flight" } }
            span.track {
                i.fill style={ "width:" (percent(scale.at(measurement.rate_per_s))) } {}
                @if let Some(rate) = empty_rate(measurement) { i.reference style={ "left:" (percent(scale.at(rate))) } {} }
            }
            span.value {
                (words::figure(measurement.rate_per_s.round())) "/s"
                @if measurement.ratio_to_empty > 0.0 { span.quiet { " " (times(measurement.ratio_to_empty)) " of empty" } }
            }
        }
    }
}

/// The rate of the empty call that it is compared with, where there is one and it is another.
fn empty_rate(measurement: &Measurement) -> Option<f64> {
    let ratio = Some(measurement.ratio_to_empty).filter(|ratio| *ratio > 0.0)?;
    (measurement.name != "empty").then(|| measurement.rate_per_s / ratio)
}

fn table(measurements: &[Measurement]) -> Markup {
    let heads = ["in flight", "rate/s", "of empty", "p50", "p99", "p99.9", "max", "server CPU", "generator CPU"];
    html! {
        div.scroll {
            table {
                thead { tr { th { "call" } @for head in heads { th.number { (head) } } } }
                tbody { @for measurement in measurements { (row(measurement)) } }
            }
        }
    }
}

fn row(measurement: &Measurement) -> Markup {
    let latency = measurement.latency_us;
    // Where there are no latencies, there is no slowest call.
    let told = |micros| if latency.max == 0 { "–".to_owned() } else { words::latency(micros) };
    let cpu = |seconds: Option<f64>| seconds.map_or_else(|| "–".to_owned(), |seconds| format!("{seconds:.1} s"));
    let ratio = measurement.ratio_to_empty;
    html! {
        tr {
            th { (measurement.name) }
            td.number { (measurement.in_flight) }
            td.number { (words::figure(measurement.rate_per_s.round())) }
            td.number { @if ratio > 0.0 { (times(ratio)) } @else { "–" } }
            @for micros in [latency.p50, latency.p99, latency.p999, latency.max] { td.number { (told(micros)) } }
            td.number { (cpu(measurement.server_cpu_s)) }
            td.number { (cpu(measurement.generator_cpu_s)) }
        }
    }
}

fn times(ratio: f64) -> String {
    format!("{ratio:.2}")
}
