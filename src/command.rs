//! The table of `:commands`: what a person types, parsed into operations or screen actions.
