//! An audit as Markdown, for a comment on a pull request. Text from outside is escaped: it becomes neither markup, link nor
//! mention.

use std::fmt::Write;

use super::audit::{Audit, ModelSection, Outcome, assurance_word, status_word};
use super::visible;
use crate::policy::Status;

/// The audit as Markdown.
#[must_use]
pub fn render(audit: &Audit) -> String {
    let mut text = String::new();
    let mark = match audit.verdict.status {
        Status::Met => "✅",
        Status::Violated | Status::Refused | Status::Error => "❌",
        Status::Inconclusive => "⚠️",
    };
    let _ = writeln!(text, "## {mark} {}\n\n{}\n\n{}\n", audit.verdict.title, audit.verdict.meaning, audit.verdict.scope);
    if let Some(policy) = &audit.policy {
        let _ = writeln!(text, "| rule | limit | value | margin | status |\n|---|---|---|---|---|");
        for rule in policy.by_urgency() {
            let status = if rule.status == Status::Met { "met".to_owned() } else { format!("**{}**", status_word(rule.status)) };
            let cells = [
                &rule.id,
                &rule.limit,
                rule.value.as_ref().unwrap_or(&String::from("–")),
                rule.room.as_ref().unwrap_or(&String::from("–")),
            ]
            .map(|cell| escaped(cell));
            let _ = writeln!(text, "| {} | {status} |", cells.join(" | "));
        }
        text.push('\n');
        for rule in policy.rules.iter().filter(|rule| rule.detail.is_some()) {
            let code = rule.code.as_deref().unwrap_or_default();
            let _ = writeln!(text, "- {}: {} ({code})", escaped(&rule.id), escaped(rule.detail.as_deref().unwrap_or_default()));
        }
        for note in &policy.notes {
            let _ = writeln!(text, "- note\\: {}", escaped(note));
        }
        let _ = writeln!(text, "\nPolicy: {}, SHA-256 `{}`\n", escaped(&policy.path), policy.digest);
    }
    for model in &audit.models {
        of_model(&mut text, model);
    }
    let _ = writeln!(text, "{} {}, {}", audit.tool.name, audit.tool.version, audit.generated);
    text
}

fn of_model(text: &mut String, model: &ModelSection) {
    let _ = writeln!(
        text,
        "### {}\n\n{}, SHA-256 `{}`, {} parameters\n",
        escaped(&model.name),
        escaped(&model.path),
        model.digest,
        model.parameters
    );
    if !model.questions.is_empty() {
        let _ = writeln!(text, "| question | answer | outcome | assurance |\n|---|---|---|---|");
        for question in &model.questions {
            let answer = format!("{} {}", question.headline.value, question.headline.unit);
            let outcome = match question.outcome {
                Outcome::Violated => format!("**{}**", question.word()),
                _ => question.word().to_owned(),
            };
            let assurance = assurance_word(question.assurance);
            let _ = writeln!(text, "| {} | {} | {outcome} | {assurance} |", escaped(&question.question), escaped(&answer));
        }
        text.push('\n');
        for claim in model.questions.iter().flat_map(|question| &question.claims) {
            let claim = &model.certificates[claim[0]].claims[claim[1]];
            let _ = writeln!(
                text,
                "- {}, {}\\: {} ({}, {})",
                escaped(&claim.id),
                assurance_word(claim.assurance),
                escaped(&claim.statement),
                claim.domain,
                claim.semantics.words()
            );
            for example in &claim.examples {
                let _ = writeln!(text, "  - {}\\: {}", escaped(&example.title), escaped(&example.sentence));
            }
        }
        text.push('\n');
    }
    for certificate in &model.certificates {
        if let Some(refusal) = &certificate.refusal {
            let _ = writeln!(
                text,
                "- **refused**: {}: {} ({})\n",
                escaped(&certificate.path),
                escaped(&refusal.reason),
                refusal.code
            );
        }
    }
    for section in &model.descriptive {
        let _ = writeln!(
            text,
            "Descriptive, nobody checks it: {} ({}; {})\n",
            escaped(&section.title),
            escaped(&section.about),
            escaped(&section.results)
        );
        for figure in &section.figures {
            let cells = [&figure.name, &figure.value, &figure.how].map(|cell| escaped(cell));
            let _ = writeln!(text, "- {}\\: {} ({})", cells[0], cells[1], cells[2]);
        }
        text.push('\n');
    }
    if !model.changes.is_empty() {
        let _ = writeln!(text, "| since the baseline | figure | before | now | change |\n|---|---|---|---|---|");
        for change in &model.changes {
            let or_dash = |value: &Option<String>| escaped(value.as_deref().unwrap_or("–"));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                escaped(&change.claim),
                change.figure,
                or_dash(&change.old),
                or_dash(&change.new),
                or_dash(&change.detail.clone().or_else(|| change.change.clone()))
            );
        }
        text.push('\n');
    }
    let commands: Vec<&str> = model.certificates.iter().map(|certificate| certificate.recheck.as_str()).collect();
    if !commands.is_empty() {
        let _ = writeln!(text, "Check again:\n");
        commands.iter().for_each(|command| {
            let _ = writeln!(text, "    {}", visible(command));
        });
        text.push('\n');
    }
}

/// Text in which no character means anything to Markdown or HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    // The last three characters.
    let mut before = ['\0'; 3];
    for c in visible(text).chars() {
        match c {
            // What begins like a host is made a link.
            '.' if before == ['w'; 3] => escaped.push_str("&#46;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // Platforms read mentions, issue numbers and addresses in text as well.
            '@' => escaped.push_str("&#64;"),
            '#' => escaped.push_str("&#35;"),
            ':' => escaped.push_str("&#58;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '+' | '!' | '|' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
        before = [before[1], before[2], c.to_ascii_lowercase()];
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn text_from_outside_means_nothing() {
        let hostile = "a|b `code` <img src=x> @team #1 [x](https://e.example) \u{202e}\n# head";
        let safe = escaped(hostile);
        for forbidden in ["@", "<", "](", " #1", "https://", "\n", "\u{202e}"] {
            assert!(!safe.contains(forbidden), "{forbidden}: {safe}");
        }
        assert!(safe.starts_with("a\\|b \\`code\\`"));
        for host in ["www.evil.com", "WWW.evil.com", "xwww.evil.com", "wwww.evil.com"] {
            let safe = escaped(host);
            assert!(safe.ends_with("&#46;evil.com"), "{safe}");
        }
        assert_eq!(escaped("m.lipschitz-l2.max-bound 0.75"), "m.lipschitz-l2.max-bound 0.75");
    }
}
