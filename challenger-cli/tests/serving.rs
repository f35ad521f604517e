//! Where the server listens, and its reports to the service manager.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod site;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use challenger_testkit::{notified, wait_for};
use site::{Site, stderr};

/// Longer than anything takes.
const WAIT: Duration = Duration::from_secs(60);

/// The answer of `/config` over a connection, if there is one.
fn config_over(stream: std::io::Result<impl Read + Write>) -> Option<String> {
    let mut stream = stream.ok()?;
    stream.write_all(b"GET /config HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200 ").then_some(answer)
}

/// The server, as a service manager starts it: with a socket as descriptor 3.
fn with_socket(site: &Site, socket: impl Into<OwnedFd>, variables: &str) -> Command {
    let server = site.server();
    let mut command = Command::new("sh");
    let script = format!("exec 3<&0 0</dev/null; export {variables}; exec \"$0\" \"$@\"");
    command.arg("-c").arg(script).arg(server.get_program()).args(server.get_args());
    command.stdin(Stdio::from(socket.into()));
    command.env("CHALLENGER_BASE_CONFIG", site.directory.path().join("none"));
    command
}

const PASSED: &str = "LISTEN_PID=$$ LISTEN_FDS=1";

#[test]
fn it_serves_over_a_unix_socket() {
    let mut site = Site::new("SERVE = unix\nUNIXPATH = $HERE/run/socket\nUNIXPATH_MODE = 600");
    let here = site.directory.path().to_path_buf();
    let path = here.join("run/socket");
    let server = |site: &Site| {
        let mut server = site.server();
        server.env("HERE", &here);
        server
    };
    let answers = || config_over(UnixStream::connect(&path)).is_some();
    site.start_as(server(&site));
    site.wait_until(answers);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let second = server(&site).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("already served by another process"), "{}", stderr(&second));
    assert!(answers());
    // Killed, it leaves the file behind, which is not an obstacle; stopped, it does not.
    site.signal("KILL");
    site.wait();
    assert!(path.exists());
    site.start_as(server(&site));
    site.wait_until(answers);
    site.stop();
    assert!(!path.exists());
}

#[test]
fn the_socket_has_a_usual_place() {
    let mut site = Site::new("SERVE = unix");
    let mut server = site.server();
    server.env("TMPDIR", site.directory.path());
    site.start_as(server);
    let path = site.directory.path().join("challenger-runtime/httpd.sock");
    site.wait_until(|| config_over(UnixStream::connect(&path)).is_some());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o660);
    site.stop();
}

#[test]
fn options_of_the_socket_are_checked() {
    let long = format!("UNIXPATH = /{}", "x".repeat(107));
    for (options, complaint) in [
        (long.as_str(), "UNIXPATH: /xxx"),
        ("UNIXPATH_MODE = rw", "UNIXPATH_MODE"),
        ("UNIXPATH_MODE = 668", "UNIXPATH_MODE"),
        ("UNIXPATH_MODE = 1660", "UNIXPATH_MODE"),
        ("UNIXPATH_MODE =", "UNIXPATH_MODE"),
        ("SERVE = systemd", "passed no socket"),
        ("SERVE = udp", "tcp, unix or systemd"),
    ] {
        let site = Site::bare(&format!("SERVE = unix\n{options}"));
        let output = site.run("challenger-httpd", &[]);
        assert_eq!(output.status.code(), Some(6), "{options}: {}", stderr(&output));
        assert!(stderr(&output).contains(complaint), "{options}: {}", stderr(&output));
    }
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("socket");
    let options = format!("SERVE = unix\nUNIXPATH = {}\nUNIXPATH_MODE = 0666", path.display());
    let mut site = Site::new(&options);
    site.start_as(site.server());
    site.wait_until(|| config_over(UnixStream::connect(&path)).is_some());
    site.stop();
    assert!(site.log().contains("everybody on this machine can connect"), "{}", site.log());
}

#[test]
fn addresses_of_both_families_can_be_chosen() {
    let has_ipv6 = TcpListener::bind("[::1]:0").is_ok();
    let cases: [(&str, &[&str], &[&str]); 5] = [
        ("BIND_TO = 127.0.0.1\n", &["127.0.0.1"], &["[::1]"]),
        ("BIND_TO = ::1\n", &["[::1]"], &["127.0.0.1"]),
        ("BIND_TO = 0.0.0.0\n", &["127.0.0.1"], &["[::1]"]),
        ("BIND_TO = ::\n", &["[::1]", "127.0.0.1"], &[]),
        ("", &["[::1]", "127.0.0.1"], &[]),
    ];
    for (line, open, closed) in cases {
        if line.contains("::1") && !has_ipv6 {
            continue;
        }
        let mut site = Site::new("");
        let text = fs::read_to_string(site.config()).unwrap();
        fs::write(site.config(), text.replace("BIND_TO = 127.0.0.1\n", line)).unwrap();
        site.start_as(site.server());
        let port = site.port;
        let connect = |host: &str| TcpStream::connect(format!("{host}:{port}"));
        for host in open.iter().filter(|host| has_ipv6 || !host.contains(':')) {
            site.wait_until(|| config_over(connect(host)).is_some());
        }
        for host in closed {
            assert!(connect(host).is_err(), "{line} {host}");
        }
        site.stop();
    }
}

#[test]
fn a_passed_socket_is_served_whatever_the_configuration_says() {
    let folder = tempfile::tempdir().unwrap();
    for (number, serve) in ["systemd", "tcp", "no such thing"].into_iter().enumerate() {
        let mut site = Site::new(&format!("SERVE = {serve}\nPORT = none"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        site.start_as(with_socket(&site, listener, PASSED));
        // The socket was there before the server, so nobody is turned away.
        assert!(config_over(TcpStream::connect(address)).is_some(), "{}", site.log());
        site.stop();

        let path = folder.path().join(number.to_string());
        let listener = UnixListener::bind(&path).unwrap();
        for _ in 0..2 {
            let listener = listener.try_clone().unwrap();
            site.start_as(with_socket(&site, listener, PASSED));
            assert!(config_over(UnixStream::connect(&path)).is_some(), "{}", site.log());
            site.stop();
            // It belongs to the service manager, which serves it again when it likes.
            assert!(path.exists());
        }
    }
}

#[test]
fn what_is_no_single_listening_socket_is_refused() {
    let site = Site::new("");
    let tcp = || TcpListener::bind("127.0.0.1:0").unwrap();
    let connection = || {
        let listener = tcp();
        TcpStream::connect(listener.local_addr().unwrap()).unwrap()
    };
    let cases: [(OwnedFd, &str, &str); 7] = [
        (tcp().into(), "LISTEN_PID=$$ LISTEN_FDS=2", "\"2\" sockets (LISTEN_FDS), expected 1"),
        (tcp().into(), "LISTEN_PID=$$ LISTEN_FDS=0", "\"0\" sockets"),
        (tcp().into(), "LISTEN_PID=$$", "\"\" sockets"),
        (UdpSocket::bind("127.0.0.1:0").unwrap().into(), PASSED, "no stream socket"),
        (UnixDatagram::unbound().unwrap().into(), PASSED, "no stream socket"),
        (File::open("/dev/null").unwrap().into(), PASSED, "no stream socket"),
        (connection().into(), PASSED, "Accept=no"),
    ];
    for (socket, variables, complaint) in cases {
        let output = with_socket(&site, socket, variables).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains(complaint), "{complaint}: {}", stderr(&output));
    }
    let site = Site::bare("SERVE = systemd");
    for variables in ["LISTEN_PID=1 LISTEN_FDS=1", "LISTEN_FDS=1"] {
        let output = with_socket(&site, tcp(), variables).output().unwrap();
        assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
        assert!(stderr(&output).contains("passed no socket"), "{}", stderr(&output));
    }
}

#[test]
fn the_service_manager_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let mut managers = vec![(path.to_str().unwrap().to_string(), UnixDatagram::bind(&path))];
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::SocketAddr;
        let name = path.to_str().unwrap();
        let address = SocketAddr::from_abstract_name(name).unwrap();
        managers.push((format!("@{name}"), UnixDatagram::bind_addr(&address)));
    }
    for (name, manager) in managers {
        let manager = manager.unwrap();
        manager.set_read_timeout(Some(WAIT)).unwrap();
        let mut site = Site::new("");
        let mut server = site.server();
        server.env("NOTIFY_SOCKET", &name);
        site.start_as(server);
        assert_eq!(notified(&manager), "READY=1");
        assert_eq!(site.get("config", &[]).status, 200, "nobody has to try twice");
        site.signal("TERM");
        assert_eq!(notified(&manager), "STOPPING=1");
        assert_eq!(site.wait(), Some(0), "{}", site.log());
    }
}

/// The server, with a manager that waits so long for it.
fn with_watchdog(site: &Site, variables: &[(&str, &str)]) -> (Command, UnixDatagram) {
    let path = site.directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(WAIT)).unwrap();
    let mut server = site.server();
    server.env("NOTIFY_SOCKET", path).envs(variables.iter().copied());
    (server, manager)
}

#[test]
fn the_watchdog_is_fed_while_the_service_answers_itself() {
    let mut site = Site::new("MAX_CONNECTIONS = 2\nMAX_CONNECTIONS_PER_PEER = 2");
    let waits = "cd \"$(dirname \"$0\")\"\ntouch outbox/$$\nuntil [ -e go ]; do sleep 0.05; done";
    site.set_helper(&format!("#!/bin/sh\n{waits}\n"));
    let (server, manager) = with_watchdog(&site, &[("WATCHDOG_USEC", "400000")]);
    site.start_as(server);
    assert_eq!(notified(&manager), "READY=1");
    for _ in 0..3 {
        assert_eq!(notified(&manager), "WATCHDOG=1");
    }
    // Strangers have all connections, and the service is at work for them.
    let nonces = [site.setup(), site.setup()];
    thread::scope(|scope| {
        let ask = |number: usize| site.challenge(&nonces[number], &format!("p{number}@a.example"));
        let peers = [scope.spawn(move || ask(0)), scope.spawn(move || ask(1))];
        let outbox = site.directory.path().join("outbox");
        let at_work = || fs::read_dir(&outbox).unwrap().count() == peers.len();
        wait_for("a full house", || at_work().then_some(()));
        assert_eq!(config_over(TcpStream::connect(("127.0.0.1", site.port))), None);
        for _ in 0..5 {
            assert_eq!(notified(&manager), "WATCHDOG=1");
        }
        fs::write(site.directory.path().join("go"), "").unwrap();
        for peer in peers {
            assert_eq!(peer.join().unwrap().status, 200);
        }
    });
    site.signal("TERM");
    while notified(&manager) != "STOPPING=1" {}
    assert_eq!(site.wait(), Some(0), "{}", site.log());
}

#[test]
fn a_watchdog_of_somebody_else_is_not_fed() {
    for variables in [
        &[("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")][..],
        &[("WATCHDOG_USEC", "0")],
        &[("WATCHDOG_USEC", "soon")],
    ] {
        let mut site = Site::new("");
        let (server, manager) = with_watchdog(&site, variables);
        site.start_as(server);
        assert_eq!(notified(&manager), "READY=1");
        // As many times as it would have been fed.
        for _ in 0..20 {
            assert_eq!(site.get("config", &[]).status, 200);
        }
        site.signal("TERM");
        assert_eq!(notified(&manager), "STOPPING=1");
        assert_eq!(site.wait(), Some(0), "{}", site.log());
    }
}

#[test]
fn a_service_manager_that_does_not_listen_is_no_reason_to_stop() {
    let mut site = Site::new("");
    let mut server = site.server();
    server.env("NOTIFY_SOCKET", site.directory.path().join("nobody"));
    site.start_as(server);
    let port = site.port;
    site.wait_until(|| config_over(TcpStream::connect(("127.0.0.1", port))).is_some());
    site.stop();
    assert!(site.log().contains("state=\"READY=1\""), "{}", site.log());
}
