//! `jhe-ow man`: renders the manual from the help texts.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::common::{failure::Failure, stdout::check_write};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The command to describe [default: jhe-ow itself]
    command: Vec<String>,
    /// Write the pages of all commands into this directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    output: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, root: Command) -> Result<u8, Failure> {
    let mut root = root.disable_help_subcommand(true);
    root.build();
    if let Some(directory) = &arguments.output {
        write_pages(&root, directory).map_err(|error| {
            let message = format!("the pages cannot be written into {}: {error}", directory.display());
            Failure::failed(message, "name an existing directory that this user may write to")
        })?;
        return Ok(0);
    }
    let mut command = &root;
    for name in &arguments.command {
        command = command.find_subcommand(name).ok_or_else(|| {
            Failure::usage(format!("there is no command '{name}'"), "jhe-ow --help shows them all")
        })?;
    }
    check_write(render_page(command).and_then(|page| std::io::stdout().lock().write_all(&page)))?;
    Ok(0)
}

/// Writes a file per command, with the name under which `man` finds it.
fn write_pages(command: &Command, directory: &Path) -> std::io::Result<()> {
    fs::write(directory.join(Man::new(command.clone()).get_filename()), render_page(command)?)?;
    command.get_subcommands().try_for_each(|one| write_pages(one, directory))
}

fn render_page(command: &Command) -> std::io::Result<Vec<u8>> {
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
    render_sections(&after).to_writer(&mut page)?;
    Ok(page)
}

/// Renders the end of a help text, under the headings of manuals.
fn render_sections(after: &str) -> Roff {
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
        let is_preformatted = rest.starts_with(' ');
        roff.control(if is_preformatted { "nf" } else { "PP" }, []);
        for line in rest.lines() {
            roff.text([roman(line)]);
        }
        if is_preformatted {
            roff.control("fi", []);
        }
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_help_text_gets_the_headings_of_manuals() {
        let text = "Prose of two\nlines.\n\nExample:\n\n  jhe-ow serve\n\nExit codes:\n  0  done";
        let roff = render_sections(text).render();
        let place = |part: &str| roff.find(part).unwrap_or_else(|| panic!("{part} is not in {roff}"));
        let parts = [".SH NOTES", "Prose", ".SH EXAMPLES", "jhe", ".SH \"EXIT STATUS\"", "done"];
        let places: Vec<usize> = parts.into_iter().map(place).collect();
        assert!(places.is_sorted(), "{roff}");
        assert_eq!(roff.matches(".SH").count(), 3, "{roff}");
    }
}
