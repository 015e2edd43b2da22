//! What every page says, whatever it is about: contents, the meaning of words, evidence, assumptions and limits, how to check
//! again, where it belongs.

use super::super::audit::{Audit, status_word};
use super::super::markup::{Markup, element, plain, tag};
use super::{badge, code, facts, section, status_tag, wide_table};
use crate::kernel::proof::Assurance;

/// What each assurance means, in one sentence.
const ASSURANCES: [(Assurance, &str); 3] = [
    (
        Assurance::Proved,
        "The checker proved it in sound arithmetic: rounding errors are accounted for, and no solver is trusted.",
    ),
    (
        Assurance::Checked,
        "The checker recomputed a residual, which lies within the stated bound. This is evidence, not a proof about the network.",
    ),
    (
        Assurance::Estimated,
        "A statistic with an interval, a confidence and a seed. It can be wrong, with the stated probability.",
    ),
];

const LIMITS: [&str; 7] = [
    "A claim is about the named model file, byte for byte (SHA-256). Another export of the same network is another model.",
    "Claims in real arithmetic are about exact arithmetic on the file's weights. Only a claim that says float32 covers the rounding of a deployed network.",
    "What happens before the network's input and after its output is not part of a claim, unless the claim names it (normalisation, clipping).",
    "Claims at or around the samples of a data set are about those samples, and say nothing about others.",
    "Trusted are the checker's source, the Rust compiler, the processor's IEEE-754 arithmetic, and SHA-256. Solvers, engines and times are not: they are named for information.",
    "Upper bounds are printed rounded up, lower bounds rounded down. Pictures show the same numbers, to fewer digits.",
    "A missing claim says nothing about the model: a property that is not proved may still hold.",
];

/// Document, part, and what of this page belongs there.
const POINTERS: [[&str; 3]; 8] = [
    [
        "EU AI Act, Annex IV",
        "point 2(g): validation and testing procedures, metrics for accuracy and robustness",
        "Claims, policy table, check commands",
    ],
    ["EU AI Act, Annex IV", "point 3: capabilities and limitations in performance", "Claims; assumptions and limits"],
    [
        "EU AI Act, Article 15",
        "paragraphs 1 and 3: levels of accuracy and robustness, and their metrics",
        "Certified accuracy, Lipschitz bounds",
    ],
    [
        "EU AI Act, Article 15",
        "paragraphs 4 and 5: resilience against errors and adversarial inputs",
        "Robustness claims, specifications",
    ],
    [
        "NIST AI RMF 1.0",
        "MEASURE 2.1 and 2.5: test methods, validity and reliability with their limits",
        "Claims by assurance; assumptions and limits",
    ],
    [
        "NIST AI RMF 1.0",
        "MEASURE 2.6 and 2.7: safety, security and resilience",
        "Robustness claims, specifications, policy table",
    ],
    ["Model cards (Mitchell et al. 2019)", "Metrics; Quantitative analyses", "Figures of the claims"],
    ["Model cards (Mitchell et al. 2019)", "Caveats and recommendations", "Assumptions and limits"],
];

pub fn contents(audit: &Audit) -> Markup {
    let models = audit
        .models
        .iter()
        .enumerate()
        .map(|(position, model)| (format!("#model-{}", position + 1), format!("Model: {}", model.name)));
    let evidence = audit.policy.iter().map(|_| ("#evidence".to_owned(), "Evidence".to_owned()));
    let fixed = [
        ("#recheck", "Check again"),
        ("#limits", "Assumptions and limits"),
        ("#pointers", "Where this belongs"),
        ("#environment", "Environment"),
    ];
    let fixed = fixed.map(|(id, title)| (id.to_owned(), title.to_owned()));
    let links = models
        .chain([("#words", "What the words mean")].map(|(id, title)| (id.to_owned(), title.to_owned())))
        .chain(evidence)
        .chain(fixed)
        .map(|(id, title)| plain("li", element("a", &[("href", &id)], Markup::text(title))));
    element("nav", &[("aria-label", "Contents")], plain("ul", Markup::join(links)))
}

/// What the words on the page mean.
pub fn assurances() -> Markup {
    let of = |(assurance, meaning)| plain("p", Markup::join([badge(assurance), Markup::text(" "), Markup::text(meaning)]));
    let colours = "Colour tells the outcome: a property that holds or a rule that is met, one that is violated, one that is open. A number without a rule is neither good nor bad.";
    section("words", "What the words mean", Markup::join(ASSURANCES.map(of).into_iter().chain([tag("p", colours)])))
}

/// From each rule of a policy to what stands behind it: the claim, the digest of its certificate, the command that checks it.
pub fn evidence(audit: &Audit) -> Markup {
    let Some(policy) = &audit.policy else { return Markup::default() };
    let rows = policy.rules.iter().map(|rule| {
        let certificate = audit.certificates().find(|certificate| Some(&certificate.path) == rule.certificate.as_ref());
        let or_dash = |text: Option<&str>| text.filter(|text| !text.is_empty()).map_or_else(|| Markup::text("–"), code);
        vec![
            code(&rule.id),
            status_tag(status_word(rule.status), status_word(rule.status)),
            or_dash(rule.claim.as_deref()),
            or_dash(certificate.map(|certificate| certificate.digest.as_str())),
            or_dash(certificate.map(|certificate| certificate.recheck.as_str())),
        ]
    });
    let table =
        wide_table(None, &["requirement", "status", "claim", "digest of the certificate", "command that checks it"], rows);
    let text = "Which claim stands behind which requirement. The digest covers everything that the certificate states; the command proves it again from the files.";
    folded("evidence", "Evidence", "Requirement, claim, digest, command", Markup::join([tag("p", text), table]))
}

/// A section of which only the heading is seen at first.
fn folded(id: &str, title: &str, summary: &str, contents: Markup) -> Markup {
    section(id, title, plain("details", Markup::join([tag("summary", summary), contents])))
}

pub fn limits() -> Markup {
    section("limits", "Assumptions and limits", plain("ul", Markup::join(LIMITS.map(|limit| tag("li", limit)))))
}

pub fn recheck(audit: &Audit) -> Markup {
    let commands: Vec<&str> = audit.certificates().map(|certificate| certificate.recheck.as_str()).collect();
    let install = "cargo install --path kernel --locked";
    let digests = audit.models.iter().map(|model| format!("{}  {}", model.digest, model.path));
    let parts = [
        tag("p", "The program nnverify-check contains no solver; it is built alone, from the source of this version:"),
        tag("pre", install),
        tag(
            "p",
            "The models that the claims are about, as “sha256sum -c” takes them (for a compressed model the digest is that of the decompressed file):",
        ),
        lines(digests),
        plain(
            "details",
            Markup::join([
                tag("summary", format!("Each certificate against its model: {} commands", commands.len())),
                lines(commands),
            ]),
        ),
    ];
    section("recheck", "Check again", Markup::join(parts))
}

/// Lines to be copied: ends of lines within one are shown, those between them are ends of lines.
fn lines(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Markup {
    let lines = lines.into_iter().map(|line| Markup::join([Markup::text(line), Markup::fixed("\n")]));
    plain("pre", Markup::join(lines))
}

pub fn pointers() -> Markup {
    let rows = POINTERS.iter().map(|row| row.iter().map(Markup::text).collect());
    let parts = [
        tag(
            "p",
            "Parts of this page can serve as evidence in the following places. This page is no conformity assessment, no certification and no legal advice.",
        ),
        wide_table(None, &["document", "part", "of this page"], rows),
    ];
    folded("pointers", "Where this belongs", "Documents that ask for such evidence", Markup::join(parts))
}

pub fn environment(audit: &Audit) -> Markup {
    let environment = &audit.environment;
    let platform = format!("{} on {}", environment.operating_system, environment.architecture);
    let runs = audit.certificates().filter_map(|certificate| {
        let (run, tool) = (certificate.run.as_ref()?, certificate.tool.as_ref()?);
        let text = format!(
            "{}: {} {}, {:.1} s on {} threads, seed {}",
            certificate.path, tool.name, tool.version, run.seconds, run.threads, run.seed
        );
        Some(("Certificate made by", Markup::text(text)))
    });
    let given = [
        ("Report made by", Markup::text(format!("{} {}", audit.tool.name, audit.tool.version))),
        ("Time", Markup::text(&audit.generated)),
        ("Platform", Markup::text(platform)),
    ];
    folded("environment", "Environment", "Program, time and platform", facts(given.into_iter().chain(runs)))
}
