//! Runs every target on its seeds, unchanged and modified, and on the finds, with any compiler.

use std::fs;
use std::path::Path;

use challenger_testkit::Dice;

/// How many modifications of each seed are tried.
const BENT: usize = 400;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 9] = [
    ("config", challenger_fuzz::config),
    ("connection", challenger_fuzz::connection),
    ("form", challenger_fuzz::form),
    ("head", challenger_fuzz::head),
    ("history", challenger_fuzz::history),
    ("mail", challenger_fuzz::mail),
    ("pattern", challenger_fuzz::pattern),
    ("request", challenger_fuzz::request),
    ("template", challenger_fuzz::template),
];

/// Changes some bytes: replaces or removes one, repeats a piece, or inserts a special one.
fn bend(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    const SPECIAL: &[u8] = b"\0\r\n\t %&=+;:\"'<>{}[]()*?\\^$@#/.-~\x7f\x80\xff";
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        match dice.below(4) {
            0 if !bytes.is_empty() => bytes[at] = dice.below(256).try_into().expect("a byte"),
            1 if !bytes.is_empty() => drop(bytes.remove(at)),
            2 => {
                let end = (at + dice.below(24)).min(bytes.len());
                let piece = bytes[at.min(end)..end].to_vec();
                bytes.extend(piece);
            }
            _ => bytes.insert(at.min(bytes.len()), SPECIAL[dice.below(SPECIAL.len())]),
        }
    }
    bytes
}

#[test]
fn every_claim_holds_for_the_seeds_and_near_them() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
        let mut seeds: Vec<_> = fs::read_dir(folder)
            .expect("seeds")
            .map(|entry| entry.expect("a seed").path())
            .collect();
        seeds.sort();
        assert!(seeds.len() >= 3, "{name} has too few seeds");
        let mut dice = Dice::Seeded(0);
        for path in seeds {
            let seed = fs::read(&path).expect("a readable seed");
            target(&seed);
            for _ in 0..BENT {
                target(&bend(&seed, &mut dice));
            }
        }
    }
}

#[test]
fn every_claim_holds_for_what_fuzzers_found() {
    for (name, target) in TARGETS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("found").join(format!("{name}.txt"));
        let inputs = challenger_fuzz::found::read(&fs::read_to_string(path).expect("a corpus"));
        assert!(inputs.len() >= 30, "{name} has found too little");
        inputs.iter().for_each(|input| target(input));
    }
}
