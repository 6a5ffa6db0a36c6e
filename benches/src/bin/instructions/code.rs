//! The code that a unit of a path runs: distinct instructions, and the lines of memory that they
//! take. A call and its result run most of their instructions once, so this decides about their
//! time more than the count of instructions does.

use std::collections::{HashMap, HashSet};

/// The length of a cache line in bytes.
const LINE: u64 = 64;

/// The code of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Code {
    /// The number of distinct instructions.
    pub(crate) instructions: usize,
    /// The number of cache lines with such instructions.
    pub(crate) lines: usize,
}

impl Code {
    /// Returns the code that ran in a phase of `units` units nine times for each ten units, or more
    /// often. `text` is a file of callgrind with the addresses of instructions.
    ///
    /// # Errors
    /// The file has no such form.
    pub(crate) fn of_phase(text: &str, units: usize) -> Result<Code, String> {
        if !text.contains("positions: instr") {
            return Err("the file has no addresses of instructions".to_owned());
        }
        let mut ran: HashMap<u64, u64> = HashMap::new();
        let (mut address, mut is_call) = (0_u64, false);
        for line in text.lines() {
            if line.starts_with("calls=") {
                // The costs of the callee follow. Its own lines have them, too.
                is_call = true;
                continue;
            }
            let mut fields = line.split_ascii_whitespace();
            let Some(next) = fields.next().and_then(|field| position(address, field)) else {
                continue;
            };
            let Some(count) = fields.last().and_then(|count| count.parse::<u64>().ok()) else {
                continue;
            };
            address = next;
            if !std::mem::take(&mut is_call) {
                *ran.entry(address).or_default() += count;
            }
        }
        let least = (units as u64 * 9).div_ceil(10);
        let addresses = ran.into_iter().filter(|(_, count)| *count >= least);
        let addresses: Vec<u64> = addresses.map(|(address, _)| address).collect();
        let lines: HashSet<u64> = addresses.iter().map(|address| address / LINE).collect();
        Ok(Code {
            instructions: addresses.len(),
            lines: lines.len(),
        })
    }
}

/// Returns the address that `field` stands for, behind a line with the address `last`.
fn position(last: u64, field: &str) -> Option<u64> {
    if let Some(digits) = field.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok();
    }
    match field.split_at_checked(1)? {
        ("*", "") => Some(last),
        ("+", by) => last.checked_add(by.parse().ok()?),
        ("-", by) => last.checked_sub(by.parse().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
version: 1
positions: instr line
events: Ir
ob=(1) /bin/program
fn=(1) main
0x1000 3 100
+4 3 100
calls=50 0x2000 7
* * 5000
+60 +1 89
fn=(2) other
0x2000 7 90
-4 * 90
0x1000 3 1

totals: 470
";

    #[test]
    fn only_what_runs_for_each_unit_counts() {
        let code = Code::of_phase(FILE, 100).unwrap();
        assert_eq!(code.instructions, 4);
        // 0x1000 and 0x1004; 0x1ffc; 0x2000.
        assert_eq!(code.lines, 3);
        assert_eq!(Code::of_phase(FILE, 98).unwrap().instructions, 5);
        assert!(Code::of_phase("positions: line\n3 5\n", 1).is_err());
    }
}
