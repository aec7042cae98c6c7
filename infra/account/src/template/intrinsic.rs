//! CloudFormation's conditions and intrinsic functions, in their short and long forms.
//!
//! Separate because a function knows nothing of what a name stands for: that is the scope's.
//= https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html

use serde_json::{Map, Value as Json};
use serde_norway::Value as Yaml;

use super::Error;
use super::resolve::{Scope, entries, text_of};

/// Deeper nesting than this is a mistake, or a condition that refers to itself.
const DEPTH_MAX: usize = 64;

impl Scope<'_> {
    pub(super) fn condition(&self, name: &str, at: &str, depth: usize) -> Result<bool, Error> {
        let condition = self
            .conditions
            .get(name)
            .ok_or_else(|| Error::new(at, format!("there is no condition {name}")))?;
        self.holds(condition, &format!("Conditions.{name}"), depth + 1)
    }

    pub(super) fn holds(&self, condition: &Yaml, at: &str, depth: usize) -> Result<bool, Error> {
        if depth > DEPTH_MAX {
            return Err(Error::new(at, "is nested too deeply"));
        }
        let (name, argument) = function(condition).ok_or_else(|| Error::new(at, "is not a condition"))?;
        let many = || {
            argument
                .as_sequence()
                .into_iter()
                .flatten()
                .map(|item| self.holds(item, at, depth + 1))
        };
        match name {
            "Condition" => self.condition(argument.as_str().unwrap_or_default(), at, depth),
            "Equals" => match argument.as_sequence().map(Vec::as_slice) {
                Some([a, b]) => Ok(self.json(a, at, depth + 1)? == self.json(b, at, depth + 1)?),
                _ => Err(Error::new(at, "Equals takes two values")),
            },
            "Not" => Ok(!many()
                .next()
                .ok_or_else(|| Error::new(at, "Not takes one condition"))??),
            "And" => Ok(many().collect::<Result<Vec<_>, _>>()?.into_iter().all(|holds| holds)),
            "Or" => Ok(many().collect::<Result<Vec<_>, _>>()?.into_iter().any(|holds| holds)),
            other => Err(Error::new(at, format!("{other} is not a condition function"))),
        }
    }

    pub(super) fn json(&self, yaml: &Yaml, at: &str, depth: usize) -> Result<Json, Error> {
        Ok(self.resolve(yaml, at, depth)?.unwrap_or(Json::Null))
    }

    /// The value, or `None` where it is `AWS::NoValue`.
    fn resolve(&self, yaml: &Yaml, at: &str, depth: usize) -> Result<Option<Json>, Error> {
        if depth > DEPTH_MAX {
            return Err(Error::new(at, "is nested too deeply"));
        }
        if let Some((name, argument)) = function(yaml) {
            return self.call(name, argument, at, depth + 1);
        }
        Ok(Some(match yaml {
            Yaml::Mapping(_) => {
                let mut members = Map::new();
                for (key, value) in entries(yaml) {
                    if let Some(value) = self.resolve(value, &format!("{at}.{key}"), depth + 1)? {
                        members.insert(key.to_owned(), value);
                    }
                }
                Json::Object(members)
            }
            Yaml::Sequence(items) => {
                let items = items
                    .iter()
                    .enumerate()
                    .map(|(i, v)| self.resolve(v, &format!("{at}.{i}"), depth + 1));
                Json::Array(items.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
            }
            Yaml::Tagged(tagged) => return Err(Error::new(at, format!("unknown function {}", tagged.tag))),
            scalar => serde_json::to_value(scalar).map_err(|error| Error::new(at, error.to_string()))?,
        }))
    }

    fn call(&self, name: &str, argument: &Yaml, at: &str, depth: usize) -> Result<Option<Json>, Error> {
        let wrong = |why: &str| Error::new(at, format!("{name} {why}"));
        let arguments = argument.as_sequence().map(Vec::as_slice).unwrap_or_default();
        Ok(Some(match (name, arguments) {
            ("Ref", _) => {
                let id = argument.as_str().ok_or_else(|| wrong("takes a name"))?;
                if id == "AWS::NoValue" {
                    return Ok(None);
                }
                self.named(id, at)?
            }
            ("GetAtt", _) => {
                let path = match argument.as_str() {
                    Some(path) => path.to_owned(),
                    None => arguments.iter().filter_map(Yaml::as_str).collect::<Vec<_>>().join("."),
                };
                let (id, attribute) = path.split_once('.').ok_or_else(|| wrong("takes Resource.Attribute"))?;
                Json::String(self.attribute(id, attribute, at)?)
            }
            ("Sub", []) => {
                let text = argument.as_str().ok_or_else(|| wrong("takes a text"))?;
                Json::String(self.substitute(text, &Json::Null, at)?)
            }
            ("Sub", [text, variables]) => {
                let variables = self.json(variables, at, depth)?;
                Json::String(self.substitute(text.as_str().unwrap_or_default(), &variables, at)?)
            }
            ("Join", [separator, items]) => {
                let items = self.json(items, at, depth)?;
                let items = items.as_array().ok_or_else(|| wrong("takes a list"))?;
                let items: Vec<String> = items.iter().map(text_of).collect();
                Json::String(items.join(separator.as_str().unwrap_or_default()))
            }
            ("Split", [separator, text]) => {
                let text = text_of(&self.json(text, at, depth)?);
                text.split(separator.as_str().unwrap_or(","))
                    .map(|part| Json::String(part.to_owned()))
                    .collect()
            }
            ("Select", [index, items]) => {
                let index: Option<usize> = text_of(&self.json(index, at, depth)?).parse().ok();
                let items = self.json(items, at, depth)?;
                index
                    .and_then(|index| items.get(index))
                    .cloned()
                    .ok_or_else(|| wrong("is beyond the list's end"))?
            }
            ("If", [condition, yes, no]) => {
                let condition = condition.as_str().ok_or_else(|| wrong("takes a condition's name"))?;
                // The other branch may not even make sense, such as the parts of an empty URI.
                let chosen = if self.condition(condition, at, depth)? { yes } else { no };
                return self.resolve(chosen, at, depth);
            }
            _ => return Err(wrong("is not supported, or has the wrong arguments")),
        }))
    }

    /// Replaces `${Name}` and `${Name.Attribute}`; `${!Literal}` stays.
    fn substitute(&self, text: &str, variables: &Json, at: &str) -> Result<String, Error> {
        let mut result = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            result.push_str(&rest[..start]);
            let end = rest[start..]
                .find('}')
                .ok_or_else(|| Error::new(at, "Sub has an open ${"))?
                + start;
            let name = rest[start + 2..end].trim();
            rest = &rest[end + 1..];
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str(&format!("${{{literal}}}"));
            } else if let Some(value) = variables.get(name) {
                result.push_str(&text_of(value));
            } else if let Some((id, attribute)) = name.split_once('.') {
                result.push_str(&self.attribute(id, attribute, at)?);
            } else {
                result.push_str(&text_of(&self.named(name, at)?));
            }
        }
        result.push_str(rest);
        Ok(result)
    }
}

/// A function call in its short form (`!Ref x`) or its long one (`Ref: x`, `Fn::Sub: x`).
fn function(yaml: &Yaml) -> Option<(&str, &Yaml)> {
    match yaml {
        Yaml::Tagged(tagged) => {
            let name = [
                "And",
                "Condition",
                "Equals",
                "GetAtt",
                "If",
                "Join",
                "Not",
                "Or",
                "Ref",
                "Select",
                "Split",
                "Sub",
            ]
            .into_iter()
            .find(|name| tagged.tag == *name)?;
            Some((name, &tagged.value))
        }
        Yaml::Mapping(mapping) if mapping.len() == 1 => {
            let (key, argument) = mapping.iter().next()?;
            let key = key.as_str()?;
            let name = if key == "Ref" {
                Some(key)
            } else {
                key.strip_prefix("Fn::")
            }?;
            Some((name, argument))
        }
        _ => None,
    }
}
