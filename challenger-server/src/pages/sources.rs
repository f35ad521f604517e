//! The sources of pages and messages: templates, their parts, and catalogues.
//!
//! They form layers: the shipped, the installed, and the operator's. An upper layer hides the same
//! template in the same language, the same part, and the same text of a catalogue in lower ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use challenger_proto::http::{FALLBACK_LANGUAGE, is_language_tag};

use super::catalogue::{Catalogue, DIRECTION, SUBJECT};
use super::countries::Countries;
use super::expand::{Expanded, Source, expand};
use super::lint::Kind;
use super::shipped::SHIPPED;
use super::{TemplateError, brand};
use crate::files::{self, utf8};
use crate::secrecy;

/// The endings of files: of templates, parts, catalogues and names of countries.
const TEMPLATE: &str = ".must";
const PART: &str = ".part.must";
const CATALOGUE: &str = ".lang";
const COUNTRIES: &str = ".countries";

/// The template of all messages that have none of their own.
pub(super) const MESSAGE: &str = "message";

/// The name of the language's own tag as a text, which is in no catalogue.
const TAG: &str = "language.tag";

/// The longest file, in bytes: the limit of a whole template.
const FILE_MAX: usize = 512 * 1024;

/// The number of missing texts or countries that a warning names.
const MISSING_SHOWN: usize = 3;

/// All files, in their layers.
#[derive(Default)]
pub struct Sources {
    layers: Vec<Layer>,
    catalogues: BTreeMap<String, Catalogue>,
    countries: Countries,
}

/// The templates and parts of one place.
#[derive(Default)]
struct Layer {
    /// By name and language; those for all languages have none.
    templates: BTreeMap<(String, Option<String>), File>,
    parts: BTreeMap<String, File>,
}

impl Layer {
    fn add_part(&mut self, name: &str, path: &Path, text: String) {
        self.parts.insert(name.to_owned(), File { path: path.into(), text });
    }
}

struct File {
    path: PathBuf,
    text: String,
}

impl File {
    fn source(&self) -> Source<'_> {
        Source::file(&self.path, &self.text)
    }
}

/// The role of a file, by its name.
enum Role {
    /// More rules for the style sheet.
    Brand,
    Catalogue {
        language: String,
    },
    /// Names of countries.
    Countries {
        language: String,
    },
    /// A picture of this type, for the tab of the browser.
    Icon(&'static str),
    /// A picture of this type, for the top of each page.
    Logo(&'static str),
    /// One of these with a wrong name, and the right name.
    Misnamed(&'static str),
    /// None of these.
    Other,
    Part {
        name: String,
    },
    Template {
        name: String,
        language: Option<String>,
    },
}

impl Role {
    fn of(file: &str) -> Self {
        match file {
            _ if file.starts_with('.') => return Self::Other,
            "brand.css" => return Self::Brand,
            "icon.png" => return Self::Icon("image/png"),
            "icon.svg" => return Self::Icon("image/svg+xml"),
            "logo.png" => return Self::Logo("image/png"),
            "logo.svg" => return Self::Logo("image/svg+xml"),
            _ => {}
        }
        if let Some(language) = file.strip_suffix(CATALOGUE) {
            if is_language_tag(language) {
                return Self::Catalogue { language: language.into() };
            }
            return Self::Misnamed(
                "the name of a catalogue is LANGUAGE.lang, with a language tag such as de or pt-BR",
            );
        }
        if let Some(language) = file.strip_suffix(COUNTRIES) {
            if is_language_tag(language) {
                return Self::Countries { language: language.into() };
            }
            return Self::Misnamed(
                "the name of a list of countries is LANGUAGE.countries, with a language tag such \
                 as de or pt-BR",
            );
        }
        if let Some(name) = file.strip_suffix(PART) {
            if !name.contains('.') {
                return Self::Part { name: name.into() };
            }
            return Self::Misnamed("the name of a part is NAME.part.must, without further dots");
        }
        let Some(name) = file.strip_suffix(TEMPLATE) else { return Self::Other };
        let (name, language) = name.split_once('.').map_or((name, None), |(n, l)| (n, Some(l)));
        if !name.is_empty() && language.is_none_or(is_language_tag) {
            return Self::Template { name: name.into(), language: language.map(str::to_owned) };
        }
        Self::Misnamed(
            "the name of a template is NAME.must or NAME.LANGUAGE.must, with a language tag such \
             as de or pt-BR, and without further dots",
        )
    }
}

/// The name of a template, and its language if it has one; `None` for a file of another name.
fn template_name(file: &Path) -> Option<(String, Option<String>)> {
    match Role::of(&file.file_name()?.to_string_lossy()) {
        Role::Template { name, language } => Some((name, language)),
        _ => None,
    }
}

impl Sources {
    /// The files that come with the program.
    pub fn embedded() -> Self {
        let mut sources = Self::default();
        let mut layer = Layer::default();
        for (name, text) in SHIPPED {
            // Tests make sure that there are no errors.
            let _ = sources.add(&mut layer, Path::new(name), text.as_bytes());
        }
        sources.layers.push(layer);
        sources
    }

    /// Adds the files of a directory as the uppermost layer, and returns the errors of broken ones,
    /// in alphabetical order of their names.
    pub fn overlay(&mut self, directory: &Path) -> Vec<TemplateError> {
        let files = match files::list(directory) {
            Ok(files) => files,
            Err(error) => return Vec::from([TemplateError::unread(directory, &error)]),
        };
        let mut errors = Vec::new();
        let mut layer = Layer::default();
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            if matches!(Role::of(&name), Role::Other) {
                continue;
            }
            match files::read(&file, FILE_MAX) {
                Ok(text) => errors.extend(self.add(&mut layer, &file, &text)),
                Err(error) => errors.push(TemplateError::unread(&file, &error)),
            }
        }
        self.layers.push(layer);
        errors
    }

    /// Adds the operator's message as the uppermost layer. A file named `NAME.must` or
    /// `NAME.LANGUAGE.must` brings along the others of that `NAME` in its directory; the `NAME`
    /// itself does not matter.
    pub fn choose_message(&mut self, file: &Path) -> Vec<TemplateError> {
        let mut files = BTreeMap::from([(None, file.to_path_buf())]);
        if let Some((chosen, language)) = template_name(file) {
            files = BTreeMap::from([(language, file.to_path_buf())]);
            // A directory that cannot be listed has no others.
            let folder = file.parent().and_then(|folder| files::list(folder).ok());
            for file in folder.unwrap_or_default() {
                if let Some((name, language)) = template_name(&file)
                    && name == chosen
                {
                    files.entry(language).or_insert(file);
                }
            }
        }
        let mut layer = Layer::default();
        let mut errors = Vec::new();
        for (language, path) in files {
            match files::read(&path, FILE_MAX).map(|bytes| utf8(&bytes)) {
                Ok(Ok(text)) => {
                    layer.templates.insert((MESSAGE.to_owned(), language), File { path, text });
                }
                Ok(Err(reason)) => errors.push(TemplateError::about(&path, reason)),
                Err(error) => errors.push(TemplateError::unread(&path, &error)),
            }
        }
        self.layers.push(layer);
        errors
    }

    fn add(&mut self, layer: &mut Layer, path: &Path, text: &[u8]) -> Vec<TemplateError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let added = match Role::of(&name) {
            Role::Brand => brand::style(text).map(|text| layer.add_part("brand", path, text)),
            Role::Catalogue { language } => {
                return self.catalogues.entry(language).or_default().read(path, text);
            }
            Role::Countries { language } => match utf8(text) {
                Ok(text) => return self.countries.read(&language, path, &text),
                Err(reason) => Err(reason),
            },
            Role::Icon(kind) => brand::icon(kind, text).map(|it| layer.add_part("icon", path, it)),
            Role::Logo(kind) => brand::logo(kind, text).map(|it| layer.add_part("logo", path, it)),
            Role::Misnamed(advice) => Err(advice.to_owned()),
            Role::Other => Ok(()),
            Role::Part { name } => utf8(text).map(|text| layer.add_part(&name, path, text)),
            Role::Template { name, language } => utf8(text).map(|text| {
                let file = File { path: path.into(), text };
                layer.templates.insert((name, language), file);
            }),
        };
        added.err().map(|reason| TemplateError::about(path, reason)).into_iter().collect()
    }

    /// The names of all templates.
    pub(super) fn names(&self) -> BTreeSet<&str> {
        let templates = self.layers.iter().flat_map(|layer| layer.templates.keys());
        templates.map(|(name, _)| name.as_str()).collect()
    }

    /// The templates of a name by language, each from the uppermost layer that has one.
    pub(super) fn templates<'a>(&'a self, name: &str) -> BTreeMap<&'a str, Source<'a>> {
        let mut found = BTreeMap::new();
        for layer in &self.layers {
            found.extend(self.templates_in(layer, name));
        }
        found
    }

    /// The templates of the best name: in the uppermost layer that has any of these names, the
    /// first of them. A lower layer adds no languages, because its text could say something else.
    pub(super) fn best_templates<'a>(&'a self, names: &[String]) -> BTreeMap<&'a str, Source<'a>> {
        let layers = self.layers.iter().rev();
        let mut sets = layers.flat_map(|layer| names.iter().map(|n| self.templates_in(layer, n)));
        sets.find(|set| !set.is_empty()).unwrap_or_default()
    }

    /// The templates of a name in one layer. One without a language serves all with a catalogue.
    fn templates_in<'a>(&'a self, layer: &'a Layer, name: &str) -> BTreeMap<&'a str, Source<'a>> {
        let mut found = BTreeMap::new();
        if let Some(file) = layer.templates.get(&(name.to_owned(), None)) {
            let languages = self.catalogues.keys().map(String::as_str);
            found.extend(languages.chain([FALLBACK_LANGUAGE]).map(|it| (it, file.source())));
        }
        for ((other, language), file) in &layer.templates {
            if let (true, Some(language)) = (other == name, language) {
                found.insert(language.as_str(), file.source());
            }
        }
        found
    }

    /// Expands a template in a language.
    pub(super) fn expand<'a>(
        &'a self,
        template: Source<'a>,
        language: &'a str,
    ) -> Result<Expanded<'a>, TemplateError> {
        expand(template, &|name| {
            if name.contains('.') { self.words(name, language) } else { self.part(name) }
        })
    }

    /// The names of countries in all languages.
    pub(super) fn countries(&self) -> &Countries {
        &self.countries
    }

    fn part(&self, name: &str) -> Option<Source<'_>> {
        let mut layers = self.layers.iter().rev();
        layers.find_map(|layer| layer.parts.get(name)).map(File::source)
    }

    /// A text in a language, else in the language of which this is a regional form, else in
    /// English.
    pub(super) fn words<'a>(&'a self, name: &str, language: &'a str) -> Option<Source<'a>> {
        if name == TAG {
            return Some(Source::file(Path::new(""), language));
        }
        let name = name.to_ascii_lowercase();
        let catalogues = own(language).chain([FALLBACK_LANGUAGE]);
        catalogues.filter_map(|tag| self.catalogues.get(tag)).find_map(|it| it.get(&name))
    }

    /// Warnings about texts that are unused or missing, and names of countries that are missing.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let used = self.used_words();
        for (language, catalogue) in &self.catalogues {
            let unused = catalogue.texts().filter(|(name, _)| !used.contains(*name));
            warnings.extend(unused.map(|(name, Source { file, line, .. })| {
                format!("{}:{line}: no template uses the text {name}", secrecy::path(file))
            }));
            let missing = some_of(&self.missing_words(language));
            warnings.extend(missing.map(|some| {
                format!(
                    "{language}.lang lacks some texts, and English ones take their place {some}"
                )
            }));
        }
        for (language, missing) in self.countries.missing() {
            warnings.extend(some_of(&missing).map(|some| {
                format!(
                    "{language}.countries lacks some countries, which have English names at the \
                     end of the list {some}"
                )
            }));
        }
        warnings
    }

    /// The texts that a language lacks, so that English ones take their place.
    fn missing_words(&self, language: &str) -> Vec<&str> {
        let english = self.catalogues.get(FALLBACK_LANGUAGE);
        let names = english.into_iter().flat_map(|it| it.texts().map(|(name, _)| name));
        let has = |name: &str| {
            own(language)
                .any(|tag| self.catalogues.get(tag).is_some_and(|it| it.get(name).is_some()))
        };
        names.filter(|name| !has(name)).collect()
    }

    /// The names of all texts that a template, a part or a text uses.
    fn used_words(&self) -> BTreeSet<String> {
        let files =
            self.layers.iter().flat_map(|it| it.templates.values().chain(it.parts.values()));
        let texts = self.catalogues.values().flat_map(|it| it.texts().map(|(_, text)| text));
        let pieces = files.map(File::source).chain(texts).filter_map(|it| it.read().ok()).flatten();
        let words = pieces.filter(|it| it.kind == Kind::Words);
        let words = words.map(|it| it.name.to_ascii_lowercase());
        words.chain([DIRECTION.to_owned(), SUBJECT.to_owned()]).collect()
    }
}

/// The number of names, and the first of them; `None` if there are none.
fn some_of(names: &[&str]) -> Option<String> {
    let some: Vec<&str> = names.iter().copied().take(MISSING_SHOWN).collect();
    let more = if names.len() > MISSING_SHOWN { ", ..." } else { "" };
    (!names.is_empty()).then(|| format!("({}): {}{more}", names.len(), some.join(", ")))
}

/// A language, and the language of which it is a regional form, if it is.
pub(super) fn own(language: &str) -> impl Iterator<Item = &str> {
    let primary = language.split_once('-').map(|(primary, _)| primary);
    [language].into_iter().chain(primary)
}
