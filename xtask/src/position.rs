//! Where in the text of a document a JSON pointer leads. The parser tells positions with its errors
//! only, so the reading stops with one at the place.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Line and column, both from 1: of the key, or of the element of a list.
pub fn of(text: &str, pointer: &str) -> Option<(usize, usize)> {
    let keys: Vec<String> = pointer
        .split('/')
        .skip(1)
        .map(|key| key.replace("~1", "/").replace("~0", "~"))
        .collect();
    let seek = Seek { keys: &keys };
    let error = seek
        .deserialize(yaml_serde::Deserializer::from_str(text))
        .err()?;
    let location = error.location()?;
    Some((location.line(), location.column()))
}

/// Goes down to the last key and fails there.
#[derive(Clone, Copy)]
struct Seek<'a> {
    keys: &'a [String],
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, node: D) -> Result<(), D::Error> {
        node.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    /// What meets a scalar fails with this, too: the pointer ends there.
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map or a list")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let Some((wanted, rest)) = self.keys.split_first() else {
            return Err(M::Error::custom("here"));
        };
        let is_last = rest.is_empty();
        while let Some(is_wanted) = map.next_key_seed(Key { wanted, is_last })? {
            if is_wanted {
                return map.next_value_seed(Seek { keys: rest });
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<(), S::Error> {
        let Some((wanted, rest)) = self.keys.split_first() else {
            return Err(S::Error::custom("here"));
        };
        for _ in 0..wanted.parse().unwrap_or(usize::MAX) {
            if list.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        list.next_element_seed(Seek { keys: rest })?;
        Ok(())
    }
}

/// Whether a key is the wanted one; the last of them is where to stop.
struct Key<'a> {
    wanted: &'a str,
    is_last: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<bool, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        match (key == self.wanted, self.is_last) {
            (true, true) => Err(E::custom("here")),
            (is_wanted, _) => Ok(is_wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_leads_to_the_line_and_column_of_its_key_or_element() {
        let text = "openapi: 3.0.3\npaths:\n  /a:\n    get:\n      tags: [x, y]\n";
        assert_eq!(of(text, "/paths"), Some((2, 1)));
        assert_eq!(of(text, "/paths/~1a/get"), Some((4, 5)));
        assert_eq!(of(text, "/paths/~1a/get/tags/1"), Some((5, 17)));
        assert_eq!(of(text, "/paths/~1b"), None);
    }

    #[test]
    fn json_has_positions_too() {
        assert_eq!(of("{\n  \"a\": {\"b\": 1}\n}", "/a/b"), Some((2, 9)));
    }
}
