//! Handwritten digits: 1,797 images of 8 x 8 pixels. See `data/SOURCES.md`.

use anyhow::{Context, Result, ensure};

use crate::{Random, data::read_gz};

/// The number of pixels in an image.
pub const PIXELS: usize = 64;

/// An image, row by row. A pixel is 0 (paper) to 16 (ink).
pub type Image = [u8; PIXELS];

/// Images and their digits.
#[derive(Clone, Debug)]
pub struct Digits {
    /// The images.
    pub images: Vec<Image>,
    /// The digit in each image, 0 to 9.
    pub labels: Vec<u8>,
}

/// Returns the data as text: a line per image, 64 pixels and the digit, separated by commas.
///
/// # Errors
/// The file cannot be read.
pub fn csv() -> Result<String> {
    read_gz("digits.csv.gz")
}

/// Returns an image and its digit from one line.
///
/// # Errors
/// The line has another number of fields, or a field is no number from 0 to 255.
pub fn parse(line: &str) -> Result<(Image, u8)> {
    let mut fields = line.split(',');
    let mut image = [0; PIXELS];
    for pixel in &mut image {
        *pixel = fields.next().context("too few fields")?.parse()?;
        ensure!(*pixel <= 16, "a pixel is 0 to 16, not {pixel}");
    }
    let label = fields.next().context("too few fields")?.parse()?;
    ensure!(label <= 9, "a digit is 0 to 9, not {label}");
    ensure!(fields.next().is_none(), "too many fields");
    Ok((image, label))
}

impl Digits {
    /// Loads the images in a shuffled order, which is always the same.
    ///
    /// # Errors
    /// The file cannot be read, or is malformed.
    pub fn load() -> Result<Digits> {
        let text = csv()?;
        let mut rows = text.lines().map(parse).collect::<Result<Vec<_>>>()?;
        Random::new(0, 0).shuffle(&mut rows);
        let (images, labels) = rows.into_iter().unzip();
        Ok(Digits { images, labels })
    }
}
