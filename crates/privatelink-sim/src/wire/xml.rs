//! Writes XML answers. Elements only, no attributes but the name space; text is escaped, what XML cannot carry is replaced.

use std::fmt::{Display, Write};

/// An answer being written.
#[derive(Debug, Default)]
pub struct Xml {
    text: String,
}

impl Xml {
    /// An answer with this root element in this name space.
    pub fn document(root: &str, namespace: Option<&str>, inside: impl FnOnce(&mut Self)) -> String {
        let mut xml = Self::default();
        xml.text
            .push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<");
        xml.text.push_str(root);
        if let Some(namespace) = namespace {
            xml.text.push_str(" xmlns=\"");
            xml.escape(namespace);
            xml.text.push('"');
        }
        xml.text.push('>');
        inside(&mut xml);
        xml.close(root);
        xml.text
    }

    /// What was written, for a part of an answer.
    pub fn fragment(inside: impl FnOnce(&mut Self)) -> String {
        let mut xml = Self::default();
        inside(&mut xml);
        xml.text
    }

    /// Appends a part that was written before.
    pub fn raw(&mut self, fragment: &str) {
        self.text.push_str(fragment);
    }

    /// An element with elements inside.
    pub fn node(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.open(name);
        inside(self);
        self.close(name);
    }

    /// An element with a text.
    pub fn leaf(&mut self, name: &str, value: impl Display) {
        self.open(name);
        // Writing into a string cannot fail.
        let _ = write!(Escaping(self), "{value}");
        self.close(name);
    }

    /// An element with a text, or no element.
    pub fn optional(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.leaf(name, value);
        }
    }

    /// A wrapper with one `item` element per row, as EC2 writes lists; an empty wrapper for no rows.
    pub fn items<T>(
        &mut self,
        name: &str,
        rows: impl IntoIterator<Item = T>,
        mut row: impl FnMut(&mut Self, T),
    ) {
        self.list(name, "item", rows, &mut row);
    }

    /// A wrapper with one `item` text per row.
    pub fn texts<T: Display>(&mut self, name: &str, rows: impl IntoIterator<Item = T>) {
        self.node(name, |xml| {
            for row in rows {
                xml.leaf("item", row);
            }
        });
    }

    /// A wrapper with one `member` element per row, as the Query protocol writes lists.
    pub fn members<T>(
        &mut self,
        name: &str,
        rows: impl IntoIterator<Item = T>,
        mut row: impl FnMut(&mut Self, T),
    ) {
        self.list(name, "member", rows, &mut row);
    }

    fn list<T>(
        &mut self,
        name: &str,
        element: &str,
        rows: impl IntoIterator<Item = T>,
        row: &mut impl FnMut(&mut Self, T),
    ) {
        self.node(name, |xml| {
            for item in rows {
                xml.node(element, |xml| row(xml, item));
            }
        });
    }

    fn open(&mut self, name: &str) {
        self.text.push('<');
        self.text.push_str(name);
        self.text.push('>');
    }

    fn close(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }

    fn escape(&mut self, text: &str) {
        let mut rest = text;
        // Nearly every text has nothing to escape and is copied as a whole.
        while let Some(at) = rest.bytes().position(may_be_special) {
            let (plain, special) = rest.split_at(at);
            self.text.push_str(plain);
            let mut special = special.chars();
            match special.next() {
                Some('&') => self.text.push_str("&amp;"),
                Some('<') => self.text.push_str("&lt;"),
                Some('>') => self.text.push_str("&gt;"),
                Some('"') => self.text.push_str("&quot;"),
                Some('\r') => self.text.push_str("&#13;"),
                Some(other @ '\u{f000}'..='\u{fffd}') => self.text.push(other),
                // XML 1.0 has no way to write the rest.
                _ => self.text.push('\u{fffd}'),
            }
            rest = special.as_str();
        }
        self.text.push_str(rest);
    }
}

/// Whether a character that has a meaning of its own in XML, or none at all, may begin with this byte. `U+FFFE` and `U+FFFF`
/// begin like many others.
fn may_be_special(byte: u8) -> bool {
    match byte {
        b'&' | b'<' | b'>' | b'"' | 0xef => true,
        b'\t' | b'\n' => false,
        other => other < b' ',
    }
}

/// Lets a value write itself into an answer without a text of its own in between.
struct Escaping<'a>(&'a mut Xml);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.escape(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_lists_are_wrapped() {
        let text = Xml::document("R", Some("http://n/"), |xml| {
            xml.texts("set", ["a<b", "\u{0}\"&", "é\u{fb01}\u{ffff}\r\n"]);
            xml.items("none", [0; 0], |_, _| {});
            xml.optional("no", None::<u8>);
        });
        assert_eq!(
            text,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"http://n/\"><set><item>a&lt;b</item>\
             <item>\u{fffd}&quot;&amp;</item><item>é\u{fb01}\u{fffd}&#13;\n</item></set><none></none></R>"
        );
    }
}
