//! `GET /config`: a client reads what the service is and demands.

use serde_json::json;

use crate::http::Response;
use crate::service::Service;

/// The protocol's version in libtool's notation: current, revision, age.
pub(crate) const PROTOCOL_VERSION: &str = "6:0:0";

/// The name of this implementation.
const IMPLEMENTATION: &str = "urn:net:taler:specs:challenger:rust";

pub(crate) fn respond(service: &Service) -> Response {
    Response::json(
        200,
        json!({
            "name": "challenger",
            "version": PROTOCOL_VERSION,
            "implementation": IMPLEMENTATION,
            "restrictions": service.restrictions.to_json(),
            "address_type": service.address_type.as_str(),
            "address_hint": service.address_hint,
        }),
    )
}
