//! Operators that move elements or make integers from shapes.

use super::oracle::{Call, decoded};
use super::value::{Data, Found, LARGEST, Value, assemble, axis, broadcast, count, expansion, flat, strides};

/// The result of an operator that moves elements; `None` for any other.
pub fn apply(call: &Call) -> Option<Found<Vec<Value>>> {
    let one = |value: Found<Value>| Some(value.map(|value| vec![value]));
    match call.operator {
        "Identity" | "Dropout" => one(call.input(0).cloned()),
        "Reshape" => one(reshape(call)),
        "Flatten" => one(flatten(call)),
        "Transpose" => one(transpose(call)),
        "Squeeze" => one(squeeze(call)),
        "Unsqueeze" => one(unsqueeze(call)),
        "Expand" => one(expand(call)),
        "Tile" => one(tile(call)),
        "Slice" => one(slice(call)),
        "Gather" => one(gather(call)),
        "Concat" => one(concat(call)),
        "Split" => Some(split(call)),
        "Pad" => one(pad(call)),
        "Where" => one(choose(call)),
        "DepthToSpace" => one(depth_to_space(call)),
        "SpaceToDepth" => one(space_to_depth(call)),
        "Shape" => one(shape(call)),
        "Size" => one(call.input(0).map(|x| Value::ints(&[], vec![x.size() as i64]))),
        "Range" => one(range(call)),
        "ConstantOfShape" => one(constant_of_shape(call)),
        _ => None,
    }
}

fn extents(ints: &[i64]) -> Found<Vec<usize>> {
    ints.iter().map(|&extent| usize::try_from(extent).map_err(|_| format!("an extent of {extent}"))).collect()
}

/// The listed axes, counted from the front and sorted.
pub fn sorted_axes(listed: &[i64], rank: usize) -> Found<Vec<usize>> {
    let mut axes = listed.iter().map(|&at| axis(at, rank)).collect::<Found<Vec<_>>>()?;
    axes.sort_unstable();
    Ok(axes)
}

fn reshape(call: &Call) -> Found<Value> {
    let (x, wanted) = (call.input(0)?, call.input(1)?.as_ints()?);
    let keep = |(at, &extent): (usize, &i64)| match extent {
        0 if call.int("allowzero", 0) == 0 => x.shape.get(at).map(|&own| own as i64).ok_or("copies no axis"),
        extent => Ok(extent),
    };
    let mut shape = wanted.iter().enumerate().map(keep).collect::<Result<Vec<i64>, _>>()?;
    if let Some(open) = shape.iter().position(|&extent| extent == -1) {
        let mut known = shape.iter().enumerate().filter(|(at, _)| *at != open).map(|(_, extent)| *extent);
        let known = known.try_fold(1i64, i64::checked_mul).ok_or("extents overflow")?;
        shape[open] = (x.size() as i64).checked_div(known).ok_or("an open extent beside zero")?;
    }
    x.reshaped(extents(&shape)?)
}

fn flatten(call: &Call) -> Found<Value> {
    let x = call.input(0)?;
    let (rank, at) = (x.shape.len(), call.int("axis", 1));
    let at = if at == rank as i64 { rank } else { axis(at, rank)? };
    x.reshaped(vec![count(&x.shape[..at]), count(&x.shape[at..])])
}

fn transpose(call: &Call) -> Found<Value> {
    let x = call.input(0)?;
    let reversed = || (0..x.shape.len()).rev().collect();
    let order: Vec<usize> = call.ints("perm").map_or_else(reversed, |perm| perm.iter().map(|&at| at as usize).collect());
    x.transposed(&order)
}

fn squeeze(call: &Call) -> Found<Value> {
    let x = call.input(0)?;
    let rank = x.shape.len();
    let removed = match call.ints_or_input("axes", 1)? {
        Some(listed) => sorted_axes(&listed, rank)?,
        None => (0..rank).filter(|&at| x.shape[at] == 1).collect(),
    };
    x.reshaped((0..rank).filter(|at| !removed.contains(at)).map(|at| x.shape[at]).collect())
}

fn unsqueeze(call: &Call) -> Found<Value> {
    let x = call.input(0)?;
    let listed = call.ints_or_input("axes", 1)?.ok_or("no axes")?;
    let mut shape = x.shape.clone();
    for at in sorted_axes(&listed, x.shape.len() + listed.len())? {
        shape.insert(at, 1);
    }
    x.reshaped(shape)
}

fn expand(call: &Call) -> Found<Value> {
    let (x, wanted) = (call.input(0)?, extents(call.input(1)?.as_ints()?)?);
    x.expanded(&broadcast(&x.shape, &wanted)?)
}

fn tile(call: &Call) -> Found<Value> {
    let (x, repeats) = (call.input(0)?, extents(call.input(1)?.as_ints()?)?);
    if repeats.len() != x.shape.len() {
        return Err("as many repeats as axes".to_owned());
    }
    let own = strides(&x.shape);
    let shape = x.shape.iter().zip(&repeats).map(|(extent, times)| extent.saturating_mul(*times)).collect();
    x.picked(shape, |index| index.iter().zip(&x.shape).zip(&own).map(|((i, extent), step)| i % extent * step).sum())
}

fn slice(call: &Call) -> Found<Value> {
    let x = call.input(0)?;
    let starts = call.ints_or_input("starts", 1)?.ok_or("no starts")?;
    let ends = call.ints_or_input("ends", 2)?.ok_or("no ends")?;
    let axes = call.ints_or_input("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = call.optional(4).map(|steps| steps.as_ints()).transpose()?.map_or_else(|| vec![1; starts.len()], <[i64]>::to_vec);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err("a slice whose inputs differ in length".to_owned());
    }
    let mut places: Vec<Vec<usize>> = x.shape.iter().map(|&extent| (0..extent).collect()).collect();
    for (position, &at) in axes.iter().enumerate() {
        let at = axis(at, x.shape.len())?;
        let (extent, step) = (x.shape[at] as i64, steps[position]);
        let absolute = |bound: i64| if bound < 0 { bound.saturating_add(extent) } else { bound };
        let (mut from, to) = if step > 0 {
            (absolute(starts[position]).clamp(0, extent), absolute(ends[position]).clamp(0, extent))
        } else {
            (absolute(starts[position]).clamp(0, (extent - 1).max(0)), absolute(ends[position]).clamp(-1, extent - 1))
        };
        places[at].clear();
        while (step > 0 && from < to) || (step < 0 && from > to) {
            places[at].push(from as usize);
            from = from.saturating_add(step);
        }
    }
    let own = strides(&x.shape);
    let shape = places.iter().map(Vec::len).collect();
    x.picked(shape, |index| index.iter().zip(&places).zip(&own).map(|((&i, places), step)| places[i] * step).sum())
}

fn gather(call: &Call) -> Found<Value> {
    let (x, indices) = (call.input(0)?, call.input(1)?);
    let at = axis(call.int("axis", 0), x.shape.len())?;
    let picks = indices.as_ints()?.iter().map(|&pick| axis(pick, x.shape[at])).collect::<Found<Vec<_>>>()?;
    let (outer, inner) = (&x.shape[..at], &x.shape[at + 1..]);
    let shape = [outer, &indices.shape, inner].concat();
    let flat_shape = vec![count(outer), picks.len(), count(inner)];
    let extent = x.shape[at];
    x.picked(flat_shape, |index| (index[0] * extent + picks[index[1]]) * count(inner) + index[2])?.reshaped(shape)
}

fn concat(call: &Call) -> Found<Value> {
    let parts = (0..call.inputs.len()).map(|index| call.input(index)).collect::<Found<Vec<_>>>()?;
    let first = &parts.first().ok_or("nothing to join")?.shape;
    let at = axis(call.optional_int("axis").ok_or("no axis")?, first.len())?;
    let fits = |part: &&Value| {
        let others = |shape: &[usize]| (0..shape.len()).filter(|&axis| axis != at).map(|axis| shape[axis]).collect::<Vec<_>>();
        part.shape.len() == first.len() && others(&part.shape) == others(first)
    };
    if !parts.iter().all(fits) {
        return Err("shapes that cannot be joined".to_owned());
    }
    let owners: Vec<(usize, usize)> =
        parts.iter().enumerate().flat_map(|(part, value)| (0..value.shape[at]).map(move |place| (part, place))).collect();
    let mut shape = first.clone();
    shape[at] = owners.len();
    let own: Vec<Vec<usize>> = parts.iter().map(|part| strides(&part.shape)).collect();
    assemble(&parts, shape, |index| {
        let (part, place) = owners[index[at]];
        let mut index = index.to_vec();
        index[at] = place;
        (part, flat(&index, &own[part]))
    })
}

fn split(call: &Call) -> Found<Vec<Value>> {
    let x = call.input(0)?;
    let at = axis(call.int("axis", 0), x.shape.len())?;
    let part = x.shape[at].div_ceil(call.outputs);
    let even = || (0..call.outputs).map(|output| part.min(x.shape[at].saturating_sub(part * output))).collect();
    let parts = match call.ints_or_input("split", 1)? {
        Some(parts) => extents(&parts)?,
        None => even(),
    };
    if parts.iter().copied().fold(0, usize::saturating_add) != x.shape[at] || parts.len() != call.outputs {
        return Err(format!("parts {parts:?} of {:?}", x.shape));
    }
    let own = strides(&x.shape);
    let mut start = 0;
    let piece = |&part: &usize| {
        let mut shape = x.shape.clone();
        shape[at] = part;
        let offset = start * own[at];
        start += part;
        x.picked(shape, |index| offset + flat(index, &own))
    };
    parts.iter().map(piece).collect()
}

fn pad(call: &Call) -> Found<Value> {
    let x = call.input(0)?;
    let rank = x.shape.len();
    let pads = call.ints_or_input("pads", 1)?.ok_or("no pads")?;
    let axes = match call.optional(3) {
        Some(axes) => axes.as_ints()?.iter().map(|&at| axis(at, rank)).collect::<Found<Vec<_>>>()?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err("two pads for each axis".to_owned());
    }
    let fill = match (call.optional(2), &x.data) {
        (Some(fill), _) => fill.clone(),
        (None, Data::Floats(_)) => Value::floats(&[], vec![call.float("value", 0.0)]),
        (None, _) => Value::ints(&[], vec![0]),
    };
    let (mut begins, mut shape) = (vec![0i64; rank], x.shape.clone());
    for (position, &at) in axes.iter().enumerate() {
        begins[at] = pads[position];
        let extent = (x.shape[at] as i64).saturating_add(pads[position]).saturating_add(pads[position + axes.len()]);
        shape[at] = usize::try_from(extent).map_err(|_| "a negative extent")?;
    }
    let own = strides(&x.shape);
    let mode = call.string("mode", "constant");
    assemble(&[x, &fill], shape, |index| {
        let mut position = 0;
        for at in 0..rank {
            let (place, extent) = ((index[at] as i64).saturating_sub(begins[at]), x.shape[at] as i64);
            let place = match mode {
                "edge" => place.clamp(0, (extent - 1).max(0)),
                "reflect" if place < 0 => -place,
                "reflect" if place >= extent => 2 * (extent - 1) - place,
                "wrap" => place.rem_euclid(extent),
                _ => place,
            };
            if !(0..extent).contains(&place) {
                return (1, 0);
            }
            position += place as usize * own[at];
        }
        (0, position)
    })
}

fn choose(call: &Call) -> Found<Value> {
    let (condition, a, b) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let shape = broadcast(&broadcast(&condition.shape, &a.shape)?, &b.shape)?;
    let truths = condition.expanded(&shape)?;
    let truths = truths.as_truths()?;
    let (from_a, from_b) = (expansion(&a.shape, &shape)?, expansion(&b.shape, &shape)?);
    let mut at = 0..;
    assemble(&[a, b], shape, |index| {
        if truths[at.next().expect("endless")] { (0, flat(index, &from_a)) } else { (1, flat(index, &from_b)) }
    })
}

fn image(x: &Value) -> Found<[usize; 4]> {
    <[usize; 4]>::try_from(&x.shape[..]).map_err(|_| "four axes are needed".to_owned())
}

fn depth_to_space(call: &Call) -> Found<Value> {
    let x = call.input(0)?;
    let ([batch, channels, height, width], block) = (image(x)?, call.int("blocksize", 0) as usize);
    let depth = channels / (block * block);
    let own = strides(&x.shape);
    let columns_first = call.string("mode", "DCR") == "DCR";
    x.picked(vec![batch, depth, height * block, width * block], |index| {
        let offset = index[2] % block * block + index[3] % block;
        let channel = if columns_first { offset * depth + index[1] } else { index[1] * block * block + offset };
        flat(&[index[0], channel, index[2] / block, index[3] / block], &own)
    })
}

fn space_to_depth(call: &Call) -> Found<Value> {
    let x = call.input(0)?;
    let ([batch, channels, height, width], block) = (image(x)?, call.int("blocksize", 0) as usize);
    let own = strides(&x.shape);
    x.picked(vec![batch, channels * block * block, height / block, width / block], |index| {
        let (offset, channel) = (index[1] / channels, index[1] % channels);
        flat(&[index[0], channel, index[2] * block + offset / block, index[3] * block + offset % block], &own)
    })
}

fn shape(call: &Call) -> Found<Value> {
    let shape = &call.input(0)?.shape;
    let rank = shape.len() as i64;
    let bound = |bound: i64| (if bound < 0 { bound + rank } else { bound }).clamp(0, rank) as usize;
    let (start, end) = (bound(call.int("start", 0)), bound(call.int("end", rank)));
    let extents: Vec<i64> = shape[start..end.max(start)].iter().map(|&extent| extent as i64).collect();
    Ok(Value::ints(&[extents.len()], extents))
}

fn range(call: &Call) -> Found<Value> {
    let bound = |index: usize| Ok::<_, String>(call.input(index)?.as_ints()?.first().copied().ok_or("no bound")?);
    let (start, limit, step) = (bound(0)?, bound(1)?, bound(2)?);
    let mut found = Vec::new();
    let mut next = start;
    while (step > 0 && next < limit) || (step < 0 && next > limit) {
        if found.len() > LARGEST {
            return Err("a range without end".to_owned());
        }
        found.push(next);
        next = next.saturating_add(step);
    }
    Ok(Value::ints(&[found.len()], found))
}

fn constant_of_shape(call: &Call) -> Found<Value> {
    let shape = extents(call.input(0)?.as_ints()?)?;
    let fill = call.attribute("value").and_then(|attribute| attribute.t.as_ref()).map(decoded).transpose()?;
    let fill = fill.unwrap_or_else(|| Value::floats(&[1], vec![0.0]));
    fill.picked(shape, |_| 0)
}
