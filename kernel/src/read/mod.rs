//! TRUSTED. Files beside the model: how any file is read, arrays and data sets, specifications. Nothing here knows claims or bounds.

pub mod data;
pub mod files;
pub mod vnnlib;
