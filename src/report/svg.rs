//! Pictures as inline SVG, without text: labels and numbers stand beside them in HTML, so that nothing is lost on a narrow
//! screen, in print, or where pictures are not shown. Positions are shares of the width, so nothing scales but lines.

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

/// A line through points; `x` and `y` are shares of the width and, from below, of the height.
#[must_use]
pub fn line(points: &[(f64, f64)]) -> Markup {
    let text: Vec<String> = points.iter().map(|(x, y)| format!("{:.2},{:.2}", 1000.0 * x, 95.0 - 90.0 * y)).collect();
    let line = element("polyline", &[("points", &text.join(" ")), ("class", "line")], Markup::default());
    let attributes = [
        ("class", "plot"),
        ("viewBox", "0 0 1000 100"),
        ("preserveAspectRatio", "none"),
        ("aria-hidden", "true"),
        ("focusable", "false"),
    ];
    element("svg", &attributes, line)
}

/// A grey image, its least value black and its largest white.
#[must_use]
pub fn image(image: &Image) -> Markup {
    let low = image.values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = image.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = if high > low { high - low } else { 1.0 };
    let pixel = |(position, value): (usize, &f64)| {
        let level = ((value - low) / range * 255.0).round().clamp(0.0, 255.0) as u8;
        let (x, y) = (position % image.width, position / image.width);
        let fill = format!("#{level:02x}{level:02x}{level:02x}");
        element(
            "rect",
            &[("x", &x.to_string()), ("y", &y.to_string()), ("width", "1"), ("height", "1"), ("fill", &fill)],
            Markup::default(),
        )
    };
    let frame = format!("0 0 {} {}", image.width, image.height);
    let attributes = [
        ("class", "image"),
        ("viewBox", frame.as_str()),
        ("shape-rendering", "crispEdges"),
        ("role", "img"),
        ("aria-label", image.label.as_str()),
    ];
    element("svg", &attributes, Markup::join(image.values.iter().enumerate().map(pixel)))
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
