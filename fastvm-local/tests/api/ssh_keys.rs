//! The user's SSH keys.

use fastvm_local::Server;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::*;

const PATH: &str = "/v1/me/ssh-keys";

/// Of each type that is supported a key, and its fingerprint as `ssh-keygen -l` shows it.
#[rustfmt::skip]
const KEYS: [(&str, &str); 7] = [
    (
        "SHA256:CICmSCEHDQ5eOXYVKFhuZsO1yTRj2uSSpMBiCfobx4w",
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBBFeLzd/RoGA2D7JPqqYtW3S9yD33fTU3Z/ilgVd4lOApzNSRw5l8c9IqW0r+NnWG0GAIP6xyDk0TVcCC+qqMgE=",
    ),
    (
        "SHA256:YUVoBohxUGCRRlV46EEy1jboj+O1ZVkytawBFq+3uLo",
        "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBGx/RqT/SleyRYEV5ZHz4VWSkuUnK23YrY4nFBzryN3zeOLxlwwvkeR+UEX4OLQgsixKkS0Qcw7xKeunuSlxOITIK4NDgtOBLV5C6KqHKsKfUxG3oPJNmGUiNXygevWROw==",
    ),
    (
        "SHA256:KZuqXQCL1kD6cnySWpWVo/jM405Iq50iaur7wS/Nvus",
        "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBACJQQ+EV3HmtANQ9MzjoAbRkixLhcI71izZBaeZ5VtxP5y2vNfQtnTeT37cQbVNaBS2/7+4nICb1lP/xwzAdzN7nwFBAORB7a1roMiLZ4zkhAy51jrHLRWtpEC80VvmDcVNJsNzpDOZjmvp0tbN6W7b9o632qogKP3lVd5VCZXDWDk2fw==",
    ),
    (
        "SHA256:iRhWeSPGMAlPNugSOO5DGBYvz93u9ItCCFOyFZ1AoBw",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDwlS98uCRsVjRmC0W127T1Zr3Oommk3bQB5XR42tvnn",
    ),
    (
        "SHA256:Y84zpj7rTeVUHRojOGYIN5Aij9EGpeXy7IqaEUzJgF8",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDDPBgujFeaavuPca7cl44akKd40mKGMsncRjqlR6K1JLLZhZsoziW5ZMsJTY6O3AVTAVFCqSJqTs7pWrDmNY+4/oGDF06IVdr/fZx+9O/ZFNADYZfEuWGrxi2VZz6SheTkeClBDgR34CzZM7X6T4TLLLsxWUvAU+AgubCiV2YrKic7iLE2uJwE85LClp3WHroIDbnSO/PnfIw/jLpxtVuDBw3I1IZH6l/I6uNSfVnD3PWZbsTMMRfWuMyZZ2JRyCn4004DMGYdB50B63L+wUMiy4eMgQGF5MoDiGBIDbOGtqNDji0hoQGCo+USY/Q6bDecNfyDfcFrQPAex6fWK3XV",
    ),
    (
        "SHA256:/p0CbeE3dk2SyW1OXXsThGc12ezDVD8eGw2/vtztDfk",
        "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDo=",
    ),
    (
        "SHA256:ADtbHm2d46vumnpz1Ex4oW4Q4+anEBvCB7tTt1I7XPM",
        "sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBBFeLzd/RoGA2D7JPqqYtW3S9yD33fTU3Z/ilgVd4lOApzNSRw5l8c9IqW0r+NnWG0GAIP6xyDk0TVcCC+qqMgEAAAAEc3NoOg==",
    ),
];

/// A fingerprint with characters that have a meaning in a path.
const HARD: (&str, &str) = (
    "SHA256:VH8+/O4gp+DtpBRUCbT8jKAUlxWUNj9xx7OleEmdjrM",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOhU10UZtne1B66/XR8exFNXZloQcOZTaMRsXITKMG+Y",
);

impl Api {
    async fn add_key(&self, key: &str) -> (u16, Value) {
        self.post(PATH, json!({"publicKey": key})).await
    }

    async fn fingerprints(&self) -> Vec<String> {
        let (status, answer) = self.get(PATH).await;
        assert_eq!(status, 200);
        let keys = answer["keys"].as_array().unwrap().iter();
        keys.map(|key| key["fingerprint"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn path_of(fingerprint: &str) -> String {
    let segment: String = form_urlencoded::byte_serialize(fingerprint.as_bytes()).collect();
    format!("{PATH}/{segment}")
}

#[tokio::test]
async fn keys_of_every_type_are_known_by_the_fingerprint_that_ssh_shows() {
    let api = Api::start().await;
    assert_eq!(api.get(PATH).await, (200, json!({"keys": []})));
    for (fingerprint, key) in KEYS {
        let (status, added) = api.add_key(&format!("{key} me@host, at home ")).await;
        assert_eq!(status, 200, "{added}");
        assert_eq!(added["fingerprint"], fingerprint);
        assert_eq!(added["publicKey"], key, "without the comment");
        assert!(added["createdAt"].is_string());
        assert_eq!(added.get("name"), None);
        let again = api.add_key(&format!("{key} other comment")).await;
        assert_eq!(again, (409, json!({"error": "ssh key already exists"})));
    }
    let expected = KEYS.map(|(fingerprint, _)| fingerprint.to_owned());
    assert_eq!(api.fingerprints().await, expected, "the oldest first");
}

#[tokio::test]
async fn a_name_is_trimmed_collapsed_and_cut() {
    let api = Api::start().await;
    for (place, (name, expected)) in [
        (json!("  my \t laptop "), json!("my laptop")),
        (json!("ä".repeat(70)), json!("ä".repeat(64))),
        (json!("   "), Value::Null),
        (json!(""), Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"publicKey": KEYS[place].1, "name": name});
        let (status, added) = api.post(PATH, body).await;
        assert_eq!((status, &added["name"]), (200, &expected));
    }
}

#[tokio::test]
async fn what_is_no_key_is_refused_by_its_field() {
    let api = Api::start().await;
    let key = KEYS[3].1;
    let data = key.strip_prefix("ssh-ed25519 ").unwrap();
    for (refused, expected) in [
        (format!("{key}\n"), r"not of the form ^[^\n]*$"),
        (format!("{key}\r\n{key}"), r"not of the form ^[^\n]*$"),
        (String::new(), "not a public key"),
        ("ssh-ed25519".to_owned(), "not a public key"),
        ("ssh-ed25519 AAAA".to_owned(), "not a public key"),
        (data.to_owned(), "not a public key"),
        (key[..key.len() - 4].to_owned(), "not a public key"),
        (format!("ssh-rsa {data}"), "not a public key"),
        (format!("no-pty {key}"), "not a public key"),
        (dsa_key(), "\"ssh-dss\" is not supported"),
        (format!("{key} {}", "x".repeat(20_000)), "more than"),
    ] {
        let (status, refusal) = api.add_key(&refused).await;
        let text = refusal["error"].as_str().unwrap();
        assert_eq!(status, 400, "{refused:?}: {text}");
        assert!(
            text.starts_with("publicKey: ") && text.contains(expected),
            "{refused:?}: {text}"
        );
    }
    assert_eq!(api.post(PATH, json!({"name": "x"})).await.0, 400);
    assert_eq!(api.get(PATH).await.1, json!({"keys": []}));
}

#[tokio::test]
async fn a_user_has_at_most_32_keys() {
    let api = Api::start().await;
    for number in 0..32 {
        assert_eq!(api.add_key(&ed25519_key(number)).await.0, 200);
    }
    let (status, refusal) = api.add_key(&ed25519_key(32)).await;
    assert_eq!(status, 409, "{refusal}");
    assert!(refusal["error"].as_str().unwrap().contains("32 SSH keys"));

    let first = api.fingerprints().await.remove(0);
    assert_eq!(api.delete(&path_of(&first)).await.0, 200);
    assert_eq!(api.add_key(&ed25519_key(32)).await.0, 200);
}

#[tokio::test]
async fn a_key_is_deleted_by_its_fingerprint_as_one_segment() {
    let api = Api::start().await;
    let (fingerprint, key) = HARD;
    api.add_key(KEYS[0].1).await;
    assert_eq!(api.add_key(key).await.1["fingerprint"], fingerprint);
    for unknown in [KEYS[1].0, "x", "SHA256:", "MD5:00", &fingerprint[7..]] {
        let refusal = api.delete(&path_of(unknown)).await;
        assert_eq!(refusal, (404, json!({"error": "no such SSH key"})));
    }
    assert_eq!(api.delete(&format!("{PATH}/%FF")).await.0, 404);

    let path = path_of(fingerprint);
    assert!(path.contains("%3A") && path.contains("%2F") && path.contains("%2B"));
    let deleted = json!({"id": fingerprint, "deleted": true});
    assert_eq!(api.delete(&path).await, (200, deleted));
    assert_eq!(api.delete(&path).await.0, 404);
    assert_eq!(api.fingerprints().await, [KEYS[0].0]);
    let wrong_method = api.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(wrong_method.status(), 405);
}

#[tokio::test]
async fn keys_outlive_a_server_whose_directory_is_named() {
    let state = tempfile::tempdir().unwrap();
    let start = async || {
        let server = Server::builder().state_dir(state.path()).start().await;
        Api::of(server.unwrap())
    };
    let api = start().await;
    let (_, added) = api
        .post(PATH, json!({"publicKey": HARD.1, "name": "laptop"}))
        .await;
    api.add_key(KEYS[0].1).await;
    api.server.stop().await;

    let api = start().await;
    assert_eq!(api.get(PATH).await.1["keys"][0], added);
    assert_eq!(api.add_key(HARD.1).await.0, 409);
    assert_eq!(api.delete(&path_of(HARD.0)).await.0, 200);
    api.server.stop().await;

    assert_eq!(start().await.fingerprints().await, [KEYS[0].0]);
}

#[tokio::test]
async fn prices_need_no_key_and_their_tiers_join() {
    let api = Api::start().await;
    let url = format!("{}/v1/pricing", api.server.base_url());
    let (status, prices) = answer(api.http.get(url)).await;
    assert_eq!(status, 200);
    assert_eq!(prices["volumeStorage"]["ratePerGiBMonth"], "0.10");
    let tiers = prices["compute"]["tiers"].as_array().unwrap();
    let mut begin = 0.0;
    for (tier, number) in tiers.iter().zip(1..) {
        assert_eq!(tier["tier"], number);
        assert_eq!(tier["fromVcpuHours"], begin);
        assert!(tier["ratePerVcpuHour"].as_str().unwrap().starts_with("0."));
        begin = tier["toVcpuHours"].as_f64().unwrap_or(f64::INFINITY) + 1.0;
    }
    let last = tiers.last().unwrap();
    assert_eq!(last.get("toVcpuHours"), Some(&Value::Null));
}

fn ed25519_key(number: u8) -> String {
    openssh("ssh-ed25519", &[&[number; 32]])
}

fn dsa_key() -> String {
    openssh("ssh-dss", &[&[1; 128], &[1; 20], &[1; 128], &[1; 128]])
}

/// A public key of these parts, on one line.
fn openssh(kind: &str, parts: &[&[u8]]) -> String {
    let mut data = Vec::new();
    for part in [&[kind.as_bytes()], parts].concat() {
        data.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        data.extend(part);
    }
    format!("{kind} {}", base64_simd::STANDARD.encode_to_string(data))
}
