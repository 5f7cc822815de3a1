//! The audit in figures, and what it found, in words.

use maud::{Markup, html};

use crate::audit::findings::Violation;
use crate::report::{AuditCounts, words};

/// The counters: calm where they are zero.
pub(super) fn section(audit: &AuditCounts) -> Markup {
    html! {
        section {
            h2 { "Audit" }
            dl.counts {
                div { dt { "capacity" } dd { (words::count(audit.capacity)) } }
                div { dt { "sold" } dd { (words::count(audit.sold)) } }
                @for (key, count) in audit.violations() {
                    div.(if count == 0 { "calm" } else { "loud" }) { dt { (words::name(key.as_str())) } dd { (words::count(count)) } }
                }
                div { dt { "unknown" } dd { (words::count(audit.unknown)) } }
            }
            p.quiet {
                "Unknown are calls whose outcome the buyer did not learn, because the server was killed or did not answer in time. "
                "They are no violation: the buyer asked again, and the audit holds what came of it against the journal."
            }
        }
    }
}

/// Each violation with what shows it.
pub(super) fn violations(violations: &[Violation]) -> Markup {
    if violations.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Violations" }
            @for violation in violations {
                article.violation {
                    h3 { (words::name(violation.key.as_str())) }
                    p { (violation.text) }
                    @if !violation.evidence.is_empty() { pre { (violation.evidence.join("\n")) } }
                }
            }
        }
    }
}
