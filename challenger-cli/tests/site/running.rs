//! The server of a site: it is started, heard and stopped.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use challenger_testkit::wait_for;

use super::Site;

pub(super) struct Running {
    pub(super) child: Child,
    pub(super) listener: JoinHandle<()>,
}

impl Site {
    /// The server, not started yet.
    pub(crate) fn server(&self) -> Command {
        let mut command = self.command("challenger-httpd");
        command.args(["-L", "DEBUG"]).stdin(Stdio::null());
        // Where tests look for files that must not be there.
        command.current_dir(self.directory.path());
        command
    }

    /// Starts the server and waits until it answers.
    pub(crate) fn start(&mut self) {
        self.start_as(self.server());
        self.wait_for_server();
    }

    /// Waits until somebody can connect to the server.
    pub(crate) fn wait_for_server(&mut self) {
        let place = self.place.clone();
        self.wait_until(|| place.connect().is_ok());
    }

    /// Starts the server by another command.
    pub(crate) fn start_as(&mut self, command: Command) {
        drop(self.start_unread(command));
    }

    /// Starts the server by another command, and reads nothing of its log until what is returned is
    /// dropped.
    pub(crate) fn start_unread(&mut self, mut command: Command) -> Sender<()> {
        let (unread, read) = mpsc::channel();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::clone(&self.log);
        let listener = thread::spawn(move || {
            let _dropped = read.recv();
            let mut line = String::new();
            while lines.read_line(&mut line).unwrap_or(0) > 0 {
                log.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        self.server = Some(Running { child, listener });
        unread
    }

    /// Waits until the server answers; it must not end before.
    pub(crate) fn wait_until(&mut self, answers: impl Fn() -> bool) {
        wait_for("the server to answer", || {
            let running = self.server.as_mut().unwrap();
            if let Some(status) = running.child.try_wait().unwrap() {
                panic!("the server ended with {status}: {}", self.log.lock().unwrap());
            }
            answers().then_some(())
        });
    }

    /// The process of the server.
    pub(crate) fn process(&self) -> u32 {
        self.server.as_ref().unwrap().child.id()
    }

    /// Sends a signal to the server.
    pub(crate) fn signal(&self, name: &str) {
        let process = self.process().to_string();
        let kill = Command::new("sh").args(["-c", "kill -$0 $1", name, &process]).status();
        assert!(kill.unwrap().success());
    }

    /// Waits until the server has ended, and returns its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let mut running = self.server.take().unwrap();
        let status = running.child.wait().unwrap();
        running.listener.join().unwrap();
        status.code()
    }

    /// Stops the server in good order.
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        assert_eq!(self.wait(), Some(0), "{}", self.log());
    }
}
