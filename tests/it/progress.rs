//! What a person sees of a copy that takes its time.

use std::num::NonZeroU64;
use std::process::Command;

use longshore::local::{Fault, Mounts, Registry, RegistryOptions};
use longshore::oci::MediaType;

use crate::support::{Images, output};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real parts: run scripts/test"]
async fn a_terminal_shows_bars_and_anything_else_does_not() {
    let options = RegistryOptions {
        mounts: Mounts::Never,
        ..RegistryOptions::default()
    };
    let registry = Registry::start(options).await.unwrap();
    let images = Images::at(registry.address(), "app");
    let layer = images.blob(MediaType::OCI_LAYER, vec![7; 1 << 20]).await;
    let image = images.image("linux/amd64", &[&layer]).await;
    images.tag("1", &image).await;
    let slowly = Fault::pace(NonZeroU64::new(1 << 20).unwrap());
    let path = format!("/blobs/{}", layer.digest);
    registry.faults().add(slowly.on("GET", &path).times(2));

    let program = env!("CARGO_BIN_EXE_longshore");
    let copy = |to: &str| format!("{program} copy {} {}", images.named(":1"), images.named(to));
    let run = |command: &mut Command| output(command.env("LONGSHORE_ALLOW_LOOPBACK", "1"));
    // `script` gives a program a terminal.
    let on_terminal = copy("-one");
    let on_terminal = run(Command::new("script").args(["-qec", &on_terminal, "/dev/null"]));
    let on_terminal = String::from_utf8(on_terminal).unwrap();
    let bar = format!("{} [", &layer.digest.hex()[..12]);
    assert!(on_terminal.contains(&bar), "{on_terminal}");
    assert!(on_terminal.contains("/1.00 MiB"), "{on_terminal}");
    assert!(on_terminal.contains("total "), "{on_terminal}");
    assert!(on_terminal.contains("% "), "{on_terminal}");
    assert!(on_terminal.contains(" left"), "{on_terminal}");

    let elsewhere = run(Command::new("sh").args(["-c", &format!("{} 2>&1", copy("-two"))]));
    let elsewhere = String::from_utf8(elsewhere).unwrap();
    assert!(!elsewhere.contains(&bar), "{elsewhere}");
    assert!(elsewhere.contains("uploaded 1.00 MiB"), "{elsewhere}");

    let quietly = run(Command::new("sh").args(["-c", &format!("{} --quiet 2>&1", copy("-three"))]));
    let uri = format!("{}@{}\n", images.named("-three"), image.digest());
    assert_eq!(String::from_utf8(quietly).unwrap(), uri);
}
