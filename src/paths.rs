//! Where the product keeps its files (XDG), and nothing else.
