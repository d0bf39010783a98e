//! JHE's names of data sources: those of the seed, unless the setting `jhe.data_sources` overrides them.

use crate::model::catalog::source::{DATA_SOURCES, data_source_name};

/// The overridden names, by our name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataSourceNames(Vec<(&'static str, String)>);

impl DataSourceNames {
    /// Parses `Oura = Oura Ring, Garmin = Garmin Connect`.
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

    /// Returns JHE's name for a provider of OW.
    pub fn jhe_name<'a>(&'a self, provider: &'a str) -> &'a str {
        let ours = data_source_name(provider);
        let named = self.0.iter().find(|(source, _)| *source == ours);
        named.map_or(ours, |(_, name)| name.as_str())
    }

    /// Returns our name for a data source of JHE.
    pub fn our_name<'a>(&'a self, name: &'a str) -> &'a str {
        let named = self.0.iter().find(|(_, at_jhe)| at_jhe == name);
        named.map_or(name, |(source, _)| source)
    }
}

impl std::fmt::Display for DataSourceNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|(source, name)| format!("{source}={name}")).collect();
        f.write_str(&pairs.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_translated_both_ways() {
        let names = DataSourceNames::parse("oura = Oura Ring, Garmin=Garmin Connect,").unwrap();
        assert_eq!((names.jhe_name("oura"), names.jhe_name("polar")), ("Oura Ring", "Polar"));
        assert_eq!((names.our_name("Garmin Connect"), names.our_name("Polar")), ("Garmin", "Polar"));
        assert_eq!(names.to_string(), "Oura=Oura Ring, Garmin=Garmin Connect");
        assert_eq!(DataSourceNames::parse(&names.to_string()), Ok(names));
        assert!(
            DataSourceNames::parse("Ourra=X")
                .unwrap_err()
                .starts_with("OW has no provider 'Ourra'; it has Oura, ")
        );
        assert!(DataSourceNames::parse("Oura").unwrap_err().contains("names nothing"));
    }
}
