//! The figures of a claim, by their names in the certificate (with dots where they are nested), each with the side that the
//! printed value is on.

use schemars::JsonSchema;
use serde::Serialize;

use crate::kernel::proof::{
    Bits, ClaimKind, CurvatureMatrix, DeviationClaim, FileIdentity, Kept, LossName, Number, Objective, Perturbation, Rounding,
    Size, TightnessFigures,
};
use crate::policy::decisive;

/// One figure of a claim.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FigureRow {
    /// Its name in the certificate, with dots where it is nested.
    pub name: String,
    /// What it is, in words.
    pub label: String,
    /// `≤`, `≥` or `=`: which side the printed value is on.
    pub relation: String,
    pub value: String,
    pub number: Option<f64>,
}

/// Entries of a list that are shown.
const SHOWN: usize = 12;

/// Returns all figures of a claim but those that nobody checks.
#[must_use]
pub fn figures(claim: &ClaimKind) -> Vec<FigureRow> {
    let mut rows = Rows::default();
    match claim {
        ClaimKind::Lipschitz(claim) => {
            rows.bound("bound", Some(&claim.bound));
            if !claim.functionals.is_empty() {
                rows.text("functionals", format!("{} entries", claim.functionals.len()));
            }
            rows.bound("lower_bound", claim.lower_bound.as_ref());
            rows.text("norm", claim.norm.name());
            rows.bound("norm_product", claim.norm_product.as_ref());
            if claim.well_posed {
                rows.text("well_posed", "true");
            }
        }
        ClaimKind::Robustness(found) => {
            let figure = decisive(claim);
            let readings = if found.kept.needs_labels() {
                ["certified_accuracy", "possible_accuracy"]
            } else {
                ["certified_share", "possible_share"]
            };
            let readings = [(readings[0], "≥", figure.reading), (readings[1], "≤", figure.best)];
            for (name, relation, reading) in readings {
                if let Some(reading) = reading {
                    rows.push(name, relation, reading.text().to_owned(), reading.number());
                }
            }
            rows.count("available", found.available);
            rows.files("data", &found.data);
            rows.indices("falsified", &found.falsified);
            match &found.kept {
                Kept::Class => {}
                Kept::Threshold(threshold) => rows.text("kept.threshold", threshold),
                Kept::MaxChange(most) => rows.text("kept.max-change", most),
            }
            rows.perturbation(&found.perturbation);
            rows.indices("robust", &found.robust);
            rows.count("samples", Some(found.samples));
        }
        ClaimKind::Specification(claim) => {
            rows.count("empty_cases", Some(claim.empty_cases).filter(|&count| count > 0));
            rows.files("file", std::slice::from_ref(&claim.file));
            if let Some(first) = &claim.first {
                rows.text("first", first.model.digest.clone());
            }
            rows.text("verdict", decisive_word(&ClaimKind::Specification(claim.clone())));
        }
        ClaimKind::Tightness(claim) => {
            rows.count("available", claim.available);
            rows.count("certified", claim.certified);
            rows.files("data", &claim.data);
            rows.text("elided", claim.elided.to_string());
            rows.count("exact_rows", Some(claim.exact_rows));
            rows.count("exact_samples", Some(claim.exact_samples));
            rows.perturbation(&claim.perturbation);
            rows.count("samples", Some(claim.samples));
            rows.count("splits", Some(claim.splits));
            rows.bound("tightness.lower", Some(&claim.tightness.lower));
            rows.bound("tightness.upper", Some(&claim.tightness.upper));
        }
        ClaimKind::Deviation(claim) => rows.deviation(claim),
        ClaimKind::HessianTrace(claim) => {
            if let Some(estimate) = &claim.estimate {
                rows.bound("estimate.confidence", Some(&estimate.confidence));
                rows.count("estimate.probes", Some(estimate.probes));
                rows.count("estimate.sketch", Some(estimate.sketch));
                rows.text("estimate.seed", estimate.seed.to_string());
            }
            rows.matrix(claim.matrix);
            rows.objective(&claim.objective);
            rows.bound("trace.lower", Some(&claim.trace.lower));
            rows.bound("trace.upper", Some(&claim.trace.upper));
        }
        ClaimKind::Stability(found) => {
            rows.count("batch_size", Some(found.batch_size));
            rows.bound("critical_learning_rate", found.critical_learning_rate.as_ref());
            rows.exact("learning_rate", found.learning_rate);
            rows.objective(&found.objective);
            rows.text("verdict", decisive_word(claim));
        }
        ClaimKind::InverseHessian(claim) => {
            rows.exact("damping", claim.damping);
            rows.count("gradients", Some(claim.gradients));
            rows.matrix(claim.matrix);
            rows.objective(&claim.objective);
            rows.bound("residual", Some(&claim.residual));
        }
    }
    rows.0
}

/// Returns the figures of a claim that nobody checks.
#[must_use]
pub fn descriptive(claim: &ClaimKind) -> Vec<FigureRow> {
    let ClaimKind::Tightness(claim) = claim else { return Vec::new() };
    let TightnessFigures { propagation_tightness, propagation_tightness_at_centre, linear_tightness } = &claim.descriptive;
    let figures = [
        ("linear_tightness", linear_tightness),
        ("propagation_tightness", propagation_tightness),
        ("propagation_tightness_at_centre", propagation_tightness_at_centre),
    ];
    let mut rows = Rows::default();
    for (name, bits) in figures {
        if let Some(bits) = bits {
            rows.push(name, "≈", bits.value().to_string(), Some(bits.value()));
        }
    }
    rows.0
}

fn decisive_word(claim: &ClaimKind) -> String {
    decisive(claim).reading.map_or_else(String::new, |reading| reading.text().to_owned())
}

/// What a figure is, in words.
fn words(name: &str) -> &str {
    match name {
        "agreeing" => "samples around which both prefer one class",
        "available" => "samples in the data",
        "baseline" => "model that is compared with",
        "batch_size" => "batch size",
        "bound" => "upper bound",
        "certified" => "samples that interval propagation proves",
        "certified_accuracy" => "share of samples proved robust",
        "critical_learning_rate" => "learning rate above which it is unstable",
        "disagreeing" => "samples near which they prefer different classes",
        "elided" => "last layer merged with the comparison of classes",
        "empty_cases" => "cases that no input satisfies",
        "estimate.confidence" => "confidence of the estimate",
        "estimate.probes" => "random probes",
        "estimate.seed" => "seed of the probes",
        "estimate.sketch" => "probes of the subspace treated exactly",
        "exact_rows" => "outputs whose smallest box is known",
        "exact_samples" => "samples whose smallest boxes are known",
        "falsified" => "samples with a counterexample",
        "file" => "specification",
        "first" => "first of its two networks",
        "functionals" => "bounds of outputs and differences",
        "gradients" => "gradients",
        "learning_rate" => "learning rate",
        "linear_tightness" => "tightness of the network without its activations",
        "lower_bound" => "attained by two inputs",
        "norm_product" => "product of the layers' own bounds",
        "objective.data" | "data" => "data",
        "objective.loss" => "loss",
        "objective.parameters" => "parameters",
        "objective.samples" | "samples" => "samples asked about",
        "objective.scope.available" => "samples in the data, in all",
        "objective.scope.complete" => "every trained parameter counts",
        "objective.scope.parameters" => "numbers that count as parameters",
        "objective.scope.stored" => "numbers stored in the model",
        "objective.scope.trainable" => "numbers that were trained",
        "perturbation.channel_axis" => "axis of the channels",
        "perturbation.clip" => "changed inputs stay between",
        "perturbation.deviation" => "deviation of the normalisation",
        "perturbation.epsilon" => "size of the change ε",
        "perturbation.mean" => "mean of the normalisation",
        "perturbation.norm" => "size is measured in",
        "possible_accuracy" => "share of samples that can be robust at most",
        "propagation_tightness" => "tightness with the activations at the sample",
        "propagation_tightness_at_centre" => "tightness with the activations at the box's centre",
        "residual" => "relative residual",
        "robust" => "samples proved robust",
        "splits" => "splits that the search may make",
        "tightness.lower" => "mean tightness, at least",
        "tightness.upper" => "mean tightness, at most",
        "trace.lower" => "trace, at least",
        "trace.upper" => "trace, at most",
        "well_posed" => "implicit equations have one solution",
        // What is a word already.
        name => name,
    }
}

#[derive(Default)]
struct Rows(Vec<FigureRow>);

impl Rows {
    fn deviation(&mut self, claim: &DeviationClaim) {
        for (output, bound) in claim.bounds.iter().enumerate() {
            self.bound(&format!("bounds.{output}"), Some(bound));
        }
        for attained in &claim.attained {
            self.bound(&format!("attained.{}", attained.output), Some(&attained.deviation));
        }
        self.text("baseline", claim.baseline.model.digest.clone());
        if let Some(around) = &claim.around {
            self.count("available", Some(around.available));
            self.files("data", &around.data);
            self.perturbation(&around.perturbation);
            self.count("samples", Some(around.samples));
        }
        if !(claim.agreeing.is_empty() && claim.disagreeing.is_empty()) {
            self.indices("agreeing", &claim.agreeing.iter().map(|agreeing| agreeing.case).collect::<Vec<u32>>());
            self.indices("disagreeing", &claim.disagreeing.iter().map(|other| other.case).collect::<Vec<u32>>());
        }
    }

    fn push(&mut self, name: &str, relation: &str, value: String, number: Option<f64>) {
        let label = words(name).to_owned();
        self.0.push(FigureRow { name: name.to_owned(), label, relation: relation.to_owned(), value, number });
    }

    fn text(&mut self, name: &str, value: impl Into<String>) {
        self.push(name, "=", value.into(), None);
    }

    fn count(&mut self, name: &str, count: Option<u32>) {
        if let Some(count) = count {
            self.push(name, "=", count.to_string(), Some(f64::from(count)));
        }
    }

    fn exact(&mut self, name: &str, bits: Bits) {
        self.push(name, "=", bits.value().to_string(), Some(bits.value()));
    }

    /// The decimal was rounded outward.
    fn bound(&mut self, name: &str, number: Option<&Number>) {
        if let Some(number) = number {
            let relation = if number.rounding == Rounding::Up { "≤" } else { "≥" };
            self.push(name, relation, number.decimal.clone(), Some(number.value()));
        }
    }

    fn list(&mut self, name: &str, items: &[String]) {
        self.text(name, if items.is_empty() { "none".to_owned() } else { items.join(", ") });
    }

    /// Indices tell something, also the first of many.
    fn indices(&mut self, name: &str, indices: &[u32]) {
        let shown: Vec<String> = indices.iter().take(SHOWN).map(ToString::to_string).collect();
        if indices.len() > SHOWN {
            self.text(name, format!("{} entries: {}, …", indices.len(), shown.join(", ")));
        } else {
            self.list(name, &shown);
        }
    }

    fn names(&mut self, name: &str, names: &[String]) {
        if names.len() > SHOWN {
            self.text(name, format!("{} entries", names.len()));
        } else {
            self.list(name, names);
        }
    }

    fn files(&mut self, name: &str, files: &[FileIdentity]) {
        let shown = files.iter().map(|file| {
            let digest: String = file.digest.chars().take(12).collect();
            format!("{} (SHA-256 {digest}…)", file.name)
        });
        self.list(name, &shown.collect::<Vec<_>>());
    }

    fn matrix(&mut self, matrix: CurvatureMatrix) {
        let name = match matrix {
            CurvatureMatrix::Hessian => "hessian",
            CurvatureMatrix::GaussNewton => "gauss-newton",
            CurvatureMatrix::EmpiricalFisher => "empirical-fisher",
        };
        self.text("matrix", name);
    }

    fn perturbation(&mut self, perturbation: &Perturbation) {
        let Perturbation { norm, epsilon, clip, mean, deviation, channel_axis } = perturbation;
        self.count("perturbation.channel_axis", *channel_axis);
        if let Some(clip) = clip {
            self.list("perturbation.clip", clip);
        }
        self.list("perturbation.deviation", deviation);
        match epsilon {
            Size::Uniform(size) => self.text("perturbation.epsilon", size),
            Size::Each(sizes) => self.list("perturbation.epsilon", sizes),
        }
        self.list("perturbation.mean", mean);
        self.text("perturbation.norm", norm.name());
    }

    fn objective(&mut self, objective: &Objective) {
        self.files("objective.data", &objective.data);
        let loss = match objective.loss {
            LossName::CrossEntropy => "cross-entropy",
            LossName::Mse => "mse",
        };
        self.text("objective.loss", loss);
        self.names("objective.parameters", &objective.parameters);
        self.count("objective.samples", Some(objective.samples));
        if let Some(scope) = &objective.scope {
            self.count("objective.scope.available", Some(scope.available));
            self.text("objective.scope.complete", scope.complete.to_string());
            for (name, count) in [("parameters", scope.parameters), ("stored", scope.stored), ("trainable", scope.trainable)] {
                self.push(&format!("objective.scope.{name}"), "=", count.to_string(), Some(count as f64));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::proof::{HessianTraceClaim, Interval, Scope};

    #[test]
    fn the_sides_of_figures_are_told() {
        let objective = Objective {
            data: vec![FileIdentity { name: "d.csv".into(), digest: "aa".into() }],
            samples: 8,
            loss: LossName::Mse,
            parameters: vec!["w".into(); 13],
            scope: Some(Scope { available: 9, parameters: 4, trainable: 4, stored: 5, complete: true }),
        };
        let trace = Interval { lower: Number::lower(1.5), upper: Number::upper(2.5) };
        let claim = HessianTraceClaim { objective, matrix: CurvatureMatrix::Hessian, trace, estimate: None };
        let rows = figures(&ClaimKind::HessianTrace(claim));
        let row = |name: &str| rows.iter().find(|row| row.name == name).map(|row| format!("{} {}", row.relation, row.value));
        assert_eq!(row("trace.lower").as_deref(), Some("≥ 1.5"));
        assert_eq!(row("trace.upper").as_deref(), Some("≤ 2.5"));
        assert_eq!(row("objective.parameters").as_deref(), Some("= 13 entries"));
        assert_eq!(row("objective.scope.available").as_deref(), Some("= 9"));
        assert_eq!(row("objective.data").as_deref(), Some("= d.csv (SHA-256 aa…)"));
        assert!(descriptive(&ClaimKind::HessianTrace(claim_without_figures())).is_empty());
    }

    fn claim_without_figures() -> HessianTraceClaim {
        HessianTraceClaim {
            objective: Objective { data: Vec::new(), samples: 1, loss: LossName::Mse, parameters: Vec::new(), scope: None },
            matrix: CurvatureMatrix::GaussNewton,
            trace: Interval { lower: Number::lower(0.0), upper: Number::upper(0.0) },
            estimate: None,
        }
    }
}
