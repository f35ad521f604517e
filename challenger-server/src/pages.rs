//! The pages that people see, and the message that they get, from Mustache templates.
//!
//! Operators may replace templates. All are read and checked at start, so that a mistake is
//! reported then, with its line, and nothing can go wrong later. A template is written once for all
//! languages, and gets its words from the catalogue of each.

mod advice;
mod brand;
mod catalogue;
mod countries;
mod errors;
mod expand;
mod forms;
mod html;
mod lint;
mod message;
mod shipped;
mod sms;
mod sources;
mod template;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use challenger_proto::Service;
use challenger_proto::address::AddressType;
use challenger_proto::http::{FALLBACK_LANGUAGE, Inline, Page, PageName, PageSet};

use countries::Countries;
use expand::{Expanded, Source};
use forms::Form;
use html::Inspected;
pub use message::{Message, Messages};
pub use sources::Sources;
pub use template::escape_html;
use template::{Escaping, Template};
use variables::Scope;

use crate::secrecy;

/// A page in one language, with the styles and scripts in it.
struct PageTemplate {
    template: Template,
    inline: Inline,
    forms: Vec<Form>,
    file: PathBuf,
}

/// All pages, by name and language.
#[derive(Default)]
pub struct Templates {
    by_name: BTreeMap<String, BTreeMap<String, PageTemplate>>,
    countries: Countries,
    warnings: BTreeSet<String>,
}

impl Templates {
    /// Compiles every page in every language, and returns the errors of those that are broken.
    pub fn compile(sources: &Sources) -> (Self, Vec<TemplateError>) {
        let mut templates = Self { countries: sources.countries().clone(), ..Self::default() };
        let mut errors = Vec::new();
        for name in sources.names().into_iter().filter(|name| !message::is_message(name)) {
            for (language, source) in sources.templates(name) {
                match PageTemplate::compile(sources, name, source, language) {
                    Ok((template, warnings)) => {
                        // A set: a part, or a template for all languages, is reported once.
                        templates.warnings.extend(warnings);
                        let languages = templates.by_name.entry(name.to_owned()).or_default();
                        languages.insert(language.to_owned(), template);
                    }
                    Err(error) if errors.contains(&error) => {}
                    Err(error) => errors.push(error),
                }
            }
        }
        (templates, errors)
    }

    /// The pages that come with the program.
    ///
    /// # Errors
    /// The shipped pages are broken; a test prevents that.
    pub fn embedded() -> Result<Self, TemplateError> {
        let (templates, errors) = Self::compile(&Sources::embedded());
        errors.into_iter().next().map_or(Ok(templates), Err)
    }

    /// The files that are shown to nobody, because no page has their name. Those of other types of
    /// addresses count as pages: services may share a directory. So do chosen messages.
    pub fn unused(&self, address_type: &AddressType, sources: &Sources) -> BTreeSet<String> {
        let pages = PageName::ALL.map(|page| page.template(address_type));
        let is_form = |name: &str| name.starts_with("enter-") && name.ends_with("-form");
        let messages = sources.templates(sources::MESSAGE);
        let is_message = |file: &Path| messages.values().any(|message| message.file == file);
        let names = self.by_name.iter();
        let unused = names.filter(|(name, _)| !pages.contains(name) && !is_form(name));
        let files = unused.flat_map(|(_, languages)| languages.values()).map(|it| &it.file);
        let files = files.filter(|file| !is_message(file)).map(|file| secrecy::path(file));
        files.map(|file| format!("{file}: no page or message has this name")).collect()
    }

    /// Things that are allowed but deserve a look, each with file and line.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.warnings.iter().map(String::as_str)
    }

    /// The pages, with their languages, of a service for this type of address.
    pub fn page_set(&self, address_type: &AddressType) -> PageSet {
        let mut set = PageSet::default();
        for page in PageName::ALL {
            let languages = self.by_name.get(&page.template(address_type));
            for (language, template) in languages.into_iter().flatten() {
                set.insert_with(page, language.clone(), template.inline.clone());
            }
        }
        set
    }

    /// Why people cannot continue from a page of this service, or cannot enter all that they may.
    /// Each says the file, and the line of the form that lacks something. A template cannot know
    /// what the service asks for.
    pub fn dead_ends(&self, service: &Service) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for page in PageName::ALL {
            let languages = self.by_name.get(&page.template(&service.address_type));
            for template in languages.into_iter().flat_map(BTreeMap::values) {
                let file = secrecy::path(&template.file);
                found.extend(forms::dead_end(page, &file, &template.forms, service));
            }
        }
        found
    }

    /// The files that are missing for a type of address: every page has to exist in English, the
    /// language for everybody whose own is not available.
    pub fn missing(&self, address_type: &AddressType) -> Vec<String> {
        let set = self.page_set(address_type);
        let missing = PageName::ALL.into_iter().filter(|p| !set.contains(*p, FALLBACK_LANGUAGE));
        let name = |page: PageName| format!("{}.must", page.template(address_type));
        missing.map(name).collect()
    }

    /// Renders a page; `None` when it has no template.
    ///
    /// ```
    /// use challenger_proto::address::AddressType;
    /// use challenger_proto::http::{Page, PageName};
    /// use challenger_server::pages::Templates;
    /// use serde_json::json;
    ///
    /// let email = AddressType::new("email").ok_or("not a name")?;
    /// let data = json!({"client": "shop.example"}).into();
    /// let page = Page { name: PageName::AlreadyDone, language: "en".to_string(), data };
    /// let html = Templates::embedded()?.render(&page, &email).ok_or("no template")?;
    /// assert!(html.contains("<strong>shop.example</strong>"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn render(&self, page: &Page, address_type: &AddressType) -> Option<String> {
        let languages = self.by_name.get(&page.name.template(address_type))?;
        let template = &languages.get(&page.language)?.template;
        let named = self.countries.name(&page.data, &page.language);
        Some(template.render(named.as_ref().unwrap_or(&page.data)))
    }
}

impl PageTemplate {
    /// Compiles a page, and returns it with its warnings.
    fn compile(
        sources: &Sources,
        name: &str,
        source: Source<'_>,
        language: &str,
    ) -> Result<(Self, Vec<String>), TemplateError> {
        let expanded = sources.expand(source, language)?;
        let Inspected { inline, forms, mut warnings } = html::inspect(&expanded);
        let unescaped = expanded.unescaped();
        warnings.extend(unescaped.map(|tag| format!("{tag} prints its value without escaping")));
        // A template that belongs to no page is not used.
        if let Some(page) = page_of(name) {
            warnings.extend(forms.iter().filter_map(Form::warning));
            let all: BTreeSet<&str> = PageName::ALL.into_iter().flat_map(variables_of).collect();
            let all: Vec<&str> = all.into_iter().collect();
            let own = Scope {
                verdict: &format!("{name} has no such variable"),
                names: &variables_of(page),
            };
            let shared = Scope { verdict: "no page has such a variable", names: &all };
            warnings.extend(variables::unknown(source.file, &expanded, &own, &shared));
        }
        let template = compiled(source, &expanded, Escaping::Html)?;
        Ok((Self { template, inline, forms, file: source.file.into() }, warnings))
    }
}

/// The page of a template. `enter-tan-form` is not the form for a type of address named `tan`.
fn page_of(name: &str) -> Option<PageName> {
    let kind = name.strip_prefix("enter-").and_then(|rest| rest.strip_suffix("-form"));
    let address_type = AddressType::new(kind.unwrap_or("none"))?;
    PageName::ALL.into_iter().rev().find(|page| page.template(&address_type) == name)
}

/// The variables of a page: those of the core, and the names that are added here.
fn variables_of(page: PageName) -> Vec<&'static str> {
    let mut names = page.variables();
    if page == PageName::EnterAddressForm {
        names.extend(countries::VARIABLES);
    }
    names
}

/// Compiles an expanded source.
fn compiled(
    source: Source<'_>,
    expanded: &Expanded<'_>,
    escaping: Escaping,
) -> Result<Template, TemplateError> {
    Template::compile(expanded.text.clone(), escaping)
        .map_err(|reason| TemplateError::about(source.file, reason))
}

/// A template that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1; `None` if the error is about the whole file.
    pub line: Option<usize>,
    /// The reason, for the operator.
    pub reason: String,
}

impl TemplateError {
    fn about(file: &Path, reason: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, reason: reason.into() }
    }

    fn unread(file: &Path, error: &io::Error) -> Self {
        Self::about(file, error.to_string())
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = secrecy::path(&self.file);
        match self.line {
            Some(line) => write!(f, "{file}:{line}: {}", self.reason),
            None => write!(f, "{file}: {}", self.reason),
        }
    }
}

impl Error for TemplateError {}
