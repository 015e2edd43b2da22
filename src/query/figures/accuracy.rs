//! How many samples a network gets right as they are: what a reader holds every other share against.

use serde::{Deserialize, Serialize};

use crate::kernel::model::ir::{Network, evaluate};
use crate::kernel::read::data::Dataset;

/// Samples whose label's output is the largest, alone, or on the label's side of a threshold, computed in `f64`: descriptive, not
/// proved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CleanAccuracy {
    pub right: usize,
    pub samples: usize,
    /// Why the data may not be what the network was made for.
    pub warnings: Vec<String>,
}

/// With fewer samples an accuracy near chance says nothing.
const FEW: usize = 20;
/// Numbers from zero to beyond this look like bytes.
const BYTES: f64 = 128.0;

impl CleanAccuracy {
    /// Counts over inputs as the network sees them, in the order of the labels. `normalised`: a mean, deviation or nothing was
    /// given, so that the data's own range says nothing.
    pub fn of(
        network: &Network,
        inputs: impl Iterator<Item = Vec<f64>>,
        (labels, threshold): (&[u32], Option<f64>),
        data: &Dataset,
        normalised: bool,
    ) -> Self {
        let (mut right, mut samples) = (0, 0);
        for (input, &label) in inputs.zip(labels) {
            samples += 1;
            let outputs = evaluate(network, &input).unwrap_or_default();
            // Written so that a NaN is not right.
            right += usize::from(if let (Some(threshold), Some(&y)) = (threshold, outputs.first()) {
                if label == 0 { y <= threshold } else { y > threshold }
            } else {
                let own = outputs.get(label as usize).copied().unwrap_or(f64::NAN);
                outputs.iter().enumerate().all(|(class, y)| class == label as usize || own > *y)
            });
        }
        let classes = if threshold.is_some() { 2 } else { network.output_size() };
        let mut warnings = Vec::new();
        if samples >= FEW && 2 * right * classes <= 3 * samples {
            warnings.push(format!(
                "{right} of {samples} samples are right as they are, which is near chance among {classes} classes: are labels, layout and \
                 normalisation those that the network was made for?"
            ));
        }
        let (least, most) =
            (0..samples).flat_map(|sample| data.input(sample)).fold((0.0, 0.0), |(l, u): (f64, f64), x| (l.min(x), u.max(x)));
        if !normalised && least >= 0.0 && most > BYTES {
            warnings.push(format!("the data range from 0 to {most} and no normalisation is given: networks rarely take bytes"));
        }
        Self { right, samples, warnings }
    }

    /// What the reader should be told.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
