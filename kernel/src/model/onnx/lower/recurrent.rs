//! Recurrent layers, unrolled: one cell for every step and direction.

use super::super::error::NodeError;
use super::super::value::Value;
use super::graph::Slot;
use super::indices::{extent, signed, source};
use super::site::Site;
use crate::model::ir::{Binary, Function, Op};

/// Most steps of an unrolled sequence, of all directions.
const MAX_STEPS: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cell {
    Plain,
    Gru,
    Lstm,
}

impl Cell {
    /// Blocks of rows in the weights.
    const fn gates(self) -> usize {
        match self {
            Self::Plain => 1,
            Self::Gru => 3,
            Self::Lstm => 4,
        }
    }

    /// The default activations of a direction.
    const fn activations(self) -> &'static [Function] {
        match self {
            Self::Plain => &[Function::Tanh],
            Self::Gru => &[Function::Sigmoid, Function::Tanh],
            Self::Lstm => &[Function::Sigmoid, Function::Tanh, Function::Tanh],
        }
    }
}

pub(super) fn rnn(site: &mut Site) -> Result<Vec<Slot>, NodeError> {
    unrolled(site, Cell::Plain)
}

pub(super) fn gru(site: &mut Site) -> Result<Vec<Slot>, NodeError> {
    unrolled(site, Cell::Gru)
}

pub(super) fn lstm(site: &mut Site) -> Result<Vec<Slot>, NodeError> {
    unrolled(site, Cell::Lstm)
}

/// What all directions share.
struct Layer {
    cell: Cell,
    steps: usize,
    batch: usize,
    inputs: usize,
    hidden: usize,
    /// Of a GRU: the reset gate multiplies a product instead of its operand.
    linear_before_reset: bool,
}

/// One direction's parameters, and what it starts from.
struct Direction {
    backwards: bool,
    activations: Vec<Function>,
    /// `[gates·hidden, inputs]`.
    weights: Slot,
    /// `[gates·hidden, hidden]`.
    recurrence: Slot,
    /// `[gates·hidden]` each: those beside the input and those beside the state.
    biases: Option<(Slot, Slot)>,
    state: Option<Slot>,
    memory: Option<Slot>,
}

fn unrolled(site: &mut Site, cell: Cell) -> Result<Vec<Slot>, NodeError> {
    let (x, w, r) = (site.input(0)?, site.input(1)?, site.input(2)?);
    let batch_first = site.flag("layout", false)?;
    // A runtime may sum the products with the input and with the state, and both biases, in any order.
    site.graph.record_rewriting(site.name);
    let x = if batch_first { site.transpose(&x, &swapped(site, &x)?)? } else { x };
    let [steps, batch, inputs] = site.shape(&x)[..] else {
        return Err(NodeError::invalid(format!("its input has the shape {:?}, not three axes", site.shape(&x))));
    };
    let (own, recurrent) = (site.shape(&w), site.shape(&r));
    let directions = own.first().copied().unwrap_or(0);
    let hidden = recurrent.last().copied().unwrap_or(0);
    let rows = hidden.saturating_mul(cell.gates());
    if own != [directions, rows, inputs] || recurrent != [directions, rows, hidden] || hidden == 0 {
        return Err(NodeError::invalid(format!("weights of shapes {own:?} and {recurrent:?} do not fit {inputs} inputs")));
    }
    if site.optional_int("hidden_size")?.is_some_and(|stated| usize::try_from(stated) != Ok(hidden)) {
        return Err(NodeError::attribute("hidden_size", format!("differs from that of the weights, {hidden}")));
    }
    if steps == 0 || steps.saturating_mul(directions) > MAX_STEPS {
        return Err(NodeError::unsupported(format!("it has {steps} steps; from 1 to {MAX_STEPS} are unrolled")));
    }
    lengths(site, steps)?;
    refuse_variants(site, cell)?;
    let layer = Layer { cell, steps, batch, inputs, hidden, linear_before_reset: site.flag("linear_before_reset", false)? };
    let backwards: &[bool] = match site.string("direction", "forward")? {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => return Err(NodeError::attribute("direction", format!("is `{other}`"))),
    };
    if backwards.len() != directions {
        return Err(NodeError::attribute("direction", format!("does not fit weights of {directions} directions")));
    }
    let mut results = Vec::with_capacity(directions);
    for (index, &backwards) in backwards.iter().enumerate() {
        let direction = layer.direction(site, index, directions, backwards, batch_first)?;
        results.push(layer.run(site, &x, &direction)?);
    }
    layer.outputs(site, results, batch_first)
}

fn swapped(site: &Site, x: &Slot) -> Result<Vec<usize>, NodeError> {
    match site.shape(x).len() {
        3 => Ok(vec![1, 0, 2]),
        rank => Err(NodeError::invalid(format!("a tensor of {rank} axes where three are needed"))),
    }
}

/// Sequences that end early are not unrolled.
fn lengths(site: &Site, steps: usize) -> Result<(), NodeError> {
    let Some(slot) = site.optional(4) else { return Ok(()) };
    let whole = slot.discrete().and_then(Value::as_ints).is_some_and(|lengths| lengths.iter().all(|&l| l == signed(steps)));
    if whole { Ok(()) } else { Err(NodeError::unsupported("its sequences are shorter than its input, or of unknown length")) }
}

fn refuse_variants(site: &Site, cell: Cell) -> Result<(), NodeError> {
    if site.has_attribute("clip") {
        return Err(NodeError::unsupported("it clips what its activations read"));
    }
    if site.flag("input_forget", false)? {
        return Err(NodeError::unsupported("its input and forget gates are coupled"));
    }
    for name in ["activation_alpha", "activation_beta"] {
        if site.optional_floats(name)?.is_some_and(|values| !values.is_empty()) {
            return Err(NodeError::unsupported(format!("its activations have parameters (`{name}`)")));
        }
    }
    if cell == Cell::Lstm && site.optional(7).is_some() {
        return Err(NodeError::unsupported("it has peepholes"));
    }
    Ok(())
}

/// The named activations of a direction.
fn activations(site: &Site, cell: Cell, index: usize, directions: usize) -> Result<Vec<Function>, NodeError> {
    let named = site.strings("activations")?;
    if named.is_empty() {
        return Ok(cell.activations().to_vec());
    }
    let each = cell.activations().len();
    if named.len() != each * directions {
        return Err(NodeError::attribute("activations", format!("names {} where {} are needed", named.len(), each * directions)));
    }
    let function = |name: &&str| match *name {
        "Sigmoid" => Ok(Function::Sigmoid),
        "Tanh" => Ok(Function::Tanh),
        "Relu" => Ok(Function::Relu),
        "Softsign" => Ok(Function::Softsign),
        "Softplus" => Ok(Function::Softplus),
        other => Err(NodeError::attribute("activations", format!("names `{other}`, which is not supported"))),
    };
    named[index * each..(index + 1) * each].iter().map(function).collect()
}

impl Layer {
    fn direction(
        &self,
        site: &mut Site,
        index: usize,
        directions: usize,
        backwards: bool,
        batch_first: bool,
    ) -> Result<Direction, NodeError> {
        let rows = self.cell.gates() * self.hidden;
        let (weights, recurrence) = (site.input(1)?, site.input(2)?);
        let weights = part(site, &weights, index, vec![rows, self.inputs])?;
        let recurrence = part(site, &recurrence, index, vec![rows, self.hidden])?;
        let biases = match site.optional(3) {
            None => None,
            Some(biases) => {
                if site.shape(&biases) != [directions, 2 * rows] {
                    return Err(NodeError::invalid(format!("biases of shape {:?}", site.shape(&biases))));
                }
                let both = part(site, &biases, index, vec![2, rows])?;
                Some((part(site, &both, 0, vec![rows])?, part(site, &both, 1, vec![rows])?))
            }
        };
        let mut initial = |input: usize| {
            let Some(slot) = site.optional(input) else { return Ok(None) };
            let slot = if batch_first { site.transpose(&slot, &swapped(site, &slot)?)? } else { slot };
            if site.shape(&slot) != [directions, self.batch, self.hidden] {
                return Err(NodeError::invalid(format!("an initial state of shape {:?}", site.shape(&slot))));
            }
            part(site, &slot, index, vec![self.batch, self.hidden]).map(Some)
        };
        let state = initial(5)?;
        let memory = if self.cell == Cell::Lstm { initial(6)? } else { None };
        let activations = activations(site, self.cell, index, directions)?;
        Ok(Direction { backwards, activations, weights, recurrence, biases, state, memory })
    }

    /// The states after every step, in the order of the steps of the input, and what it ends with.
    fn run(&self, site: &mut Site, x: &Slot, direction: &Direction) -> Result<Ran, NodeError> {
        let rows = self.cell.gates() * self.hidden;
        // The products with the input, of all steps at once: [1, steps·batch, rows].
        let flat = site.reshape(x, vec![1, self.steps * self.batch, self.inputs])?;
        let mut projected = product(site, &flat, &direction.weights)?;
        if let Some((bias, _)) = &direction.biases {
            projected = added(site, &projected, bias)?;
        }
        let zero = site.scalar(0.0);
        let zeros = site.broadcast(&zero, &[self.batch, self.hidden])?;
        let mut state = direction.state.clone().unwrap_or_else(|| zeros.clone());
        let mut memory = direction.memory.clone().unwrap_or(zeros);
        let mut states = vec![state.clone(); self.steps];
        for step in 0..self.steps {
            let at = if direction.backwards { self.steps - 1 - step } else { step };
            let input = part(site, &projected, at, vec![self.batch, rows])?;
            (state, memory) = self.step(site, direction, &input, &state, &memory)?;
            states[at] = state.clone();
        }
        Ok(Ran { states, state, memory })
    }

    fn step(
        &self,
        site: &mut Site,
        direction: &Direction,
        input: &Slot,
        state: &Slot,
        memory: &Slot,
    ) -> Result<(Slot, Slot), NodeError> {
        let activate = |site: &mut Site, index: usize, x: &Slot| site.function(direction.activations[index].clone(), x);
        let recurrent = |site: &mut Site, state: &Slot, weights: &Slot, bias: Option<&Slot>| {
            let width = site.shape(weights)[0];
            let row = site.reshape(state, vec![1, self.batch, self.hidden])?;
            let found = product(site, &row, weights)?;
            let found = site.reshape(&found, vec![self.batch, width])?;
            bias.map_or(Ok(found.clone()), |bias| added(site, &found, bias))
        };
        let bias = direction.biases.as_ref().map(|(_, bias)| bias);
        if self.cell == Cell::Gru && !self.linear_before_reset {
            return self.gru_step(site, direction, input, state, recurrent).map(|state| (state, memory.clone()));
        }
        let pushed = recurrent(site, state, &direction.recurrence, bias)?;
        if self.cell == Cell::Gru {
            let (z, r) = (self.gate(site, input, &pushed, 0)?, self.gate(site, input, &pushed, 1)?);
            let (z, r) = (activate(site, 0, &z)?, activate(site, 0, &r)?);
            let (own, other) = (self.block(site, input, 2)?, self.block(site, &pushed, 2)?);
            let reset = site.binary(Binary::Mul, &r, &other)?;
            let candidate = site.binary(Binary::Add, &own, &reset)?;
            let candidate = activate(site, 1, &candidate)?;
            return Ok((mixed(site, &z, &candidate, state)?, memory.clone()));
        }
        if self.cell == Cell::Plain {
            let total = site.binary(Binary::Add, input, &pushed)?;
            return Ok((activate(site, 0, &total)?, memory.clone()));
        }
        let mut gates = Vec::with_capacity(4);
        for (block, activation) in [(0, 0), (1, 0), (2, 0), (3, 1)] {
            let total = self.gate(site, input, &pushed, block)?;
            gates.push(activate(site, activation, &total)?);
        }
        let kept = site.binary(Binary::Mul, &gates[2], memory)?;
        let new = site.binary(Binary::Mul, &gates[0], &gates[3])?;
        let memory = site.binary(Binary::Add, &kept, &new)?;
        let shown = activate(site, 2, &memory)?;
        Ok((site.binary(Binary::Mul, &gates[1], &shown)?, memory))
    }

    /// A GRU whose reset gate multiplies the state before its product.
    fn gru_step(
        &self,
        site: &mut Site,
        direction: &Direction,
        input: &Slot,
        state: &Slot,
        recurrent: impl Fn(&mut Site, &Slot, &Slot, Option<&Slot>) -> Result<Slot, NodeError>,
    ) -> Result<Slot, NodeError> {
        let rows = 2 * self.hidden;
        let weights = [(0, rows), (rows, self.hidden)].map(|(first, count)| {
            site.view(&direction.recurrence, vec![count, self.hidden], signed(first * self.hidden), &[signed(self.hidden), 1])
        });
        let [gates, last] = weights;
        let (gates, last) = (gates?, last?);
        let mut biases = [None, None];
        if let Some((_, bias)) = &direction.biases {
            biases[0] = Some(site.view(bias, vec![rows], 0, &[1])?);
            biases[1] = Some(site.view(bias, vec![self.hidden], signed(rows), &[1])?);
        }
        let pushed = recurrent(site, state, &gates, biases[0].as_ref())?;
        let total = |site: &mut Site, block: usize| {
            let own = self.block(site, input, block)?;
            let other =
                site.view(&pushed, vec![self.batch, self.hidden], signed(block * self.hidden), &[signed(2 * self.hidden), 1])?;
            let total = site.binary(Binary::Add, &own, &other)?;
            site.function(direction.activations[0].clone(), &total)
        };
        let (z, r) = (total(site, 0)?, total(site, 1)?);
        let reset = site.binary(Binary::Mul, &r, state)?;
        let other = recurrent(site, &reset, &last, biases[1].as_ref())?;
        let own = self.block(site, input, 2)?;
        let candidate = site.binary(Binary::Add, &own, &other)?;
        let candidate = site.function(direction.activations[1].clone(), &candidate)?;
        mixed(site, &z, &candidate, state)
    }

    fn gate(&self, site: &mut Site, input: &Slot, pushed: &Slot, block: usize) -> Result<Slot, NodeError> {
        let (own, other) = (self.block(site, input, block)?, self.block(site, pushed, block)?);
        site.binary(Binary::Add, &own, &other)
    }

    /// One gate's columns of `[batch, gates·hidden]`.
    fn block(&self, site: &mut Site, x: &Slot, block: usize) -> Result<Slot, NodeError> {
        let steps = [signed(self.cell.gates() * self.hidden), 1];
        site.view(x, vec![self.batch, self.hidden], signed(block * self.hidden), &steps)
    }

    /// `Y` of shape `[steps, directions, batch, hidden]`, and the last states; with the batch first where the layout says so.
    fn outputs(&self, site: &mut Site, results: Vec<Ran>, batch_first: bool) -> Result<Vec<Slot>, NodeError> {
        let directions = results.len();
        let plane = self.batch * self.hidden;
        let all: Vec<Slot> = results.iter().flat_map(|ran| ran.states.iter().cloned()).collect();
        let y = site.rearrange(&all, vec![self.steps, directions, self.batch, self.hidden], |index| {
            source(index[1] * self.steps + index[0], index[2] * self.hidden + index[3])
        })?;
        let y = if batch_first { site.transpose(&y, &[2, 0, 1, 3])? } else { y };
        let mut last = |slots: Vec<Slot>| {
            let joined = site.rearrange(&slots, vec![directions, plane], |index| source(index[0], index[1]))?;
            let joined = site.reshape(&joined, vec![directions, self.batch, self.hidden])?;
            if batch_first { site.transpose(&joined, &[1, 0, 2]) } else { Ok(joined) }
        };
        let (states, memories) = results.into_iter().map(|ran| (ran.state, ran.memory)).unzip();
        let mut outputs = vec![y, last(states)?];
        if self.cell == Cell::Lstm {
            outputs.push(last(memories)?);
        }
        Ok(outputs)
    }
}

struct Ran {
    states: Vec<Slot>,
    state: Slot,
    memory: Slot,
}

/// The part of that shape at a place along the first axis.
fn part(site: &mut Site, x: &Slot, index: usize, shape: Vec<usize>) -> Result<Slot, NodeError> {
    let size: usize = shape.iter().product();
    let flat = site.view(x, vec![size], signed(index.saturating_mul(size)), &[1])?;
    site.reshape(&flat, shape)
}

/// `[1, m, k]` times the transpose of `[n, k]`.
fn product(site: &mut Site, x: &Slot, weights: &Slot) -> Result<Slot, NodeError> {
    let turned = site.transpose(weights, &[1, 0])?;
    let [k, n] = site.shape(&turned)[..] else { return Err(NodeError::invalid("weights that are no matrix")) };
    let rows = extent(signed(site.shape(x)[1]), "rows")?;
    let turned = site.reshape(&turned, vec![1, k, n])?;
    site.push(Op::MatMul, &[x, &turned], vec![1, rows, n])
}

fn added(site: &mut Site, x: &Slot, bias: &Slot) -> Result<Slot, NodeError> {
    site.binary(Binary::Add, x, bias)
}

/// `(1 − z)·candidate + z·state`.
fn mixed(site: &mut Site, z: &Slot, candidate: &Slot, state: &Slot) -> Result<Slot, NodeError> {
    let one = site.scalar(1.0);
    let rest = site.binary(Binary::Sub, &one, z)?;
    let (new, old) = (site.binary(Binary::Mul, &rest, candidate)?, site.binary(Binary::Mul, z, state)?);
    site.binary(Binary::Add, &new, &old)
}
