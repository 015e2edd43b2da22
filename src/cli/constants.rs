//! Means, deviations and sizes of perturbations as options take them: decimals, or files with numbers. Claims state all of them as decimals.

use std::path::{Path, PathBuf};

use super::{Failure, units};
use crate::files;
use crate::kernel::read::data::read_npy;

/// One decimal, or a .npy file with numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Constants {
    Decimal(String),
    File(PathBuf),
}

/// A file with more bytes holds no constants of channels.
const MOST_BYTES: u64 = 1 << 20;

impl Constants {
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Decimal(_) => None,
            Self::File(path) => Some(path),
        }
    }
}

pub fn mean(text: &str) -> Result<Constants, String> {
    parse(text, units::decimal)
}

pub fn size(text: &str) -> Result<Constants, String> {
    parse(text, units::size)
}

pub fn deviation(text: &str) -> Result<Constants, String> {
    parse(text, units::divisor)
}

fn parse(text: &str, decimal: fn(&str) -> Result<String, String>) -> Result<Constants, String> {
    match decimal(text) {
        Ok(decimal) => Ok(Constants::Decimal(decimal)),
        Err(_) if Path::new(text).is_file() => Ok(Constants::File(text.into())),
        Err(problem) => Err(problem),
    }
}

/// Returns the decimals, those of files as the shortest that read back as the numbers.
///
/// # Errors
/// A file that is no .npy file, or a number that is not finite or that `holds` does not hold of.
pub fn decimals(option: &str, constants: &[Constants], holds: fn(f64) -> bool) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    for constant in constants {
        match constant {
            Constants::Decimal(decimal) => all.push(decimal.clone()),
            Constants::File(path) => {
                let failed = |problem: &dyn std::fmt::Display| {
                    Failure::coded("NV202", format_args!("`{option}`: `{}`: {problem}", path.display()))
                };
                let bytes = files::read(path, MOST_BYTES).map_err(|error| failed(&error))?;
                let values = read_npy(&bytes).and_then(|array| array.to_f64()).map_err(|problem| failed(&problem))?;
                if let Some(value) = values.iter().find(|value| !(value.is_finite() && holds(**value))) {
                    return Err(failed(&format_args!("it holds {value}")));
                }
                all.extend(values.iter().map(ToString::to_string));
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_what_options_could_say() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mean.npy");
        crate::kernel::read::data::write_npy(std::fs::File::create(&path).unwrap(), &[3], &[0.485, -0.456, 0.0]).unwrap();
        let name = path.to_str().unwrap();
        assert_eq!(mean("8/255"), Ok(Constants::Decimal("8/255".into())));
        assert_eq!(mean(name), Ok(Constants::File(path.clone())));
        assert!(mean("nowhere.npy").is_err() && deviation("0").is_err());
        let file = [Constants::File(path)];
        assert_eq!(decimals("--input-mean", &file, |_| true).unwrap(), ["0.485", "-0.456", "0"]);
        assert!(decimals("--input-std", &file, |value| value > 0.0).unwrap_err().to_string().contains("it holds -0.456"));
    }
}
