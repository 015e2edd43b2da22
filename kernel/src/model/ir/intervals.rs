//! Ranges of the values of a network's nodes on some inputs, as data: whoever computed them answers for them.

use std::borrow::Cow;
use std::sync::Arc;

use super::network::NodeId;
use crate::sound::Interval;

/// Bounds of every element of a node, row-major. Constants of the file are borrowed from the network.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeBounds<'n> {
    lower: Cow<'n, [f64]>,
    /// `None` where all elements are known exactly: the lower bounds are the values.
    upper: Option<Vec<f64>>,
}

impl<'n> NodeBounds<'n> {
    pub(crate) fn borrowed(values: &'n [f64]) -> Self {
        Self { lower: Cow::Borrowed(values), upper: None }
    }

    pub(crate) fn new(lower: Vec<f64>, upper: Vec<f64>) -> Self {
        let upper = (lower != upper).then_some(upper);
        Self { lower: Cow::Owned(lower), upper }
    }

    pub(crate) fn collect(intervals: impl Iterator<Item = Interval>) -> Self {
        let (lower, upper) = intervals.map(|i| (i.lower, i.upper)).unzip();
        Self::new(lower, upper)
    }

    /// The bounds of no elements.
    pub(crate) fn nothing() -> &'static NodeBounds<'static> {
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

    /// Whether every element is known exactly.
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

    pub(crate) fn is_finite(&self) -> bool {
        self.iter().all(Interval::is_finite)
    }
}

/// Bounds of every node of a network on a region.
#[derive(Clone, Debug)]
pub struct Intervals<'n> {
    constants: Arc<[Option<NodeBounds<'n>>]>,
    /// Of the nodes that the input reaches.
    variables: Vec<Option<NodeBounds<'static>>>,
    output: NodeId,
}

impl<'n> Intervals<'n> {
    /// Joins the bounds of the constants and of the nodes that the input reaches; every node has the ones or the others.
    pub(crate) const fn new(
        constants: Arc<[Option<NodeBounds<'n>>]>,
        variables: Vec<Option<NodeBounds<'static>>>,
        output: NodeId,
    ) -> Self {
        Self { constants, variables, output }
    }

    /// The bounds of a node, row-major.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &NodeBounds<'_> {
        // Every node has bounds: `Propagator::intervals` fails where it finds none.
        self.variables[id.index()].as_ref().or(self.constants[id.index()].as_ref()).unwrap_or(NodeBounds::nothing())
    }

    /// The bounds of the network's output.
    #[must_use]
    pub fn output(&self) -> &NodeBounds<'_> {
        self.node(self.output)
    }
}
