//! Ways to sell tickets, one beside the other.

use maud::{Markup, html};

use super::axis::Decades;
use super::plot::percent;
use crate::report::baseline::Baseline;
use crate::report::words;

/// One card for each way.
pub(super) fn section(baselines: &[Baseline]) -> Markup {
    if baselines.is_empty() {
        return html! {};
    }
    let scale = Decades::around(&baselines.iter().map(|baseline| baseline.rate_per_s));
    html! {
        section {
            h2 { "Ways to sell tickets" }
            p.quiet {
                "Tickets sold a second, on a logarithmic scale: each line is ten times the one before. The 99th percentile is "
                "that of single purchases."
            }
            div.ways {
                div.way.scale { span.track {
                    @for (at, power) in scale.powers() { span.x style={ "left:" (percent(at)) } { (words::figure(power)) "/s" } }
                } }
                @for baseline in baselines { (way(baseline, &scale)) }
            }
        }
    }
}

fn way(baseline: &Baseline, scale: &Decades) -> Markup {
    html! {
        div.way {
            div.head {
                strong { (words::name(baseline.name)) }
                span.quiet { (baseline.how) }
            }
            span.track {
                @for (at, _) in scale.powers() { i.grid style={ "left:" (percent(at)) } {} }
                i.fill.(if baseline.name == "boxoffice" { "ours" } else { "theirs" })
                    style={ "width:" (percent(scale.at(baseline.rate_per_s))) } {}
            }
            div.facts {
                span.value { (words::figure(baseline.rate_per_s.round())) "/s" }
                span { "p99 " (words::latency(baseline.p99_us)) }
                (badge(baseline.oversold == 0, "none oversold", &format!("{} oversold", words::count(baseline.oversold))))
                (badge(baseline.stranded == 0, "none stranded", &format!("{} stranded", words::count(baseline.stranded))))
                (badge(baseline.survives_kill, "survives kill -9", "loses sales on kill -9"))
            }
        }
    }
}

fn badge(is_good: bool, good: &str, bad: &str) -> Markup {
    html! {
        @if is_good { span.badge.good { "✓ " (good) } } @else { span.badge.bad { "✗ " (bad) } }
    }
}
