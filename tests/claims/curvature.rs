//! Curvature against independent references: every file of `cases/curvature` in the shared folder.
//!
//! | test | what it holds the figures to |
//! |---|---|
//! | `gradients_agree_with_the_references` | parameter lists, losses, gradients of single samples, Jacobian rows, kinks |
//! | `gauss_newton_figures_agree_with_the_references` | traces, norms, eigenvalues of `G` and the `H_i`; thresholds for every batch size |
//! | `hessian_figures_agree_with_the_references` | the dense Hessian of the small networks: trace, norm, both ends of the spectrum |
//! | `verdicts_agree_with_the_references` | the whole pass: STABLE and UNSTABLE where the network interpolates, norms of parameters |
//! | `brackets_without_a_gram_matrix_hold_the_threshold` | the same without the Gram matrix: the bracket of the threshold |
//! | `inverse_hessian_products_agree_with_the_references` | M-FAC: products, diagonals, elements, pruning updates |
//! | `sgd_behaves_as_the_verdicts_say` | SGD itself, written out for two-layer networks, from perturbed minima |
//! | `flipped_labels_have_the_largest_leverage` | planted label noise, precision and recall printed |
//! | `certificates_are_proved_again_and_forgeries_refused` | the command line: traces, verdicts, products, pruned models; `verify check` |
//! | `a_large_residual_network` | ResNet-20: trace, norm and eigenvalues, conditions, Fisher matrix (slow: ignored unless asked for) |

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::common;
use ndarray_npy::NpzReader;
use nnverify::deadline::Deadline;
use nnverify::kernel::model::onnx::{Model, load};
use nnverify::kernel::proof::{Certificate, ClaimKind, Number};
use nnverify::pass::derivatives::{Circuit, Loss, Objective, Panels, Parameters, Precision, Samples, Selection, Targets, dot};
use nnverify::pass::hessian::flatness::ParameterNorms;
use nnverify::pass::hessian::gram::Gram;
use nnverify::pass::hessian::random::Random;
use nnverify::pass::hessian::spectrum::Lanczos;
use nnverify::pass::hessian::stability::{Conditions, CriticalBatch, threshold};
use nnverify::pass::hessian::{HessianOptions, Verdict, analyse, judge};
use nnverify::pass::mfac::{Influence, Inverse, saliency};
use serde_json::Value;

const CASES: [&str; 11] = [
    "cnn_bn_maxpool_ce",
    "cnn_tanh_mse",
    "diag_linear",
    "digits_mse_flat",
    "digits_mse_sharp",
    "digits_relu_ce",
    "digits_relu_ce_matmul",
    "digits_relu_ce_softmax",
    "kinks_mse",
    "mlp_tanh_mse_scalar",
    "relu2_mse_scalar",
];

/// No time limit.
const ALWAYS: Deadline = Deadline::NONE;

struct Case {
    name: &'static str,
    model: Model,
    samples: Samples,
    loss: Loss,
    expected: Value,
    arrays: PathBuf,
}

fn cases(names: &[&'static str]) -> Vec<Case> {
    let Some(shared) = common::shared() else { return Vec::new() };
    let folder = shared.join("cases/curvature");
    names.iter().map(|name| Case::load(&folder, name)).collect()
}

fn array(path: &Path, name: &str) -> Option<Vec<f64>> {
    let mut archive = NpzReader::new(File::open(path).ok()?).unwrap();
    let file = format!("{name}.npy");
    if let Ok(values) = archive.by_name::<ndarray::OwnedRepr<f64>, ndarray::IxDyn>(&file) {
        return Some(values.iter().copied().collect());
    }
    if let Ok(values) = archive.by_name::<ndarray::OwnedRepr<f32>, ndarray::IxDyn>(&file) {
        return Some(values.iter().map(|&x| f64::from(x)).collect());
    }
    let values = archive.by_name::<ndarray::OwnedRepr<i64>, ndarray::IxDyn>(&file).ok()?;
    Some(values.iter().map(|&x| x as f64).collect())
}

impl Case {
    fn load(folder: &Path, name: &'static str) -> Self {
        let expected: Value =
            serde_json::from_str(&std::fs::read_to_string(folder.join(format!("{name}.expected.json"))).unwrap()).unwrap();
        let model = load(&folder.join(format!("{name}.onnx"))).unwrap();
        let data = folder.join(format!("{name}.npz"));
        let inputs = array(&data, "inputs").unwrap();
        let (loss, targets) = match array(&data, "labels") {
            Some(labels) => (Loss::CrossEntropy, Targets::Labels(labels.iter().map(|&x| x as usize).collect())),
            None => (Loss::Mse, Targets::Values(array(&data, "targets").unwrap())),
        };
        let count = inputs.len() / model.network.input_size();
        let samples = Samples { inputs, targets, count };
        Self { name, model, samples, loss, expected, arrays: folder.join(format!("{name}.expected.npz")) }
    }

    fn circuit(&self) -> Circuit<'_> {
        let parameters = Parameters::of(&self.model, &Selection::default()).unwrap();
        Circuit::new(&self.model.network, self.loss.output(&self.model.network).0, parameters).unwrap()
    }

    fn objective<'c>(&'c self, circuit: &'c Circuit<'c>) -> Objective<'c> {
        Objective::new(circuit, self.loss, &self.samples, 1 << 30).unwrap()
    }

    fn number(&self, path: &[&str]) -> f64 {
        path.iter().fold(&self.expected, |value, key| &value[*key]).as_f64().unwrap_or_else(|| panic!("{path:?}"))
    }

    fn array(&self, name: &str) -> Vec<f64> {
        array(&self.arrays, name).unwrap_or_else(|| panic!("{}: {name}", self.name))
    }
}

#[track_caller]
fn close(name: &str, what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance * expected.abs().max(1e-300),
        "{name}: {what} is {found:e}, expected {expected:e}: off by {:e}",
        (found - expected).abs() / expected.abs()
    );
}

/// Largest distance relative to the largest entry.
fn distance(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0.0f64, |scale, x| scale.max(x.abs()));
    found.iter().zip(expected).fold(0.0f64, |worst, (a, b)| worst.max((a - b).abs())) / scale.max(1e-300)
}

fn collect(count: usize, width: usize, fill: impl Fn(&(dyn Fn(usize, &[f64]) + Sync))) -> Vec<f64> {
    let rows = Mutex::new(vec![0.0; count * width]);
    fill(&|first, values| rows.lock().unwrap()[first * width..first * width + values.len()].copy_from_slice(values));
    rows.into_inner().unwrap()
}

#[test]
fn gradients_agree_with_the_references() {
    for case in cases(&CASES) {
        let circuit = case.circuit();
        let objective = case.objective(&circuit);
        let listed: Vec<(String, Vec<u64>, u64)> = case.expected["params"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| {
                let shape = p["shape"].as_array().unwrap().iter().map(|x| x.as_u64().unwrap()).collect();
                (p["name"].as_str().unwrap().to_owned(), shape, p["offset"].as_u64().unwrap())
            })
            .collect();
        let own: Vec<(String, Vec<u64>, u64)> = circuit
            .parameters
            .list
            .iter()
            .map(|p| (p.name.clone(), p.shape.iter().map(|&x| x as u64).collect(), p.offset as u64))
            .collect();
        assert_eq!(own, listed, "{}", case.name);
        assert_eq!(circuit.parameters.values(&case.model.network), case.array("theta"), "{}", case.name);

        let summary = objective.summary().unwrap();
        // The rounding of the outputs, times the residuals.
        let loss = case.number(&["loss"]);
        assert!((summary.loss - loss).abs() < 1e-12 * loss + 1e-14 * loss.sqrt(), "{}: {} {loss}", case.name, summary.loss);
        let d = circuit.dimension();
        let outputs = circuit.outputs();
        // A gradient Jᵀr of a network that interpolates carries the rounding of the output in r: an error of the size of J.
        let roots = collect(objective.count() * outputs, d, |visit| {
            objective.for_each_root(ALWAYS, |first, rows| visit(first * outputs, rows)).unwrap();
        });
        let root = roots.iter().fold(0.0f64, |scale, x| scale.max(x.abs()));
        let rows = collect(objective.count(), d, |visit| objective.for_each_gradient(ALWAYS, visit).unwrap());
        for (found, name) in [(&summary.gradient, "mean_grad"), (&rows, "per_sample_grads")] {
            let expected = case.array(name);
            let scale = expected.iter().fold(0.0f64, |scale, x| scale.max(x.abs()));
            let off = distance(found, &expected) * scale;
            println!("{:24} {name:16} {:.1e}", case.name, off / scale);
            assert!(off < 1e-12 * scale + 2e-14 * root, "{}: {name} off by {off:e} of {scale:e}", case.name);
        }
        if let Some(expected) = array(&case.arrays, "jacrows") {
            let found = distance(&roots[..expected.len()], &expected);
            assert!(found < 1e-12, "{}: Jacobian rows {found:e}", case.name);
        }
        let expected: u64 = case.expected["kinks"].as_array().unwrap().iter().map(|k| k["exact_zero"].as_u64().unwrap()).sum();
        let found: usize = summary.kinks.iter().map(|kinks| kinks.hits).sum();
        assert_eq!(found as u64, expected, "{}: kinks {:?}", case.name, summary.kinks);
    }
}

#[test]
fn gauss_newton_figures_agree_with_the_references() {
    for case in cases(&CASES) {
        let circuit = case.circuit();
        let objective = case.objective(&circuit);
        let gram = Gram::of(&objective, 1 << 30, ALWAYS).unwrap();
        let n = gram.samples as f64;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
        let ggn = |key: &str| case.number(&["ggn", key]);
        let check = |what: &str, found: f64, expected: f64| close(case.name, what, found, expected, 1e-9);
        check("trace", gram.trace(), ggn("tr"));
        let norms = objective.root_norms(ALWAYS).unwrap();
        check("trace by norms", norms.iter().flatten().sum::<f64>() / n, ggn("tr"));
        check("Frobenius norm", gram.frobenius_norm(), ggn("fro"));
        check("largest eigenvalue", gram.largest_eigenvalue(), ggn("lmax"));
        check("mean of squared norms", mean(&gram.frobenius), ggn("mean_Hi_fro2"));
        check("mean of squared traces", mean(&gram.traces.iter().map(|x| x * x).collect::<Vec<_>>()), ggn("mean_tr_Hi_sq"));
        check("largest eigenvalue of a sample", gram.largest.iter().copied().fold(0.0, f64::max), ggn("max_lmax_Hi"));
        check("largest trace of a sample", gram.traces.iter().copied().fold(0.0, f64::max), ggn("max_tr_Hi"));
        let top = gram.largest_eigenvalue();
        check(
            "spread along the top",
            mean(&gram.along_top.iter().map(|x| (x - top).powi(2)).collect::<Vec<_>>()),
            ggn("vmax_var"),
        );
        for (batch, expected) in case.expected["ggn"]["batches"].as_object().unwrap() {
            let batch: usize = batch.parse().unwrap();
            let found = Conditions::of(&gram, batch);
            let number = |key: &str| expected[key].as_f64().unwrap();
            assert!((found.p - number("p")).abs() < 1e-15);
            check("trace condition", found.trace, number("necessary_trace"));
            check("top condition", found.top_direction, number("necessary_top"));
            check("sufficient condition", found.sufficient, number("sufficient"));
            if batch == 1 {
                check("Wu-Su", found.wu_su, ggn("trace_eta_multi_output"));
            }
            if let Some(exact) = expected["eta_var"].as_f64() {
                let found = threshold(&gram, batch, ALWAYS).unwrap().unwrap();
                close(case.name, &format!("threshold for B = {batch}"), found.value, exact, 1e-9);
            }
        }
    }
}

#[test]
fn hessian_figures_agree_with_the_references() {
    for case in cases(&CASES) {
        let circuit = case.circuit();
        let objective = case.objective(&circuit);
        let d = circuit.dimension();
        let hessian = nnverify::pass::hessian::dense(&objective, ALWAYS).unwrap();
        let number = |key: &str| case.number(&["hessian", key]);
        let diagonal: Vec<f64> = (0..d).map(|i| hessian[(i, i)]).collect();
        let trace: f64 = diagonal.iter().sum();
        close(case.name, "trace", trace, number("tr"), 1e-9);
        close(case.name, "squared diagonal", dot(&diagonal, &diagonal), number("diag_fro2"), 1e-9);
        close(case.name, "Frobenius norm", hessian.norm_l2(), number("fro"), 1e-9);
        let values = nnverify::pass::hessian::spectrum::eigenvalues(&hessian).unwrap();
        let scale = values[d - 1];
        close(case.name, "largest eigenvalue", scale, number("lambda_max"), 1e-9);
        assert!((values[0] - number("lambda_min")).abs() < 1e-9 * scale, "{}: {}", case.name, values[0]);
        for (found, expected) in values.iter().rev().zip(case.expected["hessian"]["top5"].as_array().unwrap()) {
            let expected = expected.as_f64().unwrap();
            assert!((found - expected).abs() < 1e-9 * scale, "{}: a top eigenvalue is {found}, expected {expected}", case.name);
        }
        if circuit.structure.piecewise_multilinear() {
            let norms = objective.root_norms(ALWAYS).unwrap();
            let exact = norms.iter().flatten().sum::<f64>() / objective.count() as f64;
            close(case.name, "trace without a Hessian", exact, number("tr"), 1e-9);
        }
        println!("{:24} {:?}", case.name, circuit.structure);
    }
}

#[test]
fn verdicts_agree_with_the_references() {
    let mut decided = 0;
    for case in cases(&CASES) {
        let circuit = case.circuit();
        let objective = case.objective(&circuit);
        if let Some(verdicts) = case.expected["verdicts"].as_array() {
            let gram = Gram::of(&objective, 1 << 30, ALWAYS).unwrap();
            for verdict in verdicts {
                let (eta, batch) = (verdict["eta"].as_f64().unwrap(), verdict["batch"].as_u64().unwrap() as usize);
                let found = judge(&gram, eta, batch, None);
                assert_eq!(
                    found.verdict.name().to_lowercase(),
                    verdict["exact"].as_str().unwrap(),
                    "{} {eta} {batch}",
                    case.name
                );
                match found.critical_batch.unwrap() {
                    CriticalBatch::One => assert_eq!(found.verdict, Verdict::Stable),
                    CriticalBatch::Never => assert_eq!(found.verdict, Verdict::Unstable),
                    CriticalBatch::From(critical) => {
                        assert_eq!(found.verdict == Verdict::Stable, batch as f64 >= critical, "{} {critical}", case.name);
                        let at = |batch: f64| threshold(&gram, batch as usize, ALWAYS).unwrap().unwrap().value;
                        assert!(at(critical.ceil()) >= eta * (1.0 - 1e-9) && at(critical.floor()) <= eta * (1.0 + 1e-9));
                    }
                }
                decided += 1;
            }
        }
        // The whole pass, without the dense Hessian where that is slow.
        let options = HessianOptions { learning_rate: Some(1e-3), batch: Some(1), dense_limit: 700, ..HessianOptions::default() };
        let found = analyse(&objective, &case.samples, &options, &mut |_| ()).unwrap();
        let number = |key: &str| case.number(&["hessian", key]);
        if circuit.structure.piecewise_multilinear() || circuit.dimension() <= 700 {
            close(case.name, "trace", found.trace_hessian.unwrap().value, number("tr"), 1e-9);
        }
        let (low, high) = found.frobenius_hessian.unwrap().interval.unwrap_or((number("fro"), number("fro")));
        assert!(low <= number("fro") && number("fro") <= high, "{}: {:?}", case.name, found.frobenius_hessian);
        close(case.name, "largest eigenvalue", found.lambda_max_hessian.unwrap().value, number("lambda_max"), 1e-9);
        let applicable = case.loss == Loss::Mse && number("residual_fro") <= 0.01 * case.number(&["ggn", "fro"]);
        let not_applicable = matches!(found.stability.unwrap().verdict, Verdict::NotApplicable(_));
        assert_eq!(!not_applicable, applicable, "{}", case.name);
        match found.parameter_norms {
            Some(ParameterNorms::TwoLayerRelu { trace, path_norm, weighted_path_norm }) if case.name == "relu2_mse_scalar" => {
                let number = |key: &str| case.number(&["two_layer_relu", key]);
                close(case.name, "closed form", trace, number("closed_form_tr"), 1e-12);
                close(case.name, "path norm", path_norm, number("path_norm"), 1e-12);
                close(case.name, "weighted path norm", weighted_path_norm, number("data_weighted_path_norm"), 1e-12);
            }
            Some(ParameterNorms::DiagonalLinear { trace, .. }) => close(case.name, "closed form", trace, number("tr"), 1e-9),
            other => assert!(other.is_none() || case.name == "kinks_mse", "{}", case.name),
        }
    }
    println!("{decided} verdicts");
}

/// Without a Gram matrix only a bracket of the threshold is known: it holds the exact one, and decides the same way.
#[test]
fn brackets_without_a_gram_matrix_hold_the_threshold() {
    let mut decided = 0;
    for case in cases(&["digits_mse_flat", "digits_mse_sharp", "relu2_mse_scalar", "mlp_tanh_mse_scalar", "cnn_tanh_mse"]) {
        let circuit = case.circuit();
        let objective = case.objective(&circuit);
        let gram = Gram::of(&objective, 1 << 30, ALWAYS).unwrap();
        for (batch, expected) in case.expected["ggn"]["batches"].as_object().unwrap() {
            let batch: usize = batch.parse().unwrap();
            let Some(exact) = expected["eta_var"].as_f64() else { continue };
            let options = HessianOptions {
                learning_rate: Some(0.9 * exact),
                batch: Some(batch),
                gram_limit: 0,
                dense_limit: 0,
                ..HessianOptions::default()
            };
            let found = analyse(&objective, &case.samples, &options, &mut |_| ()).unwrap();
            let stability = found.stability.unwrap();
            let (low, high) = stability.bracket;
            let slack = 1e-9 * exact;
            assert!(
                stability.exact.is_none() && low <= exact + slack && exact <= high + slack,
                "{} {batch}: {low} {exact} {high}",
                case.name
            );
            // The largest eigenvalue is known from above by a norm alone.
            assert!(low <= Conditions::of(&gram, batch).sufficient * (1.0 + 1e-9), "{} {batch}", case.name);
            assert!(stability.verdict != Verdict::Unstable, "{} {batch}", case.name);
            println!("{:20} B = {batch:4}: [{low:.4e}, {high:.4e}] holds {exact:.4e}", case.name);
            decided += usize::from(high < 1.1 * low);
        }
    }
    println!("{decided} brackets within ten percent");
}

/// The first m rows, as they are or as single gradients.
fn inverse_of(objective: &Objective<'_>, m: usize, roots: bool, damping: f64) -> Inverse {
    let panels = Panels::new(m, objective.circuit.dimension(), Precision::Double, usize::MAX).unwrap();
    let (d, width) = (objective.circuit.dimension(), if roots { objective.circuit.outputs() } else { 1 });
    let visit = |first: usize, rows: &[f64]| {
        let kept = m.saturating_sub(first * width).min(rows.len() / d);
        panels.write(first * width, &rows[..kept * d]).unwrap();
    };
    if roots {
        objective.for_each_root(ALWAYS, visit).unwrap();
    } else {
        objective.for_each_gradient(ALWAYS, visit).unwrap();
    }
    Inverse::new(panels, damping).unwrap()
}

#[test]
fn inverse_hessian_products_agree_with_the_references() {
    for case in cases(&CASES) {
        let circuit = case.circuit();
        let objective = case.objective(&circuit);
        let theta = circuit.parameters.values(&case.model.network);
        for (section, prefix, roots) in [("mfac", "", false), ("mfac_jacrows", "jacrows_", true)] {
            let Some(dampings) = case.expected[section].as_object() else { continue };
            for (text, expected) in dampings {
                let damping: f64 = text.parse().unwrap();
                let number = |key: &str| expected[key].as_f64().unwrap();
                let m = expected["m"].as_u64().unwrap() as usize;
                let name = |rest: &str| format!("{prefix}damp{text}_{rest}");
                let inverse = inverse_of(&objective, m, roots, damping);
                // A vector in the span, by the dual form: what the gradients themselves carry is all that is lost. Where a
                // network interpolates that is the rounding of the residuals.
                let dual = case.array(&name(if roots { "ihvp_mean_dual" } else { "ihvp_window_mean_dual" }));
                let found = inverse.product_in_span(&vec![1.0 / m as f64; m]).unwrap();
                let noise = distance(&found, &dual);
                let residuals = !roots && case.loss == Loss::Mse;
                assert!(noise < if residuals { 1e-7 } else { 1e-10 }, "{} {section} {text}: dual {noise:e}", case.name);
                let kappa = inverse.condition();
                assert!((kappa / number("kappa_span") - 1.0).abs() < 1e-7, "{}: {kappa}", case.name);

                let diagonal = inverse.diagonal().unwrap();
                let off = distance(&diagonal, &case.array(&name("diag")));
                assert!(off < 1e-11 + 1e-16 * kappa, "{} {section} {text}: diagonal {off:e}", case.name);
                let rho = saliency(&theta, &diagonal);
                let off = distance(&rho, &case.array(&name("rho")));
                assert!(off < 1e-10 + 1e-15 * kappa, "{} {section} {text}: saliency {off:e}", case.name);

                // The probe of the references is not written down: it is F times their answer.
                let answer = case.array(&name("ihvp_probe"));
                let probe = inverse.forward(&answer).unwrap();
                let (found, residual) = inverse.refined_product(&probe, 3).unwrap();
                let off = distance(&found, &answer);
                assert!(off < 1e-9, "{} {section} {text}: product {off:e}, residual {residual:e}", case.name);

                if !roots {
                    let q = expected["obs_single_index"].as_u64().unwrap() as usize;
                    let update = inverse.removal(&theta, q).unwrap();
                    let off = distance(&update, &case.array(&name("obs_delta_w_single")));
                    assert!(off < 1e-9, "{} {text}: removal of one weight {off:e}", case.name);
                    let k = expected["obs_joint_k"].as_u64().unwrap() as usize;
                    let mut order: Vec<usize> = (0..theta.len()).collect();
                    order.sort_by(|&i, &j| rho[i].total_cmp(&rho[j]));
                    let joint = inverse.joint_removal(&theta, &order[..k]).unwrap();
                    let after: Vec<f64> = theta.iter().zip(&joint.update).map(|(w, u)| w + u).collect();
                    let off = distance(&after, &case.array(&name("obs_exact_w25")));
                    assert!(off < 1e-7, "{} {text}: joint removal {off:e}", case.name);
                    let cost = expected["obs_quadratic_cost"]["exact_joint"].as_f64().unwrap();
                    close(case.name, "cost of joint removal", joint.cost, cost, 1e-6);
                }
                let elements: Vec<(usize, usize, f64)> = expected["elements"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|e| (e[0].as_u64().unwrap() as usize, e[1].as_u64().unwrap() as usize, e[2].as_f64().unwrap()))
                    .collect();
                let factored = inverse.into_factored().unwrap();
                for (a, b, value) in elements {
                    let found = factored.element(a, b).unwrap();
                    assert!(
                        (found - value).abs() < (1e-11 + 1e-15 * kappa) / damping,
                        "{} {text}: [{a}, {b}] {found} {value}",
                        case.name
                    );
                }
            }
        }
    }
}

#[test]
#[ignore = "a minute"]
fn a_large_residual_network() {
    for case in cases(&["resnet20"]) {
        let circuit = case.circuit();
        let objective = case.objective(&circuit);
        let started = std::time::Instant::now();
        let norms = objective.root_norms(ALWAYS).unwrap();
        let n = objective.count() as f64;
        let trace = norms.iter().flatten().sum::<f64>() / n;
        println!("trace {trace} in {:.2} s", started.elapsed().as_secs_f64());
        close(case.name, "trace", trace, case.number(&["hessian", "tr"]), 1e-9);
        assert!(circuit.structure.piecewise_multilinear());
        let summary = objective.summary().unwrap();
        close(case.name, "loss", summary.loss, case.number(&["loss"]), 1e-9);
        close(case.name, "gradient", dot(&summary.gradient, &summary.gradient).sqrt(), case.number(&["grad_norm"]), 1e-9);
        let started = std::time::Instant::now();
        let gram = Gram::of(&objective, 1 << 30, ALWAYS).unwrap();
        println!("Gram matrix in {:.2} s", started.elapsed().as_secs_f64());
        close(case.name, "norm", gram.frobenius_norm(), case.number(&["ggn", "fro"]), 1e-9);
        close(case.name, "largest eigenvalue", gram.largest_eigenvalue(), case.number(&["ggn", "lmax"]), 1e-9);
        for (batch, expected) in case.expected["ggn"]["batches"].as_object().unwrap() {
            let found = Conditions::of(&gram, batch.parse().unwrap());
            close(case.name, "trace condition", found.trace, expected["necessary_trace"].as_f64().unwrap(), 1e-9);
            close(case.name, "top condition", found.top_direction, expected["necessary_top"].as_f64().unwrap(), 1e-9);
            close(case.name, "sufficient condition", found.sufficient, expected["sufficient"].as_f64().unwrap(), 1e-9);
        }
        let d = circuit.dimension();
        let started = std::time::Instant::now();
        let start = Random::new(1, 1).normals(d);
        let space = Lanczos::run(|x| objective.hessian_product(x), start, 44, |_| false);
        let [(low, _), (high, _)] = space.extremes().unwrap();
        println!("44 Hessian products in {:.2} s: {low} {high}", started.elapsed().as_secs_f64());
        close(case.name, "largest eigenvalue of H", high, case.number(&["hessian", "lambda_max"]), 1e-6);
        close(case.name, "smallest eigenvalue of H", low, case.number(&["hessian", "lambda_min_approx"]), 1e-2);
    }
}

/// A two-layer ReLU network with one output, in plain loops: nothing of what is tested.
struct TwoLayer {
    inputs: usize,
    hidden: usize,
    theta: Vec<f64>,
}

impl TwoLayer {
    /// Output and its gradient.
    fn gradient(&self, x: &[f64]) -> (f64, Vec<f64>) {
        let (d, h) = (self.inputs, self.hidden);
        let (w, rest) = self.theta.split_at(d * h);
        let (b, a) = rest.split_at(h);
        let mut gradient = vec![0.0; self.theta.len()];
        let mut out = a[h];
        gradient[d * h + 2 * h] = 1.0;
        for j in 0..h {
            let z = dot(&w[j * d..(j + 1) * d], x) + b[j];
            if z > 0.0 {
                out += a[j] * z;
                gradient[d * h + h + j] = z;
                gradient[d * h + j] = a[j];
                gradient[j * d..(j + 1) * d].iter_mut().zip(x).for_each(|(g, x)| *g = a[j] * x);
            }
        }
        (out, gradient)
    }

    fn loss(&self, samples: &Samples, targets: &[f64]) -> f64 {
        let rows = samples.inputs.chunks_exact(self.inputs).zip(targets);
        rows.map(|(x, y)| (self.gradient(x).0 - y).powi(2) / 2.0).sum::<f64>() / samples.count as f64
    }
}

/// From a slightly perturbed minimum the loss stays small where the verdict is stable, and leaves where it is unstable, with
/// step sizes at least 1.3 times away from the threshold.
#[test]
fn sgd_behaves_as_the_verdicts_say() {
    for case in cases(&["digits_mse_flat", "digits_mse_sharp"]) {
        let circuit = case.circuit();
        let gram = Gram::of(&case.objective(&circuit), 1 << 30, ALWAYS).unwrap();
        let Targets::Values(targets) = &case.samples.targets else { unreachable!() };
        let minimum = circuit.parameters.values(&case.model.network);
        let (inputs, hidden) = (case.model.network.input_size(), circuit.parameters.list[1].size);
        let (mut stable, mut unstable) = (0, 0);
        for verdict in case.expected["verdicts"].as_array().unwrap() {
            let (eta, batch) = (verdict["eta"].as_f64().unwrap(), verdict["batch"].as_u64().unwrap() as usize);
            let critical = threshold(&gram, batch, ALWAYS).unwrap().unwrap().value;
            if (eta / critical).max(critical / eta) < 1.3 || eta > 4.0 * critical || eta < critical / 20.0 {
                continue;
            }
            let mut random = Random::new(7, batch as u64);
            let noise = random.normals(minimum.len());
            let theta: Vec<f64> = minimum.iter().zip(noise).map(|(w, z)| w + 1e-5 * z).collect();
            let mut net = TwoLayer { inputs, hidden, theta };
            let start = net.loss(&case.samples, targets);
            let mut worst = start;
            let n = case.samples.count;
            for step in 0..4000 {
                let chosen: Vec<usize> = if batch == n {
                    (0..n).collect()
                } else {
                    let keys = random.normals(n);
                    let mut order: Vec<usize> = (0..n).collect();
                    order.sort_by(|&i, &j| keys[i].total_cmp(&keys[j]));
                    order[..batch].to_vec()
                };
                let mut update = vec![0.0; net.theta.len()];
                for i in chosen {
                    let (out, gradient) = net.gradient(&case.samples.inputs[i * inputs..(i + 1) * inputs]);
                    let scale = eta * (out - targets[i]) / batch as f64;
                    update.iter_mut().zip(gradient).for_each(|(u, g)| *u += scale * g);
                }
                net.theta.iter_mut().zip(update).for_each(|(w, u)| *w -= u);
                if step % 50 == 49 {
                    worst = worst.max(net.loss(&case.samples, targets));
                    if worst > 1e6 * start {
                        break;
                    }
                }
            }
            let expected = verdict["exact"].as_str().unwrap();
            println!(
                "{:18} eta {eta} batch {batch}: {expected}, eta/eta* {:.3}, worst loss {:.1e} of {start:.1e}",
                case.name,
                eta / critical,
                worst
            );
            if expected == "stable" {
                assert!(worst < 100.0 * start, "{}: {eta} {batch}", case.name);
                stable += 1;
            } else {
                assert!(worst > 100.0 * start, "{}: {eta} {batch}", case.name);
                unstable += 1;
            }
        }
        assert!(stable > 0 && unstable > 0, "{}: {stable} {unstable}", case.name);
    }
}

/// Five percent of the labels are flipped after training: the flipped samples come first in the ranking by leverage.
#[test]
fn flipped_labels_have_the_largest_leverage() {
    for mut case in cases(&["digits_relu_ce", "cnn_bn_maxpool_ce"]) {
        let n = case.samples.count;
        let flips = n.div_ceil(20);
        let Targets::Labels(labels) = &mut case.samples.targets else { unreachable!() };
        let flipped: Vec<usize> = (0..flips).map(|k| (k * 37 + 11) % n).collect();
        flipped.iter().for_each(|&i| labels[i] = (labels[i] + 3) % 10);
        let circuit = case.circuit();
        let inverse = inverse_of(&case.objective(&circuit), n, false, 1e-3);
        let influence = Influence::of(&inverse).unwrap();
        let found = influence.ranking()[..flips].iter().filter(|i| flipped.contains(i)).count();
        let share = found as f64 / flips as f64;
        println!("{:18} {flips} of {n} labels flipped: precision = recall = {share:.2} at the top {flips}", case.name);
        assert!(share >= 0.75, "{}: {share}", case.name);
    }
}

fn verify(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = assert_cmd::Command::cargo_bin("verify").unwrap().current_dir(folder).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn certificates_are_proved_again_and_forgeries_refused() {
    let Some(shared) = common::shared() else { return };
    let cases = shared.join("cases/curvature");
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let copy = |name: &str| {
        let to = folder.join(name);
        std::fs::write(&to, std::fs::read(cases.join(name)).unwrap()).unwrap();
    };
    for name in ["digits_mse_sharp", "digits_relu_ce_softmax", "cnn_tanh_mse", "kinks_mse"] {
        copy(&format!("{name}.onnx"));
        copy(&format!("{name}.npz"));
    }
    let kind = |text: &str, kind: &str| -> Value {
        let report: Value = serde_json::from_str(text).unwrap();
        report["claims"].as_array().unwrap().iter().find(|claim| claim["kind"] == kind).cloned().unwrap_or(Value::Null)
    };
    let number = |value: &Value| value["decimal"].as_str().unwrap().parse::<f64>().unwrap();
    let json = ["--output-format", "json", "--threads", "1"];

    // Verdicts: one unstable, one stable, both proved; exit codes 1 and 0.
    for (eta, batch, verdict, code) in [("0.05", "1", "unstable", 1), ("0.005", "1", "stable", 0), ("0.02", "100", "stable", 0)] {
        let data = ["digits_mse_sharp.onnx", "--hessian-trace", "--data", "digits_mse_sharp.npz", "--loss", "mse"];
        let arguments = [&data[..], &["--learning-rate", eta, "--batch-size", batch], &json].concat();
        let (found, text, error) = verify(folder, &arguments);
        assert_eq!(found, code, "{error}");
        let claim = kind(&text, "stability");
        assert_eq!((claim["verdict"].as_str(), claim["assurance"].as_str()), (Some(verdict), Some("proved")), "{error}");
        let trace = kind(&text, "hessian-trace");
        let expected: Value =
            serde_json::from_str(&std::fs::read_to_string(cases.join("digits_mse_sharp.expected.json")).unwrap()).unwrap();
        let exact = expected["hessian"]["tr"].as_f64().unwrap();
        assert!(
            number(&trace["trace"]["lower"]) <= exact * (1.0 + 1e-9) && exact * (1.0 - 1e-9) <= number(&trace["trace"]["upper"])
        );
        assert!(number(&trace["trace"]["upper"]) - number(&trace["trace"]["lower"]) < 1e-6 * exact);
        assert_eq!(trace["matrix"], "hessian");
        let check = ["check", "digits_mse_sharp.certificate.json", "--model", "digits_mse_sharp.onnx"];
        let (code, text, error) = verify(folder, &[&check[..], &["--file", "digits_mse_sharp.npz"]].concat());
        assert_eq!(code, 0, "{text}{error}");
        let (code, text, _) = verify(folder, &check);
        assert!(code == 4 && text.contains("digits_mse_sharp.npz"), "{text}");
    }

    // Tanh: the trace of the Hessian is not that of the Gauss–Newton matrix, which is claimed instead.
    let data = ["cnn_tanh_mse.onnx", "--hessian-trace", "--data", "cnn_tanh_mse.npz", "--loss", "mse"];
    let (code, text, error) = verify(folder, &[&data[..], &json].concat());
    assert_eq!((code, kind(&text, "hessian-trace")["matrix"].as_str()), (0, Some("gauss-newton")), "{error}");
    // At kinks too.
    let data = ["kinks_mse.onnx", "--hessian-trace", "--data", "kinks_mse.npz", "--loss", "mse"];
    let (code, text, error) = verify(folder, &data);
    assert!(code == 0 && text.contains("8 exact hits of kinks"), "{text}{error}");
    let arguments = [&data[..], &["--learning-rate", "0.1", "--batch-size", "2"]].concat();
    let (code, text, _) = verify(folder, &arguments);
    assert!(code == 3 && text.contains("NOT-APPLICABLE"), "{text}");

    // Products: the residual is checked; a forged one is refused; the pruned model has the loss that is reported.
    let data =
        ["digits_relu_ce_softmax.onnx", "--inverse-hessian", "--data", "digits_relu_ce_softmax.npz", "--loss", "cross-entropy"];
    let more = ["--damping", "1e-3", "--gradients", "64", "--pruning", "0.25", "--influence"];
    let (code, text, error) = verify(folder, &[&data[..], &more, &json].concat());
    assert_eq!(code, 0, "{error}");
    let claim = kind(&text, "inverse-hessian");
    assert_eq!(claim["assurance"], "checked", "{error}");
    assert!(number(&claim["residual"]) < 1e-11, "{claim}");
    let report: Value = serde_json::from_str(&text).unwrap();
    let pruning = &report["sections"][0]["pruning"];
    assert!(pruning["loss_after"].as_f64().unwrap() < pruning["loss_without_update"].as_f64().unwrap());
    let pruned = load(&folder.join("digits_relu_ce_softmax.pruned.onnx")).unwrap();
    let zeros = |model: &Model| {
        let parameters = Parameters::of(model, &Selection::default()).unwrap();
        parameters.values(&model.network).iter().filter(|w| **w == 0.0).count()
    };
    assert!(zeros(&pruned) >= 377, "{}", zeros(&pruned));
    let certificate = folder.join("digits_relu_ce_softmax.certificate.json");
    let mut forged = Certificate::from_json(&std::fs::read(&certificate).unwrap()).unwrap();
    let bundle = Certificate::read(&certificate).unwrap().1;
    let ClaimKind::InverseHessian(claim) = &mut forged.claims[0].kind else { unreachable!() };
    claim.residual = Number::upper(claim.residual.value() / 2.0);
    forged.digest = forged.computed_digest();
    nnverify::query::write_certificate(&forged, &bundle, &certificate).unwrap();
    let check = ["check", "digits_relu_ce_softmax.certificate.json", "--model", "digits_relu_ce_softmax.onnx"];
    let (code, text, _) = verify(folder, &[&check[..], &["--file", "digits_relu_ce_softmax.npz"]].concat());
    assert!(code == 4 && text.contains("residual"), "{text}");

    // What is missing is said, with exit code 2.
    for (arguments, word) in [
        (vec!["kinks_mse.onnx", "--hessian-trace", "--loss", "mse"], "--data"),
        (vec!["kinks_mse.onnx", "--hessian-trace", "--data", "kinks_mse.npz"], "--loss"),
        (vec!["kinks_mse.onnx", "--inverse-hessian", "--data", "kinks_mse.npz", "--loss", "mse"], "--damping"),
        (vec!["kinks_mse.onnx", "--hessian-trace", "--data", "kinks_mse.npz", "--loss", "mse", "--exclude", "nope"], "nope"),
        (vec!["kinks_mse.onnx", "--hessian-trace", "--data", "digits_relu_ce_softmax.npz", "--loss", "mse"], "64"),
    ] {
        let (code, _, error) = verify(folder, &arguments);
        assert!(code == 2 && error.contains(word), "{arguments:?}: {code} {error}");
    }
}
