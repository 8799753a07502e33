//! The services of a VM: ports that are reached by a name, as [`crate::proxy`] does.

use std::collections::BTreeMap;
use std::fmt;

use fastvm_api::types::Service;

const MOST_SERVICES: usize = 16;
const NAME_LENGTH: usize = 29;
const LOWEST_PORT: i32 = 1024;
const HIGHEST_PORT: i32 = 65535;

/// What is registered, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Services(BTreeMap<String, Service>);

/// Why a service is not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotRegistered {
    /// The name or the port cannot be used; the text names the field.
    Invalid(String),
    /// The name has another port or transport.
    Taken(String),
    TooMany,
}

impl Services {
    /// All, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Service> {
        self.0.values()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Service> {
        self.0.get(name)
    }

    /// Adds a service. If it is there just like this, nothing changes.
    pub(crate) fn register(&mut self, service: Service) -> Result<Service, NotRegistered> {
        check(&service)?;
        match self.0.get(&service.name) {
            Some(present) if *present != service => Err(NotRegistered::Taken(service.name)),
            _ => self.put(service),
        }
    }

    /// Adds a service, or replaces the one of its name.
    pub(crate) fn put(&mut self, service: Service) -> Result<Service, NotRegistered> {
        check(&service)?;
        if self.0.len() >= MOST_SERVICES && !self.0.contains_key(&service.name) {
            return Err(NotRegistered::TooMany);
        }
        self.0.insert(service.name.clone(), service.clone());
        Ok(service)
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }
}

/// Whether a service can have this name.
pub(crate) fn check_name(name: &str) -> Result<(), NotRegistered> {
    if is_name(name) {
        return Ok(());
    }
    Err(NotRegistered::Invalid(format!(
        "name: {name:?} is not 1 to {NAME_LENGTH} lowercase letters, digits and single hyphens \
         between them"
    )))
}

fn check(service: &Service) -> Result<(), NotRegistered> {
    let Service { name, port, .. } = service;
    check_name(name)?;
    if !(LOWEST_PORT..=HIGHEST_PORT).contains(port) {
        return Err(NotRegistered::Invalid(format!(
            "port: {port} is not from {LOWEST_PORT} to {HIGHEST_PORT}"
        )));
    }
    Ok(())
}

/// In a host name two hyphens end the name: it has none itself.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= NAME_LENGTH
        && name
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(is_plain))
}

impl fmt::Display for NotRegistered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text) => f.write_str(text),
            Self::Taken(name) => write!(f, "the service {name} has another port or h2c"),
            Self::TooMany => write!(f, "the VM has {MOST_SERVICES} services, which is the limit"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_into_a_host_name() {
        let longest = "a".repeat(29);
        for name in ["a", "3-69", "web-2", longest.as_str()] {
            assert!(is_name(name), "{name}");
        }
        let too_long = "a".repeat(30);
        for name in [
            "",
            "-",
            "-a",
            "a-",
            "a--b",
            "A",
            "a_b",
            "a.b",
            "ä",
            too_long.as_str(),
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_name_keeps_its_port_until_it_is_put_anew() {
        let mut services = Services::default();
        let web = Service::new("web", 8080, false);
        assert_eq!(services.register(web.clone()), Ok(web.clone()));
        assert_eq!(services.register(web.clone()), Ok(web.clone()));
        let taken = Err(NotRegistered::Taken("web".to_owned()));
        assert_eq!(services.register(Service::new("web", 8081, false)), taken);
        assert_eq!(services.register(Service::new("web", 8080, true)), taken);
        let moved = Service::new("web", 8081, true);
        assert_eq!(services.put(moved.clone()), Ok(moved.clone()));
        assert_eq!(services.get("web"), Some(&moved));
    }

    #[test]
    fn a_seventeenth_service_is_refused() {
        let mut services = Services::default();
        for port in 2000..2016 {
            services
                .put(Service::new(format!("s{port}"), port, false))
                .unwrap();
        }
        let another = Service::new("another", 3000, false);
        assert_eq!(
            services.register(another.clone()),
            Err(NotRegistered::TooMany)
        );
        assert_eq!(services.put(another), Err(NotRegistered::TooMany));
        assert!(services.put(Service::new("s2000", 3000, true)).is_ok());
    }
}
