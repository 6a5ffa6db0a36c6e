//! Backtraces as the standard library prints them at a panic.

/// The standard library's mark between a panic and the function that panicked.
const END: &str = "__rust_end_short_backtrace";

/// The callers of a task. One is the function that `#[remote]` makes for each remote function. The
/// other is the one in `panics`, with the standard library's name for such a mark.
const BEGINNINGS: [&str; 2] = ["__mobula_run", "__rust_begin_short_backtrace"];

/// Returns the frames of a captured backtrace that are the program's own. Leaves out the frames of
/// the panic itself at the beginning, and the frames that called the task at the end. `in_full`:
/// all frames.
///
/// A program without symbols has no marks, and its frames stay as they are.
pub(super) fn trimmed(backtrace: &str, in_full: bool) -> String {
    let frames = frames(backtrace);
    let mut own = &frames[..];
    if !in_full {
        let has = |marks: &'static [&str]| {
            move |frame: &Vec<&str>| marks.iter().any(|mark| frame[0].contains(mark))
        };
        if let Some(at) = own.iter().position(has(&[END])) {
            own = &own[at + 1..];
        }
        if let Some(at) = own.iter().position(has(&BEGINNINGS)) {
            own = &own[..at];
        }
    }
    let mut text = String::new();
    for (number, frame) in own.iter().enumerate() {
        for (n, line) in frame.iter().enumerate() {
            let separator = if text.is_empty() { "" } else { "\n" };
            match line.split_once(':').filter(|_| n == 0) {
                Some((_, name)) => text += &format!("{separator}{number:4}:{name}"),
                None => text += &format!("{separator}{line}"),
            }
        }
    }
    text
}

/// Returns the lines of each frame. The first line begins with the frame's number.
fn frames(backtrace: &str) -> Vec<Vec<&str>> {
    let mut frames: Vec<Vec<&str>> = Vec::new();
    for line in backtrace.lines() {
        let number = line.split_once(':').map(|(number, _)| number.trim());
        let begins = number.is_some_and(|number| number.parse::<u32>().is_ok());
        match frames.last_mut() {
            Some(frame) if !begins => frame.push(line),
            _ => frames.push(vec![line]),
        }
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTURED: &str = "   0: <std::backtrace::Backtrace>::create
   1: std::panicking::panic_with_hook
             at /rustc/library/std/src/panicking.rs:833:13
   2: std::sys::backtrace::__rust_end_short_backtrace::<..>
   3: core::panicking::panic_fmt
  10: program::score
             at ./src/main.rs:5:9
  11: mobula_worker::process::panics::__rust_begin_short_backtrace::<..>
  12: main";

    #[test]
    fn frames_of_others_are_left_out() {
        assert_eq!(
            trimmed(CAPTURED, false),
            "   0: core::panicking::panic_fmt\n   1: program::score\n             at ./src/main.rs:5:9"
        );
    }

    #[test]
    fn all_frames_stay_where_they_are_wanted_or_have_no_names() {
        assert_eq!(trimmed(CAPTURED, true).lines().count(), 9);
        let nameless = "   0: <unknown>\n   1: <unknown>";
        assert_eq!(trimmed(nameless, false), nameless);
        assert_eq!(trimmed("", false), "");
    }
}
