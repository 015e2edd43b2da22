//! Multipliers under which an implicit equation is well posed, to start from: with the unknowns' block of `−Σ λ_g Q_g`
//! positive definite. After the unknowns are balanced (Osborne, J. ACM 1960) equal ones where they do, else those that the
//! interior point finds for
//!
//! ```text
//! minimise τ   subject to   τI − I − Σ λ_g Q_g ⪰ 0,  λ ≥ 0        on the unknowns alone,
//! ```
//!
//! where any point with `τ < 1` will do. Nothing here is a proof.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

use super::elimination::add_group;
use crate::deadline::Deadline;
use crate::solver::interior_point::{self, InteriorPointOptions};
use crate::solver::{Candidate, InputNorm, Pencil, PencilGroup, Stretch};

/// What the block of the unknowns exceeds the form on them by.
const DOMINANCE: f64 = 2.0;
/// Sweeps that balance the unknowns.
const BALANCING: usize = 30;

/// The groups of one depth, as far as they touch the coordinates that are their results.
pub struct Equations {
    groups: Vec<PencilGroup>,
    order: usize,
}

impl Equations {
    /// `None` where no argument of these groups uses a result of them.
    pub fn new(pencil: &Pencil, layer: &[usize], block: &[usize]) -> Option<Self> {
        let within = |row: &Stretch| {
            let entries: Vec<(usize, f64)> =
                row.entries().filter_map(|(i, value)| block.binary_search(&i).ok().map(|i| (i, value))).collect();
            let (start, end) = (entries.first().map_or(0, |e| e.0), entries.last().map_or(0, |e| e.0 + 1));
            let mut values = vec![0.0; end - start];
            entries.into_iter().for_each(|(i, value)| values[i - start] = value);
            Stretch { start, values }
        };
        let restricted = layer.iter().map(|&g| &pencil.groups[g]).map(|group| PencilGroup {
            arguments: group.arguments.iter().map(within).collect(),
            results: group.results.iter().map(within).collect(),
            depth: 1,
            ..*group
        });
        let groups: Vec<PencilGroup> = restricted.collect();
        let feeds_back = groups.iter().any(|group| group.arguments.iter().any(|row| !row.values.is_empty()));
        feeds_back.then_some(Self { groups, order: block.len() })
    }

    /// Multipliers whose block dominates a form on the unknowns; `floor` is the least size of one.
    pub fn dominating(&self, form: &Mat<f64>, floor: f64) -> Option<Vec<f64>> {
        let units = self.balance();
        let balanced = self.in_units(&units);
        let equal = vec![1.0; self.groups.len()];
        let multipliers = if balanced.margin(&equal) > 0.0 { equal } else { balanced.search()? };
        let multipliers: Vec<f64> = multipliers
            .iter()
            .zip(&self.groups)
            .map(|(multiplier, group)| multiplier / own_unit(group, &units).powi(2))
            .collect();
        let factor = self.block(&multipliers).llt(Side::Lower).ok()?;
        // λ_max(B⁻¹F), whose eigenvalues are those of the symmetric L⁻¹FL⁻ᵀ.
        let half = factor.solve(form);
        let size = half.eigenvalues().ok()?.into_iter().fold(0.0, |largest: f64, value| largest.max(value.re));
        let scale = (DOMINANCE * size).max(floor);
        scale.is_finite().then(|| multipliers.into_iter().map(|multiplier| scale * multiplier).collect())
    }

    /// Units of the unknowns in which each feeds back as much as is fed back to it.
    fn balance(&self) -> Vec<f64> {
        let mut units = vec![1.0; self.order];
        // What unknown `i` takes from `j`, where every group is one equation.
        let mut weights = Mat::<f64>::zeros(self.order, self.order);
        for group in &self.groups {
            let ([argument], [result]) = (&group.arguments[..], &group.results[..]) else { return units };
            let Some(i) = result.unit() else { return units };
            argument.entries().for_each(|(j, value)| weights[(i, j)] = value.abs());
        }
        for _ in 0..BALANCING {
            for i in 0..self.order {
                let others = || (0..self.order).filter(|&j| j != i);
                let taken: f64 = others().map(|j| weights[(i, j)] * units[j] / units[i]).sum();
                let given: f64 = others().map(|j| weights[(j, i)] * units[i] / units[j]).sum();
                let factor = (taken / given).sqrt();
                if factor > 0.0 && factor.is_finite() {
                    units[i] *= factor;
                }
            }
        }
        units
    }

    /// The same equations, unknowns and arguments in units.
    fn in_units(&self, units: &[f64]) -> Self {
        let scaled = |rows: &[Stretch], own: f64| -> Vec<Stretch> {
            let scale = |row: &Stretch| {
                let values = row.values.iter().zip(&units[row.start..]).map(|(value, unit)| value * unit / own);
                Stretch { start: row.start, values: values.collect() }
            };
            rows.iter().map(scale).collect()
        };
        let groups = self.groups.iter().map(|group| {
            let own = own_unit(group, units);
            PencilGroup { arguments: scaled(&group.arguments, own), results: scaled(&group.results, own), ..*group }
        });
        Self { groups: groups.collect(), order: self.order }
    }

    /// `−Σ λ_g Q_g` on the unknowns.
    fn block(&self, multipliers: &[f64]) -> Mat<f64> {
        let mut block = Mat::zeros(self.order, self.order);
        self.groups.iter().zip(multipliers).for_each(|(group, multiplier)| add_group(&mut block, group, -multiplier));
        block
    }

    /// The least eigenvalue of the block for multipliers of largest size one.
    fn margin(&self, multipliers: &[f64]) -> f64 {
        let largest = multipliers.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let scaled: Vec<f64> = multipliers.iter().map(|multiplier| multiplier / largest).collect();
        let eigenvalues = self.block(&scaled).self_adjoint_eigenvalues(Side::Lower).ok();
        eigenvalues.and_then(|values| values.into_iter().reduce(f64::min)).unwrap_or(f64::NEG_INFINITY)
    }

    fn search(&self) -> Option<Vec<f64>> {
        let unit = |i: usize| Stretch { start: i, values: vec![1.0] };
        // Twice the rows, a quarter of the multipliers: a result that is a coordinate as it stands would take its scale, which
        // here is that of `τ`.
        let doubled = |rows: &[Stretch]| -> Vec<Stretch> {
            let double =
                |row: &Stretch| Stretch { start: row.start, values: row.values.iter().map(|value| 2.0 * value).collect() };
            rows.iter().map(double).collect()
        };
        let groups = self.groups.iter().map(|group| PencilGroup {
            arguments: doubled(&group.arguments),
            results: doubled(&group.results),
            ..*group
        });
        let pencil = Pencil {
            norm: InputNorm::Euclidean,
            inputs: self.order,
            dimension: self.order,
            groups: groups.collect(),
            outputs: (0..self.order).map(unit).collect(),
        };
        let block = self.block(&vec![1.0; self.groups.len()]);
        let size = block.self_adjoint_eigenvalues(Side::Lower).ok()?.into_iter().fold(0.0, |m: f64, value| m.max(value.abs()));
        let start = Candidate { input_multipliers: vec![2.0], multipliers: vec![0.125 / size.max(1.0); self.groups.len()] };
        let settings = InteriorPointOptions { tolerance: 1e-4, deadline: Deadline::NONE };
        let path = interior_point::solve(&pencil, &start, &settings)?.path;
        let margins = path.into_iter().map(|candidate| (self.margin(&candidate.multipliers), candidate.multipliers));
        let (margin, best) = margins.max_by(|a, b| a.0.total_cmp(&b.0))?;
        let largest = best.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        (margin > 0.0).then(|| best.into_iter().map(|multiplier| multiplier / largest).collect())
    }
}

/// The unit of a group's result.
fn own_unit(group: &PencilGroup, units: &[f64]) -> f64 {
    group.results.first().and_then(Stretch::unit).map_or(1.0, |i| units[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `z = φ(Wz)` with slopes in `[0, 1]`.
    fn equations(weights: &[&[f64]]) -> Equations {
        let groups = weights.iter().enumerate().map(|(i, row)| PencilGroup {
            alpha: 0.0,
            beta: 1.0,
            arguments: vec![Stretch { start: 0, values: row.to_vec() }],
            results: vec![Stretch { start: i, values: vec![1.0] }],
            depth: 1,
        });
        Equations { groups: groups.collect(), order: weights.len() }
    }

    #[test]
    fn multipliers_are_found_where_equal_ones_do_not_do() {
        // 2I − W − Wᵀ is indefinite, but a diagonal scaling makes the coupling small.
        let badly_scaled = equations(&[&[0.5, 1e3], &[1e-4, 0.5]]);
        assert!(badly_scaled.margin(&[1.0, 1.0]) < 0.0);
        let form = Mat::<f64>::identity(2, 2);
        let dominating = badly_scaled.dominating(&form, 0.0).unwrap();
        let rest = badly_scaled.block(&dominating) - form;
        assert!(rest.llt(Side::Lower).is_ok(), "{dominating:?}");
    }

    #[test]
    fn the_search_finds_unequal_multipliers() {
        let mild = equations(&[&[0.5, 12.0], &[0.005, 0.5]]);
        assert!(mild.margin(&[1.0, 1.0]) < 0.0);
        let found = mild.search().unwrap();
        assert!(mild.margin(&found) > 0.0, "{found:?}");
    }

    #[test]
    fn there_are_none_for_an_equation_that_is_not_well_posed() {
        assert_eq!(equations(&[&[1.5]]).search(), None);
        assert_eq!(equations(&[&[0.0, 1.5], &[1.5, 0.0]]).search(), None);
        assert!(equations(&[&[0.0, -1.5], &[1.5, 0.0]]).dominating(&Mat::identity(2, 2), 0.0).is_some());
    }
}
