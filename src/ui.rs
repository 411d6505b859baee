//! The full-screen workbench: its state, its keys, its drawing.
