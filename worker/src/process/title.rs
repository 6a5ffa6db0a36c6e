//! The title of a worker in `ps` and `top`, in the place of the program's name.

use mobula_protocol::{FunctionIndex, Registry};

/// The kernel keeps so many bytes.
const LONGEST: usize = 15;

/// Shows the function that this process runs, or that it is idle. Changes nothing where there is no
/// `/proc`.
pub(super) fn show(registry: &Registry, function: Option<FunctionIndex>) {
    let function = function.and_then(|function| registry.function(function));
    show_name(function.map_or("idle", |function| function.name));
}

pub(super) fn show_idle() {
    show_name("idle");
}

/// The name of the process is that of its first thread, which may be another one than this.
fn show_name(name: &str) {
    let _ = std::fs::write("/proc/self/comm", title(name));
}

/// A name that does not fit is more worth than the whole prefix.
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
