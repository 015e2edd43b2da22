//! What was compared, and how much of it.

use std::collections::BTreeMap;

/// What was compared, and what was found false.
#[derive(Default)]
pub struct Tally {
    pub loaded: usize,
    /// The files that an operator is needed in.
    pub operators: BTreeMap<String, usize>,
    /// Files with a frozen tensor, and with one that the output follows where the oracle moves it.
    pub frozen: usize,
    pub followed: usize,
    /// Frozen tensors and what freezes them.
    pub frozen_by: BTreeMap<String, usize>,
    pub sets: usize,
    /// Sets whose claims are refused: a function jumps there, or cannot be enclosed.
    pub refused: usize,
    /// Elements of gradients and of the rows of `LᵀJ` at one sample, narrow; and those that are wide at a kink.
    pub elements: usize,
    pub wide: usize,
    /// Elements whose differences needed steps below the first.
    pub refined: usize,
    pub traces: usize,
    pub hessian_traces: usize,
    pub residuals: usize,
    pub grams: usize,
    pub computed: usize,
    pub pruned: usize,
    /// Files without pruned weights that are files no longer, or whose function has no value.
    pub unprunable: usize,
    pub refusals: usize,
    pub faults: Vec<String>,
}

impl Tally {
    pub fn add(mut self, other: Self) -> Self {
        self.loaded += other.loaded;
        self.frozen += other.frozen;
        self.followed += other.followed;
        let sum = |own: &mut BTreeMap<String, usize>, others: BTreeMap<String, usize>| {
            others.into_iter().for_each(|(name, count)| *own.entry(name).or_default() += count);
        };
        sum(&mut self.operators, other.operators);
        sum(&mut self.frozen_by, other.frozen_by);
        self.sets += other.sets;
        self.refused += other.refused;
        self.elements += other.elements;
        self.wide += other.wide;
        self.refined += other.refined;
        self.traces += other.traces;
        self.hessian_traces += other.hessian_traces;
        self.residuals += other.residuals;
        self.grams += other.grams;
        self.computed += other.computed;
        self.pruned += other.pruned;
        self.unprunable += other.unprunable;
        self.refusals += other.refusals;
        self.faults.extend(other.faults);
        self
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} files, {} with frozen tensors ({} that the output follows)", self.loaded, self.frozen, self.followed)?;
        writeln!(f, "frozen by: {:?}; {} refusals by name", self.frozen_by, self.refusals)?;
        writeln!(f, "{} sets of parameters, {} refused where a function jumps or is not enclosed", self.sets, self.refused)?;
        writeln!(
            f,
            "{} elements of gradients and rows ({} with smaller steps), and {} between the sides of a kink",
            self.elements, self.refined, self.wide
        )?;
        writeln!(
            f,
            "{} traces of Gauss-Newton matrices, {} of Hessians, {} residuals, {} Gram matrices, {} gradients and rows in f64",
            self.traces, self.hessian_traces, self.residuals, self.grams, self.computed
        )?;
        write!(f, "{} pruned files ({} more cannot be run); {} faults", self.pruned, self.unprunable, self.faults.len())
    }
}
