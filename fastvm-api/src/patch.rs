//! A field that can be kept, cleared or set.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A field of a change: keep it, clear it, or set it.
///
/// A plain `Option` cannot tell "leave it as it is" from "remove it"; on the wire the first is a
/// missing field and the second `null`. Setters take `impl Into<Patch<T>>`, so that a value sets
/// and `None` clears:
///
/// ```
/// use fastvm_api::Patch;
/// use fastvm_api::types::{TtlAction, UpdateVmRequest, VmTtl};
///
/// let set = UpdateVmRequest::new().ttl(VmTtl::new(600, TtlAction::Delete));
/// let clear = UpdateVmRequest::new().ttl(Patch::Clear);
/// let keep = UpdateVmRequest::new();
/// assert_eq!(serde_json::to_string(&set)?, r#"{"ttl":{"seconds":600,"action":"delete"}}"#);
/// assert_eq!(serde_json::to_string(&clear)?, r#"{"ttl":null}"#);
/// assert_eq!(serde_json::to_string(&keep)?, "{}");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Patch<T> {
    /// Leave it as it is: the field is not sent.
    #[default]
    Keep,
    /// Remove it: the field is sent as `null`.
    Clear,
    /// Set it to this.
    Set(T),
}

impl<T> Patch<T> {
    /// Whether nothing is to change.
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// The value to set, if there is one.
    pub fn as_set(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Clear => None,
        }
    }
}

impl<T> From<T> for Patch<T> {
    fn from(value: T) -> Self {
        Self::Set(value)
    }
}

impl<T> From<Option<T>> for Patch<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Clear, Self::Set)
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_set().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A missing field never gets here: `#[serde(default)]` makes it `Keep`.
        Option::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(feature = "schemars")]
impl<T: schemars::JsonSchema> schemars::JsonSchema for Patch<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        Option::<T>::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Option::<T>::json_schema(generator)
    }
}
