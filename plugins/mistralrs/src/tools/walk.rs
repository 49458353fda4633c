//! One walk through a schema, which rewrites it.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{
    SchemaError,
    bounds::{admits, bound_numbers, infer_type, is_tellable_step},
    disjoint::disjoint,
    formats, names,
    pointer::{Pointer, resolve},
    schema::any,
};

/// Deepest nesting of subschemas.
const MAX_DEPTH: usize = 32;

/// Most subschemas, those behind references counted once.
const MAX_NODES: usize = 5_000;

/// Keywords that narrow down values in ways that the grammar engine can't hold to.
const UNSUPPORTED: [&str; 17] = [
    "not",
    "if",
    "then",
    "else",
    "contains",
    "minContains",
    "maxContains",
    "uniqueItems",
    "propertyNames",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
    "$dynamicRef",
    "$recursiveRef",
    "$anchor",
];

/// Keywords that are passed on as they are. Those that are named nowhere here say nothing about which values are valid.
const PLAIN: [&str; 9] = [
    "type",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "multipleOf",
];

/// What a walk has come across.
pub(super) struct Walk<'a> {
    root: &'a Value,
    /// Names of the definitions that references were turned into, by what they point at.
    names: HashMap<String, String>,
    pending: Vec<(String, String)>,
    nodes: usize,
    /// An object that names properties, and doesn't speak of others, has no others.
    closes: bool,
}

// === impl Walk ===

impl<'a> Walk<'a> {
    /// Through `root`. `closes`: an object that names properties, and doesn't speak of others, has no others.
    pub(super) fn new(root: &'a Value, closes: bool) -> Self {
        Self {
            root,
            names: HashMap::new(),
            pending: Vec::new(),
            nodes: 0,
            closes,
        }
    }

    /// The name of a definition that a reference was turned into, and what it points at; each comes once.
    pub(super) fn next_reference(&mut self) -> Option<(String, String)> {
        self.pending.pop()
    }

    /// The schema at `at`, `depth` levels deep, as the grammar engine takes it.
    pub(super) fn visit(&mut self, schema: &Value, at: &Pointer, depth: usize) -> Result<Value, SchemaError> {
        self.nodes += 1;
        if depth > MAX_DEPTH {
            return Err(at.error(format!("subschemas nest over {MAX_DEPTH} levels deep")));
        }
        if self.nodes > MAX_NODES {
            return Err(at.error(format!("the schema has over {MAX_NODES} subschemas")));
        }
        let map = match schema {
            Value::Bool(true) => return Ok(any(0)),
            Value::Bool(false) => return Ok(Value::Bool(false)),
            Value::Object(map) => map,
            _ => return Err(at.error("a schema is an object or a boolean")),
        };
        if let Some(keyword) = UNSUPPORTED
            .iter()
            .find(|&&keyword| map.contains_key(keyword) && !is_idle(keyword, map))
        {
            return Err(at.error(format!("{keyword} can't be guaranteed; leave it out")));
        }
        let mut result = Map::new();
        for (key, value) in map {
            self.visit_keyword((key, value), map, &mut result, at, depth)?;
        }
        if result.is_empty() {
            return Ok(any(0));
        }
        infer_type(&mut result);
        bound_numbers(&mut result);
        self.bound_containers(map, &mut result);
        Ok(Value::Object(result))
    }

    fn visit_keyword(
        &mut self,
        (key, value): (&String, &Value),
        map: &Map<String, Value>,
        result: &mut Map<String, Value>,
        at: &Pointer,
        depth: usize,
    ) -> Result<(), SchemaError> {
        let here = at.join(key);
        match key.as_str() {
            "$ref" => {
                let reference = value.as_str().ok_or_else(|| here.error("$ref is a string"))?;
                result.insert(key.clone(), json!(self.refer(reference, &here)?));
            }
            "properties" | "patternProperties" => {
                let properties = value
                    .as_object()
                    .ok_or_else(|| here.error(format!("{key} is an object")))?;
                let visited = properties
                    .iter()
                    .map(|(name, property)| Ok((name.clone(), self.visit(property, &here.join(name), depth + 1)?)));
                let visited: Map<String, Value> = visited.collect::<Result<_, SchemaError>>()?;
                result.insert(key.clone(), Value::Object(visited));
            }
            "additionalProperties" => {
                result.insert(key.clone(), self.visit(value, &here, depth + 1)?);
            }
            "items" if value.is_array() => {
                let items = self.visit_all(value, &here, depth)?;
                result.insert("prefixItems".to_owned(), items);
                let rest = map.get("additionalItems").unwrap_or(&Value::Bool(true));
                result.insert(
                    "items".to_owned(),
                    self.visit(rest, &at.join("additionalItems"), depth + 1)?,
                );
            }
            "items" => {
                result.insert(key.clone(), self.visit(value, &here, depth + 1)?);
            }
            "prefixItems" | "anyOf" | "allOf" => {
                let visited = self.visit_all(value, &here, depth)?;
                result.insert(key.clone(), visited);
            }
            "oneOf" => self.visit_one_of(value, map, result, &here, depth)?,
            "enum" => {
                if value.as_array().is_none_or(Vec::is_empty) {
                    return Err(here.error("enum is an array of at least one value"));
                }
                result.insert(key.clone(), value.clone());
            }
            "const" => {
                result.insert(key.clone(), value.clone());
            }
            "pattern" => {
                result.insert(key.clone(), value.clone());
            }
            "format" if map.contains_key("pattern") => {}
            "format" => {
                if let Some(pattern) = value.as_str().and_then(formats::pattern) {
                    result.insert("pattern".to_owned(), json!(pattern));
                }
            }
            "minimum" | "maximum" => {
                let exclusive = if key == "minimum" {
                    "exclusiveMinimum"
                } else {
                    "exclusiveMaximum"
                };
                // Draft 4 has a flag beside the limit.
                let key = if map.get(exclusive) == Some(&Value::Bool(true)) {
                    exclusive
                } else {
                    key
                };
                result.insert(key.to_owned(), value.clone());
            }
            "exclusiveMinimum" | "exclusiveMaximum" if value.is_boolean() => {}
            "exclusiveMinimum" | "exclusiveMaximum" => {
                result.insert(key.clone(), value.clone());
            }
            "multipleOf" if !is_tellable_step(value) => {
                return Err(here.error(format!(
                    "multiples of {value} can't be guaranteed; leave multipleOf out"
                )));
            }
            plain if PLAIN.contains(&plain) => {
                result.insert(key.clone(), value.clone());
            }
            _ => {}
        }
        Ok(())
    }

    fn visit_all(&mut self, schemas: &Value, at: &Pointer, depth: usize) -> Result<Value, SchemaError> {
        let schemas = schemas
            .as_array()
            .ok_or_else(|| at.error("this is an array of schemas"))?;
        let visited = schemas
            .iter()
            .enumerate()
            .map(|(index, schema)| self.visit(schema, &at.join(index), depth + 1));
        Ok(Value::Array(visited.collect::<Result<_, _>>()?))
    }

    /// The grammar engine can't see that exactly one holds; where no two can hold at once, any one will do.
    fn visit_one_of(
        &mut self,
        schemas: &Value,
        map: &Map<String, Value>,
        result: &mut Map<String, Value>,
        at: &Pointer,
        depth: usize,
    ) -> Result<(), SchemaError> {
        let options = schemas.as_array().map_or(&[][..], Vec::as_slice);
        // OpenAPI's way to say which property tells the options apart; every object is made to have it.
        let tag = map.get("discriminator").and_then(|tag| tag["propertyName"].as_str());
        for (index, first) in options.iter().enumerate() {
            for (offset, second) in options[index + 1..].iter().enumerate() {
                if !disjoint(self.root, first, second, tag) {
                    let problem = format!("options {index} and {} can both hold; use anyOf", index + 1 + offset);
                    return Err(at.error(problem));
                }
            }
        }
        let mut visited = self.visit_all(schemas, at, depth)?;
        if let Some(tag) = tag {
            for option in visited.as_array_mut().into_iter().flatten() {
                let tagged = json!({ "type": "object", "required": [tag], "additionalProperties": any(1) });
                *option = json!({ "allOf": [option.take(), tagged] });
            }
        }
        let one = json!({ "anyOf": visited });
        match result.get_mut("allOf").and_then(Value::as_array_mut) {
            Some(all) => all.push(one),
            None => {
                result.insert("allOf".to_owned(), json!([one]));
            }
        }
        Ok(())
    }

    /// The reference to what `reference` points at, which is visited later.
    fn refer(&mut self, reference: &str, at: &Pointer) -> Result<String, SchemaError> {
        let target = reference
            .strip_prefix('#')
            .filter(|target| target.is_empty() || target.starts_with('/'));
        let Some(target) = target else {
            return Err(at.error(format!(
                "{reference} is outside of the schema; only #/… can be followed"
            )));
        };
        resolve(self.root, target).map_err(|problem| at.error(problem))?;
        let next = format!("d{}", self.names.len());
        let name = self.names.entry(target.to_owned()).or_insert_with(|| {
            self.pending.push((next.clone(), target.to_owned()));
            next
        });
        Ok(format!("#/$defs/{name}"))
    }

    /// Arrays and objects whose contents are left open get bounded ones.
    fn bound_containers(&self, map: &Map<String, Value>, result: &mut Map<String, Value>) {
        if admits(result, "array") && !result.contains_key("items") {
            result.insert("items".to_owned(), any(1));
        }
        if !admits(result, "object") {
            return;
        }
        let names = result.get("properties").and_then(Value::as_object);
        let named = names.is_some_and(|names| !names.is_empty());
        let required = map.get("required").and_then(Value::as_array).into_iter().flatten();
        let all_named = required
            .filter_map(Value::as_str)
            .all(|name| names.is_some_and(|names| names.contains_key(name)));
        let others = match map.get("additionalProperties") {
            None if self.closes && named && all_named => Value::Bool(false),
            None => any(1),
            Some(_) => result
                .get("additionalProperties")
                .cloned()
                .unwrap_or(Value::Bool(false)),
        };
        if self.closes && named && others != Value::Bool(false) && !result.contains_key("patternProperties") {
            // Spelt with an escape, a name of `properties` would pass for another one; a pattern spells plainly.
            let names = names.into_iter().flat_map(Map::keys).map(String::as_str).collect();
            if let Some(pattern) = names::all_but(names) {
                result.insert("patternProperties".to_owned(), json!({ pattern: others }));
            }
            result.insert("additionalProperties".to_owned(), Value::Bool(false));
        } else {
            result.insert("additionalProperties".to_owned(), others);
        }
    }
}

/// Keywords that are there but ask for nothing.
fn is_idle(keyword: &str, map: &Map<String, Value>) -> bool {
    match keyword {
        "uniqueItems" => map.get(keyword) == Some(&Value::Bool(false)),
        "$anchor" => true,
        "unevaluatedProperties" | "unevaluatedItems" => map.get(keyword) == Some(&Value::Bool(true)),
        // Without an `if` they have no meaning, and an `if` is refused itself.
        "then" | "else" => true,
        _ => false,
    }
}
