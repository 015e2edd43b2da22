//! An audit as JUnit's XML: a suite for each model, a test case for each rule of the policy, or for each claim where there is
//! no policy, and for each refused certificate. A violated rule is a failure; what is not decided, refused or unusable is an error.
//!
//! There is no one schema of this format. What is written is what both Ant's and Jenkins' accept: figures are properties of the
//! suite, since a test case has none in either, and the attributes that Ant asks for are there.

use super::audit::{Audit, RefusalText, RuleOutcome, status_word};
use super::markup::{Markup, element};
use crate::policy::Status;

struct Case {
    name: String,
    message: Option<(Status, String)>,
    properties: Vec<(&'static str, String)>,
}

/// The audit as XML.
#[must_use]
pub fn render(audit: &Audit) -> String {
    let suites: Vec<(String, Vec<Case>)> = match &audit.policy {
        Some(policy) => {
            let mut suites: Vec<(String, Vec<Case>)> = Vec::new();
            for rule in &policy.rules {
                match suites.iter_mut().find(|suite| suite.0 == rule.model) {
                    Some(suite) => suite.1.push(of_rule(rule)),
                    None => suites.push((rule.model.clone(), vec![of_rule(rule)])),
                }
            }
            for (model, certificate, refusal) in audit.untold_refusals() {
                let case = of_refusal(&certificate.path, refusal);
                match suites.iter_mut().find(|suite| suite.0 == model.name) {
                    Some(suite) => suite.1.push(case),
                    None => suites.push((model.name.clone(), vec![case])),
                }
            }
            suites
        }
        None => audit.models.iter().map(|model| (model.name.clone(), of_claims(model))).collect(),
    };
    let body = suites.iter().enumerate().map(|(number, (name, cases))| of_suite(audit, number, name, cases));
    let suites = element("testsuites", &[], Markup::join(body));
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", suites.into_string())
}

fn of_suite(audit: &Audit, number: usize, name: &str, cases: &[Case]) -> Markup {
    let [tests, failures, errors] = counted(cases);
    let attributes = [
        ("id", number.to_string()),
        ("package", "nnverify".to_owned()),
        ("name", name.to_owned()),
        ("tests", tests),
        ("failures", failures),
        ("errors", errors),
        ("skipped", "0".to_owned()),
        ("time", "0".to_owned()),
        ("timestamp", audit.generated.trim_end_matches('Z').to_owned()),
        ("hostname", "localhost".to_owned()),
    ];
    let attributes: Vec<(&str, &str)> = attributes.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let property = |case: &Case, name: &str, value: &str| {
        let name = format!("{}.{name}", case.name);
        element("property", &[("name", &name), ("value", value)], Markup::default())
    };
    let properties = cases.iter().flat_map(|case| case.properties.iter().map(|(name, value)| property(case, name, value)));
    let properties = element("properties", &[], Markup::join(properties));
    let notes = audit.policy.iter().flat_map(|policy| &policy.notes).map(|note| format!(" Note: {note}."));
    let verdict = format!("{}: {}{}", audit.verdict.title, audit.verdict.meaning, notes.collect::<String>());
    let streams = [element("system-out", &[], Markup::text(&verdict)), element("system-err", &[], Markup::default())];
    let contents = [properties].into_iter().chain(cases.iter().map(|case| of_case(name, case))).chain(streams);
    element("testsuite", &attributes, Markup::join(contents))
}

fn of_rule(rule: &RuleOutcome) -> Case {
    let value = rule.value.as_deref().unwrap_or("no value");
    let margin = rule.room.as_ref().map_or(String::new(), |room| format!(", margin {room}"));
    let detail = rule.detail.as_ref().map_or(String::new(), |detail| format!(": {detail}"));
    let message = format!("{}: {value} where {} is asked for{margin}{detail}", rule.what, rule.limit);
    let optional = |name, value: &Option<String>| value.clone().map(|value| (name, value));
    let properties = [
        optional("value", &rule.value),
        optional("margin", &rule.room),
        optional("certificate", &rule.certificate),
        optional("code", &rule.code),
    ];
    Case {
        name: rule.id.clone(),
        message: (rule.status != Status::Met).then_some((rule.status, message)),
        properties: [("limit", rule.limit.clone())].into_iter().chain(properties.into_iter().flatten()).collect(),
    }
}

fn of_claims(model: &super::audit::ModelSection) -> Vec<Case> {
    let mut cases = Vec::new();
    for certificate in &model.certificates {
        cases.extend(certificate.claims.iter().map(|claim| Case {
            name: claim.id.clone(),
            message: claim.violation.then(|| (Status::Violated, claim.statement.clone())),
            properties: vec![("statement", claim.statement.clone())],
        }));
        if let Some(refusal) = &certificate.refusal {
            cases.push(of_refusal(&certificate.path, refusal));
        }
    }
    cases
}

fn of_refusal(certificate: &str, refusal: &RefusalText) -> Case {
    let message = Some((Status::Refused, refusal.reason.clone()));
    Case { name: certificate.to_owned(), message, properties: vec![("code", refusal.code.clone())] }
}

fn counted(cases: &[Case]) -> [String; 3] {
    let mut counts = [0_usize; 3];
    for case in cases {
        counts[0] += 1;
        match case.message {
            Some((Status::Violated, _)) => counts[1] += 1,
            Some(_) => counts[2] += 1,
            None => {}
        }
    }
    counts.map(|count| count.to_string())
}

fn of_case(suite: &str, case: &Case) -> Markup {
    let message = case.message.as_ref().map(|(status, message)| {
        let name = if *status == Status::Violated { "failure" } else { "error" };
        element(name, &[("type", status_word(*status)), ("message", message)], Markup::text(message))
    });
    element("testcase", &[("name", &case.name), ("classname", suite), ("time", "0")], Markup::join(message))
}
