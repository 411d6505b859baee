//! The LM gateway: the one place every LM call passes through.

pub mod demo;
