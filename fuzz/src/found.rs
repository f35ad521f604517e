//! Finds of fuzzers, in files that can be read and reviewed: one input a line, with its bytes
//! escaped as in Rust.

/// The longest input that is kept, in bytes: shorter ones reach nearly the same code.
pub const INPUT_MAX: usize = 512;

/// Returns the lines for these inputs, the shortest first.
pub fn write(mut inputs: Vec<Vec<u8>>) -> String {
    inputs.retain(|input| input.len() <= INPUT_MAX);
    inputs.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    inputs.dedup();
    inputs.iter().map(|input| format!("{}\n", input.escape_ascii())).collect()
}

/// Returns the inputs in these lines.
///
/// # Panics
/// A line was not written by [`write`].
pub fn read(lines: &str) -> Vec<Vec<u8>> {
    lines.lines().map(read_line).collect()
}

fn read_line(line: &str) -> Vec<u8> {
    let mut input = Vec::new();
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            input.push(byte);
            continue;
        }
        input.push(match rest.next() {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'x') => {
                let digits = [rest.next().expect("a digit"), rest.next().expect("a digit")];
                let digits = str::from_utf8(&digits).expect("two digits");
                u8::from_str_radix(digits, 16).expect("two digits")
            }
            Some(other) => other,
            None => panic!("nothing behind a backslash in {line}"),
        });
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let all: Vec<u8> = (0..=255).collect();
        let inputs = vec![Vec::new(), b"\\x41\\".to_vec(), all.clone(), all, vec![b'a'; 600]];
        let lines = write(inputs);
        assert!(lines.is_ascii());
        let read = read(&lines);
        assert_eq!(read.len(), 3);
        assert_eq!(read[1], b"\\x41\\");
        assert_eq!(read[2], (0..=255).collect::<Vec<u8>>());
    }
}
