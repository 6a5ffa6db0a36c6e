//! What the compiler says to likely mistakes: where it points, and in which words.
//!
//! The texts are those of one compiler version; `TRYBUILD=overwrite` writes them anew. Programs
//! that must compile are in `tests/typed`.

#[test]
fn mistakes_are_explained_where_they_are() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
