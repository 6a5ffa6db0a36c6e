//! Stands in for bars if the feature is off.

use std::sync::Arc;

use mobula_protocol::ObjectHandle;

/// A bar that is never shown.
#[derive(Debug)]
pub(crate) struct Bar;

impl Bar {
    pub(crate) const fn none() -> Bar {
        Bar
    }

    #[inline]
    pub(crate) fn new(_: &str, _: Option<u64>) -> Bar {
        Bar
    }

    #[inline]
    pub(crate) fn advance(&self, _: usize) {}

    #[inline]
    pub(crate) fn begin(&self, _: &Arc<ObjectHandle>) {}

    #[inline]
    pub(crate) fn end(&self, _: &Arc<ObjectHandle>) {}

    #[inline]
    pub(crate) fn extend(&self, _: usize) {}
}

/// Calls `write`.
#[inline]
pub(crate) fn above(_: std::os::fd::BorrowedFd<'_>, write: impl FnOnce()) {
    write();
}
