//! The user's templates for title, body and commit message.
//!
//! A template never handles the foreign text that it prints: each printed value becomes a token, and tokens become
//! code spans once the template is done and it is known where in the text they stand. So no filter, macro or
//! `{% set %}` can take a value out of its code span.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Object, Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use thiserror::Error as ThisError;

use super::Report;
use super::budget::{body, cut, short};
use super::clean::is_unseen;
use super::markdown::{code, entities, entities_of, fence};
use super::publication::{SUBJECT, commit_message, summary};

/// Begins and ends a token. Private characters; a stray one in a template is dropped.
const OPEN: char = '\u{10fff0}';
const CLOSE: char = '\u{10fff1}';

/// Steps a template may take: a thousand hosts with a few hundred steps each.
const FUEL: u64 = 2_000_000;

/// The longest template, in bytes: more than any forge takes for a text.
const LONGEST: usize = 64 * 1024;

/// A template of so many bytes fits any stack.
const SHORT: usize = 2 * 1024;

/// How much stack a byte of a template takes at most; without optimizations it was 1150 bytes.
const STACK: usize = 4 * 1024;

/// The most bytes a template may give before its values are filled in.
const MOST: usize = 4 * 1024 * 1024;

/// The most characters of one value in a line of a commit message.
const VALUE: usize = 1000;

/// What every template knows: the keys of a report, and the summary.
const KEY_NAMES: &[&str] = &[
    "schema",
    "tool",
    "nix",
    "flake",
    "scope",
    "lock",
    "outcome",
    "built",
    "excluded",
    "inputs",
    "hosts",
    "fleet",
    "lock_notes",
    "lock_notes_left_out",
    "warnings",
    "digest",
    "timing",
    "pull_request",
    "plan",
    "summary",
];

fn known_keys() -> String {
    format!(
        "a template knows {}, and that of the body `body`",
        KEY_NAMES.join(", ")
    )
}

/// The sources of the templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Templates {
    title: String,
    commit_message: String,
    body: Option<String>,
}

/// A template that cannot be used.
#[derive(Debug, ThisError)]
pub enum TemplateError {
    /// The engine does not take it, or stops in it.
    #[error("the template of the {template}{}: {words}", at(*.line))]
    Engine {
        /// Which one.
        template: &'static str,
        /// The line in it, where known.
        line: Option<usize>,
        /// The engine's words.
        words: String,
        /// What to do.
        hint: Option<String>,
    },
    /// It gives nothing to see.
    #[error("the template of the {template} gives an empty text")]
    Empty {
        /// Which one.
        template: &'static str,
    },
    /// A value stands where no code span can hold it.
    #[error("the template of the {template} puts a value {place}")]
    Place {
        /// Which one.
        template: &'static str,
        /// Where.
        place: &'static str,
    },
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!(", line {line}"))
        .unwrap_or_default()
}

impl TemplateError {
    /// Returns what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Engine { hint, .. } => hint.clone(),
            Self::Empty { .. } => Some("give it some text outside of conditions".to_owned()),
            Self::Place { .. } => Some(
                "put the value on its own, outside of tags, comments, fences and unfinished backticks: it becomes a code \
                 span by itself, `| fence` makes it a fenced block"
                    .to_owned(),
            ),
        }
    }
}

impl Templates {
    /// The title and the commit's subject where the user names none.
    pub const DEFAULT_TITLE: &str = "chore: update flake inputs";

    /// Holds the sources of three templates; without one for the body, the body is our own.
    pub fn new(title: String, commit_message: String, body: Option<String>) -> Self {
        Self {
            title,
            commit_message,
            body,
        }
    }

    /// Checks the templates' syntax and the keys they begin with, so that a mistake is found before the work starts.
    pub fn check(&self) -> Result<(), TemplateError> {
        for (name, source) in [
            (TITLE, Some(&self.title)),
            (COMMIT_MESSAGE, Some(&self.commit_message)),
            (BODY, self.body.as_ref()),
        ] {
            if let Some(source) = source {
                with_room(name, source, || check(name, source))?;
            }
        }
        Ok(())
    }

    /// Writes all three for nobody, and returns the title: what a report does not have is found only with one.
    pub fn rehearse(&self, report: &Report, budget: usize) -> Result<String, TemplateError> {
        self.commit_message(report, &report.scope.id, &report.lock.after_hash)?;
        // Our own body asks for nothing that is not there.
        if self.body.is_some() {
            self.body(report, budget)?;
        }
        self.title(report)
    }

    /// Returns the title: one line of at most 250 bytes.
    pub fn title(&self, report: &Report) -> Result<String, TemplateError> {
        let text = expand(TITLE, &self.title, report)?;
        // Line breaks of a template are for its reader.
        let line = text.join_lines();
        let title = line.line(TITLE, SUBJECT)?;
        if title.is_empty() {
            return Err(TemplateError::Empty { template: TITLE });
        }
        Ok(title)
    }

    /// Returns the body in Markdown, of at most `budget` bytes.
    pub fn body(&self, report: &Report, budget: usize) -> Result<String, TemplateError> {
        match &self.body {
            None => Ok(body(report, budget)),
            Some(source) => expand(BODY, source, report)?.markdown(report, budget),
        }
    }

    /// Returns the commit's message: the template's subject and text (the inputs, where it has a subject only), and as
    /// its last paragraph the trailers by which a later run knows the commit.
    pub fn commit_message(
        &self,
        report: &Report,
        scope_id: &str,
        lock_hash: &str,
    ) -> Result<String, TemplateError> {
        let text = expand(COMMIT_MESSAGE, &self.commit_message, report)?;
        let mut lines = text.lines().into_iter().skip_while(Expanded::is_blank);
        let subject = match lines.next() {
            Some(line) => line.line(COMMIT_MESSAGE, SUBJECT)?,
            None => String::new(),
        };
        if subject.is_empty() {
            return Err(TemplateError::Empty {
                template: COMMIT_MESSAGE,
            });
        }
        let mut message = subject;
        for line in lines {
            message.push('\n');
            message.push_str(&line.line(COMMIT_MESSAGE, usize::MAX)?);
        }
        Ok(commit_message(&message, report, scope_id, lock_hash))
    }
}

const TITLE: &str = "title";
const BODY: &str = "body";
const COMMIT_MESSAGE: &str = "commit message";

/// What a token stands for.
#[derive(Debug, Clone)]
enum Printed {
    /// Foreign text, for a code span.
    Text(String),
    /// Foreign text, for a fence.
    Fence(String),
    /// Our own body.
    Body,
    /// Our own line.
    Summary(String),
}

impl Object for Printed {
    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &**self {
            Self::Text(text) | Self::Fence(text) | Self::Summary(text) => text,
            Self::Body => "body",
        })
    }
}

/// What the tokens of one rendering stand for.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<Printed>>>);

impl Kept {
    fn keep(&self, printed: Printed) -> String {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(printed);
        format!("{OPEN}{}{CLOSE}", kept.len() - 1)
    }

    /// Returns `text` with the tokens in it replaced by what they stand for, as plain text.
    fn plain(&self, text: &str) -> String {
        if !text.contains([OPEN, CLOSE]) {
            return text.to_owned();
        }
        self.expanded(text)
            .0
            .into_iter()
            .map(|piece| match piece {
                Piece::Own(text)
                | Piece::Value(
                    Printed::Text(text) | Printed::Fence(text) | Printed::Summary(text),
                ) => text,
                Piece::Value(Printed::Body) => "body".to_owned(),
            })
            .collect()
    }

    fn expanded(&self, text: &str) -> Expanded {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pieces = Vec::new();
        let mut own = String::new();
        let mut parts = text.split(OPEN);
        own.extend(parts.next());
        for part in parts {
            let token = part
                .split_once(CLOSE)
                .and_then(|(number, rest)| Some((kept.get(number.parse::<usize>().ok()?)?, rest)));
            if let Some((printed, rest)) = token {
                pieces.push(Piece::Own(std::mem::take(&mut own)));
                pieces.push(Piece::Value(printed.clone()));
                own.push_str(rest);
            } else {
                own.push_str(part);
            }
        }
        pieces.push(Piece::Own(own));
        for piece in &mut pieces {
            if let Piece::Own(text) = piece {
                text.retain(|c| c != CLOSE);
            }
        }
        Expanded(pieces)
    }
}

fn environment(kept: &Kept) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(50);
    // Any escaping makes what a macro or a block gives "safe", which here says: its values are tokens.
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("code".into()));
    // These make "safe" what is not a macro's or a block's, or mix the two.
    for name in ["safe", "escape", "e", "format"] {
        environment.remove_filter(name);
    }
    environment.add_filter("replace", |text: String, from: String, to: String| {
        text.replace(&from, &to)
    });
    environment.add_filter("join", join);
    environment.add_filter("fence", |value: &Value| -> Result<Value, Error> {
        let text = if value.as_str().is_none() && value.try_iter().is_ok() {
            join(value, Some("\n".to_owned()))?
        } else {
            value.to_string()
        };
        Ok(Value::from_object(Printed::Fence(text)))
    });
    let kept = kept.clone();
    environment.set_formatter(move |out, _, value| {
        use minijinja::value::ValueKind;

        let written = if let Some(printed) = value.downcast_object_ref::<Printed>() {
            let printed = match printed {
                Printed::Fence(text) => Printed::Fence(kept.plain(text)),
                other => other.clone(),
            };
            out.write_str(&kept.keep(printed))
        } else {
            match value.kind() {
                ValueKind::Undefined => return Err(ErrorKind::UndefinedError.into()),
                ValueKind::None | ValueKind::Bool | ValueKind::Number => {
                    out.write_str(&value.to_string())
                }
                // Of a macro or a block: own text and tokens.
                _ if value.is_safe() => out.write_str(value.as_str().unwrap_or_default()),
                _ => out.write_str(&kept.keep(Printed::Text(kept.plain(&value.to_string())))),
            }
        };
        written.map_err(Error::from)
    });
    environment
}

/// As the engine's own filter, but the result is never "safe".
fn join(value: &Value, joiner: Option<String>) -> Result<String, Error> {
    let items: Vec<String> = value.try_iter()?.map(|item| item.to_string()).collect();
    Ok(items.join(&joiner.unwrap_or_default()))
}

/// Checks one template.
fn check(name: &'static str, source: &str) -> Result<(), TemplateError> {
    let kept = Kept::default();
    let mut environment = environment(&kept);
    let parsed = environment
        .template_from_named_str(name, source)
        .map_err(|error| engine(name, &error))?;
    let own = if name == BODY { "body" } else { "" };
    let is_known = |key: &str| {
        key == own
            || KEY_NAMES.contains(&key)
            // What the engine itself defines in blocks, loops and macros.
            || ["self", "super", "caller", "loop"].contains(&key)
            || environment.globals().any(|(global, _)| global == key)
    };
    let mut unknown: Vec<String> = parsed
        .undeclared_variables(false)
        .into_iter()
        .filter(|key| !is_known(key))
        .collect();
    unknown.sort();
    if let Some(key) = unknown.first() {
        return Err(TemplateError::Engine {
            template: name,
            line: None,
            words: format!("there is no `{key}`"),
            hint: Some(known_keys()),
        });
    }
    // Filters are looked up while rendering only. Whatever else goes wrong without a report is no fault of the
    // template.
    drop(parsed);
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    let rendered = environment.render_named_str(name, source, ());
    if let Err(error) = rendered
        && matches!(
            error.kind(),
            ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction
        )
    {
        return Err(engine(name, &error));
    }
    Ok(())
}

/// Does something with a template where there is stack enough for it: the engine goes down into a chain of operators, filters or
/// `elif` once per link, whatever its limit of recursion is.
fn with_room<T: Send>(
    template: &'static str,
    source: &str,
    work: impl FnOnce() -> Result<T, TemplateError> + Send,
) -> Result<T, TemplateError> {
    let refused = |words: String, hint: Option<&str>| TemplateError::Engine {
        template,
        line: None,
        words,
        hint: hint.map(str::to_owned),
    };
    if source.len() > LONGEST {
        return Err(refused(
            format!("has {} bytes", source.len()),
            Some("64 KiB are the most"),
        ));
    }
    if source.len() <= SHORT {
        return work();
    }
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(source.len().saturating_mul(STACK))
            .spawn_scoped(scope, work)
            .map_err(|error| refused(format!("no memory for it: {error}"), None))?
            .join()
            .unwrap_or_else(|_| Err(refused("the engine failed".to_owned(), None)))
    })
}

fn expand(
    template: &'static str,
    source: &str,
    report: &Report,
) -> Result<Expanded, TemplateError> {
    with_room(template, source, || expand_here(template, source, report))
}

fn expand_here(
    template: &'static str,
    source: &str,
    report: &Report,
) -> Result<Expanded, TemplateError> {
    let kept = Kept::default();
    let environment = environment(&kept);
    let summary = Value::from_object(Printed::Summary(summary(report)));
    let context = Value::from(Serde(report));
    let context = if template == BODY {
        minijinja::context! { summary, body => Value::from_object(Printed::Body), ..context }
    } else {
        minijinja::context! { summary, ..context }
    };
    let text = environment
        .template_from_named_str(template, source)
        .and_then(|parsed| parsed.render(context))
        .map_err(|error| engine(template, &error))?;
    if text.len() > MOST {
        return Err(TemplateError::Engine {
            template,
            line: None,
            words: format!("gives {} bytes", text.len()),
            hint: Some("name less in it".to_owned()),
        });
    }
    Ok(kept.expanded(&text))
}

fn engine(template: &'static str, error: &Error) -> TemplateError {
    let kind = error.kind();
    let words = match error.detail() {
        Some(detail) => format!("{kind}: {detail}"),
        None => kind.to_string(),
    };
    TemplateError::Engine {
        template,
        line: error.line(),
        words: words
            .chars()
            .map(|c| if is_unseen(c) { ' ' } else { c })
            .collect(),
        hint: match kind {
            ErrorKind::UndefinedError => Some(known_keys()),
            ErrorKind::UnknownFilter => Some(
                "`safe`, `escape` and `format` are left out on purpose: each value is a code span, `| fence` makes it a \
                 fenced block"
                    .to_owned(),
            ),
            ErrorKind::OutOfFuel => Some("let it loop over less".to_owned()),
            _ => None,
        },
    }
}

/// What a template gave: its own text, and the values in it.
#[derive(Debug, Default)]
struct Expanded(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Own(String),
    Value(Printed),
}

impl Expanded {
    fn is_blank(&self) -> bool {
        self.0
            .iter()
            .all(|piece| matches!(piece, Piece::Own(text) if text.trim().is_empty()))
    }

    fn join_lines(mut self) -> Self {
        for piece in &mut self.0 {
            if let Piece::Own(text) = piece {
                *text = text.replace(['\n', '\r'], " ");
            }
        }
        self
    }

    fn lines(self) -> Vec<Self> {
        let mut lines = Vec::new();
        let mut line = Self::default();
        for piece in self.0 {
            match piece {
                Piece::Own(text) => {
                    for (i, part) in text.split('\n').enumerate() {
                        if i > 0 {
                            lines.push(std::mem::take(&mut line));
                        }
                        line.0.push(Piece::Own(part.to_owned()));
                    }
                }
                value @ Piece::Value(_) => line.0.push(value),
            }
        }
        lines.push(line);
        lines
    }

    /// Returns the pieces as one line of at most `most` bytes, the values in code spans.
    fn line(self, template: &'static str, most: usize) -> Result<String, TemplateError> {
        let mut rest: Vec<Piece> = self.0;
        let ticks: usize = rest.iter().map(own_ticks).sum();
        let has_value = rest.iter().any(|piece| matches!(piece, Piece::Value(_)));
        if has_value && ticks % 2 == 1 {
            return Err(TemplateError::Place {
                template,
                place: "beside a backtick that has no other",
            });
        }
        trim(&mut rest);
        let mut out = String::new();
        // Room for what is put at a cut.
        let most = most.saturating_sub(8);
        let mut open = false;
        for piece in rest {
            let whole = match &piece {
                Piece::Own(text) => {
                    open ^= own_ticks(&piece) % 2 == 1;
                    let text: String = text.chars().map(flat).collect();
                    if out.ends_with('`') && text.starts_with('`') && !open {
                        format!(" {text}")
                    } else {
                        text
                    }
                }
                Piece::Value(Printed::Summary(text)) if !open => text.clone(),
                Piece::Value(
                    Printed::Text(text) | Printed::Fence(text) | Printed::Summary(text),
                ) => span(&short(text, VALUE), open, &out),
                Piece::Value(Printed::Body) => String::new(),
            };
            if whole.len() <= most.saturating_sub(out.len()) {
                out.push_str(&whole);
                continue;
            }
            let room = most.saturating_sub(out.len());
            let part = match &piece {
                Piece::Own(_) => cut(&whole, room).to_owned(),
                // Its own code spans cannot be cut.
                Piece::Value(Printed::Summary(text)) if !open => {
                    cut(text.split('`').next().unwrap_or_default(), room).to_owned()
                }
                Piece::Value(
                    Printed::Text(text) | Printed::Fence(text) | Printed::Summary(text),
                ) => {
                    let mut text = cut(text, room).to_owned();
                    loop {
                        let part = span(&text, open, &out);
                        if part.len() <= room || text.is_empty() {
                            break if part.len() <= room && !text.is_empty() {
                                part
                            } else {
                                String::new()
                            };
                        }
                        text.pop();
                    }
                }
                Piece::Value(Printed::Body) => String::new(),
            };
            out.push_str(&part);
            out.truncate(out.trim_end().len());
            out.push('…');
            if out.matches('`').count() % 2 == 1 && has_odd_own(&part, &piece, open) {
                out.push('`');
            }
            break;
        }
        Ok(out.trim_end().to_owned())
    }

    /// Returns the pieces as Markdown of at most `budget` bytes.
    fn markdown(self, report: &Report, budget: usize) -> Result<String, TemplateError> {
        let mut pieces = self.0;
        unquote(&mut pieces);
        let own: String = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Own(text) => text.as_str(),
                Piece::Value(_) => "x",
            })
            .collect();
        // Beside such marks a code span may not be one, so values are spelled in entities.
        let simple =
            !own.contains(['`', '<', '|', '\\']) && !own.contains("](") && !own.contains("~~~");
        let mut before = String::new();
        let mut out: Vec<Option<String>> = Vec::new();
        let mut last_is_tick = false;
        for piece in &pieces {
            let text = match piece {
                Piece::Own(text) => {
                    before.push_str(text);
                    text.clone()
                }
                Piece::Value(printed) => {
                    if let Some(place) = bad_place(&before, printed) {
                        return Err(TemplateError::Place {
                            template: BODY,
                            place,
                        });
                    }
                    // A backtick would join the span's own, a backslash would take its first one away.
                    let gap = if last_is_tick { " " } else { "" };
                    match printed {
                        Printed::Body => {
                            out.push(None);
                            last_is_tick = false;
                            continue;
                        }
                        Printed::Text(text) if simple => {
                            format!("{gap}{}", code(text))
                        }
                        Printed::Summary(text) if simple => {
                            format!("{gap}{text}")
                        }
                        Printed::Fence(text) if simple => {
                            format!("\n\n{}\n", fence(&lines_of(text)))
                        }
                        Printed::Text(text) => format!("{gap}{}", entities(text)),
                        Printed::Summary(text) => format!("{gap}{}", in_entities(text)),
                        Printed::Fence(text) => {
                            format!("{gap}<pre>{}</pre>", entities_of(text, true))
                        }
                    }
                }
            };
            if !text.is_empty() {
                last_is_tick = text.ends_with(['`', '\\']);
            }
            out.push(Some(text));
        }
        let used: usize = out.iter().flatten().map(String::len).sum();
        let bodies = out.iter().filter(|part| part.is_none()).count();
        if used + bodies * 4 > budget {
            // Text of the user's cannot be cut without knowing what it is.
            const NOTE: &str = "The text of the body's template is too long for this place; this is the report alone.\n\n";
            let rest = budget.saturating_sub(NOTE.len());
            let note = if rest > NOTE.len() { NOTE } else { "" };
            return Ok(format!("{note}{}", body(report, budget - note.len())));
        }
        let share = (budget - used)
            .checked_div(bodies)
            .unwrap_or(0)
            .saturating_sub(4);
        let body = if bodies > 0 {
            body(report, share)
        } else {
            String::new()
        };
        let mut text = String::new();
        for part in out {
            match part {
                Some(part) => text.push_str(&part),
                None => {
                    text.push_str("\n\n");
                    text.push_str(&body);
                    text.push_str("\n\n");
                }
            }
        }
        Ok(text.trim_matches('\n').to_owned())
    }
}

/// Whether a cut left a code span of the template's own open.
fn has_odd_own(part: &str, piece: &Piece, open_after: bool) -> bool {
    match piece {
        Piece::Own(_) => {
            let open_before = open_after ^ (own_ticks(piece) % 2 == 1);
            open_before ^ (part.matches('`').count() % 2 == 1)
        }
        Piece::Value(_) => open_after,
    }
}

fn own_ticks(piece: &Piece) -> usize {
    match piece {
        Piece::Own(text) => text.matches('`').count(),
        Piece::Value(_) => 0,
    }
}

/// Takes the blanks from both ends.
fn trim(pieces: &mut [Piece]) {
    if let Some(Piece::Own(text)) = pieces.first_mut() {
        *text = text.trim_start().to_owned();
    }
    if let Some(Piece::Own(text)) = pieces.last_mut() {
        *text = text.trim_end().to_owned();
    }
}

/// Returns a value for a line: a code span, or what a code span of the template's own can hold.
fn span(text: &str, open: bool, before: &str) -> String {
    if open {
        return text
            .chars()
            .map(|c| if c == '`' { '\'' } else { flat(c) })
            .collect();
    }
    let gap = if before.ends_with(['`', '\\']) {
        " "
    } else {
        ""
    };
    format!("{gap}{}", code(text))
}

fn flat(c: char) -> char {
    if is_unseen(c) { ' ' } else { c }
}

/// Takes away backticks right around a value: it has its own.
fn unquote(pieces: &mut [Piece]) {
    for i in 1..pieces.len().saturating_sub(1) {
        let Some(
            [
                Piece::Own(before),
                Piece::Value(Printed::Text(_)),
                Piece::Own(after),
            ],
        ) = pieces.get_mut(i - 1..=i + 1)
        else {
            continue;
        };
        let one = |text: &str| text == "`";
        let ends = before.ends_with('`') && !before.ends_with("``");
        let starts = after.starts_with('`') && !after.starts_with("``");
        // Only where the one before opens: an odd one in its line.
        let line = before.rsplit('\n').next().unwrap_or_default();
        if (ends && starts && line.matches('`').count() % 2 == 1) || (one(before) && one(after)) {
            before.pop();
            after.remove(0);
        }
    }
}

/// Says what is wrong with the place after `before`, if anything.
fn bad_place(before: &str, printed: &Printed) -> Option<&'static str> {
    let lower = before.to_ascii_lowercase();
    let pairs = [
        ("<!--", "-->"),
        ("<script", "</script"),
        ("<style", "</style"),
        ("<textarea", "</textarea"),
        ("<?", "?>"),
        ("<![cdata[", "]]>"),
    ];
    for (open, close) in pairs {
        if lower
            .rfind(open)
            .is_some_and(|at| lower.rfind(close).is_none_or(|end| end < at))
        {
            return Some("inside an HTML comment or script");
        }
    }
    let tag = lower
        .rfind('<')
        .filter(|at| lower.rfind('>').is_none_or(|end| end < *at));
    let named = tag.and_then(|at| lower.get(at + 1..)).is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!'))
    });
    if named {
        return Some("inside an HTML tag");
    }
    if matches!(printed, Printed::Body) {
        if lower
            .rfind("<pre")
            .is_some_and(|at| lower.rfind("</pre").is_none_or(|end| end < at))
        {
            return Some("inside an HTML block of code");
        }
        if in_fence(&lower) {
            return Some("inside a fence");
        }
    }
    None
}

/// Whether a fence is open at the end of `text`.
fn in_fence(text: &str) -> bool {
    let mut open: Option<(char, usize)> = None;
    for line in text.lines() {
        // A fence may stand in a quote or a list.
        let line = line.trim_start_matches(|c: char| {
            c.is_whitespace()
                || c.is_ascii_digit()
                || matches!(c, '>' | '-' | '*' | '+' | '.' | ')')
        });
        let Some(mark) = line.chars().next().filter(|c| matches!(c, '`' | '~')) else {
            continue;
        };
        let length = line.chars().take_while(|c| *c == mark).count();
        match open {
            None if length >= 3 => open = Some((mark, length)),
            Some((by, least))
                if mark == by
                    && length >= least
                    && line.trim_start_matches(mark).trim().is_empty() =>
            {
                open = None;
            }
            _ => {}
        }
    }
    open.is_some()
}

fn lines_of(text: &str) -> String {
    text.chars()
        .map(|c| if c == '\n' { c } else { flat(c) })
        .collect()
}

/// Returns our own line with its code spans spelled in entities.
fn in_entities(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('`') {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        let ticks = tail.chars().take_while(|c| *c == '`').count();
        let (mark, tail) = tail.split_at(ticks);
        let Some(end) = closing(tail, mark) else {
            out.push_str(&entities(tail));
            return out;
        };
        out.push_str(&entities(tail.get(..end).unwrap_or_default()));
        rest = tail.get(end + ticks..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Where the run of backticks begins that is exactly `mark`.
fn closing(text: &str, mark: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let rest = text.get(from..)?;
        let at = from + rest.find('`')?;
        let run = text.get(at..)?.chars().take_while(|c| *c == '`').count();
        if run == mark.len() {
            return Some(at);
        }
        from = at + run;
    }
}
