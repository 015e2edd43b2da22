//! Mean-square stability of SGD, linearised at a minimiser (Mulayoff and Michaeli, COLT 2024; Wu and Su, ICML 2023).
//!
//! `C = ½(H⊕H)`, `D = (1−p)H⊗H + p·(1/n) Σ H_i⊗H_i`, `p = (n−B)/(B(n−1))`: batches drawn without replacement. The dynamics
//! are stable exactly when `η ≤ η*(B) = 2/λ_max(C⁺D)`.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat};

use super::gram::Gram;
use super::spectrum::{Ritz, largest_eigenvalue};
use crate::deadline::{Deadline, TimedOut};
use crate::pass::derivatives::dot;

/// The step sizes that the conditions allow for one batch size. Necessary ones bound `η*` above, the sufficient one below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    pub batch: usize,
    /// `p = (n−B)/(B(n−1))`.
    pub p: f64,
    /// `2/λ_max(H)`: gradient descent; necessary for every B.
    pub gradient_descent: f64,
    /// Mulayoff–Michaeli (16): `2 tr H / [(1−p)‖H‖_F² + p·mean‖H_i‖_F²]`.
    pub trace: f64,
    /// Wu–Su in its right form: `2 / [p·tr H/C + (1−p)‖H‖_F²/tr H]`; for B = 1 it reads `tr H ≤ 2C/η`.
    pub wu_su: f64,
    /// Mulayoff–Michaeli (15), along the top eigenvector: `2λ/(λ² + p·mean(vᵀH_iv − λ)²)`.
    pub top_direction: f64,
    /// `2 / [(1−p)λ_max(H) + p·max λ_max(H_i)]`.
    pub sufficient: f64,
}

/// What the conditions are made of, where some numbers may be intervals.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub samples: usize,
    pub outputs: usize,
    /// `tr H`.
    pub trace: f64,
    /// `‖H‖_F²` or a lower bound, as conditions that are necessary need it.
    pub squared_norm: f64,
    /// `λ_max(H)`: a lower bound, that of the vector `v` below, and an upper bound.
    pub top: (f64, f64),
    /// `mean ‖H_i‖_F²`.
    pub mean_squared_norm: f64,
    /// `mean (vᵀH_iv − λ)²` for the vector v whose quotient is `top.0`.
    pub spread: f64,
    /// `max λ_max(H_i)`.
    pub worst: f64,
}

impl Summary {
    #[must_use]
    pub fn of(gram: &Gram) -> Self {
        let n = gram.samples as f64;
        let top = gram.largest_eigenvalue();
        Self {
            samples: gram.samples,
            outputs: gram.outputs,
            trace: gram.trace(),
            squared_norm: gram.frobenius_norm().powi(2),
            top: (top, top),
            mean_squared_norm: gram.frobenius.iter().sum::<f64>() / n,
            spread: gram.along_top.iter().map(|x| (x - top).powi(2)).sum::<f64>() / n,
            worst: gram.largest.iter().copied().fold(0.0, f64::max),
        }
    }
}

impl Conditions {
    #[must_use]
    pub fn of(gram: &Gram, batch: usize) -> Self {
        Self::from_summary(&Summary::of(gram), batch)
    }

    #[must_use]
    pub fn from_summary(found: &Summary, batch: usize) -> Self {
        let p = noise_share(found.samples, batch);
        let (trace, norm, (lower, upper)) = (found.trace, found.squared_norm, found.top);
        Self {
            batch,
            p,
            gradient_descent: 2.0 / lower,
            trace: 2.0 * trace / ((1.0 - p) * norm + p * found.mean_squared_norm),
            wu_su: 2.0 / (p * trace / found.outputs as f64 + (1.0 - p) * norm / trace),
            top_direction: 2.0 * lower / (lower * lower + p * found.spread),
            sufficient: 2.0 / ((1.0 - p) * upper + p * found.worst),
        }
    }

    /// The least of the necessary conditions.
    #[must_use]
    pub fn necessary(&self) -> f64 {
        [self.trace, self.wu_su, self.top_direction].into_iter().fold(self.gradient_descent, f64::min)
    }
}

/// `p = (n−B)/(B(n−1))`; zero for full batches.
#[must_use]
pub fn noise_share(samples: usize, batch: usize) -> f64 {
    let (n, b) = (samples as f64, batch as f64);
    if batch >= samples { 0.0 } else { (n - b) / (b * (n - 1.0)) }
}

/// `η*(B)` with the matrix that shows it.
pub struct Threshold {
    pub value: f64,
    /// Relative residual of the eigenpair.
    pub residual: f64,
    /// `S`, r × r row by row in the eigenbasis of `H`: `2⟨S,CS⟩/⟨S,DS⟩ ≥ η*`.
    pub witness: Vec<f64>,
}

/// Rank up to which the exact threshold is computed.
pub const EXACT_RANK: usize = 1600;
const BASIS: usize = 24;
const RESTARTS: usize = 40;
const TOLERANCE: f64 = 1e-12;

/// `η*(B)` by restarted Lanczos on `C^{-1/2}DC^{-1/2}`, from a positive semidefinite start. `None` above [`EXACT_RANK`].
///
/// # Errors
/// [`TimedOut`].
pub fn threshold(gram: &Gram, batch: usize, deadline: Deadline) -> Result<Option<Threshold>, TimedOut> {
    Ok(leading(gram, noise_share(gram.samples, batch), None, deadline)?.map(|found| found.0))
}

/// The leading eigenpair for a share `p` of noise, and how the eigenvalue moves with `p`.
fn leading(
    gram: &Gram,
    p: f64,
    start: Option<Vec<f64>>,
    deadline: Deadline,
) -> Result<Option<(Threshold, f64, Vec<f64>)>, TimedOut> {
    let rank = gram.eigenvalues.len();
    if rank == 0 || rank > EXACT_RANK {
        return Ok(None);
    }
    let operator = Operator { gram, p };
    let start = start.unwrap_or_else(|| {
        let mut start = vec![0.0; rank * rank];
        (0..rank).for_each(|i| start[i * rank + i] = gram.eigenvalues[i].sqrt());
        start
    });
    let apply = |x: &[f64]| operator.apply(x);
    let Some(found) = largest_eigenvalue(apply, start, BASIS, RESTARTS, TOLERANCE, deadline)? else { return Ok(None) };
    let Ritz { value, vector, residual } = found;
    let witness = operator.scaled(&vector);
    // ⟨S, (D₁ − D₀)S⟩ for the normalised vector: p enters linearly.
    let lambda = &gram.eigenvalues;
    let without: f64 = witness.iter().enumerate().map(|(at, s)| lambda[at / rank] * lambda[at % rank] * s * s).sum();
    let slope = if p > 0.0 { (value - without) / p } else { dot(&witness, &variance(gram, 1.0, &witness)) - without };
    Ok(Some((Threshold { value: 2.0 / value, residual: residual / value, witness }, slope, vector)))
}

struct Operator<'a> {
    gram: &'a Gram,
    p: f64,
}

impl Operator<'_> {
    /// `C^{-1/2}X`: entry `jk` times `√(2/(λ_j + λ_k))`.
    fn scaled(&self, x: &[f64]) -> Vec<f64> {
        let lambda = &self.gram.eigenvalues;
        let rank = lambda.len();
        x.iter().enumerate().map(|(at, x)| x * (2.0 / (lambda[at / rank] + lambda[at % rank])).sqrt()).collect()
    }

    fn apply(&self, x: &[f64]) -> Vec<f64> {
        let image = variance(self.gram, self.p, &self.scaled(x));
        self.scaled(&image)
    }
}

/// `D(S) = (1−p)ΛSΛ + (p/n) Σ B_i(B_iᵀSB_i)B_iᵀ`.
#[must_use]
pub fn variance(gram: &Gram, p: f64, s: &[f64]) -> Vec<f64> {
    let lambda = &gram.eigenvalues;
    let (rank, outputs) = (lambda.len(), gram.outputs);
    let s = Mat::from_fn(rank, rank, |i, j| s[i * rank + j]);
    let b = &gram.coordinates;
    let mut image = Mat::from_fn(rank, rank, |i, j| (1.0 - p) * lambda[i] * lambda[j] * s[(i, j)]);
    if p > 0.0 {
        let parallelism = faer::get_global_parallelism();
        let mut product = Mat::<f64>::zeros(rank, b.ncols());
        matmul(product.as_mut(), Accum::Replace, &s, b, 1.0, parallelism);
        let mut weighted = Mat::<f64>::zeros(rank, b.ncols());
        for sample in 0..gram.samples {
            let columns = sample * outputs;
            let own = b.subcols(columns, outputs);
            let inner = own.transpose() * product.subcols(columns, outputs);
            weighted.subcols_mut(columns, outputs).copy_from(own * inner);
        }
        matmul(image.as_mut(), Accum::Add, &weighted, b.transpose(), p / gram.samples as f64, parallelism);
    }
    // The image of a symmetric matrix is symmetric; rounding is not.
    (0..rank * rank).map(|at| 0.5 * (image[(at / rank, at % rank)] + image[(at % rank, at / rank)])).collect()
}

/// The batch size from which on a step size is mean-square stable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CriticalBatch {
    /// Stable for every batch size.
    One,
    /// Stable from this batch size on (a real number), unstable below.
    From(f64),
    /// Unstable even for full batches.
    Never,
}

/// `B_crit = n/(1 + p_crit(n−1))` with `η*(p_crit) = η`, by Newton's method: the leading eigenvalue is convex in `p`, so the
/// iteration from `p = 1` decreases towards the root. `None` above [`EXACT_RANK`].
///
/// # Errors
/// [`TimedOut`].
pub fn critical_batch(gram: &Gram, eta: f64, deadline: Deadline) -> Result<Option<CriticalBatch>, TimedOut> {
    if eta * gram.largest_eigenvalue() > 2.0 {
        return Ok(Some(CriticalBatch::Never));
    }
    let n = gram.samples as f64;
    let (mut p, mut start) = (1.0, None);
    for _ in 0..60 {
        let Some((threshold, slope, vector)) = leading(gram, p, start, deadline)? else { return Ok(None) };
        let excess = 2.0 / threshold.value - 2.0 / eta;
        if p >= 1.0 && excess <= 0.0 {
            return Ok(Some(CriticalBatch::One));
        }
        let step = excess / slope;
        if !step.is_finite() {
            return Ok(None);
        }
        p = (p - step).max(0.0);
        if step.abs() <= 1e-12 {
            break;
        }
        start = Some(vector);
    }
    Ok(Some(CriticalBatch::From(n / (1.0 + p * (n - 1.0)))))
}
