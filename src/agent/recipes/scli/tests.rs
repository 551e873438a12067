//! Are commands spelled as they were seen, and is a password in none of them?

use super::*;
use crate::model::mdm::Mode;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn member(name: &str, kind: Kind, ip_text: &str) -> Member {
    Member { name: name.to_owned(), kind, ips: vec![ip(ip_text)], management_ips: Vec::new(), interfaces: Vec::new() }
}

fn shown(change: &Change) -> String {
    command(change, "/l", &[ip("192.0.2.1"), ip("192.0.2.2")]).unwrap().1.shown()
}

#[test]
fn commands_are_spelled_as_they_were_seen() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let rich = Member {
        ips: vec![ip("192.0.2.1"), ip("198.51.100.1")],
        management_ips: vec![ip("203.0.113.1")],
        interfaces: names(&["eth1"]),
        ..member("m1", Kind::Manager, "192.0.2.1")
    };
    for (change, text) in [
        (
            Change::Create { master: rich.clone(), virtual_ips: vec![ip("192.0.2.100")] },
            "scli --create_mdm_cluster --master_mdm_ip 192.0.2.1,198.51.100.1 --master_mdm_name m1 --master_mdm_management_ip 203.0.113.1 --master_mdm_virtual_ip_interface eth1 --cluster_virtual_ip 192.0.2.100 --accept_license --approve_certificate",
        ),
        (
            Change::AddStandby { member: rich },
            "scli --add_standby_mdm --new_mdm_ip 192.0.2.1,198.51.100.1 --mdm_role manager --new_mdm_name m1 --new_mdm_management_ip 203.0.113.1 --new_mdm_virtual_ip_interface eth1 --approve_certificate --mdm_ip 192.0.2.1,192.0.2.2",
        ),
        (
            Change::AddStandby { member: member("t1", Kind::TieBreaker, "192.0.2.3") },
            "scli --add_standby_mdm --new_mdm_ip 192.0.2.3 --mdm_role tb --new_mdm_name t1 --approve_certificate --mdm_ip 192.0.2.1,192.0.2.2",
        ),
        (
            Change::SwitchMode { mode: Mode::Five, managers: names(&["m2", "m3"]), tie_breakers: names(&["t1", "t2"]) },
            "scli --switch_cluster_mode --cluster_mode 5_node --add_slave_mdm_name m2,m3 --add_tb_name t1,t2 --mdm_ip 192.0.2.1,192.0.2.2",
        ),
        (
            Change::Replace { lost: "m2".to_owned(), by: "m4".to_owned(), kind: Kind::Manager },
            "scli --replace_cluster_mdm --add_slave_mdm_name m4 --remove_slave_mdm_name m2 --allow_leave_failed --i_am_sure --mdm_ip 192.0.2.1,192.0.2.2",
        ),
        (
            Change::Replace { lost: "t1".to_owned(), by: "t2".to_owned(), kind: Kind::TieBreaker },
            "scli --replace_cluster_mdm --add_tb_name t2 --remove_tb_name t1 --allow_leave_failed --i_am_sure --mdm_ip 192.0.2.1,192.0.2.2",
        ),
        (
            Change::RemoveStandby { name: "m2".to_owned() },
            "scli --remove_standby_mdm --remove_mdm_name m2 --mdm_ip 192.0.2.1,192.0.2.2",
        ),
        (
            Change::Rename { name: "prod".to_owned() },
            "scli --rename_system --new_name prod --mdm_ip 192.0.2.1,192.0.2.2",
        ),
    ] {
        assert_eq!(shown(&change), text);
    }
    assert!(command(&Change::Look, "", &[]).is_none());
}

#[test]
fn a_password_is_typed_and_seen_in_no_text() {
    let (old, new) = (Hidden::new("admin"), Hidden::new("hunter2"));
    for in_sight in [false, true] {
        for call in [login(&new, in_sight, &[]), set_password(&old, &new, in_sight, &[])] {
            let text = format!("{} {call:?}", call.shown());
            assert!(!text.contains("hunter2"), "{text}");
            assert_eq!(call.typed.is_empty(), in_sight);
            assert_eq!(call.hidden_args.is_empty(), !in_sight);
        }
    }
}

#[test]
fn a_no_of_the_mdm_is_told_from_no_answer() {
    let output = |status, stdout: &str, stderr: &str| Output {
        status: Some(status),
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
    };
    assert_eq!(said(&output(0, "Logged in", "")), Said::Good("Logged in".to_owned()));
    let text = "Error: MDM failed command.  Status: This MDM is not attached to a system.";
    let refused = Said::Refused(Refusal::Free, "This MDM is not attached to a system.".to_owned());
    assert_eq!(said(&output(7, "", text)), refused, "on the error's way");
    assert_eq!(said(&output(7, text, "")), refused, "on a terminal there is one way");
    assert_eq!(said(&output(1, text, "")), refused, "the words count more than the status");
    assert!(matches!(said(&output(7, "", "")), Said::Refused(Refusal::Other, _)));
    assert!(matches!(said(&output(1, "", "Error: Failed to connect to MDM 192.0.2.1")), Said::NoAnswer(_)));
}
