//! Measures Mobula's figures beside the floors of the hardware: see `--help`.

#![forbid(unsafe_code)]

use std::{fs, process::ExitCode};

use mobula_benches::{floors, machine::Machine};

mod idle;
mod maps;
mod memory;
mod options;
mod puts;
mod reads;
mod round_trips;
mod start;
mod throughput;

use options::{Invocation, Options};

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    mobula::init();
    floors::enter_if_peer();
    let done = match options::parse(std::env::args().skip(1)) {
        Ok(Invocation::Help) => {
            println!("{}", options::HELP);
            Ok(())
        }
        Ok(Invocation::Measure(options)) => measure(&options),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("figures: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures the rows one after the other and prints each table.
fn measure(options: &Options) -> Result<()> {
    let mut report = format!("{}\n", Machine::look(options.date.clone()));
    print!("{report}");
    for &row in &options.rows {
        let table = match row {
            1 => round_trips::measure(options)?,
            2 => throughput::measure(options)?,
            3 => puts::measure(options)?,
            4 => reads::measure(options)?,
            5 => maps::measure(options)?,
            6 => start::measure(options)?,
            7 => idle::measure(options)?,
            8 => memory::measure(options)?,
            row => return Err(format!("there is no row {row}").into()),
        };
        print!("\n{table}");
        report += &format!("\n{table}");
    }
    if let Some(file) = &options.markdown {
        fs::write(file, report).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}
