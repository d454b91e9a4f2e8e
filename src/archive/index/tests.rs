use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::archive::testing::{Counting, Tar};
use crate::archive::window::Window;
use crate::content::MemoryObject;

async fn scan(bytes: Vec<u8>) -> Result<Index, Error> {
    let object = MemoryObject::new("test.tar", bytes);
    Index::scan(&mut Window::new(&object)).await
}

/// The names of all files and the data that the index finds for them.
async fn files(bytes: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    let index = scan(bytes.clone()).await.unwrap();
    let mut files: Vec<_> = index
        .names()
        .map(|name| {
            let range = index.file(name, "").unwrap().range();
            let at = |at| usize::try_from(at).unwrap();
            let data = bytes[at(range.start)..at(range.end)].to_vec();
            (name.to_owned(), data)
        })
        .collect();
    files.sort();
    files
}

fn named(name: &str, data: &str) -> (String, Vec<u8>) {
    (name.to_owned(), data.as_bytes().to_vec())
}

#[tokio::test]
async fn the_last_of_one_name_counts() {
    let tar = Tar::default()
        .file("./a", "first")
        .file("dir//b", "b")
        .file("a", "last");
    assert_eq!(
        files(tar.finish()).await,
        [named("a", "last"), named("dir/b", "b")]
    );
}

#[tokio::test]
async fn extensions_describe_the_next_entry() {
    let long = "long/".repeat(60) + "name";
    let tar = Tar::default()
        .pax(&[("path", "with\nnewline"), ("comment", "x=y")])
        .file("short", "1")
        .entry("././@LongLink", format!("{long}\0").as_bytes(), |header| {
            header.set_entry_type(tar::EntryType::GNULongName);
        })
        .file("short", "2")
        .file("short", "3");
    assert_eq!(
        files(tar.finish()).await,
        [
            named(&long, "2"),
            named("short", "3"),
            named("with\nnewline", "1")
        ]
    );
}

/// CVE-2025-62518: whoever skips the data by the header's size, and not by the one that PAX
/// says, takes what a file contains for entries of the archive.
#[tokio::test]
async fn a_tar_within_a_file_is_not_taken_for_entries() {
    let inner = Tar::default().file("inner", "not an entry").unfinished();
    let tar = Tar::default()
        .pax(&[("size", &inner.len().to_string())])
        .entry("outer.tar", &inner, |header| header.set_size(0))
        .file("last", "entry");
    let expected = [
        named("last", "entry"),
        ("outer.tar".to_owned(), inner.clone()),
    ];
    assert_eq!(files(tar.finish()).await, expected);
}
#[tokio::test]
async fn links_lead_to_files_inside_the_archive_only() {
    let tar = Tar::default()
        .file("dir/file", "data")
        .symlink("dir/relative", "file")
        .symlink("top", "./dir/relative")
        .symlink("/absolute", "/dir/file")
        .hard_link("hard", "dir/file")
        .symlink("outside", "../dir/file")
        .file("dir/sub/other", "other")
        .symlink("dir/sub/as-from-root", "dir/file")
        .symlink("dir/sub/nowhere", "no/such/file")
        .symlink("loop", "pool")
        .symlink("pool", "loop");
    let index = scan(tar.finish()).await.unwrap();
    let file = index.file("dir/file", "").unwrap();
    for name in [
        "dir/relative",
        "top",
        "absolute",
        "hard",
        "./dir/../top",
        "dir/sub/as-from-root",
    ] {
        assert_eq!(index.file(name, "").unwrap(), file, "{name}");
    }
    for name in ["outside", "dir/sub/nowhere"] {
        let missing = index.file(name, "x").unwrap_err();
        assert!(matches!(missing, Error::Missing { .. }), "{missing}");
    }
    let endless = index.file("loop", "x").unwrap_err();
    assert!(matches!(endless, Error::LinkLoop { .. }), "{endless}");
}

#[tokio::test]
async fn says_where_a_tar_is_wrong() {
    let one = || Tar::default().file("first", "data");
    let kind = |kind| move |header: &mut tar::Header| header.set_entry_type(kind);
    let truncated = |at: usize| one().file("second", "data").unfinished()[..at].to_vec();
    for (bytes, message) in [
        (
            truncated(1024 + 512 + 2),
            "the archive is truncated: \"second\" ends at byte 1540, the archive at 1538; \
             write or upload it again",
        ),
        (
            truncated(1024 + 100),
            "the archive is truncated: the header at byte 1024 ends at byte 1536, \
             the archive at 1124; write or upload it again",
        ),
        (
            one()
                .entry("bad", b"", |header| header.set_mode(7))
                .finish()
                .into_iter()
                .enumerate()
                .map(|(at, byte)| if at == 1024 { b'B' } else { byte })
                .collect(),
            "malformed tar header at byte 1024: the checksum does not match",
        ),
        (
            one()
                .entry("holes", b"", kind(tar::EntryType::GNUSparse))
                .finish(),
            "\"holes\" is stored as a sparse file, which no image tool reads: \
             write the archive without `--sparse`",
        ),
        (
            one()
                .pax(&[("GNU.sparse.major", "1")])
                .file("holes", "")
                .finish(),
            "\"holes\" is stored as a sparse file, which no image tool reads: \
             write the archive without `--sparse`",
        ),
        (
            one().pax(&[("size", "9999999")]).file("long", "").finish(),
            "the archive is truncated: \"long\" ends at byte 10002559, the archive at 3584; \
             write or upload it again",
        ),
        (
            one().pax(&[("path", "x")]).finish(),
            "malformed tar header at byte 2048: an extension describes no entry",
        ),
        (
            one()
                .entry("g", b"12 path=abc\n", kind(tar::EntryType::XGlobalHeader))
                .finish(),
            "malformed tar header at byte 2048: names or sizes in a global PAX header",
        ),
        (
            one()
                .pax(&[("path", &"x".repeat(5000))])
                .file("y", "")
                .finish(),
            "the length of a name in the archive is too large: expected at most 4096, got 5000",
        ),
    ] {
        let error = scan(bytes).await.unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[tokio::test]
async fn data_is_skipped_not_read() {
    let large = vec![b'x'; 8 << 20];
    let tar = Tar::default()
        .file("1", &large)
        .file("config.json", "{}")
        .file("2", &large)
        .file("3", &large)
        .file("manifest.json", "[]");
    let object = Counting::new(tar.finish());
    let mut window = Window::new(&object);
    let index = Index::scan(&mut window).await.unwrap();
    assert_eq!(index.names().count(), 5);
    let kept = index.kept(index.file("manifest.json", "").unwrap());
    assert_eq!(kept.unwrap(), "[]", "kept while it passed by");
    assert_eq!(object.requests(), 4, "the beginning, and one for each jump");
    assert!(object.bytes() <= 128 << 10, "{} bytes", object.bytes());
}

#[tokio::test]
async fn small_entries_are_read_many_at_once() {
    let tar = (0..2000).fold(Tar::default(), |tar, n| tar.file(&n.to_string(), [0; 600]));
    let object = Counting::new(tar.finish());
    let mut window = Window::new(&object);
    let index = Index::scan(&mut window).await.unwrap();
    assert_eq!(index.names().count(), 2000);
    assert!(object.requests() <= 6, "{} requests", object.requests());
}

/// One entry of a generated tar.
#[derive(Clone, Debug)]
enum Entry {
    Plain(String, Vec<u8>),
    Pax(String, Vec<u8>),
    Gnu(String, Vec<u8>),
    Directory(String),
    Symlink(String),
}

fn entry() -> impl Strategy<Value = Entry> {
    let data = || prop::collection::vec(any::<u8>(), 0..3000);
    prop_oneof![
        ("[a-z]{1,9}(/[a-z]{1,9}){0,4}", data()).prop_map(|(n, d)| Entry::Plain(n, d)),
        ("[a-zé\n= ]{1,300}", data()).prop_map(|(n, d)| Entry::Pax(n, d)),
        ("[a-zé\n= ]{1,300}", data()).prop_map(|(n, d)| Entry::Gnu(n, d)),
        "[a-z]{1,9}/".prop_map(Entry::Directory),
        "Link[a-z]{1,9}".prop_map(Entry::Symlink),
    ]
}

fn build(entries: &[Entry]) -> Tar {
    entries
        .iter()
        .fold(Tar::default(), |tar, entry| match entry {
            Entry::Plain(name, data) => tar.file(name, data),
            Entry::Pax(name, data) => {
                let size = data.len().to_string();
                tar.pax(&[("size", &size), ("path", name)])
                    .entry("x", data, |header| header.set_size(0))
            }
            Entry::Gnu(name, data) => tar
                .entry("L", name.as_bytes(), |header| {
                    header.set_entry_type(tar::EntryType::GNULongName);
                })
                .file("x", data),
            Entry::Directory(name) => tar.file(name, ""),
            Entry::Symlink(name) => tar.symlink(name, "nowhere/at/all"),
        })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

proptest! {
    #[test]
    fn finds_every_file_of_a_generated_tar(entries in prop::collection::vec(entry(), 0..20)) {
        let mut expected = BTreeMap::new();
        for entry in &entries {
            if let Entry::Plain(name, data) | Entry::Pax(name, data) | Entry::Gnu(name, data) = entry {
                expected.insert(inside(name).unwrap(), data.clone());
            }
        }
        let bytes = build(&entries).finish();
        let index = block_on(scan(bytes.clone())).unwrap();
        for (name, data) in &expected {
            let range = index.file(name, "").unwrap().range();
            let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
            prop_assert_eq!(&bytes[start..end], data.as_slice());
        }
    }

    #[test]
    fn damage_ends_in_an_error_or_an_index_but_ends(
        entries in prop::collection::vec(entry(), 1..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..30),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = build(&entries).finish();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            // With a checksum that matches, more damage comes through.
            let block = at / 512 * 512;
            let mut header = tar::Header::from_byte_slice(&bytes[block..block + 512]).clone();
            header.set_cksum();
            bytes[block..block + 512].copy_from_slice(header.as_bytes());
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        let size = bytes.len() as u64;
        if let Ok(index) = block_on(scan(bytes)) {
            for name in index.names() {
                if let Ok(file) = index.file(name, "") {
                    prop_assert!(file.range().end <= size);
                }
            }
        }
    }

    #[test]
    fn any_bytes_end_in_an_error_or_an_index(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        let _ = block_on(scan(bytes));
    }
}
