//! Claims about the robustness of a classifier on the samples of a data set.

use serde::{Deserialize, Serialize};

use super::{FileIdentity, LipschitzClaim, Norm, Vector};

/// Which samples keep their class under every perturbation, and which do not.
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
    /// Samples whose output for their label is the largest, alone, under every perturbation.
    pub robust: Vec<u32>,
    /// Samples for which a perturbation gives another output that is at least as large.
    pub falsified: Vec<u32>,
    pub witness: RobustnessWitness,
}

/// What may happen to a sample before the network sees it. All numbers are decimals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Perturbation {
    /// Of the difference to the sample, in the units of the data.
    pub norm: Norm,
    pub epsilon: String,
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
}

impl RobustnessClaim {
    pub(super) fn vectors_mut(&mut self) -> Vec<&mut Vector> {
        let margins = self.witness.margins.as_mut().map(|margins| margins.vectors_mut()).unwrap_or_default();
        std::iter::once(&mut self.witness.points).chain(margins).collect()
    }
}
