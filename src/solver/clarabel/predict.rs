//! What a solve will cost, before it is started.

use super::chordal::cliques;
use super::problem::MatrixInequality;

/// Bytes per fourth power of a clique's order: the scaling block of the cone,
/// its copies in the linear system and the factor. Measured, orders 20 to 80.
const BYTES_PER_FOURTH_POWER: f64 = 12.5;
/// Seconds per iteration per sixth power of a clique's order, in the limit.
const SECONDS_PER_SIXTH_POWER: f64 = 3.0e-12;
/// Seconds per iteration per fourth power: forming the scaling block.
const SECONDS_PER_FOURTH_POWER: f64 = 8.0e-9;
/// Iterations of a typical solve.
const ITERATIONS: f64 = 16.0;
/// Overlaps of several cliques couple their blocks in the linear system.
const COUPLING: f64 = 2.0;

/// An estimate, within a factor of about two, of a solve's cost on one core of
/// current hardware. It is used to choose an engine, never in a claim.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Orders of the semidefinite blocks, largest first.
    pub cliques: Vec<usize>,
    /// Peak memory in bytes.
    pub predicted_bytes: u64,
    /// Wall-clock seconds.
    pub predicted_seconds: f64,
}

impl Prediction {
    /// The cost with semidefinite blocks of these orders and `variables` unknowns
    /// whose matrices have `entries` nonzeros together.
    pub(super) fn of_blocks(cliques: Vec<usize>, variables: usize, entries: usize) -> Self {
        let power = |exponent: i32| -> f64 { cliques.iter().map(|&n| (n as f64).powi(exponent)).sum() };
        let (fourth, sixth, m) = (power(4), power(6), variables as f64);
        let bytes = BYTES_PER_FOURTH_POWER * fourth + 16.0 * m * m + 100.0 * entries as f64;
        let coupling = if cliques.len() > 1 { COUPLING } else { 1.0 };
        let iteration = SECONDS_PER_SIXTH_POWER * sixth + SECONDS_PER_FOURTH_POWER * fourth;
        Self {
            cliques,
            // The conversion saturates.
            predicted_bytes: bytes as u64,
            predicted_seconds: ITERATIONS * coupling * iteration,
        }
    }

    /// The cost without chordal decomposition.
    pub fn dense(problem: &MatrixInequality) -> Self {
        let blocks = vec![problem.dimension];
        Self::of_blocks(blocks, problem.objective.len(), problem.pattern().count())
    }
}

/// The cost of a solve with chordal decomposition.
///
/// `problem` must be valid ([`MatrixInequality::validate`]).
///
/// # Panics
///
/// If an entry lies outside the matrix.
pub fn predict(problem: &MatrixInequality) -> Prediction {
    let blocks = cliques(problem.dimension, problem.pattern());
    Prediction::of_blocks(blocks, problem.objective.len(), problem.pattern().count())
}

#[cfg(test)]
mod tests {
    use super::super::lipsdp::{random_weights, relu_network};
    use super::*;

    #[test]
    fn a_deep_narrow_network_is_predicted_cheaper_than_a_dense_cone() {
        let problem = relu_network(&random_weights(&[10; 21], 1));
        let (chordal, dense) = (predict(&problem), Prediction::dense(&problem));
        assert_eq!(problem.dimension, 200);
        assert!(chordal.cliques[0] <= 30, "{:?}", chordal.cliques);
        assert!(chordal.predicted_bytes < 100 << 20);
        assert!(dense.predicted_bytes > 10 << 30);
        assert!(dense.predicted_seconds > 100.0 * chordal.predicted_seconds);
    }
}
