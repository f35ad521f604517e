//! `challenger-admin`: see `challenger_cli::admin`.

fn main() -> std::process::ExitCode {
    challenger_cli::admin::main()
}
