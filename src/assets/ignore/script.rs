//! JavaScript's strings and Node's `path`, as far as they are needed.

/// White space and line ends, by which `trim` and `\s` go.
pub(super) fn is_space(c: char) -> bool {
    match c {
        '\u{85}' => false,
        '\u{feff}' => true,
        _ => c.is_whitespace(),
    }
}

/// `String.prototype.trim`.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `path.posix.dirname`.
pub(super) fn dirname(path: &str) -> &str {
    let rooted = path.starts_with('/');
    match path.trim_end_matches('/').rfind('/') {
        None | Some(0) if rooted => "/",
        None => ".",
        Some(1) if rooted => "//",
        Some(slash) => &path[..slash],
    }
}

/// `path.posix.normalize`.
pub(super) fn normalize(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            ".." if absolute => {}
            segment => kept.push(segment),
        }
    }
    let mut normal = kept.join("/");
    if normal.is_empty() && !absolute {
        normal.push('.');
    }
    if path.ends_with('/') && !(absolute && normal.is_empty()) {
        normal.push('/');
    }
    if absolute {
        normal.insert(0, '/');
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normal_as_in_node() {
        for (path, normal) in [
            ("", "."),
            (".", "."),
            ("./", "./"),
            ("/", "/"),
            ("//a//b/", "/a/b/"),
            ("a/../..", ".."),
            ("a/../../b", "../b"),
            ("/../a", "/a"),
            ("a/..", "."),
            ("a/../", "./"),
            ("/..", "/"),
            ("a/./b/../c", "a/c"),
        ] {
            assert_eq!(normalize(path), normal, "{path}");
        }
    }

    #[test]
    fn directories_are_named_as_in_node() {
        for (path, directory) in [
            ("", "."),
            ("a", "."),
            ("a/", "."),
            ("/", "/"),
            ("/a", "/"),
            ("a/b", "a"),
            ("a/b/", "a"),
            ("a//b", "a/"),
            ("/a/b/c", "/a/b"),
            ("//a", "//"),
            ("/a//b", "/a/"),
        ] {
            assert_eq!(dirname(path), directory, "{path}");
        }
    }
}
