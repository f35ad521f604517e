//! Who changed what: every change is recorded, whatever `-L` says, in the file of `-l` or else in
//! the log of the system. Nothing of it is printed.
//!
//! ```text
//! changed action=rotate client=3 uid=998 user=challenger-httpd login_uid=1000 login=ada
//! ```
//!
//! `login` is whom the system saw log in, whoever they have become since with sudo or runuser.

use std::env;
use std::fs;

use challenger_proto::oauth::ClientId;
use challenger_server::this_process;
use log::kv::Value;
use log::{Level, Record};

use crate::logger::CHANGES;

/// What `/proc/self/loginuid` has for a process without a login.
const NOBODY: u32 = u32::MAX;

/// Records a change that was just made: the action, by the name of its option, the client that it
/// was made to, if it was one, and what else there is to know. Neither a secret nor an address.
pub(super) fn recorded(
    action: &'static str,
    client: Option<ClientId>,
    details: &[(&'static str, Value<'_>)],
) {
    let uid = this_process::user();
    let login = fs::read_to_string("/proc/self/loginuid").ok();
    let login = login.and_then(|text| text.trim().parse().ok()).filter(|uid| *uid != NOBODY);
    let sudo: Option<u32> = env::var("SUDO_UID").ok().and_then(|text| text.parse().ok());
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = name_of(uid, &users);
    let login_name = login.and_then(|uid| name_of(uid, &users));
    let who = [
        ("uid", Value::from(uid)),
        ("user", user.map_or_else(Value::null, Value::from)),
        ("login_uid", login.map_or_else(Value::null, Value::from)),
        ("login", login_name.map_or_else(Value::null, Value::from)),
        ("sudo_uid", sudo.map_or_else(Value::null, Value::from)),
    ];
    let action = [
        ("action", Value::from(action)),
        ("client", client.map_or_else(Value::null, |id| Value::from(id.number()))),
    ];
    let pairs = [&action[..], details, &who[..]].concat();
    let mut record = Record::builder();
    record.target(CHANGES).level(Level::Info).key_values(&pairs);
    log::logger().log(&record.args(format_args!("changed")).build());
}

/// The name of a user of this machine (passwd(5)).
fn name_of(uid: u32, users: &str) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_the_names_of_this_machine() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nada:x:1000:100::/home/ada:/bin/sh\n";
        for (uid, name) in [(0, Some("root")), (1000, Some("ada")), (100, None), (NOBODY, None)] {
            assert_eq!(name_of(uid, users), name, "{uid}");
        }
    }
}
