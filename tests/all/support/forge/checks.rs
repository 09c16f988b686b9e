//! Compares requests with the forges' own descriptions of their APIs.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Call;
use super::model::Dialect;

/// Names another directory of `forgejo-api.json` and `github-api.json` than our own excerpts of them.
const DIRECTORY: &str = "FLAKE_HERALD_TEST_API_DIR";

/// A description, in the format of each forge: Swagger for Forgejo, its successor for GitHub.
#[derive(Debug)]
pub(crate) struct Checks {
    root: Value,
}

impl Checks {
    /// Reads the description of a dialect; Gitea's we do not have.
    pub(crate) fn load(dialect: Dialect) -> Option<Self> {
        let file = match dialect {
            Dialect::Forgejo => "forgejo-api.json",
            Dialect::Github => "github-api.json",
            Dialect::Gitea => return None,
        };
        let path = directory().join(file);
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let root = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Some(Self { root })
    }

    /// Returns what does not fit in a request.
    pub(crate) fn compare(&self, call: &Call<'_>) -> Vec<String> {
        let mut found = Vec::new();
        let name = format!("{} {}", call.method, call.path);
        // Where a moved repository leads to, and what stands in no excerpt.
        if matches!(
            call.parts.first().map(String::as_str),
            Some("repositories" | "meta")
        ) {
            return found;
        }
        let empty = serde_json::Map::new();
        let paths = self.root["paths"].as_object().unwrap_or(&empty);
        let template = paths
            .iter()
            .filter_map(|(path, methods)| Some((literals(path, &call.parts)?, methods)))
            .max_by_key(|(literals, _)| *literals);
        let Some((_, methods)) = template else {
            found.push(format!("{name}: no such path"));
            return found;
        };
        let operation = &methods[call.method.to_lowercase()];
        if operation.is_null() {
            found.push(format!("{name}: no such method"));
            return found;
        }
        let mut schema = None;
        let mut required = false;
        let mut known = Vec::new();
        for list in [&methods["parameters"], &operation["parameters"]] {
            for parameter in list.as_array().into_iter().flatten() {
                let parameter = self.resolve(parameter);
                let name = parameter["name"].as_str().unwrap_or_default();
                match parameter["in"].as_str() {
                    Some("query") => known.push((name, parameter)),
                    Some("body") => {
                        schema = Some(&parameter["schema"]);
                        required = parameter["required"] == true;
                    }
                    _ => {}
                }
            }
        }
        let media = &operation["requestBody"];
        if !media.is_null() {
            schema = Some(&media["content"]["application/json"]["schema"]);
            required = media["required"] == true;
        }
        for (key, value) in &call.query {
            let Some((_, parameter)) = known.iter().find(|(known, _)| known == key) else {
                found.push(format!("{name}: no parameter `{key}` in the query"));
                continue;
            };
            let schema = if parameter["schema"].is_null() {
                parameter
            } else {
                &parameter["schema"]
            };
            let fits = match schema["type"].as_str() {
                Some("integer") => value.parse::<i64>().is_ok(),
                Some("boolean") => value == "true" || value == "false",
                _ => schema["enum"]
                    .as_array()
                    .is_none_or(|list| list.iter().any(|one| one == value.as_str())),
            };
            if !fits {
                found.push(format!(
                    "{name}: `{key}={value}` in the query is no such value"
                ));
            }
        }
        match (schema, call.request.body.is_empty()) {
            (Some(_), true) if required => found.push(format!("{name}: the body is missing")),
            (_, true) => {}
            (None, false) => found.push(format!("{name}: it takes no body")),
            (Some(schema), false) => {
                let mut wrong = Vec::new();
                if call
                    .request
                    .header("content-type")
                    .is_none_or(|kind| !kind.starts_with("application/json"))
                {
                    wrong.push("the body is not sent as application/json".to_owned());
                }
                self.value(schema, &call.body, "body", &mut wrong);
                found.extend(wrong.into_iter().map(|wrong| format!("{name}: {wrong}")));
            }
        }
        found
    }

    /// Follows a reference into the description.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self
                .root
                .pointer(reference.trim_start_matches('#'))
                .unwrap_or(&Value::Null),
            None => value,
        }
    }

    /// Compares a value with a schema.
    fn value(&self, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
        let schema = self.resolve(schema);
        for choice in ["oneOf", "anyOf"] {
            if let Some(list) = schema[choice].as_array() {
                let fits = list.iter().any(|one| {
                    let mut wrong = Vec::new();
                    self.value(one, value, place, &mut wrong);
                    wrong.is_empty()
                });
                if !fits {
                    found.push(format!("{place} fits none of the choices"));
                }
                return;
            }
        }
        let kinds: Vec<&str> = match &schema["type"] {
            Value::String(kind) => vec![kind],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            _ if schema["properties"].is_object() => vec!["object"],
            _ => return,
        };
        let is = |kind: &&str| match *kind {
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            "null" => value.is_null(),
            _ => true,
        };
        let nullable = schema["nullable"] == true && value.is_null();
        if !nullable && !kinds.iter().any(is) {
            found.push(format!("{place} is {value} and no {}", kinds.join(" or ")));
            return;
        }
        if let Some(list) = schema["enum"].as_array()
            && !list.contains(value)
        {
            found.push(format!("{place} is {value} and none of {list:?}"));
        }
        for entry in value.as_array().into_iter().flatten() {
            self.value(&schema["items"], entry, &format!("{place}[]"), found);
        }
        let (Some(fields), Some(known)) = (value.as_object(), schema["properties"].as_object())
        else {
            return;
        };
        for (name, field) in fields {
            match known.get(name) {
                Some(schema) => self.value(schema, field, &format!("{place}.{name}"), found),
                None => found.push(format!("{place}.{name} is unknown")),
            }
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            if !fields.contains_key(name) {
                found.push(format!("{place}.{name} is missing"));
            }
        }
    }
}

/// Returns how many parts of a template stand in the path as they are; none where it does not fit.
fn literals(template: &str, parts: &[String]) -> Option<usize> {
    let template: Vec<&str> = template
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    // The names of branches and refs have slashes.
    let open = matches!(
        template.last(),
        Some(&("{branch}" | "{ref}" | "{basehead}"))
    );
    if !(template.len() == parts.len() || open && parts.len() > template.len()) {
        return None;
    }
    let mut literals = 0;
    for (part, given) in template.iter().zip(parts) {
        if part == given {
            literals += 1;
        } else if !part.starts_with('{') {
            return None;
        }
    }
    Some(literals)
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests may name another directory"
)]
fn directory() -> PathBuf {
    std::env::var_os(DIRECTORY)
        .filter(|directory| !directory.is_empty())
        .map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/api"),
            PathBuf::from,
        )
}
