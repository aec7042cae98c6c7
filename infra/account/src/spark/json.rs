//! A JSON object written field by field, in the order given.
//!
//! Separate because Spark's lines begin with `Event`, readers lean on that, and `serde_json`'s own map sorts its keys.

use std::fmt::{Display, Write};

/// What most objects of a log have room in.
const USUAL_BYTES: usize = 256;

/// One JSON object on its way to text.
#[derive(Debug, Clone)]
pub(super) struct Object {
    text: String,
}

impl Object {
    /// An object without fields.
    pub(super) fn new() -> Self {
        let mut text = String::with_capacity(USUAL_BYTES);
        text.push('{');
        Self { text }
    }

    /// A field that is JSON already: a number, a literal, another object.
    pub(super) fn raw(mut self, name: &'static str, value: impl Display) -> Self {
        self.name(name);
        write!(self.text, "{value}").expect("writing to a String cannot fail");
        self
    }

    /// A field that is JSON already, and a text.
    pub(super) fn json(mut self, name: &'static str, value: &str) -> Self {
        self.name(name);
        self.text.push_str(value);
        self
    }

    /// A text field.
    pub(super) fn text(mut self, name: &'static str, value: &str) -> Self {
        self.name(name);
        quote(&mut self.text, value);
        self
    }

    /// A text field whose name is somebody else's.
    pub(super) fn property(mut self, name: &str, value: &str) -> Self {
        self.comma();
        quote(&mut self.text, name);
        self.text.push(':');
        quote(&mut self.text, value);
        self
    }

    /// Our own names need no escaping.
    fn name(&mut self, name: &'static str) {
        self.comma();
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
    }

    fn comma(&mut self) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
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

/// Hardly any text of a log needs to be escaped, and a log has a hundred thousand of them.
fn quote(to: &mut String, text: &str) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        to.push('"');
        to.push_str(text);
        to.push('"');
    } else {
        to.push_str(&serde_json::to_string(text).expect("a string is always JSON"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_text_is_escaped() {
        let inner = Object::new().raw("b", 1).finish();
        let object = Object::new().text("z", "say \"hi\"\n").raw("a", inner).finish();
        assert_eq!(object, r#"{"z":"say \"hi\"\n","a":{"b":1}}"#);
        let object = Object::new().property("say \"hi\"", "").json("c", "[]").finish();
        assert_eq!(object, r#"{"say \"hi\"":"","c":[]}"#);
    }

    #[test]
    fn every_text_is_quoted_as_serde_quotes_it() {
        let all: Vec<String> = (0..=0x2100_u32).filter_map(char::from_u32).map(String::from).collect();
        for text in all.iter().map(String::as_str).chain(["", "a\\b", "a\u{7f}b"]) {
            let mut quoted = String::new();
            quote(&mut quoted, text);
            assert_eq!(quoted, serde_json::to_string(text).unwrap());
        }
    }
}
