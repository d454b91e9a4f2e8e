//! CDK's own command for an image from a tarball: `docker load`, with the name of what it loaded
//! taken from what it says. Longshore reads the tarball where it is.
//!
//! The grammar covers every form that a version of CDK has written:
//! `PROGRAM load -i PATH [| tail -n 1] | sed "s/Loaded image[^:]*: //g"`.

use std::iter::Peekable;
use std::path::PathBuf;
use std::str::Chars;

/// The words of one command of a pipeline.
type Words = Vec<String>;

/// The tarball that a command loads, if it is CDK's.
///
/// `TarballImageAsset` gives the tarball to the shell as an argument; before, it wrote it into the
/// command, unquoted.
pub(super) fn loaded_by(command: &[String]) -> Option<PathBuf> {
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    match command[..] {
        ["sh", "-c", script] => loaded(script, None),
        ["sh", "-c", script, _, tarball] => loaded(script, Some(tarball)),
        _ => None,
    }
}

/// The file that a script gives to `load -i`. The program is whichever `CDK_DOCKER` names,
/// unquoted.
fn loaded(script: &str, argument: Option<&str>) -> Option<PathBuf> {
    let (program, rest) = script.split_once(" load ")?;
    let is_program = !program.trim().is_empty() && !program.contains(is_control);
    let mut commands = pipeline(rest, argument)?.into_iter();
    let load = commands.next()?;
    let filters: Vec<Words> = commands.collect();
    let takes_name = match &filters[..] {
        [name] => is_name(name),
        [last, name] => is_last_line(last) && is_name(name),
        _ => false,
    };
    if !is_program || !takes_name {
        return None;
    }
    input(&load)
}

/// The file of `-i`. A path with spaces is several words where CDK did not quote it.
fn input(load: &[String]) -> Option<PathBuf> {
    let [option, words @ ..] = load else {
        return None;
    };
    let is_path = !words.iter().any(|word| word.starts_with('-'));
    let path = words.join(" ");
    let is_input = matches!(option.as_str(), "-i" | "--input");
    (is_input && is_path && !path.is_empty()).then(|| path.into())
}

/// Returns true if a command is `tail -n 1`.
fn is_last_line(command: &[String]) -> bool {
    let [name, options @ ..] = command else {
        return false;
    };
    name == "tail" && matches!(options.concat().as_str(), "-n1" | "-1")
}

/// Returns true if a command is `sed "s/Loaded image[^:]*: //g"`.
fn is_name(command: &[String]) -> bool {
    let [name, expression] = command else {
        return false;
    };
    let pattern = expression
        .strip_prefix("s/Loaded image")
        .map(|rest| rest.strip_prefix("[^:]*").unwrap_or(rest));
    name == "sed" && matches!(pattern, Some(": //" | ": //g"))
}

/// Splits a pipeline of plain commands as the shell does, with `argument` for `"$1"`. There is
/// none if the script does anything else.
fn pipeline(script: &str, argument: Option<&str>) -> Option<Vec<Words>> {
    let mut commands = vec![Words::new()];
    let mut word: Option<String> = None;
    let mut rest = script.chars().peekable();
    while let Some(c) = rest.next() {
        if c == ' ' || c == '|' {
            commands.last_mut()?.extend(word.take());
        }
        match c {
            ' ' => {}
            '|' => commands.push(Words::new()),
            _ => {
                let word = word.get_or_insert_default();
                match c {
                    '"' => quoted(&mut rest, word, argument)?,
                    '\'' => verbatim(&mut rest, word)?,
                    '\\' => word.push(rest.next().filter(|&c| c != '\n')?),
                    c => word.push(Some(c).filter(|&c| is_plain(c))?),
                }
            }
        }
    }
    commands.last_mut()?.extend(word);
    Some(commands)
}

/// Reads what follows a double quote, to its end.
fn quoted(rest: &mut Peekable<Chars<'_>>, word: &mut String, argument: Option<&str>) -> Option<()> {
    loop {
        match rest.next()? {
            '"' => return Some(()),
            '$' => {
                rest.next_if_eq(&'1')?;
                word.push_str(argument?);
            }
            '`' => return None,
            '\\' => match rest.next_if(|c| "$`\"\\".contains(*c)) {
                Some(c) => word.push(c),
                None => word.push('\\'),
            },
            c => word.push(c),
        }
    }
}

/// Reads what follows a single quote, to its end.
fn verbatim(rest: &mut Peekable<Chars<'_>>, word: &mut String) -> Option<()> {
    loop {
        match rest.next()? {
            '\'' => return Some(()),
            c => word.push(c),
        }
    }
}

/// Returns true if an unquoted character means nothing but itself to the shell.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "/._-+=@%:,^".contains(c)
}

/// Returns true if a program's name with this character is more than a name.
fn is_control(c: char) -> bool {
    ";&|<>()`#\n".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// The commands that versions of CDK write: `tests/tools/tarball-commands.js` asks them.
    const FORMS: &str = include_str!("../../../tests/fixtures/assets/tarball-commands.json");

    #[derive(Deserialize)]
    struct Form {
        commands: Vec<Command>,
        versions: std::collections::BTreeMap<String, Vec<String>>,
    }

    #[derive(Deserialize)]
    struct Command {
        tarball: PathBuf,
        executable: Vec<String>,
    }

    fn of(command: &[&str]) -> Option<PathBuf> {
        let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
        loaded_by(&command)
    }

    #[test]
    fn the_command_of_every_version_of_cdk_is_known() {
        let forms: Vec<Form> = serde_json::from_str(FORMS).unwrap();
        for form in &forms {
            for command in &form.commands {
                let (loaded, versions) = (loaded_by(&command.executable), &form.versions);
                let script = &command.executable;
                assert_eq!(
                    loaded.as_ref(),
                    Some(&command.tarball),
                    "{script:?} {versions:?}"
                );
            }
        }
        let versions = |package: &str| {
            let forms = forms.iter().filter(|form| !form.commands.is_empty());
            let versions = forms.filter_map(|form| form.versions.get(package));
            versions.map(Vec::len).sum::<usize>()
        };
        assert!(versions("aws-cdk-lib") > 200);
        assert!(versions("@aws-cdk/aws-ecr-assets") > 50);
    }

    #[test]
    fn a_tarball_may_be_quoted_and_a_program_be_any() {
        let asset = Some(PathBuf::from("my images/a'b$.tar"));
        for load in [
            r#"docker load -i "my images/a'b\$.tar""#,
            r#"docker load --input "my images/a'b"\$.tar"#,
            r"podman load -i my\ images/a\'b\$.tar",
            r"finch load -i 'my images/a'\''b$.tar'",
            r#""$HOME/my tools/docker" load  -i  "my images"/a"'"'b$.tar'"#,
            r#"docker --context remote load -i my images/"a'b\$".tar"#,
        ] {
            for rest in [
                r#"| tail -n 1 | sed "s/Loaded image[^:]*: //g""#,
                r"| sed 's/Loaded image: //'",
                r#"|tail -n1|sed "s/Loaded image: //g""#,
            ] {
                let script = format!("{load} {rest}");
                assert_eq!(of(&["sh", "-c", &script]), asset, "{script}");
            }
        }
    }

    #[test]
    fn other_commands_are_run() {
        let rest = r#" | tail -n 1 | sed "s/Loaded image[^:]*: //g""#;
        for other in [
            format!("docker load -i \"$X\"{rest}"),
            format!("docker load -i \"$1\"{rest}"),
            format!("docker load -i \"`make`\"{rest}"),
            format!("docker load -i $(make){rest}"),
            format!("docker load -i *.tar{rest}"),
            format!("docker load -i ~/a.tar{rest}"),
            format!("docker load -i a.tar --quiet{rest}"),
            format!("docker load -i \"a.tar{rest}"),
            format!("docker load -i{rest}"),
            format!("docker load{rest}"),
            format!(" load -i a.tar{rest}"),
            format!("docker save -i a.tar{rest}"),
            format!("make; docker load -i a.tar{rest}"),
            format!("make && docker load -i a.tar{rest}"),
            format!("$(make) load -i a.tar{rest}"),
            format!("docker load -i a.tar{rest} | head"),
            format!("docker load -i a.tar{rest}; make"),
            format!("docker load -i a.tar |{rest}"),
            "docker load -i a.tar".to_owned(),
            "docker load -i a.tar | tail -n 1".to_owned(),
            "docker load -i a.tar | head -n 1 | sed 's/Loaded image: //'".to_owned(),
            "docker load -i a.tar | tail -n 2 | sed 's/Loaded image: //'".to_owned(),
            "docker load -i a.tar | sed 's/Loaded image: /other/'".to_owned(),
        ] {
            assert_eq!(of(&["sh", "-c", &other]), None, "{other}");
        }
        assert_eq!(of(&["sh"]), None);
        assert_eq!(of(&["./build.sh", "a.tar"]), None);
        let now = format!("docker load -i \"$1\"{rest}");
        assert_eq!(of(&["sh", "-c", &now, "0", "a.tar", "b.tar"]), None);
        assert_eq!(of(&["bash", "-c", &now, "0", "a.tar"]), None);
    }
}
