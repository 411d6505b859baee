//! Colours by role, from `themes/*.toml`.
