//! A JSON object written field by field, in the order given.
//!
//! Separate because Spark's lines begin with `Event`, readers lean on that, and `serde_json`'s own map sorts its keys.

use std::fmt::Display;

/// One JSON object on its way to text.
#[derive(Debug, Clone)]
pub(super) struct Object {
    text: String,
}

impl Object {
    /// An object without fields.
    pub(super) fn new() -> Self {
        Self {
            text: String::from("{"),
        }
    }

    /// A field that is JSON already: a number, a literal, another object.
    pub(super) fn raw(mut self, name: &str, value: impl Display) -> Self {
        use std::fmt::Write;
        let comma = if self.text.len() > 1 { "," } else { "" };
        write!(self.text, "{comma}{}:{value}", quoted(name)).expect("writing to a String cannot fail");
        self
    }

    /// A text field.
    pub(super) fn text(self, name: &str, value: &str) -> Self {
        let value = quoted(value);
        self.raw(name, value)
    }

    /// The object's text.
    pub(super) fn finish(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

/// A JSON array of values that are JSON already.
pub(super) fn array(values: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", values.into_iter().collect::<Vec<_>>().join(","))
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_text_is_escaped() {
        let inner = Object::new().raw("b", 1).finish();
        let object = Object::new().text("z", "say \"hi\"\n").raw("a", inner).finish();
        assert_eq!(object, r#"{"z":"say \"hi\"\n","a":{"b":1}}"#);
    }
}
