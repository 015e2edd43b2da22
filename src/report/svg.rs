//! Pictures as inline SVG, without text: labels and numbers stand beside them in HTML, so that nothing is lost on a narrow
//! screen, in print, or where pictures are not shown. Positions are shares of the width, so nothing scales but lines.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::audit::Image;
use super::markup::{Markup, element};

/// Where a value lies between two others on a logarithmic axis, from 0 to 1.
#[must_use]
pub fn log_position(value: f64, low: f64, high: f64) -> f64 {
    let position = (value.ln() - low.ln()) / (high.ln() - low.ln());
    if position.is_finite() { position.clamp(0.0, 1.0) } else { 0.5 }
}

/// A mark at a position of an axis, kept away from its ends.
#[must_use]
pub fn mark(position: f64) -> Markup {
    let line = element("line", &[("x1", "0"), ("y1", "8"), ("x2", "100%"), ("y2", "8"), ("class", "axis")], Markup::default());
    let x = percent(0.02 + 0.96 * position);
    let dot = element("circle", &[("cx", &x), ("cy", "8"), ("r", "5"), ("class", "mark")], Markup::default());
    picture("16", Markup::join([line, dot]))
}

/// A bar that fills a share of the width.
#[must_use]
pub fn bar(share: f64) -> Markup {
    let ground = element("rect", &[("width", "100%"), ("height", "10"), ("y", "3"), ("class", "ground")], Markup::default());
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let bar = element("rect", &[("width", &percent(share)), ("height", "10"), ("y", "3"), ("class", "bar")], Markup::default());
    picture("16", Markup::join([ground, bar]))
}

/// Lines through points; `x` and `y` are shares of the width and, from below, of the height. They differ in their dashes.
#[must_use]
pub fn lines(series: &[Vec<(f64, f64)>]) -> Markup {
    let line = |(index, points): (usize, &Vec<(f64, f64)>)| {
        let text: Vec<String> = points.iter().map(|(x, y)| format!("{:.2},{:.2}", 1000.0 * x, 95.0 - 90.0 * y)).collect();
        element("polyline", &[("points", &text.join(" ")), ("class", line_class(index))], Markup::default())
    };
    plot(Markup::join(series.iter().enumerate().map(line)))
}

/// Bars side by side over the whole width, with heights as shares, and vertical lines at shares of the width.
#[must_use]
pub fn histogram(heights: &[f64], marks: &[f64]) -> Markup {
    let width = 1000.0 / heights.len().max(1) as f64;
    let bars = heights.iter().enumerate().filter(|(_, height)| **height > 0.0).map(|(index, height)| {
        let height = 98.0 * height.min(1.0);
        let [x, y, w, h] = [width * index as f64, 100.0 - height, 0.9 * width, height].map(|value| format!("{value:.2}"));
        element("rect", &[("x", &x), ("y", &y), ("width", &w), ("height", &h), ("class", "bar")], Markup::default())
    });
    let marks = marks.iter().enumerate().map(|(index, mark)| {
        let x = format!("{:.2}", 1000.0 * mark);
        let attributes = [("x1", x.as_str()), ("x2", &x), ("y1", "0"), ("y2", "100"), ("class", mark_class(index))];
        element("line", &attributes, Markup::default())
    });
    plot(Markup::join(bars.chain(marks)))
}

/// What a line of a picture looks like, to stand beside its name.
#[must_use]
pub fn line_key(index: usize) -> Markup {
    key(line_class(index))
}

/// What a vertical line looks like.
#[must_use]
pub fn mark_key(index: usize) -> Markup {
    key(mark_class(index))
}

fn key(class: &str) -> Markup {
    let line = element("line", &[("x1", "0"), ("x2", "28"), ("y1", "6"), ("y2", "6"), ("class", class)], Markup::default());
    let attributes = [("class", "key"), ("width", "28"), ("height", "12"), ("aria-hidden", "true"), ("focusable", "false")];
    element("svg", &attributes, line)
}

const fn line_class(index: usize) -> &'static str {
    if index == 0 { "line" } else { "line second" }
}

const fn mark_class(index: usize) -> &'static str {
    if index == 0 { "edge" } else { "edge second" }
}

fn plot(contents: Markup) -> Markup {
    let attributes = [
        ("class", "plot"),
        ("viewBox", "0 0 1000 100"),
        ("preserveAspectRatio", "none"),
        ("aria-hidden", "true"),
        ("focusable", "false"),
    ];
    element("svg", &attributes, contents)
}

/// Levels of a colour; pixels of one level are one shape.
const LEVELS: f64 = 31.0;

/// An image, its least value dark and its largest bright.
#[must_use]
pub fn image(image: &Image) -> Markup {
    let low = image.values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = image.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = if high > low { high - low } else { 1.0 };
    let count = image.width * image.height;
    let level = |channel: usize, pixel: usize| {
        let value = image.values.get(channel.min(image.channels - 1) * count + pixel).copied().unwrap_or(low);
        ((value - low) / range * LEVELS).round().clamp(0.0, LEVELS) * (255.0 / LEVELS)
    };
    let mut shapes: BTreeMap<[u8; 3], String> = BTreeMap::new();
    for pixel in 0..count {
        let (x, y) = (pixel % image.width, pixel / image.width);
        let color = [0, 1, 2].map(|channel| level(channel, pixel) as u8);
        // Writing to a string cannot fail.
        let _ = write!(shapes.entry(color).or_default(), "M{x} {y}h1v1h-1z");
    }
    let shapes = shapes.into_iter().map(|([red, green, blue], path)| {
        element("path", &[("d", &path), ("fill", &format!("#{red:02x}{green:02x}{blue:02x}"))], Markup::default())
    });
    let frame = format!("0 0 {} {}", image.width, image.height);
    let attributes = [
        ("class", "image"),
        ("viewBox", frame.as_str()),
        ("shape-rendering", "crispEdges"),
        ("role", "img"),
        ("aria-label", image.label.as_str()),
    ];
    element("svg", &attributes, Markup::join(shapes))
}

fn picture(height: &str, contents: Markup) -> Markup {
    let attributes = [("width", "100%"), ("height", height), ("aria-hidden", "true"), ("focusable", "false")];
    element("svg", &attributes, contents)
}

fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::log_position;

    #[test]
    fn positions_are_logarithmic_and_stay_inside() {
        assert!((log_position(10.0, 1.0, 100.0) - 0.5).abs() < 1e-12);
        assert_eq!(log_position(1e9, 1.0, 100.0), 1.0);
        assert_eq!(log_position(1.0, 1.0, 1.0), 0.5);
        assert_eq!(log_position(f64::NAN, 1.0, 2.0), 0.5);
    }
}
