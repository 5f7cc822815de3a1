//! An honest history passes; each doctored one is caught, by the right key and in the right words.

mod causes;
mod doctored;
pub(super) mod fixture;
mod pauses;
mod several;
mod shown;
