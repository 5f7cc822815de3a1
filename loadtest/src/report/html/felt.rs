//! What buyers felt of faults.

use maud::{Markup, html};

use crate::report::course::Course;
use crate::report::felt::{cells, heads, worst};

/// A row for each kind of fault.
pub(super) fn section(courses: &[Course]) -> Markup {
    let worst = worst(courses);
    if worst.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "What buyers felt of it" }
            p.quiet {
                "The 99th percentile of CreateReservation in the two seconds before each fault, and from its beginning until two "
                "seconds after its end (or until the next fault); the worst of each kind. The last column looks at each tenth of "
                "a second by itself."
            }
            div.scroll {
                table {
                    thead { tr { @for (index, head) in heads().iter().enumerate() { th.number[index > 0] { (head) } } } }
                    tbody {
                        @for worst in &worst {
                            tr { @for (index, cell) in cells(worst).iter().enumerate() { td.number[index > 0] { (cell) } } }
                        }
                    }
                }
            }
        }
    }
}
