//! The part of HTTP/1.1 that UPnP needs: one request and one response on a connection.

use std::borrow::Cow;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, `M-SEARCH`, `NOTIFY`.
    pub method: String,
    /// The request target.
    pub path: String,
    /// Header fields, their names in lower case.
    pub headers: HeaderFields,
    /// The body.
    pub body: Vec<u8>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header fields, their names in lower case.
    pub headers: HeaderFields,
    /// The body.
    pub body: Vec<u8>,
}

/// Header fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderFields(pub Vec<(String, String)>);

/// The progress of reading a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress<T> {
    /// More bytes are needed.
    Partial,
    /// The message is complete.
    Complete(T),
    /// The bytes can never become a message; a server answers with this status.
    Invalid(u16),
}

impl HeaderFields {
    /// Returns the value of a field whose name is in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        fields
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    }

    fn read(fields: &[httparse::Header<'_>]) -> Self {
        let field = |field: &httparse::Header<'_>| {
            let value: Cow<'_, str> = String::from_utf8_lossy(field.value);
            (field.name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Self(fields.iter().map(field).collect())
    }

    fn write(&self, text: &mut String) {
        for (name, value) in &self.0 {
            text.push_str(&name.to_ascii_uppercase());
            text.push_str(": ");
            text.extend(value.chars().filter(|char| !char.is_control()));
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
    }

    /// Returns the length of the body; an error if the field is invalid.
    fn length(&self) -> Result<Option<usize>, ()> {
        match self.get("content-length") {
            Some(text) => text.parse().map(Some).map_err(|_| ()),
            None => Ok(None),
        }
    }
}

impl Request {
    /// Reads a request from the bytes received so far. A body needs a `Content-Length`.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Progress<Self> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut head = httparse::Request::new(&mut fields);
        let at = match head.parse(bytes) {
            Ok(httparse::Status::Complete(at)) => at,
            Ok(httparse::Status::Partial) if bytes.len() <= LONGEST_HEAD => {
                return Progress::Partial;
            }
            Ok(httparse::Status::Partial) => return Progress::Invalid(431),
            Err(httparse::Error::TooManyHeaders) => return Progress::Invalid(431),
            Err(_) => return Progress::Invalid(400),
        };
        let (Some(method), Some(path)) = (head.method, head.path) else {
            return Progress::Invalid(400);
        };
        let headers = HeaderFields::read(head.headers);
        let length = match headers.length() {
            Err(()) => return Progress::Invalid(400),
            Ok(_) if headers.get("transfer-encoding").is_some() => return Progress::Invalid(411),
            Ok(None) if method == "POST" => return Progress::Invalid(411),
            Ok(length) => length.unwrap_or(0),
        };
        if length > LONGEST_BODY {
            return Progress::Invalid(413);
        }
        let Some(body) = bytes.get(at..).and_then(|rest| rest.get(..length)) else {
            return Progress::Partial;
        };
        Progress::Complete(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
            body: body.to_vec(),
        })
    }

    /// Returns whether the head is complete and the client waits for `100 Continue` before it
    /// sends the body ([RFC 9110 §10.1.1](https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1)).
    #[must_use]
    pub fn waits_for_leave(bytes: &[u8]) -> bool {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut head = httparse::Request::new(&mut fields);
        let whole = head.parse(bytes).is_ok_and(|status| status.is_complete());
        let expects = HeaderFields::read(head.headers);
        whole
            && expects
                .get("expect")
                .is_some_and(|it| it.eq_ignore_ascii_case("100-continue"))
    }

    /// Writes the request, with the length of the body if it has one.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        if !self.body.is_empty() || self.method == "POST" {
            text.push_str(&format!("CONTENT-LENGTH: {}\r\n", self.body.len()));
        }
        self.headers.write(&mut text);
        let mut bytes = text.into_bytes();
        bytes.extend(&self.body);
        bytes
    }
}

impl Response {
    /// Reads a response from the bytes received so far; `ended` says that the connection has
    /// ended.
    #[must_use]
    pub fn read(bytes: &[u8], ended: bool) -> Progress<Self> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut head = httparse::Response::new(&mut fields);
        let more = if ended {
            Progress::Invalid(502)
        } else {
            Progress::Partial
        };
        let at = match head.parse(bytes) {
            Ok(httparse::Status::Complete(at)) => at,
            Ok(httparse::Status::Partial) if bytes.len() <= LONGEST_HEAD => return more,
            _ => return Progress::Invalid(502),
        };
        let Some(status) = head.code else {
            return Progress::Invalid(502);
        };
        let headers = HeaderFields::read(head.headers);
        let rest = bytes.get(at..).unwrap_or_default();
        if status == 100 {
            return Self::read(rest, ended);
        }
        let chunked = headers
            .get("transfer-encoding")
            .is_some_and(|it| it.eq_ignore_ascii_case("chunked"));
        let body = match headers.length() {
            Err(()) => return Progress::Invalid(502),
            _ if chunked => dechunk(rest),
            Ok(Some(length)) if length > LONGEST_BODY => return Progress::Invalid(502),
            Ok(Some(length)) => Ok(rest.get(..length).map(<[u8]>::to_vec)),
            Ok(None) => Ok(ended.then(|| rest.to_vec())),
        };
        match body {
            Ok(Some(body)) => Progress::Complete(Self {
                status,
                headers,
                body,
            }),
            Ok(None) if rest.len() <= LONGEST_BODY => more,
            _ => Progress::Invalid(502),
        }
    }

    /// Writes the response, with the length of its body.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        text.push_str(&format!("CONTENT-LENGTH: {}\r\n", self.body.len()));
        self.headers.write(&mut text);
        let mut bytes = text.into_bytes();
        bytes.extend(&self.body);
        bytes
    }
}

/// Decodes a chunked body ([RFC 9112 §7.1](https://www.rfc-editor.org/rfc/rfc9112#section-7.1));
/// `None` while chunks are missing.
fn dechunk(mut bytes: &[u8]) -> Result<Option<Vec<u8>>, ()> {
    let mut body = Vec::new();
    loop {
        match httparse::parse_chunk_size(bytes) {
            Ok(httparse::Status::Complete((_, 0))) => return Ok(Some(body)),
            Ok(httparse::Status::Complete((at, size))) => {
                let size = usize::try_from(size).map_err(|_| ())?;
                if size > LONGEST_BODY || body.len() + size > LONGEST_BODY {
                    return Err(());
                }
                let Some(piece) = bytes.get(at..at + size) else {
                    return Ok(None);
                };
                body.extend(piece);
                // Each chunk ends with a line break.
                let Some(rest) = bytes.get(at + size + 2..) else {
                    return Ok(None);
                };
                bytes = rest;
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(()),
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        _ => "Error",
    }
}

const FIELDS: usize = 48;
const LONGEST_HEAD: usize = 8192;
/// The longest body. Gateways send descriptions and lists of mappings; this is several times the
/// longest known.
const LONGEST_BODY: usize = 512 * 1024;
/// The longest message, in bytes.
pub const LONGEST: usize = LONGEST_HEAD + 2 * LONGEST_BODY;

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Progress<Request> {
        Request::read(text.as_bytes())
    }

    #[test]
    fn a_request_is_complete_with_its_body() {
        let head = "POST /ctl HTTP/1.1\r\nHost: 10.0.0.1:80\r\nContent-Length: 4\r\n\r\n";
        assert_eq!(request(&head[..30]), Progress::Partial);
        assert_eq!(request(&format!("{head}bod")), Progress::Partial);
        let Progress::Complete(whole) = request(&format!("{head}body and more")) else {
            panic!("incomplete");
        };
        assert_eq!(whole.body, b"body");
        assert_eq!(whole.headers.get("host"), Some("10.0.0.1:80"));
    }

    #[test]
    fn what_no_server_should_swallow_has_its_status() {
        let status = |text: &str| match request(text) {
            Progress::Invalid(status) => status,
            other => panic!("{other:?}"),
        };
        assert_eq!(status("nonsense\r\n\r\n"), 400);
        assert_eq!(status("POST / HTTP/1.1\r\n\r\n"), 411);
        assert_eq!(status("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), 400);
        assert_eq!(
            status("POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n"),
            413
        );
        assert_eq!(
            status("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            411
        );
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(9000));
        assert_eq!(status(&long), 431);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100));
        assert_eq!(status(&many), 431);
    }

    #[test]
    fn a_response_ends_by_length_by_pieces_or_with_the_connection() {
        let body = |text: &str, ended| match Response::read(text.as_bytes(), ended) {
            Progress::Complete(response) => String::from_utf8(response.body).unwrap(),
            other => format!("{other:?}"),
        };
        let sized = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef";
        assert_eq!(body(sized, false), "abc");
        let pieces = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n";
        assert_eq!(body(pieces, false), "abcde");
        assert_eq!(body(&pieces[..60], false), "Partial");
        assert_eq!(body(&pieces[..60], true), "Invalid(502)");
        let open = "HTTP/1.0 200 OK\r\n\r\nabc";
        assert_eq!(body(open, false), "Partial");
        assert_eq!(body(open, true), "abc");
        let leave = format!("HTTP/1.1 100 Continue\r\n\r\n{sized}");
        assert_eq!(body(&leave, false), "abc");
    }

    #[test]
    fn messages_are_read_as_they_are_written() {
        let headers = HeaderFields(vec![("soapaction".into(), "\"a#b\"".into())]);
        let request = Request {
            method: "POST".into(),
            path: "/ctl".into(),
            headers,
            body: b"<a/>".to_vec(),
        };
        let Progress::Complete(read) = Request::read(&request.write()) else {
            panic!("incomplete");
        };
        assert_eq!(
            (read.method, read.path, read.body),
            (request.method, request.path, request.body)
        );
        assert_eq!(read.headers.get("soapaction"), Some("\"a#b\""));
        let evil = HeaderFields(vec![("st".into(), "x\r\nEvil: y".into())]);
        let response = Response {
            status: 200,
            headers: evil,
            body: Vec::new(),
        };
        let Progress::Complete(read) = Response::read(&response.write(), true) else {
            panic!("incomplete");
        };
        assert_eq!(read.headers.get("evil"), None);
    }
}
