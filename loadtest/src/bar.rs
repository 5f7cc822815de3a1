//! Progress bars.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on the terminal; where there is none it stays hidden.
pub(super) fn new(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let style = ProgressStyle::with_template("{elapsed_precise} {wide_bar} {human_pos}/{human_len} {msg}");
    style.map(|style| bar.clone().with_style(style)).unwrap_or(bar)
}
