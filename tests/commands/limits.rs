//! What hostile or careless files may not do: take memory before a limit is looked at, or count as parameters what only
//! decides how a graph is read.
//!
//! | test | what it holds |
//! |---|---|
//! | `files_that_claim_much_are_refused_in_little_memory` | arrays, models and specifications that state huge sizes, in a process that may take 3 GB of addresses |
//! | `certificates_that_ask_for_much_are_refused` | more splits, samples or numbers than a checker works on |
//! | `structural_tensors_are_no_parameters` | bounds, exponents and the constants of gates: found as such, refused by the checker |

use std::path::Path;
use std::process::Command;

use crate::common::tiny::{Tiny, tensor};
use nnverify::kernel::curvature::{CurvatureRefusal, Objective};
use nnverify::kernel::model::onnx::load_bytes;
use nnverify::kernel::model::onnx::proto::{AttributeProto, AttributeType};
use nnverify::kernel::proof::{Certificate, ClaimKind, FileIdentity, LossName, Objective as Stated, digest_of};
use nnverify::kernel::read::data::{Dataset, write_npy};

/// Exit code, standard output, standard error of the program with 3 GB of addresses.
fn confined(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let program = assert_cmd::cargo::cargo_bin("verify");
    let script = format!("ulimit -v 3000000; exec {} \"$@\"", program.display());
    let output = Command::new("sh").arg("-c").arg(script).arg("verify").args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn npy(shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let length = header.len() + 1;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(length).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.push(b'\n');
    bytes.extend(data);
    bytes
}

/// 4 → 3 → 2 with a ReLU.
fn small() -> Vec<u8> {
    Tiny::new(4, 9)
        .gemm("first", "x", 4, 3)
        .node("relu", "Relu", &["first"], vec![])
        .gemm("second", "relu", 3, 2)
        .finish("second")
}

#[test]
fn files_that_claim_much_are_refused_in_little_memory() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    put("m.onnx", &small());
    put("y.npy", &npy("(2,)", &[0; 8]));
    for (name, shape) in [
        ("long.npy", "(1099511627776, 4)"),
        ("wide.npy", "(2, 18446744073709551615)"),
        ("product.npy", "(4294967296, 4294967296, 4)"),
        ("short.npy", "(2, 4)"),
    ] {
        put(name, &npy(shape, &[0; 16]));
        let data = format!("{name},y.npy");
        let (code, _, error) = confined(folder, &["m.onnx", "--robust", "--data", &data, "--eps", "0.1"]);
        assert!(code == 2 && error.contains(name) && !error.contains("panicked"), "{name}: {code} {error}");
    }
    // IDX: 2³² − 1 images of 2³² − 1 by 2³² − 1 bytes.
    put("images.idx", &[&[0, 0, 8, 3][..], &[255; 12], &[0; 9]].concat());
    put("labels.idx", &[0, 0, 8, 1, 0, 0, 0, 1, 0]);
    let (code, _, error) = confined(folder, &["m.onnx", "--robust", "--data", "images.idx,labels.idx", "--eps", "0.1"]);
    assert!(code == 2 && error.contains("images.idx"), "{code} {error}");

    // A tensor that the graph makes: 2⁴⁰ elements from a few bytes.
    let huge = |name: &str, operator: &str, inputs: &[&str]| {
        let mut tiny = Tiny::new(4, 9);
        let mut shape = tensor("shape", &[2], vec![]);
        shape.data_type = 7;
        shape.int64_data = vec![1 << 20, 1 << 20];
        tiny.graph().initializer.push(shape);
        tiny.node(name, operator, inputs, vec![]).finish(name)
    };
    for (name, operator, inputs) in
        [("made", "ConstantOfShape", &["shape"][..]), ("expanded", "Expand", &["x", "shape"]), ("tiled", "Tile", &["x", "shape"])]
    {
        put("huge.onnx", &huge(name, operator, inputs));
        let (code, _, error) = confined(folder, &["inspect", "huge.onnx"]);
        assert!(code == 2 && error.contains(name) && error.contains(operator), "{operator}: {code} {error}");
    }

    // A specification with more variables than any network has.
    put("s.vnnlib", b"(declare-const X_4000000000 Real)(declare-const Y_0 Real)(assert (<= Y_0 0))");
    let (code, _, error) = confined(folder, &["m.onnx", "--spec", "s.vnnlib"]);
    assert!(code == 2 && error.contains("s.vnnlib"), "{code} {error}");
}

#[test]
fn certificates_that_ask_for_much_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    std::fs::write(folder.join("m.onnx"), small()).unwrap();
    write_npy(std::fs::File::create(folder.join("x.npy")).unwrap(), &[2, 4], &[0.5, 0.1, -0.2, 0.3, 0.2, 0.2, 0.4, -0.5])
        .unwrap();
    write_npy(std::fs::File::create(folder.join("y.npy")).unwrap(), &[2], &[0.0, 1.0]).unwrap();
    let data = ["m.onnx", "--tightness", "--data", "x.npy,y.npy", "--eps", "0.1"];
    let (code, _, error) = confined(folder, &[&data[..], &["--certificate", "c.json"]].concat());
    assert_eq!(code, 0, "{error}");
    let check = ["check", "c.json", "--model", "m.onnx", "--file", "x.npy", "--file", "y.npy"];
    assert_eq!(confined(folder, &check).0, 0);
    let text = std::fs::read(folder.join("c.json")).unwrap();
    let forge = |change: &dyn Fn(&mut nnverify::kernel::proof::TightnessClaim), says: &str| {
        let mut forged = Certificate::from_json(&text).unwrap();
        let ClaimKind::Tightness(claim) = &mut forged.claims[0].kind else { panic!() };
        change(claim);
        let (forged, bundle) = forged.seal();
        nnverify::query::write_certificate(&forged, &bundle, &folder.join("c.json")).unwrap();
        let (code, out, error) = confined(folder, &check);
        assert!(code == 4 && out.contains(says), "{code} {out} {error}");
    };
    forge(&|claim| claim.splits = u32::MAX, "more splits than a checker makes");
    forge(&|claim| claim.samples = u32::MAX, "not one box for each sample");
    // And such a search is not begun.
    let (code, _, error) = confined(folder, &[&data[..], &["--splits", "4294967295"]].concat());
    assert!(code == 2 && error.contains("more than the checker makes"), "{code} {error}");
}

#[test]
fn structural_tensors_are_no_parameters() {
    let mut tiny = Tiny::new(4, 9);
    for (name, dims, values) in [
        ("low", vec![], vec![-0.5]),
        ("high", vec![], vec![2.0]),
        ("exponent", vec![], vec![2.0]),
        ("half", vec![3], vec![0.5; 3]),
        ("scale", vec![3], vec![0.5, 1.5, 2.5]),
    ] {
        tiny.graph().initializer.push(tensor(name, &dims, values));
    }
    let alpha =
        AttributeProto { name: "axis".into(), r#type: AttributeType::Int.into(), i: Some(1), ..AttributeProto::default() };
    let bytes = tiny
        .gemm("first", "x", 4, 3)
        .node("clip", "Clip", &["first", "low", "high"], vec![])
        .node("square", "Pow", &["clip", "exponent"], vec![])
        .node("halved", "Mul", &["square", "half"], vec![])
        .node("scaled", "Mul", &["halved", "scale"], vec![])
        .node("sure", "Softmax", &["scaled"], vec![alpha])
        .gemm("second", "sure", 3, 2)
        .finish("second");
    let model = load_bytes(&bytes).unwrap();
    let frozen = |name: &str| !model.tensors.iter().find(|tensor| tensor.name == name).unwrap().is_differentiable();
    for (name, expected) in [
        ("low", true),
        ("high", true),
        ("exponent", true),
        // No gate was recognised: an ordinary factor.
        ("half", false),
        ("scale", false),
        ("first.weight", false),
        ("first.bias", false),
        ("second.weight", false),
    ] {
        assert_eq!(frozen(name), expected, "{name}");
    }

    // A claim about them is refused, whatever else it says.
    let directory = tempfile::tempdir().unwrap();
    write_npy(std::fs::File::create(directory.path().join("x.npy")).unwrap(), &[1, 4], &[0.5, 0.1, -0.2, 0.3]).unwrap();
    write_npy(std::fs::File::create(directory.path().join("y.npy")).unwrap(), &[1, 2], &[1.0, 0.0]).unwrap();
    let objective = |parameters: &[&str]| {
        let data = Dataset::open(&directory.path().join("x.npy"), Some(&directory.path().join("y.npy"))).unwrap();
        let claim = Stated {
            data: vec![FileIdentity { name: "x.npy".to_owned(), digest: digest_of(b"") }],
            samples: 1,
            loss: LossName::Mse,
            parameters: parameters.iter().map(|&name| name.to_owned()).collect(),
            scope: None,
        };
        Objective::from_data(&claim, data, &model.network, &model.tensors, |_, _| 1).map(|objective| objective.count())
    };
    assert_eq!(objective(&["half", "scale", "first.weight", "first.bias"]), Ok(1));
    for name in ["low", "high", "exponent"] {
        assert!(matches!(objective(&[name]), Err(CurvatureRefusal::Frozen { .. })), "{name}");
    }
}
