//! Devices as a data set names them: a number per participant and a known model. OW's text of a device may be its
//! owner's, who may have written a name into it.

/// The beginnings of model names, as makers write them.
const MODELS: &[&str] = &[
    "Oura Ring",
    "Apple Watch",
    "Watch",
    "iPhone",
    "iPad",
    "WHOOP",
    "Forerunner",
    "Fenix",
    "fēnix",
    "Epix",
    "Venu",
    "Vivosmart",
    "vívosmart",
    "Vivoactive",
    "vívoactive",
    "Vivofit",
    "vívofit",
    "Instinct",
    "Enduro",
    "Edge",
    "Index",
    "Charge",
    "Versa",
    "Sense",
    "Inspire",
    "Luxe",
    "Ionic",
    "Galaxy Watch",
    "Galaxy Ring",
    "Galaxy Fit",
    "Pixel Watch",
    "Pixel",
    "Polar Vantage",
    "Vantage",
    "Ignite",
    "Grit X",
    "Pacer",
    "Unite",
    "Verity Sense",
    "Loop",
    "H10",
    "H9",
    "OH1",
    "Suunto Race",
    "Suunto",
    "Ring Air",
    "Ultrahuman Ring",
    "Body+",
    "ScanWatch",
    "Withings",
    "Omron",
    "Dexcom",
    "FreeStyle Libre",
    "Ring",
];

/// Words and numbers that may follow, such as in `Galaxy Watch 6 Classic` or `Watch6,2`.
const SUFFIXES: &[&str] = &[
    "Gen",
    "Generation",
    "Pro",
    "Ultra",
    "SE",
    "Plus",
    "Mini",
    "Classic",
    "Active",
    "Music",
    "Solar",
    "Sapphire",
    "Horizon",
    "Heritage",
    "Series",
    "Sport",
    "Hr",
    "S",
    "X",
    "AMOLED",
];

/// Returns the model in a device's text; empty if no known model is in it.
pub(crate) fn find_model(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    for begin in 0..words.len() {
        for model in MODELS {
            if let Some(rest) = match_model(&words[begin..], model) {
                // One number belongs to a model; more may be a telephone's.
                let mut numbers = 0;
                let suffixes = rest.iter().take_while(|word| {
                    numbers += usize::from(is_number(word));
                    is_suffix(word) && numbers <= 1
                });
                let end = words.len() - rest.len() + suffixes.count();
                return words[begin..end].join(" ");
            }
        }
    }
    String::new()
}

/// Returns the words after a model's name at the beginning of `words`. Digits may be attached to its last word.
fn match_model<'a, 'b>(words: &'a [&'b str], model: &str) -> Option<&'a [&'b str]> {
    let names: Vec<&str> = model.split(' ').collect();
    let (last, first) = names.split_last()?;
    if words.len() < names.len()
        || !first.iter().zip(words).all(|(name, word)| name.eq_ignore_ascii_case(word))
    {
        return None;
    }
    let word = words[first.len()];
    let tail = word.get(last.len()..).filter(|_| word[..last.len()].eq_ignore_ascii_case(last));
    tail.filter(|tail| tail.is_empty() || is_number(tail)).map(|_| &words[names.len()..])
}

fn is_suffix(word: &str) -> bool {
    let word = word.trim_matches(['(', ')']);
    is_number(word) || SUFFIXES.iter().any(|suffix| suffix.eq_ignore_ascii_case(word))
}

/// Returns true for a short number such as `4`, `6,2`, `265` or `3s`.
fn is_number(word: &str) -> bool {
    let digits = word.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    digits.chars().filter(char::is_ascii_digit).count() <= 3
        && word.len() - digits.len() <= 2
        && digits.starts_with(|character: char| character.is_ascii_digit())
        && digits.chars().all(|character| character.is_ascii_digit() || ",.".contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_and_the_owners_words_are_not() {
        for (text, model) in [
            ("Oura Ring 4", "Oura Ring 4"),
            ("Anna's Apple Watch", "Apple Watch"),
            ("Watch6,2", "Watch6,2"),
            ("Galaxy Watch 6 Classic Maria", "Galaxy Watch 6 Classic"),
            ("Garmin Forerunner 265", "Forerunner 265"),
            ("iPhone von Max Mustermann", "iPhone"),
            ("=HYPERLINK(1)", ""),
            ("Annas iPhone 01 71 23 45 67", "iPhone 01"),
            ("Apple Watch 230485", "Apple Watch"),
            ("Grandma", ""),
            ("", ""),
        ] {
            assert_eq!(find_model(text), model, "{text}");
        }
    }
}
