//! Poolings: windows are movements of elements, then one reduction.

use super::super::error::NodeError;
use super::super::proto::DataType;
use super::super::value::Value;
use super::graph::Slot;
use super::indices::{product, source};
use super::normalization;
use super::site::Site;
use super::windows::{Place, Window, is_bounded};
use crate::model::ir::{Binary, Reduction, Tensor};

/// A pooling's input, split into its outer axes and its windows.
struct Pool {
    x: Slot,
    shape: Vec<usize>,
    windows: Vec<Window>,
}

fn pool(site: &Site, ceil_mode: bool) -> Result<Pool, NodeError> {
    let x = site.input(0)?;
    let shape = site.shape(&x);
    if shape.len() < 3 {
        return Err(NodeError::invalid(format!("its input has the shape {shape:?}, without spatial axes")));
    }
    let geometry = site.windows(&shape[2..], None)?;
    geometry.check_pooling()?;
    let windows = geometry.forward(ceil_mode)?;
    if !is_bounded(&windows, shape[0].saturating_mul(shape[1])) {
        return Err(NodeError::unsupported("its windows have too many elements"));
    }
    Ok(Pool { x, shape, windows })
}

/// One window: the flat input elements in it, and how many of its places lie in the input or its pads.
type Contents = (Vec<usize>, usize);

/// Every window of one plane.
fn plane(windows: &[Window]) -> Vec<Contents> {
    let mut all = vec![(vec![0], 1)];
    for window in windows {
        let places = window.places();
        let join = |(outer, count): &Contents, place: &Place| {
            let inputs = outer.iter().flat_map(|o| place.inputs.iter().map(move |i| o * window.input + i)).collect();
            (inputs, count * place.padded)
        };
        all = all.iter().flat_map(|outer| places.iter().map(move |place| join(outer, place))).collect();
    }
    all
}

impl Pool {
    fn planes(&self) -> usize {
        self.shape[0] * self.shape[1]
    }

    fn output_shape(&self) -> Vec<usize> {
        self.shape[..2].iter().copied().chain(self.windows.iter().map(|window| window.output)).collect()
    }

    /// The windows as rows; places outside the input are filled as `pad` says.
    fn rows(&self, site: &mut Site, pad: PadWith) -> Result<(Slot, Vec<Contents>), NodeError> {
        let plane = plane(&self.windows);
        if plane.iter().any(|(inputs, _)| inputs.is_empty()) && self.planes() > 0 {
            return Err(NodeError::unsupported("a window lies wholly in the padding"));
        }
        let width = plane.iter().map(|(inputs, _)| inputs.len()).max().unwrap_or(0);
        let size = product(&self.shape[2..]);
        let operands = [self.x.clone(), site.scalar(0.0)];
        let shape = vec![self.planes(), plane.len(), width];
        let rows = site.rearrange(&operands, shape, |index| {
            let inputs = &plane[index[1]].0;
            match (inputs.get(index[2]), pad) {
                (Some(input), _) => source(0, index[0] * size + input),
                (None, PadWith::First) => source(0, index[0] * size + inputs[0]),
                (None, PadWith::Zero) => source(1, 0),
            }
        })?;
        Ok((rows, plane))
    }
}

#[derive(Clone, Copy)]
enum PadWith {
    /// The window's first element: it changes no maximum.
    First,
    Zero,
}

pub(super) fn max(site: &mut Site) -> Result<Slot, NodeError> {
    let pool = pool(site, site.flag("ceil_mode", false)?)?;
    let (rows, _) = pool.rows(site, PadWith::First)?;
    let result = site.reduce_last(Reduction::Max, &rows, 1)?;
    site.reshape(&result, pool.output_shape())
}

pub(super) fn average(site: &mut Site) -> Result<Slot, NodeError> {
    let pool = pool(site, site.flag("ceil_mode", false)?)?;
    let include_pad = site.flag("count_include_pad", false)?;
    let (rows, plane) = pool.rows(site, PadWith::Zero)?;
    let width = site.shape(&rows).last().copied().unwrap_or(0);
    let counts: Vec<usize> = plane.iter().map(|(inputs, padded)| if include_pad { *padded } else { inputs.len() }).collect();
    if counts.iter().all(|&count| count == width) {
        let result = site.reduce_last(Reduction::Mean, &rows, 1)?;
        return site.reshape(&result, pool.output_shape());
    }
    // The number of elements differs from window to window, or counts zeros that are not among the elements.
    let total = site.reduce_last(Reduction::Sum, &rows, 1)?;
    #[allow(clippy::cast_precision_loss)] // a window has far fewer than 2⁵³ places
    let counts: Vec<f64> = counts.into_iter().map(|count| count as f64).collect();
    let counts = Tensor::new(vec![counts.len()], counts).ok_or_else(|| NodeError::invalid("it has no windows"))?;
    let counts = site.constant(Value::Float(counts), DataType::Float)?;
    let mean = site.binary(Binary::Div, &total, &counts)?;
    site.reshape(&mean, pool.output_shape())
}

/// The `p`-norm of every window.
pub(super) fn norm(site: &mut Site) -> Result<Slot, NodeError> {
    let pool = pool(site, site.flag("ceil_mode", false)?)?;
    let (rows, _) = pool.rows(site, PadWith::Zero)?;
    let norms = row_norms(site, &rows)?;
    site.reshape(&norms, pool.output_shape())
}

pub(super) fn global_norm(site: &mut Site) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let mut shape = site.shape(&x);
    if shape.len() < 2 {
        return Err(NodeError::invalid(format!("its input has the shape {shape:?}, without channels")));
    }
    let rows = site.reshape(&x, vec![product(&shape[..2]), product(&shape[2..])])?;
    let norms = row_norms(site, &rows)?;
    shape[2..].fill(1);
    site.reshape(&norms, shape)
}

fn row_norms(site: &mut Site, rows: &Slot) -> Result<Slot, NodeError> {
    let p = site.int("p", 2)?;
    normalization::norm(site, rows, p)
}

pub(super) fn global_max(site: &mut Site) -> Result<Slot, NodeError> {
    global(site, Reduction::Max)
}

pub(super) fn global_average(site: &mut Site) -> Result<Slot, NodeError> {
    global(site, Reduction::Mean)
}

fn global(site: &mut Site, reduction: Reduction) -> Result<Slot, NodeError> {
    let x = site.input(0)?;
    let mut shape = site.shape(&x);
    if shape.len() < 2 {
        return Err(NodeError::invalid(format!("its input has the shape {shape:?}, without channels")));
    }
    let result = site.reduce_last(reduction, &x, shape.len() - 2)?;
    shape[2..].fill(1);
    site.reshape(&result, shape)
}
