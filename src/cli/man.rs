//! `jhe-ow man`: the manual, made of what `--help` says.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::common::failure::Failure;
use crate::common::stdout::finish;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The command whose page is printed; the first page without one
    command: Vec<String>,
    /// Write the pages of all commands into this directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    output: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, whole: Command) -> Result<u8, Failure> {
    let mut whole = whole.disable_help_subcommand(true);
    whole.build();
    if let Some(directory) = &arguments.output {
        write_all(&whole, directory).map_err(|error| {
            let what = format!("the pages cannot be written into {}: {error}", directory.display());
            Failure::failed(what, "name a directory that is there and that this user may write to")
        })?;
        return Ok(0);
    }
    let mut asked = &whole;
    for name in &arguments.command {
        asked = asked.find_subcommand(name).ok_or_else(|| {
            Failure::usage(format!("there is no command '{name}'"), "jhe-ow --help shows them all")
        })?;
    }
    finish(page(asked).and_then(|page| std::io::stdout().lock().write_all(&page)))?;
    Ok(0)
}

/// A file for each command, named as `man` looks for it.
fn write_all(command: &Command, directory: &Path) -> std::io::Result<()> {
    fs::write(directory.join(Man::new(command.clone()).get_filename()), page(command)?)?;
    command.get_subcommands().try_for_each(|one| write_all(one, directory))
}

fn page(command: &Command) -> std::io::Result<Vec<u8>> {
    let man =
        Man::new(command.clone()).manual("jhe-ow").source(format!("jhe-ow {}", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    sections(&after).to_writer(&mut page)?;
    Ok(page)
}

/// What help ends with, under the headings that manuals have.
fn sections(after: &str) -> Roff {
    let mut roff = Roff::new();
    let mut open = "";
    for paragraph in after.split("\n\n") {
        let (heading, rest) = match paragraph.split_once('\n').unwrap_or((paragraph, "")) {
            ("Example:" | "Examples:", rest) => ("EXAMPLES", rest),
            ("Exit codes:", rest) => ("EXIT STATUS", rest),
            _ if paragraph.starts_with(' ') && !open.is_empty() => (open, paragraph),
            _ => ("NOTES", paragraph),
        };
        if heading != open {
            roff.control("SH", [heading]);
            open = heading;
        }
        // Lines that are indented keep their shape; the others are filled.
        let is_kept = rest.starts_with(' ');
        roff.control(if is_kept { "nf" } else { "PP" }, []);
        for line in rest.lines() {
            roff.text([roman(line)]);
        }
        if is_kept {
            roff.control("fi", []);
        }
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_help_ends_with_stands_under_the_headings_of_manuals() {
        let text = "Prose of two\nlines.\n\nExample:\n\n  jhe-ow serve\n\nExit codes:\n  0  done";
        let roff = sections(text).render();
        let place = |part: &str| roff.find(part).unwrap_or_else(|| panic!("{part} is not in {roff}"));
        let parts = [".SH NOTES", "Prose", ".SH EXAMPLES", "jhe", ".SH \"EXIT STATUS\"", "done"];
        let places: Vec<usize> = parts.into_iter().map(place).collect();
        assert!(places.is_sorted(), "{roff}");
        assert_eq!(roff.matches(".SH").count(), 3, "{roff}");
    }
}
