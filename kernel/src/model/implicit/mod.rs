//! Implicit (equilibrium) networks as JSON: `z = φ(W z + U x + b)`, `y = C z + d`.
//!
//! Numbers are decimals that are read as the nearest `f64`; what is proved is proved for these. Reading is total: size limits
//! come before memory, keys that are not known, shapes that do not fit and activations without bounded slopes are
//! refused. That the equation has a solution is not looked at here. It must not know what the network is used for.

mod activation;
mod bounded;

use serde::Deserialize;

use crate::model::ir::{Binary, Network, NetworkBuilder, NodeId, Op, ShapeError, Tensor};
pub use activation::Activation;

/// What `schema` says.
pub const SCHEMA: &str = "nnverify-implicit/1";
/// Bytes of a file.
const MAX_BYTES: usize = 1 << 26;
/// Inputs, outputs and unknowns.
const MAX_ORDER: usize = 4096;

/// An implicit network: `z = φ(W z + U x + b)`, `y = C z + d`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// `nnverify-implicit/1`.
    pub schema: String,
    /// What made it, for people.
    #[serde(default)]
    pub producer: String,
    pub activation: Activation,
    /// `n × n`, by rows: what the unknowns feed back.
    #[serde(rename = "W", deserialize_with = "bounded::matrix")]
    pub feedback: Vec<Vec<f64>>,
    /// `n × inputs`, by rows.
    #[serde(rename = "U", deserialize_with = "bounded::matrix")]
    pub input: Vec<Vec<f64>>,
    /// `n` offsets; zero without.
    #[serde(default, deserialize_with = "bounded::vector")]
    pub b: Option<Vec<f64>>,
    /// `outputs × n`, by rows.
    #[serde(rename = "C", deserialize_with = "bounded::matrix")]
    pub output: Vec<Vec<f64>>,
    /// `outputs` offsets; zero without.
    #[serde(default, deserialize_with = "bounded::vector")]
    pub d: Option<Vec<f64>>,
}

/// Why a description cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImplicitError {
    #[error("it is larger than the limit of {MAX_BYTES} bytes")]
    TooLarge,
    #[error("{0}")]
    Json(String),
    #[error("its `schema` is not `{SCHEMA}`")]
    Schema,
    #[error("`{array}`: {reason}")]
    Array { array: &'static str, reason: String },
    #[error("`activation`: {0}")]
    Activation(String),
    #[error("{0}")]
    Shape(#[from] ShapeError),
}

/// Whether a file looks like a description: whether it is JSON.
#[must_use]
pub fn is_description(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first() == Some(&b'{')
}

impl Description {
    /// # Errors
    /// [`ImplicitError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ImplicitError> {
        if bytes.len() > MAX_BYTES {
            return Err(ImplicitError::TooLarge);
        }
        let description: Self = serde_json::from_slice(bytes)
            .map_err(|error| ImplicitError::Json(crate::files::json_problem(bytes, &error, SCHEMA)))?;
        if description.schema != SCHEMA {
            return Err(ImplicitError::Schema);
        }
        Ok(description)
    }

    /// Number of inputs.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.input.first().map_or(0, Vec::len)
    }

    /// Number of outputs.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.output.len()
    }

    /// Numbers of the file.
    #[must_use]
    pub fn parameters(&self) -> usize {
        let offsets = self.b.iter().chain(&self.d).map(Vec::len).sum::<usize>();
        let matrices = [&self.feedback, &self.input, &self.output];
        offsets + matrices.iter().flat_map(|rows| rows.iter()).map(Vec::len).sum::<usize>()
    }

    /// The network of shapes `[1, inputs] → [1, outputs]`.
    ///
    /// # Errors
    /// [`ImplicitError`], naming the array that does not fit.
    pub fn network(&self) -> Result<Network, ImplicitError> {
        let function = self.activation.function()?;
        let (unknowns, inputs, outputs) = (self.feedback.len(), self.inputs(), self.outputs());
        for (array, size) in [("W", unknowns), ("U", inputs), ("C", outputs)] {
            if !(1..=MAX_ORDER).contains(&size) {
                let reason = format!("{size} rows or columns, where 1 to {MAX_ORDER} are allowed");
                return Err(ImplicitError::Array { array, reason });
            }
        }
        let feedback = transposed("W", &self.feedback, unknowns, unknowns)?;
        let input = transposed("U", &self.input, unknowns, inputs)?;
        let output = transposed("C", &self.output, outputs, unknowns)?;
        let offsets = [("b", &self.b, unknowns), ("d", &self.d, outputs)];
        for (array, values, size) in offsets {
            if let Some(found) = values.as_ref().map(Vec::len).filter(|&found| found != size) {
                return Err(ImplicitError::Array { array, reason: format!("{found} numbers where {size} are needed") });
            }
        }
        let mut graph = Graph { builder: NetworkBuilder::new() };
        let x = graph.builder.push("x", "Input", Op::Input, &[], vec![1, inputs])?;
        let signal = graph.builder.push("x", "Reshape", Op::Reshape, &[x], vec![1, 1, inputs])?;
        let injection = graph.affine(["U x", "U x + b"], signal, input, self.b.as_deref(), unknowns)?;
        let weights = graph.constant("W", vec![1, unknowns, unknowns], feedback)?;
        let shape = vec![1, 1, unknowns];
        let z = graph.builder.push("z", "Equilibrium", Op::Equilibrium(function), &[injection, weights], shape)?;
        let y = graph.affine(["C z", "C z + d"], z, output, self.d.as_deref(), outputs)?;
        let y = graph.builder.push("y", "Reshape", Op::Reshape, &[y], vec![1, outputs])?;
        graph.builder.finish(y).ok_or_else(|| ImplicitError::Json("it has no input".to_owned()))
    }
}

/// The numbers of a matrix by columns, where it has the shape and they are finite.
fn transposed(array: &'static str, matrix: &[Vec<f64>], rows: usize, columns: usize) -> Result<Vec<f64>, ImplicitError> {
    let fail = |reason: String| Err(ImplicitError::Array { array, reason });
    if matrix.len() != rows {
        return fail(format!("{} rows where {rows} are needed", matrix.len()));
    }
    if let Some((row, found)) = matrix.iter().map(Vec::len).enumerate().find(|&(_, found)| found != columns) {
        return fail(format!("row {row} has {found} numbers where {columns} are needed"));
    }
    Ok((0..columns).flat_map(|column| matrix.iter().map(move |row| row[column])).collect())
}

struct Graph {
    builder: NetworkBuilder,
}

impl Graph {
    fn constant(&mut self, name: &str, shape: Vec<usize>, data: Vec<f64>) -> Result<NodeId, ImplicitError> {
        // JSON has no infinities, and a number too large for an `f64` is an error of the reader; this is the last word.
        if !data.iter().all(|value| value.is_finite()) {
            return Err(ImplicitError::Json(format!("`{name}` is not finite")));
        }
        let tensor = Tensor::new(shape.clone(), data).ok_or_else(|| ShapeError::TooLarge(shape.clone()))?;
        Ok(self.builder.push(name, "Constant", Op::Constant(tensor), &[], shape)?)
    }

    /// `signal·weights + offsets`; `names` of the product and of the sum.
    fn affine(
        &mut self,
        names: [&str; 2],
        signal: NodeId,
        weights: Vec<f64>,
        offsets: Option<&[f64]>,
        size: usize,
    ) -> Result<NodeId, ImplicitError> {
        let inputs = self.builder.node(signal).size();
        let weights = self.constant(names[0], vec![1, inputs, size], weights)?;
        let product = self.builder.push(names[0], "MatMul", Op::MatMul, &[signal, weights], vec![1, 1, size])?;
        let Some(offsets) = offsets else { return Ok(product) };
        let offsets = self.constant(names[1], vec![1, 1, size], offsets.to_vec())?;
        Ok(self.builder.push(names[1], "Add", Op::Binary(Binary::Add), &[product, offsets], vec![1, 1, size])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ir::evaluate;

    fn text(activation: &str, rest: &str) -> String {
        format!(r#"{{"schema": "{SCHEMA}", "activation": {activation}, {rest}}}"#)
    }

    const PLAIN: &str = r#""W": [[0.5, 0.25], [-1.0, 0.0]], "U": [[1.0], [2.0]], "C": [[1.0, -1.0]]"#;

    #[test]
    fn the_network_solves_its_equation() {
        let offsets = format!(r#"{PLAIN}, "b": [0.1, -0.2], "d": [3.0]"#);
        let network = Description::parse(text(r#"{"name": "Relu"}"#, &offsets).as_bytes()).unwrap().network().unwrap();
        // x = 1: v = (0.5z₁ + 0.25z₂ + 1.1, −z₁ + 1.8); with z₂ = 0 z₁ = 2.2.
        let y = evaluate(&network, &[1.0]).unwrap();
        assert!((y[0] - 5.2).abs() < 1e-12, "{y:?}");
        // x = 0.2: z₂ = 0.2 − z₁ would be negative at z₁ = 0.6; x = −1: z = 0.
        assert!((evaluate(&network, &[0.2]).unwrap()[0] - 3.6).abs() < 1e-12);
        assert_eq!(evaluate(&network, &[-1.0]).unwrap(), [3.0]);
        assert_eq!((network.node(network.output()).shape.as_slice(), network.input_size()), (&[1, 1][..], 1));
    }

    #[test]
    fn decimals_are_read_to_the_nearest_number() {
        let odd = "2.2250738585072011e-308";
        let description = text(r#"{"name": "Relu"}"#, &format!(r#""W": [[{odd}]], "U": [[0.1]], "C": [[1]]"#));
        let description = Description::parse(description.as_bytes()).unwrap();
        assert_eq!(description.feedback[0][0].to_bits(), odd.parse::<f64>().unwrap().to_bits());
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let relu = r#"{"name": "Relu"}"#;
        for (activation, rest, expected) in [
            (relu, r#""W": [[0.5, 0.25]], "U": [[1.0]], "C": [[1.0]]"#, "`W`: row 0 has 2 numbers where 1 are needed"),
            (relu, r#""W": [[0.5]], "U": [[1.0], [2.0]], "C": [[1.0]]"#, "`U`: 2 rows where 1 are needed"),
            (relu, r#""W": [[0.5]], "U": [[1.0]], "C": [[1.0, 2.0]]"#, "`C`: row 0 has 2"),
            (relu, r#""W": [], "U": [], "C": [[]]"#, "`W`: 0 rows"),
            (relu, r#""W": [[0.5]], "U": [[]], "C": [[1.0]]"#, "`U`: 0 rows or columns"),
            (relu, r#""W": [[0.5]], "U": [[1.0]], "C": []"#, "`C`: 0 rows"),
            (relu, r#""W": [[0.5]], "U": [[1.0]], "C": [[1.0]], "b": [1, 2]"#, "`b`: 2 numbers"),
            (relu, r#""W": [[0.5]], "U": [[1.0]], "C": [[1.0]], "d": []"#, "`d`: 0 numbers"),
            (relu, r#""W": [[1e999]], "U": [[1.0]], "C": [[1.0]]"#, "out of range"),
            (relu, r#""W": [[NaN]], "U": [[1.0]], "C": [[1.0]]"#, "expected value"),
            (relu, r#""W": [[0.5]], "U": [[1.0]], "C": [[1.0]], "W": [[0.1]]"#, "duplicate field"),
            (relu, r#""W": [[0.5]], "U": [[1.0]], "C": [[1.0]], "X": 1"#, "unknown field `X`"),
            (relu, r#""W": [[0.5]], "U": [[1.0]]"#, "missing field `C`"),
            (r#"{"name": "Exp"}"#, PLAIN, "`activation`: `Exp`"),
            (r#"{"name": "LeakyRelu"}"#, PLAIN, "`alpha`"),
            (r#"{"name": "LeakyRelu", "alpha": 1.0}"#, PLAIN, "linear"),
            (r#"{"name": "Relu", "alpha": 0.5}"#, PLAIN, "`alpha`"),
            (r#"{"name": "Celu", "alpha": -1.0}"#, PLAIN, "no bounded slopes"),
            (r#"{"name": "relu"}"#, PLAIN, "`relu`"),
        ] {
            let description = Description::parse(text(activation, rest).as_bytes());
            let error = description.and_then(|description| description.network().map(drop)).unwrap_err().to_string();
            assert!(error.contains(expected), "{activation} {rest}: {error}");
        }
        let other = text(relu, PLAIN).replace(SCHEMA, "nnverify-implicit/2");
        assert!(matches!(Description::parse(other.as_bytes()), Err(ImplicitError::Schema)));
        assert_eq!(Description::parse(&vec![b' '; MAX_BYTES + 1]), Err(ImplicitError::TooLarge));
        let long = text(relu, &format!(r#""W": [{}[]]"#, "[],".repeat(MAX_ORDER)));
        assert!(Description::parse(long.as_bytes()).unwrap_err().to_string().contains("more than 4096"));
        let deep = format!("{{\"W\": {}", "[".repeat(1 << 20));
        assert!(Description::parse(deep.as_bytes()).is_err());
    }

    #[test]
    fn no_prefix_of_a_description_makes_it_panic() {
        let whole = text(r#"{"name": "Elu", "alpha": 1.0}"#, PLAIN);
        assert!(Description::parse(whole.as_bytes()).unwrap().network().is_ok());
        for length in 0..whole.len() {
            assert!(Description::parse(&whole.as_bytes()[..length]).is_err(), "{length}");
        }
    }
}
