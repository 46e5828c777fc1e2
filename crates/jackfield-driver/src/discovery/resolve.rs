//! Looks up the addresses of a name, one family at a time: how long each takes, and which one the
//! resolver keeps silent about, is what a look-up of both at once does not tell.

#![cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "getaddrinfo alone asks for one family")
)]

use std::io;
use std::net::IpAddr;

/// Returns the addresses that a name has in one family; none if the name does not exist or has none
/// there. It asks as all programs do: `/etc/hosts` and the like are honoured.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] when no resolver answered, and other kinds for other failures.
pub async fn resolve(name: &str, is_ipv4: bool) -> io::Result<Vec<IpAddr>> {
    look_up(name.to_owned(), is_ipv4).await
}

#[cfg(not(target_os = "linux"))]
async fn look_up(name: String, is_ipv4: bool) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
    let ips = found.map(|address| address.ip());
    Ok(ips.filter(|ip| ip.is_ipv4() == is_ipv4).collect())
}

#[cfg(target_os = "linux")]
async fn look_up(name: String, is_ipv4: bool) -> io::Result<Vec<IpAddr>> {
    let name = std::ffi::CString::new(name).map_err(|_| io::ErrorKind::InvalidInput)?;
    let found = tokio::task::spawn_blocking(move || system::getaddrinfo(&name, is_ipv4)).await;
    found.map_err(io::Error::other)?
}

#[cfg(target_os = "linux")]
mod system {
    use std::ffi::CStr;
    use std::io;
    use std::mem;
    use std::net::IpAddr;
    use std::ptr;

    pub(super) fn getaddrinfo(name: &CStr, is_ipv4: bool) -> io::Result<Vec<IpAddr>> {
        // SAFETY: hints of zeroes are valid: no flag, no protocol, null pointers.
        let mut hints: libc::addrinfo = unsafe { mem::zeroed() };
        hints.ai_family = if is_ipv4 {
            libc::AF_INET
        } else {
            libc::AF_INET6
        };
        hints.ai_socktype = libc::SOCK_DGRAM;
        let mut list = ptr::null_mut();
        // SAFETY: the name ends with a zero, and the hints and the place for the list live through
        // the call.
        let code = unsafe {
            libc::getaddrinfo(name.as_ptr(), ptr::null(), &raw const hints, &raw mut list)
        };
        match code {
            0 => {}
            libc::EAI_NONAME | EAI_NODATA | EAI_ADDRFAMILY => return Ok(Vec::new()),
            libc::EAI_AGAIN => return Err(io::ErrorKind::TimedOut.into()),
            libc::EAI_SYSTEM => return Err(io::Error::last_os_error()),
            _ => return Err(io::ErrorKind::Other.into()),
        }
        let mut found = Vec::new();
        let mut next = list;
        // SAFETY: getaddrinfo succeeded, so the list is one that it made, and ends with null.
        while let Some(entry) = unsafe { next.as_ref() } {
            found.extend(address(entry).filter(|ip| !found.contains(ip)));
            next = entry.ai_next;
        }
        // SAFETY: the list is one that getaddrinfo made, and nothing points into it any more.
        unsafe { libc::freeaddrinfo(list) };
        Ok(found)
    }

    fn address(entry: &libc::addrinfo) -> Option<IpAddr> {
        if entry.ai_addr.is_null() {
            return None;
        }
        match entry.ai_family {
            libc::AF_INET => {
                // SAFETY: an entry of this family points at an address of this type.
                let address = unsafe { entry.ai_addr.cast::<libc::sockaddr_in>().read_unaligned() };
                Some(u32::from_be(address.sin_addr.s_addr).to_be_bytes().into())
            }
            libc::AF_INET6 => {
                // SAFETY: an entry of this family points at an address of this type.
                let address =
                    unsafe { entry.ai_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
                Some(address.sin6_addr.s6_addr.into())
            }
            _ => None,
        }
    }

    /// glibc's answers for a name that exists without an address of the family; libc does not name
    /// them for every target.
    const EAI_NODATA: libc::c_int = -5;
    const EAI_ADDRFAMILY: libc::c_int = -9;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_its_own_name_in_its_own_family() {
        let v4 = resolve("127.0.0.1", true).await.unwrap();
        assert_eq!(v4, [IpAddr::from([127, 0, 0, 1])]);
        assert!(resolve("127.0.0.1", false).await.unwrap().is_empty());
        let v6 = resolve("::1", false).await.unwrap();
        assert_eq!(v6, ["::1".parse::<IpAddr>().unwrap()]);
    }

    #[tokio::test]
    async fn a_name_with_a_zero_in_it_is_refused() {
        let error = resolve("a\0b", true).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
