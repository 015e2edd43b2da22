//! The gate, the reports and the runner as somebody attacks them who opens a pull request and may change any file of it.
//!
//! | attack | file | exit code | message |
//! |---|---|---|---|
//! | links in the folder of certificates: temporary names, the folder, certificates, bundles, results | `store` | 2, or harmless | symbolic link \[NV407\], \[NV003\] |
//! | a baseline that the gate writes: inside the folder, by another name, by a hard link | `store` | 2 | where the gate writes \[NV404\] |
//! | models, data and baselines outside, behind links, behind `..`, exchanged while they are opened | `store` | 2 | outside, symbolic link, exchanged \[NV407\] |
//! | two entries of a policy for one file; an entry linked to another | `store` | 1, 2 | violated, symbolic link |
//! | data, labels, specifications, baselines, external data replaced, with a lock file or a pin | `evidence` | 1 | another file \[NV603\] |
//! | a file that the lock file does not name; no lock file where one is asked for | `evidence` | 1, 2 | not in the lock file, \[NV408\] |
//! | copies of one easy sample | `evidence` | as the rule | copies of others |
//! | baselines with figures that cannot be, of too little assurance, refuted by their model, or looser than their witness | `evidence` | 4, 2 | \[NV513\], \[NV404\] |
//! | limits that limit nothing | `evidence` | 2 | \[NV403\] |
//! | a claim in another arithmetic than the rule asks about | `evidence` | 3 | no certificate at hand |
//! | secrets of the runner as specification, data, policy, lock file, baseline, model | `files` | 2, 4 | nothing of them |
//! | outputs that are links | `files` | 2 | symbolic link |
//! | standard input, devices, pipes, sockets, folders in place of files | `files` | 2 | not a regular file |
//! | comparisons of different questions, and of figures that cannot be | `reports` | 1, 4 | answers another question |
//! | refused certificates that no rule uses | `reports` | 4 | an error in every format |
//! | benchmarks without rows, and verdicts that contradict what is expected | `reports` | 2, 1 | |
//! | a violated property in a report without a policy | `reports` | 1 | a failure in every format |
//! | results beside a certificate that are about nothing | `reports` | as ever | left out |
//! | outputs that are inputs, by whatever name | `files` | 2 | would be replaced |
//! | names with invisible characters, links and commands in them | `reports` | as ever | codes |
//! | the action in a checkout of hostile files | `action` | as the gate | nothing of other files |

mod action;
mod evidence;
mod files;
mod reports;
mod store;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::tiny;
use nnverify::kernel::proof::{Certificate, ClaimKind, Number};
use tempfile::TempDir;

/// What no output may hold.
const SECRET: &str = "hunter2";
const CERTIFICATE: &str = "certificates/m.lipschitz-l2.certificate.json";

/// How a run ended.
struct Ended {
    code: i32,
    out: String,
    error: String,
}

impl Ended {
    fn all(&self) -> String {
        format!("{}{}", self.out, self.error)
    }

    /// The exit code, and words that were printed.
    #[track_caller]
    fn expect(self, code: i32, words: &[&str]) -> Self {
        let all = self.all();
        assert_eq!(self.code, code, "{all}");
        words.iter().for_each(|word| assert!(all.contains(word), "{word}: {all}"));
        self
    }
}

/// Runs the program in a folder, with a secret in its environment, a pipe nobody writes to as standard input, and for a minute
/// at most.
fn run(folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verify"));
    for variable in ["VERIFY_OUTPUT_FORMAT", "VERIFY_TIMEOUT", "VERIFY_MEMORY", "VERIFY_THREADS"] {
        command.env_remove(variable);
    }
    command.env("SOURCE_DATE_EPOCH", "1750000000").env("AAA", SECRET).current_dir(folder).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let standard_input = child.stdin.take();
    let read = |stream: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let mut stream = stream;
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut stream, &mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let out = read(Box::new(child.stdout.take().unwrap()));
    let error = read(Box::new(child.stderr.take().unwrap()));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            panic!("{arguments:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    drop(standard_input);
    let ended = Ended {
        code: status.code().expect("the program was not killed"),
        out: out.join().unwrap(),
        error: error.join().unwrap(),
    };
    assert!(!ended.error.contains("panicked"), "{arguments:?}: {}", ended.error);
    assert!(!ended.all().contains(SECRET), "{arguments:?}: {}", ended.all());
    ended
}

/// A folder with files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, contents)| put(folder.path(), name, contents));
    folder
}

fn put(folder: &Path, name: &str, contents: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, contents).unwrap();
}

fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn link(folder: &Path, to: &str, name: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(to, path).unwrap();
}

/// A rule of the ℓ2 Lipschitz bound of a model.
fn lipschitz(model: &str, limit: &str) -> String {
    format!("[[models.{model}.lipschitz]]\nnorm = \"l2\"\n{limit}\n")
}

/// A repository with the small model `m.onnx` and a policy about it, these lines after its path.
fn small(rules: &str) -> TempDir {
    folder(&[("m.onnx", &tiny::mixed()), ("verify.toml", policy(rules).as_bytes())])
}

fn policy(rules: &str) -> String {
    format!("[models.m]\npath = \"m.onnx\"\n{rules}")
}

/// A model of greater constant than the small one, of the same shape.
fn worse() -> Vec<u8> {
    tiny::Tiny::new(3, 5)
        .gemm("a", "x", 3, 40)
        .node("r", "Relu", &["a"], vec![])
        .gemm("b", "r", 40, 40)
        .gemm("c", "b", 40, 40)
        .node("d", "Add", &["c", "b"], vec![])
        .node("e", "Add", &["d", "d"], vec![])
        .gemm("f", "e", 40, 2)
        .finish("f")
}

/// A certificate of the small model's bound, from the program itself.
fn certified(folder: &Path, model: &str, certificate: &str) {
    std::fs::create_dir_all(folder.join(certificate).parent().unwrap()).unwrap();
    run(folder, &[model, "--lipschitz", "l2", "--certificate", certificate, "-q"]).expect(0, &[]);
}

/// The same certificate with a change, sealed again: what somebody writes who knows the format.
fn forged(folder: &Path, from: &str, to: &str, change: impl FnOnce(&mut Certificate)) {
    let (mut certificate, bundle) = Certificate::read(&folder.join(from)).unwrap();
    assert!(bundle.is_empty());
    change(&mut certificate);
    let (certificate, bundle) = certificate.seal();
    nnverify::query::write_certificate(&certificate, &bundle, &folder.join(to)).unwrap();
}

/// States another bound.
fn bound(value: f64) -> impl FnOnce(&mut Certificate) {
    move |certificate| match &mut certificate.claims[0].kind {
        ClaimKind::Lipschitz(claim) => claim.bound = Number::upper(value),
        other => panic!("{other:?}"),
    }
}

/// Rows of three inputs and a label for the small model.
fn samples(rows: impl IntoIterator<Item = (f64, u32)>) -> String {
    let rows: Vec<String> = rows.into_iter().map(|(value, label)| format!("{value},{},0.5,{label}\n", -value)).collect();
    format!("a,b,c,label\n{}", rows.concat())
}
