//! The bridge against known optima.

use super::lipsdp::{evaluate, random_weights, relu_network, symmetric};
use super::*;
use faer::{Mat, Side};

fn least_eigenvalue(problem: &MatrixInequality, variables: &[f64]) -> f64 {
    let dense = evaluate(problem, variables);
    let matrix = Mat::from_fn(problem.dimension, problem.dimension, |i, j| dense[i][j]);
    matrix.self_adjoint_eigenvalues(Side::Lower).unwrap()[0]
}

fn solved(problem: &MatrixInequality, options: &ClarabelOptions) -> ClarabelSolution {
    let solution = solve(problem, options).unwrap();
    assert_eq!(solution.status, "Solved");
    let scale = 1.0 + solution.primal_value.abs();
    assert!((solution.primal_value - solution.dual_value).abs() < 1e-6 * scale);
    assert!((solution.variables[0] - solution.primal_value).abs() < 1e-9 * scale);
    assert!(least_eigenvalue(problem, &solution.variables) > -1e-6 * scale);
    solution
}

#[test]
fn one_linear_layer_gives_the_squared_spectral_norm() {
    let layers = random_weights(&[7, 5], 3);
    let weights = Mat::from_fn(5, 7, |i, j| layers[0][i][j]);
    let norm = weights.singular_values().unwrap()[0];
    let solution = solved(&relu_network(&layers), &ClarabelOptions::default());
    assert!((solution.primal_value - norm * norm).abs() < 1e-7);
}

#[test]
fn relu_alone_and_absolute_value_as_two_relus() {
    let identity = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
    let relu = relu_network(&[identity.clone(), identity]);
    let solution = solved(&relu, &ClarabelOptions::default());
    assert!((solution.primal_value - 1.0).abs() < 1e-7);
    // relu(u) + relu(-u) with separate multipliers: the slopes may be both 1 in the
    // relaxation, the difference of the two is (d₁ − d₂)·u with dᵢ in [0, 1].
    let absolute = relu_network(&[vec![vec![1.0], vec![-1.0]], vec![vec![1.0, 1.0]]]);
    let solution = solved(&absolute, &ClarabelOptions::default());
    assert!((solution.primal_value - 1.0).abs() < 1e-6);
}

#[test]
fn slope_bounded_activation_alone_gives_one() {
    // |u|: y² ≤ x², so F = diag(ρ − λ, λ − 1) and the optimum is ρ = λ = 1.
    let problem = MatrixInequality {
        dimension: 2,
        constant: symmetric([(1, 1, -1.0)]),
        coefficients: vec![symmetric([(0, 0, 1.0)]), symmetric([(0, 0, -1.0), (1, 1, 1.0)])],
        objective: vec![1.0, 0.0],
        nonnegative: vec![true; 2],
    };
    for chordal in [false, true] {
        let options = ClarabelOptions { chordal, ..ClarabelOptions::default() };
        let solution = solved(&problem, &options);
        assert!((solution.primal_value - 1.0).abs() < 1e-7);
        assert!((solution.variables[1] - 1.0).abs() < 1e-7);
    }
}

#[test]
fn free_variables_may_be_negative() {
    // [[1, t], [t, 1]] ⪰ 0 for |t| ≤ 1.
    let mut problem = MatrixInequality {
        dimension: 2,
        constant: symmetric([(0, 0, 1.0), (1, 1, 1.0)]),
        coefficients: vec![symmetric([(1, 0, 1.0)])],
        objective: vec![1.0],
        nonnegative: vec![false],
    };
    let options = ClarabelOptions::default();
    let least = solve(&problem, &options).unwrap();
    assert!((least.variables[0] + 1.0).abs() < 1e-7);
    assert!((least.dual_value + 1.0).abs() < 1e-7);
    problem.nonnegative[0] = true;
    let least = solve(&problem, &options).unwrap();
    assert!(least.variables[0].abs() < 1e-7);
}

#[test]
fn chordal_and_dense_solves_agree() {
    let problem = relu_network(&random_weights(&[4, 6, 6, 6, 3], 11));
    let value = |chordal| {
        let options = ClarabelOptions { chordal, ..ClarabelOptions::default() };
        solved(&problem, &options).primal_value
    };
    let (dense, chordal) = (value(false), value(true));
    assert!((dense - chordal).abs() < 1e-6 * dense, "{dense} {chordal}");
}

#[test]
fn a_deep_badly_scaled_network_is_rescued() {
    let problem = relu_network(&random_weights(&[3; 30], 7));
    let solution = solve(&problem, &ClarabelOptions::default()).unwrap();
    let rho = solution.variables[0];
    assert!(solution.status == "Solved" && rho > 1e4, "{solution:?}");
    assert!((rho - solution.dual_value).abs() < 1e-6 * rho);
    assert!(least_eigenvalue(&problem, &solution.variables) > -1e-6 * rho);
}

#[test]
fn infeasible_and_unbounded_problems_have_no_point() {
    let mut problem = MatrixInequality {
        dimension: 1,
        constant: symmetric([(0, 0, -1.0)]),
        coefficients: vec![symmetric([(0, 0, -1.0)])],
        objective: vec![1.0],
        nonnegative: vec![true],
    };
    let options = ClarabelOptions::default();
    let infeasible = solve(&problem, &options);
    assert!(matches!(infeasible, Err(ClarabelError::NoPoint { .. })));
    problem.objective[0] = -1.0;
    problem.coefficients[0] = symmetric([(0, 0, 1.0)]);
    let unbounded = solve(&problem, &options);
    assert!(matches!(unbounded, Err(ClarabelError::NoPoint { .. })));
}

#[test]
fn limits_and_options() {
    let problem = relu_network(&random_weights(&[4, 8, 8, 2], 2));
    let defaults = ClarabelOptions::default();
    let small = ClarabelOptions { memory_limit: 1000, ..defaults.clone() };
    assert!(matches!(
        solve(&problem, &small),
        Err(ClarabelError::TooLarge { memory_limit: 1000, predicted_bytes, largest_clique })
            if predicted_bytes > 1000 && largest_clique <= 20
    ));
    for tolerance in [0.0, -1.0, f64::NAN] {
        let options = ClarabelOptions { tolerance, ..defaults.clone() };
        assert_eq!(solve(&problem, &options), Err(ClarabelError::Option("tolerance")));
    }
    let hurried = ClarabelOptions { time_limit: Some(1e-6), ..defaults };
    // Whatever the point is worth, it is returned.
    let solution = solve(&problem, &hurried).unwrap();
    assert_eq!(solution.status, "MaxTime");
    assert_eq!(solution.variables.len(), 17);
}

#[test]
fn extreme_data_never_panics_or_hangs() {
    for value in [1e-300, 1e-30, 1e30, 1e300] {
        let mut problem = relu_network(&random_weights(&[3, 5, 2], 2));
        for matrix in &mut problem.coefficients {
            matrix.entries.iter_mut().for_each(|entry| entry.2 *= value);
        }
        match solve(&problem, &ClarabelOptions::default()) {
            Ok(solution) => assert!(solution.variables.iter().all(|t| t.is_finite())),
            Err(error) => assert!(matches!(error, ClarabelError::NoPoint { .. }), "{error}"),
        }
    }
}
