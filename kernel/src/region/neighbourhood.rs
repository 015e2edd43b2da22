//! Perturbed samples as the network sees them: boxes and balls that contain them all, and points that are among them.

use super::refusal::RegionRefusal;
use crate::files::token;
use crate::proof::{Content, Norm, Perturbation, Semantics, Size};
use crate::read::vnnlib::{Constant, InputBox};
use crate::region::bounds::{BoxRegion, Region};
use crate::sound::round::{add_down, add_up, div_down, div_up, max_or_nan, mul_down, mul_up, sqrt_up, sub_down, sub_up};

/// A [`Perturbation`] on a network's input, its decimals enclosed.
#[derive(Clone, Debug)]
pub struct Neighbourhoods {
    norm: Norm,
    epsilon: Constant,
    /// The size for every input by itself, where they differ; [`Self::epsilon`] is then the largest.
    sizes: Vec<Constant>,
    clip: Option<(Constant, Constant)>,
    /// Mean and deviation of every channel.
    channels: Vec<(Constant, Constant)>,
    /// Channel of every input.
    channel: Vec<usize>,
    /// Whether inputs are float32 numbers.
    single: bool,
    /// Whether the normalisation is computed in float32 too.
    rounds: bool,
}

/// `2⁻²⁴` times as many roundings as the two operations of a normalisation, on rounded constants, take in any form.
const ROUNDING: f64 = 8.0 / 16_777_216.0;
/// As often the smallest normal float32 number, to which as much is lost where subnormal ones count as zero.
const FLUSH: f64 = 8.0 * f32::MIN_POSITIVE as f64;

/// Magnitudes beyond this, and deviations below its inverse, are refused where the normalisation rounds: far from where
/// float32 numbers overflow, and their inverses are subnormal.
const LARGEST: f64 = 1e30;

/// All perturbations of one sample.
#[derive(Clone, Debug)]
pub struct Neighbourhood {
    /// Inputs of the network, normalised exactly; for ℓ2 around the ball.
    pub input_box: InputBox,
    /// The sample itself, to nearest.
    pub centre: Vec<f64>,
    /// Contains every perturbation, in float32 as a deployed normalisation rounds it.
    pub region: Region,
    /// No perturbation is farther from the centre, in the norm of the perturbations.
    pub reach: f64,
}

impl Neighbourhoods {
    /// For a network with inputs of a shape, whose first axis is the batch.
    ///
    /// # Errors
    /// When a number is none, negative where it must not be, or the channels do not fit the shape.
    pub fn new(perturbation: &Perturbation, shape: &[usize], semantics: Semantics) -> Result<Self, RegionRefusal> {
        let number = |text: &String| {
            Constant::parse_quotient(text)
                .ok_or_else(|| RegionRefusal::Content(Content::File { detail: format!("`{}` is not a number", token(text)) }))
        };
        let wrong = |what| RegionRefusal::Content(Content::Shape { what });
        if perturbation.norm == Norm::L1 {
            return Err(wrong("perturbations are those of ℓ2 or ℓ∞"));
        }
        let size = shape.iter().product::<usize>();
        let (epsilon, sizes) = match &perturbation.epsilon {
            Size::Uniform(epsilon) => (number(epsilon)?, Vec::new()),
            Size::Each(_) if perturbation.norm != Norm::Linf => {
                return Err(wrong("a size for every input is one of ℓ∞ (`--norm linf`)"));
            }
            Size::Each(sizes) if sizes.len() != size => return Err(RegionRefusal::Sizes { found: sizes.len(), inputs: size }),
            Size::Each(sizes) => {
                let sizes: Vec<Constant> = sizes.iter().map(number).collect::<Result<_, _>>()?;
                (sizes.iter().fold(Constant::ZERO, |a, b| each(a, *b, f64::max)), sizes)
            }
        };
        if sizes.iter().chain([&epsilon]).any(|size| size.lower < 0.0) {
            return Err(wrong("epsilon is negative"));
        }
        let clip = match &perturbation.clip {
            Some([low, high]) => Some((number(low)?, number(high)?)),
            None => None,
        };
        let (mean, deviation) = (&perturbation.mean, &perturbation.deviation);
        let count = mean.len().max(deviation.len()).max(1);
        let at = |texts: &[String], channel: usize, otherwise: f64| match texts {
            [] => Ok(Constant::exact(otherwise)),
            [one] => number(one),
            many => many.get(channel).ok_or_else(|| wrong("mean and deviation have different lengths")).and_then(number),
        };
        let channels: Vec<_> = (0..count)
            .map(|channel| Ok((at(mean, channel, 0.0)?, at(deviation, channel, 1.0)?)))
            .collect::<Result<_, RegionRefusal>>()?;
        if channels.iter().any(|(_, deviation)| deviation.lower <= 0.0) {
            return Err(wrong("a deviation is not positive"));
        }
        let rounds = semantics == Semantics::Float32 && !(mean.is_empty() && deviation.is_empty());
        let representable = |(mean, deviation): &(Constant, Constant)| {
            let magnitude = max_or_nan(mean.lower.abs(), mean.upper.abs());
            magnitude <= LARGEST && deviation.lower >= 1.0 / LARGEST && deviation.upper <= LARGEST
        };
        if rounds && !channels.iter().all(representable) {
            return Err(wrong("a mean or deviation is beyond what float32 is known to hold, 1e30, or a deviation below 1e-30"));
        }
        let axis = perturbation.channel_axis.map_or(1.min(shape.len().saturating_sub(1)), |axis| axis as usize);
        let extent = shape.get(axis).copied();
        if perturbation.channel_axis.is_some() && extent.is_none() {
            return Err(wrong("its axis of channels is not one of the network's input"));
        }
        let channel: Vec<usize> = if count == 1 {
            vec![0; size]
        } else if extent == Some(count) {
            let inner: usize = shape[axis + 1..].iter().product();
            (0..size).map(|i| i / inner.max(1) % count).collect()
        } else {
            return Err(RegionRefusal::Channels { count, axis, shape: shape.to_vec() });
        };
        let single = semantics == Semantics::Float32;
        Ok(Self { norm: perturbation.norm, epsilon, sizes, clip, channels, channel, single, rounds })
    }

    /// The first element of a sample outside the clip range; such a sample has no neighbourhood that means anything.
    #[must_use]
    pub fn outside_clip(&self, sample: &[f64]) -> Option<usize> {
        let (low, high) = self.clip?;
        sample.iter().position(|&x| !(low.lower <= x && x <= high.upper))
    }

    /// All perturbations of a sample.
    ///
    /// # Errors
    /// When the sample has another size than the input, or nothing is left of its neighbourhood.
    pub fn of(&self, sample: &[f64]) -> Result<Neighbourhood, RegionRefusal> {
        if sample.len() != self.channel.len() {
            return Err(Content::Shape { what: "a sample has another size than the input" }.into());
        }
        let mut input_box = InputBox { lower: Vec::new(), upper: Vec::new() };
        let mut slips = Vec::with_capacity(sample.len());
        for (index, (&x, &channel)) in sample.iter().zip(&self.channel).enumerate() {
            let epsilon = self.sizes.get(index).copied().unwrap_or(self.epsilon);
            let mut lower = minus(Constant::exact(x), epsilon);
            let mut upper = minus(Constant::exact(x), negated(epsilon));
            if let Some((low, high)) = self.clip {
                lower = each(lower, low, f64::max);
                upper = each(upper, high, f64::min);
            }
            input_box.lower.push(self.normalised(lower, channel));
            input_box.upper.push(self.normalised(upper, channel));
            slips.push(self.slip(lower.lower.abs().max(upper.upper.abs()), channel));
        }
        let (mut lower, mut upper) = input_box.outer();
        for (&slip, (lower, upper)) in slips.iter().zip(lower.iter_mut().zip(&mut upper)) {
            (*lower, *upper) = (sub_down(*lower, slip), add_up(*upper, slip));
        }
        let within = |x: &f64| x.abs() <= LARGEST;
        if self.rounds && !(sample.iter().all(within) && lower.iter().chain(&upper).all(within)) {
            return Err(Content::Shape { what: "a perturbed sample is beyond what float32 is known to hold, 1e30" }.into());
        }
        let bounds = BoxRegion::new(lower, upper)?;
        let centres: Vec<Constant> =
            sample.iter().zip(&self.channel).map(|(&x, &channel)| self.normalised(Constant::exact(x), channel)).collect();
        let centre: Vec<f64> = centres.iter().map(|c| c.nearest).collect();
        let (region, reach) = match self.norm {
            Norm::Linf => {
                let corners = bounds.lower().iter().zip(bounds.upper());
                let farthest = |((l, u), c): ((&f64, &f64), &f64)| max_or_nan(sub_up(*u, *c), sub_up(*c, *l));
                let reach = corners.zip(&centre).map(farthest).fold(0.0, max_or_nan);
                (bounds.into(), reach)
            }
            // ℓ1 has been refused; its balls lie in those of ℓ2.
            Norm::L1 | Norm::L2 => {
                let slip = sqrt_up(slips.iter().map(|&slip| mul_up(slip, slip)).fold(0.0, add_up));
                let radius = add_up(self.radius(&centres), slip);
                (Region::ball(&centre, radius)?.within(&bounds)?, radius)
            }
        };
        Ok(Neighbourhood { input_box, centre, region, reach })
    }

    /// Whether an input stays what it is in the sample: its size is zero, so that both of its ends are one number.
    #[must_use]
    pub fn is_fixed(&self, index: usize) -> bool {
        self.norm == Norm::Linf && *self.sizes.get(index).unwrap_or(&self.epsilon) == Constant::ZERO
    }

    /// Whether every input stays what it is in the sample.
    #[must_use]
    pub fn is_point(&self) -> bool {
        (0..self.channel.len()).all(|index| self.is_fixed(index))
    }

    /// The sample itself as the network's input: an enclosure of what its normalisation gives; in float32 of what it gives for
    /// the sample rounded to float32.
    ///
    /// # Errors
    /// When it is none, or beyond what float32 holds.
    pub fn at(&self, sample: &[f64]) -> Result<BoxRegion, RegionRefusal> {
        let of = |(&x, &channel): (&f64, &usize)| {
            let x = if self.single { single(x) } else { Constant::exact(x) };
            let (input, slip) = (self.normalised(x, channel), self.slip(x.lower.abs().max(x.upper.abs()), channel));
            (sub_down(input.lower, slip), add_up(input.upper, slip))
        };
        let (lower, upper) = sample.iter().zip(&self.channel).map(of).unzip();
        Ok(BoxRegion::new(lower, upper)?)
    }

    /// No input of [`Neighbourhoods::at`] is farther from this one, in the norm of the perturbations.
    #[must_use]
    pub fn farthest(&self, region: &BoxRegion, from: &[f64]) -> f64 {
        let ends = region.lower().iter().zip(region.upper());
        let distances = ends.zip(from).map(|((l, u), c)| max_or_nan(sub_up(*u, *c), sub_up(*c, *l)));
        match self.norm {
            Norm::Linf => distances.fold(0.0, max_or_nan),
            Norm::L1 | Norm::L2 => sqrt_up(distances.map(|distance| mul_up(distance, distance)).fold(0.0, add_up)),
        }
    }

    /// Of a ball around all perturbed inputs: with another deviation for every channel they fill an ellipsoid.
    fn radius(&self, centres: &[Constant]) -> f64 {
        let error = centres.iter().map(|c| {
            let error = sub_up(c.upper, c.nearest).max(sub_up(c.nearest, c.lower));
            mul_up(error, error)
        });
        let error = sqrt_up(error.fold(0.0, add_up));
        let least = self.channels.iter().map(|(_, deviation)| deviation.lower).fold(f64::INFINITY, f64::min);
        add_up(div_up(self.epsilon.upper, least), error)
    }

    /// Whether an input of the network is certainly a perturbation of the sample, as far as the norm goes. Its box is
    /// [`Neighbourhood::input_box`]'s business.
    #[must_use]
    pub fn reaches(&self, sample: &[f64], input: &[f64]) -> bool {
        if self.norm == Norm::Linf {
            return true;
        }
        let squares = sample.iter().zip(input).zip(&self.channel).map(|((&x, &p), &channel)| {
            let (mean, deviation) = self.channels[channel];
            let raw = [
                mul_down(p, deviation.lower),
                mul_down(p, deviation.upper),
                mul_up(p, deviation.lower),
                mul_up(p, deviation.upper),
            ];
            let (low, high) = raw.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, u), &r| (l.min(r), u.max(r)));
            let (low, high) = (sub_down(add_down(low, mean.lower), x), sub_up(add_up(high, mean.upper), x));
            let distance = low.abs().max(high.abs());
            mul_up(distance, distance)
        });
        sample.len() == input.len() && squares.fold(0.0, add_up) <= mul_down(self.epsilon.lower, self.epsilon.lower)
    }

    /// The deviation of every input, to nearest.
    #[must_use]
    pub fn deviations(&self) -> Vec<f64> {
        self.channel.iter().map(|&channel| self.channels[channel].1.nearest).collect()
    }

    #[must_use]
    pub const fn norm(&self) -> Norm {
        self.norm
    }

    #[must_use]
    pub const fn epsilon(&self) -> f64 {
        self.epsilon.nearest
    }

    /// What the deployed normalisation of a number of this magnitude may be off by.
    fn slip(&self, magnitude: f64, channel: usize) -> f64 {
        if !self.rounds {
            return 0.0;
        }
        let (mean, deviation) = self.channels[channel];
        let sum = add_up(magnitude, mean.lower.abs().max(mean.upper.abs()));
        let relative = mul_up(ROUNDING, div_up(sum, deviation.lower));
        add_up(relative, mul_up(FLUSH, add_up(1.0, div_up(1.0, deviation.lower))))
    }

    fn normalised(&self, x: Constant, channel: usize) -> Constant {
        let (mean, deviation) = self.channels[channel];
        let shifted = minus(x, mean);
        let largest_below = |value: f64| div_down(value, if value >= 0.0 { deviation.upper } else { deviation.lower });
        let smallest_above = |value: f64| div_up(value, if value >= 0.0 { deviation.lower } else { deviation.upper });
        Constant::between(largest_below(shifted.lower), smallest_above(shifted.upper), shifted.nearest / deviation.nearest)
    }
}

/// The float32 numbers next to a number, of which it is rounded to one.
fn single(x: f64) -> Constant {
    let nearest = x as f32;
    let lower = if f64::from(nearest) > x { nearest.next_down() } else { nearest };
    let upper = if f64::from(nearest) < x { nearest.next_up() } else { nearest };
    Constant::between(f64::from(lower), f64::from(upper), f64::from(nearest))
}

fn negated(x: Constant) -> Constant {
    Constant::between(-x.upper, -x.lower, -x.nearest)
}

fn minus(a: Constant, b: Constant) -> Constant {
    Constant::between(sub_down(a.lower, b.upper), sub_up(a.upper, b.lower), a.nearest - b.nearest)
}

fn each(a: Constant, b: Constant, choose: fn(f64, f64) -> f64) -> Constant {
    Constant::between(choose(a.lower, b.lower), choose(a.upper, b.upper), choose(a.nearest, b.nearest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Perturbed float32 samples, normalised in float32 in any of the usual ways, stay in the region.
    #[test]
    fn deployed_normalisations_stay_inside() {
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / 16_777_216.0
        };
        for _ in 0..500 {
            let (mean, deviation) = (f64::from(next()) * 3.0 - 1.0, 0.01 + f64::from(next()));
            let sample = next();
            let perturbation = Perturbation {
                norm: Norm::Linf,
                epsilon: "0.01".into(),
                clip: None,
                mean: vec![format!("{mean:.6}")],
                deviation: vec![format!("{deviation:.6}")],
                channel_axis: None,
            };
            let exact = Neighbourhoods::new(&perturbation, &[1, 1], Semantics::Real).unwrap();
            let rounded = Neighbourhoods::new(&perturbation, &[1, 1], Semantics::Float32).unwrap();
            let region = rounded.of(&[f64::from(sample)]).unwrap().region;
            assert!(!exact.of(&[f64::from(sample)]).unwrap().region.bounds().contains(region.bounds().lower()));
            let mean: f32 = perturbation.mean[0].parse().unwrap();
            let deviation: f32 = perturbation.deviation[0].parse().unwrap();
            for share in [-1.0, -0.3, 0.0, 0.9, 1.0] {
                let mut x = sample + share * 0.01;
                while f64::from((x - sample).abs()) > 0.01 {
                    x = if x > sample { x.next_down() } else { x.next_up() };
                }
                let forms = [(x - mean) / deviation, (x - mean) * (1.0 / deviation), x * (1.0 / deviation) - mean / deviation];
                for form in forms {
                    assert!(region.bounds().contains(&[f64::from(form)]), "{sample} {share} {mean} {deviation}");
                }
            }
        }
    }

    /// 10³⁹ is infinite in float32, and the inverse of 10³⁸ subnormal: what is exact there is not what is deployed.
    #[test]
    fn normalisations_that_float32_cannot_hold_are_refused() {
        let of = |mean: &str, deviation: &str, sample: f64, semantics| {
            let perturbation = Perturbation {
                norm: Norm::Linf,
                epsilon: "0".into(),
                clip: None,
                mean: vec![mean.to_owned()],
                deviation: vec![deviation.to_owned()],
                channel_axis: None,
            };
            Neighbourhoods::new(&perturbation, &[1, 1], semantics).and_then(|all| all.of(&[sample]))
        };
        for (mean, deviation, sample) in [
            ("0", "1e39", 1e38),
            ("1e39", "1", 0.0),
            ("0", "1e38", 1e38),
            ("0", "1e-38", 1.0),
            ("0", "1", 1e31),
            ("0", "1e-20", 1e15),
        ] {
            assert!(of(mean, deviation, sample, Semantics::Real).is_ok(), "{mean} {deviation} {sample}");
            assert!(of(mean, deviation, sample, Semantics::Float32).is_err(), "{mean} {deviation} {sample}");
        }
        assert!(of("0.5", "0.1", 0.7, Semantics::Float32).is_ok());
    }
}
