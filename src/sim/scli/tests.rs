//! Does the simulated cluster keep the product's rules?

use super::*;

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Three hosts; the first leads a cluster, and is logged in.
fn begun() -> Landscape {
    let mut land = Landscape::default();
    for (ip, is_manager) in [("192.0.2.1", true), ("192.0.2.2", true), ("192.0.2.3", false), ("192.0.2.4", true)] {
        land.install(ip, is_manager);
    }
    for (line, typed) in [
        (
            "--create_mdm_cluster --master_mdm_ip 192.0.2.1 --master_mdm_name m1 --accept_license --approve_certificate",
            &[][..],
        ),
        ("--login --username admin --approve_certificate", &["admin"]),
        ("--set_password", &["admin", "s3cret", "s3cret"]),
        ("--login --username admin --password s3cret", &[]),
    ] {
        let ended = land.scli("192.0.2.1", &words(line), typed);
        assert_eq!(ended.status, 0, "{line}: {}", ended.text);
    }
    land
}

fn does(land: &mut Landscape, from: &str, line: &str) -> Ended {
    land.scli(from, &words(line), &[])
}

#[test]
fn three_hosts_become_a_cluster_and_survive_the_loss_of_the_one_that_leads() {
    let mut land = begun();
    for line in [
        "--add_standby_mdm --new_mdm_ip 192.0.2.2 --mdm_role manager --new_mdm_name m2",
        "--add_standby_mdm --new_mdm_ip 192.0.2.3 --mdm_role tb --new_mdm_name t1",
        "--switch_cluster_mode --cluster_mode 3_node --add_slave_mdm_name m2 --add_tb_name t1",
        "--rename_system --new_name prod",
    ] {
        assert_eq!(does(&mut land, "192.0.2.1", line).status, 0, "{line}");
    }
    let told = land.told("192.0.2.3").unwrap();
    assert!(told.contains("Name: prod, Mode: 3_node, State: Normal, Active: 3/3, Replicas: 2/2"), "{told}");
    land.power("192.0.2.1", false);
    let told = land.told("192.0.2.3").unwrap();
    assert!(told.contains("State: Degraded, Active: 2/3") && told.contains("Master MDM:\n    Name: m2"), "{told}");
    land.power("192.0.2.3", false);
    assert_eq!(land.told("192.0.2.2"), None, "one of three leads nobody");
    assert_eq!(does(&mut land, "192.0.2.2", "--query_cluster").status, 7);
}

#[test]
fn what_the_product_refuses_is_refused_and_changes_nothing() {
    let mut land = begun();
    does(&mut land, "192.0.2.1", "--add_standby_mdm --new_mdm_ip 192.0.2.2 --mdm_role manager --new_mdm_name m2");
    let before = land.changes.clone();
    for (from, line, text) in [
        ("192.0.2.3", "--query_cluster", "not attached"),
        ("192.0.2.2", "--query_cluster", "Standby"),
        ("192.0.2.3", "--rename_system --new_name x --mdm_ip 192.0.2.1", "Invalid session"),
        ("192.0.2.1", "--login --username admin --password admin", "Wrong user name or password"),
        ("192.0.2.1", "--add_standby_mdm --new_mdm_ip 192.0.2.2 --mdm_role manager --new_mdm_name m9", "same IP"),
        ("192.0.2.1", "--add_standby_mdm --new_mdm_ip 192.0.2.4 --mdm_role manager --new_mdm_name m2", "same name"),
        (
            "192.0.2.1",
            "--add_standby_mdm --new_mdm_ip 192.0.2.3 --mdm_role manager --new_mdm_name m3",
            "Wrong MDM role",
        ),
        ("192.0.2.1", "--switch_cluster_mode --cluster_mode 3_node --add_slave_mdm_name m2", "Wrong number"),
        (
            "192.0.2.1",
            "--replace_cluster_mdm --add_slave_mdm_name m2 --remove_slave_mdm_name m1 --allow_leave_failed --i_am_sure",
            "Master",
        ),
        ("192.0.2.1", "--remove_standby_mdm --remove_mdm_name m1", "cannot be removed"),
        (
            "192.0.2.1",
            "--create_mdm_cluster --master_mdm_ip 192.0.2.1 --master_mdm_name m1 --accept_license --approve_certificate",
            "already configured",
        ),
        ("192.0.2.9", "--query_cluster", "Failed to connect"),
        ("192.0.2.1", "--polish", "unknown command"),
    ] {
        let ended = does(&mut land, from, line);
        assert!(ended.status != 0 && ended.text.contains(text), "{line}: {ended:?}");
    }
    assert_eq!(land.changes, before);
}

#[test]
fn nothing_is_done_before_the_first_password_is_changed() {
    let mut land = Landscape::default();
    land.install("192.0.2.1", true);
    does(
        &mut land,
        "192.0.2.1",
        "--create_mdm_cluster --master_mdm_ip 192.0.2.1 --master_mdm_name m1 --accept_license --approve_certificate",
    );
    does(&mut land, "192.0.2.1", "--login --username admin --password admin");
    let ended = does(&mut land, "192.0.2.1", "--rename_system --new_name prod");
    assert!(ended.text.contains("password change"), "{ended:?}");
}
