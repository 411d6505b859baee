//! JSON Schemas (draft 2020-12) of the table's rows.

use serde_json::{Map, Value, json};

use super::{Field, Kind, Operation};

/// `{name, doc, arguments, result}` of one operation, for `exec --schema`.
pub fn describe(operation: &Operation) -> Value {
    json!({
        "name": operation.name,
        "doc": operation.doc,
        "arguments": object(operation.arguments, operation.open),
        "result": object(operation.result, true),
    })
}

/// The schema of an object with these fields.
pub fn object(fields: &[Field], open: bool) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.name.to_owned(), property(field)))
        .collect();
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.name)
        .collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": open,
    })
}

fn property(field: &Field) -> Value {
    let mut schema = match kind(field.kind) {
        Value::Object(schema) => schema,
        _ => Map::new(),
    };
    schema.insert("description".to_owned(), json!(field.doc));
    Value::Object(schema)
}

fn kind(kind: Kind) -> Value {
    match kind {
        Kind::Any => json!({}),
        Kind::Text | Kind::Lm => json!({"type": "string"}),
        Kind::MaybeText => json!({"type": ["string", "null"]}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Count => json!({"type": "integer", "minimum": 0}),
        Kind::Number => json!({"type": "number"}),
        Kind::Object => json!({"type": "object"}),
        Kind::List => json!({"type": "array"}),
        Kind::Names => json!({"type": ["array", "string"], "items": {"type": "string"}}),
        Kind::Signature | Kind::Program | Kind::Metric => json!({"type": ["string", "object"]}),
        Kind::Dataset => json!({"type": ["string", "object", "array"]}),
        Kind::OneOf(words) => json!({"enum": words}),
    }
}
