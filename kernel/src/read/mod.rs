//! TRUSTED. Files beside the model: arrays and data sets, specifications. Nothing here knows claims or bounds.

pub mod data;
pub mod vnnlib;
