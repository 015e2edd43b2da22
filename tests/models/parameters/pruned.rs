//! What the program says of a pruned file is true of that file, also where the lowering reads it otherwise than the first.

use assert_cmd::Command;
use nnverify::kernel::read::data::write_npy;
use prost::Message;

use super::{program, text};

/// Gates with a factor of which the smallest element is removed: a factor that may be zero is not rewritten, and the network has
/// other nodes.
const GRAPHS: [(&str, &str); 3] = [
    ("erf gate", "k[1,2] = 0.001 1.5; one = 1; q = Mul(x, k); r = Erf(q); s = Add(r, one); g = Mul(x, s)"),
    (
        "erf gate, factor outside",
        "k[1,2] = 0.001 1.5; one = 1; q = Mul(x, k); r = Erf(q); s = Add(r, one); t = Mul(s, k); g = Mul(x, t)",
    ),
    ("silu", "k[1,2] = 0.001 1.5; q = Mul(x, k); r = Sigmoid(q); g = Mul(x, r)"),
];

#[test]
fn measured_losses_of_pruned_files_are_theirs() {
    const INPUTS: [[f64; 2]; 3] = [[0.5, -0.3], [1.2, 0.4], [-0.7, 0.9]];
    const TARGETS: [f64; 3] = [0.25, -0.5, 1.0];
    for (name, graph) in GRAPHS {
        let folder = tempfile::tempdir().unwrap();
        let path = |file: &str| folder.path().join(file);
        let array = |file: &str, shape: &[usize], values: &[f64]| {
            write_npy(std::fs::File::create(path(file)).unwrap(), shape, values).unwrap();
        };
        let model = text::read(&format!("{graph}; w[2,1] = 1.2 -0.7; b[1] = 0.5; z = MatMul(g, w); y = Add(z, b)"), 18, 2);
        std::fs::write(path("m.onnx"), model.encode_to_vec()).unwrap();
        array("x.npy", &[3, 2], &INPUTS.concat());
        array("y.npy", &[3, 1], &TARGETS);
        let mut command = Command::cargo_bin("verify").unwrap();
        command.current_dir(folder.path()).args(["m.onnx", "--inverse-hessian", "--damping", "0.01", "--loss", "mse"]);
        command.args(["--data", "x.npy,y.npy", "--pruning", "0.2", "--pruned-model", "p.onnx", "--output-format", "json"]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let found = String::from_utf8(output.stdout).unwrap();
        let found: serde_json::Value = serde_json::from_str(&found).unwrap();
        let pruned = program(&std::fs::read(path("p.onnx")).unwrap()).unwrap();
        let k = pruned.stored.iter().find(|stored| stored.name == "k").unwrap();
        assert!(k.values().contains(&0.0), "{name}: `k` is {:?}", k.values());
        let square = |(x, y): (&[f64; 2], &f64)| {
            let run = pruned.run(x).unwrap();
            (pruned.output(&run).unwrap()[0] - y).powi(2)
        };
        let expected = INPUTS.iter().zip(&TARGETS).map(square).sum::<f64>() / 6.0;
        let measured = member(&found, "loss_after").unwrap_or_else(|| panic!("{name}: no loss in {found}"));
        assert!((measured - expected).abs() < 1e-9, "{name}: the pruned file's loss is said to be {measured}, it is {expected}");
    }
}

/// The first member of that name, at any depth.
fn member(value: &serde_json::Value, name: &str) -> Option<f64> {
    match value {
        serde_json::Value::Object(members) => members
            .get(name)
            .and_then(serde_json::Value::as_f64)
            .or_else(|| members.values().find_map(|inner| member(inner, name))),
        serde_json::Value::Array(elements) => elements.iter().find_map(|inner| member(inner, name)),
        _ => None,
    }
}
