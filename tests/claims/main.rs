//! Claims: what the passes find and the kernel proves, held to reference values, exact arithmetic, sampling and attack.
//!
//! | file | what it holds |
//! |---|---|
//! | `backward` | Backward linear bounds against auto_LiRPA's on real networks (`corpus/bounds`) |
//! | `bounds` | Bounds of everything a network computes, against reference answers |
//! | `branch` | Branch and bound by itself, where a polynomial is least |
//! | `curvature` | Curvature against independent references |
//! | `deep` | Deep MaxMin networks, in parts |
//! | `derivatives` | Derivatives by parameters, for every operation of the IR and every function, against central differences of the loss that are computed in double-double enclosures |
//! | `deviation` | How far two networks are apart, against sampling of both, and claims that were changed |
//! | `implicit` | Implicit networks `z = φ(W z + U x + b)`, `y = C z + d` |
//! | `keeping` | What robust samples keep: their class, their side of a threshold, their outputs up to a change; sizes of every value by itself; the rules of a policy about these |
//! | `lipschitz` | Certified ℓ2 Lipschitz bounds against independent references; every certificate goes through a file and is proved again |
//! | `lipschitz_campaign` | Lipschitz bounds of random networks against what is attained |
//! | `lipschitz_l1` | ℓ1: against what is known exactly, against second methods, and against what is attained |
//! | `magnitudes` | Claims at the edges of the range of exponents |
//! | `paper_forms` | The matrix inequality of Pauli et al. (2024), solved as the paper writes it |
//! | `query` | Questions and answers as a program meets them |
//! | `robustness` | Robustness over a data set, on the digits beside the models |
//! | `scope` | What a claim says that it is about |
//! | `soundness` | Claims about random networks against exact rational arithmetic, sampling and attack |
//! | `specification` | VNN-LIB specifications |
//! | `splits` | Trees of splits over phases of ReLUs, with multipliers |
//! | `tightness` | Tightness of interval propagation against reference answers (`cases/ibp`) |

#[path = "../common/mod.rs"]
mod common;

mod backward;
mod bounds;
mod branch;
mod curvature;
mod deep;
mod derivatives;
mod deviation;
mod implicit;
mod keeping;
mod lipschitz;
mod lipschitz_campaign;
mod lipschitz_l1;
mod magnitudes;
mod paper_forms;
mod query;
mod robustness;
mod scope;
mod soundness;
mod specification;
mod splits;
mod tightness;
