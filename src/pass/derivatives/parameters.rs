//! Which tensors of the file are parameters, where they stand in the network, and why the others are not.

use serde::{Deserialize, Serialize};

use super::real::{Real, convert};
use crate::kernel::curvature::Trainable;
use crate::kernel::model::ir::{Network, Op};
use crate::kernel::model::onnx::{Model, StoredConstant};

/// A tensor of the file that counts as a parameter; its elements stand in θ in the file's order.
#[derive(Clone, Debug)]
pub struct Parameter {
    pub name: String,
    /// Shape in the file.
    pub shape: Vec<usize>,
    /// Position of its first element in θ.
    pub offset: usize,
    pub size: usize,
    /// The nodes that hold it.
    pub constants: Vec<StoredConstant>,
}

/// A tensor that does not count, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excluded {
    pub name: String,
    pub shape: Vec<usize>,
    pub reason: String,
}

/// The parameters θ, in the order of the file.
#[derive(Clone, Debug)]
pub struct Parameters {
    pub list: Vec<Parameter>,
    pub excluded: Vec<Excluded>,
    /// Number of elements of θ.
    pub dimension: usize,
}

/// What the user says about names. A pattern matches a name that it equals, or, with `*`, any run of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Where there are any: the only tensors that count.
    pub only: Vec<String>,
    /// Tensors that count although they would not.
    pub include: Vec<String>,
    /// Tensors that do not count although they would.
    pub exclude: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    #[error("no tensor of the model is called `{0}`")]
    Unknown(String),
    #[error(
        "`{tensor}` cannot be a parameter: its values decide what node `{node}` ({operator}) computes, and derivatives do not \
         follow them"
    )]
    Frozen { tensor: String, node: String, operator: String },
    #[error("the model has no parameters: {0}")]
    None(String),
}

impl Parameters {
    /// # Errors
    /// [`ParameterError`]: a pattern that matches nothing, the name of a tensor that cannot be one, or no parameter left.
    pub fn of(model: &Model, selection: &Selection) -> Result<Self, ParameterError> {
        let patterns = selection.only.iter().chain(&selection.include).chain(&selection.exclude);
        if let Some(unknown) = patterns.into_iter().find(|p| !model.tensors.iter().any(|t| matches(p, &t.name))) {
            return Err(ParameterError::Unknown(unknown.clone()));
        }
        let trainable = Trainable::of(&model.network);
        let mut parameters = Self { list: Vec::new(), excluded: Vec::new(), dimension: 0 };
        for tensor in &model.tensors {
            let named = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, &tensor.name));
            let reason = if named(&selection.exclude) {
                Some("excluded by name".to_owned())
            } else if let Some(by) = &tensor.frozen_by {
                if selection.only.contains(&tensor.name) || selection.include.contains(&tensor.name) {
                    let (tensor, node, operator) = (tensor.name.clone(), by.name.clone(), by.operator.clone());
                    return Err(ParameterError::Frozen { tensor, node, operator });
                }
                Some(format!("its values decide what node `{}` ({}) computes", by.name, by.operator))
            } else if tensor.is_differentiable() && (named(&selection.only) || named(&selection.include)) {
                None
            } else if !tensor.initializer {
                Some("the value of a `Constant` node (`--include` counts it)".to_owned())
            } else if !selection.only.is_empty() {
                Some("not among the tensors that were named".to_owned())
            } else {
                trainable.reason_against(tensor).map(str::to_owned)
            };
            let (name, shape) = (tensor.name.clone(), tensor.shape.clone());
            if let Some(reason) = reason {
                parameters.excluded.push(Excluded { name, shape, reason });
                continue;
            }
            let size = shape.iter().product();
            let constants = tensor.constants.clone();
            parameters.list.push(Parameter { name, shape, offset: parameters.dimension, size, constants });
            parameters.dimension += size;
        }
        if parameters.dimension == 0 {
            return Err(ParameterError::None(format!("{} tensors do not count", parameters.excluded.len())));
        }
        Ok(parameters)
    }

    /// Their values in the model file.
    #[must_use]
    pub fn values(&self, network: &Network) -> Vec<f64> {
        let mut theta = vec![0.0; self.dimension];
        for parameter in &self.list {
            for constant in &parameter.constants {
                if let Op::Constant(tensor) = &network.node(constant.node).op {
                    parameter.scatter(constant, tensor.data(), &mut theta);
                }
            }
        }
        theta
    }

    /// A vector over θ as the constants of a network of so many nodes, by node.
    #[must_use]
    pub fn gather<T: Real>(&self, theta: &[f64], nodes: usize) -> Vec<Vec<T>> {
        let mut constants = vec![Vec::new(); nodes];
        for parameter in &self.list {
            for constant in &parameter.constants {
                constants[constant.node.index()] = parameter.gather(constant, theta);
            }
        }
        constants
    }
}

impl Parameter {
    /// Adds values in the order of a node to their places in a vector over θ.
    pub fn scatter<T: Real, U: Real>(&self, constant: &StoredConstant, values: &[T], theta: &mut [U]) {
        let own = &mut theta[self.offset..self.offset + self.size];
        match &constant.elements {
            None => own.iter_mut().zip(values).for_each(|(target, value)| *target += U::of(value.to_f64())),
            Some(elements) => {
                elements.iter().zip(values).for_each(|(&element, value)| own[element as usize] += U::of(value.to_f64()));
            }
        }
    }

    /// The elements of a vector over θ in the order of a node.
    fn gather<T: Real>(&self, constant: &StoredConstant, theta: &[f64]) -> Vec<T> {
        let own = &theta[self.offset..self.offset + self.size];
        match &constant.elements {
            None => convert(own),
            Some(elements) => elements.iter().map(|&element| T::of(own[element as usize])).collect(),
        }
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(head) else { return false };
    rest.char_indices().map(|(start, _)| start).chain([rest.len()]).any(|start| matches(tail, &rest[start..]))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_whole_names() {
        assert!(matches("fc.weight", "fc.weight") && !matches("fc", "fc.weight"));
        assert!(matches("layer1.*", "layer1.0.conv") && matches("*.bias", "a.b.bias") && matches("*", "ä"));
        assert!(!matches("*.bias", "a.biases"));
    }
}
