//! Cross-origin access for browsers ([Fetch, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol)).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN,
    VARY,
};
use http::{HeaderMap, HeaderValue};

use crate::config::{Cors, Origins};

/// Adds the headers that let the page that made the request read the response.
pub(super) fn allow(cors: &Cors, request: &HeaderMap, response: &mut HeaderMap) {
    let origin = request.get(ORIGIN);
    let allowed = match (&cors.origins, origin) {
        (Origins::Any, _) if !cors.credentials => Some(HeaderValue::from_static("*")),
        (Origins::Any, origin) => origin.cloned(),
        (Origins::List(list), Some(origin))
            if list.iter().any(|item| item.as_bytes() == origin.as_bytes()) =>
        {
            Some(origin.clone())
        }
        (Origins::List(_), _) => None,
    };
    if allowed.as_ref().is_none_or(|allowed| allowed != "*") {
        response.append(VARY, HeaderValue::from_static("Origin"));
    }
    let Some(allowed) = allowed else {
        return;
    };
    response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    if cors.credentials {
        response.insert(
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
}

/// Adds the headers that answer a preflight request.
pub(super) fn preflight(cors: &Cors, request: &HeaderMap, response: &mut HeaderMap) {
    allow(cors, request, response);
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
        allow(cors, &request(origin), &mut response);
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
    fn a_preflight_request_is_told_what_it_may_send() {
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
