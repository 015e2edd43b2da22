//! What a certificate states, read without its model: whether it can be so at all.
//!
//! Nothing here proves anything. Baselines and comparisons rest on figures that nobody checked in this run: at least they are
//! numbers and agree with themselves.

use crate::kernel::proof::{Bundle, Certificate, Claim, ClaimKind, Domain, Interval, Number, Rounding};

/// Figures and limits above this mean nothing.
pub const MOST: f64 = 1e30;

/// The first thing that a certificate states and that cannot be so, and the claim that it is about.
#[must_use]
pub fn unlikely(certificate: &Certificate, bundle: &Bundle) -> Option<(String, &'static str)> {
    let of = |claim: &Claim| of_kind(&claim.kind).or_else(|| missing(claim, bundle).then_some("the bundle lacks a vector of it"));
    certificate.claims.iter().find_map(|claim| Some((claim.id.clone(), of(claim)?)))
}

/// Whether a vector that belongs to the question of a claim is not there.
fn missing(claim: &Claim, bundle: &Bundle) -> bool {
    let of_domain = match &claim.domain {
        Domain::Box { lower, upper } => vec![lower, upper],
        Domain::Global | Domain::Specification | Domain::Samples | Domain::Data => Vec::new(),
    };
    let of_kind = match &claim.kind {
        ClaimKind::InverseHessian(claim) => Some(&claim.witness.vector),
        _ => None,
    };
    of_domain.into_iter().chain(of_kind).any(|vector| bundle.resolve(vector).is_none())
}

fn of_kind(kind: &ClaimKind) -> Option<&'static str> {
    const NUMBER: &str = "a figure is not a finite number with its own outward decimal";
    const SIZE: &str = "a figure is negative or too large to mean anything";
    const ORDER: &str = "a lower limit lies above an upper one";
    const SHARE: &str = "a share is not between 0 and 1";
    const SAMPLES: &str = "there are no samples, or more are counted than there are";
    let up = |number: &Number| number.is_consistent(Rounding::Up);
    let down = |number: &Number| number.is_consistent(Rounding::Down);
    let sane = |number: &Number| (0.0..=MOST).contains(&number.value());
    let interval =
        |lower: &Number, upper: &Number| first(&[(!(down(lower) && up(upper)), NUMBER), (lower.value() > upper.value(), ORDER)]);
    match kind {
        ClaimKind::Lipschitz(claim) => {
            let uppers =
                || std::iter::once(&claim.bound).chain(&claim.norm_product).chain(claim.functionals.iter().map(|f| &f.bound));
            let lower = claim.lower_bound.as_ref();
            first(&[
                (!(uppers().all(up) && lower.is_none_or(down)), NUMBER),
                (!(sane(&claim.bound) && lower.is_none_or(sane)), SIZE),
                (lower.is_some_and(|lower| lower.value() > claim.bound.value()), ORDER),
            ])
        }
        ClaimKind::Robustness(claim) => {
            let counted = |list: &[u32]| list.is_sorted_by(|a, b| a < b) && list.iter().all(|&sample| sample < claim.samples);
            let both = claim.robust.iter().any(|sample| claim.falsified.contains(sample));
            first(&[(claim.samples == 0 || !counted(&claim.robust) || !counted(&claim.falsified) || both, SAMPLES)])
        }
        ClaimKind::Tightness(claim) => {
            let Interval { lower, upper } =
                Interval { lower: claim.tightness.lower.clone(), upper: claim.tightness.upper.clone() };
            let counts = [claim.certified.unwrap_or(0), claim.exact_samples];
            interval(&lower, &upper).or_else(|| {
                first(&[
                    // The upper end is rounded outward.
                    (!(lower.value() >= 0.0 && lower.value() <= 1.0 && upper.value() <= 1.0 + 1e-6), SHARE),
                    (claim.samples == 0 || counts.iter().any(|&count| count > claim.samples), SAMPLES),
                ])
            })
        }
        ClaimKind::Deviation(claim) => {
            let attained = || claim.attained.iter().map(|attained| &attained.deviation);
            let beyond = |attained: &crate::kernel::proof::Attained| {
                let bound = claim.bounds.get(attained.output as usize);
                bound.is_none_or(|bound| attained.deviation.value() > bound.value())
            };
            first(&[
                (claim.bounds.is_empty() || !claim.bounds.iter().all(up) || !attained().all(down), NUMBER),
                (!claim.bounds.iter().all(sane), SIZE),
                (claim.attained.iter().any(beyond), ORDER),
                (claim.around.as_ref().is_some_and(|around| around.samples == 0 || around.samples > around.available), SAMPLES),
            ])
        }
        ClaimKind::HessianTrace(claim) => interval(&claim.trace.lower, &claim.trace.upper).or_else(|| {
            let confidence = claim.estimate.as_ref().map(|estimate| estimate.confidence.value());
            first(&[
                (claim.trace.upper.value().abs() > MOST, SIZE),
                (claim.objective.samples == 0, SAMPLES),
                (confidence.is_some_and(|confidence| !(0.0..=1.0).contains(&confidence)), SHARE),
            ])
        }),
        ClaimKind::Stability(claim) => {
            let rate = claim.learning_rate.value();
            first(&[
                (!claim.critical_learning_rate.as_ref().is_none_or(|rate| rate.value().is_finite()), NUMBER),
                (!(rate > 0.0 && rate <= MOST), SIZE),
                (claim.objective.samples == 0 || claim.batch_size == 0, SAMPLES),
            ])
        }
        ClaimKind::InverseHessian(claim) => first(&[
            (!up(&claim.residual), NUMBER),
            (!sane(&claim.residual) || !claim.damping.value().is_finite(), SIZE),
            (claim.objective.samples == 0 || claim.gradients == 0, SAMPLES),
        ]),
        ClaimKind::Specification(_) => None,
    }
}

fn first(faults: &[(bool, &'static str)]) -> Option<&'static str> {
    faults.iter().find(|(is_so, _)| *is_so).map(|(_, fault)| *fault)
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn number(value: f64, rounding: &str) -> Value {
        json!(if rounding == "up" { Number::upper(value) } else { Number::lower(value) })
    }

    pub fn bits(value: f64) -> String {
        format!("{:016x}", value.to_bits())
    }

    /// One claim of every kind about data.
    pub fn claims() -> Vec<Value> {
        let data = json!([{"name": "d.csv", "digest": "aa"}]);
        let objective = json!({"data": data, "samples": 8, "loss": "mse", "parameters": ["w", "b"]});
        let perturbation =
            json!({"norm": "linf", "epsilon": "0.1", "clip": null, "mean": [], "deviation": [], "channel_axis": null});
        let shared = |kind: &str, domain: &str| json!({"id": "c", "kind": kind, "assurance": "proved", "semantics": "real", "domain": domain});
        let with = |mut claim: Value, more: Value| {
            claim.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            claim
        };
        vec![
            with(
                shared("robustness", "samples"),
                json!({"data": data, "perturbation": perturbation, "samples": 8, "kept": {"threshold": "0.5"}, "robust": [0, 3],
                    "falsified": [1], "witness": {"points": []}}),
            ),
            with(
                shared("tightness", "samples"),
                json!({"data": data, "perturbation": perturbation, "samples": 8, "elided": true, "splits": 0,
                    "tightness": {"lower": number(0.5, "down"), "upper": number(0.75, "up")}, "certified": 3, "boxes": [],
                    "exact_rows": 0, "exact_samples": 2,
                    "descriptive": {"propagation_tightness": null, "propagation_tightness_at_centre": null, "linear_tightness": null}}),
            ),
            with(
                shared("hessian-trace", "data"),
                json!({"objective": objective, "matrix": "hessian", "trace": {"lower": number(1.0, "down"), "upper": number(2.0, "up")},
                    "estimate": {"confidence": number(0.99, "down"), "probes": 3, "sketch": 0, "seed": 0}}),
            ),
            with(
                shared("stability", "data"),
                json!({"objective": objective, "learning_rate": bits(0.5), "batch_size": 2, "verdict": "stable",
                    "critical_learning_rate": null, "witness": {"lyapunov": {"matrix": []}}}),
            ),
            with(
                shared("inverse-hessian", "data"),
                json!({"objective": objective, "matrix": "empirical-fisher", "gradients": 8, "damping": bits(0.1),
                    "residual": number(1e-9, "up"), "witness": {"vector": [bits(1.0)], "product": []}}),
            ),
        ]
    }

    pub fn claim(value: &Value) -> Claim {
        serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value:#}"))
    }

    #[test]
    fn what_cannot_be_so_is_seen() {
        let fault = |value: &Value| of_kind(&claim(value).kind);
        for value in claims() {
            assert_eq!(fault(&value), None, "{value:#}");
            for (pointer, other) in [
                ("/samples", json!(0)),
                ("/samples", json!(2)),
                ("/exact_samples", json!(9)),
                ("/tightness/lower", number(0.9, "down")),
                ("/tightness/lower", number(-0.1, "down")),
                ("/tightness/lower", number(0.5, "up")),
                ("/tightness/upper", number(1.5, "up")),
                ("/tightness/upper", number(f64::NAN, "up")),
                ("/objective/samples", json!(0)),
                ("/trace/lower", number(3.0, "down")),
                ("/trace/upper", number(f64::MAX, "up")),
                ("/trace/upper", number(f64::INFINITY, "up")),
                ("/trace/upper/decimal", json!("0.1")),
                ("/estimate/confidence", number(1.5, "down")),
                ("/learning_rate", json!(bits(f64::NAN))),
                ("/learning_rate", json!(bits(-1.0))),
                ("/batch_size", json!(0)),
                ("/gradients", json!(0)),
                ("/damping", json!(bits(f64::INFINITY))),
                ("/residual", number(-1.0, "up")),
                ("/residual", number(f64::NAN, "up")),
            ] {
                let mut changed = value.clone();
                let Some(part) = changed.pointer_mut(pointer) else { continue };
                *part = other;
                assert!(fault(&changed).is_some(), "{pointer}: {changed:#}");
            }
        }
    }

    #[test]
    fn a_vector_that_is_not_there_is_seen() {
        let mut value = claims().into_iter().find(|claim| claim["kind"] == "inverse-hessian").unwrap();
        assert!(!missing(&claim(&value), &Bundle::default()));
        value["witness"]["vector"] = json!({"vector": 7});
        assert!(missing(&claim(&value), &Bundle::default()));
        let mut value = claims().remove(0);
        value["domain"] = json!({"box": {"lower": {"vector": 0}, "upper": []}});
        assert!(missing(&claim(&value), &Bundle::default()));
    }
}
