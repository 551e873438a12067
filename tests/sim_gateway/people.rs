//! Who may do what, and who makes whom.

use scaleio_framework::sim::{Login, Release};
use serde_json::json;

use crate::caller::{Auth, Caller, start};

const WORD: &str = "Some-word-1";

async fn made(admin: &Caller, name: &str, role: &str, must_change: bool) -> String {
    let body = json!({"name": name, "userRole": role, "password": WORD, "passwordChangeRequired": must_change});
    let answer = admin.post("/api/types/User/instances", body).await;
    answer.json()["id"].as_str().unwrap_or_else(|| panic!("{}", answer.text)).to_owned()
}

fn login(name: &str, password: &str) -> Login {
    Login { user: name.to_owned(), password: password.to_owned() }
}

#[tokio::test]
async fn each_role_may_what_its_name_says() {
    for release in [Release::V2_0, Release::V4_5] {
        let running = start(release).await;
        let anyone = Caller::at(&running.urls()[0]);
        let admin = anyone.login(running.admin()).await;
        let pool = admin.read("/api/types/StoragePool/instances").await[0]["id"].as_str().unwrap().to_owned();
        let mut seen = Vec::new();
        for role in ["Monitor", "Configure", "Administrator", "Security", "FrontendConfig", "BackendConfig"] {
            let name = format!("a-{}", role.to_lowercase());
            made(&admin, &name, role, false).await;
            let caller = anyone.login(&login(&name, WORD)).await;
            caller.read("/api/types/Sds/instances").await;
            let volume = json!({"volumeSizeInKb": "8388608", "storagePoolId": pool, "name": format!("of-{name}")});
            let other = json!({"name": format!("by-{name}"), "userRole": "Monitor", "password": WORD});
            let mut may = String::new();
            for (path, body, letter) in [
                ("/api/types/Volume/instances", volume, 'f'),
                ("/api/types/ProtectionDomain/instances", json!({"name": format!("pd-{name}")}), 'b'),
                ("/api/types/User/instances", other, 'u'),
            ] {
                let answer = caller.post(path, body).await;
                match answer.status.as_u16() {
                    200 => may.push(letter),
                    403 => may.push('-'),
                    _ => panic!("{release} {role} {path}: {}", answer.text),
                }
            }
            seen.push((role, may));
        }
        let wanted = [
            ("Monitor", "---"),
            ("Configure", "fb-"),
            ("Administrator", "fbu"),
            ("Security", "--u"),
            ("FrontendConfig", "f--"),
            ("BackendConfig", "-b-"),
        ];
        assert_eq!(seen, wanted.map(|(role, may)| (role, may.to_owned())), "{release}");
    }
}

#[tokio::test]
async fn a_user_must_change_a_password_that_others_gave_and_is_out_when_removed() {
    let running = start(Release::V3_6).await;
    let anyone = Caller::at(&running.urls()[0]);
    let admin = anyone.login(running.admin()).await;
    let id = made(&admin, "new", "Configure", true).await;
    let caller = anyone.login(&login("new", WORD)).await;
    caller.get("/api/types/Sds/instances").await.refused(500, 249);
    let change = json!({"oldPassword": WORD, "newPassword": "Another-word-2"});
    assert_eq!(caller.post("/api/instances/User/action/setPassword", change).await.text, "{}");
    caller.read("/api/types/Sds/instances").await;
    let with = |password: &str| anyone.with(Auth::Basic("new".to_owned(), password.to_owned()));
    with(WORD).get("/api/login").await.refused(401, 0);
    anyone.login(&login("new", "Another-word-2")).await;

    // What was changed by role counts for the token that is there.
    let role = |role: &str| json!({ "userRole": role });
    let path = format!("/api/instances/User::{id}/action/setUserRole");
    assert_eq!(admin.post(&path, role("Monitor")).await.text, "{}");
    caller.post("/api/types/ProtectionDomain/instances", json!({"name": "mine"})).await.refused(403, 0);
    assert_eq!(admin.post(&format!("/api/instances/User::{id}/action/removeUser"), json!({})).await.text, "{}");
    caller.get("/api/types/Sds/instances").await.refused(401, 0);
}
