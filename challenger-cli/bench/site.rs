//! A service of our own for as long as it is measured: a database, a configuration and a server.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::codes::Post;
use super::database::Database;
use super::drive::Target;
use super::flow::{Client, Reader};
use super::programs::{Build, output};
use super::serve::NULL_CODE;
use super::wire::{Connection, Place};

const SECRET: &str = "secret-token:6V2QK8ZJ0XN4T9BWYD3M7RHC5FG1QS2K";
const REDIRECT_URI: &str = "https://client.example/callback";

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often to look whether it does. A start takes tens of milliseconds.
const LOOK: Duration = Duration::from_micros(200);

/// The helper of a site with real processes: it keeps the message where the driver finds it.
const DELIVER: &str = "#!/bin/sh\nexec cat > \"${0%/*}/codes/$1\"\n";

/// How messages are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deliverer {
    /// Our own server, whose helper costs nothing.
    BuiltIn,
    /// `challenger-httpd`, which starts a program for each message.
    Process,
    /// `challenger-httpd`, which gives one message after the other to programs that stay.
    Resident,
}

/// Where the server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socket {
    Tcp,
    Unix,
}

/// The kind of service that is wanted.
#[derive(Clone, Debug)]
pub struct Design {
    pub build: Build,
    pub deliverer: Deliverer,
    pub socket: Socket,
    /// How many servers share the database.
    pub servers: usize,
    /// More options of `[challenger]`, one a line.
    pub options: String,
}

impl Design {
    /// The helper, as a script.
    fn helper(&self) -> Result<String, String> {
        Ok(match self.deliverer {
            // The first is never run.
            Deliverer::BuiltIn | Deliverer::Process => DELIVER.to_owned(),
            Deliverer::Resident => {
                let bench = self.build.program("challenger-bench")?;
                let arguments = "resident --codes \"${0%/*}/codes\" \"$@\"";
                format!("#!/bin/sh\nexec '{}' {arguments}\n", bench.display())
            }
        })
    }
}

/// A service with everything that belongs to it.
pub struct Site {
    directory: TempDir,
    pub database: Arc<Database>,
    client: Client,
    design: Design,
    servers: Vec<Server>,
    /// How long the servers took from their start to their first answers.
    pub started_in: Duration,
}

/// One of its servers.
struct Server {
    config: PathBuf,
    place: Place,
    process: Option<Child>,
}

impl Site {
    /// Sets one up and starts its servers.
    pub fn start(database: Arc<Database>, design: Design) -> Result<Self, String> {
        let helper = design.helper()?;
        let mut site = Self::prepare(database, design, &helper).map_err(|it| it.to_string())?;
        site.run("challenger-dbinit", &[])?;
        let told = site.run("challenger-admin", &["--add", SECRET, REDIRECT_URI])?;
        let id = told.trim().rsplit(' ').next().unwrap_or_default();
        site.client.id = id.trim_end_matches(['.', '\n']).to_owned();
        site.start_servers()?;
        Ok(site)
    }

    /// Gives the client a budget, if there is one.
    pub fn limit_messages(&self, per_day: Option<u32>) -> Result<(), String> {
        let Some(per_day) = per_day else { return Ok(()) };
        let option = format!("--messages-per-day={per_day}");
        self.run("challenger-admin", &[&option, REDIRECT_URI]).map(drop)
    }

    fn prepare(database: Arc<Database>, design: Design, helper: &str) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("challenger-bench-").tempdir()?;
        let root = directory.path();
        fs::create_dir(root.join("codes"))?;
        fs::create_dir(root.join("config.d"))?;
        let script = root.join("deliver.sh");
        fs::write(&script, helper)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        // More helpers than connections, so that nobody is refused for want of one; and more
        // validations than come, so that nobody is refused because of those before.
        let config = format!(
            "BASE_URL = https://challenger.example/\nADDRESS_TYPE = email\n\
             AUTH_COMMAND = {}\nAUTH_ADDRESS_FORMAT = plain\nHELPERS_MAX = 256\n\
             CLIENT_VALIDATIONS_MAX = 100000000\n{}{}{}",
            script.display(),
            if design.deliverer == Deliverer::Resident { "AUTH_HELPER = resident\n" } else { "" },
            design.options,
            database.config()
        );
        let mut servers = Vec::new();
        for number in 1..=design.servers.max(1) {
            let (place, serve) = free_place(design.socket, root, number)?;
            let path = root.join(format!("challenger-{number}.conf"));
            fs::write(&path, format!("[challenger]\n{serve}{config}"))?;
            servers.push(Server { config: path, place, process: None });
        }
        let client = Client {
            id: String::new(),
            secret: SECRET.to_owned(),
            redirect_uri: REDIRECT_URI.to_owned(),
        };
        let started_in = Duration::ZERO;
        Ok(Self { directory, database, client, design, servers, started_in })
    }

    fn codes(&self) -> PathBuf {
        self.directory.path().join("codes")
    }

    /// One of our programs with this site's configuration, that of the first server.
    pub fn command(&self, program: &str) -> Result<Command, String> {
        let server = self.servers.first().ok_or("there is no server")?;
        self.command_of(server, program)
    }

    fn command_of(&self, server: &Server, program: &str) -> Result<Command, String> {
        let mut command = Command::new(self.design.build.program(program)?);
        command.env("CHALLENGER_BASE_CONFIG", self.directory.path().join("config.d"));
        command.stdin(Stdio::null());
        if program == "challenger-bench" {
            command.arg("serve").arg("--codes").arg(self.codes()).arg("--config");
        } else {
            command.arg("-c");
        }
        command.arg(&server.config);
        Ok(command)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        output(self.command(program)?.args(arguments))
    }

    /// Starts the servers and waits for their first answers.
    pub fn start_servers(&mut self) -> Result<(), String> {
        self.stop_servers();
        let program = match self.design.deliverer {
            Deliverer::BuiltIn => "challenger-bench",
            Deliverer::Process | Deliverer::Resident => "challenger-httpd",
        };
        let commands = self.servers.iter().map(|server| self.command_of(server, program));
        let commands = commands.collect::<Result<Vec<_>, _>>()?;
        let begun = Instant::now();
        for (server, mut command) in self.servers.iter_mut().zip(commands) {
            let process = server.process.insert(spawn(&mut command)?);
            wait_for_answer(&server.place, process)?;
        }
        self.started_in = begun.elapsed();
        Ok(())
    }

    fn stop_servers(&mut self) {
        self.servers.iter_mut().for_each(|server| stop(&mut server.process));
    }

    /// The processes of the servers.
    pub fn processes(&self) -> Vec<u32> {
        self.servers.iter().filter_map(|it| it.process.as_ref()).map(Child::id).collect()
    }

    /// Where they listen.
    pub fn places(&self) -> Vec<Place> {
        self.servers.iter().map(|server| server.place.clone()).collect()
    }

    /// How to measure it.
    pub fn target(&self, reader: Reader) -> Target {
        let post = match self.design.deliverer {
            Deliverer::BuiltIn | Deliverer::Resident => Post::Datagrams(self.codes()),
            Deliverer::Process => Post::Files(self.codes()),
        };
        let (places, client) = (self.places(), self.client.clone());
        let (servers, database) = (self.processes(), self.database.process());
        Target { places, client, reader, post, servers, database }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop_servers();
    }
}

/// A server that does nothing, to see how fast the driver is.
pub struct NullSite {
    directory: TempDir,
    place: Place,
    server: Option<Child>,
}

impl NullSite {
    pub fn start(socket: Socket) -> Result<Self, String> {
        let directory = tempfile::tempdir().map_err(|it| it.to_string())?;
        let (place, _) = free_place(socket, directory.path(), 1).map_err(|it| it.to_string())?;
        let mut command = Command::new(Build::own()?.program("challenger-bench")?);
        command.arg("serve").arg("--null");
        match &place {
            Place::Tcp(host) => command.arg(format!("http://{host}")),
            Place::Unix(path) => command.arg(path),
        };
        let mut server = spawn(&mut command)?;
        let answers = wait_for_answer(&place, &mut server);
        let site = Self { directory, place, server: Some(server) };
        answers.map(|()| site)
    }

    pub fn target(&self, reader: Reader) -> Target {
        let client = Client {
            id: "1".to_owned(),
            secret: SECRET.to_owned(),
            redirect_uri: REDIRECT_URI.to_owned(),
        };
        let (places, post) = (vec![self.place.clone()], Post::Known(NULL_CODE));
        let servers = self.server.iter().map(Child::id).collect();
        Target { places, client, reader, post, servers, database: None }
    }
}

impl Drop for NullSite {
    fn drop(&mut self) {
        stop(&mut self.server);
        let _ = self.directory.path();
    }
}

fn spawn(command: &mut Command) -> Result<Child, String> {
    let program = command.get_program().to_owned();
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    spawned.map_err(|error| format!("{}: {error}", program.display()))
}

fn stop(server: &mut Option<Child>) {
    if let Some(mut server) = server.take() {
        // It may have ended by itself; either way nobody waits for what it has in hand.
        let _ = server.kill();
        let _ = server.wait();
    }
}

fn wait_for_answer(place: &Place, server: &mut Child) -> Result<(), String> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let ask = "GET /config HTTP/1.1\r\nHost: bench.example\r\n\r\n";
        let answer = Connection::open(place);
        if answer.is_ok_and(|mut it| it.ask(ask).is_ok_and(|answer| answer.status == 200)) {
            return Ok(());
        }
        if let Ok(Some(status)) = server.try_wait() {
            return Err(format!("the server ended with {status}"));
        }
        thread::sleep(LOOK);
    }
    Err(format!("the server did not answer within {PATIENCE:?}"))
}

/// A free place to listen, and the lines of a configuration for it.
fn free_place(socket: Socket, directory: &Path, number: usize) -> io::Result<(Place, String)> {
    Ok(match socket {
        Socket::Tcp => {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            let serve = format!("SERVE = tcp\nBIND_TO = 127.0.0.1\nPORT = {port}\n");
            (Place::Tcp(format!("127.0.0.1:{port}")), serve)
        }
        Socket::Unix => {
            let path = directory.join(format!("socket-{number}"));
            let serve = format!("SERVE = unix\nUNIXPATH = {}\n", path.display());
            (Place::Unix(path), serve)
        }
    })
}
