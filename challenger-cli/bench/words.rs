//! The words of the command line, and what they mean.

use super::database::Kind;
use super::flow::Reader;
use super::site::{Deliverer, Socket};

/// Kinds of databases.
pub struct Kinds(pub Vec<Kind>);
/// Numbers of connections.
pub struct Numbers(pub Vec<usize>);

pub fn kinds(text: &str) -> Result<Kinds, String> {
    let kind = |word| one_of(word, &[("postgres", Kind::Postgres), ("sqlite", Kind::Sqlite)]);
    text.split(',').map(kind).collect::<Result<_, _>>().map(Kinds)
}

pub fn numbers(text: &str) -> Result<Numbers, String> {
    let number = |word: &str| match word.parse() {
        Ok(number @ 1..=200) => Ok(number),
        Ok(_) | Err(_) => Err(format!("{word}: expected a number from 1 to 200")),
    };
    text.split(',').map(number).collect::<Result<_, _>>().map(Numbers)
}

pub fn deliverer(text: &str) -> Result<Deliverer, String> {
    let choices = [
        ("builtin", Deliverer::BuiltIn),
        ("process", Deliverer::Process),
        ("resident", Deliverer::Resident),
    ];
    one_of(text, &choices)
}

pub fn socket(text: &str) -> Result<Socket, String> {
    one_of(text, &[("tcp", Socket::Tcp), ("unix", Socket::Unix)])
}

pub fn reader(text: &str) -> Result<Reader, String> {
    one_of(text, &[("browser", Reader::Browser), ("program", Reader::Program)])
}

fn one_of<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let found = choices.iter().find(|(name, _)| *name == text);
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        format!("{text}: expected {}", names.join(" or "))
    })
}
