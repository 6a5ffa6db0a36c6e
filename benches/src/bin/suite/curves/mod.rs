//! Cost curves: the growth of Mobula's time and memory, and its exponents.

mod fit;
mod measure;

use std::{collections::BTreeMap, env, fmt::Write, process::Command, time::Duration};

use mobula_benches::{
    machine::Machine,
    table::{Digits, Shown, Unit},
};
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    child::{self, End},
    options::Options,
    peers::Places,
    protocol::unit_name,
    report::save,
    svg::lines::{Line, plot},
};

use fit::exponent;

/// A curve. Its subject is the quantity that varies.
pub(crate) struct Subject {
    /// The name of the part that measures the subject.
    pub(crate) id: &'static str,
    title: &'static str,
    /// The label of the horizontal axis.
    across: &'static str,
    measure: fn(&measure::Out) -> Result<()>,
}

pub(crate) const SUBJECTS: [Subject; 5] = [
    Subject {
        id: "tasks",
        title: "Empty tasks in flight",
        across: "number of tasks",
        measure: measure::tasks,
    },
    Subject {
        id: "size",
        title: "Size of an object",
        across: "bytes",
        measure: measure::size,
    },
    Subject {
        id: "live",
        title: "Live objects",
        across: "number of objects",
        measure: measure::live,
    },
    Subject {
        id: "workers",
        title: "Workers",
        across: "number of workers",
        measure: measure::workers,
    },
    Subject {
        id: "depth",
        title: "Nested tasks, each of which waits for the next",
        across: "depth",
        measure: measure::depth,
    },
];

/// A point of a line. The measuring child prints it as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    line: String,
    unit: String,
    x: f64,
    y: f64,
}

/// The time limit of a subject. Each subject takes far less.
const LIMIT: Duration = Duration::from_secs(300);

/// Above this exponent, growth counts as more than linear. The margin allows for noise.
const LINEAR: f64 = 1.15;

/// Measures one subject, and prints its points.
///
/// # Errors
/// The subject is unknown, or its measurement fails.
pub(crate) fn part(id: &str, quick: bool) -> Result<()> {
    let subject = SUBJECTS.iter().find(|subject| subject.id == id);
    let subject = subject.ok_or_else(|| format!("there is no curve `{id}`"))?;
    (subject.measure)(&measure::Out { quick })
}

/// Measures all subjects and writes `curves.md`, `curves.json` and `curve-*.svg`.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = options
        .out
        .clone()
        .unwrap_or_else(|| Places::find().results());
    std::fs::create_dir_all(&folder)?;
    let machine = Machine::look(options.date.clone()).to_string();
    let mut text = format!("# Cost curves\n\n{machine}\n");
    text += "\nThe exponent is that of a power of the horizontal axis, fitted to the larger half \
        of the points: 0 is constant, 1 is linear.\n";
    let mut all = BTreeMap::new();
    for subject in &SUBJECTS {
        println!("measuring {}", subject.id);
        let (points, remark) = measured(subject, options.quick)?;
        text += &section(subject, &points, remark.as_deref());
        for (unit, name, chart) in plots(subject, &points) {
            save(&folder, &name, &chart)?;
            let _ = writeln!(text, "\n![{}, {unit}]({name})", subject.title);
        }
        all.insert(subject.id, points);
    }
    print!("{text}");
    save(&folder, "curves.md", &text)?;
    let json = serde_json::json!({"machine": machine, "quick": options.quick, "curves": all});
    save(
        &folder,
        "curves.json",
        &serde_json::to_string_pretty(&json)?,
    )
}

/// Returns the points of a subject, and the failure if there was one.
fn measured(subject: &Subject, quick: bool) -> Result<(Vec<Point>, Option<String>)> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["--part", &format!("curve-{}", subject.id)]);
    if quick {
        command.arg("--quick");
    }
    let mut points: Vec<Point> = Vec::new();
    let mut remark = None;
    let ended = child::run(&mut command, LIMIT, |line| {
        match serde_json::from_str(line) {
            Ok(point) => points.push(point),
            Err(error) => remark = Some(format!("a line is not a point: {error}")),
        }
    })?;
    let remark = match ended {
        End::Done => remark,
        End::Failed(how) => Some(format!("it ended with {how}")),
        End::TimedOut(limit) => Some(format!("it was ended after {} s", limit.as_secs())),
    };
    Ok((points, remark))
}

/// Returns the lines by unit and name, in the order of their first points.
fn lines(points: &[Point]) -> Vec<(Unit, Line)> {
    let mut lines: Vec<(Unit, Line)> = Vec::new();
    for point in points {
        let unit = if point.unit == unit_name(Unit::Time) {
            Unit::Time
        } else if point.unit == unit_name(Unit::Rate) {
            Unit::Rate
        } else {
            Unit::Bytes
        };
        let place = (point.x, point.y);
        match lines.iter_mut().find(|(_, line)| line.name == point.line) {
            Some((_, line)) => line.points.push(place),
            None => {
                let name = point.line.clone();
                let points = vec![place];
                lines.push((unit, Line { name, points }));
            }
        }
    }
    lines
}

fn section(subject: &Subject, points: &[Point], remark: Option<&str>) -> String {
    let mut text = format!("\n## {}\n\n", subject.title);
    if let Some(remark) = remark {
        let _ = writeln!(text, "Not complete: {remark}\n");
    }
    let _ = writeln!(
        text,
        "| by {} | from | to | exponent | |\n| --- | --- | --- | --- | --- |",
        subject.across
    );
    for (unit, line) in lines(points) {
        let end = |point: Option<&(f64, f64)>| match point {
            Some((x, y)) => format!("{} at {}", Shown(*y, unit), amount(*x)),
            None => String::new(),
        };
        let exponent = exponent(&line.points);
        let shown = exponent.map_or("not known".to_owned(), |exponent| format!("{exponent:.2}"));
        let more = exponent.is_some_and(|exponent| exponent > LINEAR);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {shown} | {} |",
            line.name,
            end(line.points.first()),
            end(line.points.last()),
            if more { "**more than linear**" } else { "" }
        );
    }
    text
}

/// Formats a number without unit with a decimal prefix.
fn amount(x: f64) -> String {
    let (scale, prefix) = match x {
        x if x >= 1e9 => (1e9, " G"),
        x if x >= 1e6 => (1e6, " M"),
        x if x >= 1e4 => (1e3, " k"),
        _ => (1.0, ""),
    };
    if scale == 1.0 {
        return format!("{x}");
    }
    format!("{}{prefix}", Digits(x / scale))
}

/// Returns a plot for each unit, with the name of its file.
fn plots(subject: &Subject, points: &[Point]) -> Vec<(&'static str, String, String)> {
    let mut plots = Vec::new();
    for unit in [Unit::Time, Unit::Rate, Unit::Bytes] {
        let of_unit: Vec<Line> = lines(points)
            .into_iter()
            .filter(|(known, _)| *known == unit)
            .map(|(_, line)| Line {
                name: match exponent(&line.points) {
                    Some(exponent) => format!("{}: exponent {exponent:.2}", line.name),
                    None => line.name,
                },
                points: line.points,
            })
            .collect();
        let unit_name = unit_name(unit);
        if let Some(chart) = plot(subject.title, subject.across, unit, &of_unit) {
            let file = format!(
                "curve-{}-{}.svg",
                subject.id,
                unit_name.replace('/', "-per-")
            );
            plots.push((unit_name, file, chart));
        }
    }
    plots
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::svg::tests::assert_well_formed;

    fn points(line: &str, power: f64) -> Vec<Point> {
        let at = |x: f64| Point {
            line: line.into(),
            unit: "s".into(),
            x,
            y: 1e-6 * x.powf(power),
        };
        [1e2, 1e3, 1e4, 1e5].map(at).to_vec()
    }

    #[test]
    fn growth_that_is_more_than_linear_is_named() {
        let mut both = points("good", 1.0);
        both.extend(points("bad", 2.0));
        let text = section(&SUBJECTS[0], &both, None);
        let line = |name: &str| text.lines().find(|line| line.contains(name)).unwrap();
        assert!(
            line("good").contains("| 1.00 |") && !line("good").contains("more"),
            "{text}"
        );
        assert!(
            line("bad").contains("| 2.00 | **more than linear**"),
            "{text}"
        );
        assert!(line("good").contains("100 ms at 100 k"), "{text}");
    }

    #[test]
    fn plots_are_well_formed_and_of_one_unit() {
        let plots = plots(&SUBJECTS[0], &points("a", 1.0));
        assert_eq!(plots.len(), 1);
        assert_eq!(plots[0].1, "curve-tasks-s.svg");
        assert_well_formed(&plots[0].2);
    }
}
