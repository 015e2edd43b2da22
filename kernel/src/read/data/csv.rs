//! CSV: one sample a line, numbers separated by commas, semicolons or tabs, with or without a header line.
//!
//! With a header, the columns called `y`, `label`, `labels`, `class`, `target`, `targets` or `target_…` (any case) are
//! targets, all others inputs. Without one, all columns are inputs. A first line is a header when a field of it is not a
//! number. Quotes around a field are allowed, separators within them are not. Numbers are rounded to the nearest `f64`.

use super::array::{Array, Values};
use super::error::Problem;

/// Inputs `[samples, columns]` and targets `[samples]` or `[samples, columns]`.
pub(super) fn read(text: &str) -> Result<(Array, Option<Array>), Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line)).filter(|(_, line)| !line.trim().is_empty());
    let Some((first, line)) = lines.next() else {
        return Err(Problem::Text { line: 1, column: None, detail: "there are no samples".to_owned() });
    };
    let separator = [',', ';', '\t'].into_iter().find(|&separator| line.contains(separator)).unwrap_or(',');
    let header: Vec<&str> = line.split(separator).map(field).collect();
    let columns = header.len();
    let has_header = header.iter().any(|name| name.parse::<f64>().is_err());
    let is_target: Vec<bool> = header.iter().map(|name| has_header && names_target(name)).collect();

    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    let mut integral = true;
    let mut samples = 0;
    let body = (!has_header).then_some((first, line)).into_iter().chain(lines);
    for (line, text) in body {
        let mut found = 0;
        for (column, text) in text.split(separator).map(field).enumerate() {
            found += 1;
            let Some(&target) = is_target.get(column) else { continue };
            let problem = |detail: String| Problem::Text { line, column: Some(column + 1), detail };
            // Not quoted: what is no table of numbers may be anything.
            let value: f64 = text.parse().map_err(|_| problem("it is not a number".to_owned()))?;
            if !value.is_finite() {
                return Err(problem("it is not a finite number".to_owned()));
            }
            if target {
                integral &= text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && value.abs() < 9e15;
                targets.push(value);
            } else {
                inputs.push(value);
            }
        }
        if found != columns {
            let detail = format!("{found} columns where the first line has {columns}");
            return Err(Problem::Text { line, column: None, detail });
        }
        samples += 1;
    }
    let target_columns = is_target.iter().filter(|&&target| target).count();
    let overflow = || Problem::malformed("a table", "its size overflows");
    let inputs = Array::new(vec![samples, columns - target_columns], Values::F64(inputs)).ok_or_else(overflow)?;
    let targets = match target_columns {
        0 => None,
        count => {
            let shape = if count == 1 { vec![samples] } else { vec![samples, count] };
            let values =
                if integral { Values::I64(targets.iter().map(|&value| value as i64).collect()) } else { Values::F64(targets) };
            Some(Array::new(shape, values).ok_or_else(overflow)?)
        }
    };
    Ok((inputs, targets))
}

fn field(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).trim()
}

fn names_target(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["y", "label", "labels", "class", "target", "targets"].contains(&name.as_str()) || name.starts_with("target_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_columns_decide_what_is_a_target() {
        let (inputs, targets) = read("\u{feff}\"a\",label,b\r\n1,7,2.5\r\n\r\n-1e-3,2,4\r\n").unwrap();
        assert_eq!((inputs.shape(), inputs.row(1)), (&[2, 2][..], vec![-1e-3, 4.0]));
        assert_eq!(targets.unwrap(), Array::new(vec![2], Values::I64(vec![7, 2])).unwrap());
        let (inputs, targets) = read("target_0;x;Target_1\n1;2;3.5").unwrap();
        assert_eq!(inputs.row(0), [2.0]);
        assert_eq!(targets.unwrap(), Array::new(vec![1, 2], Values::F64(vec![1.0, 3.5])).unwrap());
        let (inputs, targets) = read("1\t2\n3\t4\n").unwrap();
        assert_eq!((inputs.shape(), targets), (&[2, 2][..], None));
    }

    #[test]
    fn errors_name_line_and_column() {
        let message = |text| read(text).unwrap_err().to_string();
        assert_eq!(message("a,b\n1,2\n3,x\n"), "line 3, column 2: it is not a number");
        assert_eq!(message("1,2\n\n3\n"), "line 3: 1 columns where the first line has 2");
        assert_eq!(message("1,2\n3,4,5\n"), "line 2: 3 columns where the first line has 2");
        assert_eq!(message("x\nNaN\n"), "line 2, column 1: it is not a finite number");
        assert_eq!(message("1,inf\n"), "line 1, column 2: it is not a finite number");
        assert_eq!(message(" \n"), "line 1: there are no samples");
        assert_eq!(read("a,b\n").unwrap().0.rows(), 0);
    }
}
