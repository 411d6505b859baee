//! The table of operations: name, doc, schemas, lane.
