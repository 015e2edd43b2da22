//! Data of the report's pictures. Every picture is also a list of numbers, so that nothing depends on seeing it.

use schemars::JsonSchema;
use serde::Serialize;

use super::claims::{AccuracyPoint, ClaimSection};
use crate::kernel::lipschitz::prove_parts;
use crate::kernel::model::onnx::Model;
use crate::kernel::proof::{Bundle, Claim, ClaimKind, DeviationClaim, LipschitzClaim, Number, PartProof, RobustnessClaim};

/// A picture's data.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "chart", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Chart {
    /// Values of one quantity from least to largest, on a logarithmic axis.
    Ladder { title: String, marks: Vec<Mark> },
    /// One value for each of several things.
    Bars { title: String, unit: String, bars: Vec<Bar> },
    /// Many values in an order of their own, on a logarithmic axis.
    Profile { title: String, description: String, values: Vec<f64> },
    /// Parts of a whole.
    Shares { title: String, parts: Vec<Bar> },
    /// Values that depend on another, from left to right; `logarithmic` upwards.
    Curve { title: String, x: String, y: String, logarithmic: bool, series: Vec<Series> },
    /// How often values occur between `low` and `high`: shares of all of them in ranges of equal width, and values that mean
    /// something. `logarithmic` upwards.
    Histogram { title: String, x: String, low: f64, high: f64, shares: Vec<f64>, logarithmic: bool, marks: Vec<Mark> },
    /// Images, channel by channel, row-major.
    Images { title: String, images: Vec<Image> },
}

/// A mark on a ladder.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    pub label: String,
    pub text: String,
    pub value: f64,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bar {
    pub label: String,
    pub value: f64,
}

/// One line of a picture.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Series {
    pub label: String,
    pub points: Vec<[f64; 2]>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    pub label: String,
    pub width: usize,
    pub height: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    pub values: Vec<f64>,
    /// The values that are dark and bright; those of the image itself where nothing is said.
    pub range: Option<[f64; 2]>,
}

/// What is said of a quotient that two points attain.
const ATTAINED: &str = "attained";
/// Bars and values of a picture; more are left out, and said.
pub(super) const MOST_BARS: usize = 60;
const MOST_VALUES: usize = 400;
pub(super) const MOST_IMAGES: usize = 6;
/// Pixels along a side; a larger image is averaged over blocks.
const MOST_PIXELS: usize = 40;

/// The pictures of one claim.
#[must_use]
pub fn of_claim(claim: &Claim, bundle: &Bundle, model: &Model) -> Vec<Chart> {
    match &claim.kind {
        ClaimKind::Lipschitz(lipschitz) => of_lipschitz(lipschitz, bundle, model),
        ClaimKind::Robustness(robustness) => of_robustness(robustness),
        ClaimKind::Deviation(deviation) => of_deviation(deviation),
        _ => Vec::new(),
    }
}

/// For every output how far it can be off, and how far it is somewhere.
fn of_deviation(claim: &DeviationClaim) -> Vec<Chart> {
    let of = |(output, bound): (usize, &Number)| {
        let met = claim.attained.iter().find(|attained| attained.output as usize == output);
        let proved = Bar { label: format!("output {output}: at most"), value: bound.value() };
        let attained = met.map(|met| Bar { label: format!("output {output}: attained"), value: met.deviation.value() });
        std::iter::once(proved).chain(attained)
    };
    let bars = claim.bounds.iter().enumerate().take(MOST_BARS / 2).flat_map(of).collect();
    let left = claim.bounds.len().saturating_sub(MOST_BARS / 2);
    let rest = if left > 0 { format!(" ({left} more outputs are left out)") } else { String::new() };
    let title = format!("How far the outputs of both models are apart{rest}");
    vec![Chart::Bars { title, unit: "difference of an output".to_owned(), bars }]
}

/// Pictures that take all claims that answer one question: bounds of one constant, and accuracy against the size of changes.
#[must_use]
pub fn of_question(claims: &[&ClaimSection]) -> Vec<Chart> {
    let mut points: Vec<&AccuracyPoint> = claims.iter().filter_map(|claim| claim.accuracy.as_ref()).collect();
    points.sort_by(|a, b| a.epsilon.total_cmp(&b.epsilon));
    let series = |label: &str, of: fn(&AccuracyPoint) -> f64| Series {
        label: label.to_owned(),
        points: points.iter().map(|point| [point.epsilon, of(point)]).collect(),
    };
    let curve = points.first().filter(|_| points.len() > 1).map(|first| {
        let clean = first.clean.map(|clean| Series {
            label: "classified as labelled without any change (computed)".to_owned(),
            points: vec![[0.0, clean]],
        });
        let proved = [
            series("robust (proved)", |point| point.certified),
            series("not falsified: what is possible at most (proved)", |point| point.possible),
        ];
        Chart::Curve {
            title: format!("Certified accuracy against the size of changes ({})", first.norm.symbol()),
            x: "size of the change ε, in the units of the data".to_owned(),
            y: "share of samples".to_owned(),
            logarithmic: false,
            series: proved.into_iter().chain(clean).collect(),
        }
    });
    ladder(claims).into_iter().chain(curve).collect()
}

/// Where several claims bound the same Lipschitz constant, all of their bounds on one axis.
fn ladder(claims: &[&ClaimSection]) -> Option<Chart> {
    let ladders = claims.iter().filter_map(|claim| match claim.charts.first() {
        Some(Chart::Ladder { title, marks }) => Some((title, marks)),
        _ => None,
    });
    let ladders: Vec<_> = ladders.collect();
    let [(title, _), _, ..] = ladders[..] else { return None };
    let mut marks: Vec<Mark> = ladders.iter().flat_map(|(_, marks)| marks.iter().cloned()).collect();
    marks.sort_by(|a, b| a.value.total_cmp(&b.value).then_with(|| a.label.cmp(&b.label)));
    marks.dedup_by(|a, b| a.label == b.label && a.value == b.value);
    // Of points that attain something only the best counts.
    let best = marks.iter().filter(|mark| mark.label == ATTAINED).map(|mark| mark.value).fold(0.0, f64::max);
    marks.retain(|mark| mark.label != ATTAINED || mark.value == best);
    let title = title.split(" lies between").next().unwrap_or(title);
    Some(Chart::Ladder { title: format!("{title}, by all certificates"), marks })
}

fn of_robustness(claim: &RobustnessClaim) -> Vec<Chart> {
    let (robust, falsified) = (claim.robust.len(), claim.falsified.len());
    let unknown = (claim.samples as usize).saturating_sub(robust + falsified);
    let parts = [("robust (proved)", robust), ("falsified (proved)", falsified), ("not decided", unknown)];
    let parts = parts.map(|(label, count)| Bar { label: label.to_owned(), value: count as f64 });
    let title = format!("Of {} samples, changed by at most {}", claim.samples, claim.perturbation.epsilon);
    vec![Chart::Shares { title, parts: parts.into() }]
}

fn of_lipschitz(claim: &LipschitzClaim, bundle: &Bundle, model: &Model) -> Vec<Chart> {
    let symbol = claim.norm.symbol();
    let mut charts = Vec::new();
    let mark = |label: &str, number: &crate::kernel::proof::Number| Mark {
        label: label.to_owned(),
        text: number.to_string(),
        value: number.value(),
    };
    // The product of segments with inequalities of their own, or of norms alone.
    let layerwise = claim.witness.parts.iter().any(|part| match &part.proof {
        PartProof::Inequality(inequality) => bundle.resolve(&inequality.multipliers).is_some_and(|values| !values.is_empty()),
        PartProof::Rules { .. } => false,
    });
    let product = if layerwise { "layer-wise product" } else { "norm product" };
    let marks = [
        claim.lower_bound.as_ref().map(|number| mark(ATTAINED, number)),
        Some(mark(if claim.witness.inequality.is_some() { "certified (matrix inequality)" } else { "certified" }, &claim.bound)),
        claim.norm_product.as_ref().map(|number| mark(product, number)),
    ];
    let marks: Vec<Mark> = marks.into_iter().flatten().filter(|mark| mark.value > 0.0 && mark.value.is_finite()).collect();
    if marks.len() > 1 {
        charts.push(Chart::Ladder { title: format!("The {symbol} Lipschitz constant lies between the first two"), marks });
    }
    let parts = prove_parts(&model.network, &claim.witness.parts, bundle).unwrap_or_default();
    let nodes = model.network.nodes();
    let bars: Vec<Bar> = claim
        .witness
        .parts
        .iter()
        .zip(parts)
        .take(MOST_BARS)
        .map(|(part, bound)| {
            let label = nodes.get(part.to as usize).map_or_else(String::new, |node| format!("{} ({})", node.name, node.operator));
            Bar { label, value: bound }
        })
        .collect();
    if bars.len() > 1 {
        charts.push(Chart::Bars {
            title: "Lipschitz constants of the parts; their product is the norm product".to_owned(),
            unit: "certified upper bound".to_owned(),
            bars,
        });
    }
    let multipliers = claim.witness.inequality.as_ref().and_then(|inequality| bundle.resolve(&inequality.multipliers));
    let mut values = multipliers.unwrap_or_default();
    values.retain(|value| *value > 0.0 && value.is_finite());
    if values.len() > 1 {
        let step = values.len().div_ceil(MOST_VALUES);
        let description = match step {
            1 => format!("{} multipliers in the order of the network's activation groups.", values.len()),
            step => format!(
                "{} multipliers in the order of the network's activation groups; the largest of every {step} is shown.",
                values.len()
            ),
        };
        let values = values.chunks(step).map(|chunk| chunk.iter().copied().fold(0.0, f64::max)).collect();
        charts.push(Chart::Profile { title: "Multipliers of the matrix inequality".to_owned(), description, values });
    }
    charts
}

/// Weighted values as shares of all of them, in ranges of equal width between `low` and `high`.
pub(super) fn shares(values: &[(f64, f64)], low: f64, high: f64, bins: usize) -> Vec<f64> {
    let whole: f64 = values.iter().map(|(_, weight)| weight).sum();
    let mut shares = vec![0.0; bins];
    for (value, weight) in values.iter().filter(|(value, _)| (low..=high).contains(value)) {
        let position = ((value - low) / (high - low) * bins as f64) as usize;
        shares[position.min(bins - 1)] += weight / whole;
    }
    shares
}

/// An input as a picture, where its shape is that of an image: `[h, w]` or `[3, h, w]` with any number of ones before it, or
/// the square of a number.
pub(super) fn image(label: String, values: &[f64], shape: &[usize]) -> Option<Image> {
    let extents: Vec<usize> = shape.iter().copied().filter(|&extent| extent != 1).collect();
    let (channels, height, width) = match extents[..] {
        [3, height, width] => (3, height, width),
        [height, width] => (1, height, width),
        [count] => (1, count.isqrt(), count.isqrt()),
        _ => return None,
    };
    let fits = height.checked_mul(width)?.checked_mul(channels)? == values.len() && height >= 4 && width >= 4;
    if !fits || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    let block = height.max(width).div_ceil(MOST_PIXELS);
    let (rows, columns) = (height.div_ceil(block), width.div_ceil(block));
    let mean = |channel: usize, row: usize, column: usize| {
        let rows = row * block..((row + 1) * block).min(height);
        let columns = column * block..((column + 1) * block).min(width);
        let count = rows.len() * columns.len();
        let pixels = rows.flat_map(|y| columns.clone().map(move |x| (channel * height + y) * width + x));
        pixels.map(|pixel| values[pixel]).sum::<f64>() / count as f64
    };
    let places = (0..channels).flat_map(|c| (0..rows).flat_map(move |y| (0..columns).map(move |x| (c, y, x))));
    let reduced = places.map(|(c, y, x)| mean(c, y, x)).collect();
    Some(Image { label, width: columns, height: rows, channels, values: reduced, range: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_that_are_images_are_seen() {
        let of = |shape: &[usize]| {
            let values: Vec<f64> = (0..shape.iter().product()).map(|i| i as f64).collect();
            image(String::new(), &values, shape)
        };
        let size = |shape: &[usize]| of(shape).map(|image| (image.channels, image.height, image.width));
        assert_eq!(size(&[1, 64]), Some((1, 8, 8)));
        assert_eq!(size(&[1, 1, 28, 20]), Some((1, 28, 20)));
        assert_eq!(size(&[1, 3, 32, 32]), Some((3, 32, 32)));
        assert_eq!((size(&[1, 5]), size(&[1, 10]), size(&[2, 8, 8])), (None, None, None));
        // Larger ones are averaged.
        let large = of(&[1, 3, 224, 224]).unwrap();
        assert_eq!((large.height, large.width, large.values.len()), (38, 38, 3 * 38 * 38));
        assert_eq!(large.values[0], (0..6).flat_map(|y| (0..6).map(move |x| f64::from(224 * y + x))).sum::<f64>() / 36.0);
    }

    #[test]
    fn shares_add_up() {
        let shares = shares(&[(0.0, 1.0), (0.5, 2.0), (1.0, 1.0)], 0.0, 1.0, 4);
        assert_eq!(shares, [0.25, 0.0, 0.5, 0.25]);
    }
}
