//! Claims about the robustness of a network on the samples of a data set.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CaseSlopes, FileIdentity, LipschitzClaim, Norm, Splits, Vector};

/// Which samples keep their class (or what else is asked) under every perturbation, and which do not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RobustnessClaim {
    /// The file with the inputs, then the one with the labels where it is another.
    pub data: Vec<FileIdentity>,
    pub perturbation: Perturbation,
    /// How many samples were asked about, from the first.
    pub samples: u32,
    /// How many samples the data have; certificates of versions before 1.2 do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<u32>,
    /// What a robust sample keeps; in certificates of versions before 1.4 always its class.
    #[serde(default, skip_serializing_if = "Kept::is_class")]
    pub kept: Kept,
    /// Samples that keep it under every perturbation.
    pub robust: Vec<u32>,
    /// Samples for which a perturbation does not.
    pub falsified: Vec<u32>,
    pub witness: RobustnessWitness,
}

/// What a robust sample keeps under every perturbation. Numbers are decimals or quotients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// Its label's output is the largest, alone.
    #[default]
    Class,
    /// The only output is above this number where the label is 1, and is not where it is 0.
    Threshold(String),
    /// No output differs by more than this from what the sample itself gives. Labels do not enter.
    MaxChange(String),
}

impl Kept {
    /// Whether it is the class, of several.
    #[must_use]
    pub const fn is_class(&self) -> bool {
        matches!(self, Self::Class)
    }

    /// Whether samples need labels.
    #[must_use]
    pub const fn needs_labels(&self) -> bool {
        !matches!(self, Self::MaxChange(_))
    }
}

impl fmt::Display for Kept {
    /// What samples do, as part of a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class => f.write_str("keep their class"),
            Self::Threshold(threshold) => {
                write!(f, "stay on their label's side of the threshold {} (label 1: above it)", threshold.escape_debug())
            }
            Self::MaxChange(most) => write!(f, "move no output by more than {}", most.escape_debug()),
        }
    }
}

/// How far a perturbation goes. Numbers are decimals or quotients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Size {
    /// In the norm of the perturbations.
    Uniform(String),
    /// Of every value of a sample by itself, row-major; in ℓ∞ alone. What is 0 stays as it is.
    Each(Vec<String>),
}

impl From<&str> for Size {
    fn from(size: &str) -> Self {
        Self::Uniform(size.to_owned())
    }
}

/// As many sizes are written out.
const LISTED: usize = 6;

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform(size) => write!(f, "{}", size.escape_debug()),
            Self::Each(sizes) => {
                let listed: Vec<String> = sizes.iter().take(LISTED).map(|size| size.escape_debug().to_string()).collect();
                let more = if sizes.len() > LISTED { format!(", … ({} values)", sizes.len()) } else { String::new() };
                write!(f, "({}{more})", listed.join(", "))
            }
        }
    }
}

/// What may happen to a sample before the network sees it. All numbers are decimals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Perturbation {
    /// Of the difference to the sample, in the units of the data.
    pub norm: Norm,
    pub epsilon: Size,
    /// Perturbed samples stay between these two.
    pub clip: Option<[String; 2]>,
    /// The network's input is `(sample − mean)/deviation`: nothing, one number, or one for each channel.
    pub mean: Vec<String>,
    pub deviation: Vec<String>,
    /// The axis of the network's input that counts channels, the batch being axis 0; axis 1 where it is not stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_axis: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RobustnessWitness {
    /// Inputs of the network, one for each falsified sample, one after another.
    pub points: Vector,
    /// Bounds of the differences of outputs, everywhere, in the norm of the perturbations: they prove those robust samples
    /// whose margins are large enough, before other bounds are tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margins: Option<Box<LipschitzClaim>>,
    /// How the box around a robust sample (a case) is split before bounds prove it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<Splits>,
    /// Robust samples (cases) whose bounds need other slopes than the usual ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slopes: Vec<CaseSlopes>,
}

impl RobustnessClaim {
    pub(super) fn vectors_mut(&mut self) -> Vec<&mut Vector> {
        let witness = &mut self.witness;
        let margins = witness.margins.as_mut().map(|margins| margins.vectors_mut()).unwrap_or_default();
        let slopes = witness.slopes.iter_mut().flat_map(|case| &mut case.slopes).map(|slopes| &mut slopes.positions);
        let splits = witness.splits.iter_mut().map(|splits| &mut splits.tree);
        std::iter::once(&mut witness.points).chain(margins).chain(splits).chain(slopes).collect()
    }
}
