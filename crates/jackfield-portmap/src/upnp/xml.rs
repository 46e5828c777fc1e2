//! The part of XML that device descriptions and SOAP need.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// An element of an XML document: its name without prefix, its own text, and its child elements.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Self>,
}

/// An error: the bytes are not XML, or are XML that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the XML of a device")]
pub(crate) struct XmlError;

impl Element {
    /// Reads a document.
    ///
    /// Documents with entities other than the five of XML, document types, more than [`DEEPEST`]
    /// levels or more than [`MOST`] elements are refused. No device sends them; attackers do, to
    /// exhaust memory.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let text = std::str::from_utf8(bytes).map_err(|_| XmlError)?;
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        let mut open: Vec<Self> = Vec::new();
        let mut elements = 0;
        loop {
            match reader.read_event().map_err(|_| XmlError)? {
                Event::Start(start) => {
                    elements += 1;
                    if open.len() >= DEEPEST || elements > MOST {
                        return Err(XmlError);
                    }
                    open.push(Self::begin(&start)?);
                }
                Event::Empty(start) => {
                    elements += 1;
                    let element = Self::begin(&start)?;
                    match open.last_mut() {
                        Some(parent) if elements <= MOST => parent.children.push(element),
                        Some(_) => return Err(XmlError),
                        None => return Ok(element),
                    }
                }
                Event::End(_) => {
                    let element = open.pop().ok_or(XmlError)?;
                    match open.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => return Ok(element),
                    }
                }
                Event::Text(text) => {
                    append(&mut open, &text.xml10_content().map_err(|_| XmlError)?);
                }
                Event::CData(data) => append(&mut open, &data.decode().map_err(|_| XmlError)?),
                Event::GeneralRef(reference) => {
                    let name = reference.decode().map_err(|_| XmlError)?;
                    let plain = quick_xml::escape::unescape(&format!("&{name};"))
                        .map_err(|_| XmlError)?
                        .into_owned();
                    append(&mut open, &plain);
                }
                Event::Comment(_) | Event::Decl(_) => {}
                Event::PI(_) | Event::DocType(_) | Event::Eof => return Err(XmlError),
            }
        }
    }

    fn begin(start: &BytesStart<'_>) -> Result<Self, XmlError> {
        let name = start.local_name();
        let name = std::str::from_utf8(name.as_ref()).map_err(|_| XmlError)?;
        Ok(Self {
            name: name.to_owned(),
            ..Self::default()
        })
    }

    /// Returns the first child element with a name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Returns the text of the first child element with a name, trimmed.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }

    /// Returns every element with a name, at any depth.
    pub(crate) fn all<'a>(&'a self, name: &str, found: &mut Vec<&'a Self>) {
        for child in &self.children {
            if child.name == name {
                found.push(child);
            }
            child.all(name, found);
        }
    }
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        // Devices copy what anybody has told them into their answers, control characters
        // included; a document is not refused for one that no text may have.
        element.text.extend(text.chars().filter(is_char));
    }
}

/// Escapes text for an element; characters that XML cannot express are dropped.
pub(crate) fn escape(text: &str) -> String {
    let text: String = text.chars().filter(is_char).collect();
    // A parser reads a bare carriage return as a line feed.
    quick_xml::escape::escape(&text).replace('\r', "&#13;")
}

/// Returns whether a text may have this character
/// ([XML 1.0 §2.2](https://www.w3.org/TR/xml/#charsets)).
fn is_char(char: &char) -> bool {
    match *char {
        '\u{fffe}' | '\u{ffff}' => false,
        '\t' | '\n' | '\r' | ' '.. => true,
        _ => false,
    }
}

const DEEPEST: usize = 24;
const MOST: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Element, XmlError> {
        Element::parse(text.as_bytes())
    }

    #[test]
    fn a_document_becomes_elements_without_prefixes() {
        let root = parse(
            "<?xml version=\"1.0\"?>\n<!-- hi --><s:a xmlns:s='x'><b>1 &lt; &#50;</b><c/><b><![CDATA[<3>]]></b></s:a>",
        )
        .unwrap();
        assert_eq!(root.name, "a");
        assert_eq!(root.text_of("b"), Some("1 < 2"));
        assert_eq!(root.children[2].text, "<3>");
        assert_eq!(root.child("c").unwrap().text, "");
        let mut found = Vec::new();
        root.all("b", &mut found);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn characters_that_xml_does_not_have_are_left_out_both_ways() {
        let text = "a\u{1}b\u{0}\u{1f}\u{fffe}\u{ffff}\tc\u{7f}\u{fffd}";
        let read = parse(&format!("<a>{text}</a>")).unwrap();
        assert_eq!(read.text, "ab\tc\u{7f}\u{fffd}");
        assert_eq!(escape(text), read.text);
        assert_eq!(parse("<a>&#1;x</a>").map(|it| it.text), Ok("x".to_owned()));
    }

    #[test]
    fn what_only_attackers_write_is_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>";
        for wrong in [
            bomb,
            "<a>&b;</a>",
            "<a><b></a></b>",
            "<a>",
            "",
            "text",
            "<?php x ?><a/>",
            "<a>&#0;</a>",
        ] {
            assert_eq!(parse(wrong), Err(XmlError), "{wrong}");
        }
        let deep = "<a>".repeat(DEEPEST + 1) + &"</a>".repeat(DEEPEST + 1);
        assert_eq!(parse(&deep), Err(XmlError));
        let many = format!("<a>{}</a>", "<b/>".repeat(MOST));
        assert_eq!(parse(&many), Err(XmlError));
    }

    proptest::proptest! {
        #[test]
        fn text_is_read_as_it_was_written(text in "\\PC*[\\n\\t ]*\\PC*") {
            let document = format!("<a>{}</a>", escape(&text));
            proptest::prop_assert_eq!(parse(&document).unwrap().text, text);
        }
    }
}
