//! Holds the arrows between the layers: an upper layer may use a lower one, never the other way round.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What each layer may use. What is missing here may not exist: a new layer has to say where it stands.
const MAY_USE: [(&str, &[&str]); 15] = [
    ("error", &[]),
    ("progress", &["error"]),
    ("beside", &["error", "progress"]),
    ("snapshot", &["error", "progress"]),
    ("graph", &["error", "progress", "beside", "snapshot"]),
    ("analysis", &["error", "progress", "beside", "snapshot", "graph"]),
    ("report", &["error", "progress", "snapshot", "graph", "analysis"]),
    // The doors to V8 and to the operating system are leaves.
    ("v8", &["error", "progress"]),
    ("os", &["error", "progress"]),
    // Beside the analysis, not above it.
    ("leak", &["error", "progress"]),
    ("profile", &["error", "progress", "v8"]),
    ("service", &["error", "progress", "os"]),
    ("capture", &["error", "progress", "snapshot", "v8", "os", "service", "leak", "analysis", "report"]),
    // Sees all; nothing sees it.
    (
        "binding",
        &[
            "error", "progress", "snapshot", "graph", "analysis", "report", "v8", "os", "leak", "profile", "service",
            "capture",
        ],
    ),
    ("lib", &[]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Code without comments and without the contents of strings, so that words in them are not taken for paths.
fn without_words(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '/' if rest.peek() == Some(&'/') => {
                rest.by_ref().find(|&c| c == '\n');
                out.push('\n');
            }
            '/' if rest.peek() == Some(&'*') => {
                let mut last = ' ';
                rest.by_ref().find(|&c| std::mem::replace(&mut last, c) == '*' && c == '/');
            }
            '"' => {
                out.push('"');
                while let Some(c) = rest.next() {
                    if c == '\\' {
                        rest.next();
                    } else if c == '"' {
                        break;
                    }
                }
            }
            // A quote or a backslash as a character would look like the start of a string.
            '\'' if matches!(rest.peek(), Some('"' | '\\')) => {
                let escaped = rest.next() == Some('\\');
                if escaped {
                    rest.next();
                }
                rest.by_ref().find(|&c| c == '\'');
            }
            _ => out.push(c),
        }
    }
    out
}

/// The first names behind each `crate::` (or `heaprs::`), groups opened up.
fn used(code: &str) -> BTreeSet<String> {
    let code: String = without_words(code).split_whitespace().collect::<Vec<_>>().join(" ").replace(":: ", "::");
    let mut names = BTreeSet::new();
    for (at, root) in code.match_indices("crate::").chain(code.match_indices("heaprs::")) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + root.len()..];
        let name =
            |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(name(rest));
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    names.insert(name(&group[start..i]));
                    start = i + 1;
                    if c == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    names.remove("");
    names
}

/// The longest run of `super::` in code.
fn climbs(code: &str) -> usize {
    let code: String = without_words(code).split_whitespace().collect();
    (1..).take_while(|&n| code.contains(&"super::".repeat(n))).count()
}

#[test]
fn arrows_never_point_up() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let may_use: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 30, "the sources are there");
    let mut wrong = Vec::new();
    for file in &files {
        let inside = file.strip_prefix(&src).unwrap();
        let parts: Vec<String> =
            inside.with_extension("").components().map(|part| part.as_os_str().to_str().unwrap().to_owned()).collect();
        let layer = parts[0].as_str();
        let Some(allowed) = may_use.get(layer) else {
            wrong.push(format!("{}: the layer {layer} is not in the list of layers", inside.display()));
            continue;
        };
        let code = fs::read_to_string(file).unwrap();
        for name in used(&code) {
            // A name that is no layer is a macro or the like at the crate's root.
            let is_layer = may_use.contains_key(name.as_str());
            if is_layer && name != layer && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{}: {layer} uses {name}", inside.display()));
            }
        }
        // How deep the file's module is; tests in it are one deeper. Going up that far would leave the layer.
        let depth = parts.iter().filter(|part| *part != "mod").count();
        if climbs(&code) > depth {
            wrong.push(format!("{}: leaves its layer by super::", inside.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_core_knows_no_javascript_engine() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    for file in files.iter().filter(|file| !file.starts_with(src.join("binding"))) {
        let code = without_words(&fs::read_to_string(file).unwrap());
        assert!(!code.contains("napi::") && !code.contains("napi_derive"), "{} uses napi", file.display());
    }
}

#[test]
fn paths_are_found() {
    let names = |code| used(code).into_iter().collect::<Vec<_>>();
    assert_eq!(names("use crate::{\n  a::{b, c::{d}}, e,\n f::g as h };"), ["a", "e", "f"]);
    assert_eq!(
        names("crate::x::y(); my_crate::z; // crate::comment\n/* crate::block */ \"crate::\\\"text\"; '\"'; crate::w"),
        ["w", "x"]
    );
    assert_eq!(names("'\\''; crate::v; '\\\\'; heaprs::u"), ["u", "v"]);
    assert_eq!(climbs("super::super::x; super::y; // super::super::super::"), 2);
}
