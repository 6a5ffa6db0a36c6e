//! The texts of errors. They are bounded, and some are joined to one line.

/// The largest number of bytes in the text of one step. A longer text loses its middle. A text can
/// grow with each process that it comes through, and each process copies it.
pub(super) const MAX_TEXT: usize = 16 << 10;

/// Joins the lines of a text, trimmed, with `; `.
pub(crate) fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("; ")
}

/// Returns the text, or the beginning and the end of a long one.
pub(super) fn bounded(text: String) -> String {
    if text.len() <= MAX_TEXT {
        return text;
    }
    let half = MAX_TEXT / 2 - 50;
    let is_boundary = |at: &usize| text.is_char_boundary(*at);
    let begin = (0..=half).rev().find(is_boundary).unwrap_or(0);
    let end = text.len() - half;
    let end = (end..text.len()).find(is_boundary).unwrap_or(text.len());
    let left_out = end - begin;
    format!(
        "{} [.. {left_out} bytes left out ..] {}",
        &text[..begin],
        &text[end..]
    )
}
