//! A feature that an engine lacks is an error that names the feature.

use mobula::EngineKind;

/// The inline engine has no memory that processes share: there is one process.
#[mobula::test]
fn the_inline_engine_has_no_shared_memory() {
    let rt = super::start(EngineKind::inline());
    let errors = [
        rt.shared_array(4, 0.0).err(),
        rt.atomic_array::<mobula::AtomicF64>(4).err(),
        rt.shared_barrier(1).err(),
    ];
    for error in errors {
        let error = error.expect("it has shared memory");
        assert!(error.is_usage(), "{error}");
        assert!(
            error.to_string().contains("this engine has no memory"),
            "{error}"
        );
    }
}
