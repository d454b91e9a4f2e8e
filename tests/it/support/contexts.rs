//! Directories with a Dockerfile, with what makes hashes differ.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Directories by name, in a directory of their own.
pub(crate) struct Contexts(tempfile::TempDir);

impl Contexts {
    pub(crate) fn new() -> Self {
        let contexts = Self(tempfile::tempdir().expect("a temporary directory"));
        contexts.plain();
        contexts.ignored();
        contexts.linked();
        contexts.named();
        contexts.worded();
        contexts.looping();
        contexts
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a new directory");
        fs::write(path, content).expect("a new file");
    }

    fn link(&self, name: &str, target: impl AsRef<Path>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a new directory");
        symlink(target, path).expect("a new link");
    }

    fn plain(&self) {
        for (name, content) in [
            ("plain/Dockerfile", "FROM scratch\nCOPY . /\n"),
            ("plain/docker/Dockerfile.dev", "FROM scratch\n"),
            ("plain/README.md", "# Plain\n"),
            ("plain/src/main.rs", "fn main() {}\n"),
            ("plain/src/lib/mod.rs", ""),
            ("plain/src/lib/README.md", "# Lib\n"),
            ("plain/a/b/c/d/e/f", "deep"),
            ("plain/.hidden/file", "hidden"),
            ("plain/cdk.out/manifest.json", "{}"),
            ("plain/.is_custom_resource", ""),
        ] {
            self.write(name, content);
        }
        fs::create_dir_all(self.path("plain/empty/emptier")).expect("a new directory");
    }

    fn ignored(&self) {
        let ignore = "# comment\n\nnode_modules/\n*.md\r\n!README.md\n/build\n**/*.log\n  tmp?  \nDockerfile\n";
        self.write("ignored/.dockerignore", ignore);
        for name in [
            "Dockerfile",
            "README.md",
            "CHANGES.md",
            "docs/README.md",
            "docs/CHANGES.md",
            "node_modules/x/index.js",
            "packages/node_modules/x/index.js",
            "build/out",
            "src/build/out",
            "a.log",
            "src/a.log",
            "tmp1",
            "src/tmp1",
            "sub/Dockerfile",
        ] {
            self.write(&format!("ignored/{name}"), name);
        }
    }

    fn linked(&self) {
        self.write("outside/file", "outside");
        self.write("outside/directory/nested", "outside and nested");
        self.link("outside/directory/back", "../../linked/inner");
        self.write("linked/Dockerfile", "FROM scratch\n");
        self.write("linked/inner/file", "inner");
        self.link("linked/file", "inner/file");
        self.link("linked/directory", "inner");
        self.link("linked/roundabout", "./inner/../inner/file");
        self.link("linked/absolute", self.path("linked/inner/file"));
        self.link("linked/loop", ".");
        self.link("linked/inner/up", "..");
        self.link("linked/itself", "itself");
        self.link("linked/nowhere", "no/such/file");
        fs::create_dir_all(self.path("external")).expect("a new directory");
        self.write("external/Dockerfile", "FROM scratch\n");
        self.write("external/inner/file", "inner");
        self.link("external/inner/file-link", "../../outside/file");
        self.link("external/directory", "../outside/directory");
        self.link("external/nowhere", "/no/such/file");
        self.link("external/chain", "file-chain");
        self.write("absolute/Dockerfile", "FROM scratch\n");
        self.link("absolute/file", self.path("outside/file"));
        self.link("absolute/directory", self.path("outside/directory"));
        self.link("external/file-chain", "../outside/file");
    }

    /// Links that lead back to where they are.
    fn looping(&self) {
        self.write("looping/Dockerfile", "FROM scratch\nCOPY . /\n");
        self.link("looping/self", "self");
        self.link("looping/here", ".");
        self.link("looping/d/up", "../d");
    }

    fn named(&self) {
        self.write("named/Dockerfile", "FROM scratch\n");
        for name in [
            "ä",
            "a\u{308}",
            "z",
            "Z",
            "é",
            "e",
            "日本語",
            "😀",
            "\u{ffee}",
            "\u{e000}",
            "a b",
            "a-b",
            "a.b",
            "a",
            "aa",
            "a+b",
            "#a",
            "!a",
            "quote\"d",
            "back\\slash",
            "line\nfeed",
            "[a]",
        ] {
            self.write(&format!("named/{name}"), name);
            self.write(&format!("named/nested/{name}/{name}"), name);
        }
    }

    /// Files whose line ends and characters lie across the places at which CDK cuts them.
    fn worded(&self) {
        self.write("worded/Dockerfile", "FROM scratch\r\n");
        let kib8 = 8192;
        for (name, content) in [
            ("empty", Vec::new()),
            ("crlf", b"a\r\nb\r\n".to_vec()),
            ("cr", b"a\rb\r".to_vec()),
            ("mark", b"\xef\xbb\xbfa\n".to_vec()),
            ("zero", b"a\r\n\0b".to_vec()),
            ("late zero", [vec![b'a'; kib8], vec![0, 13, 10]].concat()),
            ("cut", [vec![b'a'; kib8 - 1], b"\r\nb".to_vec()].concat()),
            (
                "cut, zero",
                [vec![b'a'; kib8 - 1], b"\r\0\r\nb".to_vec()].concat(),
            ),
            ("cut, end", [vec![b'a'; kib8 - 1], b"\r".to_vec()].concat()),
            ("cut letter", [vec![b'a'; kib8 - 1], "äb".into()].concat()),
            ("cut emoji", [vec![b'a'; kib8 - 2], "😀b".into()].concat()),
            ("all cr", vec![13; 3 * kib8 + 5]),
            (
                "latin",
                b"\xe4\xf6\xfc\r\n\xf0\x9f\xe2\x82\xed\xa0\x80".to_vec(),
            ),
        ] {
            self.write(&format!("worded/{name}"), content);
        }
        let mut state = 1_u64;
        for file in 0..48 {
            let content: Vec<u8> = (0..kib8 * 3 + file * 7)
                .map(|at| any_byte(&mut state, at % kib8 == kib8 - 1, file % 12 == 0))
                .collect();
            self.write(&format!("worded/any/{file}"), content);
        }
    }
}

/// A byte of no particular text, often a carriage return where the text is cut.
fn any_byte(state: &mut u64, is_cut: bool, has_zeros: bool) -> u8 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    let random = (*state >> 33) as usize;
    if is_cut && !random.is_multiple_of(4) {
        return b'\r';
    }
    if has_zeros && random.is_multiple_of(9000) {
        return 0;
    }
    b"\r\nabcdef\xc3\xa4\xf0\x9f\x98\x80\xff\xe2"[random % 16]
}
