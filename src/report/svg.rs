//! Pictures as inline SVG. The only text in them are the numbers of axes; labels stand beside them in HTML, so that nothing is
//! lost on a narrow screen, in print, or where pictures are not shown. Positions are shares of the width, so nothing scales but
//! lines.

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

/// Where something is on an axis, from 0 to 1, and what stands there.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    pub place: f64,
    pub text: String,
}

/// Ticks of a linear axis at round numbers: 1, 2 or 5 times a power of ten apart.
#[must_use]
pub fn ticks(low: f64, high: f64) -> Vec<Tick> {
    let range = high - low;
    if !(range.is_finite() && range > 0.0) {
        return vec![Tick { place: 0.5, text: short(low) }];
    }
    let unit = 10_f64.powf((range / 4.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * unit).into_iter().find(|step| range / step <= 5.0).unwrap_or(range);
    let first = (low / step).ceil() as i64;
    let places = (first..first.saturating_add(12)).map(|at| at as f64 * step).take_while(|x| *x <= high + 1e-9 * range);
    // Zero is zero, whatever the step leaves of it.
    let text = |x: f64| short(if x.abs() < 1e-9 * step { 0.0 } else { x });
    places.map(|x| Tick { place: (x - low) / range, text: text(x) }).collect()
}

/// Ticks of a logarithmic axis: its ends, and the powers of ten that are not near them, at most four.
#[must_use]
pub fn log_ticks(low: f64, high: f64) -> Vec<Tick> {
    if !(low > 0.0 && high > low && high.is_finite()) {
        return vec![Tick { place: 0.5, text: short(low) }];
    }
    let (first, last) = (low.log10().ceil() as i32, high.log10().floor() as i32);
    let step = ((last - first) / 4 + 1).max(1);
    let powers = (first..=last).step_by(step as usize).map(|power| 10_f64.powi(power));
    let inner = powers.map(|x| (log_position(x, low, high), x)).filter(|(place, _)| (0.12..=0.88).contains(place));
    let ends = [(0.0, low), (1.0, high)];
    let mut ticks: Vec<Tick> = ends.into_iter().chain(inner).map(|(place, x)| Tick { place, text: short(x) }).collect();
    ticks.sort_by(|a, b| a.place.total_cmp(&b.place));
    ticks
}

/// Four digits are enough for a picture; claims are printed in full elsewhere.
#[must_use]
pub fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e6).contains(&size) => format!("{value:.3e}").replace(".000e", "e"),
        size if size >= 100.0 && value.fract() == 0.0 => format!("{value:.0}"),
        _ => {
            let text = format!("{value:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

/// Height of a plot, in pixels; its numbers below take a line more.
const HEIGHT: f64 = 150.0;
/// Room above and below what is drawn.
const ROOM: f64 = 8.0;

/// Where a share of the height is, in pixels from above.
fn down(share: f64) -> String {
    format!("{:.2}", HEIGHT - ROOM - (HEIGHT - 2.0 * ROOM) * share)
}

/// The numbers of the upward axis.
#[must_use]
pub fn upward(ticks: &[Tick]) -> Markup {
    let text = |tick: &Tick| {
        let attributes = [("x", "100%"), ("y", &*down(tick.place)), ("text-anchor", "end"), ("dominant-baseline", "middle")];
        element("text", &attributes, Markup::text(&tick.text))
    };
    let height = HEIGHT.to_string();
    let attributes = [("class", "scale"), ("height", height.as_str()), ("aria-hidden", "true"), ("focusable", "false")];
    element("svg", &attributes, Markup::join(ticks.iter().map(text)))
}

/// A plot between axes: lines at the ticks, what is drawn (in a frame of 1000 by 100), the numbers below.
#[must_use]
pub fn plot(across: &[Tick], up: &[Tick], drawing: Markup) -> Markup {
    let bottom = HEIGHT.to_string();
    let grid = up.iter().map(|tick| {
        let y = down(tick.place);
        element("line", &[("x1", "0"), ("x2", "100%"), ("y1", &y), ("y2", &y), ("class", "grid")], Markup::default())
    });
    let frame = element("rect", &[("width", "100%"), ("height", &bottom), ("class", "border")], Markup::default());
    let inner = element(
        "svg",
        &[
            ("viewBox", "0 0 1000 100"),
            ("preserveAspectRatio", "none"),
            ("width", "100%"),
            ("y", &ROOM.to_string()),
            ("height", &(HEIGHT - 2.0 * ROOM).to_string()),
            ("class", "inner"),
            ("aria-hidden", "true"),
        ],
        drawing,
    );
    let numbers = across.iter().map(|tick| {
        let x = percent(tick.place);
        let anchor = match tick.place {
            place if place < 0.03 => "start",
            place if place > 0.97 => "end",
            _ => "middle",
        };
        let ends = (HEIGHT + 5.0).to_string();
        let mark =
            element("line", &[("x1", &x), ("x2", &x), ("y1", &bottom), ("y2", &ends), ("class", "stroke")], Markup::default());
        let text =
            element("text", &[("x", &x), ("y", &(HEIGHT + 18.0).to_string()), ("text-anchor", anchor)], Markup::text(&tick.text));
        Markup::join([mark, text])
    });
    let contents = Markup::join(std::iter::once(frame).chain(grid).chain(std::iter::once(inner)).chain(numbers));
    let height = (HEIGHT + 24.0).to_string();
    element(
        "svg",
        &[("class", "plot"), ("width", "100%"), ("height", &height), ("aria-hidden", "true"), ("focusable", "false")],
        contents,
    )
}

/// Lines through points; `x` and `y` are shares of the width and, from below, of the height. They differ in their dashes, and
/// the points are marked where they are few.
#[must_use]
pub fn lines(series: &[Vec<(f64, f64)>]) -> Markup {
    let line = |(index, points): (usize, &Vec<(f64, f64)>)| {
        let at = |(x, y): &(f64, f64)| (1000.0 * x, 100.0 - 100.0 * y);
        let text: Vec<String> = points.iter().map(at).map(|(x, y)| format!("{x:.2},{y:.2}")).collect();
        let line = element("polyline", &[("points", &text.join(" ")), ("class", line_class(index))], Markup::default());
        // A stroke without length is a dot, however the frame is stretched.
        let dots: Vec<String> = points.iter().map(at).map(|(x, y)| format!("M{x:.2} {y:.2}h0")).collect();
        let dots = dots.concat();
        let class = match index {
            0 => "dot",
            1 => "dot second",
            _ => "dot third",
        };
        let dots = (points.len() <= MOST_DOTS).then(|| element("path", &[("d", &dots), ("class", class)], Markup::default()));
        Markup::join(std::iter::once(line).chain(dots))
    };
    Markup::join(series.iter().enumerate().map(line))
}

/// Points of a line that are marked.
const MOST_DOTS: usize = 40;

/// Bars side by side over the whole width, with heights as shares, and vertical lines at shares of the width.
#[must_use]
pub fn histogram(heights: &[f64], marks: &[f64]) -> Markup {
    let width = 1000.0 / heights.len().max(1) as f64;
    let bars = heights.iter().enumerate().filter(|(_, height)| **height > 0.0).map(|(index, height)| {
        let height = 100.0 * height.min(1.0);
        let [x, y, w, h] = [width * index as f64, 100.0 - height, 0.9 * width, height].map(|value| format!("{value:.2}"));
        element("rect", &[("x", &x), ("y", &y), ("width", &w), ("height", &h), ("class", "bar")], Markup::default())
    });
    let marks = marks.iter().enumerate().map(|(index, mark)| {
        let x = format!("{:.2}", 1000.0 * mark);
        let attributes = [("x1", x.as_str()), ("x2", &x), ("y1", "0"), ("y2", "100"), ("class", mark_class(index))];
        element("line", &attributes, Markup::default())
    });
    Markup::join(bars.chain(marks))
}

/// The numbers of an axis that marks stand on.
#[must_use]
pub fn scale(ticks: &[Tick]) -> Markup {
    let text = |tick: &Tick| {
        let place = 0.02 + 0.96 * tick.place;
        let anchor = if tick.place < 0.1 {
            "start"
        } else if tick.place > 0.9 {
            "end"
        } else {
            "middle"
        };
        element("text", &[("x", &percent(place)), ("y", "11"), ("text-anchor", anchor)], Markup::text(&tick.text))
    };
    element(
        "svg",
        &[("class", "scale"), ("width", "100%"), ("height", "15"), ("aria-hidden", "true"), ("focusable", "false")],
        Markup::join(ticks.iter().map(text)),
    )
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
    match index {
        0 => "line",
        1 => "line second",
        _ => "line third",
    }
}

const fn mark_class(index: usize) -> &'static str {
    if index == 0 { "edge" } else { "edge second" }
}

/// Levels of a colour; pixels of one level are one shape.
const LEVELS: f64 = 31.0;

/// An image, the least value of its range dark and the largest bright; `label` says what it is to whoever does not see it.
#[must_use]
pub fn image(image: &Image, label: &str) -> Markup {
    let own = || {
        let ends = image.values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &x| (l.min(x), h.max(x)));
        [ends.0, ends.1]
    };
    let [low, high] = image.range.unwrap_or_else(own);
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
        ("aria-label", label),
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
    use super::{log_position, log_ticks, ticks};

    #[test]
    fn ticks_are_round_numbers() {
        let texts = |ticks: Vec<super::Tick>| ticks.into_iter().map(|tick| tick.text).collect::<Vec<_>>();
        assert_eq!(texts(ticks(0.0, 1.0)), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(texts(ticks(0.0, 0.05)), ["0", "0.01", "0.02", "0.03", "0.04", "0.05"]);
        assert_eq!(texts(ticks(-3.0, 9.0)), ["0", "5"]);
        assert_eq!(ticks(2.0, 2.0).len(), 1);
        assert_eq!(ticks(f64::NAN, 2.0).len(), 1);
        assert_eq!(
            texts(log_ticks(0.5, 2000.0)),
            ["0.5", "1e1", "1e2", "2000"].map(|t| if t == "1e1" {
                "10"
            } else if t == "1e2" {
                "100"
            } else {
                t
            })
        );
        assert_eq!(log_ticks(0.0, 1.0).len(), 1);
    }

    #[test]
    fn positions_are_logarithmic_and_stay_inside() {
        assert!((log_position(10.0, 1.0, 100.0) - 0.5).abs() < 1e-12);
        assert_eq!(log_position(1e9, 1.0, 100.0), 1.0);
        assert_eq!(log_position(1.0, 1.0, 1.0), 0.5);
        assert_eq!(log_position(f64::NAN, 1.0, 2.0), 0.5);
    }
}
