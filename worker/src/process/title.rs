//! The title of a worker in `ps` and `top`, in the place of the program's name.

use mobula_protocol::{FunctionIndex, Registry};

/// The most bytes of a title that the kernel keeps.
const LONGEST: usize = 15;

/// Shows the function that this process runs, or that the process is idle. Changes nothing where
/// there is no `/proc`.
pub(super) fn show(registry: &Registry, function: Option<FunctionIndex>) {
    let function = function.and_then(|function| registry.function(function));
    show_name(function.map_or("idle", |function| function.name));
}

pub(super) fn show_idle() {
    show_name("idle");
}

/// Sets the name of the process, which is the name of its first thread. The caller may be another
/// thread.
fn show_name(name: &str) {
    let _ = std::fs::write("/proc/self/comm", title(name));
}

/// Returns the title. If the name does not fit, its rest is worth more than the whole prefix.
fn title(name: &str) -> String {
    let whole = format!("mobula: {name}");
    if whole.len() <= LONGEST {
        return whole;
    }
    let mut short = format!("m: {name}");
    while short.len() > LONGEST {
        short.pop();
    }
    short
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_title_has_as_much_of_the_name_as_fits() {
        for (name, shown) in [
            ("idle", "mobula: idle"),
            ("scored", "mobula: scored"),
            ("score_x", "mobula: score_x"),
            ("score_it", "m: score_it"),
            ("count_all_words", "m: count_all_wo"),
            ("zähle_die_wörter", "m: zähle_die_w"),
        ] {
            assert_eq!(title(name), shown);
        }
    }
}
