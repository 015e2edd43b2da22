//! Since when, and until when, operators of the default domain have some of their attributes.

/// Attributes whose meaning began with an operator set, and what they would silently change in an older one.
pub(super) const NEWER_ATTRIBUTES: &[(&str, &str, i64)] = &[
    ("AveragePool", "ceil_mode", 10),
    ("AveragePool", "dilations", 19),
    ("BatchNormalization", "training_mode", 14),
    ("MaxPool", "ceil_mode", 10),
    ("MaxPool", "dilations", 10),
    ("DepthToSpace", "mode", 11),
    ("Reshape", "allowzero", 14),
    ("Shape", "end", 15),
    ("Shape", "start", 15),
    ("Split", "num_outputs", 18),
    ("LpPool", "ceil_mode", 18),
    ("LpPool", "dilations", 18),
    ("Resize", "antialias", 18),
    ("Resize", "axes", 18),
    ("Resize", "coordinate_transformation_mode", 11),
    ("Resize", "cubic_coeff_a", 11),
    ("Resize", "exclude_outside", 11),
    ("Resize", "extrapolation_value", 11),
    ("Resize", "keep_aspect_ratio_policy", 18),
    ("Resize", "nearest_mode", 11),
    ("ScatterElements", "reduction", 16),
    ("ScatterND", "reduction", 16),
    ("GroupNormalization", "stash_type", 21),
    ("GRU", "layout", 14),
    ("LSTM", "layout", 14),
    ("RNN", "layout", 14),
    ("QuantizeLinear", "axis", 13),
    ("QuantizeLinear", "block_size", 21),
    ("QuantizeLinear", "output_dtype", 21),
    ("QuantizeLinear", "precision", 23),
    ("QuantizeLinear", "saturate", 19),
    ("TopK", "largest", 11),
    ("TopK", "sorted", 11),
];

/// Attributes that were replaced by inputs (or dropped) from an operator set on, where they would be read as nothing.
pub(super) const OLDER_ATTRIBUTES: &[(&str, &str, i64)] = &[
    ("BatchNormalization", "spatial", 9),
    ("Clip", "max", 11),
    ("Clip", "min", 11),
    ("Dropout", "ratio", 12),
    ("Pad", "value", 11),
    ("TopK", "k", 10),
    ("Upsample", "scales", 9),
];
