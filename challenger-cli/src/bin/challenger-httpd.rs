//! `challenger-httpd`: see `challenger_cli::httpd`.

fn main() -> std::process::ExitCode {
    challenger_cli::httpd::main()
}
