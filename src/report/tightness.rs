//! How the tightness of interval bound propagation is shown.

use std::fmt;

use tabled::builder::Builder;

use crate::query::figures::TightnessFigures;

impl fmt::Display for TightnessFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Builder::default();
        table.push_record([
            format!("tightness of interval propagation, ℓ∞, ε = {}", self.perturbation.epsilon),
            format!("{} samples", self.samples),
            if self.elided { "margins" } else { "outputs" }.to_owned(),
        ]);
        table.push_record(["clean accuracy", &self.clean_accuracy.to_string(), "computed: samples that are right as they are"]);
        let interval = format!("[{}, {}]", self.tightness_at_least, self.tightness_at_most);
        table.push_record(["tightness τ, mean", &interval, "proved"]);
        if let Some(certified) = self.certified {
            table.push_record(["robust by intervals alone", &certified.to_string(), "proved"]);
        }
        let exact = format!("{} of {} rows, {} of {} samples", self.exact_rows, self.rows, self.exact_samples, self.samples);
        table.push_record(["smallest box known to 1e-6", &exact, "proved"]);
        let mut describe = |name: &str, value: Option<f64>, note: &str| {
            let value = value.map_or_else(|| "none".to_owned(), |value| format!("{value:.4}"));
            table.push_record([name, &value, note]);
        };
        describe("propagation tightness", self.propagation_tightness, "descriptive: at the samples, no bound of τ");
        describe("", self.propagation_tightness_at_centre, "descriptive: at the centres of the boxes");
        describe("", self.linear_tightness, "descriptive: all slopes one");
        if let Some((width, layers, predicted)) = self.predicted_at_initialisation {
            let note = format!("expected at initialisation: {layers} layers, width {width}");
            describe("", Some(predicted), &note);
        }
        describe("normalised box size", self.normalised_box_size, "descriptive");
        for layer in &self.layers {
            let states = format!("{:.1} dead, {:.1} active, {:.1} unstable", layer.dead, layer.active, layer.unstable);
            table.push_record([format!("`{}`", layer.node), states, format!("mean width {:.4}", layer.width.0)]);
        }
        for pair in &self.invariance {
            let names = format!("`{}`, `{}`", pair.first, pair.second);
            let share = format!("{} of {} entries mix signs", pair.broken, pair.entries);
            let first = pair.examples.first().map_or_else(
                || "propagation invariant".to_owned(),
                |[output, input, one, other]| format!("first: output {output}, input {input} through {one} and {other}"),
            );
            table.push_record([names, share, first]);
        }
        writeln!(f, "{}", super::screen::table(table))
    }
}
