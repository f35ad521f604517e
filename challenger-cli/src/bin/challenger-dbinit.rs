//! `challenger-dbinit`: see `challenger_cli::dbinit`.

fn main() -> std::process::ExitCode {
    challenger_cli::dbinit::main()
}
