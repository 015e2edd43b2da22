//! Elements at places that indices name, resizing, and sums of products by labels.

use super::oracle::Call;
use super::value::{Found, LARGEST, Value, assemble, axis, count, flat, for_each_index, strides};

/// The result of one of these operators; `None` for any other.
pub fn apply(call: &Call) -> Option<Found<Vec<Value>>> {
    let one = |value: Found<Value>| Some(value.map(|value| vec![value]));
    match call.operator {
        "GatherElements" => one(gather_elements(call)),
        "GatherND" => one(gather_nd(call)),
        "ScatterND" => one(scatter_nd(call)),
        "ScatterElements" => one(scatter_elements(call)),
        "OneHot" => one(one_hot(call)),
        "Trilu" => one(triangle(call)),
        "CumSum" => one(cumulative(call)),
        "Resize" => one(resize(call, call.optional(2), call.optional(3))),
        "Upsample" => one(resize(call, call.optional(1), None)),
        "Einsum" => one(einsum(call)),
        "GridSample" => one(grid_sample(call)),
        _ => None,
    }
}

fn place(index: i64, extent: usize) -> Found<usize> {
    axis(index, extent)
}

/// Per element of the indices the place that it names.
fn named(call: &Call) -> Found<Vec<usize>> {
    let (x, indices) = (call.input(0)?, call.input(1)?);
    let at = axis(call.int("axis", 0), x.shape.len())?;
    let (own, picks) = (strides(&x.shape), indices.as_ints()?);
    let mut places = Vec::new();
    let mut next = 0;
    for_each_index(&indices.shape, |index| {
        let mut index = index.to_vec();
        places.push(place(picks[next], x.shape[at]).map(|pick| {
            index[at] = pick;
            flat(&index, &own)
        }));
        next += 1;
    });
    places.into_iter().collect()
}

fn gather_elements(call: &Call) -> Found<Value> {
    let places = named(call)?;
    let mut next = places.into_iter();
    call.input(0)?.picked(call.input(1)?.shape.clone(), |_| next.next().unwrap_or(0))
}

/// Offsets that the tuples of indices name, in `extents`.
fn offsets(picks: &[i64], extents: &[usize], steps: &[usize]) -> Found<Vec<usize>> {
    let tuple =
        |tuple: &[i64]| tuple.iter().zip(extents).zip(steps).map(|((&i, &extent), step)| Ok(place(i, extent)? * step)).sum();
    picks.chunks(extents.len()).map(tuple).collect()
}

fn gather_nd(call: &Call) -> Found<Value> {
    let (x, indices) = (call.input(0)?, call.input(1)?);
    let batch = call.int("batch_dims", 0) as usize;
    let depth = *indices.shape.last().ok_or("indices without axes")?;
    let own = strides(&x.shape);
    let offsets = offsets(indices.as_ints()?, &x.shape[batch..batch + depth], &own[batch..batch + depth])?;
    let lead = indices.shape.len() - 1;
    let shape = [&indices.shape[..lead], &x.shape[batch + depth..]].concat();
    let tuples = strides(&indices.shape[..lead]);
    x.picked(shape, |index| {
        flat(&index[..batch], &own[..batch])
            + offsets[flat(&index[..lead], &tuples)]
            + flat(&index[lead..], &own[batch + depth..])
    })
}

/// `x` with updates at places.
fn scattered(call: &Call, places: &[usize]) -> Found<Value> {
    let (x, updates) = (call.input(0)?, call.input(2)?.as_floats()?);
    let mut data = x.as_floats()?.to_vec();
    for (&place, &update) in places.iter().zip(updates) {
        let old = data[place];
        data[place] = match call.string("reduction", "none") {
            "none" => update,
            "add" => old + update,
            "mul" => old * update,
            "max" => old.max(update),
            "min" => old.min(update),
            other => return Err(format!("the reduction {other}")),
        };
    }
    Ok(Value::floats(&x.shape, data))
}

fn scatter_nd(call: &Call) -> Found<Value> {
    let (x, indices) = (call.input(0)?, call.input(1)?);
    let depth = *indices.shape.last().ok_or("indices without axes")?;
    let offsets = offsets(indices.as_ints()?, &x.shape[..depth], &strides(&x.shape)[..depth])?;
    let inner = count(&x.shape[depth..]);
    scattered(call, &offsets.iter().flat_map(|offset| (0..inner).map(move |i| offset + i)).collect::<Vec<_>>())
}

fn scatter_elements(call: &Call) -> Found<Value> {
    scattered(call, &named(call)?)
}

fn one_hot(call: &Call) -> Found<Value> {
    let (indices, values) = (call.input(0)?, call.input(2)?);
    let depth = *call.input(1)?.as_ints()?.first().ok_or("no depth")?;
    let at = axis(call.int("axis", -1), indices.shape.len() + 1)?;
    let mut shape = indices.shape.clone();
    shape.insert(at, depth as usize);
    let (own, picks) = (strides(&indices.shape), indices.as_ints()?);
    values.picked(shape, |index| {
        let mut rest = index.to_vec();
        let here = rest.remove(at) as i64;
        usize::from(
            picks[flat(&rest, &own)].rem_euclid(depth.max(1)) == here && (-depth..depth).contains(&picks[flat(&rest, &own)]),
        )
    })
}

fn triangle(call: &Call) -> Found<Value> {
    let x = call.input(0)?;
    let k = call.optional(1).map_or(Ok(0), |k| k.as_ints().map(|k| k[0]))?;
    let (own, rank, zero) = (strides(&x.shape), x.shape.len(), Value::floats(&[], vec![0.0]));
    assemble(&[x, &zero], x.shape.clone(), |index| {
        let above = index[rank - 1] as i64 - index[rank - 2] as i64;
        let kept = if call.int("upper", 1) == 1 { above >= k } else { above <= k };
        if kept { (0, flat(index, &own)) } else { (1, 0) }
    })
}

fn cumulative(call: &Call) -> Found<Value> {
    let x = call.input(0)?;
    let at = axis(call.input(1)?.as_ints()?[0], x.shape.len())?;
    let (exclusive, reverse) = (call.int("exclusive", 0) == 1, call.int("reverse", 0) == 1);
    let (own, data) = (strides(&x.shape), x.as_floats()?);
    let mut found = Vec::with_capacity(data.len());
    for_each_index(&x.shape, |index| {
        let others = (0..x.shape[at]).filter(|&other| {
            let before = if reverse { other > index[at] } else { other < index[at] };
            before || (other == index[at] && !exclusive)
        });
        let value = |other: usize| {
            let mut place = index.to_vec();
            place[at] = other;
            data[flat(&place, &own)]
        };
        found.push(others.map(value).sum());
    });
    Ok(Value::floats(&x.shape, found))
}

/// Axis by axis, in floating point; only the modes and the coordinates that the graphs here use.
fn resize(call: &Call, scales: Option<&Value>, sizes: Option<&Value>) -> Found<Value> {
    let mut x = call.input(0)?.clone();
    let rank = x.shape.len();
    let axes: Vec<usize> = match call.ints("axes") {
        Some(axes) => axes.iter().map(|&at| axis(at, rank)).collect::<Found<_>>()?,
        None => (0..rank).collect(),
    };
    let listed = call.attribute("scales").map(|scales| scales.floats.iter().map(|&s| f64::from(s)).collect::<Vec<_>>());
    let old = call.opset < 11 || call.operator == "Upsample";
    let scales = match (scales, listed) {
        (_, Some(listed)) => Some(listed),
        (Some(scales), None) if scales.size() > 0 => Some(scales.as_floats()?.to_vec()),
        _ => call.optional(1).filter(|_| old).map(|scales| scales.as_floats().map(<[f64]>::to_vec)).transpose()?,
    };
    let given = scales.as_ref().map(Vec::len).or(sizes.map(Value::size));
    if given != Some(axes.len()) || x.size() == 0 {
        return Err("as many scales or sizes as axes".to_owned());
    }
    for (position, &at) in axes.iter().enumerate() {
        let input = x.shape[at];
        let (output, scale) = match (&scales, sizes) {
            (Some(scales), _) => ((input as f64 * scales[position]).floor() as usize, scales[position]),
            (None, Some(sizes)) => (sizes.as_ints()?[position] as usize, sizes.as_ints()?[position] as f64 / input as f64),
            _ => return Err("neither scales nor sizes".to_owned()),
        };
        if count(&x.shape) / input * output > LARGEST {
            return Err("too large".to_owned());
        }
        let coordinate = |place: usize| {
            let (place, half) = (place as f64, 0.5);
            Ok(match if old { "asymmetric" } else { call.string("coordinate_transformation_mode", "half_pixel") } {
                "half_pixel" => (place + half) / scale - half,
                "pytorch_half_pixel" => {
                    if output > 1 {
                        (place + half) / scale - half
                    } else {
                        0.0
                    }
                }
                "asymmetric" => place / scale,
                "align_corners" if output == 1 => 0.0,
                "align_corners" => place * (input as f64 - 1.0) / (output as f64 - 1.0),
                "half_pixel_symmetric" => {
                    let adjustment = output as f64 / (input as f64 * scale);
                    input as f64 / 2.0 * (1.0 - adjustment) + (place + half) / scale - half
                }
                other => return Err(format!("the coordinates {other}")),
            })
        };
        let taps =
            (0..output).map(|place| Ok(taps(call, old, coordinate(place)?, input as i64 - 1))).collect::<Found<Vec<_>>>()?;
        let mut shape = x.shape.clone();
        shape[at] = output;
        let (own, data) = (strides(&x.shape), x.as_floats()?.to_vec());
        let mut found = Vec::with_capacity(count(&shape));
        for_each_index(&shape, |index| {
            let value = |&(tap, weight): &(usize, f64)| {
                let mut place = index.to_vec();
                place[at] = tap;
                weight * data[flat(&place, &own)]
            };
            found.push(taps[index[at]].iter().map(value).sum());
        });
        x = Value::floats(&shape, found);
    }
    Ok(x)
}

/// The elements of an axis that meet at a coordinate, with their weights.
fn taps(call: &Call, old: bool, at: f64, last: i64) -> Vec<(usize, f64)> {
    let inside = |i: i64| i.clamp(0, last) as usize;
    match call.string("mode", "nearest") {
        "nearest" => {
            let nearest = match if old { "floor" } else { call.string("nearest_mode", "round_prefer_floor") } {
                "round_prefer_floor" => (at - 0.5).ceil(),
                "round_prefer_ceil" => (at + 0.5).floor(),
                "floor" => at.floor(),
                _ => at.ceil(),
            };
            vec![(inside(nearest as i64), 1.0)]
        }
        "linear" => {
            let at = at.clamp(0.0, last as f64);
            let below = at.floor();
            vec![(inside(below as i64), 1.0 - (at - below)), (inside(below as i64 + 1), at - below)]
        }
        _ => {
            let (a, below) = (call.float("cubic_coeff_a", -0.75), at.floor());
            let weight = |offset: i64| {
                let d = (at - below - offset as f64).abs();
                if d <= 1.0 {
                    (a + 2.0) * d.powi(3) - (a + 3.0) * d * d + 1.0
                } else {
                    a * (d.powi(3) - 5.0 * d * d + 8.0 * d - 4.0)
                }
            };
            let excluded = call.int("exclude_outside", 0) == 1;
            let near = (-1..3).map(|o| (below as i64 + o, weight(o)));
            let kept: Vec<(i64, f64)> = near.filter(|(i, _)| !excluded || (0..=last).contains(i)).collect();
            let total: f64 = if excluded { kept.iter().map(|(_, w)| w).sum() } else { 1.0 };
            kept.into_iter().map(|(i, w)| (inside(i), w / total)).collect()
        }
    }
}

/// By brute force over all labels.
fn einsum(call: &Call) -> Found<Value> {
    let equation: String = call.string("equation", "").chars().filter(|c| !c.is_whitespace()).collect();
    let inputs = (0..call.inputs.len()).map(|index| call.input(index)).collect::<Found<Vec<_>>>()?;
    let (left, right) = equation.split_once("->").map_or((&*equation, None), |(left, right)| (left, Some(right)));
    let named = |term: &str| term.chars().filter(char::is_ascii_alphabetic).count();
    let fits = |(term, x): (&&str, &&Value)| named(term) == x.shape.len() || (term.contains('.') && named(term) < x.shape.len());
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != inputs.len() || !terms.iter().zip(&inputs).all(fits) {
        return Err("labels that do not fit".to_owned());
    }
    let widest = |term: &str, rank: usize| rank - named(term);
    let dots = terms.iter().zip(&inputs).map(|(term, x)| widest(term, x.shape.len())).max().unwrap_or(0);
    let spelled = |term: &str, dots: usize| term.replace("...", &"3210"[4 - dots..]);
    let labels: Vec<String> = terms.iter().zip(&inputs).map(|(term, x)| spelled(term, widest(term, x.shape.len()))).collect();
    let mut all: Vec<(char, usize)> = Vec::new();
    for (labels, x) in labels.iter().zip(&inputs) {
        for pair in labels.chars().zip(x.shape.iter().copied()) {
            match all.iter().find(|(label, _)| *label == pair.0) {
                Some((_, extent)) if *extent != pair.1 => return Err("an axis of two extents".to_owned()),
                Some(_) => {}
                None => all.push(pair),
            }
        }
    }
    let output: Vec<char> = if let Some(right) = right {
        spelled(right, dots).chars().collect()
    } else {
        let joined: String = labels.concat();
        let mut once: Vec<char> = joined.chars().filter(|c| joined.matches(*c).count() == 1).collect();
        once.sort_unstable();
        once
    };
    let extent = |label: &char| all.iter().find(|(other, _)| other == label).map_or(1, |(_, extent)| *extent);
    let shape: Vec<usize> = output.iter().map(extent).collect();
    let mut found = vec![0.0; count(&shape)];
    let extents: Vec<usize> = all.iter().map(|(_, extent)| *extent).collect();
    let position = |label: char| all.iter().position(|(other, _)| *other == label).expect("a label");
    let steps: Vec<Vec<usize>> = inputs.iter().map(|x| strides(&x.shape)).collect();
    let data = inputs.iter().map(|x| x.as_floats()).collect::<Found<Vec<_>>>()?;
    let out = strides(&shape);
    for_each_index(&extents, |index| {
        let at = |labels: &[char], steps: &[usize]| {
            labels.iter().zip(steps).map(|(&label, step)| index[position(label)] * step).sum::<usize>()
        };
        let factors = labels
            .iter()
            .zip(&steps)
            .zip(&data)
            .map(|((labels, steps), data)| data[at(&labels.chars().collect::<Vec<_>>(), steps)]);
        found[at(&output, &out)] += factors.product::<f64>();
    });
    Ok(Value::floats(&shape, found))
}

/// Bilinear or nearest, with zeros or the nearest element outside.
fn grid_sample(call: &Call) -> Found<Value> {
    let (x, grid) = (call.input(0)?, call.input(1)?);
    let (&[batch, channels, height, width], &[own, rows, columns, 2]) = (&x.shape[..], &grid.shape[..]) else {
        return Err("four axes".to_owned());
    };
    if own != batch || x.size() == 0 {
        return Err("a grid for each image".to_owned());
    }
    let (data, places) = (x.as_floats()?, grid.as_floats()?);
    let aligned = call.int("align_corners", 0) == 1;
    let border = call.string("padding_mode", "zeros") == "border";
    let at = |g: f64, extent: usize| {
        let place = if aligned { f64::midpoint(g, 1.0) * (extent as f64 - 1.0) } else { ((g + 1.0) * extent as f64 - 1.0) / 2.0 };
        if border { place.clamp(0.0, extent as f64 - 1.0) } else { place }
    };
    let mut found = Vec::new();
    for sample in 0..batch {
        for channel in 0..channels {
            let plane = &data[(sample * channels + channel) * height * width..][..height * width];
            let pixel = |row: f64, column: f64| {
                let inside = (0.0..height as f64).contains(&row) && (0.0..width as f64).contains(&column);
                if inside { plane[row as usize * width + column as usize] } else { 0.0 }
            };
            for place in 0..rows * columns {
                let pair = &places[(sample * rows * columns + place) * 2..][..2];
                let (column, row) = (at(pair[0], width), at(pair[1], height));
                if call.string("mode", "linear") == "nearest" {
                    found.push(pixel(row.round_ties_even(), column.round_ties_even()));
                    continue;
                }
                let (r, c) = (row.floor(), column.floor());
                let (down, right) = (row - r, column - c);
                let top = pixel(r, c) * (1.0 - right) + pixel(r, c + 1.0) * right;
                let bottom = pixel(r + 1.0, c) * (1.0 - right) + pixel(r + 1.0, c + 1.0) * right;
                found.push(top * (1.0 - down) + bottom * down);
            }
        }
    }
    Ok(Value::floats(&[batch, channels, rows, columns], found))
}
