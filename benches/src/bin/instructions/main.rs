//! Counts the instructions of a task in the driver and in the worker: see `--help`.
//!
//! On a machine with other load, times vary by more than most changes of Mobula do. Instruction
//! counts are stable. So they show that a path has become longer, and by how much.

#![forbid(unsafe_code)]

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, ExitCode},
};

mod callgrind;
mod code;
mod flows;
mod record;

use flows::FLOWS;
use record::{Counts, Record};

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// The argument with which the program starts itself under callgrind.
const MEASURED: &str = "--measured";

const HELP: &str = "\
Counts the instructions of each task under callgrind, in the driver and in the worker.

  (nothing)        measures, and prints a table
  --check FILE     compares with recorded counts; fails where one has risen by more than 10 %
  --record FILE    writes the counts to a file
  --runs N         takes the medians of so many runs (3); each takes some seconds
  --code           prints how much code each task runs: distinct instructions, and cache lines

It runs itself under `valgrind --tool=callgrind`, worker included, on one core: who waits for the
other side yields the core to it, so that the counts hold next to nothing of waiting. Each path runs
with two numbers of tasks in one process; the difference of their counts, divided by the difference
of the numbers, is what a task costs. The counts of null work are those of the driver and of what
answers in a worker's place, which has no process of its own.

Counts depend on the compiler, the C library and the processor's family: record them where you
compare them. Build it with `--release`.";

/// The options of the program.
struct Options {
    check: Option<PathBuf>,
    record: Option<PathBuf>,
    runs: usize,
}

fn main() -> ExitCode {
    mobula::init();
    let mut arguments = env::args().skip(1).peekable();
    let done = match arguments.peek().map(String::as_str) {
        Some(MEASURED) => flows::run().map(|()| true),
        Some("--help" | "-h") => {
            println!("{HELP}");
            Ok(true)
        }
        Some("--code") => print_code().map(|()| true),
        _ => parse(arguments).and_then(|options| measure(&options)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options {
        check: None,
        record: None,
        runs: 3,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next();
            value.ok_or_else(|| format!("{argument} needs a value, see --help"))
        };
        match argument.as_str() {
            "--check" => options.check = Some(value()?.into()),
            "--record" => options.record = Some(value()?.into()),
            "--runs" => {
                let runs = value()?;
                let number = runs.parse().ok().filter(|runs| *runs > 0);
                options.runs =
                    number.ok_or_else(|| format!("--runs {runs} is no number of runs"))?;
            }
            other => return Err(format!("{other} is unknown, see --help").into()),
        }
    }
    Ok(options)
}

/// Measures all paths. Returns whether no count has risen.
fn measure(options: &Options) -> Result<bool> {
    if cfg!(debug_assertions) {
        return Err("this build is not optimised; build it with --release".into());
    }
    let recorded = match &options.check {
        None => None,
        Some(file) => {
            let text =
                fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let record = Record::parse(&text);
            Some(record.map_err(|error| format!("{}: {error}", file.display()))?)
        }
    };
    let runs = (0..options.runs)
        .map(|_| callgrind::run())
        .collect::<Result<Vec<_>>>()?;
    let measured = Record {
        tools: tools(),
        paths: FLOWS
            .iter()
            .enumerate()
            .map(|(at, flow)| {
                let counts = Counts::median(runs.iter().map(|run| run[at]));
                (flow.name.to_owned(), counts)
            })
            .collect(),
    };
    print!("{}", measured.table());
    if let Some(file) = &options.record {
        fs::write(file, measured.to_string())
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let (Some(recorded), Some(file)) = (recorded, &options.check) else {
        return Ok(true);
    };
    let comparison = measured.compare(&recorded);
    print!("{}", comparison.text(&file.display()));
    Ok(comparison.holds())
}

/// Prints the code that each unit of each path runs.
fn print_code() -> Result<()> {
    println!(
        "{:<32} {:>8} {:>8} {:>8} {:>8}",
        "code of", "driver", "(lines)", "worker", "(lines)"
    );
    for (flow, [driver, worker]) in FLOWS.iter().zip(callgrind::code()?) {
        println!(
            "{:<32} {:>8} {:>8} {:>8} {:>8}",
            flow.name, driver.instructions, driver.lines, worker.instructions, worker.lines
        );
    }
    Ok(())
}

/// Returns the versions of the tools that the counts depend on.
fn tools() -> String {
    let version = |program: &str| {
        let output = Command::new(program).arg("--version").output();
        output.map_or_else(
            |_| format!("{program} unknown"),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
    };
    format!(
        "{}, {}, {}",
        version("rustc"),
        version("valgrind"),
        env::consts::ARCH
    )
}
