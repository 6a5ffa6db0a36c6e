//! A text: eight tragedies by William Shakespeare. See `data/SOURCES.md`.

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context, Result};
use flate2::read::GzDecoder;

/// The text, which has ASCII characters only.
///
/// # Errors
/// The file cannot be read.
pub fn tragedies() -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/tragedies.txt.gz");
    let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut text = String::new();
    GzDecoder::new(file)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}
