//! Pictures of the page: labels and numbers as text, and the picture beside them.

use super::super::audit::{Bar, Chart, Mark};
use super::super::markup::{Markup, element, plain, tag};
use super::super::svg;

/// One picture with its caption.
pub fn figure(chart: &Chart) -> Markup {
    let (title, contents) = match chart {
        Chart::Ladder { title, marks } => (title, ladder(marks)),
        Chart::Bars { title, unit, bars } => {
            (title, Markup::join([note(&format!("{unit}, each bar as a share of the largest")), self::bars(bars, largest(bars))]))
        }
        Chart::Shares { title, parts } => (title, bars(parts, parts.iter().map(|part| part.value).sum())),
        Chart::Profile { title, description, values } => (title, profile(description, values)),
        Chart::Curve { title, x, y, points } => (title, curve(x, y, points)),
        Chart::Images { title, images } => (
            title,
            element(
                "div",
                &[("class", "images")],
                Markup::join(images.iter().map(|image| plain("div", Markup::join([svg::image(image), note(&image.label)])))),
            ),
        ),
    };
    plain("figure", Markup::join([tag("figcaption", title), contents]))
}

fn largest(bars: &[Bar]) -> f64 {
    bars.iter().map(|bar| bar.value).fold(0.0, f64::max)
}

fn ladder(marks: &[Mark]) -> Markup {
    let values = || marks.iter().map(|mark| mark.value);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    // Values that agree to many digits would otherwise be spread over the whole axis.
    let (low, high) = if high / low < 1.01 { (low / 1.01, high * 1.01) } else { (low, high) };
    let rows = marks.iter().map(|mark| row(&mark.label, &mark.text, svg::mark(svg::log_position(mark.value, low, high))));
    let axis = format!("logarithmic axis from {low:.4} to {high:.4}");
    Markup::join([element("ul", &[("class", "chart")], Markup::join(rows)), note(&axis)])
}

fn bars(bars: &[Bar], whole: f64) -> Markup {
    let rows = bars.iter().map(|bar| row(&bar.label, &short(bar.value), svg::bar(bar.value / whole)));
    element("ul", &[("class", "chart")], Markup::join(rows))
}

fn row(label: &str, value: &str, picture: Markup) -> Markup {
    let number = element("span", &[("class", "number")], Markup::text(value));
    plain("li", Markup::join([tag("span", label), number, picture]))
}

fn profile(description: &str, values: &[f64]) -> Markup {
    let (low, high) = (values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied().fold(0.0, f64::max));
    let last = values.len().saturating_sub(1).max(1) as f64;
    let points: Vec<(f64, f64)> =
        values.iter().enumerate().map(|(i, &value)| (i as f64 / last, svg::log_position(value, low, high))).collect();
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    let text = format!("{description} Logarithmic scale from {} to {}; median {}.", short(low), short(high), short(median));
    Markup::join([svg::line(&points), note(&text)])
}

fn curve(x: &str, y: &str, points: &[[f64; 2]]) -> Markup {
    let range = |of: usize| {
        let values = || points.iter().map(move |point| point[of]);
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
    };
    let ((left, right), (low, high)) = (range(0), range(1));
    // A share is seen best against the whole.
    let (low, high) = if low >= 0.0 && high <= 1.0 { (0.0, 1.0) } else { (low, high) };
    let share = |value: f64, low: f64, high: f64| if high > low { (value - low) / (high - low) } else { 0.5 };
    let line: Vec<(f64, f64)> = points.iter().map(|point| (share(point[0], left, right), share(point[1], low, high))).collect();
    let rows = points.iter().map(|point| point.map(|value| Markup::text(short(value))).to_vec());
    let axes = format!("across: {x}, {} to {}; up: {y}, {} to {}", short(left), short(right), short(low), short(high));
    Markup::join([svg::line(&line), note(&axes), super::table(None, &[x, y], rows)])
}

fn note(text: &str) -> Markup {
    element("p", &[("class", "quiet")], Markup::text(text))
}

/// Four digits are enough for a picture; claims are printed in full elsewhere.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e6).contains(&size) => format!("{value:.3e}"),
        size if size >= 100.0 && value.fract() == 0.0 => format!("{value:.0}"),
        _ => {
            let text = format!("{value:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}
