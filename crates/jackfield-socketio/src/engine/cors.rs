//! Cross-origin access for browsers ([Fetch, CORS
//! protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN,
    VARY,
};
use http::{HeaderMap, HeaderValue};

use crate::config::{Cors, Origins};

/// The answer to the `Origin` of one request, made before the request is handled and its headers
/// are gone.
#[derive(Debug)]
pub(super) struct Access {
    origin: Option<HeaderValue>,
    credentials: bool,
}

impl Access {
    /// Decides about a request.
    pub(super) fn judge(cors: &Cors, request: &HeaderMap) -> Self {
        let origin = request.get(ORIGIN);
        let origin = match &cors.origins {
            Origins::Any if !cors.credentials => Some(HeaderValue::from_static("*")),
            // Browsers take no `*` for requests with credentials.
            Origins::Any => origin.cloned(),
            Origins::List(list) => origin
                .filter(|origin| list.iter().any(|item| item.as_bytes() == origin.as_bytes()))
                .cloned(),
        };
        Self {
            origin,
            credentials: cors.credentials,
        }
    }

    /// Adds the headers that let the page that made the request read the response.
    pub(super) fn allow(self, response: &mut HeaderMap) {
        // A cache must not give one page the answer that another page got.
        if self.origin.as_ref().is_none_or(|origin| origin != "*") {
            response.append(VARY, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = self.origin else {
            return;
        };
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            response.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
    }
}

/// Adds the headers that answer a preflight request.
pub(super) fn preflight(cors: &Cors, request: &HeaderMap, response: &mut HeaderMap) {
    Access::judge(cors, request).allow(response);
    response.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET,POST"),
    );
    if let Some(headers) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        response.append(
            VARY,
            HeaderValue::from_static("Access-Control-Request-Headers"),
        );
        response.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
    }
    if let Some(age) = cors.max_age {
        response.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(age.as_secs()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(origin: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))])
    }

    fn allowed(cors: &Cors, origin: &'static str) -> Option<String> {
        let mut response = HeaderMap::new();
        Access::judge(cors, &request(origin)).allow(&mut response);
        let header = response.get(ACCESS_CONTROL_ALLOW_ORIGIN)?;
        Some(header.to_str().unwrap().to_owned())
    }

    #[test]
    fn only_listed_origins_are_let_in() {
        let cors = Cors::origins(["https://a.example"]);
        assert_eq!(
            allowed(&cors, "https://a.example").as_deref(),
            Some("https://a.example")
        );
        assert_eq!(allowed(&cors, "https://a.example.evil.example"), None);
        assert_eq!(allowed(&cors, "http://a.example"), None);
        assert_eq!(
            allowed(&Cors::any(), "http://b.example").as_deref(),
            Some("*")
        );
    }

    #[test]
    fn credentials_never_go_with_a_wildcard() {
        let cors = Cors {
            credentials: true,
            ..Cors::any()
        };
        assert_eq!(
            allowed(&cors, "http://b.example").as_deref(),
            Some("http://b.example")
        );
    }

    #[test]
    fn a_preflight_response_lists_the_allowed_methods_and_headers() {
        let mut asked = request("http://b.example");
        asked.insert(
            ACCESS_CONTROL_REQUEST_HEADERS,
            HeaderValue::from_static("x-token"),
        );
        let mut response = HeaderMap::new();
        preflight(&Cors::any(), &asked, &mut response);
        assert_eq!(
            response.get(ACCESS_CONTROL_ALLOW_METHODS).unwrap(),
            "GET,POST"
        );
        assert_eq!(
            response.get(ACCESS_CONTROL_ALLOW_HEADERS).unwrap(),
            "x-token"
        );
    }
}
