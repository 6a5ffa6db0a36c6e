//! The types that show a whole rectangle of a shared array.

use super::LentTile;

/// A type that shows all elements of a lent rectangle of a two-dimensional shared array.
///
/// These are `ArrayViewMut2<'_, T>` of each version of `ndarray` whose feature is on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a view of a tile of elements `{E}`",
    label = "not a view that Mobula knows",
    note = "the known ones are `ArrayViewMut2<'_, {E}>` of `ndarray` 0.16, with the feature `ndarray-0_16` (or `ndarray`), and of `ndarray` 0.17, with the feature `ndarray-0_17`"
)]
pub trait TileView<'a, E>: Sized {
    /// Returns the view. Not public API.
    #[doc(hidden)]
    fn of(tile: &'a mut LentTile<E>) -> Self;
}

#[cfg(any(feature = "ndarray-0_16", feature = "ndarray-0_17"))]
macro_rules! tile_view {
    ($ndarray:ident) => {
        #[diagnostic::do_not_recommend]
        impl<'a, E: bytemuck::Pod> TileView<'a, E> for $ndarray::ArrayViewMut2<'a, E> {
            fn of(tile: &'a mut LentTile<E>) -> $ndarray::ArrayViewMut2<'a, E> {
                use $ndarray::ShapeBuilder as _;
                let shape = (tile.rows, tile.columns).strides((tile.width.max(1), 1));
                // SAFETY: as for `LentTile::row_mut`, for all rows: the elements that shape and
                // strides name are those of the rectangle, are apart from one another (a row is no
                // longer than the stride), and are borrowed with `tile`. An empty rectangle's
                // address is aligned and never read.
                unsafe { Self::from_shape_ptr(shape, tile.start.as_ptr()) }
            }
        }
    };
}

#[cfg(feature = "ndarray-0_16")]
tile_view!(ndarray);
#[cfg(feature = "ndarray-0_17")]
tile_view!(ndarray17);
