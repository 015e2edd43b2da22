//! Thirty mistakes that users make: what was typed, how it ends, and what the message names: the option, file or node, and the remedy.

use std::path::Path;

use crate::common::{repository, tiny};
use assert_cmd::Command;

/// What was typed, the exit code, and what standard error (or, of a check, standard output) must say.
type Mistake = (&'static str, i32, &'static [&'static str]);

const MISTAKES: &[Mistake] = &[
    // Models.
    ("nothere.onnx --lipschitz l2", 2, &["`nothere.onnx`", "No such file", "[NV101]"]),
    ("text.onnx --lipschitz l2", 2, &["text.onnx: not an ONNX file", "text file", "[NV102]"]),
    ("cut.onnx --lipschitz l2", 2, &["cut.onnx", "truncated or damaged", "hint: compare the file's size and digest"]),
    ("d.npz --lipschitz l2", 2, &["d.npz: not an ONNX file", "`.npz`", "hint: export the network with `torch.onnx.export("]),
    ("unknown.onnx --lipschitz l2", 2, &["unknown.onnx", "Frobnicate", "`f`"]),
    // Questions and options.
    ("gat", 2, &["`gat`", "hint: did you mean `verify gate`?"]),
    ("m.onnx --lipshitz l2", 2, &["'--lipshitz'", "a similar argument exists: '--lipschitz'", "[NV001]"]),
    ("m.onnx --lipschitz l3", 2, &["'l3'", "'--lipschitz <NORM>'", "l1, l2, linf"]),
    ("m.onnx --robust --eps 0.01", 2, &["--data <FILE>"]),
    ("m.onnx --robust --data d.npz", 2, &["--eps <EPS,…|FILE>"]),
    ("m.onnx --robust --data d.npz --eps abc", 2, &["'--eps <EPS,…|FILE>'", "`8/255`"]),
    ("m.onnx --robust --data d.npz --eps 0.01 --clip 0", 2, &["`--clip` takes two numbers", "`--clip 0,1`"]),
    ("m.onnx --robust --data d.npz --eps 0.01 --clip 1,0", 2, &["`--clip 1,0`", "`--clip 0,1`"]),
    ("m.onnx --robust --data d.npz --eps 0.01 --input-std 0", 2, &["'--input-std", "must be positive"]),
    ("m.onnx --robust --data d.npz --eps 0.01 --input-mean 1,2,3", 2, &["3 means", "`--channel-axis`"]),
    ("m.onnx --lipschitz l2 --region 1,0", 2, &["'--region <BOX>'", "the lower bound is above the upper one"]),
    ("m.onnx --lipschitz l2 --region around:0.1", 2, &["`--region around:RADIUS`", "`--data FILE`"]),
    ("m.onnx --lipschitz l2 --semantics float32", 2, &["`--semantics float32` is for `--robust` and `--spec`", "hint:"]),
    ("m.onnx --lipschitz l2 --timeout soon", 2, &["'--timeout <TIME>'", "`90s`"]),
    ("m.onnx --lipschitz l2 --memory lots", 2, &["'--memory <GB>'", "`8GB`"]),
    ("m.onnx --hessian-trace --data d.npz", 2, &["`--hessian-trace` needs a loss", "`--loss cross-entropy`"]),
    // Data and specifications.
    ("m.onnx --robust --data nothere.npz --eps 0.01", 2, &["`nothere.npz`", "[NV201]"]),
    ("m.onnx --robust --data short.csv --eps 0.01", 2, &["`short.csv`", "samples of shape [3]", "the network expects [1, 64]"]),
    ("m.onnx --robust --data text.csv --eps 0.01", 2, &["`text.csv`: line 2, column 2", "not a number"]),
    ("m.onnx --robust --data empty.csv --eps 0.01", 2, &["`empty.csv`", "there are no samples"]),
    ("m.onnx --robust --data d.npz --eps 0.01 --samples 1000", 2, &["`--samples 1000`", "`d.npz` holds 200 samples"]),
    ("m.onnx --spec m.onnx", 2, &["`m.onnx`", "[NV301]"]),
    // Files that are written.
    ("m.onnx --lipschitz l2 -o m.onnx", 2, &["`-o`: `m.onnx` is what the command reads", "hint: name another file"]),
    ("m.onnx --lipschitz l2 --certificate nodir/c.json", 2, &["`nodir/c.json`", "hint: name another file for `--certificate`"]),
    ("report c.json --model m.onnx -o report.pdf", 2, &["`report.pdf`", "`--format`"]),
    // Certificates and policies.
    ("check c.json", 2, &["--model <MODEL>"]),
    ("check c.json --model other.onnx", 4, &["c.json: refused", "another model"]),
    ("check altered.json --model m.onnx", 4, &["altered.json: refused", "[NV503]"]),
    ("gate --policy nothere.toml", 2, &["`nothere.toml`", "[NV402]"]),
    ("gate --policy typo.toml", 2, &["`typo.toml`:4", "`max-buond`", "hint: did you mean `max-bound`?"]),
    ("gate --model nothere", 2, &["`--model nothere`", "hint: it names: m"]),
    ("gate --rule nothere", 2, &["`--rule nothere`", "hint: its rules: m.lipschitz-l2.max-bound"]),
    ("init m.onnx", 2, &["`verify.toml` exists", "hint: `--force` replaces it"]),
    ("explain NV9", 2, &["`NV9`", "hint: `verify explain` lists them"]),
];

fn verify(folder: &Path, line: &str) -> (i32, String) {
    let mut command = Command::cargo_bin("verify").unwrap();
    for variable in ["VERIFY_OUTPUT_FORMAT", "VERIFY_TIMEOUT", "VERIFY_MEMORY", "VERIFY_THREADS"] {
        command.env_remove(variable);
    }
    let output = command.current_dir(folder).args(line.split_whitespace()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), text)
}

#[test]
fn mistakes_are_named_with_their_remedies() {
    assert!(MISTAKES.len() >= 30);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let model = std::fs::read(repository("models/digits_relu.onnx")).unwrap();
    write("m.onnx", &model);
    write("other.onnx", &tiny::linear());
    write("cut.onnx", &model[..500]);
    write("text.onnx", b"not a model");
    write("unknown.onnx", &tiny::Tiny::new(3, 1).node("f", "Frobnicate", &["x"], vec![]).finish("f"));
    write("d.npz", &std::fs::read(repository("models/digits_test.npz")).unwrap());
    write("short.csv", b"0.1,0.2,1\n");
    write("text.csv", b"x0,label\n1,oops\n");
    write("empty.csv", b"");
    let rule = "[models.m]\npath = \"m.onnx\"\n[[models.m.lipschitz]]\nnorm = \"l2\"\nmax-bound = 20.0\n";
    write("verify.toml", rule.as_bytes());
    write("typo.toml", rule.replace("norm = \"l2\"\nmax-bound", "max-buond").as_bytes());
    assert_eq!(verify(folder.path(), "m.onnx --lipschitz l2 --engine product --certificate c.json -q").0, 0);
    let certificate = std::fs::read_to_string(folder.path().join("c.json")).unwrap();
    write("altered.json", certificate.replacen("lipschitz-l2", "lipschitz-l3", 1).as_bytes());
    let mut wrong = Vec::new();
    for (line, code, words) in MISTAKES {
        let (found, text) = verify(folder.path(), line);
        let missing: Vec<_> = words.iter().filter(|word| !text.contains(**word)).collect();
        if found != *code || !missing.is_empty() || text.contains("panicked") {
            wrong.push(format!("verify {line}\n  exit code {found}, not {code}; missing {missing:?} in:\n{text}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

#[test]
fn the_last_line_says_what_an_exit_code_means() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(repository("models/digits_relu.onnx"), folder.path().join("m.onnx")).unwrap();
    let specification = repository("specs/digit_5_within_0.2.vnnlib");
    let (code, text) = verify(folder.path(), &format!("m.onnx --spec {} --certificate s.json -q", specification.display()));
    assert_eq!(code, 1);
    assert!(text.ends_with("exit code 1: a policy is violated, or a property is refuted\n"), "{text}");
    let (code, text) = verify(folder.path(), "m.onnx -q");
    assert!(code == 0 && !text.contains("exit code"), "{text}");
    for words in ["certified upper bound", "It means:", "verify m.onnx --robust", "verify init m.onnx"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // How it was found is for those who ask.
    assert!(!text.contains("engine"), "{text}");
    assert!(verify(folder.path(), "m.onnx -v").1.contains("engine"));
    // Nothing is kept.
    assert!(!folder.path().join("m.certificate.json").exists());
}

#[test]
fn colours_and_widths_are_those_of_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(repository("models/digits_relu.onnx"), folder.path().join("m.onnx")).unwrap();
    let rule = "[models.m]\npath = \"m.onnx\"\n[[models.m.lipschitz]]\nnorm = \"l2\"\nmax-bound = 20.0\n";
    std::fs::write(folder.path().join("verify.toml"), rule).unwrap();
    assert_eq!(verify(folder.path(), "gate -q").0, 0);
    let plain = verify(folder.path(), "gate -q").1;
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let coloured = verify(folder.path(), "gate -q --color always").1;
    assert!(coloured.contains("\u{1b}[32mmet\u{1b}[0m"), "{coloured}");
    assert!(!verify(folder.path(), "gate -q --color never").1.contains('\u{1b}'));
    // What programs read has none.
    assert!(!verify(folder.path(), "gate -q --color always --output-format json").1.contains('\u{1b}'));
    let mut command = Command::cargo_bin("verify").unwrap();
    let output = command.env("COLUMNS", "60").current_dir(folder.path()).args(["gate", "-q"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let table = text.lines().filter(|line| line.starts_with(['│', '╭', '├', '╰']));
    assert!(table.clone().count() > 3 && table.into_iter().all(|line| line.chars().count() <= 60), "{text}");
}

#[test]
fn a_first_policy_holds_what_the_model_bears_today() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(repository("models/digits_relu.onnx"), folder.path().join("m.onnx")).unwrap();
    std::fs::copy(repository("models/digits_test.npz"), folder.path().join("d.npz")).unwrap();
    let (code, text) = verify(folder.path(), "init m.onnx --data d.npz --samples 5");
    assert_eq!(code, 0, "{text}");
    let policy = std::fs::read_to_string(folder.path().join("verify.toml")).unwrap();
    assert!(policy.contains("\n[[models.m.robustness]]\ndata = \"d.npz\"\nsamples = 5\n"), "{policy}");
    let (code, text) = verify(folder.path(), "gate --rule robustness -v");
    assert!(code == 0 && text.contains("only 1 of the 2 rules") && !text.contains("lipschitz-l2"), "{text}");
    assert!(text.contains("m.robustness-linf-0.01: "), "how long it took: {text}");
    assert_eq!(verify(folder.path(), "gate --model m -q").0, 0);
}
