//! Matrices whose verdict is known.

use super::*;
use crate::lipschitz::form::{Segment, SortForm};
use crate::model::ir::{Function, Network, NetworkBuilder, NodeId, Op, Tensor};

fn network(weights: &[(usize, usize, Vec<f64>)], function: &Function) -> Network {
    let mut builder = NetworkBuilder::new();
    let mut signal: NodeId = builder.push("x", "", Op::Input, &[], vec![1, 1, weights[0].0]).unwrap();
    for (layer, (rows, columns, data)) in weights.iter().enumerate() {
        let shape = vec![1, *rows, *columns];
        let tensor = Tensor::new(shape.clone(), data.clone()).unwrap();
        let constant = builder.push("w", "", Op::Constant(tensor), &[], shape).unwrap();
        signal = builder.push("m", "MatMul", Op::MatMul, &[signal, constant], vec![1, 1, *columns]).unwrap();
        if layer + 1 < weights.len() {
            signal = builder.push("f", "", Op::Function(function.clone()), &[signal], vec![1, 1, *columns]).unwrap();
        }
    }
    builder.finish(signal).unwrap()
}

fn proves(network: &Network, squared_bound: f64, multipliers: &[f64]) -> bool {
    let form = Form::new(network, Segment::whole(network), SortForm::Comparators).unwrap();
    let rows = Rows::new(&form).unwrap();
    QuadraticForm::new(&rows, &[squared_bound], multipliers).is_ok_and(|form| form.prove().is_ok())
}

#[test]
fn a_linear_network_is_proved_just_above_its_norm_and_never_below() {
    // [[3, 0], [4, 5]] has squared norm 45.
    for weights in [vec![3.0, 0.0, 4.0, 5.0], vec![3.0, 4.0, 0.0, 5.0]] {
        let network = network(&[(2, 2, weights)], &Function::Relu);
        assert!(proves(&network, 45.0 * (1.0 + 1e-12), &[]));
        assert!(!proves(&network, 45.0, &[]));
        assert!(!proves(&network, 45.0 * (1.0 - 1e-15), &[]));
    }
}

#[test]
fn one_relu_has_the_constant_of_its_weights() {
    // x ↦ 2·relu(3x): constant 6; λ with F = [ρ, −3λ/2; −3λ/2, λ − 4]: λ = 8, ρ = 36.
    let network = network(&[(1, 1, vec![3.0]), (1, 1, vec![2.0])], &Function::Relu);
    assert!(proves(&network, 36.0 * (1.0 + 1e-12), &[8.0]));
    assert!(!proves(&network, 36.0 * (1.0 - 1e-12), &[8.0]));
    assert!(!proves(&network, 36.0 * (1.0 + 1e-12), &[3.9]));
}

#[test]
fn each_input_has_its_own_multiplier_on_demand() {
    // |x₁ + 2x₂| ≤ L·max|x_i| with L² = τ₁ + τ₂ for 1/τ₁ + 4/τ₂ ≤ 1: τ = (3, 6), L = 3.
    let network = network(&[(2, 1, vec![1.0, 2.0])], &Function::Relu);
    let form = Form::new(&network, Segment::whole(&network), SortForm::Comparators).unwrap();
    let rows = Rows::new(&form).unwrap();
    let proves = |inputs: &[f64]| QuadraticForm::new(&rows, inputs, &[]).is_ok_and(|form| form.prove().is_ok());
    assert!(proves(&[3.0 + 1e-12, 6.0 + 1e-12]));
    assert!(!proves(&[3.0, 6.0 - 1e-12]));
    assert!(!proves(&[3.0, 6.0, 1.0]) && !proves(&[]) && !proves(&[7.0, f64::NAN]) && !proves(&[-1.0, 100.0]));
}

#[test]
fn inadmissible_multipliers_build_no_matrix() {
    let network = network(&[(1, 1, vec![3.0]), (1, 1, vec![2.0])], &Function::Relu);
    let form = Form::new(&network, Segment::whole(&network), SortForm::Comparators).unwrap();
    let rows = Rows::new(&form).unwrap();
    for (bound, multipliers) in [
        (40.0, vec![]),
        (40.0, vec![-1.0]),
        (40.0, vec![1e-120]),
        (40.0, vec![f64::NAN]),
        (f64::INFINITY, vec![8.0]),
        (-1.0, vec![8.0]),
    ] {
        assert!(QuadraticForm::new(&rows, &[bound], &multipliers).is_err());
    }
}

#[test]
fn one_output_of_several_has_its_own_matrix() {
    // x ↦ (3x₁ + 4x₂, x₁, x₂): 5 for the first output, 1 for the others, √26 for all; with three outputs over the inputs,
    // with one over that output.
    let network = network(&[(2, 3, vec![3.0, 1.0, 0.0, 4.0, 0.0, 1.0])], &Function::Relu);
    let rows = Rows::new(&Form::new(&network, Segment::whole(&network), SortForm::Comparators).unwrap()).unwrap();
    let proves = |rows: &Rows, squared: f64| QuadraticForm::new(rows, &[squared], &[]).is_ok_and(|form| form.prove().is_ok());
    for (rows, squared) in [(rows.clone(), 26.0), (rows.with_output(0), 25.0), (rows.with_output(1), 1.0)] {
        assert!(proves(&rows, squared * (1.0 + 1e-12)) && !proves(&rows, squared * (1.0 - 1e-12)));
    }
    assert!(QuadraticForm::weighted(&rows.with_output(0), &[10.0, 10.0], &[1.0, 1.0, 1.0], &[]).is_err());
}
