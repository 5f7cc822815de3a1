//! Calls over time: what was granted, what was refused, and what failed.

use maud::{Markup, html};

use super::axis::Axis;
use super::legend;
use super::plot::{Plot, area};
use crate::clock::SECOND;
use crate::report::course::{Course, Traffic};
use crate::report::words;

/// Two plots: the answers, stacked; and below them, on a scale of its own, what failed, which are few among many.
pub(super) fn figure(course: &Course, x: &Axis) -> Markup {
    if course.traffic.is_empty() {
        return html! {};
    }
    let failures: u64 = course.traffic.iter().map(|interval| interval.failed).sum();
    html! {
        figure {
            figcaption {
                strong { "Calls a second" }
                (legend(&[("granted", "granted"), ("lacking", "units lacking"), ("refused", "refused otherwise")]))
            }
            (answered(course, x))
        }
        @if failures == 0 {
            p.quiet { "No call failed: none found the server too busy, and the outcome of each is known." }
        } @else {
            figure {
                figcaption {
                    strong { "Calls a second that failed" }
                    (legend(&[("failed", "busy, or outcome unknown")]))
                }
                (failed(course, x, failures))
            }
        }
    }
}

fn answered(course: &Course, x: &Axis) -> Markup {
    let traffic = &course.traffic;
    let answers = |interval: &Traffic| interval.granted + interval.lacking + interval.refused;
    let y = Axis::of_numbers(greatest(traffic, answers));
    let end = end(course, x);
    let steps = |of: fn(&Traffic) -> u64| steps(traffic, x, &y, of);
    let (all, granted) = (steps(answers), steps(|interval| interval.granted));
    let lacking = steps(|interval| interval.granted + interval.lacking);
    let shapes = html! {
        (area("refused", &all, end))
        (area("lacking", &lacking, end))
        (area("granted", &granted, end))
    };
    let count: u64 = traffic.iter().map(answers).sum();
    let says = format!("Calls a second over time; {} were answered in all", words::count(count));
    html! { (Plot { says, class: "", x, y: &y, shapes, hints: hints(traffic, x), faults: &course.faults, named: true }) }
}

fn failed(course: &Course, x: &Axis, failures: u64) -> Markup {
    let traffic = &course.traffic;
    let y = Axis::of_numbers(greatest(traffic, |interval| interval.failed));
    let steps = steps(traffic, x, &y, |interval| interval.failed);
    let end = end(course, x);
    let shapes = area("failed", &steps, end);
    let says = format!("Calls a second that failed over time; {} in all", words::count(failures));
    let hints = hints(traffic, x);
    html! { (Plot { says, class: "low", x, y: &y, shapes, hints, faults: &course.faults, named: false }) }
}

fn end(course: &Course, x: &Axis) -> f64 {
    course.traffic.last().map_or(1.0, |interval| x.at_moment(interval.at + interval.width))
}

fn per_second(count: u64, interval: &Traffic) -> f64 {
    count as f64 * SECOND as f64 / interval.width.max(1) as f64
}

fn greatest(traffic: &[Traffic], of: fn(&Traffic) -> u64) -> f64 {
    traffic.iter().map(|interval| per_second(of(interval), interval)).fold(0.0, f64::max)
}

fn steps(traffic: &[Traffic], x: &Axis, y: &Axis, of: fn(&Traffic) -> u64) -> Vec<(f64, f64)> {
    traffic.iter().map(|interval| (x.at_moment(interval.at), y.at(per_second(of(interval), interval)))).collect()
}

fn hints(traffic: &[Traffic], x: &Axis) -> Vec<(f64, f64, String)> {
    let hint = |interval: &Traffic| {
        let rate = |count| words::figure(per_second(count, interval).round());
        let Traffic { at, width, granted, lacking, refused, failed } = *interval;
        let [granted, lacking, refused, failed] = [granted, lacking, refused, failed].map(rate);
        let (from, to) = (words::moment(at), words::moment(at + width));
        let text = format!(
            "{from} to {to}, a second: {granted} granted, {lacking} lacking, {refused} refused, {failed} failed"
        );
        (x.at_moment(at), x.at_moment(at + width), text)
    };
    traffic.iter().map(hint).collect()
}
