use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::schema::{Additional, Discriminator, Kind};
use super::*;

#[test]
fn every_operation_of_the_api_has_a_check() {
    for operation in fastvm_api::operations::ALL {
        assert!(
            Check::of(operation.method, operation.path).is_some(),
            "{}",
            operation.id
        );
    }
}

#[test]
fn no_keyword_of_a_request_is_left_out() {
    const KNOWN: [&str; 20] = [
        "$ref",
        "type",
        "format",
        "nullable",
        "enum",
        "allOf",
        "oneOf",
        "discriminator",
        "required",
        "properties",
        "additionalProperties",
        "maxProperties",
        "items",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "pattern",
        "minimum",
        "maximum",
    ];
    const ABOUT: [&str; 3] = ["description", "default", "example"];
    fn walk(document: &Value, schema: &Value, seen: &mut BTreeSet<String>) {
        let schema = schema.as_object().unwrap();
        for (keyword, value) in schema {
            let is_known = KNOWN.contains(&keyword.as_str()) || ABOUT.contains(&keyword.as_str());
            assert!(is_known || keyword.starts_with("x-fastvm-"), "{keyword}");
            match keyword.as_str() {
                "$ref" => {
                    let pointer = value.as_str().unwrap().trim_start_matches('#');
                    if seen.insert(pointer.to_owned()) {
                        walk(document, document.pointer(pointer).unwrap(), seen);
                    }
                }
                "items" | "additionalProperties" if value.is_object() => {
                    walk(document, value, seen)
                }
                "allOf" | "oneOf" => {
                    let parts = value.as_array().unwrap();
                    parts.iter().for_each(|part| walk(document, part, seen));
                }
                "properties" => {
                    let fields = value.as_object().unwrap();
                    fields
                        .values()
                        .for_each(|field| walk(document, field, seen));
                }
                "pattern" => {
                    let pattern = value.as_str().unwrap();
                    regex::Regex::new(pattern).unwrap();
                }
                _ => {}
            }
        }
        assert_eq!(
            schema.contains_key("oneOf"),
            schema.contains_key("discriminator")
        );
    }
    let document: Value = serde_json::from_str(fastvm_api::SPEC).unwrap();
    let mut seen = BTreeSet::new();
    let paths = document["paths"].as_object().unwrap();
    for operation in paths
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
    {
        let Some(body) = operation.get("requestBody") else {
            continue;
        };
        let content = body["content"].as_object().unwrap();
        assert_eq!(content.len(), 1, "which schema goes by the content type");
        for media in content.values() {
            walk(&document, &media["schema"], &mut seen);
        }
    }
    assert!(seen.len() > 30);
}

/// A place in a body: how a refusal spells it, where it is, and the schemas for it.
struct Place<'d> {
    spelled: String,
    pointer: String,
    schemas: Vec<&'d Schema>,
}

/// Full and minimal bodies, and the places of the full one.
struct Sampler<'d> {
    schemas: &'d Schemas,
    only_required: bool,
    /// Which variant of a union is taken.
    variant: usize,
}

impl<'d> Sampler<'d> {
    /// A schema and all that it refers to and is put together of.
    fn parts(&self, schema: &'d Schema) -> Vec<&'d Schema> {
        let mut parts = vec![schema];
        let referred = schema.reference.as_deref();
        let referred = referred.map(|name| &self.schemas[last_segment(name)]);
        let variant = schema
            .discriminator
            .as_ref()
            .map(|union| self.chosen(union));
        let inner = referred.into_iter().chain(variant).chain(&schema.all_of);
        parts.extend(
            inner
                .flat_map(|inner| self.parts(inner))
                .collect::<Vec<_>>(),
        );
        parts
    }

    fn chosen(&self, union: &Discriminator) -> &'d Schema {
        let name = union.mapping.values().nth(self.variant).unwrap();
        &self.schemas[last_segment(name)]
    }

    fn sample(&self, schema: &'d Schema) -> Value {
        let parts = self.parts(schema);
        if let Some(allowed) = parts.iter().find_map(|part| part.allowed.first()) {
            return allowed.clone();
        }
        match parts.iter().find_map(|part| part.kind).unwrap() {
            Kind::Boolean => json!(true),
            Kind::Number => json!(1.5),
            Kind::Integer => {
                let least = parts.iter().find_map(|part| part.minimum.clone());
                least.map_or(json!(1), Value::Number)
            }
            Kind::String => {
                let pattern = parts.iter().find_map(|part| part.pattern.as_ref());
                let texts = ["x", "/x", "/mnt/x", "s3://x", "any"];
                let fits = |text: &&&str| {
                    pattern.is_none_or(|pattern| pattern.regex().unwrap().is_match(text))
                };
                json!(texts.iter().find(fits).unwrap())
            }
            Kind::Array => {
                let items = parts.iter().find_map(|part| part.items.as_deref());
                json!([self.sample(items.unwrap())])
            }
            Kind::Object => {
                let mut fields = serde_json::Map::new();
                for part in parts {
                    for (name, field) in &part.properties {
                        if !self.only_required || part.required.contains(name) {
                            fields.insert(name.clone(), self.sample(field));
                        }
                    }
                    if let Some(Additional::Like(value)) = &part.additional_properties {
                        fields.insert("KEY".to_owned(), self.sample(value));
                    }
                }
                Value::Object(fields)
            }
        }
    }

    fn places(&self, schema: &'d Schema, spelled: &str, pointer: &str, found: &mut Vec<Place<'d>>) {
        let parts = self.parts(schema);
        let dot = if spelled.is_empty() { "" } else { "." };
        for part in &parts {
            for (name, field) in &part.properties {
                let (spelled, pointer) =
                    (format!("{spelled}{dot}{name}"), format!("{pointer}/{name}"));
                self.places(field, &spelled, &pointer, found);
            }
            if let Some(Additional::Like(value)) = &part.additional_properties {
                let (spelled, pointer) = (format!("{spelled}{dot}KEY"), format!("{pointer}/KEY"));
                self.places(value, &spelled, &pointer, found);
            }
            if let Some(items) = &part.items {
                let (spelled, pointer) = (format!("{spelled}[0]"), format!("{pointer}/0"));
                self.places(items, &spelled, &pointer, found);
            }
        }
        found.push(Place {
            spelled: if spelled.is_empty() {
                "the body"
            } else {
                spelled
            }
            .to_owned(),
            pointer: pointer.to_owned(),
            schemas: parts,
        });
    }
}

/// Values of all types but the one given.
fn of_other_types(value: &Value) -> Vec<Value> {
    let all = [
        json!(null),
        json!(true),
        json!(7),
        json!("S3CRET"),
        json!(["S3CRET"]),
        json!({"S3CRET": 1}),
    ];
    let is_other = |other: &Value| std::mem::discriminant(other) != std::mem::discriminant(value);
    all.into_iter().filter(is_other).collect()
}

/// Every operation with a body, and each variant of the unions.
fn bodies() -> impl Iterator<Item = (&'static str, Check<'static>, &'static Schema, usize)> {
    let all = fastvm_api::operations::ALL.iter();
    all.flat_map(|operation| {
        let check = Check::of(operation.method, operation.path).unwrap();
        let body = check.operation.request_body.as_ref();
        let schema = body.map(|body| &body.content["application/json"].schema);
        let variants = schema
            .into_iter()
            .flat_map(|schema| [(schema, 0), (schema, 1)]);
        variants.map(move |(schema, variant)| (operation.id, check, schema, variant))
    })
}

#[test]
fn minimal_and_full_bodies_pass() {
    let mut count = 0;
    for (operation, check, schema, variant) in bodies() {
        for only_required in [true, false] {
            let sampler = Sampler {
                schemas: &check.components.schemas,
                only_required,
                variant,
            };
            let body = sampler.sample(schema);
            assert_eq!(check.body(&body), Ok(()), "{operation} {body}");
            count += 1;
        }
    }
    assert!(count >= 4 * 19);
}

#[test]
fn a_required_field_that_is_left_out_is_named() {
    for (operation, check, schema, variant) in bodies() {
        let sampler = Sampler {
            schemas: &check.components.schemas,
            only_required: false,
            variant,
        };
        let full = sampler.sample(schema);
        let mut places = Vec::new();
        sampler.places(schema, "", "", &mut places);
        for place in places {
            for field in place.schemas.iter().flat_map(|schema| &schema.required) {
                let mut body = full.clone();
                let object = body.pointer_mut(&place.pointer).unwrap();
                object.as_object_mut().unwrap().remove(field).unwrap();
                let expected = match place.spelled.as_str() {
                    "the body" => format!("{field}: missing"),
                    spelled => format!("{spelled}.{field}: missing"),
                };
                let problem = check.body(&body).unwrap_err().to_string();
                assert_eq!(problem, expected, "{operation} {body}");
            }
        }
    }
}

#[test]
fn a_value_of_a_wrong_type_is_named_and_not_quoted() {
    for (operation, check, schema, variant) in bodies() {
        let sampler = Sampler {
            schemas: &check.components.schemas,
            only_required: false,
            variant,
        };
        let full = sampler.sample(schema);
        let mut places = Vec::new();
        sampler.places(schema, "", "", &mut places);
        for place in places {
            let is_nullable = place.schemas.first().is_some_and(|schema| schema.nullable);
            for wrong in of_other_types(full.pointer(&place.pointer).unwrap()) {
                let mut body = full.clone();
                *body.pointer_mut(&place.pointer).unwrap() = wrong.clone();
                if wrong.is_null() && is_nullable {
                    assert_eq!(check.body(&body), Ok(()));
                    continue;
                }
                let problem = check.body(&body).unwrap_err().to_string();
                let start = format!("{}: ", place.spelled);
                assert!(problem.starts_with(&start), "{operation} {body} {problem}");
                assert!(!problem.contains("S3CRET"), "{problem}");
            }
        }
    }
}

#[track_caller]
fn refusal(method: &str, path: &str, body: Value) -> String {
    let check = Check::of(method, path).unwrap();
    check.body(&body).unwrap_err().to_string()
}

#[test]
fn limits_forms_and_closed_sets_are_kept() {
    let launch = |body| refusal("POST", "/v1/vms", body);
    assert_eq!(
        launch(json!({"ttl": {"seconds": 31_536_001, "action": "pause"}})),
        "ttl.seconds: more than 31536000"
    );
    assert_eq!(
        launch(json!({"ttl": {"seconds": 1, "action": "S3CRET"}})),
        r#"ttl.action: not one of "pause", "delete""#
    );
    assert_eq!(
        launch(json!({"diskGiB": 1.5})),
        "diskGiB: a number, not an integer"
    );
    assert_eq!(launch(json!({"diskGiB": 1e30})), "diskGiB: out of range");
    assert_eq!(
        launch(json!({"diskGiB": u64::MAX})),
        "diskGiB: out of range"
    );
    assert_eq!(
        launch(json!({"envVars": {"PASSWORD": "S3CRET\n"}})),
        r"envVars.PASSWORD: not of the form ^[^\n\r\u0000]*$"
    );
    assert_eq!(
        launch(json!({"metadata": {"k": "ä".repeat(4097)}})),
        "metadata.k: longer than 4096 characters"
    );
    let exec = |body| refusal("POST", "/v1/vms/{id}/exec", body);
    assert_eq!(
        exec(json!({"command": []})),
        "command: fewer than 1 elements"
    );
    assert_eq!(
        exec(json!({"command": ["sh", 1]})),
        "command[1]: a number, not a string"
    );
    let service = |body| refusal("POST", "/v1/vms/{id}/services", body);
    assert_eq!(
        service(json!({"name": "", "port": 2000})),
        "name: shorter than 1 characters"
    );
    assert_eq!(
        service(json!({"name": "a", "port": 80})),
        "port: less than 1024"
    );
    let rule = json!({"action": "allow", "kind": "cidr", "value": "::/0", "protocol": "tcp", "ports": "a"});
    assert_eq!(
        refusal(
            "PUT",
            "/v1/vms/{id}/firewall",
            json!({"ingress": {"default": "deny", "rules": [rule]}})
        ),
        "ingress.rules[0].ports: not of the form ^([0-9]+(-[0-9]+)?|any)$"
    );
}

#[test]
fn the_chosen_credentials_are_checked() {
    let rotate = |credentials| {
        let path = "/v1/vms/{id}/bucket-mounts/{bucketMountId}";
        refusal("PATCH", path, json!({"credentials": credentials}))
    };
    assert_eq!(rotate(json!({})), "credentials.type: missing");
    assert_eq!(
        rotate(json!({"type": "S3CRET"})),
        r#"credentials.type: not one of "aws-credentials", "gcp-service-account-json""#
    );
    assert_eq!(
        rotate(json!({"type": "aws-credentials", "value": {}})),
        "credentials.value.data: missing"
    );
    let key = json!({"type": "service_account", "client_email": "a", "private_key": 1});
    assert_eq!(
        rotate(json!({"type": "gcp-service-account-json", "value": key})),
        "credentials.value.private_key: a number, not a string"
    );
}

#[test]
fn long_keys_are_cut() {
    let problem = refusal("POST", "/v1/vms", json!({"metadata": {"k".repeat(300): 1}}));
    let cut = "k".repeat(256);
    assert_eq!(problem, format!("metadata.{cut}…: a number, not a string"));
}

#[test]
fn queries_are_checked() {
    let document = json!({
        "paths": {"/": {"get": {"parameters": [
            {"name": "limit", "in": "query", "required": true, "schema": {"$ref": "#/components/schemas/Limit"}},
            {"name": "all", "in": "query", "schema": {"type": "boolean"}},
            {"$ref": "#/components/parameters/Labels"},
            {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
        ]}}},
        "components": {
            "schemas": {"Limit": {"type": "integer", "minimum": 1}},
            "parameters": {"Labels": {
                "name": "metadata", "in": "query", "x-fastvm-key-prefix": "metadata.",
                "schema": {"type": "object", "additionalProperties": {"type": "string"}},
            }},
        },
    });
    let document: Document = serde_json::from_value(document).unwrap();
    let check = document.check("GET", "/").unwrap();
    let outcome = |query: &str| check.query(query).map_err(|problem| problem.to_string());
    assert_eq!(outcome("limit=1&metadata.a=5&other=x&all=true"), Ok(()));
    for (query, expected) in [
        ("", "limit: missing"),
        ("limit=x", "limit: a string, not an integer"),
        ("limit=0", "limit: less than 1"),
        ("limit=1&all=1", "all: a number, not a boolean"),
    ] {
        assert_eq!(outcome(query), Err(expected.to_owned()));
    }
    let list = Check::of("GET", "/v1/vms").unwrap();
    assert_eq!(list.query("status=5&metadata.a=b&metadata.=&x"), Ok(()));
}
