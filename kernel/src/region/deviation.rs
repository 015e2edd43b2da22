//! Claims of kind `deviation`: two networks as one, whose outputs are refuted to be farther apart.

use std::collections::HashMap;
use std::sync::Arc;

use super::counterexample::{enclosed, outputs_at};
use super::neighbourhood::Neighbourhoods;
use super::refusal::RegionRefusal;
use super::refutation::Refuter;
use super::specification::hints;
use super::splits::LEAF;
use crate::model::compose::compose;
use crate::proof::{
    Around, Assurance, Attained, Content, DeviationClaim, Domain, Evidence, Norm, Rounding, Semantics, Splits, Vector,
};
use crate::read::vnnlib::{Atom, Clause, Constant, InputBox, Term, Terms};
use crate::region::bounds::{BoxRegion, Hints, Propagator};
use crate::sound::round::{add_down, max_or_nan};

/// Proves that no outputs are farther apart than a claim says, that they are as far apart as it says, and where classes are the same and
/// where not.
///
/// # Errors
/// The first thing that is not proved.
pub fn check(
    claim: &DeviationClaim,
    semantics: Semantics,
    domain: &Domain,
    evidence: &Evidence,
) -> Result<Assurance, RegionRefusal> {
    let baseline = evidence.model(&claim.baseline.model)?;
    let network = compose(baseline, evidence.network, &claim.baseline.pairs())?;
    // Counterexamples are those of the two networks as they are.
    let both = [Propagator::new(baseline, semantics)?, Propagator::new(evidence.network, semantics)?];
    let refuter = Refuter::new(&network, semantics)?;
    let cases = Cases::new(claim, semantics, domain, evidence)?;
    let outputs = evidence.network.output_size();
    bounded(claim, &cases, outputs, &refuter, evidence)?;
    for attained in &claim.attained {
        let (input, deviation) = (evidence.vector(&attained.input)?, &attained.deviation);
        let at = cases.point(attained.case, &input, semantics)?;
        let proved = deviation_of(&both, &at)?.get(attained.output as usize).copied();
        let proved = proved.ok_or(Content::Shape { what: "it is about an output that there is not" })?;
        if !deviation.is_consistent(Rounding::Down) {
            return Err(Content::Number { field: "deviation" }.into());
        }
        // Written so that a NaN proves nothing.
        let reached = deviation.value() <= proved;
        if !reached {
            return Err(Content::NotReached { field: "deviation", claimed: deviation.value(), proved }.into());
        }
    }
    once(claim.attained.iter().map(|Attained { case, output, .. }| (*case, *output)))?;
    once(claim.agreeing.iter().map(|agreeing| agreeing.case).chain(claim.disagreeing.iter().map(|other| other.case)))?;
    let composed = Evidence { network: &network, ..*evidence };
    let trees = trees(&claim.agreement_splits)?;
    let mut slopes = HashMap::new();
    for case in &claim.agreement_slopes {
        if slopes.insert(case.case, case).is_some() {
            return Err(Content::Shape { what: "a case is there twice" }.into());
        }
    }
    for agreeing in &claim.agreeing {
        let class = agreeing.class as usize;
        if outputs < 2 || class >= outputs {
            return Err(Content::Shape { what: "it is about a class that there is not" }.into());
        }
        let hints = slopes.get(&agreeing.case).map_or_else(|| Ok(Hints::default()), |case| hints(case, &composed))?;
        let tree = trees.get(&agreeing.case).map_or_else(|| Ok(vec![LEAF]), |tree| evidence.vector(tree))?;
        refuter.refute(cases.region(agreeing.case)?, &[agreement(outputs, class)], &tree, &hints)?;
    }
    for other in &claim.disagreeing {
        let at = cases.point(other.case, &evidence.vector(&other.input)?, semantics)?;
        let [first, second] = classes(&both, &at)?;
        if !matches!((first, second), (Some(first), Some(second)) if first != second) {
            return Err(RegionRefusal::NotDisagreeing);
        }
    }
    Ok(Assurance::Proved)
}

/// Refutes that outputs are farther apart than stated, case by case.
fn bounded(
    claim: &DeviationClaim,
    cases: &Cases,
    outputs: usize,
    refuter: &Refuter,
    evidence: &Evidence,
) -> Result<(), RegionRefusal> {
    let stated = evidence.vector(&claim.cases)?;
    if claim.bounds.len() != outputs || Some(stated.len()) != cases.regions.len().checked_mul(outputs) || outputs == 0 {
        return Err(Content::Shape { what: "there is not one bound for each case and output" }.into());
    }
    if claim.bounds.iter().any(|bound| !bound.is_consistent(Rounding::Up)) {
        return Err(Content::Number { field: "bounds" }.into());
    }
    let trees = trees(&claim.splits)?;
    for (case, (region, most)) in cases.regions.iter().zip(stated.chunks_exact(outputs)).enumerate() {
        for (bound, &most) in claim.bounds.iter().zip(most) {
            // Written so that a NaN is not within anything.
            let within = most <= bound.value();
            if !within {
                return Err(Content::NotReached { field: "bounds", claimed: bound.value(), proved: most }.into());
            }
        }
        let tree = trees.get(&(case as u32)).map_or_else(|| Ok(vec![LEAF]), |tree| evidence.vector(tree))?;
        refuter.refute(region, &[farther(most)], &tree, &Hints::default())?;
    }
    Ok(())
}

fn trees(splits: &[Splits]) -> Result<HashMap<u32, &Vector>, RegionRefusal> {
    once(splits.iter().map(|splits| splits.case))?;
    Ok(splits.iter().map(|splits| (splits.case, &splits.tree)).collect())
}

/// Counted twice, one thing would count for two.
fn once<T: Eq + std::hash::Hash>(items: impl Iterator<Item = T>) -> Result<(), RegionRefusal> {
    let mut seen = std::collections::HashSet::new();
    let mut all = items;
    if all.all(|item| seen.insert(item)) { Ok(()) } else { Err(Content::Shape { what: "a case is there twice" }.into()) }
}

/// Where the inputs of every case are.
struct Cases {
    regions: Vec<BoxRegion>,
    /// Where their points may be: nearer together than the regions by rounding alone.
    boxes: Option<Vec<InputBox>>,
}

impl Cases {
    fn new(claim: &DeviationClaim, semantics: Semantics, domain: &Domain, evidence: &Evidence) -> Result<Self, RegionRefusal> {
        match (domain, &claim.around) {
            (Domain::Box { lower, upper }, None) => {
                let region = BoxRegion::new(evidence.vector(lower)?, evidence.vector(upper)?)?;
                Ok(Self { regions: vec![region], boxes: None })
            }
            (Domain::Samples, Some(around)) => Self::around(around, semantics, evidence),
            _ => Err(Content::Shape { what: "its domain is neither a box nor that of samples" }.into()),
        }
    }

    fn around(around: &Around, semantics: Semantics, evidence: &Evidence) -> Result<Self, RegionRefusal> {
        let Around { data, perturbation, samples, available } = around;
        if perturbation.norm != Norm::Linf {
            return Err(Content::Shape { what: "the norm of its perturbations must be ℓ∞" }.into());
        }
        let unusable = |error: crate::read::data::DataError| RegionRefusal::Content(Content::File { detail: error.to_string() });
        let data = super::robustness::dataset(data, evidence)?;
        let shape = &evidence.network.node(evidence.network.input()).shape;
        data.check_input(shape).map_err(unusable)?;
        if *samples == 0 || *samples as usize > data.len() {
            return Err(Content::Shape { what: "the claim names samples that the data do not have" }.into());
        }
        if *available as usize != data.len() {
            return Err(Content::Scope { field: "available" }.into());
        }
        let neighbourhoods = Neighbourhoods::new(perturbation, shape, semantics)?;
        let (mut regions, mut boxes) = (Vec::new(), Vec::new());
        for sample in 0..*samples as usize {
            let input = data.input(sample);
            if neighbourhoods.outside_clip(&input).is_some() {
                return Err(Content::Shape { what: "a sample lies outside the clip range" }.into());
            }
            let neighbourhood = neighbourhoods.of(&input)?;
            regions.push(neighbourhood.region.bounds().clone());
            boxes.push(neighbourhood.input_box);
        }
        Ok(Self { regions, boxes: Some(boxes) })
    }

    fn region(&self, case: u32) -> Result<&BoxRegion, RegionRefusal> {
        self.regions.get(case as usize).ok_or_else(|| Content::Shape { what: "there is no such case" }.into())
    }

    /// The box of one point, which must be an input of the case.
    fn point(&self, case: u32, input: &[f64], semantics: Semantics) -> Result<BoxRegion, RegionRefusal> {
        let region = self.region(case)?;
        // A float32 network has float32 inputs.
        if semantics == Semantics::Float32 && input.iter().any(|&x| f64::from(x as f32) != x) {
            return Err(RegionRefusal::Outside);
        }
        if let Some(boxes) = &self.boxes {
            return enclosed(&boxes[case as usize], input, semantics, |_, _, _| false);
        }
        if !region.contains(input) {
            return Err(RegionRefusal::Outside);
        }
        BoxRegion::new(input.to_vec(), input.to_vec()).map_err(|_| RegionRefusal::Outside)
    }
}

/// The condition that some output of the second network is farther than this from that of the first. Outputs are those of the
/// first, then those of the second.
#[must_use]
pub fn farther(most: &[f64]) -> Arc<Clause> {
    let outputs = most.len();
    let alternatives = most.iter().enumerate().flat_map(|(index, &most)| {
        let bound = Constant::exact(-most);
        [(index, outputs + index), (outputs + index, index)].map(|(less, more)| vec![apart(less, more, bound, true)])
    });
    Arc::new(Clause { alternatives: alternatives.collect() })
}

/// The condition `y_less − y_more ≤ bound`, or `<` where strict.
#[must_use]
pub fn apart(less: usize, more: usize, bound: Constant, strict: bool) -> Atom {
    let term = |index, sign: f64| Term { index, coefficient: Constant::exact(sign) };
    let outputs = Terms::new(vec![term(less, 1.0), term(more, -1.0)]);
    Atom { inputs: Terms::default(), outputs, bound, strict }
}

/// The condition that one of the two networks does not prefer this class alone.
#[must_use]
pub fn agreement(outputs: usize, class: usize) -> Arc<Clause> {
    let of = |network: usize| {
        let others = (0..outputs).filter(move |&other| other != class);
        others.map(move |other| vec![apart(network * outputs + class, network * outputs + other, Constant::ZERO, false)])
    };
    Arc::new(Clause { alternatives: of(0).chain(of(1)).collect() })
}

/// Lower bounds of how far apart the outputs of two networks are, at a box that is a point.
///
/// # Errors
/// When one is undefined there.
pub fn deviation_of(both: &[Propagator; 2], at: &BoxRegion) -> Result<Vec<f64>, RegionRefusal> {
    let [first, second] = [outputs_at(&both[0], at)?, outputs_at(&both[1], at)?];
    let apart = |((l, u), (m, v)): (&(f64, f64), &(f64, f64))| max_or_nan(add_down(*l, -v), add_down(*m, -u));
    Ok(first.iter().zip(&second).map(apart).collect())
}

/// The class that each of two networks prefers at a box that is a point: whose output is surely the largest, alone; `None` where that
/// is not sure.
///
/// # Errors
/// When one is undefined there.
pub fn classes(both: &[Propagator; 2], at: &BoxRegion) -> Result<[Option<usize>; 2], RegionRefusal> {
    let class = |propagator| -> Result<Option<usize>, RegionRefusal> {
        let outputs = outputs_at(propagator, at)?;
        let prefers = |class: &usize| {
            let others = outputs.iter().enumerate().filter(|(other, _)| other != class);
            outputs.len() > 1 && others.into_iter().all(|(_, (_, most))| outputs[*class].0 > *most)
        };
        Ok((0..outputs.len()).find(prefers))
    };
    Ok([class(&both[0])?, class(&both[1])?])
}
