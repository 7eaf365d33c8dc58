//! HTML, written so that what somebody else wrote is text and nothing else: every text goes through [`Escaped`].

use std::fmt::{self, Display, Write as _};

/// Text as HTML, in elements and in quoted attributes.
pub(super) struct Escaped<T>(pub(super) T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_string().chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A document. Writing into a String cannot fail.
pub(super) struct Page(String);

impl Page {
    /// Begins one.
    pub(super) fn begin(title: &str) -> Self {
        let title = Escaped(title);
        Self(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title}</title>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
        ))
    }

    /// Markup, as it stands.
    pub(super) fn put(&mut self, text: fmt::Arguments<'_>) {
        let _ = self.0.write_fmt(text);
    }

    /// A paragraph for each block of lines.
    pub(super) fn text(&mut self, text: &str) {
        for block in text
            .split("\n\n")
            .map(str::trim)
            .filter(|it| !it.is_empty())
        {
            self.put(format_args!("<p>{}</p>\n", Escaped(block)));
        }
    }

    /// A heading.
    pub(super) fn heading(&mut self, level: u8, text: impl Display) {
        self.put(format_args!("<h{level}>{}</h{level}>\n", Escaped(text)));
    }

    /// A list, unless it is empty.
    pub(super) fn items<T: Display>(&mut self, all: impl IntoIterator<Item = T>) {
        let mut all = all.into_iter().peekable();
        if all.peek().is_none() {
            return;
        }
        self.put(format_args!("<ul>\n"));
        for one in all {
            self.put(format_args!("<li>{}</li>\n", Escaped(one)));
        }
        self.put(format_args!("</ul>\n"));
    }

    /// A link away from here, if it is an `https://` one.
    pub(super) fn link(&mut self, address: &str, text: &str) {
        if address.starts_with("https://") {
            let (address, text) = (Escaped(address), Escaped(text));
            self.put(format_args!(
                "<p><a href=\"{address}\" rel=\"noopener noreferrer nofollow\">{text}</a></p>\n"
            ));
        }
    }

    /// The whole.
    pub(super) fn end(mut self) -> String {
        self.0.push_str("</main>\n</body>\n</html>\n");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_wrote_is_text_and_no_markup() {
        let text = "<script>alert(\"1\")</script> & 'x'";
        let mut page = Page::begin(text);
        page.text(text);
        page.items([text]);
        page.link("javascript:alert(1)", text);
        page.link("https://a.example/\"onclick=\"x", text);
        let page = page.end();
        assert!(
            !page.contains("<script")
                && !page.contains("javascript:")
                && !page.contains("\"onclick"),
            "{page}"
        );
        assert!(
            page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39;"),
            "{page}"
        );
    }
}
