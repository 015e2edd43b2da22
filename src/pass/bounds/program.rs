//! The linear program of a network with ReLUs on a region: what the relaxation of every ReLU allows, at once (Ehlers, ATVA
//! 2017). Its dual values are slopes and multipliers with which a backward pass reaches the program's optimum (Salman et al.,
//! NeurIPS 2019). Plain `f64`; nothing here is proved.
//!
//! Variables: an input in units of its radius around its middle, what an unstable ReLU gives in units of its upper bound.

use std::collections::BTreeMap;

use super::dual::{Kind, bound, hints, multiple};
use crate::kernel::model::ir::{Function, NodeId, Op};
use crate::kernel::region::bounds::{Analysis, Elementwise, Groups, Hints, Linear, LinearRows, Relaxation, Vectorise};
use crate::solver::{LinearProgram, LinearSolution};

/// Variables of a program, at most: the engine takes their cube.
const MOST_VARIABLES: usize = 400;

/// A network's values as affine functions of the variables, on a region without phases.
#[derive(Clone, Debug)]
pub struct Program {
    /// The inputs that vary: middle and radius.
    inputs: Vec<(usize, f64)>,
    centre: Vec<f64>,
    /// The unstable ReLUs, in the order of the network.
    relus: Vec<Relu>,
    /// Outputs: `[1 + variables, outputs]`, the constants first.
    outputs: Vec<f64>,
}

#[derive(Clone, Debug)]
struct Relu {
    node: NodeId,
    element: usize,
    /// The operand: the constant, then the coefficients of all variables before this one.
    operand: Vec<f64>,
    /// What one unit of its variable is.
    unit: f64,
}

/// A bound with what it takes, and the point of the relaxation where it is attained.
#[derive(Clone, Debug)]
pub struct Solved {
    /// By a backward pass, not by the engine.
    pub bound: f64,
    pub hints: Hints,
    /// Inputs; `None` where no input satisfies the phases.
    pub input: Option<Vec<f64>>,
    /// Unstable ReLUs whose relaxation the bound uses, and what it loses there, the most first.
    pub losses: Vec<(f64, (NodeId, usize))>,
}

/// The same for a sum of several rows.
#[derive(Clone, Debug)]
pub struct Combined {
    pub weights: Vec<f64>,
    pub hints: Hints,
    pub refuted: bool,
    pub input: Option<Vec<f64>>,
    pub losses: Vec<(f64, (NodeId, usize))>,
}

/// A multiple of what says that there is no point is worth as much as one likes, until rounding counts.
const FACTORS: [f64; 3] = [1e2, 1e4, 1e6];

impl Program {
    /// `None` where the network does more than linear functions and ReLUs, or there are too many of them.
    #[must_use]
    pub fn new(analysis: &Analysis) -> Option<Self> {
        let network = analysis.network();
        let bounds = analysis.region().bounds();
        let varying = bounds.lower().iter().zip(bounds.upper()).enumerate().filter(|(_, (l, u))| l < u);
        let inputs: Vec<(usize, f64)> = varying.map(|(i, (l, u))| (i, (u - l) / 2.0)).collect();
        let variables = inputs.len() + analysis.flexible().count();
        if variables > MOST_VARIABLES {
            return None;
        }
        let mut program = Self { inputs, centre: bounds.centre(), relus: Vec::new(), outputs: Vec::new() };
        let mut forms: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for id in network.ids().filter(|&id| network.node(id).variable) {
            let form = program.form(analysis, id, &forms, 1 + variables)?;
            forms.insert(id.index(), form);
        }
        program.outputs = forms.remove(&network.output().index())?;
        Some(program)
    }

    /// How many variables there are.
    #[must_use]
    pub fn variables(&self) -> usize {
        self.inputs.len() + self.relus.len()
    }

    /// A node's elements, `[1 + variables, elements]`.
    fn form(&mut self, analysis: &Analysis, id: NodeId, forms: &BTreeMap<usize, Vec<f64>>, rows: usize) -> Option<Vec<f64>> {
        let network = analysis.network();
        let node = network.node(id);
        let size = node.size();
        let operand = |position: usize| forms.get(&node.operands[position].index());
        let constant = |position: usize| -> Vec<f64> {
            analysis.node(node.operands[position]).iter().map(|x| x.lower / 2.0 + x.upper / 2.0).collect()
        };
        let mut form = vec![0.0; rows * size];
        match &analysis.relaxed(id)?.relaxation {
            Relaxation::Input => {
                form[..size].copy_from_slice(&self.centre);
                self.inputs.iter().enumerate().for_each(|(at, &(input, radius))| form[(1 + at) * size + input] = radius);
            }
            Relaxation::Same => form.clone_from(operand(0)?),
            Relaxation::Moved => {
                let Op::Rearrange(sources) = &node.op else { return None };
                let constants: Vec<Vec<f64>> = (0..node.operands.len()).map(constant).collect();
                for (j, source) in sources.iter().enumerate() {
                    let (position, element) = (source.operand as usize, source.element as usize);
                    match operand(position) {
                        Some(from) => {
                            let width = network.node(node.operands[position]).size();
                            (0..rows).for_each(|row| form[row * size + j] = from[row * width + element]);
                        }
                        None => form[j] = constants[position][element],
                    }
                }
            }
            Relaxation::Sum { second } => {
                for (position, sign) in [(0, 1.0), (1, *second)] {
                    match operand(position) {
                        Some(from) => form.iter_mut().zip(from).for_each(|(x, y)| *x += sign * y),
                        None => form.iter_mut().zip(constant(position)).for_each(|(x, y)| *x += sign * y),
                    }
                }
            }
            Relaxation::Product => {
                let sizes = [0, 1].map(|p| network.node(node.operands[p]).size());
                let linear = Linear::of(node, sizes[0])?;
                let constants = [0, 1].map(|p| if operand(p).is_some() { Vec::new() } else { constant(p) });
                for (row, out) in form.chunks_exact_mut(size).enumerate() {
                    let side = |p: usize| match operand(p) {
                        Some(from) => &from[row * sizes[p]..(row + 1) * sizes[p]],
                        None => &constants[p][..],
                    };
                    linear.accumulate(side(0), |x| x, side(1), |w| w, out);
                }
            }
            Relaxation::Elementwise(lines) if node.op == Op::Function(Function::Relu) => {
                self.activate(analysis, id, lines, operand(0)?, &mut form);
            }
            Relaxation::Elementwise(lines) => {
                let exact = lines.lower_offset == lines.upper_offset && lines.sides.iter().all(|side| side.1 == side.2);
                if !exact {
                    return None;
                }
                form[..size].copy_from_slice(&lines.lower_offset);
                for (position, slopes, _) in &lines.sides {
                    for (out, from) in form.chunks_exact_mut(size).zip(operand(*position)?.chunks_exact(size)) {
                        out.iter_mut().zip(from).zip(slopes).for_each(|((out, x), slope)| *out += slope * x);
                    }
                }
            }
            Relaxation::Groups(groups) => grouped(groups, operand(0)?, size, &mut form)?,
            Relaxation::Bilinear | Relaxation::Constant => return None,
        }
        Some(form)
    }

    /// Stable ReLUs pass on or nothing; every unstable one gives a variable.
    fn activate(&mut self, analysis: &Analysis, id: NodeId, lines: &Elementwise, from: &[f64], form: &mut [f64]) {
        let bounds = analysis.node(analysis.network().node(id).operands[0]);
        let size = bounds.len();
        for (element, x) in bounds.iter().enumerate() {
            if lines.least_slope.get(element).is_some_and(|least| !least.is_nan()) {
                let before = 1 + self.variables();
                let operand = (0..before).map(|row| from[row * size + element]).collect();
                form[before * size + element] = x.upper;
                self.relus.push(Relu { node: id, element, operand, unit: x.upper });
            } else if x.lower >= 0.0 {
                (0..form.len() / size).for_each(|row| form[row * size + element] = from[row * size + element]);
            }
        }
    }

    /// A lower bound of one row inside the phases of `analysis`, which stands on the region that the program was made for.
    #[must_use]
    pub fn solve(&self, analysis: &Analysis, row: &LinearRows, vectors: &impl Vectorise) -> Option<Solved> {
        let affine = self.affine(row);
        let unit = size(&affine);
        let (mut program, kinds) = self.constraints(analysis);
        program.objective = affine[1..].iter().map(|c| c / unit).collect();
        match program.solve()? {
            LinearSolution::Point { variables, duals } => {
                let duals: Vec<f64> = duals.iter().map(|dual| dual * unit).collect();
                let hints = hints(analysis, &kinds, &duals);
                let bound = bound(analysis, row, &hints, vectors)?;
                let losses = self.losses(&kinds, &duals, &variables);
                Some(Solved { bound, hints, input: Some(self.input(&variables)), losses })
            }
            LinearSolution::Infeasible { duals } => {
                let scaled = |factor: f64| {
                    let hints = hints(analysis, &kinds, &multiple(&duals, unit * factor));
                    bound(analysis, row, &hints, vectors).map(|bound| (bound, hints))
                };
                let tried = FACTORS.into_iter().filter_map(scaled);
                let (bound, hints) = tried.max_by(|a, b| a.0.total_cmp(&b.0))?;
                Some(Solved { bound, hints, input: None, losses: Vec::new() })
            }
        }
    }

    /// Where the greatest of several rows is least, and with which weights of the rows, which are not negative, their sum is
    /// bounded there: by `judge`, for those weights and hints.
    #[must_use]
    pub fn solve_all(&self, analysis: &Analysis, rows: &LinearRows, judge: impl Fn(&[f64], &Hints) -> bool) -> Option<Combined> {
        let (mut program, kinds) = self.constraints(analysis);
        let (first, greatest) = (program.rows.len(), self.variables());
        let units: Vec<f64> = (0..rows.constants.len())
            .map(|row| {
                let affine = self.affine(&rows.row(row));
                let unit = size(&affine);
                let coefficients = affine[1..].iter().map(|c| c / unit).chain([-1.0]);
                program.push(coefficients.enumerate().collect(), -affine[0] / unit);
                unit
            })
            .collect();
        program.objective = vec![0.0; greatest];
        program.objective.push(1.0);
        match program.solve()? {
            LinearSolution::Point { variables, duals } => {
                let weights: Vec<f64> = duals[first..].iter().zip(&units).map(|(dual, unit)| dual.max(0.0) / unit).collect();
                let hints = hints(analysis, &kinds, &duals);
                let refuted = judge(&weights, &hints);
                let losses = self.losses(&kinds, &duals, &variables);
                Some(Combined { weights, hints, refuted, input: Some(self.input(&variables)), losses })
            }
            LinearSolution::Infeasible { duals } => {
                let weights: Vec<f64> = units.iter().map(|unit| 1.0 / unit).collect();
                let mut tried = FACTORS.into_iter().map(|factor| hints(analysis, &kinds, &multiple(&duals, factor)));
                let hints = tried.find(|hints| judge(&weights, hints))?;
                Some(Combined { weights, hints, refuted: true, input: None, losses: Vec::new() })
            }
        }
    }

    /// A row as an affine function of the variables, the constant first.
    fn affine(&self, row: &LinearRows) -> Vec<f64> {
        let outputs = row.coefficients.len().max(1);
        let forms = self.outputs.chunks_exact(outputs);
        let mut affine: Vec<f64> = forms.map(|form| form.iter().zip(&row.coefficients).map(|(x, l)| x * l).sum()).collect();
        affine[0] += row.constants[0];
        affine
    }

    fn input(&self, variables: &[f64]) -> Vec<f64> {
        let mut input = self.centre.clone();
        self.inputs.iter().zip(variables).for_each(|(&(at, radius), t)| input[at] += radius * t.clamp(-1.0, 1.0));
        input
    }

    /// The rows of the program, and what the dual values of each ReLU stand for.
    fn constraints(&self, analysis: &Analysis) -> (LinearProgram, Vec<Kind>) {
        let mut equations = LinearProgram::default();
        let mut others = LinearProgram::default();
        for variable in 0..self.inputs.len() {
            for sign in [1.0, -1.0] {
                others.push(vec![(variable, sign)], 1.0);
            }
        }
        let mut kinds = Vec::new();
        for (position, relu) in self.relus.iter().enumerate() {
            let variable = self.inputs.len() + position;
            let x = analysis.node(analysis.network().node(relu.node).operands[0]).at(relu.element);
            let norm = x.upper.max(-x.lower).max(f64::MIN_POSITIVE);
            // A multiple of the operand and of the variable, at most so much: all divided by the size of the operand.
            let row = |z: f64, y: f64, most: f64| {
                let mut entries: Vec<(usize, f64)> = relu.operand[1..].iter().map(|c| z * c / norm).enumerate().collect();
                entries.push((variable, y * relu.unit / norm));
                (entries, (most - z * relu.operand[0]) / norm)
            };
            let first = others.rows.len();
            match analysis.phases().get(&(relu.node, relu.element)) {
                Some(true) => {
                    let (entries, right) = row(-1.0, 1.0, 0.0);
                    equations.push(entries, right);
                    let (entries, right) = row(-1.0, 0.0, 0.0);
                    others.push(entries, right);
                }
                Some(false) => {
                    equations.push(vec![(variable, 1.0)], 0.0);
                    let (entries, right) = row(1.0, 0.0, 0.0);
                    others.push(entries, right);
                }
                None => {
                    let chord = x.upper / (x.upper - x.lower);
                    others.push(vec![(variable, -1.0)], 0.0);
                    let (entries, right) = row(1.0, -1.0, 0.0);
                    others.push(entries, right);
                    let (entries, right) = row(-chord, 1.0, -chord * x.lower);
                    others.push(entries, right);
                }
            }
            let fixed = analysis.phases().contains_key(&(relu.node, relu.element));
            kinds.push(Kind { relu: (relu.node, relu.element), fixed, row: first, norm, unit: relu.unit, x });
        }
        let count = equations.rows.len();
        kinds.iter_mut().for_each(|kind| kind.row += count);
        equations.rows.append(&mut others.rows);
        equations.right.append(&mut others.right);
        equations.equations = count;
        (equations, kinds)
    }

    /// What the upper lines of unstable ReLUs lose where the program's optimum lies.
    fn losses(&self, kinds: &[Kind], duals: &[f64], variables: &[f64]) -> Vec<(f64, (NodeId, usize))> {
        let mut losses: Vec<(f64, (NodeId, usize))> = Vec::new();
        for (position, (relu, kind)) in self.relus.iter().zip(kinds).enumerate().filter(|(_, (_, kind))| !kind.fixed) {
            let z = relu.operand[0] + relu.operand[1..].iter().zip(variables).map(|(c, v)| c * v).sum::<f64>();
            let y = relu.unit * variables[self.inputs.len() + position];
            let gap = (y - z.max(0.0)).max(0.0);
            // What is not used now may be when its neighbours are fixed.
            losses.push((gap * (kind.upper(duals) + 1e-9), kind.relu));
        }
        losses.sort_by(|a, b| b.0.total_cmp(&a.0));
        losses
    }
}

impl LinearProgram {
    fn push(&mut self, entries: Vec<(usize, f64)>, right: f64) {
        self.rows.push(entries);
        self.right.push(right);
    }
}

/// The largest coefficient of a variable, or 1.
fn size(affine: &[f64]) -> f64 {
    let size = affine[1..].iter().map(|c| c.abs()).fold(0.0, f64::max);
    if size > 0.0 { size } else { 1.0 }
}

/// Sums and means.
fn grouped(groups: &Groups, from: &[f64], size: usize, form: &mut [f64]) -> Option<()> {
    if groups.lower != groups.upper || groups.lower_offset != groups.upper_offset {
        return None;
    }
    let width = size / groups.outputs.max(1) * groups.inputs;
    form[..size].copy_from_slice(&groups.lower_offset);
    for (out, from) in form.chunks_exact_mut(size).zip(from.chunks_exact(width.max(1))) {
        for (j, out) in out.iter_mut().enumerate() {
            let slopes = &groups.lower[j * groups.inputs..(j + 1) * groups.inputs];
            let from = &from[j / groups.outputs * groups.inputs..][..groups.inputs];
            *out += slopes.iter().zip(from).map(|(slope, x)| slope * x).sum::<f64>();
        }
    }
    Some(())
}
