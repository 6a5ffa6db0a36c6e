//! A text: eight tragedies by William Shakespeare. See `data/SOURCES.md`.

use anyhow::Result;

use crate::data::read_gz;

/// Returns the text, which has ASCII characters only.
///
/// # Errors
/// The file cannot be read.
pub fn tragedies() -> Result<String> {
    read_gz("tragedies.txt.gz")
}
