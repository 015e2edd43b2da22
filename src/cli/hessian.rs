//! `verify MODEL --hessian-trace`: options of the curvature pass.

use super::analysis::CommonArguments;
use super::{Failure, objective};
use crate::kernel::proof::CurvatureMatrix;
use crate::query::{HessianTraceQuery, Query, Sgd};

#[derive(clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Curvature")]
pub struct Arguments {
    /// Traces, norms and eigenvalues of the Hessian and the Gauss-Newton matrix of the loss
    #[arg(long, group = "pass")]
    hessian_trace: bool,
    /// The matrix whose trace is claimed [default: the Hessian where that is proved or estimated, else the Gauss-Newton matrix]
    #[arg(long, value_enum, value_name = "MATRIX", requires = "hessian_trace")]
    trace_of: Option<TraceOf>,
    /// Is SGD with this learning rate mean-square stable here?
    #[arg(long, value_name = "ETA", requires_all = ["hessian_trace", "batch_size"], value_parser = positive)]
    learning_rate: Option<f64>,
    /// Batch size of SGD
    #[arg(long, value_name = "N", requires_all = ["hessian_trace", "learning_rate"], value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum TraceOf {
    /// Of the mean loss
    Hessian,
    /// The Hessian without the curvature of the network itself
    GaussNewton,
}

impl Arguments {
    /// # Errors
    /// A loss or samples that are missing.
    pub fn query(&self, objective: &objective::Arguments, common: &CommonArguments) -> Result<Option<Query>, Failure> {
        if !self.hessian_trace {
            return Ok(None);
        }
        let sgd = self.learning_rate.zip(self.batch_size);
        Ok(Some(Query::HessianTrace(HessianTraceQuery {
            objective: objective.query(common, "--hessian-trace")?,
            matrix: self.trace_of.map(|of| match of {
                TraceOf::Hessian => CurvatureMatrix::Hessian,
                TraceOf::GaussNewton => CurvatureMatrix::GaussNewton,
            }),
            sgd: sgd.map(|(learning_rate, batch_size)| Sgd { learning_rate, batch_size }),
        })))
    }
}

pub fn positive(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value > 0.0 && value.is_finite() { Ok(value) } else { Err("must be positive".to_owned()) }
}
