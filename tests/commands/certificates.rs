//! Damaged and dishonest certificates: all of them are refused, none of them makes anything panic.
//!
//! | test | what it does |
//! |---|---|
//! | `whole_certificates_are_accepted` | the certificates that the other tests start from |
//! | `a_thousand_mutations_are_refused` | damage to bytes and structure, as written; false and unproved claims, with the digest recomputed |
//! | `another_model_is_refused` | a model with other weights, as written and with the identity forged |
//! | `the_command_line_refuses` | a sample of both kinds through `verify check`: exit code 4 |
//!
//! A mutation is only made where what it leaves is false, unproved or unreadable: a larger bound with the same witness, or
//! a claim without its lower bound, would still be proved.

use crate::common;
use assert_cmd::Command;
use nnverify::kernel::model::onnx::{Model, load_bytes};
use nnverify::kernel::proof::{
    Assurance, Bits, Bundle, Certificate, ClaimKind, ExternalFile, Inequality, LipschitzClaim, Norm, Number, PartProof, Rounding,
    Vector, bundle_path, digest_of,
};
use nnverify::pass::lipschitz::{LipschitzOptions, Question, certify};
use serde_json::Value;

/// A model and a certificate of it that the checker accepts.
struct Original {
    name: &'static str,
    bytes: Vec<u8>,
    model: Model,
    certificate: Certificate,
    bundle: Bundle,
    text: Vec<u8>,
}

fn originals() -> Vec<Original> {
    let models =
        [("mixed", common::tiny::mixed()), ("linear", common::tiny::linear()), ("wide", common::tiny::wide())].into_iter();
    let original = |(name, bytes): (&'static str, Vec<u8>)| {
        let model = load_bytes(&bytes).unwrap();
        let outcome = certify(&model.network, &Question::global(Norm::L2), &LipschitzOptions::default(), &mut |_| ()).unwrap();
        let (certificate, bundle) = common::sealed(&model, outcome.claim);
        let text = serde_json::to_vec_pretty(&certificate).unwrap();
        Original { name, bytes, model, certificate, bundle, text }
    };
    models.map(original).collect()
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }
}

/// Reads and checks as `verify check` does; `Ok` only where everything is accepted.
fn verdict(text: &[u8], bundle: &[u8], model: &Model) -> Result<(), String> {
    let certificate = Certificate::from_json(text)?;
    let bundle = if certificate.bundle.is_some() { Bundle::from_bytes(bundle)? } else { Bundle::default() };
    common::check(&certificate, &bundle, model).map_err(|refusal| refusal.to_string())
}

/// Does the text still say what the certificate says? The digest covers everything but `run`.
fn says_the_same(text: &[u8], original: &Certificate) -> bool {
    Certificate::from_json(text)
        .is_ok_and(|read| Certificate { run: None, ..read } == Certificate { run: None, ..original.clone() })
}

#[test]
fn whole_certificates_are_accepted() {
    for original in originals() {
        let bundle = original.bundle.to_bytes();
        assert_eq!(verdict(&original.text, &bundle, &original.model), Ok(()), "{}", original.name);
        assert_eq!(original.bundle.is_empty(), original.name != "wide");
        let witness = &lipschitz(&original.certificate).witness;
        assert_eq!(witness.inequality.is_some(), original.name != "linear", "{}", original.name);
        assert!(witness.pair.is_some() && !witness.parts.is_empty());
        // Digests and `run` are apart: times can be told without touching the proof.
        let mut timed: Value = serde_json::from_slice(&original.text).unwrap();
        timed["run"] = serde_json::json!({"engines": {"lipschitz-l2": "x"}, "seconds": 1.5, "threads": 1, "seed": 0});
        assert_eq!(verdict(timed.to_string().as_bytes(), &bundle, &original.model), Ok(()));
    }
}

#[test]
fn a_thousand_mutations_are_refused() {
    let mut random = Random(2024);
    let (mut refused, mut accepted) = (0, Vec::new());
    let mut count = |what: &str, name: &str, verdict: Result<(), String>| match verdict {
        Err(reason) => {
            assert!(!reason.is_empty());
            refused += 1;
        }
        Ok(()) => accepted.push(format!("{name}: {what}")),
    };
    for original in originals() {
        let bundle = original.bundle.to_bytes();
        let mut bytes: Vec<(String, Vec<u8>)> = Vec::new();
        bytes.extend((0..300).map(|_| damaged_text(&original.text, &mut random)));
        bytes.extend((0..120).filter_map(|_| damaged_structure(&original.text, &mut random)));
        for (what, text) in bytes.iter().filter(|(_, text)| !says_the_same(text, &original.certificate)) {
            count(what, original.name, verdict(text, &bundle, &original.model));
        }
        for (what, certificate) in lies(&original) {
            let text = serde_json::to_vec(&certificate).unwrap();
            count(&format!("{what}, as written"), original.name, verdict(&text, &bundle, &original.model));
            let text = serde_json::to_vec(&resealed(certificate)).unwrap();
            count(&format!("{what}, resealed"), original.name, verdict(&text, &bundle, &original.model));
        }
        for (what, text) in forged_identities(&original) {
            count(&what, original.name, verdict(&text, &bundle, &original.model));
        }
        if !original.bundle.is_empty() {
            for _ in 0..100 {
                let mut bytes = bundle.clone();
                let position = random.below(bytes.len());
                bytes[position] ^= 1 << random.below(8);
                count("a bit of the bundle", original.name, verdict(&original.text, &bytes, &original.model));
                let length = random.below(bundle.len());
                count("a truncated bundle", original.name, verdict(&original.text, &bundle[..length], &original.model));
            }
        }
    }
    println!("{refused} mutated certificates refused");
    assert!(accepted.is_empty(), "accepted:\n{}", accepted.join("\n"));
    assert!(refused >= 1000, "only {refused} mutations were made");
}

/// Damage to the text that no one intended.
fn damaged_text(text: &[u8], random: &mut Random) -> (String, Vec<u8>) {
    let mut bytes = text.to_vec();
    let position = random.below(bytes.len());
    match random.below(6) {
        0 => bytes.truncate(position),
        1 => {
            let end = (position + 1 + random.below(40)).min(bytes.len());
            bytes.drain(position..end);
        }
        2 => bytes.insert(position, u8::try_from(random.below(256)).unwrap()),
        3 => {
            let end = (position + 1 + random.below(200)).min(bytes.len());
            let copied = bytes[position..end].to_vec();
            bytes.splice(position..position, copied);
        }
        _ => bytes[position] ^= 1 << random.below(8),
    }
    (format!("damage at byte {position}"), bytes)
}

/// Every path to a value of a document.
fn paths(value: &Value, prefix: &str, found: &mut Vec<String>) {
    let mut visit = |key: &str, child: &Value| {
        let path = format!("{prefix}/{key}");
        paths(child, &path, found);
        found.push(path);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, child)| visit(key, child)),
        Value::Array(list) => list.iter().enumerate().for_each(|(index, child)| visit(&index.to_string(), child)),
        _ => {}
    }
}

/// A field dropped, renamed, given another type, or stated twice.
fn damaged_structure(text: &[u8], random: &mut Random) -> Option<(String, Vec<u8>)> {
    let mut document: Value = serde_json::from_slice(text).unwrap();
    let mut all = Vec::new();
    paths(&document, "", &mut all);
    all.retain(|path| !path.starts_with("/run"));
    let path = &all[random.below(all.len())];
    let (parent, key) = path.rsplit_once('/')?;
    let kind = random.below(4);
    let what = format!("structure {kind} at {path}");
    if kind == 3 {
        // `serde_json::Value` cannot hold a field twice, so the text says it.
        let Value::Object(map) = document.pointer(parent)? else { return None };
        let twice = format!("{{{}: {}, ", serde_json::to_string(key).ok()?, map.get(key)?);
        let marked = serde_json::to_string(document.pointer(parent)?).ok()?;
        let whole = document.to_string();
        let position = whole.find(&marked)?;
        return Some((what, [&whole[..position], &twice, &whole[position + 1..]].concat().into_bytes()));
    }
    match (document.pointer_mut(parent)?, kind) {
        (Value::Object(map), 0) => drop(map.remove(key)?),
        (Value::Object(map), 1) => {
            let value = map.remove(key)?;
            map.insert(format!("{key}_"), value);
        }
        (Value::Array(list), 0) => drop(list.remove(key.parse().ok()?)),
        (Value::Array(list), 1) => {
            let index: usize = key.parse().ok()?;
            list.insert(index, list[index].clone());
        }
        _ => {
            let value = document.pointer_mut(path)?;
            *value = match value {
                Value::Null => Value::Bool(true),
                Value::Number(_) => Value::String("1".into()),
                Value::String(text) if random.below(2) == 0 => Value::String(format!("{text} ")),
                Value::String(_) => serde_json::json!(-1),
                Value::Array(_) => serde_json::json!({}),
                _ => serde_json::json!([[]]),
            };
        }
    }
    Some((what, document.to_string().into_bytes()))
}

fn lipschitz(certificate: &Certificate) -> &LipschitzClaim {
    let ClaimKind::Lipschitz(claim) = &certificate.claims[0].kind else { panic!("another kind of claim") };
    claim
}

fn resealed(mut certificate: Certificate) -> Certificate {
    certificate.digest = certificate.computed_digest();
    certificate
}

/// Numbers that prove nothing.
const NOT_NUMBERS: [f64; 5] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -5e-324];
/// Relative steps by which a tight figure is improved without a reason.
const STEPS: [f64; 5] = [1e-6, 1e-4, 1e-2, 0.5, 0.999];

/// Claims that are false, or that their witnesses do not prove.
fn lies(original: &Original) -> Vec<(String, Certificate)> {
    let mut lies = Vec::new();
    let mut add = |what: String, change: &dyn Fn(&mut LipschitzClaim)| {
        let mut certificate = original.certificate.clone();
        let ClaimKind::Lipschitz(claim) = &mut certificate.claims[0].kind else { panic!("another kind of claim") };
        change(claim);
        assert_ne!(certificate, original.certificate, "{what} changes nothing");
        lies.push((what, certificate));
    };
    let claim = lipschitz(&original.certificate);
    for (step, value) in improved(claim.bound.value(), -1.0) {
        add(format!("bound lowered by {step:e}"), &|claim| claim.bound = Number::upper(value));
    }
    for value in NOT_NUMBERS {
        add(format!("bound {value}"), &|claim| claim.bound = Number::upper(value));
        add(format!("norm product {value}"), &|claim| claim.norm_product = Some(Number::upper(value)));
    }
    for value in &NOT_NUMBERS[..3] {
        add(format!("lower bound {value}"), &|claim| claim.lower_bound = Some(Number::lower(*value)));
    }
    numbers_lie(&mut add, claim);
    if let Some(inequality) = &claim.witness.inequality {
        inequality_lies(&mut add, inequality, original);
        add("no inequality".into(), &|claim| claim.witness.inequality = None);
    }
    parts_lie(&mut add, claim);
    pair_lies(&mut add, original);
    lies
}

/// Reaches one figure of a claim.
type Figure = fn(&mut LipschitzClaim) -> &mut Number;
type Add<'a> = dyn FnMut(String, &dyn Fn(&mut LipschitzClaim)) + 'a;

/// The neighbouring float, and the value moved by every step of [`STEPS`], upwards or downwards.
fn improved(value: f64, sign: f64) -> Vec<(f64, f64)> {
    let neighbour = if sign > 0.0 { value.next_up() } else { value.next_down() };
    STEPS.iter().map(|&step| (step, value * (1.0 + sign * step))).chain([(0.0, neighbour)]).collect()
}

/// Figures that differ from what is proved, and decimals that differ from their bits.
fn numbers_lie(add: &mut Add<'_>, claim: &LipschitzClaim) {
    if let Some(product) = &claim.norm_product {
        for (step, value) in improved(product.value(), -1.0) {
            add(format!("norm product lowered by {step:e}"), &|claim| claim.norm_product = Some(Number::upper(value)));
        }
    }
    if let Some(lower) = &claim.lower_bound {
        for (step, value) in improved(lower.value(), 1.0) {
            add(format!("lower bound raised by {step:e}"), &|claim| claim.lower_bound = Some(Number::lower(value)));
        }
        let above = claim.bound.value() * 1.001;
        add("lower bound above the bound".into(), &|claim| claim.lower_bound = Some(Number::lower(above)));
    }
    let figures: [(&str, Figure); 3] = [
        ("bound", |claim| &mut claim.bound),
        ("lower bound", |claim| claim.lower_bound.as_mut().unwrap()),
        ("norm product", |claim| claim.norm_product.as_mut().unwrap()),
    ];
    for (name, figure) in figures {
        add(format!("{name}: the other rounding"), &|claim| {
            let number = figure(claim);
            number.rounding = if number.rounding == Rounding::Up { Rounding::Down } else { Rounding::Up };
        });
        for decimal in ["", "0", "nan", "1e", "0.1", "-1"] {
            add(format!("{name}: decimal `{decimal}`"), &|claim| figure(claim).decimal = decimal.into());
        }
        add(format!("{name}: a decimal with a zero more"), &|claim| figure(claim).decimal.push('0'));
        for bit in [63, 62, 52, 51, 40, 30] {
            add(format!("{name}: bit {bit} without its decimal"), &|claim| {
                let number = figure(claim);
                number.bits = Bits::of(f64::from_bits(number.value().to_bits() ^ (1 << bit)));
            });
        }
    }
}

fn squared_bound(inequality: &Inequality, bundle: &Bundle) -> f64 {
    bundle.resolve(&inequality.input_multipliers).unwrap()[0]
}

fn multipliers(inequality: &Inequality, bundle: &Bundle) -> Vec<f64> {
    bundle.resolve(&inequality.multipliers).unwrap()
}

/// The matrix of the whole network with another bound or other multipliers.
fn inequality_lies(add: &mut Add<'_>, inequality: &Inequality, original: &Original) {
    let squared = squared_bound(inequality, &original.bundle);
    let set = |claim: &mut LipschitzClaim, change: &dyn Fn(&mut Inequality)| change(claim.witness.inequality.as_mut().unwrap());
    for step in STEPS {
        let lowered = squared * (1.0 - step);
        add(format!("squared bound lowered by {step:e}"), &|claim| {
            set(claim, &|inequality| inequality.input_multipliers = Vector::inline(&[lowered]));
        });
        add(format!("squared bound and bound lowered by {step:e}"), &|claim| {
            set(claim, &|inequality| inequality.input_multipliers = Vector::inline(&[lowered]));
            claim.bound = Number::upper(lowered.sqrt().next_up());
        });
        add(format!("squared bound raised by {step:e}, bound kept"), &|claim| {
            set(claim, &|inequality| inequality.input_multipliers = Vector::inline(&[squared * (1.0 + step)]));
        });
    }
    for value in NOT_NUMBERS.into_iter().chain([0.0, -0.0]) {
        add(format!("squared bound {value}"), &|claim| {
            set(claim, &|inequality| inequality.input_multipliers = Vector::inline(&[value]));
        });
    }
    let found = multipliers(inequality, &original.bundle);
    let mut with = |what: String, values: Vec<f64>| {
        add(what, &|claim| set(claim, &|inequality| inequality.multipliers = Vector::inline(&values)));
    };
    for position in 0..found.len() {
        let one = |value: f64| found.iter().enumerate().map(|(i, &old)| if i == position { value } else { old }).collect();
        let old = found[position];
        for value in NOT_NUMBERS {
            with(format!("multiplier {position} is {value}"), one(value));
        }
        with(format!("multiplier {position} negated"), one(-old));
        for factor in [0.0, 0.5, 0.9, 1.1, 2.0, 1e10] {
            with(format!("multiplier {position} times {factor}"), one(old * factor));
        }
        let without = |skipped: usize| found.iter().enumerate().filter(|(i, _)| *i != skipped).map(|(_, &m)| m).collect();
        with(format!("multiplier {position} dropped"), without(position));
        let mut more = found.clone();
        more.insert(position, old);
        with(format!("multiplier {position} twice"), more);
    }
    for factor in [0.0, 0.5, 0.99, 1.01, 2.0] {
        with(format!("all multipliers times {factor}"), found.iter().map(|m| m * factor).collect());
    }
    with("multipliers reversed".into(), found.iter().rev().copied().collect());
    with("no multipliers".into(), Vec::new());
    for vector in [1000, u32::MAX] {
        add(format!("multipliers in vector {vector} of the bundle"), &|claim| {
            set(claim, &|inequality| inequality.multipliers = Vector::Bundled { vector });
        });
    }
}

/// The chain behind the norm product.
fn parts_lie(add: &mut Add<'_>, claim: &LipschitzClaim) {
    let parts = &claim.witness.parts;
    add("no parts".into(), &|claim| claim.witness.parts.clear());
    add("no norm product, but its parts".into(), &|claim| claim.norm_product = None);
    if parts.len() > 1 {
        add("parts reversed".into(), &|claim| claim.witness.parts.reverse());
        add("parts swapped".into(), &|claim| claim.witness.parts.swap(0, 1));
    }
    add("last part dropped".into(), &|claim| drop(claim.witness.parts.pop()));
    for (position, part) in parts.iter().enumerate() {
        add(format!("part {position} twice"), &|claim| {
            let part = claim.witness.parts[position].clone();
            claim.witness.parts.insert(position, part);
        });
        for to in [0, 1_000_000, u32::MAX] {
            add(format!("part {position} ends at {to}"), &|claim| claim.witness.parts[position].to = to);
        }
        match &part.proof {
            PartProof::Inequality(inequality) => {
                let squared = squared_bound(inequality, &Bundle::default());
                let with = |claim: &mut LipschitzClaim, value: f64| {
                    if let PartProof::Inequality(inequality) = &mut claim.witness.parts[position].proof {
                        inequality.input_multipliers = Vector::inline(&[value]);
                    }
                };
                for value in STEPS.map(|step| squared * (1.0 - step)).into_iter().chain(NOT_NUMBERS) {
                    add(format!("part {position}: squared bound {value:e}"), &|claim| with(claim, value));
                }
                add(format!("part {position}: a multiplier too many"), &|claim| {
                    if let PartProof::Inequality(inequality) = &mut claim.witness.parts[position].proof
                        && let Vector::Inline(bits) = &mut inequality.multipliers
                    {
                        bits.push(Bits::of(1.0));
                    }
                });
            }
            PartProof::Rules { squared_norms, .. } => {
                let with = |claim: &mut LipschitzClaim, change: &dyn Fn(&mut Vec<Option<Bits>>)| {
                    if let PartProof::Rules { squared_norms, .. } = &mut claim.witness.parts[position].proof {
                        change(squared_norms);
                    }
                };
                add(format!("part {position}: a norm too many"), &|claim| with(claim, &|norms| norms.push(None)));
                for index in 0..squared_norms.len() {
                    add(format!("part {position}: norm {index} dropped"), &|claim| {
                        with(claim, &|norms| {
                            norms.remove(index);
                        });
                    });
                    let Some(squared) = squared_norms[index].map(Bits::value) else { continue };
                    for value in STEPS.map(|step| squared * (1.0 - step)).into_iter().chain(NOT_NUMBERS) {
                        add(format!("part {position}: norm {index} is {value:e}"), &|claim| {
                            with(claim, &|norms| norms[index] = Some(Bits::of(value)));
                        });
                    }
                }
            }
        }
    }
}

/// The points behind the lower bound.
fn pair_lies(add: &mut Add<'_>, original: &Original) {
    let pair = lipschitz(&original.certificate).witness.pair.as_ref().unwrap();
    let [first, second] = [&pair.first, &pair.second].map(|vector| original.bundle.resolve(vector).unwrap());
    let mut with = |what: &str, first: &[f64], second: &[f64]| {
        add(format!("pair: {what}"), &|claim| {
            let pair = claim.witness.pair.as_mut().unwrap();
            (pair.first, pair.second) = (Vector::inline(first), Vector::inline(second));
        });
    };
    with("equal points", &first, &first);
    with("equal points", &second, &second);
    with("no points", &[], &[]);
    with("a coordinate dropped", &first[1..], &second[1..]);
    with("a coordinate dropped from one", &first, &second[1..]);
    with("a coordinate more", &[&first[..], &[0.0]].concat(), &[&second[..], &[0.0]].concat());
    for value in [f64::NAN, f64::INFINITY, f64::MAX] {
        let mut changed = second.clone();
        changed[0] = value;
        with(&format!("a coordinate {value:e}"), &first, &changed);
    }
    // Far from the direction in which the network changes most.
    for coordinate in 0..first.len().min(8) {
        let mut changed = second.clone();
        changed[coordinate] += 1e3;
        with(&format!("coordinate {coordinate} far away"), &first, &changed);
    }
    add("pair dropped".into(), &|claim| claim.witness.pair = None);
    add("lower bound dropped".into(), &|claim| claim.lower_bound = None);
    for vector in [1000, u32::MAX] {
        add(format!("pair in vector {vector} of the bundle"), &|claim| {
            claim.witness.pair.as_mut().unwrap().first = Vector::Bundled { vector };
        });
    }
}

/// Certificates of another version, about another model, or with fields that the types cannot hold; digests recomputed.
fn forged_identities(original: &Original) -> Vec<(String, Vec<u8>)> {
    let mut forged = Vec::new();
    let mut add = |what: &str, change: &dyn Fn(&mut Certificate)| {
        let mut certificate = original.certificate.clone();
        change(&mut certificate);
        assert_ne!(certificate, original.certificate, "{what} changes nothing");
        forged.push((what.to_owned(), serde_json::to_vec(&resealed(certificate)).unwrap()));
    };
    for schema in ["", "nnverify-certificate/2.0", "nnverify-certificate/0.9", "nnverify-certificate/10.0", "other/1.0"] {
        add(&format!("schema `{schema}`"), &|certificate| certificate.schema = schema.into());
    }
    add("another model's digest", &|certificate| certificate.model.digest = digest_of(b"another"));
    add("no model digest", &|certificate| certificate.model.digest.clear());
    add("model digest in capitals", &|certificate| certificate.model.digest = certificate.model.digest.to_uppercase());
    add("external data", &|certificate| {
        certificate.model.external.push(ExternalFile { location: "w.bin".into(), digest: digest_of(b"") });
    });
    add("no claims", &|certificate| certificate.claims.clear());
    add("the claim twice", &|certificate| certificate.claims.push(certificate.claims[0].clone()));
    add("a second claim that is false", &|certificate| {
        let mut claim = certificate.claims[0].clone();
        claim.id = "second".into();
        let ClaimKind::Lipschitz(second) = &mut claim.kind else { panic!("another kind of claim") };
        second.bound = Number::upper(second.bound.value() * 0.9);
        certificate.claims.push(claim);
    });
    add("another bundle", &|certificate| certificate.bundle = Some(digest_of(b"another")));
    if original.certificate.bundle.is_some() {
        add("no bundle", &|certificate| certificate.bundle = None);
    }
    // A digest that is not that of the contents, whatever they are.
    for digest in [String::new(), digest_of(b""), original.certificate.digest.to_uppercase()] {
        let certificate = Certificate { digest, ..original.certificate.clone() };
        forged.push(("a wrong digest".into(), serde_json::to_vec(&certificate).unwrap()));
    }
    // What the types cannot say is unreadable, so no digest helps.
    let values = [
        ("/claims/0/norm", serde_json::json!("linf")),
        ("/claims/0/kind", serde_json::json!("robustness")),
        ("/claims/0/semantics", serde_json::json!("float32")),
        ("/claims/0/domain", serde_json::json!("box")),
        ("/claims/0/assurance", serde_json::json!("certain")),
        ("/claims/0/bound/bits", serde_json::json!("3FF0000000000000")),
        ("/claims/0/bound/bits", serde_json::json!(1.0)),
        ("/claims/0/witness/parts/0/to", serde_json::json!(-1)),
        ("/claims/0/witness/parts/0/to", serde_json::json!(4_294_967_296_u64)),
        ("/claims/0/witness/pair/first", serde_json::json!([1.0])),
        ("/claims/0/witness/pair/first", serde_json::json!({"vector": 0, "length": 1})),
    ];
    for (path, value) in values {
        let mut document: Value = serde_json::from_slice(&original.text).unwrap();
        *document.pointer_mut(path).unwrap() = value.clone();
        forged.push((format!("{path} = {value}"), document.to_string().into_bytes()));
    }
    for path in ["", "/claims/0", "/claims/0/bound", "/claims/0/witness", "/model", "/tool"] {
        let mut document: Value = serde_json::from_slice(&original.text).unwrap();
        document.pointer_mut(path).unwrap()["unknown"] = Value::Bool(true);
        forged.push((format!("an unknown field in `{path}`"), document.to_string().into_bytes()));
    }
    forged
}

/// The model with the weights of its last layer scaled.
fn scaled(bytes: &[u8], factor: f32) -> Vec<u8> {
    use prost::Message;
    let mut model = nnverify::kernel::model::onnx::proto::ModelProto::decode(bytes).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let weight = graph.initializer.iter_mut().rfind(|tensor| tensor.name.ends_with(".weight")).unwrap();
    weight.float_data.iter_mut().for_each(|value| *value *= factor);
    model.encode_to_vec()
}

#[test]
fn another_model_is_refused() {
    let originals = originals();
    for original in &originals {
        let bundle = original.bundle.to_bytes();
        for other in originals.iter().filter(|other| other.name != original.name) {
            let reason = verdict(&original.text, &bundle, &other.model).unwrap_err();
            assert!(reason.contains("another model"), "{reason}");
            // With the identity forged, the claim itself is false or does not fit.
            let mut forged = original.certificate.clone();
            forged.model.digest.clone_from(&other.model.digest);
            let text = serde_json::to_vec(&resealed(forged)).unwrap();
            let reason = verdict(&text, &bundle, &other.model).unwrap_err();
            assert!(reason.starts_with("claim `lipschitz-l2`"), "{reason}");
        }
        for factor in [1.0 + 1e-5, 1.5, -2.0] {
            let larger = load_bytes(&scaled(&original.bytes, factor)).unwrap();
            assert!(verdict(&original.text, &bundle, &larger).unwrap_err().contains("another model"));
            let mut forged = original.certificate.clone();
            forged.model.digest.clone_from(&larger.digest);
            let text = serde_json::to_vec(&resealed(forged)).unwrap();
            let reason = verdict(&text, &bundle, &larger).unwrap_err();
            assert!(reason.starts_with("claim `lipschitz-l2`"), "{factor}: {reason}");
        }
    }
}

#[test]
fn assurances_weaker_than_found_are_true() {
    let original = originals().remove(0);
    for assurance in [Assurance::Estimated, Assurance::Checked] {
        let mut certificate = original.certificate.clone();
        certificate.claims[0].assurance = assurance;
        assert!(common::check(&certificate, &original.bundle, &original.model).is_err(), "the digest no longer fits");
        assert_eq!(common::check(&resealed(certificate), &original.bundle, &original.model), Ok(()));
    }
}

#[test]
fn the_command_line_refuses() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let mut random = Random(7);
    for original in originals() {
        std::fs::write(file("m.onnx"), &original.bytes).unwrap();
        let bundle = original.bundle.to_bytes();
        let mut sample: Vec<(String, Vec<u8>, Vec<u8>)> = Vec::new();
        let mut add = |what: String, text: Vec<u8>| sample.push((what, text, bundle.clone()));
        let mut lies = lies(&original);
        for _ in 0..8 {
            let (what, certificate) = lies.swap_remove(random.below(lies.len()));
            add(format!("{what}, as written"), serde_json::to_vec(&certificate).unwrap());
            add(format!("{what}, resealed"), serde_json::to_vec(&resealed(certificate)).unwrap());
            let (what, text) = damaged_text(&original.text, &mut random);
            if !says_the_same(&text, &original.certificate) {
                add(what, text);
            }
        }
        for (what, text) in forged_identities(&original).into_iter().step_by(4) {
            // A certificate that names a bundle is read with it; where there is none that is a missing file.
            if what != "another bundle" {
                add(what, text);
            }
        }
        add("empty".into(), Vec::new());
        add("deep".into(), vec![b'['; 1 << 20]);
        add("not text".into(), vec![0xff; 1000]);
        if !original.bundle.is_empty() {
            let mut damaged = bundle.clone();
            damaged[100] ^= 1;
            sample.push(("a damaged bundle".into(), original.text.clone(), damaged));
        }
        for (what, text, bundle) in sample {
            std::fs::write(file("c.json"), &text).unwrap();
            std::fs::write(bundle_path(&file("c.json")), &bundle).unwrap();
            let output = verify().args(["check", "c.json", "--model", "m.onnx"]).current_dir(&directory).output().unwrap();
            let stdout = String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(4), "{}: {what}: {output:?}", original.name);
            assert!(stdout.contains("refused:") && !stdout.contains("proved in"), "{}: {what}: {stdout}", original.name);
            assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
        }
        // A bundle that is named but missing is a file that cannot be read.
        if !original.bundle.is_empty() {
            std::fs::write(file("c.json"), &original.text).unwrap();
            std::fs::remove_file(bundle_path(&file("c.json"))).unwrap();
            let check = verify().args(["check", "c.json", "--model", "m.onnx"]).current_dir(&directory).assert();
            check.code(2).stdout("");
        }
    }
}

fn verify() -> Command {
    Command::cargo_bin("verify").unwrap()
}
