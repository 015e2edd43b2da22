//! Pictures of the page: labels and numbers as text, and the picture beside them.

use super::super::audit::{Bar, Chart, Mark, Series};
use super::super::markup::{Markup, element, plain, tag};
use super::super::svg::{self, short};

/// One picture with its caption.
pub fn figure(chart: &Chart) -> Markup {
    let (title, contents) = match chart {
        Chart::Ladder { title, marks } => (title, ladder(marks)),
        Chart::Bars { title, unit, bars } => {
            (title, Markup::join([note(&format!("{unit}, each bar as a share of the largest")), self::bars(bars, largest(bars))]))
        }
        Chart::Shares { title, parts } => (title, bars(parts, parts.iter().map(|part| part.value).sum())),
        Chart::Profile { title, description, values } => (title, profile(description, values)),
        Chart::Curve { title, x, y, logarithmic, series } => (title, curve([x, y], *logarithmic, series)),
        Chart::Histogram { title, x, low, high, shares, logarithmic, marks } => {
            (title, histogram(x, [*low, *high], shares, *logarithmic, marks))
        }
        Chart::Images { title, images } => (
            title,
            element(
                "div",
                &[("class", "images")],
                Markup::join(
                    images.iter().map(|image| plain("div", Markup::join([svg::image(image, &image.label), note(&image.label)]))),
                ),
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
    let axis = row("(logarithmic axis)", "", svg::scale(&svg::log_ticks(low, high)));
    element("ul", &[("class", "chart")], Markup::join(rows.chain([axis])))
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
    let text = format!("{description} Median {}.", short(median));
    let across = svg::ticks(1.0, values.len() as f64);
    let axes = Axes { x: "position in that order", across, y: "value, logarithmic", up: svg::log_ticks(low, high) };
    Markup::join([axes.around(svg::lines(&[points])), note(&text)])
}

fn curve([x, y]: [&str; 2], logarithmic: bool, series: &[Series]) -> Markup {
    let range = |of: usize| {
        let values = || series.iter().flat_map(|series| &series.points).map(move |point| point[of]);
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
    };
    let ((left, right), (low, high)) = (range(0), range(1));
    // A size is seen best from zero on.
    let left = left.min(0.0);
    let logarithmic = logarithmic && low > 0.0;
    // A share is seen best against the whole.
    let (low, high) = if !logarithmic && low >= 0.0 && high <= 1.0 { (0.0, 1.0) } else { (low, high) };
    let share = |value: f64, low: f64, high: f64| if high > low { (value - low) / (high - low) } else { 0.5 };
    let height = |value: f64| if logarithmic { svg::log_position(value, low, high) } else { share(value, low, high) };
    let line = |series: &Series| series.points.iter().map(|point| (share(point[0], left, right), height(point[1]))).collect();
    let lines: Vec<Vec<(f64, f64)>> = series.iter().map(line).collect();
    let named = if series.len() > 1 { series } else { &[] };
    let keys = named.iter().enumerate().map(|(index, series)| (svg::line_key(index), series.label.clone()));
    // Series may have points at different places.
    let mut places: Vec<f64> = series.iter().flat_map(|series| &series.points).map(|point| point[0]).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let row = |place: &f64| {
        let value = |series: &Series| {
            let point = series.points.iter().find(|point| point[0] == *place);
            Markup::text(point.map_or_else(|| "–".to_owned(), |point| short(point[1])))
        };
        [Markup::text(short(*place))].into_iter().chain(series.iter().map(value)).collect()
    };
    let header: Vec<&str> = [x].into_iter().chain(series.iter().map(|series| series.label.as_str())).collect();
    let numbers = numbers(super::table(None, &header, places.iter().map(row)));
    let upwards = format!("{y}{}", if logarithmic { ", logarithmic" } else { "" });
    let up = if logarithmic { svg::log_ticks(low, high) } else { svg::ticks(low, high) };
    let axes = Axes { x, across: svg::ticks(left, right), y: &upwards, up };
    Markup::join([axes.around(svg::lines(&lines)), legend(keys), numbers])
}

fn histogram(x: &str, [low, high]: [f64; 2], shares: &[f64], logarithmic: bool, marks: &[Mark]) -> Markup {
    let most = shares.iter().copied().fold(0.0, f64::max);
    let least = shares.iter().copied().filter(|share| *share > 0.0).fold(most, f64::min);
    // The rarest range is still to be seen.
    let floor = least / 4.0;
    let height = |share: f64| match share {
        share if share <= 0.0 => 0.0,
        share if logarithmic && most > least => svg::log_position(share, floor, most),
        share => share / most,
    };
    let heights: Vec<f64> = shares.iter().map(|&share| height(share)).collect();
    let inside = |mark: &Mark| (low..=high).contains(&mark.value);
    let lines: Vec<f64> = marks.iter().filter(|mark| inside(mark)).map(|mark| (mark.value - low) / (high - low)).collect();
    let mut drawn = 0..;
    let keys = marks.iter().map(|mark| {
        let (key, place) = if inside(mark) {
            (svg::mark_key(drawn.next().unwrap_or(0)), "")
        } else {
            (Markup::default(), " (beyond the right edge)")
        };
        (key, format!("{}: {}{place}", mark.label, mark.text))
    });
    let keys: Vec<(Markup, String)> = keys.collect();
    let width = (high - low) / shares.len().max(1) as f64;
    let rows = shares.iter().enumerate().filter(|(_, share)| **share > 0.0).map(|(index, share)| {
        let from = low + width * index as f64;
        vec![Markup::text(format!("{} to {}", short(from), short(from + width))), Markup::text(short(*share))]
    });
    let scaled = logarithmic && most > least;
    let (y, up) =
        if scaled { ("share of all, logarithmic", svg::log_ticks(floor, most)) } else { ("share of all", svg::ticks(0.0, most)) };
    let axes = Axes { x, across: svg::ticks(low, high), y, up };
    let numbers = numbers(super::table(None, &[x, "share"], rows));
    Markup::join([axes.around(svg::histogram(&heights, &lines)), legend(keys), numbers])
}

/// The axes of a picture: what they count, and their ticks.
struct Axes<'a> {
    x: &'a str,
    across: Vec<svg::Tick>,
    y: &'a str,
    up: Vec<svg::Tick>,
}

impl Axes<'_> {
    fn around(&self, picture: Markup) -> Markup {
        let named = |class: &'static str, text: &str| element("div", &[("class", class)], Markup::text(text));
        let parts = [named("y", self.y), svg::upward(&self.up), svg::plot(&self.across, &self.up, picture), named("x", self.x)];
        element("div", &[("class", "frame")], Markup::join(parts))
    }
}

/// What the lines of a picture are.
fn legend(keys: impl IntoIterator<Item = (Markup, String)>) -> Markup {
    let rows: Vec<Markup> =
        keys.into_iter().map(|(key, text)| plain("li", Markup::join([key, Markup::text(" "), Markup::text(text)]))).collect();
    if rows.is_empty() { Markup::default() } else { element("ul", &[("class", "legend")], Markup::join(rows)) }
}

/// The numbers of a picture, for whoever does not look at it.
fn numbers(table: Markup) -> Markup {
    plain("details", Markup::join([tag("summary", "The numbers"), table]))
}

fn note(text: &str) -> Markup {
    element("p", &[("class", "quiet")], Markup::text(text))
}
