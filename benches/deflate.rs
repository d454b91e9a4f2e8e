//! Measures the encoder beside libdeflate and zlib: how large they leave real files, and how fast
//! they are by processor time (Linux only).
//!
//! ```text
//! cargo bench -p longshore-deflate                         # 128 MiB of /usr/lib
//! cargo bench -p longshore-deflate -- "$PWD/layer.tar" /opt  # 128 MiB of each of these
//! ```

use std::io::Read;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use flate2::{Compress, Compression, FlushCompress};
use libdeflater::{CompressionLvl, Compressor};
use longshore_deflate::Encoder;

const MIB: usize = 1 << 20;
const MOST: usize = 128 * MIB;
/// The fastest counts: other work on the machine only slows down.
const RUNS: usize = 3;

fn main() -> io::Result<()> {
    // Cargo adds `--bench`.
    let mut paths: Vec<PathBuf> = env::args_os()
        .skip(1)
        .map(PathBuf::from)
        .filter(|path| !path.to_string_lossy().starts_with('-'))
        .collect();
    if paths.is_empty() {
        paths.push("/usr/lib".into());
    }
    for path in paths {
        let mut plain = Vec::new();
        read(&path, &mut plain)?;
        println!("{}, {} MiB:", path.display(), plain.len() / MIB);
        compare(&plain);
    }
    Ok(())
}

/// Appends files in the order of their names, whole, as long as there is room.
fn read(path: &Path, plain: &mut Vec<u8>) -> io::Result<()> {
    if path.is_symlink() || plain.len() >= MOST {
        return Ok(());
    }
    if path.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        return entries
            .iter()
            .try_for_each(|entry| read(&entry.path(), plain));
    }
    let left = (MOST - plain.len()) as u64;
    fs::File::open(path)?.take(left).read_to_end(plain)?;
    Ok(())
}

fn compare(plain: &[u8]) {
    let mut own = Encoder::new();
    measure("longshore-deflate", plain, |block, out| {
        own.encode(block, false, out).expect("there is room")
    });
    for level in [1, 6] {
        let effort = CompressionLvl::new(level).expect("a level");
        let mut libdeflate = Compressor::new(effort);
        measure(&format!("libdeflate {level}"), plain, |block, out| {
            libdeflate
                .deflate_compress(block, out)
                .expect("there is room")
        });
    }
    for level in [1, 5] {
        let mut zlib = Compress::new(Compression::new(level), false);
        measure(&format!("zlib-rs {level}"), plain, |block, out| {
            zlib.reset();
            zlib.compress(block, out, FlushCompress::Sync)
                .expect("there is room");
            usize::try_from(zlib.total_out()).expect("it is in memory")
        });
    }
}

fn measure(name: &str, plain: &[u8], mut encode: impl FnMut(&[u8], &mut [u8]) -> usize) {
    let mut out = vec![0; 2 * MIB];
    let mut run = || {
        let started = processor_seconds();
        let size: usize = plain.chunks(MIB).map(|block| encode(block, &mut out)).sum();
        (processor_seconds() - started, size)
    };
    let (mut fastest, mut size) = (f64::MAX, 0);
    for _ in 0..RUNS {
        let (time, length) = run();
        (fastest, size) = (fastest.min(time), length);
    }
    let ratio = size as f64 / plain.len() as f64;
    let rate = plain.len() as f64 / 1e6 / fastest;
    println!("  {name:<20} {ratio:.4} of the plain size, {rate:>4.0} MB/s");
}

/// Time that this thread has had of a processor.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux kernel");
    let nanoseconds = stat.split(' ').next().and_then(|field| field.parse().ok());
    nanoseconds.unwrap_or(0.0) / 1e9
}
