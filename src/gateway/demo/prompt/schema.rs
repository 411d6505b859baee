//! Field lists of a prompt, and their types as JSON Schema.

use serde_json::{Map, Number, Value, json};

use super::{Field, Style};

/// Reads `1. `name` (type): description` lines; types are made exact by the notes
/// of the structure section.
pub fn fields(list: &str, structure: &str, style: Style) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for line in list.lines() {
        if let Some((name, type_name, description)) = field_line(line, fields.len() + 1) {
            fields.push(Field {
                name,
                type_name,
                description,
                schema: Value::Null,
            });
        } else if let Some(field) = fields.last_mut() {
            field.description.push('\n');
            field.description.push_str(line);
        }
    }
    let outputs = json_structure(structure, style);
    for field in &mut fields {
        let note = outputs
            .as_ref()
            .and_then(|object| object.get(&field.name))
            .and_then(Value::as_str)
            .or(Some(structure))
            .and_then(|text| note(text, &field.name));
        field.schema = note
            .and_then(|note| of_note(note, &field.type_name))
            .or_else(|| {
                (style == Style::Xml)
                    .then(|| of_skeleton(structure, field))
                    .flatten()
            })
            .unwrap_or_else(|| of_type(&field.type_name));
        constrain(&mut field.schema, &field.description);
        field.description = field.description.trim().to_owned();
    }
    fields
}

/// Name, type and description of line `n` of a field list.
fn field_line(line: &str, n: usize) -> Option<(String, String, String)> {
    let rest = line.strip_prefix(&format!("{n}. `"))?;
    let (name, rest) = rest.split_once("` (")?;
    let mut depth = 1_usize;
    let mut quote = None;
    for (at, c) in rest.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => {
                depth -= 1;
                if depth == 0 {
                    let description = rest.get(at + 1..)?.strip_prefix(':')?;
                    return Some((
                        name.to_owned(),
                        rest.get(..at)?.to_owned(),
                        description.trim().to_owned(),
                    ));
                }
            }
            _ => {}
        }
    }
    None
}

fn json_structure(structure: &str, style: Style) -> Option<Map<String, Value>> {
    if style != Style::Json {
        return None;
    }
    let (_, object) =
        structure.split_once("Outputs will be a JSON object with the following fields.")?;
    serde_json::from_str(object.trim()).ok()
}

/// What follows `{name}  # note: the value you produce `.
fn note<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) =
        text.split_once(&format!("{{{name}}}        # note: the value you produce "))?;
    rest.lines().next()
}

fn of_note(note: &str, type_name: &str) -> Option<Value> {
    if note.starts_with("must be True or False") {
        return Some(json!({"type": "boolean"}));
    }
    if note.starts_with("must be a single int") {
        return Some(json!({"type": "integer"}));
    }
    if note.starts_with("must be a single float") {
        return Some(json!({"type": "number"}));
    }
    if let Some(schema) = note.strip_prefix("must adhere to the JSON schema: ") {
        return serde_json::Deserializer::from_str(schema)
            .into_iter()
            .next()?
            .ok();
    }
    if type_name.starts_with("Literal[") {
        return Some(of_type(type_name));
    }
    let (_, values) = note.split_once("one of: ")?;
    let values: Vec<&str> = values.split("; ").map(str::trim).collect();
    Some(json!({"enum": values}))
}

/// `<addr><city>...</city></addr>`: the shape of a nested value in an XML prompt.
fn of_skeleton(structure: &str, field: &Field) -> Option<Value> {
    let known = of_type(&field.type_name);
    if known.get("type").and_then(Value::as_str) != Some("object")
        || known.get("additionalProperties").is_some()
    {
        return None;
    }
    let (_, inner) = super::xml::read(structure, &[field.name.as_str()])
        .into_iter()
        .next()?;
    Some(of_shape(&super::xml::decode(&inner)))
}

fn of_shape(shape: &Value) -> Value {
    match shape {
        Value::Object(object) => {
            let properties: Map<String, Value> = object
                .iter()
                .map(|(name, shape)| (name.clone(), of_shape(shape)))
                .collect();
            json!({"type": "object", "properties": properties})
        }
        Value::Array(items) => json!({"type": "array", "items": items.first().map(of_shape)}),
        _ => json!({"type": "string"}),
    }
}

/// A type in DSPy's words as JSON Schema; an unknown name is an object.
pub fn of_type(name: &str) -> Value {
    let name = name.trim();
    let (head, arguments) = match name.split_once('[') {
        Some((head, rest)) => (head, arguments(rest.strip_suffix(']').unwrap_or(rest))),
        None => (name, Vec::new()),
    };
    match head {
        "str" | "Any" | "Code" | "Reasoning" => json!({"type": "string"}),
        "date" | "time" => json!({"type": "string", "format": head}),
        "datetime" => json!({"type": "string", "format": "date-time"}),
        "tuple" if arguments.len() > 1 && arguments.get(1).is_none_or(|item| item != "...") => {
            let items: Vec<Value> = arguments.iter().map(|item| of_type(item)).collect();
            json!({"type": "array", "prefixItems": items})
        }
        _ if head.starts_with("Code_") => json!({"type": "string"}),
        "int" => json!({"type": "integer"}),
        "float" => json!({"type": "number"}),
        "bool" => json!({"type": "boolean"}),
        "NoneType" | "None" => json!({"type": "null"}),
        "list" | "List" | "set" | "tuple" => {
            let items = arguments
                .first()
                .map_or_else(|| json!({"type": "string"}), |item| of_type(item));
            json!({"type": "array", "items": items})
        }
        "dict" | "Dict" => {
            let values = arguments
                .get(1)
                .map_or_else(|| json!({"type": "string"}), |item| of_type(item));
            json!({"type": "object", "additionalProperties": values})
        }
        "Union" | "Optional" => {
            let choices: Vec<Value> = arguments.iter().map(|item| of_type(item)).collect();
            json!({"anyOf": choices})
        }
        "Literal" => {
            json!({"enum": arguments.iter().map(|item| literal(item)).collect::<Vec<_>>()})
        }
        _ => json!({"type": "object"}),
    }
}

/// Splits `'a, b', int` at the commas outside quotes and brackets.
fn arguments(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let (mut depth, mut quote, mut escaped) = (0_i32, None, false);
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open && !escaped => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') => depth -= 1,
            (None, ',') if depth == 0 => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        if let Some(last) = found.last_mut() {
            last.push(c);
        }
    }
    found
        .into_iter()
        .map(|item| item.trim().to_owned())
        .filter(|item| !item.is_empty())
        .collect()
}

fn literal(text: &str) -> Value {
    for quote in ['\'', '"'] {
        if let Some(inner) = text
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
        {
            return Value::String(inner.replace("\\'", "'"));
        }
    }
    match text {
        "True" => Value::Bool(true),
        "False" => Value::Bool(false),
        _ => text
            .parse::<Number>()
            .map_or_else(|_| Value::String(text.to_owned()), Value::Number),
    }
}

/// Merges DSPy's constraint words into a schema.
fn constrain(schema: &mut Value, description: &str) {
    let Some((_, constraints)) = description.rsplit_once("Constraints: ") else {
        return;
    };
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    for (words, key) in [
        ("greater than or equal to: ", "minimum"),
        ("less than or equal to: ", "maximum"),
        ("greater than: ", "exclusiveMinimum"),
        ("less than: ", "exclusiveMaximum"),
        ("minimum length: ", "minLength"),
        ("maximum length: ", "maxLength"),
        ("multiple of: ", "multipleOf"),
    ] {
        let number = constraints
            .split_once(words)
            .and_then(|(_, rest)| rest.split(',').next())
            .and_then(|number| number.trim().parse::<Number>().ok());
        if let Some(number) = number {
            object.insert(key.to_owned(), Value::Number(number));
        }
    }
}

/// A demonstration's value in the field's type: the text of a non-text field is
/// decoded where it can be.
pub fn coerce(value: Value, schema: &Value) -> Value {
    let Value::String(text) = &value else {
        return value;
    };
    if schema.get("type").and_then(Value::as_str) == Some("string") {
        return value;
    }
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        let same = |choice: &&Value| super::sections::plain(choice) == *text;
        return choices.iter().find(same).cloned().unwrap_or(value);
    }
    match text.as_str() {
        "True" => Value::Bool(true),
        "False" => Value::Bool(false),
        "None" => Value::Null,
        _ => serde_json::from_str(text).unwrap_or(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_in_dspys_words_become_schemas() {
        assert_eq!(
            of_type("Literal['a, b', \"it's\", 3]"),
            json!({"enum": ["a, b", "it's", 3]})
        );
        assert_eq!(
            of_type("dict[str, list[int]]"),
            json!({"type": "object", "additionalProperties": {"type": "array", "items": {"type": "integer"}}})
        );
    }

    #[test]
    fn a_parenthesis_in_a_literal_does_not_end_the_type() {
        let found = field_line("1. `c` (Literal['a)', 'b']): pick", 1);
        assert_eq!(
            found,
            Some(("c".into(), "Literal['a)', 'b']".into(), "pick".into()))
        );
    }
}
