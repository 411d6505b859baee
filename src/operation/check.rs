//! Checks arguments against the table, with errors a person can act on.
//!
//! A schema validator would find the same faults, but says them in the words of
//! JSON Schema and knows no near matches.

use serde_json::{Map, Value};

use super::{Field, Kind, Operation};
use crate::protocol::error::{OperationError, near_matches};

/// Checks `arguments`; answers them as an object (`null` counts as `{}`).
///
/// # Errors
/// `invalid_arguments`, naming every unknown, missing or wrong argument at once.
pub fn arguments(
    operation: &Operation,
    arguments: Value,
) -> Result<Map<String, Value>, OperationError> {
    let object = match arguments {
        Value::Object(object) => object,
        Value::Null => Map::new(),
        other => {
            let message = format!(
                "`{}` takes its arguments as a JSON object, not {}",
                operation.name,
                describe(&other)
            );
            return Err(OperationError::invalid("invalid_arguments", message)
                .hint(format!("for example {}", example(operation))));
        }
    };
    let mut near = Vec::new();
    let mut problems = Vec::new();
    for field in operation.arguments {
        match object.get(field.name) {
            None if field.required => problems.push(format!("`{}` is missing", field.name)),
            Some(value) if !accepts(field.kind, value) => {
                if let (Kind::OneOf(words), Value::String(word)) = (field.kind, value) {
                    near.extend(near_matches(word, words.iter().copied()));
                }
                let wanted = wanted(field.kind);
                problems.push(format!(
                    "`{}` must be {wanted}, not {}",
                    field.name,
                    describe(value)
                ));
            }
            _ => {}
        }
    }
    if !operation.open {
        for name in object.keys() {
            if !operation.arguments.iter().any(|field| field.name == name) {
                problems.push(format!("`{name}` is not an argument"));
                let names = operation.arguments.iter().map(|field| field.name);
                near.extend(near_matches(name, names));
            }
        }
    }
    if problems.is_empty() {
        return Ok(object);
    }
    let message = format!("`{}`: {}", operation.name, problems.join("; "));
    Err(OperationError::invalid("invalid_arguments", message)
        .near(near)
        .hint(format!("for example {}", example(operation)))
        .with("operation", operation.name))
}

/// A call with its required arguments, for hints: `create_signature {"signature": …}`.
pub fn example(operation: &Operation) -> String {
    let required: Vec<String> = operation
        .arguments
        .iter()
        .filter(|field| field.required)
        .map(|field| format!("\"{}\": {}", field.name, sample(field)))
        .collect();
    format!("`{} {{{}}}`", operation.name, required.join(", "))
}

fn sample(field: &Field) -> &'static str {
    match field.kind {
        Kind::Any | Kind::Object => "{…}",
        Kind::Bool => "true",
        Kind::Count | Kind::Number => "1",
        Kind::List | Kind::Names => "[…]",
        Kind::Signature => "\"question -> answer\"",
        _ => "\"…\"",
    }
}

fn accepts(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Any => true,
        Kind::Text | Kind::Lm => value.is_string(),
        Kind::MaybeText => value.is_string() || value.is_null(),
        Kind::Bool => value.is_boolean(),
        Kind::Count => value.is_u64(),
        Kind::Number => value.is_number(),
        Kind::Object => value.is_object(),
        Kind::List => value.is_array(),
        Kind::Names => {
            let strings = |list: &Vec<Value>| list.iter().all(Value::is_string);
            value.is_string() || value.as_array().is_some_and(strings)
        }
        Kind::Signature | Kind::Program | Kind::Metric => value.is_string() || value.is_object(),
        Kind::Dataset => value.is_string() || value.is_object() || value.is_array(),
        Kind::OneOf(words) => value.as_str().is_some_and(|word| words.contains(&word)),
    }
}

fn wanted(kind: Kind) -> String {
    match kind {
        Kind::Any => "anything".to_owned(),
        Kind::Text | Kind::Lm => "a string".to_owned(),
        Kind::MaybeText => "a string or null".to_owned(),
        Kind::Bool => "true or false".to_owned(),
        Kind::Count => "a whole number".to_owned(),
        Kind::Number => "a number".to_owned(),
        Kind::Object => "an object".to_owned(),
        Kind::List => "an array".to_owned(),
        Kind::Names => "a string or an array of strings".to_owned(),
        Kind::Signature | Kind::Program | Kind::Metric => "a string or an object".to_owned(),
        Kind::Dataset => "a name, an array of rows or an object".to_owned(),
        Kind::OneOf(words) => format!("one of {}", words.join(", ")),
    }
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::operation::{all, find};

    /// Every fault of the arguments is named at once, with near matches.
    #[test]
    fn all_faults_are_named_at_once() {
        let operation = find("execute_module").unwrap();
        let wrong = json!({"modul": "Predict", "signature": 3, "inputs": {}});
        let error = arguments(operation, wrong).unwrap_err();
        assert_eq!(
            error.message,
            "`execute_module`: `module` is missing; `signature` must be a string or an object, \
             not a number; `modul` is not an argument"
        );
        assert_eq!(error.recovery.near, ["module"]);
    }

    #[test]
    fn open_operations_pass_further_arguments_on() {
        let operation = find("configure_lm").unwrap();
        let checked = arguments(operation, json!({"provider": "demo", "temperature": 0.7}));
        assert!(checked.unwrap().contains_key("temperature"));
    }

    /// Values nobody would send, nested a little.
    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[a-z_]{0,8}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// R125: whatever is sent, each operation takes it or says what is wrong with it.
        #[test]
        fn r125_rubbish_is_refused_with_a_sentence(
            which in 0_usize..1000,
            known in prop::collection::vec((0_usize..20, anything()), 0..4),
            rubbish in anything(),
        ) {
            let operations: Vec<_> = all().collect();
            let operation = operations[which % operations.len()];
            let mut sent = rubbish;
            if let Value::Object(object) = &mut sent {
                for (at, value) in known {
                    if let Some(field) = operation.arguments.get(at) {
                        object.insert(field.name.to_owned(), value);
                    }
                }
            }
            match arguments(operation, sent.clone()) {
                Ok(taken) => {
                    let required = operation.arguments.iter().filter(|field| field.required);
                    for field in required {
                        prop_assert!(accepts(field.kind, &taken[field.name]));
                    }
                }
                Err(error) => {
                    prop_assert_eq!(&error.kind, "invalid_arguments");
                    prop_assert!(error.message.contains(operation.name));
                    prop_assert!(!error.recovery.hint.is_empty());
                }
            }
        }
    }
}
