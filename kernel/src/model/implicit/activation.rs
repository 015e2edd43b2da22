//! Activations of a description, by their ONNX names.

use serde::Deserialize;

use super::ImplicitError;
use crate::files::token;
use crate::model::ir::Function;

/// An elementwise function. Parameters have no defaults: what is proved is for the numbers of the file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Activation {
    /// Relu, LeakyRelu (alpha), Abs, Clip (min, max), Elu (alpha), Selu (alpha, gamma), Celu (alpha), Sigmoid,
    /// HardSigmoid (alpha, beta), Tanh, Softplus, Softsign, Erf, Gelu, GeluTanh, Silu, HardSwish, Mish, Sin or Cos.
    pub name: String,
    #[serde(default)]
    pub alpha: Option<f64>,
    #[serde(default)]
    pub beta: Option<f64>,
    #[serde(default)]
    pub gamma: Option<f64>,
    #[serde(default)]
    pub min: Option<f64>,
    #[serde(default)]
    pub max: Option<f64>,
}

const NAMES: &str = "Relu, LeakyRelu, Abs, Clip, Elu, Selu, Celu, Sigmoid, HardSigmoid, Tanh, Softplus, Softsign, Erf, Gelu, \
                     GeluTanh, Silu, HardSwish, Mish, Sin, Cos";

impl Activation {
    /// The function, whose slopes are bounded and not all the same.
    ///
    /// # Errors
    /// [`ImplicitError::Activation`].
    pub fn function(&self) -> Result<Function, ImplicitError> {
        let name = self.name.as_str();
        let needs: &[&str] = match name {
            "LeakyRelu" | "Elu" | "Celu" => &["alpha"],
            "Clip" => &["min", "max"],
            "Selu" => &["alpha", "gamma"],
            "HardSigmoid" => &["alpha", "beta"],
            _ => &[],
        };
        let fail = |reason: String| Err(ImplicitError::Activation(reason));
        let given = [("alpha", self.alpha), ("beta", self.beta), ("gamma", self.gamma), ("min", self.min), ("max", self.max)];
        for (parameter, value) in given {
            match (needs.contains(&parameter), value) {
                (true, None) => return fail(format!("`{}` needs `{parameter}`", token(name))),
                (false, Some(_)) => return fail(format!("`{}` has no `{parameter}`", token(name))),
                _ => {}
            }
        }
        let value = |parameter: Option<f64>| parameter.unwrap_or(f64::NAN);
        let (alpha, beta, gamma) = (value(self.alpha), value(self.beta), value(self.gamma));
        let function = match name {
            "Relu" => Function::Relu,
            "LeakyRelu" => Function::LeakyRelu { slope: alpha },
            "Abs" => Function::Abs,
            "Clip" => Function::Clip { lower: value(self.min), upper: value(self.max) },
            "Elu" => Function::Elu { alpha },
            "Selu" => Function::Selu { alpha, gamma },
            "Celu" => Function::Celu { alpha },
            "Sigmoid" => Function::Sigmoid,
            "HardSigmoid" => Function::HardSigmoid { alpha, beta },
            "Tanh" => Function::Tanh,
            "Softplus" => Function::Softplus,
            "Softsign" => Function::Softsign,
            "Erf" => Function::Erf,
            "Gelu" => Function::Gelu,
            "GeluTanh" => Function::GeluTanh,
            "Silu" => Function::Silu,
            "HardSwish" => Function::HardSwish,
            "Mish" => Function::Mish,
            "Sin" => Function::Sin,
            "Cos" => Function::Cos,
            other => return fail(format!("`{}` is not one of {NAMES}", token(other))),
        };
        match function.slope_range() {
            None => fail(format!("`{name}` has no bounded slopes with these parameters")),
            Some(slopes) if slopes.lower >= slopes.upper => fail(format!("`{name}` is linear with these parameters")),
            Some(_) => Ok(function),
        }
    }
}
