//! Values as PostgreSQL reads them in the text of a statement. What a backslash means in a plain string constant is for
//! `standard_conforming_strings` to say, which a script cannot set for itself: all of it is read before any of it runs. Between `$$` it
//! never means anything, and in `E'…'` it always quotes; so a text that has one is written like that, and means the same to every
//! database. Otherwise a constant ends at a single quote, and nothing else is special in it
//! (<https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-STRINGS>).

use std::borrow::Cow;

use crate::storage::json::push_int;
use crate::storage::write::Table;

/// A parameter of a statement.
#[derive(Debug, Clone, Copy)]
pub(super) enum Arg<'a> {
    /// A number.
    Int(i64),
    /// A text, or an array as text.
    Text(&'a str),
}

impl Arg<'_> {
    pub(super) fn push(self, out: &mut String) {
        match self {
            Self::Int(value) => push_int(out, value),
            Self::Text(text) if !text.contains('\\') => {
                out.push('\'');
                push_doubling(out, '\'', text);
                out.push('\'');
            }
            // JSON in an array has many backslashes, and hardly ever a dollar: nothing needs to be doubled.
            Self::Text(text) if !text.contains('$') => out.extend(["$$", text, "$$"]),
            Self::Text(text) => {
                let mut doubled = String::with_capacity(text.len());
                push_doubling(&mut doubled, '\\', text);
                out.push_str("E'");
                push_doubling(out, '\'', &doubled);
                out.push('\'');
            }
        }
    }
}

/// Appends a text in which each of these characters stands twice.
fn push_doubling(out: &mut String, character: char, text: &str) {
    for (index, part) in text.split(character).enumerate() {
        if index > 0 {
            out.extend([character; 2]);
        }
        out.push_str(part);
    }
}

/// An array constant, `{"a","b"}`, element by element.
#[derive(Debug, Default)]
pub(super) struct Array {
    text: String,
    elements: usize,
    /// Where the first one ends.
    first_end: usize,
    /// Whether another one differs from it.
    differ: bool,
}

impl Array {
    fn element(&mut self, push: impl FnOnce(&mut String)) {
        self.text.push(if self.elements == 0 { '{' } else { ',' });
        let start = self.text.len();
        push(&mut self.text);
        if self.elements == 0 {
            self.first_end = self.text.len();
        } else {
            self.differ = self.differ || self.text[start..] != self.text[1..self.first_end];
        }
        self.elements += 1;
    }

    pub(super) fn text(&mut self, text: &str) {
        self.element(|out| {
            out.push('"');
            let mut rest = text;
            while let Some(at) = rest.find(['"', '\\']) {
                let (plain, special) = rest.split_at(at);
                let (special, behind) = special.split_at(1);
                out.extend([plain, "\\", special]);
                rest = behind;
            }
            out.push_str(rest);
            out.push('"');
        });
    }

    pub(super) fn int(&mut self, value: i64) {
        self.element(|out| push_int(out, value));
    }

    pub(super) fn null(&mut self) {
        self.element(|out| out.push_str("NULL"));
    }

    pub(super) fn finish(&mut self) {
        self.text.push_str(if self.elements == 0 { "{}" } else { "}" });
    }

    pub(super) fn as_arg(&self) -> Arg<'_> {
        Arg::Text(&self.text)
    }

    /// The array of one element that all are like, if they are.
    pub(super) fn common(&self) -> Option<Cow<'_, str>> {
        match self.elements {
            0 => None,
            1 => Some(Cow::Borrowed(&self.text)),
            _ => (!self.differ).then(|| [&self.text[..self.first_end], "}"].concat().into()),
        }
    }
}

/// The texts as one array.
pub(super) fn array<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Array {
    let mut array = Array::default();
    for text in texts {
        array.text(text.as_ref());
    }
    array.finish();
    array
}

/// Rows as PostgreSQL takes them: an array for each column, for `unnest`. The event is a parameter of its own.
#[derive(Debug)]
pub(super) struct Arrays {
    pub(super) columns: Vec<Array>,
    at: usize,
    scratch: String,
}

impl Arrays {
    fn column(&mut self) -> &mut Array {
        if self.at == self.columns.len() {
            self.columns.push(Array::default());
        }
        self.at += 1;
        &mut self.columns[self.at - 1]
    }
}

impl Table for Arrays {
    fn with_capacity(_rows: usize) -> Self {
        Self { columns: Vec::new(), at: 0, scratch: String::new() }
    }

    fn begin_row(&mut self, _event: &str) {
        self.at = 0;
    }

    fn text(&mut self, value: &str) {
        self.column().text(value);
    }

    fn int(&mut self, value: i64) {
        self.column().int(value);
    }

    fn json(&mut self, push: impl FnOnce(&mut String)) {
        let mut json = std::mem::take(&mut self.scratch);
        json.clear();
        push(&mut json);
        // What is not there is NULL, not the JSON value of that name.
        match json.as_str() {
            "null" => self.null(),
            json => self.text(json),
        }
        self.scratch = json;
    }

    fn null(&mut self) {
        self.column().null();
    }

    fn end_row(&mut self) {}

    fn finish(&mut self) {
        self.columns.iter_mut().for_each(Array::finish);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_where_they_end() {
        let mut out = String::new();
        Arg::Text("it's '' \"x\" \n--; $1").push(&mut out);
        assert_eq!(out, "'it''s '''' \"x\" \n--; $1'");
        out.clear();
        Arg::Text(r"a\'b").push(&mut out);
        assert_eq!(out, r"$$a\'b$$");
        out.clear();
        Arg::Text(r"a\'$b").push(&mut out);
        assert_eq!(out, r"E'a\\''$b'");
        out.clear();
        array(["a", "b\"c", "d\\e", "{f,NULL}", ""]).as_arg().push(&mut out);
        assert_eq!(out, r#"$${"a","b\"c","d\\e","{f,NULL}",""}$$"#);
        out.clear();
        array::<&str>([]).as_arg().push(&mut out);
        assert_eq!(out, "'{}'");
    }

    #[test]
    fn elements_that_are_all_the_same_can_stand_once() {
        let array = |elements: &[Option<&str>]| {
            let mut array = Array::default();
            for element in elements {
                match element {
                    Some(text) => array.text(text),
                    None => array.null(),
                }
            }
            array.finish();
            array.common().map(Cow::into_owned)
        };
        assert_eq!(array(&[Some("a\"b"), Some("a\"b"), Some("a\"b")]).unwrap(), r#"{"a\"b"}"#);
        assert_eq!(array(&[None, None]).unwrap(), "{NULL}");
        assert_eq!(array(&[Some("a")]).unwrap(), r#"{"a"}"#);
        for elements in [&[][..], &[Some("a"), Some("b"), Some("a")], &[Some("NULL"), None], &[Some("a"), Some("")]] {
            assert_eq!(array(elements), None, "{elements:?}");
        }
    }
}
