//! Mints TURN credentials that a web application hands to its users:
//! `cargo run -p jackfield-turn --example mint_credentials -- SECRET USER`.
//!
//! The secret is the one that the TURN server has (`--secret` of Jackfield, `static-auth-secret` of
//! coturn). What comes out goes into `new RTCPeerConnection({ iceServers: [...] })`.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example brings the clock that the library goes without"
)]

use std::error::Error;
use std::time::{Duration, SystemTime};

use jackfield_turn::credential::mint;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (secret, user) = (args.next(), args.next());
    let (secret, user) = secret.zip(user).ok_or("which SECRET and USER?")?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    // An hour is enough: an allocation outlives the credential that made it, as long as it is used.
    let minted = mint(&secret, &user, Duration::from_secs(3600), now);
    println!("username:   {}", minted.username);
    println!("credential: {}", minted.password);
    Ok(())
}
