//! Convolutions and poolings, element by element as they are defined.

use super::normalizations::norm;
use super::operators::larger;
use super::oracle::Call;
use super::value::{Found, Value, count, flat, for_each_index, strides};

/// The result of one of these operators; `None` for any other.
pub fn apply(call: &Call) -> Option<Found<Vec<Value>>> {
    let one = |value: Found<Value>| Some(value.map(|value| vec![value]));
    match call.operator {
        "Conv" => one(convolution(call)),
        "ConvTranspose" => one(transposed(call)),
        "MaxPool" => one(pooled(call, |window, _| window.iter().copied().fold(f64::NEG_INFINITY, larger))),
        "AveragePool" => {
            let include = call.int("count_include_pad", 0) == 1;
            one(pooled(call, |window, places| {
                window.iter().sum::<f64>() / if include { places as f64 } else { window.len() as f64 }
            }))
        }
        "LpPool" => one(pooled(call, |window, _| norm(window, call.int("p", 2)))),
        "GlobalLpPool" => one(global(call, |plane| norm(plane, call.int("p", 2)))),
        "GlobalMaxPool" => one(global(call, |plane| plane.iter().copied().fold(f64::NEG_INFINITY, larger))),
        "GlobalAveragePool" => one(global(call, |plane| plane.iter().sum::<f64>() / plane.len() as f64)),
        _ => None,
    }
}

/// The attributes of a window, one entry an axis.
struct Windows {
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    begins: Vec<i64>,
    ends: Vec<i64>,
}

impl Windows {
    fn of(call: &Call, kernel: &[usize], spatial: &[usize]) -> Found<Self> {
        if call.string("auto_pad", "NOTSET") != "NOTSET" || kernel.contains(&0) || kernel.len() != spatial.len() {
            return Err("auto_pad, or a kernel that does not fit".to_owned());
        }
        let rank = kernel.len();
        let listed =
            |name: &str, default: i64, length: usize| call.ints(name).map_or_else(|| vec![default; length], <[i64]>::to_vec);
        let sizes = |name: &str| listed(name, 1, rank).into_iter().map(|x| x as usize).collect();
        let pads = listed("pads", 0, 2 * rank);
        let (strides, dilations) = (sizes("strides"), sizes("dilations"));
        Ok(Self { kernel: kernel.to_vec(), strides, dilations, begins: pads[..rank].to_vec(), ends: pads[rank..].to_vec() })
    }

    fn reach(&self, axis: usize) -> i64 {
        ((self.kernel[axis] - 1) * self.dilations[axis] + 1) as i64
    }

    /// The extents of the output.
    fn output(&self, input: &[usize], ceil: bool) -> Found<Vec<usize>> {
        let extent = |axis: usize| {
            let (stride, padded) =
                (self.strides[axis] as i64, input[axis] as i64 + self.begins[axis] + self.ends[axis] - self.reach(axis));
            let last = if ceil { (padded + stride - 1).div_euclid(stride) } else { padded.div_euclid(stride) };
            // A last window that would start in the padding at the end is left out.
            let outside = ceil && last * stride >= input[axis] as i64 + self.begins[axis];
            usize::try_from(last + i64::from(!outside)).map_err(|_| "a window larger than the input".to_owned())
        };
        (0..input.len()).map(extent).collect()
    }

    /// Where a place of a window lies along an axis, counted in the input.
    fn place(&self, axis: usize, output: usize, tap: usize) -> i64 {
        (output * self.strides[axis] + tap * self.dilations[axis]) as i64 - self.begins[axis]
    }
}

/// One number for each channel of the output.
fn bias<'a>(call: &Call<'a>, features: usize) -> Found<Option<&'a [f64]>> {
    let Some(bias) = call.optional(2) else { return Ok(None) };
    let data = bias.as_floats()?;
    if data.len() == features { Ok(Some(data)) } else { Err(format!("a bias of {:?} for {features} channels", bias.shape)) }
}

fn inside(place: i64, extent: usize) -> Option<usize> {
    usize::try_from(place).ok().filter(|&place| place < extent)
}

/// Batch, channels and spatial extents.
fn planes(x: &Value) -> Found<(usize, usize, &[usize])> {
    match &x.shape[..] {
        [batch, channels, spatial @ ..] if !spatial.is_empty() && x.size() > 0 => Ok((*batch, *channels, spatial)),
        other => Err(format!("{other:?} has no spatial axes or no elements")),
    }
}

fn convolution(call: &Call) -> Found<Value> {
    let (x, w) = (call.input(0)?, call.input(1)?);
    let (batch, channels, spatial) = planes(x)?;
    let (features, depth, kernel) = planes(w)?;
    let groups = call.int("group", 1) as usize;
    if depth * groups != channels || features % groups != 0 {
        return Err(format!("{:?} under {:?} in {groups} groups", x.shape, w.shape));
    }
    let windows = Windows::of(call, kernel, spatial)?;
    let shape = [&[batch, features][..], &windows.output(spatial, false)?].concat();
    let (from_x, from_w) = (strides(&x.shape), strides(&w.shape));
    let (data, weights) = (x.as_floats()?, w.as_floats()?);
    let bias = bias(call, features)?;
    let mut found = Vec::with_capacity(count(&shape));
    for_each_index(&shape, |index| {
        let (feature, group) = (index[1], index[1] / (features / groups));
        let mut sum = bias.map_or(0.0, |bias| bias[feature]);
        for channel in 0..depth {
            for_each_index(kernel, |tap| {
                let places = (0..kernel.len()).map(|axis| inside(windows.place(axis, index[2 + axis], tap[axis]), spatial[axis]));
                if let Some(places) = places.collect::<Option<Vec<_>>>() {
                    let at = [&[index[0], group * depth + channel][..], &places].concat();
                    sum += data[flat(&at, &from_x)] * weights[flat(&[&[feature, channel][..], tap].concat(), &from_w)];
                }
            });
        }
        found.push(sum);
    });
    Ok(Value::floats(&shape, found))
}

fn transposed(call: &Call) -> Found<Value> {
    let (x, w) = (call.input(0)?, call.input(1)?);
    let (batch, channels, spatial) = planes(x)?;
    let (depth, each, kernel) = planes(w)?;
    let groups = call.int("group", 1) as usize;
    if depth != channels || channels % groups != 0 || call.attribute("output_shape").is_some() {
        return Err(format!("{:?} under {:?} in {groups} groups", x.shape, w.shape));
    }
    let windows = Windows::of(call, kernel, spatial)?;
    let extra = call.ints("output_padding").map_or_else(|| vec![0; kernel.len()], <[i64]>::to_vec);
    let extent = |axis: usize| {
        let full = ((spatial[axis] - 1) * windows.strides[axis]) as i64 + windows.reach(axis) + extra[axis];
        usize::try_from(full - windows.begins[axis] - windows.ends[axis]).map_err(|_| "no output".to_owned())
    };
    let out = (0..kernel.len()).map(extent).collect::<Found<Vec<_>>>()?;
    let shape = [&[batch, each * groups][..], &out].concat();
    let (to, from_w) = (strides(&shape), strides(&w.shape));
    let (data, weights) = (x.as_floats()?, w.as_floats()?);
    let mut found = vec![0.0; count(&shape)];
    let mut position = 0;
    for_each_index(&x.shape, |index| {
        let (value, group) = (data[position], index[1] / (channels / groups));
        position += 1;
        for feature in 0..each {
            for_each_index(kernel, |tap| {
                let places = (0..kernel.len()).map(|axis| inside(windows.place(axis, index[2 + axis], tap[axis]), out[axis]));
                if let Some(places) = places.collect::<Option<Vec<_>>>() {
                    let at = flat(&[&[index[0], group * each + feature][..], &places].concat(), &to);
                    found[at] += value * weights[flat(&[&[index[1], feature][..], tap].concat(), &from_w)];
                }
            });
        }
    });
    if let Some(bias) = bias(call, each * groups)? {
        let inner = count(&out);
        found.iter_mut().enumerate().for_each(|(at, x)| *x += bias[at / inner % (each * groups)]);
    }
    Ok(Value::floats(&shape, found))
}

/// A pooling: `fold` gets a window's elements and how many of its places lie in the input or its pads.
fn pooled(call: &Call, fold: impl Fn(&[f64], usize) -> f64) -> Found<Value> {
    let x = call.input(0)?;
    let (batch, channels, spatial) = planes(x)?;
    let kernel: Vec<usize> = call.ints("kernel_shape").ok_or("no kernel")?.iter().map(|&extent| extent as usize).collect();
    let windows = Windows::of(call, &kernel, spatial)?;
    let shape = [&[batch, channels][..], &windows.output(spatial, call.int("ceil_mode", 0) == 1)?].concat();
    let (own, data) = (strides(&x.shape), x.as_floats()?);
    let mut found = Vec::with_capacity(count(&shape));
    for_each_index(&shape, |index| {
        let (mut window, mut padded) = (Vec::new(), 0);
        for_each_index(&kernel, |tap| {
            let places: Vec<i64> = (0..kernel.len()).map(|axis| windows.place(axis, index[2 + axis], tap[axis])).collect();
            let ends = |axis: usize| spatial[axis] as i64 + windows.ends[axis];
            padded += usize::from((0..kernel.len()).all(|axis| places[axis] < ends(axis)));
            let inner = places.iter().zip(spatial).map(|(&place, &extent)| inside(place, extent)).collect::<Option<Vec<_>>>();
            window.extend(inner.map(|inner| data[flat(&[&index[..2], &inner].concat(), &own)]));
        });
        found.push(fold(&window, padded));
    });
    Ok(Value::floats(&shape, found))
}

fn global(call: &Call, fold: impl Fn(&[f64]) -> f64) -> Found<Value> {
    let x = call.input(0)?;
    let (batch, channels, spatial) = planes(x)?;
    let shape = [vec![batch, channels], vec![1; spatial.len()]].concat();
    Ok(Value::floats(&shape, x.as_floats()?.chunks(count(spatial).max(1)).map(fold).collect()))
}
