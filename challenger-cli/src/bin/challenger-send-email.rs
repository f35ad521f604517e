//! `challenger-send-email`: see `challenger_cli::send_email`.

fn main() -> std::process::ExitCode {
    challenger_cli::send_email::main()
}
