//! Elementary functions against high-precision references.

use std::str::FromStr;
use std::sync::LazyLock;

use dashu::base::{Abs, SquareRoot};
use dashu::float::{DBig, FBig, round::mode::HalfEven};
use dashu::integer::IBig;

use super::super::testing::{RBig, Rng, absolute, power_of_two, rational};
use super::erf::{complement_fraction, erf_series};
use super::{ARTANH_RANGE, ARTANH_REMAINDER, ARTANH_TERMS, EXP_RANGE, EXP_REMAINDER, EXP_TERMS, Enclosure, ln_2};

type Big = FBig<HalfEven, 2>;

/// A function, its reference, and the relative radius (as a power of two) that exact arguments up to 50 get.
struct Case {
    name: &'static str,
    enclosure: fn(&Enclosure) -> Enclosure,
    truth: fn(&Big) -> Big,
    accuracy: i32,
}

const CASES: [Case; 10] = [
    Case { name: "exp", enclosure: Enclosure::exp, truth: Big::exp, accuracy: -98 },
    Case { name: "exp_m1", enclosure: Enclosure::exp_m1, truth: Big::exp_m1, accuracy: -97 },
    Case { name: "ln_1p", enclosure: Enclosure::ln_1p, truth: Big::ln_1p, accuracy: -97 },
    Case { name: "ln", enclosure: Enclosure::ln, truth: Big::ln, accuracy: -97 },
    Case { name: "tanh", enclosure: Enclosure::tanh, truth: tanh, accuracy: -97 },
    Case { name: "sigmoid", enclosure: Enclosure::sigmoid, truth: |x| one(x) / (one(x) + (-x).exp()), accuracy: -97 },
    Case { name: "softplus", enclosure: Enclosure::softplus, truth: |x| x.exp().ln_1p(), accuracy: -97 },
    Case { name: "tanh_softplus", enclosure: Enclosure::tanh_softplus, truth: |x| tanh(&x.exp().ln_1p()), accuracy: -97 },
    Case { name: "erf", enclosure: Enclosure::erf, truth: erf, accuracy: -97 },
    Case { name: "erfc", enclosure: Enclosure::erfc, truth: |x| one(x) - erf(x), accuracy: -90 },
];

/// From mpmath 1.3 with 1200 digits.
const ANCHORS: &[(&str, f64, &str)] = &[
    ("exp", 0.5, "1.64872127070012814684865078781416357165378"),
    ("exp", -2.5625, "7.71117199683167123325291948373688581051593e-2"),
    ("exp", 33.0, "2.14643579785916064624297761531260880369226e14"),
    ("exp", -50.0, "1.92874984796391778301734281652701257475283e-22"),
    ("exp", 700.0, "1.01423205473500450945532959523126761520468e304"),
    ("exp_m1", -1e-12, "-9.99999999999499979886647795942395386248578e-13"),
    ("exp_m1", -0.3, "-2.59181779318282125708391764055348015123653e-1"),
    ("exp_m1", 0.4, "4.91824697641270350950015513353237975464389e-1"),
    ("exp_m1", -9.25, "-9.99903888347938605306180181660204069128801e-1"),
    ("ln_1p", -1e-12, "-1.00000000000049997988664796256883534846541e-12"),
    ("ln_1p", -0.3, "-3.56674943938732363052309788024662597687153e-1"),
    ("ln_1p", 0.5, "4.0546510810816438197801311546434913657199e-1"),
    ("ln_1p", 7.0, "2.0794415416798359282516963643745297042265"),
    ("ln_1p", 1e+300, "6.9077552789821370525790219666051368115066e2"),
    ("ln_1p", -0.999_023_437_5, "-6.931471805599453094172321214581765680755"),
    ("ln", 3.0, "1.09861228866810969139524523692252570464749"),
    ("ln", 1e-300, "-6.90775527898213705180338344570100502908613e2"),
    ("tanh", 1e-200, "9.99999999999999982100262399082759596054412e-201"),
    ("tanh", -0.3, "-2.91312612451590895658160015769398948261722e-1"),
    ("tanh", 2.4375, "9.84845517464278379127036084654078274885274e-1"),
    ("tanh", -9.25, "-9.99999981525100846719761142643031558775544e-1"),
    ("sigmoid", -1e-12, "4.99999999999750000000000000005028338113519e-1"),
    ("sigmoid", 7.0, "9.99088948805599354642136676225305858675852e-1"),
    ("sigmoid", -9.25, "9.6102415499473948795093744759154272571964e-5"),
    ("sigmoid", -50.0, "1.92874984796391778301697080892941049115654e-22"),
    ("sigmoid", -600.0, "2.65039655300431081633867944726958270152909e-261"),
    ("softplus", -0.3, "5.5435524446852712353922559694796823472454e-1"),
    ("softplus", 0.5, "9.74076984180106680872997355081170749755596e-1"),
    ("softplus", 33.0, "3.3000000000000004658886145103386511574189e1"),
    ("softplus", -50.0, "1.92874984796391778301715681272821153295468e-22"),
    ("tanh_softplus", 0.5, "7.50490422609790209637124826798559765135712e-1"),
    ("tanh_softplus", -0.3, "5.03777257127781910479669100500120620490835e-1"),
    ("tanh_softplus", 7.0, "9.99998339972820208577455325792029392492251e-1"),
    ("tanh_softplus", -50.0, "1.92874984796391778301715681272821153295468e-22"),
    ("erf", 1e-200, "1.12837916709551255369846789777032099841577e-200"),
    ("erf", 0.5, "5.20499877813046537682746653891964528736452e-1"),
    ("erf", -2.4375, "-9.99433456745419835093549283298837308077849e-1"),
    ("erf", 2.5625, "9.99709831138326593925835995213789181188324e-1"),
    ("erf", -7.0, "-9.99999999999999999999958161743922205856014e-1"),
    ("erfc", 0.5, "4.79500122186953462317253346108035471263548e-1"),
    ("erfc", 2.4375, "5.66543254580164906450716701162691922151124e-4"),
    ("erfc", 2.5625, "2.90168861673406074164004786210818811676161e-4"),
    ("erfc", 7.0, "4.18382560777941439861401022389993225002962e-23"),
    ("erfc", 26.0, "5.66319240885614284647572789692609258032878e-296"),
    ("erfc", -9.25, "1.9999999999999999999999999999999999999958"),
];

fn one(like: &Big) -> Big {
    Big::ONE.with_precision(like.precision()).value()
}

fn tanh(x: &Big) -> Big {
    let m = (x * Big::from(2)).exp_m1();
    &m / (&m + Big::from(2))
}

/// π to 5000 bits, by Machin's formula.
static PI: LazyLock<Big> = LazyLock::new(|| {
    let tiny = Big::from_parts(1.into(), -5000);
    let arctangent = |inverse: i32| {
        let mut power = Big::ONE.with_precision(5000).value() / Big::from(inverse);
        let mut sum = power.clone();
        for n in 1.. {
            power = -power / Big::from(inverse * inverse);
            sum += &power / Big::from(2 * n + 1);
            if power.clone().abs() < tiny {
                break;
            }
        }
        sum
    };
    arctangent(5) * Big::from(16) - arctangent(239) * Big::from(4)
});

/// 2x/√π·Σ (−1)ⁿx²ⁿ/(n!(2n + 1)), the sum in fixed point; ±1 beyond 30.
fn erf(x: &Big) -> Big {
    if x.to_f64().value().abs() > 30.0 {
        return if *x > Big::ZERO { one(x) } else { -one(x) };
    }
    let bits = x.precision();
    let square = (RBig::try_from(x * x).unwrap() * power_of_two(bits as i32)).floor();
    let mut term = IBig::ONE << bits;
    let mut sum = term.clone();
    for n in 1.. {
        term = -((term * &square) >> bits) / n;
        sum += &term / (2 * n + 1);
        if term.clone().abs() <= IBig::ONE {
            break;
        }
    }
    let root = PI.clone().with_precision(bits).value().sqrt();
    x * Big::from_parts(sum, 1 - bits as isize) / root
}

/// Whether `value`, known to a relative 2⁻³⁰⁰, is a member; an invalid enclosure contains everything.
fn contains(x: &Enclosure, value: &RBig) -> bool {
    !x.is_valid() || {
        let distance = absolute(value - rational(x.hi()) - rational(x.lo()));
        distance <= rational(x.radius()) + absolute(value.clone()) * power_of_two(-300)
    }
}

/// With the bits that the reference needs: erf's series cancels 2.9x² bits, and erfc(x) is down to 2^(−1.45x²).
fn truth(case: &Case, x: &RBig) -> RBig {
    let size = if case.name.starts_with("erf") { x.to_f64_fast().abs().min(30.0) } else { 0.0 };
    let bits = 400 + (4.5 * size * size) as usize;
    let argument = x.to_float(bits).value().with_precision(bits).value();
    RBig::try_from((case.truth)(&argument)).unwrap()
}

fn defined(case: &Case, x: &RBig) -> bool {
    match case.name {
        "ln" => *x > RBig::ZERO,
        "ln_1p" => *x > -RBig::ONE,
        _ => true,
    }
}

/// The references do not take 0.
fn referenced(case: &Case, x: &RBig) -> bool {
    defined(case, x) && *x != RBig::ZERO
}

/// Members at both ends, the middle and in between.
fn members(x: &Enclosure, rng: &mut Rng) -> [RBig; 4] {
    let mid = rational(x.hi()) + rational(x.lo());
    let radius = rational(x.radius());
    [&mid - &radius, &mid + &radius, &mid + &radius * rational(rng.uniform()), mid]
}

#[test]
fn references_of_mpmath_are_enclosed_tightly() {
    for &(name, x, digits) in ANCHORS {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        let value = RBig::try_from(DBig::from_str(digits).unwrap()).unwrap();
        let rounding = absolute(value.clone()) * RBig::try_from(DBig::from_str("1e-41").unwrap()).unwrap();
        let result = (case.enclosure)(&Enclosure::exact(x));
        let radius = rational(result.radius());
        let mid = rational(result.hi()) + rational(result.lo());
        assert!(absolute(&value - mid) <= &radius + &rounding, "{name} {x}: {result:?}");
        assert!(radius <= absolute(value.clone()) * power_of_two(-90), "{name} {x}: {result:?}");
        assert!(absolute(truth(case, &rational(x)) - value) <= rounding, "{name} {x}: the other reference differs");
    }
}

#[test]
fn exact_arguments_are_enclosed_tightly() {
    let mut rng = Rng::new(31);
    for case in &CASES {
        let mut worst = f64::NEG_INFINITY;
        for round in 0..160 {
            let hi = match round % 4 {
                0 => 50.0 * rng.uniform(),
                1 => 3.0 * rng.uniform(),
                2 => rng.spread(-40, 5),
                _ => (50.0 * rng.uniform()).round() / 2.0,
            };
            let x = Enclosure::from_parts(hi, hi * rng.uniform() * 1e-17, 0.0);
            if !defined(case, &rational(x.lower())) {
                continue;
            }
            let exact = rational(x.hi()) + rational(x.lo());
            let (result, value) = ((case.enclosure)(&x), truth(case, &exact));
            assert!(contains(&result, &value), "{} {x:?}: {result:?}", case.name);
            assert!(result.is_valid(), "{} {x:?}", case.name);
            if value != RBig::ZERO && absolute(value.clone()) > power_of_two(-900) {
                let relative = (rational(result.radius()) / absolute(value)).to_f64_fast().log2();
                worst = worst.max(relative);
                assert!(relative <= f64::from(case.accuracy), "{} {x:?}: {result:?}", case.name);
            }
        }
        println!("{}: 2^{worst:.1}", case.name);
    }
}

#[test]
fn every_member_of_an_argument_is_enclosed() {
    let mut rng = Rng::new(32);
    for case in &CASES {
        for _ in 0..80 {
            let hi = if rng.below(2) == 0 { 30.0 * rng.uniform() } else { rng.spread(-30, 6) };
            let radius = rng.spread(-110, 5).abs();
            let x = Enclosure::from_parts(hi, hi * rng.uniform() * 1e-17, radius);
            let result = (case.enclosure)(&x);
            for member in members(&x, &mut rng) {
                if defined(case, &member) {
                    let value = truth(case, &member);
                    assert!(contains(&result, &value), "{} {x:?}: {result:?}", case.name);
                } else {
                    assert!(!result.is_valid(), "{} {x:?}", case.name);
                }
            }
        }
    }
}

/// At most four times as wide as the range.
#[test]
fn arguments_with_a_radius_are_enclosed_sharply() {
    for case in CASES.iter().filter(|case| !case.name.starts_with("ln")) {
        for (x, radius) in
            [(-1.5, 1e-3), (-20.0, 1e-7), (0.0, 1e-9), (0.3, 1e-6), (2.0, 0.5), (3.0, 1e-25), (0.25, 1e-20), (5.0, 7.0)]
        {
            let result = (case.enclosure)(&Enclosure::from_parts(x, 0.0, radius));
            let ends = [-1.0, 1.0].map(|sign| truth(case, &(rational(x) + rational(sign * radius))));
            let range = absolute(&ends[0] - &ends[1]);
            let rest = absolute(ends[0].clone()) * power_of_two(-50) * rational(radius.min(1.0));
            let bound = (range + rest) * rational(2.0) + absolute(ends[0].clone()) * power_of_two(-90);
            assert!(rational(result.radius()) <= bound, "{} {x} {radius}: {result:?}", case.name);
        }
    }
}

#[test]
fn extreme_arguments_stay_sound() {
    let ordinary = [0.0, -0.0, 709.7, 709.782, 709.79, 711.5, 744.4, 745.2, 747.5, 1e3, 26.6, 27.9, 28.1, 399.9, 400.1, 2e3];
    let thresholds =
        [0.375, 0.346_573_590_279_972_64, 0.41, 0.29, 2.5, 2.5_f64.next_up(), 2.5_f64.next_down(), 1e-320, 5e-324, 1e-300];
    let mut rng = Rng::new(33);
    for case in &CASES {
        for &size in ordinary.iter().chain(&thresholds) {
            for (x, radius) in [(size, 0.0), (-size, 0.0), (size, 1e-20), (-size, 1e-20), (-size, 0.7)] {
                let x = Enclosure::from_parts(x, 0.0, radius);
                let result = (case.enclosure)(&x);
                for member in members(&x, &mut rng) {
                    assert!(
                        !referenced(case, &member) || contains(&result, &truth(case, &member)),
                        "{} {x:?} {result:?}",
                        case.name
                    );
                }
            }
        }
    }
}

#[test]
fn saturation_and_overflow() {
    for huge in [1e3, 1e17, 1e200, f64::MAX] {
        let x = Enclosure::exact(huge);
        assert!(!x.exp().is_valid() && !x.exp_m1().is_valid());
        assert!((-x).exp().magnitude() < 1e-300 && (-x).softplus().magnitude() < 1e-300);
        for limit in [x.tanh(), x.erf(), x.sigmoid(), x.tanh_softplus(), x.softsign()] {
            assert!(limit.lower() >= 0.999 && limit.upper() <= 1.0_f64.next_up(), "{huge}: {limit:?}");
        }
        for limit in [(-x).sigmoid(), (-x).tanh_softplus(), x.erfc()] {
            assert!(limit.magnitude() < 1e-300, "{huge}: {limit:?}");
        }
        assert!((-x).erfc().lower() >= 1.999 && (-x).tanh().upper() <= -0.999);
        assert!(x.softplus().lower() >= huge.next_down() && x.softplus().upper() <= huge.next_up());
        let wide = Enclosure::from_bounds(-huge, huge);
        assert!(wide.tanh().magnitude() <= 1.000_001 && wide.sigmoid().upper() <= 1.000_001);
        assert!(wide.tanh().upper() >= 1.0 && wide.tanh().lower() <= -1.0 && !wide.exp().is_valid());
    }
    assert!(Enclosure::exact(709.7).exp().is_valid() && !Enclosure::exact(709.79).exp().is_valid());
    let everything = Enclosure::from_parts(f64::MAX, 0.0, f64::MAX);
    for case in &CASES {
        assert!(!(case.enclosure)(&Enclosure::INVALID).is_valid(), "{}", case.name);
        assert!(!(case.enclosure)(&everything).is_valid(), "{}", case.name);
    }
    assert!(!Enclosure::INVALID.softsign().is_valid());
    for outside in [-1.0, -2.0, f64::MIN] {
        assert!(!Enclosure::exact(outside).ln_1p().is_valid());
    }
    let nearly = Enclosure::exact((-1.0_f64).next_up()).ln_1p();
    assert!(nearly.lower() > -36.8 && nearly.upper() < -36.7);
}

/// Cut off far too early, both expansions of the error function still know what they left out.
#[test]
fn remainders_of_the_error_function_hold() {
    for x in [0.01, 0.3, 0.9, 1.5, 2.4] {
        let argument = rational(x).to_float(600).value();
        let growth = (&argument * &argument).exp();
        let value = RBig::try_from(erf(&argument) * &growth).unwrap();
        for accuracy in [0, -3, -10, -30, -60] {
            let result = erf_series(Enclosure::exact(x), accuracy);
            assert!(result.is_valid() && contains(&result, &value), "{x} {accuracy}: {result:?}");
        }
        let value = RBig::try_from((one(&argument) - erf(&argument)) * growth * PI.sqrt()).unwrap();
        for steps in [0, 1, 2, 3, 10, 31] {
            let result = complement_fraction(Enclosure::exact(x), steps);
            assert!(result.is_valid() && contains(&result, &value), "{x} {steps}: {result:?}");
        }
    }
}

#[test]
fn zero_is_mapped_exactly() {
    let zero = Enclosure::ZERO;
    assert_eq!(zero.exp(), Enclosure::ONE);
    for value in [zero.exp_m1(), zero.ln_1p(), zero.tanh(), zero.erf(), zero.softsign()] {
        assert_eq!(value, zero);
    }
    assert_eq!(zero.erfc(), Enclosure::ONE);
    assert_eq!(zero.sigmoid(), Enclosure::exact(0.5));
}

#[test]
fn softsign_is_enclosed() {
    let mut rng = Rng::new(34);
    for _ in 0..1_000 {
        let x = Enclosure::from_parts(rng.spread(-40, 40), 0.0, if rng.below(2) == 0 { 0.0 } else { rng.spread(-100, 8).abs() });
        let result = x.softsign();
        for member in members(&x, &mut rng) {
            assert!(contains(&result, &(&member / (RBig::ONE + absolute(member.clone())))), "{x:?}: {result:?}");
        }
    }
}

#[test]
fn stated_remainders_and_constants_hold() {
    let power = |x: f64, n: usize| (0..n).fold(RBig::ONE, |product, _| product * rational(x));
    let factorial = (1..=EXP_TERMS + 1).fold(RBig::ONE, |product, n| product * RBig::from(n));
    assert!(RBig::from(2) * power(EXP_RANGE, EXP_TERMS) / factorial < rational(EXP_REMAINDER));
    let geometric = RBig::from(2 * ARTANH_TERMS + 1) * (RBig::ONE - power(ARTANH_RANGE, 2));
    assert!(RBig::from(2) * power(ARTANH_RANGE, 2 * ARTANH_TERMS) / geometric < rational(ARTANH_REMAINDER));
    // ln 2 = 2·artanh(1/3): 60 terms, and a remainder below the next.
    let third = RBig::ONE / RBig::from(3);
    let terms = (0..60).map(|n| RBig::from(2) * (0..=2 * n).fold(RBig::ONE, |p, _| p * &third) / RBig::from(2 * n + 1));
    let logarithm = terms.fold(RBig::ZERO, |sum, term| sum + term);
    let slack = power_of_two(-150);
    let distance = absolute(logarithm - rational(ln_2().hi()) - rational(ln_2().lo()));
    assert!(distance + slack < rational(ln_2().radius()));
}
