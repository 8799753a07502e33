use serde_json::json;

use super::*;
use crate::schema::yaml;

/// Small, with one of everything.
const DOCUMENT: &str = r#"
openapi: 3.0.3
info: {title: A, version: 1.0.0}
servers: [{url: https://a.test}]
security: [{key: []}]
tags: [{name: Things}]
paths:
  /things:
    get:
      operationId: listThings
      summary: List
      tags: [Things]
      x-fastvm-method: things.list
      x-fastvm-retry: repeat
      parameters:
        - {name: color, in: query, required: false, schema: {$ref: '#/components/schemas/Color'}}
        - {name: limit, in: query, schema: {type: integer, format: int32, default: 10, maximum: 100}}
        - $ref: '#/components/parameters/Filter'
      responses:
        '200':
          description: All.
          headers: {X-Total: {schema: {type: integer}}}
          content:
            application/json: {schema: {type: array, items: {$ref: '#/components/schemas/Thing'}}}
        default: {$ref: '#/components/responses/Error'}
    post:
      operationId: makeThing
      x-fastvm-method: things.make
      x-fastvm-retry: once
      x-fastvm-timeout: server
      requestBody:
        required: true
        content:
          application/json: {schema: {$ref: '#/components/schemas/NewThing'}}
      responses:
        '201':
          description: Made.
          content:
            application/json: {schema: {$ref: '#/components/schemas/Thing'}}
        '400': {description: No.}
  /things/{id}/parts/{part}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: string}}
      - {name: part, in: path, required: true, schema: {type: string}}
    get:
      operationId: getPart
      security: []
      responses:
        '200':
          description: It.
          content:
            application/json: {schema: {$ref: '#/components/schemas/Part'}}
components:
  securitySchemes: {key: {type: apiKey, in: header, name: X-Key}}
  parameters:
    Filter: {name: filter, in: query, x-fastvm-key-prefix: 'm.', schema: {type: object}}
  responses:
    Error:
      description: Wrong.
      content:
        application/json: {schema: {$ref: '#/components/schemas/Error'}}
  schemas:
    Color: {type: string, x-fastvm-known-values: [red, green]}
    Error: {type: object, properties: {error: {type: string}}}
    NewThing:
      type: object
      required: [name, size]
      properties:
        name: {type: string, maxLength: 64, description: The name.}
        size: {type: integer, format: int32, minimum: 1}
        mode: {type: string, enum: [rw, ro], x-fastvm-type: Mode}
        secret: {type: string, x-fastvm-secret: true}
        extra: {type: object, additionalProperties: {type: string}}
        login: {$ref: '#/components/schemas/Login'}
    Thing:
      type: object
      required: [id, name]
      properties:
        id: {type: string, format: uuid}
        name: {type: string, maxLength: 64}
        color: {$ref: '#/components/schemas/Color'}
        note: {type: string, nullable: true}
        deep: {type: object, properties: {deeper: {type: array, items: {type: object, properties: {x: {type: string}}}}}}
    Part:
      allOf: [{$ref: '#/components/schemas/Thing'}, {type: object, properties: {weight: {type: number}}}]
    Login:
      oneOf: [{$ref: '#/components/schemas/LoginA'}, {$ref: '#/components/schemas/LoginB'}]
      discriminator: {propertyName: type}
    LoginA: {type: object, properties: {type: {type: string}}}
    LoginB: {type: object, properties: {type: {type: string}}}
"#;

const THINGS: &str = "/paths/~1things";
const SCHEMAS: &str = "/components/schemas";

/// One change of the document: at a pointer, another value, or none.
fn changed(pointer: &str, value: Option<Value>) -> Value {
    let mut document = yaml(DOCUMENT);
    let (above, key) = pointer.rsplit_once('/').expect("a pointer below the root");
    let key = key.replace("~1", "/");
    let above = document
        .pointer_mut(above)
        .unwrap_or_else(|| panic!("{above} is there"));
    match (above, value) {
        (Value::Object(map), Some(value)) => drop(map.insert(key, value)),
        (Value::Object(map), None) => drop(map.remove(&key).expect("it was there")),
        (Value::Array(list), Some(value)) => match key.parse::<usize>() {
            Ok(index) => list[index] = value,
            Err(_) => list.push(value),
        },
        (Value::Array(list), None) => drop(list.remove(key.parse::<usize>().expect("an index"))),
        (other, _) => panic!("{other} holds nothing"),
    }
    document
}

fn worst(old: &Value, new: &Value) -> (Option<Class>, Vec<Change>) {
    let changes = diff(old, new).expect("both can be read");
    (changes.first().map(|change| change.class), changes)
}

#[test]
fn each_single_change_has_its_class_and_its_sentence() {
    use Class::{Breaking, Compatible, Documentation, Unclassified};
    let get = |rest: &str| format!("{THINGS}/get/{rest}");
    let post = |rest: &str| format!("{THINGS}/post/{rest}");
    let new_thing = |rest: &str| format!("{SCHEMAS}/NewThing/{rest}");
    let thing = |rest: &str| format!("{SCHEMAS}/Thing/{rest}");
    let operation = || json!({"operationId": "x", "responses": {"200": {"description": "Yes."}}});
    let body = |schema: &str| {
        let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
        json!({"description": "Yes.", "content": {"application/json": {"schema": schema}}})
    };
    let text = || Some(json!({"type": "string"}));
    // One line each, as a table.
    #[rustfmt::skip]
    let cases: Vec<(String, Option<Value>, Class, &str)> = vec![
        // Operations.
        ("/paths/~1more".into(), Some(json!({"get": operation()})), Compatible, "There is an operation `x` (GET /more)."),
        (get("operationId"), Some(json!("allThings")), Breaking, "`listThings` is called `allThings` now"),
        (format!("{THINGS}/post"), None, Breaking, "`makeThing` (POST /things) is gone"),
        (get("summary"), Some(json!("All")), Documentation, "`summary` of `listThings` reads differently"),
        (get("description"), Some(json!("All")), Documentation, "`description` of `listThings` is new"),
        (get("tags"), Some(json!(["Other"])), Documentation, "`tags` of `listThings` reads differently"),
        (get("deprecated"), Some(json!(true)), Compatible, "`listThings` is deprecated"),
        (get("x-fastvm-method"), Some(json!("things.all")), Breaking, "The method `things.list` of `listThings` is `things.all` now"),
        (post("x-fastvm-stream"), Some(json!("things.stream")), Compatible, "`makeThing` gets the method `things.stream`"),
        (post("x-fastvm-retry"), Some(json!("repeat")), Breaking, "`makeThing` may be sent again"),
        (get("x-fastvm-retry"), Some(json!("once")), Compatible, "`listThings` is sent once"),
        (get("x-fastvm-override"), Some(json!("Things::list")), Documentation, "`x-fastvm-override` of `listThings`"),
        (post("x-fastvm-timeout"), None, Breaking, "request timeout bounds `makeThing` now"),
        (get("callbacks"), Some(json!({"a": {}})), Unclassified, "`callbacks` of `listThings`"),
        (get("x-other"), Some(json!(1)), Unclassified, "`x-other` of `listThings` is `1` in place of nothing"),
        // Parameters.
        (get("parameters/-"), Some(json!({"name": "page", "in": "query", "schema": {"type": "string"}})), Compatible, "`listThings` takes the query parameter `page`"),
        (get("parameters/-"), Some(json!({"name": "page", "in": "query", "required": true, "schema": {"type": "string"}})), Breaking, "`listThings` needs the query parameter `page`"),
        (get("parameters/0"), None, Breaking, "The query parameter `color` of `listThings` is gone"),
        (get("parameters/0/required"), Some(json!(true)), Breaking, "parameter `color` of `listThings` is required now"),
        (get("parameters/1/schema/format"), Some(json!("int64")), Breaking, "has the format `int64` in place of `int32`"),
        (get("parameters/1/schema/default"), Some(json!(20)), Breaking, "has the default `20` in place of `10`"),
        (get("parameters/1/schema/default"), None, Documentation, "has the default nothing"),
        (get("parameters/1/schema/maximum"), Some(json!(50)), Breaking, "has the maximum `50` in place of `100`"),
        (get("parameters/1/schema/maximum"), Some(json!(500)), Compatible, "has the maximum `500`"),
        ("/components/parameters/Filter/x-fastvm-key-prefix".into(), Some(json!("n.")), Breaking, "is sent in another way"),
        // Bodies and answers.
        (post("requestBody/required"), Some(json!(false)), Compatible, "The body of `makeThing` may be left out now"),
        (get("requestBody"), Some(json!({"required": true, "content": {}})), Breaking, "`listThings` needs a body"),
        (post("requestBody/content/text~1plain"), Some(json!({})), Compatible, "The body of `makeThing` can be `text/plain`"),
        (post("requestBody/content/application~1json"), None, Breaking, "cannot be `application/json` any more"),
        (post("responses/202"), Some(body("Thing")), Compatible, "`makeThing` can answer 202."),
        (post("responses/202"), Some(body("Part")), Breaking, "another body than its other successes"),
        (post("responses/201"), None, Breaking, "`makeThing` has no successful answer any more"),
        (post("responses/409"), Some(json!({"description": "No."})), Compatible, "`makeThing` can answer 409."),
        (post("responses/400"), None, Compatible, "does not name the status 400"),
        (get("responses/200/content/application~1x-ndjson"), Some(json!({})), Compatible, "can be `application/x-ndjson`"),
        (get("responses/200/headers/X-Total"), None, Breaking, "has no header `X-Total` any more"),
        (get("responses/200/content/application~1json/schema/items/$ref"), Some(json!("#/components/schemas/Part")), Breaking, "is `Part` in place of `Thing`"),
        // Fields.
        (new_thing("properties/more"), text(), Compatible, "There is a field `NewThing.more`."),
        (thing("properties/deep/properties/deeper/items/properties/y"), text(), Compatible, "There is a field `Thing.deep.deeper[].y`"),
        (thing("properties/note"), None, Breaking, "The field `Thing.note` is gone."),
        (new_thing("required"), Some(json!(["name", "size", "mode"])), Breaking, "The field `NewThing.mode` is required now."),
        (new_thing("required"), Some(json!(["name"])), Breaking, "The field `NewThing.size` is optional now."),
        (new_thing("required"), Some(json!(["size", "name"])), Breaking, "have another order: size, name in place of name, size"),
        (new_thing("properties/size/type"), Some(json!("string")), Breaking, "`NewThing.size` is `string` in place of `integer`"),
        (thing("properties/id/format"), None, Documentation, "`Thing.id` has the format nothing"),
        (thing("properties/note/nullable"), None, Breaking, "`Thing.note` cannot be null any more"),
        (thing("properties/name/nullable"), Some(json!(true)), Breaking, "`Thing.name` can be null now"),
        (new_thing("properties/name/maxLength"), Some(json!(32)), Breaking, "has the maxLength `32` in place of `64`"),
        (thing("properties/name/maxLength"), Some(json!(32)), Compatible, "has the maxLength `32` in place of `64`"),
        (new_thing("properties/size/minimum"), Some(json!(0)), Compatible, "has the minimum `0`"),
        (new_thing("properties/name/pattern"), Some(json!("^a")), Breaking, "has the pattern `^a`"),
        (new_thing("properties/name/description"), Some(json!("Its name.")), Documentation, "`description` of `NewThing.name`"),
        (new_thing("properties/secret/x-fastvm-secret"), None, Breaking, "`NewThing.secret` is shown in debug output now"),
        (thing("properties/name/x-fastvm-secret"), Some(json!(true)), Compatible, "is not shown in debug output"),
        (thing("properties/name/readOnly"), Some(json!(true)), Documentation, "has readOnly `true`"),
        (new_thing("properties/name/readOnly"), Some(json!(true)), Breaking, "has readOnly `true`"),
        (new_thing("properties/extra/additionalProperties"), Some(json!({"type": "integer"})), Breaking, "`NewThing.extra{}` is `integer`"),
        (new_thing("additionalProperties"), Some(json!(false)), Breaking, "`NewThing` takes no other fields"),
        (new_thing("properties/name/not"), Some(json!({})), Unclassified, "`not` of `NewThing.name`"),
        // Values and types.
        (format!("{SCHEMAS}/Color/x-fastvm-known-values/-"), Some(json!("blue")), Compatible, "`Color` has a value `blue`."),
        (format!("{SCHEMAS}/Color/x-fastvm-known-values/0"), None, Breaking, "`Color` has no value `red` any more."),
        (new_thing("properties/mode/enum/-"), Some(json!("wo")), Compatible, "`NewThing.mode` has a value `wo`."),
        (new_thing("properties/mode/x-fastvm-value-names"), Some(json!({"ro": "read"})), Breaking, "The value `ro` of `NewThing.mode` has the name `read` in place of nothing."),
        (new_thing("properties/mode/enum"), None, Breaking, "is any text now"),
        (new_thing("properties/mode/x-fastvm-type"), Some(json!("Access")), Breaking, "has the Rust type `Access`"),
        (format!("{SCHEMAS}/New"), Some(json!({"type": "object"})), Compatible, "There is a type `New`."),
        (format!("{SCHEMAS}/LoginB"), None, Breaking, "The type `LoginB` is gone."),
        (format!("{SCHEMAS}/Login/oneOf/1"), None, Breaking, "`Login` cannot be `LoginB` any more."),
        (format!("{SCHEMAS}/Login/oneOf/-"), Some(json!({"$ref": "#/components/schemas/Error"})), Compatible, "`Login` can be `Error`, too."),
        (format!("{SCHEMAS}/Login/discriminator/propertyName"), Some(json!("kind")), Breaking, "`Login` is told apart by"),
        (format!("{SCHEMAS}/Part/allOf/0"), None, Breaking, "`Part` is not `Thing` any more."),
        // Around them.
        ("/info/version".into(), Some(json!("1.1.0")), Documentation, "`info` of the document reads differently"),
        ("/servers/0/url".into(), Some(json!("https://b.test")), Breaking, "no longer served at `https://a.test`"),
        ("/servers/-".into(), Some(json!({"url": "https://b.test"})), Compatible, "served at `https://b.test`, too"),
        ("/components/securitySchemes/key/name".into(), Some(json!("X-API-Key")), Breaking, "has `X-API-Key` in place of `X-Key` as its `name`"),
        ("/paths/~1things~1{id}~1parts~1{part}/get/security".into(), None, Breaking, "`getPart` needs other credentials"),
        (get("security"), Some(json!([])), Compatible, "`listThings` needs no credentials any more"),
        (get("security"), Some(json!([{"key": []}, {"token": []}])), Compatible, "with other credentials, too"),
        ("/x-top".into(), Some(json!(1)), Unclassified, "`x-top` of the document"),
    ];
    assert!(cases.len() >= 40);
    let old = yaml(DOCUMENT);
    for (pointer, value, class, part) in cases {
        let new = changed(&pointer, value.clone());
        let (found, changes) = worst(&old, &new);
        assert_eq!(found, Some(class), "{pointer} = {value:?}: {changes:#?}");
        let sentences: Vec<_> = changes
            .iter()
            .map(|change| change.sentence.as_str())
            .collect();
        assert!(
            changes
                .iter()
                .any(|change| change.class == class && change.sentence.contains(part)),
            "{pointer}: {part:?} is in none of {sentences:#?}"
        );
    }
}

#[test]
fn a_document_does_not_differ_from_itself_whatever_the_order_of_its_keys() {
    let old = yaml(DOCUMENT);
    assert_eq!(diff(&old, &old).unwrap(), []);
    let mut new = old.clone();
    let schemas = new
        .pointer_mut("/components/schemas")
        .unwrap()
        .as_object_mut()
        .unwrap();
    let reversed: Vec<_> = std::mem::take(schemas).into_iter().rev().collect();
    schemas.extend(reversed);
    assert_eq!(diff(&old, &new).unwrap(), []);
}

#[test]
fn what_moves_or_is_renamed_is_told_as_such() {
    let old = yaml(DOCUMENT);
    let new = yaml(&DOCUMENT.replace("  /things:", "  /items:"));
    let (class, changes) = worst(&old, &new);
    assert_eq!(class, Some(Class::Breaking));
    assert_eq!(
        changes[0].sentence,
        "`listThings` is GET /items in place of GET /things."
    );

    let new = yaml(&DOCUMENT.replace("LoginB", "LoginC"));
    let (_, changes) = worst(&old, &new);
    let sentences: Vec<_> = changes
        .iter()
        .map(|change| change.sentence.as_str())
        .collect();
    assert!(
        sentences.contains(&"The type `LoginB` is called `LoginC` now."),
        "{sentences:#?}"
    );

    let new = yaml(&DOCUMENT.replace("/things/{id}/parts/{part}", "/things/{part}/parts/{id}"));
    let (class, changes) = worst(&old, &new);
    assert_eq!(class, Some(Class::Breaking));
    assert!(
        changes[0]
            .sentence
            .contains("are part, id in place of id, part"),
        "{changes:#?}"
    );
}

#[test]
fn an_added_required_field_is_told_once_for_all_who_use_the_type() {
    let new = changed(
        "/components/schemas/Thing/properties/size",
        Some(json!({"type": "integer"})),
    );
    let (_, changes) = worst(&yaml(DOCUMENT), &new);
    assert_eq!(changes.len(), 1, "{changes:#?}");
    assert_eq!(
        changes[0].pointer,
        "/components/schemas/Thing/properties/size"
    );
}

#[test]
fn a_report_counts_and_sorts_by_what_matters() {
    let new = changed("/paths/~1things/get/operationId", Some(json!("allThings")));
    let changes = diff(&yaml(DOCUMENT), &new).unwrap();
    let text = print(&changes, Format::Text);
    assert!(text.starts_with("breaking"), "{text}");
    assert!(text.contains("1 breaking, 0 unclassified"), "{text}");
    let markdown = print(&changes, Format::Markdown);
    assert!(markdown.starts_with("### Breaking\n\n- The operation `listThings` is called"));
    let list: Value = serde_json::from_str(&print(&changes, Format::Json)).unwrap();
    assert_eq!(list[0]["class"], "breaking");
    assert_eq!(
        print(&[], Format::Markdown),
        "The documents do not differ.\n"
    );
}
