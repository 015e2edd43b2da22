//! `verify MODEL --inverse-hessian`: options of the inverse-Hessian pass.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::analysis::CommonArguments;
use super::{Failure, objective};
use crate::kernel::proof::CurvatureMatrix;
use crate::query::{InverseHessianQuery, Query};

#[derive(clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Curvature")]
pub struct Arguments {
    /// Products with the inverse of F = λI + (1/m) Σ g gᵀ (M-FAC)
    #[arg(long, group = "pass", requires = "damping")]
    inverse_hessian: bool,
    /// The damping λ; it is never raised silently
    #[arg(long, value_name = "LAMBDA", requires = "inverse_hessian", value_parser = super::hessian::positive)]
    damping: Option<f64>,
    /// What the g are
    #[arg(long, value_enum, value_name = "MATRIX", default_value = "empirical-fisher", requires = "inverse_hessian")]
    matrix: Matrix,
    /// How many of them, from the first on [default: all]
    #[arg(long, value_name = "M", requires = "inverse_hessian", value_parser = clap::value_parser!(u32).range(1..))]
    gradients: Option<u32>,
    /// The vector to multiply, over all parameters in the file's order; `-o` writes the product as .npy [default: the mean of the g]
    #[arg(long, value_name = "V.NPY", requires = "inverse_hessian")]
    product: Option<PathBuf>,
    /// Remove this share of the weights where the quadratic model says it costs least, and update the others
    #[arg(long, value_name = "SHARE", num_args = 0..=1, default_missing_value = "0.25", requires = "inverse_hessian", value_parser = super::units::share)]
    pruning: Option<f64>,
    /// Where to write the pruned model [default: beside the model, `.pruned.onnx`]
    #[arg(long, value_name = "FILE", requires = "pruning")]
    pruned_model: Option<PathBuf>,
    /// Leverage of every sample, the most suspicious labels first
    #[arg(long, requires = "inverse_hessian")]
    influence: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Matrix {
    /// Gradients of the samples' losses
    EmpiricalFisher,
    /// Rows of the Jacobians, weighted by the loss: for networks that interpolate, whose gradients vanish
    GaussNewton,
}

impl Arguments {
    /// # Errors
    /// A loss, samples or a damping that are missing.
    pub fn query(&self, objective: &objective::Arguments, common: &CommonArguments) -> Result<Option<Query>, Failure> {
        if !self.inverse_hessian {
            return Ok(None);
        }
        Ok(Some(Query::InverseHessian(InverseHessianQuery {
            objective: objective.query(common, "--inverse-hessian")?,
            matrix: match self.matrix {
                Matrix::EmpiricalFisher => CurvatureMatrix::EmpiricalFisher,
                Matrix::GaussNewton => CurvatureMatrix::GaussNewton,
            },
            damping: self.damping.ok_or_else(|| Failure::error("`--inverse-hessian` needs `--damping`"))?,
            gradients: self.gradients,
            vector: self.product.clone(),
            pruning: self.pruning,
            influence: self.influence,
        })))
    }

    /// Whether a vector was named, so that its product is a result.
    pub const fn names_vector(&self) -> bool {
        self.product.is_some()
    }

    /// Where the pruned model goes, where there is one.
    pub fn pruned_model(&self, model: &Path) -> Option<PathBuf> {
        self.pruning.map(|_| self.pruned_model.clone().unwrap_or_else(|| model.with_extension("pruned.onnx")))
    }
}
