//! Pictures of the page: labels and numbers as text, and the picture beside them.

use super::super::audit::{Bar, Chart, Mark, Series};
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
        Chart::Curve { title, x, y, logarithmic, series } => (title, curve([x, y], *logarithmic, series)),
        Chart::Histogram { title, x, low, high, shares, logarithmic, marks } => {
            (title, histogram(x, [*low, *high], shares, *logarithmic, marks))
        }
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
    let text = format!("{description} Median {}.", short(median));
    let scale = Scale {
        x: "in their order",
        left: 1.0,
        right: values.len() as f64,
        upwards: "value, logarithmic",
        low: short(low),
        high: short(high),
    };
    Markup::join([scale.around(svg::lines(&[points])), note(&text)])
}

fn curve([x, y]: [&str; 2], logarithmic: bool, series: &[Series]) -> Markup {
    let range = |of: usize| {
        let values = || series.iter().flat_map(|series| &series.points).map(move |point| point[of]);
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
    };
    let ((left, right), (low, high)) = (range(0), range(1));
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
    let scale = Scale { x, left, right, upwards: &upwards, low: short(low), high: short(high) };
    Markup::join([scale.around(svg::lines(&lines)), legend(keys), numbers])
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
    let upwards = if logarithmic { "share, logarithmic" } else { "share" };
    let bottom = if logarithmic && most > least { short(floor) } else { "0".to_owned() };
    let scale = Scale { x, left: low, right: high, upwards, low: bottom, high: short(most) };
    let numbers = numbers(super::table(None, &[x, "share"], rows));
    Markup::join([scale.around(svg::histogram(&heights, &lines)), legend(keys), numbers])
}

/// The axes of a picture, as text around it.
struct Scale<'a> {
    x: &'a str,
    left: f64,
    right: f64,
    upwards: &'a str,
    low: String,
    high: String,
}

impl Scale<'_> {
    fn around(&self, picture: Markup) -> Markup {
        let ends = |class: &'static str, first: &str, middle: &str, last: &str| {
            element("div", &[("class", class)], Markup::join([first, middle, last].map(|text| tag("span", text))))
        };
        let parts = [
            ends("up", &self.high, self.upwards, &self.low),
            picture,
            ends("across", &short(self.left), self.x, &short(self.right)),
        ];
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
