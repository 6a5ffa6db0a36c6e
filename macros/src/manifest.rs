//! Reads the names of dependencies from a `Cargo.toml`.

use std::{fs, iter::Peekable, path::Path, str::Chars};

/// Returns the name under which the package in `folder` depends on `package`.
///
/// Returns `None` if it has no such dependency, or if the manifest cannot be read.
pub(crate) fn name_of(package: &str, folder: &Path) -> Option<String> {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).ok()?;
    let root = || {
        let above = folder
            .ancestors()
            .filter_map(|folder| fs::read_to_string(folder.join("Cargo.toml")).ok());
        above
            .map(|manifest| entries(&manifest))
            .find(|entries| entries.iter().any(|entry| entry.path[0] == "workspace"))
    };
    listed(package, &entries(&manifest), root)
}

/// Returns the name in a manifest that was read. `root` returns the manifest of its workspace.
fn listed(
    package: &str,
    manifest: &[Entry],
    root: impl FnOnce() -> Option<Vec<Entry>>,
) -> Option<String> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let mut inherited = Vec::new();
    let mut plain = None;
    for (n, entry) in manifest.iter().enumerate() {
        let path = &entry.path;
        let kind = path.iter().position(|key| KINDS.contains(&&**key));
        let Some(name) = kind.filter(|_| path[0] != "workspace").and_then(|kind| {
            // `target.'cfg(unix)'.dependencies` has two keys before it.
            (kind == 0 || kind == 2 && path[0] == "target").then(|| path.get(kind + 1))?
        }) else {
            continue;
        };
        let dependency = &path[..path.iter().position(|key| key == name)? + 1];
        let setting = |key: &str| {
            let settings = manifest.iter().filter(|entry| {
                entry.path.len() == dependency.len() + 1 && entry.path.starts_with(dependency)
            });
            let mut settings = settings.filter(|entry| entry.path.last().is_some_and(|k| k == key));
            settings.next().map(|entry| &*entry.value)
        };
        match setting("package") {
            Some(given) if given == package => return Some(name.clone()),
            Some(_) => {}
            None if setting("workspace") == Some("true") => inherited.push(name),
            None if name == package => plain = plain.or(Some(n)),
            None => {}
        }
    }
    if plain.is_some() {
        return Some(package.to_owned());
    }
    let root = (!inherited.is_empty()).then(root)?;
    inherited.into_iter().find_map(|name| {
        let path = ["workspace", "dependencies", &**name, "package"];
        let given = root.iter().flatten().find(|entry| entry.path == path);
        let real = given.map_or(&**name, |entry| &*entry.value);
        (real == package).then(|| name.clone())
    })
}

/// A key with all keys of the tables around it, and its value if that is a text or a word.
struct Entry {
    path: Vec<String>,
    value: String,
}

/// Returns the entries of a manifest, up to the first part that cannot be read.
fn entries(manifest: &str) -> Vec<Entry> {
    let mut reader = Reader {
        rest: manifest.chars().peekable(),
        entries: Vec::new(),
    };
    // The part after a mistake is unknown. Cargo has reported the mistake.
    let _ = reader.document();
    reader.entries
}

/// Reads the parts of TOML that manifests need. A `None` of its functions is a mistake in the file.
struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    entries: Vec<Entry>,
}

impl Reader<'_> {
    fn document(&mut self) -> Option<()> {
        let mut table = Vec::new();
        loop {
            self.skip_blank();
            if self.rest.peek().is_none() {
                return Some(());
            }
            if self.take('[') {
                self.take('[');
                table = self.key()?;
                self.take(']').then_some(())?;
                self.take(']');
            } else {
                self.pair(&table)?;
            }
        }
    }

    /// Reads `key = value`.
    fn pair(&mut self, table: &[String]) -> Option<()> {
        let path = [table, &self.key()?].concat();
        self.take('=').then_some(())?;
        self.value(&path)
    }

    /// Reads `a.b."c d"`.
    fn key(&mut self) -> Option<Vec<String>> {
        let mut keys = Vec::new();
        loop {
            self.skip_blank();
            keys.push(match self.rest.peek()? {
                '"' | '\'' => self.text()?,
                _ => self.word()?,
            });
            self.skip_blank();
            if !self.take('.') {
                return Some(keys);
            }
        }
    }

    fn value(&mut self, path: &[String]) -> Option<()> {
        self.skip_blank();
        let value = match self.rest.peek()? {
            '{' => return self.list('}', |reader| reader.pair(path)),
            // The values in a list have no names.
            '[' => return self.list(']', |reader| reader.value(&["".to_owned()])),
            '"' | '\'' => self.text()?,
            _ => self.word()?,
        };
        self.entries.push(Entry {
            path: path.to_vec(),
            value,
        });
        Some(())
    }

    fn list(&mut self, end: char, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.rest.next();
        loop {
            self.skip_blank();
            if self.take(end) {
                return Some(());
            }
            item(self)?;
            self.skip_blank();
            self.take(',');
        }
    }

    /// Reads a text in quotes, of one line or of several.
    fn text(&mut self) -> Option<String> {
        let quote = self.rest.next()?;
        let mut quotes = 1;
        if self.take(quote) {
            if !self.take(quote) {
                return Some(String::new());
            }
            quotes = 3;
        }
        let (mut text, mut seen) = (String::new(), 0);
        while seen < quotes {
            let next = self.rest.next()?;
            seen = if next == quote { seen + 1 } else { 0 };
            text.push(next);
            if next == '\\' && quote == '"' {
                text.push(self.rest.next()?);
            }
        }
        text.truncate(text.len() - quotes);
        Some(text)
    }

    /// Reads a bare key, a number, a date, `true` or `false`.
    fn word(&mut self) -> Option<String> {
        let is_part = |c: &char| c.is_alphanumeric() || "_-+:".contains(*c);
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(is_part) {
            word.push(c);
        }
        (!word.is_empty()).then_some(word)
    }

    fn take(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    /// Skips white space, line ends and comments.
    fn skip_blank(&mut self) {
        while let Some(c) = self.rest.next_if(|c| c.is_whitespace() || *c == '#') {
            if c == '#' {
                while self.rest.next_if(|c| *c != '\n').is_some() {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed_in(manifest: &str, root: &str) -> Option<String> {
        listed("mobula", &entries(manifest), || Some(entries(root)))
    }

    #[test]
    fn a_dependency_is_found_however_it_is_written() {
        for (manifest, name) in [
            ("[dependencies]\nmobula = \"0.1\"", Some("mobula")),
            (
                "[dependencies]\nmobula = { path = \"..\" } # near",
                Some("mobula"),
            ),
            (
                "[dependencies]\nmanta = { package = \"mobula\", version = \"1\" }",
                Some("manta"),
            ),
            (
                "[dependencies]\n\"manta\" = {\n  package = 'mobula', # so\n}",
                Some("manta"),
            ),
            (
                "[dependencies.manta]\nfeatures = [\"a\", \"b\"]\npackage = \"mobula\"",
                Some("manta"),
            ),
            (
                "[dependencies]\nmanta.version = \"1\"\nmanta.package = \"mobula\"",
                Some("manta"),
            ),
            ("dependencies.manta.package = \"mobula\"", Some("manta")),
            ("[dev-dependencies]\nmobula.path = \"..\"", Some("mobula")),
            (
                "[target.'cfg(target_os = \"linux\")'.dependencies]\nmanta = { package = \"mobula\" }",
                Some("manta"),
            ),
            (
                "[target.x86_64-unknown-linux-gnu.dependencies.mobula]\npath = \"..\"",
                Some("mobula"),
            ),
            (
                "[dependencies]\nmobula = { package = \"other\" }\nmanta = { package = \"mobula\" }",
                Some("manta"),
            ),
            ("[dependencies]\nmobula = { package = \"other\" }", None),
            ("[dependencies]\nserde = \"1\"", None),
            ("[workspace.dependencies]\nmobula = \"1\"", None),
            ("[features]\nmobula = [\"dep:other\"]", None),
            ("[package.metadata.dependencies]\nmobula = \"1\"", None),
        ] {
            assert_eq!(listed_in(manifest, "").as_deref(), name, "{manifest}");
        }
    }

    #[test]
    fn a_dependency_may_be_that_of_the_workspace() {
        let root = "[workspace]\nmembers = [\"a\"]\n[workspace.dependencies]\n\
            manta = { package = \"mobula\", path = \"m\" }\nmobula = \"1\"\nserde = \"1\"";
        for (manifest, name) in [
            (
                "[dependencies]\nmanta = { workspace = true }",
                Some("manta"),
            ),
            (
                "[dependencies]\nserde.workspace = true\nmanta.workspace = true",
                Some("manta"),
            ),
            ("[dependencies]\nmobula.workspace = true", Some("mobula")),
            ("[dependencies]\nserde.workspace = true", None),
        ] {
            assert_eq!(listed_in(manifest, root).as_deref(), name, "{manifest}");
        }
    }

    #[test]
    fn all_that_a_manifest_may_have_is_passed_over() {
        let manifest = "# [dependencies]\n[package]\nname = \"\"\"a\n[dependencies]\nb = \\\"\"\"\"\n\
            version = '''\n'''\nempty = ''\nn = +1_0\nd = 1979-05-27T07:32:00\n\
            authors = [ \"x # y\", [1, 2], { a = 'b' } ]\n\
            [[bin]]\nname = \"b\"\n[dependencies]\nmanta = { package = \"mobula\" }";
        assert_eq!(listed_in(manifest, "").as_deref(), Some("manta"));
    }

    #[test]
    fn nonsense_ends_the_reading() {
        for manifest in [
            "[",
            "a",
            "a =",
            "= 1",
            "a = {",
            "a = [1",
            "a = \"",
            "[a",
            "a = {b}",
            "a = @",
            "]",
            "a = '''x''",
        ] {
            assert!(listed_in(manifest, "").is_none(), "{manifest}");
        }
    }
}
