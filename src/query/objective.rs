//! The mean loss that questions about curvature are about: data, loss and parameters, compared with the model.

use super::error::QueryError;
use super::perturbed::identities;
use super::question::ObjectiveQuery;
use super::subjects::Subjects;
use crate::kernel::curvature;
use crate::kernel::proof::{self, LossName};
use crate::kernel::read::data::Dataset;
use crate::pass::derivatives::{Circuit, Loss, Parameters, Samples, Targets};

/// A mean loss over the samples of a question.
pub struct Setting<'a> {
    pub subjects: &'a Subjects,
    pub circuit: Circuit<'a>,
    pub loss: Loss,
    pub samples: Samples,
    /// Whether a Softmax of the network belongs to the loss.
    pub softmax: bool,
    /// As claims say it.
    pub identity: proof::Objective,
    pub dataset: Dataset,
}

impl<'a> Setting<'a> {
    /// # Errors
    /// Data, a loss or parameters that do not fit.
    pub fn new(subjects: &'a Subjects, query: &ObjectiveQuery, notes: &mut Vec<String>) -> Result<Self, QueryError> {
        let loss = match query.loss {
            LossName::CrossEntropy => Loss::CrossEntropy,
            LossName::Mse => Loss::Mse,
        };
        let (dataset, count) = subjects.dataset(&query.samples, notes)?;
        let model = &subjects.model;
        let network = &model.network;
        let parameters = Parameters::of(model, &query.parameters)?;
        let (output, softmax) = loss.output(network);
        let outputs = network.node(output).size();
        if loss == Loss::CrossEntropy && outputs < 2 {
            return Err(QueryError::OneLogit);
        }
        let targets = match loss {
            Loss::CrossEntropy => {
                let labels = dataset.labels(outputs)?;
                Targets::Labels(labels.iter().take(count).map(|&label| label as usize).collect())
            }
            Loss::Mse => {
                let mut values = dataset.target_values(outputs)?;
                values.truncate(count * outputs);
                Targets::Values(values)
            }
        };
        let inputs = (0..count).flat_map(|sample| dataset.input(sample)).collect();
        let names: Vec<String> = parameters.list.iter().map(|parameter| parameter.name.clone()).collect();
        let identity = proof::Objective {
            data: identities(&dataset),
            // As many samples as bytes cannot be read.
            samples: u32::try_from(count).unwrap_or(u32::MAX),
            loss: query.loss,
            scope: Some(curvature::scope(dataset.len(), network, &model.tensors, &names)),
            parameters: names,
        };
        let circuit = Circuit::new(network, output, parameters)?;
        Ok(Setting { subjects, circuit, loss, samples: Samples { inputs, targets, count }, softmax, identity, dataset })
    }

    /// Returns the same as the checker builds it.
    ///
    /// # Errors
    /// What the checker would refuse.
    pub fn checked(
        &self,
        passes: impl FnOnce(usize, usize) -> usize,
    ) -> Result<curvature::Objective<'a>, curvature::CurvatureRefusal> {
        let model = &self.subjects.model;
        curvature::Objective::from_data(&self.identity, self.dataset.clone(), &model.network, &model.tensors, passes)
    }
}
