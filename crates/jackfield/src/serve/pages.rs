//! The pages of `web/`, inside the binary.

use std::borrow::Cow;
use std::sync::OnceLock;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use rust_embed::RustEmbed;

use super::http::{Body, full};
use super::site_policy::FETCH_SITE;

#[derive(RustEmbed)]
#[folder = "../../web/"]
#[exclude = "*.md"]
#[exclude = ".gitkeep"]
struct Web;

/// What pages may load and talk to: themselves, and signaling and TURN anywhere.
const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:; \
                      media-src 'self' blob: mediastream:; style-src 'self'; script-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

/// Which file answers for a path of the URL, if it is a page's.
pub(super) fn file_for(path: &str) -> Option<String> {
    match path {
        "/" => Some("index.html".to_owned()),
        "/doctor" => Some("doctor.html".to_owned()),
        "/sdk.js" => Some("sdk.js".to_owned()),
        "/favicon.ico" => Some("assets/icon.svg".to_owned()),
        _ => match path.strip_prefix("/assets/") {
            Some(name) => Some(format!("assets/{name}")),
            None => room_of(path).map(|_| "room.html".to_owned()),
        },
    }
}

/// Returns whether people open a path, and not a page that they have opened.
pub(super) fn is_page(path: &str) -> bool {
    matches!(path, "/" | "/doctor") || room_of(path).is_some()
}

/// Returns the room that `/r/ROOM` names, still percent-encoded.
fn room_of(path: &str) -> Option<&str> {
    let room = path.strip_prefix("/r/")?;
    (!room.is_empty() && !room.contains('/')).then_some(room)
}

/// Answers with a file of `web/`; `None` if there is no such file.
pub(super) fn answer(method: &Method, headers: &HeaderMap, path: &str) -> Option<Response<Body>> {
    let name = file_for(path)?;
    let file = Web::get(&name)?;
    if method != Method::GET && method != Method::HEAD {
        return Some(super::http::method_not_allowed("GET, HEAD"));
    }
    let is_room = name == "room.html";
    let is_own = is_room && is_opened_here(headers);
    let etag = etag(&file.metadata.sha256_hash(), is_own);
    let unchanged = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let body = if unchanged || method == Method::HEAD {
        Bytes::new()
    } else if is_own {
        opened_here(file.data)
    } else {
        bytes(file.data)
    };
    let mut response = Response::new(full(body));
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag);
    headers.insert(header::CONTENT_TYPE, content_type(&name));
    // A new binary has new pages: they are asked for each time, and answered 304 while they are the
    // same.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if is_room {
        // What one visitor gets says how that visitor came.
        let private = HeaderValue::from_static("private, no-cache");
        headers.insert(header::CACHE_CONTROL, private);
        headers.insert(header::VARY, HeaderValue::from_name(FETCH_SITE));
    }
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    if name == "sdk.js" || name.starts_with("assets/sdk-") {
        // The SDK is a library for other sites' pages as well.
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
    }
    Some(response)
}

/// Returns whether a person, or a page of ours, has opened the page: another site's page that does
/// so must not turn a camera on.
///
/// A browser says `none` for an address that was typed, a bookmark or a link in a program, and for
/// what redirects of those lead to. Without TLS it says nothing, and has no camera for the page.
fn is_opened_here(headers: &HeaderMap) -> bool {
    let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
    matches!(site, Some(b"none" | b"same-origin"))
}

/// Returns the room's page with what [`is_opened_here`] says.
fn opened_here(page: Cow<'static, [u8]>) -> Bytes {
    static IN_THE_PROGRAM: OnceLock<Bytes> = OnceLock::new();
    let change = |page: &[u8]| {
        String::from_utf8_lossy(page)
            .replacen(FROM_ELSEWHERE, FROM_HERE, 1)
            .into()
    };
    match page {
        Cow::Borrowed(page) => IN_THE_PROGRAM.get_or_init(|| change(page)).clone(),
        Cow::Owned(page) => change(&page),
    }
}

/// Returns a file without a copy: answers may wait for clients that do not read.
fn bytes(file: Cow<'static, [u8]>) -> Bytes {
    match file {
        Cow::Borrowed(file) => Bytes::from_static(file),
        // A debug build reads its files anew, so that they can be changed while it runs.
        Cow::Owned(file) => file.into(),
    }
}

const FROM_ELSEWHERE: &str = "data-opened-from=\"elsewhere\"";
const FROM_HERE: &str = "data-opened-from=\"here\"";

fn etag(hash: &[u8; 32], is_own: bool) -> HeaderValue {
    let mut text = String::from(if is_own { "\"here-" } else { "\"" });
    for byte in hash.iter().take(12) {
        text.push_str(&format!("{byte:02x}"));
    }
    text.push('"');
    HeaderValue::try_from(text).expect("letters and digits in quotes are a header value")
}

fn content_type(name: &str) -> HeaderValue {
    HeaderValue::from_static(match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json" | "webmanifest") => "application/json",
        _ => "application/octet-stream",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_files() {
        let file = |path| file_for(path);
        assert_eq!(file("/").as_deref(), Some("index.html"));
        assert_eq!(file("/doctor").as_deref(), Some("doctor.html"));
        assert_eq!(file("/r/demo").as_deref(), Some("room.html"));
        assert_eq!(file("/r/%C3%A9t%C3%A9").as_deref(), Some("room.html"));
        assert_eq!(file("/r/"), None);
        assert_eq!(file("/r/a/b"), None);
        assert_eq!(
            file("/assets/style.css").as_deref(),
            Some("assets/style.css")
        );
        assert_eq!(file("/Cargo.toml"), None);
    }

    #[test]
    fn every_page_is_inside_and_has_a_policy_and_a_tag() {
        for path in ["/", "/doctor", "/r/demo", "/sdk.js"] {
            let response = answer(&Method::GET, &HeaderMap::new(), path)
                .unwrap_or_else(|| panic!("{path} is missing"));
            assert_eq!(response.status(), StatusCode::OK);
            assert!(
                response
                    .headers()
                    .contains_key(header::CONTENT_SECURITY_POLICY)
            );
            let tag = response.headers()[header::ETAG].clone();
            let mut again = HeaderMap::new();
            again.insert(header::IF_NONE_MATCH, tag);
            let response = answer(&Method::GET, &again, path).unwrap();
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        }
    }

    #[tokio::test]
    async fn the_room_knows_whether_another_sites_page_has_opened_it() {
        let ask = |site: Option<&'static str>, known: Option<&HeaderValue>| {
            let mut headers = HeaderMap::new();
            if let Some(site) = site {
                headers.insert(FETCH_SITE, HeaderValue::from_static(site));
            }
            if let Some(known) = known {
                headers.insert(header::IF_NONE_MATCH, known.clone());
            }
            answer(&Method::GET, &headers, "/r/demo").unwrap()
        };
        let mut tags = Vec::new();
        for (site, mark) in [
            (Some("none"), FROM_HERE),
            (Some("same-origin"), FROM_HERE),
            (Some("same-site"), FROM_ELSEWHERE),
            (Some("cross-site"), FROM_ELSEWHERE),
            (Some("None"), FROM_ELSEWHERE),
            (None, FROM_ELSEWHERE),
        ] {
            let response = ask(site, None);
            let headers = response.headers();
            assert_eq!(headers[header::VARY], "sec-fetch-site");
            let caching = headers[header::CACHE_CONTROL].to_str().unwrap();
            assert!(caching.contains("private"), "{caching}");
            tags.push((mark, headers[header::ETAG].clone()));
            let page = body(response).await;
            assert_eq!(page.matches("data-opened-from=").count(), 1);
            assert!(page.contains(mark), "{site:?}");
        }
        for (mark, tag) in tags {
            let status = |site| ask(Some(site), Some(&tag)).status() == StatusCode::NOT_MODIFIED;
            assert_eq!(status("none"), mark == FROM_HERE);
            assert_eq!(status("cross-site"), mark == FROM_ELSEWHERE);
        }
    }

    #[test]
    fn the_sdk_may_be_imported_by_pages_of_other_sites_with_all_that_it_imports() {
        let sdk = Web::get("sdk.js").unwrap();
        let text = String::from_utf8(sdk.data.into_owned()).unwrap();
        let imports = text.split(['"', '\'']).filter(|part| part.ends_with(".js"));
        let paths: Vec<_> = imports.map(|part| part.trim_start_matches('.')).collect();
        assert!(!paths.is_empty());
        for path in paths.into_iter().chain(["/sdk.js"]) {
            let response = answer(&Method::GET, &HeaderMap::new(), path).expect(path);
            assert_eq!(
                response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN],
                "*",
                "{path}"
            );
        }
        let page = answer(&Method::GET, &HeaderMap::new(), "/").unwrap();
        assert!(
            !page
                .headers()
                .contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN)
        );
    }

    async fn body(response: Response<Body>) -> String {
        use http_body_util::BodyExt as _;
        let bytes = response.into_body().collect().await.unwrap();
        String::from_utf8(bytes.to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn nothing_outside_the_web_folder_is_served() {
        for path in [
            "/assets/../README.md",
            "/assets/../../Cargo.toml",
            "/assets//etc/passwd",
            "/assets/none",
        ] {
            assert!(
                answer(&Method::GET, &HeaderMap::new(), path).is_none(),
                "{path}"
            );
        }
    }
}
