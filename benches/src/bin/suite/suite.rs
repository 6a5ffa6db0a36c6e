//! A run of the suite: Mobula's parts and the peers, one after the other.

use std::{env, process::Command, time::Duration};

use mobula_benches::machine::Machine;

use crate::{
    Result,
    child::{self, End},
    options::Options,
    ours,
    peers::{self, PEERS, Peer, Places},
    protocol::{OURS, parse},
    report,
    results::Results,
};

/// The time limit of a part of Mobula's. Each part takes far less.
const LIMIT_OF_A_PART: Duration = Duration::from_secs(120);

/// Measures the parts and peers that the options name and that are installed. Writes the report.
///
/// # Errors
/// No part of Mobula's can be measured, or the report cannot be written.
pub(crate) fn run(options: &Options) -> Result<()> {
    let machine = Machine::look(options.date.clone()).to_string();
    let places = Places::find();
    let mut results = Results::default();
    println!("{machine}");

    let wanted = |peer: &Peer| {
        let names = options.peers.as_ref();
        names.is_none_or(|names| names.iter().any(|name| peer.is_called(name)))
    };
    check_names(options)?;
    let peers: Vec<_> = PEERS.iter().filter(|peer| wanted(peer)).collect();
    if peers.iter().any(|peer| peer.is_rust()) {
        // A failed build shows later as a missing program.
        peers::build_rust(&places);
    }
    let only = options.only.as_ref();
    let parts = ours::PARTS.iter().map(|(part, _)| *part);
    for part in parts.filter(|part| only.is_none_or(|only| only.iter().any(|name| name == part))) {
        let mut command = Command::new(env::current_exe()?);
        command.args(["--part", part]);
        if options.quick {
            command.arg("--quick");
        }
        measure(
            &mut results,
            &format!("{OURS}, {part}"),
            &mut command,
            LIMIT_OF_A_PART,
        );
    }
    for peer in peers {
        match peer.command(&places, options.quick) {
            Ok(mut command) => measure(&mut results, peer.name, &mut command, peer.limit),
            Err(why) => {
                let remark = format!("{}: not measured; {why}", peer.name);
                println!("{remark}");
                results.remarks.push(remark);
            }
        }
    }
    let folder = options.out.clone().unwrap_or_else(|| places.results());
    report::write(&folder, &machine, options.quick, &results)
}

fn check_names(options: &Options) -> Result<()> {
    let known = |name: &String| ours::PARTS.iter().any(|(part, _)| part == name);
    if let Some(name) = options.only.iter().flatten().find(|name| !known(name)) {
        let names = ours::PARTS.map(|(part, _)| part);
        return Err(format!("there is no part `{name}`; there are {}", names.join(", ")).into());
    }
    let known = |name: &String| PEERS.iter().any(|peer| peer.is_called(name));
    let wrong = options.peers.iter().flatten().find(|name| !known(name));
    match wrong {
        None => Ok(()),
        Some(name) => {
            let names = peers::names().join(", ");
            Err(format!("there is no peer `{name}`; there are {names}").into())
        }
    }
}

/// Runs a measuring program and adds its rows. A failure becomes a remark.
fn measure(results: &mut Results, name: &str, command: &mut Command, limit: Duration) {
    println!("measuring {name}");
    let mut remarks = Vec::new();
    let ended = child::run(command, limit, |line| match parse(line) {
        Ok(measurement) => results.add(measurement),
        Err(error) => remarks.push(format!("{name}: a line is not a row: {error}")),
    });
    match ended {
        Ok(End::Done) => {}
        Ok(End::Failed(how)) => remarks.push(format!("{name}: ended with {how}")),
        Ok(End::TimedOut(limit)) => {
            remarks.push(format!(
                "{name}: not at its end after {} s, and so ended",
                limit.as_secs()
            ));
        }
        Err(error) => remarks.push(format!("{name}: could not be started: {error}")),
    }
    for remark in &remarks {
        println!("{remark}");
    }
    results.remarks.append(&mut remarks);
}
