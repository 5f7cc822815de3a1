//! The server's memory over time.

use maud::{Markup, html};

use super::axis::Axis;
use super::plot::{Plot, area};
use crate::report::course::{Course, Memory};
use crate::report::words;

const BYTES_PER_MB: f64 = 1e6;

/// A plot, if it was looked at.
pub(super) fn figure(course: &Course, x: &Axis) -> Markup {
    let Some(last) = course.memory.last() else { return html! {} };
    let y = Axis::of_numbers(course.memory.iter().map(megabytes).fold(0.0, f64::max));
    let steps: Vec<_> = course.memory.iter().map(|each| (x.at_moment(each.at), y.at(megabytes(each)))).collect();
    let shapes = area("free", &steps, x.at_moment(course.span()));
    let says = format!("Memory of the server over time, in MB; at the end {}", words::figure(megabytes(last).round()));
    html! {
        figure {
            figcaption { strong { "Memory of the server, MB" } }
            (Plot { says, class: "low", x, y: &y, shapes, hints: Vec::new(), faults: &course.faults, named: false })
        }
    }
}

fn megabytes(memory: &Memory) -> f64 {
    memory.bytes as f64 / BYTES_PER_MB
}
