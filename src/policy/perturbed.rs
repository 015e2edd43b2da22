//! Rules about samples and their perturbations, as tasks: robustness, accuracy, radii, tightness.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::file::{AccuracyRule, Input, ModelPolicy, RadiusRule, RobustnessRule, SizeRule, TightnessRule};
use super::read::Wrong;
use super::requirement::Limit;
use super::stated::MOST;
use super::task::{LineOf, Shared, Task, decimal, samples, samples_of, spanned};
use crate::kernel::proof::{Assurance, Kept, Norm, Perturbation, Semantics, Size};
use crate::query::{Query, RobustnessQuery, TightnessQuery};

/// What rules about samples that keep something share.
struct Asked<'a> {
    data: &'a Path,
    labels: Option<&'a PathBuf>,
    samples: Option<u32>,
    norm: Norm,
    epsilon: Size,
    kept: Kept,
    semantics: Semantics,
    assurance: Assurance,
    name: String,
    /// What the figure is a share of, in words.
    figure: String,
}

impl Task {
    pub(super) fn robustness(
        model: &str,
        policy: &ModelPolicy,
        wanted: &RobustnessRule,
        line: usize,
        line_of: LineOf,
    ) -> Result<Self, Wrong> {
        let symbol = norm(wanted.norm)?.symbol();
        let epsilon = size(&wanted.epsilon, wanted.norm)?;
        let kept = kept(wanted.threshold, wanted.max_change)?;
        let (figure, suffix) = match &kept {
            Kept::Class => ("certified accuracy".to_owned(), ""),
            Kept::Threshold(threshold) => (format!("certified accuracy at the threshold {threshold}"), "-threshold"),
            Kept::MaxChange(most) => (format!("share that moves no output by more than {most}"), "-max-change"),
        };
        let asked = Asked {
            data: &wanted.data,
            labels: wanted.labels.as_ref(),
            samples: wanted.samples,
            norm: wanted.norm,
            name: format!("robustness-{}-{}{suffix}", wanted.norm.name(), named(&epsilon)),
            figure: format!("{figure}, {symbol} perturbations of {epsilon}"),
            epsilon,
            kept,
            semantics: wanted.semantics,
            assurance: wanted.assurance,
        };
        let least = &wanted.min_certified_accuracy;
        asked.task(model, policy, line, ("min-certified-accuracy", least, line_of(least.span().start)))
    }

    pub(super) fn accuracy(
        model: &str,
        policy: &ModelPolicy,
        wanted: &AccuracyRule,
        line: usize,
        line_of: LineOf,
    ) -> Result<Self, Wrong> {
        let asked = Asked {
            data: &wanted.data,
            labels: wanted.labels.as_ref(),
            samples: wanted.samples,
            norm: Norm::Linf,
            // Robust to nothing is right as it is.
            epsilon: Size::from("0"),
            kept: kept(wanted.threshold, None)?,
            semantics: wanted.semantics,
            assurance: wanted.assurance,
            name: "accuracy".to_owned(),
            figure: "clean accuracy".to_owned(),
        };
        let least = &wanted.min_clean_accuracy;
        asked.task(model, policy, line, ("min-clean-accuracy", least, line_of(least.span().start)))
    }

    pub(super) fn radius(
        model: &str,
        policy: &ModelPolicy,
        wanted: &RadiusRule,
        line: usize,
        line_of: LineOf,
    ) -> Result<Self, Wrong> {
        let symbol = norm(wanted.norm)?.symbol();
        let radius = spanned("min-radius", &wanted.min_radius)?;
        let asked = Asked {
            data: &wanted.data,
            labels: wanted.labels.as_ref(),
            samples: wanted.samples,
            norm: wanted.norm,
            epsilon: Size::Uniform(decimal(radius)),
            kept: kept(wanted.threshold, None)?,
            semantics: wanted.semantics,
            assurance: wanted.assurance,
            name: format!("radius-{}-{}", wanted.norm.name(), decimal(radius)),
            figure: format!("share with a certified {symbol} radius of {}", decimal(radius)),
        };
        let line_of_radius = line_of(wanted.min_radius.span().start);
        asked.task(model, policy, line, ("min-radius", &wanted.share, line_of_radius))
    }

    pub(super) fn tightness(
        model: &str,
        policy: &ModelPolicy,
        wanted: &TightnessRule,
        line: usize,
        line_of: LineOf,
    ) -> Result<Self, Wrong> {
        let epsilon = size(&wanted.epsilon, Norm::Linf)?;
        let (name, what) = (format!("tightness-{}", named(&epsilon)), samples_of(wanted.samples, &wanted.data));
        let what = format!("mean tightness of interval propagation, perturbations of {epsilon}, {what}");
        let query = Query::Tightness(TightnessQuery {
            samples: samples(&wanted.data, wanted.labels.as_ref(), wanted.samples)?,
            perturbation: perturbation(&policy.input, Norm::Linf, epsilon)?,
            elided: true,
            splits: None,
            phase_splits: None,
        });
        let about = Shared { model, name, what, query, assurance: wanted.assurance, allow_vacuous: false, line };
        let least = spanned("min-tightness", &wanted.min_tightness)?;
        if least > 1.0 {
            let detail = format!("`min-tightness` is {least}, and no tightness is greater than 1");
            return Err(Wrong::at(&wanted.min_tightness, detail));
        }
        let limit = Limit::AtLeast(least);
        Ok(about.task(vec![("min-tightness", limit, line_of(wanted.min_tightness.span().start))]))
    }
}

impl Asked<'_> {
    /// `least` is the key of the limit, the share that it asks for, and its line.
    fn task(
        self,
        model: &str,
        policy: &ModelPolicy,
        line: usize,
        (key, least, at): (&str, &Spanned<f64>, usize),
    ) -> Result<Task, Wrong> {
        let share = *least.get_ref();
        if !(0.0..=1.0).contains(&share) {
            let key = if key == "min-radius" { "share" } else { key };
            return Err(Wrong::at(least, format!("`{key}` is {share}, which is not between 0 and 1")));
        }
        let query = Query::Robustness(RobustnessQuery {
            samples: samples(self.data, self.labels, self.samples)?,
            perturbation: perturbation(&policy.input, self.norm, self.epsilon)?,
            kept: self.kept,
            semantics: self.semantics,
        });
        let what = format!("{}, {}", self.figure, samples_of(self.samples, self.data));
        let about = Shared { model, name: self.name, what, query, assurance: self.assurance, allow_vacuous: false, line };
        Ok(about.task(vec![(key, Limit::AtLeast(share), at)]))
    }
}

/// What robust samples keep; a rule asks for one thing.
fn kept(threshold: Option<f64>, most: Option<f64>) -> Result<Kept, String> {
    match (threshold, most) {
        (None, None) => Ok(Kept::Class),
        (Some(threshold), None) if threshold.abs() <= MOST => Ok(Kept::Threshold(decimal(threshold))),
        (Some(threshold), None) => Err(format!("`threshold` is {threshold}, which is no output")),
        (None, Some(most)) if (0.0..=MOST).contains(&most) => Ok(Kept::MaxChange(decimal(most))),
        (None, Some(most)) => Err(format!("`max-change` is {most}, which is not from 0 to {MOST:e}")),
        (Some(_), Some(_)) => Err("`threshold` and `max-change` ask different questions: write two rules".to_owned()),
    }
}

/// A norm of perturbations.
fn norm(norm: Norm) -> Result<Norm, String> {
    match norm {
        Norm::L1 => Err("perturbations are those of `l2` or `linf`: ℓ1 is a norm of Lipschitz bounds alone".to_owned()),
        Norm::L2 | Norm::Linf => Ok(norm),
    }
}

fn size(epsilon: &SizeRule, norm: Norm) -> Result<Size, String> {
    let usable = |size: f64| (0.0..=MOST).contains(&size);
    match epsilon {
        SizeRule::Uniform(size) if usable(*size) && *size > 0.0 => Ok(Size::Uniform(decimal(*size))),
        SizeRule::Uniform(size) => Err(format!("`epsilon` is {size}, which is not positive and at most {MOST:e}")),
        SizeRule::Each(_) if norm != Norm::Linf => Err("`epsilon` for every value by itself is one of `linf`".to_owned()),
        SizeRule::Each(sizes) => match sizes.iter().find(|size| !usable(**size)) {
            Some(size) => Err(format!("`epsilon` holds {size}, which is not from 0 to {MOST:e}")),
            None if sizes.iter().any(|size| *size > 0.0) => Ok(Size::Each(sizes.iter().copied().map(decimal).collect())),
            None => Err("`epsilon` is 0 for every value: nothing is perturbed (`accuracy` is the rule for samples as they are)"
                .to_owned()),
        },
    }
}

/// A size as a piece of a name.
fn named(size: &Size) -> String {
    match size {
        Size::Uniform(size) => size.clone(),
        Size::Each(_) => "each".to_owned(),
    }
}

/// How a rule's samples are perturbed.
fn perturbation(input: &Input, norm: Norm, epsilon: Size) -> Result<Perturbation, String> {
    let Input { mean, std, channel_axis, clip } = input;
    let decimals = |values: &[f64]| values.iter().copied().map(decimal).collect();
    if let Some(value) = mean.iter().find(|value| !value.is_finite()) {
        return Err(format!("`input.mean` holds {value}"));
    }
    if let Some(value) = std.iter().find(|value| !(**value > 0.0 && value.is_finite())) {
        return Err(format!("`input.std` holds {value}: samples are divided by it, so it must be positive"));
    }
    if mean.len() > 1 && std.len() > 1 && mean.len() != std.len() {
        return Err(format!("`input` has {} means and {} deviations", mean.len(), std.len()));
    }
    if let Some([low, high]) = clip
        && !(low < high && low.is_finite() && high.is_finite())
    {
        return Err(format!("`input.clip` is [{low}, {high}], between which no sample can move"));
    }
    Ok(Perturbation {
        norm,
        epsilon,
        clip: clip.map(|clip| clip.map(decimal)),
        mean: decimals(mean),
        deviation: decimals(std),
        channel_axis: *channel_axis,
    })
}
