//! `GET /` and `GET /robots.txt`: for people and robots that do not come from a client.

use crate::http::{Body, Response};

pub(crate) fn landing() -> Response {
    Response::new(
        200,
        Body::Text(
            "This is a Challenger service. It proves to a web site that a person can receive \
             messages at an address.\nThere is nothing to see here without a link from such a \
             site. Programs find out more at /config.\n",
        ),
    )
}

pub(crate) fn robots() -> Response {
    Response::new(200, Body::Text("User-agent: *\nDisallow: /\n"))
}
