//! Shows the frames in captured bytes: `frames 81 85 37 fa 21 3d 7f 9f 4d 51 58` (hexadecimal,
//! spaces as you like).

#![expect(clippy::print_stdout, reason = "the frames are the output")]

use std::error::Error;

use jackfield_websocket::frame::Header;
use jackfield_websocket::mask;

fn main() -> Result<(), Box<dyn Error>> {
    let digits: String = std::env::args().skip(1).collect();
    let bytes = parse_hex(&digits).ok_or("usage: frames HEXADECIMAL...")?;
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let Some((header, length)) = Header::parse(rest)? else {
            println!("{} bytes of a header that is not whole", rest.len());
            break;
        };
        let (_, behind) = rest.split_at(length);
        let here = usize::try_from(header.len)?.min(behind.len());
        let (payload, next) = behind.split_at(here);
        let mut payload = payload.to_vec();
        if let Some(key) = header.mask {
            mask::apply(key, 0, &mut payload);
        }
        let end = if header.fin {
            ", the last of its message"
        } else {
            ""
        };
        println!("{:?}, {} bytes{end}", header.opcode, header.len);
        println!("  {}", String::from_utf8_lossy(&payload).escape_debug());
        rest = next;
    }
    Ok(())
}

fn parse_hex(digits: &str) -> Option<Vec<u8>> {
    let nibbles: Option<Vec<u8>> = digits
        .chars()
        .filter(|digit| !digit.is_whitespace())
        .map(|digit| digit.to_digit(16)?.try_into().ok())
        .collect();
    let nibbles = nibbles?;
    if nibbles.is_empty() || nibbles.len() % 2 == 1 {
        return None;
    }
    let pairs = nibbles.chunks(2);
    Some(
        pairs
            .map(|pair| pair.iter().fold(0, |byte, nibble| byte << 4 | nibble))
            .collect(),
    )
}
