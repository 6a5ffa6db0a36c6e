//! A task's reports of how far it is.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use mobula_protocol::TaskProgress;
use parking_lot::Mutex;

use super::TaskContext;
use crate::process::Run;

/// The shortest time between two reports of a task to the driver.
const INTERVAL: Duration = Duration::from_millis(100);

/// How many runs are remembered. A worker runs fewer tasks at a time, so old runs have ended.
const MOST: usize = 256;

/// The latest runs that have reported, in the order of their first reports. The end of a run does
/// nothing here, so runs that report nothing pay for nothing.
static REPORTS: Mutex<VecDeque<(Run, Report)>> = Mutex::new(VecDeque::new());

/// Tells the program how far the task is. [`TaskContext::progress`](super::TaskContext::progress)
/// returns it.
///
/// A copy can be moved to a thread that the task has started, and to other threads of an
/// asynchronous function. All copies of a run count together. Calls of a map that share a task
/// count together, too.
///
/// A call costs some 100 ns. The driver is told at the first call, then not more often than every
/// 100 ms, and at once when all is done. A value in between is told with the next call only, since
/// no thread watches for the time.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn sum(numbers: Vec<u64>) -> u64 {
///     let progress: mobula::Progress = mobula::context().progress();
///     progress.set(0, numbers.len() as u64);
///     let add = |sum, n| {
///         progress.inc(1);
///         sum + n
///     };
///     numbers.into_iter().fold(0, add)
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// assert_eq!(rt.spawn(sum::remote(vec![1, 2, 3])).get()?, 6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// `None` outside of a worker's tasks.
    run: Option<Run>,
}

impl TaskContext {
    /// Returns the value by which the task tells the program how far it is. See [`Progress`].
    ///
    /// The program reads it by `ObjectRef::progress`. A task that does not use it pays nothing.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn simulate(steps: u64) -> u64 {
    ///     let progress = mobula::context().progress();
    ///     for step in 0..steps {
    ///         progress.set(step, steps);
    ///         // ..
    ///     }
    ///     steps
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.spawn(simulate::remote(100)).get()?, 100);
    /// # Ok(())
    /// # }
    /// ```
    pub fn progress(&self) -> Progress {
        let run = self.task.as_ref().and_then(|task| task.run);
        Progress {
            run: run.filter(|run| !run.is_within()),
        }
    }
}

impl Progress {
    /// Says that `done` of `total` steps are done. A total of 0 means that the total is not known.
    ///
    /// Does nothing outside of tasks, and on the inline engine, whose calls have ended before any
    /// caller can ask.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn rows(count: u64) {
    ///     for row in 0..count {
    ///         mobula::context().progress().set(row, count);
    ///     }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// rt.spawn(rows::remote(10)).get()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set(&self, done: u64, total: u64) {
        self.change(|_| TaskProgress { done, total });
    }

    /// Says that `steps` further steps are done.
    ///
    /// Does nothing where [`set`](Self::set) does nothing.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn lines(text: &str) -> usize {
    ///     let progress = mobula::context().progress();
    ///     text.lines().inspect(|_| progress.inc(1)).count()
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.spawn(lines::remote("a\nb")).get()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn inc(&self, steps: u64) {
        self.change(|now| TaskProgress {
            done: now.done.saturating_add(steps),
            total: now.total,
        });
    }

    fn change(&self, change: impl FnOnce(TaskProgress) -> TaskProgress) {
        let Some(run) = self.run else { return };
        let report = {
            let mut reports = REPORTS.lock();
            let report = report_of(&mut reports, run);
            report.progress = change(report.progress);
            report.is_due(Instant::now()).then_some(report.progress)
        };
        if let Some(progress) = report {
            run.report(progress);
        }
    }
}

fn report_of(reports: &mut VecDeque<(Run, Report)>, run: Run) -> &mut Report {
    // Mostly it is the latest run.
    let at = match reports.iter().rposition(|(of, _)| *of == run) {
        Some(at) => at,
        None => {
            if reports.len() == MOST {
                reports.pop_front();
            }
            reports.push_back((run, Report::default()));
            reports.len() - 1
        }
    };
    &mut reports[at].1
}

#[derive(Clone, Copy, Debug, Default)]
struct Report {
    progress: TaskProgress,
    /// When the driver was told last.
    told: Option<Instant>,
    /// Whether the driver knows that all is done.
    complete: bool,
}

impl Report {
    /// Whether the driver is to be told now.
    fn is_due(&mut self, now: Instant) -> bool {
        let TaskProgress { done, total } = self.progress;
        let is_complete = total > 0 && done >= total;
        let completes = is_complete && !self.complete;
        let waited = self
            .told
            .is_none_or(|told| now.duration_since(told) >= INTERVAL);
        if !waited && !completes {
            return false;
        }
        // Once for each run. Otherwise a task that is complete again and again would report too
        // often.
        self.complete |= is_complete;
        self.told = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(report: &mut Report, done: u64, total: u64, now: Instant) -> bool {
        report.progress = TaskProgress { done, total };
        report.is_due(now)
    }

    #[test]
    fn the_driver_is_told_ten_times_a_second_at_most() {
        let (start, mut report) = (Instant::now(), Report::default());
        let told = (0..1_000).filter(|n| at(&mut report, *n, 2_000, start + MS * *n as u32));
        assert!(told.eq((0..1_000).step_by(100)));
    }

    #[test]
    fn the_end_is_told_at_once_and_once() {
        let (start, mut report) = (Instant::now(), Report::default());
        assert!(at(&mut report, 1, 3, start));
        assert!(!at(&mut report, 2, 3, start + MS));
        assert!(at(&mut report, 3, 3, start + 2 * MS));
        for n in 3..50 {
            assert!(!at(&mut report, 1, 3, start + n * MS));
            assert!(!at(&mut report, 3, 3, start + n * MS));
        }
        assert!(at(&mut report, 3, 3, start + 102 * MS));
        // A task that is complete from the beginning reports once, too.
        let mut report = Report::default();
        assert!(at(&mut report, 3, 3, start));
        assert!(!at(&mut report, 3, 3, start));
    }

    #[test]
    fn an_unknown_total_is_never_complete() {
        let (start, mut report) = (Instant::now(), Report::default());
        assert!(at(&mut report, 0, 0, start));
        assert!(!at(&mut report, 7, 0, start + MS));
    }
}
