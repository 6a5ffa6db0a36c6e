//! Line plots: the growth of one quantity with another.

use mobula_benches::table::{Shown, Unit};

use super::{Anchor, Axis, COLOURS, Drawing};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = WIDTH - 20.0;
const TOP: f64 = 50.0;

/// A line of a plot.
#[derive(Debug)]
pub(crate) struct Line {
    /// The name in the legend.
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Returns a plot of lines with the same units: `across` to the right and `unit` upwards. `None` if
/// no value has a logarithm.
pub(crate) fn plot(title: &str, across: &str, unit: Unit, lines: &[Line]) -> Option<String> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let right = Axis::of(points().map(|point| point.0))?;
    let up = Axis::of(points().map(|point| point.1))?;
    let bottom = HEIGHT - 50.0 - 18.0 * lines.len() as f64;
    let place = |(x, y): (f64, f64)| {
        let x = LEFT + (RIGHT - LEFT) * right.place(x);
        (x, bottom - (bottom - TOP) * up.place(y))
    };
    let mut drawing = Drawing::new(WIDTH, HEIGHT);
    drawing.text(10.0, 22.0, Anchor::Start, 16.0, title);
    for tick in right.ticks() {
        let (x, _) = place((tick, 1.0));
        drawing.line((x, TOP), (x, bottom), "#dddddd");
        let name = Shown(tick, Unit::Bytes).to_string();
        drawing.text(
            x,
            bottom + 16.0,
            Anchor::Middle,
            11.0,
            name.trim_end_matches(['B', ' ']),
        );
    }
    for tick in up.ticks() {
        let (_, y) = place((1.0, tick));
        drawing.line((LEFT, y), (RIGHT, y), "#dddddd");
        drawing.text(
            LEFT - 6.0,
            y + 4.0,
            Anchor::End,
            11.0,
            &Shown(tick, unit).to_string(),
        );
    }
    drawing.text(
        (LEFT + RIGHT) / 2.0,
        bottom + 34.0,
        Anchor::Middle,
        12.0,
        across,
    );
    for (at, line) in lines.iter().enumerate() {
        // Grey is the colour of floors.
        let colour = COLOURS[if at == 0 { 0 } else { at + 1 } % COLOURS.len()];
        let points: Vec<_> = line.points.iter().map(|point| place(*point)).collect();
        drawing.path(&points, colour);
        points.iter().for_each(|point| drawing.dot(*point, colour));
        let y = bottom + 54.0 + 18.0 * at as f64;
        drawing.line((LEFT, y - 4.0), (LEFT + 24.0, y - 4.0), colour);
        drawing.text(LEFT + 30.0, y, Anchor::Start, 12.0, &line.name);
    }
    Some(drawing.finish())
}

#[cfg(test)]
mod tests {
    use super::{super::tests::assert_well_formed, *};

    #[test]
    fn a_plot_has_a_dot_for_each_point() {
        let line = |name: &str, factor: f64| Line {
            name: name.into(),
            points: [1e2, 1e3, 1e4].map(|x| (x, factor * x)).to_vec(),
        };
        let lines = [line("put & get", 1e-6), line("get", 2e-6)];
        let svg = plot("Tasks", "number of tasks", Unit::Time, &lines).unwrap();
        assert_well_formed(&svg);
        assert_eq!(svg.matches("<circle").count(), 6);
        assert!(svg.contains("put &amp; get"));
        assert_eq!(plot("Nothing", "n", Unit::Time, &[]), None);
    }
}
