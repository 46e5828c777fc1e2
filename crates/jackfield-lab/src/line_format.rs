//! Lines of programs with the name of their host in front, as people read them in a terminal.

/// Gives each host its colour, and every name the same width.
#[derive(Debug, Clone)]
pub struct LineFormat {
    hosts: Vec<String>,
    width: usize,
    coloured: bool,
}

impl LineFormat {
    /// Returns the format for these hosts, with ANSI colours or without.
    pub fn new(hosts: Vec<String>, coloured: bool) -> Self {
        Self {
            width: hosts.iter().map(String::len).max().unwrap_or(0),
            hosts,
            coloured,
        }
    }

    /// Returns a program's line with its host in front and a newline at the end.
    ///
    /// The text is passed on byte for byte, since programs print what is not UTF-8, too.
    #[must_use]
    pub fn line(&self, host: &str, text: &[u8]) -> Vec<u8> {
        let mut line = self.prefix(host).into_bytes();
        line.extend(text);
        line.push(b'\n');
        line
    }

    fn prefix(&self, host: &str) -> String {
        let place = self.hosts.iter().position(|other| other == host);
        let colour = place.and_then(|place| COLOURS.get(place % COLOURS.len()));
        let width = self.width;
        match colour.filter(|_| self.coloured) {
            Some(colour) => format!("\x1b[{colour}m{host:width$} │\x1b[0m "),
            None => format!("{host:width$} | "),
        }
    }
}

/// Colours that can be read on light and dark ground: of the 16 that terminals have themes for.
const COLOURS: &[&str] = &["36", "33", "35", "32", "34", "96", "93", "95", "92", "94"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_width_so_that_texts_stand_below_each_other() {
        let format = LineFormat::new(vec!["server".into(), "ann".into()], false);
        assert_eq!(format.line("server", b"up"), b"server | up\n");
        assert_eq!(format.line("ann", b"hello"), b"ann    | hello\n");
    }

    #[test]
    fn each_host_has_a_colour_and_its_text_stays_byte_for_byte() {
        let hosts: Vec<String> = (0..12).map(|n| format!("h{n}")).collect();
        let format = LineFormat::new(hosts, true);
        let line = format.line("h0", b"\xff\x1b[1m");
        assert!(line.starts_with(b"\x1b[36mh0"), "{line:?}");
        assert!(line.ends_with(b"\x1b[0m \xff\x1b[1m\n"), "{line:?}");
        assert_ne!(line.get(..5), format.line("h1", b"").get(..5));
        // There are ten colours; the eleventh host starts over.
        assert_eq!(line.get(..5), format.line("h10", b"").get(..5));
    }

    #[test]
    fn a_host_that_is_not_in_the_list_has_no_colour() {
        let format = LineFormat::new(vec!["ann".into()], true);
        assert_eq!(format.line("zoe", b"x"), b"zoe | x\n");
    }
}
