//! The gate as a repository meets it: `tests/demo` with the sample models beside it, and what changes when something does.
//!
//! | what happens to the repository | exit code |
//! |---|---|
//! | nothing: certificates are reused, and checked again | 0 |
//! | a worse model is dropped in place; a pinned model is replaced | 1, with the margin |
//! | a typo in the policy, a missing model, a missing file | 2, with line, column and suggestion |
//! | the search runs out of time; nothing is searched for | 3 |
//! | a certificate is altered, with or without its digest | 4, and it is not replaced |
//!
//! Then regressions (`baseline`, `verify diff`), `verify init`, and the formats against their schemas.

use std::path::{Path, PathBuf};

use crate::common::schema::violations;
use crate::common::{repository, tiny, xsd};
use assert_cmd::Command;
use nnverify::kernel::proof::{Certificate, ClaimKind, Number};
use serde_json::Value;
use tempfile::TempDir;

/// Exit code, standard output, standard error.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("verify").unwrap();
    for variable in ["VERIFY_OUTPUT_FORMAT", "VERIFY_TIMEOUT", "VERIFY_MEMORY", "VERIFY_THREADS"] {
        command.env_remove(variable);
    }
    let output = command.env("SOURCE_DATE_EPOCH", "1750000000").current_dir(folder).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    let (out, error) = (text(output.stdout), text(output.stderr));
    assert!(!error.contains("panicked"), "{arguments:?}: {error}");
    (output.status.code().expect("the program was not killed"), out, error)
}

fn json(folder: &Path, arguments: &[&str]) -> (i32, Value) {
    let (code, out, error) = run(folder, arguments);
    (code, serde_json::from_str(&out).unwrap_or_else(|reason| panic!("{reason}: {out}{error}")))
}

/// Copies `tests/demo` and the sample models.
fn demonstration() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copy = |from: PathBuf, to: &str| {
        let to = folder.path().join(to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(&from, to).unwrap();
    };
    copy(repository("tests/demo/verify.toml"), "verify.toml");
    copy(repository("tests/demo/specs/first_image.vnnlib"), "specs/first_image.vnnlib");
    for name in ["digits_maxmin.onnx", "digits_groupsort.onnx", "digits_test.npz"] {
        copy(repository("models").join(name), &format!("models/{name}"));
    }
    folder
}

/// A repository with the tiny model, and a policy with these lines after the model's path.
fn small(rules: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.onnx"), tiny::mixed()).unwrap();
    write_policy(folder.path(), rules);
    folder
}

fn write_policy(folder: &Path, rules: &str) {
    std::fs::write(folder.join("verify.toml"), format!("[models.m]\npath = \"m.onnx\"\n{rules}")).unwrap();
}

const LOOSE: &str = "[[models.m.lipschitz]]\nnorm = \"l2\"\nmax-bound = 1000.0\n";
const CERTIFICATE: &str = "certificates/m.lipschitz-l2.certificate.json";

/// The bound that the tiny model's stored certificate states.
fn stored_bound(folder: &Path) -> f64 {
    let (certificate, _) = Certificate::read(&folder.join(CERTIFICATE)).unwrap();
    match &certificate.claims[0].kind {
        ClaimKind::Lipschitz(claim) => claim.bound.value(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_demonstration() {
    let folder = demonstration();
    let demo = folder.path();
    let (code, report) = json(demo, &["gate", "--output-format", "json"]);
    assert_eq!((code, &report["verdict"]["status"]), (0, &"met".into()), "{report:#}");
    let rules = report["policy"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 4);
    assert!(rules.iter().all(|rule| rule["status"] == "met" && rule["assurance"] == "proved" && rule["reused"] == false));

    // Nothing changed: the same certificates, checked again, from any folder below.
    let (code, again) = json(&demo.join("specs"), &["gate", "--output-format", "json"]);
    assert_eq!((code, &again["policy"]["path"]), (0, &"../verify.toml".into()));
    assert!(again["policy"]["rules"].as_array().unwrap().iter().all(|rule| rule["reused"] == true), "{again:#}");
    assert_eq!(run(demo, &["gate", "--check-only", "-q"]).0, 0);

    // A typo.
    let policy = std::fs::read_to_string(demo.join("verify.toml")).unwrap();
    std::fs::write(demo.join("verify.toml"), policy.replace("min-certified-accuracy", "min-certified-acuracy")).unwrap();
    let (code, _, error) = run(demo, &["gate"]);
    assert!(code == 2 && error.contains("did you mean `min-certified-accuracy`?"), "{error}");

    // No time: what intervals and norms alone give is met, the rest is open.
    let hurried = policy.replace("timeout = 120.0", "timeout = 1e-6");
    std::fs::write(demo.join("verify.toml"), hurried.replace("[limits]", "certificates = \"hurried\"\n[limits]")).unwrap();
    let (code, text, error) = run(demo, &["gate"]);
    assert!(code == 3 && text.contains("ended at its limit") && text.contains("[NV602]"), "{text}{error}");
    std::fs::write(demo.join("verify.toml"), &policy).unwrap();

    // A certificate that somebody touched.
    let certificate = demo.join("certificates/maxmin.lipschitz-l2.certificate.json");
    let good = std::fs::read_to_string(&certificate).unwrap();
    std::fs::write(&certificate, good.replacen("\"decimal\": \"1.", "\"decimal\": \"0.", 1)).unwrap();
    let (code, text, error) = run(demo, &["gate", "--report", "refused.sarif"]);
    assert!(code == 4 && text.contains("refused") && text.contains("[NV503]"), "{text}{error}");
    std::fs::write(&certificate, good).unwrap();
    assert_eq!(run(demo, &["gate"]).0, 0);

    // A worse model in the place of another.
    std::fs::copy(repository("models/digits_residual.onnx"), demo.join("models/digits_maxmin.onnx")).unwrap();
    let (code, text, error) = run(demo, &["gate", "--report", "gate.sarif", "--report", "gate.xml", "--report", "gate.md"]);
    assert_eq!(code, 1, "{text}{error}");
    let row = text.lines().find(|line| line.contains("maxmin.lipschitz-l2.max-bound")).unwrap();
    assert!(row.contains("violated") && row.contains("≤ 1.001") && row.contains(" -"), "a margin with its sign: {row}");
    assert!(text.contains("groupsort.lipschitz-l2.max-bound") && text.contains("policy violated"), "{text}");

    let sarif: Value = serde_json::from_str(&std::fs::read_to_string(demo.join("gate.sarif")).unwrap()).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let result = results.iter().find(|result| result["properties"]["policyRule"] == "maxmin.lipschitz-l2.max-bound").unwrap();
    assert_eq!((&result["ruleId"], &result["level"]), (&"NV601".into(), &"error".into()));
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "verify.toml");
    let line = place["region"]["startLine"].as_u64().unwrap() as usize;
    assert_eq!(policy.lines().nth(line - 1), Some("max-bound = 1.001"));
    assert!(result["properties"]["margin"].as_f64().unwrap() < -1.0);

    let junit = std::fs::read_to_string(demo.join("gate.xml")).unwrap();
    let junit = roxmltree::Document::parse(&junit).unwrap();
    let case = |name: &str| junit.descendants().find(|node| node.attribute("name") == Some(name)).unwrap();
    let failed = |name: &str| case(name).children().any(|node| node.has_tag_name("failure"));
    assert!(failed("maxmin.lipschitz-l2.max-bound") && !failed("groupsort.lipschitz-l2.max-bound"));
    assert!(std::fs::read_to_string(demo.join("gate.md")).unwrap().contains("**violated**"));
}

#[test]
fn an_altered_certificate_is_refused_and_not_replaced() {
    let folder = small(LOOSE);
    let path = folder.path().join(CERTIFICATE);
    assert_eq!(run(folder.path(), &["gate", "-q"]).0, 0);
    let good = std::fs::read_to_string(&path).unwrap();

    // A figure without its digest.
    let bad = good.replacen("\"decimal\": \"", "\"decimal\": \"0.", 1);
    assert_ne!(good, bad);
    std::fs::write(&path, &bad).unwrap();
    let (code, text, _) = run(folder.path(), &["gate", "-q"]);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("refused") && text.contains("[NV503]"), "{text}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), bad);

    // A lie with the right digest: only the check itself sees it.
    let mut certificate = Certificate::from_json(good.as_bytes()).unwrap();
    let ClaimKind::Lipschitz(claim) = &mut certificate.claims[0].kind else { panic!("a Lipschitz claim") };
    claim.bound = Number::upper(claim.bound.value() * 0.25);
    let (certificate, bundle) = certificate.seal();
    nnverify::query::write_certificate(&certificate, &bundle, &path).unwrap();
    let (code, report) = json(folder.path(), &["gate", "-q", "--output-format", "json"]);
    assert_eq!(code, 4);
    let rule = &report["policy"]["rules"][0];
    assert_eq!((&rule["status"], &rule["code"]), (&"refused".into(), &"NV515".into()), "{rule:#}");

    std::fs::write(&path, "{").unwrap();
    assert_eq!(run(folder.path(), &["gate", "-q"]).0, 4);
    // Whoever means it says so.
    assert_eq!(run(folder.path(), &["gate", "-q", "--fresh"]).0, 0);
}

#[test]
fn out_of_time_is_inconclusive_and_never_met() {
    let folder = small(LOOSE);
    let (code, text, _) = run(folder.path(), &["gate", "-q", "--check-only"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("no certificate at hand") && text.contains("[NV602]"), "{text}");
    assert_eq!(run(folder.path(), &["gate", "-q"]).0, 0);

    // Between what is attained and the best bound nothing can be said, with more time or less.
    let bound = stored_bound(folder.path());
    let limit = format!("[[models.m.lipschitz]]\nnorm = \"l2\"\nmax-bound = {}\n", bound * (1.0 - 1e-9));
    std::fs::remove_dir_all(folder.path().join("certificates")).unwrap();
    write_policy(folder.path(), &format!("{limit}[limits]\ntimeout = 1e-6\n"));
    let (code, text, _) = run(folder.path(), &["gate", "-q"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("ended at its limit"), "{text}");
    // Nor without the memory that a better bound takes.
    std::fs::remove_dir_all(folder.path().join("certificates")).unwrap();
    write_policy(folder.path(), &format!("{limit}[limits]\nmemory = 1e-9\n"));
    let (code, text, _) = run(folder.path(), &["gate", "-q"]);
    assert!(code == 3 && text.contains("ended at its limit of 0.000000001 GB"), "{text}");
    // With the whole effort it is a violation: the policy asks for a bound that was not reached.
    write_policy(folder.path(), &limit);
    let (code, text, _) = run(folder.path(), &["gate", "-q"]);
    assert_eq!(code, 1, "{text}");
}

#[test]
fn what_is_wrong_with_a_policy_is_said_with_its_place() {
    let folder = small(&LOOSE.replace("max-bound", "max-buond"));
    let (code, out, error) = run(folder.path(), &["gate"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.contains("`verify.toml`:5:1: unknown field `max-buond`") && error.contains("[NV403]"), "{error}");
    assert!(error.contains("hint: did you mean `max-bound`?"), "{error}");

    let missing = |rules: &str, words: &[&str]| {
        write_policy(folder.path(), rules);
        let (code, out, error) = run(folder.path(), &["gate", "-q"]);
        assert_eq!(code, 2, "{out}{error}");
        assert!(words.iter().all(|word| out.contains(word)), "{words:?}: {out}");
    };
    missing("[[models.m.specification]]\nfile = \"none.vnnlib\"\n", &["none.vnnlib", "error"]);
    missing(&format!("baseline = \"none.json\"\n{LOOSE}max-regression = 0.1\n"), &["none.json", "NV404"]);
    missing(
        &format!("{LOOSE}[models.other]\npath = \"none.onnx\"\nsha256 = \"{}\"\n", "0".repeat(64)),
        &["none.onnx", "NV101", "m.lipschitz-l2.max-bound", "other.sha256"],
    );

    let empty = tempfile::tempdir().unwrap();
    let (code, _, error) = run(empty.path(), &["gate"]);
    assert!(code == 2 && error.contains("[NV401]") && error.contains("verify init"), "{error}");
    assert_eq!(run(folder.path(), &["gate", "--report", "x.pdf"]).0, 2);
}

#[test]
fn a_pinned_model_cannot_be_replaced() {
    let folder = small("");
    let digest = nnverify::kernel::model::onnx::load(&folder.path().join("m.onnx")).unwrap().digest;
    write_policy(folder.path(), &format!("sha256 = \"{digest}\"\n"));
    assert_eq!(run(folder.path(), &["gate", "-q"]).0, 0);
    std::fs::write(folder.path().join("m.onnx"), tiny::linear()).unwrap();
    let (code, text, _) = run(folder.path(), &["gate", "-q"]);
    assert!(code == 1 && text.contains("[NV603]"), "{text}");
}

#[test]
fn a_rule_may_be_about_a_box() {
    let rule = |norm: &str, more: &str| format!("[[models.m.lipschitz]]\nnorm = \"{norm}\"\nmax-bound = 1000.0\n{more}");
    let folder = small(&(rule("l2", "region = [0.0, 0.5]\n") + &rule("l2", "")));
    let (code, report) = json(folder.path(), &["gate", "--output-format", "json"]);
    let rules = report["policy"]["rules"].as_array().unwrap();
    let ids: Vec<&str> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!((code, ids), (0, vec!["m.lipschitz-l2-box.max-bound", "m.lipschitz-l2.max-bound"]));
    assert!(rules[0]["what"].as_str().unwrap().contains("between 0 and 0.5"));
    // A claim about one box answers neither a rule about another nor one about everything.
    let kept = folder.path().join("certificates");
    std::fs::copy(kept.join("m.lipschitz-l2-box.certificate.json"), kept.join("m.lipschitz-l2.certificate.json")).unwrap();
    let (code, report) = json(folder.path(), &["gate", "--check-only", "--output-format", "json"]);
    assert_eq!((code, &report["policy"]["rules"][1]["status"]), (3, &"inconclusive".into()));
    write_policy(folder.path(), &rule("l2", "region = [0.0, 0.75]\n"));
    assert_eq!(json(folder.path(), &["gate", "--check-only", "--output-format", "json"]).0, 3);
    for wrong in ["[1.0, 0.0]", "[0.0, nan]", "[0.0, inf]", "[0.5, 0.5]"] {
        write_policy(folder.path(), &rule("l2", &format!("region = {wrong}\n")));
        let (code, _, error) = run(folder.path(), &["gate"]);
        assert!(code == 2 && error.contains("two finite numbers"), "{wrong}: {error}");
    }
}

#[test]
fn regressions_are_measured_against_a_baseline() {
    let folder = small(LOOSE);
    assert_eq!(run(folder.path(), &["gate", "-q"]).0, 0);
    std::fs::copy(folder.path().join(CERTIFICATE), folder.path().join("baseline.json")).unwrap();
    let rules = "baseline = \"baseline.json\"\n[[models.m.lipschitz]]\nnorm = \"l2\"\nmax-regression = 0.05\n";
    write_policy(folder.path(), rules);
    let (code, text, _) = run(folder.path(), &["gate", "-q"]);
    assert!(code == 0 && text.contains("baseline + 5 %"), "{text}");
    let same = run(folder.path(), &["diff", "baseline.json", CERTIFICATE, "--fail-on-regression"]);
    assert!(same.0 == 0 && same.1.contains("the same model"), "{}", same.1);

    // Another network, of a larger constant.
    let worse = tiny::Tiny::new(3, 5).gemm("a", "x", 3, 40).node("r", "Relu", &["a"], vec![]).gemm("b", "r", 40, 40);
    let worse = worse.gemm("c", "b", 40, 2).finish("c");
    std::fs::write(folder.path().join("m.onnx"), worse).unwrap();
    let before = stored_bound(folder.path());
    let (code, text, _) = run(folder.path(), &["gate", "-q"]);
    let after = stored_bound(folder.path());
    let expected = i32::from(after > 1.05 * before);
    assert_eq!(code, expected, "{before} → {after}: {text}");
    let (code, text, _) = run(folder.path(), &["diff", "baseline.json", CERTIFICATE, "--fail-on-regression"]);
    assert_eq!(code, i32::from(after > before), "{text}");
    let swapped = run(folder.path(), &["diff", CERTIFICATE, "baseline.json", "--fail-on-regression"]);
    assert_eq!(swapped.0, i32::from(after < before));
    assert_ne!(after, before);
    assert_eq!(run(folder.path(), &["diff", "baseline.json", CERTIFICATE]).0, 0);

    // A baseline counts by what it states, so it must at least be whole.
    let text = std::fs::read_to_string(folder.path().join("baseline.json")).unwrap();
    std::fs::write(folder.path().join("baseline.json"), text.replacen("lipschitz-l2", "lipschitz-l3", 1)).unwrap();
    assert_eq!(run(folder.path(), &["gate", "-q"]).0, 4);
    assert_eq!(run(folder.path(), &["diff", "baseline.json", CERTIFICATE]).0, 4);
}

#[test]
fn pictures_outlive_the_search_that_computed_them() {
    let rules = "[[models.m.hessian-trace]]\ndata = \"d.csv\"\nsamples = 6\nloss = \"mse\"\nmax-trace = 1e6\n";
    let folder = small(rules);
    let rows: Vec<String> = (0..6).map(|i| format!("{i},0.5,{},1,{}\n", i * i, i % 2)).collect();
    std::fs::write(folder.path().join("d.csv"), format!("x0,x1,x2,target_0,target_1\n{}", rows.concat())).unwrap();
    let page = || {
        let (code, text, error) = run(folder.path(), &["gate", "-q", "--report", "audit.html"]);
        assert_eq!(code, 0, "{text}{error}");
        std::fs::read_to_string(folder.path().join("audit.html")).unwrap()
    };
    let (first, second) = (page(), page());
    assert!(first.contains("Spectral density") && second.contains("Spectral density"));
    assert!(second.contains("at hand, checked again") && second.contains(".results.json"));
    // What is about other data is not shown, and what is damaged stops nothing.
    let results = std::fs::read_dir(folder.path().join("certificates")).unwrap().map(|entry| entry.unwrap().path());
    let results = results.into_iter().find(|path| path.to_string_lossy().ends_with(".results.json")).unwrap();
    std::fs::write(&results, "{").unwrap();
    assert!(!page().contains("Spectral density"));
}

#[test]
fn init_writes_a_policy_that_the_gate_accepts() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("nets")).unwrap();
    std::fs::write(folder.path().join("nets/a b.onnx"), tiny::mixed()).unwrap();
    assert_eq!(run(folder.path(), &["init", "nets/a b.onnx", "-q"]).0, 0);
    let (code, text, error) = run(folder.path(), &["gate", "-q"]);
    assert!(code == 0 && text.contains("a-b.lipschitz-l2.max-bound"), "{text}{error}");
    let (code, _, error) = run(folder.path(), &["init", "nets/a b.onnx"]);
    assert!(code == 2 && error.contains("--force"), "{error}");
    let (code, text, _) = run(folder.path(), &["gate", "--show-policy"]);
    assert!(code == 0 && text.contains("≤") && text.contains("nets/a b.onnx"), "{text}");
    // Every line that is commented out is a rule that could stand there.
    let policy = std::fs::read_to_string(folder.path().join("verify.toml")).unwrap();
    let mut rules = String::new();
    for line in policy.lines() {
        let example =
            line.strip_prefix("# ").filter(|rest| rest.trim_start_matches('[').starts_with("models.") || rest.contains(" = "));
        rules.push_str(example.unwrap_or(line));
        rules.push('\n');
    }
    std::fs::write(folder.path().join("verify.toml"), rules).unwrap();
    let (code, text, error) = run(folder.path(), &["gate", "--show-policy"]);
    assert_eq!(code, 0, "{error}");
    let kinds = ["lipschitz", "robustness", "specification", "tightness", "hessian-trace", "stability", "max-regression"];
    for kind in kinds {
        assert!(text.contains(kind), "{kind}: {text}");
    }
}

#[test]
fn outputs_follow_their_schemas() {
    let read = |path: &str| -> Value { serde_json::from_str(&std::fs::read_to_string(repository(path)).unwrap()).unwrap() };
    for (kind, path) in [("policy", "schemas/policy.schema.json"), ("report", "schemas/report.schema.json")] {
        let (code, printed, _) = run(Path::new("."), &["schema", kind]);
        assert_eq!(code, 0);
        let kept = std::fs::read_to_string(repository(path)).unwrap_or_default();
        assert!(printed == kept, "{path} is out of step: `verify schema {kind} > {path}`");
    }
    let policy: toml::Value = toml::from_str(&std::fs::read_to_string(repository("tests/demo/verify.toml")).unwrap()).unwrap();
    let mut policy = serde_json::to_value(policy).unwrap();
    assert_eq!(violations(&read("schemas/policy.schema.json"), &policy), Vec::<String>::new());
    policy["models"]["maxmin"]["lipschitz"][0]["max-buond"] = 1.0.into();
    assert!(!violations(&read("schemas/policy.schema.json"), &policy).is_empty(), "the schema sees a typo");

    let good = small(LOOSE);
    let bad = small(&LOOSE.replace("1000.0", "0.001"));
    for (folder, expected) in [(&good, 0), (&bad, 1)] {
        let (code, report) = json(folder.path(), &["gate", "-q", "--output-format", "json"]);
        assert_eq!((code, violations(&read("schemas/report.schema.json"), &report)), (expected, vec![]));
        let (code, sarif) = json(folder.path(), &["gate", "-q", "--output-format", "sarif"]);
        assert_eq!((code, violations(&read("tests/data/sarif-2.1.0.schema.json"), &sarif)), (expected, vec![]));
        assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), expected as usize);
        let (code, report) = json(folder.path(), &["report", CERTIFICATE, "--model", "m.onnx", "--format", "json"]);
        assert_eq!((code, violations(&read("schemas/report.schema.json"), &report)), (0, vec![]));
    }
    let (_, mut sarif) = json(bad.path(), &["gate", "-q", "--output-format", "sarif"]);
    sarif["runs"][0]["results"][0]["level"] = "fatal".into();
    assert!(!violations(&read("tests/data/sarif-2.1.0.schema.json"), &sarif).is_empty(), "the schema sees a wrong level");

    let schema = std::fs::read_to_string(repository("tests/data/junit.xsd")).unwrap();
    for (folder, failures, errors) in [(&good, "0", "0"), (&bad, "1", "0")] {
        let (_, text, _) = run(folder.path(), &["gate", "-q", "--output-format", "junit"]);
        assert_eq!(xsd::violations(&schema, &text), Vec::<String>::new(), "{text}");
        let document = roxmltree::Document::parse(&text).unwrap();
        let suite = document.root_element().first_element_child().unwrap();
        let count = |name: &str| document.descendants().filter(|node| node.has_tag_name(name)).count().to_string();
        assert_eq!((suite.attribute("failures"), suite.attribute("errors")), (Some(failures), Some(errors)));
        assert_eq!(
            (suite.attribute("tests"), &*count("failure"), &*count("error")),
            (Some(&*count("testcase")), failures, errors)
        );
    }
    let (_, junit, _) = run(bad.path(), &["gate", "-q", "--output-format", "junit"]);
    for (from, to) in [
        ("<failure ", "<fault "),
        (" hostname=\"localhost\"", ""),
        ("tests=\"1\"", "tests=\"one\""),
        ("<properties>", "<system-out></system-out><properties>"),
        ("<system-err></system-err>", ""),
        ("<testsuites>", "<testsuites>text"),
        ("<testcase ", "<testcase colour=\"red\" "),
    ] {
        let changed =
            junit.replace("</failure>", if from == "<failure " { "</fault>" } else { "</failure>" }).replacen(from, to, 1);
        assert_ne!(changed, junit, "{from}");
        assert!(!xsd::violations(&schema, &changed).is_empty(), "the schema sees {to}");
    }
    let (code, junit, _) = run(good.path(), &["report", CERTIFICATE, "--model", "m.onnx", "--format", "junit"]);
    assert_eq!((code, xsd::violations(&schema, &junit)), (0, vec![]));
}

#[test]
fn every_code_is_explained_and_the_program_describes_itself() {
    let folder = Path::new(".");
    let (code, list, _) = run(folder, &["explain"]);
    assert_eq!(code, 0);
    for line in list.lines() {
        let (code, page, _) = run(folder, &["explain", line.split(' ').next().unwrap()]);
        assert!(code == 0 && page.lines().count() >= 5, "{line}: {page}");
    }
    assert_eq!(run(folder, &["explain", "NV999"]).0, 2);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (code, script, _) = run(folder, &["completions", shell]);
        assert!(code == 0 && script.contains("gate") && script.contains("lipschitz"), "{shell}");
    }
    let (code, page, _) = run(folder, &["man"]);
    assert!(code == 0 && page.starts_with(".ie") | page.contains(".TH verify"), "{page}");
    assert!(run(folder, &["man", "gate"]).1.contains("check\\-only"));
    assert_eq!(run(folder, &["man", "nothing"]).0, 2);
}
