//! Which questions can be asked of a model, and why the others cannot: what `verify inspect` lists.
//!
//! Data, regions and limits are not looked at: a question that can be asked may still find no answer.

use super::error::QueryError;
use crate::kernel::lipschitz::form::{Form, Segment, SortForm};
use crate::kernel::model::onnx::Model;
use crate::kernel::region::MOST_TIGHTNESS_OUTPUTS;
use crate::kernel::region::bounds::{Propagator, Semantics};
use crate::pass::derivatives::{Circuit, Loss, Parameters, Selection};
use crate::pass::lipschitz::MOST_FUNCTIONALS;

/// A question, by its options, and whether it can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ability {
    pub question: &'static str,
    /// Why it cannot be.
    pub obstacle: Option<String>,
}

/// Returns every question, in the order of the command's help.
#[must_use]
pub fn abilities(model: &Model) -> Vec<Ability> {
    let network = &model.network;
    let outputs = network.output_size();
    let mut found = Vec::new();
    let mut tell = |question, obstacle: Result<(), String>| found.push(Ability { question, obstacle: obstacle.err() });

    let form = Form::new(network, Segment::whole(network), SortForm::Comparators).map(drop).map_err(|error| error.to_string());
    let few = || {
        let why = format!("it has {outputs} outputs, each a program of its own; {MOST_FUNCTIONALS} are tried");
        if outputs > MOST_FUNCTIONALS { Err(why) } else { Ok(()) }
    };
    let several = |what: &str| if outputs < 2 { Err(what.to_owned()) } else { Ok(()) };
    tell("lipschitz l2", form.clone());
    tell("lipschitz linf", form.clone().and_then(|()| few()));
    tell("lipschitz l1", form.clone());
    tell("lipschitz --per-margin", form.and_then(|()| several("one output has no margins")).and_then(|()| few()));

    let implicit = || match network.implicit() {
        Some(node) => Err(format!("node `{}` ({}) is an implicit equation", node.name, node.operator)),
        None => Ok(()),
    };
    let bounded =
        |semantics| implicit().and_then(|()| Propagator::new(network, semantics).map(drop).map_err(|error| error.to_string()));
    let real = bounded(Semantics::Real);
    tell("lipschitz --region", real.clone());
    tell("spec", real.clone());
    tell(
        "robust",
        real.clone().and_then(|()| several("one output has no classes; `--threshold` and `--max-change` ask about it")),
    );
    let one = |()| if outputs == 1 { Ok(()) } else { Err(QueryError::NotOneOutput { outputs }.to_string()) };
    tell("robust --threshold", real.clone().and_then(one));
    tell("robust --max-change", real.clone());
    tell("spec, robust --semantics float32", bounded(Semantics::Float32));
    let rows = || {
        let why = format!("it has {outputs} outputs, and {MOST_TIGHTNESS_OUTPUTS} are the most");
        if outputs > MOST_TIGHTNESS_OUTPUTS { Err(why) } else { Ok(()) }
    };
    tell("tightness", real.clone().and_then(|()| several("one output has no margins: `--not-elided`")).and_then(|()| rows()));
    tell("tightness --not-elided", real.and_then(|()| rows()));

    let derived = |loss: Loss| {
        implicit()?;
        let parameters = Parameters::of(model, &Selection::default()).map_err(|error| error.to_string())?;
        let (output, _) = loss.output(network);
        if loss == Loss::CrossEntropy && network.node(output).size() < 2 {
            return Err(QueryError::OneLogit.to_string());
        }
        Circuit::new(network, output, parameters).map(drop).map_err(|error| error.to_string())
    };
    let (squares, entropy) = (derived(Loss::Mse), derived(Loss::CrossEntropy));
    tell("hessian-trace --loss mse", squares.clone());
    tell("hessian-trace --loss cross-entropy", entropy.clone());
    tell("hessian-trace --learning-rate (stability), --loss mse", squares.clone());
    let minimiser = |()| Err(QueryError::NoMinimiser.to_string());
    tell("hessian-trace --learning-rate (stability), --loss cross-entropy", entropy.clone().and_then(minimiser));
    tell("inverse-hessian --loss mse", squares);
    tell("inverse-hessian --loss cross-entropy", entropy);
    found
}
