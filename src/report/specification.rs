//! How a specification's verdict is shown.

use std::fmt;

use crate::query::figures::SpecificationFigures;

impl fmt::Display for SpecificationFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = if self.parts > 0 { format!(", {} parts", self.parts) } else { String::new() };
        let vacuous = if self.vacuous { "vacuous: its assertions contradict each other; " } else { "" };
        writeln!(f, "{}: {} ({vacuous}{}; {} cases{parts})", self.verdict, self.specification, self.meaning, self.cases)?;
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))?;
        if let Some(found) = &self.counterexample {
            f.write_str(&found.flat())?;
        }
        Ok(())
    }
}
