//! What follows the `?` of a list.

use std::collections::BTreeMap;
use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;

/// Filters, all of which shall match.
pub(super) struct Filters(Vec<(String, String)>);

impl Filters {
    fn parse(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// Whether labels are as every `metadata.<key>=<value>` says.
    pub(super) fn match_metadata(&self, metadata: &BTreeMap<String, String>) -> bool {
        let mut labels = self.0.iter().filter_map(|(key, value)| {
            let label = key.strip_prefix("metadata.")?;
            Some((label, value))
        });
        labels.all(|(label, value)| metadata.get(label) == Some(value))
    }

    /// All values of a filter by its name.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }
}

impl<S: Sync> FromRequestParts<S> for Filters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}
