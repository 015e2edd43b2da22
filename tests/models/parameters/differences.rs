//! Derivatives by differences: what a file's loss does when an element of one of its tensors moves.

use std::collections::HashMap;

use nnverify::kernel::proof::LossName;

use super::operators::softmax;
use super::oracle::{Program, Run};
use super::value::Found;

/// Samples and a loss over a graph.
pub struct Question {
    pub program: Program,
    pub inputs: Vec<Vec<f64>>,
    pub loss: LossName,
    pub labels: Vec<usize>,
    pub targets: Vec<Vec<f64>>,
    /// Whether the graph ends with a Softmax, which then belongs to a cross-entropy.
    pub softmax: bool,
}

/// Steps of the differences, the largest first: powers of two, so that moving by them is exact.
pub const STEPS: [f64; 7] = [power(10), power(13), power(17), power(21), power(25), power(29), power(33)];

const fn power(n: u32) -> f64 {
    1.0 / (1u64 << n) as f64
}

/// The rounding of a difference quotient of outputs of that size.
pub fn rounding(step: usize, z: &[f64]) -> f64 {
    z.iter().fold(1.0f64, |largest, z| largest.max(z.abs())) * 4.0 * f64::EPSILON / STEPS[step]
}

/// One element of a stored tensor at one sample.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    pub tensor: usize,
    pub element: usize,
    pub sample: usize,
}

/// The outputs at displacements −2h, −h, 0, h and 2h of one element.
pub struct Stencil {
    step: f64,
    outputs: [Vec<f64>; 5],
}

impl Stencil {
    /// The derivative of every output, to the fourth order.
    pub fn slopes(&self) -> Vec<f64> {
        let [a, b, _, c, d] = &self.outputs;
        (0..a.len()).map(|i| (8.0 * (c[i] - b[i]) - (d[i] - a[i])) / (12.0 * self.step)).collect()
    }

    /// The quotients on either side.
    pub fn sides(&self) -> [Vec<f64>; 2] {
        let [_, b, o, c, _] = &self.outputs;
        let side = |to: &[f64], from: &[f64]| to.iter().zip(from).map(|(to, from)| (to - from) / self.step).collect();
        [side(c, o), side(o, b)]
    }

    /// The second derivative of a function of the outputs, to the fourth order.
    pub fn bend(&self, function: impl Fn(&[f64]) -> f64) -> f64 {
        let [a, b, o, c, d] = self.outputs.each_ref().map(|outputs| function(outputs));
        (16.0 * (b + c) - (a + d) - 30.0 * o) / (12.0 * self.step * self.step)
    }
}

/// The runs of a question's samples, and the stencils taken so far.
pub struct Differences<'q> {
    pub question: &'q Question,
    runs: Vec<Run>,
    /// Outputs that the loss applies to.
    pub outputs: Vec<Vec<f64>>,
    taken: HashMap<(Place, usize), Option<Stencil>>,
}

impl<'q> Differences<'q> {
    pub fn new(question: &'q Question) -> Found<Self> {
        let runs = question.inputs.iter().map(|x| question.program.run(x)).collect::<Found<Vec<_>>>()?;
        let outputs = runs.iter().map(|run| question.program.output(run).map(|z| question.logits(z.to_vec())));
        let outputs = outputs.collect::<Found<_>>()?;
        Ok(Self { question, runs, outputs, taken: HashMap::new() })
    }

    /// The outputs at the file's values.
    pub fn plain(&self, sample: usize) -> &[f64] {
        self.question.program.output(&self.runs[sample]).expect("it was computed")
    }

    /// The outputs of a sample with other values of one tensor.
    pub fn with(&self, sample: usize, tensor: usize, values: &[f64]) -> Found<Vec<f64>> {
        let stored = &self.question.program.stored[tensor];
        self.question.program.with(&self.runs[sample], stored, values).map(|z| self.question.logits(z))
    }

    /// The stencil of an element with a step; `None` where the file cannot be run beside its values.
    pub fn stencil(&mut self, place: Place, step: usize) -> Option<&Stencil> {
        if !self.taken.contains_key(&(place, step)) {
            let h = STEPS[step];
            let values = self.question.program.stored[place.tensor].values();
            let at = |by: f64| {
                let mut moved = values.to_vec();
                moved[place.element] += by;
                self.with(place.sample, place.tensor, &moved).ok().filter(|z| z.len() == self.outputs[place.sample].len())
            };
            let sides = [at(-2.0 * h), at(-h), Some(self.outputs[place.sample].clone()), at(h), at(2.0 * h)];
            let found = match sides {
                [Some(a), Some(b), Some(o), Some(c), Some(d)] => Some(Stencil { step: h, outputs: [a, b, o, c, d] }),
                _ => None,
            };
            self.taken.insert((place, step), found);
        }
        self.taken[&(place, step)].as_ref()
    }

    /// Whether any sample's output depends on an element of a tensor, as far as two small steps tell.
    pub fn depends_on(&self, tensor: usize) -> bool {
        let values = self.question.program.stored[tensor].values();
        let moved = |element: usize, by: f64, sample: usize| {
            let mut moved = values.to_vec();
            moved[element] += by;
            self.with(sample, tensor, &moved).is_ok_and(|z| z == self.outputs[sample])
        };
        let same = |element| (0..self.runs.len()).all(|sample| [-1.0, 1.0].iter().all(|by| moved(element, by / 1024.0, sample)));
        !(0..values.len()).all(same)
    }
}

impl Question {
    /// What the loss applies to.
    pub fn logits(&self, outputs: Vec<f64>) -> Vec<f64> {
        if self.softmax && self.loss == LossName::CrossEntropy {
            return outputs.iter().map(|p| p.ln()).collect();
        }
        outputs
    }

    /// The loss of one sample.
    pub fn value(&self, sample: usize, z: &[f64]) -> f64 {
        match self.loss {
            LossName::CrossEntropy => -softmax(z, z.len())[self.labels[sample]].ln(),
            LossName::Mse => z.iter().zip(&self.targets[sample]).map(|(z, y)| (z - y) * (z - y)).sum::<f64>() / 2.0,
        }
    }

    /// The derivative of one sample's loss by its outputs.
    fn seeds(&self, sample: usize, z: &[f64]) -> Vec<f64> {
        match self.loss {
            LossName::CrossEntropy => {
                let mut p = softmax(z, z.len());
                p[self.labels[sample]] -= 1.0;
                p
            }
            LossName::Mse => z.iter().zip(&self.targets[sample]).map(|(z, y)| z - y).collect(),
        }
    }

    /// The size of that.
    pub fn seed(&self, sample: usize, z: &[f64]) -> f64 {
        self.seeds(sample, z).iter().map(|seed| seed.abs()).sum()
    }

    /// The derivative of one sample's loss where the outputs have these slopes; then the size of its terms.
    pub fn slope(&self, sample: usize, z: &[f64], slopes: &[f64]) -> (f64, f64) {
        let seeds = self.seeds(sample, z);
        let terms = seeds.iter().zip(slopes).map(|(seed, slope)| seed * slope);
        (terms.clone().sum(), terms.map(f64::abs).sum())
    }

    /// The entries of `LᵀJ` for one element of θ, `LLᵀ` the second derivative of the loss.
    pub fn roots(&self, z: &[f64], slopes: &[f64]) -> Vec<f64> {
        match self.loss {
            LossName::Mse => slopes.to_vec(),
            LossName::CrossEntropy => {
                let p = softmax(z, z.len());
                let mean: f64 = p.iter().zip(slopes).map(|(p, slope)| p * slope).sum();
                p.iter().zip(slopes).map(|(p, slope)| p.sqrt() * (slope - mean)).collect()
            }
        }
    }
}
