//! The engine that an operator may choose in place of the front, if the program has it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use site::{Site, stderr};

/// The exit code and the output of `--check`.
fn check(options: &str) -> (Option<i32>, String) {
    let output = Site::new(options).run("challenger-httpd", &["--check"]);
    (output.status.code(), stderr(&output))
}

#[test]
fn the_front_may_be_named() {
    assert_eq!(check("ENGINE = Front"), (Some(0), String::new()));
    let (code, said) = check("ENGINE = apache");
    assert_eq!(code, Some(6));
    assert!(said.contains("[challenger] ENGINE = \"apache\": expected front"), "{said}");
}

#[cfg(not(feature = "tiny-http"))]
#[test]
fn an_engine_that_is_not_there_is_refused() {
    let (code, said) = check("SERVE = unix\nENGINE = tiny-http");
    assert_eq!(code, Some(6));
    let expected = "expected front, because this program was built without tiny-http";
    assert!(said.contains(expected), "{said}");
}

#[cfg(feature = "tiny-http")]
mod tiny {
    use std::fs;
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::check;
    use super::site::{Site, stderr};

    /// Longer than anything takes.
    const WAIT: Duration = Duration::from_secs(60);

    /// Sends a request over a connection, and returns the answer up to the end of the connection.
    fn exchange(path: &Path, request: &str) -> Option<String> {
        let mut stream = UnixStream::connect(path).ok()?;
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.write_all(request.as_bytes()).ok()?;
        stream.shutdown(Shutdown::Write).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn serves(path: &Path) -> bool {
        let answer = exchange(path, "GET /config HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        answer.is_some_and(|it| it.starts_with("HTTP/1.1 200 ") && !it.contains("tiny"))
    }

    #[test]
    fn it_serves_over_a_unix_socket_and_outlives_what_it_cannot_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let options = format!("ENGINE = tiny-http\nSERVE = unix\nUNIXPATH = {}", path.display());
        let mut site = Site::new(&options);
        site.start_as(site.server());
        site.wait_until(|| serves(&path));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o660);

        let post = "POST /token HTTP/1.1\r\nHost: a\r\n";
        let understood = "Content-Length: 3\r\n\r\na=b";
        for (fields, expected) in [
            (understood, "HTTP/1.1 400 Bad Request"),
            (&format!("Content-Length: 1000000\r\n\r\n{}", "x".repeat(1_000_000)), "HTTP/1.1 413 "),
            ("Content-Length: 3\r\nContent-Length: 4\r\n\r\na=bc", "HTTP/1.1 400 Bad Request"),
            ("Content-Length: 30\r\n\r\na=b", ""),
            ("Content-Length: 3000\r\n\r\na=b", "HTTP/1.1 408 Request Timeout"),
            ("X: a\nY: b\r\n\r\n", "HTTP/1.1 400 Bad Request"),
            // Chunks are read by tiny_http, and nothing after them.
            ("Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "HTTP/1.1 400 Bad Request"),
            ("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 501 Not Impleme"),
            ("Cookie: J\u{fc}rgen\r\n\r\n", ""),
        ] {
            let refused = fields != understood;
            for _ in 0..20 {
                let answer = exchange(&path, &format!("{post}{fields}")).unwrap();
                assert!(answer.starts_with(expected), "{fields}: {answer}");
                assert_eq!(answer.is_empty(), expected.is_empty(), "{fields}: {answer}");
                // The bytes after a request that was understood in two ways are not the next one.
                let closes = answer.contains("\r\nConnection: close\r\n");
                assert_eq!(closes, refused && !answer.is_empty(), "{fields}: {answer}");
            }
        }
        // After an upgrade there is no end to wait for, and chunks would not be decoded.
        for fields in [
            "Content-Length: 3\r\nContent-Length: 4\r\n\r\na=bc",
            "Transfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n",
        ] {
            let mut stream = UnixStream::connect(&path).unwrap();
            stream.set_read_timeout(Some(WAIT)).unwrap();
            let upgrade = format!("{post}Connection: upgrade\r\n{fields}");
            stream.write_all(upgrade.as_bytes()).unwrap();
            let mut answer = vec![0; 1024];
            let length = stream.read(&mut answer).unwrap();
            let answer = String::from_utf8_lossy(&answer[..length]);
            assert!(answer.starts_with("HTTP/1.1 400"), "{fields}: {answer}");
            assert!(answer.contains("\"code\":26"), "the framing is refused: {answer}");
        }
        let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9000));
        assert!(exchange(&path, &long).unwrap().starts_with("HTTP/1.1 414 "));
        assert!(serves(&path));
        site.stop();
        assert!(!path.exists());
    }

    #[test]
    fn a_request_that_was_begun_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let options = format!("ENGINE = tiny-http\nSERVE = unix\nUNIXPATH = {}", path.display());
        let mut site = Site::new(&options);
        let here = site.directory.path().to_path_buf();
        site.set_helper(
            "#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho >begun\n\
             while [ -e begun ] && [ ! -e go ]; do sleep 0.01; done\n",
        );
        site.start_as(site.server());
        site.wait_until(|| serves(&path));
        let request = |target: &str, fields: &str, body: &str| {
            let length = body.len();
            format!(
                "POST /{target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\
                 Content-Length: {length}\r\n\r\n{body}"
            )
        };
        let setup =
            request("setup/1", &format!("Authorization: Bearer {}\r\n", super::site::SECRET), "");
        let answer = exchange(&path, &setup).unwrap();
        let nonce = answer.split("\"nonce\":\"").nth(1).unwrap().split('"').next().unwrap();
        let challenge =
            request(&format!("challenge/{nonce}"), "", "CONTACT_EMAIL=ada%40example.com");
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| exchange(&path, &challenge).unwrap());
            challenger_testkit::wait_for("the helper", || {
                here.join("begun").exists().then_some(())
            });
            site.signal("TERM");
            challenger_testkit::wait_for("the socket to go", || (!path.exists()).then_some(()));
            fs::write(here.join("go"), "").unwrap();
            let answer = sending.join().unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        });
        assert_eq!(site.wait(), Some(0), "{}", site.log());
    }

    #[test]
    fn the_process_ends_in_failure_when_the_engine_accepts_no_more() {
        // Each connection costs two, so one of the limits is met by the first, which is an error of
        // the engine, and the other by the second, which is a panic.
        for limit in [90, 91] {
            let mut site = Site::at_socket("ENGINE = tiny-http");
            let server = site.server();
            let mut limited = Command::new("sh");
            let script = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
            limited.arg("-c").arg(script).arg(server.get_program()).args(server.get_args());
            limited.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
            limited.stdin(Stdio::null());
            site.start_as(limited);
            site.wait_for_server();
            let path = site.directory.path().join("socket");
            let crowd: Vec<UnixStream> =
                (0..limit).map_while(|_| UnixStream::connect(&path).ok()).collect();
            assert_eq!(site.wait(), Some(1), "{}", site.log());
            assert!(site.log().contains("ERROR engine failed "), "{}", site.log());
            drop(crowd);
        }
    }

    #[test]
    fn it_is_for_a_socket_of_our_own_alone() {
        let why = "expected front, because tiny-http withstands nobody but a proxy";
        for options in ["ENGINE = tiny-http", "SERVE = systemd\nENGINE = Tiny-HTTP"] {
            let (code, said) = check(options);
            assert_eq!(code, Some(6), "{said}");
            assert!(said.contains(why), "{said}");
        }
        // Nor one of the service manager's, where others may have been let in.
        let site = Site::new("SERVE = unix\nENGINE = tiny-http");
        let listener = UnixListener::bind(site.directory.path().join("passed")).unwrap();
        let server = site.server();
        let mut command = Command::new("sh");
        let script = "exec 3<&0 0</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" \"$@\"";
        command.arg("-c").arg(script).arg(server.get_program()).args(server.get_args());
        command.stdin(Stdio::from(OwnedFd::from(listener)));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(6));
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
    }

    #[test]
    fn options_that_it_does_not_heed_are_told() {
        let options = "SERVE = unix\nENGINE = tiny-http\nHELPERS_MAX = 2\n";
        assert_eq!(check(options), (Some(0), String::new()));
        let (code, said) = check(&format!("{options}MAX_CONNECTIONS = 100\nIDLE_TIMEOUT = 1 s"));
        let warning = |option| {
            format!("warning: [challenger] {option} does nothing with ENGINE = tiny-http\n")
        };
        let expected = warning("MAX_CONNECTIONS") + &warning("IDLE_TIMEOUT");
        assert_eq!((code, said), (Some(0), expected));
        // Nor are their values compared with the one that has an effect, which has a limit of its
        // own.
        let most = "SERVE = unix\nENGINE = tiny-http\nHELPERS_MAX = 1000";
        assert_eq!(check(most), (Some(0), String::new()));
        let (code, said) = check(&most.replace("1000", "1001"));
        assert_eq!(code, Some(6));
        assert!(said.contains("expected at most 1000 with ENGINE = tiny-http"), "{said}");
    }
}
