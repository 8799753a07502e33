//! Services of VMs.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::*;

async fn delete(api: &Api, path: &str) -> (u16, String) {
    let response = api.request(Method::DELETE, path).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn services_are_listed_by_name_and_open_the_firewall() {
    let api = Api::start().await;
    let vm = api.vm().await;
    let path = format!("{vm}/services");
    assert_eq!(api.get(&path).await, (200, json!([])));
    let web = json!({"name": "web", "port": 8080, "h2c": false});
    let grpc = json!({"name": "grpc-2", "port": 9090, "h2c": true});
    let asked = json!({"name": "web", "port": 8080});
    assert_eq!(api.post(&path, asked).await, (201, web.clone()));
    assert_eq!(api.post(&path, grpc.clone()).await, (201, grpc.clone()));
    assert_eq!(api.get(&path).await, (200, json!([grpc, web])));

    let shown = api.get(&vm).await.1;
    let rules = shown["effectiveFirewall"]["ingress"]["rules"].as_array();
    let descriptions: Vec<_> = rules
        .unwrap()
        .iter()
        .map(|rule| &rule["description"])
        .collect();
    assert_eq!(
        descriptions,
        ["auto: proxy service grpc-2", "auto: proxy service web"]
    );
    assert_eq!(shown.get("firewall"), None);

    let web = format!("{path}/web");
    assert_eq!(delete(&api, &web).await, (204, String::new()));
    assert_eq!(delete(&api, &web).await, (204, String::new()));
    let too_long = format!("{path}/{}", "a".repeat(30));
    assert_eq!(delete(&api, &too_long).await.0, 400);
    assert_eq!(api.get(&path).await.1.as_array().map(Vec::len), Some(1));
    let rules = &api.get(&vm).await.1["effectiveFirewall"]["ingress"]["rules"];
    assert_eq!(rules.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_name_is_registered_again_only_as_it_is_and_updated_to_anything() {
    let api = Api::start().await;
    let path = format!("{}/services", api.vm().await);
    let web = json!({"name": "web", "port": 8080, "h2c": true});
    assert_eq!(api.post(&path, web.clone()).await, (201, web.clone()));
    assert_eq!(api.post(&path, web.clone()).await, (201, web.clone()));
    for other in [
        json!({"name": "web", "port": 8081, "h2c": true}),
        json!({"name": "web", "port": 8080}),
    ] {
        assert_eq!(api.post(&path, other).await.0, 409);
    }
    let one = format!("{path}/web");
    let moved = json!({"name": "web", "port": 8081, "h2c": false});
    assert_eq!(
        api.put_json(&one, json!({"port": 8081})).await,
        (200, moved)
    );
    let (status, new) = api
        .put_json(&format!("{path}/new"), json!({"port": 1024}))
        .await;
    assert_eq!(
        (status, new),
        (200, json!({"name": "new", "port": 1024, "h2c": false}))
    );
}

#[tokio::test]
async fn names_ports_and_numbers_have_limits() {
    let api = Api::start().await;
    let path = format!("{}/services", api.vm().await);
    let refused = |(status, refusal): (u16, Value), field: &str| {
        assert_eq!(status, 400, "{refusal}");
        assert!(
            refusal["error"].as_str().unwrap().starts_with(field),
            "{refusal}"
        );
    };
    for name in ["", "Web", "a--b", "-a", "a-", "a.b"] {
        refused(
            api.post(&path, json!({"name": name, "port": 8080})).await,
            "name: ",
        );
    }
    for port in [1023, 0, -1, 65536] {
        refused(
            api.post(&path, json!({"name": "web", "port": port})).await,
            "port: ",
        );
        refused(
            api.put_json(&format!("{path}/web"), json!({"port": port}))
                .await,
            "port: ",
        );
    }
    refused(
        api.put_json(&format!("{path}/A"), json!({"port": 8080}))
            .await,
        "name: ",
    );
    for number in 0..16 {
        let service = json!({"name": format!("s{number}"), "port": 2000 + number});
        assert_eq!(api.post(&path, service).await.0, 201);
    }
    let one_more = json!({"name": "one-more", "port": 3000});
    assert_eq!(api.post(&path, one_more).await.0, 409);
    assert_eq!(
        api.put_json(&format!("{path}/one-more"), json!({"port": 3000}))
            .await
            .0,
        409
    );
}

#[tokio::test]
async fn a_vm_takes_services_before_it_runs_but_not_after_it_failed() {
    let api = Api::start().await;
    let boot = |how| json!({"machineType": "c1m2", "metadata": {"fastvm-local/boot": how}});
    let booting = api.launch(boot("never")).await;
    let failed = api.launch(boot("error")).await;
    eventually!("the boot fails", api.status_of(&failed).await == "error");
    let web = json!({"name": "web", "port": 8080});
    assert_eq!(
        api.post(&format!("{booting}/services"), web.clone())
            .await
            .0,
        201
    );
    let (status, refusal) = api.post(&format!("{failed}/services"), web.clone()).await;
    assert_eq!(
        (status, refusal),
        (409, json!({"error": "the VM is error"}))
    );
    assert_eq!(api.post("/v1/vms/x/services", web).await.0, 404);
}
