//! Measures the gain of each mechanism of waiting. All rows are measured with all mechanisms on,
//! then with each mechanism off. The rounds repeat in turn.
//!
//! The program can also compare itself with another build. Then that build takes the place of a
//! variant without a mechanism.

mod measure;
mod table;

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use mobula_benches::machine::Machine;
use mobula_protocol::waiting::{Mechanism, WITHOUT};

use crate::{
    Result,
    child::{self, End},
    options::Ablation,
    peers::Places,
    report::save,
};

pub(crate) use measure::part;

/// The time limit of one child. The rows take far less.
const LIMIT: Duration = Duration::from_secs(60);

/// A variant of the program. Each of its children measures all rows.
struct Variant {
    name: String,
    program: PathBuf,
    /// The mechanisms that are off.
    without: String,
    /// The seconds of the rows, one entry for each round. A failed row is missing in its round.
    rows: Vec<BTreeMap<String, f64>>,
}

impl Variant {
    fn new(name: impl Into<String>, program: &Path, without: impl Into<String>) -> Variant {
        Variant {
            name: name.into(),
            program: program.to_owned(),
            without: without.into(),
            rows: Vec::new(),
        }
    }

    fn measure(&mut self, rows: Option<&str>) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["--part", "ablation"]);
        command.env(WITHOUT, &self.without);
        if let Some(rows) = rows {
            command.env(measure::ROWS, rows);
        }
        let mut found = BTreeMap::new();
        let ended = child::run(&mut command, LIMIT, |line| {
            let (row, seconds) = line.split_once(' ').unwrap_or_default();
            match seconds.parse() {
                Ok(seconds) => drop(found.insert(row.to_owned(), seconds)),
                Err(_) => println!("{}: not a row: {line}", self.name),
            }
        })?;
        if ended != End::Done {
            println!("{}: {ended:?}", self.name);
        }
        self.rows.push(found);
        Ok(())
    }
}

/// Measures for the time that the options give. Writes `ablation.md` or `versions.md`.
///
/// # Errors
/// A child cannot be started, or the file cannot be written.
pub(crate) fn run(options: &Ablation) -> Result<()> {
    let own = env::current_exe()?;
    let mut variants = vec![Variant::new("all on", &own, "")];
    let (file, title) = match &options.before {
        Some(before) => {
            variants = vec![
                Variant::new("this version", &own, ""),
                Variant::new("before", before, ""),
            ];
            ("versions.md", "This version and one before")
        }
        None if !cfg!(feature = "ablation") => {
            return Err("this build has no switches: add `--features ablation`".into());
        }
        None => {
            variants.push(Variant::new("none (noise)", &own, ""));
            for mechanism in wanted(options)? {
                let name = mechanism.name();
                variants.push(Variant::new(name.clone(), &own, name));
            }
            ("ablation.md", "What the mechanisms of waiting gain")
        }
    };
    let machine = Machine::look(options.date.clone()).to_string();
    let rows = options.rows.as_deref();
    let begin = Instant::now();
    let time = Duration::from_secs(options.seconds);
    let mut rounds = 0;
    while rounds == 0 || begin.elapsed() + begin.elapsed() / rounds < time {
        // The start of each round moves by one variant, so the order within a round favours none.
        let first = rounds as usize % variants.len();
        for at in 0..variants.len() {
            let at = (first + at) % variants.len();
            variants[at].measure(rows)?;
        }
        rounds += 1;
    }
    let text = table::table(title, &machine, rounds, &variants);
    print!("{text}");
    let folder = options.out.clone();
    save(
        &folder.unwrap_or_else(|| Places::find().results()),
        file,
        &text,
    )
}

/// Returns the mechanisms that the run switches off, one at a time.
fn wanted(options: &Ablation) -> Result<Vec<Mechanism>> {
    let Some(names) = &options.mechanisms else {
        return Ok(Mechanism::ALL.to_vec());
    };
    let named = |name: &str| {
        let mut all = Mechanism::ALL.into_iter();
        all.find(|one| one.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| format!("there is no mechanism `{name}`").into())
    };
    names.split(',').map(named).collect()
}
