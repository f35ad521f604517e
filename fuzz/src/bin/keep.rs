//! Keeps a fuzzer's finds: prints the inputs in a folder as the lines of `found/TARGET.txt`.

use std::{env, fs, process::ExitCode};

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1) else {
        eprintln!("usage: keep FOLDER > found/TARGET.txt");
        return ExitCode::from(2);
    };
    let read = |entry: fs::DirEntry| fs::read(entry.path());
    let inputs = fs::read_dir(&folder).and_then(|mut all| {
        all.try_fold(Vec::new(), |mut sum, it| {
            sum.push(read(it?)?);
            Ok(sum)
        })
    });
    match inputs {
        Ok(inputs) => {
            print!("{}", challenger_fuzz::found::write(inputs));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
