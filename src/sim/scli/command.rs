//! What does each command do, and when does the MDM say no?

use std::collections::BTreeMap;

use super::{Cluster, Ended, Landscape, Member, good, refuse};

/// Options by name; those without a value are empty.
pub(super) type Options = BTreeMap<String, String>;

const NO_SESSION: &str = "Invalid session. Please login and try again.";
const CHANGE_FIRST: &str = "A password change is required before other commands";

/// The command and its options. None: an argument that is no option.
pub(super) fn parse<'a>(argv: &[&'a str]) -> Option<(&'a str, Options)> {
    let (first, rest) = argv.split_first()?;
    let verb = first.strip_prefix("--")?;
    let mut options = Options::new();
    let mut last: Option<&str> = None;
    for word in rest {
        match (word.strip_prefix("--"), last) {
            (Some(name), _) => {
                options.insert(name.to_owned(), String::new());
                last = Some(name);
            }
            (None, Some(name)) => {
                options.insert(name.to_owned(), (*word).to_owned());
                last = None;
            }
            (None, None) => return None,
        }
    }
    Some((verb, options))
}

fn list(options: &Options, name: &str) -> Vec<String> {
    let value = options.get(name).map(String::as_str).unwrap_or_default();
    value.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn has(options: &Options, name: &str) -> bool {
    options.contains_key(name)
}

/// The value of an option, or what is typed at its prompt.
fn password<'a>(options: &'a Options, name: &str, typed: &mut impl Iterator<Item = &'a str>) -> Option<&'a str> {
    options.get(name).map(String::as_str).or_else(|| typed.next())
}

impl Landscape {
    pub(super) fn command(
        &mut self,
        from: &str,
        target: Option<usize>,
        verb: &str,
        options: &Options,
        typed: &[&str],
    ) -> Ended {
        // Each one is asked for by name; others are unknown to us as to the product.
        let Some(number) = target else {
            return match verb {
                "create_mdm_cluster" => self.create(from, options),
                _ => refuse("This MDM is not attached to a system."),
            };
        };
        let mut typed = typed.iter().copied();
        let session = (from.to_owned(), number);
        let Some(cluster) = self.clusters.get_mut(number) else { return refuse("no such cluster") };
        match verb {
            "query_cluster" => return good(self.shown(number)),
            "create_mdm_cluster" => return refuse("The Master MDM is already configured"),
            "login" => {
                let given = password(options, "password", &mut typed);
                if options.get("username").map(String::as_str) != Some("admin")
                    || given != Some(cluster.password.as_str())
                {
                    return refuse("Wrong user name or password");
                }
                self.sessions.insert(session);
                return good("Logged in. User role is SuperUser. System ID is 4c8a0b2300000001\n");
            }
            "logout" => {
                self.sessions.remove(&session);
                return good("Logged out\n");
            }
            _ if !self.sessions.contains(&session) => return refuse(NO_SESSION),
            "set_password" => {
                let (old, new) = (
                    password(options, "old_password", &mut typed).map(str::to_owned),
                    password(options, "new_password", &mut typed).map(str::to_owned),
                );
                // Typed ones are typed twice.
                if !has(options, "new_password") && typed.next().map(str::to_owned) != new {
                    return refuse("The passwords do not match");
                }
                if old.as_deref() != Some(cluster.password.as_str()) {
                    return refuse("The old password does not match");
                }
                let Some(new) = new.filter(|new| new.len() >= 6) else { return refuse("The password is too short") };
                cluster.password = new;
                cluster.is_first_password = false;
                // Who changes it is logged out, everywhere.
                self.sessions.retain(|(_, other)| *other != number);
                self.changes.push("set_password".to_owned());
                return good("Password changed successfully\n");
            }
            _ if cluster.is_first_password => return refuse(CHANGE_FIRST),
            _ => {}
        }
        match verb {
            "add_standby_mdm" => self.add_standby(number, options),
            "switch_cluster_mode" => self.switch(number, options),
            "replace_cluster_mdm" => self.replace(number, options),
            "remove_standby_mdm" => self.remove(number, options),
            "rename_system" => {
                let name = options.get("new_name").cloned().unwrap_or_default();
                let Some(cluster) = self.clusters.get_mut(number) else { return refuse("no such cluster") };
                if cluster.name.as_ref() == Some(&name) {
                    return refuse("System name already in use");
                }
                cluster.name = Some(name.clone());
                self.changes.push(format!("rename {name}"));
                good(format!("Successfully renamed system to {name}\n"))
            }
            "set_license" => {
                let Some(cluster) = self.clusters.get_mut(number) else { return refuse("no such cluster") };
                cluster.licence = options.get("license_file").cloned();
                self.changes.push("licence".to_owned());
                good("Successfully set the license\n")
            }
            "switch_mdm_ownership" => self.hand_over(number, options),
            _ => Ended { status: 1, text: format!("scli: unknown command {verb}\n") },
        }
    }

    fn next_id(&mut self) -> u64 {
        self.ids += 1;
        0x0ecb_4838_5383_5e00 + self.ids
    }

    fn create(&mut self, from: &str, options: &Options) -> Ended {
        if !has(options, "accept_license") || !has(options, "approve_certificate") {
            return Ended { status: 1, text: "the license and the certificate must be accepted\n".to_owned() };
        }
        let ips = list(options, "master_mdm_ip");
        let Some(name) = options.get("master_mdm_name").filter(|name| !name.is_empty()).cloned() else {
            return Ended { status: 1, text: "--master_mdm_name is missing\n".to_owned() };
        };
        let is_own = ips.iter().any(|ip| self.home(ip) == self.home(from));
        if !is_own || !self.station(from).is_some_and(|station| station.is_manager) {
            return refuse("Wrong MDM role");
        }
        let (virtual_ips, interfaces) =
            (list(options, "cluster_virtual_ip"), list(options, "master_mdm_virtual_ip_interface"));
        if virtual_ips.len() != interfaces.len() {
            return Ended { status: 1, text: "each virtual IP needs an interface\n".to_owned() };
        }
        let id = self.next_id();
        let management_ips = list(options, "master_mdm_management_ip");
        let master = Member { name: name.clone(), id, ips, management_ips, is_manager: true, votes: true, interfaces };
        let cluster = Cluster {
            password: "admin".to_owned(),
            is_first_password: true,
            members: vec![master],
            master: id,
            virtual_ips,
            ..Cluster::default()
        };
        let number = self.clusters.len();
        self.clusters.push(cluster);
        if let Some(station) = self.station_mut(from) {
            station.bound = Some(number);
        }
        self.changes.push(format!("create {name}"));
        good("Successfully created the MDM Cluster.\n")
    }

    fn add_standby(&mut self, number: usize, options: &Options) -> Ended {
        let ips = list(options, "new_mdm_ip");
        let (Some(name), Some(role)) = (options.get("new_mdm_name").cloned(), options.get("mdm_role").cloned()) else {
            return Ended { status: 1, text: "--new_mdm_name and --mdm_role are needed\n".to_owned() };
        };
        let forced = has(options, "force_clean") && has(options, "i_am_sure");
        let Some(cluster) = self.clusters.get(number) else { return refuse("no such cluster") };
        if cluster.members.iter().any(|member| member.ips.iter().any(|ip| ips.contains(ip))) {
            return refuse("An MDM with the same IP address already exists.");
        }
        if cluster.members.iter().any(|member| member.name == name) {
            return refuse("An MDM with the same name already exists.");
        }
        let interfaces = list(options, "new_mdm_virtual_ip_interface");
        if role == "manager" && interfaces.len() != cluster.virtual_ips.len() {
            return refuse("Each virtual IP of the cluster needs an interface of the MDM");
        }
        let known = ips.iter().find(|ip| self.station(ip).is_some());
        let station = known.and_then(|ip| self.station_mut(ip)).filter(|station| station.is_up);
        let Some(station) = station else { return refuse("Could not connect to the new MDM") };
        if station.is_manager != (role == "manager") {
            return refuse("Wrong MDM role");
        }
        match station.bound {
            Some(other) if other == number && !forced => {
                return refuse("MDM was previously part of this cluster and was not properly removed");
            }
            Some(other) if other != number => {
                return refuse("MDM is part of another cluster or was not properly removed");
            }
            _ => station.bound = Some(number),
        }
        let id = self.next_id();
        let is_manager = role == "manager";
        let management_ips = list(options, "new_mdm_management_ip");
        let member = Member { name: name.clone(), id, ips, management_ips, is_manager, votes: false, interfaces };
        if let Some(cluster) = self.clusters.get_mut(number) {
            cluster.members.push(member);
        }
        self.changes.push(format!("add {name}"));
        good("Successfully added a standby MDM.\n")
    }

    /// Whether named members stand by, are up and of that kind.
    fn ready(&self, number: usize, names: &[String], is_manager: bool) -> Result<(), Ended> {
        let Some(cluster) = self.clusters.get(number) else { return Err(refuse("no such cluster")) };
        for name in names {
            match cluster.members.iter().find(|member| member.name == *name) {
                None => return Err(refuse("The MDM was not found")),
                Some(member) if member.is_manager != is_manager => return Err(refuse("Wrong MDM role")),
                Some(member) if member.votes => return Err(refuse("The MDM is part of the current cluster")),
                Some(member) if !self.up(member) => return Err(refuse("The MDM is not connected")),
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn switch(&mut self, number: usize, options: &Options) -> Ended {
        let (managers, voting) = (list(options, "add_slave_mdm_name"), list(options, "add_tb_name"));
        let wanted = match options.get("cluster_mode").map(String::as_str) {
            Some("3_node") => (2, 1),
            Some("5_node") => (3, 2),
            _ => return refuse("Wrong number of MDMs for this transition"),
        };
        let Some(cluster) = self.clusters.get(number) else { return refuse("no such cluster") };
        let count = |is_manager: bool| {
            cluster.members.iter().filter(|member| member.votes && member.is_manager == is_manager).count()
        };
        if (count(true), count(false)) == wanted {
            return refuse("The MDM is already in this cluster mode.");
        }
        if (count(true) + managers.len(), count(false) + voting.len()) != wanted {
            return refuse("Wrong number of MDMs for this transition");
        }
        for (names, is_manager) in [(&managers, true), (&voting, false)] {
            if let Err(ended) = self.ready(number, names, is_manager) {
                return ended;
            }
        }
        for member in self.clusters.get_mut(number).map(|cluster| cluster.members.iter_mut()).into_iter().flatten() {
            member.votes |= managers.contains(&member.name) || voting.contains(&member.name);
        }
        self.changes.push(format!("switch {}", wanted.0 + wanted.1));
        self.elect();
        good("Successfully switched the cluster mode.\n")
    }

    fn replace(&mut self, number: usize, options: &Options) -> Ended {
        let is_manager = has(options, "add_slave_mdm_name");
        let (add, remove) = if is_manager {
            (list(options, "add_slave_mdm_name"), list(options, "remove_slave_mdm_name"))
        } else {
            (list(options, "add_tb_name"), list(options, "remove_tb_name"))
        };
        if add.is_empty()
            || add.len() != remove.len()
            || !has(options, "allow_leave_failed")
            || !has(options, "i_am_sure")
        {
            return refuse("Wrong number of MDMs for this transition");
        }
        if let Err(ended) = self.ready(number, &add, is_manager) {
            return ended;
        }
        let Some(cluster) = self.clusters.get_mut(number) else { return refuse("no such cluster") };
        let master = cluster.master;
        for name in &remove {
            match cluster.members.iter().find(|member| member.name == *name) {
                Some(member) if member.id == master => return refuse("MDM passed is the Master, not a slave MDM"),
                Some(member) if member.votes && member.is_manager == is_manager => {}
                _ => return refuse("The MDM was not found"),
            }
        }
        for member in &mut cluster.members {
            member.votes = (member.votes && !remove.contains(&member.name)) || add.contains(&member.name);
        }
        self.changes.push(format!("replace {} by {}", remove.join(","), add.join(",")));
        self.elect();
        good("Successfully replaced cluster MDMs.\n")
    }

    fn remove(&mut self, number: usize, options: &Options) -> Ended {
        let name = options.get("remove_mdm_name").cloned().unwrap_or_default();
        let Some(cluster) = self.clusters.get_mut(number) else { return refuse("no such cluster") };
        let Some(at) = cluster.members.iter().position(|member| member.name == name) else {
            return refuse("The MDM was not found");
        };
        if cluster.members.get(at).is_some_and(|member| member.votes) {
            return refuse("The MDM is part of the current cluster and cannot be removed");
        }
        let gone = cluster.members.remove(at);
        // One that is not there does not hear of it.
        for ip in &gone.ips {
            if let Some(station) = self.station_mut(ip).filter(|station| station.is_up) {
                station.bound = None;
            }
        }
        self.changes.push(format!("remove {name}"));
        good("Successfully removed the standby MDM.\n")
    }

    fn hand_over(&mut self, number: usize, options: &Options) -> Ended {
        let name = options.get("new_master_mdm_name").cloned().unwrap_or_default();
        let Some(cluster) = self.clusters.get_mut(number) else { return refuse("no such cluster") };
        match cluster.members.iter().find(|member| member.name == name && member.votes && member.is_manager) {
            None => refuse("The MDM was not found"),
            Some(member) if member.id == cluster.master => refuse("MDM passed is already the Master"),
            Some(member) => {
                cluster.master = member.id;
                self.changes.push(format!("owner {name}"));
                good("Successfully switched MDM ownership.\n")
            }
        }
    }
}
