//! One validation from its beginning to the proved address, in memory.
//!
//! ```text
//! cargo run --package challenger-proto --example in_memory
//! ```
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "it shows what happens")]

use challenger_proto::http::{Form, Request};
use challenger_proto::testing::{Challenger, Delivery};
use challenger_proto::{FailureKind, Span};

fn main() {
    let mut challenger = Challenger::new("email");
    let client = challenger.register("https://shop.example/back");

    // The client opens a validation and sends the person's browser there.
    let nonce = challenger.setup(&client);
    let id = client.id;
    let arrival = format!("/authorize/{nonce}?response_type=code&client_id={id}&state=basket-7");
    let status = challenger.ask(&Request::get(&arrival).with("Accept", "application/json"));
    println!("changes left: {}", status.member("changes_left").unwrap());

    // The person enters an address. The first message is lost, the second one arrives.
    let address = "CONTACT_EMAIL=ada%40example.com";
    let address = Request::post(&format!("/challenge/{nonce}"), address);
    challenger.delivery = Delivery::Fails(FailureKind::TryLater.into());
    println!("first message: {}", challenger.ask(&address).status.reason());
    challenger.delivery = Delivery::Succeeds;
    challenger.pass(Span::minutes(2));
    println!("second message: {}", challenger.ask(&address).status.reason());

    // The person enters the PIN and is sent back with an authorization code.
    let pin = format!("pin={}", challenger.pin().unwrap());
    let back = challenger.ask(&Request::post(&format!("/solve/{nonce}"), pin));
    let (_, query) = back.header("Location").unwrap().split_once('?').unwrap();
    let query = Form::parse(query.as_bytes()).unwrap();
    println!("state: {}", query.get("state").unwrap());

    // The client exchanges the code for a token, and reads the address.
    let token = challenger.ask(&client.token(query.get("code").unwrap()));
    let token = token.member("access_token").unwrap().as_str().unwrap().to_string();
    let info = challenger.ask(&client.info(&token));
    let proved = info.member("address").unwrap();
    println!("proved: {proved}");
    assert_eq!(proved["CONTACT_EMAIL"], "ada@example.com");
}
