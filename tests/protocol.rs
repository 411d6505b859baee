//! The wire: framing, chunks, and the corpus that Python's tests read too.

mod corpus;
mod framing;
