//! The tests of a web shop that has its customers' addresses proved. The shop is a client of
//! Challenger; its tests have the service in memory, and so no network and no messages.
//!
//! ```text
//! cargo test --package challenger-proto --example client_test
//! ```
#![allow(clippy::expect_used, clippy::print_stdout, reason = "an example fails loudly")]

use challenger_proto::http::{Request, Response};
use challenger_proto::testing::{Challenger, TestClient};

/// How the shop reaches Challenger: over HTTPS in production, directly in tests.
trait Transport {
    fn exchange(&mut self, request: &Request) -> Response;
}

impl Transport for Challenger {
    fn exchange(&mut self, request: &Request) -> Response {
        self.ask(request)
    }
}

/// What the shop keeps of a proof.
#[derive(Debug, PartialEq, Eq)]
struct Proof {
    email: String,
    expires: u64,
}

/// The shop's side of the protocol.
struct Shop<'t, T> {
    /// In production, the ID and the secret from the configuration.
    client: TestClient,
    transport: &'t mut T,
}

impl<T: Transport> Shop<'_, T> {
    /// Where to send the customer's browser.
    fn begin(&mut self, state: &str) -> Option<String> {
        let request = self.client.push(&format!("state={state}"));
        let response = self.transport.exchange(&request);
        let request_uri = response.member("request_uri")?.as_str()?;
        Some(format!("/authorize?client_id={}&request_uri={request_uri}", self.client.id))
    }

    /// Ends the proof, when the customer comes back with a code.
    fn finish(&mut self, code: &str) -> Option<Proof> {
        let response = self.transport.exchange(&self.client.token(code));
        let token = response.member("access_token")?.as_str()?.to_string();
        let info = self.transport.exchange(&self.client.info(&token));
        let email = info.member("email")?.as_str()?.to_string();
        let expires = info.member("expires")?.get("t_s")?.as_u64()?;
        Some(Proof { email, expires })
    }
}

/// The customer's browser, up to the address to which it is sent back.
fn prove(challenger: &mut Challenger, link: &str, email: &str) -> String {
    let response = challenger.ask(&Request::get(link));
    let location = response.header("Location").expect("the page for the address");
    let nonce = location.strip_prefix("authorize/").expect("a nonce");
    let body = format!("CONTACT_EMAIL={email}");
    challenger.ask(&Request::post(&format!("/challenge/{nonce}"), body));
    let pin = format!("pin={}", challenger.pin().expect("a message"));
    let response = challenger.ask(&Request::post(&format!("/solve/{nonce}"), pin));
    response.header("Location").expect("a redirect").to_string()
}

fn code_of(location: &str) -> &str {
    location.split(['?', '&']).find_map(|pair| pair.strip_prefix("code=")).expect("a code")
}

fn main() {
    let mut challenger = Challenger::new("email");
    let client = challenger.register("https://shop.example/back");
    let link = Shop { client: client.clone(), transport: &mut challenger }.begin("basket-7");
    let back = prove(&mut challenger, &link.expect("a link"), "ada%40example.com");
    let proof = Shop { client, transport: &mut challenger }.finish(code_of(&back));
    println!("proved until {}", proof.expect("a proof").expires);
}

#[cfg(test)]
mod tests {
    use challenger_proto::Span;

    use super::*;

    #[test]
    fn a_customer_proves_an_address_once() {
        let mut challenger = Challenger::new("email");
        let client = challenger.register("https://shop.example/back");
        let mut shop = Shop { client: client.clone(), transport: &mut challenger };
        let link = shop.begin("basket-7").expect("a link");
        let back = prove(&mut challenger, &link, "ada%40example.com");
        assert!(back.starts_with("https://shop.example/back?code="), "{back}");
        assert!(back.contains("&state=basket-7&iss=https%3A%2F%2Fchallenger.example"), "{back}");
        let mut shop = Shop { client, transport: &mut challenger };
        let proof = shop.finish(code_of(&back)).expect("a proof");
        assert_eq!(proof.email, "ada@example.com");
        assert_eq!(shop.finish(code_of(&back)), None, "a code buys one token");
    }

    #[test]
    fn a_code_that_comes_too_late_proves_nothing() {
        let mut challenger = Challenger::new("email");
        let client = challenger.register("https://shop.example/back");
        let mut shop = Shop { client: client.clone(), transport: &mut challenger };
        let link = shop.begin("basket-7").expect("a link");
        let back = prove(&mut challenger, &link, "ada%40example.com");
        challenger.pass(Span::minutes(11));
        let mut shop = Shop { client, transport: &mut challenger };
        assert_eq!(shop.finish(code_of(&back)), None);
    }
}
