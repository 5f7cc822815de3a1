//! Bytes that nobody honest sends, for tests of whatever reads bytes from others.
//!
//! An [`Attack`] feeds a target three kinds of input: those that are kept in `corpus/`, fresh ones that a generator makes (nearly
//! right, with extreme values: [`Messages`] makes them for any message of a protobuf schema), and changed copies of both
//! ([`Rng::mutate`]). A target tells in a few words what it made of an input; an input that led to words that were not heard before
//! is kept and changed further. So the search goes on from what came far, without a fuzzer's instrumented build.
//!
//! Two variables of the environment rule how long, and from where:
//!
//! - [`SECONDS_VARIABLE`]: seconds for each target, instead of a fixed, small number of inputs;
//! - [`SEED_VARIABLE`]: the seed, a number or `random`. Each attack prints its seed, and the same seed makes the same inputs.
//!
//! With [`KEEP_VARIABLE`], what came furthest is written to the corpus. An input that breaks its target is written to a file, which the message names, and belongs into the corpus.

mod attack;
mod corpus;
mod messages;
mod rng;

pub use attack::{Attack, KEEP_VARIABLE, SECONDS_VARIABLE, SEED_VARIABLE, length, seed};
pub use messages::{Call, Messages};
pub use rng::{Rng, WORDS};
