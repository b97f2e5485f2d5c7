//! No circles: a module never needs one that needs it, over however many others.
//!
//! A module needs those that its `use` lines and paths name, where items are defined and not where
//! they are handed on; and a parent needs its children, so that a child that takes an item of its
//! parent makes a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Modules by path, `[]` the crate itself, with their text.
type Sources = BTreeMap<Vec<String>, String>;

/// All modules of the crate but this one, whose paths are texts.
fn sources() -> Sources {
    fn read(folder: &Path, module: &[String], sources: &mut Sources) {
        for entry in folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry")) {
            let (path, mut module) = (entry.path(), module.to_vec());
            let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() {
                module.push(stem);
                read(&path, &module, sources);
            } else {
                if stem != "mod" && stem != "lib" {
                    module.push(stem);
                }
                sources.insert(module, std::fs::read_to_string(path).expect("text"));
            }
        }
    }
    let mut sources = Sources::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rust"), &[], &mut sources);
    sources.remove(&["architecture".to_owned()][..]);
    sources
}

/// The text without comments and without the tests at the end. Within a module in the same file,
/// where lines are indented, `super` is the file's module.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        code.replace("    use super::", "    use self::")
    };
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

/// The paths of a `use` tree such as `a::{b, c::{d, e}}`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let Some(open) = tree.find('{') else {
        return paths.push(format!("{prefix}{}", tree.trim()));
    };
    let prefix = format!("{prefix}{}", tree[..open].trim());
    let inner = tree[open + 1..].trim_end().strip_suffix('}').expect("balanced braces");
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in inner.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, &inner[start..at], paths);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inner[start..].trim().is_empty() {
        expand(&prefix, &inner[start..], paths);
    }
}

/// What a module names: the paths of its `use` lines, and those in its code.
fn paths(code: &str) -> (Vec<String>, Vec<String>) {
    let (mut used, mut rest) = (Vec::new(), String::new());
    for statement in code.split_inclusive(';') {
        let begin = statement.find("use ").filter(|&at| {
            let before = statement[..at].lines().last().unwrap_or_default().trim();
            before.is_empty() || before.starts_with("pub")
        });
        match begin {
            Some(at) => expand("", statement[at + 4..].trim_end_matches(';'), &mut used),
            None => rest.push_str(statement),
        }
    }
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let named = rest.split(|c| !word(c)).filter(|path| path.contains("::"));
    let named = named.filter(|path| path.starts_with("crate::") || path.starts_with("super::"));
    (used, named.map(str::to_owned).collect())
}

/// Modules and the names that `use` lines give to items in each.
struct Names {
    modules: BTreeMap<Vec<String>, BTreeMap<String, String>>,
}

impl Names {
    fn new(sources: &Sources) -> Self {
        let names = |text: &String| {
            let names = paths(&code(text)).0.into_iter().map(|path| {
                let (path, name) = match path.split_once(" as ") {
                    Some((path, alias)) => (path.to_owned(), alias),
                    None => (path.clone(), path.rsplit("::").next().unwrap_or(&path)),
                };
                (name.to_owned(), path)
            });
            names.collect()
        };
        let modules = sources.iter().map(|(module, text)| (module.clone(), names(text))).collect();
        Self { modules }
    }

    /// The module where what `path` means in module `at` is defined; `None` outside of the crate.
    fn home(&self, at: &[String], path: &str) -> Option<Vec<String>> {
        let mut segments = path.split(" as ").next()?.split("::").peekable();
        let mut module = at.to_vec();
        if segments.next_if_eq(&"crate").is_some() {
            module.clear();
        } else if segments.peek() == Some(&"super") {
            while segments.next_if_eq(&"super").is_some() {
                module.pop();
            }
        } else {
            let child = [at, &[(*segments.peek()?).to_owned()]].concat();
            self.modules.get(&child)?;
        }
        for segment in segments {
            let child = [&module[..], &[segment.to_owned()]].concat();
            if self.modules.contains_key(&child) {
                module = child;
            } else if let Some(path) = self.modules[&module].get(segment) {
                return self.home(&module, path);
            } else {
                break;
            }
        }
        Some(module)
    }
}

/// Modules that need each other, one after the other and the first again; `None` if there are none.
fn circle(sources: &Sources) -> Option<Vec<String>> {
    let names = Names::new(sources);
    let mut needs: BTreeMap<&[String], BTreeSet<Vec<String>>> = BTreeMap::new();
    for (module, text) in sources {
        let (used, named) = paths(&code(text));
        let homes = used.iter().chain(&named).filter_map(|path| names.home(module, path));
        let children = sources
            .keys()
            .filter(|other| other.split_last().is_some_and(|(_, parent)| parent == &module[..]));
        let homes = homes.chain(children.cloned()).filter(|home| home != module);
        needs.insert(module, homes.collect());
    }
    // What needs nothing that is left is in no circle.
    loop {
        let left: BTreeSet<Vec<String>> = needs.keys().map(|module| module.to_vec()).collect();
        let before = needs.len();
        needs.retain(|_, homes| homes.iter().any(|home| left.contains(home)));
        if needs.len() == before {
            break;
        }
    }
    let mut way: Vec<&[String]> = vec![needs.keys().next()?];
    loop {
        let here = way[way.len() - 1];
        let next = needs.keys().find(|module| needs[here].contains(**module))?;
        if let Some(start) = way.iter().position(|module| module == next) {
            let name = |module: &&[String]| format!("crate::{}", module.join("::"));
            return Some(way[start..].iter().chain([next]).map(name).collect());
        }
        way.push(next);
    }
}

#[test]
fn modules_make_no_circle() {
    let sources = sources();
    assert!(sources.len() > 40, "{} modules", sources.len());
    let circle = circle(&sources);
    assert!(circle.is_none(), "a circle of modules: {}", circle.unwrap_or_default().join(" -> "));
}

#[test]
fn circles_are_noticed() {
    let sources = |modules: &[(&str, &str)]| -> Sources {
        let module = |path: &str| path.split_terminator("::").map(str::to_owned).collect();
        modules.iter().map(|(path, text)| (module(path), (*text).to_owned())).collect()
    };
    let lib = ("", "mod a;\nmod b;\npub use a::A;\nfn own() {}");
    let cases = [
        (vec![lib, ("a", "use crate::b::B;"), ("b", "struct B;")], None),
        // Handed on by the crate: B needs the module that defines it, not the crate.
        (vec![lib, ("a", "struct A;"), ("b", "use crate::A; // crate::own")], None),
        (vec![lib, ("a", "use crate::b::B;"), ("b", "pub use crate::{b, A};")], Some("a b a")),
        (vec![lib, ("a", "use super::{b::{B, C}};"), ("b", "fn f() { crate::A; }")], Some("a b a")),
        (vec![lib, ("a", ""), ("b", "use super::own;")], Some(" b ")),
        (
            vec![lib, ("a", "mod c;"), ("a::c", "use crate::b;"), ("b", "use crate::a::X;")],
            Some("a a::c b a"),
        ),
    ];
    for (modules, expected) in cases {
        let circle = circle(&sources(&modules)).map(|names| names.join(" ").replace("crate::", ""));
        assert_eq!(circle.as_deref(), expected, "{modules:?}");
    }
}
