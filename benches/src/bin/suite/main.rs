//! Measures Mobula's rows and those of its peers, and writes a report: see `--help`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use mobula_benches::{floors, neighbour};

mod ablation;
mod child;
mod curves;
mod options;
mod ours;
mod peers;
mod protocol;
mod reach;
mod report;
mod results;
mod rows;
mod suite;
mod svg;

use options::Invocation;

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    mobula::init();
    floors::enter_if_peer();
    neighbour::enter_if_neighbour();
    let done = match options::parse(std::env::args().skip(1)) {
        Ok(Invocation::Help) => {
            println!("{}", options::HELP);
            Ok(())
        }
        Ok(Invocation::Part { part, .. }) if part == "ablation" => ablation::part(),
        Ok(Invocation::Part { part, quick }) => match part.strip_prefix("curve-") {
            Some(subject) => curves::part(subject, quick),
            None => ours::measure(&part, quick),
        },
        Ok(Invocation::Suite(options)) => suite::run(&options),
        Ok(Invocation::Ablation(options)) => ablation::run(&options),
        Ok(Invocation::Curves(options)) => curves::run(&options),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("suite: {error}");
            ExitCode::FAILURE
        }
    }
}
