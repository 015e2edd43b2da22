//! Reports that would look better than the truth.

use nnverify::kernel::proof::{Assurance, Certificate, ClaimKind, Domain, RobustnessClaim, Semantics, Vector};

use super::{CERTIFICATE, bound, certified, forged, lipschitz, put, run, samples, small, text, tiny};

/// A change of a certificate.
type Change = Box<dyn Fn(&mut Certificate)>;

fn robustness(change: impl Fn(&mut RobustnessClaim) + 'static) -> Change {
    Box::new(move |certificate| match &mut certificate.claims[0].kind {
        ClaimKind::Robustness(claim) => change(claim),
        other => panic!("{other:?}"),
    })
}

#[test]
fn what_answers_another_question_is_not_compared() {
    let repository = small("");
    let here = repository.path();
    put(here, "d.csv", samples((0..7).map(|i| (f64::from(i), i % 2))));
    let ended = run(here, &["m.onnx", "--robust", "--data", "d.csv", "--eps", "0.05", "--certificate", "old.json"]);
    assert!(ended.code < 2, "{}", ended.all());
    let diff = |code: i32, words: &[&str]| {
        run(here, &["diff", "old.json", "new.json", "--fail-on-regression"]).expect(code, words);
        let tolerant = ["diff", "old.json", "new.json", "--fail-on-regression", "--tolerance", "10"];
        run(here, &tolerant).expect(code, words);
        // Who does not ask for a verdict gets none, but hears it.
        run(here, &["diff", "old.json", "new.json"]).expect(if code == 4 { 4 } else { 0 }, words);
    };
    forged(here, "old.json", "new.json", |_| ());
    diff(0, &["same"]);
    let other = |part: &'static str| ("answers another question", part);
    let attacks: Vec<((&str, &str), Change)> = vec![
        (other("epsilon"), robustness(|claim| claim.perturbation.epsilon = "1e-6".into())),
        (other("samples"), robustness(|claim| (claim.samples, claim.robust, claim.falsified) = (1, vec![0], vec![]))),
        (other("norm"), robustness(|claim| claim.perturbation.norm = nnverify::kernel::proof::Norm::L2)),
        (other("clip"), robustness(|claim| claim.perturbation.clip = Some(["0".into(), "1".into()]))),
        (other("input"), robustness(|claim| claim.perturbation.deviation = vec!["1000".into()])),
        (other("data"), robustness(|claim| claim.data[0].digest = "0".repeat(64))),
        (other("data"), robustness(|claim| claim.data.push(claim.data[0].clone()))),
        (other("arithmetic"), Box::new(|certificate| certificate.claims[0].semantics = Semantics::Float32)),
        (other("domain"), Box::new(|certificate| certificate.claims[0].domain = Domain::Data)),
        (("less stands behind it", "estimated"), Box::new(|certificate| certificate.claims[0].assurance = Assurance::Estimated)),
        (("removed", "regression"), Box::new(|certificate| certificate.claims[0].id = "other".into())),
    ];
    for ((words, part), change) in attacks {
        forged(here, "old.json", "new.json", change);
        diff(1, &[words]);
        let ended = run(here, &["diff", "old.json", "new.json", "--fail-on-regression"]);
        assert!(ended.out.contains(part) && ended.out.contains("regression: "), "{part}: {}", ended.out);
    }
    // What cannot be so is refused.
    let impossible: Vec<Change> = vec![
        robustness(|claim| claim.samples = 0),
        robustness(|claim| (claim.samples, claim.robust, claim.falsified) = (0, vec![], vec![])),
        robustness(|claim| claim.robust = (0..14).collect()),
        robustness(|claim| claim.robust = vec![0, 0, 1, 1, 2, 2, 3]),
        robustness(|claim| (claim.robust, claim.falsified) = (vec![0, 1, 2], vec![2])),
        robustness(|claim| claim.robust = vec![2, 1]),
    ];
    for change in impossible {
        forged(here, "old.json", "new.json", change);
        diff(4, &["cannot be right", "[NV513]"]);
    }
}

#[test]
fn a_bound_on_a_box_is_not_compared_with_one_everywhere() {
    let repository = small("");
    let here = repository.path();
    certified(here, "m.onnx", "old.json");
    let on_box = |low: f64| {
        move |certificate: &mut Certificate| {
            let side = |value: f64| Vector::inline(&[value; 3]);
            certificate.claims[0].domain = Domain::Box { lower: side(low), upper: side(1.0) };
        }
    };
    forged(here, "old.json", "new.json", on_box(0.0));
    let diff = ["diff", "old.json", "new.json", "--fail-on-regression"];
    run(here, &diff).expect(1, &["answers another question: domain"]);
    forged(here, "old.json", "old.json", on_box(0.0));
    run(here, &diff).expect(0, &["same"]);
    forged(here, "old.json", "new.json", on_box(0.5));
    run(here, &diff).expect(1, &["answers another question: domain"]);
    for tolerance in ["1e308", "nan", "-1", "inf", "11"] {
        let argument = format!("--tolerance={tolerance}");
        run(here, &["diff", "old.json", "new.json", "--fail-on-regression", &argument]).expect(2, &["tolerance"]);
    }
    forged(here, "old.json", "new.json", bound(f64::MAX));
    run(here, &diff).expect(4, &["[NV513]"]);
    forged(here, "old.json", "new.json", bound(f64::NAN));
    run(here, &diff).expect(4, &["[NV513]"]);
}

#[test]
fn a_refused_certificate_is_an_error_in_every_format() {
    let repository = small(&lipschitz("m", "max-bound = 1000.0"));
    let here = repository.path();
    certified(here, "m.onnx", "good.json");
    forged(here, "good.json", "bad.json", bound(1e-3));
    let altered = text(here, "good.json").replacen("lipschitz-l2", "lipschitz-l3", 1);
    put(here, "altered.json", altered);
    put(here, "damaged.json", "{");
    for (bad, code) in [("bad.json", "NV515"), ("altered.json", "NV503"), ("damaged.json", "NV501")] {
        for with_policy in [&["--policy", "verify.toml"][..], &[]] {
            for format in ["text", "json", "markdown", "html", "sarif", "junit"] {
                let report = ["report", "good.json", bad, "--model", "m.onnx", "--format", format];
                let ended = run(here, &[&report[..], with_policy].concat()).expect(4, &[]);
                assert!(ended.out.contains(code) && ended.out.contains(bad), "{format}: {}", ended.out);
                match format {
                    "junit" => {
                        let document = roxmltree::Document::parse(&ended.out).unwrap();
                        let case = document.descendants().find(|node| node.attribute("name") == Some(bad)).unwrap();
                        assert!(case.children().any(|node| node.has_tag_name("error")));
                        let errors: usize =
                            document.descendants().filter_map(|node| node.attribute("errors")?.parse::<usize>().ok()).sum();
                        assert_eq!(errors, 1);
                    }
                    "sarif" => {
                        let log: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
                        let results = log["runs"][0]["results"].as_array().unwrap();
                        assert!(results.iter().any(|result| result["ruleId"] == code && result["level"] == "error"));
                    }
                    _ => assert!(ended.out.contains("refused"), "{format}: {}", ended.out),
                }
            }
        }
    }
    // The gate tells of one that a rule asked for, once.
    put(here, CERTIFICATE, text(here, "altered.json"));
    let ended = run(here, &["gate", "--output-format", "junit"]).expect(4, &["NV503"]);
    assert_eq!(ended.out.matches("<error ").count(), 1, "{}", ended.out);
    run(here, &["gate", "--check-only"]).expect(4, &["refused"]);
}

#[test]
fn a_benchmark_that_shows_nothing_is_no_success() {
    let repository = small("");
    let here = repository.path();
    let bounds = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const X_2 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)\
        (assert (>= X_0 0))(assert (<= X_0 1))(assert (>= X_1 0))(assert (<= X_1 1))(assert (>= X_2 0))(assert (<= X_2 1))";
    put(here, "holds.vnnlib", format!("{bounds}(assert (>= Y_0 1000))"));
    put(here, "fails.vnnlib", format!("{bounds}(assert (<= Y_0 1000))"));
    for rows in ["", "\n\n", "model,spec,timeout\n"] {
        put(here, "i.csv", rows);
        run(here, &["batch", "i.csv"]).expect(2, &["there are no instances", "[NV201]"]);
    }
    put(here, "i.csv", "m.onnx,holds.vnnlib,20\n");
    run(here, &["batch", "i.csv"]).expect(0, &["unsat"]);
    run(here, &["batch", "i.csv", "--only", "none"]).expect(2, &["`--only` matches none"]);
    for (specification, expected, code) in [
        ("holds", "unsat", 0),
        ("holds", "holds", 0),
        ("holds", "sat", 1),
        ("holds", "SAT", 1),
        ("holds", " violated ", 1),
        ("holds", "?", 0),
        ("fails", "sat", 1),
        ("fails", "unsat", 1),
    ] {
        put(here, "i.csv", format!("model,spec,timeout,expected\nm.onnx,{specification}.vnnlib,20,{expected}\n"));
        let ended = run(here, &["batch", "i.csv"]).expect(code, &[]);
        let contradicts =
            (specification == "holds") == (code == 1) && code == 1 || expected == "unsat" && specification == "fails";
        assert_eq!(ended.out.contains("CONTRADICTS"), contradicts, "{specification} {expected}: {}", ended.out);
    }
}

#[test]
fn a_baseline_of_a_report_is_whole() {
    let repository = small("");
    let here = repository.path();
    certified(here, "m.onnx", "new.json");
    let report = ["report", "new.json", "--model", "m.onnx", "--baseline", "old.json", "--format", "markdown"];
    put(here, "old.json", text(here, "new.json"));
    run(here, &report).expect(0, &["since the baseline"]);
    put(here, "old.json", text(here, "new.json").replacen("lipschitz-l2", "lipschitz-l3", 1));
    run(here, &report).expect(4, &["[NV503]"]);
    put(here, "old.json", text(here, "new.json").replacen("nnverify-certificate/1", "nnverify-certificate/9", 1));
    run(here, &report).expect(4, &["[NV502]"]);
    put(here, "old.json", "{");
    run(here, &report).expect(4, &["[NV501]"]);
}

#[test]
fn names_hide_nothing_and_lead_nowhere() {
    let repository = small("");
    let here = repository.path();
    let hidden = [
        '\u{2028}',
        '\u{2029}',
        '\u{34f}',
        '\u{115f}',
        '\u{2800}',
        '\u{3164}',
        '\u{fe0f}',
        '\u{e0100}',
        '\u{a0}',
        '\u{202e}',
        '\u{200b}',
        '\u{ffa0}',
        '\n',
        '\u{1b}',
    ];
    let name = format!("m{}.onnx", hidden.iter().collect::<String>());
    let model = tiny::Tiny::new(3, 1)
        .gemm(&name, "x", 3, 6)
        .node("r", "Relu", &[&name], vec![])
        .gemm("z\u{3164}", "r", 6, 2)
        .finish("z\u{3164}");
    put(here, &name, model);
    certified(here, &name, "c.json");
    forged(here, "c.json", "c.json", |certificate| certificate.claims[0].id = "www.evil.com".into());
    let rules = format!("[models.m]\npath = {}\n{}", serde_json::to_string(&name).unwrap(), lipschitz("m", "max-bound = 1000.0"));
    put(here, "verify.toml", rules);
    let clean = |text: &str, what: &str| {
        for c in hidden.iter().filter(|&&c| c != '\n') {
            assert!(!text.contains(*c), "{what}: {c:?} in {text}");
        }
        assert!(!text.contains("\n.onnx") && !text.contains("\u{1b}\n"), "{what}: {text}");
    };
    for format in ["text", "markdown", "html", "junit", "sarif"] {
        for with_policy in [&["--policy", "verify.toml"][..], &[]] {
            let report = ["report", "c.json", "--model", &name, "--format", format];
            let ended = run(here, &[&report[..], with_policy].concat()).expect(0, &[]);
            clean(&ended.out, format);
            clean(&ended.error, format);
            if format == "markdown" {
                assert!(ended.out.contains("www&#46;evil.com") && !ended.out.contains("www.evil"), "{}", ended.out);
            }
        }
    }
    for arguments in [
        vec!["inspect", &name],
        vec![&name, "--lipschitz", "l2", "--certificate", "d.json", "-v"],
        vec!["check", "c.json", "--model", &name],
        vec!["gate", "-v"],
        vec!["m.onnx", "--spec", &name],
        vec!["check", &name, "--model", "m.onnx"],
        vec!["diff", "c.json", &name],
    ] {
        let ended = run(here, &arguments);
        clean(&ended.out, arguments[0]);
        clean(&ended.error, arguments[0]);
        // A runner takes such a line for a command.
        assert!(ended.all().lines().all(|line| !line.trim_start().starts_with("::")));
    }
    let command = "x\n::set-output name=a::b";
    let ended = run(here, &[command, "--lipschitz", "l2"]).expect(2, &[]);
    assert!(ended.all().lines().all(|line| !line.starts_with("::")), "{}", ended.all());
}

#[test]
fn a_violated_property_is_no_success() {
    let declared = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const X_2 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)";
    let inputs: String = [0, 1, 2].map(|i| format!("(assert (<= X_{i} 0.1))(assert (>= X_{i} 0))")).concat();
    let repository = small("");
    let here = repository.path();
    put(here, "s.vnnlib", format!("{declared}{inputs}(assert (>= Y_0 -1000))"));
    run(here, &["m.onnx", "--spec", "s.vnnlib", "--certificate", "c.json"]).expect(1, &["violated"]);
    let report = ["report", "c.json", "--model", "m.onnx", "--file", "s.vnnlib", "--format"];
    let ended = run(here, &[&report[..], &["markdown"]].concat()).expect(1, &["Violation proved"]);
    assert!(!ended.out.contains('✅'), "{}", ended.out);
    run(here, &[&report[..], &["sarif"]].concat()).expect(1, &["NV606"]);
    run(here, &[&report[..], &["junit"]].concat()).expect(1, &["failures=\"1\"", "<failure"]);
}

#[test]
fn results_that_name_no_data_are_not_shown() {
    let repository = small(&lipschitz("m", "max-bound = 1000.0"));
    let here = repository.path();
    run(here, &["gate", "-q"]).expect(0, &[]);
    let digest = Certificate::read(&here.join(super::CERTIFICATE)).unwrap().0.model.digest;
    let stability = serde_json::json!({
        "verdict": "stable", "reason": "proved", "learning_rate": 0.1, "batch_size": 1, "critical_learning_rate": null,
        "bracket": [0.0, 1.0], "gradient_descent": 0.0, "trace_condition": 0.0, "wu_su": 0.0, "top_direction": 0.0,
        "sufficient": 0.0, "critical_batch_size": null, "critical_batch": "", "edge_ratio": 0.0
    });
    let section = serde_json::json!({
        "pass": "hessian", "loss_convention": "mean cross-entropy", "softmax_in_loss": false, "data": [], "samples": 100,
        "outputs": 2, "dimension": 8, "parameters": [], "not_parameters": [], "loss": 0.0, "accuracy": null,
        "gradient_norm": 0.0, "kinks": [], "structure": null, "lambda_min_hessian": null, "alignment": null,
        "parameter_norms": [], "density": [], "precision": "double", "not_done": [], "seconds": 0.0, "stability": stability,
        "figures": [{"name": "certified_accuracy", "value": 1.0, "interval": [1.0, 1.0], "method": "proved"}],
    });
    let results = serde_json::json!({
        "model": "m.onnx", "digest": digest, "input": [1, 3], "output": [1, 2], "parameters": 8, "statements": [], "claims": [],
        "certificate": null, "seconds": 0.0, "check_milliseconds": 0, "sections": [section],
    });
    put(here, "certificates/m.lipschitz-l2.results.json", results.to_string());
    // They are results: a report that is told to shows them.
    let told = ["report", super::CERTIFICATE, "--model", "m.onnx", "--results", "certificates/m.lipschitz-l2.results.json"];
    run(here, &[&told[..], &["--format", "markdown"]].concat()).expect(0, &["stable"]);
    run(here, &["gate", "--report", "r.md", "--report", "r.json"]).expect(0, &[]);
    for report in ["r.md", "r.json"] {
        assert!(!text(here, report).contains("stable"), "{}", text(here, report));
    }
}
