//! Sold, held and available over time, against the capacity.

use maud::{Markup, html};

use super::axis::Axis;
use super::legend;
use super::plot::{Plot, area, line};
use crate::report::course::{Course, Stock, thinned};
use crate::report::words;

/// Places that can be pointed at, at most.
const HINTS_MAX: usize = 80;

/// The plot with its legend.
pub(super) fn figure(course: &Course, x: &Axis) -> Markup {
    let Some(last) = course.stock.last() else { return html! {} };
    let says = format!("Tickets over time. At the end {}", told(last));
    html! {
        figure {
            figcaption {
                strong { "Tickets" }
                (legend(&[("sold", "sold"), ("held", "held"), ("free", "available"), ("capacity", "capacity")]))
            }
            (plot(course, x, says, "", true))
        }
    }
}

/// The plot alone, with little in it, for an overview.
pub(super) fn small(course: &Course, x: &Axis) -> Markup {
    plot(course, x, format!("Tickets of {} over time", course.title), "small", false)
}

fn plot(course: &Course, x: &Axis, says: String, class: &'static str, at_length: bool) -> Markup {
    let y = y_axis(&course.stock);
    let thin = thinned(&course.stock, HINTS_MAX);
    let ends = thin.iter().skip(1).map(|stock| stock.at).chain([course.span()]);
    let hints = thin.iter().zip(ends).map(|(stock, end)| {
        let text = format!("{}: {}", words::moment(stock.at), told(stock));
        (x.at_moment(stock.at), x.at_moment(end), text)
    });
    let (shapes, faults) = (shapes(&course.stock, x, &y), &course.faults);
    let hints = if at_length { hints.collect() } else { Vec::new() };
    html! { (Plot { says, class, x, y: &y, shapes, hints, faults, named: at_length }) }
}

fn y_axis(stock: &[Stock]) -> Axis {
    let greatest = stock.iter().map(|stock| stock.capacity.max(stock.taken())).max().unwrap_or_default();
    Axis::of_numbers(greatest as f64)
}

/// Each area stands on the ground and is partly covered by the next, so that they look stacked.
fn shapes(stock: &[Stock], x: &Axis, y: &Axis) -> Markup {
    let steps = |height: fn(&Stock) -> i64| -> Vec<_> {
        stock.iter().map(|stock| (x.at_moment(stock.at), y.at_count(height(stock)))).collect()
    };
    let capacity = steps(|stock| stock.capacity);
    html! {
        (area("free", &capacity, 1.0))
        (area("held", &steps(Stock::taken), 1.0))
        (area("sold", &steps(|stock| stock.sold), 1.0))
        (line("capacity", &capacity, 1.0))
        (oversold(stock, x, y))
    }
}

/// A thick line over every moment at which more was taken than there is: few units among many would be hard to see.
fn oversold(stock: &[Stock], x: &Axis, y: &Axis) -> Markup {
    let is_over = |stock: &Stock| stock.taken() > stock.capacity;
    let mut stretches = stock.chunk_by(|one, other| is_over(one) == is_over(other)).peekable();
    let mut lines = Vec::new();
    while let Some(stretch) = stretches.next() {
        let end = stretches.peek().and_then(|next| next.first()).map_or(1.0, |next| x.at_moment(next.at));
        if stretch.first().is_some_and(is_over) {
            let steps: Vec<_> =
                stretch.iter().map(|stock| (x.at_moment(stock.at), y.at_count(stock.taken()))).collect();
            lines.push(line("oversold", &steps, end));
        }
    }
    html! { @for line in lines { (line) } }
}

fn told(stock: &Stock) -> String {
    let available = (stock.capacity - stock.taken()).max(0);
    let [sold, held, available, capacity] = [stock.sold, stock.held, available, stock.capacity].map(words::count);
    format!("{sold} sold, {held} held, {available} available of {capacity}")
}
