//! The demonstration's shop, with a browser that keeps its cookies.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::driver::Browser;
use crate::network;
use crate::person::{enter_address, enter_code};
use crate::service::EMAIL;
use crate::site::{binary, free_pair};

/// A demonstration, which ends when this is dropped.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended by itself; either way it must not outlive the test.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a demonstration, and returns what it prints.
fn start() -> (Demo, Value) {
    let mut command = Command::new(binary("challenger"));
    command.args(["demo", "--json", "--port", &free_pair().to_string()]);
    let mut demo = Demo(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(demo.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (demo, serde_json::from_str(&line).unwrap())
}

/// Presses the shop's button.
fn begin(browser: &Browser) {
    browser.follow(|| browser.find("form button").click());
    assert!(browser.url().contains("/authorize/"), "{}", browser.url());
}

#[test]
fn a_person_proves_an_address_to_the_shop() {
    let (_demo, facts) = start();
    let fact = |name: &str| facts[name].as_str().unwrap();
    let browser = Browser::start();
    // The name of the host that people type, which has cookies of its own.
    browser.open(&fact("shop").replace("127.0.0.1", "localhost"));
    begin(&browser);
    browser.follow(|| browser.find(".cancel a").click());
    assert!(browser.text().contains("You chose to stop"), "{}", browser.text());

    begin(&browser);
    enter_address(&browser, EMAIL.good);
    let mut inbox = ureq::get(fact("inbox_json")).call().unwrap();
    let inbox: Value = serde_json::from_str(&inbox.body_mut().read_to_string().unwrap()).unwrap();
    enter_code(&browser, inbox[0]["code"].as_str().unwrap());
    assert!(browser.url().starts_with(fact("shop")), "{}", browser.url());
    let address = browser.find("#address").property("textContent");
    assert_eq!(address, "ada@example.com", "{}", browser.text());
    assert_eq!(browser.script("return document.cookie", &[]), "", "scripts cannot read it");
    browser.reload();
    assert!(browser.text().contains("This visit is over"), "{}", browser.text());
    let problems = network::console(&browser);
    assert!(problems.iter().all(|problem| problem.contains("status of 400")), "{problems:?}");
}
