//! Every claim about derivatives that the checker makes of a file, against differences of the oracle.

use nnverify::deadline::Deadline;
use nnverify::kernel::curvature::{CurvatureRefusal, Gram, Objective, prove_residual, prove_trace};
use nnverify::kernel::model::ir::evaluate;
use nnverify::kernel::model::onnx::{Model, load_bytes};
use nnverify::kernel::proof::{CurvatureMatrix, LossName, Objective as Named};
use nnverify::kernel::read::data::{Array, Dataset, Values};
use nnverify::kernel::sound::Enclosure;
use nnverify::pass::derivatives::{
    Circuit, Loss, Objective as Computed, ParameterError, Parameters, Samples, Selection, Targets,
};
use nnverify::query::patch_initializer;

use super::differences::{Differences, Place, Question};
use super::enclosed::{CLOSE, agreeing, between_sides, holds, is_wide};
use super::random::Random;
use super::tally::Tally;
use super::value::Found;

/// Compares everything that is claimed of a file. Nothing where the file is not loaded or its values are too large.
pub fn compare(name: &str, bytes: &[u8], question: &Question, random: &mut Random) -> Tally {
    let mut tally = Tally::default();
    let Ok(model) = load_bytes(bytes) else { return tally };
    if let Err(fault) = compare_model(bytes, &model, question, random, &mut tally) {
        tally.faults.push(fault);
    }
    tally.faults.iter_mut().for_each(|fault| *fault = format!("{name}: {fault}"));
    tally
}

fn compare_model(bytes: &[u8], model: &Model, question: &Question, random: &mut Random, tally: &mut Tally) -> Found<()> {
    let mut differences = Differences::new(question)?;
    let sound = |z: &[f64]| z.iter().all(|z| z.abs() < 1e3);
    if !(0..question.inputs.len()).all(|sample| sound(differences.plain(sample)) && sound(&differences.outputs[sample])) {
        return Ok(());
    }
    tally.loaded += 1;
    tally.operators.extend(model.operators.iter().map(|(operator, _)| (operator.clone(), 1)));
    for (sample, input) in question.inputs.iter().enumerate() {
        let (found, expected) = (evaluate(&model.network, input).map_err(|error| error.to_string())?, differences.plain(sample));
        let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * (1.0 + b.abs());
        if found.len() != expected.len() || !found.iter().zip(expected).all(close) {
            return Err(format!("the network gives {found:?}, the file {expected:?}"));
        }
    }
    if let Err(fault) = tensors(model, &differences, tally) {
        tally.faults.push(fault);
    }
    if model.tensors.is_empty() {
        return Ok(());
    }
    let everything = Selection { include: vec!["*".to_owned()], ..Selection::default() };
    let mut done: Vec<Vec<String>> = Vec::new();
    for selection in [everything, Selection::default()] {
        let parameters = match Parameters::of(model, &selection) {
            Ok(parameters) => parameters,
            Err(ParameterError::None(_)) => continue,
            Err(error) => return Err(error.to_string()),
        };
        let names: Vec<String> = parameters.list.iter().map(|parameter| parameter.name.clone()).collect();
        if !done.contains(&names) {
            tally.sets += 1;
            let set = Set { model, question, parameters, claim: claim(question, names.clone()) };
            set.compare(&mut differences, random, tally).map_err(|fault| format!("{names:?}: {fault}"))?;
            set.prune(bytes, random, tally)?;
            done.push(names);
        }
    }
    let all = model.tensors.iter().filter(|tensor| tensor.is_differentiable()).map(|tensor| tensor.name.clone());
    if done.first().is_some_and(|names| !all.eq(names.iter().cloned())) {
        return Err("`*` does not select every differentiable tensor".to_owned());
    }
    Ok(())
}

/// That no tensor is missing, and that frozen ones are refused by name.
fn tensors(model: &Model, differences: &Differences, tally: &mut Tally) -> Found<()> {
    let (mut any, mut followed) = (false, false);
    for (position, stored) in differences.question.program.stored.iter().enumerate() {
        let Some(tensor) = model.tensors.iter().find(|tensor| tensor.name == stored.name) else {
            if differences.depends_on(position) {
                return Err(format!("`{}` is not among the tensors, and the output depends on it", stored.name));
            }
            continue;
        };
        let Some(by) = &tensor.frozen_by else {
            if !tensor.is_differentiable() && differences.depends_on(position) {
                return Err(format!("`{}` is neither frozen nor differentiable, and the output depends on it", stored.name));
            }
            continue;
        };
        any = true;
        *tally.frozen_by.entry(by.operator.clone()).or_default() += 1;
        followed |= !tensor.constants.is_empty() && differences.depends_on(position);
        if tensor.is_differentiable() {
            return Err(format!("`{}` is frozen and differentiable", stored.name));
        }
        let named = claim(differences.question, vec![stored.name.clone()]);
        let data = data(differences.question);
        match Objective::from_data(&named, data, &model.network, &model.tensors, |_, _| 0) {
            Err(CurvatureRefusal::Frozen { tensor, .. }) if tensor == stored.name => {}
            Err(other) => {
                return Err(format!("a claim about the frozen `{}` is refused for another reason: {other}", stored.name));
            }
            Ok(_) => return Err(format!("a claim about the frozen `{}` is not refused", stored.name)),
        }
        let selection = Selection { include: vec![stored.name.clone()], ..Selection::default() };
        match Parameters::of(model, &selection) {
            Err(ParameterError::Frozen { tensor, .. }) if tensor == stored.name => {}
            other => return Err(format!("`{}` is frozen, and selected: {:?}", stored.name, other.map(|_| ()))),
        }
        tally.refusals += 1;
    }
    tally.frozen += usize::from(any);
    tally.followed += usize::from(followed);
    Ok(())
}

fn claim(question: &Question, parameters: Vec<String>) -> Named {
    Named { data: Vec::new(), samples: question.inputs.len() as u32, loss: question.loss, parameters, scope: None }
}

fn data(question: &Question) -> Dataset {
    let count = question.inputs.len();
    let array = |rows: &[Vec<f64>]| {
        let width = rows.first().map_or(0, Vec::len);
        Array::new(vec![count, width], Values::F64(rows.concat())).expect("rows of one length")
    };
    let targets = match question.loss {
        LossName::CrossEntropy => {
            let labels = question.labels.iter().map(|&label| label as i64).collect();
            Array::new(vec![count], Values::I64(labels)).expect("a label each")
        }
        LossName::Mse => array(&question.targets),
    };
    Dataset::from_arrays(array(&question.inputs), Some(targets), String::new()).expect("data")
}

/// A set of parameters, of which everything is claimed.
struct Set<'a> {
    model: &'a Model,
    question: &'a Question,
    parameters: Parameters,
    claim: Named,
}

/// Of one sample: `LᵀJ` by elements of θ, and the gradient.
struct Sample {
    roots: Vec<Vec<f64>>,
    gradient: Vec<f64>,
}

impl Set<'_> {
    fn compare(&self, differences: &mut Differences, random: &mut Random, tally: &mut Tally) -> Found<()> {
        let network = &self.model.network;
        let objective = Objective::from_data(&self.claim, data(self.question), network, &self.model.tensors, |_, _| 0)
            .map_err(|refusal| format!("the claim is refused: {refusal}"))?;
        let mut samples = Vec::new();
        let (mut kinks, mut enclosed) = (0, Vec::new());
        for sample in 0..objective.count() {
            let (Ok(gradient), Ok(roots)) = (objective.gradient(sample), objective.roots(sample)) else {
                tally.refused += 1;
                return Ok(());
            };
            let mut found = Sample { roots: Vec::new(), gradient: Vec::new() };
            for (place, at) in self.places(sample) {
                let column: Vec<Enclosure> = roots.iter().map(|row| row[at]).collect();
                let wide = column.iter().chain([&gradient[at]]).any(is_wide);
                let slopes = if wide {
                    kinks += 1;
                    between_sides(differences, place, &gradient[at], &column)
                } else {
                    tally.elements += 1;
                    agreeing(differences, place, &gradient[at], &column, &mut tally.refined)
                };
                let slopes =
                    slopes.map_err(|fault| format!("{}[{}] at sample {sample}: {fault}", self.name(place), place.element))?;
                let z = &differences.outputs[sample];
                found.roots.push(self.question.roots(z, &slopes));
                found.gradient.push(self.question.slope(sample, z, &slopes).0);
            }
            samples.push(found);
            enclosed.push(gradient);
        }
        tally.wide += kinks;
        self.computed(&samples, &enclosed, kinks > 0, tally)?;
        let narrow = kinks == 0;
        if let Ok(trace) = prove_trace(CurvatureMatrix::Hessian, &objective) {
            self.hessian_trace(differences, &trace, &samples)?;
            tally.hessian_traces += usize::from(!is_wide(&trace));
        }
        if !narrow {
            return Ok(());
        }
        let refused = |refusal: CurvatureRefusal| refusal.to_string();
        let n = samples.len() as f64;
        let squares: f64 = samples.iter().flat_map(|sample| sample.roots.iter().flatten()).map(|x| x * x).sum();
        let trace = prove_trace(CurvatureMatrix::GaussNewton, &objective).map_err(refused)?;
        if !holds(&trace, squares / n, 10.0 * CLOSE * (1.0 + squares / n)) {
            return Err(format!("the trace of the Gauss-Newton matrix is proved {}, it is {}", trace.mid(), squares / n));
        }
        tally.traces += 1;
        Self::gram(&Gram::of(&objective).map_err(refused)?, &samples)?;
        tally.grams += 1;
        self.residuals(&objective, &samples, random)?;
        tally.residuals += 2;
        Ok(())
    }

    /// The elements of θ at a sample, with their positions in it.
    fn places(&self, sample: usize) -> Vec<(Place, usize)> {
        let mut all = Vec::new();
        for parameter in &self.parameters.list {
            let tensor = self.question.program.stored.iter().position(|stored| stored.name == parameter.name);
            let tensor = tensor.expect("a parameter is a tensor of the file");
            all.extend((0..parameter.size).map(|element| (Place { tensor, element, sample }, parameter.offset + element)));
        }
        all
    }

    fn name(&self, place: Place) -> &str {
        &self.question.program.stored[place.tensor].name
    }

    /// The sum of second differences, element by element with the step that fits.
    fn hessian_trace(&self, differences: &mut Differences, trace: &Enclosure, samples: &[Sample]) -> Found<()> {
        let (mut total, mut size) = (0.0, 0.0);
        for (sample, known) in samples.iter().enumerate() {
            for (place, at) in self.places(sample) {
                let expected: f64 = known.roots[at].iter().map(|x| x * x).sum();
                let question = self.question;
                let bends: Vec<f64> = (0..3)
                    .filter_map(|step| differences.stencil(place, step).map(|s| s.bend(|z| question.value(sample, z))))
                    .collect();
                let nearest = bends.iter().copied().min_by(|a, b| (a - expected).abs().total_cmp(&(b - expected).abs()));
                let bend = nearest.ok_or("the file cannot be run beside its values")?;
                total += bend / samples.len() as f64;
                size += bend.abs() / samples.len() as f64;
            }
        }
        let slack = 2e-5 * (1.0 + size);
        if holds(trace, total, slack) {
            return Ok(());
        }
        Err(format!("the Hessian's trace is proved in [{}, {}], it is {total}", trace.lower(), trace.upper()))
    }

    fn gram(gram: &Gram, samples: &[Sample]) -> Found<()> {
        let outputs = samples[0].roots.first().map_or(0, Vec::len);
        let row = |at: usize| samples[at / outputs].roots.iter().map(move |column| column[at % outputs]);
        let (order, found) = (samples.len() * outputs, gram.midpoints());
        let product = |i: usize, j: usize| row(i).zip(row(j)).map(|(a, b)| a * b).sum::<f64>();
        let largest = (0..order).map(|i| product(i, i)).fold(1.0, f64::max);
        for (i, j) in (0..order).flat_map(|i| (0..order).map(move |j| (i, j))) {
            let (claimed, expected) = (found[i * order + j], product(i, j));
            // Written so that a NaN is a fault.
            let close = (claimed - expected).abs() <= 10.0 * CLOSE * largest + gram.uncertainty();
            if !close {
                return Err(format!("entry {i}, {j} of the Gram matrix is {claimed}, by differences {expected}"));
            }
        }
        Ok(())
    }

    fn residuals(&self, objective: &Objective, samples: &[Sample], random: &mut Random) -> Found<()> {
        let d = self.parameters.dimension;
        let vector: Vec<f64> = (0..d).map(|_| random.uniform(-1.0, 1.0)).collect();
        let product: Vec<f64> = (0..d).map(|_| random.uniform(-2.0, 2.0)).collect();
        let gradients: Vec<Vec<f64>> = samples.iter().map(|sample| sample.gradient.clone()).collect();
        let outputs = objective.outputs();
        let rows = samples.iter().flat_map(|sample| (0..outputs).map(|c| sample.roots.iter().map(|column| column[c]).collect()));
        let rows: Vec<Vec<f64>> = rows.collect();
        for (matrix, all) in [(CurvatureMatrix::EmpiricalFisher, gradients), (CurvatureMatrix::GaussNewton, rows)] {
            let count = 1 + random.below(all.len());
            let mut residual: Vec<f64> = product.iter().zip(&vector).map(|(x, v)| 0.25 * x - v).collect();
            let mut size = 1.0;
            for row in &all[..count] {
                let inner = row.iter().zip(&product).map(|(g, x)| g * x).sum::<f64>() / count as f64;
                residual.iter_mut().zip(row).for_each(|(r, g)| *r += g * inner);
                size += row.iter().map(|g| g * g).sum::<f64>();
            }
            let norm = |vector: &[f64]| vector.iter().map(|x| x * x).sum::<f64>().sqrt();
            let expected = norm(&residual) / norm(&vector);
            let proved =
                prove_residual(objective, matrix, count, 0.25, &vector, &product).map_err(|refusal| refusal.to_string())?;
            let slack = 10.0 * CLOSE * (size / norm(&vector) + expected);
            let close = (proved - expected).abs() <= slack;
            if !close {
                return Err(format!("the residual of the {matrix:?} matrix is proved {proved}, it is {expected}"));
            }
        }
        Ok(())
    }

    /// The pass's own gradient and rows in `f64`; at kinks the gradient lies in its enclosure.
    fn computed(&self, samples: &[Sample], enclosed: &[Vec<Enclosure>], kinks: bool, tally: &mut Tally) -> Found<()> {
        let (loss, targets) = match self.question.loss {
            LossName::CrossEntropy => (Loss::CrossEntropy, Targets::Labels(self.question.labels.clone())),
            LossName::Mse => (Loss::Mse, Targets::Values(self.question.targets.concat())),
        };
        let given = Samples { inputs: self.question.inputs.concat(), targets, count: samples.len() };
        let output = loss.output(&self.model.network).0;
        let circuit = Circuit::new(&self.model.network, output, self.parameters.clone()).map_err(|error| error.to_string())?;
        let objective = Computed::<f64>::new(&circuit, loss, &given, 0).map_err(|error| error.to_string())?;
        let n = samples.len() as f64;
        for (at, found) in objective.gradient().into_iter().enumerate() {
            let mean = |end: fn(&Enclosure) -> f64| enclosed.iter().map(|gradient| end(&gradient[at])).sum::<f64>() / n;
            let (lower, upper) = (mean(Enclosure::lower), mean(Enclosure::upper));
            let slack = 1e-9 * (1.0 + found.abs());
            let inside = found >= lower - slack && found <= upper + slack;
            if !inside {
                return Err(format!("element {at} of the gradient in f64 is {found}, enclosed in [{lower}, {upper}]"));
            }
        }
        tally.computed += 1;
        if kinks {
            return Ok(());
        }
        let (d, outputs) = (self.parameters.dimension, circuit.outputs());
        let fault = std::sync::Mutex::new(None);
        let visit = |first: usize, rows: &[f64]| {
            for (position, row) in rows.chunks_exact(d).enumerate() {
                let (sample, c) = (first + position / outputs, position % outputs);
                let own = samples[sample].roots.iter().map(|column| column[c]);
                for (at, (found, expected)) in row.iter().zip(own).enumerate() {
                    let close = (found - expected).abs() <= 10.0 * CLOSE * (1.0 + expected.abs());
                    if !close {
                        let text = format!("row {c} of sample {sample} is {found} at {at} in f64, by differences {expected}");
                        *fault.lock().expect("no panic") = Some(text);
                    }
                }
            }
        };
        objective.for_each_root(Deadline::NONE, visit).map_err(|_| "timed out")?;
        fault.into_inner().expect("no panic").map_or(Ok(()), Err)
    }

    /// Sets weights to zero in the file: the network then gives what the oracle gives.
    fn prune(&self, bytes: &[u8], random: &mut Random, tally: &mut Tally) -> Found<()> {
        let mut bytes = bytes.to_vec();
        let mut names = Vec::new();
        for parameter in &self.parameters.list {
            let stored = self.model.tensors.iter().find(|tensor| tensor.name == parameter.name && tensor.initializer);
            let Some(stored) = stored else { continue };
            let own = self.question.program.stored.iter().find(|own| own.name == stored.name).expect("a tensor of the file");
            let kept = own.values().iter().map(|x| if random.chance(0.4) { 0.0 } else { *x });
            patch_initializer(&mut bytes, &stored.name, &kept.collect::<Vec<_>>()).map_err(|error| error.to_string())?;
            names.push(stored.name.clone());
        }
        if names.is_empty() {
            return Ok(());
        }
        let program = super::program(&bytes)?;
        for input in &self.question.inputs {
            let expected = program.run(input).and_then(|run| program.output(&run).map(<[f64]>::to_vec));
            let expected = expected.map_err(|error| format!("without weights of {names:?} there is no file: {error}"))?;
            let found = load_bytes(&bytes).ok().and_then(|model| evaluate(&model.network, input).ok());
            let Some(found) = found.filter(|_| expected.iter().all(|z| z.is_finite())) else {
                tally.unprunable += 1;
                return Ok(());
            };
            let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * (1.0 + b.abs());
            if found.len() != expected.len() || !found.iter().zip(&expected).all(close) {
                return Err(format!("without weights of {names:?} the network gives {found:?}, the file {expected:?}"));
            }
        }
        tally.pruned += 1;
        Ok(())
    }
}
