//! The first page: the verdict, the rules and the questions in a line each, the files that they are about, and how to check
//! again. It fits one sheet of paper.

use super::super::audit::{Audit, ModelSection, PolicySection, Question, RuleOutcome, assurance_word, status_word};
use super::super::markup::{Markup, element, plain, tag};
use super::card::outcome_tag;
use super::{badge, code, section, sentence, status_tag, wide_table};

/// Rules that a sheet holds beside everything else.
const MOST_RULES: usize = 8;
/// Questions that it holds without rules, and beside rules.
const MOST_QUESTIONS: usize = 12;
const MOST_OTHERS: usize = 3;
/// Models that it names.
const MOST_MODELS: usize = 3;

/// The summary, and the rest of the policy's table where it does not fit.
pub fn summary(audit: &Audit) -> Markup {
    let verdict = {
        let verdict = &audit.verdict;
        let heading = element("h2", &[("id", "verdict")], Markup::text(&verdict.title));
        let contents = [heading, tag("p", &verdict.meaning), tag("p", &verdict.scope)];
        let class = format!("verdict {}", status_word(verdict.status));
        element("section", &[("class", &class), ("aria-labelledby", "verdict")], Markup::join(contents))
    };
    let policy = audit.policy.as_ref().map(|policy| self::policy(policy, &audit.models)).unwrap_or_default();
    let (title, most) = match &audit.policy {
        Some(_) => ("Answers that no rule asks for", MOST_OTHERS),
        None => ("Questions and answers", MOST_QUESTIONS),
    };
    let parts = [verdict, policy, questions(&audit.models, title, most), files(audit)];
    element("div", &[("class", "summary")], Markup::join(parts))
}

/// Every question with the name of its place on the page.
fn placed(models: &[ModelSection]) -> impl Iterator<Item = (&ModelSection, String, &Question)> {
    models.iter().enumerate().flat_map(|(number, model)| {
        let questions = model.questions.iter().enumerate();
        questions.map(move |(at, question)| (model, super::model::place(number, at), question))
    })
}

/// The policy's table, those rules first that need attention; what does not fit the sheet is folded.
fn policy(policy: &PolicySection, models: &[ModelSection]) -> Markup {
    let rules = policy.by_urgency();
    let (shown, folded) = rules.split_at(MOST_RULES.min(rules.len()));
    let rule = |outcome: &RuleOutcome| {
        let place = placed(models).find(|(_, _, question)| question.rules.contains(&outcome.id)).map(|(_, place, _)| place);
        rule(outcome, place.as_deref())
    };
    let caption = format!("{}, SHA-256 {}", policy.path, policy.digest);
    let header = ["rule", "status", "limit", "value", "margin", "behind it"];
    let mut parts = vec![wide_table(Some(&caption), &header, shown.iter().copied().map(rule))];
    if !folded.is_empty() {
        let table = wide_table(Some("The other rules"), &header, folded.iter().copied().map(rule));
        parts.push(plain("details", Markup::join([tag("summary", format!("and {} more rules", folded.len())), table])));
    }
    parts.extend(policy.notes.iter().map(|note| element("p", &[("class", "quiet")], Markup::text(format!("Note: {note}")))));
    element("div", &[("class", "rules")], section("policy", "Policy", Markup::join(parts)))
}

/// A rule; `place` is that of the question that it is about.
fn rule(rule: &RuleOutcome, place: Option<&str>) -> Vec<Markup> {
    let detail = rule.detail.as_ref().map(|detail| {
        let code = rule.code.as_ref().map_or(String::new(), |code| format!(" [{code}]"));
        element("div", &[("class", "quiet")], Markup::text(format!("{detail}{code}")))
    });
    let what = match place {
        Some(place) => element("a", &[("href", &format!("#{place}"))], sentence(&rule.what)),
        None => sentence(&rule.what),
    };
    let names = [plain("div", what), element("div", &[("class", "mono quiet")], Markup::text(&rule.id))];
    let number = |text: &str| element("span", &[("class", "number")], Markup::text(text));
    // What it comes from stands below it.
    let limit = |text: &str| match text.split_once(" (") {
        Some((limit, from)) => {
            let from = element("div", &[("class", "quiet")], Markup::text(from.trim_end_matches(')')));
            Markup::join([number(limit), from])
        }
        None => number(text),
    };
    let behind = match (&rule.certificate, rule.reused) {
        (None, _) => "",
        (Some(_), true) => "at hand, checked again",
        (Some(_), false) => "found in this run",
    };
    vec![
        Markup::join(names.into_iter().chain(detail)),
        status_tag(status_word(rule.status), status_word(rule.status)),
        limit(&rule.limit),
        number(rule.value.as_deref().unwrap_or("–")),
        number(rule.room.as_deref().unwrap_or("–")),
        Markup::join([
            tag("div", rule.assurance.map_or("–", assurance_word)),
            element("div", &[("class", "quiet")], Markup::text(behind)),
        ]),
    ]
}

/// The answers about all models that no rule decides, in a line each, the worst first.
fn questions(models: &[ModelSection], title: &str, most: usize) -> Markup {
    let mut lines: Vec<_> = placed(models).filter(|(_, _, question)| question.rules.is_empty()).collect();
    lines.sort_by_key(|(_, _, question)| question.outcome);
    if lines.is_empty() {
        return Markup::default();
    }
    let several = models.len() > 1;
    let row = |(model, id, question): &(&ModelSection, String, &Question)| {
        let link = element("a", &[("href", &format!("#{id}"))], sentence(&question.question));
        let of = several.then(|| element("div", &[("class", "quiet")], Markup::text(&model.name)));
        let value = element("span", &[("class", "number")], Markup::text(&question.headline.value));
        vec![
            Markup::join([link].into_iter().chain(of)),
            outcome_tag(question),
            Markup::join([value, element("div", &[("class", "quiet")], Markup::text(&question.headline.unit))]),
            badge(question.assurance),
        ]
    };
    let table = wide_table(None, &["question", "outcome", "answer", "assurance"], lines.iter().take(most).map(row));
    let left = lines.len().saturating_sub(most);
    let more = if left > 0 { tag("p", format!("and {left} more, below")) } else { Markup::default() };
    element("div", &[("class", "questions")], section("glance", title, Markup::join([table, more])))
}

/// The files that it is about, and the first command that checks again.
fn files(audit: &Audit) -> Markup {
    let models = audit.models.iter().take(MOST_MODELS).map(|model| {
        let name = if model.name == model.path { Markup::default() } else { Markup::text(format!("{}: ", model.name)) };
        plain("p", Markup::join([name, code(&model.path), Markup::text(", SHA-256 "), code(&model.digest)]))
    });
    let commands: Vec<&str> = audit.certificates().map(|certificate| certificate.recheck.as_str()).collect();
    let command = commands.first().map(|command| {
        let more = if commands.len() > 1 { " (this and the others stand under “Check again”)" } else { "" };
        Markup::join([tag("p", format!("Whoever doubts it checks it again, without any solver{more}:")), tag("pre", *command)])
    });
    section("subject", "What it is about", Markup::join(models.chain(command)))
}
