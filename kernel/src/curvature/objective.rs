//! TRUSTED. A mean loss over a data set, rebuilt from the model and the data files: gradients and Jacobian rows in enclosures.

use std::collections::HashSet;
use std::path::Path;

use super::derivative::is_smooth;
use super::refusal::CurvatureRefusal;
use crate::curvature::{Reverse, Structure, Trainable, logits};
use crate::model::ir::{Network, NodeId, Op, Reduction, Values};
use crate::model::onnx::StoredTensor;
use crate::proof::{self, Content, Evidence, LossName, Scope};
use crate::read::data::{Dataset, Source};
use crate::sound::Enclosure;

/// Entries of all rows of derivatives of one sample: 3 GB.
pub(super) const MAX_ROOT_ENTRIES: usize = 1 << 27;
/// Multiplications of enclosures that checking one claim may cost.
const MAX_WORK: f64 = 4e9;

/// What a claim's objective is, in full.
pub struct Objective<'a> {
    network: &'a Network,
    output: NodeId,
    loss: LossName,
    reverse: Reverse<'a>,
    wanted: Vec<NodeId>,
    constants: Values<Enclosure>,
    /// The parameters and where they begin in θ.
    parameters: Vec<(usize, &'a StoredTensor)>,
    dimension: usize,
    data: Dataset,
    samples: usize,
    labels: Vec<u32>,
    targets: Vec<f64>,
}

impl<'a> Objective<'a> {
    /// Reads the data and finds the parameters. `passes`: backward passes that will be asked for.
    ///
    /// # Errors
    /// What is missing, does not fit, or would take too long.
    pub fn new(
        claim: &proof::Objective,
        evidence: &Evidence<'a>,
        passes: impl FnOnce(usize, usize) -> usize,
    ) -> Result<Self, CurvatureRefusal> {
        let sources = claim.data.iter().map(|identity| {
            let bytes = evidence.file(identity)?.to_vec();
            Source::from_bytes(Path::new(&identity.name), bytes, Source::LIMIT).map_err(|error| Content::Data(error.to_string()))
        });
        let mut sources = sources.collect::<Result<Vec<_>, _>>()?.into_iter();
        let (Some(inputs), targets, None) = (sources.next(), sources.next(), sources.next()) else {
            return Err(Content::Shape { what: "a data set is one file or two" }.into());
        };
        let data = Dataset::from_sources(inputs, targets).map_err(|error| Content::Data(error.to_string()))?;
        Self::from_data(claim, data, evidence.network, evidence.tensors, passes)
    }

    /// The same for data that were read already.
    ///
    /// # Errors
    /// As for [`Objective::new`].
    pub fn from_data(
        claim: &proof::Objective,
        data: Dataset,
        network: &'a Network,
        tensors: &'a [StoredTensor],
        passes: impl FnOnce(usize, usize) -> usize,
    ) -> Result<Self, CurvatureRefusal> {
        let (loss, samples) = (claim.loss, claim.samples as usize);
        if !(1..=data.len()).contains(&samples) {
            return Err(Content::Shape { what: "the data hold fewer samples, or none are meant" }.into());
        }
        let mut parameters = Vec::new();
        let mut dimension = 0;
        // The tensors come in the order of the file; so must the names.
        let mut rest = tensors.iter();
        for name in &claim.parameters {
            let tensor = rest.find(|tensor| tensor.name == *name);
            let tensor = tensor.ok_or(Content::Shape { what: "a parameter is not a tensor of the model, or out of order" })?;
            if let Some(by) = &tensor.frozen_by {
                let (tensor, node, operator) = (name.clone(), by.name.clone(), by.operator.clone());
                return Err(CurvatureRefusal::Frozen { tensor, node, operator });
            }
            if !tensor.is_differentiable() {
                return Err(Content::Shape { what: "a parameter does not stand in the network" }.into());
            }
            parameters.push((dimension, tensor));
            dimension += tensor.shape.iter().product::<usize>();
        }
        if dimension == 0 {
            return Err(Content::Shape { what: "there are no parameters" }.into());
        }
        if claim.scope.is_some_and(|stated| scope(data.len(), network, tensors, &claim.parameters) != stated) {
            return Err(Content::Scope { field: "scope" }.into());
        }
        let (output, _) = logits(network, loss == LossName::CrossEntropy);
        let outputs = network.node(output).size();
        if loss == LossName::CrossEntropy && outputs < 2 {
            return Err(
                Content::Shape { what: "the softmax of one output is 1 whatever the parameters: there is no loss" }.into()
            );
        }
        let refused = |error: crate::read::data::DataError| Content::Data(error.to_string());
        data.check_input(&network.node(network.input()).shape).map_err(refused)?;
        let (labels, targets) = match loss {
            LossName::CrossEntropy => (data.labels(outputs).map_err(refused)?, Vec::new()),
            LossName::Mse => (Vec::new(), data.target_values(outputs).map_err(refused)?),
        };
        let work = multiplications(network) * (passes(samples, outputs) as f64 + samples as f64);
        if work > MAX_WORK {
            return Err(Content::Work { limit: MAX_WORK }.into());
        }
        let wanted: Vec<NodeId> = parameters.iter().flat_map(|(_, tensor)| tensor.constants.iter().map(|c| c.node)).collect();
        let reverse = Reverse::new(network, output, &wanted);
        let constants = Values::constants(network)?;
        Ok(Self { network, output, loss, reverse, wanted, constants, parameters, dimension, data, samples, labels, targets })
    }

    /// Number of samples n.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.samples
    }

    /// Number of outputs C.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.network.node(self.output).size()
    }

    /// Number of parameters d.
    #[must_use]
    pub const fn dimension(&self) -> usize {
        self.dimension
    }

    /// See [`Structure::piecewise_multilinear`].
    #[must_use]
    pub fn piecewise_multilinear(&self) -> bool {
        let groups: Vec<Vec<NodeId>> =
            self.parameters.iter().map(|(_, tensor)| tensor.constants.iter().map(|constant| constant.node).collect()).collect();
        Structure::of(self.network, self.output, &groups).piecewise_multilinear()
    }

    fn values(&self, sample: usize) -> Result<Values<Enclosure>, CurvatureRefusal> {
        let input: Vec<Enclosure> = self.data.input(sample).into_iter().map(Enclosure::exact).collect();
        Ok(self.constants.at_input(self.network, &input)?)
    }

    /// Whether the network is smooth around every sample.
    ///
    /// # Errors
    /// When it cannot be enclosed.
    pub fn is_smooth(&self) -> Result<bool, CurvatureRefusal> {
        for sample in 0..self.count() {
            if !is_smooth(self.network, self.output, &self.wanted, &self.values(sample)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One row over θ from the adjoints of the parameters' nodes.
    fn row(&self, adjoints: &[Vec<Enclosure>]) -> Vec<Enclosure> {
        let mut row = vec![Enclosure::ZERO; self.dimension];
        for (offset, tensor) in &self.parameters {
            for constant in &tensor.constants {
                for (position, value) in adjoints[constant.node.index()].iter().enumerate() {
                    let element = constant.elements.as_ref().map_or(position, |elements| elements[position] as usize);
                    row[offset + element] = row[offset + element] + *value;
                }
            }
        }
        row
    }

    fn pull(&self, values: &Values<Enclosure>, cotangent: Vec<Enclosure>) -> Result<Vec<Enclosure>, CurvatureRefusal> {
        Ok(self.row(&self.reverse.pull(values, cotangent)?))
    }

    /// The gradient of one sample's loss.
    ///
    /// # Errors
    /// When a function or its derivative cannot be enclosed.
    pub fn gradient(&self, sample: usize) -> Result<Vec<Enclosure>, CurvatureRefusal> {
        let values = self.values(sample)?;
        let z = values.get(self.output.index());
        let seed: Vec<Enclosure> = match self.loss {
            LossName::CrossEntropy => {
                let mut p = softmax(z);
                let label = self.labels[sample] as usize;
                p[label] = p[label] - Enclosure::ONE;
                p
            }
            LossName::Mse => {
                let own = &self.targets[sample * z.len()..(sample + 1) * z.len()];
                z.iter().zip(own).map(|(z, y)| *z - Enclosure::exact(*y)).collect()
            }
        };
        self.pull(&values, seed)
    }

    /// The C rows of `A_i = L_iᵀJ_i`.
    ///
    /// # Errors
    /// When a function or its derivative cannot be enclosed.
    pub fn roots(&self, sample: usize) -> Result<Vec<Vec<Enclosure>>, CurvatureRefusal> {
        if self.outputs().saturating_mul(self.dimension) > MAX_ROOT_ENTRIES {
            return Err(Content::Shape { what: "its rows of derivatives are larger than a checker holds" }.into());
        }
        let values = self.values(sample)?;
        let z = values.get(self.output.index());
        let p = if self.loss == LossName::CrossEntropy { softmax(z) } else { Vec::new() };
        (0..z.len())
            .map(|c| {
                let unit = |i: usize| if i == c { Enclosure::ONE } else { Enclosure::ZERO };
                let column = (0..z.len()).map(|i| match self.loss {
                    LossName::CrossEntropy => p[c].sqrt() * (unit(i) - p[i]),
                    LossName::Mse => unit(i),
                });
                self.pull(&values, column.collect())
            })
            .collect()
    }
}

/// Returns what part of a data set of so many samples and of a model a claim about these parameters is.
#[must_use]
pub fn scope(available: usize, network: &Network, tensors: &[StoredTensor], parameters: &[String]) -> Scope {
    let size = |tensor: &StoredTensor| tensor.shape.iter().fold(1u64, |size, &extent| size.saturating_mul(extent as u64));
    let total = |tensors: &mut dyn Iterator<Item = &StoredTensor>| tensors.map(size).fold(0u64, u64::saturating_add);
    let trainable = Trainable::of(network);
    let chosen: HashSet<&String> = parameters.iter().collect();
    let (trained, integers) = (total(&mut trainable.select(tensors)), Trainable::integers(network));
    let stored = total(&mut tensors.iter()).saturating_add(integers);
    Scope {
        available: u32::try_from(available).unwrap_or(u32::MAX),
        parameters: total(&mut tensors.iter().filter(|tensor| chosen.contains(&tensor.name))),
        trainable: trained,
        stored,
        // Where most of what is stored does not count as trained, or is integers, a claim is not about all that might be.
        complete: integers == 0
            && stored - trained <= trained
            && trainable.select(tensors).map(|tensor| &tensor.name).eq(parameters),
    }
}

fn softmax(z: &[Enclosure]) -> Vec<Enclosure> {
    // Any shift is exact mathematics; the largest midpoint keeps the powers finite.
    let peak = Enclosure::exact(z.iter().map(Enclosure::mid).fold(f64::NEG_INFINITY, f64::max));
    let powers: Vec<Enclosure> = z.iter().map(|z| (*z - peak).exp()).collect();
    let total = powers.iter().fold(Enclosure::ZERO, |sum, power| sum + *power);
    powers.iter().map(|power| *power / total).collect()
}

/// Multiplications of one forward pass, and no less than the number of values.
fn multiplications(network: &Network) -> f64 {
    let cost = |id: NodeId| {
        let node = network.node(id);
        let each = match (&node.op, node.operands.first()) {
            (Op::MatMul, Some(left)) => network.node(*left).shape.last().copied().unwrap_or(1) as f64,
            (Op::Conv(geometry), _) => {
                let kernel: usize = geometry.axes.iter().map(|axis| axis.kernel).product();
                (kernel * geometry.in_channels / geometry.groups.max(1)) as f64
            }
            // Where places are not certain every element meets every other.
            (Op::Sort { .. }, _) => node.shape.last().copied().unwrap_or(1) as f64,
            (Op::Reduce(Reduction::Max | Reduction::Min), Some(of)) => {
                let width = (network.node(*of).size() / node.size().max(1)) as f64;
                width * width
            }
            _ => 1.0,
        };
        if node.variable { node.size() as f64 * each } else { 0.0 }
    };
    network.ids().map(cost).sum()
}
