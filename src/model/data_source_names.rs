//! What JHE calls the data sources: by the names of the seed, unless a setting says otherwise. Pure.

use crate::model::catalog::source::{DATA_SOURCES, data_source};

/// JHE's names of providers, where they are not those of the seed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Naming(Vec<(&'static str, String)>);

impl Naming {
    /// Reads `Oura = Oura Ring, Garmin = Garmin Connect`.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut names = Vec::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (provider, name) = pair
                .split_once('=')
                .map(|(provider, name)| (provider.trim(), name.trim()))
                .filter(|(_, name)| !name.is_empty())
                .ok_or_else(|| {
                    format!("'{pair}' names nothing; write Oura = Oura Ring, Garmin = Garmin Connect")
                })?;
            let known = DATA_SOURCES.iter().find(|source| source.name.eq_ignore_ascii_case(provider));
            let Some(known) = known else {
                let all: Vec<&str> = DATA_SOURCES.iter().map(|source| source.name).collect();
                return Err(format!("OW has no provider '{provider}'; it has {}", all.join(", ")));
            };
            names.retain(|(other, _)| *other != known.name);
            names.push((known.name, name.to_owned()));
        }
        Ok(Self(names))
    }

    /// JHE's name of the data source that a provider of OW's is.
    pub fn at_jhe<'a>(&'a self, provider: &'a str) -> &'a str {
        let ours = data_source(provider);
        let named = self.0.iter().find(|(source, _)| *source == ours);
        named.map_or(ours, |(_, name)| name.as_str())
    }

    /// Our name of the data source that JHE calls `name`.
    pub fn of_jhe<'a>(&'a self, name: &'a str) -> &'a str {
        let named = self.0.iter().find(|(_, at_jhe)| at_jhe == name);
        named.map_or(name, |(source, _)| source)
    }
}

impl std::fmt::Display for Naming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|(source, name)| format!("{source}={name}")).collect();
        f.write_str(&pairs.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_has_the_name_that_jhe_gives_it() {
        let naming = Naming::parse("oura = Oura Ring, Garmin=Garmin Connect,").unwrap();
        assert_eq!((naming.at_jhe("oura"), naming.at_jhe("polar")), ("Oura Ring", "Polar"));
        assert_eq!((naming.of_jhe("Garmin Connect"), naming.of_jhe("Polar")), ("Garmin", "Polar"));
        assert_eq!(naming.to_string(), "Oura=Oura Ring, Garmin=Garmin Connect");
        assert_eq!(Naming::parse(&naming.to_string()), Ok(naming));
        assert!(
            Naming::parse("Ourra=X").unwrap_err().starts_with("OW has no provider 'Ourra'; it has Oura, ")
        );
        assert!(Naming::parse("Oura").unwrap_err().contains("names nothing"));
    }
}
