//! `challenger-send-http`: see `challenger_cli::send_http`.

fn main() -> std::process::ExitCode {
    challenger_cli::send_http::main()
}
