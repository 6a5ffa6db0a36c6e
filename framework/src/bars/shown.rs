//! Bars by `indicatif`: all bars of the process are below each other, and what workers print goes
//! above them.

use std::{
    fmt,
    io::IsTerminal,
    os::fd::BorrowedFd,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use mobula_protocol::ObjectHandle;

use super::steps::{PARTS, Steps, Ticker};

/// A bar is drawn again after this time, so that its clock goes on while nothing comes.
const REDRAW: Duration = Duration::from_millis(200);

/// Bars are drawn so many times in a second at most.
const DRAWS: u8 = 15;

/// How a bar looks, with and without a known end.
const STYLE: &str = "{prefix} {bar:30} {done}/{total} [{elapsed}, {eta} left]";
const STYLE_WITHOUT_END: &str = "{prefix} {spinner} {done} [{elapsed}, {rate}/s]";

static BARS: LazyLock<MultiProgress> =
    LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS)));

/// How many bars there are: without any, nothing looks at [`BARS`].
static SHOWN: AtomicUsize = AtomicUsize::new(0);

/// A bar, or none where standard error is no terminal.
#[derive(Debug)]
pub(crate) struct Bar(Option<Shown>);

/// A bar that is shown. Its own unit is a part of a step.
#[derive(Debug)]
struct Shown {
    bar: ProgressBar,
    steps: Arc<Steps>,
    /// Ends with the bar.
    ticker: Ticker,
}

impl Bar {
    pub(crate) const fn none() -> Bar {
        Bar(None)
    }

    /// Shows a bar of this name at 0 of `total`.
    pub(crate) fn new(name: &str, total: Option<u64>) -> Bar {
        if !std::io::stderr().is_terminal() {
            return Bar(None);
        }
        let (bar, style) = match total {
            Some(total) => (ProgressBar::new(total.saturating_mul(PARTS)), STYLE),
            None => (ProgressBar::no_length(), STYLE_WITHOUT_END),
        };
        if let Ok(style) = style_of(style) {
            bar.set_style(style);
        }
        SHOWN.fetch_add(1, Ordering::SeqCst);
        let bar = BARS.add(bar);
        bar.set_prefix(in_one_line(name));
        bar.tick();
        let steps = Arc::new(Steps::default());
        let ticker = Ticker::start(REDRAW, {
            let (bar, steps) = (bar.clone(), steps.clone());
            move || {
                bar.set_position(steps.parts());
                bar.tick();
            }
        });
        Bar(Some(Shown { bar, steps, ticker }))
    }

    /// A task runs that is one of the steps. Until it has ended, its own progress moves the bar.
    pub(crate) fn begin(&self, task: &Arc<ObjectHandle>) {
        if let Some(shown) = &self.0 {
            shown.steps.begin(task);
        }
    }

    /// That task has ended, and counts with the next [`advance`](Bar::advance).
    pub(crate) fn end(&self, task: &Arc<ObjectHandle>) {
        if let Some(shown) = &self.0 {
            shown.steps.end(task);
        }
    }

    /// Adds steps that are done.
    #[inline]
    pub(crate) fn advance(&self, steps: usize) {
        if let Some(Shown {
            bar, steps: all, ..
        }) = &self.0
        {
            all.advance(steps as u64);
            bar.set_position(all.parts());
        }
    }

    /// There are so many further steps to do.
    pub(crate) fn extend(&self, steps: usize) {
        if let Some(Shown { bar, .. }) = &self.0 {
            bar.inc_length((steps as u64).saturating_mul(PARTS));
        }
    }
}

impl Drop for Bar {
    /// A line takes the place of the bar. `indicatif` would forget a finished bar as soon as
    /// something is printed above the others.
    fn drop(&mut self) {
        let Some(shown) = self.0.take() else { return };
        // A thread that the child does not have may hold the lock of the bars.
        if mobula_store::is_forked_child() {
            return std::mem::forget(shown);
        }
        let Shown { bar, steps, ticker } = shown;
        // Nothing draws the bar afterwards.
        drop(ticker);
        let (name, done, took) = (bar.prefix(), steps.done(), bar.elapsed());
        let of = bar
            .length()
            .map_or(String::new(), |total| format!("/{}", total / PARTS));
        bar.finish_and_clear();
        BARS.remove(&bar);
        // The terminal may be gone.
        let _ = BARS.println(format!("{name} {done}{of} [{:.1} s]", took.as_secs_f64()));
        SHOWN.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A style whose numbers are steps.
fn style_of(template: &str) -> Result<ProgressStyle, indicatif::style::TemplateError> {
    let style = ProgressStyle::with_template(template)?;
    Ok(style
        .with_key("done", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = write!(out, "{}", state.pos() / PARTS);
        })
        .with_key(
            "total",
            |state: &ProgressState, out: &mut dyn fmt::Write| {
                let _ = write!(out, "{}", state.len().unwrap_or(0) / PARTS);
            },
        )
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = write!(out, "{:.1}", state.per_sec() / PARTS as f64);
        }))
}

/// A name that does not break the line.
fn in_one_line(name: &str) -> String {
    let mut line = String::new();
    for char in name.chars() {
        match char.is_control() {
            true => line.extend(char.escape_default()),
            false => line.push(char),
        }
    }
    line
}

/// Calls `write`, which writes to `output`. If that is a terminal and there are bars, these are
/// cleared before and drawn below what was written.
pub(crate) fn above(output: BorrowedFd<'_>, write: impl FnOnce()) {
    if SHOWN.load(Ordering::SeqCst) > 0 && output.is_terminal() {
        BARS.suspend(write);
    } else {
        write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_takes_one_line() {
        assert_eq!(in_one_line("scoring ä"), "scoring ä");
        assert_eq!(in_one_line("a\nb\u{1b}[2J"), "a\\nb\\u{1b}[2J");
    }

    #[test]
    fn styles_are_understood() {
        for style in [STYLE, STYLE_WITHOUT_END] {
            style_of(style).unwrap();
        }
    }
}
