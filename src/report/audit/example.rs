//! Counterexamples as a report shows them: the point that violates a property, what changed from the input that it was meant to
//! behave like, what the network answers at both, and pictures where inputs are images.
//!
//! That a point violates is what the checker proved. The answers beside it are computed in `f64`, for the reader.

use schemars::JsonSchema;
use serde::Serialize;

use super::chart::{self, Image};
use crate::kernel::model::ir::evaluate;
use crate::kernel::model::onnx::Model;
use crate::kernel::proof::{Bundle, Claim, ClaimKind, Evidence, Files, Kept, RobustnessClaim, SpecificationClaim};
use crate::kernel::read::data::{Dataset, Source};
use crate::kernel::read::vnnlib::Specification;
use crate::kernel::region::Neighbourhoods;

/// Counterexamples of one claim that are shown; a claim may hold thousands.
const MOST: usize = 3;
/// Inputs that are named, those that changed most first.
const MOST_CHANGES: usize = 6;
/// Inputs of a point that is written out; a longer one stands in the certificate.
const MOST_INPUTS: usize = 256;
/// Outputs that are written out.
const MOST_OUTPUTS: usize = 20;

/// A concrete input that violates a property.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// What it is, in a few words.
    pub title: String,
    /// The sample that was changed, where it is one.
    pub sample: Option<u32>,
    /// The class that the sample is labelled with.
    pub label: Option<usize>,
    /// The class that the network answers without the change.
    pub before: Option<usize>,
    /// The class that the network answers at the point.
    pub after: Option<usize>,
    /// The example in a sentence.
    pub sentence: String,
    /// How many inputs differ.
    pub changed: usize,
    /// Those that differ most.
    pub changes: Vec<ChangedInput>,
    /// The point itself, as the network sees it; empty where it is too long.
    pub point: Vec<f64>,
    /// What the network answers there; empty where it is too long.
    pub outputs: Vec<f64>,
    pub images: Vec<Image>,
}

/// One input of a counterexample.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangedInput {
    /// Its position, row-major, from 0.
    pub input: usize,
    pub from: f64,
    pub to: f64,
}

/// What a report reads off the files that a claim names.
#[derive(Debug, Default)]
pub struct Read {
    pub examples: Vec<Example>,
    /// Samples that the network classifies as labelled before anything is changed, computed in `f64`.
    pub right: Option<usize>,
}

/// Reads the counterexamples of a claim, and what the network answers without any change. What the files do not give is left
/// out: the claim stands without it.
#[must_use]
pub fn of_claim(claim: &Claim, bundle: &Bundle, model: &Model, files: &Files) -> Read {
    let evidence = Evidence { network: &model.network, tensors: &model.tensors, bundle, files };
    match &claim.kind {
        ClaimKind::Specification(found) => {
            Read { examples: of_specification(found, &evidence, model).into_iter().collect(), right: None }
        }
        ClaimKind::Robustness(found) => of_robustness(found, claim, &evidence, model).unwrap_or_default(),
        _ => Read::default(),
    }
}

fn of_specification(claim: &SpecificationClaim, evidence: &Evidence, model: &Model) -> Option<Example> {
    let unsafe_point = claim.witness.counterexample.as_ref()?;
    let point = evidence.bundle.resolve(&unsafe_point.input)?;
    // The middle of the box is what the point is compared with; around a sample it is the sample.
    let middle = || {
        let bytes = evidence.file(&claim.file).ok()?.to_vec();
        let source = Source::from_bytes(std::path::Path::new(&claim.file.name), bytes, Specification::LIMIT).ok()?;
        let specification = Specification::from_source(&source).ok()?;
        let case = specification.cases.get(unsafe_point.case as usize)?;
        let (lower, upper) = specification.boxes.get(case.region)?.outer();
        let middle: Vec<f64> = lower.iter().zip(&upper).map(|(lower, upper)| lower + (upper - lower) / 2.0).collect();
        (middle.len() == point.len() && middle.iter().all(|x| x.is_finite())).then_some(middle)
    };
    let mut example = Example::new("Counterexample".to_owned(), middle().as_deref(), &point, model);
    example.sentence = match (example.before, example.after) {
        (Some(before), Some(after)) if before != after => {
            format!(
                "In the middle of the inputs that the specification names the network answers class {before}, at this input class {after}."
            )
        }
        (Some(_), Some(after)) => {
            format!(
                "This input lies within the bounds, and its output is one that the specification forbids; the largest output is that of class {after}."
            )
        }
        _ => "This input lies within the bounds, and its output is one that the specification forbids.".to_owned(),
    };
    Some(example)
}

fn of_robustness(claim: &RobustnessClaim, whole: &Claim, evidence: &Evidence, model: &Model) -> Option<Read> {
    let source = |position: usize| {
        let identity = claim.data.get(position)?;
        let bytes = evidence.file(identity).ok()?.to_vec();
        Source::from_bytes(std::path::Path::new(&identity.name), bytes, Source::LIMIT).ok()
    };
    let data = Dataset::from_sources(source(0)?, source(1)).ok()?;
    let shape = &model.network.node(model.network.input()).shape;
    let neighbourhoods = Neighbourhoods::new(&claim.perturbation, shape, whole.semantics).ok()?;
    let centre = |sample: u32| {
        let sample = sample as usize;
        (sample < data.len()).then(|| neighbourhoods.of(&data.input(sample)).ok()).flatten().map(|found| found.centre)
    };
    let points = evidence.bundle.resolve(&claim.witness.points).unwrap_or_default();
    let pairs = claim.falsified.iter().zip(points.chunks_exact(model.network.input_size().max(1)));
    if !claim.kept.is_class() {
        let example = |(&sample, point)| Some(of_outputs(sample, &centre(sample)?, point, &claim.kept, model));
        return Some(Read { examples: pairs.take(MOST).filter_map(example).collect(), right: None });
    }
    let labels = data.labels(model.network.output_size()).ok()?;
    let label = |sample: u32| labels.get(sample as usize).map(|&label| label as usize);
    let right = (0..claim.samples).try_fold(0, |right, sample| {
        let (answer, label) = (predicted(model, &centre(sample)?), label(sample)?);
        Some(right + usize::from(answer == Some(label)))
    });
    let mut examples: Vec<Example> = Vec::new();
    // Samples that the network gets right before the change tell more than those that were wrong from the start.
    for wrong in [false, true] {
        for (&sample, point) in pairs.clone() {
            if examples.len() == MOST {
                break;
            }
            let centre = centre(sample)?;
            let label = label(sample)?;
            if (predicted(model, &centre) != Some(label)) == wrong {
                examples.push(of_sample(sample, label, &centre, point, model));
            }
        }
    }
    Some(Read { examples, right })
}

fn of_sample(sample: u32, label: usize, centre: &[f64], point: &[f64], model: &Model) -> Example {
    let mut example = Example::new(format!("Sample {sample}"), Some(centre), point, model);
    (example.sample, example.label) = (Some(sample), Some(label));
    let class = |class: Option<usize>| class.map_or_else(|| "no single class".to_owned(), |class| format!("class {class}"));
    example.sentence = if example.before == Some(label) {
        format!(
            "Labelled {label}, and answered as {label} before the change; after it the network answers {}.",
            class(example.after)
        )
    } else {
        format!("Labelled {label}; the network answers {} before any change.", class(example.before))
    };
    example
}

/// A sample whose outputs, not its class, are what is to be kept.
fn of_outputs(sample: u32, centre: &[f64], point: &[f64], kept: &Kept, model: &Model) -> Example {
    let mut example = Example::new(format!("Sample {sample}"), Some(centre), point, model);
    (example.sample, example.before, example.after) = (Some(sample), None, None);
    let outputs = |input: &[f64]| evaluate(&model.network, input).unwrap_or_default();
    let (before, after) = (outputs(centre), outputs(point));
    let moved = before.iter().zip(&after).map(|(before, after)| (after - before).abs()).fold(0.0, f64::max);
    example.sentence = match (kept, &before[..], &after[..]) {
        (Kept::Threshold(threshold), [before], [after]) => {
            format!("The output is {before:.6} before the change and {after:.6} after it; the threshold is {threshold}.")
        }
        (Kept::MaxChange(most), ..) => {
            format!("The change moves an output by {moved:.6}; it was asked that none moves by more than {most}.")
        }
        _ => "After the change the sample does not keep what was asked.".to_owned(),
    };
    example
}

impl Example {
    fn new(title: String, original: Option<&[f64]>, point: &[f64], model: &Model) -> Self {
        let mut changes: Vec<ChangedInput> = original
            .into_iter()
            .flat_map(|original| original.iter().zip(point).enumerate())
            .filter(|(_, (from, to))| from != to)
            .map(|(input, (&from, &to))| ChangedInput { input, from, to })
            .collect();
        let changed = changes.len();
        changes.sort_by(|a, b| (b.to - b.from).abs().total_cmp(&(a.to - a.from).abs()).then(a.input.cmp(&b.input)));
        changes.truncate(MOST_CHANGES);
        let outputs = evaluate(&model.network, point).unwrap_or_default();
        Self {
            title,
            sample: None,
            label: None,
            before: original.and_then(|original| predicted(model, original)),
            after: largest(&outputs),
            sentence: String::new(),
            changed,
            changes,
            point: if point.len() <= MOST_INPUTS { point.to_vec() } else { Vec::new() },
            outputs: if outputs.len() <= MOST_OUTPUTS { outputs } else { Vec::new() },
            images: images(original, point, &model.input.shape),
        }
    }
}

/// The input before, the change alone, the input after. The first and the last have the same range of brightness.
fn images(original: Option<&[f64]>, point: &[f64], shape: &[usize]) -> Vec<Image> {
    let Some(original) = original else { return chart::image("the input".to_owned(), point, shape).into_iter().collect() };
    let ends = |values: &[f64]| values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &x| (l.min(x), h.max(x)));
    let ((l, h), (low, high)) = (ends(original), ends(point));
    let range = [l.min(low), h.max(high)];
    let difference: Vec<f64> = original.iter().zip(point).map(|(from, to)| to - from).collect();
    let most = difference.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    let enlarged = (range[1] - range[0]) / (2.0 * most);
    let label = if most > 0.0 && enlarged.is_finite() && enlarged >= 1.5 {
        format!("the change, enlarged {enlarged:.0} times")
    } else {
        "the change".to_owned()
    };
    let of = |label: String, values: &[f64], range| {
        chart::image(label, values, shape).map(|image| Image { range: Some(range), ..image })
    };
    [of("before".to_owned(), original, range), of(label, &difference, [-most, most]), of("after".to_owned(), point, range)]
        .into_iter()
        .flatten()
        .collect()
}

fn predicted(model: &Model, input: &[f64]) -> Option<usize> {
    largest(&evaluate(&model.network, input).unwrap_or_default())
}

/// The class whose output is the largest, alone.
fn largest(outputs: &[f64]) -> Option<usize> {
    if outputs.len() < 2 {
        return None;
    }
    let most = outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut found = outputs.iter().enumerate().filter(|(_, y)| **y >= most);
    let first = found.next()?.0;
    found.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_output_is_the_largest() {
        assert_eq!(largest(&[1.0, 3.0, 2.0]), Some(1));
        assert_eq!(largest(&[3.0, 3.0]), None);
        assert_eq!(largest(&[f64::NAN, f64::NAN]), None);
        assert_eq!(largest(&[1.0]), None);
    }

    #[test]
    fn the_change_is_seen_between_before_and_after() {
        let before: Vec<f64> = (0..16).map(|i| f64::from(i) / 16.0).collect();
        let mut after = before.clone();
        after[3] += 0.01;
        let images = images(Some(&before), &after, &[1, 16]);
        let labels: Vec<&str> = images.iter().map(|image| image.label.as_str()).collect();
        assert_eq!(labels, ["before", "the change, enlarged 47 times", "after"]);
        assert_eq!(images[0].range, images[2].range);
        assert!(super::images(Some(&before[..5]), &after[..5], &[1, 5]).is_empty());
    }
}
