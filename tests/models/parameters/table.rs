//! Graphs by hand: every place that freezes a constant, behind every kind of chain. A failure names both.

use nnverify::kernel::model::onnx::load_bytes;
use prost::Message;

use super::claims::compare;
use super::differences::Question;
use super::oracle::Program;
use super::random::Random;
use super::text;

/// A way from the tensor `c` of the file to a number `m` without axes, for a wanted value of it.
struct Chain {
    name: &'static str,
    /// Whether a comparison of constants understands it: arithmetic and elements of tensors with other uses are nodes there.
    compared: bool,
    text: fn(f32) -> String,
}

const fn chain(name: &'static str, text: fn(f32) -> String) -> Chain {
    Chain { name, compared: false, text }
}

const CHAINS: &[Chain] = &[
    Chain { name: "nothing", compared: true, text: |v| format!("c = {v}; m = Identity(c)") },
    Chain { name: "Dropout", compared: true, text: |v| format!("c = {v}; m = Dropout(c)") },
    Chain { name: "Cast", compared: true, text: |v| format!("c = {v}; ce = Cast(c) {{to=11}}; m = Cast(ce) {{to=1}}") },
    Chain { name: "Constant", compared: true, text: |v| format!("constant c = {v}; m = Identity(c)") },
    chain("Reshape", |v| format!("c[1] = {v}; ck[0]: int = ; m = Reshape(c, ck)")),
    chain("Flatten", |v| format!("c[1] = {v}; ce = Flatten(c) {{axis=0}}; ck[2]: int = 0 1; m = Squeeze(ce, ck)")),
    chain("Squeeze", |v| format!("c[1,1] = {v}; m = Squeeze(c)")),
    chain("Unsqueeze", |v| format!("c = {v}; ck[1]: int = 0; ce = Unsqueeze(c, ck); m = Squeeze(ce)")),
    chain("Slice", |v| format!("c[3] = 0.3 {v} 0.7; ca[1]: int = 1; cb[1]: int = 2; ce = Slice(c, ca, cb); m = Squeeze(ce)")),
    chain("Gather", |v| format!("c[2,2] = 0.3 0.4 {v} 0.7; ci: int = 1; cj: int = 0; ce = Gather(c, ci); m = Gather(ce, cj)")),
    chain("Split", |v| format!("c[2] = 0.3 {v}; ce, cf = Split(c) {{axis=0}}; m = Squeeze(cf)")),
    chain("Transpose", |v| format!("c[1,2] = 0.3 {v}; ce = Transpose(c); ci: int = 1; cf = Gather(ce, ci); m = Squeeze(cf)")),
    chain("Concat", |v| format!("c[1] = {v}; cd[1] = 0.3; ce = Concat(cd, c) {{axis=0}}; ci: int = 1; m = Gather(ce, ci)")),
    chain("Expand", |v| {
        format!("c = {v}; ck[2]: int = 2 1; ce = Expand(c, ck); ci: int = 1; cf = Gather(ce, ci); m = Squeeze(cf)")
    }),
    chain("Tile", |v| format!("c[1] = {v}; ck[1]: int = 3; ce = Tile(c, ck); ci: int = 2; m = Gather(ce, ci)")),
    chain("Pad", |v| format!("c[1] = {v}; ck[2]: int = 1 1; ce = Pad(c, ck); ci: int = 1; m = Gather(ce, ci)")),
    chain("Pad, of the value", |v| {
        format!("cd[1] = 0.3; c = {v}; ck[2]: int = 0 1; ce = Pad(cd, ck, c); ci: int = 1; m = Gather(ce, ci)")
    }),
    chain("Where", |v| {
        format!("c[2] = 0.3 {v}; cd = 0.2; cl[2]: bool = 0 1; ce = Where(cl, c, cd); ci: int = 1; m = Gather(ce, ci)")
    }),
    chain("Add", |v| format!("c = {}; cd = 0.5; m = Add(c, cd)", v - 0.5)),
    chain("Sub", |v| format!("c = {}; cd = 1; m = Sub(cd, c)", 1.0 - v)),
    chain("Sum", |v| format!("c = {}; cd = 0.5; m = Sum(c, cd)", v - 0.5)),
    chain("Mul", |v| format!("c = {}; cd = 2; m = Mul(c, cd)", v / 2.0)),
    chain("Div", |v| format!("c = {}; cd = 2; m = Div(c, cd)", v * 2.0)),
    chain("Div, of the divisor", |v| format!("c = 0.5; cd = {}; m = Div(cd, c)", v / 2.0)),
    chain("Neg", |v| format!("c = {}; m = Neg(c)", -v)),
    chain("Abs", |v| format!("c = {}; m = Abs(c)", -v)),
    chain("Sqrt", |v| format!("c = {}; m = Sqrt(c)", v * v)),
    chain("several", |v| {
        format!(
            "c[2,2] = 0.3 {} 0.2 0.7; ce = Transpose(c); cf = Neg(ce); ck[1]: int = -1; ci = Reshape(cf, ck); ca[1]: int = 2; \
             cb[1]: int = 3; cj = Slice(ci, ca, cb); cd[1] = 1; cl = Concat(cj, cd) {{axis=0}}; cn, co = Split(cl) {{axis=0}}; \
             cq = Identity(cn); m = Squeeze(cq)",
            -v
        )
    }),
    chain("Max", |v| format!("c = {v}; cd = {}; m = Max(cd, c)", v - 1.0)),
    chain("Min", |v| format!("c = {v}; cd = {}; m = Min(c, cd)", v + 1.0)),
    chain("Floor", |v| {
        format!("c = {}; cd = 0.25; ce = Sub(c, cd); cf = Floor(ce); cg = Sub(ce, cf); m = Add(cf, cg)", v + 0.25)
    }),
    chain("Pow", |v| format!("c = {v}; cd = 1; m = Pow(c, cd)")),
];

/// A place that reads the number `m`, and makes a row `g` of two elements of the row `h`.
struct Place {
    name: &'static str,
    value: f32,
    /// The operator that freezes; none where derivatives follow the number.
    by: Option<&'static str>,
    /// Whether it compares constants.
    compares: bool,
    text: &'static str,
}

const fn place(name: &'static str, value: f32, by: &'static str, text: &'static str) -> Place {
    Place { name, value, by: Some(by), compares: false, text }
}

const fn followed(name: &'static str, value: f32, text: &'static str) -> Place {
    Place { name, value, by: None, compares: false, text }
}

const fn compared(name: &'static str, value: f32, by: &'static str, text: &'static str) -> Place {
    Place { name, value, by: Some(by), compares: true, text }
}

/// Everything of a Householder activation but the choice between its sides `a`, `b` and `r1`, `r2`.
macro_rules! reflection {
    ($angles:literal, $choice:literal) => {
        concat!(
            $angles,
            "; sp = Sin(phi); cp = Cos(phi); st = Sin(theta); ct = Cos(theta); a, b = Split(h) {axis=1}; ",
            "u1 = Mul(a, sp); u2 = Mul(b, cp); u = Sub(u1, u2); p1 = Mul(a, ct); p2 = Mul(b, st); r1 = Add(p1, p2); ",
            "p3 = Mul(a, st); p4 = Mul(b, ct); r2 = Sub(p3, p4); ",
            $choice,
            "; g = Concat(o1, o2) {axis=1}"
        )
    };
}

const PLACES: &[Place] = &[
    place("Clip, min", 0.5, "Clip", "g = Clip(h, m)"),
    place("Clip, max", 0.5, "Clip", "g = Clip(h, _, m)"),
    place("Clip, min beside max", 0.5, "Clip", "top = 8; g = Clip(h, m, top)"),
    place("Clip, max beside min", 0.5, "Clip", "low = -8; g = Clip(h, low, m)"),
    place("hard swish, 3", 3.0, "Mul", "low = 0; top = 6; r = Add(h, m); s = Clip(r, low, top); g = Mul(h, s)"),
    place("hard swish, 0", 0.0, "Clip", "three = 3; top = 6; r = Add(h, three); s = Clip(r, m, top); g = Mul(h, s)"),
    place("hard swish, 6", 6.0, "Clip", "three = 3; low = 0; r = Add(three, h); s = Clip(r, low, m); g = Mul(s, h)"),
    place("erf gate, 1", 1.0, "Mul", "two = 2; q = Div(h, two); r = Erf(q); s = Add(r, m); g = Mul(h, s)"),
    place("erf gate, divisor", 1.5, "Mul", "one = 1; q = Div(h, m); r = Erf(q); s = Add(one, r); g = Mul(s, h)"),
    place("erf gate, factor", 0.5, "Mul", "one = 1; q = Mul(h, m); r = Erf(q); s = Add(one, r); g = Mul(s, h)"),
    place("Pow, exponent", 2.0, "Pow", "g = Pow(h, m)"),
    place("Pow, broken exponent", 1.5, "Pow", "q = Softplus(h); g = Pow(q, m)"),
    place("Cast, index", 1.0, "Cast", "k[1]: int = -1; i = Cast(m) {to=7}; j = Reshape(i, k); g = Gather(h, j) {axis=1}"),
    place(
        "Cast, twice",
        1.0,
        "Cast",
        "i = Cast(m) {to=6}; k = Cast(i) {to=7}; q = Gather(h, k) {axis=1}; n: int = 2; \
                                       l[1]: int = -1; s = Reshape(q, l); g = Concat(s, s) {axis=0}",
    ),
    place("Cast, bool", 1.0, "Cast", "t = Cast(m) {to=9}; zero = 0.25; g = Where(t, h, zero)"),
    place("Cast, shape", 2.0, "Cast", "k[1]: int = 1; i = Cast(m) {to=7}; j = Reshape(i, k); g = Reshape(h, j)"),
    place(
        "Cast, Expand",
        2.0,
        "Cast",
        "i = Cast(m) {to=7}; k[1]: int = 1; j = Reshape(i, k); q = ReduceSum(h); g = Expand(q, j)",
    ),
    place(
        "Cast, Tile",
        2.0,
        "Cast",
        "k[1]: int = 1; i = Cast(m) {to=7}; l = Reshape(i, k); n = Concat(k, l) {axis=0}; \
                                      q = ReduceSum(h); g = Tile(q, n)",
    ),
    place(
        "Cast, Pad",
        1.0,
        "Cast",
        "k[1]: int = 1; l[3]: int = 0 -1 0; i = Cast(m) {to=7}; n = Reshape(i, k); \
                                     p = Concat(l, n) {axis=0}; g = Pad(h, p)",
    ),
    place(
        "Cast, Slice",
        1.0,
        "Cast",
        "k[1]: int = 1; e9[1]: int = 2; i = Cast(m) {to=7}; n = Reshape(i, k); \
                                       q = Slice(h, n, e9, k); g = Concat(q, q) {axis=1}",
    ),
    place(
        "Cast, Split",
        1.0,
        "Cast",
        "k[1]: int = 1; i = Cast(m) {to=7}; n = Reshape(i, k); p = Concat(n, n) {axis=0}; \
                                       q, r = Split(h, p) {axis=1}; g = Concat(r, q) {axis=1}",
    ),
    place("Cast, TopK", 2.0, "Cast", "k[1]: int = 1; i = Cast(m) {to=7}; n = Reshape(i, k); g, r = TopK(h, n) {axis=1}"),
    place("Cast, axes", 1.0, "Cast", "k[1]: int = 1; i = Cast(m) {to=7}; n = Reshape(i, k); g = ReduceSum(h, n)"),
    place(
        "Cast, Range",
        2.0,
        "Cast",
        "i = Cast(m) {to=7}; s: int = 0; l: int = 1; n = Range(s, i, l); g = Gather(h, n) {axis=1}",
    ),
    place("Cast, training", 0.0, "Cast", "t = Cast(m) {to=9}; q = 0.5; k[1]: int = 1; n = Reshape(t, k); g = Dropout(h, q, n)"),
    compared("Equal", 1.0, "Equal", "one = 1; q = 0.25; t = Equal(m, one); g = Where(t, h, q)"),
    compared("Less", 1.0, "Less", "one = 1; q = 0.25; t = Less(m, one); g = Where(t, q, h)"),
    compared("LessOrEqual", 1.0, "LessOrEqual", "one = 1; q = 0.25; t = LessOrEqual(one, m); g = Where(t, h, q)"),
    compared("Greater", 1.0, "Greater", "one = 1; q = 0.25; t = Greater(one, m); n = Not(t); g = Where(n, h, q)"),
    compared(
        "GreaterOrEqual",
        1.0,
        "GreaterOrEqual",
        "one = 1; q = 0.25; t = GreaterOrEqual(m, one); o = Or(t, t); g = Where(o, h, q)",
    ),
    place(
        "Householder, φ by Where",
        0.5,
        "Where",
        reflection!("phi = Identity(m); theta = 1; zero = 0", "t = Greater(u, zero); o1 = Where(t, r1, a); o2 = Where(t, r2, b)"),
    ),
    place(
        "Householder, θ by Where",
        1.0,
        "Where",
        reflection!(
            "phi = 0.5; theta = Identity(m); zero = 0",
            "t = LessOrEqual(u, zero); o1 = Where(t, a, r1); o2 = Where(t, b, r2)"
        ),
    ),
    place(
        "Householder, 0",
        0.0,
        "Greater",
        reflection!("phi = 0.5; theta = 1", "t = Greater(u, m); o1 = Where(t, r1, a); o2 = Where(t, r2, b)"),
    ),
    place(
        "Householder, θ by indicators",
        1.0,
        "Add",
        reflection!(
            "phi = 0.5; theta = Identity(m); zero = 0; one = 1",
            "t = Greater(u, zero); s = Cast(t) {to=1}; n = Sub(one, s); q1 = Mul(s, r1); q2 = Mul(n, a); o1 = Add(q1, q2); \
             q3 = Mul(r2, s); q4 = Mul(b, n); o2 = Add(q3, q4)"
        ),
    ),
    place(
        "Householder, 1 of the other side",
        1.0,
        "Sub",
        reflection!(
            "phi = 0.5; theta = 1; zero = 0",
            "t = Greater(u, zero); s = Cast(t) {to=1}; n = Sub(m, s); q1 = Mul(s, r1); q2 = Mul(n, a); o1 = Add(q1, q2); \
             q3 = Mul(r2, s); q4 = Mul(b, n); o2 = Add(q3, q4)"
        ),
    ),
    followed("Silu, factor", 1.5, "q = Mul(h, m); r = Sigmoid(q); g = Mul(h, r)"),
    followed("Silu, divisor", 1.5, "q = Div(h, m); r = Sigmoid(q); g = Mul(r, h)"),
    followed(
        "erf gate, factor outside",
        0.5,
        "two = 2; one = 1; q = Div(h, two); r = Erf(q); s = Add(r, one); t = Mul(s, m); g = Mul(h, t)",
    ),
    followed(
        "hard swish, factor outside",
        0.5,
        "a = 3; low = 0; top = 6; r = Add(h, a); s = Clip(r, low, top); t = Div(s, m); g = Mul(h, t)",
    ),
    followed("Clip, rounded", 0.5, "s = Tanh(m); g = Clip(h, _, s)"),
    followed("Max", 0.5, "g = Max(h, m)"),
    followed("PRelu", 0.5, "g = PRelu(h, m)"),
    followed("Pad, value", 0.5, "k[4]: int = 0 -1 0 1; g = Pad(h, k, m)"),
    followed("Where, value", 0.5, "t[2]: bool = 0 1; g = Where(t, h, m)"),
    followed("Div", 0.5, "g = Div(h, m)"),
    followed("Dropout, ratio", 0.5, "g = Dropout(h, m)"),
];

/// What every graph begins and ends with: `c` has an ordinary use too.
fn whole(place: &Place, chain: &Chain) -> String {
    let chain = (chain.text)(place.value);
    format!(
        "w[1,2] = 1.25 -0.75; h = Mul(x, w); {chain}; {}; v = 0.75; z = Mul(g, v); s0 = ReduceSum(c) {{keepdims=0}}; \
         y = Add(z, s0)",
        place.text
    )
}

#[test]
fn every_place_freezes_behind_every_chain() {
    let (mut graphs, mut faults) = (0, Vec::new());
    for place in PLACES {
        for chain in CHAINS {
            let name = format!("{} behind {}", place.name, chain.name);
            let model = text::read(&whole(place, chain), 18, 2);
            let bytes = model.encode_to_vec();
            let program = Program::of(&model).unwrap();
            let inputs = vec![vec![0.9, -0.8], vec![-0.7, -1.1]];
            let outputs = program.output(&program.run(&inputs[0]).unwrap()).unwrap().len();
            let question = Question {
                program,
                inputs,
                loss: nnverify::kernel::proof::LossName::Mse,
                labels: Vec::new(),
                targets: vec![vec![0.25, -0.5][..outputs].to_vec(); 2],
                softmax: false,
            };
            let loaded = match load_bytes(&bytes) {
                Ok(loaded) => loaded,
                Err(_) if place.compares && !chain.compared => continue,
                Err(error) => panic!("{name}: {error}\n{}", text::write(&model)),
            };
            let tally = compare(&name, &bytes, &question, &mut Random::new(graphs));
            assert!(tally.loaded == 1, "{name} was not compared");
            faults.extend(tally.faults);
            let tensor = loaded.tensors.iter().find(|tensor| tensor.name == "c").unwrap_or_else(|| panic!("{name}: no `c`"));
            let by = tensor.frozen_by.as_ref().map(|by| by.operator.as_str());
            // A chain through Pow reads an exponent, not `c`; through nothing else is anything frozen.
            if by != place.by {
                faults.push(format!("{name}: `c` is frozen by {by:?}"));
            }
            for free in ["w", "v"] {
                let tensor = loaded.tensors.iter().find(|tensor| tensor.name == free).unwrap();
                assert!(tensor.is_differentiable(), "{name}: `{free}`");
            }
            graphs += 1;
        }
    }
    println!("{graphs} graphs of {} places and {} chains", PLACES.len(), CHAINS.len());
    faults.iter().for_each(|fault| println!("{fault}"));
    assert!(faults.is_empty() && graphs as usize > 40 * CHAINS.len(), "{} faults in {graphs} graphs", faults.len());
}
