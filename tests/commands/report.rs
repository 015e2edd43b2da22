//! The audit report as a page: well formed, self-contained, the same twice, and safe with hostile names.
//!
//! Where Debian's Chromium is installed the page is also laid out in it, at the width of a phone and of a desk, in light and dark.

use std::collections::HashSet;
use std::path::Path;

use crate::common::schema::violations;
use crate::common::{repository, tiny};
use assert_cmd::Command;
use roxmltree::{Document, ParsingOptions};
use tempfile::TempDir;

fn verify(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::cargo_bin("verify").unwrap();
    let output = command.env("SOURCE_DATE_EPOCH", "1750000000").current_dir(folder).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!error.contains("panicked"), "{error}");
    (output.status.code().unwrap(), error)
}

/// The report of a model with a Lipschitz claim, and where it lies.
fn page_of(model: &[u8]) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.onnx"), model).unwrap();
    let (code, error) =
        verify(folder.path(), &["m.onnx", "--lipschitz", "l2", "--certificate", "c.json", "-q", "--timeout", "60"]);
    assert_eq!(code, 0, "{error}");
    let (code, error) = verify(folder.path(), &["report", "c.json", "--model", "m.onnx", "-o", "audit.html"]);
    assert_eq!(code, 0, "{error}");
    let page = std::fs::read_to_string(folder.path().join("audit.html")).unwrap();
    (folder, page)
}

fn parsed(page: &str) -> Document<'_> {
    Document::parse_with_options(page, ParsingOptions { allow_dtd: true, ..ParsingOptions::default() }).unwrap()
}

/// What every page must be, whatever it is about.
fn assert_page(page: &str) {
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    let document = parsed(page);
    let elements = || document.descendants().filter(roxmltree::Node::is_element);
    let count = |name: &str| elements().filter(|node| node.has_tag_name(name)).count();
    for (name, wanted) in [
        ("html", 1),
        ("title", 1),
        ("h1", 1),
        ("header", 1),
        ("main", 1),
        ("footer", 1),
        ("nav", 1),
        ("script", 0),
        ("iframe", 0),
        ("form", 0),
        ("img", 0),
        ("link", 0),
    ] {
        assert_eq!(count(name), wanted, "<{name}>");
    }
    assert_eq!(document.root_element().attribute("lang"), Some("en"));
    let mut ids = HashSet::new();
    for node in elements() {
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(!name.starts_with("on") && !["src", "srcset", "action", "style"].contains(&name), "{name}={value}");
            assert!(name != "id" || ids.insert(value), "the id {value} occurs twice");
            assert!(name != "href" || value.starts_with('#'), "a link that leaves the page: {value}");
        }
    }
    for node in elements() {
        for name in ["aria-labelledby", "href"] {
            if let Some(target) = node.attribute(name) {
                assert!(ids.contains(target.trim_start_matches('#')), "{name} to {target}, which is not there");
            }
        }
        // Headings do not skip a level, tables have headings, pictures have a name or are left out for readers.
        if node.has_tag_name("table") {
            assert!(node.descendants().any(|cell| cell.attribute("scope") == Some("col")));
        }
        if node.has_tag_name("svg") {
            assert!(node.attribute("aria-hidden") == Some("true") || node.attribute("aria-label").is_some());
        }
    }
    let levels: Vec<u32> = elements().filter_map(|node| node.tag_name().name().strip_prefix('h')?.parse().ok()).collect();
    assert!(levels[0] == 1 && levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    for forbidden in ["http://", "https://", "javascript:", "url(", "@import"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn a_report_is_one_page_that_stands_alone() {
    let (folder, page) = page_of(&tiny::mixed());
    assert_page(&page);
    for words in [
        "Claims established",
        "badge proved",
        "How much can the output change per unit of the input",
        "no limit set",
        "Assumptions and limits",
        "verify check c.json --model m.onnx",
        "no conformity assessment",
        "Annex IV",
        "norm product",
        "2025-06-15",
    ] {
        assert!(page.contains(words), "{words}");
    }
    // The same twice.
    let path = folder.path().join("audit.html");
    verify(folder.path(), &["report", "c.json", "--model", "m.onnx", "-o", "audit.html"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), page);
    // A refused certificate is a report too, and says so.
    let text = std::fs::read_to_string(folder.path().join("c.json")).unwrap().replacen("lipschitz-l2", "lipschitz-l3", 1);
    std::fs::write(folder.path().join("c.json"), text).unwrap();
    let (code, _) = verify(folder.path(), &["report", "c.json", "--model", "m.onnx", "-o", "audit.html"]);
    assert_eq!(code, 4);
    let page = std::fs::read_to_string(&path).unwrap();
    assert_page(&page);
    assert!(page.contains("Certificate refused") && page.contains("NV503") && !page.contains("class=\"card"));
}

#[test]
fn hostile_names_are_text() {
    let name = "</style></td><script>alert('x')</script>\"onload=\"y&amp;]]>\u{202e}";
    let model =
        tiny::Tiny::new(3, 1).gemm(name, "x", 3, 6).node("r", "Relu", &[name], vec![]).gemm("z<b>", "r", 6, 2).finish("z<b>");
    let (folder, page) = page_of(&model);
    assert_page(&page);
    assert!(!page.contains("<script") && !page.contains('\u{202e}'));
    let shown = parsed(&page)
        .descendants()
        .any(|node| node.is_text() && node.text().is_some_and(|text| text.contains("</td><script>alert(")));
    assert!(shown, "the name is shown as what it is");
    for format in ["markdown", "junit", "sarif", "json", "text"] {
        let (code, error) = verify(folder.path(), &["report", "c.json", "--model", "m.onnx", "--format", format, "-o", "out"]);
        assert_eq!(code, 0, "{format}: {error}");
        let text = std::fs::read_to_string(folder.path().join("out")).unwrap();
        assert!(!text.contains('\u{202e}') || format == "json", "{format}");
        if format == "junit" {
            Document::parse(&text).unwrap();
        }
    }
}

#[test]
fn a_policy_is_applied_to_the_certificates_of_a_report() {
    let (folder, _) = page_of(&tiny::mixed());
    let report = |policy: &str| {
        std::fs::write(folder.path().join("verify.toml"), policy).unwrap();
        let arguments = ["report", "c.json", "--model", "m.onnx", "--policy", "verify.toml", "-o", "audit.html"];
        let (code, error) = verify(folder.path(), &arguments);
        (code, error, std::fs::read_to_string(folder.path().join("audit.html")).unwrap())
    };
    let bound =
        |limit: f64| format!("[models.m]\npath = \"m.onnx\"\n[[models.m.lipschitz]]\nnorm = \"l2\"\nmax-bound = {limit:?}\n");
    let (code, error, page) = report(&bound(1000.0));
    assert_page(&page);
    assert!(code == 0 && page.contains("Policy met") && page.contains("m.lipschitz-l2.max-bound"), "{error}");
    let (code, _, page) = report(&bound(0.001));
    assert!(code == 1 && page.contains("Policy violated") && page.contains("it cannot be met"));
    // A rule that no certificate answers is not met, and nothing is searched for.
    let other = format!("{}[[models.m.lipschitz]]\nnorm = \"linf\"\nmax-bound = 1e9\n", bound(1000.0));
    let (code, _, page) = report(&other);
    assert!(code == 3 && page.contains("no certificate of the report answers it"));
    let missing = format!("{}[[models.m.specification]]\nfile = \"none.vnnlib\"\n", bound(1000.0));
    let (code, _, page) = report(&missing);
    assert!(code == 2 && page.contains("none.vnnlib"));
    // About another model the policy says nothing.
    std::fs::write(folder.path().join("other.onnx"), tiny::linear()).unwrap();
    let (code, error, _) = report(&bound(1000.0).replace("m.onnx", "other.onnx"));
    assert!(code == 2 && error.contains("[NV406]") && error.contains("hint: it has rules for: m"), "{error}");
    // The commands that check again stand one on a line, as a shell takes them.
    let arguments = ["report", "c.json", "c.json", "--model", "m.onnx", "-o", "audit.html"];
    assert_eq!(verify(folder.path(), &arguments).0, 0);
    let page = std::fs::read_to_string(folder.path().join("audit.html")).unwrap();
    assert!(page.contains("--model m.onnx\nverify check c.json") && !page.contains("\\u{a}"));
    // A refused certificate counts, whatever else answers the rules.
    let text = std::fs::read_to_string(folder.path().join("c.json")).unwrap();
    std::fs::write(folder.path().join("bad.json"), text.replacen("lipschitz-l2", "lipschitz-l3", 1)).unwrap();
    std::fs::write(folder.path().join("verify.toml"), bound(1000.0)).unwrap();
    let (code, _) = verify(
        folder.path(),
        &["report", "c.json", "bad.json", "--model", "m.onnx", "--policy", "verify.toml", "-o", "audit.html"],
    );
    assert_eq!(code, 4);
}

/// Samples of 16 inputs with labels, as CSV.
fn samples(count: usize) -> String {
    let names: Vec<String> = (0..16).map(|i| format!("x{i}")).collect();
    let row = |sample: usize| {
        let values: Vec<String> = (0..16).map(|i| format!("{}", ((sample * 7 + i * 5) % 11) as f64 / 11.0)).collect();
        format!("{},{}\n", values.join(","), sample % 3)
    };
    format!("{},label\n{}", names.join(","), (0..count).map(row).collect::<Vec<_>>().concat())
}

#[test]
fn what_nobody_checks_is_shown_apart() {
    let folder = tempfile::tempdir().unwrap();
    let model = tiny::Tiny::new(16, 3).gemm("a", "x", 16, 8).node("r", "Relu", &["a"], vec![]).gemm("b", "r", 8, 3).finish("b");
    std::fs::write(folder.path().join("m.onnx"), model).unwrap();
    std::fs::write(folder.path().join("d.csv"), samples(12)).unwrap();
    let passes = "m.onnx --lipschitz l2 --tightness --eps 0.01 --hessian-trace --learning-rate 0.5 --batch-size 4 \
         --inverse-hessian --damping 0.01 --pruning --influence --data d.csv --loss cross-entropy --certificate c.json \
         --output-format json -o results.json -q";
    let (code, error) = verify(folder.path(), &passes.split_whitespace().collect::<Vec<_>>());
    // Cross-entropy has no minimiser, so nothing is said about stability.
    assert_eq!(code, 3, "{error}");
    let report = |output: &str| {
        let arguments = ["report", "c.json", "--model", "m.onnx", "--file", "d.csv", "--results", "results.json", "-o", output];
        let (code, error) = verify(folder.path(), &arguments);
        assert_eq!(code, 0, "{error}");
        std::fs::read_to_string(folder.path().join(output)).unwrap()
    };
    let page = report("audit.html");
    assert_page(&page);
    let (established, descriptive) = page.split_once(">Descriptive<").unwrap();
    for words in [
        "Spectral density of the Hessian",
        "2/η, above which gradient descent on the full batch is unstable: 4",
        "measured loss against the share of weights removed",
        "Tightness of 12 samples",
        "Mean width of the boxes, from the input on",
        "most suspicious labels first",
        "nobody checked it",
    ] {
        assert!(descriptive.contains(words) && !established.contains(words), "{words}");
    }
    for file in ["results.json", "d.csv"] {
        let digest = nnverify::kernel::proof::digest_of(&std::fs::read(folder.path().join(file)).unwrap());
        assert!(descriptive.contains(&digest), "the digest of {file}");
    }
    let images = parsed(&page).descendants().filter(|node| node.attribute("class") == Some("image")).count();
    assert_eq!(images, 6);
    in_a_browser(folder.path(), &page);

    let schema = std::fs::read_to_string(repository("schemas/report.schema.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&report("audit.json")).unwrap();
    assert_eq!(violations(&serde_json::from_str(&schema).unwrap(), &json), Vec::<String>::new());
    let sections = json["models"][0]["descriptive"].as_array().unwrap();
    assert_eq!(sections.len(), 3);
    assert!(report("audit.md").contains("nobody checks it") && report("audit.txt").contains("nobody checks it"));

    // Data that do not open, or are others, leave samples without pictures: it is said.
    std::fs::write(folder.path().join("broken.csv"), "x0,label\n1,oops\n").unwrap();
    std::fs::write(folder.path().join("others.csv"), samples(11)).unwrap();
    let files = ["--file", "broken.csv", "--file", "others.csv", "--results", "results.json"];
    let (_, error) = verify(folder.path(), &[&["report", "c.json", "--model", "m.onnx", "-o", "x.html"], &files[..]].concat());
    assert!(error.contains("no pictures of samples: `broken.csv`") && error.contains("does not give `d.csv`"), "{error}");

    // Without the data no sample is shown; results of another model, or what is no result, are refused.
    let results =
        |more: &[&str]| verify(folder.path(), &[&["report", "c.json", "--model", "m.onnx", "-o", "x.html"], more].concat());
    let (code, error) = results(&["--results", "results.json"]);
    // The claims about the data need them too.
    assert_eq!(code, 4, "{error}");
    assert!(!std::fs::read_to_string(folder.path().join("x.html")).unwrap().contains("class=\"image\""));
    let text = std::fs::read_to_string(folder.path().join("results.json")).unwrap();
    let digest = json["models"][0]["digest"].as_str().unwrap();
    std::fs::write(folder.path().join("other.json"), text.replace(digest, &"0".repeat(64))).unwrap();
    let (code, error) = results(&["--results", "other.json"]);
    assert!(code == 2 && error.contains("[NV405]") && error.contains("another model"), "{error}");
    let (code, error) = results(&["--results", "d.csv"]);
    assert!(code == 2 && error.contains("[NV405]"), "{error}");
}

#[test]
fn several_bounds_of_one_constant_stand_on_one_axis() {
    let folder = tempfile::tempdir().unwrap();
    let mut deep = tiny::Tiny::new(4, 9);
    let mut last = "x".to_owned();
    for layer in 0..8 {
        let (gemm, relu) = (format!("g{layer}"), format!("r{layer}"));
        deep = deep.gemm(&gemm, &last, 4, 4).node(&relu, "Relu", &[&gemm], vec![]);
        last = relu;
    }
    std::fs::write(folder.path().join("m.onnx"), deep.gemm("z", &last, 4, 2).finish("z")).unwrap();
    for (engine, certificate) in [("interior-point", "a.json"), ("layerwise", "b.json"), ("product", "c.json")] {
        let arguments = ["m.onnx", "--lipschitz", "l2", "--engine", engine, "--certificate", certificate, "-q"];
        assert_eq!(verify(folder.path(), &arguments).0, 0, "{engine}");
    }
    let arguments = ["report", "a.json", "b.json", "c.json", "--model", "m.onnx", "-o", "audit.json"];
    assert_eq!(verify(folder.path(), &arguments).0, 0);
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("audit.json")).unwrap()).unwrap();
    let ladder = report["models"][0]["questions"][0]["charts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|chart| chart["chart"] == "ladder")
        .unwrap();
    let marks = ladder["marks"].as_array().unwrap();
    let values: Vec<f64> = marks.iter().map(|mark| mark["value"].as_f64().unwrap()).collect();
    assert!(values.is_sorted(), "{values:?}");
    let place =
        |label: &str| marks.iter().position(|mark| mark["label"] == label).unwrap_or_else(|| panic!("{label}: {marks:?}"));
    let [attained, inequality, layers, norms] =
        ["attained", "certified (matrix inequality)", "layer-wise product", "norm product"].map(place);
    assert_eq!((attained, norms), (0, marks.len() - 1), "{marks:?}");
    assert!(inequality > 0 && layers > 0);
}

/// A policy over the sample models, with rules that are met and rules that are broken.
fn richest(folder: &Path) -> String {
    let mut policy = vec![format!(
        "[models.cnn]\npath = '{}'\n[[models.cnn.lipschitz]]\nnorm = \"l2\"\nmax-bound = 100.0\n\
         [models.relu]\npath = '{}'\n[[models.relu.lipschitz]]\nnorm = \"l2\"\nmax-bound = 15.0\n",
        repository("models/digits_cnn.onnx").display(),
        repository("models/digits_relu.onnx").display(),
    )];
    for specification in ["digit_0_within_0.05", "digit_5_within_0.2"] {
        let file = repository(&format!("specs/{specification}.vnnlib"));
        policy.push(format!("[[models.relu.specification]]\nfile = '{}'\n", file.display()));
    }
    for (model, epsilon) in [("cnn", "0.001"), ("cnn", "0.002"), ("relu", "0.02"), ("relu", "0.1")] {
        policy.push(format!(
            "[[models.{model}.robustness]]\ndata = '{}'\nsamples = 5\nnorm = \"linf\"\nepsilon = {epsilon}\nmin-certified-accuracy = 0.2\n",
            repository("models/digits_test.npz").display()
        ));
    }
    std::fs::write(folder.join("verify.toml"), policy.concat()).unwrap();
    let reports = ["--report", "audit.html", "--report", "audit.json", "--report", "audit.intoto.json"];
    let (code, error) = verify(folder, &[&["gate", "-q", "--allow-outside"], &reports[..]].concat());
    assert_eq!(code, 1, "{error}");
    std::fs::read_to_string(folder.join("audit.html")).unwrap()
}

#[test]
fn the_richest_sample_model() {
    let folder = tempfile::tempdir().unwrap();
    let page = richest(folder.path());
    assert_page(&page);
    for words in [
        "2 of the 8 rules of the policy are violated",
        "Lipschitz constants of the parts",
        "Certified accuracy against the size",
        "robust (proved)",
        "classified as labelled without any change (computed)",
        "the change, enlarged",
        "prediction",
    ] {
        assert!(page.contains(words), "{words}");
    }
    // No name of a field is a word.
    for name in ["certified_accuracy", "norm_product", "lower_bound", "perturbation.", "objective."] {
        assert!(!page.contains(name), "{name}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("audit.json")).unwrap()).unwrap();
    let schema = std::fs::read_to_string(repository("schemas/report.schema.json")).unwrap();
    assert_eq!(violations(&serde_json::from_str(&schema).unwrap(), &json), Vec::<String>::new());

    // The statement that is signed says the same.
    let statement: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("audit.intoto.json")).unwrap()).unwrap();
    assert_eq!(statement["predicate"]["result"], "FAILED");
    assert_eq!(statement["predicate"]["failedTests"].as_array().unwrap().len(), 2);
    assert_eq!(statement["subject"][0]["digest"]["sha256"], json["models"][0]["digest"]);

    // What is broken comes first, and wears no green; its assurance has no colour.
    let document = parsed(&page);
    let cards: Vec<_> =
        document.descendants().filter(|node| node.attribute("class").is_some_and(|c| c.starts_with("card "))).collect();
    let text = |node: &roxmltree::Node| node.descendants().filter_map(|node| node.text()).collect::<String>();
    let broken: Vec<_> = cards.iter().filter(|card| card.attribute("class") == Some("card violated")).collect();
    assert_eq!(broken.len(), 2);
    for card in broken {
        assert!(
            !card.descendants().any(|node| node.attribute("class").is_some_and(|class| class.contains("met"))),
            "{}",
            text(card)
        );
        assert!(card.descendants().any(|node| node.attribute("class") == Some("badge proved")), "{}", text(card));
    }
    assert!(page.find("tag violated").unwrap() < page.find("tag met").unwrap());
    let [curve] = json["models"][0]["questions"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|q| q["charts"].as_array().unwrap())
        .collect::<Vec<_>>()[..]
    else {
        panic!("one curve for the two sizes of one model");
    };
    assert_eq!(curve["series"][2]["points"][0][0], 0.0);
    in_a_browser(folder.path(), &page);
    assert!(pages(folder.path(), &page).is_none_or(|pages| pages <= 6), "{:?} pages", pages(folder.path(), &page));
    // The summary stands on one sheet.
    let summary = page
        .replace("</style>", "main > :not(.summary), footer { display: none } .summary { break-after: auto !important }</style>");
    assert!(pages(folder.path(), &summary).is_none_or(|pages| pages == 1), "{:?} pages", pages(folder.path(), &summary));
}

#[test]
fn a_violated_specification_is_never_green() {
    let folder = tempfile::tempdir().unwrap();
    let model = repository("models/digits_relu.onnx");
    let specification = repository("specs/digit_5_within_0.2.vnnlib");
    let (model, specification) = (model.to_str().unwrap(), specification.to_str().unwrap());
    let (code, error) = verify(folder.path(), &[model, "--spec", specification, "--certificate", "c.json", "-q"]);
    assert_eq!(code, 1, "{error}");
    let report = |output: &str| {
        let (code, error) = verify(folder.path(), &["report", "c.json", "--model", model, "--file", specification, "-o", output]);
        assert_eq!(code, 1, "{error}");
        std::fs::read_to_string(folder.path().join(output)).unwrap()
    };
    let page = report("audit.html");
    assert_page(&page);
    let summary = page.split_once("<nav").unwrap().0;
    let body = summary.split_once("</style>").unwrap().1;
    assert!(body.contains("tag violated") && !body.contains("tag met") && body.contains("verdict violated"), "{body}");
    for words in ["Counterexample", "→ prediction", "before", "after", "The exact point"] {
        assert!(page.contains(words), "{words}");
    }
    assert!(report("audit.md").contains("**violated**"));
    assert!(report("audit.txt").contains("[violated]"));
}

fn browser() -> Option<&'static str> {
    let names = ["chromium", "/usr/bin/chromium"];
    names.into_iter().find(|name| std::process::Command::new(name).arg("--version").output().is_ok())
}

/// Lays the page out in Chromium, where it is installed.
fn in_a_browser(folder: &Path, page: &str) {
    let Some(browser) = browser() else {
        println!("skipped: Chromium is not installed");
        return;
    };
    // The page itself has no script: a page around it measures it in frames.
    let attribute = page.replace('&', "&amp;").replace('"', "&quot;");
    let frames: String = [320, 360, 768, 1280]
        .map(|width| format!("<iframe width=\"{width}\" height=\"900\" srcdoc=\"{attribute}\"></iframe>"))
        .concat();
    let script = "addEventListener('load', () => { const out = []; for (const f of document.querySelectorAll('iframe')) { const d = f.contentDocument.documentElement; out.push(d.scrollWidth <= d.clientWidth ? 'fits' : 'overflows by ' + (d.scrollWidth - d.clientWidth)); out.push(f.contentWindow.performance.getEntriesByType('resource').length + ' requests'); out.push(f.contentWindow.getComputedStyle(f.contentDocument.body).backgroundColor); } document.body.replaceChildren(out.join(', ')); })";
    let around = folder.join("around.html");
    std::fs::write(&around, format!("<!DOCTYPE html><meta charset=utf-8><body>{frames}<script>{script}</script>")).unwrap();
    for (theme, ground) in [("light", "rgb(255, 255, 255)"), ("dark", "rgb(16, 21, 27)")] {
        let profile = folder.join(format!("profile-{theme}"));
        let output = std::process::Command::new(browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--virtual-time-budget=4000",
                "--dump-dom",
                "--window-size=1400,1000",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .args((theme == "dark").then_some("--force-dark-mode"))
            .arg(format!("file://{}", around.display()))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(text.matches("fits").count(), 4, "{theme}: {}", &text[text.len().saturating_sub(300)..]);
        assert_eq!(text.matches("0 requests").count(), 4, "{theme}: {}", &text[text.len().saturating_sub(300)..]);
        assert_eq!(text.matches(ground).count(), 4, "{theme}: {}", &text[text.len().saturating_sub(300)..]);
    }
    // On paper.
    assert!(pages(folder, page).is_some_and(|pages| (2..60).contains(&pages)));
    axe(folder, page, browser);
}

/// How many sheets the page takes on paper, where Chromium is installed.
fn pages(folder: &Path, page: &str) -> Option<usize> {
    let browser = browser()?;
    std::fs::write(folder.join("page.html"), page).unwrap();
    let output = std::process::Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-pdf-header-footer"])
        .arg(format!("--user-data-dir={}", folder.join("profile-print").display()))
        .arg(format!("--print-to-pdf={}", folder.join("page.pdf").display()))
        .arg(format!("file://{}", folder.join("page.html").display()))
        .output()
        .unwrap();
    let pdf = std::fs::read(folder.join("page.pdf")).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert!(pdf.starts_with(b"%PDF"));
    let count = |name: &[u8]| pdf.windows(name.len()).filter(|bytes| *bytes == name).count();
    Some(count(b"/Type /Page") - count(b"/Type /Pages"))
}

/// Asks axe-core, whose file `NNVERIFY_AXE` names, for what hinders readers: nothing, with everything unfolded.
fn axe(folder: &Path, page: &str, browser: &str) {
    let Some(path) = std::env::var_os("NNVERIFY_AXE") else {
        println!("skipped: NNVERIFY_AXE does not name axe-core's `axe.min.js`");
        return;
    };
    let axe = std::fs::read_to_string(path).unwrap().replace("</script", "<\\/script");
    let run = "axe.run(document, {resultTypes: ['violations']}).then(found => { document.body.textContent = 'axe found ' + found.violations.length + ': ' + found.violations.map(v => v.id + ' ' + v.nodes.map(n => n.html).join(' ')).join(', '); })";
    let open = page.replace("<details>", "<details open=\"open\">");
    std::fs::write(
        folder.join("axe.html"),
        open.replace("</body>", &format!("<script>{axe}</script><script>{run}</script></body>")),
    )
    .unwrap();
    for (name, more) in [("light", "--window-size=1200,900"), ("dark", "--force-dark-mode"), ("phone", "--window-size=500,900")] {
        let output = std::process::Command::new(browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--virtual-time-budget=20000",
                "--dump-dom",
                more,
            ])
            .arg(format!("--user-data-dir={}", folder.join(format!("axe-{name}")).display()))
            .arg(format!("file://{}", folder.join("axe.html").display()))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains("axe found 0"),
            "{name}: {}",
            &text[text.find("axe found ").unwrap_or(0)..].chars().take(2000).collect::<String>()
        );
    }
}
