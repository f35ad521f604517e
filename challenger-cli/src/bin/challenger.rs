//! `challenger`: see `challenger_cli::challenger`.

fn main() -> std::process::ExitCode {
    challenger_cli::challenger::main()
}
