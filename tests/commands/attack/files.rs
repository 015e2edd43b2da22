//! Files and secrets of the runner: what is read in place of a policy's files, and what is written in place of outputs.

use super::evidence::HOLDS;
use super::{SECRET, certified, folder, link, lipschitz, policy, put, run, samples, small, text, tiny};

/// A secret as the files of a runner hold it.
fn secrets() -> Vec<(&'static str, String)> {
    vec![
        (".env", format!("{SECRET}={SECRET}\n")),
        (".netrc", format!("machine example login me password {SECRET}\n")),
        ("config", format!("[{SECRET}]\n\t{SECRET} = AUTHORIZATION: basic {SECRET}\n")),
        ("key.pem", format!("-----BEGIN {SECRET}-----\n{SECRET}\n")),
        ("expression", format!("({SECRET} ({SECRET}))")),
        ("assertion", format!("(assert (<= {SECRET} 1))")),
        ("table.csv", format!("1,2,3\n4,{SECRET},6\n")),
        ("heads.csv", format!("{SECRET},b\n1,{SECRET}\n")),
        ("secret.json", format!("{{\"{SECRET}\": \"{SECRET}\"}}")),
        ("schema.json", format!("{{\"schema\": \"{SECRET}\", \"tool\": {{\"name\": \"{SECRET}\"}}}}")),
        ("tool.json", format!("{{\"schema\": \"nnverify-certificate/1.1\", \"tool\": \"{SECRET}\"}}")),
        ("digest.json", format!("{{\"digest\": \"{SECRET}\", \"sections\": []}}")),
        ("string.json", format!("\"{SECRET}\"")),
        ("secret.toml", format!("models = \"{SECRET}\"\n")),
        ("nested.toml", format!("[limits]\ntimeout = \"{SECRET}\"\n[models.a]\npath = 1\n")),
    ]
}

#[test]
fn a_link_to_the_environment_tells_nothing() {
    let repository = small("");
    let here = repository.path();
    certified(here, "m.onnx", "c.json");
    link(here, "/proc/self/environ", "s.vnnlib");
    let specification = "[[models.m.specification]]\nfile = \"s.vnnlib\"\n";
    put(here, "verify.toml", policy(specification));
    for allowed in [&[][..], &["--allow-outside"]] {
        let reports =
            ["gate", "--report", "r.md", "--report", "r.sarif", "--report", "r.xml", "--report", "r.html", "--report", "r.json"];
        let words = if allowed.is_empty() { "symbolic link" } else { "s.vnnlib" };
        // `run` itself looks for the secret in what is printed.
        run(here, &[&reports[..], allowed].concat()).expect(2, &[words]);
        for report in ["r.md", "r.sarif", "r.xml", "r.html", "r.json"] {
            assert!(!text(here, report).contains(SECRET), "{report}");
        }
        let report = ["report", "c.json", "--model", "m.onnx", "--policy", "verify.toml", "--format", "markdown"];
        run(here, &[&report[..], allowed].concat()).expect(2, &[words]);
    }
}

#[test]
fn what_is_no_file_of_its_kind_is_not_quoted() {
    let repository = small(&lipschitz("m", "max-bound = 1000.0"));
    let here = repository.path();
    certified(here, "m.onnx", "c.json");
    certified(here, "m.onnx", "certificates/m.lipschitz-l2.certificate.json");
    let loose = lipschitz("m", "max-bound = 1000.0");
    for (name, contents) in secrets() {
        put(here, name, &contents);
        let data = |rule: &str, key: &str| {
            let labels = if key == "labels" { "d.csv" } else { name };
            let labels = if key == "data" {
                String::new()
            } else {
                format!("labels = \"{}\"\n", if key == "labels" { name } else { labels })
            };
            let data = if key == "data" { name } else { "d.csv" };
            format!("[[models.m.{rule}]]\ndata = \"{data}\"\n{labels}samples = 2\n")
        };
        put(here, "d.csv", samples([(0.0, 0), (1.0, 1)]));
        let around = "norm = \"linf\"\nepsilon = 0.1\nmin-certified-accuracy = 0.5\n";
        let policies = [
            format!("[[models.m.specification]]\nfile = \"{name}\"\n"),
            data("robustness", "data") + around,
            data("robustness", "labels") + around,
            data("hessian-trace", "data") + "loss = \"mse\"\nmax-trace = 1.0\n",
            format!("baseline = \"{name}\"\n{}", lipschitz("m", "max-regression = 0.5")),
            format!("baseline = \"c.json\"\nbaseline-model = \"{name}\"\n{}", lipschitz("m", "max-regression = 0.5")),
        ];
        for rules in policies {
            put(here, "verify.toml", policy(&rules));
            let ended = run(here, &["gate", "--output-format", "markdown"]);
            assert!([2, 4].contains(&ended.code), "{name}: {rules}: {}", ended.all());
        }
        put(here, "verify.toml", format!("[models.m]\npath = \"{name}\"\n{loose}"));
        run(here, &["gate", "--output-format", "json"]).expect(2, &[]);
        // In the place of a certificate, of the lock file, and as a policy.
        put(here, "verify.toml", format!("certificates = \"other\"\n{}", policy(&loose)));
        put(here, "other/m.lipschitz-l2.certificate.json", &contents);
        run(here, &["gate", "--output-format", "sarif"]).expect(4, &[]);
        put(here, "verify.lock", &contents);
        run(here, &["gate"]).expect(2, &["[NV408]"]);
        std::fs::remove_file(here.join("verify.lock")).unwrap();
        run(here, &["gate", "--policy", name]).expect(2, &["[NV40"]);
        // On the command line.
        for arguments in [
            vec!["check", name, "--model", "m.onnx"],
            vec!["diff", name, "c.json"],
            vec!["report", "c.json", "--model", "m.onnx", "--results", name],
            vec!["report", "c.json", "--model", "m.onnx", "--baseline", name],
            vec![name, "--lipschitz", "l2"],
            vec!["inspect", name],
            vec!["m.onnx", "--spec", name],
            vec!["m.onnx", "--robust", "--data", name, "--eps", "0.1"],
            vec!["m.onnx", "--robust", "--data", "d.csv", "--labels", name, "--eps", "0.1"],
            vec!["m.onnx", "--robust", "--data", "d.csv", "--eps", "0.1", "--resume", name],
        ] {
            let ended = run(here, &arguments);
            assert!([2, 4].contains(&ended.code), "{arguments:?}: {}", ended.all());
        }
        assert_eq!(text(here, name), contents, "it is as it was");
    }
}

#[test]
fn outputs_that_are_links_are_not_followed() {
    let repository = small(&lipschitz("m", "max-bound = 1000.0"));
    let here = repository.path();
    certified(here, "m.onnx", "c.json");
    put(here, "d.csv", samples([(0.0, 0), (1.0, 1)]));
    put(
        here,
        "s.vnnlib",
        "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const X_2 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)\
        (assert (>= X_0 0))(assert (<= X_0 1))(assert (>= X_1 0))(assert (<= X_1 1))(assert (>= X_2 0))(assert (<= X_2 1))(assert (>= Y_0 1000))",
    );
    put(here, "instances.csv", "m.onnx,s.vnnlib,20\n");
    put(here, "ci/1.txt", "as it was");
    put(here, "victim", "as it was");
    for name in ["out.xml", "out.json", "out.toml", "table.csv", "out.onnx", "results/1.txt"] {
        link(here, if name.contains('/') { "../victim" } else { "victim" }, name);
    }
    link(here, "ci", "linked");
    link(here, "nowhere", "dangling.json");
    let robust = "m.onnx --robust --data d.csv --eps 1e-6 --certificate r.json";
    for (arguments, code) in [
        ("gate --report out.xml", 2),
        ("gate -o out.json --output-format json", 2),
        ("gate -o dangling.json", 2),
        ("gate --report linked/gate.xml", 2),
        ("report c.json --model m.onnx -o out.json", 2),
        ("report c.json --model m.onnx -o linked/1.txt", 2),
        ("diff c.json c.json -o out.json", 2),
        ("check c.json --model m.onnx -o out.json", 2),
        ("inspect m.onnx -o out.json", 2),
        ("init m.onnx -o out.toml --force --timeout 1", 2),
        ("init m.onnx -o dangling.json --force --timeout 1", 2),
        ("batch instances.csv --results linked", 2),
        ("batch instances.csv --results linked/below", 2),
        ("batch instances.csv --results results", 2),
        ("batch instances.csv -o out.json", 2),
        ("m.onnx --lipschitz l2 --certificate out.json", 2),
        ("m.onnx --lipschitz l2 --certificate linked/c.json", 2),
        ("m.onnx --spec s.vnnlib --certificate r.json -o out.json", 2),
        (&format!("{robust} --csv table.csv"), 2),
        (&format!("{robust} --resume dangling.json"), 2),
        ("m.onnx --inverse-hessian --data d.csv --loss cross-entropy --damping 1e-2 --pruning --pruned-model out.onnx", 2),
        ("gate --lock --policy verify.toml", 0),
    ] {
        run(here, &arguments.split(' ').collect::<Vec<_>>()).expect(code, &[if code == 2 { "symbolic link" } else { "written" }]);
        assert_eq!(text(here, "victim"), "as it was", "{arguments}");
        assert_eq!(text(here, "ci/1.txt"), "as it was", "{arguments}");
        assert_eq!(std::fs::read_dir(here.join("ci")).unwrap().count(), 1, "{arguments}");
        assert!(!here.join("nowhere").exists(), "{arguments}");
    }
    // Another name of a file is replaced, and the file stays; a folder or a pipe is no place for a file.
    std::fs::hard_link(here.join("victim"), here.join("hard.json")).unwrap();
    run(here, &["diff", "c.json", "c.json", "-o", "hard.json", "--output-format", "json"]).expect(0, &[]);
    assert!(text(here, "hard.json").starts_with('{') && text(here, "victim") == "as it was");
    run(here, &["diff", "c.json", "c.json", "-o", "ci"]).expect(2, &["it is a directory"]);
    // What a shell gives for a file is none, and is written to as ever.
    run(here, &["diff", "c.json", "c.json", "-o", "/dev/null"]).expect(0, &[]);
    let leftovers = std::fs::read_dir(here).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(leftovers.into_iter().all(|name| !name.contains(".partial")));
}

#[test]
fn outputs_never_replace_what_is_read() {
    let (model, data, rules) =
        (tiny::mixed(), samples((0..4).map(|i| (f64::from(i), 0))), policy(&lipschitz("m", "max-bound = 99.0")));
    let files: [(&str, &[u8]); 4] =
        [("m.onnx", &model), ("d.csv", data.as_bytes()), ("verify.toml", rules.as_bytes()), ("s.vnnlib", HOLDS.as_bytes())];
    let repository = folder(&files);
    let here = repository.path();
    certified(here, "m.onnx", "c.json");
    let certificate = text(here, "c.json");
    std::fs::hard_link(here.join("m.onnx"), here.join("same.onnx")).unwrap();
    let robust = ["m.onnx", "--robust", "--data", "d.csv", "--eps", "1e-6"];
    let inverse = ["m.onnx", "--inverse-hessian", "--damping", "0.1", "--data", "d.csv", "--loss", "cross-entropy"];
    let attacks: Vec<(Vec<&str>, &str)> = vec![
        (vec!["m.onnx", "--lipschitz", "l2", "-o", "m.onnx"], "`-o`"),
        (vec!["m.onnx", "--lipschitz", "l2", "-o", "./same.onnx"], "`-o`"),
        (vec!["m.onnx", "--lipschitz", "l2", "--certificate", "m.onnx"], "`--certificate`"),
        (vec!["m.onnx", "--lipschitz", "l2", "-o", "n.json", "--certificate", "n.json"], "what `--certificate` writes"),
        (vec!["m.onnx", "--spec", "s.vnnlib", "-o", "s.vnnlib"], "`-o`"),
        ([&robust[..], &["--certificate", "d.csv"]].concat(), "`--certificate`"),
        ([&robust[..], &["--csv", "d.csv"]].concat(), "`--csv`"),
        ([&robust[..], &["--csv", "m.onnx"]].concat(), "`--csv`"),
        ([&robust[..], &["--resume", "d.csv"]].concat(), "`--resume`"),
        ([&inverse[..], &["--pruning", "--pruned-model", "m.onnx"]].concat(), "`--pruned-model`"),
        ([&inverse[..], &["-o", "d.csv"]].concat(), "`-o`"),
        (vec!["check", "c.json", "--model", "m.onnx", "-o", "c.json"], "`-o`"),
        (vec!["report", "c.json", "--model", "m.onnx", "-o", "m.onnx"], "`-o`"),
        (vec!["diff", "c.json", "c.json", "-o", "c.json"], "`-o`"),
        (vec!["inspect", "m.onnx", "-o", "m.onnx"], "`-o`"),
        (vec!["init", "m.onnx", "-o", "m.onnx", "--force"], "`-o`"),
        (vec!["gate", "-o", "verify.toml"], "`-o`"),
        (vec!["gate", "--report", "./m.onnx.md", "-o", "m.onnx"], "`-o`"),
    ];
    for (arguments, option) in attacks {
        run(here, &arguments).expect(2, &[option, "would be replaced", "name another file"]);
        for (name, contents) in files.iter().chain(&[("c.json", certificate.as_bytes())]) {
            assert!(std::fs::read(here.join(name)).unwrap() == *contents, "{arguments:?}: {name}");
        }
    }
    // What is no file of results may be named twice.
    run(here, &["m.onnx", "--lipschitz", "l2", "-o", "/dev/null", "--certificate", "/dev/null"]).expect(0, &[]);
}

#[test]
fn what_has_no_end_is_refused_before_it_is_read() {
    let repository = small(&lipschitz("m", "max-bound = 1000.0"));
    let here = repository.path();
    certified(here, "m.onnx", "c.json");
    put(here, "d.csv", samples([(0.0, 0), (1.0, 1)]));
    let pipe = here.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let _held = std::os::unix::net::UnixListener::bind(here.join("socket")).unwrap();
    link(here, "/dev/zero", "zero");
    for (name, kind) in [
        ("/dev/stdin", "a pipe"),
        ("/dev/zero", "a device"),
        ("zero", "a device"),
        ("pipe", "a pipe"),
        ("socket", "a socket"),
        (".", "a directory"),
    ] {
        let kind = format!("it is {kind}, not a regular file");
        for arguments in [
            vec![name, "--lipschitz", "l2"],
            vec!["inspect", name],
            vec!["m.onnx", "--spec", name],
            vec!["m.onnx", "--robust", "--data", name, "--eps", "0.1"],
            vec!["m.onnx", "--robust", "--data", "d.csv", "--labels", name, "--eps", "0.1"],
            vec!["m.onnx", "--robust", "--data", "d.csv", "--eps", "0.1", "--resume", name],
            vec!["check", name, "--model", "m.onnx"],
            vec!["check", "c.json", "--model", name],
            vec!["check", "c.json", "--model", "m.onnx", "--file", name],
            vec!["report", name, "--model", "m.onnx"],
            vec!["report", "c.json", "--model", "m.onnx", "--results", name],
            vec!["report", "c.json", "--model", "m.onnx", "--baseline", name],
            vec!["diff", name, "c.json"],
            vec!["diff", "c.json", name],
            vec!["batch", name],
        ] {
            run(here, &arguments).expect(2, &[&kind]);
        }
    }
    // The same in a policy.
    for (name, words) in [
        ("pipe", "is a pipe, not a regular file"),
        ("socket", "is a socket"),
        ("zero", "symbolic link"),
        ("/dev/zero", "outside"),
        ("/dev/stdin", "outside"),
        (".", "is a directory"),
    ] {
        for rules in [
            format!("[[models.m.specification]]\nfile = \"{name}\"\n"),
            format!(
                "[[models.m.robustness]]\ndata = \"{name}\"\nsamples = 2\nnorm = \"linf\"\nepsilon = 0.1\nmin-certified-accuracy = 0.5\n"
            ),
            format!("baseline = \"{name}\"\n{}", lipschitz("m", "max-regression = 0.5")),
        ] {
            put(here, "verify.toml", policy(&rules));
            run(here, &["gate"]).expect(2, &[words]);
            let ended = run(here, &["gate", "--allow-outside"]);
            assert!(ended.code == 2, "{name}: {}", ended.all());
        }
        put(here, "verify.toml", format!("[models.m]\npath = \"{name}\"\n{}", lipschitz("m", "max-bound = 1.0")));
        run(here, &["gate"]).expect(2, &[words]);
        run(here, &["gate", "--lock"]).expect(2, &[words]);
    }
    for name in ["pipe", "socket", "/dev/zero"] {
        run(here, &["gate", "--policy", name]).expect(2, &["not a regular file", "[NV402]"]);
    }
    // In the places where the gate looks by itself.
    put(here, "verify.toml", policy(&lipschitz("m", "max-bound = 1000.0")));
    std::fs::create_dir_all(here.join("certificates")).unwrap();
    for name in ["certificates/m.lipschitz-l2.certificate.json", "verify.lock"] {
        let _ = std::fs::remove_file(here.join(name));
        assert!(std::process::Command::new("mkfifo").arg(here.join(name)).status().unwrap().success());
        run(here, &["gate"]).expect(2, &["is a pipe, not a regular file"]);
        std::fs::remove_file(here.join(name)).unwrap();
    }
    run(here, &["gate"]).expect(0, &["met"]);
}

#[test]
fn a_file_beyond_its_limit_is_refused_unread() {
    let repository = small(&lipschitz("m", "max-bound = 1000.0"));
    let here = repository.path();
    // Holes take no room on disk, and would take as much memory as they have bytes.
    for name in ["huge.toml", "huge.json", "huge.csv"] {
        std::fs::File::create(here.join(name)).unwrap().set_len(1 << 42).unwrap();
    }
    let start = std::time::Instant::now();
    for arguments in [
        vec!["gate", "--policy", "huge.toml"],
        vec!["check", "huge.json", "--model", "m.onnx"],
        vec!["m.onnx", "--robust", "--data", "huge.csv", "--eps", "0.1"],
        vec!["m.onnx", "--spec", "huge.csv"],
        vec!["batch", "huge.csv"],
        vec!["huge.csv", "--lipschitz", "l2"],
    ] {
        let ended = run(here, &arguments);
        assert!([2, 4].contains(&ended.code) && ended.all().contains("limit of"), "{arguments:?}: {}", ended.all());
    }
    assert!(start.elapsed().as_secs() < 60);
}
