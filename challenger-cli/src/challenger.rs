//! `challenger`: shows the service at work.

use std::process::ExitCode;

use argh::FromArgs;

use crate::exit::{Exit, end};
use crate::{args, demo};

const PROGRAM: &str = "challenger";

/// Challenger proves that a person can receive messages at an address. This program shows how; the
/// service itself is challenger-httpd.
#[derive(FromArgs)]
#[argh(
    example = "challenger demo\n\
               challenger demo --redirect-uri=http://127.0.0.1:3000/callback",
    note = "Exit status: 0, done; 1, failed; 2, wrong arguments.\n\
            More: challenger(1)."
)]
struct Arguments {
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Demo(demo::Demo),
}

/// Runs the program.
pub fn main() -> ExitCode {
    end(PROGRAM, run())
}

fn run() -> Result<(), Exit> {
    let arguments: Arguments = args::parse(PROGRAM, "", std::env::args_os())?;
    match arguments.command {
        Command::Demo(demo) => demo.run(),
    }
}
