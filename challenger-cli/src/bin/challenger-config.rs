//! `challenger-config`: see `challenger_cli::config`.

fn main() -> std::process::ExitCode {
    challenger_cli::config::main()
}
