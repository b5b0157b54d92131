//! Holds lines of JSON against what `ebtools schema` says of them: the part of JSON Schema that it uses.
//! Stricter than that: a key that it does not know is wrong.

use std::collections::HashMap;

use serde_json::Value;

type Result<T> = std::result::Result<T, String>;

/// What is said of the records of each tool and type.
#[derive(Debug)]
pub(crate) struct Validator(HashMap<(String, String), Value>);

impl Validator {
    pub(crate) fn new(schema: &str) -> Result<Self> {
        let schema = serde_json::from_str::<Value>(schema).map_err(|error| error.to_string())?;
        let tools = schema["$defs"].as_object().ok_or("no $defs")?;
        let refs = schema["anyOf"].as_array().ok_or("no anyOf")?.iter().map(|one| &one["$ref"]);
        let expected = tools.keys().map(|tool| format!("#/$defs/{tool}"));
        let refs = refs.filter_map(|to| to.as_str().map(Into::into)).collect::<Vec<String>>();
        if refs.len() != tools.len() || !expected.into_iter().all(|to| refs.contains(&to)) {
            return Err(format!("not all of $defs: {refs:?}"));
        }
        let mut all = HashMap::new();
        for record in tools.values().filter_map(|tool| tool["anyOf"].as_array()).flatten() {
            let constant = |key| record["properties"][key]["const"].as_str().map(String::from);
            let (Some(tool), Some(kind)) = (constant("tool"), constant("type")) else {
                return Err(format!("whose is {record}?"));
            };
            all.insert((tool, kind), record.clone());
        }
        Ok(Self(all))
    }

    /// The tool, type, and schema of each.
    #[allow(dead_code)] // Of the unit tests.
    pub(crate) fn records(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.0.iter().map(|((tool, kind), record)| (tool.as_str(), kind.as_str(), record))
    }

    pub(crate) fn check(&self, line: &str) -> Result<()> {
        let value = serde_json::from_str::<Value>(line).map_err(|error| error.to_string())?;
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_string();
        let record = self.0.get(&(text("tool"), text("type"))).ok_or("no such tool, or type")?;
        conforms(record, &value)
    }
}

fn conforms(schema: &Value, value: &Value) -> Result<()> {
    for (word, rule) in schema.as_object().ok_or("no schema")? {
        let is_so = match word.as_str() {
            "description" => true,
            "type" => match rule {
                Value::Array(types) => types.iter().any(|one| is_a(one, value)),
                one => is_a(one, value),
            },
            "const" => rule == value,
            "enum" => rule.as_array().is_some_and(|all| all.contains(value)),
            "minimum" => value.as_u64() >= rule.as_u64() || !value.is_number(),
            "format" => rule == "date-time" && is_time(value.as_str().unwrap_or_default()),
            "required" => rule.as_array().is_some_and(|keys| {
                keys.iter().all(|key| value.get(key.as_str().unwrap_or_default()).is_some())
            }),
            "items" => {
                value.as_array().into_iter().flatten().try_for_each(|one| conforms(rule, one))?;
                true
            }
            "additionalProperties" => {
                let mut all = value.as_object().into_iter().flatten();
                all.try_for_each(|(_, one)| conforms(rule, one))?;
                true
            }
            "properties" => {
                for (key, one) in value.as_object().into_iter().flatten() {
                    let rule = rule.get(key).ok_or_else(|| format!("key {key} is unknown"))?;
                    conforms(rule, one).map_err(|why| format!("{key}: {why}"))?;
                }
                true
            }
            _ => return Err(format!("nobody checks {word}")),
        };
        if !is_so {
            return Err(format!("{word} is not {rule}: {value}"));
        }
    }
    Ok(())
}

fn is_a(name: &Value, value: &Value) -> bool {
    match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    }
}

/// RFC 3339 in UTC, with nanoseconds.
fn is_time(text: &str) -> bool {
    let shape = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c });
    shape.collect::<String>() == "0000-00-00T00:00:00.000000000Z"
}
