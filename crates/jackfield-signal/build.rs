//! Writes the prototypes of UTS 39 as one text and offsets into it.
//!
//! The tables of `unicode-security` hold a slice for each character: with its relocations that is
//! five times the size in the binary.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

use unicode_normalization::UnicodeNormalization as _;
use unicode_security::skeleton;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let mut text = String::new();
    let mut entries = String::new();
    let mut ignored: Vec<(u32, u32)> = Vec::new();
    for c in '\0'..=char::MAX {
        // What decomposes is looked up by its parts.
        if !c.nfd().eq([c]) {
            continue;
        }
        let prototype: String = skeleton(c.encode_utf8(&mut [0; 4])).collect();
        let code = u32::from(c);
        if prototype.is_empty() {
            match ignored.last_mut() {
                Some((_, last)) if *last + 1 == code => *last = code,
                _ => ignored.push((code, code)),
            }
        } else if !prototype.chars().eq([c]) {
            let start = text.find(&prototype).unwrap_or_else(|| {
                text.push_str(&prototype);
                text.len() - prototype.len()
            });
            let (start, length) = (u16::try_from(start)?, u8::try_from(prototype.len())?);
            write!(entries, "({code},{start},{length}),")?;
        }
    }
    let tables = format!(
        "static PROTOTYPES: &[(u32, u16, u8)] = &[{entries}];\n\
         static TEXT: &str = {text:?};\n\
         static IGNORED: &[(u32, u32)] = &{ignored:?};\n"
    );
    let folder = std::env::var_os("OUT_DIR").ok_or("cargo gives no OUT_DIR")?;
    std::fs::write(Path::new(&folder).join("confusables.rs"), tables)?;
    Ok(())
}
