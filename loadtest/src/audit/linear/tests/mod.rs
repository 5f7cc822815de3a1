//! The rules one by one, histories by hand, histories by chance beside a search of every order, and doctored evidence.

mod doctored;
mod drawn;
mod exhaustive;
mod fixture;
mod histories;
mod properties;
mod rules;
mod size;
