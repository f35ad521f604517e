//! Gathers complaints about pages, so that a test reports all of them at once.

use std::collections::BTreeMap;

/// Complaints, with the places that each is about.
#[derive(Default)]
pub struct Complaints(BTreeMap<String, Vec<String>>);

impl Complaints {
    pub fn add(&mut self, place: &str, found: impl IntoIterator<Item = String>) {
        for complaint in found {
            self.0.entry(complaint).or_default().push(place.to_string());
        }
    }

    /// Fails if there are any.
    pub fn assert_none(&self) {
        let tell = |(complaint, places): (&String, &Vec<String>)| {
            format!("{complaint}\n    {}\n", places.join(", "))
        };
        let all: String = self.0.iter().map(tell).collect();
        assert!(all.is_empty(), "complaints about the pages:\n{all}");
    }
}
