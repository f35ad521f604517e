//! The pages that people see, and the message that they get, from Mustache templates.
//!
//! Templates are the operator's: all are read and checked at start, so that a mistake shows then
//! and with its line, and nothing can go wrong later.

/// File names and contents of shipped templates.
macro_rules! shipped {
    ($($file:literal),* $(,)?) => {
        [$(($file, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../templates/", $file)))),*]
    };
}

mod lint;
mod message;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use challenger_proto::{AddressType, FALLBACK_LANGUAGE, Page, PageName, PageSet};

pub use message::MessageTemplate;
use template::{Escaping, Template};

/// The extension of a template's file.
const EXTENSION: &str = ".must";

/// The pages that come with the program: file names and contents.
pub const SHIPPED: [(&str, &str); 12] = shipped![
    "already-done.en.must",
    "enter-address-form.en.must",
    "enter-email-form.en.must",
    "enter-file-form.en.must",
    "enter-phone-form.en.must",
    "enter-postal-ch-form.en.must",
    "enter-postal-form.en.must",
    "enter-tan-form.en.must",
    "internal-error.en.must",
    "invalid-pin.en.must",
    "invalid-request.en.must",
    "validation-unknown.en.must",
];

/// All templates, by name and language.
#[derive(Default)]
pub struct Templates {
    by_name: BTreeMap<String, BTreeMap<String, Template>>,
    warnings: Vec<String>,
}

impl Templates {
    /// Reads every page of a directory, `$NAME.$LANG.must`; messages and other files are left
    /// alone.
    ///
    /// # Errors
    /// [`TemplateError`] for the first file, in alphabetical order, that cannot be read or is not a
    /// good template.
    pub fn load(directory: &Path) -> Result<Self, TemplateError> {
        Self::default().overlaid(directory)
    }

    /// The same templates, except for those that a directory has, too.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn overlaid(mut self, directory: &Path) -> Result<Self, TemplateError> {
        let errors = self.overlay(directory);
        errors.into_iter().next().map_or(Ok(self), Err)
    }

    /// Takes every good page of a directory in place of its own, and returns what is wrong with the
    /// others, in alphabetical order.
    pub fn overlay(&mut self, directory: &Path) -> Vec<TemplateError> {
        let entries = fs::read_dir(directory).and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()
        });
        let files: BTreeSet<PathBuf> = match entries {
            Ok(files) => files,
            Err(error) => return Vec::from([TemplateError::unread(directory, &error)]),
        };
        let mut errors = Vec::new();
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_page = name.ends_with(EXTENSION) && !message::is_message(&name);
            if is_page && !name.starts_with('.') {
                let text = fs::read_to_string(&file);
                let text = text.map_err(|error| TemplateError::unread(&file, &error));
                errors.extend(text.and_then(|text| self.add(&file, &name, &text)).err());
            }
        }
        errors
    }

    /// The pages that come with the program.
    ///
    /// # Errors
    /// None, as long as the test of them passes.
    pub fn embedded() -> Result<Self, TemplateError> {
        let mut templates = Self::default();
        for (name, text) in SHIPPED {
            templates.add(Path::new(name), name, text)?;
        }
        Ok(templates)
    }

    /// Adds a template under the name and language that its file name tells.
    fn add(&mut self, file: &Path, name: &str, text: &str) -> Result<(), TemplateError> {
        let Some((page, language)) = page_and_language(name) else {
            let reason = "the name of a template is NAME.LANGUAGE.must, without further dots";
            return Err(TemplateError { file: file.into(), line: None, reason: reason.into() });
        };
        let (template, unescaped) = Template::parse(text, Escaping::Html)
            .map_err(|complaint| TemplateError::new(file, complaint))?;
        for (line, tag) in unescaped {
            let file = file.display();
            self.warnings.push(format!("{file}:{line}: {tag} prints its value without escaping"));
        }
        let languages = self.by_name.entry(page.to_string()).or_default();
        languages.insert(language.to_string(), template);
        Ok(())
    }

    /// What is allowed but deserves a look, each with file and line.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Which pages exist in which languages for a service that validates this type of address.
    pub fn page_set(&self, address_type: &AddressType) -> PageSet {
        let mut set = PageSet::default();
        for page in PageName::ALL {
            let languages = self.by_name.get(&page.template(address_type));
            for language in languages.into_iter().flat_map(BTreeMap::keys) {
                set.insert(page, language.clone());
            }
        }
        set
    }

    /// The files that are missing for that type of address: every page has to exist in English,
    /// which is for those whose language it does not speak.
    pub fn missing(&self, address_type: &AddressType) -> Vec<String> {
        let set = self.page_set(address_type);
        let missing = PageName::ALL.into_iter().filter(|p| !set.contains(*p, FALLBACK_LANGUAGE));
        let name = |page: PageName| {
            format!("{}.{FALLBACK_LANGUAGE}{EXTENSION}", page.template(address_type))
        };
        missing.map(name).collect()
    }

    /// Renders a page; `None` when it has no template.
    ///
    /// ```
    /// use challenger_proto::{AddressType, Page, PageName};
    /// use challenger_server::pages::Templates;
    /// use serde_json::json;
    ///
    /// let email = AddressType::new("email").ok_or("not a name")?;
    /// let data = json!({"client": "shop.example"});
    /// let page = Page { name: PageName::AlreadyDone, language: "en".to_string(), data };
    /// let html = Templates::embedded()?.render(&page, &email).ok_or("no template")?;
    /// assert!(html.contains("<strong>shop.example</strong>"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn render(&self, page: &Page, address_type: &AddressType) -> Option<String> {
        let languages = self.by_name.get(&page.name.template(address_type))?;
        Some(languages.get(&page.language)?.render(&page.data))
    }
}

/// Takes a file name apart. The language goes into a header, so it is letters, digits and `-`.
fn page_and_language(file_name: &str) -> Option<(&str, &str)> {
    let (page, language) = file_name.strip_suffix(EXTENSION)?.split_once('.')?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_good = !page.is_empty() && !language.is_empty() && language.bytes().all(allowed);
    is_good.then_some((page, language))
}

/// A template that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1; `None` when it is about the whole file.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub reason: String,
}

impl TemplateError {
    fn new(file: &Path, complaint: lint::Complaint) -> Self {
        Self { file: file.into(), line: Some(complaint.line), reason: complaint.reason }
    }

    fn unread(file: &Path, error: &io::Error) -> Self {
        Self { file: file.into(), line: None, reason: error.to_string() }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match self.line {
            Some(line) => write!(f, "{file}:{line}: {}", self.reason),
            None => write!(f, "{file}: {}", self.reason),
        }
    }
}

impl Error for TemplateError {}
