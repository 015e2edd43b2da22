//! How the deviation of two networks is shown.

use std::fmt;

use tabled::builder::Builder;

use super::visible;
use crate::query::figures::DeviationFigures;

/// Outputs that are listed where not everything is asked for (`-v`).
const LISTED: usize = 20;

impl fmt::Display for DeviationFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Builder::default();
        let place = match (&self.samples, &self.epsilon) {
            (Some(samples), Some(epsilon)) => format!("around {samples} samples, ℓ∞, ε = {epsilon}"),
            _ => "on a box".to_owned(),
        };
        table.push_record([format!("compared with {}", visible(&self.baseline)), place, self.semantics.words().to_owned()]);
        let number = |text: &Option<String>, none: &str| text.clone().unwrap_or_else(|| none.to_owned());
        table.push_record(["output", "differs by at most (proved)", "and somewhere by at least (attained)"]);
        let listed = if f.alternate() { self.outputs.len() } else { LISTED };
        for output in self.outputs.iter().take(listed) {
            table.push_record([
                output.output.to_string(),
                number(&output.proved, "unknown"),
                number(&output.attained, "no difference found"),
            ]);
        }
        if self.outputs.len() > listed {
            table.push_record([
                format!("{} more outputs", self.outputs.len() - listed),
                "`-v` lists them".to_owned(),
                String::new(),
            ]);
        }
        if self.agreement {
            let (same, different, open) = (self.count("same"), self.count("different"), self.count("open"));
            let shown = format!("{same} of {}", self.cases.len());
            table.push_record(["same class for every input", &shown, "proved"]);
            table.push_record(["different classes for some input", &different.to_string(), "proved by an input"]);
            table.push_record(["open", &open.to_string(), ""]);
        }
        writeln!(f, "{}", super::screen::table(table))?;
        let largest = |of: fn(&crate::query::figures::OutputFigures) -> Option<&String>| {
            let all = self.outputs.iter().filter_map(of);
            all.filter_map(|text| Some((text.parse::<f64>().ok()?, text)))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .map(|(_, text)| text)
        };
        match largest(|output| output.proved.as_ref()) {
            Some(proved) => {
                let attained = largest(|output| output.attained.as_ref());
                let attained =
                    attained.map_or_else(String::new, |attained| format!("; an input is known where one differs by {attained}"));
                write!(f, "It means: no output differs by more than {proved} from that of the other network{attained}.")?;
            }
            None => write!(f, "It means: how far the outputs are apart is not bounded.")?,
        }
        if let Some(limit) = &self.max_deviation {
            write!(f, " Asked for: at most {limit}.")?;
        }
        if let Some(least) = self.min_agreement {
            write!(f, " Asked for: the same class around a share of at least {least} of the samples.")?;
        }
        writeln!(f)
    }
}
