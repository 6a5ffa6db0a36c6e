//! The compiler's messages for likely mistakes, with their places.
//!
//! The texts are those of one compiler version; `TRYBUILD=overwrite` writes them anew. Programs
//! that must compile are in `tests/typed`.

#[test]
fn mistakes_are_explained_where_they_are() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
    // The features add types to what some messages list.
    let (old, new) = (
        cfg!(feature = "ndarray-0_16"),
        cfg!(feature = "ndarray-0_17"),
    );
    if old && new {
        cases.compile_fail("tests/ui/with_ndarray/*.rs");
    } else if !old && !new {
        cases.compile_fail("tests/ui/without_ndarray/*.rs");
    }
}
