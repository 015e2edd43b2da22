//! Derivatives of operations that act on each element by itself: one number for each element, or one for all.

use crate::kernel::model::ir::{Binary, Network, NodeId, Op, Values};

/// The derivative of a result's elements by those of one operand.
pub struct Partial {
    operand: NodeId,
    factor: Factor,
}

enum Factor {
    Same(f64),
    Each(Vec<f64>),
}

impl Partial {
    pub const fn operand(&self) -> NodeId {
        self.operand
    }

    /// Adds the product with a vector, which is the same forward and backward.
    pub fn add_product(&self, vector: &[f64], target: &mut [f64]) {
        let pairs = target.iter_mut().zip(vector);
        match &self.factor {
            Factor::Same(factor) => pairs.for_each(|(target, x)| *target += factor * x),
            Factor::Each(factors) => pairs.zip(factors).for_each(|((target, x), factor)| *target += factor * x),
        }
    }
}

/// By each variable operand of a node; none where the operation mixes elements.
pub fn partials(network: &Network, id: NodeId, values: &Values<f64>) -> Vec<Partial> {
    let node = network.node(id);
    let value = |position: usize| values.get(node.operands[position].index());
    let each = |factors: Vec<f64>| Some(Factor::Each(factors));
    let same = |factor: f64| Some(Factor::Same(factor));
    // Of a maximum or minimum: which operand it is.
    let chosen =
        |first: fn(f64, f64) -> bool| -> Vec<bool> { value(0).iter().zip(value(1)).map(|(a, b)| first(*a, *b)).collect() };
    let ones = |chosen: Vec<bool>, side: bool| each(chosen.into_iter().map(|first| f64::from(u8::from(first == side))).collect());
    let by_operand = |position: usize| match (&node.op, position) {
        (Op::Reshape | Op::Binary(Binary::Add), _) | (Op::Binary(Binary::Sub), 0) => same(1.0),
        (Op::Binary(Binary::Sub), _) => same(-1.0),
        (Op::Binary(Binary::Mul), _) => each(value(1 - position).to_vec()),
        (Op::Binary(Binary::Div), 0) => each(value(1).iter().map(|b| 1.0 / b).collect()),
        (Op::Binary(Binary::Div), _) => each(value(0).iter().zip(value(1)).map(|(a, b)| -a / (b * b)).collect()),
        (Op::Binary(Binary::Max), _) => ones(chosen(|a, b| a >= b), position == 0),
        (Op::Binary(Binary::Min), _) => ones(chosen(|a, b| a <= b), position == 0),
        (Op::Function(function), _) => each(value(0).iter().map(|&x| function.derivative(x)).collect()),
        (Op::Increment(function), 0) => each(value(0).iter().map(|&z| -function.derivative(z)).collect()),
        (Op::Increment(_), 1) => None,
        (Op::Increment(function), _) => each(value(2).iter().map(|&sum| function.derivative(sum)).collect()),
        (Op::PRelu, 0) => each(value(0).iter().zip(value(1)).map(|(x, slope)| if *x > 0.0 { 1.0 } else { *slope }).collect()),
        (Op::PRelu, _) => each(value(0).iter().map(|x| x.min(0.0)).collect()),
        _ => None,
    };
    if !node.variable {
        return Vec::new();
    }
    let variable = node.operands.iter().enumerate().filter(|(_, operand)| network.node(**operand).variable);
    variable.filter_map(|(position, &operand)| Some(Partial { operand, factor: by_operand(position)? })).collect()
}
