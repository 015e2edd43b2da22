//! The rows of a form in double-double arithmetic: every signal's increment as a vector over the coordinates.

use super::combination::{Atom, Combination};
use super::{Form, FormError, LinearLayer, Weights};
use crate::sound::{Row, RowAccumulator};

/// The rows of one group: `V` (arguments) and `Y` (results).
#[derive(Clone, Debug)]
pub struct GroupRows {
    pub arguments: Vec<Row>,
    pub results: Vec<Row>,
}

/// All rows of a form.
#[derive(Clone, Debug)]
pub struct Rows {
    pub groups: Vec<GroupRows>,
    pub outputs: Vec<Row>,
}

/// Entries of all rows together: 2.4 GB in double-double.
const ENTRY_LIMIT: usize = 150_000_000;

impl Rows {
    /// Evaluates the rows of a form.
    ///
    /// # Errors
    /// [`FormError::TooLarge`] before more than the limit is allocated.
    pub fn new(form: &Form) -> Result<Self, FormError> {
        let mut evaluation = Evaluation { linear: Vec::new(), entries: 0 };
        for layer in &form.layers {
            evaluation.layer(layer)?;
        }
        let groups = form
            .groups
            .iter()
            .map(|group| {
                Ok(GroupRows { arguments: evaluation.rows(&group.arguments)?, results: evaluation.rows(&group.results)? })
            })
            .collect::<Result<_, FormError>>()?;
        Ok(Self { groups, outputs: evaluation.rows(&form.outputs)? })
    }
}

struct Evaluation {
    /// Row of every linear atom so far.
    linear: Vec<Row>,
    entries: usize,
}

impl Evaluation {
    fn rows(&mut self, combinations: &[Combination]) -> Result<Vec<Row>, FormError> {
        combinations.iter().map(|combination| self.row(combination)).collect()
    }

    fn row(&mut self, combination: &Combination) -> Result<Row, FormError> {
        let mut span: Option<(usize, usize)> = None;
        for (atom, _) in combination.varying() {
            let (start, end) = match atom {
                Atom::Coordinate(i) => (i as usize, i as usize + 1),
                Atom::Linear(i) => self.linear.get(i as usize).map_or((0, 0), |row| (row.start(), row.end())),
                Atom::Constant(_) => continue,
            };
            span = widen(span, start, end);
        }
        let Some((start, end)) = span else { return Ok(Row::zero()) };
        self.charge(end - start)?;
        let mut sum = RowAccumulator::new(start..end);
        for (atom, coefficient) in combination.varying() {
            match atom {
                Atom::Coordinate(i) => sum.add_scaled_exact(coefficient, &Row::unit(i as usize)),
                // A layer's inputs use earlier layers only, so the atom exists.
                Atom::Linear(i) => sum.add_scaled_exact(coefficient, &self.linear[i as usize]),
                Atom::Constant(_) => {}
            }
        }
        Ok(sum.finish())
    }

    fn layer(&mut self, layer: &LinearLayer) -> Result<(), FormError> {
        let inputs = self.rows(&layer.inputs)?;
        let mut outputs = Vec::with_capacity(layer.outputs.len());
        let mut result = Ok(());
        layer.map.for_each_output(|_, terms| {
            if result.is_err() {
                return;
            }
            let used = || terms.iter().filter(|&&(input, weight)| !inputs[input].is_empty() && !is_zero(&layer.weights, weight));
            let span = used().fold(None, |span, &(input, _)| widen(span, inputs[input].start(), inputs[input].end()));
            let Some((start, end)) = span else { return outputs.push(Row::zero()) };
            result = self.charge(end - start);
            if result.is_err() {
                return;
            }
            let mut sum = RowAccumulator::new(start..end);
            for &(input, weight) in used() {
                match &layer.weights {
                    Weights::Exact(values) => sum.add_scaled_exact(values[weight], &inputs[input]),
                    Weights::Enclosed(values) => sum.add_scaled(&values[weight], &inputs[input]),
                }
            }
            outputs.push(sum.finish());
        });
        result?;
        self.linear.append(&mut outputs);
        Ok(())
    }

    fn charge(&mut self, entries: usize) -> Result<(), FormError> {
        self.entries += entries;
        if self.entries > ENTRY_LIMIT { Err(FormError::TooLarge) } else { Ok(()) }
    }
}

fn is_zero(weights: &Weights, index: usize) -> bool {
    weights.get(index).to_f64_exact() == Some(0.0)
}

fn widen(span: Option<(usize, usize)>, start: usize, end: usize) -> Option<(usize, usize)> {
    if start == end {
        return span;
    }
    Some(span.map_or((start, end), |(s, e)| (s.min(start), e.max(end))))
}
