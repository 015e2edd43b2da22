//! A soundness campaign: random small networks of every activation and several architectures, in all norms, everywhere and
//! on boxes; points, directions and pairs are sampled and improved, and no certified bound may lie below what is attained.
//!
//! 80 networks by default, as many as `NNVERIFY_CAMPAIGN` says otherwise.

use nnverify::autodiff::Linearisation;
use nnverify::kernel::check::check_claim;
use nnverify::kernel::model::ir::{Binary, Function, Network, NetworkBuilder, NodeId, Op, Reduction, Source, Tensor, Values};
use nnverify::kernel::proof::{Assurance, Bundle, Claim, ClaimKind, Domain, Evidence, Files, Norm, Semantics, Vector};
use nnverify::kernel::region::bounds::BoxRegion;
use nnverify::pass::lipschitz::{LipschitzOptions, Question, certify};

/// Relative slack for what the attack itself rounds.
const ROUNDING: f64 = 1e-9;

struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// In (−1, 1).
    fn signed(&mut self) -> f64 {
        self.bits() as f64 / f64::from(1u32 << 30) - 1.0
    }

    fn below(&mut self, n: usize) -> usize {
        self.bits() as usize % n
    }
}

/// A random network under construction.
struct Draft {
    builder: NetworkBuilder,
    random: Random,
}

impl Draft {
    fn constant(&mut self, shape: &[usize], scale: f64) -> NodeId {
        let data = (0..shape.iter().product()).map(|_| f64::from((scale * self.random.signed()) as f32)).collect();
        let tensor = Tensor::new(shape.to_vec(), data).unwrap();
        self.builder.push("constant", "", Op::Constant(tensor), &[], shape.to_vec()).unwrap()
    }

    fn size(&self, node: NodeId) -> usize {
        self.builder.node(node).size()
    }

    fn push(&mut self, op: Op, operands: &[NodeId], size: usize) -> NodeId {
        self.builder.push("node", "", op, operands, vec![1, 1, size]).unwrap()
    }

    fn linear(&mut self, signal: NodeId, outputs: usize) -> NodeId {
        let inputs = self.size(signal);
        let weights = self.constant(&[1, inputs, outputs], 2.0 / (inputs as f64).sqrt());
        let product = self.push(Op::MatMul, &[signal, weights], outputs);
        let bias = self.constant(&[1, 1, outputs], 0.5);
        self.push(Op::Binary(Binary::Add), &[product, bias], outputs)
    }

    fn rows(&mut self, signal: NodeId, op: Op, size: usize) -> NodeId {
        let all = self.size(signal);
        let rows = self.builder.push("rows", "", Op::Reshape, &[signal], vec![all / size, size]).unwrap();
        let shape = if matches!(op, Op::Reduce(_)) { vec![all / size] } else { vec![all / size, size] };
        let result = self.builder.push("op", "", op, &[rows], shape).unwrap();
        let size = self.size(result);
        self.push(Op::Reshape, &[result], size)
    }

    /// MaxMin of neighbours.
    fn maxmin(&mut self, signal: NodeId) -> NodeId {
        let size = self.size(signal);
        let pick = |draft: &mut Self, parity: usize| {
            let sources = (0..size / 2).map(|i| Source { operand: 0, element: (2 * i + parity) as u32 }).collect();
            draft.push(Op::Rearrange(sources), &[signal], size / 2)
        };
        let (a, b) = (pick(self, 0), pick(self, 1));
        let max = self.push(Op::Binary(Binary::Max), &[a, b], size / 2);
        let min = self.push(Op::Binary(Binary::Min), &[a, b], size / 2);
        let sources = (0..size).map(|i| Source { operand: (i % 2) as u32, element: (i / 2) as u32 }).collect();
        self.push(Op::Rearrange(sources), &[max, min], size)
    }

    fn activation(&mut self, signal: NodeId) -> NodeId {
        let size = self.size(signal);
        let functions = [
            Function::Relu,
            Function::LeakyRelu { slope: 0.125 },
            Function::Abs,
            Function::Tanh,
            Function::Sigmoid,
            Function::Softplus,
            Function::Elu { alpha: 1.5 },
            Function::Gelu,
            Function::Silu,
            Function::Mish,
            Function::HardSwish,
            Function::Clip { lower: -0.5, upper: 1.0 },
            Function::Softsign,
            Function::Erf,
            Function::Sin,
            Function::Selu { alpha: 1.673_263_242_354_377_2, gamma: 1.050_700_987_355_480_5 },
        ];
        match self.random.below(functions.len() + 6) {
            i if i < functions.len() => self.push(Op::Function(functions[i].clone()), &[signal], size),
            16 | 17 => self.maxmin(signal),
            18 => self.rows(signal, Op::Sort { descending: false }, 3),
            19 => self.rows(signal, Op::Sort { descending: true }, 6),
            20 => self.rows(signal, Op::Softmax, 6),
            _ => self.rows(signal, Op::Reduce(Reduction::Max), 2),
        }
    }
}

/// Two or three layers, a third of them with skips.
fn draw(seed: u64) -> Network {
    let mut draft = Draft { builder: NetworkBuilder::new(), random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1) };
    let inputs = 1 + draft.random.below(5);
    let mut signal = draft.builder.push("x", "", Op::Input, &[], vec![1, 1, inputs]).unwrap();
    for _ in 0..=draft.random.below(3) {
        signal = draft.linear(signal, 6);
        let bent = draft.activation(signal);
        let skip = draft.random.below(3) == 0 && draft.size(bent) == 6;
        signal = if skip { draft.push(Op::Binary(Binary::Add), &[signal, bent], 6) } else { bent };
    }
    let outputs = 1 + draft.random.below(3);
    let output = draft.linear(signal, outputs);
    draft.builder.finish(output).unwrap()
}

fn norm(values: &[f64], norm: Norm) -> f64 {
    match norm {
        Norm::L1 => values.iter().map(|x| x.abs()).sum(),
        Norm::L2 => values.iter().map(|x| x * x).sum::<f64>().sqrt(),
        Norm::Linf => values.iter().fold(0.0, |max, x| f64::max(max, x.abs())),
    }
}

/// The largest quotient found by sampling, power iteration and short steps.
fn attained(network: &Network, question: &Question, random: &mut Random) -> f64 {
    let inputs = network.input_size();
    let constants = Values::constants(network).unwrap();
    let inside = |point: Vec<f64>| -> Vec<f64> {
        match &question.region {
            Some(region) => {
                let sides = region.lower().iter().zip(region.upper());
                point.iter().zip(sides).map(|(x, (lower, upper))| x.clamp(*lower, *upper)).collect()
            }
            None => point,
        }
    };
    let output = |point: &[f64]| Linearisation::new(network, &constants, point).unwrap().output().to_vec();
    let (mut largest, mut best) = (0.0f64, vec![0.0; inputs]);
    for trial in 0..60 {
        let spread = 4.0 / f64::from(1 + trial % 6);
        let centre = if trial % 2 == 0 { vec![0.0; inputs] } else { best.clone() };
        let point = inside(centre.iter().map(|c| c + spread * random.signed()).collect());
        let at = Linearisation::new(network, &constants, &point).unwrap();
        let mut direction: Vec<f64> = (0..inputs).map(|_| random.signed()).collect();
        for _ in 0..12 {
            let image = at.forward(&direction);
            let back = match question.norm {
                Norm::L1 => at.backward(&image.iter().map(|x| x.signum()).collect::<Vec<_>>()),
                Norm::L2 | Norm::Linf => at.backward(&image),
            };
            direction = match question.norm {
                Norm::L1 => {
                    let peak = back.iter().fold(0.0, |peak: f64, x| peak.max(x.abs()));
                    back.iter().map(|x| if x.abs() < peak { 0.0 } else { *x }).collect()
                }
                Norm::L2 => back,
                Norm::Linf => back.iter().map(|x| x.signum()).collect(),
            };
            let length = norm(&direction, question.norm);
            if length == 0.0 {
                break;
            }
            direction.iter_mut().for_each(|d| *d /= length);
        }
        // Pairs of points, near and far: unlike a Jacobian at a kink, what they attain is attained.
        for step in [1e-4, 1e-2, 1.0] {
            let other = inside(point.iter().zip(&direction).map(|(x, d)| x + step * d).collect());
            let between: Vec<f64> = point.iter().zip(&other).map(|(a, b)| a - b).collect();
            let distance = norm(&between, question.norm);
            if distance < 1e-6 {
                continue;
            }
            let difference: Vec<f64> = output(&point).iter().zip(output(&other)).map(|(a, b)| a - b).collect();
            let quotient = norm(&difference, question.norm) / distance;
            if quotient > largest {
                (largest, best) = (quotient, point.clone());
            }
        }
    }
    largest
}

#[test]
fn no_bound_lies_below_what_is_attained() {
    let count = std::env::var("NNVERIFY_CAMPAIGN").ok().and_then(|text| text.parse().ok()).unwrap_or(80u64);
    let options = LipschitzOptions::default();
    let (mut violations, mut bounded, mut ratio) = (0, 0, 0.0);
    for seed in 0..count {
        let network = draw(seed);
        let mut random = Random(seed + 1);
        let region = (seed % 3 == 0).then(|| {
            let centre: Vec<f64> = (0..network.input_size()).map(|_| random.signed()).collect();
            BoxRegion::around(&centre, 0.3).unwrap()
        });
        let norm = [Norm::L2, Norm::Linf, Norm::L1, Norm::L2][seed as usize % 4];
        let question = Question { norm, region: region.clone(), margins: seed % 8 < 3 };
        let outcome = certify(&network, &question, &options, &mut |_| {}).unwrap();
        let claim = Claim {
            vacuous: false,
            id: "campaign".into(),
            assurance: Assurance::Proved,
            semantics: Semantics::Real,
            domain: region.map_or(Domain::Global, |region| Domain::Box {
                lower: Vector::inline(region.lower()),
                upper: Vector::inline(region.upper()),
            }),
            kind: ClaimKind::Lipschitz(outcome.claim.clone()),
        };
        let (bundle, files) = (Bundle::default(), Files::default());
        let evidence = Evidence { network: &network, tensors: &[], bundle: &bundle, files: &files };
        assert_eq!(check_claim(&claim, &evidence), Ok(Assurance::Proved), "network {seed}");
        let bound = outcome.claim.bound.value();
        let attained = attained(&network, &question, &mut random);
        let lower = outcome.claim.lower_bound.map_or(0.0, |lower| lower.value());
        if attained > bound * (1.0 + ROUNDING) + 1e-9 || lower > bound {
            violations += 1;
            println!("network {seed}: bound {bound}, attained {attained}, certified lower bound {lower}");
        }
        bounded += 1;
        ratio += attained.max(lower) / bound.max(f64::MIN_POSITIVE);
    }
    println!("{bounded} networks, {violations} violations, attained/bound {:.3} on average", ratio / f64::from(bounded));
    assert_eq!(violations, 0);
    // The attack is one: what it attains is a good part of the bound.
    assert!(ratio / f64::from(bounded) > 0.5, "{}", ratio / f64::from(bounded));
}
