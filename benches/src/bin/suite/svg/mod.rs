//! Plots as SVG text: bars and lines over logarithmic axes.

pub(crate) mod bars;
pub(crate) mod lines;

use std::fmt::Write;

/// The colours differ in brightness, too.
pub(crate) const COLOURS: [&str; 10] = [
    "#0b5fa5", "#888888", "#e08214", "#35978f", "#b2182b", "#7b3294", "#a6761d", "#1b7837",
    "#e7298a", "#4d4d4d",
];

/// A drawing to which elements are added.
#[derive(Debug)]
pub(crate) struct Drawing {
    body: String,
    width: f64,
    height: f64,
}

/// The position of a text relative to its point.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Drawing {
    pub(crate) fn new(width: f64, height: f64) -> Drawing {
        Drawing {
            body: String::new(),
            width,
            height,
        }
    }

    pub(crate) fn text(&mut self, x: f64, y: f64, anchor: Anchor, size: f64, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        self.add(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-size="{size}">{text}</text>"#
        ));
    }

    pub(crate) fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str) {
        self.add(format_args!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}"/>"#
        ));
    }

    pub(crate) fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        self.add(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"/>"#
        ));
    }

    pub(crate) fn path(&mut self, points: &[(f64, f64)], colour: &str) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let points = points.join(" ");
        self.add(format_args!(
            r#"<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>"#
        ));
    }

    pub(crate) fn dot(&mut self, (x, y): (f64, f64), colour: &str) {
        self.add(format_args!(
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#
        ));
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // A write to a string does not fail.
        let _ = writeln!(self.body, "{element}");
    }

    pub(crate) fn finish(self) -> String {
        let Drawing {
            body,
            width,
            height,
        } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{body}</svg>\n"
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A logarithmic axis with whole decades at its ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    low: i32,
    high: i32,
}

impl Axis {
    /// Returns the axis for these values. Values without logarithm are left out. `None` if no value
    /// has a logarithm.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Axis> {
        let logs = values
            .filter(|value| *value > 0.0 && value.is_finite())
            .map(f64::log10);
        let (low, high) = logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), log| {
            (low.min(log), high.max(log))
        });
        let (low, high) = (low.floor(), high.ceil());
        (low <= high).then(|| Axis {
            low: low as i32,
            // The axis spans at least one decade.
            high: (high as i32).max(low as i32 + 1),
        })
    }

    /// Returns the position of a value, from 0 to 1. A value below the axis has position 0.
    pub(crate) fn place(self, value: f64) -> f64 {
        let span = f64::from(self.high - self.low);
        ((value.max(f64::MIN_POSITIVE).log10() - f64::from(self.low)) / span).clamp(0.0, 1.0)
    }

    /// Returns powers of ten on the axis, at most about a dozen.
    pub(crate) fn ticks(self) -> impl Iterator<Item = f64> {
        let step = 1 + (self.high - self.low) as usize / 12;
        (self.low..=self.high)
            .step_by(step)
            .map(|decade| 10_f64.powi(decade))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Panics unless all elements are closed in order and all attributes are quoted.
    pub(crate) fn assert_well_formed(svg: &str) {
        let mut open = Vec::new();
        let mut rest = svg.trim();
        while let Some(start) = rest.find('<') {
            let text = &rest[..start];
            assert!(!text.contains('>'), "a bare > in {text}");
            for part in text.split('&').skip(1) {
                let known = ["amp;", "lt;", "gt;", "quot;"];
                assert!(
                    known.iter().any(|known| part.starts_with(known)),
                    "a bare & in {text}"
                );
            }
            let end = start + rest[start..].find('>').expect("an element without end");
            let element = &rest[start + 1..end];
            if let Some(name) = element.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name), "closed in the wrong order");
            } else {
                assert_eq!(element.matches('"').count() % 2, 0, "quotes of <{element}>");
                assert!(
                    !element.contains("NaN") && !element.contains("inf"),
                    "<{element}>"
                );
                let name = element.split([' ', '/']).next().unwrap();
                if !element.ends_with('/') {
                    open.push(name);
                }
            }
            rest = &rest[end + 1..];
        }
        assert!(
            open.is_empty() && rest.is_empty(),
            "left open: {open:?} {rest}"
        );
    }

    #[test]
    fn a_drawing_is_well_formed() {
        let mut drawing = Drawing::new(100.0, 50.0);
        drawing.text(1.0, 2.0, Anchor::End, 12.0, "a < b & \"c\" > d");
        drawing.line((0.0, 0.0), (1.0, 1.0), "#000000");
        drawing.bar(0.0, 0.0, 10.0, 5.0, COLOURS[0]);
        drawing.path(&[(0.0, 0.0), (1.0, 2.0)], COLOURS[1]);
        drawing.dot((1.0, 1.0), COLOURS[2]);
        let svg = drawing.finish();
        assert_well_formed(&svg);
        assert!(svg.contains("a &lt; b &amp; &quot;c&quot; &gt; d"));
    }

    #[test]
    #[should_panic(expected = "wrong order")]
    fn what_is_not_well_formed_is_found() {
        assert_well_formed("<svg><g></svg></g>");
    }

    #[test]
    fn an_axis_has_whole_decades() {
        let axis = Axis::of([2e-6, 3e-3, 0.0, -1.0, f64::NAN].into_iter()).unwrap();
        assert_eq!(axis, Axis { low: -6, high: -2 });
        assert_eq!(axis.place(1e-4), 0.5);
        assert_eq!((axis.place(0.0), axis.place(1.0)), (0.0, 1.0));
        assert_eq!(axis.ticks().count(), 5);
        assert_eq!(Axis::of([0.0].into_iter()), None);
        assert_eq!(Axis::of([1.0].into_iter()), Some(Axis { low: 0, high: 1 }));
    }
}
