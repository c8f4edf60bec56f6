use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

fn all(command: &clap::Command) -> Vec<&clap::Command> {
    let visible = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    visible
        .flat_map(|sub| std::iter::once(sub).chain(all(sub)))
        .collect()
}

/// A terminal has 80 columns, and the prompt takes a line.
#[test]
fn short_help_fits_forty_lines() {
    let root = Cli::command_with_help_in(80).term_width(80);
    for mut command in std::iter::once(root.clone()).chain(all(&root).into_iter().cloned()) {
        let help = command.render_help().to_string();
        let lines = help.lines().count();
        assert!(lines <= 40, "{lines} lines\n{help}");
    }
}

/// One that took several values and did not say so was given once, with a list that it refused.
#[test]
fn flags_that_can_be_repeated_say_so() {
    let root = Cli::command();
    for command in all(&root) {
        for flag in command.get_arguments().filter(|arg| !arg.is_positional()) {
            let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
            let repeats = matches!(flag.get_action(), ArgAction::Append);
            let shown = format!("{} --{}: {help}", command.get_name(), flag.get_id());
            assert_eq!(help.contains("(repeatable)"), repeats, "{shown}");
            assert!(!help.contains("[default: false]"), "{shown}");
        }
    }
}

#[test]
fn every_flag_of_build_is_a_setting_or_named_here() {
    use clap::Args as _;
    let settings = crate::settings::Options::augment_args(clap::Command::new("settings"));
    let is_setting = |flag| {
        settings
            .get_arguments()
            .any(|arg| arg.get_long() == Some(flag))
    };
    // Which file is read, what is printed, and what changes the image for this run only.
    let others = [
        "all",
        "config",
        "dry-run",
        "flake",
        "git-inputs",
        "hostname",
        "json",
        "login-key",
        "offline",
        "override-input",
        "root",
        "set",
        "ssh-key",
        "yes",
        "verbose",
        "quiet",
        "json-events",
        "help",
    ];
    let command = Cli::command();
    let build = command.find_subcommand("build").unwrap();
    for flag in build.get_arguments().filter_map(clap::Arg::get_long) {
        assert!(
            is_setting(flag) || others.contains(&flag),
            "--{flag} is not a setting"
        );
    }
}

#[test]
fn every_command_has_examples_that_parse() {
    for command in all(&Cli::command()) {
        let name = command.get_name();
        let ending = ending_of(name).unwrap_or_else(|| panic!("{name} has no examples"));
        let (_, examples) = ending.split_once("Examples:\n").unwrap();
        let examples = examples.replace("\\\n", " ");
        let lines = examples
            .lines()
            .map(|line| line.split(" # ").next().unwrap());
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let words = line.split(['>', '|']).next().unwrap_or_default();
            let words = words.replace("sudo \"$(command -v sdbuild)\"", "sdbuild");
            let words = match words.split_once(" && ") {
                Some((before, own)) if before.trim().starts_with("mkdir -p ") => own,
                _ => &words,
            };
            let quoted = words
                .split('\'')
                .enumerate()
                .flat_map(|(at, part)| match at % 2 {
                    0 => part.split_whitespace().collect::<Vec<_>>(),
                    _ => vec![part],
                });
            let words: Vec<&str> = quoted.collect();
            assert!(words.contains(&name), "{line}");
            // A flag that `-h` does not explain.
            let hidden = command
                .get_arguments()
                .filter(|arg| arg.is_hide_short_help_set());
            for flag in hidden.filter_map(clap::Arg::get_long) {
                let is_flag = |word: &&str| word.strip_prefix("--") == Some(flag);
                assert!(!words.iter().any(is_flag), "{line}");
            }
            Cli::try_parse_from(&words).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }
}

#[test]
fn commands_that_evaluate_use_the_binary_caches_that_are_given() {
    for name in ["check", "shell", "deploy"] {
        let words = ["sdbuild", name, "--substituters", "https://a https://b"];
        let build = match Cli::parse_from(words).command.unwrap() {
            Command::Check(check) => check.each().swap_remove(0),
            Command::Shell(shell) => shell.build(),
            Command::Deploy(deploy) => deploy.build(None),
            _ => unreachable!(),
        };
        let given = build.options.substituters;
        assert_eq!(
            given,
            Some("https://a https://b".parse().unwrap()),
            "{name}"
        );
    }
}
