//! Which commands are given to ScaleIO, and how well is each of them known?
//!
//! No ScaleIO was at hand when this was written. A command that was only
//! concluded from others is never given unless a person has accepted it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::alerting::StepKind;
use super::version::Generation;

/// How well something is known. Better is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Concluded from other facts, never seen.
    Inferred,
    /// Read in documentation or a report.
    Documented,
    /// Seen in a program that people run.
    Seen,
}

impl Evidence {
    /// Whether a person must accept it before it is used.
    pub const fn is_unproven(self) -> bool {
        matches!(self, Self::Inferred)
    }

    /// Its word in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inferred => "inferred",
            Self::Documented => "documented",
            Self::Seen => "seen",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How well the request, or the command, of a step of the work is known in a generation.
pub const fn of_step(step: StepKind, generation: Generation) -> Evidence {
    let is_old = matches!(generation, Generation::V2_0 | Generation::V2_5 | Generation::V3_0);
    match step {
        // Described for releases from 3.5 on; that earlier ones take the same was concluded.
        StepKind::EnterMaintenance | StepKind::ExitMaintenance | StepKind::Finalise if is_old => Inferred,
        StepKind::EnterMaintenance | StepKind::ExitMaintenance | StepKind::Finalise | StepKind::KeepSds => Documented,
        _ => Seen,
    }
}

/// Generations whose MDM cluster and nodes we work on, the oldest first.
pub const GENERATIONS: [Generation; 4] = [Generation::V2_0, Generation::V2_5, Generation::V3_0, Generation::V3_5];

use Evidence::{Documented, Inferred, Seen};

/// In all of them alike.
const SEEN: [Option<Evidence>; 4] = [Some(Seen); 4];
const INFERRED: [Option<Evidence>; 4] = [Some(Inferred); 4];

macro_rules! commands {
    ($($(#[doc = $doc:literal])* $name:ident $word:literal $shown:literal $evidence:expr, $source:literal;)*) => {
        /// A command, or a file of the product that is changed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Command {
            $($(#[doc = $doc])* $name,)*
        }

        impl Command {
            /// All of them, in the order of the table in the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its word, by which a person accepts it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// How it is written, in short.
            pub const fn shown(self) -> &'static str {
                match self { $(Self::$name => $shown,)* }
            }

            /// What is known by, for people.
            pub const fn source(self) -> &'static str {
                match self { $(Self::$name => $source,)* }
            }

            const fn marks(self) -> [Option<Evidence>; 4] {
                match self { $(Self::$name => $evidence,)* }
            }
        }
    };
}

commands! {
    /// Asks for the members and their state.
    QueryCluster "query_cluster" "scli --query_cluster --approve_certificate"
        [Some(Seen), Some(Seen), Some(Seen), Some(Documented)],
        "Puppet modules and a monitoring plug-in read it; the layout of 3.5 and later was not seen";
    /// Makes a cluster of one member.
    CreateCluster "create_mdm_cluster"
        "scli --create_mdm_cluster --master_mdm_ip .. --master_mdm_name .. --accept_license --approve_certificate"
        SEEN, "the original framework, Puppet modules, the vendor's Ansible roles";
    /// Gives a new cluster addresses that move with the leadership, and each manager interfaces for them.
    VirtualIps "cluster_virtual_ip"
        "scli --create_mdm_cluster .. --master_mdm_virtual_ip_interface .. --cluster_virtual_ip .., --add_standby_mdm .. --new_mdm_virtual_ip_interface .."
        SEEN, "Puppet modules, the vendor's Ansible roles, scripts for 2.x";
    /// Logs in with the password among the arguments, where everybody on the node can read it.
    Login "login" "scli --login --username admin --password .."
        SEEN, "the original framework, Puppet modules, the vendor's Ansible roles";
    /// Logs in with the password typed at a prompt.
    LoginAtPrompt "login_at_prompt" "scli --login --username admin (the password at its prompt)"
        INFERRED, "the MDM can refuse passwords among arguments, so there is a prompt; no program seen uses it";
    /// Ends the session.
    Logout "logout" "scli --logout"
        [Some(Seen), Some(Seen), Some(Documented), Some(Documented)], "a Puppet module";
    /// Sets the administrator's password, with both among the arguments.
    SetPassword "set_password" "scli --set_password --old_password .. --new_password .."
        SEEN, "the original framework, Puppet modules, the vendor's Ansible roles";
    /// Sets the administrator's password, typed at prompts.
    SetPasswordAtPrompt "set_password_at_prompt" "scli --set_password (both passwords at its prompts)"
        INFERRED, "as the login at a prompt";
    /// Lets a member stand by.
    AddStandby "add_standby_mdm"
        "scli --add_standby_mdm --new_mdm_ip .. --mdm_role manager|tb --new_mdm_name .. --approve_certificate"
        SEEN, "the original framework, Puppet modules, the vendor's Ansible roles";
    /// Lets a member stand by that was in this cluster before.
    AddStandbyAgain "add_standby_mdm_force_clean" "scli --add_standby_mdm .. --force_clean --i_am_sure"
        [Some(Seen), Some(Seen), Some(Inferred), Some(Inferred)], "a Puppet module does it always; we only when the MDM says why";
    /// Changes the number of members that vote.
    SwitchMode "switch_cluster_mode"
        "scli --switch_cluster_mode --cluster_mode 3_node|5_node --add_slave_mdm_name .. --add_tb_name .."
        SEEN, "the original framework, Puppet modules, the vendor's Ansible roles";
    /// Puts a member that stands by in the place of a lost one.
    ReplaceMember "replace_cluster_mdm"
        "scli --replace_cluster_mdm --add_slave_mdm_name|--add_tb_name .. --remove_slave_mdm_name|--remove_tb_name .. --allow_leave_failed --i_am_sure"
        [Some(Seen), Some(Seen), Some(Inferred), Some(Inferred)], "a Puppet module for 2.x";
    /// Takes a member out that stands by.
    RemoveStandby "remove_standby_mdm" "scli --remove_standby_mdm --remove_mdm_name .."
        SEEN, "Puppet modules, the vendor's Ansible roles";
    /// Names the system.
    RenameSystem "rename_system" "scli --rename_system --new_name .."
        SEEN, "the original framework, the vendor's Ansible roles";
    /// Gives the system its licence.
    SetLicence "set_license" "scli --set_license --license_file .."
        [Some(Seen), Some(Seen), Some(Documented), Some(Documented)], "a Puppet module";
    /// Lets another manager lead.
    SwitchOwnership "switch_mdm_ownership" "scli --switch_mdm_ownership --new_master_mdm_name .."
        INFERRED, "concluded from the 4.x spelling; the gateway's changeMdmOwnership is the seen way";
    /// Changes what an MDM is, before it is in a cluster.
    SetRole "mdm_role" "actor_role_is_manager= in /opt/emc/scaleio/mdm/cfg/conf.txt, restart of mdm"
        [Some(Seen), Some(Seen), Some(Inferred), Some(Inferred)], "Puppet modules; the vendor says that a role changes by a new installation only";
    /// Tells LIA to which system it belongs.
    LinkLia "lia_installation_id" "/opt/emc/scaleio/lia/cfg/installation_id.txt, restart of lia"
        [Some(Seen), Some(Inferred), Some(Inferred), Some(Inferred)], "the original framework";
    /// Tells a gateway the managers.
    ConnectGateway "gateway_mdm_addresses" "mdm.ip.addresses= in gatewayUser.properties, restart of scaleio-gateway"
        SEEN, "the original framework, Puppet modules, the vendor's Ansible roles";
    /// Runs the driver by which tasks of Mesos get volumes.
    VolumeDriver "volume_driver" "scaleio section in /etc/rexray/config.yml, rexray start -f as a service, dvdcli"
        [Some(Seen), Some(Inferred), Some(Inferred), Some(Inferred)],
        "the original framework and recipes for test systems of 2.0; REX-Ray ended before 3.0";
    /// Loads the SDC's module on a host without packages.
    BareSdc "bare_sdc" "insmod scini.ko, mknod /dev/scini, drv_cfg --load_cfg_file"
        [Some(Seen), Some(Inferred), Some(Inferred), Some(Inferred)], "a BOSH release for 2.0";
    /// Runs an SDS as a plain process on a host without packages.
    BareSds "bare_sds" "sds --log_dir=.. --conf_file=.."
        [Some(Seen), Some(Inferred), Some(Inferred), Some(Inferred)], "a BOSH release for 2.0";
}

impl Command {
    /// How well it is known in a generation; none: it is not used there.
    pub fn evidence(self, generation: Generation) -> Option<Evidence> {
        let at = GENERATIONS.iter().position(|known| *known == generation)?;
        self.marks().get(at).copied().flatten()
    }

    /// The command of a word; none: another release has it.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|command| command.as_str() == word)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a command may be given, as far as its evidence goes. The error is for people.
pub fn may(command: Command, generation: Generation, is_accepted: bool) -> Result<(), String> {
    match command.evidence(generation) {
        None => {
            Err(format!("{command} is not given to release {generation}: its MDM cluster is made by PowerFlex Manager"))
        }
        Some(evidence) if evidence.is_unproven() && !is_accepted => Err(format!(
            "{command} was never seen for release {generation} ({}); nothing was done. Try it by hand, then accept it by its name",
            command.source()
        )),
        Some(_) => Ok(()),
    }
}

/// The table of the documentation.
pub fn table() -> String {
    let mut text = String::from(
        "| name | written as | 2.0 | 2.5, 2.6 | 3.0 | 3.5, 3.6 | known by |\n|---|---|---|---|---|---|---|\n",
    );
    for command in Command::ALL {
        let marks: Vec<&str> = command.marks().iter().map(|mark| mark.map_or("-", Evidence::as_str)).collect();
        let shown = command.shown().replace('|', "\\|");
        text.push_str(&format!("| `{command}` | `{shown}` | {} | {} |\n", marks.join(" | "), command.source()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_only_concluded_waits_for_a_person_and_4_x_is_refused() {
        assert_eq!(may(Command::CreateCluster, Generation::V3_5, false), Ok(()));
        let why = may(Command::SwitchOwnership, Generation::V3_0, false).unwrap_err();
        assert!(why.contains("switch_mdm_ownership") && why.contains("3.0"), "{why}");
        assert_eq!(may(Command::SwitchOwnership, Generation::V3_0, true), Ok(()));
        let why = may(Command::CreateCluster, Generation::V4, true).unwrap_err();
        assert!(why.contains("4.x") && why.contains("PowerFlex Manager"), "{why}");
    }

    #[test]
    fn every_command_has_a_word_of_its_own() {
        for command in Command::ALL {
            assert_eq!(Command::of(command.as_str()), Some(*command));
        }
        assert_eq!(Command::of("polish"), None);
    }
}
