//! TRUSTED. Claims of kind `stability`: witnesses evaluated on the enclosed Gram matrix of the Jacobian rows.
//!
//! With the rows `A_i` stacked to `A` (nC × d), `K = AAᵀ` and `W` a symmetric matrix of order nC that stands for `AᵀWA`, put
//! `X = KWK` with diagonal blocks `X_ii`, and `p = (n−B)/(B(n−1))`. Since `H = AᵀA/n` and `H_i = A_iᵀA_i`,
//!
//! > `⟨S, CS⟩ = tr(SSH) = ⟨WX, K⟩/n`,   `⟨S, DS⟩ = (1−p)‖X‖²/n² + (p/n) Σ ‖X_ii‖²`,
//! > `2C(P) − ηD(P) = AᵀMA`,   `M = (KW + WK)/n − η[(1−p)X/n² + (p/n)·diag(X_ii)]`.
//!
//! *Stable over θ*: where H has full rank, `P` itself is a witness: with `P ≻ 0` and
//!
//! > `M = HP + PH − η[(1−p)HPH + (p/n) Σ H_iPH_i] ≻ 0`
//!
//! `P − T_η(P) = ηM` is positive definite. That covers any number of samples, also where `K` is singular.
//!
//! *Unstable*: `η⟨S, DS⟩ > 2⟨S, CS⟩` for some `S` means that `η` exceeds `2/λ_max(C⁺D)`. *Stable*: `W ≻ 0` makes `P = AᵀWA`
//! positive definite on the range of `H`, and `M ≻ 0` makes `P − T_η(P) = ηAᵀMA` positive semidefinite there, so the second
//! moments do not grow.

use super::objective::{MAX_ROOT_ENTRIES, Objective};
use super::refusal::CurvatureRefusal;
use crate::proof::{Assurance, Content, Evidence, Rounding, StabilityClaim, StabilityVerdict, StabilityWitness};
use crate::sound::Enclosure;
use crate::sound::cholesky::{SymmetricMatrix, prove_positive_definite};
use crate::sound::round::{add_up, sum_up};

/// Largest nC: products of enclosed matrices cost its cube.
pub const MAX_ORDER: usize = 400;
/// Multiplications for the Gram matrix.
const MAX_WORK: f64 = 4e9;

/// Proves the verdict.
///
/// # Errors
/// What does not fit or is not proved.
pub fn check(claim: &StabilityClaim, evidence: &Evidence) -> Result<Assurance, CurvatureRefusal> {
    let objective = Objective::new(&claim.objective, evidence, |samples, outputs| samples * outputs)?;
    let (eta, batch) = (claim.learning_rate.value(), claim.batch_size as usize);
    if let (StabilityWitness::Moments { matrix }, StabilityVerdict::Stable, None) =
        (&claim.witness, claim.verdict, &claim.critical_learning_rate)
    {
        Moments::of(&objective)?.prove_stable(&evidence.vector(matrix)?, eta, batch)?;
        return Ok(Assurance::Proved);
    }
    let gram = Gram::of(&objective)?;
    match (&claim.witness, claim.verdict, &claim.critical_learning_rate) {
        (StabilityWitness::Direction { matrix }, StabilityVerdict::Unstable, Some(critical)) => {
            // A NaN exceeds nothing.
            let exceeded = critical.is_consistent(Rounding::Up) && eta > critical.value();
            if !exceeded {
                return Err(Content::Number { field: "critical_learning_rate" }.into());
            }
            let proved = gram.threshold_upper(&evidence.vector(matrix)?, batch)?;
            if proved <= critical.value() {
                Ok(Assurance::Proved)
            } else {
                Err(Content::NotReached { field: "critical_learning_rate", claimed: critical.value(), proved }.into())
            }
        }
        (StabilityWitness::Lyapunov { matrix }, StabilityVerdict::Stable, None) => {
            gram.prove_stable(&evidence.vector(matrix)?, eta, batch)?;
            Ok(Assurance::Proved)
        }
        _ => Err(Content::Incomplete { field: "verdict" }.into()),
    }
}

/// A dense matrix of enclosures, row by row.
#[derive(Clone)]
struct Square {
    order: usize,
    entries: Vec<Enclosure>,
}

impl Square {
    fn from_fn(order: usize, entry: impl Fn(usize, usize) -> Enclosure) -> Self {
        Self { order, entries: (0..order * order).map(|at| entry(at / order, at % order)).collect() }
    }

    fn at(&self, i: usize, j: usize) -> Enclosure {
        self.entries[i * self.order + j]
    }

    fn image(&self, vector: &[Enclosure]) -> Vec<Enclosure> {
        self.entries.chunks_exact(self.order.max(1)).map(|row| inner(row, vector)).collect()
    }

    /// Adds `factor·left·rightᵀ`.
    fn add_product(&mut self, factor: Enclosure, left: &[Enclosure], right: &[Enclosure]) {
        for (row, left) in self.entries.chunks_exact_mut(self.order.max(1)).zip(left) {
            let scaled = factor * *left;
            row.iter_mut().zip(right).for_each(|(entry, right)| *entry = *entry + scaled * *right);
        }
    }

    fn times(&self, other: &Self) -> Self {
        let n = self.order;
        let mut entries = vec![Enclosure::ZERO; n * n];
        for (row, target) in self.entries.chunks_exact(n).zip(entries.chunks_exact_mut(n)) {
            for (factor, right) in row.iter().zip(other.entries.chunks_exact(n)) {
                target.iter_mut().zip(right).for_each(|(target, right)| *target = *target + *factor * *right);
            }
        }
        Self { order: n, entries }
    }

    /// Whether every symmetric matrix whose lower triangle lies in here is positive definite.
    fn prove_positive_definite(&self, what: &str) -> Result<(), CurvatureRefusal> {
        let mut middle = SymmetricMatrix::new(self.order);
        let mut radii = vec![0.0; self.order];
        for i in 0..self.order {
            for j in 0..=i {
                let entry = self.at(i, j);
                middle.set(i, j, entry.hi());
                let error = add_up(entry.radius(), entry.lo().abs());
                radii[i] = add_up(radii[i], error);
                if i != j {
                    radii[j] = add_up(radii[j], error);
                }
            }
        }
        prove_positive_definite(&middle, &radii).map_err(|reason| CurvatureRefusal::NotDefinite { what: what.to_owned(), reason })
    }
}

/// A symmetric matrix of an order from its lower triangle.
fn symmetric(order: usize, triangle: &[f64]) -> Result<Square, CurvatureRefusal> {
    if triangle.len() != order * (order + 1) / 2 || !triangle.iter().all(|x| x.is_finite()) {
        return Err(Content::Shape { what: "the matrix of the witness does not have the order that it needs" }.into());
    }
    let entry = |i: usize, j: usize| {
        let (row, column) = (i.max(j), i.min(j));
        Enclosure::exact(triangle[row * (row + 1) / 2 + column])
    };
    Ok(Square::from_fn(order, entry))
}

/// `p` for n samples.
fn noise(samples: usize, batch: usize) -> Result<Enclosure, CurvatureRefusal> {
    if !(1..=samples).contains(&batch) {
        return Err(Content::Shape { what: "the batch size is not between 1 and the number of samples" }.into());
    }
    if batch == samples {
        return Ok(Enclosure::ZERO);
    }
    let exact = |value: usize| Enclosure::exact(value as f64);
    Ok(exact(samples - batch) / (exact(batch) * exact(samples - 1)))
}

fn positive(eta: f64) -> Result<Enclosure, CurvatureRefusal> {
    if eta > 0.0 && eta.is_finite() { Ok(Enclosure::exact(eta)) } else { Err(Content::Number { field: "learning_rate" }.into()) }
}

/// The rows `A_i`, enclosed, for witnesses over θ.
pub struct Moments {
    samples: usize,
    outputs: usize,
    dimension: usize,
    rows: Vec<Vec<Enclosure>>,
}

impl Moments {
    /// # Errors
    /// What cannot be enclosed, or is too large.
    pub fn of(objective: &Objective) -> Result<Self, CurvatureRefusal> {
        let (samples, outputs, dimension) = (objective.count(), objective.outputs(), objective.dimension());
        let rows = samples.saturating_mul(outputs);
        let entries = rows.saturating_mul(dimension);
        // Per sample, every pair of its rows adds a matrix over θ.
        let work = dimension as f64 * entries as f64 * outputs as f64;
        if dimension > MAX_ORDER || entries > MAX_ROOT_ENTRIES || work > MAX_WORK {
            return Err(Content::Work { limit: MAX_WORK }.into());
        }
        let mut all = Vec::with_capacity(rows);
        for sample in 0..samples {
            all.extend(objective.roots(sample)?);
        }
        Ok(Self { samples, outputs, dimension, rows: all })
    }

    /// Proves `η` mean-square stable by a matrix over θ.
    ///
    /// # Errors
    /// Which matrix is not proved positive definite.
    pub fn prove_stable(&self, triangle: &[f64], eta: f64, batch: usize) -> Result<(), CurvatureRefusal> {
        let eta = positive(eta)?;
        let (d, p) = (self.dimension, noise(self.samples, batch)?);
        let matrix = symmetric(d, triangle)?;
        matrix.prove_positive_definite("the Lyapunov matrix")?;
        let n = Enclosure::exact(self.samples as f64);
        // n·H, and Σ H_iPH_i = Σ A_iᵀ(A_iPA_iᵀ)A_i.
        let zero = || Square { order: d, entries: vec![Enclosure::ZERO; d * d] };
        let (mut whole, mut own) = (zero(), zero());
        for rows in self.rows.chunks(self.outputs.max(1)) {
            let images: Vec<Vec<Enclosure>> = rows.iter().map(|row| matrix.image(row)).collect();
            for (a, left) in rows.iter().enumerate() {
                whole.add_product(Enclosure::ONE, left, left);
                for (b, right) in rows.iter().enumerate() {
                    own.add_product(inner(&images[a], &rows[b]), left, right);
                }
            }
        }
        let hp = whole.times(&matrix);
        let hph = hp.times(&whole);
        let (all, each) = (eta * (Enclosure::ONE - p) / (n * n), eta * p / n);
        let entry = |i: usize, j: usize| (hp.at(i, j) + hp.at(j, i)) / n - all * hph.at(i, j) - each * own.at(i, j);
        Square::from_fn(d, entry).prove_positive_definite("its decrease")
    }

    /// Midpoints of the rows, one after another, for the search of witnesses.
    #[must_use]
    pub fn midpoints(&self) -> Vec<f64> {
        self.rows.iter().flatten().map(Enclosure::mid).collect()
    }
}

fn inner(a: &[Enclosure], b: &[Enclosure]) -> Enclosure {
    a.iter().zip(b).fold(Enclosure::ZERO, |sum, (a, b)| sum + *a * *b)
}

/// `K = AAᵀ`, enclosed.
pub struct Gram {
    samples: usize,
    outputs: usize,
    matrix: Square,
}

impl Gram {
    /// # Errors
    /// What cannot be enclosed, or is too large.
    pub fn of(objective: &Objective) -> Result<Self, CurvatureRefusal> {
        let (samples, outputs) = (objective.count(), objective.outputs());
        let order = samples.saturating_mul(outputs);
        let entries = order.saturating_mul(objective.dimension());
        if order > MAX_ORDER || entries > MAX_ROOT_ENTRIES || order as f64 * entries as f64 > 2.0 * MAX_WORK {
            return Err(Content::Work { limit: MAX_WORK }.into());
        }
        let mut rows = Vec::with_capacity(order);
        for sample in 0..samples {
            rows.extend(objective.roots(sample)?);
        }
        let product = |i: usize, j: usize| inner(&rows[i], &rows[j]);
        let mut matrix = Square { order, entries: vec![Enclosure::ZERO; order * order] };
        for i in 0..order {
            for j in 0..=i {
                let entry = product(i, j);
                matrix.entries[i * order + j] = entry;
                matrix.entries[j * order + i] = entry;
            }
        }
        Ok(Self { samples, outputs, matrix })
    }

    fn same_sample(&self, i: usize, j: usize) -> bool {
        i / self.outputs == j / self.outputs
    }

    /// An upper bound of `η*(B)`: `2⟨S, CS⟩/⟨S, DS⟩`.
    ///
    /// # Errors
    /// When the witness does not fit or shows nothing.
    pub fn threshold_upper(&self, triangle: &[f64], batch: usize) -> Result<f64, CurvatureRefusal> {
        let (w, p) = (symmetric(self.matrix.order, triangle)?, noise(self.samples, batch)?);
        let order = self.matrix.order;
        let n = Enclosure::exact(self.samples as f64);
        let x = self.matrix.times(&w).times(&self.matrix);
        let wx = w.times(&x);
        let linear = wx.entries.iter().zip(&self.matrix.entries).fold(Enclosure::ZERO, |sum, (a, b)| sum + *a * *b) / n;
        let (mut whole, mut own) = (Enclosure::ZERO, Enclosure::ZERO);
        for (at, entry) in x.entries.iter().enumerate() {
            whole = whole + entry.square();
            if self.same_sample(at / order, at % order) {
                own = own + entry.square();
            }
        }
        let quadratic = (Enclosure::ONE - p) * whole / (n * n) + p / n * own;
        let bound = Enclosure::exact(2.0) * linear / quadratic;
        // An enclosure that contains zero makes an invalid quotient, whose upper end is infinite.
        if quadratic.lower() > 0.0 && bound.upper().is_finite() {
            Ok(bound.upper())
        } else {
            Err(Content::Shape { what: "the direction of the witness shows nothing" }.into())
        }
    }

    /// Proves `η` mean-square stable.
    ///
    /// # Errors
    /// Which matrix is not proved positive definite.
    pub fn prove_stable(&self, triangle: &[f64], eta: f64, batch: usize) -> Result<(), CurvatureRefusal> {
        let eta = positive(eta)?;
        let (w, p) = (symmetric(self.matrix.order, triangle)?, noise(self.samples, batch)?);
        w.prove_positive_definite("the Lyapunov matrix")?;
        let n = Enclosure::exact(self.samples as f64);
        let kw = self.matrix.times(&w);
        let x = kw.times(&self.matrix);
        let (all, own) = (eta * (Enclosure::ONE - p) / (n * n), eta * p / n);
        let entry = |i: usize, j: usize| {
            let weight = if self.same_sample(i, j) { all + own } else { all };
            (kw.at(i, j) + kw.at(j, i)) / n - weight * x.at(i, j)
        };
        Square::from_fn(self.matrix.order, entry).prove_positive_definite("its decrease")
    }

    /// Midpoints of `K`, row by row, for the search of witnesses.
    #[must_use]
    pub fn midpoints(&self) -> Vec<f64> {
        self.matrix.entries.iter().map(Enclosure::mid).collect()
    }

    /// The largest radius of an entry, as a sum over a row.
    #[must_use]
    pub fn uncertainty(&self) -> f64 {
        self.matrix
            .entries
            .chunks_exact(self.matrix.order.max(1))
            .map(|row| sum_up(row.iter().map(Enclosure::radius)))
            .fold(0.0, f64::max)
    }
}
