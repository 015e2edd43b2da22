//! Deep MaxMin networks: their rows pass through every layer, so only rows in double-double arithmetic keep the
//! certificates tight. The loss is measured against the interior point's own optimum.

use nnverify::kernel::check::check_claim;
use nnverify::kernel::model::ir::{Binary, Network, NetworkBuilder, NodeId, Op, Source, Tensor};
use nnverify::kernel::proof::{Assurance, Bundle, Claim, ClaimKind, Domain, Evidence, Files, Norm, Semantics};
use nnverify::pass::lipschitz::{EngineChoice, LipschitzOptions, Outcome, Question, certify};

/// Uniform numbers in (−1, 1), the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 33).unwrap()) / f64::from(1u32 << 30) - 1.0
    }
}

/// `layers` MaxMin layers of the given width, weights of variance 1/width rounded to `f32`, then a linear layer to four
/// outputs.
fn deep_maxmin(layers: usize, width: usize) -> Network {
    let mut random = Random(1);
    let mut builder = NetworkBuilder::new();
    let mut signal = builder.push("x", "", Op::Input, &[], vec![1, 1, width]).unwrap();
    for layer in 0..=layers {
        let columns = if layer == layers { 4 } else { width };
        #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
        let weights = (0..width * columns).map(|_| f64::from((random.next() * (3.0 / width as f64).sqrt()) as f32)).collect();
        let tensor = Tensor::new(vec![1, width, columns], weights).unwrap();
        let weights = builder.push("w", "", Op::Constant(tensor), &[], vec![1, width, columns]).unwrap();
        signal = builder.push("linear", "MatMul", Op::MatMul, &[signal, weights], vec![1, 1, columns]).unwrap();
        if layer < layers {
            signal = maxmin(&mut builder, signal, width);
        }
    }
    builder.finish(signal).unwrap()
}

fn maxmin(builder: &mut NetworkBuilder, signal: NodeId, width: usize) -> NodeId {
    let half = width / 2;
    let element = |operand: usize, element: usize| Source {
        operand: u32::try_from(operand).unwrap(),
        element: u32::try_from(element).unwrap(),
    };
    let mut take = |start: usize| {
        let sources = (start..start + half).map(|i| element(0, i)).collect();
        builder.push("split", "Split", Op::Rearrange(sources), &[signal], vec![1, 1, half]).unwrap()
    };
    let (a, b) = (take(0), take(half));
    let max = builder.push("max", "Max", Op::Binary(Binary::Max), &[a, b], vec![1, 1, half]).unwrap();
    let min = builder.push("min", "Min", Op::Binary(Binary::Min), &[a, b], vec![1, 1, half]).unwrap();
    let sources = (0..width).map(|i| element(i / half, i % half)).collect();
    builder.push("concat", "Concat", Op::Rearrange(sources), &[max, min], vec![1, 1, width]).unwrap()
}

fn relative_loss(network: &Network) -> (f64, Outcome) {
    let options = LipschitzOptions { engine: EngineChoice::InteriorPoint, ..LipschitzOptions::default() };
    let outcome = certify(network, &Question::global(Norm::L2), &options, &mut |_| {}).unwrap();
    let claim = Claim {
        id: "deep".into(),
        assurance: Assurance::Proved,
        semantics: Semantics::Real,
        domain: Domain::Global,
        vacuous: false,
        kind: ClaimKind::Lipschitz(outcome.claim.clone()),
    };
    let (bundle, files) = (Bundle::default(), Files::default());
    let evidence = Evidence { network, tensors: &[], bundle: &bundle, files: &files };
    assert_eq!(check_claim(&claim, &evidence), Ok(Assurance::Proved));
    let optimum = outcome.relaxation.unwrap();
    (outcome.claim.bound.value() / optimum - 1.0, outcome)
}

#[test]
fn eighteen_and_forty_layers_close_with_a_loss_below_a_millionth() {
    for (layers, width) in [(18, 32), (40, 16)] {
        let (loss, outcome) = relative_loss(&deep_maxmin(layers, width));
        println!("{layers} layers of {width}: at most {}, loss {loss:.1e}, {:.1} s", outcome.claim.bound, outcome.seconds);
        assert!(loss < 1e-6, "{layers} layers of {width}: {:?}", outcome.notes);
    }
}
