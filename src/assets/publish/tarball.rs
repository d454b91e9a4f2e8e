//! CDK's own command for an image from a tarball: `docker load`, with the name of what it loaded
//! taken from what it says. The tarball can as well be read where it is.

use std::path::PathBuf;

/// What follows the tarball's name, by version of aws-cdk-lib: the newest first.
const RESTS: [&str; 4] = [
    r#" | tail -n 1 | sed "s/Loaded image[^:]*: //g""#,
    r#" | tail -n 1 | sed "s/Loaded image: //g""#,
    r#" | sed "s/Loaded image[^:]*: //g""#,
    r#" | sed "s/Loaded image: //g""#,
];
/// The name under which the shell runs it, with the tarball as its first argument.
const ARGUMENT_ZERO: &str = "cdk-tarball-image-asset";

/// The tarball that a command loads, if it is CDK's.
///
/// `TarballImageAsset` gives the tarball to the shell as an argument; before, it wrote it into the
/// command, unquoted.
pub(super) fn loaded_by(command: &[String]) -> Option<PathBuf> {
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    match command[..] {
        ["sh", "-c", script, ARGUMENT_ZERO, tarball] => {
            (loaded(script)? == r#""$1""#).then(|| tarball.into())
        }
        ["sh", "-c", script] => {
            let tarball = loaded(script)?;
            let is_plain = |c: char| c.is_alphanumeric() || "/._-+=@%:,".contains(c);
            tarball.chars().all(is_plain).then(|| tarball.into())
        }
        _ => None,
    }
}

/// What `docker load -i` is given. The program is whichever `CDK_DOCKER` names.
fn loaded(script: &str) -> Option<&str> {
    let mut rests = RESTS.iter();
    let load = rests.find_map(|rest| script.strip_suffix(rest))?;
    let (program, tarball) = load.split_once(" load -i ")?;
    let is_program = !program.is_empty() && !program.contains([';', '&', '|', '$', '`', '\n']);
    (is_program && !tarball.is_empty()).then_some(tarball)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(command: &[&str]) -> Option<PathBuf> {
        let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
        loaded_by(&command)
    }

    #[test]
    fn cdk_s_command_is_known() {
        let now = r#"docker load -i "$1" | tail -n 1 | sed "s/Loaded image[^:]*: //g""#;
        let zero = "cdk-tarball-image-asset";
        let tarball = Some(PathBuf::from("asset.1 2.tar"));
        assert_eq!(of(&["sh", "-c", now, zero, "asset.1 2.tar"]), tarball);
        let other = now.replace("docker", "/opt/my podman");
        assert_eq!(of(&["sh", "-c", &other, zero, "asset.1 2.tar"]), tarball);
        let before = now.replace("\"$1\"", "asset.12.tar");
        assert_eq!(of(&["sh", "-c", &before]), Some("asset.12.tar".into()));
        for rest in RESTS {
            let script = format!("docker load -i asset.12.tar{rest}");
            assert_eq!(of(&["sh", "-c", &script]), Some("asset.12.tar".into()));
        }
    }

    #[test]
    fn other_commands_are_run() {
        let script = |script: &str| of(&["sh", "-c", script]);
        let rest = RESTS[0];
        for other in [
            format!("docker load -i \"$X\"{rest}"),
            format!("docker load -i $(make){rest}"),
            format!("make; docker load -i a.tar{rest}"),
            format!("docker load -i a.tar{rest} | head"),
            "docker load -i a.tar".to_owned(),
        ] {
            assert_eq!(script(&other), None, "{other}");
        }
        assert_eq!(of(&["sh"]), None);
        assert_eq!(of(&["./build.sh", "a.tar"]), None);
        let now = format!("docker load -i \"$1\"{rest}");
        assert_eq!(of(&["sh", "-c", &now, "other", "a.tar"]), None);
        assert_eq!(of(&["sh", "-c", &now]), None);
    }
}
