//! The mean loss of a network over a data set, and its derivatives with respect to the parameters.

use std::collections::HashMap;
use std::ops::Range;

use rayon::prelude::*;

use super::circuit::Circuit;
use super::kinks::{self, Kinks};
use super::loss::{Loss, Targets};
use super::pulled::{Keep, Pulled};
use super::real::{Real, convert};
use super::reverse::{pull, pull_change};
use super::tape::Tape;
use crate::deadline::{Deadline, TimedOut};

/// Inputs, one row per sample, and what they should give.
#[derive(Clone, Debug)]
pub struct Samples {
    pub inputs: Vec<f64>,
    pub targets: Targets,
    pub count: usize,
}

/// Why data do not fit a network and a loss.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    #[error("there are no samples")]
    Empty,
    #[error("{given} input values for {count} samples, where the network reads {expected} for each")]
    Inputs { given: usize, count: usize, expected: usize },
    #[error("{given} targets for {count} samples")]
    Targets { given: usize, count: usize },
    #[error("cross-entropy needs one class label per sample")]
    Labels,
    #[error("mse needs one target value per output and sample ({outputs} outputs); class labels are not values")]
    Values { outputs: usize },
    #[error("sample {sample} has the label {label}; the network has {outputs} outputs")]
    Label { sample: usize, label: usize, outputs: usize },
    #[error("sample {sample} has a value that is not finite")]
    NotFinite { sample: usize },
    #[error("the loss of sample {sample} is {value}")]
    Loss { sample: usize, value: String },
}

/// What one pass over the data finds out.
#[derive(Clone, Debug)]
pub struct Evaluation {
    pub loss: f64,
    /// Share of samples whose largest output has the right label; only with labels.
    pub accuracy: Option<f64>,
    /// Gradient of the mean loss.
    pub gradient: Vec<f64>,
    pub kinks: Vec<Kinks>,
}

/// Bytes of the forward and backward passes of one batch.
const BATCH_BYTES: usize = 48 << 20;
/// Batches at least, whatever the number of threads.
const BATCHES: usize = 8;
/// Parameters from which a sum over them costs as much as a few samples: half as many batches.
const LARGE: usize = 1 << 17;
/// Bytes of the sums over θ that are held at once, beyond the first.
const SUM_BYTES: usize = 1 << 30;
/// Largest number of samples in one batch.
const BATCH_SAMPLES: usize = 64;

/// A mean loss as a function of the parameters, at the values of the model file. Derivatives are computed in `T`; sums over
/// samples, and what is returned, in `f64`.
pub struct Objective<'a, T = f64> {
    pub circuit: &'a Circuit<'a>,
    pub loss: Loss,
    samples: &'a Samples,
    /// Forward passes of the batches, kept where they fit.
    tapes: Vec<Option<Tape<T>>>,
    batch: usize,
}

impl<'a, T: Real> Objective<'a, T> {
    /// `memory`: bytes that kept forward passes may take.
    ///
    /// # Errors
    /// [`DataError`].
    pub fn new(circuit: &'a Circuit<'a>, loss: Loss, samples: &'a Samples, memory: usize) -> Result<Self, DataError> {
        validate(circuit, loss, samples)?;
        // Values, their tangents, adjoints and their tangents.
        let per_sample = size_of::<T>() * circuit.width() * (3 + circuit.outputs().min(10));
        let batch = (BATCH_BYTES / per_sample.max(1)).clamp(1, BATCH_SAMPLES);
        // Work for several threads; how many there are must not change the order of summation.
        let least = if circuit.dimension() < LARGE { BATCHES } else { BATCHES / 2 };
        let batch = batch.min(samples.count.div_ceil(least)).max(1);
        let mut objective = Self { circuit, loss, samples, tapes: Vec::new(), batch };
        let batches = samples.count.div_ceil(batch);
        if samples.count.saturating_mul(size_of::<T>() * circuit.width()) <= memory {
            objective.tapes = (0..batches).into_par_iter().map(|index| Some(objective.evaluate(index))).collect();
        }
        Ok(objective)
    }

    /// Number of samples n.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.samples.count
    }

    fn batches(&self) -> usize {
        self.count().div_ceil(self.batch)
    }

    fn range(&self, batch: usize) -> Range<usize> {
        batch * self.batch..((batch + 1) * self.batch).min(self.count())
    }

    fn evaluate(&self, batch: usize) -> Tape<T> {
        self.evaluate_range(self.range(batch))
    }

    fn evaluate_range(&self, range: Range<usize>) -> Tape<T> {
        let size = self.circuit.network.input_size();
        Tape::new(self.circuit, &convert(&self.samples.inputs[range.start * size..range.end * size]))
    }

    /// Calls `compute(first sample, forward pass)` for every batch, in parallel; results in order.
    fn map<R: Send>(&self, compute: impl Fn(usize, &Tape<T>) -> R + Sync) -> Vec<R> {
        (0..self.batches()).into_par_iter().map(|index| self.at_batch(index, &compute)).collect()
    }

    /// The same, unless the time is up before every batch was begun.
    fn map_in_time<R: Send>(
        &self,
        deadline: Deadline,
        compute: impl Fn(usize, &Tape<T>) -> R + Sync,
    ) -> Result<Vec<R>, TimedOut> {
        let one = |index: usize| deadline.check().map(|()| self.at_batch(index, &compute));
        (0..self.batches()).into_par_iter().map(one).collect()
    }

    fn at_batch<R>(&self, index: usize, compute: impl FnOnce(usize, &Tape<T>) -> R) -> R {
        match self.tapes.get(index).and_then(Option::as_ref) {
            Some(tape) => compute(self.range(index).start, tape),
            None => compute(self.range(index).start, &self.evaluate(index)),
        }
    }

    /// Calls `visit(first sample, rows)` with rows over θ, `per_sample` for each sample, which `seeds` are pulled back to; as
    /// many at a time as fit into the bytes of a batch, in any order.
    fn for_each_row(
        &self,
        per_sample: usize,
        deadline: Deadline,
        seeds: impl Fn(usize, &Tape<T>) -> Vec<T> + Sync,
        visit: impl Fn(usize, &[T]) + Sync,
    ) -> Result<(), TimedOut> {
        let rows = |first: usize, tape: &Tape<T>| {
            visit(first, &pull(self.circuit, tape, seeds(first, tape), per_sample, Keep::Rows).rows(self.circuit));
        };
        // Adjoints of the weights, and the rows that they are gathered into.
        let bytes = 2 * size_of::<T>() * self.circuit.dimension() * per_sample;
        let together = (BATCH_BYTES / bytes.max(1)).max(1);
        if together >= self.batch {
            return self.map_in_time(deadline, rows).map(|_| ());
        }
        (0..self.count().div_ceil(together)).into_par_iter().try_for_each(|index| {
            deadline.check()?;
            let range = index * together..((index + 1) * together).min(self.count());
            rows(range.start, &self.evaluate_range(range));
            Ok(())
        })
    }

    /// The mean over samples of what batches leave at the parameters. As many are computed at a time as there are threads, if
    /// memory allows, and added in their order: the result does not depend on the threads.
    fn mean(&self, compute: impl Fn(usize, &Tape<T>) -> Pulled<T> + Sync) -> Vec<f64> {
        let mut total = vec![0.0; self.circuit.dimension()];
        let batches = self.batches();
        let together = (SUM_BYTES / (size_of::<T>() * total.len()).max(1)).clamp(1, rayon::current_num_threads());
        for start in (0..batches).step_by(together) {
            let batches = (start..(start + together).min(batches)).into_par_iter();
            let parts: Vec<Pulled<T>> = batches.map(|index| self.at_batch(index, &compute)).collect();
            Pulled::add_to(&parts, self.circuit, &mut total);
        }
        total.iter_mut().for_each(|value| *value /= self.count() as f64);
        total
    }

    /// The seeds `∂ℓ/∂z` of a batch.
    fn gradients(&self, first: usize, tape: &Tape<T>) -> Vec<f64> {
        let outputs = self.circuit.outputs();
        let mut seeds = vec![0.0; tape.samples * outputs];
        let found: Vec<f64> = convert(tape.output(self.circuit));
        let rows = found.chunks_exact(outputs).zip(seeds.chunks_exact_mut(outputs));
        for (sample, (z, seed)) in rows.enumerate() {
            self.loss.gradient(z, &self.samples.targets, first + sample, seed);
        }
        seeds
    }

    /// Loss, accuracy, gradient and kinks.
    ///
    /// # Errors
    /// [`DataError::Loss`] where the loss is not finite.
    pub fn summary(&self) -> Result<Evaluation, DataError> {
        let outputs = self.circuit.outputs();
        let parts = self.map(|first, tape| {
            let mut hits = HashMap::new();
            kinks::count(self.circuit, tape, &mut hits);
            let (mut losses, mut right) = (Vec::with_capacity(tape.samples), 0usize);
            for (sample, z) in convert(tape.output(self.circuit)).chunks_exact(outputs).enumerate() {
                losses.push(self.loss.value(z, &self.samples.targets, first + sample));
                if let Targets::Labels(labels) = &self.samples.targets {
                    let best = (0..outputs).fold(0, |best, i| if z[i] > z[best] { i } else { best });
                    right += usize::from(best == labels[first + sample]);
                }
            }
            (losses, right, hits)
        });
        let mut hits: HashMap<_, usize> = HashMap::new();
        let (mut losses, mut right) = (Vec::new(), 0);
        for (part, own_right, own_hits) in parts {
            losses.extend(part);
            right += own_right;
            own_hits.into_iter().for_each(|(id, count)| *hits.entry(id).or_default() += count);
        }
        if let Some(sample) = losses.iter().position(|loss| !loss.is_finite()) {
            return Err(DataError::Loss { sample, value: losses[sample].to_string() });
        }
        let mut hits: Vec<_> = hits.into_iter().collect();
        hits.sort();
        let kinks = hits.into_iter().map(|(id, hits)| {
            let node = self.circuit.network.node(id);
            Kinks { node: node.name.clone(), operator: node.operator.clone(), hits }
        });
        let labelled = matches!(self.samples.targets, Targets::Labels(_));
        Ok(Evaluation {
            loss: losses.iter().sum::<f64>() / self.count() as f64,
            accuracy: labelled.then(|| right as f64 / self.count() as f64),
            gradient: self.gradient(),
            kinks: kinks.collect(),
        })
    }

    /// Gradient of the mean loss.
    #[must_use]
    pub fn gradient(&self) -> Vec<f64> {
        self.mean(|first, tape| pull(self.circuit, tape, convert(&self.gradients(first, tape)), 1, Keep::Sum))
    }

    /// Calls `visit(first sample, rows)` with the gradients `g_i`, one row over θ per sample; batches in any order.
    ///
    /// # Errors
    /// [`TimedOut`] before all were visited.
    pub fn for_each_gradient(&self, deadline: Deadline, visit: impl Fn(usize, &[T]) + Sync) -> Result<(), TimedOut> {
        self.for_each_row(1, deadline, |first, tape| convert(&self.gradients(first, tape)), visit)
    }

    /// Calls `visit(first sample, rows)` with the rows of `A_i = L_iᵀJ_i`, C rows over θ per sample; batches in any order.
    ///
    /// # Errors
    /// [`TimedOut`] before all were visited.
    pub fn for_each_root(&self, deadline: Deadline, visit: impl Fn(usize, &[T]) + Sync) -> Result<(), TimedOut> {
        self.for_each_row(self.circuit.outputs(), deadline, |_, tape| self.factors(tape), visit)
    }

    fn factors(&self, tape: &Tape<T>) -> Vec<T> {
        let outputs = self.circuit.outputs();
        let mut seeds = vec![0.0; tape.samples * outputs * outputs];
        let found: Vec<f64> = convert(tape.output(self.circuit));
        let rows = found.chunks_exact(outputs).zip(seeds.chunks_exact_mut(outputs * outputs));
        rows.for_each(|(z, columns)| self.loss.factor(z, columns));
        convert(&seeds)
    }

    /// Per parameter and sample `‖A_i‖²` restricted to that parameter: `[sample][parameter]`. Their mean over samples is the
    /// trace of the Gauss–Newton matrix; the weights of layers cost no more than a backward pass.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn root_norms(&self, deadline: Deadline) -> Result<Vec<Vec<f64>>, TimedOut> {
        let outputs = self.circuit.outputs();
        let parts = self.map_in_time(deadline, |_, tape| {
            let norms = pull(self.circuit, tape, self.factors(tape), outputs, Keep::Norms).squared_norms(self.circuit);
            let sum = |norms: &[f64], sample: usize| norms[sample * outputs..(sample + 1) * outputs].iter().sum::<f64>();
            (0..tape.samples).map(|sample| norms.iter().map(|own| sum(own, sample)).collect()).collect::<Vec<Vec<f64>>>()
        })?;
        Ok(parts.into_iter().flatten().collect())
    }

    /// Gauss–Newton matrix times a vector.
    #[must_use]
    pub fn gauss_newton_product(&self, direction: &[f64]) -> Vec<f64> {
        let direction = self.by_node(direction);
        self.mean(|_, tape| {
            let tangents = tape.tangents(self.circuit, &direction);
            let seeds = self.curvatures(tape, tangents.output(self.circuit));
            pull(self.circuit, tape, seeds, 1, Keep::Sum)
        })
    }

    /// Hessian of the mean loss times a vector.
    #[must_use]
    pub fn hessian_product(&self, direction: &[f64]) -> Vec<f64> {
        let direction = self.by_node(direction);
        self.mean(|first, tape| {
            let tangents = tape.tangents(self.circuit, &direction);
            let change = self.curvatures(tape, tangents.output(self.circuit));
            let seeds = convert(&self.gradients(first, tape));
            pull_change(self.circuit, tape, &tangents, seeds, change)
        })
    }

    fn by_node(&self, direction: &[f64]) -> Vec<Vec<T>> {
        self.circuit.parameters.gather(direction, self.circuit.network.nodes().len())
    }

    /// `∂²ℓ/∂z²` times the derivatives of the outputs.
    fn curvatures(&self, tape: &Tape<T>, moved: &[T]) -> Vec<T> {
        let outputs = self.circuit.outputs();
        let mut seeds = vec![0.0; tape.samples * outputs];
        let (found, moved): (Vec<f64>, Vec<f64>) = (convert(tape.output(self.circuit)), convert(moved));
        let rows = found.chunks_exact(outputs).zip(moved.chunks_exact(outputs));
        rows.zip(seeds.chunks_exact_mut(outputs)).for_each(|((z, dz), seed)| self.loss.curvature(z, dz, seed));
        convert(&seeds)
    }

    /// `∂ℓ/∂z` of all samples, one row per sample: for mse the residuals.
    #[must_use]
    pub fn residuals(&self) -> Vec<f64> {
        self.map(|first, tape| self.gradients(first, tape)).concat()
    }
}

fn validate(circuit: &Circuit<'_>, loss: Loss, samples: &Samples) -> Result<(), DataError> {
    let (count, outputs, expected) = (samples.count, circuit.outputs(), circuit.network.input_size());
    if count == 0 {
        return Err(DataError::Empty);
    }
    if Some(samples.inputs.len()) != count.checked_mul(expected) {
        return Err(DataError::Inputs { given: samples.inputs.len(), count, expected });
    }
    match (&samples.targets, loss) {
        (Targets::Labels(labels), Loss::CrossEntropy) => {
            if labels.len() != count {
                return Err(DataError::Targets { given: labels.len(), count });
            }
            if let Some((sample, &label)) = labels.iter().enumerate().find(|(_, label)| **label >= outputs) {
                return Err(DataError::Label { sample, label, outputs });
            }
        }
        (Targets::Values(values), Loss::Mse) => {
            if Some(values.len()) != count.checked_mul(outputs) {
                return Err(DataError::Targets { given: values.len(), count });
            }
            if let Some(position) = values.iter().position(|value| !value.is_finite()) {
                return Err(DataError::NotFinite { sample: position / outputs.max(1) });
            }
        }
        (Targets::Values(_), Loss::CrossEntropy) => return Err(DataError::Labels),
        (Targets::Labels(_), Loss::Mse) => return Err(DataError::Values { outputs }),
    }
    match samples.inputs.iter().position(|value| !value.is_finite()) {
        Some(position) => Err(DataError::NotFinite { sample: position / expected.max(1) }),
        None => Ok(()),
    }
}
