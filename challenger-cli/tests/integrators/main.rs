//! Applications as others write them, with the libraries that they use, against the real server.

#![cfg(feature = "sqlite")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test fails by panicking, and shares its modules with others"
)]

mod application;
#[path = "../markdown/mod.rs"]
mod markdown;
#[path = "../site/mod.rs"]
mod site;

use std::path::Path;

use application::{Application, artifacts};
use serde_json::Value;
use site::{REDIRECT_URI, SECRET, Site, stderr};

const ADDRESS: &str = "ada@example.com";

/// openid-client drops the query of a redirect URI when it asks for the token.
const WITHOUT_QUERY: &str = "https://client.example/callback";

#[test]
fn the_code_in_python_works() {
    let application = Application::documented("python", "py", &["/usr/bin/python3", "drive.py"]);
    proves_and_refuses(&application, REDIRECT_URI);
}

#[test]
fn the_code_in_javascript_works() {
    let application = Application::documented("js", "mjs", &["node", "drive.mjs"]);
    proves_and_refuses(&application, WITHOUT_QUERY);
}

#[test]
fn the_code_in_php_works() {
    let application = Application::documented("php", "php", &["php", "drive.php"]);
    proves_and_refuses(&application, REDIRECT_URI);
}

#[test]
fn the_code_in_go_works() {
    // Debian's package has the library below this folder.
    let library = Path::new("/usr/share/gocode");
    let cache = artifacts().join("go");
    let settings =
        [("GO111MODULE", Path::new("off")), ("GOPATH", library), ("GOCACHE", cache.as_path())];
    let application = Application::documented("go", "go", &["./application"]);
    let build = ["build", "-o", "application", "."];
    proves_and_refuses(&application.prepared_by("go", &build, &settings), REDIRECT_URI);
}

#[test]
fn openid_client_needs_no_more_than_the_url() {
    needs_no_more_than_the_url(&Application::ours("openid-client.mjs"), WITHOUT_QUERY);
}

#[test]
fn oauth4webapi_needs_no_more_than_the_url() {
    needs_no_more_than_the_url(&Application::ours("oauth4webapi.mjs"), REDIRECT_URI);
}

/// A library finds everything by the service's metadata, gives the token up, and takes no answer
/// that is not right.
fn needs_no_more_than_the_url(application: &Application, callback: &str) {
    let proof = proves_and_refuses(application, callback);
    assert_eq!(proof["before"]["active"], true, "{proof}");
    assert_eq!(proof["before"]["sub"], proof["sub"], "{proof}");
    assert_eq!(proof["after"]["active"], false, "{proof}");
}

/// An application reads the proof, unless the browser comes back with something else.
fn proves_and_refuses(application: &Application, callback: &str) -> Value {
    let site = site(callback);
    let running = application.start(&site, callback);
    let back = prove(&site, &running.link);
    let proof = running.finish(&back).unwrap();
    assert!(back.starts_with(callback), "{back}");
    assert_eq!(proof["address"]["CONTACT_EMAIL"], ADDRESS, "{proof}");
    assert_eq!((&proof["email"], &proof["email_verified"]), (&ADDRESS.into(), &true.into()));

    type Bend = fn(&str) -> String;
    let bends: [(Bend, &str); 4] = [
        (|back| back.replace("state=", "state=x"), ""),
        (|back| back.replace("&iss=http", "&iss=https"), ""),
        (|back| back.replace("&iss=", "&is="), ""),
        (|back| back.replace("code=", "error=access_denied&co="), "access_denied"),
    ];
    for (bend, reason) in bends {
        let running = application.start(&site, callback);
        let back = prove(&site, &running.link);
        let bent = bend(&back);
        assert_ne!(bent, back);
        let complaint = running.finish(&bent).unwrap_err();
        assert!(complaint.contains(reason), "{complaint}");
    }
    proof
}

/// A running service that knows where it is, with a client at this redirect URI.
fn site(callback: &str) -> Site {
    let mut site = Site::bare("BASE_URL = http://127.0.0.1:$PORT/");
    for (program, arguments) in
        [("challenger-dbinit", &[][..]), ("challenger-admin", &["--add", SECRET, callback])]
    {
        let output = site.run(program, arguments);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    site.start();
    site
}

/// Does as a person would whose browser is sent to the link, and returns where it ends up.
fn prove(site: &Site, link: &str) -> String {
    let html = [("Accept", "text/html")];
    let reply = site.get(link.strip_prefix(&site.url("")).unwrap(), &html);
    assert_eq!(reply.status, 302, "{}", reply.body);
    let page = reply.header("Location").unwrap();
    assert_eq!(site.get(page, &html).status, 200);
    let nonce = page.strip_prefix("authorize/").unwrap();
    assert_eq!(site.challenge(nonce, ADDRESS).status, 200);
    let solved = site.solve(nonce, &site.pin(ADDRESS));
    solved.member("redirect_url").unwrap()
}
