//! What happened over time: one sale at length, or an overview of many.

use maud::{Markup, html};

use super::axis::Axis;
use super::plot::told;
use super::{latencies, memory, stock, traffic};
use crate::report::course::{Course, FaultMark, Latencies, Traffic, round_width, thinned};
use crate::report::words;

/// Points of the stock in an overview, at most.
const SMALL_POINTS_MAX: usize = 60;
/// Intervals of one sale that make up one of all sales, at least: else some of the latter would hold notably more than others.
const INTERVALS_MERGED_MIN: i64 = 5;

/// All courses of a run.
pub(super) fn section(courses: &[Course]) -> Markup {
    html! {
        @match courses {
            [] => {}
            [course] => section { h2 { "Over time" } (at_length(course)) }
            several => (overview(several))
        }
    }
}

fn overview(courses: &[Course]) -> Markup {
    let all = whole(courses);
    html! {
        section {
            h2 { (all.title) ", over time" }
            (traffic::figure(&all, &Axis::of_time(all.span())))
            (marks(&all))
            (latencies::figure(&all.latencies))
        }
        section {
            h2 { "Each sale" }
            ul.overview {
                @for (index, course) in courses.iter().enumerate() { li { a href={ "#sale-" (index + 1) } { (small(course)) } } }
            }
            @for (index, course) in courses.iter().enumerate() {
                details.course {
                    summary { strong { (course.title) } " " span.quiet { (in_short(course)) } }
                    div id={ "sale-" (index + 1) } { (at_length(course)) }
                }
            }
        }
    }
}

fn at_length(course: &Course) -> Markup {
    let x = Axis::of_time(course.span());
    html! {
        (stock::figure(course, &x))
        (traffic::figure(course, &x))
        (memory::figure(course, &x))
        (marks(course))
        (latencies::figure(&course.latencies))
    }
}

/// The stock without any writing but the title.
fn small(course: &Course) -> Markup {
    let thin = Course { stock: thinned(&course.stock, SMALL_POINTS_MAX), ..course.clone() };
    let x = Axis::of_time(course.span());
    html! {
        (stock::small(&thin, &x))
        strong { (course.title) }
        span.quiet { (in_short(course)) }
    }
}

fn in_short(course: &Course) -> String {
    let mut text = String::new();
    if let Some(last) = course.stock.last() {
        text = format!("{} of {} sold, ", words::count(last.sold), words::count(last.capacity));
    }
    text += &format!("{} calls", words::count(course.calls()));
    if course.faults.is_empty() { text } else { format!("{text}, {}", number_of_marks(course)) }
}

fn number_of_marks(course: &Course) -> String {
    course.marked.number_of(course.faults.len())
}

/// All that is marked in words: not every name has room above a plot.
fn marks(course: &Course) -> Markup {
    if course.faults.is_empty() {
        return html! {};
    }
    html! {
        details.faults {
            summary { (number_of_marks(course)) ", shaded above" }
            ol { @for mark in &course.faults { li { (told(mark)) } } }
        }
    }
}

/// All courses as one: their calls, faults and latencies. Their stocks are of different things.
fn whole(courses: &[Course]) -> Course {
    let begun = courses.iter().map(|course| course.begun).min().unwrap_or_default();
    let span = courses.iter().map(|course| course.begun - begun + course.span()).max().unwrap_or_default();
    let widest = courses.iter().flat_map(|course| &course.traffic).map(|interval| interval.width).max();
    let width = round_width(span).max(widest.unwrap_or(1) * INTERVALS_MERGED_MIN);
    let interval = |at| Traffic { at, width, ..Traffic::default() };
    let mut traffic: Vec<_> = (0..=span / width).map(|index| interval(index * width)).collect();
    let mut faults = Vec::new();
    for course in courses {
        let later = course.begun - begun;
        for part in &course.traffic {
            let index = usize::try_from((later + part.at) / width).unwrap_or_default();
            if let Some(interval) = traffic.get_mut(index) {
                interval.add(part);
            }
        }
        let moved = |mark: &FaultMark| FaultMark { from: mark.from + later, to: mark.to + later, ..mark.clone() };
        faults.extend(course.faults.iter().map(moved));
    }
    Course {
        title: format!("All {} sales", courses.len()),
        begun,
        stock: Vec::new(),
        traffic,
        faults,
        marked: courses.first().map(|course| course.marked).unwrap_or_default(),
        latencies: Latencies::sum(courses.iter().map(|course| &course.latencies)),
        memory: Vec::new(),
        felt: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;
    use crate::report::course::Marked;

    #[test]
    fn the_whole_has_the_calls_and_faults_of_all() {
        let course = |begun| Course {
            begun,
            traffic: vec![Traffic { at: SECOND, width: SECOND, granted: 3, failed: 1, ..Traffic::default() }],
            faults: vec![FaultMark { fault: "kill", from: 1, to: 2 }],
            ..Course::default()
        };
        let all = whole(&[course(1_000 * SECOND), course(1_060 * SECOND)]);
        assert_eq!((all.calls(), all.begun), (8, 1_000 * SECOND));
        assert_eq!(all.faults.last().unwrap().from, 60 * SECOND + 1);
    }

    #[test]
    fn what_is_shaded_has_its_right_name() {
        let course = |marked, count| Course {
            faults: vec![FaultMark { fault: "10 ×", from: 1, to: 2 }; count],
            marked,
            ..Course::default()
        };
        assert!(marks(&course(Marked::Levels, 5)).into_string().contains("5 levels of load, shaded above"));
        assert!(marks(&course(Marked::Faults, 1)).into_string().contains("1 fault, shaded above"));
    }
}
