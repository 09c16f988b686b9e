//! Holds JSON against a JSON Schema, as far as the schema of a report goes: a keyword that is not known here fails.

use serde_json::Value;

/// Returns where `value` is not what the schema `root` says, and how.
pub(crate) fn faults(root: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(root, root, value, "", &mut faults);
    faults
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        let alternatives = || {
            let schemas = rule.as_array().expect("alternatives are a list");
            let fits = |schema: &&Value| {
                let mut faults = Vec::new();
                check(root, schema, value, at, &mut faults);
                faults.is_empty()
            };
            schemas.iter().filter(fits).count()
        };
        let fine = match keyword.as_str() {
            "$defs" | "$id" | "$schema" | "default" | "description" | "readOnly" | "title" => true,
            "$ref" => {
                let path = rule.as_str().and_then(|path| path.strip_prefix('#'));
                let schema = path.and_then(|path| root.pointer(path));
                check(root, schema.expect("a definition"), value, at, faults);
                true
            }
            "type" => {
                let is = |kind: &Value| match kind.as_str().expect("a type is a word") {
                    "null" => value.is_null(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "string" => value.is_string(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    kind => panic!("{kind} is not known here"),
                };
                rule.as_array()
                    .map_or_else(|| is(rule), |kinds| kinds.iter().any(is))
            }
            "const" => rule == value,
            "enum" => rule.as_array().expect("a list").contains(value),
            "anyOf" => alternatives() > 0,
            "oneOf" => alternatives() == 1,
            "required" => rule.as_array().expect("a list").iter().all(|key| {
                let key = key.as_str().expect("a key is a word");
                value
                    .as_object()
                    .is_none_or(|object| object.contains_key(key))
            }),
            "properties" => {
                for (key, schema) in rule.as_object().expect("properties have names") {
                    if let Some(value) = value.get(key) {
                        check(root, schema, value, &format!("{at}/{key}"), faults);
                    }
                }
                true
            }
            "items" => {
                for (i, value) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, value, &format!("{at}/{i}"), faults);
                }
                true
            }
            "minimum" => value
                .as_i64()
                .is_none_or(|number| Some(number) >= rule.as_i64()),
            // What integers are stored in, and how store paths look: types of ours that cannot hold others.
            "format" | "pattern" => true,
            keyword => panic!("{at}: {keyword} is not known here"),
        };
        if !fine {
            faults.push(format!("{at}: {value} breaks {keyword} {rule}"));
        }
    }
}
