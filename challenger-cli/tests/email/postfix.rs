//! A Postfix of our own: with its configuration, queue and mailboxes in a folder, on ports that
//! nobody else has. It needs root, because Postfix does.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use challenger_testkit::wait_for;
use tempfile::TempDir;

use super::Setting;
use super::server::write_certificates;

/// Where Debian has its programs, which are not in the `PATH` of everybody.
const POSTFIX: &str = "/usr/sbin/postfix";

/// Postfix, until it is dropped.
pub(crate) struct Postfix {
    folder: TempDir,
    starttls_port: u16,
    tls_port: u16,
}

impl Postfix {
    /// Starts it. It has mailboxes for `ada.lovelace@example.com` and `zoë@example.com`, wants TLS,
    /// and takes no name of a client that has no dot.
    pub(crate) fn start() -> Self {
        // Both at once, so that they are different.
        let free = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let [starttls_port, tls_port] = free.map(|it| it.local_addr().unwrap().port());
        let postfix = Self { folder: tempfile::tempdir().unwrap(), starttls_port, tls_port };
        postfix.write_files();
        let missing = |error| panic!("{POSTFIX}: {error}; make tools installs it");
        let status = postfix.command("start").status().unwrap_or_else(missing);
        assert!(status.success(), "Postfix starts as root only: {}", postfix.log());
        wait_for("Postfix", || TcpStream::connect((Ipv4Addr::LOCALHOST, tls_port)).ok());
        postfix
    }

    /// The settings to deliver to it.
    pub(crate) fn settings(&self, security: &str) -> Vec<Setting> {
        let port = if security == "tls" { self.tls_port } else { self.starttls_port };
        vec![
            ("SMTP_HOST", "localhost".to_owned()),
            ("SMTP_PORT", port.to_string()),
            ("SMTP_SECURITY", security.to_owned()),
            ("SMTP_CA_FILE", self.path("ca.pem")),
        ]
    }

    /// The settings to deliver by its sendmail program.
    pub(crate) fn sendmail(&self) -> Vec<Setting> {
        vec![("SENDMAIL", self.path("sendmail"))]
    }

    pub(crate) fn starttls_port(&self) -> u16 {
        self.starttls_port
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Waits for the mails in a mailbox, until there are so many, and empties it.
    pub(crate) fn mails(&self, mailbox: &str, count: usize) -> Vec<String> {
        let folder = self.folder.path().join("mail").join(mailbox).join("new");
        let paths = wait_for("the mails", || {
            let entries = fs::read_dir(&folder).ok()?;
            let paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
            (paths.len() >= count).then_some(paths)
        });
        assert_eq!(paths.len(), count, "{}", self.log());
        let take = |path: &std::path::PathBuf| {
            let text = fs::read_to_string(path).unwrap();
            fs::remove_file(path).unwrap();
            text
        };
        paths.iter().map(take).collect()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn command(&self, what: &str) -> Command {
        let mut command = Command::new(POSTFIX);
        command.arg("-c").arg(self.folder.path()).arg(what);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn write_files(&self) {
        let folder = self.folder.path();
        write_certificates(folder);
        let own = |name: &str, owner: &str| {
            fs::create_dir(folder.join(name)).unwrap();
            let mut chown = Command::new("chown");
            assert!(chown.arg(owner).arg(folder.join(name)).status().unwrap().success());
        };
        // Its programs run as other users, who have to come here.
        fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        own("queue", "root");
        own("data", "postfix");
        own("mail", "nobody");
        let path = folder.display();
        let main = format!(
            "compatibility_level = 3.6\n\
             queue_directory = {path}/queue\n\
             data_directory = {path}/data\n\
             maillog_file = {path}/log\n\
             maillog_file_prefixes = {path}\n\
             myhostname = mx.example.com\n\
             mydestination =\n\
             alias_maps =\n\
             inet_interfaces = 127.0.0.1\n\
             inet_protocols = ipv4\n\
             mynetworks = 192.0.2.0/24\n\
             smtputf8_enable = yes\n\
             smtpd_helo_required = yes\n\
             smtpd_delay_reject = no\n\
             smtpd_helo_restrictions = reject_non_fqdn_helo_hostname\n\
             smtpd_relay_restrictions = reject_unauth_destination\n\
             smtpd_tls_security_level = encrypt\n\
             smtpd_tls_cert_file = {path}/server.pem\n\
             smtpd_tls_key_file = {path}/server.key\n\
             virtual_mailbox_domains = example.com\n\
             virtual_mailbox_base = {path}/mail\n\
             virtual_mailbox_maps = texthash:{path}/users\n\
             virtual_uid_maps = static:65534\n\
             virtual_gid_maps = static:65534\n"
        );
        let master = format!(
            "127.0.0.1:{} inet n - n - - smtpd\n\
             127.0.0.1:{} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n\
             pickup unix n - n 60 1 pickup\n\
             cleanup unix n - n - 0 cleanup\n\
             qmgr unix n - n 300 1 qmgr\n\
             tlsmgr unix - - n 1000? 1 tlsmgr\n\
             rewrite unix - - n - - trivial-rewrite\n\
             bounce unix - - n - 0 bounce\n\
             defer unix - - n - 0 bounce\n\
             proxymap unix - - n - - proxymap\n\
             error unix - - n - - error\n\
             retry unix - - n - - error\n\
             virtual unix - n n - - virtual\n\
             anvil unix - - n - 1 anvil\n\
             postlog unix-dgram n - n - 1 postlogd\n",
            self.starttls_port, self.tls_port
        );
        let users = "ada.lovelace@example.com ada/\nzoë@example.com zoe/\n";
        let sendmail = format!("#!/bin/sh\nMAIL_CONFIG={path} exec /usr/sbin/sendmail \"$@\"\n");
        let write = |name: &str, text: &str| {
            fs::write(folder.join(name), text).unwrap();
            folder.join(name)
        };
        for (name, text) in [("main.cf", main.as_str()), ("master.cf", &master), ("users", users)] {
            write(name, text);
        }
        make_program(&write("sendmail", &sendmail));
    }
}

fn make_program(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // It reports its end only afterwards.
        let _ = self.command("stop").status();
    }
}
