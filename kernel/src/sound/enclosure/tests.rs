//! Enclosures against exact rationals.

use super::super::testing::{RBig, Rng, absolute, power_of_two, rational};
use super::Enclosure;

/// An enclosure together with the extreme and central members, exactly.
fn members(x: &Enclosure) -> [RBig; 3] {
    let mid = rational(x.hi()) + rational(x.lo());
    let radius = rational(x.radius());
    [&mid - &radius, mid.clone(), &mid + &radius]
}

fn contains(x: &Enclosure, value: &RBig) -> bool {
    !x.is_valid() || {
        let mid = rational(x.hi()) + rational(x.lo());
        absolute(value - mid) <= rational(x.radius())
    }
}

/// A random enclosure of ordinary magnitude: exact, double-double, or with a radius.
fn ordinary(rng: &mut Rng) -> Enclosure {
    let hi = rng.spread(-30, 30);
    match rng.below(3) {
        0 => Enclosure::exact(hi),
        1 => Enclosure::from_parts(hi, hi * rng.uniform() * 1e-16, 0.0),
        _ => Enclosure::from_parts(hi, hi * rng.uniform() * 1e-16, hi.abs() * rng.spread(-100, 2).abs()),
    }
}

/// Anything finite.
fn nasty(rng: &mut Rng) -> Enclosure {
    let low = if rng.below(2) == 0 { 0.0 } else { rng.nasty() };
    let radius = if rng.below(2) == 0 { 0.0 } else { rng.nasty() };
    Enclosure::from_parts(rng.nasty(), low, radius.abs())
}

#[test]
fn arithmetic_encloses_every_combination_of_members() {
    let mut rng = Rng::new(11);
    let mut valid = 0;
    for round in 0..1_500 {
        let (a, b) = if round % 2 == 0 { (ordinary(&mut rng), ordinary(&mut rng)) } else { (nasty(&mut rng), nasty(&mut rng)) };
        if !(a.is_valid() && b.is_valid()) {
            continue;
        }
        let (sum, difference, product, quotient) = (a + b, a - b, a * b, a / b);
        valid += usize::from(quotient.is_valid());
        for x in members(&a) {
            for y in members(&b) {
                assert!(contains(&sum, &(&x + &y)), "{a:?} + {b:?}");
                assert!(contains(&difference, &(&x - &y)), "{a:?} - {b:?}");
                assert!(contains(&product, &(&x * &y)), "{a:?} * {b:?}");
                if y != RBig::ZERO {
                    assert!(contains(&quotient, &(&x / &y)), "{a:?} / {b:?}");
                }
            }
        }
        for result in [sum, difference, product, quotient] {
            assert!(!result.is_valid() || result.hi() == result.hi() + result.lo());
        }
    }
    assert!(valid > 500);
}

/// Exponents over the whole range, parts and radii too: what underflows is in the radius, and where nothing does the result
/// says something.
#[test]
fn no_magnitude_escapes() {
    let mut rng = Rng::new(17);
    let (mut valid, mut narrow) = (0, 0);
    let any = |rng: &mut Rng| {
        let hi = if rng.below(10) == 0 { rng.nasty() } else { rng.spread(-1074, 1023) };
        let lo = if rng.below(2) == 0 { 0.0 } else { hi * rng.uniform() * 1e-16 };
        let radius = if rng.below(3) > 0 { 0.0 } else { rng.spread(-1074, 900).abs() };
        Enclosure::from_parts(hi, lo, radius)
    };
    for _ in 0..6_000 {
        let (a, b) = (any(&mut rng), any(&mut rng));
        if !(a.is_valid() && b.is_valid()) {
            continue;
        }
        let results = [a + b, a - b, a * b, a / b, a.square(), b.reciprocal(), a.abs().sqrt()];
        for x in members(&a) {
            for y in members(&b) {
                assert!(contains(&results[0], &(&x + &y)), "{a:?} + {b:?}");
                assert!(contains(&results[1], &(&x - &y)), "{a:?} - {b:?}");
                assert!(contains(&results[2], &(&x * &y)), "{a:?} * {b:?}");
                if y != RBig::ZERO {
                    assert!(contains(&results[3], &(&x / &y)), "{a:?} / {b:?}");
                    assert!(contains(&results[5], &(RBig::ONE / &y)), "1 / {b:?}");
                }
            }
            assert!(contains(&results[4], &(&x * &x)), "{a:?} squared");
            let root = results[6];
            if root.is_valid() && x >= RBig::ZERO {
                let [low, _, high] = members(&root);
                let at_least = |bound: &RBig| *bound <= RBig::ZERO || bound * bound <= x;
                assert!(at_least(&low) && &high * &high >= x && high >= RBig::ZERO, "√{a:?}");
            }
        }
        for result in results {
            valid += usize::from(result.is_valid());
            narrow += usize::from(result.is_valid() && result.radius() <= 1e-25 * result.hi().abs());
        }
    }
    assert!(valid > 20_000 && narrow > 10_000, "{valid} {narrow}");
}

#[test]
fn exact_operands_lose_little() {
    let mut rng = Rng::new(12);
    for _ in 0..2_000 {
        let mut pick = || {
            let hi = rng.spread(-30, 30);
            Enclosure::from_parts(hi, hi * rng.uniform() * 1e-16, 0.0)
        };
        let (a, b) = (pick(), pick());
        let small = 2.0_f64.powi(-100);
        assert!((a * b).radius() <= small * (a * b).hi().abs());
        assert!((a / b).radius() <= small * (a / b).hi().abs());
        assert!((a + b).radius() <= small * (a.hi().abs() + b.hi().abs()));
        let root = a.abs().sqrt();
        assert!(root.radius() <= small * root.hi());
    }
}

#[test]
fn representable_results_are_exact() {
    let mut rng = Rng::new(13);
    for _ in 0..2_000 {
        let a = rng.below(1 << 26) as f64 - 3e7;
        let b = (1 + rng.below(1 << 26)) as f64;
        let (x, y) = (Enclosure::exact(a), Enclosure::exact(b));
        assert_eq!((x + y).to_f64_exact(), Some(a + b));
        assert_eq!((x - y).to_f64_exact(), Some(a - b));
        assert_eq!((x * y).to_f64_exact(), Some(a * b));
        assert_eq!(((x * y) / y).to_f64_exact(), Some(a));
        assert_eq!(y.square().sqrt().to_f64_exact(), Some(b));
        let power = rng.power(-400, 400);
        assert_eq!((y * Enclosure::exact(power)).to_f64_exact(), Some(b * power));
        assert_eq!((y / Enclosure::exact(power)).to_f64_exact(), Some(b / power));
        // Full products fit a double-double.
        let (f, g) = (Enclosure::exact(rng.uniform()), Enclosure::exact(rng.uniform()));
        assert!((f * g).is_exact() && (f + g).is_exact());
    }
    let tiny = Enclosure::exact(2.0_f64.powi(-1000));
    assert_eq!((tiny * Enclosure::exact(3.0)).to_f64_exact(), Some(3.0 * tiny.hi()));
    assert!(!(tiny * tiny).is_exact());
}

#[test]
fn bounds_are_outward() {
    let mut rng = Rng::new(14);
    for _ in 0..2_000 {
        let x = nasty(&mut rng);
        if !x.is_valid() {
            assert_eq!((x.lower(), x.upper()), (f64::NEG_INFINITY, f64::INFINITY));
            continue;
        }
        let [low, mid, high] = members(&x);
        let finite = |y: f64| y.is_finite().then(|| rational(y));
        assert!(finite(x.lower()).is_none_or(|y| y <= low));
        assert!(finite(x.upper()).is_none_or(|y| y >= high));
        let size = absolute(low.clone()).max(absolute(high.clone()));
        assert!(finite(x.magnitude()).is_none_or(|y| y >= size));
        assert!(low > RBig::ZERO || high < RBig::ZERO || x.contains_zero());
        assert!(rational(x.mignitude()) <= absolute(low.clone()));
        assert!(contains(&x.abs(), &absolute(low)) && contains(&x.abs(), &absolute(mid)));
        let k = rng.below(3000) as i32 - 1500;
        for member in members(&x) {
            assert!(contains(&x.mul_pow2(k), &(member * power_of_two(k))));
        }
        let (a, b) = (rng.nasty(), rng.nasty());
        let hull = Enclosure::from_bounds(a.min(b), a.max(b));
        assert!(contains(&hull, &rational(a)) && contains(&hull, &rational(b)));
    }
}

#[test]
fn roots_enclose() {
    let mut rng = Rng::new(15);
    let mut valid = 0;
    for _ in 0..1_500 {
        let x = if rng.below(2) == 0 { ordinary(&mut rng).abs() } else { nasty(&mut rng) };
        let root = x.sqrt();
        if !root.is_valid() {
            continue;
        }
        valid += 1;
        let [low, _, high] = members(&root);
        for member in members(&x) {
            assert!(member >= RBig::ZERO);
            assert!(low <= RBig::ZERO || &low * &low <= member, "{x:?}");
            assert!(high >= RBig::ZERO && &high * &high >= member, "{x:?}");
        }
    }
    assert!(valid > 700);
    assert!(!Enclosure::from_parts(1.0, 0.0, 1.0 + 1e-15).sqrt().is_valid());
    assert!(!Enclosure::exact(-1e-300).sqrt().is_valid());
    assert_eq!(Enclosure::ZERO.sqrt().to_f64_exact(), Some(0.0));
}

/// Σ (−1)ʲ x^(2j+odd)/(2j+odd)! and a bound of what it leaves out, in exact arithmetic.
fn series(x: &RBig, odd: bool) -> (RBig, RBig) {
    let mut term = if odd { x.clone() } else { RBig::ONE };
    let mut sum = term.clone();
    let mut degree = usize::from(odd);
    loop {
        term = -(term * x * x) / RBig::from((degree + 1) * (degree + 2));
        degree += 2;
        // From here on the terms fall at least geometrically.
        if absolute(term.clone()) < power_of_two(-140) && degree > 40 {
            return (sum, absolute(term) * RBig::from(2));
        }
        sum += &term;
    }
}

#[test]
fn pi_is_enclosed() {
    // Machin: π = 16 atan(1/5) − 4 atan(1/239).
    let arctangent = |n: usize| {
        let x = RBig::ONE / RBig::from(n);
        let mut power = x.clone();
        let mut sum = RBig::ZERO;
        for k in 0..70 {
            let term = &power / RBig::from(2 * k + 1_usize);
            sum = if k % 2 == 0 { sum + term } else { sum - term };
            power *= &x * &x;
        }
        sum
    };
    let pi = arctangent(5) * RBig::from(16) - arctangent(239) * RBig::from(4);
    let error = pi - rational(Enclosure::PI.hi()) - rational(Enclosure::PI.lo());
    assert!(absolute(error) < power_of_two(-107));
    assert_eq!(Enclosure::PI.hi(), std::f64::consts::PI);
}

#[test]
fn sine_and_cosine_enclose_and_are_sharp() {
    let mut rng = Rng::new(16);
    for round in 0..60 {
        let x = match round {
            0 => 0.0,
            1 => std::f64::consts::FRAC_PI_2,
            2 => std::f64::consts::PI,
            3 => 16.0,
            4 => 1e-30,
            5 => f64::from_bits(1),
            6 => std::f64::consts::FRAC_PI_4,
            _ if round % 3 == 0 => f64::from(rng.uniform() as f32),
            _ => rng.uniform() * 16.0,
        };
        let point = Enclosure::from_parts(x, x * 1e-17, 0.0);
        let exact = rational(point.hi()) + rational(point.lo());
        for (result, odd) in [(point.sin(), true), (point.cos(), false)] {
            let (value, slack) = series(&exact, odd);
            let mid = rational(result.hi()) + rational(result.lo());
            assert!(absolute(value - mid) <= rational(result.radius()) + slack, "{x:e}");
            assert!(result.radius() <= 2.0_f64.powi(-98), "{x:e} {result:?}");
        }
    }
    let wide = Enclosure::from_parts(1.0, 0.0, 0.25).sin();
    assert!(wide.radius() >= 0.25 && wide.radius() < 0.250_001);
    assert_eq!(Enclosure::ZERO.cos().to_f64_exact(), Some(1.0));
    assert_eq!(Enclosure::ZERO.sin().to_f64_exact(), Some(0.0));
    for huge in [17.0, -1e300, f64::MAX] {
        let result = Enclosure::exact(huge).sin();
        assert!(result.lower() <= -1.0 && result.upper() >= 1.0 && result.is_valid());
    }
}

#[test]
fn invalid_propagates() {
    let bad = [
        Enclosure::exact(f64::NAN),
        Enclosure::exact(f64::INFINITY),
        Enclosure::from_parts(1.0, 0.0, -1.0),
        Enclosure::from_parts(1.0, 0.0, f64::NAN),
        Enclosure::from_parts(f64::MAX, f64::MAX, 0.0),
        Enclosure::exact(1e200) * Enclosure::exact(1e200),
        Enclosure::exact(f64::MAX) + Enclosure::exact(f64::MAX),
        Enclosure::ONE / Enclosure::ZERO,
        Enclosure::ONE / Enclosure::from_parts(1.0, 0.0, 1.0),
        Enclosure::ONE / Enclosure::from_parts(1.0, 0.0, 3.0),
        Enclosure::exact(-1.0).sqrt(),
        Enclosure::exact(1.0).mul_pow2(1024),
        Enclosure::from_bounds(1.0, 0.0),
        Enclosure::from_bounds(f64::NAN, 0.0),
        Enclosure::ONE.widened(f64::NAN),
    ];
    for x in bad {
        assert!(!x.is_valid(), "{x:?}");
        assert_eq!(x.magnitude(), f64::INFINITY);
        assert!(x.to_f64_exact().is_none() && !x.is_exact() && x.contains_zero());
        let one = Enclosure::ONE;
        let zero = Enclosure::ZERO;
        let results = [
            x + one,
            one - x,
            x * zero,
            zero * x,
            x / one,
            one / x,
            zero / x,
            -x,
            x.sqrt(),
            x.sin(),
            x.cos(),
            x.abs(),
            x.mul_pow2(-2000),
            x.reciprocal(),
        ];
        assert!(results.iter().all(|result| !result.is_valid()), "{x:?}");
    }
}
