//! What rules rest on: data, specifications and baselines that nobody looked at, and claims about something else.

use super::{bound, certified, folder, forged, lipschitz, policy, put, run, samples, small, text, tiny, worse};
use nnverify::kernel::proof::{Assurance, Certificate, Semantics, digest_of};

const ROBUSTNESS: &str =
    "[[models.m.robustness]]\ndata = \"d.csv\"\nsamples = 8\nnorm = \"linf\"\nepsilon = 1e-6\nmin-certified-accuracy = 0.01\n";
const SPECIFICATION: &str = "[[models.m.specification]]\nfile = \"s.vnnlib\"\n";
/// A property that holds of the small model.
pub const HOLDS: &str = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const X_2 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)\n\
    (assert (>= X_0 0))(assert (<= X_0 1))(assert (>= X_1 0))(assert (<= X_1 1))(assert (>= X_2 0))(assert (<= X_2 1))\n(assert (>= Y_0 1000))";

/// A repository with every kind of file that a policy names, and its lock file.
fn locked() -> tempfile::TempDir {
    let mut model = tiny::Tiny::new(3, 1).gemm("a", "x", 3, 6).node("r", "Relu", &["a"], vec![]).gemm("b", "r", 6, 2);
    // One tensor in a file of its own.
    let tensor = &mut model.graph().initializer[0];
    let bytes: Vec<u8> = tensor.float_data.drain(..).flat_map(f32::to_le_bytes).collect();
    tensor.data_location = 1;
    tensor
        .external_data
        .push(nnverify::kernel::model::onnx::proto::StringStringEntryProto { key: "location".into(), value: "w.bin".into() });
    let repository = folder(&[
        ("m.onnx", &model.finish("b")),
        ("w.bin", &bytes),
        ("s.vnnlib", HOLDS.as_bytes()),
        ("x.csv", samples((0..8).map(|i| (f64::from(i) / 8.0, 0))).as_bytes()),
        ("y.csv", b"label\n0\n1\n0\n1\n0\n1\n0\n1\n"),
    ]);
    certified(repository.path(), "m.onnx", "b.json");
    let robustness = ROBUSTNESS.replace("\"d.csv\"\n", "\"x.csv\"\nlabels = \"y.csv\"\n").replace("0.01", "0.0");
    let rules = format!("baseline = \"b.json\"\n{}{SPECIFICATION}{robustness}", lipschitz("m", "max-regression = 0.5"));
    put(repository.path(), "verify.toml", policy(&rules));
    repository
}

#[test]
fn a_lock_file_sees_every_file_change() {
    let repository = locked();
    let here = repository.path();
    run(here, &["gate"]).expect(0, &["there is no lock file"]);
    run(here, &["gate", "--lock"]).expect(0, &["verify.lock: written, with 6 files"]);
    let lock = text(here, "verify.lock");
    for name in ["b.json", "m.onnx", "s.vnnlib", "w.bin", "x.csv", "y.csv"] {
        let bytes = std::fs::read(here.join(name)).unwrap();
        assert!(lock.contains(&format!("\"{name}\" = \"{}\"", digest_of(&bytes))), "{name}: {lock}");
    }
    let ended = run(here, &["gate"]).expect(0, &["m.files", "6 files as pinned"]);
    assert!(!ended.out.contains("there is no lock file"));
    run(here, &["gate", "--lock"]).expect(0, &[]);
    assert_eq!(text(here, "verify.lock"), lock, "the same for the same files");

    let appended = |name: &str, more: &[u8]| {
        let good = std::fs::read(here.join(name)).unwrap();
        put(here, name, [&good, more].concat());
        run(here, &["gate"]).expect(1, &["m.files", "violated", &format!("`{name}` is another file"), "[NV603]"]);
        run(here, &["gate", "--report", "r.xml", "--report", "r.sarif", "--report", "r.md", "--report", "r.html"]).expect(1, &[]);
        for report in ["r.xml", "r.sarif", "r.md", "r.html"] {
            assert!(text(here, report).contains("another file"), "{report}");
        }
        put(here, name, good);
    };
    appended("s.vnnlib", b"\n(assert (>= Y_1 1000))");
    appended("b.json", b"\n");
    // As many weights as before.
    let weights = std::fs::read(here.join("w.bin")).unwrap();
    put(here, "w.bin", weights.chunks(4).rev().flatten().copied().collect::<Vec<u8>>());
    let ended = run(here, &["gate"]);
    assert!(ended.code == 1 && ended.all().contains("`w.bin` is another file"), "{}", ended.all());
    put(here, "w.bin", weights);
    // As many samples and labels as before.
    let data = text(here, "x.csv");
    put(here, "x.csv", data.replacen("0.125", "0.126", 1));
    run(here, &["gate"]).expect(1, &["`x.csv` is another file", "[NV603]"]);
    put(here, "x.csv", data);
    let labels = text(here, "y.csv");
    put(here, "y.csv", labels.replacen("0\n1", "0\n0", 1));
    run(here, &["gate"]).expect(1, &["`y.csv` is another file", "[NV603]"]);
    put(here, "y.csv", labels);
    let model = std::fs::read(here.join("m.onnx")).unwrap();
    put(here, "m.onnx", tiny::mixed());
    run(here, &["gate"]).expect(1, &["m.files", "`m.onnx` is another file", "[NV603]"]);
    put(here, "m.onnx", model);
    run(here, &["gate"]).expect(0, &[]);
    run(here, &["report", "b.json", "--model", "m.onnx", "--policy", "verify.toml"]).expect(3, &["m.files"]);
}

#[test]
fn a_file_that_the_lock_file_does_not_name_is_no_pinned_one() {
    let repository = locked();
    let here = repository.path();
    run(here, &["gate", "--lock"]).expect(0, &[]);
    put(here, "t.vnnlib", HOLDS);
    let rules = text(here, "verify.toml");
    put(here, "verify.toml", format!("{rules}{}", SPECIFICATION.replace("s.vnnlib", "t.vnnlib")));
    run(here, &["gate"]).expect(1, &["`t.vnnlib` is not in the lock file", "verify gate --lock", "[NV603]"]);
    // A lock file that is gone, where the policy asks for one.
    put(here, "verify.toml", format!("lock = true\n{rules}"));
    run(here, &["gate"]).expect(0, &[]);
    let lock = text(here, "verify.lock");
    std::fs::remove_file(here.join("verify.lock")).unwrap();
    run(here, &["gate"]).expect(2, &["[NV408]", "verify gate --lock"]);
    run(here, &["report", "b.json", "--model", "m.onnx", "--policy", "verify.toml"]).expect(2, &["[NV408]"]);
    // Or no lock file at all.
    for (contents, words) in
        [("hunter2", "verify.lock`:1"), ("version = 9\n", "another version"), (&*lock.replace('a', "A"), "verify.lock")]
    {
        put(here, "verify.lock", contents);
        run(here, &["gate"]).expect(2, &["[NV408]", words]);
    }
    std::fs::remove_file(here.join("verify.lock")).unwrap();
    put(here, "other.lock", &lock);
    super::link(here, "other.lock", "verify.lock");
    run(here, &["gate"]).expect(2, &["symbolic link", "[NV407]"]);
    run(here, &["gate", "--lock"]).expect(2, &["symbolic link"]);
    assert_eq!(text(here, "other.lock"), lock);
}

#[test]
fn pins_of_the_policy_count_for_every_kind_of_file() {
    let repository = locked();
    let here = repository.path();
    let rules = text(here, "verify.toml");
    for name in ["b.json", "m.onnx", "s.vnnlib", "w.bin", "x.csv", "y.csv"] {
        let digest = digest_of(&std::fs::read(here.join(name)).unwrap());
        put(here, "verify.toml", format!("[sha256]\n\"./{name}\" = \"{digest}\"\n{rules}"));
        run(here, &["gate"]).expect(0, &["1 file as pinned"]);
        put(here, "verify.toml", format!("[sha256]\n\"{name}\" = \"{}\"\n{rules}", "0".repeat(64)));
        run(here, &["gate"]).expect(1, &[&format!("`{name}` is another file"), "[NV603]"]);
    }
    // One path in two ways: both pins count.
    let good = digest_of(&std::fs::read(here.join("x.csv")).unwrap());
    for paths in [["x.csv", "./x.csv"], ["./x.csv", "x.csv"], ["c/../x.csv", "x.csv"]] {
        let pins = format!("[sha256]\n\"{}\" = \"{good}\"\n\"{}\" = \"{}\"\n", paths[0], paths[1], "0".repeat(64));
        put(here, "verify.toml", pins + &rules);
        run(here, &["gate"]).expect(1, &["`x.csv` is another file", "[NV603]"]);
    }
    put(here, "verify.toml", format!("[sha256]\n\"z.csv\" = \"{}\"\n{rules}", "0".repeat(64)));
    run(here, &["gate"]).expect(2, &["`z.csv` is pinned", "nothing of the policy names it", "[NV403]"]);
}

#[test]
fn copies_of_one_sample_are_told() {
    let repository = small(ROBUSTNESS);
    let here = repository.path();
    put(here, "d.csv", samples((0..8).map(|_| (0.25, 0))));
    let ended = run(
        here,
        &["gate", "--report", "r.md", "--report", "r.html", "--report", "r.xml", "--report", "r.json", "--report", "r.sarif"],
    );
    assert!(ended.all().contains("7 of 8 samples are copies of others"), "{}", ended.all());
    for report in ["r.md", "r.html", "r.xml", "r.json", "r.sarif"] {
        assert!(text(here, report).contains("7 of 8 samples are copies of others"), "{report}");
    }
    // Also where only certificates at hand are looked at, and without a policy.
    assert!(run(here, &["gate", "--check-only"]).all().contains("7 of 8"));
    let robust = ["m.onnx", "--robust", "--data", "d.csv", "--eps", "1e-6", "--certificate", "c.json"];
    assert!(run(here, &robust).error.contains("`d.csv`: 7 of 8 samples are copies of others"));
    // The two zeros are one number.
    put(here, "d.csv", samples((0..8).map(|i| (if i % 2 == 0 { 0.0 } else { -0.0 }, 0))));
    assert!(run(here, &["gate", "--check-only"]).all().contains("7 of 8"));
    put(here, "d.csv", samples((0..8).map(|i| (f64::from(i), 0))));
    assert!(!run(here, &["gate"]).all().contains("copies"));
}

/// A change of a certificate.
type Change = Box<dyn FnOnce(&mut Certificate)>;

#[test]
fn a_baseline_must_be_possible() {
    let repository = small("");
    let here = repository.path();
    certified(here, "m.onnx", "good.json");
    put(here, "m.onnx", worse());
    put(here, "verify.toml", policy(&format!("baseline = \"b.json\"\n{}", lipschitz("m", "max-regression = 0.05"))));
    std::fs::copy(here.join("good.json"), here.join("b.json")).unwrap();
    run(here, &["gate"]).expect(1, &["violated"]);
    let lipschitz_claim = |change: fn(&mut nnverify::kernel::proof::LipschitzClaim)| -> Change {
        Box::new(move |certificate| match &mut certificate.claims[0].kind {
            nnverify::kernel::proof::ClaimKind::Lipschitz(claim) => change(claim),
            other => panic!("{other:?}"),
        })
    };
    let attacks: [(&str, i32, &str, Change); 10] = [
        (
            "bits and decimals that differ",
            4,
            "[NV513]",
            lipschitz_claim(|claim| claim.bound.bits = nnverify::kernel::proof::Bits::of(1e6)),
        ),
        ("decimals and bits that differ", 4, "[NV513]", lipschitz_claim(|claim| claim.bound.decimal = "0.1".to_owned())),
        ("the greatest number", 4, "[NV513]", Box::new(bound(f64::MAX))),
        ("a number that means nothing", 4, "[NV513]", Box::new(bound(1e200))),
        ("infinity", 4, "[NV513]", Box::new(bound(f64::INFINITY))),
        ("no number", 4, "[NV513]", Box::new(bound(f64::NAN))),
        ("a negative bound", 4, "[NV513]", Box::new(bound(-1.0))),
        ("a bound below what is attained", 4, "[NV513]", Box::new(bound(1e-9))),
        ("an estimate", 2, "[NV404]", Box::new(|certificate| certificate.claims[0].assurance = Assurance::Estimated)),
        ("another arithmetic", 2, "[NV404]", Box::new(|certificate| certificate.claims[0].semantics = Semantics::Float32)),
    ];
    for (attack, code, words, change) in attacks {
        forged(here, "good.json", "b.json", change);
        let ended = run(here, &["gate"]);
        assert!(ended.code == code && ended.all().contains(words), "{attack}: {}", ended.all());
        if code == 4 {
            run(here, &["diff", "b.json", "good.json"]).expect(4, &["[NV513]"]);
            run(here, &["report", "good.json", "--model", "m.onnx", "--baseline", "b.json"]).expect(4, &["[NV513]"]);
        }
    }
}

#[test]
fn a_baseline_is_checked_where_its_model_is_at_hand() {
    let repository = small("");
    let here = repository.path();
    certified(here, "m.onnx", "good.json");
    let rules = |more: &str| policy(&format!("baseline = \"b.json\"\n{more}{}", lipschitz("m", "max-regression = 10.0")));
    // The multipliers do not prove so small a bound; and it must not lie below what is attained.
    let stated = |factor: f64| -> Change {
        Box::new(move |certificate| match &mut certificate.claims[0].kind {
            nnverify::kernel::proof::ClaimKind::Lipschitz(claim) => {
                claim.lower_bound = None;
                claim.witness.pair = None;
                claim.bound = nnverify::kernel::proof::Number::upper(claim.bound.value() * factor);
            }
            other => panic!("{other:?}"),
        })
    };
    put(here, "verify.toml", rules(""));
    forged(here, "good.json", "b.json", stated(1.0));
    run(here, &["gate"]).expect(0, &["met"]);
    // True, and no limit.
    forged(here, "good.json", "b.json", stated(2.0));
    run(here, &["gate"]).expect(2, &["looser bound than its witness proves", "[NV404]"]);
    forged(here, "good.json", "b.json", stated(0.5));
    run(here, &["gate"]).expect(4, &["baseline", "[NV515]"]);
    // A model that changed, the old one kept beside its certificate.
    std::fs::copy(here.join("m.onnx"), here.join("old.onnx")).unwrap();
    put(here, "m.onnx", worse());
    put(here, "verify.toml", rules("baseline-model = \"old.onnx\"\n"));
    run(here, &["gate"]).expect(4, &["baseline", "[NV515]"]);
    forged(here, "good.json", "b.json", stated(1.0));
    let ended = run(here, &["gate"]);
    assert!(ended.code < 2, "{}", ended.all());
    put(here, "verify.toml", rules("baseline-model = \"m.onnx\"\n"));
    run(here, &["gate"]).expect(4, &["baseline", "[NV504]"]);
}

#[test]
fn limits_that_limit_nothing_are_errors() {
    let repository = small("");
    let here = repository.path();
    certified(here, "m.onnx", "b.json");
    for limit in [
        "max-regression = 1e308",
        "max-regression = -0.5",
        "max-regression = nan",
        "max-regression = inf",
        "max-bound = 1e308",
        "max-bound = inf",
        "max-bound = -1.0",
    ] {
        put(here, "verify.toml", policy(&format!("baseline = \"b.json\"\n{}", lipschitz("m", limit))));
        run(here, &["gate"]).expect(2, &["`verify.toml`:6:", "[NV403]"]);
    }
    let tightness = "[[models.m.tightness]]\ndata = \"d.csv\"\nsamples = 1\nepsilon = 0.1\nmin-tightness = 1.5\n";
    put(here, "verify.toml", policy(tightness));
    run(here, &["gate"]).expect(2, &["no tightness is greater than 1", "[NV403]"]);
}

#[test]
fn a_claim_in_another_arithmetic_is_no_answer() {
    let repository = small(SPECIFICATION);
    let here = repository.path();
    let kept = "certificates/m.specification-s.certificate.json";
    std::fs::create_dir_all(here.join("certificates")).unwrap();
    let asked = |semantics: &str| format!("{SPECIFICATION}semantics = \"{semantics}\"\n");
    let prove = |semantics: &str| {
        let arguments = ["m.onnx", "--spec", "s.vnnlib", "--semantics", semantics, "--certificate", kept, "-q"];
        run(here, &arguments).expect(0, &[]);
    };
    let decided = |rules: &str, code: i32| {
        put(here, "verify.toml", policy(rules));
        run(here, &["gate", "--check-only"]).expect(code, &[if code == 0 { "met" } else { "no certificate at hand answers it" }]);
    };
    // Version 1.0 is about real numbers; version 2.0 says what it is about.
    let typed = "(vnnlib-version <2.0>)(declare-network f (declare-input X float32 [1,3]) (declare-output Y float32 [1,2]))\n\
        (assert (and (>= X[0,0] 0) (<= X[0,0] 1) (>= X[0,1] 0) (<= X[0,1] 1) (>= X[0,2] 0) (<= X[0,2] 1)))(assert (>= Y[0,0] 1000))";
    for (file, said, proved) in [(HOLDS, "real", "real"), (HOLDS, "real", "float32"), (typed, "float32", "float32")] {
        put(here, "s.vnnlib", file);
        prove(proved);
        decided(SPECIFICATION, if proved == said { 0 } else { 3 });
        decided(&asked(proved), 0);
        decided(&asked(if proved == "real" { "float32" } else { "real" }), 3);
    }
    // What a file about float32 says is not shown in real arithmetic.
    put(here, "verify.toml", policy(&asked("real")));
    run(here, &["gate"]).expect(2, &["[NV301]"]);
    // What is searched for is what is asked.
    put(here, "s.vnnlib", HOLDS);
    put(here, "verify.toml", policy(&asked("float32")));
    run(here, &["gate"]).expect(0, &["met"]);
    let (certificate, _) = Certificate::read(&here.join(kept)).unwrap();
    assert_eq!(certificate.claims[0].semantics, Semantics::Float32);
    // Both questions may be asked.
    put(here, "verify.toml", policy(&format!("{}{}", asked("float32"), asked("real"))));
    run(here, &["gate"]).expect(0, &["m.specification-s_2.holds"]);

    put(here, "d.csv", samples((0..4).map(|i| (f64::from(i), 0))));
    let rule = ROBUSTNESS.replace("samples = 8", "samples = 4").replace("0.01", "0.0");
    put(here, "verify.toml", policy(&rule));
    run(here, &["gate"]).expect(0, &[]);
    put(here, "verify.toml", policy(&format!("{rule}semantics = \"float32\"\n")));
    run(here, &["gate", "--check-only"]).expect(3, &["no certificate at hand"]);
    run(here, &["gate"]).expect(0, &[]);
    put(here, "verify.toml", policy(&rule));
    run(here, &["gate", "--check-only"]).expect(3, &["no certificate at hand"]);
}
