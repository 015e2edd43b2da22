//! Links and names: files that the gate writes, files that it reads, and entries of a policy that stand in for others.

use std::path::Path;

use super::{CERTIFICATE, bound, certified, folder, forged, link, lipschitz, policy, put, run, small, text, tiny, worse};
use nnverify::files::{Tree, TreeError};

/// Two models, the second worse than its baseline.
fn regressed() -> tempfile::TempDir {
    let repository = folder(&[("a.onnx", &tiny::mixed()), ("z.onnx", &tiny::mixed())]);
    certified(repository.path(), "z.onnx", "baseline/z.json");
    put(repository.path(), "z.onnx", worse());
    let rules = format!(
        "[models.a]\npath = \"a.onnx\"\n{}[models.z]\npath = \"z.onnx\"\nbaseline = \"baseline/z.json\"\n{}",
        lipschitz("a", "max-bound = 1000.0"),
        lipschitz("z", "max-regression = 0.05"),
    );
    put(repository.path(), "verify.toml", rules);
    repository
}

fn baseline_folder(repository: &Path) {
    std::fs::create_dir_all(repository.join("baseline")).unwrap();
}

#[test]
fn a_link_in_the_place_of_a_temporary_file_overwrites_no_baseline() {
    let repository = regressed();
    let before = text(repository.path(), "baseline/z.json");
    for name in ["a.lipschitz-l2.certificate.json.partial", "a.lipschitz-l2.certificate.json.bundle.partial"] {
        link(repository.path(), "../baseline/z.json", &format!("certificates/{name}"));
    }
    run(repository.path(), &["gate"]).expect(1, &["z.lipschitz-l2.max-regression", "violated"]);
    run(repository.path(), &["gate"]).expect(1, &["violated"]);
    assert_eq!(text(repository.path(), "baseline/z.json"), before);
}

#[test]
fn the_folder_of_certificates_is_no_link() {
    let repository = regressed();
    let before = text(repository.path(), "baseline/z.json");
    link(repository.path(), "baseline", "certificates");
    for _ in 0..2 {
        run(repository.path(), &["gate"]).expect(2, &["`certificates`", "symbolic link", "[NV407]"]);
    }
    // Nor behind one, nor behind one and up again.
    std::fs::remove_file(repository.path().join("certificates")).unwrap();
    link(repository.path(), "baseline", "l");
    let rules = text(repository.path(), "verify.toml");
    for store in ["l", "l/deeper", "l/../certificates", "../elsewhere", "/tmp/elsewhere"] {
        put(repository.path(), "verify.toml", format!("certificates = \"{store}\"\n{rules}"));
        run(repository.path(), &["gate"]).expect(2, &["[NV407]", "--allow-outside"]);
    }
    assert_eq!(text(repository.path(), "baseline/z.json"), before);
    assert_eq!(std::fs::read_dir(repository.path().join("baseline")).unwrap().count(), 1);
    // A folder that is a file.
    put(repository.path(), "verify.toml", format!("certificates = \"z.onnx\"\n{rules}"));
    run(repository.path(), &["gate"]).expect(2, &["not a folder", "[NV407]"]);
}

#[test]
fn certificates_and_results_are_not_written_through_links() {
    let repository = regressed();
    let before = text(repository.path(), "baseline/z.json");
    for name in ["certificate.json", "certificate.json.bundle", "results.json"] {
        let path = format!("certificates/a.lipschitz-l2.{name}");
        link(repository.path(), "../baseline/z.json", &path);
        let ended = run(repository.path(), &["gate"]);
        // A certificate that is a link is not read; a bundle or results that nobody asks for are left alone.
        assert!(ended.code == if name == "certificate.json" { 2 } else { 1 }, "{name}: {}", ended.all());
        let ended = run(repository.path(), &["gate", "--fresh"]);
        assert!(ended.code == if name == "certificate.json" { 2 } else { 1 }, "{name}: {}", ended.all());
        assert_eq!(text(repository.path(), "baseline/z.json"), before, "{name}");
        let _ = std::fs::remove_file(repository.path().join(path));
    }
    // Another name of the baseline: the file is replaced, not changed.
    std::fs::hard_link(
        repository.path().join("baseline/z.json"),
        repository.path().join("certificates/a.lipschitz-l2.results.json"),
    )
    .unwrap();
    std::fs::remove_file(repository.path().join("certificates/a.lipschitz-l2.results.json")).unwrap();
    run(repository.path(), &["gate", "--fresh"]).expect(1, &["violated"]);
    assert_eq!(text(repository.path(), "baseline/z.json"), before);
}

#[test]
fn a_baseline_is_nothing_that_the_gate_writes() {
    let repository = small("");
    let rules = |baseline: &str| policy(&format!("baseline = \"{baseline}\"\n{}", lipschitz("m", "max-regression = 0.05")));
    certified(repository.path(), "m.onnx", CERTIFICATE);
    baseline_folder(repository.path());
    put(repository.path(), "m.onnx", worse());
    for baseline in [CERTIFICATE, &format!("./baseline/../{CERTIFICATE}")] {
        put(repository.path(), "verify.toml", rules(baseline));
        run(repository.path(), &["gate"]).expect(2, &["where the gate writes", "[NV404]"]);
    }
    // By another name of the same file.
    std::fs::hard_link(repository.path().join(CERTIFICATE), repository.path().join("baseline/m.json")).unwrap();
    put(repository.path(), "verify.toml", rules("baseline/m.json"));
    run(repository.path(), &["gate", "--check-only"]).expect(2, &["where the gate writes", "[NV404]"]);
    // Whether a rule measures against it or not.
    put(
        repository.path(),
        "verify.toml",
        policy(&format!("baseline = \"baseline/m.json\"\n{}", lipschitz("m", "max-bound = 1e9"))),
    );
    run(repository.path(), &["gate", "--check-only"]).expect(2, &["m.baseline", "where the gate writes"]);
    // Where certificates lie beside the policy, a folder below is another.
    put(repository.path(), "verify.toml", format!("certificates = \".\"\n{}", rules("m.lipschitz-l2.certificate.json")));
    certified(repository.path(), "m.onnx", "m.lipschitz-l2.certificate.json");
    run(repository.path(), &["gate"]).expect(2, &["where the gate writes"]);
    put(repository.path(), "verify.toml", format!("certificates = \".\"\n{}", rules("other/m.json")));
    certified(repository.path(), "m.onnx", "other/m.json");
    run(repository.path(), &["gate"]).expect(0, &["met"]);
    // A copy is a baseline.
    std::fs::remove_file(repository.path().join("baseline/m.json")).unwrap();
    put(repository.path(), "m.onnx", tiny::mixed());
    certified(repository.path(), "m.onnx", "baseline/m.json");
    run(repository.path(), &["gate"]).expect(0, &["met"]);
    // The folder by a name that differs in case, where the file system does not tell them apart.
    put(repository.path(), "verify.toml", rules("CERTIFICATES/m.lipschitz-l2.certificate.json"));
    let ended = run(repository.path(), &["gate"]);
    assert!(ended.code == 2 && ended.all().contains("[NV404]"), "{}", ended.all());
}

#[test]
fn all_baselines_are_read_before_anything_is_written() {
    // The first model's certificate would take the place of the second's baseline, if that were read later.
    let repository = regressed();
    let rules = text(repository.path(), "verify.toml").replace("baseline/z.json", "certificates/a.lipschitz-l2.certificate.json");
    put(repository.path(), "verify.toml", rules);
    run(repository.path(), &["gate"]).expect(2, &["is missing", "[NV404]"]);
    run(repository.path(), &["gate"]).expect(2, &["where the gate writes", "[NV404]"]);
}

#[test]
fn files_outside_the_folder_are_used_only_where_that_is_allowed() {
    let outer = folder(&[("m.onnx", &tiny::mixed()), ("in/m.onnx", &tiny::mixed())]);
    let inner = outer.path().join("in");
    link(&inner, "../m.onnx", "linked.onnx");
    link(&inner, "..", "up");
    link(&inner, ".", "here");
    let absolute = outer.path().join("m.onnx").display().to_string();
    let with = |path: &str| format!("[models.m]\npath = \"{path}\"\n{}", lipschitz("m", "max-bound = 1000.0"));
    for path in ["../m.onnx", "linked.onnx", "up/m.onnx", "here/m.onnx", "here/../in/m.onnx", &absolute] {
        put(&inner, "verify.toml", with(path));
        run(&inner, &["gate"]).expect(2, &["[NV407]", "--allow-outside"]);
        run(&inner, &["gate", "--allow-outside"]).expect(0, &["links were allowed"]);
        let report = ["report", CERTIFICATE, "--model", path, "--policy", "verify.toml"];
        run(&inner, &report).expect(2, &["[NV407]"]);
        run(&inner, &[&report[..], &["--allow-outside"]].concat()).expect(0, &["links were allowed"]);
    }
    // What was right stays right: relative paths, the way down and up again, the policy named from elsewhere.
    for path in ["m.onnx", "./m.onnx", "certificates/../m.onnx", "certificates/./.././m.onnx"] {
        put(&inner, "verify.toml", with(path));
        run(&inner, &["gate"]).expect(0, &["met"]);
        run(outer.path(), &["gate", "--policy", "in/verify.toml"]).expect(0, &["met"]);
        run(&inner.join("certificates"), &["gate"]).expect(0, &["met"]);
    }
    // A backslash is a character of a name here, and a separator where it is one.
    put(&inner, "a\\b.onnx", tiny::mixed());
    put(&inner, "verify.toml", format!("[models.m]\npath = 'a\\b.onnx'\n{}", lipschitz("m", "max-bound = 1000.0")));
    run(&inner, &["gate"]).expect(0, &["met"]);
    // A policy that is a link is somebody else's.
    std::fs::rename(inner.join("verify.toml"), outer.path().join("other.toml")).unwrap();
    link(&inner, "../other.toml", "verify.toml");
    run(&inner, &["gate"]).expect(2, &["symbolic link", "[NV402]"]);
    run(&inner, &["gate", "--policy", "verify.toml"]).expect(2, &["symbolic link", "[NV402]"]);
    // Nor does it lie behind one.
    put(outer.path(), "in/lax/verify.toml", with("../m.onnx"));
    link(&inner, "lax", "ci");
    run(&inner, &["gate", "--policy", "ci/verify.toml"]).expect(2, &["`ci` is a symbolic link", "[NV402]"]);
}

#[test]
fn a_checkout_that_cannot_be_written_is_checked() {
    let repository = small(&lipschitz("m", "max-bound = 1000.0"));
    run(repository.path(), &["gate"]).expect(0, &[]);
    let names = |folder: &str| {
        let mut names: Vec<_> =
            std::fs::read_dir(repository.path().join(folder)).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = (names("."), names("certificates"));
    let writable = |yes: bool| {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(if yes { 0o755 } else { 0o555 });
        ["certificates", "."]
            .iter()
            .for_each(|path| std::fs::set_permissions(repository.path().join(path), mode.clone()).unwrap());
    };
    writable(false);
    let (first, second) = (run(repository.path(), &["gate"]), run(repository.path(), &["gate", "--check-only"]));
    writable(true);
    first.expect(0, &["met"]);
    second.expect(0, &["met"]);
    assert_eq!((names("."), names("certificates")), before, "nothing was written");
}

#[test]
fn a_file_that_is_exchanged_while_it_is_opened_is_not_read() {
    let outer = folder(&[("secret", b"secret"), ("in/f", b"good")]);
    let inner = outer.path().join("in");
    let tree = Tree::new(&inner, false);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let relaxed = std::sync::atomic::Ordering::Relaxed;
    let (mut good, mut refused, mut wrong) = (0, 0, None);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(relaxed) {
                put(&inner, "new", "good");
                std::fs::rename(inner.join("new"), inner.join("f")).unwrap();
                // Long enough to be read now and then.
                std::thread::sleep(std::time::Duration::from_micros(50));
                link(&inner, "../secret", "other");
                std::fs::rename(inner.join("other"), inner.join("f")).unwrap();
            }
        });
        let start = std::time::Instant::now();
        while wrong.is_none() && (good < 500 || refused < 500) && start.elapsed().as_secs() < 60 {
            match tree.read(Path::new("f"), 100) {
                Ok(bytes) if bytes == b"good" => good += 1,
                Err(TreeError::Link { .. } | TreeError::Exchanged { .. } | TreeError::Io { .. }) => refused += 1,
                other => wrong = Some(other),
            }
        }
        stop.store(true, relaxed);
    });
    assert!(wrong.is_none(), "{wrong:?}");
    assert!(good > 0 && refused > 0, "{good} read, {refused} refused");
}

#[test]
fn every_entry_of_a_policy_for_a_file_applies() {
    let repository = folder(&[("a.onnx", &tiny::mixed()), ("z.onnx", &worse())]);
    let rules = |z: &str| {
        format!(
            "[models.a]\npath = \"a.onnx\"\n{}[models.z]\npath = \"{z}\"\n{}",
            lipschitz("a", "max-bound = 1000.0"),
            lipschitz("z", "max-bound = 0.001"),
        )
    };
    certified(repository.path(), "a.onnx", "c.json");
    let report = |model: &str| run(repository.path(), &["report", "c.json", "--model", model, "--policy", "verify.toml"]);
    for path in ["a.onnx", "./a.onnx", "certificates/../a.onnx"] {
        std::fs::create_dir_all(repository.path().join("certificates")).unwrap();
        put(repository.path(), "verify.toml", rules(path));
        report("a.onnx").expect(1, &["a.lipschitz-l2.max-bound", "z.lipschitz-l2.max-bound", "violated"]);
    }
    // The strict entry linked to the file of the lax one.
    put(repository.path(), "verify.toml", rules("z.onnx"));
    report("a.onnx").expect(0, &["a.lipschitz-l2.max-bound"]);
    std::fs::remove_file(repository.path().join("z.onnx")).unwrap();
    link(repository.path(), "a.onnx", "z.onnx");
    report("z.onnx").expect(2, &["symbolic link", "[NV407]"]);
    run(repository.path(), &["gate"]).expect(2, &["symbolic link"]);
    // Two names of one file: both entries are about it.
    std::fs::remove_file(repository.path().join("z.onnx")).unwrap();
    std::fs::hard_link(repository.path().join("a.onnx"), repository.path().join("z.onnx")).unwrap();
    report("z.onnx").expect(1, &["a.lipschitz-l2.max-bound", "z.lipschitz-l2.max-bound"]);
    // A certificate that claims more than the file gives is refused, whichever entry it was for.
    forged(repository.path(), "c.json", "c.json", bound(1e-4));
    report("z.onnx").expect(4, &["refused"]);
}
