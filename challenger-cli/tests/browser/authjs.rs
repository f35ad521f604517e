//! A login with Auth.js at an open client, with the settings in docs/applications.md and no code of
//! ours between the site and the service.

use crate::application::{Application, Running};
use crate::driver::Browser;
use crate::markdown::{block, read, section};
use crate::network;
use crate::person::{enter_address, enter_code};
use crate::service::{EMAIL, Service};

#[test]
fn a_site_with_authjs_logs_a_person_in() {
    let mut service = Service::without_clients(EMAIL, "BASE_URL = http://127.0.0.1:$PORT/");
    let documented = read("docs/applications.md");
    let settings = block(section(&documented, "## Auth.js"), "js");
    let application = Application::new(&settings, "authjs.mjs", &["node", "authjs.mjs"]);
    let site = application.start(&service.site, "");
    let callback = format!("{}/auth/callback/challenger", site.link);
    service.register(&callback, &["--open", "--messages-per-day=500"]);

    let browser = Browser::start();
    browser.open(&site.link);
    assert_eq!(browser.text(), "Not logged in");
    // Somebody who gives up is back at the site, and can begin again.
    begin(&browser, &service, &site);
    browser.follow(|| browser.find(".cancel a").click());
    let back = format!("{}/auth/", site.link);
    assert!(browser.url().starts_with(&back), "{}", browser.url());
    assert!(browser.url().contains("error=OAuthCallbackError"), "{}", browser.url());

    begin(&browser, &service, &site);
    enter_address(&browser, EMAIL.good);
    enter_code(&browser, &service.latest_code());
    assert_eq!(browser.url(), format!("{}/", site.link));
    assert_eq!(browser.text(), "Logged in as ada@example.com");
    browser.reload();
    assert_eq!(browser.text(), "Logged in as ada@example.com");
    let mut problems = network::console(&browser);
    // The page of Auth.js would like a logo from there.
    problems.retain(|problem| !problem.starts_with("https://authjs.dev/"));
    assert!(problems.is_empty(), "Chromium complains: {problems:?}");
}

/// Goes from the site's page for logins to the service.
fn begin(browser: &Browser, service: &Service, site: &Running) {
    browser.open(&format!("{}/auth/signin?callbackUrl=/", site.link));
    browser.follow(|| browser.find("form button").click());
    assert!(browser.url().starts_with(&service.site.url("authorize/")), "{}", browser.url());
}
