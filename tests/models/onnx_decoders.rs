//! Two independent decoders of the ONNX format, ours and the one of `onnx-protobuf`, must read the same model from a file.
//!
//! The second decoder is only given files that ours accepts: it aborts the process on deeply nested unknown groups
//! (RUSTSEC-2024-0437), which ours refuses, and that is what the order tests too.

mod compare;
mod mutate;
mod sample;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nnverify::kernel::model::onnx::proto::{ModelProto, TensorProto};
use nnverify::kernel::model::onnx::{ExternalData, ModelSource, decode_model, decode_tensor};
use onnx_protobuf as second;
use protobuf::Message;

use compare::compare_models;
use mutate::{Random, mutate_bytes, mutate_fields};
use sample::sample;

/// Every model of the repository, and of the shared folder where there is one.
fn models() -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("models")];
    match std::env::var_os("NNVERIFY_SHARED").map(PathBuf::from) {
        Some(shared) => {
            folders.extend(list(&shared.join("cases")));
            folders.extend(list(&shared.join("corpus")).into_iter().map(|family| family.join("models")));
        }
        None => eprintln!("skipped: the models of the shared folder (NNVERIFY_SHARED is not set)"),
    }
    let is_model = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".onnx") || name.ends_with(".onnx.gz")
    };
    folders.iter().flat_map(|folder| list(folder)).filter(is_model).filter(|path| is_stored(path)).collect()
}

/// Whether a model lies there, and not a pointer to one that was not fetched.
fn is_stored(path: &Path) -> bool {
    let stored = ModelSource::open(path).map_or(true, |source| !source.bytes().starts_with(b"version https://git-lfs"));
    if !stored {
        eprintln!("skipped: {} is a git-lfs pointer", path.display());
    }
    stored
}

/// The entries of a folder in a fixed order; none where it does not exist.
fn list(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn tensors(model: &ModelProto) -> impl Iterator<Item = &TensorProto> {
    let graph = model.graph.iter();
    graph.flat_map(|graph| {
        let attributes = graph.node.iter().flat_map(|node| &node.attribute);
        graph.initializer.iter().chain(attributes.flat_map(|attribute| attribute.t.iter().chain(&attribute.tensors)))
    })
}

#[test]
fn both_decoders_read_every_model_alike() {
    let paths = models();
    for path in &paths {
        let source = ModelSource::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let ours = decode_model(source.bytes()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let theirs = second::ModelProto::parse_from_bytes(source.bytes()).unwrap();
        compare_models(&ours, &theirs).unwrap_or_else(|difference| panic!("{}: {difference}", path.display()));
        let mut external = source.external_data();
        for tensor in tensors(&ours) {
            let value = decode_tensor(tensor, &mut external);
            assert!(value.is_ok(), "{}: `{}`: {:?}", path.display(), tensor.name, value.err());
        }
    }
    let sample = sample();
    let theirs = second::ModelProto::parse_from_bytes(&sample).unwrap();
    assert_eq!(compare_models(&decode_model(&sample).unwrap(), &theirs), Ok(()));
    eprintln!("{} models compared", paths.len());
}

#[test]
fn ten_thousand_damaged_models_never_panic_and_are_read_alike_where_both_accept() {
    let started = Instant::now();
    let read_small = |path: &PathBuf| ModelSource::open(path).ok().map(|s| s.bytes().to_vec()).filter(|b| b.len() < 16_384);
    let mut seeds: Vec<Vec<u8>> = models().iter().filter_map(read_small).take(40).collect();
    // Half of all mutants come from the sample: it is small and has every field, so changes rarely hit plain weights.
    seeds.extend(std::iter::repeat_n(sample(), seeds.len().max(1)));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut accepted, mut by_both) = (0, 0);
    for index in 0..10_000 {
        let mut mutant = seeds[index % seeds.len()].clone();
        match random.below(3) {
            0 => mutate_bytes(&mut mutant, &mut random),
            1 => mutate_fields(&mut mutant, &mut random),
            _ => (0..=random.below(4)).for_each(|_| mutate_fields(&mut mutant, &mut random)),
        }
        let Ok(source) = ModelSource::from_bytes(&mutant) else { continue };
        let Ok(ours) = decode_model(source.bytes()) else { continue };
        accepted += 1;
        let mut external = ExternalData::new(None);
        for tensor in tensors(&ours) {
            // Any result will do; a panic will not.
            drop(decode_tensor(tensor, &mut external));
        }
        // The second decoder also reads fields that ours skips, and may refuse those.
        let Ok(theirs) = second::ModelProto::parse_from_bytes(&mutant) else { continue };
        by_both += 1;
        compare_models(&ours, &theirs).unwrap_or_else(|difference| panic!("mutant {index}: {difference}"));
    }
    eprintln!("of 10000 mutants {accepted} were accepted by ours, {by_both} by both, in {:?}", started.elapsed());
    assert!(accepted >= 1000 && by_both >= 1000, "the mutations are too coarse to test anything: {accepted}, {by_both}");
    assert!(started.elapsed() < Duration::from_secs(120), "{:?}", started.elapsed());
    assert_bounded_memory();
}

/// Peak memory of the process, where the system tells: claims of gigabytes in a length field must not have been believed.
fn assert_bounded_memory() {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return };
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<u64>().ok());
    assert!(kilobytes.is_none_or(|kilobytes| kilobytes < 2 << 20), "{kilobytes:?} kB");
}

/// Nested groups, the input that exhausts the stack of decoders without a limit, and nested messages.
#[test]
fn deep_nesting_is_refused() {
    for depth in [1, 100, 1_000_000] {
        let groups = [vec![0x9b; 2 * depth], vec![0x9c; 2 * depth]].concat();
        assert!(decode_model(&groups).is_err());
        let mut inside_unknown = vec![0x3a, 0];
        inside_unknown.extend([0x0b].repeat(depth));
        assert!(decode_model(&inside_unknown).is_err());
    }
    // A subgraph in an attribute in a node in a subgraph …: kept as bytes, so its depth costs nothing.
    let mut graph: Vec<u8> = Vec::new();
    for _ in 0..2000 {
        for tag in [0x32, 0x2a, 0x0a] {
            let mut outer = vec![tag];
            let mut length = graph.len();
            while length >= 0x80 {
                outer.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
                length >>= 7;
            }
            outer.push(u8::try_from(length).unwrap());
            outer.extend(&graph);
            graph = outer;
        }
    }
    let mut model = vec![0x3a];
    prost::encoding::encode_varint(graph.len() as u64, &mut model);
    model.extend(graph);
    assert!(decode_model(&model).is_ok());
}
