//! Pages of other origins: media may be read by all of them, the API by none (Fetch, 3.2).

use super::{
    request::{Method, Request},
    response::{Response, Status},
};

/// Lets pages of any origin read the response. To be put on errors as well: a player cannot tell what is wrong otherwise.
#[must_use]
pub fn open(response: Response) -> Response {
    response
        .header("Access-Control-Allow-Origin", "*")
        .header("Access-Control-Expose-Headers", "Content-Length, Content-Range, Accept-Ranges, Date, ETag")
}

/// The answer to a preflight for something that any origin may read; `None` if the request is none.
pub fn preflight(request: &Request) -> Option<Response> {
    let is_preflight = request.method() == Method::Options
        && request.header("origin").is_some()
        && request.header("access-control-request-method").is_some();
    if !is_preflight {
        return None;
    }
    let mut response = open(Response::new(Status::NO_CONTENT))
        .header("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
        .header("Access-Control-Max-Age", "86400");
    if let Some(names) = request.header("access-control-request-headers") {
        response = response.header("Access-Control-Allow-Headers", alloc::string::String::from(names));
    }
    // Chrome asks when a public page reads from a private address.
    if request.header("access-control-request-private-network") == Some("true") {
        response = response.header("Access-Control-Allow-Private-Network", "true");
    }
    Some(response)
}
