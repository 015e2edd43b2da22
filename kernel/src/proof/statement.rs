//! TRUSTED. Claims in words: what an auditor reads beside a verdict. Everything that a claim depends on is said, names from files with their
//! control characters escaped; nothing is said that the claim does not hold.

use super::{
    Bundle, Claim, ClaimKind, CurvatureMatrix, DeviationClaim, Domain, FileIdentity, Kept, LossName, Number, Objective,
    Perturbation, Semantics, StabilityVerdict, Verdict,
};
use crate::sound::round::sub_up;
use crate::sound::upper_decimal;

impl Claim {
    /// Returns where the claim holds, in words: on a point everything is constant, so a box is told by its sides.
    #[must_use]
    pub fn place(&self, bundle: &Bundle) -> String {
        if self.vacuous { VACUOUS.to_owned() } else { place(&self.domain, bundle) }
    }
}

impl ClaimKind {
    /// Returns the claim in words.
    #[must_use]
    pub fn statement(&self) -> String {
        statement(self)
    }
}

impl Semantics {
    /// Returns the arithmetic in words: what real arithmetic says of a network its rounding errors may undo.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Real => "in real arithmetic",
            Self::Float32 => "in float32 with any summation order",
        }
    }
}

fn place(domain: &Domain, bundle: &Bundle) -> String {
    match domain {
        Domain::Global => EVERYWHERE.to_owned(),
        Domain::Specification => "for the inputs that it names".to_owned(),
        Domain::Samples => "around the samples that it names".to_owned(),
        Domain::Data => "at the samples of the data that it names".to_owned(),
        Domain::Box { lower, upper } => {
            let (lower, upper) = (bundle.resolve(lower).unwrap_or_default(), bundle.resolve(upper).unwrap_or_default());
            let sides = || lower.iter().zip(&upper).map(|(lower, upper)| sub_up(*upper, *lower));
            let (shortest, longest) = (sides().fold(f64::INFINITY, f64::min), sides().fold(0.0, f64::max));
            let (shortest, longest) = (upper_decimal(shortest, 3), upper_decimal(longest, 3));
            format!("on a box of {} inputs with sides from {shortest} to {longest}", lower.len())
        }
    }
}

/// What a perturbation is and on which data, in full: without it, a claim could say anything.
fn terms(perturbation: &Perturbation, data: &[FileIdentity]) -> String {
    let list = |values: &[String]| values.iter().map(|value| value.escape_debug().to_string()).collect::<Vec<_>>().join(",");
    let mut terms = format!("ε = {}", perturbation.epsilon);
    if let Some(clip) = &perturbation.clip {
        terms = format!("{terms} within [{}]", list(clip));
    }
    if !perturbation.mean.is_empty() || !perturbation.deviation.is_empty() {
        let axis = perturbation.channel_axis.map_or(String::new(), |axis| format!(", along axis {axis}"));
        terms = format!("{terms} (mean {}, deviation {}{axis})", list(&perturbation.mean), list(&perturbation.deviation));
    }
    format!("{terms} of {}", files(data))
}

/// The files of a data set: names and the beginnings of their digests.
fn files(data: &[FileIdentity]) -> String {
    let files = data.iter().map(|file| {
        let digest: String = file.digest.chars().take(12).collect();
        format!("`{}` (SHA-256 {digest}…)", file.name.escape_debug())
    });
    files.collect::<Vec<_>>().join(" and ")
}

/// How many samples of how many.
fn samples(samples: u32, available: Option<u32>) -> String {
    match available {
        Some(available) if available == samples => format!("all {samples} samples"),
        Some(available) => format!("the first {samples} of {available} samples"),
        None => format!("the first {samples} samples"),
    }
}

/// Which parameters of how many: a derivative by a few of them says nothing about the others.
fn parameters(objective: &Objective) -> String {
    let names = || {
        let listed = objective.parameters.iter().take(LISTED).map(|name| format!("`{}`", name.escape_debug()));
        let rest = objective.parameters.len().saturating_sub(LISTED);
        let rest = (rest > 0).then(|| format!("{rest} more"));
        listed.chain(rest).collect::<Vec<_>>().join(", ")
    };
    match objective.scope {
        Some(scope) if scope.complete => {
            format!("all {} trained parameters ({} numbers are stored in the model)", scope.parameters, scope.stored)
        }
        Some(scope) => format!("{} parameters of a model with {} trained ones: {}", scope.parameters, scope.trainable, names()),
        None => format!("the parameters {}", names()),
    }
}

/// As many names are written out.
const LISTED: usize = 8;

/// The domain of a claim about no input.
const VACUOUS: &str = "vacuous: its assertions contradict each other, so it says nothing about the model";

/// The domain of a claim without bounds.
pub const EVERYWHERE: &str = "everywhere";

fn statement(kind: &ClaimKind) -> String {
    match kind {
        ClaimKind::Robustness(claim) => {
            let norm = claim.perturbation.norm.symbol();
            let (robust, falsified) = (claim.robust.len(), claim.falsified.len());
            let terms = terms(&claim.perturbation, &claim.data);
            let samples = samples(claim.samples, claim.available);
            match &claim.kept {
                Kept::Class => format!("of {samples}, {robust} are robust for {norm} {terms}, {falsified} are not"),
                kept => format!("of {samples}, {robust} {kept}, for {norm} {terms}; {falsified} do not"),
            }
        }
        ClaimKind::Deviation(claim) => deviation(claim),
        ClaimKind::Tightness(claim) => {
            let terms = terms(&claim.perturbation, &claim.data);
            let rows = if claim.elided { "margins" } else { "outputs" };
            let exact = match (claim.exact_rows, claim.exact_samples) {
                (0, _) => String::new(),
                (count, samples) => {
                    format!(
                        "; the smallest boxes of {count} {rows}, all of {samples} samples, are known to a millionth of their width"
                    )
                }
            };
            format!(
                "of {} for ℓ∞ {terms} the {rows} lie in the boxes of interval propagation, whose mean tightness \
                 lies in [{}, {}]{exact}",
                samples(claim.samples, claim.available),
                claim.tightness.lower,
                claim.tightness.upper
            )
        }
        ClaimKind::HessianTrace(claim) => {
            let (matrix, loss) = (matrix(claim.matrix), loss(&claim.objective));
            let estimate = claim.estimate.as_ref().map_or(String::new(), |estimate| {
                format!(", with confidence {} over {} probes (seed {})", estimate.confidence, estimate.probes, estimate.seed)
            });
            format!("the trace of the {matrix} of {loss} lies in [{}, {}]{estimate}", claim.trace.lower, claim.trace.upper)
        }
        ClaimKind::Stability(claim) => {
            let verdict = match claim.verdict {
                StabilityVerdict::Stable => "stable",
                StabilityVerdict::Unstable => "unstable",
            };
            let critical =
                claim.critical_learning_rate.as_ref().map_or(String::new(), |eta| format!(" (critical: at most {eta})"));
            format!(
                "SGD on {}, linearised at interpolating parameters, is mean-square {verdict} for learning rate {} and batches of {}{critical}",
                loss(&claim.objective),
                claim.learning_rate.value(),
                claim.batch_size
            )
        }
        ClaimKind::InverseHessian(claim) => format!(
            "x solves Fx = v to a relative residual of at most {}, F the {} of {} gradients, damped by {}, of {}",
            claim.residual,
            matrix(claim.matrix),
            claim.gradients,
            claim.damping.value(),
            loss(&claim.objective)
        ),
        ClaimKind::Specification(claim) => {
            let name = claim.file.name.escape_debug();
            let digest: String = claim.file.digest.chars().take(12).collect();
            let empty = match claim.empty_cases {
                0 => String::new(),
                count => format!("; no input satisfies {count} of its disjuncts"),
            };
            let of = claim.first.as_ref().map_or_else(String::new, |first| {
                let digest: String = first.model.digest.chars().take(12).collect();
                format!(", of the model with SHA-256 {digest}… and this one,")
            });
            match claim.verdict {
                Verdict::Holds => format!("the property of `{name}` (SHA-256 {digest}…){of} holds (unsat){empty}"),
                Verdict::Violated => format!("the property of `{name}` (SHA-256 {digest}…){of} is violated (sat)"),
            }
        }
        ClaimKind::Lipschitz(claim) => {
            let norm = claim.norm.symbol();
            let lower = claim.lower_bound.as_ref().map_or(String::new(), |lower| format!(", and at least {lower}"));
            let functionals = match claim.functionals.len() {
                0 => String::new(),
                count => format!(", with {count} bounds of outputs and differences"),
            };
            let well_posed =
                if claim.well_posed { "the implicit equations have exactly one solution for every input, and " } else { "" };
            format!("{well_posed}the {norm} Lipschitz constant is at most {}{lower}{functionals}", claim.bound)
        }
    }
}

/// How far two networks are apart; the limits of single outputs stand in the claim.
fn deviation(claim: &DeviationClaim) -> String {
    let largest = |numbers: &mut dyn Iterator<Item = &Number>| {
        numbers.max_by(|a, b| a.value().total_cmp(&b.value())).map_or_else(|| "nothing".to_owned(), ToString::to_string)
    };
    let digest: String = claim.baseline.model.digest.chars().take(12).collect();
    let bound = largest(&mut claim.bounds.iter());
    let attained = match claim.attained.len() {
        0 => String::new(),
        _ => format!(", and one differs by at least {}", largest(&mut claim.attained.iter().map(|attained| &attained.deviation))),
    };
    let samples = claim.around.as_ref().map_or_else(String::new, |around| {
        let count = samples(around.samples, Some(around.available));
        format!(", for ℓ∞ {} around {count}", terms(&around.perturbation, &around.data))
    });
    let (agreeing, disagreeing) = (claim.agreeing.len(), claim.disagreeing.len());
    let classes = match (claim.around.is_some(), agreeing, disagreeing) {
        (_, 0, 0) => String::new(),
        (true, ..) => {
            format!("; around {agreeing} samples both prefer one class, around {disagreeing} some input tells them apart")
        }
        (false, 0, _) => "; some input is of another class".to_owned(),
        (false, ..) => "; both prefer one class".to_owned(),
    };
    format!("no output differs by more than {bound} from that of the model with SHA-256 {digest}…{attained}{samples}{classes}")
}

fn matrix(matrix: CurvatureMatrix) -> &'static str {
    match matrix {
        CurvatureMatrix::Hessian => "Hessian",
        CurvatureMatrix::GaussNewton => "Gauss-Newton matrix",
        CurvatureMatrix::EmpiricalFisher => "empirical Fisher matrix",
    }
}

fn loss(objective: &Objective) -> String {
    let loss = match objective.loss {
        LossName::CrossEntropy => "mean cross-entropy",
        LossName::Mse => "mean of half the squared error",
    };
    let samples = samples(objective.samples, objective.scope.map(|scope| scope.available));
    format!("the {loss} over {samples} of {}, with respect to {}", files(&objective.data), parameters(objective))
}
