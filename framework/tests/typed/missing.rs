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

/// Python runs on a Ray cluster only.
#[mobula::test]
fn engines_of_one_machine_have_no_python() {
    for engine in [
        EngineKind::processes(),
        EngineKind::threads(),
        EngineKind::inline(),
    ] {
        let rt = super::start(engine);
        let hypot = mobula::ray::python("math", "hypot");
        let one = rt.spawn(hypot.call::<f64>((3.0, 4.0))).get();
        let many = rt.map((0..3).map(|n| hypot.call::<f64>((n, 4.0)))).get();
        for error in [one.unwrap_err(), many.unwrap_err()] {
            let text = error.to_string();
            assert!(
                error.is_usage() && text.contains("Ray cluster only"),
                "{text}"
            );
        }
    }
}
