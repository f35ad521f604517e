//! Plays the seeds of every target, whole, cut and bent, on any compiler.

use std::fs;
use std::path::Path;

/// How often each seed is bent.
const BENT: usize = 400;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 8] = [
    ("config", challenger_fuzz::config),
    ("connection", challenger_fuzz::connection),
    ("form", challenger_fuzz::form),
    ("head", challenger_fuzz::head),
    ("history", challenger_fuzz::history),
    ("pattern", challenger_fuzz::pattern),
    ("request", challenger_fuzz::request),
    ("template", challenger_fuzz::template),
];

/// Numbers that look random and are the same in every run (Marsaglia's xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % end.max(1)
    }
}

/// Changes some bytes: one replaced, one left out, a piece repeated, or a special one put in.
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
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
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
