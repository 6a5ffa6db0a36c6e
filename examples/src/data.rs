//! The files in `data/`.

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context, Result};
use flate2::read::GzDecoder;

/// Returns the text in a compressed file of this name.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn read_gz(name: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data")
        .join(name);
    let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut text = String::new();
    GzDecoder::new(file)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}
