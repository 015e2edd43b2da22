//! An audit as text for a terminal: the policy's table, or the claims where there is no policy.

use std::fmt;

use tabled::builder::Builder;

use super::audit::{Audit, PolicySection, assurance_word, status_word};
use super::visible;

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.policy {
            Some(policy) => {
                write!(f, "{policy}")?;
                for (_, certificate, refusal) in self.untold_refusals() {
                    writeln!(f, "{}: refused: {} [{}]", visible(&certificate.path), visible(&refusal.reason), refusal.code)?;
                }
            }
            None => claims(self, f)?,
        }
        writeln!(f, "{}: {}", self.verdict.title.to_lowercase(), self.verdict.meaning)
    }
}

impl fmt::Display for PolicySection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Builder::default();
        table.push_record(["rule", "limit", "value", "margin", "status"]);
        for rule in self.by_urgency() {
            let value = rule.value.as_deref().unwrap_or("–");
            let room = rule.room.as_deref().unwrap_or("–");
            table.push_record([rule.id.as_str(), &rule.limit, value, room, status_word(rule.status)].map(visible));
        }
        writeln!(f, "{}", super::screen::table(table))?;
        for rule in &self.rules {
            if let Some(statement) = &rule.statement {
                writeln!(f, "{}: {}", visible(&rule.id), visible(statement))?;
            }
            if let Some(detail) = &rule.detail {
                let code = rule.code.as_ref().map_or(String::new(), |code| format!(" [{code}]"));
                writeln!(f, "{}: {}{code}", visible(&rule.id), visible(detail))?;
            }
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {}", visible(note)))
    }
}

fn claims(audit: &Audit, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for model in &audit.models {
        writeln!(f, "{}: sha256 {}, {} parameters", visible(&model.path), model.digest, model.parameters)?;
        for question in &model.questions {
            let (unit, value) = (visible(&question.headline.unit), visible(&question.headline.value));
            writeln!(f, "{}: {value} {unit} [{}]", visible(&question.question), question.word())?;
            writeln!(f, "  {}", visible(&question.sentence))?;
            for &[certificate, claim] in &question.claims {
                let claim = &model.certificates[certificate].claims[claim];
                let (assurance, statement) = (assurance_word(claim.assurance), visible(&claim.statement));
                writeln!(f, "  {assurance}: {statement} ({}, {})", claim.domain, claim.semantics.words())?;
                for example in &claim.examples {
                    writeln!(f, "  {}: {}", visible(&example.title).to_lowercase(), example.sentence)?;
                }
            }
        }
        for certificate in &model.certificates {
            if let Some(refusal) = &certificate.refusal {
                writeln!(f, "  refused: {}: {} [{}]", visible(&certificate.path), visible(&refusal.reason), refusal.code)?;
            }
        }
        for section in &model.descriptive {
            let (title, about, results) = (visible(&section.title), visible(&section.about), visible(&section.results));
            writeln!(f, "  descriptive, nobody checks it: {title} ({about}; {results})")?;
            for figure in &section.figures {
                writeln!(f, "    {}: {} ({})", visible(&figure.name), visible(&figure.value), visible(&figure.how))?;
            }
        }
        for change in &model.changes {
            let (old, new) = (change.old.as_deref().unwrap_or("–"), change.new.as_deref().unwrap_or("–"));
            let by = change.change.as_ref().map_or(String::new(), |by| format!(", {by}"));
            let detail = change.detail.as_ref().map_or(String::new(), |detail| format!(" ({})", visible(detail)));
            writeln!(f, "  since the baseline: {} {}: {old} → {new}{by}{detail}", visible(&change.claim), change.figure)?;
        }
    }
    Ok(())
}
