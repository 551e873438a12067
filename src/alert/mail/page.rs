//! What a mail says, in order, before anybody decided how it looks. Text and
//! HTML are two ways to write one page, so that they cannot differ in what they say.

/// A mail from its first line to its last.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// Comes first, and is what a phone shows before the mail is opened.
    pub lead: Lead,
    /// What follows.
    pub blocks: Vec<Block>,
    /// Why the reader got this, and who sent it.
    pub foot: Vec<String>,
}

/// The first lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Lead {
    /// How bad, as a word.
    pub tag: Tag,
    /// What and where.
    pub title: String,
    /// Since when, and what to do first.
    pub lines: Vec<String>,
}

/// A word with a colour that repeats what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The word, such as `CRITICAL`.
    pub word: String,
    /// The colour behind it.
    pub tone: Tone,
}

/// What a colour means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Now.
    Critical,
    /// Today.
    Warning,
    /// When convenient.
    Info,
    /// It is over, or all is well.
    Good,
}

/// A part of a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Begins a part.
    Heading(String),
    /// One alert.
    Card(Card),
    /// Names and values.
    Facts(Vec<Fact>),
    /// Sentences; line breaks in it stay.
    Text(String),
    /// Things of one kind.
    List(Vec<String>),
    /// Values to compare by eye; each also stands there as text.
    Bars(Bars),
    /// Where to go.
    Links(Vec<Link>),
    /// Lines to copy.
    Code(Vec<String>),
}

/// A name and a value.
pub type Fact = (String, String);

/// One alert.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Card {
    pub tag: Tag,
    pub title: String,
    pub text: String,
    pub facts: Vec<Fact>,
    pub links: Vec<Link>,
}

/// A small bar chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    /// What is shown.
    pub title: String,
    /// The bars, top down.
    pub rows: Vec<Bar>,
    /// What to compare with.
    pub note: Option<String>,
}

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What it stands for.
    pub label: String,
    /// Its length, 0 to 1; none where nothing was seen.
    pub share: Option<f64>,
    /// Its value.
    pub value: String,
    /// Its colour.
    pub tone: Tone,
}

/// A place to go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What is there.
    pub word: String,
    /// Its address.
    pub to: String,
}

impl Link {
    /// A link whose address is one that mail readers may open: nothing but
    /// http and https, without blanks; anything else is none.
    pub fn new(word: &str, to: &str) -> Option<Self> {
        let url = url::Url::parse(to).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        Some(Self { word: word.to_owned(), to: url.into() })
    }
}

/// A fact from two texts.
pub(super) fn fact(name: &str, value: impl Into<String>) -> Fact {
    (name.to_owned(), value.into())
}
