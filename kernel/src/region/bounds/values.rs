//! The bounds of one node's elements.

use std::borrow::Cow;

use super::interval::Interval;

/// Bounds of every element of a node, row-major. Constants of the file are borrowed from the network.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeBounds<'n> {
    lower: Cow<'n, [f64]>,
    /// `None` where all elements are known exactly: the lower bounds are the values.
    upper: Option<Vec<f64>>,
}

impl<'n> NodeBounds<'n> {
    pub(super) fn borrowed(values: &'n [f64]) -> Self {
        Self { lower: Cow::Borrowed(values), upper: None }
    }

    pub(super) fn new(lower: Vec<f64>, upper: Vec<f64>) -> Self {
        let upper = (lower != upper).then_some(upper);
        Self { lower: Cow::Owned(lower), upper }
    }

    pub(super) fn collect(intervals: impl Iterator<Item = Interval>) -> Self {
        let (lower, upper) = intervals.map(|i| (i.lower, i.upper)).unzip();
        Self::new(lower, upper)
    }

    /// The bounds of no elements.
    pub(super) fn nothing() -> &'static NodeBounds<'static> {
        static NOTHING: NodeBounds<'static> = NodeBounds { lower: Cow::Borrowed(&[]), upper: None };
        &NOTHING
    }

    #[must_use]
    pub fn lower(&self) -> &[f64] {
        &self.lower
    }

    #[must_use]
    pub fn upper(&self) -> &[f64] {
        self.upper.as_deref().unwrap_or(&self.lower)
    }

    /// Is every element known exactly?
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.upper.is_none()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.lower.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lower.is_empty()
    }

    #[must_use]
    pub fn at(&self, index: usize) -> Interval {
        Interval::new(self.lower[index], self.upper()[index])
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Interval> + '_ {
        self.lower.iter().zip(self.upper()).map(|(&l, &u)| Interval::new(l, u))
    }

    pub(super) fn is_finite(&self) -> bool {
        self.iter().all(Interval::is_finite)
    }
}
